# Logical replication carries the events of a store, but not its sequence.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = start_node('publisher', '', allows_streaming => 'logical');
my $subscriber = start_node('subscriber');
my @stores = ('eventstore.events', 'shop.orders');

for my $store (@stores)
{
  $_->safe_psql('postgres', "SELECT eventstore.create_store('$store')") for $publisher, $subscriber;
  $publisher->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('a', '{e,e}', '{1,2}', 0, 'A', event_ids => '{id-1,id-2}', correlation_id => 'cor', causation_id => 'cau', store => '$store')");
}
my $listener = session($subscriber);
$listener->run('LISTEN eventstore_events; LISTEN shop_orders');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION stores FOR TABLE eventstore.events, shop.orders');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION stores CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION stores");
$subscriber->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')")
  or die 'the tables were not copied';
# some of the events by the first copy, some afterwards
$publisher->safe_psql('postgres', "SELECT eventstore.append_event('e', '3', 'a', 2, event_id => 'id-3', correlation_id => 'cor', causation_id => 'cau', store => '$_')") for @stores;
$publisher->wait_for_catchup('stores');

# The subscriber reads what the publisher has.
for my $store (@stores)
{
  my %readers = readers($store);
  is($publisher->safe_psql('postgres', $readers{get_aggregate_version}), '3', "$store has events");
  is($subscriber->safe_psql('postgres', $readers{$_}), $publisher->safe_psql('postgres', $readers{$_}), "$store: $_ finds the same") for sort keys %readers;
  is(sqlstate($subscriber, $_), '0A000', "$_ is refused")
    for "UPDATE $store SET data = '0'", "DELETE FROM $store", "TRUNCATE $store";
}
is(scalar(heard_by($listener, $subscriber)), 0, 'what is replicated is not announced');
$listener->quit;

# The subscriber takes over: its sequences are where they were made.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION stores');
for my $store (@stores)
{
  my ($rc, $out, $err) = $subscriber->psql('postgres', "SELECT eventstore.append_event('e', '4', 'a', 3, store => '$store')",
    extra_params => [ '-v', 'VERBOSITY=verbose' ]);
  like($err, qr/^psql:<stdin>:1: ERROR:  23505: /, "$store: an append takes a position that is taken");
  like($err, qr/^HINT: .*SELECT setval\(pg_get_serial_sequence\('\Q$store\E', 'position'\), \(SELECT max\(position\) FROM \Q$store\E\)\)/m,
    "$store: the hint tells what to do");
  my ($hint) = $err =~ /(SELECT setval\(.*?\)\))/;
  is($subscriber->safe_psql('postgres', $hint), '3', "$store: that works");
  is($subscriber->safe_psql('postgres', "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\"}]', '{\"a\": 3}', '$store')"),
    '4|4', "$store: then it goes on");
  is(sqlstate($subscriber, "SELECT eventstore.append_event('e', '1', 'a', 2, store => '$store')"), '40V01', "$store: and tells conflicts");
  is($subscriber->safe_psql('postgres', "SELECT deduplicated FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 3, \"event_id\": \"id-3\", \"correlation_id\": \"cor\", \"causation_id\": \"cau\"}]', '{\"a\": 2}', '$store')"),
    't', "$store: and knows a retry of what the publisher stored");
}

$_->stop for $subscriber, $publisher;
done_testing();
