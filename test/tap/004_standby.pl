# On a hot standby the readers work, and nothing can be appended.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_node('primary', '', allows_streaming => 1);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

for my $store ('eventstore.events', 'shop.orders')
{
  $primary->safe_psql('postgres', "SELECT eventstore.create_store('$store')");
  $primary->safe_psql('postgres', "SELECT eventstore.append_event('e', '{}', 'a', 0, 'A', event_id => 'id-1', correlation_id => 'cor', causation_id => 'cau', store => '$store')");
  $primary->safe_psql('postgres', "SELECT eventstore.append_event('e', '[1]', 'a', 1, correlation_id => 'cor', causation_id => 'cau', store => '$store')");
}
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my %rows = (get_event => 1, get_aggregate_version => 1);
for my $store ('eventstore.events', 'shop.orders')
{
  my %readers = readers($store);
  for my $name (sort keys %readers)
  {
    my $there = $primary->safe_psql('postgres', $readers{$name});
    is(scalar(split /\n/, $there), $rows{$name} // 2, "$name finds events of $store on the primary");
    is($standby->safe_psql('postgres', $readers{$name}), $there, "and the same on the standby");
  }
}
is($standby->safe_psql('postgres', 'SELECT store, notifications, channel FROM eventstore.stores'),
  $primary->safe_psql('postgres', 'SELECT store, notifications, channel FROM eventstore.stores'), 'the view of stores works');

my %writers = (
  appends('shop.orders'),
  'append_events of nothing' => "SELECT eventstore.append_events('[]')",
  'append with a given id' => q{SELECT eventstore.append_event('e', '{}', 'a', 0, 'A', event_id => 'id-1', correlation_id => 'cor', causation_id => 'cau', store => 'shop.orders')},
  'append with a wrong version' => "SELECT eventstore.append_event('e', '1', 'a', 7)",
  INSERT => "INSERT INTO shop.orders (event_type, data) VALUES ('e', '1')",
  COPY => "COPY shop.orders (event_type, data) FROM stdin;\ne\t1\n\\.\n",
  next_position => "SELECT eventstore.next_position('shop.orders_position_seq')",
  create_store => "SELECT eventstore.create_store('new.store')",
  'create_store of an old store' => "SELECT eventstore.create_store('shop.orders')",
  set_notifications => "SELECT eventstore.set_notifications('shop.orders', 'off')",
  drop_store => "SELECT eventstore.drop_store('shop.orders', true)");
for my $name (sort keys %writers)
{
  is(sqlstate($standby, $writers{$name}), '25006', "$name: refused on the standby");
  is(sqlstate($primary, "BEGIN READ ONLY; $writers{$name}"), '25006', "$name: refused in a read-only transaction");
}

# A session that stays open reads what is appended afterwards, and goes on
# writing when the standby takes over.
my $session = session($standby);
is($session->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '2', 'a session reads on the standby');
$primary->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a', 2, store => 'shop.orders')");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($session->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '3', 'and what is appended afterwards');

my $top = $primary->safe_psql('postgres', 'SELECT max(position) FROM shop.orders');
$primary->stop;
$standby->promote;
is($session->run("SELECT eventstore.append_event('e', '1', 'a', 3, store => 'shop.orders')"), '4', 'after the promotion it appends');
cmp_ok($standby->safe_psql('postgres', 'SELECT max(position) FROM shop.orders'), '>', $top, 'at a later position');
$session->quit;
$standby->stop;
done_testing();
