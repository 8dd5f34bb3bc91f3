# With shared_preload_libraries, the launcher starts the notifiers when the server starts:
# after a restart, a crash or a promotion, with few worker slots, and beside DROP DATABASE.
# Without, they wait for a session.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $preload = "shared_preload_libraries = 'pg_eventstore'";
my $launcher = "backend_type = 'pg_eventstore launcher'";

# Wait until a query gives "t", for three minutes; the server may be restarting.
sub soon
{
  my ($node, $dbname, $sql) = @_;
  my $end = time + 180;
  while (time < $end)
  {
    my ($rc, $out) = $node->psql($dbname, $sql);
    return 1 if $rc == 0 && $out eq 't';
    sleep 0.1;
  }
  return 0;
}

# Wait until a function returns true, for three minutes.
sub until_true
{
  my ($is_true) = @_;
  my $end = time + 180;
  sleep 0.1 while !$is_true->() && time < $end;
  return $is_true->() ? 1 : 0;
}

# The number of notifiers of a database.
sub notifiers
{
  my ($node, $dbname) = @_;
  return $node->safe_psql('postgres',
    "SELECT count(*) FROM pg_stat_activity WHERE datname = '$dbname' AND backend_type = 'pg_eventstore notifier'");
}

# Append an event that no notifier announces or puts below the watermark: no session
# starts one before the time that the status has.
sub leave_behind
{
  my ($node, @dbnames) = @_;
  for my $dbname (@dbnames)
  {
    soon($node, 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$dbname'") or die "$dbname is in use";
    $node->safe_psql($dbname, q{
      DELETE FROM eventstore.notifier_status;
      INSERT INTO eventstore.notifier_status (failed_starts, next_start_at) VALUES (1, now() + interval '1 hour');
      SELECT eventstore.append_event('e', '1')});
    die "$dbname has a notifier" if is_done($node, $dbname) eq 't';
  }
  return;
}

# Whether all events of a database are below the watermark and announced. The query calls
# no function of the extension, so it starts no notifier.
my $done = q{SELECT (SELECT last_value FROM eventstore.events_position_seq) =
  COALESCE((SELECT least(position, announced) FROM eventstore.watermarks WHERE store = 'eventstore.events'::regclass), 0)};
sub is_done
{
  my ($node, $dbname) = @_;
  return $node->safe_psql($dbname, $done);
}

# Wait until there is no notifier.
sub wait_until_idle
{
  my ($node) = @_;
  soon($node, 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_eventstore notifier'") or die 'a notifier stays';
  return;
}

# Wait until the launcher waits for a slot.
sub wait_until_waiting
{
  my ($node) = @_;
  return soon($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $launcher AND datname IS NULL AND query ~ 'waiting for a free'");
}

# Prepare an append in a database: its notifier stays until the transaction ends.
sub prepare
{
  my ($node, $dbname) = @_;
  wait_until_idle($node);
  $node->safe_psql($dbname, q{DELETE FROM eventstore.notifier_status; BEGIN; SELECT eventstore.append_event('e', '1'); PREPARE TRANSACTION 'p'});
  return;
}

# How many lines the log has of a kind since a place in it, without those of statements.
sub log_end { return -s $_[0]->logfile }
sub lines
{
  my ($node, $line, $from) = @_;
  return scalar(grep { /$line/ && !/LOG:\s+statement:/ } split /^/, slurp_file($node->logfile, $from));
}

# Wait until the launcher has ended, as the log shows since a place in it.
sub launcher_ends
{
  my ($node, $from) = @_;
  return until_true(sub { lines($node, qr/"pg_eventstore launcher" \(PID \d+\) exited with exit code 1/, $from) });
}

# The errors since a place in the log.
sub errors
{
  my ($node, $from) = @_;
  return join '', grep { /(?:ERROR|FATAL|PANIC|WARNING):/ } split /^/, slurp_file($node->logfile, $from);
}

my $node = start_node('preload', q{
max_prepared_transactions = 10
restart_after_crash = on
wal_level = replica
max_wal_senders = 4
}, allows_streaming => 1);
for my $dbname ('one', 'two', 'closed', 'gone', 'bare')
{
  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  $node->safe_psql($dbname, 'CREATE EXTENSION pg_eventstore') if $dbname ne 'bare';
}

### Without preloading, nothing is started.
leave_behind($node, 'one');
prepare($node, 'two');
my $log = log_end($node);
$node->restart;
sleep 3;
is(is_done($node, 'one'), 'f', 'without preloading, an event of before a restart is not announced');
is(notifiers($node, $_), 0, "and there is no notifier of database $_") for 'one', 'two';
$node->safe_psql('two', "COMMIT PREPARED 'p'");
sleep 1.5;
is(is_done($node, 'two'), 'f', 'nor does one come when a transaction of before is committed');
is(lines($node, 'pg_eventstore launcher', $log), 0, 'there is no launcher');
$node->safe_psql('two', 'SELECT count(*) FROM eventstore.read_events()');
ok(soon($node, 'two', $done), 'a session that reads starts one');

### With preloading, after a restart.
leave_behind($node, 'one', 'closed');
prepare($node, 'two');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
$node->append_conf('postgresql.conf', $preload);
$log = log_end($node);
$node->restart;
ok(soon($node, 'one', $done), 'with preloading, an event of before a restart is announced');
ok(soon($node, 'one', 'SELECT failed_starts = 0 AND next_start_at IS NULL FROM eventstore.notifier'), 'and the status is reset');
ok(launcher_ends($node, $log), 'the launcher ends');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE $launcher"), '0', 'as the view shows');
is(notifiers($node, 'two'), 1, 'a prepared append has a notifier');
my $listener = session($node, 'two');
$listener->run('LISTEN eventstore_events');
$node->safe_psql('two', "COMMIT PREPARED 'p'");
is(scalar($listener->hears(sub { @_ > 0 })) > 0, 1, 'which announces it when it is committed');
$listener->quit;
is(errors($node, $log), '', 'nothing has failed');
is(lines($node, 'pg_eventstore launcher', $log), 1, 'the log has one line of the launcher');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
is(is_done($node, 'closed'), 'f', 'a database without connections is left alone');
wait_until_idle($node);
$log = log_end($node);
$node->restart;
ok(launcher_ends($node, $log) && soon($node, 'closed', $done), 'until it allows them');

### A notifier without work leaves at once.
wait_until_idle($node);
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nlog_line_prefix = '%m [%p] %b '");
$log = log_end($node);
$node->restart;
ok(launcher_ends($node, $log), 'the launcher ends');
cmp_ok(lines($node, 'registering background worker "pg_eventstore notifier"', $log), '>=', 6, 'after it has started the notifiers of all databases');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore notifier'"), '0', 'which have ended, too');
$node->append_conf('postgresql.conf', 'log_min_messages = warning');

### After a crash.
leave_behind($node, 'one', 'two');
$log = log_end($node);
$node->stop('immediate');
$node->start;
ok(soon($node, $_, $done), "after an immediate stop, the event of database $_ is announced") for 'one', 'two';
ok(launcher_ends($node, $log), 'the launcher ends');
for my $round (1, 2)
{
  leave_behind($node, 'one');
  my $victim = session($node, 'bare');
  my $pid = $victim->pid;
  $log = log_end($node);
  kill 'KILL', $pid;
  eval { $victim->quit };
  ok($node->wait_for_log(qr/database system is ready to accept connections/, $log), "$round: kill -9 restarts the server");
  ok(soon($node, 'one', $done), 'and the event is announced');
  ok(launcher_ends($node, $log), 'the launcher ends again');
}

### DROP DATABASE and CREATE DATABASE right after a start, and a database that is gone.
for my $round (1 .. 3)
{
  $node->safe_psql('postgres', 'CREATE DATABASE gone TEMPLATE one') if $round > 1;
  $log = log_end($node);
  $node->restart;
  is($node->psql('postgres', 'DROP DATABASE gone'), 0, "$round: a database can be dropped right after the start");
  is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE two'), 0, 'and copied');
  is($node->psql('postgres', 'DROP DATABASE copy'), 0, 'and the copy dropped');
  ok(launcher_ends($node, $log), 'the launcher ends');
  is(join('', grep { !/does not exist/ } split /^/, errors($node, $log)), '', 'nothing has failed');
}

### Few worker slots: the launcher and one notifier.
$node->append_conf('postgresql.conf', "max_logical_replication_workers = 0\nmax_worker_processes = 2");
prepare($node, 'one');
leave_behind($node, 'two');
$log = log_end($node);
$node->restart;
ok(until_true(sub { notifiers($node, 'one') == 1 }), 'a notifier has the only slot');
ok(wait_until_waiting($node), 'so the launcher waits');
is(is_done($node, 'two'), 'f', 'and the event of another database is not announced');
sleep 4;
is(lines($node, qr/LOG:\s+could not start the pg_eventstore notifier of database "\w+": no background worker slot is free/, $log), 1,
  'the log says so once');
is(lines($node, qr/HINT:\s+You might need to increase max_worker_processes/, $log), 1, 'with a hint');
$node->reload;
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $launcher");
$node->safe_psql('one', "COMMIT PREPARED 'p'");
ok(soon($node, 'two', $done), 'it is announced when the slot is free');
ok(launcher_ends($node, $log), 'and the launcher ends');
is(errors($node, $log), '', 'nothing has failed');

# It is terminated.
prepare($node, 'one');
leave_behind($node, 'two');
$log = log_end($node);
$node->restart;
wait_until_waiting($node) or die 'it does not wait';
is($node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE $launcher"), 't', 'the launcher is terminated');
$node->safe_psql('one', "COMMIT PREPARED 'p'");
wait_until_idle($node);
sleep 2;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE $launcher"), '0', 'and does not come again');
is(is_done($node, 'two'), 'f', 'what it has not started yet waits');
$node->safe_psql('two', q{UPDATE eventstore.notifier_status SET next_start_at = NULL; SELECT eventstore.append_event('e', '1')});
ok(soon($node, 'two', $done), 'for an append');

# The server is stopped while it waits.
prepare($node, 'one');
$node->restart;
wait_until_waiting($node) or die 'it does not wait';
my $start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 60, 'the server stops while the launcher waits');

# Slots for the launcher alone, or for nothing.
for my $count (1, 0)
{
  $node->append_conf('postgresql.conf', "max_worker_processes = $count");
  $log = log_end($node);
  $node->start;
  $node->safe_psql('one', "ROLLBACK PREPARED 'p'") if $count == 1;
  ok(until_true(sub { lines($node, $count ? qr/LOG:\s+could not start the pg_eventstore notifier of database/ : qr/LOG:\s+too many background workers/, $log) }),
    "with $count worker slots, the log says that they are too few");
  $listener = session($node, 'two');
  $listener->run('LISTEN eventstore_events');
  $node->safe_psql('two', "SELECT eventstore.append_event('e', '1')");
  is(scalar($listener->hears(sub { @_ > 0 })) > 0, 1, 'an append announces itself');
  $listener->quit;
  $node->stop;
}
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');

### What else preloading changes.
$node->start;
is($node->safe_psql('bare', 'SHOW pg_eventstore.notifier_tick'), '1ms', 'the settings are known in each session');
is(sqlstate($node, "SET pg_eventstore.nonsense = '1'"), '42602', 'and no others with their prefix');
is(sqlstate($node, "SET pg_eventstore.store = 'a.b.c'"), '22023', 'values are checked');
{
  local $ENV{PGOPTIONS} = '-c pg_eventstore.test_database=on';
  isnt(($node->psql('two', 'SELECT 1'))[0], 0, 'a connection cannot declare a database to be one for tests');
}
is(sqlstate($node, 'ALTER EXTENSION pg_eventstore UPDATE', dbname => 'two'), '00000', 'the extension can be updated');
is($node->safe_psql('two', q{SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
  SET } . ($node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode') . q{ = on; SELECT count(*) > 0 FROM eventstore.events}), 't', 'parallel workers run');
is(sqlstate($node, 'DROP EXTENSION pg_eventstore; CREATE EXTENSION pg_eventstore', dbname => 'two'), '00000', 'the extension can be dropped and made');
is(sqlstate($node, "SELECT eventstore.append_event('e', '1')", dbname => 'two'), '00000', 'an append');
ok(soon($node, 'two', $done), 'and its notifier, whose library is the preloaded one');
$node->stop;

# Single-user mode, and the mode of pg_upgrade.
my ($out, $err) = ('', '');
IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, 'two' ], '<', \"SELECT eventstore.append_event('e', '1', 'single')\n", '>', \$out, '2>', \$err, IPC::Run::timeout(120));
like($out, qr/append_event = "/, 'single-user mode');
$log = log_end($node);
command_ok([ 'pg_ctl', '-w', '-s', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ], 'a server in the mode of pg_upgrade');
sleep 1;
command_ok([ 'pg_ctl', '-w', '-s', '-D', $node->data_dir, 'stop' ], 'and its end');
is(lines($node, 'pg_eventstore launcher', $log), 0, 'has no launcher');

$node->start;
ok(soon($node, 'two', $done), 'the next start announces what was appended in single-user mode');

### The promotion of a standby.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
leave_behind($node, 'one');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'eventstore'"), '0', 'a standby has no launcher');
is(is_done($standby, 'one'), 'f', 'and waits for the watermark');
$node->stop;
$log = log_end($standby);
$standby->promote;
ok(soon($standby, 'one', $done), 'after its promotion, what was left is announced');
ok(launcher_ends($standby, $log), 'and the launcher ends');
$standby->stop;
done_testing();
