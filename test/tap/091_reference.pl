# The generated parts of the pages in doc/ are those that script/reference makes from the
# database, and script/reference --check fails if anything differs.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('reference');

# A copy of what the script reads, in which pages can be spoilt.
my $copy = PostgreSQL::Test::Utils::tempdir();
system('cp', '-r', (map { "$FindBin::RealBin/../../$_" } 'script', 'doc', 'src'), $copy) == 0 or die 'cp failed';

# Run script/reference on the node; its status, and all it prints.
sub reference
{
  my (@options) = @_;
  IPC::Run::run([ "$copy/script/reference", @options, '--database', $node->connstr('postgres') ],
    '<', \undef, '>', \my $out, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
  return ($? >> 8, $out);
}

sub is_current
{
  my ($name) = @_;
  my ($status, $out) = reference('--check');
  ok($status == 0 && $out eq '', $name) or diag $out;
  return;
}

sub is_found
{
  my ($pattern, $name) = @_;
  my ($status, $out) = reference('--check');
  ok($status == 1 && $out =~ $pattern, "$name is found") or diag "status $status: $out";
  return;
}

# Replace a text in a file of the copy.
sub spoil
{
  my ($file, $old, $new) = @_;
  my $text = slurp_file("$copy/$file");
  $text =~ s/\Q$old\E/$new/ or die "$file has no $old";
  unlink "$copy/$file";
  append_to_file("$copy/$file", $text);
  return;
}

# Replace a text in the COMMENT of a function.
sub comment
{
  my ($function, $old, $new) = @_;
  $node->safe_psql('postgres', qq{
    DO \$\$BEGIN
      EXECUTE format('COMMENT ON FUNCTION $function IS %L',
        replace(obj_description('$function'::regprocedure, 'pg_proc'), '$old', '$new'));
    END\$\$});
  return;
}

is_current('the pages are those of the database');

comment('eventstore.ack(text, bigint, bigint)', 'Acknowledges', 'Confirms');
is_found(qr/^-Acknowledges the events.*^\+Confirms the events/ms, 'another COMMENT');
comment('eventstore.ack(text, bigint, bigint)', 'Confirms', 'Acknowledges');
comment('eventstore.ack(text, bigint, bigint)', 'up_to_position:', 'until_position:');
is_found(qr/until_position is no argument.*argument up_to_position is missing/s, 'an argument without a description');
comment('eventstore.ack(text, bigint, bigint)', 'until_position:', 'up_to_position:');
comment('eventstore.ack(text, bigint, bigint)', '22V02 the', 'an error');
is_found(qr/cannot read the error "an error/, 'an error without SQLSTATE');
comment('eventstore.ack(text, bigint, bigint)', 'an error', '22V02 the');

$node->safe_psql('postgres', q{
  CREATE FUNCTION eventstore.added() RETURNS integer LANGUAGE sql RETURN 1;
  COMMENT ON FUNCTION eventstore.added() IS 'Added.';
  ALTER EXTENSION pg_eventstore ADD FUNCTION eventstore.added()});
is_found(qr/added is not in the index/, 'a function that no page has');
$node->safe_psql('postgres', 'ALTER EXTENSION pg_eventstore DROP FUNCTION eventstore.added(); DROP FUNCTION eventstore.added()');
is_current('without these faults the pages are current again');

spoil('doc/settings.md', '0 to 1000 ms', '0 to 2000 ms');
is_found(qr/^\+.*pg_eventstore\.notifier_tick.*0 to 1000 ms/m, 'another value of a setting');
spoil('doc/reference-log.md', 'Returns the ordered log', 'Gives the ordered log');
is_found(qr/^\+Returns the ordered log/m, 'another page');
my ($status, $out) = reference();
ok($status == 0 && $out eq '', 'script/reference rewrites the pages') or diag $out;
is_current('and then they are current');

spoil('doc/errors.md', '| 2D000 |', '| 2D00X |');
is_found(qr/lacks 2D000, which src\/archive.*nothing in src\/ raises 2D00X/s, 'an SQLSTATE that differs between source and table');

$node->stop;
done_testing();
