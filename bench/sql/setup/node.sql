-- Makes the stores of a node of the group cluster, whose slots of two.orders are :first to
-- :last: a store without slots; stores whose slots are all on one node, of which only one
-- slot is used if there are many; and a store that is divided between the nodes. Table ids
-- has the aggregates of the store in its schema, as a client that knows the map.
CREATE EXTENSION pg_eventstore;
CREATE SCHEMA bench;
CREATE SCHEMA one;
CREATE SCHEMA two;
SELECT eventstore.create_store('bench.plain');
SELECT eventstore.create_slots('bench.slots_2', 2);
SELECT eventstore.create_slots('bench.slots_16', 16);
SELECT eventstore.create_slots('bench.slots_128', 128, '{0}');
SELECT eventstore.create_slots('bench.slots_1024', 1024, '{0}');
SELECT eventstore.create_slots('one.orders', 16);
SELECT eventstore.create_slots('two.orders', 16, ARRAY(SELECT generate_series(:first, :last)));

CREATE TABLE one.ids (n integer PRIMARY KEY, id text NOT NULL, store regclass NOT NULL);
CREATE TABLE two.ids (LIKE one.ids INCLUDING ALL);
INSERT INTO one.ids
SELECT i, 'order-' || i, eventstore.slot_store('one.orders', 'order-' || i) FROM generate_series(1, 10000) AS i;
INSERT INTO two.ids
SELECT row_number() OVER (), id, eventstore.slot_store('two.orders', id)
  FROM (SELECT 'order-' || i AS id FROM generate_series(1, 40000) AS i
         WHERE eventstore.slot_of('order-' || i, 16) BETWEEN :first AND :last LIMIT 10000) AS here;
VACUUM ANALYZE one.ids, two.ids;
