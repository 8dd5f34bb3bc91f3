# Concurrent clients: versions have no gaps, positions are in the order of versions, and
# no errors occur except the expected conflicts.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('concurrency', "max_connections = 40\nlog_min_messages = error\nlog_statement = none");

# Clients append to few aggregates, by every way. A conflict is counted; any
# other error ends a client, and pgbench fails.
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE outcome (conflict boolean NOT NULL, events int NOT NULL);
CREATE FUNCTION try_append(aggregate text, expected int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.append_to_aggregate(aggregate, ARRAY['tried', 'tried'], ARRAY['1', '2']::jsonb[], expected);
  INSERT INTO outcome VALUES (false, 2);
EXCEPTION WHEN SQLSTATE '40V01' THEN
  INSERT INTO outcome VALUES (true, 0);
END $$;
EOS
my %ways = (
  append_events => q{SELECT eventstore.append_events(jsonb_build_array(
    jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :a, 'data', 1),
    jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :a, 'data', 2)))},
  append_event => q{SELECT eventstore.append_event('e', '1', 'a' || :a)},
  append_to_aggregate => q{SELECT eventstore.append_to_aggregate('a' || :a, ARRAY['e', 'e'], ARRAY['1', '2']::jsonb[])},
  append => q{SELECT * FROM eventstore.append(jsonb_build_array(
    jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :a, 'data', 1),
    jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :b, 'data', 1),
    jsonb_build_object('event_type', 'e', 'data', 1)))},
  rollback => q{BEGIN; SELECT eventstore.append_event('lost', '1', 'a' || :a); ROLLBACK},
  savepoint => q{BEGIN; SAVEPOINT s; SELECT eventstore.append_event('lost', '1', 'a' || :a); ROLLBACK TO s;
    SELECT eventstore.append_event('e', '1', 'a' || :a); COMMIT},
  raw_insert => q{INSERT INTO eventstore.events (event_type, data) VALUES ('raw', '1')},
  expected => q{SELECT try_append('a' || :a, eventstore.get_aggregate_version('a' || :a))},
  repeatable_read => q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outcome WHERE conflict;
    SELECT eventstore.append_event('e', '1', 'a' || :a); COMMIT},
);
my $random = "\\set a random(1, 20)\n\\set b random(1, 20)\n";
$node->pgbench('-n -c 8 -j 2 -T 8', 0, [ qr/number of failed transactions: 0 / ], [ qr/\A(?:pgbench \(.*\)\n)?\z/ ],
  'clients append in every way without an error',
  { map { +"way_$_" => "$random$ways{$_};\n" } keys %ways }, 'postgres');

# What must hold of all events of a store.
sub is_in_order
{
  my ($store, $how) = @_;
  is($node->safe_psql('postgres', qq{SELECT count(*) FROM (
      SELECT count(*) AS n, min(aggregate_version) AS first, max(aggregate_version) AS last
        FROM $store WHERE aggregate_id IS NOT NULL GROUP BY aggregate_id) a
      WHERE first <> 1 OR last <> n}), '0', "$how: versions have no holes");
  is($node->safe_psql('postgres', qq{SELECT count(*) FROM (
      SELECT position, lag(position) OVER (PARTITION BY aggregate_id ORDER BY aggregate_version) AS before
        FROM $store WHERE aggregate_id IS NOT NULL) e
      WHERE position <= before}), '0', "$how: positions are in the order of versions");
}
is_in_order('eventstore.events', 'every way');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT aggregate_id) FROM eventstore.events'), '20', 'all aggregates have events');
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.events WHERE event_type = 'lost'"), '0', 'none was rolled back');
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.events WHERE event_type = 'tried'"),
  $node->safe_psql('postgres', 'SELECT sum(events) FROM outcome'), 'of the calls that expect a version, just those without conflict appended');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM outcome WHERE conflict'), '>', 0, 'some met a conflict');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM outcome WHERE NOT conflict'), '>', 0, 'some did not');

# Read, decide, append: as many successes as versions, no lost update.
$node->safe_psql('postgres', 'TRUNCATE outcome');
$node->pgbench('-n -c 8 -j 2 -t 60', 0, [ qr/processed: 480\/480/ ], [ qr/\A(?:pgbench \(.*\)\n)?\z/ ],
  'clients compete for one aggregate',
  { compete => "SELECT try_append('one', eventstore.get_aggregate_version('one'));\n" }, 'postgres');
is($node->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('one') = sum(events) AND count(*) = 480 FROM outcome"),
  't', 'each call either appended all of its events or met a conflict');
is_in_order('eventstore.events', 'competition');

# The same new store in the same new schema, by all at once.
$node->pgbench('-n -c 8 -j 8 -t 15 -D n=0', 0, [ qr/processed: 120\/120/ ],
  [ qr/\A(?:(?:NOTICE:  store race_\d+\.events already exists, skipping|pgbench \(.*\))\n)*\z/ ],
  'eight sessions create the same stores at once',
  { create => "\\set n :n + 1\nSELECT to_regclass(format('race_%s.events', :n));\nSELECT eventstore.create_store(format('race_%s.events', :n));\nSELECT eventstore.append_event('e', '1', 'a', store => format('race_%s.events', :n)::regclass);\n" }, 'postgres');
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.stores WHERE store::text LIKE 'race%'"), '15', 'each store is there once');
is($node->safe_psql('postgres', "SELECT sum(eventstore.get_aggregate_version('a', store)) FROM eventstore.stores WHERE store::text LIKE 'race%'"),
  '120', 'and took the events of all');

# One waits for the other, and has looked for the schema before.
my ($one, $two) = (session($node), session($node));
$two->run("SELECT to_regclass('late.events')");
$one->run("BEGIN; SELECT eventstore.create_store('late.events')");
my $pid = $two->pid;
$two->start_sql("SELECT eventstore.create_store('late.events')");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid") or die 'it does not wait';
$one->run('COMMIT');
is($two->finish_sql, 'late.events', 'who waited finds the store');
is($two->state, '00000', 'without an error');

# Alter a store again and again while others append to it.
sub alter_while_busy
{
  my ($how, $round) = @_;
  (my $schema = "busy $how") =~ s/\W/_/g;
  $node->safe_psql('postgres', "SELECT eventstore.create_store('$schema.events')");
  my $oid = $node->safe_psql('postgres', "SELECT '$schema.events'::regclass::oid");
  my $script = $node->basedir . "/$schema.sql";
  append_to_file($script, "${random}SELECT eventstore.append_event('e', '1', 'a' || :a, store => $oid);
SELECT eventstore.append_to_aggregate('a' || :b, ARRAY['e', 'e'], ARRAY['1', '2']::jsonb[], store => $oid);
SELECT * FROM eventstore.append(jsonb_build_array(jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :a, 'data', 1)), store => $oid);
SELECT count(*) FROM eventstore.get_events_by_aggregate('a' || :b, max_count => 10, store => $oid);\n");
  my ($out, $err) = ('', '');
  my $bench = IPC::Run::start(
    [ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', '5', '-f', $script, $node->connstr('postgres') ],
    '>', \$out, '2>', \$err, IPC::Run::timeout(120));
  $node->poll_query_until('postgres', "SELECT count(*) > 100 FROM $schema.events") or die 'nothing is appended';

  my ($n, $until) = (0, time + 3);
  my @errors;
  while (time < $until)
  {
    $n++;
    for my $sql ($round->($schema, $n))
    {
      $one->run($sql);
      push @errors, $one->state . ": $sql" if $one->state ne '00000';
    }
  }
  $bench->finish;
  cmp_ok($n, '>', 1, "$how: done repeatedly");
  is_deeply(\@errors, [], "$how: without an error");
  $err =~ s/^pgbench \(.*\)\n//m;
  is($err, '', "$how: nor in the clients that append");
  like($out, qr/number of failed transactions: 0 /, "$how: none of these gave up");
  is_in_order("$schema.events", $how);
  return $node->safe_psql('postgres', "SELECT notifications, channel FROM eventstore.stores WHERE store = $oid"), $n;
}

my ($options, $n) = alter_while_busy('columns, indexes and options', sub {
  my ($schema, $n) = @_;
  return ("ALTER TABLE $schema.events ADD COLUMN extra_$n int",
    "ALTER TABLE $schema.events ALTER COLUMN event_id TYPE varchar(@{[36 + $n]})",
    "CREATE INDEX extra_$n ON $schema.events ((data), position)",
    "SELECT eventstore.set_notifications('$schema.events', '" . ('off', 'commit', 'worker')[$n % 3] . "', 'channel $n')",
    "ALTER INDEX $schema.events_pkey RENAME TO key_$n",
    "ALTER INDEX $schema.key_$n RENAME TO events_pkey",
    "CREATE INDEX CONCURRENTLY later_$n ON $schema.events (occurred_at)",
    "DROP INDEX $schema.extra_$n",
    "ALTER TABLE $schema.events DROP COLUMN extra_$n",
    "DROP INDEX CONCURRENTLY $schema.later_$n",
    "ANALYZE $schema.events");
});
is($options, ('off', 'commit', 'worker')[$n % 3] . "|channel $n", 'the last options hold');

alter_while_busy('options', sub {
  my ($schema, $n) = @_;
  return map { "SELECT eventstore.set_notifications('$schema.events', '$_', '$_ $n')" } 'off', 'commit', 'worker';
});
alter_while_busy('rename', sub {
  my ($schema) = @_;
  return ("ALTER TABLE $schema.events RENAME TO renamed", "ALTER TABLE $schema.renamed RENAME TO events");
});
alter_while_busy('move', sub {
  my ($schema) = @_;
  return ("ALTER TABLE $schema.events SET SCHEMA public", "ALTER TABLE public.events SET SCHEMA $schema");
});

$_->quit for $one, $two;
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|terminated by signal|deadlock/, 'no deadlock, no crash');
$node->stop;
done_testing();
