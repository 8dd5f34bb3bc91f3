-- Inline projections.
SET client_min_messages = warning;
CREATE SCHEMA reg_inline;
SELECT eventstore.create_store('reg_inline.s');
SET pg_eventstore.store = 'reg_inline.s';
SET search_path = reg_inline;
CREATE TABLE totals (aggregate_id text PRIMARY KEY, events int, amount int);
CREATE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 3)) FROM generate_series(1, 4) i;
SELECT eventstore.create_projection('inl', 'add_one(eventstore.event)', 'inline', event_types => '{added}');
TABLE totals ORDER BY 1;
SELECT name, mode, state, position, lag, problem FROM eventstore.projections WHERE name = 'inl';
-- every way to append
SELECT eventstore.append_event('added', '{"amount": 10}', 'a1');
SELECT eventstore.append_event('other', '{"amount": "x"}', 'a1');
SELECT max(aggregate_version) FROM eventstore.append('[{"event_type": "added", "aggregate_id": "a1", "data": {"amount": 1}}, {"event_type": "added", "aggregate_id": "a2", "data": {"amount": 1}}]');
INSERT INTO s (event_type, data, aggregate_id) VALUES ('added', '{"amount": 100}', 'a1'), ('added', '{"amount": 100}', 'a0');
COPY s (event_type, data, aggregate_id) FROM stdin;
added	{"amount": 1000}	a1
\.
TABLE totals ORDER BY 1;
-- an error undoes the append
SELECT eventstore.append_event('added', '{"amount": "x"}', 'a1');
BEGIN;
SELECT eventstore.append_event('added', '{"amount": 7}', 'a1');
ROLLBACK;
TABLE totals ORDER BY 1;
-- not under a snapshot that is older than other transactions
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT eventstore.append_event('added', '{"amount": 7}', 'a1');
ROLLBACK;
SET default_transaction_isolation = 'serializable';
SELECT eventstore.append_event('added', '{"amount": 7}', 'a1');
SELECT eventstore.append_event('other', '{"amount": 7}', 'a1');
RESET default_transaction_isolation;
-- unique e-mail addresses
CREATE TABLE emails (email text PRIMARY KEY, customer text);
CREATE FUNCTION claim(e eventstore.event) RETURNS void LANGUAGE sql AS
  $$ INSERT INTO emails VALUES (e.data->>'email', e.aggregate_id) $$;
SELECT eventstore.create_projection('emails', 'claim(eventstore.event)', 'inline', event_types => '{registered}');
SELECT eventstore.append_event('registered', '{"email": "a@example.org"}', 'c1');
SELECT eventstore.append_event('registered', '{"email": "a@example.org"}', 'c2');
TABLE emails;
-- a handler that appends to its store
CREATE FUNCTION again(e eventstore.event) RETURNS void LANGUAGE sql AS
  $$ SELECT eventstore.append_event('again', '1', store => 'reg_inline.s') $$;
SELECT eventstore.create_projection('again', 'again(eventstore.event)', 'inline', event_types => '{again}');
SELECT eventstore.append_event('again', '1');
SELECT eventstore.drop_projection('again');
-- nothing else runs it
SELECT eventstore.run_projection('inl');
CREATE TRIGGER again AFTER INSERT ON s REFERENCING NEW TABLE AS events FOR EACH STATEMENT EXECUTE FUNCTION eventstore.run_inline('inl');
SELECT eventstore.append_event('added', '{"amount": 1}', 'a1');
DROP TRIGGER again ON s;
ALTER TABLE s DISABLE TRIGGER USER;
SELECT state, problem FROM eventstore.projections WHERE name = 'inl';
ALTER TABLE s ENABLE TRIGGER USER;
SELECT state, problem FROM eventstore.projections WHERE name = 'inl';
-- the owner loses a right, and gets it back
CREATE ROLE reg_inline_owner;
SELECT eventstore.alter_projection('inl', owner => 'reg_inline_owner');
GRANT USAGE ON SCHEMA reg_inline, eventstore TO reg_inline_owner;
GRANT SELECT, INSERT, UPDATE ON totals TO reg_inline_owner;
SELECT eventstore.alter_projection('inl', owner => 'reg_inline_owner');
GRANT SELECT ON s TO reg_inline_owner;
SELECT eventstore.alter_projection('inl', owner => 'reg_inline_owner');
GRANT TRIGGER ON s TO reg_inline_owner;
SELECT eventstore.alter_projection('inl', owner => 'reg_inline_owner');
SELECT eventstore.append_event('added', '{"amount": 0}', 'a0');
REVOKE SELECT ON s FROM reg_inline_owner;
SELECT eventstore.append_event('added', '{"amount": 0}', 'a0');
SELECT state, problem FROM eventstore.projections WHERE name = 'inl';
GRANT SELECT ON s TO reg_inline_owner;
ALTER TABLE s ENABLE ROW LEVEL SECURITY;
SELECT state, problem FROM eventstore.projections WHERE name = 'inl';
ALTER TABLE s DISABLE ROW LEVEL SECURITY;
SELECT state, problem FROM eventstore.projections WHERE name = 'inl';
SELECT eventstore.alter_projection('inl', owner => CURRENT_ROLE);
REVOKE ALL ON s, totals FROM reg_inline_owner;
REVOKE ALL ON SCHEMA reg_inline, eventstore FROM reg_inline_owner;
DROP ROLE reg_inline_owner;
-- pause and resume
SELECT eventstore.pause_projection('inl');
SELECT eventstore.append_event('added', '{"amount": 10000}', 'a1');
TABLE totals ORDER BY 1;
SELECT eventstore.resume_projection('inl');
SELECT eventstore.wait_for_projection('inl') > 0;
TABLE totals ORDER BY 1;
SELECT aggregate_id, count(*), sum((data->>'amount')::int) FROM s WHERE event_type = 'added' GROUP BY 1 ORDER BY 1;
SELECT eventstore.append_event('added', '{"amount": 10000}', 'a1');
TABLE totals ORDER BY 1;
-- other modes
SELECT eventstore.alter_projection('inl', mode => 'async');
SELECT tgname FROM pg_trigger WHERE tgrelid = 's'::regclass AND tgname LIKE 'eventstore_inline%' AND tgargs = 'inl\000';
SELECT eventstore.append_event('added', '{"amount": 100000}', 'a1');
SELECT eventstore.wait_for_projection('inl') > 0;
SELECT mode, state FROM eventstore.projections WHERE name = 'inl';
SELECT eventstore.alter_projection('inl', mode => 'manual', on_error => 'park', max_attempts => 1);
SELECT eventstore.append_event('added', '{"amount": 100000}', 'a1');
SELECT eventstore.run_projection('inl'), eventstore.run_projection('inl');
SELECT eventstore.append_event('added', '{"amount": 100000}', 'a1');
SELECT mode, state, lag FROM eventstore.projections WHERE name = 'inl';
SELECT eventstore.alter_projection('inl', mode => 'inline');
SELECT eventstore.alter_projection('inl', mode => 'sometimes');
SELECT eventstore.alter_projection('inl', mode => 'inline', on_error => 'stop');
SELECT mode, state, lag FROM eventstore.projections WHERE name = 'inl';
SELECT eventstore.append_event('added', '{"amount": 100000}', 'a1');
TABLE totals ORDER BY 1;
SELECT aggregate_id, count(*), sum((data->>'amount')::int) FROM s WHERE event_type = 'added' GROUP BY 1 ORDER BY 1;
-- not with parked events
SELECT eventstore.alter_projection('inl', mode => 'async', on_error => 'park', max_attempts => 1);
SELECT eventstore.append_event('added', '{"amount": "x"}', 'a3');
SELECT eventstore.wait_for_projection('inl') > 0;
SELECT eventstore.alter_projection('inl', mode => 'inline', on_error => 'stop');
SELECT eventstore.discard_parked('inl');
SELECT eventstore.alter_projection('inl', mode => 'inline', on_error => 'stop');
SELECT mode, state, lag, parked FROM eventstore.projections WHERE name = 'inl';
SELECT eventstore.drop_projection('inl');
SELECT eventstore.drop_projection('emails');
SELECT tgname FROM pg_trigger WHERE tgrelid = 's'::regclass AND tgname LIKE 'eventstore_inline%';
