# pg_eventstore_migrate: events from files to stores, back, and between them.
use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesMigrate;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

program_help_ok($program);
program_version_ok($program);
program_options_handling_ok($program);

my $node = start_node('migrate', 'restart_after_crash = on');
my $connstr = $node->connstr('postgres');
delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE PGAPPNAME)};

# The result of a query.
sub query
{
  my ($sql, $dbname) = @_;
  return $node->safe_psql($dbname // 'postgres', $sql);
}

# A store for one test; the options that name it.
my $stores = 0;
sub new_store
{
  my $name = 'store_' . ++$stores;
  return ($name, '--schema=migrate', "--table=$name");
}

# An event of an aggregate as JSON.
sub event
{
  my ($aggregate, $version, $more) = @_;
  return sprintf('{"event_id": "%s-%d", "event_type": "t", "occurred_at": "2025-01-01T00:00:00Z", '
      . '"aggregate_id": "%s", "aggregate_type": "T", "aggregate_version": %d, %s}',
    $aggregate, $version, $aggregate, $version, $more // '"data": {"n": 1}');
}

# The command line.
migrate_fails('no end', qr/neither --source nor --target is given/);
migrate_fails('two files', qr/cannot both be files/, '--source=a.jsonl', '--target=-');
migrate_fails('verify and dry run', qr/cannot be used together/, '--source=a.jsonl', '--verify', '--dry-run');
migrate_fails('verify of a stream', qr/standard output cannot be verified/, '--target=-', '--verify');
migrate_fails('an unknown format', qr/no source format "x"/, '--source=a.jsonl', '--source-format=x');
migrate_fails('too many arguments', qr/too many command-line arguments \(first is "x"\)/, '--source=a.jsonl', 'x');
migrate_fails('no batch', qr/--batch-size must be in range/, '--source=a.jsonl', '--batch-size=0');
migrate_fails('no file', qr/could not open file "\S+none.jsonl" for reading: No such file.*hint: To name a database/s,
  "--source=$dir/none.jsonl", "--target=$connstr");
migrate_fails('no server', qr/connection to server .* failed/, "--source=$dir/none.jsonl", "--target=host=$dir dbname=x");

# From a file to a store that is made for it, and back.
my ($store, @store) = new_store();
my @given = (
  '{"event_id": "e-1", "event_type": "opened", "occurred_at": "2025-01-31T12:00:00.123456+02:00", "aggregate_id": "a", "aggregate_type": "Account", "aggregate_version": 1, "data": {"n": 1}}',
  '',
  '{"event_id": "e-2", "event_type": "noted", "occurred_at": "2024-01-31T12:00:00Z", "correlation_id": "c", "causation_id": "e-1", "data": [1, "\u00e9\n\"\\\\", null], "metadata": {"by": "me"}}',
  "  {\"event_id\": \"e-3\", \"event_type\": \"closed\", \"occurred_at\": \"2025-02-28T12:00:00Z\", \"aggregate_id\": \"a\", \"aggregate_version\": 2, \"why\": \"\x{c3}\x{a9}\"}\r",
  '{"event_id": "e-4", "event_type": "noted", "occurred_at": "2025-01-31T12:00:00Z", "aggregate_id": null, "data": null, "metadata": null}');
my $file = file_of('given', @given);
migrate_ok('file to store', qr/4 events imported, 0 were there already, in/, "--source=$file", "--target=$connstr", @store);
is(query("SELECT string_agg(concat_ws('/', position, event_id, event_type, occurred_at AT TIME ZONE 'UTC', correlation_id, causation_id,
    aggregate_id, aggregate_type, aggregate_version, data, metadata), E'\\n' ORDER BY position) FROM migrate.$store"),
  join("\n",
    '1/e-1/opened/2025-01-31 10:00:00.123456/a/Account/1/{"n": 1}',
    "2/e-2/noted/2024-01-31 12:00:00/c/e-1/[1, \"\x{c3}\x{a9}\\n\\\"\\\\\", null]/{\"by\": \"me\"}",
    "3/e-3/closed/2025-02-28 12:00:00/a/Account/2/{\"why\": \"\x{c3}\x{a9}\"}",
    '4/e-4/noted/2025-01-31 12:00:00/null'),
  'the events have their ids, times and versions');
is(query("SELECT notifications FROM eventstore.stores WHERE store = 'migrate.$store'::regclass"), 'worker', 'the store notifies');
migrate_ok('the same again', qr/0 events imported, 4 were there already/, "--source=$file", "--target=$connstr", @store);
migrate_ok('verify', qr/4 events compared, 0 differ/, '--verify', "--source=$file", "--target=$connstr", @store);

my $exported = "$dir/exported.jsonl";
my $out = migrate_ok('store to file', qr/4 events exported to "\Q$exported\E"/, "--source=$connstr", "--target=$exported", @store);
is($out, '', 'nothing is written to the standard output');
is(migrate_ok('store to standard output', qr/4 events exported/, "--source=$connstr", '--target=-', @store),
  slurp_file($exported), 'the standard output gets the same');
migrate_ok('verify an export', qr/4 events compared, 0 differ/, '--verify', "--source=$connstr", "--target=$exported", @store);
my ($second, @second) = new_store();
is((migrate(\slurp_file($exported), '--source=-', "--target=$connstr", '--quiet', @second))[2], '', '--quiet says nothing');
is((migrate("--source=$connstr", '--target=-', @second))[1], slurp_file($exported), 'there and back, not a byte is changed');
ok(!-e "$exported.partial", 'no part of a file is left');

# The connection options, and a file without an end of line.
{
  local $ENV{PGHOST} = $node->host;
  my ($third, @third) = new_store();
  migrate_ok('the standard input and connection options', qr/1 events imported/, \event('a', 1),
    '--source=-', '-p', $node->port, '-d', 'postgres', '--no-notifications', '-w', @third);
  is(query("SELECT notifications FROM eventstore.stores WHERE store = 'migrate.$third'::regclass"), 'off', '--no-notifications');
}

# Events that do not come in order are put in order; else they stay as they are.
my @mixed = (event('x', 1), event('y', 3), event('x', 3), '{"event_id": "n-1", "event_type": "t", "data": 1}',
  event('y', 1), event('x', 2), event('z', 1), event('y', 2), '{"event_id": "n-2", "event_type": "t", "data": 1}', event('x', 4));
my $in_order = 'x-1 n-1 y-1 x-2 x-3 z-1 y-2 y-3 n-2 x-4';
for my $size (1, 2, 3, 10000)
{
  my ($name, @name) = new_store();
  migrate_ok("disorder, batches of $size", qr/putting the events in order.*10 events imported, 0 were/s,
    \join("\n", @mixed), '--source=-', "--target=$connstr", "--batch-size=$size", @name);
  is(query("SELECT string_agg(event_id, ' ' ORDER BY position) FROM migrate.$name"), $in_order, "batches of $size: the order");
  migrate_ok("disorder again, batches of $size", qr/0 events imported, 10 were/,
    \join("\n", @mixed), '--source=-', "--target=$connstr", "--batch-size=$size", @name);
}

# Events without versions keep their order, those without ids get the same again.
my ($plain, @plain) = new_store();
my @without = map { qq({"event_type": "t", "aggregate_id": "p", "n": $_, "inner": {"event_id": "not mine"}}) } 1 .. 5;
push @without, $without[0], '{"event_type": "t", "n": 9, "event_id": null}';
migrate_ok('no versions, no ids', qr/7 events imported, 0 were/, \join("\n", @without), '--source=-', "--target=$connstr", @plain);
is(query("SELECT string_agg(concat_ws(':', aggregate_version, data->>'n'), ' ' ORDER BY position) FROM migrate.$plain"),
  '1:1 2:2 3:3 4:4 5:5 6:1 9', 'they stay in their order');
migrate_ok('no versions, no ids, again', qr/0 events imported, 7 were/, \join("\n", @without), '--source=-', "--target=$connstr", @plain);

# Whatever a line is like, it is taken as import_events() takes it, or refused as there.
my @odd = (
  '{"event_type": "plain", "data": {"a": [1, "b", {"c": null}]}, "metadata": 5}',
  '{"event_type": "escaped \u0074 \"", "data": "\u00e9\ud83d\ude00"}',
  '{"event_\u0074ype": "a key", "data": 1}',
  '{"event_type": "twice", "data": 1, "data": {"n": 2}, "metadata": 1, "metadata": null}',
  '{"event_type": "a", "event_type": "b", "n": 1, "n": 2}',
  '{"event_type":"no space","x":{"event_id":"inner"},"y":[]}',
  "\t{ \"event_type\" : \"much space\" , \"position\" : 17 , \"data\" : null }  ",
  '{"event_type": "a row", "position": 17, "data": {"n": 1}}', '{"event_type": "a row", "data": 1, "position": 01}', '{"event_type": "a row", "data": 1, "position": x}',
  '{"event_type": "a row", "data": 1, "position": "x"}', '{"event_type": "position", "position": 170, "n": 1}',
  '{"event_type": "position", "position": null}', '{"event_type": "position", "position": "x"}',
  '{"event_type": "nulls", "correlation_id": null, "causation_id": null, "aggregate_type": null, "aggregate_version": null, "metadata": null, "n": 1}',
  '{"event_type": "an aggregate", "aggregate_id": "odd \u0061", "aggregate_version": 1, "data": 1.50}',
  '{"event_type": "an aggregate", "aggregate_id": "even", "data": {"": ""}}',
  '{"event_type": "flat", "": 1, "Data": 2, "\u0064ata2": 3}',
  '{"event_type": ""}', '{"event_type": null}', '{}', '{"event_type": "t",}', '{"event_type": "t"} x', '{"event_type": "t" "n": 1}',
  '{"event_type": "t", n: 1}', '{"event_type": "t", "data": {"a": }}', '{"event_type": "t", "data": nul}', '{"event_type": "t", "data": [1}}',
  '{"event_type": "t", "position": 01}', '{"event_type": "t", "position": 1-}', '{"event_type": "t", "x": tru}', '{"event_type": "t", "metadata": nulll}',
  "{\"event_type\": \"a\ttab\"}", '{"event_type": "t", "data": "\u0000"}', '{"event_type": true}', '{"event_type": "t", "aggregate_version": 1}',
  '{"event_type": "t", "aggregate_id": "v", "aggregate_version": 1.0}', '{"event_type": "t", "aggregate_id": "w", "aggregate_version": "1"}',
  '{"event_type": "t", "aggregate_id": "z", "aggregate_version": 0}', '{"event_type": "t", "aggregate_id": "y", "aggregate_version": 4294967297}',
  '{"event_type": "t", "data": 1, "colour": 2}', '{"event_type": "t", "occurred_at": 1}', '{"event_type": "t", "occurred_at": ""}', '"event_type"', 'null', '{', '{"', '{"event_type');
my ($by_program, @by_program) = new_store();
query("SELECT eventstore.create_store('migrate.by_sql'), eventstore.create_store('migrate.$by_program')");
for my $number (0 .. $#odd)
{
  (my $line = $odd[$number]) =~ s/^(\s*\{)(?=\s*")/$1"event_id": "odd-$number", /;
  (my $quoted = $line) =~ s/'/''/g;
  my $expected = sqlstate($node, "SELECT eventstore.import_events(\$q\$SELECT 1 AS line, '$quoted' AS event\$q\$, 'migrate.by_sql')") eq '00000' ? 0 : 1;
  my ($status, undef, $err) = migrate(\$line, '--source=-', "--target=$connstr", '--quiet', @by_program);
  is($status, $expected, "odd line: $line") or diag($err);
  like($err, $expected ? qr/error: standard input: line 1: / : qr/^$/, 'what it says');
}
my $columns = 'event_id, event_type, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata';
cmp_ok(query("SELECT count(*) FROM migrate.$by_program"), '>=', 13, 'some are stored');
is(query("(SELECT $columns FROM migrate.by_sql EXCEPT SELECT $columns FROM migrate.$by_program)
    UNION ALL (SELECT $columns FROM migrate.$by_program EXCEPT SELECT $columns FROM migrate.by_sql)"), '', 'what is stored is the same');

# Ids are kept or refused, never replaced, and made of an event's text and place only if there is none.
my ($ids, @ids) = new_store();
for my $id ('17', '{"$oid": "5"}', 'true')
{
  migrate_fails("the id $id", qr/line 1: key "event_id".*must be a string/, \qq({"event_id": $id, "event_type": "t"}), '--source=-', "--target=$connstr", @ids);
}
migrate_ok('a key with escapes', qr/1 events imported/, \'{"event_\\u0069d": "mine", "event_type": "t"}', '--source=-', "--target=$connstr", @ids);
migrate_ok('in the other way, too', qr/1 events imported/, \'{"event_\\u0069d": "mine, too", "event_type": "\\u0074"}', '--source=-', "--target=$connstr", @ids);
is(query("SELECT string_agg(event_id, '/' ORDER BY position) FROM migrate.$ids"), 'mine/mine, too', 'ids are kept');
my @heartbeats = ('{"event_type": "heartbeat", "n": 1}', '{"event_type": "heartbeat", "n": 1}');
my ($day_1, $day_2) = (file_of('day_1', @heartbeats), file_of('day_2', @heartbeats));
migrate_ok('a file without ids', qr/2 events imported, 0 were/, "--source=$day_1", "--target=$connstr", @ids);
migrate_ok('another file with the same text', qr/2 events imported, 0 were/, "--source=$day_2", "--target=$connstr", @ids);
migrate_ok('the first file again', qr/warning: .*without an id.*0 events imported, 2 were/s, "--source=$day_1", "--target=$connstr", @ids);
append_to_file("$day_1.new", "\n\n  " . join("  \r\n", @heartbeats));
rename "$day_1.new", $day_1 or die $!;
migrate_ok('with other white space', qr/0 events imported, 2 were/, "--source=$day_1", "--target=$connstr", @ids);

# What a time without a zone means depends on nobody's settings.
{
  my ($name, @name) = new_store();
  my @as_file = (\'{"event_id": "z", "event_type": "t", "occurred_at": "2025-07-01T12:00:00"}', '--source=-', "--target=$connstr", @name);
  local $ENV{PGTZ} = 'Europe/Berlin';
  local $ENV{PGDATESTYLE} = 'German, DMY';
  migrate_ok('a time without a zone', qr/1 events imported/, @as_file);
  is(query("SELECT occurred_at = '2025-07-01 12:00Z' FROM migrate.$name"), 't', 'it is in UTC');
  delete $ENV{PGTZ};
  migrate_ok('again, elsewhere', qr/0 events imported, 1 were/, @as_file);
  migrate_ok('verified', qr/0 differ/, @as_file, '--verify');
}

# Versions may be missing, also in an aggregate that has some, in whatever order the rest comes.
for my $disorder (0, 1)
{
  my ($name, @name) = new_store();
  my @lines = (event('h', 1), '{"event_id": "h-2", "event_type": "t", "aggregate_id": "h", "data": 1}', event('h', 3), '{"event_id": "h-4", "event_type": "t", "aggregate_id": "h", "data": 1}');
  push @lines, event('x', 2), event('x', 1) if $disorder;
  for my $run ('--dry-run', '--quiet')
  {
    my ($status, undef, $err) = migrate(\join("\n", @lines), '--source=-', "--target=$connstr", $run, @name);
    is($status, 0, "some versions, disorder $disorder, $run") or diag($err);
  }
  is(query("SELECT string_agg(event_id, ' ' ORDER BY aggregate_version) FROM migrate.$name WHERE aggregate_id = 'h'"), 'h-1 h-2 h-3 h-4', 'each in its place');
}

# What is wrong is told at once, if no order could mend it.
for my $line ('{"event_type": "t", "data": 1, "colour": 1}', '{"event_type": "t", "aggregate_id": "p", "aggregate_type": "Other", "data": 1}')
{
  my ($name, @name) = new_store();
  my $said = migrate_fails("no order: $line", qr/line 3: /,
    \join("\n", (map { qq({"event_type": "t", "aggregate_id": "p", "aggregate_type": "T", "n": $_}) } 1, 2), $line), '--source=-', "--target=$connstr", @name);
  unlike($said, qr/putting the events in order/, 'nothing is put in order');
}

# Names with escapes are the same names, and whole numbers whole numbers.
my ($accent, @accent) = new_store();
migrate_ok('names with escapes', qr/4 events imported/, \join("\n",
    map { sprintf '{"event_id": "%d", "event_type": "t", "aggregate_id": "%s", "aggregate_version": %s, "data": 1}', @$_ }
      [ 2, 'caf\\u00e9 \\ud83d\\ude00\\/', '2.0' ], [ 1, "caf\xc3\xa9 \xf0\x9f\x98\x80/", '1.0' ], [ 4, '\\u0061\\n', 2 ], [ 3, 'a\\n', 1 ]),
  '--source=-', "--target=$connstr", @accent);
is(query("SELECT string_agg(event_id, ' ' ORDER BY aggregate_id, aggregate_version) FROM migrate.$accent"), '3 4 1 2', 'they are put in order');

# A store to a store, under another name and in another database.
$node->safe_psql('postgres', 'CREATE DATABASE other');
migrate_ok('store to store', qr/10 events imported, 0 were/, "--source=$connstr", '--source-schema=migrate', '--source-table=store_6',
  '--target=' . $node->connstr('other'), '--no-notifications');
is(query("SELECT string_agg(event_id, ' ' ORDER BY position) FROM eventstore.events", 'other'), $in_order,
  'the extension is made, and the default store gets the events');
migrate_ok('store to store in a database', qr/10 events imported, 0 were/, "--source=$connstr", '--source-table=store_6',
  "--target=$connstr", '--schema=migrate', '--table=copied');
migrate_ok('verify two stores', qr/10 events compared, 0 differ/, '--verify', "--source=$connstr", '--source-table=store_6',
  "--target=$connstr", '--schema=migrate', '--table=copied');
migrate_fails('one store', qr/are the same store/, "--source=$connstr", "--target=$connstr", @store);
migrate_fails('no store', qr/has no store migrate.nothing/, "--source=$connstr", '--target=-', '--schema=migrate', '--table=nothing');
migrate_fails('no schema', qr/schema "nowhere" does not exist/, \event('a', 1), '--source=-', "--target=$connstr", '--schema=nowhere', '--no-create-schema');
$node->safe_psql('postgres', 'CREATE DATABASE empty');
migrate_fails('no extension', qr/schema "eventstore" does not exist/, \event('a', 1), '--source=-',
  '--target=' . $node->connstr('empty'), '--no-create-schema');
is(query('SELECT count(*) FROM pg_extension', 'empty'), '1', '--no-create-schema creates nothing');

# What was archived is part of a store.
my ($archived, @archived) = new_store();
migrate_ok('to be archived', qr/4 events imported/, \join("\n", map { event('r', $_) } 1 .. 4), '--source=-', "--target=$connstr", @archived);
ok($node->poll_query_until('postgres', "SELECT eventstore.archive_limit('migrate.$archived') >= 2"), 'events are announced');
is(query("SELECT eventstore.archive_events('migrate.$archived', before_position => 3)"), '2', 'two events are archived');
migrate_ok('a store with an archive to a store', qr/4 events imported, 0 were/, "--source=$connstr", '--source-schema=migrate', "--source-table=$archived",
  "--target=$connstr", '--schema=migrate', '--table=unarchived');
migrate_ok('the same again', qr/0 events imported, 4 were/, "--source=$connstr", '--schema=migrate', '--source-table=unarchived', "--target=$connstr", "--table=$archived");
migrate_ok('verify a store with an archive', qr/4 events compared, 0 differ/, '--verify', "--source=$connstr", '--schema=migrate', '--source-table=unarchived',
  "--target=$connstr", "--table=$archived");
query("CREATE ROLE half LOGIN; GRANT USAGE ON SCHEMA eventstore, migrate TO half; GRANT SELECT ON migrate.$archived TO half");
my $what_to_do = qr/permission denied for table ${archived}_archive.*hint: .*sync_archive\('migrate.$archived'\)/s;
migrate_fails('a role that may not read the archive', $what_to_do, "--source=$connstr user=half", "--target=$dir/half.jsonl", @archived);
migrate_fails('verify, by a role that may not read the archive', $what_to_do, '--verify', "--source=$connstr", '--schema=migrate', '--source-table=unarchived',
  "--target=$connstr user=half", "--table=$archived");
query("DROP OWNED BY half; DROP ROLE half");

# What an open append hides from the log is not left out: it is waited for, and then it is an error.
{
  my ($name, @name) = new_store();
  migrate_ok('a source', qr/1 events imported/, \event('o', 1), '--source=-', "--target=$connstr", @name);
  my $session = session($node);
  $session->run("BEGIN; SELECT eventstore.append_event('t', '{}', store => 'migrate.$name')");
  query("SELECT eventstore.append_event('t', '{}', store => 'migrate.$name')");
  migrate_fails('an open append', qr/waiting for an open append.*error: store migrate.$name of database "postgres" has events after an open append.*detail: Process \d+ appended/s,
    "--source=$connstr", "--target=$dir/open.jsonl", @name);
  ok(!-e "$dir/open.jsonl", 'no file is written');
  $session->run('ROLLBACK');
  $session->quit;
  migrate_ok('when it has ended', qr/2 events exported/, "--source=$connstr", "--target=$dir/open.jsonl", @name);
}

# The same for what was archived, and for positions that no sequence gave; those below 1 are moved, too.
{
  my ($name, @name) = new_store();
  query("SELECT eventstore.create_store('migrate.$name', 'off')");
  query("SELECT count(eventstore.append_event('t', '{}', 'a', store => 'migrate.$name')) FROM generate_series(1, 5)");
  is(query("SELECT eventstore.archive_events('migrate.$name', before_time => 'infinity')"), '5', 'events are archived');
  my $session = session($node);
  $session->run("BEGIN; SELECT eventstore.append_event('t', '{}', store => 'migrate.$name')");
  migrate_ok('an open append above the archive', qr/5 events exported/, "--source=$connstr", '--target=-', @name);
  query("SELECT eventstore.append_event('t', '{}', store => 'migrate.$name')");
  migrate_fails('an open append behind the archive', qr/after an open append/, "--source=$connstr", '--target=-', @name);
  $session->run('COMMIT');
  $session->quit;
  query("INSERT INTO migrate.$name (position, event_id, event_type, data) VALUES (0, 'zero', 't', '1'), (-5, 'below', 't', '2')");
  migrate_ok('positions below 1', qr/9 events exported/, "--source=$connstr", '--target=-', @name);
  query("INSERT INTO migrate.$name (position, event_id, event_type, data) VALUES (1000000, 'far', 't', '1')");
  migrate_fails('a position that no sequence gave', qr/events that its log does not show.*Position 1000000 was inserted explicitly.*setval/s, "--source=$connstr", '--target=-', @name);
}

# An event that is too large to be exported, as nothing has checked it: its position is told.
{
  my ($name, @name) = new_store();
  query("SELECT eventstore.create_store('migrate.$name', 'off');
    ALTER TABLE migrate.$name DISABLE TRIGGER zz_eventstore_check;
    INSERT INTO migrate.$name (event_id, event_type, data) SELECT 'small', 't', '1';
    INSERT INTO migrate.$name (event_id, event_type, data) SELECT 'large', 't', jsonb_agg(1e131071) FROM generate_series(1, 4100)");
  migrate_fails('an event that is too large', qr/position 2: an event must not be larger than 255 MB, or 500 MB as JSON text.*event "large"/s, "--source=$connstr", '--target=-', @name);
}

# A batch that is imported when the program ends by an error is canceled, or counted.
{
  my ($name, @name) = new_store();
  query("SELECT eventstore.create_store('migrate.$name');
    CREATE FUNCTION migrate.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
    CREATE TRIGGER wait AFTER INSERT ON migrate.$name EXECUTE FUNCTION migrate.wait()");
  my $said = migrate_fails('while a batch is imported', qr/line 3: is not valid UTF-8/, \join("\n", event('w', 1), event('w', 2), "\xff"), '--source=-', "--target=$connstr", '--batch-size=2', @name);
  ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '$program'"), 'its sessions end');
  my ($kept) = $said =~ /(\d+) events were imported before, and remain/;
  is(query("SELECT count(*) FROM migrate.$name"), $kept // 0, 'the batch is canceled, or it says that it was imported');
}

# One session is enough, if there may be no more.
{
  my ($name, @name) = new_store();
  query("CREATE ROLE lonely LOGIN CONNECTION LIMIT 1; GRANT CREATE, USAGE ON SCHEMA migrate TO lonely; GRANT USAGE ON SCHEMA eventstore TO lonely");
  migrate_ok('one connection', qr/continuing without a second session.*9 events imported/s, \join("\n", map { event('a', $_) } 1 .. 9),
    '--source=-', "--target=$connstr user=lonely", '--batch-size=2', @name, '--no-create-schema');
}

# What is in order depends neither on the batches nor on what is there already.
{
  my ($name, @name) = new_store();
  my @grown = map { qq({"event_id": "u-$_", "event_type": "t", "aggregate_id": "A", "data": 1}) } 1 .. 3;
  migrate_ok('without versions', qr/3 events imported/, \join("\n", @grown), '--source=-', "--target=$connstr", @name);
  push @grown, map { qq({"event_id": "u-$_", "event_type": "t", "aggregate_id": "A", "aggregate_version": $_, "data": 1}) } 5, 4;
  migrate_ok('and then with some', qr/2 events imported, 3 were/, \join("\n", @grown), '--source=-', "--target=$connstr", '--batch-size=4', @name);
  migrate_ok('verified', qr/5 events compared, 0 differ/, \join("\n", @grown), '--verify', '--source=-', "--target=$connstr", @name);
  migrate_fails('verified in another order', qr/"u-1" differs: order/, \join("\n", @grown[ 1, 0 ]), '--verify', '--source=-', "--target=$connstr", @name);
  migrate_fails('verified with a version that is no whole number', qr/"u-4" differs: aggregate_version/, \($grown[4] =~ s/: 4,/: 4.4,/r), '--verify', '--source=-', "--target=$connstr", @name);
}
# Keys that are nearly known ones, and words as times, whichever way the events go to the server.
for my $order ('in order', 'out of order')
{
  my @events = map { event('near', $_) } $order eq 'in order' ? (1, 2) : (2, 1);
  my %wrong = (
    'a key in camel case' => [ qr/key "aggregateId" of an event resembles key "aggregate_id".*hint: Write it "aggregate_id"/s, '{"event_type": "t", "aggregateId": "x", "total": 1}' ],
    'a key with data' => [ qr/key "event-id" of an event resembles key "event_id"/, '{"event_type": "t", "event-id": "x", "data": 1}' ],
    'an escaped key' => [ qr/key "aggregateId" of an event resembles/, '{"event_type": "t", "\\u0061ggregateId": "x"}' ],
    'a word as time' => [ qr/key "occurred_at" of an event must be a time.*detail: Key "occurred_at" of event \d is "now"/s, '{"event_type": "t", "occurred_at": "now", "data": 1}' ],
    'a date as people write it' => [ qr/key "occurred_at" of an event must be a time/, '{"event_type": "t", "occurred_at": "01/02/2024", "data": 1}' ]);

  for my $name (sort keys %wrong)
  {
    my ($said, $event) = @{ $wrong{$name} };
    migrate_fails("$name, $order", qr/standard input: line 4: $said/, \join("\n", @events, '', $event), '--source=-', "--target=$connstr", (new_store())[1, 2]);
  }
}
{
  my ($name, @name) = new_store();
  migrate_ok('keys that are data', qr/1 events imported/, \'{"event_type": "t", "aggregate ids": 1, "posi\u0074ion": 5, "a_very_long_key_that_is_none_of_an_event": 2}', '--source=-', "--target=$connstr", @name);
  is(query("SELECT data FROM migrate.$name"), '{"position": 5, "aggregate ids": 1, "a_very_long_key_that_is_none_of_an_event": 2}', 'keys that are data are stored');
}
# Each way to write a time that an import takes is the same time when the events are verified.
{
  my ($name, @name) = new_store();
  my @times = ('2026-01-31T12:00:00,5Z', '2026-01-31T120000,25+053015', '1890-01-31T12:00:00+00:53:28', '1890-01-31T12:00:00+005328', '0044-03-15 12:00:00+005328 BC', '20260131 1200Z', '20260131', '12026-01-31 12:00', '2026-01-31T12:00:00.123456789Z');
  my $file = file_of('times', map { qq({"event_type": "t", "event_id": "e$_", "occurred_at": "$times[$_]", "data": 1}) } 0 .. $#times);

  migrate_ok('times in many forms', qr/9 events imported/, "--source=$file", "--target=$connstr", @name);
  is(query("SELECT string_agg(to_char(occurred_at AT TIME ZONE 'UTC', 'FMYYYY-MM-DD HH24:MI:SS.US BC'), ', ' ORDER BY position) FROM migrate.$name WHERE position IN (2, 4, 5)"),
    '2026-01-31 06:29:45.250000 AD, 1890-01-31 11:06:32.000000 AD, 44-03-15 11:06:32.000000 BC', 'they are what they say');
  migrate_ok('the same again', qr/0 events imported, 9 were/, "--source=$file", "--target=$connstr", @name);
  migrate_ok('and verified', qr/9 events compared, 0 differ/, '--verify', "--source=$file", "--target=$connstr", @name);
}
migrate_fails('an empty object', qr/line 1: an event needs the key "event_type"/, \'{ }', '--source=-', "--target=$connstr", @store);

# A new store is as wide as its source; one that is there stays as it is.
query("SELECT eventstore.create_store('migrate.wide'); ALTER TABLE migrate.wide ALTER aggregate_id TYPE varchar(100) COLLATE \"C\", ALTER event_type TYPE varchar COLLATE \"C\"");
query("SELECT eventstore.append_event(repeat('t', 300), '{}', repeat('a', 90), store => 'migrate.wide')");
$node->safe_psql('postgres', 'CREATE DATABASE wide');
migrate_ok('a wide store to the default one, which comes with the extension', qr/1 events imported/, "--source=$connstr", '--source-schema=migrate', '--source-table=wide', '--target=' . $node->connstr('wide'));
migrate_ok('a wide store', qr/1 events imported/, "--source=$connstr", '--source-schema=migrate', '--source-table=wide', '--target=' . $node->connstr('wide'), '--table=other');
$node->safe_psql('wide', "SELECT eventstore.create_store('eventstore.narrow')");
migrate_fails('a wide store to one that is there', qr/too long/, "--source=$connstr", '--source-schema=migrate', '--source-table=wide', '--target=' . $node->connstr('wide'), '--table=narrow');
$node->safe_psql('postgres', 'CREATE DATABASE wide2');
my $long = 'order-7f0d2bb6-6d43-4b6e-9d0e-0c5a4d1c9a10';
migrate_ok('long ids from a file', qr/1 events imported/, \qq({"event_type": "t", "aggregate_id": "$long", "data": 1}), '--source=-', '--target=' . $node->connstr('wide2'), @$_) for [], [ '--table=other' ];
migrate_fails('a store of the same name', qr/has no store eventstore.wide.*--source-schema/s, "--source=$connstr", '--target=-', '--table=wide');

# Nor what row security hides.
{
  my ($name, @name) = new_store();
  migrate_ok('a source', qr/3 events imported/, \join("\n", map { event("s$_", 1) } 1 .. 3), '--source=-', "--target=$connstr", @name);
  query("CREATE ROLE part LOGIN; GRANT USAGE ON SCHEMA migrate, eventstore TO part; GRANT SELECT ON migrate.$name TO part;
    ALTER TABLE migrate.$name ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON migrate.$name USING (aggregate_id = 's1')");
  migrate_fails('row security', qr/would be affected by row-level security/, "--source=$connstr user=part", '--target=-', @name);
}

# Settings of the role that would end what takes long do not count.
query("CREATE ROLE hasty LOGIN SUPERUSER; ALTER ROLE hasty SET lock_timeout = 100; ALTER ROLE hasty SET idle_session_timeout = 100; ALTER ROLE hasty SET statement_timeout = 100;
  ALTER ROLE hasty SET default_transaction_read_only = on; ALTER ROLE hasty SET default_transaction_isolation = serializable");
{
  my ($name, @name) = new_store();
  migrate_ok('a hasty role', qr/1 events imported/, \event('a', 1), '--source=-', "--target=$connstr user=hasty", @name);
  my $session = session($node);
  $session->run("BEGIN; LOCK TABLE migrate.$name");
  append_to_file("$dir/hasty.jsonl", event('a', 2) . "\n");
  my $err = '';
  my $run = IPC::Run::start([ $program, "--source=$dir/hasty.jsonl", "--target=$connstr user=hasty", @name ], '2>', \$err, IPC::Run::timeout(180));
  $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$program' AND wait_event_type = 'Lock'")
    or die 'it does not wait';
  select(undef, undef, undef, 0.3);
  $session->run('ROLLBACK');
  $session->quit;
  $run->finish;
  is($run->result(0), 0, 'it waits for a lock') or diag($err);
}

# Several at once make what is missing once.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
{
  my @runs = map {
    my $in = event("f$_", 1);
    IPC::Run::start([ $program, '--quiet', '--source=-', '--target=' . $node->connstr('fresh') ], '<', \$in, IPC::Run::timeout(180))
  } 1 .. 4;
  is(scalar(grep { $_->finish } @runs), 4, 'four at once do well');
  is(query('SELECT count(*) FROM eventstore.events', 'fresh'), '4', 'four at once: all events are there');
}

# Names that need quotes.
migrate_ok('names', qr/1 events imported/, \event('a', 1), '--source=-', "--target=$connstr", q{--schema=It's "so"}, '--table=Some Events');
is(query(q{SELECT count(*) FROM "It's ""so"""."Some Events"}), '1', 'are taken as they are');

# Bad input of each kind: the file, the line, the key; the batch is not stored.
my %bad = (
  'no JSON' => [ '{"event_type": "t"', qr/invalid input syntax|JSON/ ],
  'an array' => [ '[1]', qr/array.*jq -c/s ],
  'a scalar' => [ '5', qr/must be a JSON object/ ],
  'no type' => [ '{"data": 1}', qr/event_type/ ],
  'a wrong kind' => [ '{"event_type": "t", "aggregate_id": 5, "data": 1}', qr/aggregate_id/ ],
  'no time' => [ '{"event_type": "t", "occurred_at": "yesterdy", "data": 1}', qr/occurred_at.*yesterdy/s ],
  'a version' => [ '{"event_type": "t", "aggregate_id": "b", "aggregate_version": -1, "data": 1}', qr/aggregate_version/ ],
  'an unknown key' => [ '{"event_type": "t", "data": 1, "colour": 1}', qr/colour/ ],
  'too long' => [ '{"event_type": "t", "aggregate_id": "' . 'x' x 256 . '", "data": 1}', qr/too long.*aggregate_id/s ],
  'a hole' => [ event('g', 2), qr/aggregate_version|version/ ],
  'another type' => [ '{"event_type": "t", "aggregate_id": "ok", "aggregate_type": "Other", "data": 1}', qr/type/ ],
  'other content' => [ event('ok', 1, '"data": 7'), qr/ok-1/ ],
  'zero' => [ "{\"event_type\": \"t\0\"}", qr/zero byte/ ],
  'no UTF-8' => [ "{\"event_type\": \"t\xff\"}", qr/not valid UTF-8/ ]);
my ($bad, @bad) = new_store();
migrate_ok('the first one', qr/1 events imported/, \event('ok', 1), '--source=-', "--target=$connstr", @bad);
my $n = 0;
for my $kind (sort keys %bad)
{
  my $path = file_of('bad_' . ++$n, event('ok', 1), event('ok', 2), event('ok', 3), $bad{$kind}[0]);
  my $said = migrate_fails("bad input: $kind", $bad{$kind}[1], "--source=$path", "--target=$connstr", @bad);
  like($said, qr/^\S+ error: \Q$path\E: line 4: /m, "bad input: $kind: names file and line");
  is(query("SELECT count(*) FROM migrate.$bad"), '1', "bad input: $kind: nothing of the batch is stored");
}
my $path = file_of('bad_later', event('ok', 1), event('ok', 2), event('ok', 3), '{"event_type": 5}');
migrate_fails('a later batch', qr/line 4:.*1 events were imported before, and remain/s, "--source=$path", "--target=$connstr", '--batch-size=2', @bad);
is(query("SELECT count(*) FROM migrate.$bad"), '2', 'what was imported before stays');
my $bytes = file_of('bad_bytes', map({ event('ok', $_) } 3 .. 6), "{\"event_type\": \"t\0\"}");
my $told = migrate_fails('bytes of a later batch', qr/line 5: contains a zero byte.*\d events were imported before, and remain/s, "--source=$bytes", "--target=$connstr", '--batch-size=2', @bad);
$told = $told =~ /(\d) events were imported before/ ? $1 : 0;
is(query("SELECT count(*) FROM migrate.$bad"), 2 + $told, 'the batch that was being imported is counted, or canceled');

# A dry run checks everything and keeps nothing, not even the store.
my ($dry, @dry) = new_store();
migrate_ok('dry run', qr/10 events would be imported, 0 are there already/, \join("\n", @mixed), '--source=-', '--dry-run', "--target=$connstr", @dry);
is(query("SELECT to_regclass('migrate.$dry') IS NULL"), 't', 'the store is not made');
migrate_fails('dry run of bad input', qr/line 4: key "event_type"/, "--source=$path", '--dry-run', "--target=$connstr", @dry);
migrate_ok('dry run of an export', qr/4 events would be exported/, "--source=$connstr", '--dry-run', "--target=$dir/dry.jsonl", @store);
ok(!-e "$dir/dry.jsonl", 'no file is written');

# Verify finds each difference.
my ($kept, @kept) = new_store();
my @original = map { event('v', $_, '"data": {"n": 1}, "metadata": {"m": 1}, "correlation_id": "c"') } 1 .. 14;
migrate_ok('to be verified', qr/14 events imported/, \join("\n", @original), '--source=-', "--target=$connstr", @kept);
my %changes = (
  event_type => [ '"t"', '"u"' ], occurred_at => [ '2025', '2026' ], data => [ '"n": 1', '"n": 2' ], metadata => [ '"m": 1', '"m": 2' ],
  correlation_id => [ '"c"', '"d"' ], aggregate_type => [ '"T"', '"U"' ], aggregate_version => [ 'version": 3', 'version": 2' ],
  aggregate_id => [ 'aggregate_id": "v"', 'aggregate_id": "w"' ]);
for my $key (sort keys %changes)
{
  my @changed = @original;
  $changed[2] =~ s/$changes{$key}[0]/$changes{$key}[1]/;
  migrate_fails("verify $key", qr/line 3: event "v-3" differs: $key\n.*14 events compared, 1 differ/s, \join("\n", @changed),
    '--verify', '--source=-', "--target=$connstr", @kept);
}
migrate_fails('verify one that is missing', qr/line 15: event "v-15" is not in store.*15 events compared, 1 differ/s,
  \join("\n", @original, event('v', 15)), '--verify', '--source=-', "--target=$connstr", @kept);
migrate_ok('verify with more in the target', qr/13 events compared, 0 differ/,
  \join("\n", @original[0 .. 12]), '--verify', '--source=-', "--target=$connstr", @kept);
my $short = file_of('short', @original[0 .. 12]);
migrate_fails('verify a file that lacks one', qr/event "v-14" .*is not in .*1 differ/s, '--verify', "--source=$connstr", "--target=$short", @kept);
query("ALTER TABLE migrate.$kept DISABLE TRIGGER USER; UPDATE migrate.$kept SET aggregate_type = NULL WHERE event_id = 'v-3'; ALTER TABLE migrate.$kept ENABLE TRIGGER USER");
migrate_fails('verify a type that the target lacks', qr/event "v-3" differs: aggregate_type/, \join("\n", @original), '--verify', '--source=-', "--target=$connstr", @kept);
query("ALTER TABLE migrate.$kept DISABLE TRIGGER USER; UPDATE migrate.$kept SET aggregate_type = 'T' WHERE event_id = 'v-3'; ALTER TABLE migrate.$kept ENABLE TRIGGER USER");
for my $change (
  [ 'without versions', qr/"v-1" differs: aggregate_version/, map { s/"aggregate_version": \d+, //r } @original ],
  [ 'without times', qr/"v-1" differs: occurred_at/, map { s/"occurred_at": "[^"]*", //r } @original ],
  [ 'backwards', qr/"v-13" differs: order/, reverse @original ],
  [ 'with one twice', qr/"v-2" differs: (order, )?repeated/, @original[ 0 .. 13 ], $original[1] ])
{
  my ($name, $said, @lines) = @$change;
  my $path = file_of("export_$name", @lines);
  migrate_fails("verify an export $name", $said, '--verify', "--source=$connstr", "--target=$path", @kept);
}
migrate_fails('verify what is no JSON', qr/error: standard input: line 2: invalid input syntax/, \"$original[0]\n{x", '--verify', '--source=-', "--target=$connstr", @kept);
migrate_fails('verify what is no object', qr/error: standard input: line 2: an event must be/, \"$original[0]\n5", '--verify', '--source=-', "--target=$connstr", @kept);
s/"t"/"u"/ for my @all = @original;
my $many = migrate_fails('verify many differences', qr/and 4 more/, \join("\n", @all), '--verify', '--source=-', "--target=$connstr", @kept);
is(scalar(() = $many =~ /differs:/g), 10, 'the first ten are shown');
$node->safe_psql('postgres', "ALTER TABLE migrate.$kept DISABLE TRIGGER USER;
  UPDATE migrate.$kept SET position = position + 1000 WHERE event_id = 'v-5'");
migrate_fails('verify positions that do not follow versions', qr/event "v-6" differs: order/, \join("\n", @original),
  '--verify', '--source=-', "--target=$connstr", @kept);

# Broken off at any moment, by the end of the program, of its backend or of the
# server, it is begun again: nothing is missing, nothing comes twice, the order is the same.
my @history;
for my $i (0 .. 39_999)
{
  push @history, event('k' . $i % 1000, 1 + int($i / 1000), qq("data": {"n": $i}));
}
@history[ 30_000, 31_000 ] = @history[ 31_000, 30_000 ];    # one that does not come in order
my $history = file_of('history', @history);
my ($whole, @whole) = new_store();
migrate_ok('a history at once', qr/40000 events imported/, "--source=$history", "--target=$connstr", @whole);

# What is in a store, as one value.
sub content
{
  my ($name) = @_;
  return query(qq{SELECT count(*), md5(string_agg(concat_ws('/', event_id, aggregate_version, data), ' ' ORDER BY position)) FROM migrate.$name});
}

# Wait until the server accepts connections. A psql that is refused breaks the pipe on which it gets its query.
sub await_server
{
  for (1 .. 1800)
  {
    return if system('pg_isready', '-q', '-h', $node->host, '-p', $node->port) == 0;
    select(undef, undef, undef, 0.1);
  }
  die 'the server does not come back';
}

my ($broken, @broken) = new_store();
my @resumable = ("--source=$history", "--target=$connstr", '--batch-size=500', '--quiet', @broken);
my ($ended, %endings) = (0);
for my $i (1 .. 10)
{
  my $err = '';
  my $run = IPC::Run::start([ $program, @resumable ], '<', \undef, '2>', \$err);
  $node->poll_query_until('postgres', "SELECT count(*) >= 1 FROM pg_stat_activity WHERE application_name = '$program'")
    or die 'it does not run';
  select(undef, undef, undef, 0.02 + rand(0.08) * $i);
  if ($i % 3 == 0)
  {
    $run->signal('KILL');
  }
  elsif (my $backend = query("SELECT pid FROM pg_stat_activity WHERE application_name = '$program' ORDER BY random() LIMIT 1"))
  {
    if ($i % 3 == 1)
    {
      query("SELECT pg_terminate_backend($backend)");
    }
    else
    {
      kill 'KILL', $backend;    # the server recovers from that as from a crash
    }
  }
  eval { $run->finish };
  $ended++ if $?;
  $endings{$1}++ if $err =~ /error: (?:.*: )?(.*)/;
  await_server();
  $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '$program'")
    or die 'its backend stays';
}
cmp_ok($ended, '>=', 5, "it was broken off $ended times");
note("$_: $endings{$_}") for sort keys %endings;
cmp_ok(query("SELECT count(*) FROM migrate.$broken"), '<=', 40_000, 'nothing came twice');
migrate_ok('begun again', qr/^$/, @resumable);
is(content($broken), content($whole), 'the history is whole and in its order');
migrate_ok('and verified', qr/40000 events compared, 0 differ/, '--verify', "--source=$history", "--target=$connstr", @broken);

# SIGINT cancels what the server does, and what the program waits for.
for my $waits_for ('the server', 'its input')
{
  my ($name, @name) = new_store();
  my ($in, $out, $err) = (event('a', 1), '', '');
  migrate_ok("$waits_for: before", qr/1 events imported/, \$in, '--source=-', "--target=$connstr", @name);
  my $session = session($node);
  $session->run("BEGIN; LOCK TABLE migrate.$name") if $waits_for eq 'the server';
  pipe my $read, my $write or die $!;
  syswrite $write, event('a', 2) . "\n" or die $!;
  my $run = IPC::Run::start([ $program, '--source=-', "--target=$connstr", @name ], '<', $read, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
  close $read;
  close $write if $waits_for eq 'the server';
  if ($waits_for eq 'the server')
  {
    $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$program' AND wait_event_type = 'Lock'")
      or die 'it does not wait';
  }
  else
  {
    $node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = '$program' AND query LIKE '%ALTER TABLE%_columns%' AND state = 'idle'")
      or die 'it does not wait';
  }
  $run->signal('INT');
  $run->finish;
  is($run->result(0), 1, "SIGINT while it waits for $waits_for: exit status");
  like($err, qr/cancel/i, "SIGINT while it waits for $waits_for: what it says");
  $session->quit;
  is(query("SELECT count(*) FROM migrate.$name"), '1', "SIGINT while it waits for $waits_for: nothing is stored");
}

# An output that is broken off leaves the old file.
my $old = file_of('old', 'old');
{
  my $lock = session($node);
  $lock->run("BEGIN; LOCK TABLE migrate.$whole");
  my $run = IPC::Run::start([ $program, "--source=$connstr", "--target=$old", @whole ], '<', \undef, '2>', \my $err);
  $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$program' AND wait_event_type = 'Lock'")
    or die 'it does not wait';
  $run->signal('KILL');
  eval { $run->finish };
  $lock->quit;
}
is(slurp_file($old), "old\n", 'a file is not touched before it is whole');
migrate_ok('a large export', qr/40000 events exported/, "--source=$connstr", "--target=$old", @whole);
migrate_ok('a large export, verified', qr/40000 events compared, 0 differ/, '--verify', "--source=$connstr", "--target=$old", @whole);

# A bar on a terminal.
SKIP:
{
  eval { require IO::Pty; IO::Pty->new or die } or skip 'there is no IO::Pty, or no terminal for it', 2;
  my ($name, @name) = new_store();
  my $seen = '';
  IPC::Run::run([ $program, "--source=$history", "--target=$connstr", '--batch-size=20', @name ], '>pty>', \$seen, IPC::Run::timeout(180));
  is($?, 0, 'on a terminal');
  like($seen, qr/\r\[#+ +\] +\d+ %, \d+ events imported, \d+ a second, 0:00:\d\d left/, 'there is a bar');
}

# Passwords come from the file that libpq reads.
query("CREATE ROLE keyed LOGIN SUPERUSER PASSWORD 'secret'");
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', "local all keyed scram-sha-256\nlocal all all trust");
$node->reload;
{
  local $ENV{PGPASSFILE} = "$dir/pgpass";
  my @as_keyed = (\event('a', 1), '--source=-', "--target=$connstr user=keyed", '-w', (new_store())[ 1, 2 ]);
  migrate_fails('no password', qr/no password supplied/, @as_keyed);
  append_to_file($ENV{PGPASSFILE}, "*:*:*:keyed:secret\n");
  chmod 0600, $ENV{PGPASSFILE};
  migrate_ok('a password file', qr/1 events imported/, @as_keyed);
}

# A role that may not do everything: a store that is there needs no more than to append.
query("CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA eventstore, migrate TO plain; GRANT SELECT, INSERT ON migrate.$plain TO plain");
migrate_ok('a role that may append', qr/1 events imported/, \event('q', 1), '--source=-', "--target=$connstr user=plain", @plain);
migrate_ok('a role that may read', qr/8 events exported/, "--source=$connstr user=plain", "--target=$dir/plain.jsonl", @plain);
migrate_fails('a role that may not append', qr/permission denied for/, \event('q', 1), '--source=-', "--target=$connstr user=plain", @store);

# The tables of other event stores, as their packages make them.
SKIP:
{
  my $peers = "$dir/peers";
  mkdir $peers;
  copy($_, $peers) for glob "$FindBin::RealBin/../../bench/peers/*";
  local $ENV{HOME} = $dir;
  my @quietly = ('sh', '-c', 'said=$1; shift; "$@" </dev/null >"$said" 2>&1', 'sh', "$dir/said");
  system(@quietly, 'npm', 'install', '--loglevel=error', '--fetch-retries=2', '--fetch-timeout=30000', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--prefix', $peers) == 0
    or skip 'npm does not install message-db and Emmett here', 25;

  local $ENV{PGHOST} = $node->host;
  local $ENV{PGPORT} = $node->port;
  local $ENV{DATABASE_NAME} = 'message_db';
  system(@quietly, 'bash', "$peers/node_modules/\@eventide/message-db/database/install.sh") == 0 or die slurp_file("$dir/said");
  $node->safe_psql('message_db', q{
    SET search_path = message_store;
    SELECT write_message('a0000000-0000-4000-8000-000000000001', 'account-1', 'Opened', '{"owner": "Ada"}', '{"by": "me"}');
    SELECT write_message('a0000000-0000-4000-8000-000000000002', 'account-2', 'Opened', '{"owner": "Bob"}');
    SELECT write_message('a0000000-0000-4000-8000-000000000003', 'account-1', 'Paid', '{"amount": 1.50}', NULL, 0);
    UPDATE messages SET time = '2024-05-01 12:00:00' WHERE global_position = 1});
  my $message_db = '--source=' . $node->connstr('message_db');
  my ($from_message_db, @from_message_db) = new_store();
  migrate_ok('message-db', qr/3 events imported, 0 were/, $message_db, "--target=$connstr", @from_message_db);
  is(query("SELECT string_agg(concat_ws('/', position, right(event_id, 1), event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata), E'\\n' ORDER BY position)
      FROM migrate.$from_message_db"),
    qq(1/1/Opened/account/account-1/1/{"owner": "Ada"}/{"by": "me"}\n2/2/Opened/account/account-2/1/{"owner": "Bob"}\n3/3/Paid/account/account-1/2/{"amount": 1.50}),
    'message-db: the events');
  is(query("SELECT occurred_at AT TIME ZONE 'UTC' FROM migrate.$from_message_db WHERE position = 1"), '2024-05-01 12:00:00', 'message-db: its times are in UTC');
  migrate_ok('message-db again', qr/0 events imported, 3 were/, $message_db, "--target=$connstr", @from_message_db);
  migrate_ok('message-db verified', qr/3 events compared, 0 differ/, '--verify', $message_db, "--target=$connstr", @from_message_db);
  like(migrate_ok('message-db to file', qr/3 events exported/, $message_db, '--source-format=message-db', '--target=-'),
    qr/^\{.*"event_type": "Opened".*\}\n\{.*\}\n\{.*"amount": 1.50.*\}\n$/, 'message-db to file: the events');
  $node->safe_psql('message_db', "SET search_path = message_store; SELECT write_message(gen_random_uuid()::text, 'account-' || gen_random_uuid(), 'Opened', '{}')");
  migrate_ok('message-db, a long name in a store made for it', qr/1 events imported, 3 were/, $message_db, "--target=$connstr", @from_message_db);
  $node->safe_psql('postgres', 'CREATE DATABASE made');
  migrate_ok('message-db, a long name in a store of a database without the extension', qr/4 events imported/, $message_db, '--target=' . $node->connstr('made'), '--table=accounts');
  my ($narrow, @narrow) = new_store();
  query("SELECT eventstore.create_store('migrate.$narrow')");
  migrate_fails('message-db, a name that is too long for a store', qr/global position 4: .*aggregate_id/s, $message_db, "--target=$connstr", @narrow);
  migrate_fails('message-db, verify without a store', qr/has no store .*The source or the target/s, '--verify', $message_db, '--source-format=message-db', "--target=$dir/none.jsonl");

  $node->safe_psql('postgres', 'CREATE DATABASE emmett');
  system(@quietly, 'node', "$peers/emmett-schema.mjs") == 0 or die slurp_file("$dir/said");
  $node->safe_psql('emmett', slurp_file("$dir/said"));
  my $append = q{SELECT emt_append_to_stream(ARRAY['%s'], ARRAY['{"n": %d}'::jsonb], ARRAY['{"by": "me"}'::jsonb], ARRAY['1'], ARRAY['Done'], ARRAY['E'], '%s', 'Cart', NULL, 'emt:default')};
  (my $command = sprintf($append, 'c-1', 9, 'cart-2')) =~ s/'E'/'C'/;
  $node->safe_psql('emmett', sprintf($append, @$_)) for [ 'm-1', 1, 'cart-1' ], [ 'm-2', 2, 'cart-2' ], [ 'm-3', 3, 'cart-1' ];
  $node->safe_psql('emmett', $command);
  my $emmett = '--source=' . $node->connstr('emmett');
  my ($from_emmett, @from_emmett) = new_store();
  migrate_ok('Emmett', qr/3 events imported, 0 were/, $emmett, "--target=$connstr", @from_emmett);
  is(query("SELECT string_agg(concat_ws('/', position, event_id, event_type, aggregate_type, aggregate_id, aggregate_version, data, metadata), E'\\n' ORDER BY position)
      FROM migrate.$from_emmett"),
    qq(1/m-1/Done/Cart/cart-1/1/{"n": 1}/{"by": "me"}\n2/m-2/Done/Cart/cart-2/1/{"n": 2}/{"by": "me"}\n3/m-3/Done/Cart/cart-1/2/{"n": 3}/{"by": "me"}),
    'Emmett: the events');
  migrate_ok('Emmett again, verified', qr/3 events compared, 0 differ/, '--verify', $emmett, '--source-format=emmett', "--target=$connstr", @from_emmett);
  # within a database, its own store is the target
  migrate_ok('Emmett within its database', qr/3 events imported, 0 were/, $emmett, '--target=' . $node->connstr('emmett'));
  migrate_fails('two kinds of tables', qr/has the tables of several event stores.*--source-format/s, $emmett, "--target=$connstr", '--table=events', '--schema=eventstore');
  migrate_fails('no such tables', qr/has no table message_store.messages/, $emmett, '--source-format=message-db', '--target=-');
}

$node->stop;
done_testing();
