-- slots of a sliced store: names, the slot of an aggregate, and what a slot rejects
SET client_min_messages = warning;
CREATE SCHEMA reg_slots;
SELECT eventstore.create_slots('reg_slots.orders', 4, '{0,1,3}');
SELECT * FROM eventstore.slots('reg_slots.orders');
SELECT store, slot, slots FROM eventstore.stores WHERE store::text LIKE 'reg_slots.%' ORDER BY 1;

-- test vectors, by CRC-32 of zlib; in another encoding an id has the same slot
SELECT id, eventstore.slot_of(id, 2) AS of_2, eventstore.slot_of(id, 16) AS of_16, eventstore.slot_of(id, 1024) AS of_1024
  FROM unnest(ARRAY['', 'a', '123456789', 'order-1', 'order-2', '9f86d081-884c-7d65-9a2f-eaa0c55ad015', 'Zürich', '東京', '😀']) id;
SELECT eventstore.slot_of(NULL, 4), eventstore.slot_of('a', NULL);
-- every slot gets its share
SELECT slots, min(share), max(share) FROM (
  SELECT slots, count(*) * slots / 65536.0 AS share
    FROM generate_series(1, 65536) n, unnest('{2,16,128}'::int[]) slots
   GROUP BY slots, eventstore.slot_of('order-' || n, slots)) s
 GROUP BY slots ORDER BY slots;
SELECT slots, round(min(share), 1) AS at_least, round(max(share), 1) AS at_most FROM (
  SELECT slots, count(*) * slots / 65536.0 AS share
    FROM generate_series(1, 65536) n, unnest('{2,16,128}'::int[]) slots
   GROUP BY slots, eventstore.slot_of(md5(n::text), slots)) s
 GROUP BY slots ORDER BY slots;

-- an aggregate of each slot
CREATE TABLE reg_slots.ids AS
SELECT DISTINCT ON (slot) slot, id FROM (
  SELECT eventstore.slot_of('o-' || n, 4) AS slot, 'o-' || n AS id FROM generate_series(1, 100) n) s
 ORDER BY slot, id;
TABLE reg_slots.ids;
SELECT eventstore.append_event('t', '1', id, store => eventstore.slot_store('reg_slots.orders', id)) FROM reg_slots.ids WHERE slot <> 2;
SELECT aggregate_id FROM reg_slots.orders_003;

-- the wrong slot, in every way
\set VERBOSITY default
\set wrong '(SELECT id FROM reg_slots.ids WHERE slot = 1)'
SELECT eventstore.append_event('t', '1', :wrong, store => 'reg_slots.orders_003');
\set VERBOSITY sqlstate
SELECT eventstore.append_to_aggregate(:wrong, '{t}', '{1}', store => 'reg_slots.orders_003');
SELECT * FROM eventstore.append('[]', jsonb_build_object(:wrong, 0), 'reg_slots.orders_003');
SELECT eventstore.append_events(jsonb_build_object('event_type', 't', 'data', 1, 'aggregate_id', :wrong), store => 'reg_slots.orders_003');
SELECT eventstore.import_json(jsonb_build_object('event_type', 't', 'data', 1, 'aggregate_id', :wrong), 'reg_slots.orders_003');
INSERT INTO reg_slots.orders_003 (event_type, data, aggregate_id) VALUES ('t', '1', :wrong);
INSERT INTO reg_slots.orders_003 (position, event_type, data, aggregate_id, aggregate_version) VALUES (99, 't', '1', :wrong, 2);
SELECT * FROM eventstore.get_events_by_aggregate(:wrong, store => 'reg_slots.orders_003');
SELECT eventstore.get_aggregate_version(:wrong, 'reg_slots.orders_003');
SET pg_eventstore.direct_append = off;
SELECT eventstore.append_event('t', '1', :wrong, store => 'reg_slots.orders_003');
RESET pg_eventstore.direct_append;
-- an event of no aggregate may be in any slot
SELECT eventstore.append_event('t', '1', store => 'reg_slots.orders_003');

-- the options of a slot are kept
SELECT eventstore.set_notifications('reg_slots.orders_003', 'commit');
SELECT eventstore.create_archive('reg_slots.orders_003');
SELECT store, slot, slots, notifications FROM eventstore.stores WHERE store = 'reg_slots.orders_003'::regclass;
SELECT eventstore.append_event('t', '1', :wrong, store => 'reg_slots.orders_003');
SELECT eventstore.archive_events('reg_slots.orders_003', before_position => 2);
SELECT count(*) FROM eventstore.read_events(store => 'reg_slots.orders_003');

-- what is not here, and what is not possible
\set VERBOSITY default
SELECT eventstore.slot_store('reg_slots.orders', id) FROM reg_slots.ids WHERE slot = 2;
SELECT eventstore.slot_store('reg_slots.nothing', 'a');
SELECT count(*) FROM eventstore.slots('reg_slots.nothing');
SELECT eventstore.slot_of('a', 3);
SELECT eventstore.slot_of('a', 2048);
SELECT eventstore.create_slots('reg_slots.orders', 8);
SELECT eventstore.create_slots('reg_slots.orders', 8, '{5}');
SELECT eventstore.create_slots('reg_slots.orders', 4, '{4}');
SELECT eventstore.create_slots('reg_slots.orders', 4, '{NULL}');
SELECT eventstore.create_slots('reg_slots.' || repeat('x', 60), 4);
SELECT eventstore.create_store('reg_slots.plain_001');
SELECT eventstore.create_slots('reg_slots.plain', 2);
SELECT * FROM eventstore.slots('reg_slots.plain');
-- a trigger whose slot is none
CREATE OR REPLACE TRIGGER eventstore_append AFTER INSERT ON reg_slots.plain_001
  FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append('off', 'c', '', '7/3');
SELECT eventstore.append_event('t', '1', 'a', store => 'reg_slots.plain_001');
SELECT slot, slots FROM eventstore.stores WHERE store = 'reg_slots.plain_001'::regclass;
-- by number
SELECT eventstore.store_of_slot('reg_slots.orders', 3), eventstore.store_of_slot('reg_slots.orders', 0);
SELECT eventstore.store_of_slot('reg_slots.orders', 2);
SELECT eventstore.store_of_slot('reg_slots.orders', 4);
SELECT eventstore.store_of_slot('reg_slots.orders', NULL);
SELECT eventstore.store_of_slot('reg_slots.nothing', 0);

-- an arriving slot is no store
SELECT eventstore.create_subscription('reg_slots', 'reg_slots.orders_003');
SELECT position, event_type, delivery % 1024 AS slot FROM eventstore.poll('reg_slots', consumer => 'c');
SELECT eventstore.set_slot_arriving('reg_slots.orders_003', true);
SELECT store, slot, slots, arriving, notifications FROM eventstore.stores WHERE store::text LIKE 'reg_slots.orders%' ORDER BY 1;
SELECT * FROM eventstore.slots('reg_slots.orders');
SELECT eventstore.append_event('t', '1', id, store => 'reg_slots.orders_003') FROM reg_slots.ids WHERE slot = 3;
SELECT eventstore.slot_store('reg_slots.orders', id) FROM reg_slots.ids WHERE slot = 3;
SELECT eventstore.store_of_slot('reg_slots.orders', 3);
\set VERBOSITY sqlstate
SELECT eventstore.append_events('{"event_type": "t", "data": 1}', store => 'reg_slots.orders_003');
INSERT INTO reg_slots.orders_003 (event_type, data) VALUES ('t', '1');
SELECT * FROM eventstore.read_events(store => 'reg_slots.orders_003');
SELECT * FROM eventstore.get_latest_events(store => 'reg_slots.orders_003');
SELECT * FROM eventstore.poll('reg_slots', consumer => 'c');
SELECT eventstore.archive_events('reg_slots.orders_003', before_position => 2);
SELECT eventstore.erase_aggregate('a', 'r', 'reg_slots.orders_003');
SELECT eventstore.lock_slot('reg_slots.orders_003');
SELECT eventstore.drop_store('reg_slots.orders_003', true);
SELECT eventstore.create_slots('reg_slots.orders', 4, '{3}');
SELECT eventstore.set_notifications('reg_slots.orders_003', 'off');
SELECT lag FROM eventstore.subscriptions WHERE name = 'reg_slots';
\set VERBOSITY default
SELECT eventstore.set_slot_arriving('reg_slots.orders_003', false);
SELECT store, slot, slots, arriving, notifications FROM eventstore.stores WHERE store = 'reg_slots.orders_003'::regclass;
SELECT count(*) FROM eventstore.read_events(store => 'reg_slots.orders_003');
SELECT eventstore.set_slot_arriving('reg_slots.plain_001', true);
SELECT eventstore.set_slot_arriving('eventstore.events', true);
SELECT eventstore.set_slot_arriving('reg_slots.ids', true);
SELECT eventstore.set_slot_arriving(0, true);
SELECT eventstore.set_slot_arriving('reg_slots.orders_003', NULL);
SELECT eventstore.lock_slot('eventstore.events');
SELECT eventstore.lock_slot(NULL);
SELECT eventstore.drop_subscription('reg_slots');

-- the rest of the slots, by the search path
SET search_path = reg_slots;
SELECT eventstore.create_slots('orders', 4);
SELECT count(*) FROM eventstore.slots('orders');
SELECT eventstore.slot_store('orders', id) FROM ids ORDER BY slot;
RESET search_path;
DROP SCHEMA reg_slots CASCADE;
