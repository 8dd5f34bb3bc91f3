# Makes the tables of the results, in Markdown.
package BenchTables;

use strict;
use warnings;

use BenchRuns qw(title label events_each rates ratios values_of summary);
use Exporter 'import';

our @EXPORT_OK = qw(tables_of machine_table bars_table);

# Return a whole number with commas between thousands.
sub commas
{
  my ($number) = @_;
  my $text = sprintf '%.0f', $number;
  1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
  return $text;
}

# Return a number with three significant digits.
sub rounded
{
  my ($number) = @_;
  return sprintf '%.3g', $number if $number < 100;
  my $unit = 10**(length(int $number) - 3);
  return commas($unit * sprintf '%.0f', $number / $unit);
}

# Return a ratio with two decimals, or fewer if it is large.
sub ratio
{
  my ($ratio) = @_;
  return sprintf $ratio < 10 ? '%.2f' : $ratio < 100 ? '%.1f' : '%.0f', $ratio;
}

# Return a difference, which may be negative; 0 has no sign.
sub difference
{
  my ($places, $number) = @_;
  return sprintf("%.${places}f", $number) =~ s/^-(?=[0.]*$)//r;
}
sub microseconds { return difference(1, @_) }
sub percent { return difference(0, @_) . ' %' }

# Return a ratio rounded down, to be compared with a bar.
sub rounded_down
{
  my ($ratio) = @_;
  return sprintf '%.2f', int($ratio * 100 + 1e-9) / 100;
}

# Return a formatted number, or a dash if there is none.
sub or_dash
{
  my ($format, $summary, $field) = @_;
  return $summary ? $format->($summary->{$field}) : '-';
}

# Return the range from minimum to maximum, or a dash if there was only one round.
sub range
{
  my ($format, $summary) = @_;
  return '-' if !$summary || $summary->{rounds} < 2;
  return join ' to ', map { $format->($summary->{$_}) } qw(min max);
}

# Return a line of a table.
sub row
{
  return '| ' . join(' | ', @_) . " |\n";
}

# Return a table with a header and rows; its first columns are text.
sub table
{
  my ($text_columns, $header, @rows) = @_;
  my @rules = map { $_ < $text_columns ? '---' : '---:' } 0 .. $#$header;
  return row(@$header) . '|' . join('|', @rules) . "|\n" . join('', map { row(@$_) } @rows);
}

# Return the setting of a case, such as "8 clients, fsync on". fsync does not matter
# to cases that read.
sub setting
{
  my ($case) = @_;
  my @words;

  push @words, $case->{clients} == 1 ? '1 client' : "$case->{clients} clients" if $case->{clients} ne '-';
  push @words, "fsync $case->{fsync}" if $case->{fsync} ne '-' && $case->{case} !~ /^read/;
  push @words, $case->{variables} eq 'by=nodes' ? 'each server on one core' : $case->{cores} == 1 ? 'all on one core' : "all on $case->{cores} cores" if $case->{cores} =~ /\d/;
  return join ', ', @words;
}

# Return the heading of a case.
sub heading
{
  my ($case) = @_;
  return '### ' . join(', ', grep { $_ ne '' } title($case), setting($case)) . "\n\n";
}

# Return a link to the script that a contestant runs in a case.
sub script_link
{
  my ($bench, $case, $name) = @_;
  my $contestant = $bench->{contestants}{$name} or return '-';
  return '-' if $contestant->{folder} eq '-';
  my $file = "$contestant->{folder}/$case->{case}.sql";
  return "[$file](sql/$file)";
}

# Return the unit of the rates of a case.
sub unit
{
  my ($case) = @_;
  return 'events a second' if events_each($case) || $case->{values}{events_per_second};
  return $case->{group} eq 'read' || $case->{case} =~ /^read/ ? 'reads a second' : 'calls a second';
}

# Return the rates of a case, and the ratio of the first contestant's rate to each
# other rate. In the group growth this ratio is the cost, of the first one's.
sub rate_table
{
  my ($bench, $case) = @_;
  my ($first, @others) = @{ $case->{contestants} };
  my $reference = label($bench, $first);
  my @rows;

  for my $name ($first, @others)
  {
    my $rate = summary(values %{ rates($case, $name) });
    my $ratio = $name eq $first ? undef : summary(ratios($case, $first, $name));
    push @rows, [
      label($bench, $name), script_link($bench, $case, $name),
      or_dash(\&rounded, $rate, 'median'),
      $name eq $first ? '1' : or_dash(\&ratio, $ratio, 'median'),
      range(\&ratio, $ratio) ];
  }
  my $times = $case->{group} eq 'growth' ? "cost, of $reference" : "$reference : this";
  return heading($case) . table(2, [ '', 'script', unit($case), $times, 'range' ], @rows);
}

# Return the rates of a case of the group cluster, and the processor time of an event on
# the nodes and on the front, with the ratio of each to the first contestant's.
sub cluster_table
{
  my ($bench, $case) = @_;
  my $first = $case->{contestants}[0];
  my @rows;

  return rate_table($bench, $case) if !$case->{values}{node_us};
  for my $name (@{ $case->{contestants} })
  {
    my $cost = $name eq $first ? undef : summary(ratios($case, $first, $name));
    push @rows, [
      label($bench, $name), script_link($bench, $case, $name),
      (map { my ($metric, $format) = @$_; or_dash($format, summary(values_of($case, $metric, $name)), 'median') }
          [ tps => \&rounded ], [ node_us => \&rounded ], [ front_us => \&rounded ]),
      $name eq $first ? '1' : or_dash(\&ratio, $cost, 'median'), range(\&ratio, $cost) ];
  }
  my $of = $case->{variables} eq 'by=slots' ? 'both' : 'nodes';
  return heading($case) . table(2, [ '', 'script', 'events a second', 'nodes, microseconds an event', 'front, microseconds an event',
      "cost, $of", 'range' ], @rows);
}

# Return the cost of each index: by how much an append is cheaper without it. The
# first contestant has all indexes.
sub index_table
{
  my ($bench, $case) = @_;
  my ($all, @without) = @{ $case->{contestants} };
  my %serves = map { ($_->{name} => $_->{serves}) } @{ $bench->{indexes} };
  my ($all_rates, @rows) = (rates($case, $all));
  my $all_wal = summary(values_of($case, 'wal_bytes', $all));

  for my $name (@without)
  {
    my $rates = rates($case, $name);
    my @both = grep { $all_rates->{$_} && $rates->{$_} } keys %$rates;
    my $time = summary(map { 1e6 / $all_rates->{$_} - 1e6 / $rates->{$_} } @both);
    my $share = summary(map { 100 * (1 - $all_rates->{$_} / $rates->{$_}) } @both);
    my $wal = summary(values_of($case, 'wal_bytes', $name));
    push @rows, [
      label($bench, $name) =~ s/^without (the index on )?//r, $serves{$name} // '-',
      or_dash(\&microseconds, $time, 'median'),
      or_dash(\&percent, $share, 'median'), range(\&percent, $share),
      $all_wal && $wal ? difference(0, $all_wal->{median} - $wal->{median}) : '-' ];
  }
  return heading($case) . totals($bench, $case, $all, $all_wal) . table(2,
    [ 'index', 'serves', 'microseconds an event', 'of the time', 'range', 'WAL bytes an event' ], @rows);
}

# Return the cost of an event in a table with all indexes, as a sentence.
sub totals
{
  my ($bench, $case, $name, $wal) = @_;
  my $rate = summary(values %{ rates($case, $name) });
  my @words;

  push @words, sprintf '%.1f microseconds', 1e6 / $rate->{median} if $rate && $rate->{median};
  push @words, commas($wal->{median}) . ' bytes of WAL' if $wal;
  return @words ? sprintf "With %s, an event takes %s.\n\n", label($bench, $name), join ' and ', @words : '';
}

# Return the bytes per event.
sub size_table
{
  my ($bench, $case) = @_;
  my @metrics = qw(wal_bytes table_bytes index_bytes);
  my @rows;

  for my $name (@{ $case->{contestants} })
  {
    my @sizes = map { summary(values_of($case, $_, $name)) } @metrics;
    push @rows, [ label($bench, $name), map { or_dash(\&commas, $_, 'median') } @sizes ];
  }
  return heading($case) . table(1, [ '', 'WAL', 'table', 'indexes' ], @rows);
}

# Return the instructions per event, and by how much the runs differ.
sub instruction_table
{
  my ($bench, $case) = @_;
  my $first = $case->{contestants}[0];
  my ($base, @rows) = (summary(values_of($case, 'instructions', $first)));

  for my $name (@{ $case->{contestants} })
  {
    my $count = summary(values_of($case, 'instructions', $name));
    push @rows, [
      label($bench, $name), or_dash(\&commas, $count, 'median'),
      $base && $base->{median} && $count ? ratio($count->{median} / $base->{median}) : '-',
      $count && $count->{min} && $count->{rounds} > 1
        ? sprintf '%.2f %%', 100 * ($count->{max} / $count->{min} - 1) : '-' ];
  }
  return heading($case) . table(1, [ '', 'instructions', 'this : ' . label($bench, $first), 'the runs differ by' ], @rows);
}

# Return the times from an append to a listener, all cases in one table.
sub latency_table
{
  my ($bench, @cases) = @_;
  my @metrics = map { "latency_ms_$_" } qw(p50 p90 p99 max);
  my @rows;

  for my $case (@cases)
  {
    my $since = $case->{variables} =~ s/^since=//r;
    for my $name (@{ $case->{contestants} })
    {
      my @times = map { summary(values_of($case, $_, $name)) } @metrics;
      push @rows, [ label($bench, $name), $since, map { or_dash(sub { sprintf '%.2f', @_ }, $_, 'median') } @times ];
    }
  }
  return table(2, [ '', 'since', 'p50', 'p90', 'p99', 'max' ], @rows);
}

# Return the times from an append to the commit of a projection: those that we promise, and
# the medians over the rounds with their ranges.
sub visible_table
{
  my ($bench, @cases) = @_;
  my %promised = (p50 => 5, p99 => 30);
  my $format = sub { sprintf '%.2f', @_ };
  my @rows = [ 'promised, at most', '-', map { $promised{$_} // '-', '-' } qw(p50 p90 p99 max) ];

  for my $case (@cases)
  {
    my %times = map { ($_ => summary(values_of($case, "latency_ms_$_", $case->{contestants}[0]))) } qw(p50 p90 p99 max);
    my $rate = summary(values_of($case, 'tps', $case->{contestants}[0]));
    push @rows, [ setting($case), or_dash(\&rounded, $rate, 'median'),
      map { (or_dash($format, $times{$_}, 'median'), range($format, $times{$_})) } qw(p50 p90 p99 max) ];
  }
  return "### ${\ title($cases[0])}\n\n" . table(1, [ '', 'appends a second', map { ($_, 'range') } qw(p50 p90 p99 max) ], @rows);
}

# Return the tables of the group projections: those of rates, and one of times.
sub projection_tables
{
  my ($bench, @cases) = @_;
  my @visible = grep { $_->{case} eq 'visible' } @cases;
  my @rates = grep { $_->{case} ne 'visible' } @cases;

  return join "\n", (map { rate_table($bench, $_) } @rates), @visible ? visible_table($bench, @visible) : ();
}

# Return the tables of a group; nothing if it was not measured.
sub tables_of
{
  my ($bench, $group) = @_;
  my @cases = grep { $_->{group} eq $group } @{ $bench->{cases} };
  my %special = (indexes => \&index_table, size => \&size_table, callgrind => \&instruction_table, cluster => \&cluster_table);
  my $table = $special{$group} // \&rate_table;

  return '' if !@cases;
  return latency_table($bench, @cases) if $group eq 'latency';
  return projection_tables($bench, @cases) if $group eq 'projections';
  return join "\n", map { $table->($bench, $_) } @cases;
}

# Return the facts of the machine and its software.
sub machine_table
{
  my ($bench) = @_;
  return table(2, [ '', '' ], map { [ $_->{key}, $_->{value} =~ s/\|/\\|/gr ] } @{ $bench->{machine} });
}

# Return the bars and the measured ratios; nothing if no ratio was measured.
sub bars_table
{
  my ($bench) = @_;
  my ($any, @rows);

  for my $bar (@{ $bench->{bars} })
  {
    my $case = $bar->{measured};
    my $ratio = $case && summary(ratios($case, @{$bar}{qw(contestant base)}));
    my $met = !$ratio ? 'not measured' : $ratio->{median} >= $bar->{at_least} ? 'yes' : '**no**';
    $any ||= $ratio;
    push @rows, [
      join(', ', title($bar), setting($bar)),
      label($bench, $bar->{contestant}) . ' : ' . label($bench, $bar->{base}),
      sprintf('%.2f', $bar->{at_least}),
      or_dash(\&rounded_down, $ratio, 'median'), range(\&rounded_down, $ratio), $met ];
  }
  return $any ? table(2, [ 'case', 'rates', 'at least', 'measured', 'range', 'met' ], @rows) : '';
}

1;
