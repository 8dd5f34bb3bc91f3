-- complain if the script is sourced in psql, rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_eventstore_front" to load this file. \quit

-- the schema must be safe before anything is put there
CREATE FUNCTION eventstore.begin_install() RETURNS void
AS 'MODULE_PATHNAME', 'pges_begin_install' LANGUAGE C;
COMMENT ON FUNCTION eventstore.begin_install() IS 'For the install script only.';
SELECT eventstore.begin_install();
DROP FUNCTION eventstore.begin_install();
