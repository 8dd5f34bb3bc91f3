-- Makes the seed's table. Its trigger sends each row as JSON by NOTIFY, in the
-- transaction.
CREATE TABLE public.events (
  event_id VARCHAR(36) PRIMARY KEY,
  event_type VARCHAR(255) NOT NULL,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  correlation_id VARCHAR(36),
  causation_id VARCHAR(36),
  aggregate_id VARCHAR(36),
  aggregate_type VARCHAR(255),
  aggregate_version INTEGER,
  data JSONB NOT NULL,
  metadata JSONB
);
CREATE INDEX idx_events_event_type ON public.events (event_type);
CREATE INDEX idx_events_occurred_at ON public.events (occurred_at);
CREATE INDEX idx_events_aggregate_id ON public.events (aggregate_id);
CREATE INDEX idx_events_aggregate_type ON public.events (aggregate_type);
CREATE INDEX idx_events_correlation_id ON public.events (correlation_id);

CREATE FUNCTION public.notify_event() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('events', row_to_json(NEW)::text);
  RETURN NEW;
END $$;
CREATE TRIGGER notify_event AFTER INSERT ON public.events
  FOR EACH ROW EXECUTE FUNCTION public.notify_event();
