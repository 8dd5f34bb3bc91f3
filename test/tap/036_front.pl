# The front: what it does with every function of pg_eventstore, with two nodes behind it. The
# calls are in front_calls.txt. Also roles, missing slots, changed maps, and a dump.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('front');
plan skip_all => 'there is no plproxy for this server'
  if $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'plproxy'") eq '0';

my %server = map { $_ => "host='" . $node->host . "' port=" . $node->port . " dbname=$_" } qw(a b front);
$node->safe_psql('postgres', "CREATE DATABASE $_") for sort keys %server;
$node->safe_psql($_, 'CREATE EXTENSION pg_eventstore') for qw(a b);
$node->safe_psql('a', "SELECT eventstore.create_slots('shop.orders', 4, '{0,1}')");
$node->safe_psql('b', "SELECT eventstore.create_slots('shop.orders', 4, '{2,3}')");
# a reducer, and what projections fill
$node->safe_psql($_, <<'EOS') for qw(a b);
CREATE TABLE shop.counts (aggregate_id text PRIMARY KEY, n integer);
CREATE FUNCTION shop.count_event(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO shop.counts VALUES (e.aggregate_id, 1) ON CONFLICT (aggregate_id) DO UPDATE SET n = counts.n + 1 $$;
EOS
$node->safe_psql($_, q{CREATE FUNCTION shop.types(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state || to_jsonb(event.event_type)'}) for qw(a b);
# what import_events() reads
$node->safe_psql('a', <<'EOS');
CREATE TABLE public.source AS SELECT 'imported' AS event_id, 'old' AS event_type, now() AS occurred_at, 'order-3' AS aggregate_id, '1'::jsonb AS data
EOS

is(sqlstate($node, 'CREATE EXTENSION pg_eventstore_front CASCADE', dbname => 'a'), '55000', 'a node is no front');
$node->safe_psql('front', 'CREATE EXTENSION pg_eventstore_front CASCADE');
$node->safe_psql('front', "SELECT eventstore.set_node('$_', \$\$$server{$_}\$\$)") for qw(a b);
$node->safe_psql('front', "SELECT eventstore.set_slot_map('shop.orders', '{a,a,b,b}')");
is(sqlstate($node, 'SELECT eventstore.get_event($$e$$)', dbname => 'front'), '42P01', 'without a setting, the front has no default store');
$node->safe_psql('front', "ALTER DATABASE front SET pg_eventstore.store = 'shop.orders'");

# The calls. Each runs in a connection of its own.
my %done;
open(my $in, '<', "$FindBin::RealBin/front_calls.txt") or die $!;
while (my $line = <$in>)
{
  next if $line =~ /^(#|\s*$)/;
  my ($function, $what, $sql, $wanted) = $line =~ /^(\w+) \| (\w+) \| (.*) => ?(.*)$/ or die $line;
  if ($wanted =~ /^[0-9A-Z]{5}$/ && $wanted =~ /\D|^[245]\d{4}$/)
  {
    is(sqlstate($node, $sql, dbname => 'front'), $wanted, "$sql: $wanted");
  }
  else
  {
    my ($rc, $out, $err) = $node->psql('front', $sql);
    $out =~ s/\n/;/g;
    is($rc == 0 ? $out : $err, $wanted, $sql);
  }
  push @{ $done{$function} }, $what;
}
close $in;

# Every function has the same name and arguments, and calls, and its line in the page.
my $signatures = <<'EOS';
SELECT p.proname, pg_get_function_arguments(p.oid)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'eventstore' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
   AND p.proname !~ '^(remote|front)_' AND p.proname !~ '^regstore_'
   AND p.proname NOT IN ('archive_options', 'store_options', 'subscription_lag', 'state_problem', 'projection_problem', 'reported_progress', 'next_position', 'read_support')
EOS
my %on_node = map { /^(\w+)\|(.*)$/ ? ($1 => $2) : () } split /\n/, $node->safe_psql('a', $signatures);
my %on_front = map { /^(\w+)\|(.*)$/ ? ($1 => $2) : () } split /\n/, $node->safe_psql('front', $signatures);
for my $function (sort keys %on_node)
{
  s/regclass|regprocedure/text/g, s/, OUT .*//, s/^OUT .*// for $on_node{$function}, $on_front{$function} //= '';
  is($on_front{$function}, $on_node{$function}, "$function() has the same arguments");
}
my @only_front = grep { !exists $on_node{$_} } sort keys %on_front;
is("@only_front", 'next_cursor read_events_all set_front set_node set_slot_map set_slot_node', 'functions of the front alone');
is(join(' ', grep { !$done{$_} } sort keys %on_front), '', 'every function of the front is called here');
my $page = slurp_file("$FindBin::RealBin/../../doc/front.md");
my %in_page;
while ($page =~ /^\| (.*) \| (slot|all|one|refused|here) \|/mg)
{
  my $what = $2;
  $in_page{$_} = $what for $1 =~ /(\w+)\(\)/g;
}
is_deeply(\%in_page, { map { $_ => $done{$_}[0] } keys %done }, 'doc/front.md says what the front does with each function');

# The error of a node comes through: message, detail with JSON in its last line, and hint.
my (undef, undef, $error) = $node->psql('front', "SELECT eventstore.append_event('placed', '1', 'order-4', expected_version => 7)");
like($error, qr/version conflict on aggregate "order-4"\nDETAIL: .*\n\{"aggregate_id": "order-4", "expected": 7, "actual": 1\}\nHINT: .*retry with its current version/, 'a conflict has its detail, JSON and hint');

# Roles. The front connects to the nodes as the role that calls.
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN');
$node->safe_psql($_, 'GRANT USAGE ON SCHEMA eventstore TO app, other') for qw(a b front);
$node->safe_psql('front', 'GRANT USAGE ON FOREIGN SERVER "shop.orders" TO app');
sub as
{
  my ($role, $sql) = @_;
  my ($rc, $out, $err) = $node->psql('front', $sql, extra_params => [ '-U', $role, '-v', 'VERBOSITY=sqlstate' ]);
  return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $out;
}
is(as('other', "SELECT eventstore.get_aggregate_version('order-4')"), '42501', 'a role without USAGE on the map cannot call');
is(as('app', "SELECT eventstore.get_aggregate_version('order-4')"), '42501', 'nor one without privileges on the node');
is(as('app', 'SELECT count(*) FROM eventstore.slot_map'), '4', 'the map can be read');
is(as('app', "SELECT eventstore.set_node('a', 'host=elsewhere')"), '42501', 'but not be changed');
is(as('app', "SELECT eventstore.set_slot_node('shop.orders', 0, 'b')"), '42501', 'nor a slot of it');
$node->safe_psql('b', 'GRANT USAGE ON SCHEMA shop TO app; GRANT SELECT, INSERT ON shop.orders_002 TO app; SELECT eventstore.sync_archive($$shop.orders_002$$)');
is(as('app', "SELECT eventstore.append_event('paid', '1', 'order-4')"), '2', 'with privileges on the slot a role can append');
is(as('app', "SELECT count(*) FROM eventstore.get_events_by_type('paid')"), '42501', 'a reader of all slots needs all of them');

$node->safe_psql('front', 'CREATE USER MAPPING FOR app SERVER "shop.orders" OPTIONS (user $$postgres$$)');
is(as('app', "SELECT eventstore.get_aggregate_version('order-4')"), '42501', 'a role cannot become another one on the nodes by a user mapping');
is(as('app', "SELECT eventstore.remote_get_aggregate_version('shop.orders', 2, 'order-4')"), '42501', 'nor by a part of a function');
$node->safe_psql('front', 'DROP USER MAPPING FOR app SERVER "shop.orders"; CREATE USER MAPPING FOR app SERVER "shop.orders" OPTIONS (user $$app$$)');
is(as('app', "SELECT eventstore.get_aggregate_version('order-4')"), '2', 'but itself');

# Times and intervals, whatever the session's style.
for my $style ("datestyle = 'ISO, DMY'", "datestyle = 'SQL, DMY'", "datestyle = 'German'", "datestyle = 'SQL', timezone = 'Asia/Kolkata'", "datestyle = 'Postgres', timezone = 'America/New_York'")
{
  my $set = join '; ', map { "SET $_" } split /, (?=timezone)/, $style;
  $node->safe_psql('front', "$set; SELECT eventstore.append_event('dated', '1', 'order-9', occurred_at => '2026-02-05T10:00:00Z'::text::timestamptz)");
  $node->safe_psql('front', "$set; SELECT eventstore.append_to_aggregate('order-9', '{dated}', '{1}', occurred_at => ARRAY['2026-02-05T10:00:00Z'::text::timestamptz])");
  is($node->safe_psql('front', "$set; SELECT count(*) FROM eventstore.get_events_by_type('dated', start_date => '2026-02-05T10:00:00Z'::text::timestamptz) WHERE occurred_at = '2026-02-05T10:00:00Z'::text::timestamptz"),
    $node->safe_psql('front', "SELECT eventstore.get_aggregate_version('order-9')"), "times with $style");
}

# A pipeline is a transaction, but a call that writes ends it.
my $script = $node->basedir . '/pipeline.sql';
append_to_file($script, "\\startpipeline\nSELECT 1;\nSELECT eventstore.append_event('piped', '1', 'order-9');\n\\endpipeline\n");
isnt(run_log([ 'pgbench', '-n', '-M', 'extended', '-t', '1', '-f', $script, '-d', $node->connstr('front') ]), 1, 'no append in a pipeline after another statement');
is($node->safe_psql('front', "SELECT count(*) FROM eventstore.get_events_by_type('piped')"), '0', 'and no event of it');

# A background worker of each node runs a projection of its slots.
$node->safe_psql('front', "SELECT eventstore.create_projection('counted', 'shop.count_event(eventstore.event)', event_types => '{counting}')");
$node->safe_psql('front', "SELECT eventstore.append_event('counting', '1', 'c-' || n) FROM generate_series(1, 20) n");
isnt($node->safe_psql('front', "SELECT eventstore.wait_for_projection('counted')"), '', 'a projection on all slots');
is($node->safe_psql('a', "SELECT count(*) FROM shop.counts WHERE aggregate_id LIKE 'c-%'") + $node->safe_psql('b', "SELECT count(*) FROM shop.counts WHERE aggregate_id LIKE 'c-%'"), 20, 'has handled the events of all slots');
is($node->safe_psql('front', "SELECT count(DISTINCT slot), sum(lag) FROM eventstore.projections WHERE name LIKE '%/counted'"), '4|0', 'the view shows it');
$node->safe_psql('front', "SELECT eventstore.pause_projection('counted')");
is(sqlstate($node, "SELECT eventstore.wait_for_projection('counted', timeout => '0')", dbname => 'front'), '00000', 'nothing is left to wait for');
$node->safe_psql('front', "SELECT eventstore.append_event('counting', '1', 'c-1')");
is(sqlstate($node, "SELECT eventstore.wait_for_projection('counted')", dbname => 'front'), '55000', 'a pause is an error of a wait');
$node->safe_psql('front', "SELECT eventstore.drop_projection('counted')");

# A second sliced store on the same nodes, with a subscription of the same name.
$node->safe_psql('a', "SELECT eventstore.create_slots('shop.items', 2, '{0}')");
$node->safe_psql('b', "SELECT eventstore.create_slots('shop.items', 2, '{1}')");
$node->safe_psql('front', "SELECT eventstore.set_slot_map('shop.items', '{a,b}')");
$node->safe_psql('front', "SELECT eventstore.create_subscription('both', store => '$_', start_position => NULL)") for qw(shop.orders shop.items);
$node->safe_psql('front', "SELECT eventstore.append_event('ordered', '1', 'order-8'), eventstore.append_event('counted', '1', 'item-1', store => 'shop.items')");
is($node->safe_psql('front', "SET pg_eventstore.store = 'shop.items'; SELECT string_agg(event_type, ',') FROM eventstore.poll('both')"), 'counted', 'a subscription of another store with the same name');
is($node->safe_psql('front', "SELECT string_agg(event_type, ',') FROM eventstore.poll('both')"), 'ordered', 'each has its own events');
$node->safe_psql('front', "SET pg_eventstore.store = 'shop.items'; SELECT eventstore.drop_subscription('both')");
is($node->safe_psql('front', "SELECT DISTINCT sliced_store FROM eventstore.subscriptions WHERE name LIKE '%/both'"), 'shop.orders', 'and is dropped by itself');
$node->safe_psql('front', 'DROP SERVER "shop.items" CASCADE');

# A slot that is not where the map says: no reader of all slots leaves it out.
$node->safe_psql('front', "SELECT eventstore.set_slot_node('shop.orders', 3, 'a')");
is(sqlstate($node, $_, dbname => 'front'), '42P01', "a slot is not where the map says: $_")
  for "SELECT eventstore.append_event('paid', '1', 'order-1')", "SELECT eventstore.get_aggregate_version('order-1')",
  "SELECT count(*) FROM eventstore.get_events_by_type('paid')", 'SELECT count(*) FROM eventstore.read_events_all()', 'SELECT eventstore.next_cursor()',
  "SELECT count(*) FROM eventstore.get_event('e1')", 'SELECT count(*) FROM eventstore.stores', "SELECT eventstore.create_subscription('s')";
$node->safe_psql('a', "SELECT eventstore.create_slots('shop.orders', 4, '{3}'); SELECT eventstore.set_slot_arriving('shop.orders_003', true)");
is(sqlstate($node, $_, dbname => 'front'), '42P01', "a slot is arriving: $_")
  for "SELECT eventstore.append_event('paid', '1', 'order-1')", 'SELECT count(*) FROM eventstore.get_latest_events()';

# An open session follows the map, also when a node gets another address.
my $session = session($node, 'front');
$session->run("SELECT eventstore.get_aggregate_version('order-4')");
$node->safe_psql('front', "SELECT eventstore.set_slot_node('shop.orders', 3, 'b')");
is($session->run("SELECT eventstore.get_aggregate_version('order-1')"), '5', 'a session sees that the map has changed');
$node->safe_psql('front', "SELECT eventstore.set_node('b', \$\$$server{b} application_name=renamed\$\$)");
is($session->run("SELECT count(*) FROM eventstore.slot_map WHERE node = 'b' AND conninfo LIKE '%renamed'"), '2', 'a node has another address');
is($session->run("SELECT eventstore.get_aggregate_version('order-1')"), '5', 'which the session uses');
$session->quit;

# The examples that find the server of a slot by themselves, with the same slots as the server's, and
# when the map that they have read is old.
my $examples = "$FindBin::RealBin/../../examples";
$ENV{NODE_PATH} = join ':', grep { $_ } $ENV{NODE_PATH}, '/usr/share/nodejs';
my %language = (
  python => { probe => [ '/usr/bin/python3', '-c', 'import psycopg' ], run => [ '/usr/bin/python3', "$examples/python/routing.py" ],
    slots => 'import sys; sys.path.append(sys.argv[1]); from routing import slot_of; print(*(slot_of(line.rstrip("\n"), n) for line in open(sys.argv[2], encoding="utf-8") for n in (2, 16, 1024)))', eval => [ '/usr/bin/python3', '-c' ] },
  javascript => { probe => [ 'node', '-e', "require('pg')" ], run => [ 'node', "$examples/javascript/routing.js" ],
    slots => 'const { slotOf } = require(process.argv[1] + "/routing.js"); console.log(...require("fs").readFileSync(process.argv[2], "utf8").trimEnd().split("\n").flatMap(id => [2, 16, 1024].map(n => slotOf(id, n))))', eval => [ 'node', '-e' ] },
  psql => { probe => ['true'], run => [ 'bash', "$examples/psql/routing.sh" ] });
my $vectors = $node->basedir . '/ids';
my @ids = ('a', '123456789', map { ("order-$_", "Z\xc3\xbcrich $_", "\xe6\x9d\xb1\xe4\xba\xac $_", "\xf0\x9f\x98\x80$_") } 1 .. 50);
append_to_file($vectors, join("\n", @ids) . "\n");
my $values = join(', ', map { "('$ids[$_]', $_)" } 0 .. $#ids);
my $slots = $node->safe_psql('front', "SELECT string_agg(eventstore.slot_of(id, n)::text, ' ' ORDER BY i, n) FROM (VALUES $values) v (id, i), unnest('{2,16,1024}'::int[]) n");
$node->safe_psql('a', "DROP TABLE shop.orders_003");
my $version = 2;
for my $name (sort keys %language)
{
  my $l = $language{$name};
SKIP:
  {
    skip "no driver for $name", 4 if !run_log($l->{probe});
    local $ENV{PGHOST} = $node->host;
    local $ENV{PGPORT} = $node->port;
    local $ENV{PGDATABASE} = 'front';
    my ($out, $err) = ('', '');
    if ($l->{eval})
    {
      IPC::Run::run([ @{ $l->{eval} }, $l->{slots}, "$examples/$name", $vectors ], '>', \$out, '2>', \$err);
      is($out, "$slots\n", "$name: the slots are those of the server") or diag $err;
    }
    IPC::Run::run([ @{ $l->{run} }, 'shop.orders', 'order-4', 'paid' ], '>', \$out, '2>', \$err);
    $version++;
    is($out, "order-4 is at version $version\n", "$name: an event is appended on the server of its slot") or diag $err;
    isnt(run_log([ @{ $l->{run} }, 'shop.nothing', 'order-4', 'paid' ]), 1, "$name: a store without a map");
    # the map is wrong for a while
    $node->safe_psql('front', "SELECT eventstore.set_slot_node('shop.orders', 2, 'a')");
    my $run = IPC::Run::start([ @{ $l->{run} }, 'shop.orders', 'order-4', 'paid' ], '>', \$out, '2>', \$err);
    isnt(run_log([ @{ $l->{run} }, 'shop.orders', 'order-4', 'paid' ]), 1, "$name: the slot is not where the map says");
    $node->safe_psql('front', "SELECT eventstore.set_slot_node('shop.orders', 2, 'b')");
    $run->finish;
    $version = $node->safe_psql('front', "SELECT eventstore.get_aggregate_version('order-4')");
  }
}

is(sqlstate($node, "DELETE FROM eventstore.nodes WHERE node = 'b'", dbname => 'front'), '55006', 'a node with slots is kept');

# A wait can be canceled.
is(sqlstate($node, "SET statement_timeout = '300ms'; SELECT count(*) FROM eventstore.poll('t', wait => '10 s')", dbname => 'front'), '42704', 'a poll needs a subscription');
$node->safe_psql('front', "SELECT eventstore.create_subscription('t', start_position => NULL)");
is(sqlstate($node, "SET statement_timeout = '300ms'; SELECT count(*) FROM eventstore.poll('t', wait => '10 s')", dbname => 'front'), '57014', 'a poll that waits can be canceled');
is(sqlstate($node, "SET statement_timeout = '300ms'; SELECT eventstore.wait_for_events(eventstore.high_water_mark('shop.orders_001'), store => 'shop.orders_001')", dbname => 'front'), '57014', 'and a wait on a node');
is($node->safe_psql('front', "SELECT count(*) FROM eventstore.poll('t', wait => '0.2 s')"), '0', 'a poll ends when its time is over');
my $waiting = session($node, 'front');
$waiting->start_sql("SELECT aggregate_id FROM eventstore.poll('t', wait => '20 s')");
sleep 1;
$node->safe_psql('front', "SELECT eventstore.append_event('paid', '1', 'order-4')");
is($waiting->finish_sql, 'order-4', 'a poll that waits gets an event of any slot');
$waiting->quit;

# A dump of the front.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = $node->basedir . '/front.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('front'), '-f', $dump ], 'a front can be dumped');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'and restored');
is($node->safe_psql('copy', "SELECT eventstore.get_aggregate_version('order-1', 'shop.orders')"), '5', 'with its nodes and maps');

# A node that cannot be reached is an error, not a result without its events.
$node->safe_psql('front', "SELECT eventstore.set_node('b', 'host=/nowhere port=1 dbname=b')");
isnt(sqlstate($node, $_, dbname => 'front'), '00000', "a node cannot be reached: $_")
  for "SELECT eventstore.append_event('paid', '1', 'order-1')", 'SELECT count(*) FROM eventstore.get_latest_events()', 'SELECT count(*) FROM eventstore.poll($$t$$)';
is($node->safe_psql('front', "SELECT eventstore.get_aggregate_version('order-3')"), '3', 'the slots of other nodes can be used');

$node->stop;
done_testing();
