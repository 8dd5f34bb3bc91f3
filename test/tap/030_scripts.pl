# The scripts: their help texts, and how script/test counts results. This test needs no
# server.
use strict;
use warnings;

use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";

# Run a command; its status, and all it says.
sub said
{
  my @command = @_;
  IPC::Run::run(\@command, '<', \undef, '>', \my $out, '2>&1', IPC::Run::timeout(60));
  return ($? >> 8, $out);
}

foreach my $script ((grep { !/\.\w+$/ } glob("$root/script/*")), "$root/ci/style")
{
  my ($name) = $script =~ m{(\w+/[\w-]+)$};
  my ($first) = slurp_file($script) =~ /\A#!.*\n# (.*)\n/;
  my ($status, $help) = said($script, '--help');
  ok($status == 0 && $help =~ /\A\Q$first\E\n/, "$name --help tells what it does") or diag $help;
  like($help, qr/^\s+\Q$name\E .*--/m, "$name --help tells its options");
  ($status, my $out) = said($script, 'nonsense');
  ok($status == 1 && $out =~ /nonsense/, "$name refuses what it does not know") or diag $out;
}

# script/test counts a log. What was skipped is not passed, and each reason is told.
my $functions = join "\n", slurp_file("$root/script/test") =~ /^(?:skip|reasons|count)\(\) \{.*?^\}/gms;
my $work = PostgreSQL::Test::Utils::tempdir();
mkdir "$work/$_" foreach 'src', 'src/results', 'src/results/erase';
append_to_file("$work/src/results/erase/collation.out", "\\echo skipped: there is no ICU\nskipped: there is no ICU\n");

# What script/test makes of logs, by kind: its last lines.
sub counted
{
  my (%logs) = @_;
  my $script = "set -euo pipefail\nsay() { echo \"\$*\"; }\nexplain() { :; }\n$functions\n"
    . "work=$work passed=0 failed=0 skipped=0 skips=() started=0\n";

  foreach my $kind (sort keys %logs)
  {
    unlink "$work/$kind";
    append_to_file("$work/$kind", $logs{$kind});
    $script .= "count $kind $work/$kind 0 >/dev/null\n";
  }
  my ($status, $out) = said('bash', '-c', "$script\n[ \${#skips[@]} -eq 0 ] || printf '%s\\n' \"\${skips[@]}\"\necho \"\$passed \$failed \$skipped\"");
  return $out;
}
is(counted(tap => <<'EOL'), <<'EOR', 'script/test: single tests and files that are skipped');
test/tap/006_pooler.pl ...... skipped: pgbouncer is not installed
test/tap/013_bench_report.pl ..
ok 1 - good
ok 2 # skip no gnuplot
ok 3 # skip no gnuplot
ok 4 - an item # skipping is not what this does
not ok 5 - bad
not ok 6 - expected # todo later
EOL
tap: 2, no gnuplot
tap: 1, test/tap/006_pooler.pl: pgbouncer is not installed
2 1 3
EOR
is(counted(regress => "ok 1         - position/position      8 ms\nok 2         - erase/collation      9 ms\n"),
  "regress: 1, erase/collation.out: there is no ICU\n1 0 1\n", 'script/test: files of SQL that are skipped');
is(counted(bench => "ok 1 - every script\nok 2 - of the peers # skip npm reaches no registry\n", style => "ok 1 - pgindent # skip pgindent cannot be downloaded\nok 2 - size\n"),
  "bench: 1, npm reaches no registry\nstyle: 1, pgindent cannot be downloaded\n2 0 2\n", 'script/test: the peers of the benchmark, and gates');
is(counted(pgtap => "ok 1 - a\n"), "1 0 0\n", 'script/test: nothing is skipped');

done_testing();
