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
  OUT slots integer)
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

CREATE OR REPLACE FUNCTION eventstore.slot_of(aggregate_id text, slots integer)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_slot_of_id'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.slot_of(text, integer) IS
'Returns the slot of an aggregate. The slot is given by the first bits of the CRC-32 of the id in UTF-8: floor(crc32 * slots / 2^32). The CRC-32 is that of zlib. The result is the same on all platforms and versions.
aggregate_id: the id of the aggregate.
slots: the number of slots of the store, a power of two from 2 to 1024.
Returns 0 to slots - 1; NULL if an argument is NULL.
Errors: 22023 the number of slots is not possible.';

CREATE OR REPLACE FUNCTION eventstore.slots(
  store text,
  OUT slot integer,
  OUT slots integer,
  OUT slot_store regclass)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pges_slots'
LANGUAGE C STABLE PARALLEL SAFE ROWS 16;

COMMENT ON FUNCTION eventstore.slots(text) IS
'Returns the slots of a sliced store that are in this database, by number; no row if there are none.
store: the name of the sliced store, which is not the name of a table. Without a schema, the slots are looked up along the search_path.
Returns the number of the slot, the number of all slots, and the store that is the slot.
Errors: 22004 store is NULL; 42602 not a name.';

CREATE OR REPLACE FUNCTION eventstore.slot_store(store text, aggregate_id text)
RETURNS regclass
AS 'MODULE_PATHNAME', 'pges_slot_store'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.slot_store(text, text) IS
'Returns the store that is the slot of an aggregate.
store: the name of the sliced store, as for slots().
aggregate_id: the id of the aggregate.
Errors: 42P01 the slot is not in this database; 22004 an argument is NULL; 42602 not a name.';
