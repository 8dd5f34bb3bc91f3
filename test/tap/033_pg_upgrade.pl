# pg_upgrade keeps stores, archives, subscriptions and checkpoints: events, positions, the history of a
# store, and what is to be delivered next. The new server is of the same version, which takes the same
# way as another one: a dump for binary upgrades, and the files of the tables.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Both preload the library: pg_upgrade starts them in a mode in which no launcher runs.
my $preload = "shared_preload_libraries = 'pg_eventstore'";
my $old = start_node('old', $preload);
# pg_upgrade looks for the library there only, whatever dynamic_library_path is.
plan skip_all => 'the library is not in the folder $libdir' if sqlstate($old, q{LOAD '$libdir/pg_eventstore'}) ne '00000';
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$new->append_conf('postgresql.conf', $preload);

$old->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_store('shop.orders');
SELECT eventstore.create_archive('shop.orders');
SELECT eventstore.append_to_aggregate('a', ARRAY['one', 'two', 'three'], ARRAY['1', '2', '3']::jsonb[], store => 'shop.orders');
BEGIN; SELECT eventstore.append_event('lost', '1', 'b', store => 'shop.orders'); ROLLBACK;
SELECT eventstore.append_event('four', '4', 'b', store => 'shop.orders');
SELECT eventstore.append_event('five', '5', 'c', event_id => 'five', store => 'shop.orders');
SELECT eventstore.append_event('default', '6', 'd');
SELECT eventstore.redact_event('five', 'asked for', store => 'shop.orders');
SELECT eventstore.create_subscription('mails', 'shop.orders', partitions => 3);
SELECT eventstore.set_retention('shop.orders', '10 years');
EOS
$old->poll_query_until('postgres', "SELECT position >= 5 FROM eventstore.watermarks WHERE store = 'shop.orders'::regclass")
  or die 'the notifier has written no watermark';
$old->safe_psql('postgres', "SELECT eventstore.archive_events('shop.orders', aggregate_ids => '{a}')");
$old->safe_psql('postgres', "SELECT eventstore.ack('mails', delivery) FROM eventstore.poll('mails', 1, consumer => 'c')");

# What both servers must have in common.
my @picture = (
  "SELECT * FROM eventstore.read_events(store => 'shop.orders')",
  'SELECT * FROM eventstore.read_events()',
  'SELECT store, history, notifications, channel, owner FROM eventstore.stores ORDER BY 1',
  "SELECT store, archive, max_age FROM eventstore.archives",
  'SELECT store, position FROM eventstore.watermarks ORDER BY 1',
  "SELECT eventstore.high_water_mark('shop.orders'), eventstore.high_water_mark()",
  'SELECT name, store, checkpoint, lag, partitions FROM eventstore.subscriptions',
  'SELECT subscription, partition, checkpoint FROM eventstore.subscription_partitions ORDER BY 2',
  'SELECT event_id, reason, store FROM eventstore.erasures',
  "SELECT eventstore.get_aggregate_version('a', 'shop.orders')",
  'SELECT extversion FROM pg_extension');
my @before = map { $old->safe_psql('postgres', $_) } @picture;
like($before[0], qr/one.*five/s, 'there are events') or diag $before[0];
$old->stop;

my @upgrade = ('pg_upgrade', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old->config_data('--bindir'),
  '-B', $new->config_data('--bindir'), '-s', $new->host, '-p', $old->port, '-P', $new->port);
my $folder = PostgreSQL::Test::Utils::tempdir();
chdir $folder or die "$folder: $!"; # for its logs
command_ok(\@upgrade, 'pg_upgrade');
$new->start;

for my $number (0 .. $#picture)
{
  is($new->safe_psql('postgres', $picture[$number]), $before[$number], $picture[$number]);
}

# Life goes on: the next position, the next delivery, a notification.
my $last = $new->safe_psql('postgres', "SELECT max(position) FROM eventstore.read_events(store => 'shop.orders')");
is($new->safe_psql('postgres', "SELECT position > $last, aggregate_version
  FROM eventstore.append('[{\"event_type\": \"six\", \"aggregate_id\": \"a\", \"data\": 6}]', '{\"a\": 3}', 'shop.orders')"), 't|4', 'the next event');
is($new->safe_psql('postgres', "SELECT string_agg(event_type, ' ' ORDER BY position) FROM eventstore.poll('mails', consumer => 'c')"),
  join(' ', (split /\n/, $new->safe_psql('postgres', "SELECT event_type FROM eventstore.read_events(store => 'shop.orders')"))[1 .. 5]),
  'what was not acknowledged is delivered');
is(sqlstate($new, "SELECT eventstore.append_event('e', '1', 'b', expected_version => 0, store => 'shop.orders')"), '40V01', 'a conflict');
is(sqlstate($new, "UPDATE shop.orders SET data = '1'"), '0A000', 'events are immutable');
is($new->safe_psql('postgres', "SELECT eventstore.create_store('later.events') IS NOT NULL"), 't', 'a new store');
$new->stop;
done_testing();
