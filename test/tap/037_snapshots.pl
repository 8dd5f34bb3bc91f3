# Snapshots in dumps, on standbys and on logical subscribers, and the memory of a fold.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('primary', "wal_level = logical\nmax_wal_senders = 10\n", allows_streaming => 1);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $saved = "SELECT string_agg(concat_ws(' ', state_name, aggregate_id, aggregate_version, state), ', ' ORDER BY state_name) FROM eventstore.snapshots WHERE store = 'shop.events'::regclass";
my $get = "SELECT eventstore.get_state('sum', 'a', store => 'shop.events')";

$node->safe_psql('postgres', <<'EOS');
CREATE ROLE shop;
SELECT eventstore.create_store('shop.events', 'off');
CREATE FUNCTION shop.sum(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(state::int + event.data::int)';
SELECT eventstore.create_state('sum', 'shop.sum(jsonb, eventstore.event)', '0', 2, 'shop.events');
SELECT eventstore.append_to_aggregate('a', '{e,e,e}', '{1,2,3}', store => 'shop.events');
SELECT eventstore.save_snapshot('a', 2, '"client"', 'shop.events');
EOS
is($node->safe_psql('postgres', $get), '6', 'a state');
is($node->safe_psql('postgres', $saved), ' a 2 "client", sum a 3 6', 'and its snapshot');

# Dump the database, with options, and restore it into a new one.
sub dump_and_restore
{
  my ($name, $options) = @_;
  local $ENV{PGOPTIONS} = $options;
  $node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], "$name: dumped");
  delete local $ENV{PGOPTIONS};
  $node->safe_psql('postgres', "CREATE DATABASE $name");
  $node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr($name), $dump ], "$name: restored");
  return;
}

# By default a dump has the states, but not the snapshots.
dump_and_restore('without', '');
is($node->safe_psql('without', $saved), '', 'a dump has no snapshots');
is($node->safe_psql('without', 'SELECT name, store, reducer, problem FROM eventstore.states'), 'sum|shop.events|shop.sum|', 'but the states');
is($node->safe_psql('without', $get), '6', 'which work');
is($node->safe_psql('without', $saved), 'sum a 3 6', 'and save snapshots again');

# With the setting it has the snapshots, and they are used: a changed one shows.
$node->safe_psql('postgres', q{UPDATE eventstore.snapshots SET state = '60' WHERE state_name = 'sum'});
dump_and_restore('with_them', '-c pg_eventstore.dump_snapshots=on');
is($node->safe_psql('with_them', $saved), ' a 2 "client", sum a 3 60', 'with the setting, a dump has the snapshots');
is($node->safe_psql('with_them', $get), '60', 'and they are used');
is($node->safe_psql('with_them', "SELECT state FROM eventstore.load_aggregate('a', 'shop.events') LIMIT 1"), '"client"', 'those of clients, too');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET pg_eventstore.dump_snapshots = true');
dump_and_restore('with_database', '');
is($node->safe_psql('with_database', $saved), ' a 2 "client", sum a 3 60', 'the setting may be that of the database');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET pg_eventstore.dump_snapshots');

# A restore without some stores skips their snapshots.
$node->safe_psql('postgres', "SELECT eventstore.create_store('shop.' || s, 'off') FROM unnest('{one,two}'::text[]) s");
$node->safe_psql('postgres', "SELECT eventstore.create_state('sum', 'shop.sum(jsonb, eventstore.event)', '0', 1, s::regclass), eventstore.append_event('e', '1', 'a', store => s::regclass),"
  . " eventstore.get_state('sum', 'a', store => s::regclass) FROM unnest('{shop.one,shop.two}'::text[]) s");
{
  local $ENV{PGOPTIONS} = '-c pg_eventstore.dump_snapshots=on';
  $node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'three stores: dumped');
}
$node->safe_psql('postgres', 'CREATE DATABASE partly');
my ($list) = run_command([ 'pg_restore', '-l', $dump ]);
append_to_file("$dump.list", join '', map { "$_\n" } grep { !/ shop .*(?:one|two)/ && !/TRIGGER/ } split /\n/, $list);
$node->command_ok([ 'pg_restore', '-e', '-L', "$dump.list", '-d', $node->connstr('partly'), $dump ], 'restored without two of them');
is($node->safe_psql('partly', 'SELECT string_agg(store::text, $$, $$) FROM eventstore.snapshots WHERE state_name <> $$$$'), 'shop.events', 'their snapshots are skipped');
is($node->safe_psql('partly', 'SELECT string_agg(store::text, $$, $$) FROM eventstore.state_definitions'), 'shop.events', 'and their states');

# A standby uses snapshots and saves none.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('a', '{e,e}', '{4,5}', store => 'shop.events')");
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $get), '69', 'a standby uses a snapshot');
is($standby->safe_psql('postgres', "SELECT eventstore.aggregate_state('a', 'shop.sum(jsonb, eventstore.event)', '0', store => 'shop.events')"), '69', 'also for a caller of the reducer');
is($standby->safe_psql('postgres', $saved), ' a 2 "client", sum a 3 60', 'and saves none');
is($standby->safe_psql('postgres', "SELECT aggregate_version FROM eventstore.get_snapshot('a', store => 'shop.events')"), '2', 'snapshots of clients');
is(sqlstate($standby, "SELECT eventstore.save_snapshot('a', 3, '1', 'shop.events')"), '25006', 'cannot be saved there');
is(sqlstate($standby, "SELECT eventstore.reset_state('sum', 'shop.events')"), '25006', 'nor can states be changed');
$node->safe_psql('postgres', "SELECT eventstore.erase_aggregate('a', 'test', 'shop.events')");
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $saved), '', 'an erasure deletes the snapshots there, too');

# A logical subscriber has no snapshots, since it would not notice erasures.
$node->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('b', '{e,e,e}', '{1,2,3}', store => 'shop.events'), eventstore.get_state('sum', 'b', store => 'shop.events');"
  . ' CREATE PUBLICATION p FOR ALL TABLES');
my $subscriber = start_node('subscriber', "wal_level = logical\n");
$subscriber->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_store('shop.events', 'off'), eventstore.create_store('shop.one', 'off'), eventstore.create_store('shop.two', 'off');
CREATE FUNCTION shop.sum(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(state::int + event.data::int)';
SELECT eventstore.create_state('sum', 'shop.sum(jsonb, eventstore.event)', '0', 2, 'shop.events');
SELECT eventstore.append_to_aggregate('own', '{e,e}', '{1,2}', store => 'shop.events');
SELECT eventstore.get_state('sum', 'own', store => 'shop.events');
EOS
is($subscriber->safe_psql('postgres', $saved), 'sum own 2 3', 'before it subscribes, a store has snapshots');
$subscriber->safe_psql('postgres', "UPDATE eventstore.snapshots SET state = '30';"
  . " CREATE SUBSCRIPTION s CONNECTION '" . ($node->connstr('postgres') =~ s{'}{''}gr) . "' PUBLICATION p WITH (copy_data = false)");
$node->wait_for_catchup('s');
$node->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('c', '{e,e,e}', '{1,2,3}', store => 'shop.events'); SELECT eventstore.get_state('sum', 'c', store => 'shop.events')");
$node->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', "SELECT eventstore.get_state('sum', 'c', store => 'shop.events')"), '6', 'a subscriber computes states');
is($subscriber->safe_psql('postgres', "SELECT eventstore.get_state('sum', 'own', store => 'shop.events')"), '3', 'and uses no snapshot');
is($subscriber->safe_psql('postgres', $saved), 'sum own 2 30', 'it gets none from the publisher, and saves none');
is(sqlstate($subscriber, "SELECT eventstore.save_snapshot('c', 1, '1', 'shop.events')"), '0A000', 'nor does a client');
$subscriber->stop;

# A fold of many events takes no more memory than work_mem and the state.
$node->safe_psql('postgres', q{INSERT INTO shop.events (event_type, aggregate_id, data) SELECT 'e', 'long', ('"' || repeat('x', 1000) || '"')::jsonb FROM generate_series(1, 50000)});
$node->safe_psql('postgres', q{CREATE FUNCTION shop.last(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT event.data'});
my $fold = q{SELECT length(eventstore.aggregate_state('long', 'shop.last(jsonb, eventstore.event)', store => 'shop.events')::text)};
my $peak = q{SELECT pg_read_file('/proc/self/status') ~ 'VmHWM', (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]};
SKIP:
{
  skip 'there is no /proc', 1 if !-r '/proc/self/status';
  my $short = $fold =~ s/long/b/r;
  my $session = session($node);
  $session->run($short);
  my $before = (split /\|/, $session->run($peak))[1];
  is($session->run($fold), '1002', 'a fold of 50 MB');
  my $after = (split /\|/, $session->run($peak))[1];
  cmp_ok($after - $before, '<', 30 * 1024, 'takes less than 30 MB');
  $session->quit;
}

# It can be cancelled.
my $session = session($node);
my $pid = $session->pid;
$node->safe_psql('postgres', q{CREATE FUNCTION shop.slow(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state FROM pg_sleep(0.001)'});
$session->start_sql($fold =~ s/shop\.last/shop.slow/r);
ok($node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid"), 'a slow fold');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$session->finish_sql;
is($session->state, '57014', 'can be cancelled');
$session->quit;

done_testing();
