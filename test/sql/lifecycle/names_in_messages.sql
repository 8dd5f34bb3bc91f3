-- messages name a table with its schema: two stores may have the same name
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_names_a.events', 'off'), eventstore.create_store('reg_names_b.events', 'off'), eventstore.create_store('reg_names_b."Odd Name"', 'off');
\set VERBOSITY terse
UPDATE reg_names_b.events SET data = '1';
DELETE FROM reg_names_b."Odd Name";
TRUNCATE reg_names_a.events;

-- what is no store, or not any more
CREATE TABLE reg_names_b.plain (LIKE reg_names_b.events INCLUDING INDEXES);
CREATE VIEW reg_names_b.view AS SELECT 1 AS a;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.plain');
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.view');
SELECT eventstore.store_options('reg_names_b.plain');
SELECT eventstore.store_options('reg_names_b.view');
SELECT eventstore.archive_options('reg_names_b.view');
SELECT eventstore.create_archive('reg_names_b.events', 'reg_names_b.view');
CREATE TABLE reg_names_b.parts (LIKE reg_names_b.events) PARTITION BY RANGE (position);
SELECT eventstore.create_store('reg_names_b.parts', 'off');
SELECT eventstore.create_archive('reg_names_b.events', 'reg_names_a.events');
CREATE TABLE reg_names_b.child () INHERITS (reg_names_b.events);
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
DROP TABLE reg_names_b.child;
\set VERBOSITY default
ALTER TABLE reg_names_b.events ALTER event_type DROP NOT NULL;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
ALTER TABLE reg_names_b.events ALTER event_type SET NOT NULL;
ALTER SEQUENCE reg_names_b.events_position_seq CACHE 10;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
ALTER SEQUENCE reg_names_b.events_position_seq CACHE 1;
ALTER SEQUENCE reg_names_b.events_position_seq OWNED BY NONE;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
ALTER SEQUENCE reg_names_b.events_position_seq OWNED BY reg_names_b.events.position;
-- an archive
SELECT eventstore.create_archive('reg_names_b.events', 'reg_names_b.old');
ALTER TABLE reg_names_b.old ENABLE ROW LEVEL SECURITY;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
ALTER TABLE reg_names_b.old DISABLE ROW LEVEL SECURITY;
SELECT eventstore.create_archive('reg_names_a.events');
SELECT eventstore.archive_events('reg_names_b."Odd Name"', before_position => 0);
CREATE TABLE reg_names_a.other_archive ();
SELECT eventstore.create_store('reg_names_a.other', 'off');
SELECT eventstore.archive_events('reg_names_a.other', before_position => 0);
SET client_min_messages = notice;
SELECT eventstore.create_store('reg_names_b.events', 'off');
SET client_min_messages = warning;

-- what a role may not do
CREATE ROLE reg_names_role;
GRANT USAGE ON SCHEMA eventstore, reg_names_a, reg_names_b TO reg_names_role;
SET ROLE reg_names_role;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
SELECT * FROM eventstore.read_events(store => 'reg_names_b.events');
SELECT eventstore.drop_store('reg_names_b.events');
SELECT eventstore.create_store('reg_names_b.events', 'off');
SELECT eventstore.next_position('reg_names_b.events_position_seq');
SELECT eventstore.erase_aggregate('a', 'why', store => 'reg_names_b.events');
RESET ROLE;
GRANT SELECT ON reg_names_b.events TO reg_names_role;
SET ROLE reg_names_role;
SELECT eventstore.append_event('t', '1', store => 'reg_names_b.events');
SELECT eventstore.archive_events('reg_names_b.events', before_position => 1);
SELECT eventstore.erase_aggregate('a', 'why', store => 'reg_names_b.events');
SELECT eventstore.advance_watermark('reg_names_b.events');
SELECT * FROM eventstore.get_events_by_aggregate('a', store => 'reg_names_b.events');
RESET ROLE;
GRANT INSERT ON reg_names_a.events TO reg_names_role;
SET ROLE reg_names_role;
SELECT eventstore.import_events('reg_names_b.plain', 'reg_names_a.events');
RESET ROLE;

DROP OWNED BY reg_names_role;
DROP ROLE reg_names_role;
SELECT eventstore.drop_store('reg_names_a.events', true), eventstore.drop_store('reg_names_b.events', true), eventstore.drop_store('reg_names_b."Odd Name"', true);
DROP SCHEMA reg_names_a, reg_names_b CASCADE;
