# pg_eventstore_cluster: nodes and fronts are made, shown and checked, and slots move
# while sessions append. The program and the servers are killed at every step of a move.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The program as it was built here, or else the installed one.
my $program = 'pg_eventstore_cluster';
my $built = "$FindBin::RealBin/../../src/bin/$program";
$ENV{PATH} = "$built:$ENV{PATH}" if -x "$built/$program";

program_help_ok($program);
program_version_ok($program);
program_options_handling_ok($program);

my $dir = PostgreSQL::Test::Utils::tempdir();

# Run the program; its exit status, standard output and standard error. A hash before the
# arguments is added to its environment.
sub cluster
{
  my @arguments = @_;
  my ($out, $err) = ('', '');
  my $environment = ref $arguments[0] ? shift @arguments : {};

  local @ENV{ keys %$environment } = values %$environment;
  IPC::Run::run([ $program, @arguments ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
  return ($? & 127 ? -($? & 127) : $? >> 8, $out, $err);
}

# The program ends with this status, and says this on both outputs.
sub cluster_is
{
  my ($name, $expected, $said, @arguments) = @_;
  my ($status, $out, $err) = cluster(@arguments);

  is($status, $expected, "$name: exit status") or diag("$out$err");
  like("$out$err", $said, "$name: what it says") if $said;
  return "$out$err";
}

# Wrong usage.
cluster_is('no command', 2, qr/no command is given/);
cluster_is('unknown command', 2, qr/there is no command "grow"/, 'grow');
cluster_is('option first', 2, qr/first argument must be a command/, '--quiet', 'check');
cluster_is('no front', 2, qr/status needs the connection string of a front/, 'status');
cluster_is('move without node', 2, qr/move needs a front, the number of a slot, and the name of a node/, 'move', 'dbname=x', '1');
cluster_is('slot is no number', 2, qr/the slot must be a number from 0 to 1023, not "x"/, 'move', 'dbname=x', 'x', 'a');
cluster_is('too many arguments', 2, qr/too many command-line arguments \(first is "y"\)/, 'check', 'dbname=x', 'y');
cluster_is('option of another command', 2, qr/command check has no option --slots/, 'check', 'dbname=x', '--slots=2');
my @wrong = ('init', '--store=shop.orders', '--slots=8', '--node=a=dbname=a', '--node=b=dbname=b', '--front=dbname=f');
cluster_is('no store', 2, qr/option --store is missing/, grep { !/store/ } @wrong);
cluster_is('no nodes', 2, qr/option --node is missing/, grep { !/node/ } @wrong);
cluster_is('no fronts', 2, qr/option --front is missing/, grep { !/front/ } @wrong);
cluster_is('no power of two', 2, qr/must be a power of two, not 12/, @wrong, '--slots=12');
cluster_is('node without name', 2, qr/must be NAME=CONNECTION/, @wrong, '--node==dbname=y');
cluster_is('node without equals sign', 2, qr/must be NAME=CONNECTION, not "postgresql\.\.\."/, @wrong, '--node=postgresql://u:secret@h/d');
cluster_is('node twice', 2, qr/given twice for node "a"/, @wrong, '--node=a=dbname=c');
cluster_is('front is no connection string', 2, qr/option --front: invalid connection string "x y": missing "="/, @wrong, '--front=x y');
cluster_is("places $_->[0]", 2, $_->[1], @wrong, "--place=$_->[0]")
  for [ '0-7', qr/such as 0-7=a,8-15=b, not "0-7"/ ], [ '0-6=a', qr/does not name slot 7/ ], [ '0-7=a,3=b', qr/names slot 3 twice/ ],
  [ '0-8=a', qr/there is no slot 8/ ], [ '0-7=z', qr/there is no node "z"/ ], [ '7-0=a', qr/such as/ ], [ '', qr/such as/ ];
cluster_is('unreachable front', 1, qr/error: front "host=\S+ dbname=x \S+": connection to server .* failed/, 'check', "host=$dir dbname=x password=secret");

# Three servers. The third has two fronts and a node.
sub new_server
{
  my ($name) = @_;
  my $server = PostgreSQL::Test::Cluster->new($name);

  $server->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
  $server->append_conf('postgresql.conf', "restart_after_crash = on\nlog_statement = none");
  $server->start;
  return $server;
}
my ($one, $two, $three) = map { new_server($_) } qw(one two three);
my %place = (a => [ $one, 'node_a' ], b => [ $two, 'node_b' ], c => [ $three, 'node_c' ]);
my %conninfo = map { $_ => $place{$_}[0]->connstr($place{$_}[1]) } keys %place;
delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE PGAPPNAME)};
my ($front, $second) = map { $three->connstr($_) } qw(front second);
$three->safe_psql('postgres', "CREATE DATABASE $_") for qw(front second);
$_->[0]->safe_psql('postgres', "CREATE DATABASE $_->[1]") for values %place;
$_->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE plain LOGIN; CREATE ROLE keeper') for $one, $two, $three;

# Run SQL on a node or a front.
sub on_node
{
  my ($node, $sql) = @_;
  my ($server, $dbname) = @{ $place{$node} };

  return $server->safe_psql($dbname, $sql);
}
sub on_front { return $three->safe_psql($_[1] // 'front', $_[0]) }

my ($rc) = $three->psql('front', 'BEGIN; CREATE EXTENSION plproxy; CREATE EXTENSION pg_eventstore_front; ROLLBACK', on_error_stop => 1);
if ($rc != 0)
{
  note('pg_eventstore_front or PL/Proxy is not installed: the rest is skipped');
  done_testing();
  exit;
}

# init
my @two_nodes = ('init', '--store=shop.orders', '--slots=8', map({ "--node=$_=$conninfo{$_}" } qw(a b)), "--front=$front", "--front=$second");
my @init = (@two_nodes, "--node=c=$conninfo{c}");
cluster_is('a front that is no superuser', 1, qr/role "plain" is not a superuser/, @init, '--username=plain');
cluster_is('a front that is a node', 1, qr/is a node, and cannot be a front/, @init, "--front=$conninfo{a}");
cluster_is('a node twice', 1, qr/node "a" and node "d" are the same database/, @init, "--node=d=$conninfo{a}");
cluster_is('a name without schema', 1, qr/"orders" is not the name of a sliced store/, @init, '--store=orders');
cluster_is('check before init', 1, qr/the database is not a front/, 'check', $front);
like(cluster_is('init', 0, qr/node "a": 4 slots/, @two_nodes), qr/GRANT USAGE ON FOREIGN SERVER "shop.orders" TO app;/, 'init says what to grant');
is(on_node('a', "SELECT string_agg(slot::text, ',') FROM eventstore.slots('shop.orders')"), '0,1,2,3', 'the first half is on the first node');
is(on_node('b', "SELECT string_agg(slot::text, ',') FROM eventstore.slots('shop.orders')"), '4,5,6,7', 'the second half on the second');
is(on_front("SELECT string_agg(node, '' ORDER BY slot) FROM eventstore.slot_map", $_), 'aaaabbbb', "the map of $_") for qw(front second);
is(on_front("SELECT current_setting('pg_eventstore.store')"), 'shop.orders', 'the store is the default of the front');
like(cluster_is('init again, with a third node', 0, qr/slot 7 of store shop.orders stays on node "b"/, @init), qr/node "c": 0 slots/, 'the third node gets no slots that exist');
cluster_is('another number of slots', 1, qr/node "a": store shop.orders has 8 slots, not 16/, @init, '--slots=16');
cluster_is('another place', 1, qr/slot 0 of store shop.orders lives on node "a", not on node "b"/, @init, '--place=0-7=b');
cluster_is('init with the new node alone', 0, qr/slot 0 of store shop.orders stays on node "a"/, grep({ !/^--node/ } @init), "--node=c=$conninfo{c}");
my $ok = qr/\Aok: 3 nodes, 2 fronts, 1 stores\n\z/;
cluster_is('check', 0, $ok, 'check', $front);
cluster_is('check of a store', 0, $ok, 'check', $second, '--store=shop.orders');
cluster_is('check of another store', 1, qr/no front has a map of store "shop.x"/, 'check', $second, '--store=shop.x');
like(cluster_is('status', 0, qr/^ a \s*\|.*\| ok \s*\| [\d.]+ \s*\| +4 \|/m, 'status', $front), qr/^ +7 \| b +\| b +\|/m, 'status shows the slots');

# A map that differs, on one front.
on_front("SELECT eventstore.set_slot_node('shop.orders', 5, 'c')", 'second');
my $mend = qr/slot 5 of store shop.orders lives on node "b", but the map of front ".*second.*" has node "c"\n  pg_eventstore_cluster move ".*" 5 b --store=shop.orders\n/;
cluster_is('a map differs', 1, $mend, 'check', $front);
cluster_is('move to where the slot is', 0, qr/slot 5 of store shop.orders lives on node "b"/, 'move', $front, 5, 'b');
cluster_is('the map is right', 0, $ok, 'check', $front);

# Moves that cannot be.
cluster_is('no such slot', 1, qr/has no slot 8: it has 8 slots/, 'move', $front, 8, 'b');
cluster_is('no such node', 1, qr/has no node "z"/, 'move', $front, 7, 'z');
cluster_is('dry run', 0, qr/would move slot 7 of store shop.orders from node "b" to node "c"/, 'move', $front, 7, 'c', '--dry-run');

# An empty slot moves, and comes back.
cluster_is('move of an empty slot', 0, qr/slot 7 of store shop.orders moved from node "b" to node "c": 0 events/, 'move', $front, 7, 'c');
cluster_is('check after the move', 0, $ok, 'check', $front);
is(on_node('b', "SELECT to_regclass('shop.orders_007') IS NULL AND to_regclass('shop.orders_007_position_seq') IS NULL"), 't', 'the source has nothing left');
is(on_node('b', "SELECT string_agg(slot::text, ',') FROM eventstore.slots('shop.orders')"), '4,5,6', 'and does not have the slot');
cluster_is('move back', 0, qr/moved from node "c" to node "b"/, 'move', $second, 7, 'b', '--store=shop.orders');

# A slot with all that a store can have: 20,000 events, an archive with a rule, a
# subscription with an outstanding delivery and parked events, a hold, an erasure, grants,
# an index, a comment and a trigger of the user, another owner, and a constraint that calls
# a function of a superuser.
my $ids = "SELECT 'o-' || i AS id FROM generate_series(1, 40000) i WHERE eventstore.slot_of('o-' || i, 8) = 6 ORDER BY i LIMIT 4000";
my $trigger = "CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not expected''; END'";
my $own = "CREATE TABLE shop.seen (who name); ALTER TABLE shop.seen OWNER TO keeper;
  CREATE FUNCTION shop.see(text) RETURNS boolean LANGUAGE sql AS 'INSERT INTO shop.seen VALUES (current_user) RETURNING true';
  CREATE FUNCTION shop.evil(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
  ALTER FUNCTION shop.evil(text) OWNER TO keeper";
on_node($_, $own) for qw(a b c);
on_node('b', <<"EOS");
SELECT eventstore.create_archive('shop.orders_006');
SELECT count(eventstore.append_event('placed', jsonb_build_object('n', n, 'text', 'Z\x{c3}\x{bc}rich'), id, expected_version => n - 1, store => 'shop.orders_006'))
  FROM (SELECT id, n FROM ($ids) i, generate_series(1, 5) n ORDER BY n, id) e;
SELECT eventstore.set_retention('shop.orders_006', max_count_per_aggregate => 4);
CALL eventstore.archive_all('shop.orders_006');
SELECT eventstore.set_archive_hold('reader', 17, 'shop.orders_006');
SELECT eventstore.erase_aggregate((SELECT id FROM ($ids) i LIMIT 1), 'a request', store => 'shop.orders_006');
SELECT eventstore.create_subscription('billing', 'shop.orders_006', partitions => 2, lease => '1 hour');
GRANT USAGE ON SCHEMA shop, eventstore TO app, keeper;
GRANT SELECT, INSERT ON shop.orders_006 TO app;
GRANT UPDATE (data, metadata) ON shop.orders_006 TO app;
CREATE INDEX orders_by_text ON shop.orders_006 ((data->>'text'));
COMMENT ON INDEX shop.orders_by_text IS 'a comment; Type: TRIGGER; Schema';
$trigger;
CREATE TRIGGER note AFTER INSERT ON shop.orders_006 FOR EACH ROW WHEN (NEW.event_type = 'never') EXECUTE FUNCTION shop.note();
ALTER TABLE shop.orders_006 ENABLE ALWAYS TRIGGER note;
ALTER TABLE shop.orders_006 OWNER TO keeper;
ALTER TABLE shop.orders_006_archive OWNER TO keeper;
ALTER TABLE shop.orders_006 ADD CHECK (shop.see(event_type));
EOS
my $delivery = on_node('b', "SELECT min(delivery) FROM eventstore.poll('billing', 10)");
on_node('b', "SELECT eventstore.park('billing', $delivery, 1, 'too hard')");
$delivery = on_node('b', "SELECT min(delivery) FROM eventstore.poll('billing', 10)");

# A state, whose snapshots stay behind.
on_node($_, q{CREATE FUNCTION public.types(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state || to_jsonb(event.event_type)'}) for qw(a b c);
on_node('b', q{SELECT eventstore.create_state('types', 'public.types(jsonb, eventstore.event)', '[]', 1, 'shop.orders_006')});
my $get = "SELECT jsonb_array_length(eventstore.get_state('types', aggregate_id, store => 'shop.orders_006')) FROM shop.orders_006 WHERE aggregate_id IS NOT NULL ORDER BY position DESC LIMIT 1";
my $length = on_node('b', $get);
cmp_ok($length, '>', 0, 'a state');
is(on_node('b', 'SELECT count(*) FROM eventstore.snapshots'), '1', 'and its snapshot');

# What must be equal on both sides of a move. The watermark may be written at any time.
my @facts = (
  "SELECT count(*), min(position), max(position), md5(string_agg(e::text, ';' ORDER BY position)) FROM shop.orders_006 e",
  "SELECT count(*), min(position), max(position), md5(string_agg(e::text, ';' ORDER BY position)) FROM shop.orders_006_archive e",
  "SELECT last_value, is_called FROM shop.orders_006_position_seq",
  "SELECT * FROM eventstore.subscription_definitions",
  "SELECT * FROM eventstore.subscription_progress ORDER BY 1, 2",
  "SELECT * FROM eventstore.subscription_parked ORDER BY 1, 2",
  "SELECT * FROM eventstore.archive_holds",
  "SELECT * FROM eventstore.state_definitions",
  "SELECT * FROM eventstore.erasures",
  "SELECT store, archive, max_age, max_count_per_aggregate FROM eventstore.archives",
  "SELECT store, notifications, channel, owner, slot, slots, arriving FROM eventstore.stores WHERE slot = 6",
  "SELECT oid::regclass, COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, relowner)), obj_description(oid) FROM pg_class WHERE relname LIKE 'orders\\_006%' OR relname = 'orders_by_text' ORDER BY relname",
  "SELECT has_schema_privilege('app', 'shop', 'USAGE'), has_schema_privilege('app', 'eventstore', 'USAGE')",
  "SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'shop.orders_006'::regclass AND attacl IS NOT NULL ORDER BY 1",
  "SELECT tgrelid::regclass, tgname, tgenabled, tgtype, tgargs FROM pg_trigger WHERE tgrelid::regclass::text LIKE '%orders\\_006%' ORDER BY 1, 2",
  "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'orders_006%' ORDER BY 1");
sub facts { my ($node) = @_; return join "\n", map { on_node($node, $_) } @facts }

cluster_is('a function is missing on the target', 1, qr/node "c": function shop.note\(\) does not exist\n.*Nothing was moved/s, 'move', $front, 6, 'c');
on_node($_, $trigger) for qw(a c);
on_node('b', 'CREATE VIEW shop.report AS SELECT count(*) FROM shop.orders_006');
cluster_is('a view on the source', 1, qr/view shop.report depends on/, 'move', $front, 6, 'c');
on_node('b', 'DROP VIEW shop.report');
on_node('c', "SELECT eventstore.create_store('shop.x'); SELECT eventstore.create_subscription('billing', 'shop.x')");
cluster_is('a subscription with the same name', 1, qr/node "c" has a subscription "billing" already.*of store shop.x, on node "b" of store/s, 'move', $front, 6, 'c');
on_node('c', "SELECT eventstore.drop_subscription('billing'); SELECT eventstore.drop_store('shop.x')");
# A slot with projections does not move.
on_node('b', "CREATE TABLE shop.counts (n integer); CREATE FUNCTION shop.count(eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO shop.counts VALUES (1)'");
for my $mode (qw(async inline manual))
{
  on_node('b', "SELECT eventstore.create_projection('counts', 'shop.count(eventstore.event)', '$mode', 'shop.orders_006', start_position => NULL)");
  cluster_is("a slot with a projection in mode $mode", 1, qr/slot 6 of store shop.orders has projections, so it cannot be moved: "counts"\n.*Nothing was moved.*drop_projection/s, 'move', $front, 6, 'c');
  cluster_is("$mode: a dry run says so", 1, qr/Nothing was moved/, 'move', $front, 6, 'c', '--dry-run') if $mode eq 'inline';
  is(on_node('b', "SELECT count(*) FROM eventstore.projections"), '1', "$mode: the projection is there");
  on_node('b', "SELECT eventstore.drop_projection('counts')");
}
on_node('c', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app, plain; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO plain WITH GRANT OPTION');
# Functions of the owner would run as a superuser.
my %evil = (
  'a constraint' => [ 'ALTER TABLE shop.orders_006 ADD CONSTRAINT evil CHECK (shop.evil(event_type))', 'ALTER TABLE shop.orders_006 DROP CONSTRAINT evil' ],
  'an index' => [ 'CREATE INDEX evil ON shop.orders_006 (shop.evil(event_type))', 'DROP INDEX shop.evil' ],
  'a condition of an index' => [ 'CREATE INDEX evil ON shop.orders_006_archive (position) WHERE shop.evil(event_type)', 'DROP INDEX shop.evil' ],
  'statistics' => [ 'CREATE STATISTICS shop.evil ON (shop.evil(event_type)), position FROM shop.orders_006', 'DROP STATISTICS shop.evil' ],
  'an operator' => [ 'CREATE OPERATOR shop.!! (rightarg = text, function = shop.evil); ALTER TABLE shop.orders_006 ADD CONSTRAINT evil CHECK (OPERATOR(shop.!!) event_type)',
    'ALTER TABLE shop.orders_006 DROP CONSTRAINT evil; DROP OPERATOR shop.!! (NONE, text)' ],
  'a generated column' => [ 'ALTER TABLE shop.orders_007 ADD evil boolean GENERATED ALWAYS AS (shop.evil(event_type)) STORED', 'ALTER TABLE shop.orders_007 DROP evil', 7 ],
  'a domain' => [ 'CREATE DOMAIN shop.evil AS text CHECK (shop.evil(VALUE)); CREATE TYPE shop.pair AS (a integer, b shop.evil[]); ALTER TABLE shop.orders_007 ADD evil shop.pair[]',
    'ALTER TABLE shop.orders_007 DROP evil; DROP TYPE shop.pair; DROP DOMAIN shop.evil', 7 ],
  'the domain of another role' => [ 'CREATE DOMAIN shop.evil AS text; ALTER DOMAIN shop.evil OWNER TO keeper; ALTER TABLE shop.orders_007 ADD evil shop.evil',
    'ALTER TABLE shop.orders_007 DROP evil; DROP DOMAIN shop.evil', 7 ]);
for my $name (sort keys %evil)
{
  my ($create, $drop, $slot) = @{ $evil{$name} };
  on_node('b', $create);
  cluster_is("$name with a function of the owner", 1, qr/node "b": (function shop.evil\(text\)|type shop.evil) of role "keeper" is used by .*rights of a superuser. Nothing was moved/s, 'move', $front, $slot // 6, 'c');
  cluster_is("$name: a dry run says so", 1, qr/Nothing was moved/, 'move', $front, $slot // 6, 'c', '--dry-run') if $name eq 'a constraint';
  on_node('b', $drop);
}
# the function of the target has another owner than that of the source
on_node('c', 'ALTER FUNCTION shop.see(text) OWNER TO keeper');
cluster_is('a function of another role on the target', 1, qr/node "c": function shop.see\(text\) of role "keeper" is used by/, 'move', $front, 6, 'c');
on_node('c', 'ALTER FUNCTION shop.see(text) OWNER TO CURRENT_USER');
my $before = facts('b');
cluster_is('move of a full slot', 0, qr/moved from node "b" to node "c": 20000 events in .* appends waited at most \d+ ms/, 'move', $front, 6, 'c');
is(facts('c'), $before, 'all is on the target as it was');
cluster_is('check after the move of the full slot', 0, $ok, 'check', $front);
is(on_node('b', "SELECT count(*) FROM eventstore.subscriptions"), '0', 'the subscription left the source');
is(on_node($_, 'SELECT count(*) FROM eventstore.snapshots'), '0', "no snapshot is on node $_") for qw(b c);
is(on_node('c', $get), $length, 'the state can be computed on the target');
is(on_node('b', "SELECT store, store_name FROM eventstore.erasures"), '-|shop.orders_006', 'the record of the erasure stays on the source, too');
on_node('c', "SELECT eventstore.ack('billing', $delivery)");
is(on_node('c', "SELECT count(*) FROM eventstore.parked_events WHERE event_id IS NOT NULL"), on_node('c', 'SELECT parked FROM eventstore.subscriptions'), 'the outstanding delivery is acknowledged on the target, and the parked events are there');

# A slot with own columns: a sequence, and the name of a table, which has another number
# on the target.
on_node('b', "ALTER TABLE shop.orders_004 ADD ticket bigserial, ADD about regclass DEFAULT 'shop.seen', ADD took interval DEFAULT '-1 day 2 hours', ADD share float8 DEFAULT 0.1::float8 + 0.2::float8;
  SELECT eventstore.append_event('e', '1', NULL, store => 'shop.orders_004') FROM generate_series(1, 3); SELECT setval('shop.orders_004_ticket_seq', 70)");
my $own_facts = 'SELECT e, last_value, is_called FROM shop.orders_004 e, shop.orders_004_ticket_seq';
$before = on_node('b', $own_facts);
on_node('b', "ALTER DATABASE node_b SET intervalstyle = 'sql_standard'; ALTER DATABASE node_b SET extra_float_digits = 0");
cluster_is('move of a slot with own columns', 0, undef, 'move', $front, 4, 'c');
is(on_node('c', $own_facts), $before, 'own columns and their sequence moved');
on_node('b', 'ALTER DATABASE node_b RESET ALL');
cluster_is('move of own columns back', 0, undef, 'move', $front, 4, 'b');

$before = facts('c');
cluster_is('move to another node', 0, undef, 'move', $front, 6, 'a');
cluster_is('move to the first node again', 0, undef, 'move', $front, 6, 'b');
is(facts('b'), $before, 'all came back, also the record of the erasure');
is(on_front("SELECT aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"o-1\", \"data\": 1}]')"), '6', 'an append through the front');

# The rows about a store that a move copies are in these tables. Another table of the
# extension belongs into companions.c, if it has rows about stores.
is(on_node('a', "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace AND relkind = 'r' AND relname <> 'events'"),
  'archive_holds erasures notifier_status projection_definitions projector_status snapshots state_definitions subscription_consumers subscription_definitions subscription_parked subscription_progress watermarks', 'a move knows all tables of the extension');

# A lock that another session holds.
my $holder = session(undef, undef, $conninfo{b});
$holder->run("BEGIN; SELECT eventstore.append_event('e', '1', NULL, store => 'shop.orders_007')");
cluster_is('an append stays open', 1, qr/could not lock .*orders_007.* in 2 s: canceling statement due to lock timeout\n.*Nothing was moved/s, { PGES_CLUSTER_WAIT_SECONDS => 2 }, 'move', $front, 7, 'c', '--lock-timeout=10');
$holder->run('COMMIT');
$holder->quit;

# Start the program so that it stops after a step. Its process id.
sub start_and_stop
{
  my ($step, @arguments) = @_;
  my $pid = fork // die $!;

  if ($pid == 0)
  {
    $ENV{PGES_CLUSTER_STOP_AFTER} = $step;
    open STDOUT, '>', "$dir/out" or die $!;
    open STDERR, '>&', \*STDOUT or die $!;
    exec { $program } $program, @arguments or POSIX::_exit(127);
  }
  my $end = time + 120;
  my $got = 0;
  until ($got == $pid || time > $end)
  {
    select undef, undef, undef, 0.02;
    $got = waitpid $pid, WUNTRACED | WNOHANG;
  }
  ok($got == $pid && waitpid($pid, WNOHANG) == 0, "$step: the program stops") or diag(slurp_file("$dir/out"));
  return $pid;
}

# Let a stopped program go on, after a signal if one is given; its status and what it said.
sub resume
{
  my ($pid, $signal) = @_;

  kill $signal, $pid if $signal;
  kill CONT => $pid;
  my $end = time + 150;
  my $got = 0;
  until ($got == $pid || time > $end)
  {
    select undef, undef, undef, 0.02;
    $got = waitpid $pid, WNOHANG;
  }
  kill KILL => $pid if $got != $pid;
  return ($? & 127 ? -($? & 127) : $? >> 8, slurp_file("$dir/out"));
}

# A signal ends the program, and leaves nothing.
for my $signal (qw(INT TERM))
{
  my $pid = start_and_stop('copied', 'move', $front, 6, 'c');
  cluster_is("another move during $signal", 1, qr/is being moved by another program/, 'move', $second, 6, 'a');
  my ($status, $said) = resume($pid, $signal);
  is($status, 1, "$signal: exit status") or diag($said);
  cluster_is("check after $signal", 0, $ok, 'check', $front);
}

# A projection that is created during a move.
my $moving = start_and_stop('copied', 'move', $front, 6, 'c');
on_node('b', "SELECT eventstore.create_projection('counts', 'shop.count(eventstore.event)', 'manual', 'shop.orders_006', start_position => NULL)");
my ($moved, $reason) = resume($moving);
ok($moved == 1 && $reason =~ /slot 6 of store shop.orders has projections/, 'a projection is created during the move') or diag($reason);
on_node('b', "SELECT eventstore.drop_projection('counts')");
cluster_is('check after that', 0, $ok, 'check', $front);

# Sessions append to slot 3 wherever it is, and write down what was acknowledged. A call
# that failed is made again with the same id, on the next node.
my %writers;
sub start_writer
{
  my ($name) = @_;
  my $pid = fork // die $!;

  $writers{$name} = $pid if $pid;
  return if $pid;
  eval {
    open my $log, '>', "$dir/$name" or die $!;
    $log->autoflush(1);
    my @nodes = qw(a b c);
    my %sessions;
    for my $n (1 .. 1_000_000)
    {
      last if -e "$dir/end";
      my $done;
      until ($done || -e "$dir/end")
      {
        my $session = $sessions{ $nodes[0] } //= eval { session(undef, undef, $conninfo{ $nodes[0] }) };
        $done = $session && eval {
          $session->run("SELECT 'stored' FROM eventstore.append_event('e', '{}', NULL, event_id => '$name-$n', store => 'shop.orders_003')") eq 'stored';
        };
        delete $sessions{ $nodes[0] } if !$session || $@;
        push @nodes, shift @nodes if !$done;
        select undef, undef, undef, $done ? 0.005 : 0.02;
      }
      print $log "$name-$n\n" if $done;
    }
    $_->quit for values %sessions;
  };
  POSIX::_exit(0);
}
start_writer($_) for qw(w1 w2);

# The events of slot 3, on the nodes where it is. Where it is.
sub stored { return map { [ $_, split /\n/, on_node($_, 'SELECT event_id FROM shop.orders_003 ORDER BY position') ] } @_ }
sub homes { return grep { on_node($_, "SELECT count(*) FROM eventstore.slots('shop.orders') WHERE slot = 3") } qw(a b c) }

# Kill the program after every step of a move. Then the check says what there is, and the
# next move completes it.
my $at = 'a';
my %next = (a => 'b', b => 'c', c => 'a');
my %finding = (
  arrived => qr/a move of slot 3 of store shop.orders to node "\w" was interrupted or is running: the slot on node "\w" is right/,
  left => qr/interrupted after the other node had dropped the slot: the copy is complete/,
  activated => qr/slot 3 of store shop.orders lives on node "(\w)", but the map of front ".*" has node "(?!\g1)\w"\n/,
  mapped => qr/slot 3 of store shop.orders lives on node "\w", but the map of front ".*second.*" has/);
for my $step (qw(locked created copied indexed fenced rest dropped arrived left activated mapped))
{
  my $to = $next{$at};
  cluster_is("killed after $step", -9, undef, { PGES_CLUSTER_KILL_AFTER => $step }, 'move', $front, 3, $to);
  my @homes = homes();
  ok(@homes == ($step eq 'left' ? 0 : 1), "killed after $step: the slot lives on " . join ' and ', @homes);
  cluster_is("check after $step", $finding{$step} ? 1 : 0, $finding{$step} // $ok, 'check', $front);
  like(cluster_is("status after $step", 0, undef, 'status', $front), qr/^ +3 \| \w +\| .*\w \(arriving\)/m, "status after $step") if $step =~ /^(arrived|left)$/;
  cluster_is("move elsewhere after $step", 1, qr/a move of slot 3 .* to node "$to" was interrupted/, 'move', $front, 3, $next{$to}) if $step eq 'left';
  cluster_is("dry run after $step", 0, qr/would move slot 3/, 'move', $front, 3, $to, '--dry-run') if $step eq 'arrived';
  cluster_is("move to where it is after $step", 0, qr/dropped the copy of an interrupted move/, 'move', $front, 3, $at) if $step eq 'arrived';
  cluster_is("moved again after $step", 0, undef, 'move', $second, 3, $to);
  cluster_is("check after $step and a move", 0, $ok, 'check', $front);
  $at = $to;
}

# A server is stopped at once while the program waits after a step, and started again.
for my $case ([ copied => 'source', 1 ], [ fenced => 'target', 1 ], [ dropped => 'target', 1 ], [ dropped => 'source', 1 ],
  [ arrived => 'source', 1 ], [ left => 'target', 0 ])
{
  my ($step, $side, $expected) = @$case;
  my $to = $at eq 'a' ? 'b' : 'a';
  cluster_is('to a server without a front', 0, undef, 'move', $front, 3, 'a'), $at = 'a', $to = 'b' if $at eq 'c';
  my $server = $place{ $side eq 'source' ? $at : $to }[0];
  my $pid = start_and_stop($step, 'move', $front, 3, $to);

  $server->stop('immediate');
  cluster_is("$side down after $step: check", 1, qr/node "\w" cannot be reached, so slots and copies on it are not known/, 'check', $front);
  like(cluster_is("$side down after $step: status", 1, undef, 'status', $front), qr/^ \w \s*\|.*\| connection to server/m, "$side down after $step: status shows the error")
    if $step eq 'left';
  $server->start;
  my ($status, $said) = resume($pid);
  is($status, $expected, "$side crashed after $step: exit status") or diag($said);
  cluster_is("$side crashed after $step: moved again", 0, undef, 'move', $front, 3, $to);
  cluster_is("$side crashed after $step: check", 0, $ok, 'check', $front);
  $at = $to;
}

# While a node is down, a slot that others have can be moved, but no interrupted move can
# be finished.
cluster_is('killed for good', -9, undef, { PGES_CLUSTER_KILL_AFTER => 'left' }, 'move', $front, 3, 'c');
$place{$at}[0]->stop;
cluster_is('finish while a node is down', 1, qr/slot 3 of store shop.orders may be on node "$at", which cannot be reached/, 'move', $front, 3, 'c');
cluster_is('check while a node is down', 1, qr/slot 3 of store shop.orders is on no node that can be reached, but for a copy that arrives/, 'check', $front);
$place{$at}[0]->start;
cluster_is('finish', 0, qr/finished an interrupted move/, 'move', $front, 3, 'c');

# A front is down.
$three->safe_psql('postgres', 'ALTER DATABASE second ALLOW_CONNECTIONS false');
cluster_is('a front is down', 1, qr/warning: front ".*second.*": .*\n.*does not have the node of slot 3.*\n.*hint: When the front can be reached, run: pg_eventstore_cluster move ".*" 3 a --store=shop.orders/, 'move', $front, 3, 'a');
cluster_is('check while a front is down', 1, qr/front ".*second.*" cannot be reached, so its maps are not known/, 'check', $front);
$three->safe_psql('postgres', 'ALTER DATABASE second ALLOW_CONNECTIONS true');
cluster_is('the front has the old map', 1, qr/the map of front ".*second.*" has node "c"/, 'check', $front);
cluster_is('the map is written', 0, undef, 'move', $front, 3, 'a');

# All that was acknowledged is stored, once, and in the order of each writer.
append_to_file("$dir/end", '');
waitpid $_, 0 for values %writers;
my @homes = homes();
is("@homes", 'a', 'the slot lives on one node');
my ($stored) = stored(@homes);
my (undef, @stored) = @$stored;
my %stored = map { $_ => 1 } @stored;
my @acknowledged = map { split /\n/, slurp_file("$dir/$_") } sort keys %writers;
cmp_ok(scalar @acknowledged, '>', 200, 'the writers have appended ' . @acknowledged . ' events');
is(join(',', grep { !$stored{$_} } @acknowledged), '', 'no acknowledged event is lost');
is(scalar keys %stored, scalar @stored, 'no event is stored twice');
for my $writer (sort keys %writers)
{
  my @own = grep { s/^$writer-// } my @copy = @stored;
  is(join(',', @own), join(',', sort { $a <=> $b } @own), "the events of $writer are in its order");
}

# Two live slots: what check says mends it.
on_node('b', "SELECT eventstore.create_slots('shop.orders', 8, '{3}')");
my $said = cluster_is('two slots', 1, qr/slot 3 of store shop.orders lives on more than one node/, 'check', $front);
like($said, qr/node "b": last position 0, last event of never.*\n    psql "[^"]*node_b[^"]*" -c "SELECT eventstore.drop_store\('shop.orders_003', force => true\)"/, 'with the command that drops one');
cluster_is('no move of two slots', 1, qr/lives on more than one node/, 'move', $front, 3, 'c');
on_node('b', "SELECT eventstore.drop_store('shop.orders_003', force => true)");
on_node('a', "SELECT eventstore.drop_store('shop.orders_000', force => true)");
cluster_is('a slot is nowhere', 1, qr/slot 0 of store shop.orders is on no node/, 'check', $front);
cluster_is('no move of nothing', 1, qr/no node has slot 0 of store shop.orders/, 'move', $front, 0, 'c');
cluster_is('init does not create it again', 1, qr/slot 0 of store shop.orders is on none of the nodes, although node ".*" has events of the store/, @init);
on_node('a', "SELECT eventstore.create_slots('shop.orders', 8, '{0}')");
cluster_is('check at the end', 0, $ok, 'check', $front);

done_testing();
