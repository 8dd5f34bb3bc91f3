-- A table by its OID, for tables that outlive it and are dumped: it follows renames
-- like regclass, but a name without a table is no error.
CREATE TYPE eventstore.regstore;

CREATE FUNCTION eventstore.regstore_in(cstring) RETURNS eventstore.regstore
AS 'MODULE_PATHNAME', 'pges_regstore_in'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.regstore_in(cstring) IS
'Input function of type eventstore.regstore.
Errors: 42602 invalid name.';

CREATE FUNCTION eventstore.regstore_out(eventstore.regstore) RETURNS cstring
AS 'MODULE_PATHNAME', 'pges_regstore_out'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.regstore_out(eventstore.regstore) IS 'Output function of type eventstore.regstore.';

CREATE FUNCTION eventstore.regstore_recv(internal) RETURNS eventstore.regstore
AS 'MODULE_PATHNAME', 'pges_regstore_recv'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.regstore_recv(internal) IS 'Binary input function of type eventstore.regstore.';

CREATE FUNCTION eventstore.regstore_send(eventstore.regstore) RETURNS bytea
AS 'MODULE_PATHNAME', 'pges_regstore_send'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.regstore_send(eventstore.regstore) IS 'Binary output function of type eventstore.regstore.';

CREATE TYPE eventstore.regstore (
  INPUT = eventstore.regstore_in,
  OUTPUT = eventstore.regstore_out,
  RECEIVE = eventstore.regstore_recv,
  SEND = eventstore.regstore_send,
  LIKE = pg_catalog.regclass,
  CATEGORY = 'N'
);
COMMENT ON TYPE eventstore.regstore IS
'A store in a record that may outlive the store. Like regclass, the type follows renames, and it can be compared and joined with regclass. Unlike regclass, it prints - if the table does not exist any more, and reads the name of a table that does not exist as -.';

CREATE CAST (eventstore.regstore AS pg_catalog.regclass) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (eventstore.regstore AS pg_catalog.oid) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (pg_catalog.regclass AS eventstore.regstore) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (eventstore.regstore AS pg_catalog.regclass) IS 'joins with the stores of the views';
COMMENT ON CAST (eventstore.regstore AS pg_catalog.oid) IS 'joins with the catalogs';
COMMENT ON CAST (pg_catalog.regclass AS eventstore.regstore) IS 'records a store';
