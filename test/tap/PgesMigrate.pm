# Functions of the tests of pg_eventstore_migrate: run the program, and make its files.
package PgesMigrate;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($program $dir migrate migrate_ok migrate_fails file_of);

# The program as it was built here, or else the installed one.
our $program = 'pg_eventstore_migrate';
my $built = "$FindBin::RealBin/../../src/bin/$program";
$ENV{PATH} = "$built:$ENV{PATH}" if -x "$built/$program";

# The folder of the files. PostgreSQL::Test::Utils knows where in its INIT block, which
# runs first.
our $dir;
INIT { $dir = PostgreSQL::Test::Utils::tempdir() }

# Run the program; its exit status, standard output and standard error. The first
# argument can be a reference to its input, which is given in a file: a pipe would end
# the test if the program ended before it had read all.
sub migrate
{
  my @arguments = @_;
  my $in = ref $arguments[0] ? ${ shift @arguments } : '';
  my ($out, $err) = ('', '');

  open my $file, '>', "$dir/input" or die $!;
  print $file $in;
  close $file or die $!;
  IPC::Run::run([ $program, @arguments ], '<', "$dir/input", '>', \$out, '2>', \$err, IPC::Run::timeout(180));
  return ($? >> 8, $out, $err);
}

# The program does well, and says this.
sub migrate_ok
{
  my ($name, $said, @arguments) = @_;
  my ($status, $out, $err) = migrate(@arguments);

  is($status, 0, "$name: exit status") or diag($err);
  like($err, $said, "$name: what it says");
  return $out;
}

# The program fails, and says this.
sub migrate_fails
{
  my ($name, $said, @arguments) = @_;
  my ($status, $out, $err) = migrate(@arguments);

  is($status, 1, "$name: exit status");
  like($err, $said, "$name: what it says");
  return $err;
}

# Write a file of these lines; its path.
sub file_of
{
  my ($name, @lines) = @_;
  my $path = "$dir/$name.jsonl";

  append_to_file($path, join('', map { "$_\n" } @lines));
  return $path;
}

1;
