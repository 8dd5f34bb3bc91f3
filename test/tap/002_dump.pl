# Dump and restore: every format, whole and in parts, by a superuser and by the owner of
# a database.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir;
my @stores = ('eventstore.events', 'shop.orders', q{"Odd "" schema"."Odd 's.store"}, 'quiet.events');

# A database with several stores in use.
$node->safe_psql('postgres', 'CREATE ROLE writer; CREATE ROLE keeper; CREATE ROLE "the reader"; CREATE DATABASE source');
$node->safe_psql('source', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.create_store('shop.orders', 'commit', 'Shop channel');
SELECT eventstore.create_store('"Odd "" schema"."Odd ''s.store"');
SELECT eventstore.create_store('quiet.events', 'off');
SELECT eventstore.set_notifications('eventstore.events', 'commit', 'Default ''s "channel"');
GRANT USAGE ON SCHEMA eventstore, shop TO writer, "the reader";
GRANT SELECT, INSERT ON eventstore.events, shop.orders TO writer;
GRANT SELECT ON shop.orders TO "the reader";
ALTER TABLE shop.orders ALTER COLUMN aggregate_id TYPE varchar(255);
CREATE INDEX by_customer ON shop.orders ((data ->> 'customer'));
ALTER TABLE eventstore.events OWNER TO keeper;
GRANT USAGE ON SCHEMA eventstore TO keeper;
SET ROLE keeper;
ALTER TABLE eventstore.events
  ALTER event_id TYPE varchar COLLATE "C",
  ALTER aggregate_id TYPE varchar(255) COLLATE "C";
EOS
for my $store (@stores)
{
  my $name = $store =~ s/'/''/gr;
  $node->safe_psql('source', <<"EOS");
SELECT eventstore.append_to_aggregate('a', ARRAY['one', 'two', 'three'],
  ARRAY['{"n": 1.50, "s": "\\\\ \\" \\n \\u00e9"}', 'null', '[]']::jsonb[], 0, 'A',
  metadata => ARRAY['{"user": "u"}', NULL, '{}']::jsonb[],
  occurred_at => ARRAY['2020-01-01 00:00:00.123456+00', '9999-12-31 23:59:59.999999+00', '0044-03-15 12:00:00+00 BC']::timestamptz[],
  correlation_id => 'cor', causation_id => 'cau', store => '$name');
BEGIN; SELECT eventstore.append_event('lost', '1', 'b', store => '$name'); ROLLBACK;
SELECT * FROM eventstore.append('[
  {"event_id": "retry-1", "event_type": "e", "aggregate_id": "b", "data": {"x": 1}},
  {"event_id": "retry-2", "event_type": "e", "aggregate_id": "c", "data": {"x": 2}},
  {"event_id": "retry-3", "event_type": "e", "data": {"x": 3}}]', '{"b": 0, "c": 0}', '$name');
SELECT eventstore.append_event('e', '{"name": "Ann"}', 'd', event_id => 'personal', store => '$name');
SELECT eventstore.redact_event('personal', 'asked for', store => '$name');
EOS
}
$node->safe_psql('source', "SELECT eventstore.append_event('e', '1', repeat('a', 255), event_id => repeat('i', 300))");

# All that a restored database must have in common with the source.
sub picture
{
  my ($dbname) = @_;
  my $picture = $node->safe_psql($dbname, <<'EOS');
SELECT store, notifications, channel, owner, position_sequence FROM eventstore.stores ORDER BY store::text;
SELECT last_value, is_called FROM eventstore.events_position_seq;
SELECT * FROM eventstore.erasures ORDER BY erasure_id;
SELECT c.oid::regclass, relacl FROM pg_class c WHERE oid IN (SELECT store FROM eventstore.stores) ORDER BY c.oid::regclass::text;
SELECT indexdef FROM pg_indexes WHERE schemaname IN ('eventstore', 'shop', 'quiet', 'Odd " schema') ORDER BY 1;
SELECT tgrelid::regclass, tgname, tgtype, tgenabled, tgargs FROM pg_trigger
  WHERE tgrelid IN (SELECT store FROM eventstore.stores) ORDER BY tgrelid::regclass::text, tgname;
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod) FROM pg_attribute
  WHERE attrelid IN (SELECT store FROM eventstore.stores) AND attnum > 0 ORDER BY attrelid::regclass::text, attnum;
EOS
  return [ split /\n/, join "\n", $picture, map { $node->safe_psql($dbname, "COPY (SELECT * FROM $_ ORDER BY position) TO stdout") } @stores ];
}
my $source = picture('source');
is(scalar(grep { /retry-3/ } @$source), scalar @stores, 'the source has events in every store');
is(scalar(grep { /aggregate_id.character varying\(255\)/ } @$source), 2, 'and widened columns');

# The histories of the stores of all databases so far.
my %histories;
sub new_histories
{
  my ($dbname, $how) = @_;
  my @new = split /\n/, $node->safe_psql($dbname, 'SELECT history FROM eventstore.stores');

  is(scalar(grep { $histories{$_}++ } @new), 0, "$how: the histories are new");
  return;
}
new_histories('source', 'source');

# Restored stores go on where they were.
sub goes_on
{
  my ($dbname, $how) = @_;

  for my $store (@stores)
  {
    my $name = $store =~ s/'/''/gr;
    my $next = $node->safe_psql('source', "SELECT max(position) + 1 FROM $store");

    is(sqlstate($node, "SELECT eventstore.read_events($next - 1, store => '$name')", dbname => $dbname), '00000', "$how: $store has given what the source had");
    is(sqlstate($node, "SELECT eventstore.read_events($next, store => '$name')", dbname => $dbname), '22V01', "$how: $store refuses later checkpoints");
    is($node->safe_psql($dbname, "SELECT deduplicated FROM eventstore.append('[{\"event_id\": \"retry-1\", \"event_type\": \"e\", \"aggregate_id\": \"b\", \"data\": {\"x\": 1}}, {\"event_id\": \"retry-2\", \"event_type\": \"e\", \"aggregate_id\": \"c\", \"data\": {\"x\": 2}}, {\"event_id\": \"retry-3\", \"event_type\": \"e\", \"data\": {\"x\": 3}}]', '{\"b\": 0, \"c\": 0}', '$name')"),
      "t\nt\nt", "$how: $store recognises a retry");
    is($node->safe_psql($dbname, "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 1}]', '{\"a\": 3}', '$name')"),
      "$next|4", "$how: $store continues positions and versions");
    is(sqlstate($node, "SELECT eventstore.redact_event('personal', 'again', store => '$name')", dbname => $dbname), '00000', "$how: $store erases");
    is(sqlstate($node, "UPDATE $store SET data = '0'", dbname => $dbname), '0A000', "$how: $store refuses UPDATE");
    is(sqlstate($node, "TRUNCATE $store", dbname => $dbname), '0A000', "$how: $store refuses TRUNCATE");
  }
}

# Restore a dump of the source to a new database, compare, go on. The default store
# is dumped as any other, with all that was changed in it.
sub check_restore
{
  my ($how, $dump, $restore) = @_;
  (my $dbname = "r_$how") =~ s/\W/_/g;

  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  my $listener = session($node, $dbname);
  $listener->run(q{LISTEN eventstore_events; LISTEN "Shop channel"; LISTEN "Default 's ""channel"""});
  $node->command_ok($_, "$how: $_->[0]") for @$dump;
  $node->command_ok([ @$_, $dbname ], "$how: $_->[0]") for map { [ @$_, '-d' ] } @$restore;
  is(scalar(heard_by($listener, $node, $dbname)), 0, "$how: restored events are not announced");
  $listener->quit;
  is_deeply(picture($dbname), $source, "$how: the restored database is the same");
  new_histories($dbname, $how);
  goes_on($dbname, $how);
}

my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null');
check_restore('plain', [ [ 'pg_dump', '-f', "$dir/plain", 'source' ] ], [ [ @psql, '-1', '-f', "$dir/plain" ] ]);
check_restore('inserts', [ [ 'pg_dump', '--column-inserts', '-f', "$dir/inserts", 'source' ] ], [ [ @psql, '-f', "$dir/inserts" ] ]);
check_restore('custom', [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", 'source' ] ], [ [ 'pg_restore', '-e', "$dir/custom" ] ]);
check_restore('directory', [ [ 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/directory", 'source' ] ], [ [ 'pg_restore', '-e', '-j', '2', "$dir/directory" ] ]);
check_restore('schema, then data',
  [ [ 'pg_dump', '--schema-only', '-f', "$dir/schema", 'source' ], [ 'pg_dump', '--data-only', '-f', "$dir/data", 'source' ] ],
  [ [ @psql, '-f', "$dir/schema" ], [ @psql, '-f', "$dir/data" ] ]);
check_restore('sections', [],
  [ map { [ 'pg_restore', '-e', "--section=$_", "$dir/custom" ] } qw(pre-data data post-data) ]);

# A dump is restored over what has gone on, and a database is copied.
my $kept = $node->safe_psql('r_inserts', 'SELECT history FROM eventstore.stores ORDER BY 1');
$node->safe_psql('r_inserts', "ALTER TABLE shop.orders RENAME TO o; ALTER TABLE shop.o SET SCHEMA quiet; VACUUM FULL quiet.o; SELECT eventstore.set_notifications('quiet.o', 'worker')");
is($node->safe_psql('r_inserts', 'SELECT history FROM eventstore.stores ORDER BY 1'), $kept, 'a store that is renamed, moved and rewritten keeps its history');
$node->command_ok([ 'pg_restore', '-e', '--clean', '--if-exists', '-d', 'r_sections', "$dir/custom" ], 'a dump is restored over a database');
new_histories('r_sections', 'restored over');
goes_on('r_sections', 'restored over');
$node->safe_psql('postgres', 'CREATE DATABASE r_copy TEMPLATE r_plain');
new_histories('r_copy', 'copied');

# Triggers off: in a data-only restore, and for the whole of a session.
check_restore('triggers disabled', [],
  [ [ 'pg_restore', '-e', '--schema-only', "$dir/custom" ], [ 'pg_restore', '-e', '--data-only', '--disable-triggers', "$dir/custom" ] ]);
check_restore('parallel, triggers disabled', [],
  [ [ 'pg_restore', '-e', '--schema-only', "$dir/directory" ], [ 'pg_restore', '-e', '-j', '2', '--data-only', '--disable-triggers', "$dir/directory" ] ]);
check_restore('replica role', [], [ [ 'env', 'PGOPTIONS=-csession_replication_role=replica', @psql, '-f', "$dir/inserts" ] ]);

# --schema-only alone leaves empty stores that start from the beginning.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->command_ok([ @psql, '-f', "$dir/schema", '-d', 'empty' ], 'the schema alone is restored');
is($node->safe_psql('empty', "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 1}]', '{\"a\": 0}', 'shop.orders')"),
  '1|1', 'a store without its events starts from the beginning');

# One store alone, by its table.
$node->safe_psql('postgres', 'CREATE DATABASE single');
$node->safe_psql('single', 'CREATE EXTENSION pg_eventstore; CREATE SCHEMA shop');
$node->command_ok([ 'pg_dump', '-t', 'shop.orders', '-f', "$dir/single", 'source' ], 'one store is dumped');
$node->command_ok([ @psql, '-f', "$dir/single", '-d', 'single' ], 'and restored');
is($node->safe_psql('single', "SELECT notifications, channel FROM eventstore.stores WHERE store = 'shop.orders'::regclass"),
  'commit|Shop channel', 'with its options');
is($node->safe_psql('single', "SELECT eventstore.append_event('e', '1', 'a', 3, store => 'shop.orders')"), '4', 'and its events');

# A default store that has had an event is not replaced by another table, nor is an
# unused one by a table that can be no store.
my @table = ('pg_restore', '-e', '--section=pre-data', '-n', 'eventstore', '-t', 'events', "$dir/custom", '-d');
$node->safe_psql('postgres', 'CREATE DATABASE used');
is(sqlstate($node, 'CREATE EXTENSION pg_eventstore; CREATE TABLE eventstore.events (position bigint)', dbname => 'used'), '42P07', 'an unused default store does not give way to any table');
$node->command_ok([ @table, 'used' ], 'but to that of a store');
is(sqlstate($node, 'CREATE TABLE IF NOT EXISTS eventstore.events (LIKE eventstore.events)', dbname => 'used'), '00000', 'IF NOT EXISTS finds it');
$node->safe_psql('used', 'DROP TABLE eventstore.events; DROP EXTENSION pg_eventstore; CREATE EXTENSION pg_eventstore');
$node->safe_psql('used', "SELECT eventstore.set_notifications('eventstore.events', 'off'); SELECT eventstore.append_event('mine', '1', 'a')");
$node->command_fails([ @table, 'used' ], 'one that holds an event does not');
$node->safe_psql('used', 'SELECT eventstore.create_archive(); SELECT eventstore.archive_events(before_position => 2)');
$node->safe_psql('used', 'VACUUM eventstore.events');
is($node->safe_psql('used', "SELECT pg_relation_size('eventstore.events')"), '0', 'nor does one without a page');
$node->command_fails([ @table, 'used' ], 'whose events are archived');
is($node->safe_psql('used', "SELECT eventstore.append_event('e', '1', 'a')"), '2', 'it keeps its archive');

# Stores that are half archived, and of which the rows are not in the order of
# their versions: new events have taken the place of those that were moved.
# Their positions come with them, so a restore may bring them in any order.
$node->safe_psql('postgres', 'CREATE DATABASE halves');
$node->safe_psql('halves', "CREATE EXTENSION pg_eventstore; SELECT eventstore.create_store('shop.orders', 'off'); SELECT eventstore.set_notifications('eventstore.events', 'off')");
for my $store ('eventstore.events', 'shop.orders')
{
  $node->safe_psql('halves', $_) for "SELECT eventstore.append_event('e', to_jsonb(i), 'a' || i % 3, store => '$store') FROM generate_series(1, 300) i",
    "SELECT eventstore.archive_events('$store', before_position => 151)", "VACUUM $store",
    "SELECT eventstore.append_event('e', to_jsonb(i), 'a' || i % 3, store => '$store') FROM generate_series(1, 150) i";
  is($node->safe_psql('halves', "SELECT count(*) > 0 FROM (SELECT aggregate_version < lag(aggregate_version) OVER (PARTITION BY aggregate_id ORDER BY ctid) AS back FROM $store) o WHERE back"),
    't', "$store has versions out of order");
}

# The versions and the sums of what stores and archives hold, and the version
# and position that come next.
sub halves_of
{
  my ($dbname) = @_;
  return $node->safe_psql($dbname, join ';', map { my $s = $_;
    (map { "SELECT '$_', count(*), min(aggregate_version), max(aggregate_version), sum(position * data::numeric) FROM $_" } $s, $s . '_archive'),
    "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a1\", \"data\": 1}]', store => '$s')" } 'eventstore.events', 'shop.orders');
}
my %halves;
my @dump = ('pg_dump', '-f');
$node->command_ok([ @dump, "$dir/$_->[0]", @$_[1 .. $#$_], 'halves' ], "half archived stores are dumped: $_->[0]")
  for [ 'halves', '-Fc' ], [ 'halves.copy' ], [ 'halves.inserts', '--inserts' ], [ 'halves.rows', '--rows-per-insert=7' ], [ 'halves.schema', '-s' ],
  [ 'live.copy', '-a', '-t', 'shop.orders' ], [ 'archive.copy', '-a', '-t', 'shop.orders_archive' ],
  [ 'live.inserts', '-a', '--inserts', '-t', 'shop.orders' ], [ 'archive.inserts', '-a', '--inserts', '-t', 'shop.orders_archive' ];
my $halves = halves_of('halves');
like($halves, qr/eventstore.events\|300\|.*eventstore.events_archive\|150\|.*shop.orders\|300\|/s, 'they are half archived');
for my $how (
  [ 'copy', [ @psql, '-f', "$dir/halves.copy" ] ],
  [ 'inserts', [ @psql, '-f', "$dir/halves.inserts" ] ],
  [ 'rows', [ @psql, '-1', '-f', "$dir/halves.rows" ] ],
  [ 'serial', [ 'pg_restore', '-e', "$dir/halves" ] ],
  [ 'parallel', [ 'pg_restore', '-e', '-j', '3', "$dir/halves" ] ],
  [ 'sections', map { [ 'pg_restore', '-e', "--section=$_", "$dir/halves" ] } qw(pre-data data post-data) ])
{
  my ($name, @commands) = @$how;

  $node->safe_psql('postgres', "CREATE DATABASE halves_$name");
  $node->command_ok([ @$_, '-d', "halves_$name" ], "half archived stores are restored: $name") for @commands;
  is(halves_of("halves_$name"), $halves, "half archived stores go on: $name");
}
# Into a store that is there, with its triggers and its link, either half first.
for my $how ([ 'live', 'archive', 'copy' ], [ 'archive', 'live', 'copy' ], [ 'live', 'archive', 'inserts' ], [ 'archive', 'live', 'inserts' ])
{
  my ($first, $then, $format) = @$how;
  my $dbname = "halves_${first}_$format";

  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  $node->command_ok([ @psql, '-d', $dbname, map { ('-f', "$dir/$_") } 'halves.schema', "$first.$format", "$then.$format" ], "the $first half comes first: $format");
  is(join("\n", grep { /^shop/ } split /\n/, halves_of($dbname)), join("\n", grep { /^shop/ } split /\n/, $halves), "and all is there: $format");
}
# Only the owner of a store restores events.
$node->safe_psql('halves_copy', "CREATE ROLE guest; GRANT USAGE ON SCHEMA eventstore, shop TO guest; GRANT ALL ON ALL TABLES IN SCHEMA shop TO guest; GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO guest; ALTER ROLE guest LOGIN");
$node->command_fails_like([ @psql, '-U', 'guest', '-d', 'halves_copy', '-f', "$dir/$_->[0]" ], $_->[1], "another role cannot restore $_->[0]")
  for [ 'live.copy', qr/permission denied to choose the position of an event of store shop.orders/ ], [ 'live.inserts', qr/permission denied to choose the position/ ],
  [ 'archive.copy', qr/permission denied to insert events into archive shop.orders_archive/ ];

# A default store that was renamed, moved, or both, is restored as it is.
for my $change (
  [ 'eventstore.renamed', 'ALTER TABLE eventstore.events RENAME TO renamed' ],
  [ 'shop.events', 'CREATE SCHEMA shop; ALTER TABLE eventstore.events SET SCHEMA shop' ],
  [ 'aaa.log', 'CREATE SCHEMA aaa; ALTER TABLE eventstore.events SET SCHEMA aaa; ALTER TABLE aaa.events RENAME TO log; ALTER SEQUENCE aaa.events_position_seq RENAME TO n; ALTER INDEX aaa.events_pkey RENAME TO k' ],
  [ 'eventstore.log', 'ALTER TABLE eventstore.events RENAME TO log; ALTER SEQUENCE eventstore.events_position_seq RENAME TO n; ALTER TRIGGER eventstore_append ON eventstore.log RENAME TO t' ])
{
  my ($store, $sql) = @$change;
  $node->safe_psql('postgres', 'CREATE DATABASE moved; CREATE DATABASE moved1; CREATE DATABASE moved2');
  $node->safe_psql('moved', "CREATE EXTENSION pg_eventstore; SELECT eventstore.append_event('e', '1', 'a', 0), eventstore.append_event('e', '2', 'a', 1); $sql; SELECT eventstore.set_notifications('$store', 'off')");
  my $what = "SELECT o.notifications, o.position_sequence, e.* FROM eventstore.store_options('$store') o, eventstore.read_events(store => '$store') e";
  $node->command_ok([ 'pg_dump', '-Fd', '-f', "$dir/$store", 'moved' ], "$store is dumped");
  $node->command_ok([ 'pg_restore', '-e', '-d', 'moved1', "$dir/$store" ], 'and restored');
  $node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', 'moved2', "$dir/$store" ], 'also in parallel');
  for my $dbname ('moved1', 'moved2')
  {
    is($node->safe_psql($dbname, $what), $node->safe_psql('moved', $what), "$dbname: with its events, sequence and mode");
    is($node->safe_psql($dbname, "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\"}]', '{\"a\": 2}', '$store')"), '3|3', "$dbname: and goes on");
  }
  $node->safe_psql('postgres', 'DROP DATABASE moved; DROP DATABASE moved1; DROP DATABASE moved2');
}

# What else somebody put on a table is carried, with the default store as with any other.
$node->safe_psql('postgres', 'CREATE DATABASE dressed; CREATE DATABASE dressed2');
$node->safe_psql('dressed', "CREATE EXTENSION pg_eventstore; SELECT eventstore.create_store('shop.orders')");
for my $table ('eventstore.events', 'shop.orders')
{
  $node->safe_psql('dressed', <<"EOS");
ALTER TABLE $table ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON $table FOR SELECT USING (aggregate_id <> 'secret');
ALTER TABLE $table SET (fillfactor = 70, autovacuum_vacuum_insert_threshold = 5000);
COMMENT ON TABLE $table IS 'mine';
COMMENT ON COLUMN $table.data IS 'mine';
CREATE INDEX further ON $table (data);
ALTER TABLE $table ADD CONSTRAINT further CHECK (event_type <> 'bad');
CREATE TRIGGER further BEFORE UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
GRANT SELECT ON $table TO "the reader";
EOS
}

# What a table has of that, by name.
sub dressing
{
  my ($dbname, $table) = @_;
  return $node->safe_psql($dbname, <<"EOS");
SELECT concat_ws(' ',
  CASE WHEN relrowsecurity THEN 'security' END,
  (SELECT 'policy' FROM pg_policy WHERE polrelid = c.oid),
  (SELECT 'options' WHERE reloptions = '{fillfactor=70,autovacuum_vacuum_insert_threshold=5000}'),
  (SELECT 'comment' WHERE obj_description(c.oid, 'pg_class') = 'mine'),
  (SELECT 'column' FROM pg_attribute WHERE attrelid = c.oid AND attname = 'data' AND col_description(c.oid, attnum) = 'mine'),
  (SELECT 'index' FROM pg_index WHERE indrelid = c.oid AND indexrelid::regclass::text LIKE '%further'),
  (SELECT 'constraint' FROM pg_constraint WHERE conrelid = c.oid AND conname = 'further'),
  (SELECT 'trigger' FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'further'),
  (SELECT 'grant' WHERE relacl::text LIKE '%the reader%'))
  FROM pg_class c WHERE oid = '$table'::regclass
EOS
}
my $dressing = 'security policy options comment column index constraint trigger grant';
is(dressing('dressed', $_), $dressing, "$_ has it all") for 'eventstore.events', 'shop.orders';
$node->command_ok([ 'pg_dump', '-f', "$dir/dressed", 'dressed' ], 'it is dumped');
$node->command_ok([ @psql, '-f', "$dir/dressed", '-d', 'dressed2' ], 'and restored');
is(dressing('dressed2', $_), $dressing, "$_ has it all again") for 'eventstore.events', 'shop.orders';

# The default store alone, into a database that has the extension.
$node->safe_psql('postgres', 'CREATE DATABASE alone');
$node->safe_psql('alone', 'CREATE EXTENSION pg_eventstore');
$node->command_ok([ 'pg_dump', '-t', 'eventstore.events*', '-f', "$dir/alone", 'dressed' ], 'the default store alone is dumped');
$node->command_ok([ @psql, '-f', "$dir/alone", '-d', 'alone' ], 'and restored');
is(dressing('alone', 'eventstore.events'), $dressing, 'as it was');

# The whole cluster.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$node->safe_psql('source', <<'EOS');
DROP EXTENSION pg_eventstore CASCADE;
DROP SCHEMA eventstore, shop, quiet, "Odd "" schema" CASCADE;
EOS
$node->command_ok([ 'pg_dumpall', '-f', "$dir/all" ], 'pg_dumpall');
$other->command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-f', "$dir/all", '-d', 'postgres' ], 'its restore');
$_ = $other->safe_psql('r_custom', "SELECT count(*), max(position) FROM eventstore.events");
is($_, $node->safe_psql('r_custom', "SELECT count(*), max(position) FROM eventstore.events"), 'has the events');
is($other->safe_psql('r_custom', "SELECT eventstore.append_event('e', '1', 'a', 4, store => 'shop.orders')"), '5', 'and goes on');
$other->stop;

# The owner of a database, no superuser, is given the default store.
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE DATABASE tenant OWNER tenant');
my @tenant = (extra_params => [ '-U', 'tenant' ]);
is(sqlstate($node, 'SET ROLE tenant; CREATE EXTENSION pg_eventstore', dbname => 'tenant'), '42501', 'only a superuser creates the extension');
$node->safe_psql('tenant', 'CREATE EXTENSION pg_eventstore; ALTER TABLE eventstore.events OWNER TO tenant; GRANT USAGE ON SCHEMA eventstore TO tenant; GRANT SELECT ON eventstore.erasures, eventstore.projection_definitions, eventstore.snapshots, eventstore.state_definitions, eventstore.subscription_definitions, eventstore.subscription_progress, eventstore.subscription_parked TO tenant');
is($node->psql('tenant', "SELECT eventstore.append_event('e', '1', 'a', 0)", @tenant), 0, 'the owner of the default store appends to it');
is($node->psql('tenant', "SELECT * FROM eventstore.get_events_by_aggregate('a')", @tenant), 0, 'and read it');
is($node->safe_psql('tenant', "SELECT owner FROM eventstore.stores"), 'tenant', 'and owns it');
is($node->psql('tenant', "SELECT eventstore.set_notifications('eventstore.events', 'off')", @tenant), 0, 'and may change its options');
is($node->safe_psql('tenant', "SELECT eventstore.create_store('mine.events')", @tenant), 'mine.events', 'and makes stores');
is(sqlstate($node, "SET ROLE tenant; SELECT eventstore.create_store('eventstore.more')", dbname => 'tenant'), '42501', 'but not in schema eventstore');
is($node->safe_psql('tenant', "SELECT eventstore.append_event('e', '1', 'a', 0, store => 'mine.events')", @tenant), '1', 'and appends to them');

# That role dumps its database itself; a superuser restores it.
$node->safe_psql('postgres', 'CREATE DATABASE tenant2 OWNER tenant');
$node->command_ok([ 'pg_dump', '-U', 'tenant', '-Fc', '-f', "$dir/tenant", 'tenant' ], 'the owner of a database dumps it');
$node->command_ok([ 'pg_restore', '-e', '-d', 'tenant2', "$dir/tenant" ], 'which is restored');
is($node->safe_psql('tenant2', 'SELECT notifications, owner FROM eventstore.stores ORDER BY 1'), "off|tenant\nworker|tenant", 'with its options and the owners');
is($node->psql('tenant2', "SELECT eventstore.append_event('e', '1', 'a', 1, store => 'mine.events')", @tenant), 0, 'and appends again');

# Or it restores the dump itself, after a superuser has prepared the database.
$node->safe_psql('tenant', "SELECT eventstore.erase_aggregate('a', 'asked for', 'mine.events'), eventstore.set_archive_hold('a reader', 0, 'mine.events'); SELECT eventstore.create_subscription('worker', 'mine.events'); SELECT eventstore.park('worker', delivery, position) FROM eventstore.poll('worker', 1);
  CREATE TABLE mine.seen (id text); CREATE FUNCTION mine.see(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO mine.seen VALUES (e.event_id)'; SELECT eventstore.create_projection('seen', 'mine.see(eventstore.event)', 'manual', 'mine.events', tables => '{mine.seen}')", @tenant);
$node->command_ok([ 'pg_dump', '-U', 'tenant', '-Fc', '-f', "$dir/tenant", 'tenant' ], 'the owner of a database dumps it again');
$node->safe_psql('postgres', 'CREATE DATABASE tenant3 OWNER tenant');
$node->safe_psql('tenant3', 'CREATE EXTENSION pg_eventstore; ALTER TABLE eventstore.events OWNER TO tenant; GRANT USAGE, CREATE ON SCHEMA eventstore TO tenant');
$node->command_checks_all([ 'pg_restore', '-U', 'tenant', '-d', 'tenant3', "$dir/tenant" ], 1, [qr/^$/],
  [ qr/schema "eventstore" already exists/, qr/permission denied for table archive_holds/, qr/permission denied for table erasures/, qr/permission denied for table projection_definitions/, qr/permission denied for table snapshots/, qr/permission denied for table state_definitions/,
    map { qr/permission denied for table subscription_$_/ } qw(definitions progress parked) ],
  'the owner of a database restores the dump');
$node->command_ok([ 'pg_restore', '-e', '--data-only', '-n', 'eventstore', (map { ('-t', $_) } qw(archive_holds erasures projection_definitions snapshots state_definitions subscription_definitions subscription_progress subscription_parked)), '-d', 'tenant3', "$dir/tenant" ], 'and a superuser the rest');
my $rest = "SELECT store, notifications, owner FROM eventstore.stores ORDER BY 1; TABLE eventstore.erasures; TABLE eventstore.archive_holds; TABLE eventstore.projection_definitions; TABLE eventstore.subscription_definitions; TABLE eventstore.subscription_progress; TABLE eventstore.subscription_parked; SELECT * FROM eventstore.read_events() ";
is($node->safe_psql('tenant3', $rest), $node->safe_psql('tenant', $rest), 'all is there');
$node->stop;
done_testing();
