# The report of the benchmark, made from known measurements.
use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $bench = "$FindBin::RealBin/../../bench";
my $dir = tempdir(CLEANUP => 1);
my $have_gnuplot = grep { -x "$_/gnuplot" } split /:/, $ENV{PATH};

my %tables = (
  contestants => <<'TABLE',
# who takes part
name folder database options label
eventstore eventstore a - the_store
plain plain a - plain_SQL
emmett emmett b - Emmett
small growth c - small_store
large growth c - large_store
all_indexes indexes d - all_indexes
without_position indexes d - without_position
TABLE
  cases => <<'TABLE',
group case variables clients cores fsync seconds contestants
append append_1 - 8 all on 2 eventstore,plain,emmett
append append_1 - 1 1 off 2 eventstore,plain
batch append_100 - 1 all off 2 eventstore,plain
read read_aggregate n=10 1 all off 2 eventstore,plain
growth append_1 - 1 all off 2 small,large
indexes append_100 - 1 all off 1 all_indexes,without_position
size append_1 - 1 all off 100t eventstore,plain
subscriptions follow n=10 1 all off 1 eventstore,plain
subscriptions share n=10 4 all off 40t eventstore,plain
subscriptions one_event - 8 all on 2 eventstore,plain
growth poll n=100 1 all off 1 small,large
TABLE
  bars => <<'TABLE',
group case variables clients cores fsync contestant base at_least
append append_1 - 8 all on eventstore plain 0.90
append append_1 - 8 all on eventstore emmett 2
append append_1 - 1 1 off eventstore plain 0.9
growth append_1 - 1 all off large small 0.80
subscriptions follow n=10 1 all off eventstore plain 0.70
TABLE
  indexes => "name serves\nwithout_position the_log\n",
  runs => '',
  machine => "key value\ndate 2001-02-03\nshared_buffers 1GB\n");

# The text of a table: columns are separated by blanks above, and contestants
# of a case by commas.
sub table_text
{
  my ($text) = @_;
  return join '', map { /^#/ ? "$_\n" : tr/ ,/\t /r . "\n" } split /\n/, $text;
}

# Rows of runs.tsv, as lines: the values of a metric over the rounds.
sub runs
{
  my ($case, $contestant, $metric, @values) = @_;
  my $round = 0;
  return join '', map { $round++; "$case $contestant $round $metric $_\n" } @values;
}
my $header = "group case variables clients cores fsync contestant round metric value\n";

# Run the report over tables, of which the named ones differ from those above:
# its exit status, what it says, and the document.
sub report
{
  my (%changed) = @_;
  my %all = (%tables, %changed);

  for my $name (keys %all)
  {
    open my $out, '>', "$dir/$name.tsv" or die "$name: $!";
    print {$out} table_text($name eq 'runs' ? "$header$all{$name}" : $all{$name});
    close $out;
  }
  unlink glob("$dir/out/*.md $dir/out/plots/*");
  return run_report($dir, "$dir/out", $dir);
}

# Run the report with some arguments.
sub run_report
{
  my @arguments = @_;
  my $said = '';

  open my $pipe, '-|', "exec 2>&1 '$^X' '$bench/report' @arguments" or die "report: $!";
  $said = join '', <$pipe>;
  close $pipe;
  my $status = $? >> 8;
  return ($status, $said, -f "$arguments[1]/RESULTS.md" ? content_of("$arguments[1]/RESULTS.md") : '');
}

sub content_of
{
  my ($file) = @_;
  open my $in, '<', $file or die "$file: $!";
  local $/;
  return scalar <$in>;
}

my $append = 'append append_1 - 8 all on';
my $alone = 'append append_1 - 1 1 off';

# The report succeeds; the document has these lines.
sub shows
{
  my ($name, $runs, @lines) = @_;
  my ($status, $said, $text) = report(runs => $runs);

  is($status, 0, "$name: succeeds") or diag $said;
  like($text, qr/^\Q$_\E$/m, "$name: $_") for @lines;
  return $text;
}

# The median of an odd and of an even number of rounds, of the rates and of the
# ratios within the rounds, which is not the ratio of the medians.
shows(
  'odd number of rounds',
  runs($append, 'eventstore', 'tps', 1000, 4000, 2000) . runs($append, 'plain', 'tps', 500, 8000, 4000),
  '### Append 1 event, 8 clients, fsync on',
  '|  | script | events a second | the_store : this | range |',
  '| the_store | [eventstore/append_1.sql](sql/eventstore/append_1.sql) | 2,000 | 1 | - |',
  '| plain_SQL | [plain/append_1.sql](sql/plain/append_1.sql) | 4,000 | 0.50 | 0.50 to 2.00 |',
  '| Append 1 event, 8 clients, fsync on | the_store : plain_SQL | 0.90 | 0.50 | 0.50 to 2.00 | **no** |');
shows(
  'even number of rounds',
  runs($append, 'eventstore', 'tps', 40, 10, 20, 30) . runs($append, 'plain', 'tps', 10, 10, 10, 10),
  '| the_store | [eventstore/append_1.sql](sql/eventstore/append_1.sql) | 25 | 1 | - |',
  '| plain_SQL | [plain/append_1.sql](sql/plain/append_1.sql) | 10 | 2.50 | 1.00 to 4.00 |');
shows(
  'one round',
  runs($append, 'eventstore', 'tps', 12345.6) . runs($append, 'plain', 'tps', 1000),
  '| the_store | [eventstore/append_1.sql](sql/eventstore/append_1.sql) | 12,300 | 1 | - |',
  '| plain_SQL | [plain/append_1.sql](sql/plain/append_1.sql) | 1,000 | 12.3 | - |');
shows(
  'a round that one contestant lacks',
  runs($append, 'eventstore', 'tps', 10, 90) . runs($append, 'plain', 'tps', 10),
  '| plain_SQL | [plain/append_1.sql](sql/plain/append_1.sql) | 10 | 1.00 | - |');
shows(
  'a rate of 0',
  runs($append, 'eventstore', 'tps', 10) . runs($append, 'plain', 'tps', 0),
  '| plain_SQL | [plain/append_1.sql](sql/plain/append_1.sql) | 0 | - | - |');

# Bars: the first divided by the second, never rounded up; those of cases that
# were not measured.
shows(
  'bars',
  runs($append, 'eventstore', 'tps', 900, 900) . runs($append, 'plain', 'tps', 1000, 1000) . runs($append, 'emmett', 'tps', 450, 450)
    . runs($alone, 'eventstore', 'tps', 8999) . runs($alone, 'plain', 'tps', 10000),
  '| Append 1 event, 8 clients, fsync on | the_store : plain_SQL | 0.90 | 0.90 | 0.90 to 0.90 | yes |',
  '| Append 1 event, 8 clients, fsync on | the_store : Emmett | 2.00 | 2.00 | 2.00 to 2.00 | yes |',
  '| Append 1 event, 1 client, fsync off, all on one core | the_store : plain_SQL | 0.90 | 0.89 | - | **no** |',
  '| Append 1 event, 1 client, fsync off | large_store : small_store | 0.80 | - | - | not measured |');

# The other groups: events of batches, the cost of growth and of an index, bytes.
my $batch = 'batch append_100 - 1 all off';
my $growth = 'growth append_1 - 1 all off';
my $indexes = 'indexes append_100 - 1 all off';
my $size = 'size append_1 - 1 all off';
my $follow = 'subscriptions follow n=10 1 all off';
my $others = runs($batch, 'eventstore', 'tps', 100, 120, 110)
  . runs('read read_aggregate n=10 1 all off', 'eventstore', 'tps', 5)
  . runs($growth, 'small', 'tps', 1000, 1000, 1000) . runs($growth, 'large', 'tps', 800, 500, 1000)
  . runs($indexes, 'all_indexes', 'tps', 100) . runs($indexes, 'all_indexes', 'wal_bytes', 900)
  . runs($indexes, 'without_position', 'tps', 125) . runs($indexes, 'without_position', 'wal_bytes', 830.4)
  . runs($size, 'plain', 'wal_bytes', 1234.4) . runs($size, 'plain', 'table_bytes', 300) . runs($size, 'plain', 'index_bytes', 200)
  . runs($follow, 'eventstore', 'tps', 7) . runs($follow, 'plain', 'tps', 10)
  . runs('subscriptions share n=10 4 all off', 'eventstore', 'events_per_second', 4321)
  . runs('subscriptions one_event - 8 all on', 'eventstore', 'tps', 12)
  . runs('growth poll n=100 1 all off', 'small', 'tps', 30) . runs('growth poll n=100 1 all off', 'large', 'tps', 20);
my $visible = 'projections visible rate=500 4 all on';
$others .= runs($visible, 'plain', 'tps', 500, 499) . runs($visible, 'plain', 'latency_ms_p50', 1, 2)
  . runs('projections append_1 workers=0 1 all off', 'plain', 'tps', 3);
my $text = shows(
  'other groups', $others,
  '### Append 1 event, without workers for projections, 1 client, fsync off',
  '### From an append to the commit of the projection',
  '| promised, at most | - | 5 | - | - | - | 30 | - | - | - |',
  '| 4 clients, fsync on | 500 | 1.50 | 1.00 to 2.00 | - | - | - | - | - | - |',
  '| the_store | [eventstore/append_100.sql](sql/eventstore/append_100.sql) | 11,000 | 1 | - |',
  '### Read an aggregate of 10 events, 1 client',
  '| the_store | [eventstore/read_aggregate.sql](sql/eventstore/read_aggregate.sql) | 5 | 1 | - |',
  '|  | script | events a second | cost, of small_store | range |',
  '| large_store | [growth/append_1.sql](sql/growth/append_1.sql) | 800 | 1.25 | 1.00 to 2.00 |',
  '| Append 1 event, 1 client, fsync off | large_store : small_store | 0.80 | 0.80 | 0.50 to 1.00 | yes |',
  'With all_indexes, an event takes 100.0 microseconds and 900 bytes of WAL.',
  '| without_position | the_log | 20.0 | 20 % | - | 70 |',
  '| plain_SQL | 1,234 | 300 | 200 |',
  '### Follow the log in batches of 10 events, 1 client, fsync off',
  '| the_store | [eventstore/follow.sql](sql/eventstore/follow.sql) | 70 | 1 | - |',
  '| plain_SQL | [plain/follow.sql](sql/plain/follow.sql) | 100 | 0.70 | - |',
  '| Follow the log in batches of 10 events, 1 client, fsync off | the_store : plain_SQL | 0.70 | 0.70 | - | yes |',
  '### Follow the log in batches of 10 events, 16 partitions, 4 clients, fsync off',
  '| the_store | [eventstore/share.sql](sql/eventstore/share.sql) | 4,320 | 1 | - |',
  '| the_store | [eventstore/one_event.sql](sql/eventstore/one_event.sql) | 12 | 1 | - |',
  '### Poll and acknowledge the last 100 events, 16 partitions, 1 client, fsync off',
  '|  | script | calls a second | cost, of small_store | range |',
  '| large_store | [growth/poll.sql](sql/growth/poll.sql) | 20 | 1.50 | - |',
  '| date | 2001-02-03 |',
  '| shared_buffers | 1GB |');

# What was not measured has no section; the text is complete.
unlike($text, qr/^## (?:Append single events|Conflicts|Instructions)$/m, 'groups that were not measured are left out');
like($text, qr/^## (?:What each index costs)$/m, 'groups that were measured are there');
like($text, qr/^## Bars$/m, 'the bars are there');
like($text, qr/In each of 3 rounds/, 'the number of rounds is in the text');
unlike($text, qr/\@\w/, 'no placeholder is left');
unlike($text, qr/[ \t]$/m, 'no white space at the ends of lines');
$text = shows('nothing measured', '');
unlike($text, qr/^## Bars$/m, 'without measurements there are no bars');

# Malformed input: the message names the file and the line.
sub fails
{
  my ($name, $message, %changed) = @_;
  my ($status, $said, $document) = report(%changed);

  isnt($status, 0, "$name: fails");
  like($said, $message, "$name: says where and why");
  is($document, '', "$name: writes no document");
}
my $good = runs($append, 'eventstore', 'tps', 1);
fails('a row too short', qr{/runs\.tsv, line 3: 9 columns, not 10}, runs => "$good$append plain 1 tps\n");
fails('no number', qr{/runs\.tsv, line 3: "fast" is no value}, runs => "$good$append plain 1 tps fast\n");
fails('no round', qr{/runs\.tsv, line 2: "0" is no round}, runs => "$append plain 0 tps 1\n");
fails('measured twice', qr{/runs\.tsv, line 3: measured twice}, runs => "$good$good");
fails('an unknown group', qr{/runs\.tsv, line 2: .*no place for group "weather"}, runs => "weather rain - 1 all on plain 1 tps 1\n");
fails('other columns', qr{/machine\.tsv, line 1: the columns have to be: key value}, machine => "name value\n");
fails('an empty table', qr{/machine\.tsv: empty}, machine => '');
fails('an unknown contestant', qr{/cases\.tsv, line 13: there is no contestant "nobody"}, cases => "$tables{cases}read read_log - 1 all off 2 nobody\n");
fails('a bar of no case', qr{/bars\.tsv, line 7: there is no such case}, bars => "$tables{bars}append append_1 - 7 all on eventstore plain 1\n");
fails('a bar of no contestant', qr{/bars\.tsv, line 7: .* "emmett"}, bars => "$tables{bars}append append_1 - 1 1 off eventstore emmett 1\n");

# The pictures: one of each group, the same each time, none without gnuplot.
my $appends = runs($append, 'eventstore', 'tps', 900, 1000) . runs($append, 'plain', 'tps', 1000, 1100);
SKIP:
{
  skip 'no gnuplot: the plots are not tested', 16 if !$have_gnuplot;
  $text = shows('plots', $appends . $others, '![Append single events, fsync on](plots/append.svg)');
  my %first;
  for my $name (qw(append batch read growth wal))
  {
    $first{$name} = content_of("$dir/out/plots/$name.svg");
    like($first{$name}, qr/<svg .*<\/svg>\s*\z/s, "plot $name is an SVG");
  }
  like($first{append}, qr/plain_SQL/, 'a plot has labels');
  like($first{append}, qr/8 clients/, 'a plot has its cases');
  report(runs => $appends . $others);
  is(content_of("$dir/out/plots/$_.svg"), $first{$_}, "plot $_ is the same the next time") for sort keys %first;
  $text = shows('one group', $appends);
  is(join(' ', map { s{.*/}{}r } glob("$dir/out/plots/*")), 'append.svg', 'groups that were not measured have no plot');
}
{
  local $ENV{PATH} = '/nonexistent';
  my ($status, $said, $document) = report(runs => $appends);
  is($status, 0, 'without gnuplot: succeeds') or diag $said;
  like($said, qr/there is no gnuplot/, 'without gnuplot: says so');
  like($document, qr/^\| the_store \|/m, 'without gnuplot: writes tables');
  unlike($document, qr/!\[/, 'without gnuplot: shows no plots');
}

# The tables of the checkout agree with one another, and the scripts are there, but for programs.
report();
my ($status, $said) = run_report($dir, "$dir/out");
is($status, 0, 'the tables of the checkout are well-formed and agree') or diag $said;
my %folder = map { (split /\t/)[ 0, 1 ] } split /\n/, content_of("$bench/contestants.tsv");
my @missing;
for my $line (grep { !/^(?:#|group\t|latency\t)/ } split /\n/, content_of("$bench/cases.tsv"))
{
  my ($case, $names) = (split /\t/, $line)[ 1, -1 ];
  push @missing, grep { !-f "$bench/sql/$_" } map { "$folder{$_}/$case.sql" } grep { $folder{$_} ne '-' } split / /, $names;
}
is("@missing", '', 'every case has a script for every contestant');

done_testing();
