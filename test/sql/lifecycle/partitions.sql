-- Partitioned tables are no stores; a store may be a partition, and is archived,
-- erased and kept small like any other
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT eventstore.create_store('reg_partitions.model', 'off');
SET search_path = reg_partitions;

-- by whatever key, and with the indexes that it can have
CREATE TABLE parts (LIKE model) PARTITION BY RANGE (position);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
SELECT eventstore.create_store('reg_partitions.parts', 'off');
\echo :LAST_ERROR_SQLSTATE
CREATE SEQUENCE parts_position_seq OWNED BY parts.position;
ALTER TABLE parts ADD UNIQUE (position), ALTER position SET DEFAULT eventstore.next_position('parts_position_seq');
SELECT eventstore.create_store('reg_partitions.parts', 'off');
CREATE TABLE hashed (LIKE model, PRIMARY KEY (event_id)) PARTITION BY HASH (event_id);
SELECT eventstore.create_store('reg_partitions.hashed', 'off');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('parts'::regclass, 'hashed'::regclass);
SELECT eventstore.archive_events('parts', before_position => 3);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.erase_aggregate('a', 'r', store => 'parts');
SELECT eventstore.set_retention('parts', '1 day');
SELECT * FROM eventstore.apply_retention('parts');
-- nor archives, and nor are their partitions
SELECT eventstore.create_archive('model', 'reg_partitions.parts');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.create_archive('model', 'reg_partitions.parts_1');

-- what is looked at: each event, where it is
CREATE FUNCTION everything(store regclass) RETURNS TABLE (place regclass, events text) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT tableoid::regclass, string_agg(concat(position, '':'', aggregate_id, aggregate_version, ''='', data), '' '' ORDER BY position)
    FROM (SELECT tableoid, * FROM %1$s UNION ALL SELECT tableoid, * FROM %1$s_archive) e GROUP BY 1 ORDER BY 1', store);
END $$;

-- a store that becomes a partition of another table
CREATE TABLE root (LIKE model) PARTITION BY LIST (event_type);
CREATE TABLE other PARTITION OF root FOR VALUES IN ('u');
SELECT eventstore.create_store('reg_partitions.leaf', 'off');
ALTER TABLE root ATTACH PARTITION leaf DEFAULT;
SET pg_eventstore.store = 'reg_partitions.leaf';
SELECT eventstore.append_to_aggregate('a', '{t,t,t,t}', '{1,2,3,4}', event_ids => '{1,2,3,4}', occurred_at => '{2020-01-01,2020-01-02,2020-01-03,2020-01-04}');
INSERT INTO root (position, event_id, occurred_at, event_type, data) VALUES (5, '5', '2020-01-05', 't', '5'), (6, '6', '2020-01-06', 'u', '6');
SELECT setval('leaf_position_seq', 5);
SELECT eventstore.create_archive();
SELECT relispartition, relkind FROM pg_class WHERE oid = 'leaf_archive'::regclass;
SELECT eventstore.archive_events(before_position => 3, dry_run => true), eventstore.archive_events(before_position => 3);
SELECT eventstore.erase_aggregate('a', 'requested'), eventstore.redact_event('3', 'requested', '7');
SELECT * FROM everything('leaf');
SELECT eventstore.set_retention('leaf', max_age => '1 day', max_count_per_aggregate => 1);
SELECT * FROM eventstore.apply_retention(dry_run => false, max_count => 1);
SELECT * FROM everything('leaf');
CALL eventstore.archive_all();
SELECT * FROM everything('leaf');
SELECT eventstore.append_event('t', '1', 'a', 4);
-- what is changed through the other table is refused
DELETE FROM root WHERE event_type = 't';
\echo :LAST_ERROR_SQLSTATE
UPDATE root SET event_type = 'u' WHERE event_type = 't';
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE root DETACH PARTITION leaf;
SELECT eventstore.archive_events(before_position => 100);
SELECT eventstore.append_event('t', '1', 'a', 5);

-- a store from which a table inherits is refused: what that holds would be taken for the store's (table_kinds.sql)
SELECT eventstore.create_store('reg_partitions.parent', 'off');
SET pg_eventstore.store = 'reg_partitions.parent';
SELECT eventstore.append_event('t', '1', 'a');
CREATE TABLE child () INHERITS (parent);
SELECT eventstore.append_event('t', '1', 'a');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO parent (event_type, data) VALUES ('t', '1');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE child;
SELECT eventstore.append_event('t', '1', 'a');

RESET search_path;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_partitions.parent', true), eventstore.drop_store('reg_partitions.leaf', true), eventstore.drop_store('reg_partitions.model');
DROP SCHEMA reg_partitions CASCADE;
