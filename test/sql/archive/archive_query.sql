-- archive_all(): the aggregates that a query returns
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA reg_query;
SELECT eventstore.create_store('reg_query.events', 'off');
SELECT eventstore.create_archive('reg_query.events');
SET pg_eventstore.store = 'reg_query.events';
SET search_path = reg_query;
CREATE FUNCTION moved() RETURNS TABLE (aggregate_id text, events bigint) LANGUAGE sql AS
  $$ SELECT aggregate_id, count(*) FROM events_archive GROUP BY aggregate_id ORDER BY aggregate_id $$;
SELECT count(*) FROM (SELECT eventstore.append_event('t', to_jsonb(n), (n % 6)::text) FROM generate_series(1, 30) n) e;
SELECT eventstore.append_event('closed', '1', '3'), eventstore.append_event('closed', '1', '4');
CREATE TABLE orders (id integer PRIMARY KEY, closed boolean);
INSERT INTO orders VALUES (0, true), (1, true), (2, false);

-- ids of any type, once or more often, with nulls
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM orders WHERE closed UNION ALL VALUES (0), (NULL), (77)', batch_size => 2);
SELECT * FROM moved();
-- of what events tell
CALL eventstore.archive_all(aggregate_query => $$SELECT aggregate_id FROM eventstore.get_events_by_type('closed')$$, before_position => 31);
SELECT * FROM moved();
CALL eventstore.archive_all(aggregate_query => $$SELECT aggregate_id FROM eventstore.get_events_by_type('closed')$$);
SELECT * FROM moved();
-- no ids, no events, though there is no other condition
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM orders WHERE id > 2');
SELECT count(*) FROM events_archive;
-- all at once: more ids than one fetch brings
CALL eventstore.archive_all(aggregate_query => 'SELECT n::text FROM generate_series(2, 5000) n');
SELECT count(*) FROM events_archive;
SELECT sum(eventstore.get_aggregate_version(n::text)) FROM generate_series(0, 5) n;

-- what is no query of one column
CALL eventstore.archive_all(aggregate_query => 'SELECT id, closed FROM orders');
\echo :LAST_ERROR_SQLSTATE
CALL eventstore.archive_all(aggregate_query => '');
CALL eventstore.archive_all(aggregate_query => 'orders');
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM orders; DELETE FROM orders');
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM orders) UNION (SELECT 1');
CALL eventstore.archive_all(aggregate_query => 'DELETE FROM orders RETURNING id');
CALL eventstore.archive_all(aggregate_query => 'COMMIT');
CALL eventstore.archive_all(aggregate_query => 'SELECT 1 / 0');
CALL eventstore.archive_all(aggregate_query => 'SELECT 1', aggregate_ids => '{1}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM orders;

-- the query has the rights of the caller, and changes no events
CREATE ROLE reg_query_user;
GRANT USAGE ON SCHEMA eventstore, reg_query TO reg_query_user;
GRANT SELECT, DELETE ON events TO reg_query_user;
GRANT SELECT, INSERT ON events_archive TO reg_query_user;
SELECT eventstore.append_event('t', '1', '8'), eventstore.append_event('t', '1', '9');
CREATE FUNCTION delete_all() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM reg_query.events; RETURN '9'; END $$;
SET ROLE reg_query_user;
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM orders');
CALL eventstore.archive_all(aggregate_query => 'SELECT reg_query.delete_all()');
CALL eventstore.archive_all(aggregate_query => 'SELECT 8');
RESET ROLE;
SELECT aggregate_id FROM events;

-- who may not archive is told so before the query is run
REVOKE DELETE ON events FROM reg_query_user;
SET ROLE reg_query_user;
CALL eventstore.archive_all(aggregate_query => 'SELECT 1 / 0');
RESET ROLE;

-- without an archive a role that may do all else is told who can make one
SELECT eventstore.create_store('reg_query.bare', 'off');
SET pg_eventstore.store = 'reg_query.bare';
SELECT eventstore.append_event('t', '1', 'a');
GRANT SELECT, INSERT, UPDATE, DELETE ON bare TO reg_query_user;
SET ROLE reg_query_user;
SELECT eventstore.archive_events(before_position => 9);
\echo :LAST_ERROR_SQLSTATE
CALL eventstore.archive_all(before_position => 9);
CALL eventstore.archive_all();
CALL eventstore.archive_all(aggregate_query => 'SELECT 1');
SELECT eventstore.archive_events(before_position => 9, dry_run => true);
SELECT * FROM eventstore.apply_retention(dry_run => false);
-- and who is not the owner cannot make it
SELECT eventstore.create_archive();
SELECT eventstore.set_retention('bare', '1 day');
SELECT eventstore.sync_archive();
RESET ROLE;
SELECT eventstore.sync_archive();
-- the owner makes it by the way
SELECT eventstore.archive_events(before_position => 9);
-- the query reads only, also by a function
SET client_min_messages = warning;
CREATE TABLE reg_query.calls (id text);
CREATE FUNCTION reg_query.note() RETURNS text LANGUAGE sql AS $$ INSERT INTO reg_query.calls VALUES ('c') RETURNING id $$;
CALL eventstore.archive_all(aggregate_query => 'SELECT reg_query.note()');
CALL eventstore.archive_all(aggregate_query => 'INSERT INTO reg_query.calls VALUES (''d'') RETURNING id');
SELECT count(*) FROM reg_query.calls;
CALL eventstore.archive_all(aggregate_query => 'SELECT id FROM reg_query.calls');
INSERT INTO reg_query.calls VALUES ('e');

RESET search_path;
RESET pg_eventstore.store;
DROP SCHEMA reg_query CASCADE;
REVOKE ALL ON SCHEMA eventstore FROM reg_query_user;
DROP ROLE reg_query_user;
