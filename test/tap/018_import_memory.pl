# The memory of an import, on the server and in the program, does not depend on the size
# of the events.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no /proc/self/status here' unless -r '/proc/self/status';

my $program = 'pg_eventstore_migrate';
my $built = "$FindBin::RealBin/../../src/bin/$program";
$ENV{PATH} = "$built:$ENV{PATH}" if -x "$built/$program";

my $node = start_node('memory', 'shared_buffers = 16MB');
my $dir = PostgreSQL::Test::Utils::tempdir();

# 250 events of a megabyte each, in columns and as whole events; the server keeps them small.
my $text = 'to_jsonb(repeat(chr(65 + n % 26), 1000000))';
my @sources = ("SELECT 'large' AS event_type, $text AS data", "SELECT jsonb_build_object('event_type', 'large', 'data', $text) AS event");

# How much memory a session has needed at most when it has run some SQL, in megabytes.
sub peak
{
  my ($sql) = @_;
  my $status = $node->safe_psql('postgres', "$sql; SELECT pg_read_file('/proc/self/status')");

  $status =~ /^VmHWM:\s*(\d+) kB/m or die $status;
  return $1 / 1024;
}

for my $source (@sources)
{
  my $peak = peak("SELECT eventstore.import_events(\$q\$$source FROM generate_series(1, 250) n\$q\$)");
  cmp_ok($peak, '<', 120, sprintf('the server needs %.0f MB', $peak));
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM eventstore.events'), '500', 'all are imported');

# From a file of 250 MB, by a program that may have 200 MB, all its libraries included.
my $file = "$dir/large.jsonl";
open my $out, '>', $file or die $!;
printf $out qq({"event_id": "large-%d", "event_type": "large", "data": "%s"}\n), $_, chr(65 + $_ % 26) x 1_000_000 for 1 .. 250;
close $out or die $!;
my @limited = ('sh', '-c', 'ulimit -v 200000; exec "$@"', 'sh');
my @migrate = (@limited, $program, '--quiet', '--table=moved', '--target=' . $node->connstr('postgres'));
command_ok([ @migrate, "--source=$file" ], 'the program imports in order');
is($node->safe_psql('postgres', 'SELECT count(*) FROM eventstore.moved'), '250', 'all are imported');
command_ok([ @limited, $program, '--quiet', '--table=moved', '--source=' . $node->connstr('postgres'), "--target=$dir/back.jsonl" ], 'the program exports');
command_ok([ @migrate, '--verify', "--source=$file" ], 'the program verifies');

$node->stop;
done_testing();
