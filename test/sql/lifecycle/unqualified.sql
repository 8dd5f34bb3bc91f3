-- a name without a schema means what it means for any table: found, and created, by the search_path
CREATE SCHEMA reg_unqualified;
CREATE SCHEMA reg_unqualified_2;
SET search_path = reg_unqualified, public;
SELECT eventstore.create_store('ledger');
SELECT store::oid = 'reg_unqualified.ledger'::regclass AS there, channel FROM eventstore.stores WHERE store = 'ledger'::regclass;
SELECT eventstore.append_event('t', '1', 'a', store => 'ledger'), eventstore.append_event('t', '1', 'a', store => 'reg_unqualified.ledger');
SET pg_eventstore.store = 'ledger';
SELECT eventstore.append_event('t', '1', 'a'), eventstore.get_aggregate_version('a'), eventstore.get_aggregate_version('a', 'ledger');
SELECT eventstore.create_store('ledger');
-- folded unless it is quoted
SELECT eventstore.create_store('Ledger');
SELECT eventstore.create_store('"Ledger"', 'off');
SET pg_eventstore.store = '"Ledger"';
SELECT eventstore.get_aggregate_version('a'), eventstore.get_aggregate_version('a', '"Ledger"');

-- not where it is not looked for, in any of these ways
SET search_path = public;
SET pg_eventstore.store = 'ledger';
\set VERBOSITY sqlstate
SELECT eventstore.get_aggregate_version('a', 'ledger');
\set VERBOSITY default
SELECT eventstore.get_aggregate_version('a');
SET pg_eventstore.store = 'reg_unqualified.ledger';
SELECT eventstore.get_aggregate_version('a');
-- the default store is found by every search_path
RESET pg_eventstore.store;
SET search_path = '';
SELECT eventstore.get_aggregate_version('reg_unqualified');

-- the first schema of the path gets the store, as it would get any table
SET search_path = reg_unqualified_2, reg_unqualified;
SET pg_eventstore.store = 'ledger';
SELECT eventstore.get_aggregate_version('a');
SELECT eventstore.create_store('ledger', 'off');
SELECT eventstore.get_aggregate_version('a'), eventstore.get_aggregate_version('a', 'reg_unqualified.ledger');
SELECT eventstore.drop_store('ledger');
SELECT eventstore.get_aggregate_version('a');
-- a temporary table comes before, for reading, as ever
CREATE TEMP TABLE ledger (LIKE reg_unqualified.ledger);
SELECT eventstore.get_aggregate_version('a', 'ledger');
SELECT eventstore.get_aggregate_version('a');
SELECT eventstore.append_event('t', '1', 'a');
DROP TABLE pg_temp.ledger;

-- no schema to create in
SET search_path = '';
SELECT eventstore.create_store('ledger');
\echo :LAST_ERROR_SQLSTATE
SET search_path = reg_no_such;
SELECT eventstore.create_store('ledger');
\set SHOW_CONTEXT never
SET search_path = pg_temp, reg_unqualified;
SELECT eventstore.create_store('ledger');
SET search_path = pg_catalog;
SELECT eventstore.create_store('ledger');
\set SHOW_CONTEXT errors
SET search_path = reg_unqualified;
CREATE ROLE reg_unqualified_user;
GRANT USAGE ON SCHEMA eventstore, reg_unqualified TO reg_unqualified_user;
SET ROLE reg_unqualified_user;
SELECT eventstore.create_store('own');
SELECT eventstore.create_store('ledger');
RESET ROLE;
GRANT SELECT ON ledger TO reg_unqualified_user;
SET ROLE reg_unqualified_user;
-- it is there, so nothing is to be created
SELECT eventstore.create_store('ledger');
RESET ROLE;

-- an archive goes to the schema of its store, whatever the search_path
SET search_path = reg_unqualified_2, public;
SELECT eventstore.create_archive('reg_unqualified.ledger', name => 'attic');
SELECT store, archive FROM eventstore.archives WHERE store = 'reg_unqualified.ledger'::regclass;

RESET search_path;
RESET pg_eventstore.store;
SET client_min_messages = warning;
DROP SCHEMA reg_unqualified, reg_unqualified_2 CASCADE;
REVOKE ALL ON SCHEMA eventstore FROM reg_unqualified_user;
DROP ROLE reg_unqualified_user;
