-- An append that fails on its expected version uses up no position and no room in the table.
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_conflict_cost.events');
SET pg_eventstore.store = 'reg_conflict_cost.events';

SELECT eventstore.append_event('t', '1', 'a');
DO $$
BEGIN
  FOR n IN 1..50 LOOP
    BEGIN
      PERFORM eventstore.append_event('t', '2', 'a', expected_version => 7);
    EXCEPTION WHEN SQLSTATE '40V01' THEN
    END;
    BEGIN
      PERFORM eventstore.append_to_aggregate('a', '{t,t}', '{2,3}', 0);
    EXCEPTION WHEN SQLSTATE '40V01' THEN
    END;
    BEGIN
      PERFORM * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "b", "data": 1}]', '{"a": 4}');
    EXCEPTION WHEN SQLSTATE '40V01' THEN
    END;
  END LOOP;
END $$;
SELECT eventstore.append_event('t', '2', 'a');

-- the second row is beside the first
SELECT ctid, position, aggregate_version FROM reg_conflict_cost.events ORDER BY position;
DROP SCHEMA reg_conflict_cost CASCADE;
