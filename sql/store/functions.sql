CREATE OR REPLACE FUNCTION eventstore.archive_of_store() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_archive_of_store'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.archive_of_store() IS
'Trigger function that makes a table the archive of a store. The trigger is a constraint trigger on the archive, FROM the store.
Errors: 39P01 the function is used by another trigger.';

CREATE OR REPLACE FUNCTION eventstore.archive_options(
  archive regclass,
  OUT max_age text,
  OUT max_count_per_aggregate text)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_archive_options'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.archive_options(regclass) IS
'Returns the rules of set_retention() for an archive, as a trigger of the archive stores them. View eventstore.archives shows them.
archive: the archive.
Errors: 42P01, 42809 no such table.';

CREATE OR REPLACE FUNCTION eventstore.store_options(
  store regclass,
  OUT notifications text,
  OUT channel text,
  OUT position_sequence regclass,
  OUT slot integer,
  OUT slots integer,
  OUT arriving boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_store_options'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.store_options(regclass) IS
'Returns the options of a store, as its trigger stores them, and the sequence of its positions. View eventstore.stores shows them.
store: the store.
Errors: 42P01 no such table; 42809 the table is not a store.';

CREATE OR REPLACE FUNCTION eventstore.after_append() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_after_append'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.after_append() IS
'Trigger function that makes a table a store. After an INSERT or COPY, it raises an error if the table has lost the shape of a store. The arguments of the trigger are the options of the store: notification mode, channel, and ''archive'' if the store has an archive, and the slot of a sliced store.
Errors: 42809 the table has lost the shape of a store; 39P01 the function is used by another trigger.';
