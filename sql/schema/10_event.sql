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

