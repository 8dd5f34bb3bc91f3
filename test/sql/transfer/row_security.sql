-- what row security hides still takes ids and versions: the error says so, and what helps
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_security.events', 'off');
CREATE ROLE reg_security_a;
CREATE ROLE reg_security_b;
GRANT USAGE ON SCHEMA eventstore, reg_security TO reg_security_a, reg_security_b;
GRANT SELECT, INSERT ON reg_security.events TO reg_security_a, reg_security_b;
ALTER TABLE reg_security.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON reg_security.events USING (metadata ->> 'tenant' = current_user);
SET pg_eventstore.store = 'reg_security.events';
SET ROLE reg_security_a;
SELECT eventstore.append_events('[{"event_type": "placed", "event_id": "e-1", "aggregate_id": "order-1", "data": 1, "metadata": {"tenant": "reg_security_a"}},
  {"event_type": "paid", "event_id": "e-2", "aggregate_id": "order-1", "data": 1, "metadata": {"tenant": "reg_security_a"}}]');
SET ROLE reg_security_b;
\set VERBOSITY default
\set SHOW_CONTEXT never

-- the version
SELECT eventstore.append_event('placed', '1', 'order-1', metadata => '{"tenant": "reg_security_b"}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('placed', '1', 'order-1', 0, metadata => '{"tenant": "reg_security_b"}');
SELECT * FROM eventstore.append('[{"event_type": "placed", "aggregate_id": "order-2", "data": 1, "metadata": {"tenant": "reg_security_b"}},
  {"event_type": "placed", "aggregate_id": "order-1", "data": 1, "metadata": {"tenant": "reg_security_b"}}]', '{"order-1": 0}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.append('[{"event_type": "noted", "data": 1, "metadata": {"tenant": "reg_security_b"}},
  {"event_type": "placed", "aggregate_id": "order-1", "data": 1, "metadata": {"tenant": "reg_security_b"}}]', '{"order-3": 0}');
SELECT * FROM eventstore.import_json('{"event_type": "placed", "event_id": "e-3", "aggregate_id": "order-1", "aggregate_version": 1, "data": 1, "metadata": {"tenant": "reg_security_b"}}');
-- the id
SELECT eventstore.append_event('placed', '1', 'order-2', event_id => 'e-1', metadata => '{"tenant": "reg_security_b"}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.append('[{"event_type": "placed", "event_id": "e-4", "data": 1, "metadata": {"tenant": "reg_security_b"}},
  {"event_type": "placed", "event_id": "e-2", "data": 1, "metadata": {"tenant": "reg_security_b"}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.append('[{"event_type": "placed", "event_id": "e-2", "data": 1, "metadata": {"tenant": "reg_security_b"}},
  {"event_type": "placed", "data": 1, "metadata": {"tenant": "reg_security_b"}}]');
SELECT * FROM eventstore.import_json('[{"event_type": "placed", "event_id": "e-4", "data": 1, "metadata": {"tenant": "reg_security_b"}},
  {"event_type": "placed", "event_id": "e-2", "data": 1, "metadata": {"tenant": "reg_security_b"}}]');
-- the last line of DETAIL is JSON
CREATE FUNCTION pg_temp.conflict(command text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  EXECUTE command;
EXCEPTION WHEN SQLSTATE '40V01' THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN regexp_replace(detail, '.*\n', '');
END $$;
SELECT pg_temp.conflict($$ SELECT eventstore.append_event('placed', '1', 'order-1', 0, metadata => '{"tenant": "reg_security_b"}') $$);
SELECT pg_temp.conflict($$ SELECT eventstore.append('[{"event_type": "t", "aggregate_id": "order-2", "data": 1, "metadata": {"tenant": "reg_security_b"}}, {"event_type": "t", "aggregate_id": "order-1", "data": 1, "metadata": {"tenant": "reg_security_b"}}]') $$);
RESET ROLE;

-- the position
SELECT setval('reg_security.events_position_seq', 1, false), last_value AS last FROM reg_security.events_position_seq \gset
SET ROLE reg_security_b;
SELECT eventstore.append_event('placed', '1', 'order-2', metadata => '{"tenant": "reg_security_b"}');
RESET ROLE;
SELECT setval('reg_security.events_position_seq', :last) \gset

-- the role that sees all is told as before
SET ROLE reg_security_a;
SELECT eventstore.append_event('placed', '1', 'order-1', 0, metadata => '{"tenant": "reg_security_a"}');
SELECT eventstore.append_event('placed', '1', 'order-1', 2, event_id => 'e-1', metadata => '{"tenant": "reg_security_a"}');
RESET ROLE;
SELECT eventstore.append_event('placed', '1', 'order-1', 2, event_id => 'e-1');

RESET pg_eventstore.store;
DROP OWNED BY reg_security_a, reg_security_b;
DROP ROLE reg_security_a, reg_security_b;
SELECT eventstore.drop_store('reg_security.events', force => true);
DROP SCHEMA reg_security;
