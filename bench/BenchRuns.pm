# Reads the results of the benchmark and the tables that describe it, and computes
# medians and ratios. The columns of a table are separated by tabs, and the first
# line has their names. Lines that begin with # are comments.
package BenchRuns;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(load_bench title label events_each rates ratios values_of summary);

# The columns that identify a case.
my @key = qw(group case variables clients cores fsync);
my %columns = (
  contestants => [qw(name folder database options label)],
  cases => [ @key, qw(seconds contestants) ],
  bars => [ @key, qw(contestant base at_least) ],
  indexes => [qw(name serves)],
  runs => [ @key, qw(contestant round metric value) ],
  machine => [qw(key value)]);

# The form of some columns.
my %shape = (
  clients => qr/[1-9]\d*|-/,
  cores => qr/[1-9]\d*|all|-/,
  fsync => qr/on|off|-/,
  round => qr/[1-9]\d*/,
  metric => qr/\w+/,
  value => qr/\d+(?:\.\d*)?(?:e[-+]?\d+)?/i,
  at_least => qr/\d+(?:\.\d+)?/);

# The titles of cases; # stands for the number in the case's name, or its variable n.
my %titles = (
  append => 'Append # events',
  form => 'Append # events by each function',
  form_text => 'Append # events, sent as text, by each function',
  hot => 'Append single events to # aggregates',
  conflict => 'Append with a wrong expected version',
  conflicts => 'Append with a wrong expected version',
  import => 'Import, # events of an aggregate in a row',
  read_aggregate => 'Read an aggregate of # events',
  read_type => 'Read events of a type',
  read_correlation => 'Read the events of one correlation',
  read_latest => 'Read the latest events',
  read_log => 'Read a page of the log',
  follow => 'Follow the log in batches of # events',
  share => 'Follow the log in batches of # events, 16 partitions',
  one_event => 'Receive and acknowledge one event at a time, 16 partitions',
  fold => 'Compute the state of an aggregate of # events',
  state => 'Read a state with snapshots, 50 events after the last one',
  catch_up => 'Catch up in batches of # events, one call of the handler a batch',
  catch_up_each => 'Catch up in batches of # events, one call of the handler an event',
  visible => 'From an append to the commit of the projection',
  slot_of => 'Compute the slots of # aggregates',
  poll => 'Poll and acknowledge the last # events, 16 partitions',
  idle_poll => 'Poll without new events, 16 partitions');

# Return the rows of a table, each with "at", its file and line. The values of
# machine.tsv are text of any form.
sub read_table
{
  my ($file, $kind) = @_;
  my (@names, @rows);

  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  while (my $line = <$in>)
  {
    chomp $line;
    next if $line =~ /^#/ || $line eq '';
    my @fields = split /\t/, $line, -1;
    my $at = "$file, line $.";
    if (!@names)
    {
      @names = @fields;
      next if "@{[ sort @names ]}" eq "@{[ sort @{ $columns{$kind} } ]}";
      die "$at: the columns have to be: @{ $columns{$kind} }\n";
    }
    die sprintf "%s: %d columns, not %d\n", $at, scalar @fields, scalar @names if @fields != @names;
    my %row = (at => $at);
    @row{@names} = @fields;
    check_shapes(\%row) if $kind ne 'machine';
    push @rows, \%row;
  }
  die "$file: empty\n" if !@names;
  return @rows;
}

# Die unless the fields of a row have the right form.
sub check_shapes
{
  my ($row) = @_;
  for my $name (sort keys %shape)
  {
    next if !defined $row->{$name} || $row->{$name} =~ /^$shape{$name}$/;
    die qq{$row->{at}: "$row->{$name}" is no $name\n};
  }
  return;
}

# Return the case of a row of any table, as one string.
sub key_of
{
  my ($row) = @_;
  return join "\t", @{$row}{@key};
}

# Return all data of the report: the measured cases in the order of cases.tsv, the
# contestants by name, bars, indexes and facts of the machine.
sub load_bench
{
  my ($results, $tables) = @_;
  my %bench = map { $_ => [ read_table("$tables/$_.tsv", $_) ] } qw(contestants cases bars indexes);

  $bench{machine} = [ read_table("$results/machine.tsv", 'machine') ];
  $bench{contestants} = { map { ($_->{name} => $_) } @{ $bench{contestants} } };
  check_tables(\%bench);
  $bench{cases} = [ collect_runs($bench{cases}, read_table("$results/runs.tsv", 'runs')) ];
  $bench{by_key} = { map { (key_of($_) => $_) } @{ $bench{cases} } };
  $_->{measured} = $bench{by_key}{ key_of($_) } for @{ $bench{bars} };
  return \%bench;
}

# Die if a table names a contestant or a case that another table lacks.
sub check_tables
{
  my ($bench) = @_;
  my %listed;

  for my $case (@{ $bench->{cases} })
  {
    for my $name (split ' ', $case->{contestants})
    {
      die qq{$case->{at}: there is no contestant "$name"\n} if !$bench->{contestants}{$name};
      $listed{ key_of($case) }{$name} = 1;
    }
  }
  for my $bar (@{ $bench->{bars} })
  {
    my $names = $listed{ key_of($bar) } or die "$bar->{at}: there is no such case\n";
    for my $name (@{$bar}{qw(contestant base)})
    {
      die qq{$bar->{at}: the case has no contestant "$name"\n} if !$names->{$name};
    }
  }
  return;
}

# Return the measured cases, each with its contestants in their order, and with its
# values by metric, contestant and round. A case that the table lacks comes after
# the others, with its contestants in the order in which they ran.
sub collect_runs
{
  my ($table, @runs) = @_;
  my (%cases, @order);

  for my $case (@$table)
  {
    push @order, key_of($case);
    $cases{ $order[-1] } = { %$case, contestants => [ split ' ', $case->{contestants} ] };
  }
  for my $run (@runs)
  {
    my $key = key_of($run);
    if (!$cases{$key})
    {
      push @order, $key;
      $cases{$key} = { %{$run}{ @key, 'at' }, contestants => [] };
    }
    my ($case, $name) = ($cases{$key}, $run->{contestant});
    my $seen = $case->{values}{ $run->{metric} }{$name} //= {};
    die "$run->{at}: measured twice\n" if exists $seen->{ $run->{round} };
    $seen->{ $run->{round} } = $run->{value};
    push @{ $case->{contestants} }, $name if !grep { $_ eq $name } @{ $case->{contestants} };
  }
  return map { drop_absent($_) } grep { $_->{values} } @cases{@order};
}

# Remove the contestants of a case that were not measured.
sub drop_absent
{
  my ($case) = @_;
  my %there = map { ($_ => 1) } map { keys %$_ } values %{ $case->{values} };
  $case->{contestants} = [ grep { $there{$_} } @{ $case->{contestants} } ];
  return $case;
}

# Return the title of a case.
sub title
{
  my ($case) = @_;
  my ($stem, $count) = $case->{case} =~ /^(.*?)(?:_(\d+))?$/;
  my $text = $titles{$stem} or return $case->{case};
  my %variable = map { /(.*?)=(.*)/ } split /,/, $case->{variables};

  $count //= $variable{n} // { slot_of => 1000 }->{$stem};
  return $case->{case} if $text =~ /#/ && !defined $count;
  $text =~ s/# (\w+)s\b/$count eq '1' ? "1 $1" : "$count $1s"/e;
  $text .= ' just after a checkpoint' if $variable{checkpoint};
  $text .= $variable{workers} ? ', with workers for projections' : ', without workers for projections' if defined $variable{workers};
  $text .= ", by the number of $variable{by}" if $variable{by};
  return $text;
}

# Return the label of a contestant.
sub label
{
  my ($bench, $name) = @_;
  my $contestant = $bench->{contestants}{$name};
  return $contestant ? $contestant->{label} : $name;
}

# Return how many events one transaction of a case appends or consumes; 0 if none.
sub events_each
{
  my ($case) = @_;
  return 1 if $case->{case} eq 'one_event';
  return $1 if $case->{case} eq 'follow' && $case->{variables} =~ /\bn=(\d+)/;
  return $case->{case} =~ /^(?:append|form|form_text)_(\d+)$/ ? $1 : 0;
}

# Return the rates of a contestant by round: events a second if it appends or consumes,
# otherwise transactions a second. Where the processor time of an event was measured, a
# second is one of this time on the nodes, or in a case by=slots on the nodes and the front.
sub rates
{
  my ($case, $name) = @_;

  return cpu_rates($case, $name) if $case->{values}{node_us};
  my $each = events_each($case) || 1;
  my $tps = $case->{values}{tps}{$name};

  return $case->{values}{events_per_second}{$name} // {} if !$tps;
  return { map { ($_ => $tps->{$_} * $each) } keys %$tps };
}

# Return the events of a contestant in a second of processor time, by round.
sub cpu_rates
{
  my ($case, $name) = @_;
  my ($node, $front) = map { $case->{values}{$_}{$name} // {} } qw(node_us front_us);
  my $whole = $case->{variables} eq 'by=slots';

  return { map { ($_ => 1e6 / ($node->{$_} + ($whole ? $front->{$_} : 0))) } grep { $node->{$_} > 0 } keys %$node };
}

# Return the ratios of the rates of two contestants, one for each round that has
# both.
sub ratios
{
  my ($case, $name, $base) = @_;
  my ($rates, $bases) = (rates($case, $name), rates($case, $base));

  return map { $rates->{$_} / $bases->{$_} }
    grep { $bases->{$_} } sort { $a <=> $b } keys %$rates;
}

# Return the values of a metric of a contestant in all rounds.
sub values_of
{
  my ($case, $metric, $name) = @_;
  return values %{ $case->{values}{$metric}{$name} // {} };
}

# Return median, minimum and maximum of numbers; undef if there are none. The median
# of an even count is the mean of the two in the middle.
sub summary
{
  my @sorted = sort { $a <=> $b } @_;
  my $half = int(@sorted / 2);

  return undef if !@sorted;
  return {
    rounds => scalar @sorted,
    median => @sorted % 2 ? $sorted[$half] : ($sorted[ $half - 1 ] + $sorted[$half]) / 2,
    min => $sorted[0],
    max => $sorted[-1] };
}

1;
