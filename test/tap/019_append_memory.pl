# An append of many events uses memory for these events, but not for the rows that it
# looks up.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use Test::More;

plan skip_all => 'there is no /proc/self/status here' unless -r '/proc/self/status';

my $node = start_node('memory', 'shared_buffers = 16MB');

# How much memory a session has needed at most when it has run some SQL, in megabytes; and what came of it.
sub peak
{
  my ($sql) = @_;
  my ($rc, $out, $err) = $node->psql('postgres', "$sql; SELECT pg_read_file('/proc/self/status')",
    on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);

  $out =~ /^VmHWM:\s*(\d+) kB/m or die "$out$err";
  my $peak = $1 / 1024;
  return ($peak, $err =~ /ERROR:\s+([0-9A-Z]{5})/ ? $1 : '00000');
}

# n events of an aggregate, or one of each of n, as JSON
sub events
{
  my ($n, $id, $aggregate) = @_;
  return "(SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'event_id', $id, 'aggregate_id', $aggregate)) FROM generate_series(1, $n) n)";
}

my $n = 20_000;
$node->safe_psql('postgres', "SELECT eventstore.create_store('eventstore.whole', 'off'); SELECT eventstore.create_store('eventstore.parted', 'off');
  SELECT eventstore.create_archive('eventstore.parted');
  SELECT eventstore.append_event('t', '1', 'a', event_id => 'first', store => s) FROM unnest('{eventstore.whole,eventstore.parted}'::regclass[]) s;
  SELECT eventstore.archive_events('eventstore.parted', before_position => 2)");

# what the events themselves need, and their JSON
my ($base) = peak('SELECT octet_length(' . events($n, "'e-' || n", "'a'") . '::text)');

for my $store ('eventstore.whole', 'eventstore.parted')
{
  for my $way ('on', 'off')
  {
    my $set = "SET pg_eventstore.direct_append = $way; SET pg_eventstore.store = '$store'";
    my @cases = (
      [ 'one that comes too late', '40V01', "SELECT eventstore.append_events(" . events($n, "'e-' || n", "'a'") . ', 7)' ],
      [ 'one with an id that is stored', '23505', "SELECT eventstore.append_events(" . events($n, "CASE n WHEN 1 THEN 'first' ELSE 'e-' || n END", "'a'") . ')' ],
      [ 'one to many aggregates', '00000', "SELECT count(*) FROM eventstore.append(" . events($n, "'m-$way-' || n", "'m-$way-' || n") . ')' ],
      [ 'the same again', '00000', "SELECT count(*) FROM eventstore.append(" . events($n, "'m-$way-' || n", "'m-$way-' || n") . ')' ]);

    for my $case (@cases)
    {
      my ($name, $expected, $sql) = @$case;
      my ($peak, $state) = peak("$set; $sql");

      is($state, $expected, "$name, to $store, direct_append $way");
      cmp_ok($peak, '<', $base + 90, sprintf('it needs %.0f MB, %.0f to begin with', $peak, $base));
    }
  }
}

$node->stop;
done_testing();
