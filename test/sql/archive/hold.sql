-- holds: the roles that set, move and remove them, without rights on their table
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA reg_hold;
-- holds of stores that a dump does not contain fall away
INSERT INTO eventstore.archive_holds VALUES ('reg_hold.lost', 'h', 0), ('reg_hold.lost_too', 'h', 0);
COPY eventstore.archive_holds FROM stdin;
reg_hold.lost	h	1
reg_hold.lost_too	h	1
\.
SELECT count(*) FROM eventstore.archive_holds WHERE name = 'h';
CREATE ROLE reg_hold_owner;
CREATE ROLE reg_hold_reader;
CREATE ROLE reg_hold_operator;
CREATE ROLE reg_hold_stranger;
GRANT USAGE ON SCHEMA eventstore, reg_hold TO reg_hold_owner, reg_hold_reader, reg_hold_operator, reg_hold_stranger;
GRANT CREATE ON SCHEMA reg_hold TO reg_hold_owner;
SET pg_eventstore.store = 'reg_hold.events';
CREATE VIEW reg_hold.holds AS SELECT name, position FROM eventstore.archive_holds WHERE store::text = 'reg_hold.events' ORDER BY name;
GRANT SELECT ON reg_hold.holds TO PUBLIC;

SET ROLE reg_hold_owner;
SELECT eventstore.create_store('reg_hold.events', 'off');
SELECT eventstore.create_archive();
GRANT SELECT ON reg_hold.events TO reg_hold_reader;
GRANT SELECT, DELETE ON reg_hold.events TO reg_hold_operator;
GRANT SELECT, INSERT ON reg_hold.events_archive TO reg_hold_operator;
SELECT eventstore.append_to_aggregate('a', '{t,t,t,t}', '{1,2,3,4}');

-- a role that may read sets one and moves it, which a role that archives cannot get past
SET ROLE reg_hold_reader;
SELECT eventstore.set_archive_hold('reader', 1), eventstore.archive_limit();
SET ROLE reg_hold_operator;
SELECT eventstore.archive_events(before_position => 100), eventstore.archive_limit();
SET ROLE reg_hold_reader;
SELECT eventstore.set_archive_hold('reader', 2);
SET ROLE reg_hold_operator;
SELECT eventstore.archive_events(before_position => 100);
-- that role and the owner set their own, and remove one that nobody needs any more
SELECT eventstore.set_archive_hold('operator', 3);
SET ROLE reg_hold_owner;
SELECT eventstore.set_archive_hold('owner', 4);
TABLE reg_hold.holds;
SELECT eventstore.set_archive_hold('operator', NULL), eventstore.set_archive_hold('no such hold', NULL);
SET ROLE reg_hold_operator;
SELECT eventstore.set_archive_hold('reader', NULL), eventstore.archive_limit();
SELECT eventstore.archive_events(before_position => 100);
-- as does another role that may read: a hold is an agreement
SET ROLE reg_hold_reader;
SELECT eventstore.set_archive_hold('owner', NULL);
TABLE reg_hold.holds;

-- a role that may not read the store has no say, and no role writes the table itself
SELECT eventstore.set_archive_hold('reader', 1);
SET ROLE reg_hold_stranger;
SELECT eventstore.set_archive_hold('reader', NULL);
SELECT eventstore.set_archive_hold('stranger', 1);
TABLE reg_hold.holds;
SET ROLE reg_hold_owner;
INSERT INTO eventstore.archive_holds VALUES ('reg_hold.events', 'x', 0);
UPDATE eventstore.archive_holds SET position = 9;
DELETE FROM eventstore.archive_holds;

-- a dropped store has none
SELECT eventstore.drop_store('reg_hold.events', true);
RESET ROLE;
SELECT count(*) FROM eventstore.archive_holds WHERE name IN ('reader', 'owner', 'operator');
RESET pg_eventstore.store;
DROP SCHEMA reg_hold CASCADE;
REVOKE ALL ON SCHEMA eventstore FROM reg_hold_owner, reg_hold_reader, reg_hold_operator, reg_hold_stranger;
DROP ROLE reg_hold_owner, reg_hold_reader, reg_hold_operator, reg_hold_stranger;
