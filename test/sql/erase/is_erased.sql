-- is_erased(): whether the metadata of an event is the mark of an erasure
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_is_erased.events', 'off');
SET pg_eventstore.store = 'reg_is_erased.events';
SELECT eventstore.append_to_aggregate('a', '{t,t,t}', '{1,2,3}', metadata => ARRAY[NULL, '{"by": "me"}', '{}']::jsonb[]);
SELECT eventstore.append_event('t', '4', 'b', metadata => '{"by": "me"}', event_id => 'e-b');
SELECT eventstore.append_event('t', '5', 'c', metadata => jsonb_build_object('long', repeat(md5('x'), 10000)));
SELECT aggregate_id, eventstore.is_erased(metadata) FROM eventstore.read_events();
SELECT eventstore.erase_aggregate('a', 'on request');
SELECT eventstore.redact_event('e-b', 'one word', data => '{"word": "***"}');
SELECT aggregate_id, data, eventstore.is_erased(metadata) FROM eventstore.read_events() WHERE aggregate_id <> 'c';
-- data and metadata that are given stand for an erasure only if they are the mark
SELECT eventstore.redact_event('e-b', 'one word', data => '{"word": "***"}', metadata => '{"by": "me"}');
SELECT eventstore.is_erased(metadata) FROM eventstore.get_event('e-b');

SELECT value, eventstore.is_erased(value) FROM unnest(ARRAY[NULL, 'null', '{"erased": true}', '{"erased": false}', '{"erased": "true"}', '{"erased": true, "a": 1}', '{}', '[]', '["erased", true]', 'true', '1', '"x"', '[{"erased": true}]', '{"erasex": true}', '{"Erased": true}']::jsonb[]) value;
-- compressed, short and out of line
SELECT eventstore.is_erased(metadata), count(*) FROM reg_is_erased.events GROUP BY 1 ORDER BY 1;
SELECT provolatile, proparallel, proisstrict FROM pg_proc WHERE oid = 'eventstore.is_erased(jsonb)'::regprocedure;
-- in an index
CREATE INDEX erased ON reg_is_erased.events (position) WHERE eventstore.is_erased(metadata);
SELECT eventstore.erase_aggregate('c', 'on request');
SELECT count(*) FROM reg_is_erased.events WHERE eventstore.is_erased(metadata);

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_is_erased.events', force => true);
DROP SCHEMA reg_is_erased;
