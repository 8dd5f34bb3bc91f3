# Events that readers have seen, and that a crash, a failover or a recovery removes; and
# how readers detect that.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $history = "SELECT history FROM eventstore.stores WHERE store = 'shop.orders'::regclass";
my $append = "SELECT eventstore.append_event('e', '1', event_id => '%s', store => 'shop.orders')";

# Nothing flushes the WAL but who is told to: the walwriter sleeps, and there is
# no notifier.
my $quiet = "wal_writer_delay = '10s'\ncheckpoint_timeout = '1h'\nautovacuum = off\n";
my $node = start_node('crash', $quiet);
$node->safe_psql('postgres', "SELECT eventstore.create_store('shop.orders', 'off')");
$node->safe_psql('postgres', sprintf $append, 'first');
my $before = $node->safe_psql('postgres', $history);

# Somebody appends an event by an asynchronous commit, a reader sees it by some
# call, and the server crashes. Whether the event is lost.
my $n = 0;
sub is_lost
{
  my ($durable_reads, $call) = @_;
  my $id = 'event-' . ++$n;
  my ($writer, $reader) = (session($node), session($node));

  $reader->run("SET pg_eventstore.durable_reads = $durable_reads; SET pg_eventstore.store = 'shop.orders'");
  my $last = $reader->run('SELECT eventstore.high_water_mark()');
  $writer->run('SET synchronous_commit = off');
  $writer->run(sprintf $append, $id);
  my $seen = $reader->run(sprintf $call, $last);
  $node->stop('immediate');
  $_->quit for $writer, $reader;
  die "the reader did not see the event: $seen" if $seen ne $last + 1;
  $node->start;
  return $node->safe_psql('postgres', "SELECT count(*) FROM eventstore.get_event('$id', 'shop.orders')") eq '0';
}

my $lost = 0;
for (1 .. 6)
{
  $lost ||= is_lost('off', 'SELECT position FROM eventstore.read_events(%s)');
}
ok($lost, 'a crash takes an event that was committed asynchronously, and that a reader has seen');
for my $call ('SELECT position FROM eventstore.read_events(%s)', 'SELECT position FROM eventstore.export_events(%s)',
  "SELECT eventstore.wait_for_events(%s, '10 s')", 'SELECT eventstore.high_water_mark() WHERE %s > 0',
  'SELECT position FROM eventstore.read_events(0 * %s, 1, backwards => true)')
{
  ok(!is_lost('on', $call), 'with durable_reads it stays: ' . sprintf $call, 'n');
}

# A position that next_checkpoint() has moved a reader to is not given again.
for my $how ('ROLLBACK', 'COMMIT')
{
  $node->restart; # the next position changes the sequence in the WAL
  my $session = session($node);
  $session->run('SET synchronous_commit = off');
  $session->run('BEGIN;' . sprintf($append, "passed-$how") . ";$how");
  my $checkpoint = $session->run("SELECT eventstore.next_checkpoint(0, '{none}', store => 'shop.orders')");
  $node->stop('immediate');
  $session->quit;
  $node->start;
  $node->safe_psql('postgres', sprintf $append, "next-$how");
  is($node->safe_psql('postgres', "SELECT event_id FROM eventstore.read_events($checkpoint, store => 'shop.orders')"),
    "next-$how", "after a $how and a crash, a reader at its checkpoint gets the next event");
}
is($node->safe_psql('postgres', $history), $before, 'a crash does not change the history');

# The end of the WAL may be just after the header of a page, of which nothing is
# there to be flushed.
my $writer = session($node);
$writer->run(<<'EOS');
SET pg_eventstore.durable_reads = on;
CREATE FUNCTION pg_temp.emit(length bigint, OUT size bigint, OUT used bigint) LANGUAGE plpgsql AS $$
DECLARE
  before pg_lsn := pg_current_wal_insert_lsn();
BEGIN
  PERFORM pg_logical_emit_message(false, '', repeat('x', length::int));
  size := pg_current_wal_insert_lsn() - before;
  used := (pg_current_wal_insert_lsn() - '0/0') % 8192;
END $$;
-- fill the page; read when the next record would begin after 24 bytes of header
CREATE FUNCTION pg_temp.read_at_header() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  e record;
BEGIN
  LOOP
    SELECT * INTO e FROM pg_temp.emit(300);
    EXIT WHEN e.used - e.size >= 24 AND 8192 - e.used - e.size + 300 > 260; -- it is on one page
  END LOOP;
  SELECT * INTO e FROM pg_temp.emit(8192 - e.used - e.size + 300);
  PERFORM eventstore.high_water_mark('shop.orders');
  RETURN e.used;
END $$;
EOS
my @offsets = map { $writer->run('SELECT pg_temp.read_at_header()') } 1 .. 10;
is($writer->state, '00000', 'a reader flushes the WAL when it ends with a page');
cmp_ok(scalar(grep { $_ eq '24' } @offsets), '>=', 1, 'where it was') or diag("@offsets");
$writer->quit;

# A standby that has not got all takes over.
my $primary = start_node('primary', $quiet, allows_streaming => 1, has_archiving => 1);
$primary->safe_psql('postgres', "SELECT eventstore.create_store('shop.orders', 'off'); SELECT eventstore.append_event('e', '1', store => 'shop.orders') FROM generate_series(1, 50); SELECT eventstore.advance_watermark('shop.orders')");
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$standby->stop;
$primary->safe_psql('postgres', "SELECT pg_create_restore_point('fifty')");
$primary->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => 'shop.orders') FROM generate_series(51, 200); SELECT pg_switch_wal()");
my $identity = $primary->safe_psql('postgres', $history);
like($identity, qr/\d/, 'the history has an identity');
my $timeline = 'SELECT timeline_id FROM pg_control_checkpoint()';
is($primary->safe_psql('postgres', $timeline), '1', 'on timeline 1');
my @calls = ("SELECT count(*) FROM eventstore.read_events(200, store => 'shop.orders')",
  "SELECT eventstore.wait_for_events(200, '10 ms', store => 'shop.orders')",
  "SELECT eventstore.next_checkpoint(200, '{e}', store => 'shop.orders')",
  "SELECT count(*) FROM eventstore.export_events(200, store => 'shop.orders')");
is(sqlstate($primary, $_), '00000', "the primary has given the position: $_") for @calls;
$primary->stop('immediate');
$standby->start;
is(sqlstate($standby, $_), '00000', "the standby may get it still: $_") for @calls;
is($standby->safe_psql('postgres', $calls[2]), '200', 'where a reader keeps its checkpoint');
is($standby->safe_psql('postgres', $history), $identity, 'and finds the same history');
$standby->promote;
is(sqlstate($standby, $_), '22V01', "after the promotion nobody has: $_") for @calls;
is(sqlstate($standby, "SELECT eventstore.set_archive_hold('reader', 200, 'shop.orders')"), '22V01', 'nor may the archive wait for it');
is(sqlstate($standby, $calls[0] =~ s/200/50/r), '00000', 'a reader that has less goes on');
is($standby->safe_psql('postgres', $history), $identity, 'the history is the same');
$standby->safe_psql('postgres', 'CHECKPOINT');
is($standby->safe_psql('postgres', $timeline), '2', 'the timeline is not');
$standby->stop;

# Recovery to a point in time is the same.
my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($primary, 'backup', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "recovery_target_name = 'fifty'\nrecovery_target_action = promote\nrecovery_target_timeline = '1'");
$recovered->start;
$recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it does not end';
is($recovered->safe_psql('postgres', 'SELECT max(position) FROM shop.orders'), '50', 'recovered to a point in time');
is(sqlstate($recovered, $_), '22V01', "where nobody has given the position: $_") for @calls;
is($recovered->safe_psql('postgres', $history), $identity, 'the history is the same');
$recovered->safe_psql('postgres', 'CHECKPOINT');
cmp_ok($recovered->safe_psql('postgres', $timeline), '>', 1, 'the timeline is not');
$recovered->stop;
done_testing();
