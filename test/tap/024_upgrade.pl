# pg_upgrade carries stores with their positions, archives and histories.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = start_node('old');
$old->safe_psql('postgres', 'CREATE DATABASE shop');
$old->safe_psql('shop', <<'EOS');
CREATE EXTENSION pg_eventstore;
SELECT eventstore.create_store('shop.orders');
SELECT eventstore.set_notifications('eventstore.events', 'off');
SELECT eventstore.append_event('e', '1', 'a') FROM generate_series(1, 5);
SELECT eventstore.append_event('e', '1', 'a', store => 'shop.orders') FROM generate_series(1, 5);
SELECT eventstore.create_archive('shop.orders');
EOS
$old->poll_query_until('shop', "SELECT announced = 5 FROM eventstore.watermarks WHERE store = 'shop.orders'::regclass") or die 'not announced';
$old->safe_psql('shop', "SELECT eventstore.archive_events('shop.orders', before_position => 3)");
my $stores = "SELECT store, notifications, channel, owner, history FROM eventstore.stores ORDER BY store::text";
my $log = "SELECT position, aggregate_version FROM eventstore.read_events(store => 'shop.orders', include_archived => true)";
my ($before, $events) = map { $old->safe_psql('shop', $_) } $stores, $log;
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
chdir $PostgreSQL::Test::Utils::tmp_check;
my $bin = $old->config_data('--bindir');
command_ok([ 'pg_upgrade', '-b', $bin, '-B', $bin, '-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host,
    '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
is($new->safe_psql('shop', $stores), $before, 'the stores are the same, with their histories');
is($new->safe_psql('shop', $log), $events, 'and the events');
is($new->safe_psql('shop', "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\"}]', '{\"a\": 5}', '$_')"), '6|6', "$_ goes on")
  for 'eventstore.events', 'shop.orders';
$new->stop;
done_testing();
