CREATE OR REPLACE FUNCTION eventstore.wait_for_projection(
  name text,
  to_position bigint DEFAULT NULL,
  timeout interval DEFAULT '10 seconds')
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_wait_for_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.wait_for_projection(text, bigint, interval) IS
'Waits until a projection has handled the events up to a position. So a client can read the result of what it has written. The caller needs SELECT on the store. The function needs no LISTEN, so it works through any pooler and on a standby.
name: the projection. For a rebuild, named as rebuild_projection() returned it, the function waits for its end, and returns at once if it has ended.
to_position: the position, as append() returns it. A version, which the other append functions return, is no position. NULL means that of the last event that is committed now. Parked events count as handled.
timeout: the maximum time to wait. More than 60 seconds count as 60.
Returns the position, or NULL after the timeout. An open append with a lower position also delays the projection. An inline projection has handled all committed events.
While it waits, the call has a snapshot, as any statement has. So the server keeps old versions of the rows that the projection updates meanwhile: to wait for a long catch-up, call the function repeatedly with a short timeout.
Errors: 55000 the projection is paused or has failed, so that it does not advance by itself; 25001 this transaction has appended to the store and has not committed yet; 22V01 to_position is greater than any position that the store has given; 22004, 22023 invalid timeout; 42704 no such projection; 42501 without SELECT on the store; 0A000 under row security; 42P01 the store was dropped.';

CREATE OR REPLACE FUNCTION eventstore.projection_problem(name text)
RETURNS text
AS 'MODULE_PATHNAME', 'pges_projection_problem'
LANGUAGE C STABLE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.projection_problem(text) IS
'Returns why a projection cannot run, or NULL: the handler or its owner is missing, or a privilege of the owner. For view eventstore.projections.
name: the projection.';
