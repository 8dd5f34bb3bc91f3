CREATE OR REPLACE FUNCTION eventstore.replay_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_replay_parked'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.replay_parked(text, text, bigint) IS
'Lets poll() deliver parked events again. They are delivered in order, before newer events of their aggregates. An event that fails again is parked again, with the events behind it.
subscription: the subscription.
aggregate_id: only events of this aggregate. NULL means all.
at_position: only the event at this position, and the earlier parked events of its aggregate. NULL means all.
The call waits for transactions that have polled or acknowledged events of the partition and are still open. If neither aggregate_id nor at_position is given, it waits for those of all partitions.
Returns the number of events that will be delivered.
Errors: 22004 subscription is NULL; 42704, 42501, 40001, 25006 as ack().';

CREATE OR REPLACE FUNCTION eventstore.discard_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_discard_parked'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.discard_parked(text, text, bigint, text) IS
'Removes parked events, so that they count as processed. If no event of an aggregate is parked any more, later events of the aggregate are delivered. Events that were parked behind them in a delivery that is still outstanding are delivered, too.
subscription, aggregate_id, at_position: as for replay_parked().
reason: why the events are removed. The function writes the reason and the number of events to the server log at the time of the call, also if the transaction is rolled back later.
Returns the number of events.
Errors: as replay_parked().';
