# On a hot standby, the readers work and appends are rejected. The ordered log ends at
# the watermark there, and at the guards after the promotion.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Wait until the mark of a store is at a position or beyond.
sub wait_for_mark
{
  my ($node, $store, $position) = @_;
  is($node->safe_psql('postgres', "SELECT eventstore.wait_for_events($position - 1, '60 s', store => '$store') >= $position"), 't',
    $node->name . ": the mark of $store comes to $position");
  return;
}

# The positions that some SQL gives, in its order, as ranges.
sub ranges
{
  my ($session, $sql) = @_;
  my @ranges;
  for my $position (split /\n/, $session->run($sql))
  {
    if (@ranges && $position == $ranges[-1][1] + 1) { $ranges[-1][1] = $position }
    else { push @ranges, [ $position, $position ] }
  }
  return join ' ', map { "$_->[0]-$_->[1]" } @ranges;
}

my $primary = start_node('primary', 'max_prepared_transactions = 10', allows_streaming => 1);
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
  advance_watermark => "SELECT eventstore.advance_watermark('shop.orders')",
  'UPDATE of a watermark' => 'UPDATE eventstore.watermarks SET position = 0',
  set_notifications => "SELECT eventstore.set_notifications('shop.orders', 'off')",
  drop_store => "SELECT eventstore.drop_store('shop.orders', true)");
for my $name (sort keys %writers)
{
  is(sqlstate($standby, $writers{$name}), '25006', "$name: refused on the standby");
  is(sqlstate($primary, "BEGIN READ ONLY; $writers{$name}"), '25006', "$name: refused in a read-only transaction");
}

is(sqlstate($standby, 'LISTEN shop_orders'), '25006', 'LISTEN: refused on the standby');

# The notifier of the primary keeps the watermarks, so the ordered log comes to
# the standby by itself.
for my $store ('eventstore.events', 'shop.orders')
{
  wait_for_mark($standby, $store, 2);
  is($standby->safe_psql('postgres', "SELECT eventstore.high_water_mark('$store')"), '2', "$store: the mark");
  for my $arguments ('', ', 1, max_count => 1', ", event_types => '{e}', aggregate_types => '{A}'", ', backwards => true', ', 2, backwards => true')
  {
    my $read = "SELECT * FROM eventstore.read_events(store => '$store'" . ($arguments =~ s/^, (\d)/, after_position => $1/r) . ')';
    my $there = $primary->safe_psql('postgres', $read);
    isnt($there, '', "read_events($arguments) finds events of $store on the primary");
    is($standby->safe_psql('postgres', $read), $there, 'and the same on the standby');
  }
  is($standby->safe_psql('postgres', "SELECT eventstore.wait_for_events(1, '60 s', store => '$store')"), '2', "$store: there is an event to wait for");
  is($standby->safe_psql('postgres', "SELECT eventstore.wait_for_events(2, '10 ms', store => '$store') IS NULL"), 't', "$store: and no other");
  is($standby->safe_psql('postgres', "SELECT position FROM eventstore.watermarks WHERE store = '$store'::regclass"), '2', "$store: the row");
}
is($standby->safe_psql('postgres', 'SELECT count(*) FROM eventstore.open_appends'), '0', 'the view of open appends works');

# An open append stops the mark before its own position, on the standby as on the
# primary.
my $append = "SELECT eventstore.append_event('e', '1', store => 'shop.orders')";
my $read = "SELECT position FROM eventstore.read_events(0, 1000, store => 'shop.orders')";
my $by_row = "SELECT position FROM shop.orders WHERE position <= (SELECT position FROM eventstore.watermarks WHERE store = 'shop.orders'::regclass) ORDER BY position";
my $reader = session($standby);
my $waiter = session($standby);
my $repeatable = session($standby);
$primary->safe_psql('postgres', "$append FROM generate_series(3, 127)");
my $open = session($primary);
$open->run("BEGIN; $append");
is($primary->safe_psql('postgres', "SELECT first_position FROM eventstore.open_appends"), '128', 'an append is open');
$primary->safe_psql('postgres', "$append FROM generate_series(129, 400)");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
wait_for_mark($standby, 'shop.orders', 127);
$waiter->start_sql("SELECT eventstore.wait_for_events(127, '60 s', store => 'shop.orders') > 127");
is($standby->safe_psql('postgres', "SELECT eventstore.wait_for_events(127, '400 ms', store => 'shop.orders') IS NULL"), 't',
  'nobody is told of what was committed behind it');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM shop.orders WHERE position > 128'), '272', 'which is there');
is($_->safe_psql('postgres', "SELECT eventstore.high_water_mark('shop.orders')"), '127', $_->name . ': the mark stands before it') for $primary, $standby;
is(ranges($reader, $read), '1-127', 'so read_events ends there');
is(ranges($reader, $by_row), '1-127', 'and who reads by the row');
is($reader->run("SELECT position FROM eventstore.read_events(0, 1, backwards => true, store => 'shop.orders')"), '127', 'and the last event is the one before');
is($standby->safe_psql('postgres', "SELECT count(*) FROM eventstore.read_events(127, store => 'shop.orders')"), '0', 'there is none after it');
$repeatable->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ranges($repeatable, $by_row), '1-127', 'the same in REPEATABLE READ');
$open->run('COMMIT');
is($waiter->finish_sql, 't', 'who waits on the standby is told when it has ended');
wait_for_mark($standby, 'shop.orders', 400);
is(ranges($reader, $read), '1-400', 'then all is there');
is(ranges($reader, $by_row), '1-400', 'and by the row');
is(ranges($repeatable, $by_row), '1-127', 'but not in a snapshot of before');
is(ranges($repeatable, $read), '1-400', 'while read_events reads under one of now');
$_->quit for $waiter, $repeatable, $open;

# A session that stays open reads what is appended afterwards, and goes on
# writing when the standby takes over.
my $session = session($standby);
is($session->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '2', 'a session reads on the standby');
$primary->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a', 2, store => 'shop.orders')");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($session->run("SELECT eventstore.get_aggregate_version('a', 'shop.orders')"), '3', 'and what is appended afterwards');

# A prepared transaction holds the mark across the promotion.
$primary->safe_psql('postgres', "$append FROM generate_series(402, 447)");
wait_for_mark($standby, 'shop.orders', 447);
my $holder = session($primary);
$holder->run("BEGIN; $append");
$primary->safe_psql('postgres', "$append FROM generate_series(449, 520)");
is(ranges($holder, $read), '1-520', 'a transaction reads its own event');
$holder->run("PREPARE TRANSACTION 'held'");
is(ranges($holder, $read), '1-447', 'but its session does not pass it once it is prepared');
is($holder->run("SELECT eventstore.advance_watermark('shop.orders')"), '447', 'nor tells others to');
$holder->quit;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT eventstore.wait_for_events(447, '400 ms', store => 'shop.orders') IS NULL"), 't', 'a prepared transaction holds the mark');
is(ranges($reader, $read), '1-447', 'on the standby, too');

my $top = $primary->safe_psql('postgres', 'SELECT max(position) FROM shop.orders');
is($top, '520', 'the standby has more');
$waiter = session($standby);
$waiter->start_sql("SELECT eventstore.wait_for_events(447, '60 s', store => 'shop.orders') > 520");
$primary->stop;
$standby->promote;
is(ranges($reader, $read), '1-447', 'after the promotion the prepared transaction holds the mark');
is($reader->run('SELECT gid, pid IS NULL, state, first_position FROM eventstore.open_appends'), 'held|t|prepared|448', 'the view tells so');
is($session->run("SELECT eventstore.append_event('e', '1', 'a', 3, store => 'shop.orders')"), '4', 'after the promotion it appends');
cmp_ok($standby->safe_psql('postgres', 'SELECT max(position) FROM shop.orders'), '>', $top, 'at a later position');
my $next = $standby->safe_psql('postgres', 'SELECT max(position) FROM shop.orders');
is(ranges($reader, $read), '1-447', 'its event waits, too');
is($reader->run("SELECT eventstore.high_water_mark('shop.orders')"), '447', 'and the mark');
$standby->safe_psql('postgres', "COMMIT PREPARED 'held'");
is($waiter->finish_sql, 't', 'who has waited since before the promotion is told');
is(ranges($reader, $read), "1-520 $next-$next", 'then all is there once, in order');
is($session->run("BEGIN; $append; $append; ROLLBACK; $append"), "\n\n", 'it appends again');
my $last = $standby->safe_psql('postgres', 'SELECT max(position) FROM shop.orders');
is($last, $next + 3, 'past what was rolled back');
is(ranges($reader, $read), "1-520 $next-$next $last-$last", 'the reader has that at once');
is($reader->run("SELECT position FROM eventstore.read_events($next, store => 'shop.orders')"), $last, 'and when it goes on from where it was');
my $listener = session($standby);
$listener->run('LISTEN shop_orders');
$standby->safe_psql('postgres', $append);
$last++;
ok($standby->poll_query_until('postgres', "SELECT position = $last FROM eventstore.watermarks WHERE store = 'shop.orders'::regclass"),
  'it has a notifier now, which writes the watermark');
is_deeply([ grep { $_->[1] =~ /"position": $last\}/ } heard_by($listener, $standby) ],
  [ [ 'shop_orders', "{\"store\": \"shop.orders\", \"position\": $last}" ] ], 'and notifies');
$_->quit for $session, $reader, $waiter, $listener;
$standby->stop;
done_testing();
