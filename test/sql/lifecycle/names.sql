-- what may not be renamed or moved, and what may
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE reg_names;
CREATE SCHEMA reg_names AUTHORIZATION reg_names;

-- the schema, the tables, their columns and triggers, the views and functions of the extension
ALTER SCHEMA eventstore RENAME TO other;
ALTER TABLE eventstore.watermarks RENAME TO other;
ALTER TABLE eventstore.erasures SET SCHEMA reg_names;
ALTER TABLE IF EXISTS eventstore.archive_holds RENAME name TO hold;
ALTER TABLE ONLY eventstore.notifier_status RENAME CONSTRAINT notifier_status_pkey TO other;
ALTER VIEW eventstore.stores RENAME TO other;
ALTER TABLE eventstore.archives SET SCHEMA reg_names;
ALTER FUNCTION eventstore.after_append() RENAME TO other;
ALTER TABLE eventstore.subscription_definitions RENAME TO other;
ALTER TABLE eventstore.subscription_progress RENAME checkpoint TO other;
ALTER TABLE eventstore.subscription_consumers SET SCHEMA reg_names;
ALTER INDEX eventstore.subscription_parked_replay RENAME TO other;
ALTER TRIGGER receive_row ON eventstore.subscription_parked RENAME TO other;
ALTER VIEW eventstore.parked_events RENAME TO other;
ALTER FUNCTION eventstore.release(text, text) RENAME TO other;
\set VERBOSITY sqlstate
ALTER ROUTINE eventstore.create_store SET SCHEMA reg_names;
ALTER PROCEDURE eventstore.archive_all RENAME TO other;
\set VERBOSITY terse
ALTER TYPE eventstore.event RENAME TO other;
ALTER TYPE eventstore.event RENAME ATTRIBUTE data TO other;
ALTER TYPE eventstore.regstore SET SCHEMA reg_names;
ALTER INDEX eventstore.watermarks_pkey RENAME TO other;
ALTER TRIGGER keep_erasures ON eventstore.erasures RENAME TO other;
-- given to another role, they keep their names all the same
BEGIN;
ALTER FUNCTION eventstore.new_event_id() OWNER TO reg_names;
GRANT USAGE, CREATE ON SCHEMA eventstore TO reg_names;
SET ROLE reg_names;
ALTER FUNCTION eventstore.new_event_id() RENAME TO other;
ROLLBACK;
-- the schema belongs to a superuser
ALTER SCHEMA eventstore OWNER TO reg_names;
ALTER SCHEMA eventstore OWNER TO CURRENT_USER;
ALTER SCHEMA reg_names OWNER TO CURRENT_USER;
ALTER SCHEMA reg_names OWNER TO reg_names;
ALTER SCHEMA eventstore OWNER TO reg_no_such;
ALTER EXTENSION pg_eventstore SET SCHEMA reg_names;
SELECT eventstore.get_aggregate_version('a');
\set VERBOSITY default
ALTER SCHEMA eventstore RENAME TO other;
\echo :LAST_ERROR_SQLSTATE
ALTER SCHEMA eventstore OWNER TO reg_names;
\echo :LAST_ERROR_SQLSTATE
ALTER FUNCTION eventstore.new_event_id() SET SCHEMA reg_names;
\set VERBOSITY terse

-- what is not there, or no one of the extension's
ALTER SCHEMA reg_no_such RENAME TO other;
ALTER TABLE eventstore.no_such RENAME TO other;
ALTER FUNCTION eventstore.no_such() RENAME TO other;
ALTER FUNCTION eventstore.append_event() RENAME TO other;

-- a role without rights there cannot, either
\set VERBOSITY sqlstate
SET ROLE reg_names;
ALTER SCHEMA eventstore RENAME TO other;
ALTER TABLE eventstore.watermarks RENAME TO other;
ALTER FUNCTION eventstore.new_event_id() RENAME TO other;
CREATE TABLE eventstore.events (i integer);
CREATE SEQUENCE eventstore.events_position_seq;
DROP EXTENSION pg_eventstore;
CREATE SUBSCRIPTION reg_names CONNECTION 'dbname=none' PUBLICATION p;
\set VERBOSITY terse
-- and does what it likes with what is its own, by names like those of the extension
CREATE TABLE reg_names.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
CREATE SEQUENCE reg_names.events_position_seq;
ALTER TABLE reg_names.events ADD CONSTRAINT events_pkey PRIMARY KEY (event_id);
CREATE UNIQUE INDEX events_position_key ON reg_names.events (position);
CREATE TEMP TABLE events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
CREATE FUNCTION reg_names.after_append() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION reg_names.after_append() RENAME TO other;
CREATE TYPE reg_names.event AS (data integer);
ALTER TYPE reg_names.event RENAME ATTRIBUTE data TO other;
ALTER TYPE reg_names.event RENAME TO kind;
ALTER TYPE reg_names.kind SET SCHEMA public;
ALTER TABLE reg_names.events RENAME event_id TO id;
ALTER TABLE reg_names.events RENAME TO watermarks;
ALTER TABLE reg_names.watermarks SET SCHEMA public;
ALTER SEQUENCE reg_names.events_position_seq RENAME TO other;
RESET ROLE;
ALTER TABLE reg_names.watermarks SET SCHEMA public;
ALTER TYPE reg_names.kind SET SCHEMA public;
ALTER SCHEMA reg_names RENAME TO reg_names_other;

-- a default store in use gives way to nothing
BEGIN;
SELECT eventstore.append_event('t', '{}') IS NULL AS appended;
CREATE SEQUENCE eventstore.events_position_seq;
ROLLBACK;
SELECT to_regclass('eventstore.events') IS NOT NULL AS there;

-- nor does an unused one to another sequence, or to a table with the names of its columns only
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT eventstore.drop_store('eventstore.events', true), eventstore.create_store('eventstore.events');
RESET client_min_messages;
SAVEPOINT unused;
CREATE TABLE eventstore.events (position bigserial PRIMARY KEY, event_id uuid NOT NULL, event_type text NOT NULL,
  occurred_at timestamptz NOT NULL, data jsonb NOT NULL);
ROLLBACK TO unused;
CREATE SEQUENCE eventstore.events_position_seq;
ROLLBACK TO unused;
CREATE TABLE eventstore.other (position bigint, event_id uuid, event_type text, occurred_at timestamptz, data jsonb);
ALTER TABLE eventstore.other ADD CONSTRAINT events_pkey PRIMARY KEY (event_id);
ROLLBACK;

-- an unused one gives way to the table of a store, in this transaction only
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT eventstore.drop_store('eventstore.events', true), eventstore.create_store('eventstore.events');
SELECT eventstore.set_archive_hold('h', 0), eventstore.advance_watermark();
RESET client_min_messages;
SAVEPOINT unused;
CREATE VIEW reg_names_other.v AS SELECT * FROM eventstore.events;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
CREATE TABLE IF NOT EXISTS eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
CREATE SEQUENCE IF NOT EXISTS eventstore.events_position_seq;
SELECT count(*) FROM eventstore.stores WHERE store = 'eventstore.events'::regclass;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
SELECT count(*) FROM eventstore.stores WHERE store = 'eventstore.events'::regclass;
SELECT (SELECT count(*) FROM eventstore.archive_holds WHERE name = 'h') AS holds, to_regclass('eventstore.events_position_seq') AS sequence;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK;

-- one without events is in use all the same if it is published, gets the events of another
-- server, has got them, or has events in its archive only; an empty archive goes with it
BEGIN;
SET LOCAL client_min_messages = error;
SELECT eventstore.drop_store('eventstore.events', true), eventstore.create_store('eventstore.events');
SAVEPOINT unused;
CREATE PUBLICATION reg_names FOR TABLE eventstore.events;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
INSERT INTO pg_subscription_rel SELECT 1, 'eventstore.events'::regclass, 'r';
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
INSERT INTO eventstore.watermarks VALUES ('eventstore.events', 5, now());
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
SELECT eventstore.create_archive();
CREATE PUBLICATION reg_names FOR TABLE eventstore.events_archive;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
SELECT eventstore.create_archive();
INSERT INTO eventstore.events_archive SELECT 1, 'reg_names-1', 'e', now(), NULL, NULL, 'a', NULL, 1, '{}';
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
SELECT eventstore.create_archive();
ALTER TABLE eventstore.events_archive OWNER TO reg_names;
ALTER TABLE eventstore.events OWNER TO reg_names;
ALTER TABLE eventstore.events_archive OWNER TO CURRENT_USER;
GRANT USAGE, CREATE ON SCHEMA eventstore TO reg_names;
SET ROLE reg_names;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
SELECT eventstore.set_retention('eventstore.events', '1 year');
CREATE VIEW reg_names_other.v AS SELECT * FROM eventstore.events_archive;
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
ROLLBACK TO unused;
SELECT eventstore.set_retention('eventstore.events', '1 year');
CREATE TABLE eventstore.events (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
SELECT to_regclass('eventstore.events_archive') AS archive, (SELECT count(*) FROM eventstore.stores WHERE store = 'eventstore.events'::regclass) AS stores;
ROLLBACK TO unused;
SELECT eventstore.set_retention('eventstore.events', '1 year');
CREATE TABLE eventstore.events_archive (position bigint, event_id varchar(36), event_type varchar(255), occurred_at timestamptz, correlation_id varchar(36),
  causation_id varchar(36), aggregate_id varchar(36), aggregate_type varchar(255), aggregate_version integer, data jsonb, metadata jsonb);
SELECT to_regclass('eventstore.events') AS store;
ROLLBACK;

-- DROP EXTENSION drops the default store with its archive
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT eventstore.drop_store('eventstore.events', true), eventstore.create_store('eventstore.events'), eventstore.create_archive();
INSERT INTO eventstore.events_archive SELECT 1, 'reg_names-1', 'e', now(), NULL, NULL, 'a', NULL, 1, '{}';
SAVEPOINT archived;
CREATE VIEW reg_names_other.v AS SELECT * FROM eventstore.events_archive;
DROP EXTENSION pg_eventstore;
ROLLBACK TO archived;
DROP EXTENSION pg_eventstore CASCADE;
SELECT to_regclass('eventstore.events') AS store, to_regclass('eventstore.events_archive') AS archive;
ROLLBACK;

SET client_min_messages = warning;
DROP TYPE public.kind;
DROP OWNED BY reg_names CASCADE;
DROP ROLE reg_names;
