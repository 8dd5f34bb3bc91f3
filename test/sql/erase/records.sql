-- the records of erasures join with the stores and archives they are about
SET client_min_messages = warning;
CREATE SCHEMA reg_records;
SET search_path = reg_records;
SELECT eventstore.create_store('orders', 'off');
SELECT eventstore.create_store('users', 'off');
SELECT eventstore.create_archive('users');
SELECT eventstore.append_event('t', '{"name": "Ann"}', 'a', store => 'orders'), eventstore.append_event('t', '{"name": "Ann"}', 'b', event_id => 'b-1', store => 'users');
SELECT eventstore.archive_events('users', aggregate_ids => '{b}');
SELECT eventstore.erase_aggregate('a', 'reg_records 1', 'orders'), eventstore.redact_event('b-1', 'reg_records 2', store => 'users');
CREATE VIEW records AS SELECT store, store_name, aggregate_id, reason FROM eventstore.erasures WHERE reason LIKE 'reg_records %' ORDER BY erasure_id;
SELECT * FROM records;
SELECT r.reason, s.store, s.notifications, a.archive
  FROM records r JOIN eventstore.stores s ON s.store = r.store LEFT JOIN eventstore.archives a ON a.store = r.store ORDER BY 1;
SELECT reason FROM records WHERE store = 'users'::regclass;
SELECT reason, to_regclass(store_name) = store AS same FROM records;
SELECT reason FROM records JOIN pg_class c ON c.oid = store WHERE relname = 'orders';
SELECT reason, notifications FROM records JOIN eventstore.stores USING (store) ORDER BY 1;
SELECT reason, archive FROM eventstore.archives NATURAL JOIN records;
SELECT store FROM records UNION SELECT store FROM eventstore.archives WHERE archive = 'users_archive'::regclass ORDER BY 1;
SELECT reason FROM records WHERE store IN ('users'::regclass, 'orders'::regclass) ORDER BY 1;

-- renamed and moved: the record follows, and keeps the name of its time
CREATE SCHEMA reg_records_2;
ALTER TABLE orders RENAME TO "Sales";
ALTER TABLE "Sales" SET SCHEMA reg_records_2;
ALTER SCHEMA reg_records_2 RENAME TO reg_records_3;
SELECT * FROM records;
SELECT r.reason, s.store FROM records r JOIN eventstore.stores s ON s.store = r.store ORDER BY 1;
-- another store in the old place is not what the record is about
SELECT eventstore.create_store('orders', 'off');
SELECT r.reason, s.store FROM records r JOIN eventstore.stores s ON s.store = r.store ORDER BY 1;

-- dropped: it keeps the name
SELECT eventstore.drop_store('reg_records_3."Sales"', true);
DROP TABLE users, users_archive;
SELECT * FROM records;
SELECT r.reason, s.store FROM records r JOIN eventstore.stores s ON s.store = r.store;

-- the type: a name without a table is no error
SELECT v, v::eventstore.regstore AS regstore, v::eventstore.regstore = 0::oid AS none FROM unnest(ARRAY['-', 'orders', 'reg_records.orders', '"orders"', 'reg_records.gone',
  'reg_gone.gone', '0', '1259', 'pg_class', '"Odd ""name"""']) v;
SELECT 'too.many.names.here'::eventstore.regstore;
SELECT ''::eventstore.regstore;
SELECT 'orders'::regclass::eventstore.regstore, NULL::eventstore.regstore;
SELECT 'orders'::eventstore.regstore::regclass = 'orders'::regclass AS back;
SELECT eventstore.regstore_send('orders'::eventstore.regstore) = 'reg_records.orders'::bytea AS binary_form;
CREATE TABLE kept (store eventstore.regstore PRIMARY KEY);
INSERT INTO kept VALUES ('orders'), ('-');
\set VERBOSITY sqlstate
INSERT INTO kept VALUES ('orders'::regclass);
\set VERBOSITY default
SELECT * FROM kept WHERE store = 'orders'::regclass;

RESET search_path;
DROP SCHEMA reg_records, reg_records_3 CASCADE;
