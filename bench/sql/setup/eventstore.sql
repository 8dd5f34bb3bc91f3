-- Makes the default store, and a table with the same columns and indexes, but
-- without triggers, guard, version check and notifications.
CREATE EXTENSION pg_eventstore;
CREATE SCHEMA bench;

-- a store without notifications, one with notifications in the transaction, and one
-- without the optional indexes
SELECT eventstore.create_store('bench.quiet', 'off');
SELECT eventstore.create_store('bench.commit', 'commit');
SELECT eventstore.create_store('bench.bare', indexes => '{}');

CREATE SEQUENCE bench.positions;
CREATE TABLE bench.events (LIKE eventstore.events INCLUDING ALL EXCLUDING DEFAULTS);
ALTER TABLE bench.events
  ALTER position SET DEFAULT nextval('bench.positions'),
  ALTER event_id SET DEFAULT eventstore.new_event_id(),
  ALTER occurred_at SET DEFAULT now();

-- for repeated COPY of the same file: versions and ids that differ, by nextval, the
-- only volatile default with which COPY inserts many rows at once
CREATE SEQUENCE bench.versions AS integer;
CREATE TABLE bench.copied (LIKE bench.events INCLUDING ALL);
ALTER TABLE bench.copied
  ALTER event_id SET DEFAULT lpad(nextval('bench.positions')::text, 36, '0'),
  ALTER aggregate_version SET DEFAULT nextval('bench.versions');

-- batches of 100 events, as arguments for the functions
CREATE TABLE bench.batches (
  n integer PRIMARY KEY,
  events jsonb NOT NULL,
  event_types text[] NOT NULL,
  event_data jsonb[] NOT NULL
);
ALTER TABLE bench.batches ALTER events SET STORAGE EXTERNAL, ALTER event_types SET STORAGE EXTERNAL, ALTER event_data SET STORAGE EXTERNAL;
INSERT INTO bench.batches
SELECT n, jsonb_agg(jsonb_build_object('event_type', 'order_placed', 'aggregate_id', 'order-' || n, 'aggregate_type', 'Order', 'data', data)),
       array_agg('order_placed'::text), array_agg(data)
  FROM generate_series(1, 100) n, generate_series(1, 100) i,
       (SELECT '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb AS data) d
 GROUP BY n;
