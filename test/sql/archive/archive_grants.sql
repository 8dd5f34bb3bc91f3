-- Who may read, erase and move what is archived: what is granted on the store
-- when the archive is made, and what is granted later
SET client_min_messages = warning;
CREATE ROLE reg_ag_owner;
CREATE ROLE reg_ag_heir;
CREATE ROLE reg_ag_reader;
CREATE ROLE "reg_ag Column's reader";
CREATE ROLE reg_ag_officer;
CREATE ROLE reg_ag_late;
CREATE ROLE reg_ag_mover;
CREATE SCHEMA reg_archive_grants AUTHORIZATION reg_ag_owner;
GRANT CREATE ON SCHEMA reg_archive_grants TO reg_ag_heir;
GRANT USAGE ON SCHEMA eventstore, reg_archive_grants TO PUBLIC;
SET ROLE reg_ag_owner;
SELECT eventstore.create_store('reg_archive_grants."Ev ents"', 'off');
SET pg_eventstore.store = 'reg_archive_grants."Ev ents"';
SELECT eventstore.append_to_aggregate('a', '{t,t,t}', '{1,2,3}', event_ids => '{1,2,3}');
GRANT SELECT ON reg_archive_grants."Ev ents" TO reg_ag_reader, reg_ag_mover WITH GRANT OPTION;
GRANT SELECT (position, event_type, aggregate_id, aggregate_version, occurred_at) ON reg_archive_grants."Ev ents" TO "reg_ag Column's reader";
GRANT SELECT, UPDATE (data, metadata) ON reg_archive_grants."Ev ents" TO reg_ag_officer;
GRANT DELETE ON reg_archive_grants."Ev ents" TO reg_ag_mover;
GRANT INSERT ON reg_archive_grants."Ev ents" TO reg_ag_reader;
GRANT SELECT (position) ON reg_archive_grants."Ev ents" TO PUBLIC;
-- what anybody gets on new tables does not make anybody a reader
ALTER DEFAULT PRIVILEGES IN SCHEMA reg_archive_grants GRANT SELECT ON TABLES TO reg_ag_late;
SELECT eventstore.create_archive();
ALTER DEFAULT PRIVILEGES IN SCHEMA reg_archive_grants REVOKE SELECT ON TABLES FROM reg_ag_late;
SELECT eventstore.archive_events(before_position => 3);
RESET ROLE;

CREATE VIEW pg_temp.granted AS
  SELECT t.place, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS grantee,
         string_agg(g.privilege_type || coalesce(' ' || t.attname, ''), ', ' ORDER BY g.privilege_type, t.attname) AS privileges
    FROM (SELECT c.oid::regclass AS place, NULL::name AS attname, c.relacl AS acl FROM pg_class c
          UNION ALL SELECT a.attrelid, a.attname, a.attacl FROM pg_attribute a) t, aclexplode(t.acl) g
   WHERE t.place::text LIKE 'reg_archive_grants.%' AND g.grantee::regrole::text NOT IN ('reg_ag_owner', 'reg_ag_heir') GROUP BY 1, 2;
SELECT * FROM pg_temp.granted ORDER BY 1, 2;
-- they read and erase there as before
SET ROLE reg_ag_reader;
SELECT eventstore.append_event('t', '4', 'a', 3), count(*) FROM eventstore.read_events();
SET ROLE "reg_ag Column's reader";
SELECT count(aggregate_version) FROM reg_archive_grants."Ev ents_archive";
\set SHOW_CONTEXT never
SELECT count(*) FROM eventstore.read_events();
\set SHOW_CONTEXT errors
SET ROLE reg_ag_officer;
SELECT eventstore.erase_aggregate('a', 'requested');
-- but to move events takes INSERT there
SET ROLE reg_ag_mover;
SELECT eventstore.archive_events(before_position => 4);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT INSERT ON reg_archive_grants."Ev ents_archive" TO reg_ag_mover;
SET ROLE reg_ag_mover;
SELECT eventstore.archive_events(before_position => 4);
RESET ROLE;

-- later grants: an error tells what is missing
GRANT SELECT, INSERT, UPDATE (data, metadata) ON reg_archive_grants."Ev ents" TO reg_ag_late;
SET ROLE reg_ag_late;
SELECT eventstore.get_aggregate_version('a');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM eventstore.read_events();
SELECT eventstore.append_event('t', '5', 'a');
SET pg_eventstore.direct_append = off;
SELECT eventstore.append_event('t', '5', 'a');
RESET pg_eventstore.direct_append;
SELECT eventstore.erase_aggregate('a', 'requested');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.redact_event('1', 'requested', '"masked"');
-- only the owner can bring them to the archive
SELECT eventstore.sync_archive();
RESET ROLE;
REVOKE SELECT ON reg_archive_grants."Ev ents" FROM reg_ag_reader CASCADE;
REVOKE SELECT (position, occurred_at) ON reg_archive_grants."Ev ents" FROM "reg_ag Column's reader";
REVOKE SELECT (position) ON reg_archive_grants."Ev ents" FROM PUBLIC;
SET ROLE reg_ag_owner;
SELECT eventstore.sync_archive();
RESET ROLE;
SELECT * FROM pg_temp.granted ORDER BY 1, 2;
SET ROLE reg_ag_late;
SELECT eventstore.append_event('t', '5', 'a'), eventstore.redact_event('1', 'requested', '"masked"');
RESET ROLE;

-- another owner
ALTER TABLE reg_archive_grants."Ev ents" OWNER TO reg_ag_heir;
SET ROLE reg_ag_heir;
SELECT eventstore.archive_events(before_position => 5);
SELECT eventstore.sync_archive();
\echo :LAST_ERROR_SQLSTATE
SET ROLE reg_ag_owner;
SELECT eventstore.sync_archive();
RESET ROLE;
SELECT eventstore.sync_archive('reg_archive_grants."Ev ents"');
ALTER TABLE reg_archive_grants."Ev ents_archive" OWNER TO reg_ag_heir;
SELECT eventstore.sync_archive('reg_archive_grants."Ev ents"');
SELECT relowner::regrole FROM pg_class WHERE oid = 'reg_archive_grants."Ev ents_archive"'::regclass;
SELECT count(*) FROM (SELECT grantee, privileges FROM pg_temp.granted WHERE place = 'reg_archive_grants."Ev ents"'::regclass
  EXCEPT SELECT grantee, privileges FROM pg_temp.granted WHERE place <> 'reg_archive_grants."Ev ents"'::regclass) d WHERE privileges NOT LIKE '%INSERT%' AND privileges NOT LIKE '%DELETE%';
SET ROLE reg_ag_heir;
SELECT eventstore.archive_events(before_position => 5);
SELECT count(*) FROM eventstore.read_events();

-- a store without one, a table that is none, a transaction that only reads
SELECT eventstore.create_store('reg_archive_grants.without', 'off');
SELECT eventstore.sync_archive('reg_archive_grants.without');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.sync_archive('reg_archive_grants."Ev ents_archive"');
BEGIN READ ONLY;
SELECT eventstore.sync_archive();
ROLLBACK;

-- who gets the store gets the archive by a command that the error names
BEGIN;
RESET ROLE;
ALTER TABLE reg_archive_grants."Ev ents" OWNER TO reg_ag_heir;
ALTER TABLE reg_archive_grants."Ev ents_archive" OWNER TO reg_ag_late;
SET ROLE reg_ag_heir;
SELECT count(*) FROM eventstore.read_events();
ROLLBACK;
SELECT eventstore.drop_store('reg_archive_grants."Ev ents"', true), eventstore.drop_store('reg_archive_grants.without');
RESET ROLE;
DROP VIEW pg_temp.granted;
DROP SCHEMA reg_archive_grants;
REVOKE USAGE ON SCHEMA eventstore FROM PUBLIC;
DROP ROLE reg_ag_owner, reg_ag_heir, reg_ag_reader, "reg_ag Column's reader", reg_ag_officer, reg_ag_late, reg_ag_mover;
