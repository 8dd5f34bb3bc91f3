-- Snapshots that clients save: save_snapshot(), get_snapshot(), load_aggregate().
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA reg_snapshot;
SELECT eventstore.create_store('reg_snapshot.events', 'off');
SET pg_eventstore.store = 'reg_snapshot.events';
SELECT eventstore.append_to_aggregate('a', '{opened,paid,paid,paid,closed}', '{"{}","{\"cents\": 10}","{\"cents\": 20}","{\"cents\": 30}","{}"}');

-- without a snapshot
SELECT * FROM eventstore.get_snapshot('a');
SELECT aggregate_version, event_type, data, state FROM eventstore.load_aggregate('a');
SELECT * FROM eventstore.load_aggregate('no such aggregate');

-- with snapshots
SELECT eventstore.save_snapshot('a', 2, '{"sum": 10}');
SELECT eventstore.save_snapshot('a', 4, '{"sum": 60}');
SELECT aggregate_version, state, saved_at <= now() AS saved FROM eventstore.get_snapshot('a');
SELECT aggregate_version, state FROM eventstore.get_snapshot('a', 3);
SELECT aggregate_version, state FROM eventstore.get_snapshot('a', 2);
SELECT aggregate_version, state FROM eventstore.get_snapshot('a', 1);
SELECT aggregate_version, state FROM eventstore.get_snapshot('a', -1);
SELECT position, event_id IS NULL AS is_snapshot, event_type, aggregate_id, aggregate_version, data, state FROM eventstore.load_aggregate('a');
-- the columns of an event, and then state
SELECT string_agg(name, ' ' ORDER BY n) FROM pg_proc, unnest(proargnames) WITH ORDINALITY a(name, n) WHERE proname = 'load_aggregate' AND n > 2;

-- a snapshot of the same version is replaced; any JSON value is a state
SELECT eventstore.save_snapshot('a', 4, 'null');
SELECT aggregate_version, state FROM eventstore.get_snapshot('a');
SELECT eventstore.save_snapshot('a', 4, '{"sum": 60}');
SELECT count(*) FROM eventstore.snapshots WHERE store = 'reg_snapshot.events'::regclass;

-- a snapshot of the last version: the row of the snapshot is all
SELECT eventstore.append_event('opened', '{}', 'b');
SELECT eventstore.save_snapshot('b', 1, '[]');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('b');

-- versions that the aggregate does not have
SELECT eventstore.save_snapshot('a', 6, '{}');
SELECT eventstore.save_snapshot('a', 0, '{}');
SELECT eventstore.save_snapshot('a', -1, '{}');
SELECT eventstore.save_snapshot('no such aggregate', 1, '{}');
SELECT eventstore.save_snapshot(NULL, 1, '{}');
SELECT eventstore.save_snapshot('a', NULL, '{}');
SELECT eventstore.save_snapshot('a', 1, NULL);
SELECT eventstore.get_snapshot(NULL);
SELECT eventstore.load_aggregate(NULL);
SELECT eventstore.save_snapshot('a', 1, '{}', 'pg_class');
SELECT eventstore.save_snapshot('a', 1, '{}', 0);

-- an append and a snapshot in one transaction: both or none
BEGIN;
SELECT eventstore.append_event('paid', '{"cents": 1}', 'b');
SELECT eventstore.save_snapshot('b', 2, '[2]');
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
ROLLBACK;
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
BEGIN;
SAVEPOINT s;
SELECT eventstore.append_event('paid', '{"cents": 1}', 'b');
SELECT eventstore.save_snapshot('b', 2, '[2]');
ROLLBACK TO s;
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
SELECT eventstore.append_event('other', '{}', 'b');
COMMIT;
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('b');

-- a row that does not belong to the present event of its version is not used
SELECT eventstore.save_snapshot('b', 2, '[2]');
UPDATE eventstore.snapshots SET event_id = 'another' WHERE state = '[2]';
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
UPDATE eventstore.snapshots SET aggregate_version = 3 WHERE state = '[2]';
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('b');

-- deleting them
SELECT eventstore.delete_snapshots('a', 4);
SELECT aggregate_version FROM eventstore.get_snapshot('a');
SELECT eventstore.delete_snapshots('a');
SELECT eventstore.delete_snapshots('a');
SELECT eventstore.delete_snapshots(before_version => 3);
SELECT eventstore.delete_snapshots();
SELECT count(*) FROM eventstore.snapshots WHERE store = 'reg_snapshot.events'::regclass;

-- a read-only transaction reads, but does not save
SELECT eventstore.save_snapshot('a', 4, '{"sum": 60}');
BEGIN READ ONLY;
SELECT aggregate_version, state FROM eventstore.get_snapshot('a');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('a');
SELECT eventstore.save_snapshot('a', 4, '{}');
ROLLBACK;
BEGIN READ ONLY;
SELECT eventstore.delete_snapshots();
ROLLBACK;

-- archived events
SELECT eventstore.create_archive();
SELECT eventstore.archive_events(aggregate_ids => '{a}') > 0 AS archived;
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('a');
SELECT eventstore.save_snapshot('a', 2, '{"sum": 10}');
SELECT eventstore.save_snapshot('a', 5, '{"sum": 60}');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('a');

-- an erasure deletes the snapshots of its aggregate
SELECT eventstore.save_snapshot('b', 1, '[]');
SELECT eventstore.erase_aggregate('a', 'test');
SELECT count(*) FROM eventstore.snapshots WHERE store = 'reg_snapshot.events'::regclass AND aggregate_id = 'a';
SELECT event_type, aggregate_version, data, state FROM eventstore.load_aggregate('a') ORDER BY aggregate_version LIMIT 1;
SELECT aggregate_version, state FROM eventstore.get_snapshot('b');
-- after it, only a transaction that has read the aggregate saves one
SELECT eventstore.save_snapshot('a', 5, '{"sum": 60}');
BEGIN;
SELECT count(*) FROM eventstore.load_aggregate('a');
SELECT eventstore.save_snapshot('a', 5, '{"sum": null}');
COMMIT;
SELECT aggregate_version, state FROM eventstore.get_snapshot('a');
BEGIN;
SELECT count(*) FROM eventstore.get_events_by_aggregate('a');
SELECT eventstore.save_snapshot('a', 4, '{"sum": null}');
COMMIT;
-- but not the one that erases
BEGIN;
SELECT count(*) FROM eventstore.load_aggregate('b');
SELECT eventstore.redact_event(event_id, 'test') FROM eventstore.get_events_by_aggregate('b') LIMIT 1;
SELECT eventstore.save_snapshot('b', 1, '[]');
SELECT count(*) FROM eventstore.get_snapshot('b');
COMMIT;
SELECT count(*) FROM eventstore.get_snapshot('b');
-- the redaction of an event of no aggregate
SELECT eventstore.append_event('lonely', '1', event_id => 'lonely');
SELECT eventstore.redact_event('lonely', 'test');

-- privileges: SELECT to read them, INSERT to save them
SELECT eventstore.save_snapshot('c', eventstore.append_event('opened', '{}', 'c'), '{"c": 1}');
CREATE ROLE reg_snapshot_reader;
CREATE ROLE reg_snapshot_writer;
CREATE ROLE reg_snapshot_some;
GRANT USAGE ON SCHEMA eventstore, reg_snapshot TO reg_snapshot_reader, reg_snapshot_writer, reg_snapshot_some;
GRANT SELECT ON reg_snapshot.events, reg_snapshot.events_archive TO reg_snapshot_reader;
GRANT SELECT, INSERT ON reg_snapshot.events TO reg_snapshot_writer;
GRANT SELECT (position) ON reg_snapshot.events TO reg_snapshot_some;
SET ROLE reg_snapshot_reader;
SELECT aggregate_version, state FROM eventstore.get_snapshot('c');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('c');
SELECT eventstore.save_snapshot('c', 1, '{}');
SELECT eventstore.delete_snapshots('c');
SELECT * FROM eventstore.snapshots;
SET ROLE reg_snapshot_writer;
SELECT eventstore.get_snapshot('c');
RESET ROLE;
GRANT SELECT ON reg_snapshot.events_archive TO reg_snapshot_writer;
SET ROLE reg_snapshot_writer;
SELECT eventstore.save_snapshot('c', 1, '{"c": 2}');
SELECT eventstore.delete_snapshots('c');
SET ROLE reg_snapshot_some;
SELECT eventstore.get_snapshot('c');
SELECT eventstore.load_aggregate('c');
RESET ROLE;

-- row security: no snapshots for a role to which it applies
SELECT eventstore.create_store('reg_snapshot.secured', 'off');
GRANT SELECT, INSERT ON reg_snapshot.secured TO reg_snapshot_writer;
SET pg_eventstore.store = 'reg_snapshot.secured';
SELECT eventstore.save_snapshot('d', eventstore.append_to_aggregate('d', '{shown,hidden}', '{1,2}'), '3');
ALTER TABLE reg_snapshot.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON reg_snapshot.secured USING (event_type = 'shown');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('d');
SET ROLE reg_snapshot_writer;
SELECT * FROM eventstore.get_snapshot('d');
SELECT event_type, aggregate_version, state FROM eventstore.load_aggregate('d');
SELECT eventstore.save_snapshot('d', 1, '1');
RESET ROLE;

-- the snapshots go with their store
SELECT count(*) FROM eventstore.snapshots WHERE store::text LIKE 'reg_snapshot.%';
SELECT eventstore.drop_store('reg_snapshot.secured', force => true);
SELECT count(*) FROM eventstore.snapshots WHERE store::text LIKE 'reg_snapshot.%' OR store::text = '-';

DROP SCHEMA reg_snapshot CASCADE;
DELETE FROM eventstore.snapshots;
DROP OWNED BY reg_snapshot_reader, reg_snapshot_writer, reg_snapshot_some;
DROP ROLE reg_snapshot_reader;
DROP ROLE reg_snapshot_writer;
DROP ROLE reg_snapshot_some;
