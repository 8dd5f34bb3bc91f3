# Archives beyond one session: dumps, standbys, roles, DROP EXTENSION, killed archivers,
# and readers that page while events move.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('archive', "autovacuum = off\nlog_statement = none", allows_streaming => 1);
my $dir = PostgreSQL::Test::Utils::tempdir;
my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null');

# All events of a store, with or without its archive.
sub events
{
  my ($dbname, $store, $include, $on) = @_;
  $include = $include ? 'true' : 'false';
  return ($on // $node)->safe_psql($dbname,
    "SELECT * FROM eventstore.read_events(0, 1000000, store => '$store', include_archived => $include)");
}

# The number of them.
sub count
{
  my ($dbname, $store, $include) = @_;
  return scalar(my @lines = split /\n/, events($dbname, $store, $include));
}

# Dump and restore: links, rules and holds; of tables that are gone nothing.
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.set_notifications('eventstore.events', 'off');
SELECT eventstore.create_store('shop.orders', 'off');
SELECT eventstore.create_store('shop.gone', 'off');
SELECT eventstore.create_store('shop.lost', 'off');
SELECT eventstore.create_store('shop.ruled', 'off');
CREATE ROLE reader;
GRANT SELECT ON shop.orders TO reader;
EOS
for my $store ('eventstore.events', 'shop.orders', 'shop.gone', 'shop.lost')
{
  $node->safe_psql('source', <<"EOS");
SELECT eventstore.append_to_aggregate('a', ARRAY['e', 'e', 'e'], ARRAY['1', '2', '3']::jsonb[], aggregate_type => 'A', event_ids => ARRAY['1', '2', '3'], store => '$store');
SELECT eventstore.append_to_aggregate('b', ARRAY['e', 'e'], ARRAY['4', '5']::jsonb[], store => '$store');
SELECT eventstore.archive_events('$store', before_position => 5);
EOS
}
$node->safe_psql('source', <<'EOS');
SELECT eventstore.set_retention('shop.orders', '1 year', 5);
SELECT eventstore.set_retention('shop.ruled', '2 years');
SELECT eventstore.set_archive_hold('a reader', 4, 'shop.orders'), eventstore.set_archive_hold('another', 4, 'shop.gone');
DROP TABLE shop.gone;         -- leaves its archive, and a hold that means nothing
DROP TABLE shop.lost_archive;
EOS
my $archives = "SELECT * FROM eventstore.archives ORDER BY store::text";
my $linked = join "\n", 'eventstore.events|eventstore.events_archive||', 'shop.orders|shop.orders_archive|1 year|5', 'shop.ruled|shop.ruled_archive|2 years|';
is(join("\n", grep { !/shop.gone|shop.lost/ } split /\n/, $node->safe_psql('source', $archives)), $linked, 'the source has archives');
for my $way ([ plain => [ [ 'pg_dump', '-f', "$dir/plain", 'source' ], [ @psql, '-1', '-f', "$dir/plain", '-d', 'plain' ] ] ],
  [ parallel => [ [ 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/parallel", 'source' ], [ 'pg_restore', '-e', '-j', '2', '-d', 'parallel', "$dir/parallel" ] ] ],
  [ inserts => [ [ 'pg_dump', '--inserts', '-f', "$dir/inserts", 'source' ], [ @psql, '-f', "$dir/inserts", '-d', 'inserts' ] ] ])
{
  my ($dbname, $commands) = @$way;
  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  $node->command_ok($_, "$dbname: $_->[0]") for @$commands;
  is($node->safe_psql($dbname, $archives), $linked, "$dbname: the archives of what is there");
  is($node->safe_psql($dbname, 'SELECT * FROM eventstore.archive_holds'), 'shop.orders|a reader|4', "$dbname: and what holds back");
  for my $store ('eventstore.events', 'shop.orders')
  {
    is(events($dbname, $store, 1), events('source', $store, 1), "$dbname: all events of $store");
    is(events($dbname, $store, 0), events('source', $store, 0), "$dbname: those in the store are the same");
    is($node->safe_psql($dbname, "SELECT position, aggregate_version, deduplicated FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"event_id\": \"2\", \"data\": 2}]', store => '$store')"),
      '2|2|t', "$dbname: a retry of what is archived in $store");
    is($node->safe_psql($dbname, "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 6}]', '{\"a\": 3}', '$store')"),
      '6|4', "$dbname: versions and positions of $store go on");
    is(sqlstate($node, "DELETE FROM ${store}_archive", dbname => $dbname), '0A000', "$dbname: the archive of $store is immutable");
  }
  is($node->safe_psql($dbname, "SELECT eventstore.archive_events(before_position => 7), eventstore.archive_events('shop.orders', before_position => 7)"), '2|0',
    "$dbname: archiving goes on, as far as nothing holds it back");
  is($node->safe_psql($dbname, "SELECT has_table_privilege('reader', 'shop.orders_archive', 'SELECT')"), 't', "$dbname: who may read the store may read the archive");
}

# A dump of the store without its archive, over the store and elsewhere: versions are not
# given again.
$node->command_ok([ 'pg_dump', '--clean', '--if-exists', '-t', 'shop.orders', '-f', "$dir/alone", 'plain' ], 'a store is dumped without its archive');
$node->safe_psql('postgres', 'CREATE DATABASE alone');
$node->safe_psql('alone', 'CREATE EXTENSION pg_eventstore; CREATE SCHEMA shop');
my $append = "SELECT eventstore.append_event('e', '7', 'a', store => 'shop.orders')";
for my $dbname ('plain', 'alone')
{
  $node->command_ok([ @psql, '-f', "$dir/alone", '-d', $dbname ], "$dbname: and restored");
  is(sqlstate($node, $append, dbname => $dbname), '55000', "$dbname: the store misses its archive");
}
is($node->safe_psql('plain', "SELECT eventstore.create_archive('shop.orders'); $append"), "shop.orders_archive\n5", 'it is linked again');

# A database whose owner is no superuser.
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE ROLE clerk LOGIN; CREATE DATABASE tenant OWNER tenant; CREATE DATABASE tenant2 OWNER tenant');
my @tenant = (extra_params => [ '-U', 'tenant' ]);
my @clerk = (extra_params => [ '-U', 'clerk' ]);
$node->safe_psql('tenant', <<'EOS');
CREATE EXTENSION pg_eventstore;
ALTER TABLE eventstore.events OWNER TO tenant;
GRANT USAGE ON SCHEMA eventstore TO tenant WITH GRANT OPTION;
GRANT SELECT ON eventstore.erasures, eventstore.projection_definitions, eventstore.snapshots, eventstore.state_definitions, eventstore.subscription_definitions, eventstore.subscription_progress, eventstore.subscription_parked TO tenant;
EOS
for my $role ('tenant', 'postgres')
{
  my (undef, undef, $err) = $node->psql('tenant', 'SELECT eventstore.create_archive()', extra_params => [ '-U', $role ]);
  like($err, qr/permission denied for schema eventstore.*rights of role "tenant".*HINT:  Name a schema/s, "$role: an archive is made with the rights of the owner of the store");
}
$node->safe_psql('tenant', <<'EOS', @tenant);
SELECT eventstore.set_notifications('eventstore.events', 'off');
SELECT eventstore.create_store('mine.events', 'off');
GRANT USAGE ON SCHEMA eventstore, mine TO clerk;
GRANT SELECT, INSERT ON mine.events TO clerk;
SELECT eventstore.append_event('e', '1', 'a');
SELECT eventstore.append_event('e', to_jsonb(n), 'a', store => 'mine.events') FROM generate_series(1, 3) n;
SELECT eventstore.create_archive(name => 'mine.attic');
SELECT eventstore.archive_events(before_position => 2), eventstore.archive_events('mine.events', before_position => 3);
EOS
is($node->safe_psql('tenant', 'SELECT count(*), eventstore.get_aggregate_version(\'a\') FROM eventstore.events', @tenant), '0|1', 'the owner of a database archives events');
is($node->safe_psql('tenant', "SELECT eventstore.append_event('e', '4', 'a', 3, store => 'mine.events'), count(*) FROM eventstore.read_events(store => 'mine.events')", @clerk),
  '4|3', 'who had SELECT and INSERT before goes on appending and reading');
my $archiving = "SELECT eventstore.archive_events('mine.events', before_position => 4)";
is(sqlstate($node, $archiving, dbname => 'tenant'), '00000', 'a superuser archives');
$node->safe_psql('tenant', "GRANT DELETE ON mine.events TO clerk", @tenant);
my ($rc, $out, $err) = $node->psql('tenant', $archiving, @clerk);
like($err, qr/permission denied for table events_archive/, 'DELETE on the store alone does not do');
$node->safe_psql('tenant', "GRANT INSERT ON mine.events_archive TO clerk", @tenant);
is($node->safe_psql('tenant', "SELECT eventstore.archive_events('mine.events', before_position => 100)", @clerk), '1', 'with INSERT on the archive it does');
($rc, $out, $err) = $node->psql('tenant', "DELETE FROM mine.events", @clerk);
like($err, qr/cannot DELETE events/, 'but not for a DELETE of its own');
$node->safe_psql('tenant', "REVOKE SELECT ON mine.events_archive FROM clerk", @tenant);
($rc, $out, $err) = $node->psql('tenant', "SELECT eventstore.append_event('e', '5', 'a', store => 'mine.events')", @clerk);
like($err, qr/permission denied for table events_archive/, 'who may not read the archive does not append');
$node->safe_psql('tenant', "SELECT eventstore.create_store('other.events', 'off'); GRANT USAGE ON SCHEMA other TO tenant");
($rc, $out, $err) = $node->psql('tenant', "SELECT eventstore.create_archive('other.events')", @tenant);
like($err, qr/must be owner of table events/, 'only the owner makes an archive');
$node->safe_psql('tenant', "SELECT eventstore.create_archive('mine.events'), eventstore.drop_store('other.events'); DROP SCHEMA other");
is($node->safe_psql('tenant', "SELECT relowner::regrole FROM pg_class WHERE oid = 'mine.events_archive'::regclass"), 'tenant', 'the owner of the store owns it');
$node->command_ok([ 'pg_dump', '-U', 'tenant', '-Fc', '-f', "$dir/tenant", 'tenant' ], 'the owner of a database dumps it');
$node->command_ok([ 'pg_restore', '-e', '-d', 'tenant2', "$dir/tenant" ], 'a superuser restores it');
is($node->safe_psql('tenant2', "SELECT eventstore.append_event('e', '5', 'a', 4, store => 'mine.events')", @tenant), '5', 'and appends again');

# An archive made by a superuser belongs to the owner of the store, and can be
# in another tablespace.
mkdir "$dir/space";
$node->safe_psql('tenant', "CREATE TABLESPACE attic LOCATION '$dir/space'");
$node->safe_psql('tenant', "SELECT eventstore.create_store('mine.more', 'off')", @tenant);
($rc, $out, $err) = $node->psql('tenant', "SELECT eventstore.create_archive('mine.more', tablespace => 'attic')", @tenant);
like($err, qr/permission denied for tablespace attic/, 'a tablespace needs its privilege');
$node->safe_psql('tenant', "SELECT eventstore.create_archive('mine.more', tablespace => 'attic')");
is($node->safe_psql('tenant', q{SELECT c.relowner::regrole, count(*), count(*) FILTER (WHERE t.spcname = 'attic')
  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid IN (c.oid, i.indexrelid) LEFT JOIN pg_tablespace t ON t.oid = x.reltablespace
  WHERE c.oid = 'mine.more_archive'::regclass GROUP BY 1}), 'tenant|16|16', 'an archive and its indexes in a tablespace, of the owner of the store');
is($node->safe_psql('tenant', "SELECT archive FROM eventstore.archives WHERE store = 'eventstore.events'::regclass"), 'mine.attic', 'an archive in another schema');
$node->safe_psql('tenant', "SELECT eventstore.drop_store('mine.more');\nDROP TABLESPACE attic");

# A dump of these two tables alone carries the link and the rules, too.
$node->safe_psql('postgres', 'CREATE DATABASE two');
$node->safe_psql('two', 'CREATE EXTENSION pg_eventstore; CREATE SCHEMA shop');
$node->command_ok([ 'pg_dump', '-f', "$dir/two", '-t', 'shop.orders', '-t', 'shop.orders_archive', 'source' ], 'pg_dump -t');
$node->command_ok([ @psql, '-f', "$dir/two", '-d', 'two' ], 'psql');
is($node->safe_psql('two', $archives), 'shop.orders|shop.orders_archive|1 year|5', 'the archive is that of the store');
is(events('two', 'shop.orders', 1), events('source', 'shop.orders', 1), 'with all events');

# So does a pattern that names both. Versions and ids go on from the archive, even of an
# aggregate that is in the archive alone.
$node->safe_psql('postgres', 'CREATE DATABASE carts; CREATE DATABASE carts2');
$node->safe_psql('carts', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.create_store('shop.carts', 'off');
SELECT eventstore.append_event('opened', '{}', 'cart-1', event_id => 'e-1', store => 'shop.carts');
SELECT eventstore.archive_events('shop.carts', aggregate_ids => '{cart-1}');
SELECT eventstore.set_retention('shop.carts', '1 year', 7);
EOS
$node->safe_psql('carts2', 'CREATE EXTENSION pg_eventstore; CREATE SCHEMA shop');
$node->command_ok([ 'pg_dump', '-f', "$dir/carts", '-t', 'shop.carts*', 'carts' ], q{pg_dump -t 'shop.carts*'});
$node->command_ok([ @psql, '-f', "$dir/carts", '-d', 'carts2' ], 'psql');
is($node->safe_psql('carts2', "SELECT eventstore.get_aggregate_version('cart-1', 'shop.carts')"), '1', 'the version is that of the archive');
is(sqlstate($node, "SELECT eventstore.append_event('opened', '{}', 'cart-1', 0, store => 'shop.carts')", dbname => 'carts2'), '40V01', 'version 0 is refused');
is($node->safe_psql('carts2', q{SELECT position, aggregate_version, deduplicated FROM eventstore.append('[{"event_type": "opened", "aggregate_id": "cart-1", "event_id": "e-1", "data": {}}]', '{"cart-1": 0}', 'shop.carts')}),
  '1|1|t', 'a repeated call is recognised');
is(sqlstate($node, "SELECT eventstore.append_event('opened', '{}', 'cart-2', event_id => 'e-1', store => 'shop.carts')", dbname => 'carts2'), '23505', 'an id is not given twice');
is($node->safe_psql('carts2', $archives), 'shop.carts|shop.carts_archive|1 year|7', 'and the rules are there');

# DROP EXTENSION: refused while there is an archive; with CASCADE it stays, and
# becomes an archive again.
is(sqlstate($node, 'DROP EXTENSION pg_eventstore', dbname => 'plain'), '2BP01', 'an archive keeps the extension');
my $before = events('plain', 'shop.orders', 1);
$node->safe_psql('plain', 'DROP EXTENSION pg_eventstore CASCADE; ALTER SCHEMA eventstore RENAME TO former; CREATE EXTENSION pg_eventstore');
$node->safe_psql('plain', "SELECT eventstore.create_store('shop.orders', 'off')");
is(events('plain', 'shop.orders', 1), $before, 'after DROP EXTENSION CASCADE the archive is taken again');
is(sqlstate($node, 'DELETE FROM shop.orders_archive', dbname => 'plain'), '0A000', 'and immutable again');
is($node->safe_psql('plain', "SELECT eventstore.append_event('e', '9', 'a', 5, store => 'shop.orders')"), '6', 'and versions go on');

# On a standby the readers work, and nothing is moved.
$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_store('eventstore.moving', 'off');
SELECT eventstore.create_archive('eventstore.moving');
INSERT INTO eventstore.moving (event_type, aggregate_id, aggregate_version, data) SELECT 'e', 'a' || n % 50, n / 50 + 1, to_jsonb(n) FROM generate_series(0, 9999) n;
SELECT eventstore.archive_events('eventstore.moving', before_position => 5001);
SELECT eventstore.advance_watermark('eventstore.moving');
EOS
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(events('postgres', 'eventstore.moving', 1, $standby), events('postgres', 'eventstore.moving', 1), 'a standby reads the archive');
is($standby->safe_psql('postgres', "SELECT eventstore.get_aggregate_version('a7', 'eventstore.moving'), eventstore.archive_limit('eventstore.moving'), eventstore.archive_events('eventstore.moving', before_position => 5011, dry_run => true)"),
  '200|10000|10', 'and tells versions, the limit, and what would be moved');
is(sqlstate($standby, $_), '25006', "but no $_")
  for "SELECT eventstore.archive_events('eventstore.moving', before_position => 5011)", "CALL eventstore.archive_all('eventstore.moving', before_position => 5011)",
  "SELECT eventstore.create_archive('eventstore.moving')", "SELECT eventstore.set_retention('eventstore.moving', '1 day')";
$standby->stop;

# An archiver that is cancelled, or killed, leaves whole batches; calling again
# goes on.
my $all = events('postgres', 'eventstore.moving', 1);
for my $signal ('pg_cancel_backend', 'pg_terminate_backend')
{
  my $archiver = session($node);
  my $pid = $archiver->pid;
  my $before = count('postgres', 'eventstore.moving', 0);
  $archiver->start_sql("CALL eventstore.archive_all('eventstore.moving', before_position => 10001, batch_size => 10)");
  $node->poll_query_until('postgres', "SELECT count(*) < $before - 50 FROM eventstore.moving");
  $node->safe_psql('postgres', "SELECT $signal($pid)");
  eval { $archiver->finish_sql };
  $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid AND state = 'active'");
  my $left = count('postgres', 'eventstore.moving', 0);
  cmp_ok($left, '>', 0, "$signal ends an archiver");
  is($left % 10, 0, 'which has moved whole batches');
  is(events('postgres', 'eventstore.moving', 1), $all, 'and lost nothing');
  eval { $archiver->quit };
}
$node->safe_psql('postgres', "CALL eventstore.archive_all('eventstore.moving', before_position => 10001)");
is(count('postgres', 'eventstore.moving', 0), 0, 'another call moves the rest');
is(events('postgres', 'eventstore.moving', 1), $all, 'and all are still there');

# Writers, archivers and readers at once: readers that page through store and
# archive get each event once, in order, and versions have no holes.
$node->safe_psql('postgres', "SELECT eventstore.create_store('eventstore.busy', 'off'); SELECT eventstore.create_archive('eventstore.busy')");
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE seen (reader int, position bigint, event_id text, aggregate_id text, aggregate_version int);
CREATE PROCEDURE follow(reader int) LANGUAGE plpgsql AS $$
DECLARE
  after bigint; got int;
BEGIN
  FOR i IN 1..100000 LOOP
    SELECT coalesce(max(s.position), 0) INTO after FROM seen s WHERE s.reader = follow.reader;
    INSERT INTO seen SELECT follow.reader, e.position, e.event_id, e.aggregate_id, e.aggregate_version
      FROM eventstore.read_events(after, 50, store => 'eventstore.busy') e;
    GET DIAGNOSTICS got = ROW_COUNT;
    COMMIT;
    EXIT WHEN got = 0 AND EXISTS (SELECT FROM seen s WHERE s.reader = 0);
    IF got = 0 THEN PERFORM pg_sleep(0.002); END IF;
  END LOOP;
END $$;
EOS
my @readers = map { session($node) } 1 .. 2;
$readers[ $_ - 1 ]->start_sql("CALL follow($_)") for 1 .. 2;
my $random = "\\set a random(1, 20)\n\\set b random(1, 20)\n";
my $store = "store => 'eventstore.busy'";
$node->pgbench('-n -c 6 -j 2 -T 6', 0, [ qr/number of failed transactions: 0 / ], [ qr/\A(?:pgbench \(.*\)\n)?\z/ ],
  'appends and archivers at once, without an error',
  { 'append@6' => "${random}SELECT eventstore.append_event('e', '1', 'a' || :a, $store);\n",
    'expected@2' => "${random}SELECT eventstore.append_to_aggregate('a' || :a, ARRAY['e', 'e'], ARRAY['1', '2']::jsonb[], event_ids => ARRAY[gen_random_uuid()::text, gen_random_uuid()::text], $store);\n",
    'many@2' => "${random}SELECT * FROM eventstore.append(jsonb_build_array(jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :a, 'data', 1), jsonb_build_object('event_type', 'e', 'aggregate_id', 'a' || :b, 'data', 1), jsonb_build_object('event_type', 'e', 'data', 1)), $store);\n",
    'open@1' => "${random}BEGIN; SELECT eventstore.append_event('e', '1', 'a' || :a, $store); SELECT pg_sleep(0.01); COMMIT;\n",
    'archive@4' => "SELECT eventstore.archive_events('eventstore.busy', before_position => eventstore.high_water_mark('eventstore.busy') - 20);\n",
    'close@1' => "${random}SELECT eventstore.archive_events('eventstore.busy', aggregate_ids => ARRAY['a' || :a]);\n" }, 'postgres');
$node->safe_psql('postgres', 'INSERT INTO seen VALUES (0)');
$_->finish_sql, $_->quit for @readers;
$node->safe_psql('postgres', <<'EOS');
CREATE VIEW busy AS SELECT * FROM eventstore.busy UNION ALL SELECT * FROM eventstore.busy_archive;
EOS
my $n = $node->safe_psql('postgres', 'SELECT count(*) FROM busy');
cmp_ok($n, '>', 1000, 'there are many events');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM eventstore.busy_archive'), '>', $n / 2, 'most of them archived');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT position), count(DISTINCT event_id) FROM seen WHERE reader = $_"), "$n|$n|$n", "reader $_ got each event once") for 1 .. 2;
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT position), count(DISTINCT event_id) FROM busy'), "$n|$n|$n", 'there is none twice');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT count(*) AS n, min(aggregate_version) AS first, max(aggregate_version) AS last
  FROM busy WHERE aggregate_id IS NOT NULL GROUP BY aggregate_id) a WHERE first <> 1 OR last <> n}), '0', 'versions have no holes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM eventstore.busy e JOIN eventstore.busy_archive a USING (aggregate_id) WHERE e.aggregate_version < a.aggregate_version}),
  '0', 'what stays of an aggregate is its newest');
$node->stop;
done_testing();
