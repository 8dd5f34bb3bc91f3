# The extension as a whole: create, drop, settings, memory.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesCalls;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('extension');

# Nothing needs to be preloaded, and a session that never called the extension
# before loads it by itself, whatever it calls first.
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'nothing is preloaded');
my %first = (readers('eventstore.events'), appends('eventstore.events'),
  read_events => 'SELECT * FROM eventstore.read_events()',
  high_water_mark => 'SELECT eventstore.high_water_mark()',
  wait_for_events => "SELECT eventstore.wait_for_events(0, '0 s')",
  advance_watermark => 'SELECT eventstore.advance_watermark()',
  new_event_id => 'SELECT eventstore.new_event_id()',
  stores => 'SELECT * FROM eventstore.stores',
  INSERT => "INSERT INTO eventstore.events (event_type, data) VALUES ('e', '1')",
  UPDATE => "UPDATE eventstore.events SET data = '1' WHERE false");
is(sqlstate($node, $first{$_}), $_ eq 'UPDATE' ? '0A000' : '00000', "$_ may be the first call of a session") for sort keys %first;

# Everything explains itself.
my $functions = $node->safe_psql('postgres', '\df+ eventstore.*');
cmp_ok(scalar(split /\n/, $functions), '>=', 20, 'psql lists the functions');
like($functions, qr/Appends the events of one aggregate/, 'with their comments');
is($node->safe_psql('postgres', q{
  SELECT string_agg(pg_describe_object(classid, objid, 0), ', ')
    FROM pg_depend d
   WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
     AND obj_description(objid, classid::regclass::name) IS NULL
     AND NOT EXISTS (SELECT FROM pg_depend i -- row types and arrays, members from PostgreSQL 17 on
                      WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
     AND (classid, objid) NOT IN (SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relkind = 'S')}),
  '', 'every object of the extension but its sequence has a comment');
is($node->safe_psql('postgres', q{
  SELECT string_agg(pg_describe_object(classid, objid, 0), ', ')
    FROM pg_depend JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid
   WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
     AND pronamespace <> 'eventstore'::regnamespace}), '', 'every function is in schema eventstore');

# Drop and create again, in one session that has used it.
my $session = session($node);
$session->run("SELECT eventstore.create_store('mine.events'); SELECT eventstore.append_event('e', '1', 'a', store => 'mine.events')");
$session->run('DROP EXTENSION pg_eventstore');
is($session->state, '2BP01', 'DROP EXTENSION is refused while a store is there');
$session->run('DROP EXTENSION pg_eventstore CASCADE');
is($session->state, '00000', 'CASCADE drops it');
is($session->run('SELECT count(*) FROM mine.events'), '1', 'the events of other stores stay');
is($session->run("SELECT to_regclass('eventstore.events') IS NULL"), 't', 'those of the default store do not');
$session->run('CREATE EXTENSION pg_eventstore');
is($session->state, '00000', 'it is created again, in the schema that was left');
is($session->run("SELECT eventstore.append_event('e', '1', 'a', 0)"), '1', 'and its default store is new, in the same session');
is($session->run('SELECT count(*) FROM eventstore.stores'), '1', 'what was a store is a table');
is(sqlstate($node, "SELECT eventstore.append_event('e', '1', 'a', store => 'mine.events')"), '42809', 'to which nothing is appended');
$session->run("SELECT eventstore.append_event('e', '1', 'a', store => 'mine.events')");
is($session->state, '42809', 'nor in the session that did before');

# A schema eventstore that was there before: empty, or with something in it.
$node->safe_psql('postgres', 'CREATE DATABASE before');
$node->safe_psql('before', 'CREATE SCHEMA eventstore; CREATE EXTENSION pg_eventstore; CREATE TABLE eventstore.own (i int)');
is($node->safe_psql('before', "SELECT eventstore.append_event('e', '1', 'a', 0)"), '1', 'an empty schema of that name may exist');
$node->safe_psql('before', 'DROP EXTENSION pg_eventstore');
is($node->safe_psql('before', 'SELECT count(*) FROM eventstore.own'), '0', 'what is put into it later survives DROP EXTENSION');
is(sqlstate($node, 'CREATE EXTENSION pg_eventstore', dbname => 'before'), '55000', 'and keeps the extension from being created again');
my (undef, undef, $why) = $node->psql('before', 'CREATE EXTENSION pg_eventstore');
like($why, qr/DETAIL:  The schema is not empty: it has table eventstore\.own\.\n.*HINT:  Rename or drop the schema/, 'with the reason');
is($node->safe_psql('before', "SELECT count(*) FROM pg_extension WHERE extname = 'pg_eventstore'"), '0', 'that leaves nothing behind');
is(sqlstate($node, 'CREATE EXTENSION pg_eventstore SCHEMA public', dbname => 'before'), '0A000', 'no other schema will do');

# The schema and the functions keep their names. If they were renamed with event triggers
# off, every function that needs them says what is wrong, and how to repair it.
$node->safe_psql('postgres', 'CREATE DATABASE names');
$node->safe_psql('names', "CREATE EXTENSION pg_eventstore; SELECT eventstore.create_store('shop.events'); SELECT eventstore.create_archive('shop.events');"
  . " CREATE FUNCTION public.reducer(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state'");
my $open = session($node, 'names');
$open->run("SELECT eventstore.append_event('e', '1', 'a', store => 'shop.events')");
$node->safe_psql('names', "CREATE TABLE public.handled (n integer); CREATE FUNCTION public.handle(eventstore.event) RETURNS void LANGUAGE sql AS 'SELECT'");
is(sqlstate($node, 'ALTER SCHEMA eventstore RENAME TO former', dbname => 'names'), '0A000', 'the schema is not renamed');
$node->safe_psql('names', 'ALTER EVENT TRIGGER pg_eventstore_ddl DISABLE; ALTER SCHEMA eventstore RENAME TO former; ALTER EVENT TRIGGER pg_eventstore_ddl ENABLE ALWAYS');
my %about = (store => 'shop.events', archive => 'shop.events_archive', sequence => 'shop.events_position_seq', other => 'shop.other', source => 'shop.events');
my %is_function = map { $_ => 1 } members($node, 'fp');
my %needs_nothing = map { $_ => 1 } qw(is_erased new_event_id read_support regstore_in regstore_out regstore_recv regstore_send reported_progress slot_of);
foreach my $call (grep { $is_function{ $_->{object} } } read_calls(qw(connect usage reader writer eraser archiver consumer owner superuser)))
{
  next if $needs_nothing{ $call->{object} };
  (my $sql = $call->{sql}) =~ s/eventstore\./former./g;
  $sql =~ s/:'(\w+)'/'$about{$1}'/g;
  my (undef, undef, $error) = $node->psql('names', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
  like($error, qr/ERROR:  55000: .*was renamed from "eventstore" to "former".*^HINT:  .*ALTER SCHEMA former RENAME TO eventstore;/ms, "with the schema renamed: $sql");
}
$open->run("SELECT former.append_event('e', '1', 'a', store => 'shop.events')");
is($open->state, '55000', 'a session that has used it says so, too');
is(sqlstate($node, 'CREATE TABLE x (i int); ALTER TABLE x RENAME TO y; CREATE SCHEMA eventstore; DROP SCHEMA eventstore', dbname => 'names'), '00000', 'other commands go on');
$node->safe_psql('names', 'ALTER SCHEMA former RENAME TO eventstore');
is($open->run("SELECT eventstore.append_event('e', '1', 'a', store => 'shop.events')"), '2', 'repaired, it goes on');
$node->safe_psql('names', 'ALTER EVENT TRIGGER pg_eventstore_ddl DISABLE; ALTER FUNCTION eventstore.after_append() RENAME TO x');
like(($node->psql('names', "SELECT eventstore.append_event('e', '1')"))[2],
  qr/function eventstore\.after_append\(\) of extension pg_eventstore is missing.*HINT:  A superuser can restore the name/s, 'a function that was renamed is named');
$open->quit;

# The default store is dropped like any store.
$node->safe_psql('postgres', 'CREATE DATABASE without');
$node->safe_psql('without', "CREATE EXTENSION pg_eventstore; SELECT eventstore.append_event('e', '1')");
is(sqlstate($node, "SELECT eventstore.drop_store('eventstore.events')", dbname => 'without'), '55006', 'but not while it holds events');
is(sqlstate($node, "SELECT eventstore.drop_store('eventstore.events', force => true)", dbname => 'without'), '00000', 'unless by force');
is(sqlstate($node, "SELECT eventstore.append_event('e', '1')", dbname => 'without'), '42P01', 'then there is none');
is($node->safe_psql('without', "SELECT eventstore.create_store('eventstore.events'); SELECT eventstore.append_event('e', '1', 'a')"), "eventstore.events\n1", 'until it is created again');
is(sqlstate($node, 'DROP EXTENSION pg_eventstore', dbname => 'without'), '00000', 'and dropped with the extension');

# Settings: of the server, of a database, of a session.
$node->safe_psql('postgres', "SELECT eventstore.create_store(name, 'off') FROM unnest('{one.events,two.events}'::text[]) name");
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => store) FROM unnest('{one.events,two.events,two.events}'::regclass[]) store");
# ALTER SYSTEM takes no setting of a module that is not loaded
$session->run("LOAD 'pg_eventstore'");
$session->run("ALTER SYSTEM SET pg_eventstore.store = 'one.events'");
is($session->state, '00000', 'ALTER SYSTEM takes the setting');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('pg_eventstore.store', true) = 'one.events'") or die 'the setting did not arrive';
is($node->safe_psql('postgres', 'SELECT count(*) FROM eventstore.get_latest_events()'), '1', 'ALTER SYSTEM changes the store');
for (1 .. 600) # each session hears of it by itself
{
  last if $session->run('SHOW pg_eventstore.store') eq 'one.events';
  select undef, undef, undef, 0.1;
}
is($session->run('SELECT count(*) FROM eventstore.get_latest_events()'), '1', 'in open sessions, too');
is($session->run("SET pg_eventstore.store = 'two.events'; SELECT count(*) FROM eventstore.get_latest_events()"), '2', 'SET overrides it');
is(sqlstate($node, "LOAD 'pg_eventstore'; SET pg_eventstore.store = ''"), '22023', 'an impossible store is refused');
is(sqlstate($node, "LOAD 'pg_eventstore'; SET pg_eventstore.no_such = 0"), '42602', 'and a setting that does not exist');
$session->run('RESET pg_eventstore.store');
$session->run('ALTER SYSTEM RESET pg_eventstore.store');
is($session->state, '00000', 'ALTER SYSTEM takes it back');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('pg_eventstore.store', true) IS DISTINCT FROM 'one.events'") or die 'the setting did not go';
$node->safe_psql('postgres', 'CREATE DATABASE "set"');
$node->safe_psql('set', "CREATE EXTENSION pg_eventstore; SELECT eventstore.create_store('other.events')");
$node->safe_psql('set', q{ALTER DATABASE "set" SET pg_eventstore.store = 'other.events'});
$node->safe_psql('set', "SELECT eventstore.append_event('e', '1', 'a')");
is($node->safe_psql('set', 'SELECT count(*) FROM other.events'), '1', 'a database may have its store');

# The default store may be given away, and renamed, like any other.
$node->safe_psql('set', <<'EOS');
CREATE ROLE heir;
GRANT USAGE ON SCHEMA eventstore TO heir;
ALTER TABLE eventstore.events OWNER TO heir;
EOS
is(sqlstate($node, "SET ROLE heir; SELECT eventstore.set_notifications('eventstore.events', 'off')", dbname => 'set'), '00000', 'the new owner of the default store sets its options');
$node->safe_psql('set', 'ALTER TABLE eventstore.events RENAME TO renamed');
is(sqlstate($node, "SELECT eventstore.set_notifications('eventstore.renamed', 'commit', 'new')", dbname => 'set'), '00000', 'under another name, too');
$node->safe_psql('set', q{ALTER TRIGGER eventstore_append ON eventstore.renamed RENAME TO other});
is(sqlstate($node, "SELECT eventstore.set_notifications('eventstore.renamed', 'off')", dbname => 'set'), '00000', 'and with its trigger under another name');
is($node->safe_psql('set', "SELECT notifications, channel FROM eventstore.stores WHERE store = 'eventstore.renamed'::regclass"), 'off|new', 'it has the options given last, and is one store');
is(sqlstate($node, 'DROP EXTENSION pg_eventstore', dbname => 'set'), '2BP01', 'renamed, it keeps the extension as other stores do');

# What the planner thinks of the readers.
for my $name (sort grep { $_ ne 'get_aggregate_version' } keys %{ { readers('eventstore.events') } })
{
  my %readers = readers('eventstore.events');
  like($node->safe_psql('postgres', "EXPLAIN $readers{$name}"), qr/^Function Scan on $name /m, "EXPLAIN shows $name");
}
like($node->safe_psql('postgres', "EXPLAIN SELECT * FROM eventstore.get_events_by_type('e', max_count => 17)"), qr/rows=17 /, 'max_count is the estimate');

# Memory of a session that appends and reads for long.
my $used = 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts';
my $loop = q{DO $$ BEGIN
  FOR i IN 1 .. %d LOOP
    CASE i %% 4
    WHEN 0 THEN PERFORM eventstore.append_event('e', '{"a": 1}', 'm' || i %% 50);
    WHEN 1 THEN PERFORM eventstore.append_events(jsonb_build_array(jsonb_build_object('event_type', 'e', 'aggregate_id', 'm' || i %% 50)));
    WHEN 2 THEN PERFORM eventstore.append_to_aggregate('m' || i %% 50, ARRAY['e', 'e'], ARRAY['1', '2']::jsonb[]);
    ELSE PERFORM eventstore.append(jsonb_build_array(jsonb_build_object('event_type', 'e', 'aggregate_id', 'm' || i %% 50, 'data', 1)));
    END CASE;
    PERFORM eventstore.get_events_by_aggregate('m' || i %% 50, max_count => 3);
    BEGIN
      IF i %% 10 = 0 THEN PERFORM eventstore.append_event('e', '1', 'm' || i %% 50, 0); END IF;
    EXCEPTION WHEN SQLSTATE '40V01' THEN NULL;
    END;
    COMMIT;
  END LOOP;
END $$};
my $writer = session($node);
$writer->run(sprintf $loop, 1000);
my $before = $writer->run($used);
$writer->run(sprintf $loop, 20_000);
is($writer->state, '00000', '20000 appends in one session');
my $grown = $writer->run($used) - $before;
is($writer->run("SELECT count(*) FROM eventstore.events WHERE aggregate_id ~ '^m\\d'"), 26_250, 'all were stored');
cmp_ok($grown, '<', 2 * 1024 * 1024, 'its memory does not grow') or diag("by $grown bytes");
note("20000 appends: $grown bytes");

# Appends within one transaction.
$before = $writer->run($used);
$writer->run('BEGIN');
$writer->run(sprintf $loop =~ s/COMMIT;//r, 2000);
is($writer->state, '00000', '2000 appends in one transaction');
$writer->run('COMMIT');
$grown = $writer->run($used) - $before;
cmp_ok($grown, '<', 2 * 1024 * 1024, 'leave no memory behind') or diag("$grown bytes");

# Stores that come and go.
my $cycles = q{DO $$ BEGIN
  FOR i IN 1 .. %d LOOP
    PERFORM eventstore.create_store('gone.events', 'off');
    PERFORM eventstore.append_event('e', '1', 'a', 0, store => 'gone.events');
    PERFORM eventstore.drop_store('gone.events', true);
    COMMIT;
  END LOOP;
END $$};
$writer->run(sprintf $cycles, 50);
$before = $writer->run($used);
$writer->run(sprintf $cycles, 500);
is($writer->state, '00000', '500 stores come and go');
$grown = ($writer->run($used) - $before) / 500;
cmp_ok($grown, '<', 8192, 'each leaves little memory behind') or diag("$grown bytes each");
note("a dropped store leaves $grown bytes");

$_->quit for $session, $writer;
$node->stop;
done_testing();
