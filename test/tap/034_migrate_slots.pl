# pg_eventstore_migrate with slots: a store, a file or foreign tables are split into slots,
# slots are merged into a store or a file, and split anew into another number of slots.
use strict;
use warnings;

use Compress::Raw::Zlib ();
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesMigrate;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('slots');
my $connstr = $node->connstr('postgres');
my @to = ("--target=$connstr", '--schema=split');
my @from = ("--source=$connstr", '--source-schema=split');
delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE PGAPPNAME)};

# The result of a query.
sub query
{
  my ($sql, $dbname) = @_;
  return $node->safe_psql($dbname // 'postgres', $sql);
}

# An event of an aggregate as JSON.
sub event
{
  my ($aggregate, $version, $more) = @_;
  return sprintf('{"event_id": "%s-%d", "event_type": "t", "occurred_at": "2025-01-01T00:00:00Z", '
      . '"aggregate_id": "%s", "aggregate_type": "T", "aggregate_version": %d, %s}',
    $aggregate, $version, $aggregate, $version, $more // '"data": {"n": 1}');
}

# A query of all events in the slots of a sliced store here, with the slot and the position.
sub events_of
{
  my ($name, $dbname) = @_;
  my @stores = split /\n/, query("SELECT slot, slot_store FROM eventstore.slots('split.$name')", $dbname);
  my $columns = 'position, event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata';

  return '(' . join(' UNION ALL ', map { sprintf "SELECT %d AS slot, $columns FROM eventstore.read_events(store => '%s', include_archived => true)", split /\|/ } @stores) . ') e';
}

# The event ids of each slot, in their order.
sub ids_of
{
  my ($name, $dbname) = @_;
  return query("SELECT slot || ': ' || string_agg(event_id, ' ' ORDER BY position) FROM " . events_of($name, $dbname) . ' GROUP BY slot ORDER BY slot', $dbname);
}

# The same, as it must be after the events of a plain store were split.
sub split_ids_of
{
  my ($store, $count, $order) = @_;
  $order //= 'position';
  return query("SELECT slot || ': ' || string_agg(event_id, ' ' ORDER BY $order) FROM
    (SELECT *, eventstore.slot_of(COALESCE(aggregate_id, event_id), $count) AS slot FROM eventstore.read_events(store => '$store', include_archived => true)) s
    GROUP BY slot ORDER BY slot");
}

# The number of events by which the slots and a plain store differ, apart from positions.
sub difference
{
  my ($name, $store) = @_;
  my $columns = 'event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata';
  my ($slots, $plain) = (events_of($name), "eventstore.read_events(store => '$store', include_archived => true) p");

  return query("SELECT count(*) FROM ((SELECT $columns FROM $slots EXCEPT ALL SELECT $columns FROM $plain)
    UNION ALL (SELECT $columns FROM $plain EXCEPT ALL SELECT $columns FROM $slots)) d");
}

# The command line.
my $any = file_of('any', event('a', 1));
my @split_any = ("--source=$any", @to, '--table=any');
for my $count (3, 0, 1, 2048, -4)
{
  migrate_fails("$count slots", qr/invalid number of slots: $count\n.*A sliced store has 2, 4, 8 or another power of two up to 1024 slots\./, @split_any, "--slots=$count");
}
migrate_fails('slots that are no number', qr/invalid value "x" for option --slots/, @split_any, '--slots=x');
migrate_fails('no slots', qr/option --only-slots needs option --slots/, @split_any, '--only-slots=1');
migrate_fails('no slots of the source', qr/option --source-only-slots needs option --source-slots/, @from, "--target=$connstr", '--source-only-slots=1');
for my $list ('', 'a', '3-1', '1,,2', '1,', '-1', '1-', '1-2-3', '99999999999', ' 1')
{
  migrate_fails("the list of slots '$list'", qr/invalid list of slots: "$list"/, @split_any, '--slots=16', "--only-slots=$list");
}
for my $list (16, '0-16', '3,20')
{
  migrate_fails("slots $list of 16", qr/there is no slot (?:16|20)\n.*The slots of a store with 16 slots have the numbers 0 to 15\./, @split_any, '--slots=16', "--only-slots=$list");
}
migrate_fails('a file of slots', qr/option --slots cannot be used with a target that is a file/, @from, '--target=-', '--slots=4');
migrate_fails('slots of a file', qr/option --source-slots cannot be used with a source that is a file/, @split_any, '--source-slots=4');
migrate_fails('slots of foreign tables', qr/option --source-slots cannot be used with tables of another event store/, @from, @to, '--source-slots=4', '--source-format=message-db');
is(query("SELECT to_regnamespace('split') IS NULL"), 't', 'nothing was made');

# A file is split: aggregates with and without versions, ids with escapes and of other
# alphabets, events of no aggregate, with and without an id.
my @lines = map {
  my $n = $_;
  map { event("order-$_", $n) } 1 .. 20
} 1 .. 5;
push @lines, map { qq({"event_id": "free-$_", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "correlation_id": "c", "data": $_, "metadata": {"m": 1}}) } 1 .. 80;
push @lines, map { qq({"event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "n": $_}) } 1 .. 20;
push @lines, map { qq({"event_id": "v-$_", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "aggregate_id": "no versions", "n": $_}) } 1 .. 5;
push @lines, map { event($_, 1) } "Z\xc3\xbcrich", "\xe6\x9d\xb1\xe4\xba\xac", "\xf0\x9f\x98\x80";
push @lines, map { qq({"event_id": "escaped $_->[0]", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "aggregate_\\u0069d": "$_->[1]", "data": 1}) } [ 1, 'Gen\\u00e8ve' ], [ 2, '\\ud83d\\ude00 \\"\\\\\\/\\n' ];
push @lines, '{"event_id": "inner", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "data": {"aggregate_id": "x", "event_id": "y"}}',
  '{"event_id": "first", "event_id": "l\\u0061st", "aggregate_id": "x", "aggregate_id": null, "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "data": 1}';
my $file = file_of('given', @lines);
my $count = @lines;
my $stored = "'split.plain'";
migrate_ok('the file to a plain store', qr/$count events imported/, "--source=$file", @to, '--table=plain');
for my $slots (2, 16, 64)
{
  my @split = ("--source=$file", @to, "--table=orders$slots", "--slots=$slots");

  migrate_ok("$slots slots, dry run", qr/$count events would be imported, 0 are there already/, @split, '--dry-run');
  is(query("SELECT count(*) FROM eventstore.slots('split.orders$slots')"), '0', "$slots slots, dry run: no slot is made");
  migrate_ok("$slots slots", qr/$count events imported, 0 were there already, in/, @split);
  is(query("SELECT count(*) FROM eventstore.slots('split.orders$slots') WHERE slots = $slots"), $slots, "$slots slots are made");
  is(ids_of("orders$slots"), split_ids_of('split.plain', $slots), "$slots slots: each event is in its slot, in the order of the file");
  is(difference("orders$slots", 'split.plain'), '0', "$slots slots: the events are the same");
  migrate_ok("$slots slots again", qr/0 events imported, $count were there already/, @split);
  migrate_ok("$slots slots again, dry run", qr/0 events would be imported, $count are there already/, @split, '--dry-run');
  migrate_ok("$slots slots verified", qr/$count events compared, 0 differ/, @split, '--verify');
}
is(query("SELECT string_agg(DISTINCT format_type(atttypid, atttypmod), ' ') FROM pg_attribute JOIN eventstore.slots('split.orders16') ON attrelid = slot_store WHERE attname = 'aggregate_id'"),
  'character varying(255)', 'new slots are as wide as a new store');
migrate_ok('slots without notifications', qr/1 events imported/, @split_any, '--slots=2', '--no-notifications');
is(query("SELECT string_agg(notifications, ' ') FROM eventstore.stores WHERE store::text LIKE 'split.any%'"), 'off off', 'they have none');

# Small batches, and events that do not come in order.
for my $size (1, 3, 10000)
{
  migrate_ok("batches of $size", qr/$count events imported, 0 were there already, in/, "--source=$file", @to, "--table=batches$size", '--slots=4', "--batch-size=$size");
  is(ids_of("batches$size"), split_ids_of('split.plain', 4), "batches of $size: the order");
  my $mixed = file_of("mixed_$size", @lines[ 0 .. 39, 60 .. 79, 40 .. 59, 80 .. $#lines ]);
  migrate_ok("disorder, batches of $size", qr/putting the events in order.*$count events imported, 0 were there already, in/s, "--source=$mixed", @to, "--table=mixed$size", '--slots=4', "--batch-size=$size");
  migrate_ok('the same in a plain store', qr/putting the events in order/, "--source=$mixed", @to, "--table=mixed$size");
  is(ids_of("mixed$size"), split_ids_of("split.mixed$size", 4), "disorder, batches of $size: the order");
  migrate_ok("disorder verified, batches of $size", qr/$count events compared, 0 differ/, "--source=$mixed", @to, "--table=mixed$size", '--slots=4', '--verify');
}

# An error names the line, whatever the slot.
my $bad = file_of('bad', @lines, event('order-1', 6), '{"event_type": 5}');
migrate_fails('a bad line', qr/\Q$bad\E: line ${\ ($count + 2)}: key "event_type"/, "--source=$bad", @to, '--table=bad', '--slots=4');
migrate_fails('a bad line, dry run', qr/\Q$bad\E: line ${\ ($count + 2)}: key "event_type"/, "--source=$bad", @to, '--table=bad', '--slots=4', '--dry-run');

for my $only ('0', '1', '2-3')
{
  my $broken = file_of("broken $only", event('order-1', 1), '{"event_type": "t", "aggregate_id": "order-1"');
  migrate_fails("a line that is no JSON, slots $only", qr/\Q$broken\E: line 2: /, "--source=$broken", @to, '--table=bad', '--slots=4', "--only-slots=$only");
}

# Two servers, here databases, each with its slots.
query("CREATE DATABASE $_") for qw(one two);
my $half = 0;
for my $server ([ one => '0-6,8' ], [ two => '7,9-15' ])
{
  my ($name, $list) = @$server;
  my @run = ("--source=$file", '--target=' . $node->connstr($name), '--schema=split', '--table=orders', '--slots=16', "--only-slots=$list");
  my $here = query("SELECT count(*) FROM eventstore.get_latest_events(NULL, 'split.plain')
    WHERE (eventstore.slot_of(COALESCE(aggregate_id, event_id), 16) IN (0, 1, 2, 3, 4, 5, 6, 8)) = ('$name' = 'one')");
  my $elsewhere = $count - $here;
  migrate_ok("slots $list, dry run", qr/$here events would be imported, 0 are there already, $elsewhere belong to other slots/, @run, '--dry-run');
  migrate_ok("slots $list", qr/$here events imported, 0 were there already, $elsewhere belong to other slots, in/, @run);
  migrate_ok("slots $list again", qr/0 events imported, $here were there already, $elsewhere belong to other slots, in/, @run);
  migrate_ok("slots $list verified", qr/$here events compared, 0 differ, $elsewhere belong to other slots/, @run, '--verify');
  is(query("SELECT string_agg(slot::text, ',' ORDER BY slot) FROM eventstore.slots('split.orders')", $name),
    $name eq 'one' ? '0,1,2,3,4,5,6,8' : '7,9,10,11,12,13,14,15', 'these slots are made');
  $half += $here;
}
is($half, $count, 'the events of both are all');
is(ids_of('orders', 'one') . "\n" . ids_of('orders', 'two'), ids_of('orders16') =~ s/(7: .*\n)(8: .*\n)/$2$1/r, 'each is in its slot');
my @one = ("--source=$file", '--target=' . $node->connstr('one'), '--schema=split', '--table=orders');
for my $task ([], ['--verify'], ['--dry-run'])
{
  migrate_fails("slots of another server, @$task", qr/database "one" lacks slots 7,9-15 of store split\.orders\n.*hint: Option --only-slots=0-6,8 /s, @one, '--slots=16', @$task);
  migrate_fails("another number of slots, @$task", qr/store split\.orders of database "one" has 16 slots, not 8\n.*hint: .*option --source-slots=16 reads them/s, @one, '--slots=8', @$task);
}
migrate_fails('verify a slot of another server', qr/database "one" lacks slot 7 of store split\.orders/, @one, '--slots=16', '--only-slots=6,7', '--verify');
migrate_fails('verify slots that are nowhere', qr/database "one" has no slots of store split\.nothing/, @one, '--table=nothing', '--slots=16', '--verify');
migrate_fails('a slot as the sliced store', qr/store split\.orders_003 of database "one" is slot 3 of 16\n.*hint: .*--table/s, @one, '--table=orders_003', '--slots=16');
migrate_fails('a slot as the sliced source', qr/store split\.orders_003 of database "one" is slot 3 of 16\n.*hint: .*--source-table/s,
  '--source=' . $node->connstr('one'), '--schema=split', '--source-table=orders_003', '--source-slots=16', '--target=-');
migrate_ok('a missing slot is made if it is named', qr/events imported/, @one, '--slots=16', '--only-slots=7');

# A store with an archive, an erased event and wide columns, within a database and by its own name.
query("SELECT eventstore.create_store('split.sales'); ALTER TABLE split.sales ALTER correlation_id TYPE varchar(300)");
query("SELECT count(eventstore.append_event('t', '{\"n\": 1}', 's-' || n % 10, store => 'split.sales')) FROM generate_series(1, 100) n");
query("SELECT eventstore.redact_event(event_id, 'by request', store => 'split.sales') FROM split.sales WHERE position IN (20, 70)");
ok($node->poll_query_until('postgres', "SELECT eventstore.archive_limit('split.sales') >= 50"), 'events are announced');
is(query("SELECT eventstore.archive_events('split.sales', before_position => 51)"), '50', 'events are archived');
my @sales = (@from, '--source-table=sales', @to, '--table=sales', '--slots=8');
migrate_ok('a store', qr/100 events imported, 0 were there already/, @sales);
is(ids_of('sales'), split_ids_of('split.sales', 8), 'a store: each event is in its slot, in order');
is(difference('sales', 'split.sales'), '0', 'a store: the events are the same');
is(query('SELECT count(*) FROM ' . events_of('sales') . ' WHERE metadata @> \'{"erased": true}\''), '2', 'a store: what is erased stays so');
is(query("SELECT string_agg(DISTINCT format_type(atttypid, atttypmod), ' ') FROM pg_attribute JOIN eventstore.slots('split.sales') ON attrelid = slot_store WHERE attname = 'correlation_id'"),
  'character varying(300)', 'a store: its slots are as wide');
migrate_ok('a store again', qr/0 events imported, 100 were there already/, @sales);
migrate_ok('a store verified', qr/100 events compared, 0 differ/, @sales, '--verify');
query("SELECT count(eventstore.append_event('t', '{}', 's-' || n, store => 'split.sales')) FROM generate_series(5, 14) n");
migrate_ok('a store that has grown', qr/10 events imported, 100 were there already/, @sales);
is(ids_of('sales'), split_ids_of('split.sales', 8), 'a store that has grown: the order');
is(query("SELECT count(eventstore.append_event('t', '{}', 's-1', store => eventstore.slot_store('split.sales', 's-1')))"), '1', 'and appended to');
migrate_fails('a slot and its store', qr/the source and the target both have store split\.sales_003/, @from, '--source-table=sales_003', @to, '--table=sales', '--slots=8');

# A role that may append, but create nothing.
query("CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA eventstore, split TO plain; GRANT SELECT, INSERT ON split.orders2_000, split.orders2_001 TO plain");
migrate_ok('a role that may append', qr/$count were there already/, "--source=$file", "--target=$connstr user=plain", '--schema=split', '--table=orders2', '--slots=2');

# Other encodings: the slot is that of the id in UTF-8.
for my $encoding (qw(LATIN1 SQL_ASCII))
{
  my $name = lc $encoding;
  query("CREATE DATABASE $name ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
  my @cities = map { event($_, 1) } "Z\xc3\xbcrich", "Gen\xc3\xa8ve", "M\xc3\xa1laga", "Aar\xc3\xb8", 'Oslo', "G\xc3\xb6ttingen";
  push @cities, qq({"event_id": "\xc3\xa9", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "data": 1});
  push @cities, map { qq({"event_id": "escaped $_", "event_type": "t", "occurred_at": "2024-01-01T00:00:00Z", "aggregate_id": "\\u00e9-$_", "data": 1}) } 1 .. 9 if $encoding eq 'LATIN1';
  my $path = file_of($name, @cities);
  my $cities = @cities;
  my @target = ('--target=' . $node->connstr($name), '--schema=split', '--table=cities', '--slots=16');
  migrate_ok("$encoding, one by one", qr/$cities events imported/, "--source=$path", @target, '--batch-size=1');
  migrate_ok("$encoding, at once", qr/$cities events imported/, "--source=$path", @target[ 0, 1 ], '--table=towns', '--slots=16');
  migrate_ok("$encoding verified", qr/$cities events compared, 0 differ/, "--source=$path", @target, '--verify');
  migrate_ok("the same in UTF-8 as $encoding", qr/$cities events imported/, "--source=$path", @to, "--table=$name", '--slots=16');
  my $ids = "SELECT string_agg(slot || ':' || encode(convert_to(event_id, 'UTF8'), 'hex'), ' ' ORDER BY slot, position) FROM ";
  $ids =~ s/convert_to\((\w+), 'UTF8'\)/convert_to($1, 'SQL_ASCII')/ if $encoding eq 'SQL_ASCII';
  my $expected = query("SELECT string_agg(slot || ':' || encode(convert_to(event_id, 'UTF8'), 'hex'), ' ' ORDER BY slot, position) FROM " . events_of($name));
  is(query($ids . events_of($_, $name), $name), $expected, "$encoding, $_: the slots") for qw(cities towns);
  my $merged = "$dir/merged_$name.jsonl";
  migrate_ok("$encoding merged", qr/$cities events exported/, '--source=' . $node->connstr($name), '--schema=split', '--table=cities', '--source-slots=16', "--target=$merged");
  migrate_ok("$encoding merged, verified", qr/$cities events compared, 0 differ/, "--source=$merged", @to, "--table=$name", '--slots=16', '--verify');
}
my $smile = file_of('smile', event('a', 1), event("\xf0\x9f\x98\x80", 1));
migrate_fails('a character that the target lacks', qr/error: \Q$smile: line 2: key "event_id"\E: character with byte sequence 0xf0 0x9f 0x98 0x80/,
  "--source=$smile", '--target=' . $node->connstr('latin1'), '--schema=split', '--table=smile', '--slots=2');

# Verify finds what differs, and an event in the wrong slot.
my @verify = ("--source=$file", @to, '--table=orders16', '--slots=16', '--verify');
my $slot = query("SELECT eventstore.slot_of('order-1', 16)");
my $other = ($slot + 5) % 16;
my ($right, $wrong) = map { sprintf 'split.orders16_%03d', $_ } $slot, $other;

# Run SQL without the triggers of the slots.
sub plant
{
  my ($sql) = @_;
  return query("SET session_replication_role = replica; $sql");
}
my $columns = 'position, event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata';
my $moved = 'position + 1000 AS position, ' . $columns =~ s/^position, //r;
plant("UPDATE $right SET data = '7' WHERE event_id = 'order-1-3'");
migrate_fails('verify a change', qr/line 41: event "order-1-3" differs: data\n.*$count events compared, 1 differ/s, @verify);
plant("UPDATE $right SET data = '{\"n\": 1}' WHERE event_id = 'order-1-3'");
plant("INSERT INTO $wrong ($columns) SELECT $moved FROM $right WHERE event_id = 'order-1-5'");
migrate_fails('verify an event in two slots', qr/line 81: event "order-1-5" differs: slot $other instead of $slot\n/, @verify);
plant("DELETE FROM $right WHERE event_id = 'order-1-5'");
migrate_fails('verify an event in the wrong slot', qr/line 81: event "order-1-5" differs: slot $other instead of $slot\n.*$count events compared, 1 differ/s, @verify);
migrate_fails('verify an event that should be elsewhere', qr/event "order-1-5" differs: slot $other instead of $slot\n.*1 differ/s, @verify, "--only-slots=$other");
plant("DELETE FROM $wrong WHERE event_id = 'order-1-5'");
migrate_fails('verify an event that is missing', qr/line 81: event "order-1-5" is not in the slots of store split\.orders16 of database "postgres"\n.*1 differ/s, @verify);
plant("INSERT INTO $wrong ($columns) SELECT position + 2000, 'stray', event_type, occurred_at, NULL, NULL, aggregate_id, aggregate_type, 99, data, NULL FROM $right WHERE event_id = 'order-1-3'");
migrate_fails('verify a stray event', qr/error: event "stray" differs: slot $other instead of $slot\n/, @verify);
plant("DELETE FROM $wrong WHERE event_id = 'stray'");
query("SELECT eventstore.append_event('t', '1', store => '$wrong')");
migrate_ok('what was missing is imported', qr/1 events imported, ${\ ($count - 1)} were there/, "--source=$file", @to, '--table=orders16', '--slots=16');
migrate_ok('and verified', qr/$count events compared, 0 differ/, @verify);
plant("UPDATE $right SET position = position + 1000 WHERE event_id = 'order-1-2'");
migrate_fails('verify a disorder', qr/event "order-1-3" differs: order\n/, @verify);
plant("UPDATE $right SET position = position - 1000 WHERE event_id = 'order-1-2'");
my ($free_1, $free_2) = split / /, query("SELECT string_agg(event_id, ' ' ORDER BY position) FROM $right WHERE aggregate_id IS NULL AND event_id LIKE 'free-%'");
plant("UPDATE $right SET position = position + 1000 WHERE event_id = '$free_1'");
migrate_fails('verify a disorder of events of no aggregate', qr/event "$free_2" differs: order\n/, @verify);
plant("UPDATE $right SET position = position - 1000 WHERE event_id = '$free_1'");
plant("INSERT INTO $wrong ($columns) SELECT $moved FROM $right WHERE event_id = '$free_1'; DELETE FROM $right WHERE event_id = '$free_1'");
migrate_fails('verify an event of no aggregate in another slot', qr/event "$free_1" differs: slot $other instead of $slot\n/, @verify);
plant("INSERT INTO $right ($columns) SELECT " . ($moved =~ s/\+/-/r) . " FROM $wrong WHERE event_id = '$free_1'; DELETE FROM $wrong WHERE event_id = '$free_1'");
migrate_ok('as before', qr/$count events compared, 0 differ/, @verify);

# Slots are merged by time. Times go down within a slot, too: then the order of the slot counts.
query("SELECT eventstore.create_slots('split.shop', 4)");
query("SELECT setseed(0.5);
  CREATE TABLE split.drawn AS SELECT n, 'a-' || (random() * 200)::int AS id, '2025-01-01Z'::timestamptz + n * interval '1 s' - (random() ^ 20 * 3000) * interval '1 s' AS at FROM generate_series(1, 20000) n;
  INSERT INTO split.drawn VALUES (20001, 'bc', '4000-01-01Z BC'), (20002, 'bc', '2025-01-01Z'), (20003, 'ad', '0001-12-31 23:59:59.999999Z BC'), (20004, 'ad', '29999-01-01Z')");
for my $slot (0 .. 3)
{
  my $sql = "SELECT id AS aggregate_id, ''e-'' || n AS event_id, ''t'' AS event_type, at AS occurred_at, jsonb_build_object(''n'', n) AS data FROM split.drawn WHERE eventstore.slot_of(id, 4) = $slot ORDER BY n";
  query("SELECT eventstore.import_events('$sql', 'split.shop_00$slot')");
}
ok($node->poll_query_until('postgres', "SELECT eventstore.archive_limit('split.shop_002') >= 1000"), 'events are announced');
is(query("SELECT eventstore.archive_events('split.shop_002', before_position => 1001)"), '1000', 'events of a slot are archived');
query("SELECT eventstore.append_event('t', '1', event_id => 'free', occurred_at => '2025-01-01 03:00Z', store => 'split.shop_001')");
my $by_time = "SELECT md5(string_agg(event_id, ' ' ORDER BY key, slot, position)) FROM
  (SELECT *, max(occurred_at) OVER (PARTITION BY slot ORDER BY position) AS key FROM %s) k";
my $expected = query(sprintf $by_time, events_of('shop'));
my @shop = (@from, '--source-table=shop', '--source-slots=4');
migrate_ok('merge, dry run', qr/20005 events would be imported/, @shop, @to, '--table=merged', '--dry-run');
migrate_ok('merge', qr/20005 events imported, 0 were there already, in/, @shop, @to, '--table=merged');
is(query("SELECT md5(string_agg(event_id, ' ' ORDER BY position)) FROM split.merged"), $expected, 'merge: the order');
is(difference('shop', 'split.merged'), '0', 'merge: the events are the same');
migrate_ok('merge again', qr/0 events imported, 20005 were there already/, @shop, @to, '--table=merged');
query("SELECT eventstore.append_event('t', '{}', 'a-7', 0 + (SELECT max(aggregate_version) FROM split.merged WHERE aggregate_id = 'a-7'), store => eventstore.slot_store('split.shop', 'a-7'))");
migrate_ok('merge of slots that have grown', qr/1 events imported, 20005 were there already/, @shop, @to, '--table=merged');
migrate_ok('merge verified', qr/20006 events compared, 0 differ/, @shop, @to, '--table=merged', '--verify');
$expected = query(sprintf $by_time, events_of('shop'));
migrate_ok('merge by default names', qr/20006 events imported/, "--source=$connstr", @to, '--table=shop', '--source-slots=4');
my $merged = "$dir/merged.jsonl";
migrate_ok('merge into a file', qr/20006 events exported to "\Q$merged\E"/, @shop, "--target=$merged");
my @merged = split /^/, slurp_file($merged);
is(query("SELECT md5(string_agg(event_id, ' ')) FROM unnest('{" . join(',', map { /"event_id": "([^"]*)"/ ? $1 : die } @merged) . "}'::text[]) event_id"), $expected, 'merge into a file: the order');
migrate_ok('the file verified', qr/20006 events compared, 0 differ/, @shop, "--target=$merged", '--verify');
migrate_ok('the file is imported', qr/20006 events imported/, "--source=$merged", @to, '--table=from_file');
is(query("SELECT md5(string_agg(event_id, ' ' ORDER BY position)) FROM split.from_file"), $expected, 'the file is imported: the order');

# A file that was exported must have all events, once, in the order of each slot.
sub slot_of_line
{
  my ($line) = @_;
  return $line =~ /"aggregate_id": "([^"]*)"/ ? Compress::Raw::Zlib::crc32($1) * 4 >> 32 : 1;
}
my ($at) = grep { my ($x, $y) = map { /"aggregate_id": "([^"]*)"/ ? $1 : '' } @merged[ $_, $_ + 1 ]; $x ne $y && slot_of_line($merged[$_]) == slot_of_line($merged[ $_ + 1 ]) } 100 .. 200;
my ($between) = grep { slot_of_line($merged[$_]) != slot_of_line($merged[ $_ + 1 ]) } 100 .. 200;
for my $change (
  [ 'that lacks one', qr/event "[^"]*" is not in .*1 differ/s, @merged[ 0 .. 9, 11 .. $#merged ] ],
  [ 'with two of a slot in the other order', qr/ differs: order\n/, @merged[ 0 .. $at - 1, $at + 1, $at, $at + 2 .. $#merged ] ],
  [ 'with one twice', qr/ differs: (order, )?repeated/, @merged, $merged[7] ])
{
  my ($name, $said, @changed) = @$change;
  chomp @changed;
  migrate_fails("verify a file $name", $said, @shop, '--target=' . file_of("changed $name", @changed), '--verify');
}
chomp(my @swapped = @merged[ 0 .. $between - 1, $between + 1, $between, $between + 2 .. $#merged ]);
migrate_ok('verify a file with two of different slots in the other order', qr/0 differ/, @shop, '--target=' . file_of('swapped', @swapped), '--verify');

# Another number of slots, up and down.
migrate_ok('4 to 16 slots', qr/20006 events imported, 0 were there already, in/, @shop, @to, '--table=shop16', '--slots=16');
is(ids_of('shop16'), split_ids_of('split.from_file', 16), '4 to 16 slots: the order in each is that of the merge');
is(difference('shop16', 'split.merged'), '0', '4 to 16 slots: the events are the same');
migrate_ok('4 to 16 slots verified', qr/20006 events compared, 0 differ/, @shop, @to, '--table=shop16', '--slots=16', '--verify');
migrate_ok('16 to 2 slots', qr/20006 events imported/, @from, '--source-table=shop16', '--source-slots=16', @to, '--table=shop2', '--slots=2', '--batch-size=700');
is(difference('shop2', 'split.merged'), '0', '16 to 2 slots: the events are the same');
migrate_ok('16 to 2 slots verified', qr/20006 events compared, 0 differ/, @from, '--source-table=shop16', '--source-slots=16', @to, '--table=shop2', '--slots=2', '--verify');
migrate_ok('the same number in another database', qr/20006 events imported/, @shop, '--target=' . $node->connstr('one'), '--schema=split', '--table=shop', '--slots=4');
migrate_ok('some slots', qr/events imported/, @shop, '--source-only-slots=0,2-3', @to, '--table=some');
is(query('SELECT count(*) FROM split.some'), query('SELECT count(*) FROM ' . events_of('shop') . ' WHERE slot <> 1'), 'some slots: their events');

# What cannot be the source or the target.
migrate_fails('the same slots', qr/the source and the target are the same store/, @shop, @to, '--table=shop', '--slots=4');
migrate_fails('a slot as the target', qr/the source and the target both have store split\.shop_002/, @shop, @to, '--table=shop_002');
migrate_fails('slots of a store that has none', qr/database "postgres" has no slots of store split\.plain\n/, @from, '--source-table=plain', '--source-slots=4', '--target=-');
migrate_fails('another number of slots of the source', qr/store split\.shop of database "postgres" has 4 slots, not 8\n/, @from, '--source-table=shop', '--source-slots=8', '--target=-');
migrate_fails('a sliced store as a store', qr/has no store split\.shop16\n.*hint: .*--source-slots=16 /s, @from, '--source-table=shop16', '--target=-');
migrate_fails('slots of the source that are elsewhere', qr/database "two" lacks slots 0-6,8 of store split\.orders\n.*hint: Option --source-only-slots=7,9-15 /s,
  '--source=' . $node->connstr('two'), '--schema=split', '--table=orders', '--source-slots=16', '--target=-');
is(() = migrate_ok('those that are there', qr/events exported/, '--source=' . $node->connstr('two'), '--schema=split', '--table=orders', '--source-slots=16', '--source-only-slots=7,9-15', '--target=-') =~ /\n/g,
  query("SELECT count(*) FROM eventstore.get_latest_events(NULL, 'split.plain') WHERE eventstore.slot_of(COALESCE(aggregate_id, event_id), 16) IN (7, 9, 10, 11, 12, 13, 14, 15)"),
  'those that are there: their events');
# two slots have an id each, which one store cannot have
query("SELECT eventstore.create_slots('split.twice', 2)");
query("SELECT eventstore.append_event('t', '1', id, event_id => 'one id', store => eventstore.slot_store('split.twice', id)) FROM (SELECT DISTINCT ON (eventstore.slot_of(n::text, 2)) n::text FROM generate_series(1, 20) n) s (id)");
migrate_fails('an id in two slots', qr/event 2: .*"one id"/, @from, '--source-table=twice', '--source-slots=2', @to, '--table=twice');
query("INSERT INTO split.twice_001 (position, event_id, event_type, data) VALUES (1000000, 'far', 't', '1')");
migrate_fails('a slot with events that its log does not show', qr/store split\.twice_001 of database "postgres" has events that its log does not show/, @from, '--source-table=twice', '--source-slots=2', '--target=-');

# The tables of other event stores, with their columns that are read.
query('CREATE DATABASE foreign_tables');
query(q{CREATE SCHEMA message_store;
  CREATE TABLE message_store.messages (global_position bigint, position bigint, time timestamp, stream_name text, type text, data jsonb, metadata jsonb, id uuid);
  INSERT INTO message_store.messages SELECT n, (n - 1) / 10, '2025-01-01', 'account-' || n % 10, 'Paid', '{}', NULL, ('a0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid FROM generate_series(1, 100) n;
  CREATE TABLE emt_streams (stream_id text, stream_type text, partition text, is_archived boolean);
  INSERT INTO emt_streams SELECT 'cart-' || n, 'Cart', 'p', false FROM generate_series(0, 9) n;
  CREATE TABLE emt_messages (stream_id text, stream_position bigint, partition text, message_kind text, message_data jsonb, message_metadata jsonb, message_type text, message_id text, is_archived boolean, global_position bigint, transaction_id xid8, created timestamptz);
  INSERT INTO emt_messages SELECT 'cart-' || n % 10, 1 + (n - 1) / 10, 'p', 'E', '{}', '{}', 'Done', 'm-' || n, false, n, '1', '2025-01-01' FROM generate_series(1, 100) n}, 'foreign_tables');
for my $format (qw(message-db emmett))
{
  my @foreign = ('--source=' . $node->connstr('foreign_tables'), "--source-format=$format", @to, '--table=from_' . substr($format, 0, 3), '--slots=4');
  migrate_ok($format, qr/100 events imported/, @foreign);
  migrate_ok("$format again", qr/100 were there already/, @foreign);
  migrate_ok("$format verified", qr/100 events compared, 0 differ/, @foreign, '--verify');
}

# Broken off at any moment, it is begun again: nothing is missing, nothing comes twice, the order is the same.
my @history = map { event('k' . $_ % 500, 1 + int($_ / 500), qq("data": {"n": $_})) } 0 .. 19_999;
@history[ 15_000, 15_500 ] = @history[ 15_500, 15_000 ];    # one that does not come in order
my $history = file_of('history', @history);
migrate_ok('a history at once', qr/20000 events imported/, "--source=$history", @to, '--table=whole');
my @resumable = ("--source=$history", @to, '--table=broken', '--slots=8', '--batch-size=200', '--quiet');
my $ended = 0;
for my $i (1 .. 8)
{
  my $err = '';
  my $run = IPC::Run::start([ $program, @resumable ], '<', \undef, '2>', \$err);
  $node->poll_query_until('postgres', "SELECT count(*) >= 1 FROM pg_stat_activity WHERE application_name = '$program'")
    or die 'it does not run';
  select(undef, undef, undef, 0.02 + rand(0.08) * $i);
  if ($i % 2)
  {
    $run->signal($i % 4 == 1 ? 'KILL' : 'INT');
  }
  else
  {
    query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '$program' ORDER BY random() LIMIT 1");
  }
  eval { $run->finish };
  $ended++ if $?;
  $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '$program'")
    or die 'its backend stays';
}
cmp_ok($ended, '>=', 4, "it was broken off $ended times");
migrate_ok('begun again', qr/^$/, @resumable);
is(ids_of('broken'), split_ids_of('split.whole', 8), 'the history is whole and in its order');
migrate_ok('and verified', qr/20000 events compared, 0 differ/, "--source=$history", @to, '--table=broken', '--slots=8', '--verify');

$node->stop;
done_testing();
