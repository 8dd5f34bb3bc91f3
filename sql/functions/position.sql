CREATE OR REPLACE FUNCTION eventstore.next_position(sequence regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_next_position'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.next_position(regclass) IS
'Default of a store''s position column: announces the transaction as an appender, then takes the next position from the store''s sequence.
sequence: the sequence owned by the position column of a store.
Errors: 42501 without INSERT on the store; 42809 when the sequence belongs to no store or was altered (INCREMENT, CACHE or CYCLE); 25006 in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.new_event_id() RETURNS varchar
AS 'MODULE_PATHNAME', 'pges_new_event_id'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.new_event_id() IS
'Default of a store''s event_id column: a new UUID version 7 as text. The ids one session makes are ascending.';

