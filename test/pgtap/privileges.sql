-- Who may do what with a store.  Nothing here runs with more rights than the
-- caller has: a store is guarded by the privileges of its table.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;
SET LOCAL client_min_messages = warning;

SELECT plan(303);

CREATE ROLE pgtap_owner;
CREATE ROLE pgtap_writer;    -- SELECT and INSERT
CREATE ROLE pgtap_reader;    -- SELECT
CREATE ROLE pgtap_blind;     -- INSERT
CREATE ROLE pgtap_nobody;    -- may only call the functions
CREATE ROLE pgtap_outsider;  -- not even that
GRANT USAGE ON SCHEMA eventstore TO pgtap_owner, pgtap_writer, pgtap_reader, pgtap_blind, pgtap_nobody;
CREATE SCHEMA pgtap_stores;
GRANT USAGE, CREATE ON SCHEMA pgtap_stores TO pgtap_owner;
GRANT USAGE ON SCHEMA pgtap_stores TO pgtap_writer, pgtap_reader, pgtap_blind, pgtap_nobody, pgtap_outsider;

CREATE FUNCTION pgtap_stores.reducer(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state';

-- every way to append, and every way to read
CREATE TEMP TABLE appends (label text, command text);
INSERT INTO appends VALUES
('append_events', $$SELECT eventstore.append_events('{"event_type": "T", "aggregate_id": "a"}')$$),
('append_event', $$SELECT eventstore.append_event('T', '1', 'a')$$),
('append_to_aggregate', $$SELECT eventstore.append_to_aggregate('a', '{T,T}', '{1,2}')$$),
('append', $$SELECT * FROM eventstore.append('[{"event_type": "T", "aggregate_id": "a"}, {"event_type": "T"}]')$$),
('import_json', $$SELECT * FROM eventstore.import_json('[{"event_type": "T", "aggregate_id": "a"}, {"event_type": "T"}]')$$);
-- those that store nothing
CREATE TEMP TABLE checks (label text, command text);
INSERT INTO checks VALUES
('append_events of nothing', $$SELECT eventstore.append_events('[]')$$),
('append_to_aggregate of nothing', $$SELECT eventstore.append_to_aggregate('a', '{}', '{}')$$),
('append of nothing', $$SELECT * FROM eventstore.append('[]')$$),
('append that only expects', $$SELECT * FROM eventstore.append('[]', '{"no such aggregate": 0}')$$);
CREATE TEMP TABLE reads (label text, command text);
INSERT INTO reads VALUES
('get_events_by_aggregate', $$SELECT * FROM eventstore.get_events_by_aggregate('a')$$),
('get_events_by_type', $$SELECT * FROM eventstore.get_events_by_type('T')$$),
('get_events_by_aggregate_type', $$SELECT * FROM eventstore.get_events_by_aggregate_type('A')$$),
('get_events_by_correlation_id', $$SELECT * FROM eventstore.get_events_by_correlation_id('c')$$),
('get_events_by_causation_id', $$SELECT * FROM eventstore.get_events_by_causation_id('c')$$),
('get_latest_events', $$SELECT * FROM eventstore.get_latest_events()$$),
('get_event', $$SELECT * FROM eventstore.get_event('e')$$),
('get_aggregate_version', $$SELECT eventstore.get_aggregate_version('a')$$),
('read_events', $$SELECT * FROM eventstore.read_events()$$),
('export_events', $$SELECT * FROM eventstore.export_events()$$),
('read_events, filtered', $$SELECT * FROM eventstore.read_events(0, 10, '{T}', '{A}', true)$$),
('wait_for_events', $$SELECT eventstore.wait_for_events(0, '0')$$),
('next_checkpoint', $$SELECT eventstore.next_checkpoint(0, '{T}')$$),
('high_water_mark', $$SELECT eventstore.high_water_mark()$$),
('get_snapshot', $$SELECT * FROM eventstore.get_snapshot('a')$$),
('load_aggregate', $$SELECT * FROM eventstore.load_aggregate('a')$$),
('aggregate_state', $$SELECT eventstore.aggregate_state('a', 'pgtap_stores.reducer(jsonb, eventstore.event)')$$);
CREATE TEMP TABLE administration (label text, command text);
INSERT INTO administration VALUES
('drop_store', $$SELECT eventstore.drop_store('pgtap_stores.events', true)$$),
('empty_store', $$SELECT eventstore.empty_store('pgtap_stores.events')$$),
('create_archive', $$SELECT eventstore.create_archive('pgtap_stores.events')$$),
('sync_archive', $$SELECT eventstore.sync_archive('pgtap_stores.events')$$),
('set_retention', $$SELECT eventstore.set_retention('pgtap_stores.events', '1 day')$$),
('set_notifications', $$SELECT eventstore.set_notifications('pgtap_stores.events', 'off')$$);
CREATE TEMP TABLE erasures (label text, command text);
INSERT INTO erasures VALUES
('erase_aggregate', $$SELECT eventstore.erase_aggregate('a', 'r')$$),
('redact_event', $$SELECT eventstore.redact_event('e', 'r')$$);
CREATE TEMP TABLE tampering (label text, command text);
INSERT INTO tampering VALUES
('SELECT', 'SELECT * FROM eventstore.erasures'),
('INSERT', $$INSERT INTO eventstore.erasures VALUES ('i', now(), 'x', 'x', '-', 's', 'a', NULL, 1, false, 'r')$$),
('UPDATE', $$UPDATE eventstore.erasures SET reason = 'r'$$),
('DELETE', 'DELETE FROM eventstore.erasures'),
('TRUNCATE', 'TRUNCATE eventstore.erasures');
GRANT SELECT ON appends, checks, reads, administration, erasures, tampering TO PUBLIC;
-- privileges on the table of watermarks are of no use to advance one
CREATE ROLE pgtap_operator;
GRANT USAGE ON SCHEMA eventstore, pgtap_stores TO pgtap_operator;
GRANT INSERT, UPDATE ON eventstore.watermarks TO pgtap_operator;

-- creating stores
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok($$SELECT eventstore.create_store('pgtap_stores.events')$$, '42501', NULL,
                 'create_store: not without CREATE on the schema');
SELECT throws_ok($$SELECT eventstore.create_store('events2')$$, '42501', NULL,
                 'create_store: not in schema eventstore either');
SELECT throws_ok($$SELECT eventstore.create_store('pgtap_new.events')$$, '42501', NULL,
                 'create_store: no new schema without CREATE on the database');
SET LOCAL ROLE pgtap_owner;
SELECT lives_ok($$SELECT eventstore.create_store('pgtap_stores.events')$$, 'create_store: CREATE on the schema is enough');
SELECT lives_ok($$SELECT eventstore.create_store('pgtap_stores.events')$$, 'create_store: again does no harm');
RESET ROLE;
SELECT table_owner_is('pgtap_stores', 'events', 'pgtap_owner', 'create_store: the caller owns the table');
SELECT sequence_owner_is('pgtap_stores', 'events_position_seq', 'pgtap_owner', 'create_store: and the sequence');
SET LOCAL ROLE pgtap_owner;
GRANT SELECT, INSERT ON pgtap_stores.events TO pgtap_writer;
GRANT SELECT ON pgtap_stores.events TO pgtap_reader;
GRANT INSERT ON pgtap_stores.events TO pgtap_blind;
SET LOCAL pg_eventstore.store = 'pgtap_stores.events';

-- SELECT and INSERT on the table are all that an application needs
SET LOCAL ROLE pgtap_writer;
SELECT lives_ok(command, 'writer: ' || label) FROM appends;
SELECT lives_ok(command, 'writer: ' || label) FROM checks;
SELECT lives_ok(command, 'writer: ' || label) FROM reads;
SELECT lives_ok($$INSERT INTO pgtap_stores.events (event_type, data) VALUES ('T', '1')$$, 'writer: INSERT');
SELECT throws_ok($$INSERT INTO pgtap_stores.events (position, event_type, data) VALUES (1000, 'T', '1')$$, '42501',
                 'permission denied to choose the position of an event of store pgtap_stores.events', 'writer: no position of its choice');
SELECT lives_ok($$SELECT eventstore.next_position('pgtap_stores.events_position_seq')$$, 'writer: next_position');
SELECT is(eventstore.get_aggregate_version('a'), 6, 'writer: all of it was appended');
SELECT throws_ok(command, '42501', 'must be owner of table events', 'writer: no ' || label) FROM administration;
SELECT throws_ok($$UPDATE pgtap_stores.events SET data = '0'$$, '42501', NULL, 'writer: no UPDATE');
SELECT throws_ok($$SELECT setval('pgtap_stores.events_position_seq', 1)$$, '42501', NULL, 'writer: the sequence cannot be set back');

-- who may append may advance the watermark, by the function alone; everybody may read it
SELECT is(eventstore.advance_watermark(), eventstore.high_water_mark(), 'writer: advance_watermark');
SELECT throws_ok($$UPDATE eventstore.watermarks SET position = 0$$, '42501', 'permission denied for table watermarks', 'writer: no UPDATE of it');
SET LOCAL ROLE pgtap_owner;
SELECT is(eventstore.advance_watermark(), eventstore.high_water_mark(), 'the owner of a store: advance_watermark');
SET LOCAL ROLE pgtap_operator;
SELECT throws_ok($$SELECT eventstore.advance_watermark()$$, '42501', 'permission denied for table events',
                 'operator: no advance_watermark of a store to which it may not append');
RESET ROLE;
SELECT eventstore.append_event('T', '1') AS a \gset
SET LOCAL ROLE pgtap_writer;
SELECT is(eventstore.advance_watermark(), eventstore.high_water_mark(), 'writer: once more');
SELECT eventstore.high_water_mark() AS operator_mark \gset
SET LOCAL ROLE pgtap_nobody;
SELECT is((SELECT position FROM eventstore.watermarks WHERE store = 'pgtap_stores.events'::regclass), :operator_mark::bigint,
          'nobody: sees the watermark');
SELECT throws_ok(command, '42501', 'permission denied for table watermarks', 'nobody: no ' || command) FROM unnest(ARRAY[
  'INSERT INTO eventstore.watermarks VALUES (0, 0, now())', 'UPDATE eventstore.watermarks SET position = 0',
  'DELETE FROM eventstore.watermarks', 'TRUNCATE eventstore.watermarks']) command;
SELECT throws_ok(command, '42501', 'permission denied for table notifier_status', 'nobody: no ' || command) FROM unnest(ARRAY[
  'INSERT INTO eventstore.notifier_status VALUES (0)', 'UPDATE eventstore.notifier_status SET failed_starts = 0', 'DELETE FROM eventstore.notifier_status']) command;
SELECT lives_ok('SELECT * FROM eventstore.notifier', 'nobody: sees the state of the notifier');
-- it also sees who keeps the mark back, but not by what statement
SELECT results_eq($$SELECT store::text, pid, usename, query FROM eventstore.open_appends WHERE store = 'pgtap_stores.events'::regclass$$,
                  $$SELECT 'pgtap_stores.events', pg_backend_pid(), session_user, '<insufficient privilege>'$$,
                  'nobody: sees open appends');

-- SELECT alone; the session has used the store as another role before
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok(command, 'reader: ' || label) FROM reads;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'reader: no ' || label) FROM appends;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'reader: no ' || label) FROM checks;
SELECT throws_ok($$SELECT eventstore.next_position('pgtap_stores.events_position_seq')$$, '42501',
                 'permission denied for table events', 'reader: no next_position');
SELECT throws_ok(command, '42501', 'must be owner of table events', 'reader: no ' || label) FROM administration;

-- also when the watermark need not move
SELECT throws_ok($$SELECT eventstore.advance_watermark()$$, '42501', 'permission denied for table events',
                 'reader: no advance_watermark');

-- INSERT alone: no versions can be looked up
SET LOCAL ROLE pgtap_blind;
SELECT lives_ok($$INSERT INTO pgtap_stores.events (event_type, data) VALUES ('T', '1')$$, 'blind: INSERT');
SELECT throws_ok(command, '42501', 'permission denied for table events', 'blind: no ' || label) FROM appends;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'blind: no ' || label) FROM reads;

-- nothing but the right to call
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'nobody: no ' || label) FROM appends;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'nobody: no ' || label) FROM checks;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'nobody: no ' || label) FROM reads;
SELECT throws_ok($$SELECT eventstore.next_position('pgtap_stores.events_position_seq')$$, '42501',
                 'permission denied for table events', 'nobody: no next_position');
SELECT throws_ok(command, '42501', 'must be owner of table events', 'nobody: no ' || label) FROM administration;
SELECT isnt_empty($$SELECT 1 FROM eventstore.stores WHERE store = 'pgtap_stores.events'::regclass$$,
                  'nobody: sees that the store is there');

SET LOCAL ROLE pgtap_outsider;
SELECT throws_ok($$SELECT eventstore.append_event('T', '1', 'a')$$, '42501', 'permission denied for schema eventstore',
                 'outsider: no call without USAGE on the schema');

-- an INSERT privilege on columns, or USAGE on the sequence, allows positions
RESET ROLE;
GRANT INSERT (event_type, data) ON pgtap_stores.events TO pgtap_reader;
GRANT USAGE ON SEQUENCE pgtap_stores.events_position_seq TO pgtap_nobody;
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok($$INSERT INTO pgtap_stores.events (event_type, data) VALUES ('T', '1')$$, 'INSERT on columns is enough for an INSERT');
SET LOCAL ROLE pgtap_nobody;
SELECT lives_ok($$SELECT eventstore.next_position('pgtap_stores.events_position_seq')$$, 'USAGE on the sequence is enough for next_position');

-- erasing needs SELECT on the table and UPDATE on two of its columns; the
-- records are written for everybody, and open to nobody
RESET ROLE;
CREATE ROLE pgtap_officer;
GRANT USAGE ON SCHEMA eventstore, pgtap_stores TO pgtap_officer;
GRANT SELECT, UPDATE (data, metadata) ON pgtap_stores.events TO pgtap_officer;
SELECT eventstore.append_event('T', '1', event_id => 'e') AS a \gset
SET LOCAL ROLE pgtap_officer;
SELECT lives_ok(command, 'officer: ' || label) FROM erasures;
SELECT throws_ok($$UPDATE pgtap_stores.events SET data = '0'$$, '0A000', NULL, 'officer: no UPDATE');
SELECT throws_ok($$DELETE FROM pgtap_stores.events$$, '42501', NULL, 'officer: no DELETE');
SELECT throws_ok(command, '42501', 'permission denied for table events', 'officer: no ' || label) FROM appends;
SELECT throws_ok(command, '42501', 'permission denied for table erasures', 'officer: no ' || label || ' on the records') FROM tampering;
SET LOCAL ROLE pgtap_owner;
SELECT lives_ok(command, 'owner: ' || label) FROM erasures;
SELECT throws_ok(command, '42501', 'permission denied for table erasures', 'owner: no ' || label || ' on the records') FROM tampering;
SET LOCAL ROLE pgtap_writer;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'writer: no ' || label) FROM erasures;
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'nobody: no ' || label) FROM erasures;
RESET ROLE;
SELECT throws_ok(command, '0A000', NULL, 'a superuser: no ' || label || ' on the records') FROM tampering WHERE label IN ('UPDATE', 'DELETE', 'TRUNCATE');

-- subscriptions: who may read the store creates one, and the members of its owner use it
SET LOCAL pg_eventstore.store = 'pgtap_stores.events';
RESET ROLE;
CREATE TEMP TABLE uses (label text, command text);
INSERT INTO uses VALUES
('poll', $$SELECT * FROM eventstore.poll('pgtap_s')$$),
('ack', $$SELECT eventstore.ack('pgtap_s', delivery) FROM eventstore.subscription_partitions WHERE subscription = 'pgtap_s' AND delivery IS NOT NULL$$),
('release', $$SELECT eventstore.release('pgtap_s', 'c')$$),
('replay_parked', $$SELECT eventstore.replay_parked('pgtap_s')$$),
('discard_parked', $$SELECT eventstore.discard_parked('pgtap_s')$$),
('reset_subscription', $$SELECT eventstore.reset_subscription('pgtap_s', 0)$$),
('pause_subscription', $$SELECT eventstore.pause_subscription('pgtap_s')$$),
('resume_subscription', $$SELECT eventstore.resume_subscription('pgtap_s')$$),
('alter_subscription', $$SELECT eventstore.alter_subscription('pgtap_s', lease => '1 min')$$),
('poll, with a name', $$SELECT * FROM eventstore.poll('pgtap_s', 1, 'c')$$),
('nack', $$SELECT eventstore.nack('pgtap_s', delivery, checkpoint + 1) FROM eventstore.subscription_partitions WHERE subscription = 'pgtap_s' AND delivery IS NOT NULL$$),
('drop_subscription', $$SELECT eventstore.drop_subscription('pgtap_s')$$);
GRANT SELECT ON uses TO PUBLIC;
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok($$SELECT eventstore.create_subscription('pgtap_s')$$, '42501', 'permission denied for table events', 'nobody: no create_subscription');
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok($$SELECT eventstore.create_subscription('pgtap_s')$$, 'reader: create_subscription');
SET LOCAL ROLE pgtap_writer;
SELECT throws_ok(command, '42501', 'permission denied for subscription "pgtap_s"', 'writer: not a member of its owner: no ' || label) FROM uses WHERE label !~ 'ack$';
SELECT throws_ok($$SELECT eventstore.ack('pgtap_s', 1)$$, '42501', 'permission denied for subscription "pgtap_s"', 'writer: no ack');
SELECT throws_ok($$SELECT eventstore.alter_subscription('pgtap_s', owner => 'pgtap_writer')$$, '42501', 'permission denied for subscription "pgtap_s"', 'writer: cannot take it over');
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT eventstore.alter_subscription('pgtap_s', owner => 'pgtap_owner')$$, '42501', NULL, 'reader: cannot give it to a role that the reader is no member of');
RESET ROLE;
GRANT pgtap_reader TO pgtap_nobody;
SET LOCAL ROLE pgtap_nobody;
SELECT lives_ok(command, 'a member: ' || label) FROM uses;
RESET ROLE;
REVOKE pgtap_reader FROM pgtap_nobody;
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok(c, '42501', NULL, 'reader: no ' || c) FROM unnest(ARRAY[
  'SELECT * FROM eventstore.subscription_progress', 'DELETE FROM eventstore.subscription_definitions', 'UPDATE eventstore.subscription_progress SET checkpoint = 0',
  'TRUNCATE eventstore.subscription_parked', $$INSERT INTO eventstore.subscription_consumers VALUES ('s', 'c', now())$$]) c;
SELECT lives_ok($$SELECT * FROM eventstore.subscriptions, eventstore.subscription_partitions, eventstore.parked_events$$, 'reader: the views');

-- projections: as subscriptions, with EXECUTE on the handler, INSERT on the tables, and TRIGGER on the store for an inline one
RESET ROLE;
CREATE TABLE pgtap_stores.seen (n integer);
CREATE FUNCTION pgtap_stores.handle(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO pgtap_stores.seen VALUES (1)';
CREATE FUNCTION pgtap_stores.secret(e eventstore.event) RETURNS void LANGUAGE sql AS 'SELECT';
REVOKE EXECUTE ON FUNCTION pgtap_stores.secret FROM PUBLIC;
CREATE TEMP TABLE projecting (label text, command text);
INSERT INTO projecting VALUES
('alter_projection', $$SELECT eventstore.alter_projection('pgtap_p', batch_size => 10)$$),
('pause_projection', $$SELECT eventstore.pause_projection('pgtap_p')$$),
('resume_projection', $$SELECT eventstore.resume_projection('pgtap_p')$$),
('run_projection', $$SELECT eventstore.run_projection('pgtap_p', 1)$$),
('rebuild_projection', $$SELECT eventstore.rebuild_projection('pgtap_p', in_place => true)$$),
('drop_projection', $$SELECT eventstore.drop_projection('pgtap_p')$$);
GRANT SELECT ON projecting TO PUBLIC;
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_stores.handle(eventstore.event)', 'manual')$$, '42501', 'permission denied for table events', 'nobody: no create_projection');
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_stores.secret(eventstore.event)', 'manual')$$, '42501', 'permission denied for function pgtap_stores.secret(eventstore.event)', 'reader: not without EXECUTE on the handler');
SELECT throws_ok($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_stores.handle(eventstore.event)', 'manual', tables => '{pgtap_stores.seen}')$$, '42501', NULL, 'reader: not without INSERT on the tables');
SELECT throws_ok($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_stores.handle(eventstore.event)', 'inline')$$, '42501', NULL, 'reader: not inline without TRIGGER on the store');
SELECT lives_ok($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_stores.handle(eventstore.event)', 'manual')$$, 'reader: create_projection');
SELECT throws_ok($$SELECT eventstore.run_projection('pgtap_p')$$, '42501', 'permission denied for table seen', 'reader: the handler has the rights of the owner of the projection');
SET LOCAL ROLE pgtap_writer;
SELECT throws_ok(command, '42501', NULL, 'writer: not a member of its owner: no ' || label) FROM projecting;
SELECT throws_ok($$SELECT eventstore.alter_projection('pgtap_p', owner => 'pgtap_writer')$$, '42501', NULL, 'writer: cannot take it over');
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT eventstore.alter_projection('pgtap_p', owner => 'pgtap_owner')$$, '42501', NULL, 'reader: cannot give it to a role that the reader is no member of');
RESET ROLE;
GRANT SELECT, INSERT, DELETE, TRUNCATE ON pgtap_stores.seen TO pgtap_reader;
GRANT pgtap_reader TO pgtap_nobody;
SET LOCAL ROLE pgtap_nobody;
SELECT lives_ok($$SELECT eventstore.alter_projection('pgtap_p', tables => '{pgtap_stores.seen}')$$, 'a member: the tables');
SELECT lives_ok(command, 'a member: ' || label) FROM projecting;
RESET ROLE;
REVOKE pgtap_reader FROM pgtap_nobody;
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok(c, '42501', NULL, 'reader: no ' || c) FROM unnest(ARRAY[
  'SELECT * FROM eventstore.projection_definitions', 'DELETE FROM eventstore.projection_definitions', 'UPDATE eventstore.projector_status SET last_error = NULL']) c;
SELECT lives_ok($$SELECT * FROM eventstore.projections, eventstore.projector_status$$, 'reader: the view and the status');
-- States: SELECT on the store is required to create one, and with EXECUTE on the reducer to
-- read one. Members of its owner change it. INSERT on the store is required to save snapshots.
RESET ROLE;
ALTER FUNCTION pgtap_stores.reducer(jsonb, eventstore.event) OWNER TO pgtap_owner;
CREATE TEMP TABLE changes (label text, command text);
INSERT INTO changes VALUES
('alter_state', $$SELECT eventstore.alter_state('pgtap_state', snapshot_every => 1)$$),
('reset_state', $$SELECT eventstore.reset_state('pgtap_state')$$),
('drop_state', $$SELECT eventstore.drop_state('pgtap_state')$$);
CREATE TEMP TABLE saves (label text, command text);
INSERT INTO saves VALUES
('save_snapshot', $$SELECT eventstore.save_snapshot('a', 1, '{}')$$),
('delete_snapshots', $$SELECT eventstore.delete_snapshots('a')$$);
GRANT SELECT ON changes, saves TO PUBLIC;
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok(command, '42501', 'permission denied for table events', 'nobody: no ' || label) FROM saves;
SELECT throws_ok($$SELECT eventstore.create_state('pgtap_state', 'pgtap_stores.reducer(jsonb, eventstore.event)')$$, '42501', 'permission denied for table events', 'nobody: no create_state');
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok($$SELECT eventstore.create_state('pgtap_state', 'pgtap_stores.reducer(jsonb, eventstore.event)')$$, 'reader: create_state');
SELECT lives_ok($$SELECT eventstore.get_state('pgtap_state', 'a')$$, 'reader: get_state');
SET LOCAL ROLE pgtap_writer;
SELECT lives_ok(command, 'writer: ' || label) FROM saves;
SELECT lives_ok($$SELECT eventstore.get_state('pgtap_state', 'a')$$, 'writer: get_state');
SELECT throws_ok(command, '42501', 'permission denied for state "pgtap_state"', 'writer: not a member of its owner: no ' || label) FROM changes;
SET LOCAL ROLE pgtap_nobody;
SELECT throws_ok($$SELECT eventstore.get_state('pgtap_state', 'a')$$, '42501', 'permission denied for table events', 'nobody: no get_state');
SELECT lives_ok($$SELECT * FROM eventstore.states$$, 'nobody: sees the states');
SELECT throws_ok(c, '42501', NULL, 'nobody: no ' || c) FROM unnest(ARRAY['SELECT * FROM eventstore.snapshots', 'SELECT * FROM eventstore.state_definitions',
  'UPDATE eventstore.snapshots SET state = NULL', 'DELETE FROM eventstore.state_definitions']) c;
RESET ROLE;
GRANT pgtap_reader TO pgtap_nobody;
SET LOCAL ROLE pgtap_nobody;
SELECT lives_ok(command, 'a member: ' || label) FROM changes;
RESET ROLE;
REVOKE pgtap_reader FROM pgtap_nobody;

-- row security, in one session that changes roles
RESET ROLE;
SELECT eventstore.append_event('T', '1', 'r-writer') AS a \gset
SELECT eventstore.append_event('T', '1', 'r-reader') AS a \gset
ALTER TABLE pgtap_stores.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON pgtap_stores.events USING (aggregate_id = replace(current_user, 'pgtap_', 'r-'));
SELECT is((SELECT count(*) FROM eventstore.get_events_by_type('T') WHERE aggregate_id LIKE 'r-%'), 2::bigint,
          'row security: a superuser reads all');
SET LOCAL ROLE pgtap_writer;
SELECT results_eq($$SELECT aggregate_id::text COLLATE "default" FROM eventstore.get_events_by_type('T')$$, ARRAY['r-writer'],
                  'row security: one role reads its events');
SET LOCAL ROLE pgtap_reader;
SELECT results_eq($$SELECT aggregate_id::text COLLATE "default" FROM eventstore.get_events_by_type('T')$$, ARRAY['r-reader'],
                  'row security: another role reads others');
SET LOCAL ROLE pgtap_writer;
SELECT results_eq($$SELECT aggregate_id::text COLLATE "default" FROM eventstore.read_events(0, 1000)$$, ARRAY['r-writer'],
                  'row security: read_events');
SELECT results_eq($$SELECT aggregate_id::text COLLATE "default" FROM eventstore.read_events(0, 1000, '{T}', backwards => true)$$, ARRAY['r-writer'],
                  'row security: read_events, filtered');
SELECT is(eventstore.wait_for_events(0, '0'), eventstore.high_water_mark(), 'row security: wait_for_events returns the mark');
SELECT is(eventstore.wait_for_events((SELECT position FROM eventstore.read_events(0, 1000)), '0'), NULL,
          'row security: but is not woken by what it may not see');
SELECT is(eventstore.next_checkpoint((SELECT position FROM eventstore.read_events(0, 1000))), eventstore.high_water_mark(),
          'row security: next_checkpoint passes over what it may not see');
SELECT is(eventstore.append_event('T', '1', 'r-writer', 1), 2, 'row security: a role appends what it may');
SELECT throws_ok($$SELECT eventstore.append_event('T', '1', 'r-new')$$, '42501', NULL, 'row security: and nothing else');
SELECT throws_ok($$SELECT eventstore.append_event('T', '1', 'r-reader')$$, '42501', NULL,
                 'row security: a hidden aggregate cannot be appended to');
SET LOCAL ROLE pgtap_owner;
ALTER TABLE pgtap_stores.events FORCE ROW LEVEL SECURITY;
SELECT throws_ok($$SELECT eventstore.drop_store('pgtap_stores.events')$$, '42501', NULL,
                 'row security: events that are hidden from the owner still keep a store from being dropped');

-- archives: the owner's to make, whoever may read the store may read them, and
-- moving takes DELETE there and INSERT here
ALTER TABLE pgtap_stores.events NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
SELECT lives_ok($$SELECT eventstore.set_notifications('pgtap_stores.events', 'off')$$, 'owner: set_notifications, for what follows');
SELECT lives_ok($$SELECT eventstore.create_archive('pgtap_stores.events')$$, 'owner: create_archive');
CREATE TABLE pgtap_stores.unread (id int);
SELECT lives_ok($$SELECT eventstore.sync_archive('pgtap_stores.events')$$, 'owner: sync_archive');
SELECT lives_ok($$SELECT eventstore.set_retention('pgtap_stores.events', '1 day', 100)$$, 'owner: set_retention');
SELECT lives_ok($$SELECT eventstore.archive_events(before_position => 2)$$, 'owner: archive_events');
SET LOCAL ROLE pgtap_reader;
SELECT lives_ok($$SELECT * FROM eventstore.read_events()$$, 'reader: reads the archive');
SELECT lives_ok($$SELECT eventstore.archive_limit(), eventstore.archive_events(before_position => 2, dry_run => true)$$, 'reader: sees what would be moved');
SELECT lives_ok($$SELECT * FROM eventstore.apply_retention()$$, 'reader: and what is due');
SELECT throws_ok(c, '42501', 'permission denied for table events', 'reader: no ' || c)
  FROM unnest(ARRAY['SELECT eventstore.archive_events(before_position => 2)', 'SELECT * FROM eventstore.apply_retention(dry_run => false)']) c;
SELECT throws_ok(c, '42501', 'permission denied for table ' || t, 'reader: no ' || c) FROM (VALUES
  ($$INSERT INTO pgtap_stores.events_archive SELECT * FROM pgtap_stores.events$$, 'events_archive'),
  ($$CREATE CONSTRAINT TRIGGER t AFTER DELETE ON pgtap_stores.events_archive FROM pgtap_stores.events FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store()$$, 'events_archive'),
  ($$SELECT eventstore.set_archive_hold('x', 0, 'pgtap_stores.unread')$$, 'unread'),
  ($$INSERT INTO eventstore.archive_holds VALUES ('pgtap_stores.events', 'x', 0)$$, 'archive_holds'), ($$DELETE FROM eventstore.archive_holds$$, 'archive_holds')) v(c, t);
SET LOCAL ROLE pgtap_writer;
SELECT lives_ok($$SELECT eventstore.append_event('T', '1', 'a')$$, 'writer: goes on appending');
SELECT throws_ok($$SELECT eventstore.archive_events(before_position => 3)$$, '42501', 'permission denied for table events', 'writer: no archive_events');
SET LOCAL ROLE pgtap_owner;
GRANT DELETE ON pgtap_stores.events TO pgtap_writer;
SET LOCAL ROLE pgtap_writer;
SELECT throws_ok($$SELECT eventstore.archive_events(before_position => 3)$$, '42501', 'permission denied for table events_archive', 'writer: not with DELETE alone');
SELECT throws_ok($$DELETE FROM pgtap_stores.events$$, '0A000', NULL, 'writer: and DELETE is refused still');
SET LOCAL ROLE pgtap_owner;
GRANT INSERT ON pgtap_stores.events_archive TO pgtap_writer;
SET LOCAL ROLE pgtap_writer;
SELECT lives_ok($$SELECT eventstore.archive_events(before_position => 3)$$, 'writer: but with INSERT on the archive too');
SET LOCAL ROLE pgtap_owner;
REVOKE SELECT ON pgtap_stores.events_archive FROM pgtap_writer, pgtap_reader;
SET LOCAL ROLE pgtap_writer;
SELECT throws_ok(command, '42501', 'permission denied for table events_archive', 'writer: without the archive no ' || label) FROM appends;
SET LOCAL ROLE pgtap_reader;
SELECT throws_ok($$SELECT * FROM eventstore.read_events()$$, '42501', 'permission denied for table events_archive', 'reader: not the archive any more');
SELECT lives_ok($$SELECT * FROM eventstore.read_events(include_archived => false)$$, 'reader: the store still');
SET LOCAL ROLE pgtap_owner;

-- the owner
SELECT lives_ok($$SELECT eventstore.set_notifications('pgtap_stores.events', 'off')$$, 'owner: set_notifications');
SELECT lives_ok($$SELECT eventstore.drop_store('pgtap_stores.events', true)$$, 'owner: drop_store');
RESET ROLE;
SELECT hasnt_table('pgtap_stores', 'events', 'owner: the store is gone');

-- any role may put the trigger function on a table of its own
SET LOCAL ROLE pgtap_owner;
CREATE TABLE pgtap_stores.odd (id int);
CREATE TRIGGER odd AFTER INSERT ON pgtap_stores.odd FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append();
RESET ROLE;
SELECT lives_ok($$SELECT * FROM eventstore.stores$$, 'a table that is no proper store does not break the view of stores');

SELECT * FROM finish();
ROLLBACK;
