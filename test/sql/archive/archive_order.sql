-- archiving events whose positions are not in the order of their versions, or
-- not above zero: of an aggregate the oldest versions go, without a gap
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_archive_order.events', 'off');
SET pg_eventstore.store = 'reg_archive_order.events';
SET search_path = reg_archive_order;
SELECT eventstore.create_archive();

-- what each aggregate has in the store, by positions; and whether an archive has gaps
CREATE FUNCTION held() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(coalesce(aggregate_id, '-') || coalesce(aggregate_version::text, '') || '@' || position, ' ' ORDER BY position) FROM reg_archive_order.events
$$;
CREATE VIEW gaps AS SELECT a.aggregate_id, a.aggregate_version FROM events_archive a JOIN events e ON e.aggregate_id = a.aggregate_id AND e.aggregate_version < a.aggregate_version;
-- versions 1 and 3 of a, and all of b, before version 2 of a; c in order; one of none
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, occurred_at, data) VALUES
  (1, 't', 'a', 1, '2026-01-01Z', '1'), (2, 't', 'a', 3, '2026-01-03Z', '3'), (3, 't', 'b', 3, '2026-01-03Z', '3'), (4, 't', 'b', 2, '2026-01-02Z', '2'),
  (5, 't', 'b', 1, '2026-01-01Z', '1'), (6, 't', NULL, NULL, '2026-01-01Z', '0'), (7, 't', 'c', 1, '2026-01-01Z', '1'), (8, 't', 'a', 2, '2026-01-02Z', '2'),
  (9, 't', 'c', 2, '2026-01-02Z', '2'), (10, 't', 'a', 4, '2026-01-04Z', '4');
SELECT setval('events_position_seq', 10) \g /dev/null
SELECT held();
-- by position: version 3 of a waits for version 2
BEGIN;
SELECT eventstore.archive_events(before_position => 3, dry_run => true), eventstore.archive_events(before_position => 3), held();
TABLE gaps;
SELECT eventstore.archive_events(before_position => 5, dry_run => true), eventstore.archive_events(before_position => 5), held();
SELECT eventstore.archive_events(before_position => 6, dry_run => true), eventstore.archive_events(before_position => 6), held();
SELECT eventstore.archive_events(before_position => 9, dry_run => true), eventstore.archive_events(before_position => 9), held();
TABLE gaps;
ROLLBACK;
-- so it does when only so many may go
BEGIN;
SELECT eventstore.archive_events(before_position => 100, max_count => 2), held();
TABLE gaps;
SELECT eventstore.archive_events(before_position => 100, max_count => 3), held();
TABLE gaps;
SELECT eventstore.archive_events(before_position => 100, max_count => 1), held();
SELECT eventstore.archive_events(before_position => 100), held();
ROLLBACK;
-- one at a time: the order in which they go
BEGIN;
SELECT n, eventstore.archive_events(before_position => 100, max_count => 1), held() FROM generate_series(1, 11) n;
ROLLBACK;
-- of some aggregates, and by time
BEGIN;
SELECT eventstore.archive_events(aggregate_ids => '{a}', before_position => 8), held();
SELECT eventstore.archive_events(aggregate_ids => '{a}', max_count => 2), held();
SELECT eventstore.archive_events(before_time => '2026-01-03Z', before_position => 5), held();
TABLE gaps;
ROLLBACK;
-- by count
BEGIN;
SELECT eventstore.set_retention('events', max_count_per_aggregate => 1);
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(dry_run => false, max_count => 2);
SELECT held();
TABLE gaps;
SELECT * FROM eventstore.apply_retention(dry_run => false);
SELECT held();
TABLE gaps;
ROLLBACK;
-- what a hold keeps from going keeps what comes after it
BEGIN;
INSERT INTO eventstore.archive_holds VALUES ('events', 'h', 7);
SELECT eventstore.archive_events(before_position => 100), held();
TABLE gaps;
ROLLBACK;

-- in windows smaller than the distance between versions, and all goes in the end
CALL eventstore.archive_all(before_position => 100, batch_size => 1);
SELECT held();
TABLE gaps;
-- nothing stays because of what somebody has left out
SELECT setval('events_position_seq', 12) \g /dev/null
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (11, 't', 'd', 7, '1'), (12, 't', 'd', 5, '1');
SELECT eventstore.archive_events(before_position => 12), eventstore.archive_events(before_position => 13), held();

-- positions that are not above zero
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (0, 't', 'z', 2, '2'), (-5, 't', 'z', 1, '1'), (-9223372036854775807, 't', NULL, NULL, '0');
SELECT eventstore.archive_events(before_position => -9223372036854775808), eventstore.archive_events(before_position => -9223372036854775807), eventstore.archive_events(before_position => -5), held();
SELECT eventstore.archive_events(before_position => 0), held();
SELECT eventstore.archive_events(before_position => 1, dry_run => true), eventstore.archive_events(before_position => 1), held();
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (-1, 't', 'z', 3, '3');
CALL eventstore.archive_all(aggregate_ids => '{z}');
SELECT held();

-- many, in any order: moved in batches of any size, there never is a gap
CREATE FUNCTION check_gaps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  ASSERT NOT EXISTS (SELECT FROM reg_archive_order.gaps), 'a gap';
  RETURN NULL;
END $$;
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, occurred_at, data)
SELECT 100 + n * 7919 % 1000, 't', 'm-' || n % 13, n / 13 + 1, timestamptz '2026-01-01Z' + n * 7717 % 1000 * interval '1 hour', to_jsonb(n) FROM generate_series(0, 999) n;
SELECT setval('events_position_seq', 1100) \g /dev/null
CREATE CONSTRAINT TRIGGER check_gaps AFTER INSERT ON events_archive DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.aggregate_version % 50 = 0) EXECUTE FUNCTION check_gaps();
DO $$
DECLARE wanted bigint; got bigint;
BEGIN
  FOR cut IN 1..9 LOOP
    SELECT eventstore.archive_events(before_position => 100 + cut * 100, dry_run => true) INTO wanted;
    SELECT eventstore.archive_events(before_position => 100 + cut * 100) INTO got;
    ASSERT wanted = got, format('%s of %s', got, wanted);
    ASSERT NOT EXISTS (SELECT FROM reg_archive_order.gaps), 'a gap after all';
    SELECT eventstore.archive_events(before_time => timestamptz '2026-01-01Z' + cut * interval '100 hours', dry_run => true) INTO wanted;
    SELECT eventstore.archive_events(before_time => timestamptz '2026-01-01Z' + cut * interval '100 hours', max_count => cut) INTO got;
    ASSERT least(wanted, cut) = got, format('%s of %s', got, wanted);
    ASSERT NOT EXISTS (SELECT FROM reg_archive_order.gaps), 'a gap by time';
  END LOOP;
END $$;
SELECT count(*) BETWEEN 1 AND 999 AS some FROM events;
CALL eventstore.archive_all(before_position => 2000, batch_size => 37);
SELECT held();
SELECT count(*), count(DISTINCT position) FROM events_archive WHERE aggregate_id LIKE 'm-%';

DROP VIEW gaps;
RESET search_path;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_archive_order.events', true);
DROP SCHEMA reg_archive_order CASCADE;
