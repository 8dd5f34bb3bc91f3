# Erasures: the records in a dump, the events on a logical subscriber and on a standby,
# the bytes in the files; and that no notification is sent.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "max_worker_processes = 20\nwal_retrieve_retry_interval = '100ms'\nautovacuum = off\n";
my $node = start_node('erase', $conf, allows_streaming => 'logical');
my $subscriber = start_node('erase_subscriber', $conf);
my $dir = PostgreSQL::Test::Utils::tempdir;
my $records = 'SELECT * FROM eventstore.erasures ORDER BY erasure_id';
my $events = "SELECT * FROM eventstore.events ORDER BY position";

$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.append_to_aggregate('a', '{e,e}', ARRAY['{"name": "Ann Q. Needle"}', '{"name": "Ann Q. Needle"}']::jsonb[], event_ids => '{a-1,a-2}');
SELECT eventstore.append_event('e', '{"name": "Bea"}', 'b', metadata => '{"ip": "10.0.0.1"}', event_id => 'b-1');
EOS

# A subscriber has the events before they are erased.
$node->safe_psql('postgres', 'CREATE PUBLICATION erase FOR TABLE eventstore.events');
$subscriber->safe_psql('postgres', 'CREATE SUBSCRIPTION erase CONNECTION \'' . $node->connstr . ' dbname=postgres\' PUBLICATION erase');
$subscriber->poll_query_until('postgres', "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel")
  or die 'the table was not copied';
is($subscriber->safe_psql('postgres', $events), $node->safe_psql('postgres', $events), 'the subscriber has the events');

# In mode worker the listener hears of the events before and after, only.
my $listener = session($node);
my $position = sub { my ($n) = @_; return sub { grep { $_->[1] =~ /"position": $n\b/ } @_ } };
$listener->run('LISTEN eventstore_events');
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
ok($position->(4)->($listener->hears($position->(4))), 'the last append is announced');
$node->safe_psql('postgres', "SELECT eventstore.erase_aggregate('a', 'request'); SELECT eventstore.redact_event('b-1', 'request', '{\"name\": \"B\"}')");
sleep 1;
is(scalar(heard_by($listener, $node)), 0, 'an erasure is not');
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
ok($position->(5)->($listener->hears($position->(5))), 'the next append is');
$listener->quit;

# The subscriber gets the tombstones, and no records.
$node->wait_for_catchup('erase');
is($subscriber->safe_psql('postgres', "SELECT data FROM eventstore.get_events_by_aggregate('a')"), qq({"erased": true}\n{"erased": true}), 'the subscriber has the tombstones');
is($subscriber->safe_psql('postgres', $events), $node->safe_psql('postgres', $events), 'and all that the publisher has');
is($subscriber->safe_psql('postgres', $records), '', 'but no records');
is(sqlstate($subscriber, "UPDATE eventstore.events SET data = '1'"), '0A000', 'where events are immutable');
is($subscriber->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('a', '{e,e}', ARRAY['{\"name\": \"Ann Q. Needle\"}', '{\"name\": \"Ann Q. Needle\"}']::jsonb[], event_ids => '{a-1,a-2}')"), '2', 'and a retry is recognised');
my $retry = "SELECT eventstore.append_event('e', '{\"name\": \"Bea\"}', 'b', event_id => 'b-1', metadata => '{\"ip\": \"10.0.0.1\"}')";
is($node->safe_psql('postgres', $retry), '1', 'that of a redacted event where its record is');
is(sqlstate($subscriber, $retry), '23505', 'but not where there is none');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION erase');
$subscriber->stop;

# The old values are in the files until the table is rewritten, and gone after.
sub files_with
{
  my ($needle) = @_;
  $node->safe_psql('postgres', 'CHECKPOINT');
  my $base = $node->data_dir . '/base';
  return split /\n/, `grep -rlaF '$needle' '$base'`;
}
isnt(scalar(files_with('Ann Q. Needle')), 0, 'the files have the old values');
$node->safe_psql('postgres', $_) for 'VACUUM FULL eventstore.events', 'ANALYZE eventstore.events';
is(join(' ', files_with('Ann Q. Needle')), '', 'until VACUUM FULL');
is($node->safe_psql('postgres', "SELECT data FROM eventstore.get_event('a-2')"), '{"erased": true}', 'the tombstones are there');

# A dump carries the records, and they go on.
my $dumped = $node->safe_psql('postgres', $records);
is($node->safe_psql('postgres', 'SELECT count(*) FROM eventstore.erasures'), '2', 'there are records');
$node->safe_psql('postgres', 'CREATE ROLE auditor; GRANT SELECT ON eventstore.erasures TO auditor; CREATE DATABASE plain; CREATE DATABASE custom');
$node->command_ok([ 'pg_dump', '-f', "$dir/plain", 'postgres' ], 'pg_dump, plain');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", 'postgres' ], 'pg_dump, custom');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/plain", '-d', 'plain' ], 'psql');
$node->command_ok([ 'pg_restore', '-e', '-d', 'custom', "$dir/custom" ], 'pg_restore');
for my $dbname ('plain', 'custom')
{
  is($node->safe_psql($dbname, $records), $dumped, "$dbname: the records are restored");
  is(sqlstate($node, 'DELETE FROM eventstore.erasures', dbname => $dbname), '0A000', "$dbname: and cannot be deleted");
  is($node->safe_psql($dbname, "SELECT has_table_privilege('auditor', 'eventstore.erasures', 'SELECT')"), 't', "$dbname: the grant is restored");
  is($node->safe_psql($dbname, "SELECT eventstore.erase_aggregate('b', 'second request')"), '1', "$dbname: the next is recorded");
  is($node->safe_psql($dbname, 'SELECT count(*) FROM eventstore.erasures'), '3', "$dbname: beside them");
}

# They join with their stores after a restore, too: with one that was renamed before, not
# with one that was dropped, nor with one that was left out, which keeps no record from being
# restored. The numbers that the tables had stand for others in the new database.
$node->safe_psql('postgres', 'CREATE DATABASE shop; CREATE DATABASE shop2; CREATE DATABASE shop3');
$node->safe_psql('shop', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.create_store('shop.' || s) FROM unnest('{orders,gone,big}'::text[]) s;
SELECT eventstore.append_event('e', '{"name": "Ann"}', 'a', store => ('shop.' || s)::regclass) FROM unnest('{orders,gone,big}'::text[]) s;
SELECT eventstore.append_event('e', '{"name": "Ann"}', 'a');
EOS
$node->safe_psql('shop', "SELECT eventstore.erase_aggregate('a', 'r', '$_')") for 'shop.orders', 'shop.gone', 'shop.big', 'eventstore.events';
$node->safe_psql('shop', "ALTER TABLE shop.orders RENAME TO sales; SELECT eventstore.create_archive('shop.sales'); SELECT eventstore.drop_store('shop.gone', true)");
$node->command_ok([ 'pg_dump', '-Fc', '-T', 'shop.big', '-f', "$dir/shop", 'shop' ], 'pg_dump without one of the stores');
$node->command_ok([ 'pg_restore', '-e', '-d', 'shop2', "$dir/shop" ], 'pg_restore');
my $joined = q{SELECT store_name, r.store, s.store, archive FROM eventstore.erasures r LEFT JOIN eventstore.stores s ON s.store = r.store
  LEFT JOIN eventstore.archives a ON a.store = r.store ORDER BY erasure_id};
is($node->safe_psql('shop', $joined), <<'EOR' =~ s/\n\z//r, 'the records join with stores and archives');
shop.orders|shop.sales|shop.sales|shop.sales_archive
shop.gone|-||
shop.big|shop.big|shop.big|
eventstore.events|eventstore.events|eventstore.events|
EOR
is($node->safe_psql('shop2', $joined), <<'EOR' =~ s/\n\z//r, 'and after a restore');
shop.orders|shop.sales|shop.sales|shop.sales_archive
shop.gone|-||
shop.big|-||
eventstore.events|eventstore.events|eventstore.events|
EOR
# so they do by COPY, as text and in binary
for my $format ('text', 'binary')
{
  $node->safe_psql('shop3', 'DROP EXTENSION IF EXISTS pg_eventstore; DROP SCHEMA IF EXISTS eventstore CASCADE; CREATE EXTENSION pg_eventstore');
  $node->safe_psql('shop', "COPY eventstore.erasures TO '$dir/records' (FORMAT $format)");
  $node->safe_psql('shop3', "COPY eventstore.erasures FROM '$dir/records' (FORMAT $format)");
  is($node->safe_psql('shop3', 'SELECT store, store_name FROM eventstore.erasures ORDER BY erasure_id'),
    "-|shop.orders\n-|shop.gone\n-|shop.big\neventstore.events|eventstore.events", "$format: records without their stores are copied");
}

# A record is not about a later table that gets the OID.
my $oid = $node->safe_psql('shop', "SELECT eventstore.create_store('shop.early'); SELECT 'shop.early'::regclass::oid") =~ s/.*\n//r;
$node->safe_psql('shop', "SELECT eventstore.append_event('e', '1', 'a', store => 'shop.early')");
$node->safe_psql('shop', "SELECT eventstore.erase_aggregate('a', 'r', 'shop.early'); SELECT eventstore.drop_store('shop.early', true)");
$node->safe_psql('shop', 'VACUUM pg_class');
$node->stop;
$node->command_ok([ 'pg_resetwal', '-o', $oid, $node->data_dir ], 'the next OID is that of a dropped store');
$node->start;
is($node->safe_psql('shop', "SELECT eventstore.create_store('shop.late'); SELECT 'shop.late'::regclass::oid") =~ s/.*\n//r, $oid, 'another one gets it');
is($node->safe_psql('shop', "SELECT store FROM eventstore.erasures WHERE store_name = 'shop.early'"), '-', 'and no record of the other');
is(sqlstate($node, "UPDATE eventstore.erasures SET store = '-'", dbname => 'shop'), '0A000', 'no one else changes a record');

# The owner of a database, no superuser, does all of that; an officer with the
# one privilege writes records, too.
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE ROLE officer LOGIN; CREATE DATABASE tenant OWNER tenant; CREATE DATABASE tenant2 OWNER tenant');
my @tenant = (extra_params => [ '-U', 'tenant' ]);
my @officer = (extra_params => [ '-U', 'officer' ]);
$node->safe_psql('tenant', <<'EOS');
CREATE EXTENSION pg_eventstore;
ALTER TABLE eventstore.events OWNER TO tenant;
GRANT USAGE ON SCHEMA eventstore TO tenant WITH GRANT OPTION;
GRANT SELECT ON eventstore.erasures, eventstore.projection_definitions, eventstore.snapshots, eventstore.state_definitions, eventstore.subscription_definitions, eventstore.subscription_progress, eventstore.subscription_parked TO tenant;
EOS
$node->safe_psql('tenant', <<'EOS', @tenant);
SELECT eventstore.create_store('mine.events');
SELECT eventstore.append_event('e', '{"name": "Cid"}', 'c', store => 'mine.events');
SELECT eventstore.append_event('e', '{"name": "Dan"}', 'd');
GRANT USAGE ON SCHEMA eventstore, mine TO officer;
GRANT SELECT, UPDATE (data, metadata) ON mine.events TO officer;
SELECT eventstore.erase_aggregate('d', 'by tenant');
EOS
$node->safe_psql('tenant', "SELECT eventstore.erase_aggregate('c', 'by officer', 'mine.events')", @officer);
is($node->psql('tenant', 'SELECT * FROM eventstore.erasures', @officer), 3, 'the officer does not see the records');
my $who = 'SELECT erased_by, session_role, store, events, reason FROM eventstore.erasures ORDER BY erasure_id';
is($node->safe_psql('tenant', $who, @tenant), "tenant|tenant|eventstore.events|1|by tenant\nofficer|officer|mine.events|1|by officer", 'who has been granted SELECT on them does');
isnt($node->psql('tenant', 'TRUNCATE eventstore.erasures', @tenant), 0, 'but cannot remove them');
$node->command_ok([ 'pg_dump', '-U', 'tenant', '-Fc', '-f', "$dir/tenant", 'tenant' ], 'the owner dumps');
$node->command_ok([ 'pg_restore', '-e', '-d', 'tenant2', "$dir/tenant" ], 'a superuser restores');
is($node->safe_psql('tenant2', $who, @tenant), $node->safe_psql('tenant', $who, @tenant), 'the records, too');

# On a standby nothing is erased; what was erased on the primary is.
$node->backup('erase');
my $standby = PostgreSQL::Test::Cluster->new('erase_standby');
$standby->init_from_backup($node, 'erase', has_streaming => 1);
$standby->start;
is(sqlstate($standby, "SELECT eventstore.erase_aggregate('b', 'r')"), '25006', 'a standby erases nothing');
$node->safe_psql('postgres', "SELECT eventstore.erase_aggregate('b', 'r')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT data FROM eventstore.get_event('b-1')"), '{"erased": true}', 'but follows the primary');
$standby->stop;
$node->stop;
done_testing();
