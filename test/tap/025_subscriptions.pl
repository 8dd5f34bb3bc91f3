# Subscriptions beyond one session: dumps, standbys and failover, crashes, prepared
# transactions, locks, and stores that are renamed, moved or restored without their
# subscriptions.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('subscriptions', "autovacuum = off\nlog_statement = none\nmax_prepared_transactions = 5\npg_eventstore.test_database = on", allows_streaming => 1);
my $dir = PostgreSQL::Test::Utils::tempdir;
my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null');

# The positions that a poll delivers.
sub polled
{
  my ($on, $dbname, $subscription, $arguments) = @_;
  $arguments //= '';
  return join ' ', split /\n/, $on->safe_psql($dbname, "SELECT position FROM eventstore.poll('$subscription' $arguments)");
}

# Acknowledge what is out.
sub acknowledge
{
  my ($on, $dbname, $subscription) = @_;
  return $on->safe_psql($dbname, "SELECT eventstore.ack('$subscription', delivery) FROM eventstore.subscription_partitions WHERE subscription = '$subscription' AND delivery IS NOT NULL GROUP BY delivery");
}

my $state = q{SELECT subscription, partition, checkpoint, delivery IS NOT NULL, consumer, in_flight, attempt, stopped, last_error FROM eventstore.subscription_partitions ORDER BY 1, 2};
my $parked = q{SELECT subscription, position, aggregate_id, reason, behind FROM eventstore.parked_events ORDER BY 1, 2};

# Dump and restore: definitions, checkpoints, parked events and leases go along.
$node->safe_psql('postgres', 'CREATE DATABASE source; CREATE ROLE worker LOGIN');
$node->safe_psql('source', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.create_store('shop.orders', 'off');
SELECT eventstore.create_store('shop.gone', 'off');
SELECT eventstore.append_event('e', to_jsonb(n), 'a' || n % 3, store => s) FROM generate_series(1, 20) n, unnest('{shop.orders,eventstore.events,shop.gone}'::regclass[]) s;
GRANT USAGE ON SCHEMA eventstore, shop TO worker;
GRANT SELECT ON shop.orders TO worker;
SET ROLE worker;
SELECT eventstore.create_subscription('worker', 'shop.orders', '{e,f}', partitions => 4, lease => '1 hour');
RESET ROLE;
SELECT eventstore.create_subscription('all');
SELECT eventstore.create_subscription('gone', 'shop.gone');
SELECT eventstore.park('all', delivery, 3, 'bad') FROM eventstore.poll('all', 5, 'c') GROUP BY delivery;
SELECT count(*) FROM eventstore.poll('all', 5, 'c');
SELECT eventstore.ack('worker', delivery, 4) FROM eventstore.poll('worker', 6, 'c') GROUP BY delivery;
SELECT eventstore.alter_subscription('all', partitions => 2);
DROP TABLE shop.gone;
ALTER TABLE shop.orders SET SCHEMA eventstore; ALTER TABLE eventstore.orders SET SCHEMA shop; ALTER TABLE shop.orders RENAME TO sales;
EOS
is(polled($node, 'source', 'worker', ", 6, 'c'"), polled($node, 'source', 'worker', ", 6, 'c'"), 'a renamed store: its subscription goes on');
my %was = (state => $node->safe_psql('source', $state), parked => $node->safe_psql('source', $parked));
like($was{parked}, qr/^all\|3\|a0\|bad\|f$/m, 'an event is parked');
is($node->safe_psql('source', q{SELECT store FROM eventstore.subscriptions WHERE name = 'worker'}), 'shop.sales', 'the view has the new name');
for my $way ([ plain => [ [ 'pg_dump', '-f', "$dir/plain", 'source' ], [ @psql, '-1', '-f', "$dir/plain", '-d', 'plain' ] ] ],
  [ parallel => [ [ 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/parallel", 'source' ], [ 'pg_restore', '-e', '-j', '2', '-d', 'parallel', "$dir/parallel" ] ] ],
  [ inserts => [ [ 'pg_dump', '--inserts', '-f', "$dir/inserts", 'source' ], [ @psql, '-f', "$dir/inserts", '-d', 'inserts' ] ] ])
{
  my ($dbname, $commands) = @$way;
  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  $node->command_ok($_, "$dbname: $_->[0]") for @$commands;
  is($node->safe_psql($dbname, $state), $was{state}, "$dbname: the progress");
  is($node->safe_psql($dbname, $parked), $was{parked}, "$dbname: the parked events");
  is($node->safe_psql($dbname, 'SELECT name, store, owner FROM eventstore.subscriptions ORDER BY 1'),
    "all|eventstore.events|" . $node->safe_psql('postgres', 'SELECT current_user') . "\ngone|-|" . $node->safe_psql('postgres', 'SELECT current_user') . "\nworker|shop.sales|worker", "$dbname: the definitions");
  is(sqlstate($node, "SELECT * FROM eventstore.poll('gone')", dbname => $dbname), '42P01', "$dbname: without its store");
  # the lease of the restored delivery goes on, and its consumer gets the same events
  is(polled($node, $dbname, 'worker'), polled($node, $dbname, 'worker'), "$dbname: what others have");
  my $again = polled($node, $dbname, 'all', ", 100, 'c'");
  is($again, '4 5 7 8 10', "$dbname: the same events for the same consumer");
  acknowledge($node, $dbname, 'all');
  is(polled($node, $dbname, 'all', ", 100, 'c'"), '11 13 14 16 17 19 20', "$dbname: and then the others, by the new partitions");
  is($node->safe_psql($dbname, q{SELECT partitions, next_partitions FROM eventstore.subscriptions WHERE name = 'all'}), '2|', "$dbname: of which there are two");
}

# Restored without the events.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('bare', 'CREATE EXTENSION pg_eventstore');
my $rows = join '', map { "COPY eventstore.$_ FROM stdin;\n" . $node->safe_psql('source', "COPY (SELECT * FROM eventstore.$_ WHERE subscription = 'all') TO stdout") . "\n\\.\n" } qw(subscription_definitions subscription_progress);
$node->safe_psql('bare', $rows);
is(sqlstate($node, "SELECT * FROM eventstore.poll('all')", dbname => 'bare'), '22V01', 'checkpoints without their events are beyond the log');
is(sqlstate($node, "SELECT * FROM eventstore.subscriptions", dbname => 'bare'), '00000', 'the view works');
is($node->safe_psql('bare', "SELECT eventstore.reset_subscription('all', 0)"), '0', 'and a reset repairs it');

# A role that does not exist.
$node->safe_psql('bare', "UPDATE eventstore.subscription_definitions SET owner = 'nobody at all'");
is(sqlstate($node, "SELECT * FROM eventstore.poll('all')", dbname => 'bare'), '00000', 'an owner that does not exist: a superuser polls');

# A standby rejects what writes, and shows the views; after its promotion it goes on.
$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_subscription('s', partitions => 2, lease => '1 hour');
SELECT eventstore.append_event('e', to_jsonb(n), 'a' || n % 4) FROM generate_series(1, 10) n;
EOS
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is(polled($node, 'postgres', 's', ", 4, 'c'"), '1 2 3 4', 'the primary delivers');
$node->safe_psql('postgres', 'SELECT eventstore.advance_watermark()');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
for my $sql ("SELECT * FROM eventstore.poll('s')", "SELECT * FROM eventstore.poll('s', wait => '1 min')", "SELECT eventstore.ack('s', 1)", "SELECT eventstore.nack('s', 1, 1)", "SELECT eventstore.park('s', 1, 1)",
  "SELECT eventstore.extend_lease('s', 1)", "SELECT eventstore.release('s', 'c')", "SELECT eventstore.replay_parked('s')", "SELECT eventstore.discard_parked('s')", "SELECT eventstore.create_subscription('t')",
  "SELECT eventstore.alter_subscription('s')", "SELECT eventstore.drop_subscription('s')", "SELECT eventstore.pause_subscription('s')", "SELECT eventstore.resume_subscription('s')", "SELECT eventstore.reset_subscription('s', 0)")
{
  is(sqlstate($standby, $sql), '25006', "standby: no $sql");
}
is($standby->safe_psql('postgres', 'SELECT name, lag, in_flight FROM eventstore.subscriptions'), 's|10|4', 'standby: the view of subscriptions');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM eventstore.parked_events'), '0', 'standby: the view of parked events');
$node->stop('immediate');
$standby->promote;
is(polled($standby, 'postgres', 's', ", 4, 'c'"), '1 2 3 4', 'promoted: the consumer gets the same events again');
acknowledge($standby, 'postgres', 's');
is(polled($standby, 'postgres', 's', ", 4, 'c'"), '5 6 7 8', 'promoted: and then the next ones');
$standby->stop;

# A crash of the server: what was not committed was not polled.
$node->start;
acknowledge($node, 'postgres', 's');
my $open = session($node);
$open->run('BEGIN');
is($open->run("SELECT count(*) FROM eventstore.poll('s', 4, 'c')"), '4', 'a poll in an open transaction');
$node->stop('immediate');
eval { $open->quit };
$node->start;
is(polled($node, 'postgres', 's', ", 4, 'c'"), '5 6 7 8', 'after a crash its events come again');
acknowledge($node, 'postgres', 's');

# A prepared transaction keeps its partitions over a restart.
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '11', 'a0')");
$node->safe_psql('postgres', "BEGIN; SELECT count(*) FROM eventstore.poll('s', 1, 'c'); PREPARE TRANSACTION 'polled'");
$node->restart;
is(polled($node, 'postgres', 's', ", 1, 'c'"), '', 'a prepared poll: its consumer gets nothing');
is(polled($node, 'postgres', 's', ", 10, 'd'"), '11', 'a prepared poll: others get the other partition');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'polled'");
is(polled($node, 'postgres', 's', ", 10, 'c'"), '9 10', 'rolled back: it was not polled');
acknowledge($node, 'postgres', 's');

# A poll that waits: for a lock of the store no longer than lock_timeout, is canceled, and holds no row meanwhile.
my $locker = session($node);
$locker->run('BEGIN; LOCK TABLE eventstore.events');
is(sqlstate($node, "SET lock_timeout = '50ms'; SELECT * FROM eventstore.poll('s', wait => '1 min')"), '55P03', 'lock_timeout ends a poll of a locked store');
# An error that is not about the store ends the view; the session goes on.
my $viewer = session($node);
$viewer->run("SET lock_timeout = '50ms'");
$viewer->run('SELECT lag FROM eventstore.subscriptions');
is($viewer->state, '55P03', 'lock_timeout ends the view of a locked store');
is($viewer->run('SELECT 1'), '1', 'and its session goes on');
$viewer->quit;
$locker->run('ROLLBACK');
my $waiting = session($node);
my $pid = $waiting->pid;
$waiting->start_sql("SELECT count(*) FROM eventstore.poll('s', 10, 'w', '60 s')");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid") or die 'the poll does not wait';
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $pid AND (locktype = 'transactionid' OR locktype = 'advisory')"), '0', 'a poll that waits has no transaction id and no lock on the consumer');
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT FROM eventstore.subscription_progress FOR UPDATE NOWAIT) s") > 0, 1, 'nor on a row');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$waiting->finish_sql;
is($waiting->state, '57014', 'it can be canceled');
$waiting->start_sql("SELECT count(*) FROM eventstore.poll('s', 10, 'w', '60 s')");
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '12', 'a1')");
is($waiting->finish_sql, '1', 'an event ends the wait');
acknowledge($node, 'postgres', 's');
$waiting->start_sql("SELECT count(*) FROM eventstore.poll('s', 10, 'w', '60 s')");
$node->safe_psql('postgres', "SELECT eventstore.drop_subscription('s')");
$waiting->finish_sql;
is($waiting->state, '42704', 'so does the end of the subscription');

# A store that is emptied between two tests: checkpoints stay, and nothing is parked.
$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_subscription('t');
SELECT eventstore.park('t', delivery, 3, 'bad') FROM eventstore.poll('t', 5, 'c') GROUP BY delivery;
SELECT count(*) FROM eventstore.poll('t', 3, 'c');
SELECT eventstore.empty_store('eventstore.events');
EOS
is($node->safe_psql('postgres', 'SELECT parked, lag FROM eventstore.subscriptions'), '0|0', 'an emptied store: nothing is parked');
is(polled($node, 'postgres', 't', ", 5, 'c'"), '', 'nor delivered');
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a1')");
is(polled($node, 'postgres', 't', ", 5, 'c'"), '13', 'what is new is delivered');

# Fifty idle consumers write nothing.
acknowledge($node, 'postgres', 't');
my $script = "$dir/idle.sql";
append_to_file($script, "\\set c random(1, 50)\nSELECT count(*) FROM eventstore.poll('t', 10, 'c' || :c);\n");
$node->safe_psql('postgres', 'CHECKPOINT');
my $wal = 'SELECT pg_current_wal_insert_lsn()';
my $least;
for my $try (1 .. 5)
{
  my $before = $node->safe_psql('postgres', $wal);
  $node->command_ok([ 'pgbench', '-n', '-c', '4', '-t', '50', '-f', $script, 'postgres' ], 'idle consumers');
  my $written = $node->safe_psql('postgres', "SELECT pg_current_wal_insert_lsn() - '$before'");
  $least = $written if !defined $least || $written < $least;
  last if $least == 0;
}
is($least, 0, 'idle consumers write no WAL');

$node->stop;
done_testing();
