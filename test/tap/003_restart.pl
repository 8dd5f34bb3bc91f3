# Restarts, crashes and prepared transactions.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('restart', 'max_prepared_transactions = 10');
$node->safe_psql('postgres', "SELECT eventstore.create_store('quiet.events', 'off')");

# Append to an aggregate; its new position.
sub append
{
  my ($aggregate, $expected, $store) = @_;
  return $node->safe_psql('postgres', sprintf(
    q{SELECT position FROM eventstore.append('[{"event_type": "e", "aggregate_id": "%s", "data": 1}]', '{"%s": %s}', '%s')},
    $aggregate, $aggregate, $expected // 'null', $store // 'eventstore.events'));
}

# A clean restart.
my $position = append('a', 0);
$node->restart;
is(append('a', 1), $position + 1, 'versions and positions continue after a restart');

# A crash with open appends, right after commits.
my @open = map { session($node) } 1 .. 3;
my @seen;
for my $i (0 .. $#open)
{
  $open[$i]->run("BEGIN; SELECT eventstore.append_event('open', '1', 'open-$i'), eventstore.append_event('open', '1', 'a-$i', 0)");
  push @seen, append('crash', $i);
}
$open[0]->run('SAVEPOINT s');
$node->stop('immediate');
$_->quit for @open;
$node->start;
is($node->safe_psql('postgres', "SELECT array_agg(position ORDER BY aggregate_version) FROM eventstore.get_events_by_aggregate('crash')"),
  '{' . join(',', @seen) . '}', 'committed events survive a crash');
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.get_events_by_type('open')"), '0', 'open appends do not');
cmp_ok(append('crash', 3), '>', $seen[-1], 'a position that was seen is not given again');
is($node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'open-0', 0)"), '1', 'nobody holds the lost aggregates');

# Several crashes right after commits; positions grow with versions.
for my $i (4 .. 6)
{
  append('crash', $i);
  $node->stop('immediate');
  $node->start;
}
append('crash', 7);
is($node->safe_psql('postgres', q{SELECT count(*), max(aggregate_version), bool_and(position > before)
  FROM (SELECT *, lag(position, 1, 0::bigint) OVER (ORDER BY aggregate_version) AS before
        FROM eventstore.get_events_by_aggregate('crash')) e}),
  '8|8|t', 'nothing is lost or inverted by crashes');

# What transaction $name holds: its locks that are the extension's.
sub guards
{
  return $node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND pid IS NULL AND granted
      AND classid = 'quiet.events_position_seq'::regclass AND mode = 'RowExclusiveLock'});
}

# A prepared append across a restart: locked before and after.
$node->safe_psql('postgres', <<'EOS');
BEGIN;
SELECT eventstore.append_event('prepared', '1', 'kept', 0, store => 'quiet.events');
PREPARE TRANSACTION 'kept';
BEGIN;
SELECT eventstore.append_event('before', '1', 'undone', 0, store => 'quiet.events');
SAVEPOINT s;
SELECT eventstore.append_event('rolled back', '1', 'third', 0, store => 'quiet.events');
ROLLBACK TO s;
SELECT eventstore.append_event('prepared', '2', 'undone', 1, store => 'quiet.events');
PREPARE TRANSACTION 'undone';
EOS
for my $when ('before', 'after a restart', 'after a crash')
{
  $node->restart if $when =~ /restart/;
  if ($when =~ /crash/)
  {
    $node->stop('immediate');
    $node->start;
  }
  is(guards(), 2, "$when: each prepared append guards its positions");
  for my $aggregate ('kept', 'undone')
  {
    is(sqlstate($node, "SET lock_timeout = '200ms'; SELECT eventstore.append_event('e', '1', '$aggregate', store => 'quiet.events')"),
      '55P03', "$when: an append to aggregate $aggregate waits");
  }
  is($node->safe_psql('postgres', "SET lock_timeout = '200ms'; BEGIN; SELECT eventstore.append_event('e', '1', 'third', 0, store => 'quiet.events'); ROLLBACK"),
    '1', "$when: one to another aggregate does not");
  is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.get_latest_events(10, 'quiet.events')"), '0', "$when: prepared events are not seen");
}

# Whoever waits goes on as soon as the prepared transaction ends.
my @waiting;
for my $aggregate ('kept', 'undone')
{
  my $session = session($node);
  my $pid = $session->pid;
  $session->start_sql("SELECT eventstore.append_event('waited', '1', '$aggregate', store => 'quiet.events')");
  $node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
    or die 'it does not wait';
  push @waiting, $session;
}
$node->safe_psql('postgres', "COMMIT PREPARED 'kept'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'undone'");
is($waiting[0]->finish_sql, '2', 'after COMMIT PREPARED the next version follows it');
is($waiting[1]->finish_sql, '1', 'after ROLLBACK PREPARED the first version is free again');
$_->quit for @waiting;
is(guards(), 0, 'the guards are gone');
is($node->safe_psql('postgres', "SELECT string_agg(format('%s %s', event_type, aggregate_version), ',' ORDER BY aggregate_version) FROM eventstore.get_events_by_aggregate('kept', store => 'quiet.events')"),
  'prepared 1,waited 2', 'the events stand in order');
is(sqlstate($node, "SELECT eventstore.append_event('e', '1', 'kept', 1, store => 'quiet.events')"), '40V01', 'a conflict is seen');

# A session that prepared may append at once, under a guard of its own.
my $session = session($node);
$session->run("BEGIN; SELECT eventstore.append_event('e', '1', 'p', 0, store => 'quiet.events'); PREPARE TRANSACTION 'p'");
is($session->state, '00000', 'a transaction is prepared');
$session->run("BEGIN");
is($session->run("SELECT eventstore.append_event('e', '1', 'q', 0, store => 'quiet.events')"), '1', 'its session appends again');
is($session->run(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
  AND classid = 'quiet.events_position_seq'::regclass AND mode = 'RowExclusiveLock'}), '1', 'under a guard of its own');
$session->run("COMMIT; COMMIT PREPARED 'p'");
is($session->state, '00000', 'and both commit');
$session->quit;

# In mode commit, NOTIFY forbids PREPARE TRANSACTION.
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('quiet.events', 'commit')");
my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; SELECT eventstore.append_event('e', '1', 'r', store => 'quiet.events'); PREPARE TRANSACTION 'r'",
  extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  0A000: cannot prepare a transaction that has appended to store quiet.events/, 'a notifying append cannot be prepared');
is($node->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('r', 'quiet.events')"), '0', 'and is rolled back');
is(append('r', 0, 'quiet.events') > 0, 1, 'and its aggregate is free');

$node->stop;
done_testing();
