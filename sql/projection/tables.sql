-- What projections have besides their subscriptions. Only the extension writes this table.
CREATE TABLE eventstore.projection_definitions (
  projection text COLLATE "C" PRIMARY KEY,
  mode text NOT NULL,
  handler text NOT NULL,
  tables eventstore.regstore[] NOT NULL,
  batch_size integer NOT NULL,
  start_position bigint NOT NULL,
  rebuild_of text COLLATE "C",
  copies name,
  handler_version bigint,
  last_error_position bigint,
  last_error_event_type text
);
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.projection_definitions
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.projection_definitions ENABLE REPLICA TRIGGER receive_row;
SELECT pg_catalog.pg_extension_config_dump('eventstore.projection_definitions', '');

COMMENT ON TABLE eventstore.projection_definitions IS
'The definitions of projections. Each has a subscription of the same name, with the rest. The functions create_projection() and alter_projection() write them. View eventstore.projections shows them with their progress.';
COMMENT ON COLUMN eventstore.projection_definitions.projection IS 'name of the projection, and of its subscription';
COMMENT ON COLUMN eventstore.projection_definitions.mode IS 'async, inline or manual';
COMMENT ON COLUMN eventstore.projection_definitions.handler IS 'the function that is called with the events, with its schema and the type of its argument';
COMMENT ON COLUMN eventstore.projection_definitions.tables IS 'the tables that the handler fills, and that rebuild_projection() empties; - for a table that was dropped';
COMMENT ON COLUMN eventstore.projection_definitions.batch_size IS 'maximum number of events in one transaction';
COMMENT ON COLUMN eventstore.projection_definitions.start_position IS 'the handler gets events after this position';
COMMENT ON COLUMN eventstore.projection_definitions.rebuild_of IS 'the projection that is being rebuilt; null if this is no rebuild';
COMMENT ON COLUMN eventstore.projection_definitions.copies IS 'schema of the copies of the tables that a rebuild fills; null for none';
COMMENT ON COLUMN eventstore.projection_definitions.handler_version IS 'the definition of the handler with which a rebuild has begun; null if this is no rebuild';
COMMENT ON COLUMN eventstore.projection_definitions.last_error_position IS 'position of the event that failed last; null if there was none';
COMMENT ON COLUMN eventstore.projection_definitions.last_error_event_type IS 'type of the event that failed last';
COMMENT ON TRIGGER receive_row ON eventstore.projection_definitions IS 'takes the rows that logical replication brings';
