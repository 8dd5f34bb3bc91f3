# Draws the plots of the results with gnuplot. Points and bars are medians of the
# rounds, with lines from minimum to maximum.
package BenchPlots;

use strict;
use warnings;

use BenchRuns qw(title label rates ratios values_of summary);
use Exporter 'import';

our @EXPORT_OK = qw(draw_plots);

# The colours of contestants; colour-blind readers can distinguish them.
my %colour = (
  eventstore => '#0072b2', plain => '#8c8c8c', copy => '#4d4d4d', emmett => '#e69f00',
  message_db => '#009e73', message_db_one_call => '#7fceb9', seed => '#cc79a7');
my @more_colours = ('#9ecae1', '#4292c6', '#08519c', '#d55e00', '#f0e442');

# The plots: each shows a group. "of" selects its cases, "x" is a case's place on
# the axis, "shows" lists the contestants, by default all.
my @plots = (
  { name => 'append', draw => \&draw_bars, group => 'append', format => '%.0f',
    title => 'Append single events, fsync on', y => 'events a second',
    shows => [qw(plain eventstore emmett message_db seed)],
    of => sub { $_[0]{case} eq 'append_1' && $_[0]{fsync} eq 'on' && $_[0]{cores} eq 'all' },
    x => sub { $_[0]{clients} == 1 ? '1 client' : "$_[0]{clients} clients" },
    value => \&rate },
  { name => 'batch', draw => \&draw_lines, group => 'batch', format => '%.0f',
    title => 'Append a batch to one aggregate, 1 client, fsync off', y => 'events a second',
    label => 'events in a batch (logarithmic)',
    of => sub { $_[0]{case} =~ /^append_\d+$/ },
    x => sub { $_[0]{case} =~ /(\d+)$/; $1 },
    value => \&rate },
  { name => 'read', draw => \&draw_lines, group => 'read', log_y => 1, format => '%.0f',
    title => 'Read an aggregate, 1 client', y => 'reads a second (logarithmic)',
    label => 'events of the aggregate (logarithmic)',
    of => sub { $_[0]{case} eq 'read_aggregate' && $_[0]{cores} eq 'all' && $_[0]{variables} =~ /\bn=\d+/ },
    x => sub { $_[0]{variables} =~ /\bn=(\d+)/; $1 },
    value => \&rate },
  { name => 'growth', draw => \&draw_bars, group => 'growth', format => '%.1f',
    title => 'Speed of a growing store', y => 'rate, that of the smallest store = 1',
    of => sub { 1 }, x => \&title,
    value => \&rate_of_first },
  { name => 'wal', draw => \&draw_bars, group => 'size', format => '%.0f',
    title => 'Write-ahead log', y => 'bytes an event',
    of => sub { 1 }, x => \&title,
    value => sub { my ($case, $name) = @_; return values_of($case, 'wal_bytes', $name) } });

# Return the rates of a contestant in a case.
sub rate
{
  my ($case, $name) = @_;
  return values %{ rates($case, $name) };
}

# Return the ratios of a contestant's rates to those of the case's first contestant.
sub rate_of_first
{
  my ($case, $name) = @_;
  return ratios($case, $name, $case->{contestants}[0]);
}

# Return a text, quoted for gnuplot.
sub quoted
{
  my ($text) = @_;
  return q{'} . $text =~ s/'/''/gr . q{'};
}

# Return a text in short lines, quoted for gnuplot.
sub in_lines
{
  my ($text) = @_;
  return q{"} . ($text =~ tr/"\\//dr) =~ s/(.{11}\S*) /$1\\n/gr . q{"};
}

# Return the commands with which all plots begin. The background is white, so that
# a plot can be read on a page of any colour.
sub preamble
{
  my ($plot, $file) = @_;
  my ($name, $title, $y, $output) = map { quoted($_) } @{$plot}{qw(name title y)}, $file;
  return <<"GNUPLOT";
set encoding utf8
set terminal svg noenhanced size 800,460 font 'sans-serif,14' background '#ffffff' name $name
set output $output
set ylabel $y
set border 3 linecolor '#404040'
set tics nomirror
set grid ytics linetype 1 linecolor '#d8d8d8'
set key above center horizontal Left reverse samplen 1.5 noautotitle title $title
GNUPLOT
}

# Return the contestants that a plot shows, and that have values.
sub contestants_of
{
  my ($plot, @cases) = @_;
  my (%there, @names);

  for my $case (@cases)
  {
    push @names, grep { !$there{$_}++ } grep { summary($plot->{value}->($case, $_)) } @{ $case->{contestants} };
  }
  return $plot->{shows} ? grep { $there{$_} } @{ $plot->{shows} } : @names;
}

# Return the colours of contestants, by name.
sub colours
{
  my $next = 0;
  return map { ($_ => $colour{$_} // $more_colours[ $next++ % @more_colours ]) } @_;
}

# Return a block of data for each contestant. A line has a place on the axis, by case
# and number of the contestant, and the median, minimum and maximum.
sub blocks
{
  my ($plot, $cases, $names, $place) = @_;
  my $text = '';

  for my $i (0 .. $#$names)
  {
    my @points;
    for my $case (@$cases)
    {
      my $summary = summary($plot->{value}->($case, $names->[$i])) or next;
      push @points, [ $place->($case, $i), @{$summary}{qw(median min max)} ];
    }
    $text .= "\$data$i << EOD\n" . join('', map { "@$_\n" } sort { $a->[0] <=> $b->[0] } @points) . "EOD\n";
  }
  return $text;
}

# Return the command that draws parts over each other.
sub plot_command
{
  return 'plot ' . join(", \\\n  ", @_) . "\n";
}

# Return a plot of bars: a cluster for each case, with a bar for each contestant.
sub draw_bars
{
  my ($bench, $plot, $names, @cases) = @_;
  my @names = @$names;
  my %paint = colours(@names);
  my %cluster = map { ($cases[$_] => $_) } 0 .. $#cases;
  my $width = 0.8 / @names;
  my $xtics = join ', ', map { in_lines($plot->{x}->($_)) . " $cluster{$_}" } @cases;
  my $end = $#cases + 0.5;
  my @parts;

  for my $i (0 .. $#names)
  {
    my ($title, $colour) = map { quoted($_) } label($bench, $names[$i]), $paint{ $names[$i] };
    push @parts, "\$data$i using 1:2:($width * 0.92) with boxes linecolor rgb $colour title $title";
  }
  push @parts, map { "\$data$_ using 1:3:(0):(\$4-\$3) with vectors nohead linewidth 1.5 linecolor rgb '#202020'" } 0 .. $#names;
  return <<"GNUPLOT" . plot_command(@parts);
set style fill solid 1 noborder
set xrange [-0.5:$end]
set yrange [0:*]
set format y '$plot->{format}'
set bmargin 3
set xtics scale 0 ($xtics)
@{[ blocks($plot, \@cases, \@names, sub { $cluster{ $_[0] } + $width * ($_[1] - $#names / 2) }) ]}
GNUPLOT
}

# Return a plot of lines: a line for each contestant, over numbers of events.
sub draw_lines
{
  my ($bench, $plot, $names, @cases) = @_;
  my @names = @$names;
  my %paint = colours(@names);
  my %numbers = map { ($plot->{x}->($_) => 1) } @cases;
  my $xtics = join ', ', sort { $a <=> $b } keys %numbers;
  my $xlabel = quoted($plot->{label});
  my $scale = $plot->{log_y} ? 'set logscale y' : 'set yrange [0:*]';
  my @parts;

  for my $i (0 .. $#names)
  {
    my ($title, $colour) = map { quoted($_) } label($bench, $names[$i]), $paint{ $names[$i] };
    unshift @parts, "\$data$i using 1:2:3:4 with yerrorlines linewidth 2 pointtype 7 pointsize 0.5"
      . " linecolor rgb $colour title $title";
  }
  return <<"GNUPLOT" . plot_command(@parts);
set logscale x
set xlabel $xlabel
set xtics ($xtics)
set offsets graph 0.05, graph 0.05, 0, 0
set format y '$plot->{format}'
$scale
@{[ blocks($plot, \@cases, \@names, $plot->{x}) ]}
GNUPLOT
}

# Run gnuplot with a script.
sub gnuplot
{
  my ($script) = @_;
  open my $out, '|-', 'gnuplot', '-' or die "gnuplot: $!\n";
  binmode $out, ':encoding(UTF-8)';
  print {$out} $script;
  close $out or die "gnuplot failed\n";
  return;
}

# Draw all plots that have values into a folder, and return their titles by name.
sub draw_plots
{
  my ($bench, $folder) = @_;
  my %drawn;

  for my $plot (@plots)
  {
    my @cases = grep { $_->{group} eq $plot->{group} && $plot->{of}->($_) } @{ $bench->{cases} };
    my @names = contestants_of($plot, @cases) or next;
    gnuplot(preamble($plot, "$folder/$plot->{name}.svg") . $plot->{draw}->($bench, $plot, \@names, @cases));
    $drawn{ $plot->{name} } = $plot->{title};
  }
  return %drawn;
}

1;
