CREATE OR REPLACE FUNCTION eventstore.next_position(sequence regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_next_position'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.next_position(regclass) IS
'Returns the next position of a store, which is the default of column position. First it acquires the guard of the store, which shows the transaction in view open_appends.
sequence: the sequence of the column position of the store.
Errors: 42501 without INSERT on the store or USAGE on the sequence; 42809 the sequence belongs to no store, or was altered (INCREMENT, CACHE or CYCLE); 25006 in a read-only transaction.';
