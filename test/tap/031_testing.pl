# empty_store() between tests: where it is allowed, the locks that it waits for, and
# that readers of the log continue from their checkpoints.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('testing', "max_prepared_transactions = 5\n");
my $empty = "SELECT eventstore.empty_store('shop.orders')";

# A database for tests, of a role that is no superuser, beside one that is not.
$node->safe_psql('postgres', 'CREATE ROLE tester LOGIN; CREATE DATABASE shop OWNER tester; CREATE DATABASE shop_test OWNER tester');
for my $dbname ('shop', 'shop_test')
{
  $node->safe_psql($dbname, 'CREATE EXTENSION pg_eventstore; GRANT USAGE ON SCHEMA eventstore TO tester');
  $node->safe_psql($dbname, "SET ROLE tester; SELECT eventstore.create_store('shop.orders')");
  $node->safe_psql($dbname, "SELECT eventstore.append_event('e', '1', 'a', store => 'shop.orders')");
}
sub as_tester
{
  my ($dbname, $sql, $options) = @_;
  return sqlstate($node, $sql, dbname => $dbname, %{ $options // {} });
}
# A role that is no superuser can set it in a session that has called one of the functions.
is(as_tester('shop_test', "SET ROLE tester; SELECT eventstore.get_aggregate_version('a', 'shop.orders'); ALTER DATABASE shop_test SET pg_eventstore.test_database = on"), '00000', 'the owner of a database declares it to be one for tests');
is(as_tester('shop_test', "SET ROLE tester; $empty"), '00000', 'where the owner of a store empties it');
is(as_tester('shop', "SET ROLE tester; $empty"), '55000', 'but nowhere else');
is(as_tester('shop', $empty), '55000', 'nor does a superuser');

# Whatever comes with a session or a role does not count, also if it comes before the library.
is(as_tester('shop', "SET pg_eventstore.test_database = on; $empty"), '55000', 'not by SET');
{
  local $ENV{PGOPTIONS} = '-c pg_eventstore.test_database=on';
  is(as_tester('shop', $empty), '55000', 'not by the options of a connection');
}
$node->safe_psql('postgres', 'ALTER ROLE tester SET pg_eventstore.test_database = on');
is($node->psql('shop', $empty, extra_params => [ '-U', 'tester' ]), 3, 'not by a setting of the role');
$node->safe_psql('postgres', 'ALTER ROLE tester RESET pg_eventstore.test_database; ALTER ROLE tester IN DATABASE shop SET pg_eventstore.test_database = on');
is($node->safe_psql('shop', $empty, extra_params => [ '-U', 'tester' ]), '1', 'but by one of the role in that database');
$node->safe_psql('postgres', 'ALTER ROLE tester IN DATABASE shop RESET pg_eventstore.test_database');

# It waits for an append that is open, also prepared, and the next append waits for it.
my $test = session($node, 'shop_test');
my $writer = session($node, 'shop_test');
my $other = session($node, 'shop_test');
my $listener = session($node, 'shop_test');
my $waits = sub {
  my ($session) = @_;
  return $node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $session->{pid_}");
};
$_->{pid_} = $_->pid for $test, $writer, $other;
$listener->run('LISTEN shop_orders');
for my $end ('COMMIT', "PREPARE TRANSACTION 'p'")
{
  $writer->run("BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'shop.orders')");
  $writer->run($end) if $end ne 'COMMIT';
  $test->start_sql($empty);
  ok($waits->($test), "it waits: $end");
  is($other->run("SELECT count(*) FROM eventstore.read_events(store => 'shop.orders')"), '0', 'readers do not');
  $other->start_sql("SELECT eventstore.append_event('e', '2', 'a', 0, store => 'shop.orders')");
  ok($waits->($other), 'the next append does');
  $writer->run($end eq 'COMMIT' ? 'COMMIT' : "COMMIT PREPARED 'p'");
  is($test->finish_sql, '1', 'until that ends, and deletes its event');
  is($other->finish_sql, '1', 'and the next one begins the aggregate');
  is($test->run($empty), '1', 'once more');
}

# A reader goes on from its checkpoint, is woken, and one that has read nothing yet misses nothing that is there.
my $checkpoint = $test->run("SELECT eventstore.high_water_mark('shop.orders')");
cmp_ok($checkpoint, '>', 0, 'there is a checkpoint');
is($test->run("SELECT count(*) FROM eventstore.read_events($checkpoint, store => 'shop.orders')"), '0', 'after it there is nothing');
$test->start_sql("SELECT eventstore.wait_for_events($checkpoint, '30 s', store => 'shop.orders') > $checkpoint");
$writer->run("SELECT eventstore.append_event('e', '3', 'a', 0, store => 'shop.orders')");
is($test->finish_sql, 't', 'a reader that waits is woken');
is($test->run("SELECT position > $checkpoint, data FROM eventstore.read_events($checkpoint, store => 'shop.orders')"), 't|3', 'it gets the next event');
is($test->run("SELECT data FROM eventstore.read_events(0, store => 'shop.orders')"), '3', 'as does one from the beginning');
my $is_new = sub { grep { $_->[0] eq 'shop_orders' && $_->[1] =~ /"position": (\d+)/ && $1 > $checkpoint } @_ };
ok($is_new->($listener->hears($is_new)), 'the notifier announces it');

# A snapshot from before keeps its events.
$other->run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT eventstore.get_aggregate_version('a', 'shop.orders')");
is($test->run($empty), '1', 'emptied while a snapshot is held');
is($other->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '1', 'which still has the event');
$other->run('COMMIT');
is($other->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '0', 'and then has not');
$_->quit for $test, $writer, $other, $listener;

# A whole server for tests.
$node->append_conf('postgresql.conf', 'pg_eventstore.test_database = on');
$node->restart;
is($node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1'); SELECT eventstore.empty_store('eventstore.events')"), "\n1", 'a setting of the server is one of its databases');
$node->stop;
done_testing();
