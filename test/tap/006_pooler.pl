# Clients that connect through PgBouncer in transaction mode.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' if !$pgbouncer;

my $node = start_node('pooled');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_store('role.events', 'off');
SELECT eventstore.create_store('connection.events', 'off');
CREATE ROLE pooled LOGIN;
ALTER ROLE pooled SET pg_eventstore.store = 'role.events';
GRANT USAGE ON SCHEMA eventstore, role, connection TO pooled;
GRANT SELECT, INSERT ON eventstore.events, role.events, connection.events TO pooled;
EOS

# Two server connections serve all clients.
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $base = PostgreSQL::Test::Utils::tempdir();
my ($host, $port, $at) = ($node->host, $node->port, "host=$dir port=" . $node->port);
append_to_file("$base/users", qq{"$user" ""\n"pooled" ""\n});
append_to_file("$base/pgbouncer.ini", <<"EOS");
[databases]
postgres = host=$host port=$port dbname=postgres
connection = host=$host port=$port dbname=postgres connect_query='SET pg_eventstore.store = "connection.events"'
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $base/users
pool_mode = transaction
default_pool_size = 2
server_check_delay = 0
logfile = $base/log
EOS
my $output = '';
my $pooler = IPC::Run::start([ $pgbouncer, '-q', "$base/pgbouncer.ini" ], '<', \undef, '>&', \$output);
END { local $?; $pooler->kill_kill if $pooler }

# Run some SQL through the pooler; its output, or the SQLSTATE of its error.
sub pooled
{
  my ($sql, $dbname, $role) = @_;
  my ($rc, $out, $err) = $node->psql('postgres', $sql,
    connstr => "$at dbname=" . ($dbname // 'postgres') . ' user=' . ($role // 'pooled'),
    extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
  return $err =~ /ERROR:\s+(\w+)/ ? $1 : $rc == 0 ? $out : $err;
}

# A psql session through the pooler that stays open.
sub client { return session($node, undef, "$at dbname=postgres user=pooled") }

for (1 .. 100)
{
  last if pooled('SELECT 1') eq '1';
  select undef, undef, undef, 0.1;
}
is(pooled('SELECT 1'), '1', 'the pooler answers') or diag($output, slurp_file("$base/log"));

# The store by role, by the pooler's connection, by transaction.
is(pooled("SELECT eventstore.append_event('e', '1', 'a', 0)"), '1', 'an append works');
is(pooled("SELECT count(*) FROM eventstore.get_events_by_aggregate('a')"), '1', 'a reader works');
is(pooled("SELECT eventstore.get_aggregate_version('a', 'role.events')"), '1', 'the store is that of ALTER ROLE');
is(pooled("SELECT eventstore.append_event('e', '1', 'a', 0)", 'connection'), '1', 'the same through another pool');
is($node->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('a', 'connection.events')"), '1', 'whose connections name a store');
is(pooled("BEGIN; SET LOCAL pg_eventstore.store = 'eventstore.events'; SELECT eventstore.append_event('e', '1', 'a', 0); COMMIT"), '1', 'a transaction may name another');
is(pooled("SELECT eventstore.append_event('e', '1', 'a', 1)"), '2', 'which does not outlive it');
is($node->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('a')"), '1', 'the default store has that one event');
is(pooled("SELECT eventstore.append_event('e', '1', 'a', 0)"), '40V01', 'a conflict is seen');
is(pooled("SELECT eventstore.append_event('e', '1', 'a', 2)"), '3', 'and the connection is good afterwards');

# The store by the connection string, to the server itself; PgBouncer 1.20 and
# later can pass it on, too.
is($node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'options', 0)",
  connstr => $node->connstr('postgres') . q{ options='-c pg_eventstore.store=role.events'}), '1', 'the options of a connection string name a store');
is($node->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('options', 'role.events')"), '1', 'that one');

# Many clients on two connections, with transactions of several statements.
my $script = "$base/script";
append_to_file($script, <<'EOS');
\set a random(1, 10)
SELECT eventstore.append_event('e', '1', 'p' || :a);
BEGIN;
SELECT eventstore.append_to_aggregate('p' || :a, ARRAY['e', 'e'], ARRAY['1', '2']::jsonb[]);
SELECT count(*) FROM eventstore.get_events_by_aggregate('p' || :a, max_count => 5);
COMMIT;
EOS
$node->command_checks_all([ 'pgbench', '-n', '-c', '12', '-j', '2', '-t', '40', '-M', 'simple', '-f', $script, "$at dbname=postgres user=pooled" ],
  0, [ qr/processed: 480\/480/ ], [ qr/\A(?:pgbench \(.*\)\n)?\z/ ], 'twelve clients share two connections');
is($node->safe_psql('postgres', q{SELECT sum(n), bool_and(n = last) FROM (
    SELECT count(*) AS n, max(aggregate_version) AS last FROM role.events WHERE aggregate_id LIKE 'p%' GROUP BY aggregate_id) a}),
  '1440|t', 'no event is missing');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pooled'"), '<=', 3, 'they did share');

# Other clients hear what is appended through the pooler.
my $listener = session($node);
$listener->run('LISTEN eventstore_events');
is(pooled("SELECT eventstore.append_event('e', '1', 'a', store => 'eventstore.events')"), '2', 'an append to a store that notifies');
is(scalar($listener->hears(sub { @_ > 0 })), 1, 'is announced to a session of the server');
$listener->quit;

$pooler->signal('INT');
$pooler->kill_kill(grace => 5);
undef $pooler;

# The limits of a pool: one connection, one more when clients have waited for
# a second, none for the third client, and none that is old.
my $limited = PostgreSQL::Test::Utils::tempdir_short();
append_to_file("$base/limited.ini", slurp_file("$base/pgbouncer.ini")
    =~ s/^unix_socket_dir.*$/unix_socket_dir = $limited/mr
    =~ s/^default_pool_size.*$/default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 1\nquery_wait_timeout = 4\nserver_lifetime = 3/mr);
$at = "host=$limited port=$port";
$pooler = IPC::Run::start([ $pgbouncer, '-q', "$base/limited.ini" ], '<', \undef, '>&', \$output);
for (1 .. 100)
{
  last if pooled('SELECT 1') eq '1';
  select undef, undef, undef, 0.1;
}

# server_lifetime, as long as there is one connection
my $append = "SELECT eventstore.append_event('e', '1', 'limited')";
my $first = pooled('SELECT pg_backend_pid()');
my $second = $first;
for (1 .. 60)
{
  $second = pooled('SELECT pg_backend_pid()');
  last if $second ne $first;
  select undef, undef, undef, 0.5;
}
like($first, qr/^\d+$/, 'there is a connection');
isnt($second, $first, 'server_lifetime: an old connection is replaced');
is(pooled($append), '1', 'the new one appends');

# reserve_pool_size and query_wait_timeout
my @clients = map { client() } 1 .. 2;
$clients[0]->run("BEGIN; $append");
$clients[1]->run("BEGIN; SELECT eventstore.append_event('e', '1', 'another')");
is($clients[1]->state, '00000', 'reserve_pool_size: a second client gets a further connection');
isnt($clients[1]->pid, $clients[0]->pid, 'of its own');
my $since = time;
my ($rc, $out, $err) = $node->psql('postgres', $append, connstr => "$at dbname=postgres user=pooled");
my $waited = time - $since;
like($err, qr/query_wait_timeout/, 'query_wait_timeout: a third client waits in vain');
cmp_ok($waited, '>=', 3, 'for the time that it is to wait');
cmp_ok($waited, '<', 60, 'and no longer');
$_->run('COMMIT') for @clients;
is($_->state, '00000', 'the others go on') for @clients;
is(pooled($append), '3', 'and then a third client is served');
$_->quit for @clients;

$pooler->signal('INT');
$pooler->kill_kill(grace => 5);
undef $pooler;
$node->stop;
done_testing();
