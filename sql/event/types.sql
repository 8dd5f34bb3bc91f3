-- One event, as every reader returns it.  Each store's table sets the widths of
-- the columns, not this type.
CREATE TYPE eventstore.event AS (
  position bigint,
  event_id varchar COLLATE "C",
  event_type varchar COLLATE "C",
  occurred_at timestamptz,
  correlation_id varchar COLLATE "C",
  causation_id varchar COLLATE "C",
  aggregate_id varchar COLLATE "C",
  aggregate_type varchar COLLATE "C",
  aggregate_version integer,
  data jsonb,
  metadata jsonb
);

COMMENT ON TYPE eventstore.event IS
'The row type of events, which the readers return. Its columns are those of the table of a store.';
COMMENT ON COLUMN eventstore.event.position IS 'number of the event in the store';
COMMENT ON COLUMN eventstore.event.event_id IS 'identity of the event';
COMMENT ON COLUMN eventstore.event.event_type IS 'type of the event';
COMMENT ON COLUMN eventstore.event.occurred_at IS 'time at which the event occurred';
COMMENT ON COLUMN eventstore.event.correlation_id IS 'identifier that all events of one business process share';
COMMENT ON COLUMN eventstore.event.causation_id IS 'event or command that caused this event';
COMMENT ON COLUMN eventstore.event.aggregate_id IS 'aggregate that the event belongs to; null for none';
COMMENT ON COLUMN eventstore.event.aggregate_type IS 'type of the aggregate';
COMMENT ON COLUMN eventstore.event.aggregate_version IS 'number of the event within its aggregate; null without an aggregate';
COMMENT ON COLUMN eventstore.event.data IS 'what happened';
COMMENT ON COLUMN eventstore.event.metadata IS 'other values that were stored with the event';
