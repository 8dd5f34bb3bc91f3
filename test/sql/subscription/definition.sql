-- Subscriptions: create, alter, pause, reset and drop them; their views and privileges.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS reg_sub_definition CASCADE;
SELECT eventstore.create_store('reg_sub_definition.events', 'off');
SET pg_eventstore.store = 'reg_sub_definition.events';
SELECT count(eventstore.append_event('T' || n % 2, '1', 'a' || n, aggregate_type => 'A', occurred_at => '2026-01-01Z'::timestamptz + n * interval '1 day')) FROM generate_series(1, 6) n;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- created once, and again without effect
SELECT eventstore.create_subscription('reg_d1');
SELECT eventstore.create_subscription('reg_d1', lease => '1 min', start_position => 3);
SELECT eventstore.create_subscription('reg_d2', 'reg_sub_definition.events', '{T0,T1}', '{A}', 2, 4, '5 s', 3, '0', 'skip');
SELECT eventstore.create_subscription('reg_d3', event_types => '{}', start_position => NULL, on_exhausted => 'stop');
SELECT name, store, owner = current_user AS own, event_types, aggregate_types, partitions, next_partitions, lease, max_attempts,
       backoff, on_exhausted, paused, stopped, checkpoint, lag, lag_seconds > 0 AS late, in_flight, consumers, oldest_lease, parked,
       last_error, last_error_at, created_at <= clock_timestamp() AS created
  FROM eventstore.subscriptions WHERE name ~ '^reg_d' ORDER BY name;
SELECT partition, checkpoint, consumer, delivery, in_flight, lease_until, attempt, retry_at, stopped, last_error, last_error_at
  FROM eventstore.subscription_partitions WHERE subscription = 'reg_d2' ORDER BY partition;
-- another subscription of the same name
SELECT eventstore.create_subscription('reg_d1', 'eventstore.events');
SELECT eventstore.create_subscription('reg_d1', event_types => '{T0}');
SELECT eventstore.create_subscription('reg_d2', 'reg_sub_definition.events', '{T0,T1}', '{B}');

-- bad arguments
SELECT eventstore.create_subscription(NULL);
SELECT eventstore.create_subscription('');
SELECT eventstore.create_subscription(repeat('x', 256));
SELECT eventstore.create_subscription('reg_d4', partitions => 0);
SELECT eventstore.create_subscription('reg_d4', partitions => 1025);
SELECT eventstore.create_subscription('reg_d4', partitions => NULL);
SELECT eventstore.create_subscription('reg_d4', lease => '0');
SELECT eventstore.create_subscription('reg_d4', lease => '-1 s');
SELECT eventstore.create_subscription('reg_d4', lease => '1 year');
SELECT eventstore.create_subscription('reg_d4', lease => NULL);
SELECT eventstore.create_subscription('reg_d4', max_attempts => 0);
SELECT eventstore.create_subscription('reg_d4', backoff => '-1 s');
SELECT eventstore.create_subscription('reg_d4', backoff => '2 days');
SELECT eventstore.create_subscription('reg_d4', on_exhausted => 'forget');
SELECT eventstore.create_subscription('reg_d4', start_position => -1);
SELECT eventstore.create_subscription('reg_d4', start_position => 7);
SELECT eventstore.create_subscription('reg_d4', 'pg_class');
SELECT count(*) FROM eventstore.subscriptions WHERE name = 'reg_d4';
BEGIN READ ONLY;
SELECT eventstore.create_subscription('reg_d4');
ROLLBACK;

-- alter: what is null stays
SELECT eventstore.alter_subscription('reg_d2', lease => '7 s', max_attempts => 4);
SELECT eventstore.alter_subscription('reg_d2', '{T0}', '{}', backoff => '2 s', on_exhausted => 'park');
SELECT event_types, aggregate_types, partitions, next_partitions, lease, max_attempts, backoff, on_exhausted
  FROM eventstore.subscriptions WHERE name = 'reg_d2';
SELECT eventstore.alter_subscription('reg_d2', partitions => 0);
SELECT eventstore.alter_subscription('reg_d2', lease => '0');
SELECT eventstore.alter_subscription('reg_d2', on_exhausted => 'x');
SELECT eventstore.alter_subscription('reg_d2', owner => 'reg_no_such_role');
SELECT eventstore.alter_subscription('reg_none');
SELECT eventstore.alter_subscription(NULL);

-- pause and resume, twice each
SELECT eventstore.pause_subscription('reg_d1'), eventstore.pause_subscription('reg_d1');
SELECT paused FROM eventstore.subscriptions WHERE name = 'reg_d1';
SELECT count(*) FROM eventstore.poll('reg_d1');
SELECT count(*) FROM eventstore.poll('reg_d1', wait => '0.05 s');
SELECT eventstore.resume_subscription('reg_d1'), eventstore.resume_subscription('reg_d1');
SELECT paused FROM eventstore.subscriptions WHERE name = 'reg_d1';
SELECT eventstore.pause_subscription('reg_none');
SELECT eventstore.resume_subscription('reg_none');

-- reset: to a position, to a time, to the start, to the end
SELECT eventstore.reset_subscription('reg_d1', 4);
SELECT position FROM eventstore.poll('reg_d1');
SELECT eventstore.reset_subscription('reg_d1', to_time => '2026-01-03 12:00Z');
SELECT position FROM eventstore.poll('reg_d1');
SELECT eventstore.reset_subscription('reg_d1', to_time => '2027-01-01Z');
SELECT eventstore.reset_subscription('reg_d1', 0);
SELECT count(*) FROM eventstore.poll('reg_d1');
SELECT eventstore.reset_subscription('reg_d1');
SELECT count(*) FROM eventstore.poll('reg_d1');
SELECT lag, lag_seconds FROM eventstore.subscriptions WHERE name = 'reg_d1';
SELECT eventstore.reset_subscription('reg_d1', 1, now());
SELECT eventstore.reset_subscription('reg_d1', -1);
SELECT eventstore.reset_subscription('reg_d1', 100);
SELECT eventstore.reset_subscription('reg_none', 1);

-- who may use a subscription: the members of its owner that may read the store
CREATE ROLE reg_sub_owner;
CREATE ROLE reg_sub_member IN ROLE reg_sub_owner;
CREATE ROLE reg_sub_other;
GRANT USAGE ON SCHEMA eventstore, reg_sub_definition TO reg_sub_owner, reg_sub_other;
GRANT SELECT ON reg_sub_definition.events TO reg_sub_owner;
SET ROLE reg_sub_other;
SELECT eventstore.create_subscription('reg_d5');
SET ROLE reg_sub_owner;
SELECT eventstore.create_subscription('reg_d5');
SET ROLE reg_sub_member;
SELECT count(*) FROM eventstore.poll('reg_d5', consumer => 'm');
SELECT eventstore.release('reg_d5', 'm'), eventstore.pause_subscription('reg_d5'), eventstore.resume_subscription('reg_d5');
SET ROLE reg_sub_other;
SELECT * FROM eventstore.poll('reg_d5');
SELECT eventstore.ack('reg_d5', 1);
SELECT eventstore.nack('reg_d5', 1, 1);
SELECT eventstore.park('reg_d5', 1, 1);
SELECT eventstore.extend_lease('reg_d5', 1);
SELECT eventstore.release('reg_d5', 'm');
SELECT eventstore.replay_parked('reg_d5');
SELECT eventstore.discard_parked('reg_d5');
SELECT eventstore.alter_subscription('reg_d5', lease => '1 s');
SELECT eventstore.pause_subscription('reg_d5');
SELECT eventstore.resume_subscription('reg_d5');
SELECT eventstore.reset_subscription('reg_d5', 1);
SELECT eventstore.drop_subscription('reg_d5');
-- progress can be seen, but nothing of the store
SELECT name, checkpoint, lag, lag_seconds, last_error FROM eventstore.subscriptions WHERE name = 'reg_d5';
SELECT * FROM eventstore.subscription_progress;
DELETE FROM eventstore.subscription_definitions;
-- a member without SELECT on the store
RESET ROLE;
GRANT reg_sub_owner TO reg_sub_other;
REVOKE SELECT ON reg_sub_definition.events FROM reg_sub_owner;
SET ROLE reg_sub_other;
SELECT * FROM eventstore.poll('reg_d5');
SELECT eventstore.reset_subscription('reg_d5', 1);
-- what keeps one subscription from working does not end the view of all
RESET ROLE;
SELECT eventstore.create_archive('reg_sub_definition.events', tablespace => NULL);
GRANT SELECT ON reg_sub_definition.events TO reg_sub_other;
REVOKE ALL ON reg_sub_definition.events_archive FROM reg_sub_other;
SET ROLE reg_sub_other;
SELECT name, lag, lag_seconds, problem FROM eventstore.subscriptions WHERE name ~ '^reg_d' ORDER BY name;
RESET ROLE;
SELECT problem IS NULL AS well FROM eventstore.subscriptions WHERE name = 'reg_d5';
ALTER TABLE reg_sub_definition.events ENABLE ROW LEVEL SECURITY;
SET ROLE reg_sub_other;
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_d5';
RESET ROLE;
ALTER TABLE reg_sub_definition.events DISABLE ROW LEVEL SECURITY;
BEGIN;
UPDATE eventstore.subscription_progress SET checkpoint = 1000000 WHERE subscription = 'reg_d5';
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_d5';
ROLLBACK;
BEGIN;
DROP TRIGGER eventstore_append ON reg_sub_definition.events;
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_d5';
ROLLBACK;
DROP TABLE reg_sub_definition.events_archive;
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_d5';
SELECT eventstore.create_archive('reg_sub_definition.events');
REVOKE SELECT ON reg_sub_definition.events FROM reg_sub_other;
-- a new owner
SELECT eventstore.alter_subscription('reg_d5', owner => 'reg_sub_member');
SELECT owner FROM eventstore.subscriptions WHERE name = 'reg_d5';
SET ROLE reg_sub_other;
SELECT eventstore.drop_subscription('reg_d5');
RESET ROLE;
-- a role that is gone
GRANT SELECT ON reg_sub_definition.events TO reg_sub_other;
DROP ROLE reg_sub_member;
SET ROLE reg_sub_other;
SELECT * FROM eventstore.poll('reg_d5');
RESET ROLE;
SELECT count(*) FROM eventstore.poll('reg_d5');

-- drop
SELECT eventstore.drop_subscription('reg_d5');
SELECT eventstore.drop_subscription('reg_d5');
SELECT eventstore.drop_subscription(NULL);
SELECT eventstore.ack('reg_d5', 1);
SELECT * FROM eventstore.poll('reg_d5');
SELECT * FROM eventstore.poll(NULL);

-- a store that is dropped takes its subscriptions along
SELECT eventstore.drop_store('reg_sub_definition.events', true);
SELECT count(*) FROM eventstore.subscriptions WHERE name ~ '^reg_d';
SELECT (SELECT count(*) FROM eventstore.subscription_progress WHERE subscription ~ '^reg_d') AS progress,
       (SELECT count(*) FROM eventstore.subscription_consumers WHERE subscription ~ '^reg_d') AS consumers;
-- but not if it is dropped as a table
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_sub_definition.events', 'off');
SELECT eventstore.create_subscription('reg_d6');
-- nobody is to become a superuser for it
CREATE ROLE reg_sub_super SUPERUSER;
SELECT eventstore.alter_subscription('reg_d6', owner => 'reg_sub_super');
SET ROLE reg_sub_other;
SELECT * FROM eventstore.poll('reg_d6');
RESET ROLE;
DROP TABLE reg_sub_definition.events;
RESET client_min_messages;
SELECT name, store, lag, problem FROM eventstore.subscriptions WHERE name = 'reg_d6';
SELECT * FROM eventstore.poll('reg_d6');
SELECT eventstore.reset_subscription('reg_d6', 0);
SELECT eventstore.drop_subscription('reg_d6');
DROP OWNED BY reg_sub_owner, reg_sub_other;
DROP ROLE reg_sub_owner, reg_sub_other, reg_sub_super;
DROP SCHEMA reg_sub_definition CASCADE;
