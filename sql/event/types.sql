-- One event, as every reader returns it.  The widths of the columns are the
-- business of each store's table, not of this type.
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
'One event: its position in the store, its identity, type, time and links, the aggregate and version it belongs to, its data and metadata.';
COMMENT ON COLUMN eventstore.event.position IS 'its number in the store';
COMMENT ON COLUMN eventstore.event.event_id IS 'its identity';
COMMENT ON COLUMN eventstore.event.event_type IS 'what kind of thing happened';
COMMENT ON COLUMN eventstore.event.occurred_at IS 'when it happened';
COMMENT ON COLUMN eventstore.event.correlation_id IS 'what all events of one business process share';
COMMENT ON COLUMN eventstore.event.causation_id IS 'the event or command that caused this one';
COMMENT ON COLUMN eventstore.event.aggregate_id IS 'the aggregate it belongs to; null for none';
COMMENT ON COLUMN eventstore.event.aggregate_type IS 'the type of the aggregate';
COMMENT ON COLUMN eventstore.event.aggregate_version IS 'its number within the aggregate; null when it belongs to none';
COMMENT ON COLUMN eventstore.event.data IS 'what happened';
COMMENT ON COLUMN eventstore.event.metadata IS 'what else was kept with it';
