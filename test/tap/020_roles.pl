# Privileges: every object of the extension is used by every kind of role, as listed in
# calls.txt. A role without a privilege on a store neither waits for the lock of the
# store nor keeps a lock on it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesCalls;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @roles = qw(connect usage reader writer eraser archiver consumer owner superuser);
my @strangers = qw(connect usage consumer); # without a right on the store
my @calls = read_calls(@roles);
my $node = start_node('roles', "autovacuum = off\npg_eventstore.test_database = on\n");
my %about = (store => 'shop.events', archive => 'shop.events_archive', sequence => 'shop.events_position_seq',
  other => 'shop.other', source => 'public.source');

# What there is to call: a store with an archive, both of role owner.
$node->safe_psql('postgres', <<'EOS');
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
CREATE ROLE nobody LOGIN;
CREATE ROLE connect LOGIN; CREATE ROLE usage LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN;
CREATE ROLE eraser LOGIN; CREATE ROLE archiver LOGIN; CREATE ROLE consumer LOGIN; CREATE ROLE owner LOGIN;
CREATE ROLE superuser LOGIN SUPERUSER;
GRANT CONNECT ON DATABASE postgres TO connect, usage, reader, writer, eraser, archiver, consumer, owner;
GRANT USAGE ON SCHEMA eventstore TO usage, reader, writer, eraser, archiver, consumer, owner;
CREATE SCHEMA shop AUTHORIZATION owner;
CREATE TABLE public.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
GRANT SELECT ON public.source TO PUBLIC;
CREATE FUNCTION public.handle(eventstore.event) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION public.reducer(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state';
CREATE TABLE public.handled (n integer);
GRANT ALL ON public.handled TO PUBLIC;
SET ROLE owner;
GRANT USAGE ON SCHEMA shop TO usage, reader, writer, eraser, archiver, consumer;
SELECT eventstore.create_store('shop.events', 'off');
GRANT SELECT ON shop.events TO reader, writer, eraser, archiver;
GRANT INSERT ON shop.events TO writer;
GRANT UPDATE (data, metadata) ON shop.events TO eraser;
GRANT DELETE ON shop.events TO archiver;
SELECT eventstore.create_archive('shop.events');
GRANT SELECT, INSERT ON shop.events_archive TO archiver;
GRANT SELECT ON shop.events_archive TO consumer;
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => 'shop.events');
SELECT eventstore.append_event('e', '1', 'b', event_id => 'again', store => 'shop.events');
SELECT eventstore.set_retention('shop.events', '1 day');
EOS

# Run some psql commands as a role.
sub run_as
{
  my ($role, $script) = @_;
  my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0,
    connstr => $node->connstr('postgres') . " user=$role");
  return $out;
}

# One call as psql commands: it tells "NUMBER|SQLSTATE|KEPT" of it, where KEPT is
# what locks the transaction keeps on stores afterwards. What a refused one keeps
# are those that no ROLLBACK TO releases, such as the guard of an append.
sub commands
{
  my ($i, $call) = @_;
  my $sql = $call->{sql} =~ s/;/\\;/gr;
  my $end = $call->{alone} ? '' : 'ROLLBACK;';
  my $start = $call->{alone} ? '' : 'BEGIN; SAVEPOINT call;';
  my $back = $call->{alone} ? '' : "\\if :ERROR\nROLLBACK TO call;\n\\endif";

  return <<EOS;
\\c -
SET client_min_messages = error; SET lock_timeout = '100ms';
$start
\\o /dev/null
$sql;
\\o
\\set state :SQLSTATE
\\set kept ?
$back
SELECT COALESCE(string_agg(DISTINCT concat_ws(' ', locktype, mode, relation::regclass), ', '), '') AS kept
  FROM pg_locks WHERE pid = pg_backend_pid()
   AND (relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                     WHERE nspname IN ('shop', 'eventstore') AND relname ~ '^events')
        OR locktype = 'advisory') \\gset
\\echo $i|:state|:kept
$end
EOS
}

# Run the calls as a role, which is the number of each it runs as; the results
# by number.
sub run_calls
{
  my ($role, $about, @numbers) = @_;
  my $script = join '', map { "\\set $_ '$about->{$_}'\n" } keys %$about;
  $script .= commands($_, $calls[$_]) for @numbers;
  my %result;
  foreach (split /\n/, run_as($role, $script))
  {
    $result{$1} = { state => $2, kept => $3 } if /^(\d+)\|(\w+)\|(.*)$/;
  }
  return %result;
}

# Compare the results of a role with what is expected, in one test.
sub compare
{
  my ($name, $role, $results, @numbers) = @_;
  my @wrong;
  foreach my $i (@numbers)
  {
    my $state = $results->{$i}{state} // 'no result';
    my $expected = $calls[$i]{expect}{$role};
    push @wrong, "$state, not $expected: $calls[$i]{sql}" if $state ne $expected;
  }
  ok(!@wrong, $name) or diag(join "\n", @wrong);
  return;
}

my @all = 0 .. $#calls;
my %is_function = map { $_ => 1 } members($node, 'fpt');
my %is_ours = (%is_function, map { $_ => 1 } members($node, 'v')); # the others' locks are PostgreSQL's own

# Each object has its lines in the table.
my %listed = map { $_->{object} => 1 } @calls;
my @members = members($node, 'rvScfpte');
my %seen;
is_deeply([ grep { $seen{$_}++ } @members ], [], 'no two objects have one name');
is_deeply([ grep { !$listed{$_} } @members ], [], 'every object has a call');
is_deeply([ grep { my $o = $_; !grep { $_ eq $o } @members } sort keys %listed ], [], 'every call is of an object');

# Every call as every role.
like(($node->psql('postgres', 'SELECT 1', connstr => $node->connstr('postgres') . ' user=nobody'))[2],
  qr/permission denied for database/, 'nobody: cannot connect');
foreach my $role (@roles)
{
  my %result = run_calls($role, \%about, @all);
  compare("$role: what is allowed and what is refused", $role, \%result, @all);

  my $is_stranger = grep { $_ eq $role } @strangers;
  my @kept = grep { $_ ->{kept} ne '' } map { $result{$_} && { %{ $result{$_} }, sql => $calls[$_]{sql} } || () }
    grep { $is_ours{ $calls[$_]{object} } && ($is_stranger || $calls[$_]{expect}{$role} ne '00000') } @all;
  ok(!@kept, "$role: " . ($is_stranger ? 'no call keeps a lock' : 'what is refused keeps no lock'))
    or diag(join "\n", map { "$_->{kept}: $_->{sql}" } @kept);
}

# A role without a right on a store does not wait for its lock: functions and views
# once more, while somebody has locked the stores. On the default store, a superuser's,
# no role but that has a right.
my %default = (store => 'eventstore.events', archive => 'eventstore.events', sequence => 'eventstore.events_position_seq',
  other => 'eventstore.other', source => 'public.source');
my $locker = session($node);
$locker->run('BEGIN; LOCK TABLE shop.events, shop.events_archive, eventstore.events');
foreach my $case ((map { [ $_, \%about ] } @strangers), (map { [ $_, \%default ] } @strangers))
{
  my ($role, $about) = @$case;
  my @mine = grep { $is_ours{ $calls[$_]{object} } } @all;
  my %result = run_calls($role, $about, @mine);
  compare("$role: does not wait for a lock on $about->{store}", $role, \%result, @mine);
}
$locker->run('ROLLBACK');
$locker->quit;

# An archive of another owner than the store's is read, and not changed.
$node->safe_psql('postgres', 'ALTER TABLE shop.events_archive OWNER TO consumer; GRANT ALL ON shop.events_archive TO owner');
foreach my $role (qw(owner superuser))
{
  my @changing = grep { $calls[$_]{object} =~ /archive|retention|drop_store|empty_store/ && $is_function{ $calls[$_]{object} } && $calls[$_]{expect}{reader} eq '42501' } @all;
  my %result = run_calls($role, \%about, @changing);
  my @wrong = grep { ($result{$_}{state} // '') ne '42501' } @changing;
  ok(@changing && !@wrong, "$role: an archive of another owner is not changed")
    or diag(join "\n", map { ($result{$_}{state} // 'no result') . ", not 42501: $calls[$_]{sql}" } @wrong);
}
is($node->safe_psql('postgres', "SET ROLE owner; SELECT count(*) FROM eventstore.read_events(store => 'shop.events')"), '5', 'but read');

# Nobody but a superuser changes what the extension has made.
my @tables = members($node, 'rvS');
my @changes = (
  (map { my $t = "eventstore.$_"; ("ALTER TABLE $t OWNER TO CURRENT_USER", "ALTER TABLE $t RENAME TO x", "ALTER TABLE $t SET SCHEMA shop") } @tables),
  (map { my $t = "eventstore.$_"; (
      "INSERT INTO $t DEFAULT VALUES", "DELETE FROM $t", "TRUNCATE $t", "LOCK TABLE $t IN EXCLUSIVE MODE", "ALTER TABLE $t ADD x int",
      "CREATE INDEX ON $t ((1))", "CREATE TRIGGER x BEFORE INSERT ON $t EXECUTE FUNCTION eventstore.refuse_change()",
      "CREATE RULE x AS ON INSERT TO $t DO ALSO NOTHING", "ALTER TABLE $t REPLICA IDENTITY FULL", "ALTER TABLE $t ENABLE ROW LEVEL SECURITY",
      "CREATE PUBLICATION x FOR TABLE $t", "CREATE STATISTICS shop.x ON tableoid, ctid FROM $t",
      "CREATE TABLE shop.x () INHERITS ($t)") } members($node, 'r')),
  (map { ("ALTER ROUTINE eventstore.$_ OWNER TO CURRENT_USER", "DROP ROUTINE eventstore.$_") } members($node, 'fp')),
  'CREATE TABLE eventstore.x ()', 'CREATE FUNCTION eventstore.append_events(text, integer) RETURNS integer LANGUAGE sql AS $$SELECT 1$$',
  'ALTER SCHEMA eventstore RENAME TO x', 'ALTER SCHEMA eventstore OWNER TO CURRENT_USER', 'DROP SCHEMA eventstore CASCADE',
  'ALTER EXTENSION pg_eventstore DROP FUNCTION eventstore.new_event_id()', 'DROP EXTENSION pg_eventstore',
  'CREATE TABLE shop.x AS SELECT * FROM eventstore.erasures');
my $changes = join "\n", map { my $i = $_; "BEGIN;\n" . ($changes[$i] =~ s/;/\\;/gr) . ";\n\\echo $i|:SQLSTATE\nROLLBACK;" } 0 .. $#changes;
my %got = map { /^(\d+)\|(\w+)$/ ? ($1 => $2) : () } split /\n/, run_as('owner', $changes);
my @wrong = grep { ($got{$_} // '') !~ ($changes[$_] =~ /RENAME TO|SET SCHEMA|^ALTER SCHEMA/ ? qr/^(0A000|42501)$/ : qr/^42501$/) } 0 .. $#changes;
ok(!@wrong, 'the owner of a store changes nothing of the extension') or diag(join "\n", map { ($got{$_} // 'no result') . ": $changes[$_]" } @wrong);
is($node->safe_psql('postgres', q{
  SELECT string_agg(DISTINCT pg_get_userbyid(owner), ', ') FROM (
    SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace
    UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'eventstore'::regnamespace
    UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'eventstore') x}),
  'postgres', 'all of it belongs to the bootstrap superuser');

done_testing();
