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
Errors: 42P01 the slot is not in this database, or a move copies it there; 22004 an argument is NULL; 42602 not a name.';

CREATE OR REPLACE FUNCTION eventstore.store_of_slot(store text, slot integer)
RETURNS regclass
AS 'MODULE_PATHNAME', 'pges_store_of_slot'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.store_of_slot(text, integer) IS
'Returns the store that is the slot with a number.
store: the name of the sliced store, as for slots().
slot: the number of the slot.
Errors: 42P01 the slot is not in this database, or a move copies it there; 22004 an argument is NULL; 42602 not a name.';
