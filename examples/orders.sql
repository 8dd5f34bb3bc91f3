-- An order service with read models that projections keep up to date, and with e-mail addresses that are unique: what
-- orders.py, orders.js and orders.sh need. To be run once, as a migration.
SELECT eventstore.create_store('example.orders');
SELECT eventstore.create_store('example.users');

-- The handlers write the names of their tables without the schema, so that a rebuild can fill copies of the tables.
-- PostgreSQL looks such names up in the schema of the handler, and now in this one.
SET search_path = example;

-- A row for each order. The handler is called once for each event.
CREATE TABLE order_list (order_id text PRIMARY KEY, state text NOT NULL, total integer NOT NULL);
CREATE FUNCTION list_order(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO order_list
  SELECT e.aggregate_id, 'placed', (e.data->>'total')::integer WHERE e.event_type = 'order_placed';
  UPDATE order_list SET state = replace(e.event_type, 'order_', '') WHERE order_id = e.aggregate_id;
$$;
SELECT eventstore.create_projection('example.order_list', 'list_order(eventstore.event)', store => 'orders', tables => '{order_list}');

-- The turnover of each day. The handler is called with all events of a batch, which is faster.
CREATE TABLE turnover (day date PRIMARY KEY, orders bigint NOT NULL, total bigint NOT NULL);
CREATE FUNCTION add_turnover(events eventstore.event[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO turnover
  SELECT (occurred_at AT TIME ZONE 'UTC')::date, count(*), sum((data->>'total')::integer) FROM unnest(events) GROUP BY 1
  ON CONFLICT (day) DO UPDATE SET orders = turnover.orders + EXCLUDED.orders, total = turnover.total + EXCLUDED.total;
$$;
SELECT eventstore.create_projection('example.turnover', 'add_turnover(eventstore.event[])', store => 'orders',
  event_types => '{order_placed}', tables => '{turnover}');

-- The e-mail addresses. The handler runs in the transaction that appends, so the primary key rejects the event of a
-- second user with the same address.
CREATE TABLE emails (email text PRIMARY KEY, user_id text NOT NULL);
CREATE FUNCTION claim_email(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO emails VALUES (lower(e.data->>'email'), e.aggregate_id);
$$;
SELECT eventstore.create_projection('example.emails', 'claim_email(eventstore.event)', 'inline', 'users',
  event_types => '{user_registered}', tables => '{emails}');

RESET search_path;
