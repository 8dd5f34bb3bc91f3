# A schema is renamed while the call of a superuser waits. A name then refers to another
# table, and the role that renamed the schema gains no rights. Locks and dumps give no
# role rights on the stores of another.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('renames');
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE mallory LOGIN; CREATE ROLE mule; CREATE ROLE bob LOGIN; CREATE ROLE friend;
CREATE SCHEMA m AUTHORIZATION mallory; CREATE SCHEMA shared AUTHORIZATION mallory; CREATE SCHEMA b AUTHORIZATION bob;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO mallory', current_database()); END $$;
GRANT USAGE ON SCHEMA eventstore TO mallory, bob;
CREATE TABLE shared.staging (event_type text, data jsonb);
INSERT INTO shared.staging VALUES ('real', '1');
CREATE TABLE shared.secrets (s text);
INSERT INTO shared.secrets VALUES ('top secret');
SET SESSION AUTHORIZATION bob;
SELECT eventstore.create_store('b.events', 'off');
SET SESSION AUTHORIZATION mallory;
SELECT eventstore.create_store('m.events', 'off'), eventstore.create_store('m.target', 'off');
SELECT eventstore.create_archive('m.events');
CREATE SCHEMA fake;
CREATE FUNCTION m.yes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF current_user <> 'mallory' THEN EXECUTE 'ALTER ROLE mule SUPERUSER'; END IF; RETURN true; END $$;
CREATE VIEW fake.staging AS SELECT 'e'::text AS event_type, to_jsonb(m.yes()) AS data;
EOS

# Start a call of a superuser, wait until it waits for a lock, and do something as
# mallory while it does; its SQLSTATE.
sub meanwhile
{
  my ($locker, $call, $then) = @_;
  my $superuser = session($node);
  my $pid = $superuser->pid;
  $superuser->start_sql($call);
  $node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid") or die 'it does not wait';
  $node->safe_psql('postgres', "SET SESSION AUTHORIZATION mallory; $then");
  $locker->run('ROLLBACK');
  $superuser->finish_sql;
  my $state = $superuser->state;
  $superuser->quit;
  return $state;
}

# An import waits for the store, and its source gets another name.
my $mallory = session($node);
$mallory->run('SET SESSION AUTHORIZATION mallory');
$mallory->run('BEGIN; LOCK TABLE m.target IN SHARE ROW EXCLUSIVE MODE');
meanwhile($mallory, "SELECT * FROM eventstore.import_events('shared.staging', 'm.target')",
  'ALTER SCHEMA shared RENAME TO away; ALTER SCHEMA fake RENAME TO shared');
is($node->safe_psql('postgres', "SELECT rolsuper FROM pg_roles WHERE rolname = 'mule'"), 'f', 'an import runs nothing of mallory as a superuser');
$node->safe_psql('postgres', 'ALTER SCHEMA shared RENAME TO fake; ALTER SCHEMA away RENAME TO shared');

# sync_archive() waits for a row of pg_class, and its commands meet another table.
$node->safe_psql('postgres', <<'EOS');
SET SESSION AUTHORIZATION mallory;
ALTER TABLE m.events_archive RENAME TO secrets;
GRANT SELECT, UPDATE ON m.events TO friend;
GRANT SELECT ON m.secrets TO friend;
EOS
$mallory->run('BEGIN; GRANT SELECT ON m.secrets TO bob');
meanwhile($mallory, "SELECT eventstore.sync_archive('m.events')", 'ALTER SCHEMA m RENAME TO m2; ALTER SCHEMA shared RENAME TO m');
is($node->safe_psql('postgres', "SELECT has_table_privilege('friend', 'm.secrets', 'SELECT')"), 'f', 'sync_archive() grants nothing on another table');
$node->safe_psql('postgres', 'ALTER SCHEMA m RENAME TO shared; ALTER SCHEMA m2 RENAME TO m');

# Locks on aggregates and on the creation of stores are those of the store and schema.
$mallory->run("BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'm.target')");
is($mallory->run("SELECT classid::regclass FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 17750 AND pid = pg_backend_pid()"),
  'm.target', 'an append locks aggregates of its store only');
$mallory->run("SELECT eventstore.create_store('m.new', 'off')");
is($mallory->run("SELECT classid = 'm'::regnamespace FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 17731 AND pid = pg_backend_pid()"),
  't', 'and who creates a store keeps others from doing so in that schema only');
$mallory->run('ROLLBACK');
$mallory->quit;

# A hold on a table that pg_dump does not carry does not take the others along.
SKIP:
{
  skip 'there is no extension to be had', 2
    if $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'") eq '0';
  $node->safe_psql('postgres', <<'EOS');
CREATE EXTENSION citext SCHEMA m;
ALTER EXTENSION citext ADD TABLE m.events;
SELECT eventstore.set_archive_hold('x', 0, 'm.events'), eventstore.set_archive_hold('reader of bob', 0, 'b.events');
EOS
  my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
  $node->safe_psql('postgres', 'CREATE DATABASE new');
  $node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'pg_dump');
  $node->run_log([ 'psql', '-Xq', '-f', $dump, '-d', 'new' ]);
  is($node->safe_psql('new', 'SELECT name FROM eventstore.archive_holds'), 'reader of bob', "another's hold is restored");
}
$node->stop;
done_testing();
