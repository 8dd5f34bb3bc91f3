# Erasing: what becomes of the records in a dump, of the events on a logical
# subscriber and on a standby, of the bytes in the files; and that nobody is
# notified.
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
is($subscriber->safe_psql('postgres', "SELECT eventstore.append_event('e', '{\"name\": \"Bea\"}', 'b', event_id => 'b-1', metadata => '{\"ip\": \"10.0.0.1\"}')"), '1', 'and a retry is recognised');
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

# The owner of a database, no superuser, does all of that; an officer with the
# one privilege writes records, too.
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE ROLE officer LOGIN; CREATE DATABASE tenant OWNER tenant; CREATE DATABASE tenant2 OWNER tenant');
my @tenant = (extra_params => [ '-U', 'tenant' ]);
my @officer = (extra_params => [ '-U', 'officer' ]);
$node->safe_psql('tenant', <<'EOS');
CREATE EXTENSION pg_eventstore;
ALTER TABLE eventstore.events OWNER TO tenant;
GRANT USAGE ON SCHEMA eventstore TO tenant WITH GRANT OPTION;
GRANT SELECT ON eventstore.erasures TO tenant;
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
