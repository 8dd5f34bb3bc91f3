-- all so far belongs to the bootstrap superuser, also if another superuser creates
-- the extension; what follows, the default store, belongs to whoever creates it
CREATE FUNCTION eventstore.end_install() RETURNS void
AS 'MODULE_PATHNAME', 'pges_end_install' LANGUAGE C;
COMMENT ON FUNCTION eventstore.end_install() IS 'For the install script only.';
SELECT eventstore.end_install();
DROP FUNCTION eventstore.end_install();
