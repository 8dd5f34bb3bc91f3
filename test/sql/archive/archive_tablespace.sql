-- an archive and all its indexes are in one tablespace, wherever the store has its own
SET client_min_messages = warning;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE reg_archive_fast LOCATION '';
CREATE TABLESPACE reg_archive_attic LOCATION '';
SELECT eventstore.create_store('reg_archive_tablespace.plain', 'off');
-- one index of the store is elsewhere
SELECT eventstore.create_store('reg_archive_tablespace.mixed', 'off');
ALTER INDEX reg_archive_tablespace.mixed_pkey SET TABLESPACE reg_archive_fast;
-- or all of it
SET default_tablespace = reg_archive_fast;
SELECT eventstore.create_store('reg_archive_tablespace.fast', 'off');
RESET default_tablespace;
SELECT eventstore.create_store('reg_archive_tablespace.by_default', 'off');
ALTER INDEX reg_archive_tablespace.by_default_pkey SET TABLESPACE reg_archive_fast;

SELECT eventstore.create_archive('reg_archive_tablespace.plain', tablespace => 'reg_archive_attic');
SELECT eventstore.create_archive('reg_archive_tablespace.mixed', tablespace => 'reg_archive_attic');
-- without one named, that of new tables
SELECT eventstore.create_archive('reg_archive_tablespace.fast');
SET default_tablespace = reg_archive_attic;
SELECT eventstore.create_archive('reg_archive_tablespace.by_default');
RESET default_tablespace;
SELECT t.oid::regclass AS table, coalesce(s.spcname, 'the default') AS tablespace, count(*) AS "table and indexes", count(*) FILTER (WHERE c.relkind = 'i') AS indexes
  FROM pg_class t JOIN pg_class c ON c.oid = t.oid OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.oid) LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
 WHERE t.relnamespace = 'reg_archive_tablespace'::regnamespace AND t.relkind = 'r' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT eventstore.append_event('t', '1', 'a', store => 'reg_archive_tablespace.mixed'), eventstore.archive_events('reg_archive_tablespace.mixed', before_position => 2);
SELECT count(*) FROM eventstore.get_events_by_aggregate('a', store => 'reg_archive_tablespace.mixed');
SHOW default_tablespace;

SELECT count(eventstore.drop_store(store, true)) FROM eventstore.stores WHERE store::text LIKE 'reg\_archive\_tablespace.%';
DROP SCHEMA reg_archive_tablespace;
DROP TABLESPACE reg_archive_fast;
DROP TABLESPACE reg_archive_attic;
