CREATE OR REPLACE FUNCTION eventstore.next_position(sequence regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_next_position'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.next_position(regclass) IS
'Default of a store''s position column: announces the transaction as an appender, then takes the next position from the store''s sequence.
sequence: the sequence owned by the position column of a store.
Errors: 42501 without INSERT on the store; 42809 when the sequence belongs to no store or was altered (INCREMENT, CACHE or CYCLE); 25006 in a read-only transaction.';
