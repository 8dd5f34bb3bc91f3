# Logical replication of a store. It replicates the events and the watermark, but not
# the sequence. The ordered log of the subscriber ends at the watermark.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "max_prepared_transactions = 10\nmax_worker_processes = 20\nmax_logical_replication_workers = 10\n"
  . "max_sync_workers_per_subscription = 6\nwal_retrieve_retry_interval = '100ms'\n";
my $publisher = start_node('publisher', $conf, allows_streaming => 'logical');
my $subscriber = start_node('subscriber', $conf);
my @stores = ('eventstore.events', 'shop.orders', '"My Shop"."Order ""Log"""');
my $connection = $publisher->connstr . ' dbname=postgres';

# Wait until the first copies of a subscriber's database are done.
sub wait_for_copies
{
  my ($dbname) = @_;
  $subscriber->poll_query_until($dbname, "SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    or die 'the tables were not copied';
  return;
}

# The positions that somebody reads in order, as ranges.
sub read_by
{
  my ($node, $store, $dbname) = @_;
  my @ranges;
  for my $position (split /\n/, $node->safe_psql($dbname // 'postgres', "SELECT position FROM eventstore.read_events(0, 10000, store => '$store')"))
  {
    if (@ranges && $position == $ranges[-1][1] + 1) { $ranges[-1][1] = $position }
    else { push @ranges, [ $position, $position ] }
  }
  return join ' ', map { "$_->[0]-$_->[1]" } @ranges;
}

# A subscriber comes to where the publisher is, and reads the same.
sub same_log
{
  my ($store, $name, $dbname) = @_;
  my $last = $publisher->safe_psql('postgres', "SELECT max(position) FROM $store");
  is($subscriber->safe_psql($dbname // 'postgres', "SELECT eventstore.wait_for_events($last - 1, '20 s', store => '$store')"), $last, "$store: $name");
  is(read_by($subscriber, $store, $dbname), read_by($publisher, $store), "$store: and the ordered log is the same");
  return;
}

for my $store (@stores)
{
  $_->safe_psql('postgres', "SELECT eventstore.create_store('$store')") for $publisher, $subscriber;
  $publisher->safe_psql('postgres', "SELECT eventstore.append_to_aggregate('a', '{e,e}', '{1,2}', 0, 'A', event_ids => '{id-1,id-2}', correlation_id => 'cor', causation_id => 'cau', store => '$store')");
}
my $listener = session($subscriber);
$listener->run('LISTEN eventstore_events; LISTEN shop_orders; LISTEN "My Shop_Order ""Log"""');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION stores FOR TABLE ' . join ', ', @stores);
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION stores CONNECTION '$connection' PUBLICATION stores");
wait_for_copies('postgres');
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

# It cannot read in order without the watermarks, and says how to get them.
for my $store (@stores)
{
  for my $reader (map { "SELECT * FROM eventstore.$_" }
    "read_events(store => '$store')", "high_water_mark('$store')", "wait_for_events(0, '1 ms', store => '$store')")
  {
    my ($rc, $out, $err) = $subscriber->psql('postgres', $reader, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    like($err, qr/^psql:<stdin>:1: ERROR:  55000: .*\Q$store\E/, "$reader is refused");
    like($err, qr/^HINT:  On the publisher: ALTER PUBLICATION \.\.\. ADD TABLE eventstore\.watermarks\. Here: ALTER SUBSCRIPTION \.\.\. REFRESH PUBLICATION\.$/m,
      'with a hint');
  }
}
$publisher->safe_psql('postgres', 'ALTER PUBLICATION stores ADD TABLE eventstore.watermarks');
is(sqlstate($subscriber, 'SELECT eventstore.high_water_mark()'), '55000', 'half of the hint does not do');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION stores REFRESH PUBLICATION');
wait_for_copies('postgres');
same_log($_, 'with the watermarks it reads in order') for @stores;

# An open append of the publisher stops the subscriber, too.
for my $store (@stores)
{
  my $append = "SELECT eventstore.append_event('e', '1', store => '$store')";
  my $open = session($publisher);
  $publisher->safe_psql('postgres', "$append FROM generate_series(4, 63)");
  $open->run("BEGIN; $append");
  $publisher->safe_psql('postgres', "$append FROM generate_series(65, 300)");
  $publisher->wait_for_catchup('stores');
  is($subscriber->safe_psql('postgres', "SELECT eventstore.wait_for_events(62, '60 s', store => '$store')"), '63', "$store: the mark comes to an open append");
  is($subscriber->safe_psql('postgres', "SELECT eventstore.wait_for_events(63, '300 ms', store => '$store') IS NULL"), 't', "$store: and not beyond");
  is(read_by($subscriber, $store), '1-63', "$store: it reads so far");
  is($subscriber->safe_psql('postgres', "SELECT max(position) FROM $store WHERE position <= (SELECT position FROM eventstore.watermarks WHERE store = '$store'::regclass)"),
    '63', "$store: by the row, too");
  is($subscriber->safe_psql('postgres', "SELECT max(position) FROM $store"), '300', "$store: though more is there");
  $open->run("PREPARE TRANSACTION 'held'");
  is($subscriber->safe_psql('postgres', "SELECT eventstore.wait_for_events(63, '200 ms', store => '$store') IS NULL"), 't', "$store: a prepared one is open, too");
  $publisher->safe_psql('postgres', "COMMIT PREPARED 'held'");
  $open->quit;
  same_log($store, 'then it goes on');
}

# What happens on the subscriber does not move the marks of what it gets: not
# its own stores' notifier, nor a sequence that is set before its time.
$subscriber->safe_psql('postgres', "SELECT eventstore.create_store('own.store')");
my $open = session($publisher);
$open->run("BEGIN; SELECT eventstore.append_event('e', '1')");
$publisher->safe_psql('postgres', "SELECT eventstore.append_event('e', '1') FROM generate_series(1, 200)");
$publisher->wait_for_catchup('stores');
$subscriber->safe_psql('postgres', "SELECT setval(pg_get_serial_sequence('eventstore.events', 'position'), (SELECT max(position) FROM eventstore.events))");
$listener->run('LISTEN own_store');
heard_by($listener, $subscriber);
my $held = $subscriber->safe_psql('postgres', 'SELECT eventstore.high_water_mark()');
cmp_ok($held, '<', 302, 'an append is open on the publisher');
$subscriber->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => 'own.store')");
ok($subscriber->poll_query_until('postgres', "SELECT position = 1 FROM eventstore.watermarks WHERE store = 'own.store'::regclass"),
  'the subscriber announces its own store');
is_deeply([ map { $_->[0] } heard_by($listener, $subscriber) ], ['own_store'], 'and no other');
is($subscriber->safe_psql('postgres', 'SELECT eventstore.high_water_mark()'), $held, 'the mark stays');
is(sqlstate($subscriber, 'SELECT eventstore.advance_watermark()'), '55000', 'nor does it by hand');
is($subscriber->safe_psql('postgres', "SELECT position FROM eventstore.watermarks WHERE store = 'eventstore.events'::regclass"), $held, 'in the row, too');
$open->run('COMMIT');
$open->quit;
same_log('eventstore.events', 'then it moves');
$listener->quit;

# Both servers are restarted.
$subscriber->restart;
same_log($_, 'after a restart of the subscriber') for @stores;
$publisher->stop('immediate');
$publisher->start;
$publisher->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => '$_')") for @stores;
same_log($_, 'after a crash of the publisher') for @stores;

# The watermarks are copied before the events: another subscriber, on which a
# lock holds back the copy of the events.
$subscriber->safe_psql('postgres', 'CREATE DATABASE late');
$subscriber->safe_psql('late', 'CREATE EXTENSION pg_eventstore');
$subscriber->safe_psql('late', "SELECT eventstore.create_store('$_')") for @stores[ 1, 2 ];
my $blocker = session($subscriber, 'late');
$blocker->run('BEGIN; LOCK TABLE eventstore.events IN SHARE ROW EXCLUSIVE MODE');
$subscriber->safe_psql('late', "CREATE SUBSCRIPTION late CONNECTION '$connection' PUBLICATION stores");
$subscriber->poll_query_until('late', "SELECT srsubstate = 'r' FROM pg_subscription_rel WHERE srrelid = 'eventstore.watermarks'::regclass")
  or die 'the watermarks were not copied';
my $last = $publisher->safe_psql('postgres', 'SELECT max(position) FROM eventstore.events');
is($subscriber->safe_psql('late', "SELECT position FROM eventstore.watermarks WHERE store = 'eventstore.events'::regclass"), $last,
  'the row is there before the events');
is($subscriber->safe_psql('late', 'SELECT eventstore.high_water_mark(), (SELECT count(*) FROM eventstore.events)'), '0|0', 'the mark does not show it');
is($subscriber->safe_psql('late', "SELECT eventstore.wait_for_events(0, '100 ms') IS NULL"), 't', 'nobody is told');
is($subscriber->safe_psql('late', 'SELECT count(*) FROM eventstore.read_events(0)'), '0', 'and nothing is read');
$blocker->run('COMMIT');
$blocker->quit;
same_log($_, 'a late subscriber has all', 'late') for @stores;
$subscriber->safe_psql('late', 'DROP SUBSCRIPTION late');

# A subscriber whose events came by other ways has no row to begin with.
$subscriber->safe_psql('postgres', 'CREATE DATABASE seeded TEMPLATE late');
$subscriber->safe_psql('seeded', 'TRUNCATE eventstore.watermarks');
$subscriber->safe_psql('seeded', "INSERT INTO eventstore.watermarks VALUES ('$_', 0, now())") for @stores;
$subscriber->safe_psql('seeded', "CREATE SUBSCRIPTION seeded CONNECTION '$connection' PUBLICATION stores WITH (copy_data = false)");
$publisher->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => '$_')") for @stores;
same_log($_, 'without a first copy', 'seeded') for @stores;
$subscriber->safe_psql('seeded', 'DROP SUBSCRIPTION seeded');

# Binary replication carries oids as they are on the publisher, where tables
# have others.
$subscriber->safe_psql('postgres', 'CREATE DATABASE bin');
$subscriber->safe_psql('bin', 'CREATE TABLE shift_oids (); CREATE EXTENSION pg_eventstore');
$subscriber->safe_psql('bin', "SELECT eventstore.create_store('$_')") for @stores[ 2, 1 ];
$subscriber->safe_psql('bin', "CREATE SUBSCRIPTION bin CONNECTION '$connection' PUBLICATION stores WITH (binary = true)");
wait_for_copies('bin');
is(sqlstate($subscriber, "SELECT eventstore.high_water_mark('$_')", dbname => 'bin'), '55000', "$_: not in binary") for @stores;
$subscriber->safe_psql('bin', 'DROP SUBSCRIPTION bin');

# A subscriber that has not all stores of the publisher takes the watermarks of
# those it has.
$publisher->safe_psql('postgres', "CREATE PUBLICATION one FOR TABLE shop.orders, eventstore.watermarks WHERE (store = 'shop.orders'::regclass)");
$subscriber->safe_psql('postgres', 'CREATE DATABASE one');
$subscriber->safe_psql('one', 'CREATE EXTENSION pg_eventstore');
$subscriber->safe_psql('one', "SELECT eventstore.create_store('shop.orders')");
$subscriber->safe_psql('one', "CREATE SUBSCRIPTION one CONNECTION '$connection' PUBLICATION one");
wait_for_copies('one');
$publisher->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', store => '$_')") for @stores;
same_log('shop.orders', 'one store of several', 'one');
$subscriber->safe_psql('one', 'DROP SUBSCRIPTION one');

# All tables, those of the extension among them, to a subscriber that has been in use:
# both have archives, holds, watermarks and subscriptions of the same stores. The rows of the publisher
# take the place of the subscriber's, but for the failures of the notifier and the consumers.
my @both = ('eventstore.events', 'shop.orders', 'shop.gone');
for my $node ($publisher, $subscriber)
{
  $node->safe_psql('postgres', 'CREATE DATABASE everything');
  $node->safe_psql('everything', "CREATE EXTENSION pg_eventstore; SELECT eventstore.create_store('shop.orders'), eventstore.create_store('shop.gone', 'off')");
  for my $store (@both)
  {
    $node->safe_psql('everything', <<"EOS");
SELECT eventstore.create_archive('$store');
SELECT eventstore.append_to_aggregate('a', '{e,e,e}', '{1,2,3}', event_ids => '{id-1,id-2,id-3}', store => '$store');
SELECT eventstore.append_to_aggregate('b', '{e}', '{4}', store => '$store');
SELECT eventstore.advance_watermark('$store');
SELECT eventstore.set_archive_hold('a reader', 3, '$store'), eventstore.set_archive_hold('another', 3, '$store');
SELECT eventstore.erase_aggregate('b', 'asked for', '$store');
SELECT eventstore.create_subscription('reads $store', '$store');
SELECT eventstore.park('reads $store', delivery, 2, 'bad') FROM eventstore.poll('reads $store', 2) GROUP BY delivery;
EOS
  }
}
$publisher->safe_psql('everything', "SELECT eventstore.set_archive_hold('a reader', 4, '$_')") for @both;
$publisher->safe_psql('everything', <<'EOS');
UPDATE eventstore.notifier_status SET failed_starts = 3;
INSERT INTO eventstore.subscription_consumers VALUES ('reads shop.orders', 'x', now());
SELECT eventstore.alter_subscription('reads shop.orders', lease => '1 hour');
SELECT count(*) FROM eventstore.poll('reads shop.orders', 1, 'c');
EOS
$subscriber->safe_psql('everything', <<'EOS');
INSERT INTO eventstore.subscription_consumers VALUES ('reads shop.orders', 'x', now());
UPDATE eventstore.notifier_status SET failed_starts = 7;
SELECT eventstore.create_store('own.events');
SELECT eventstore.append_event('e', '1', store => 'own.events');
ALTER TABLE eventstore.archive_holds DISABLE TRIGGER ALL; -- as a restore does
ALTER TABLE eventstore.archive_holds ENABLE TRIGGER ALL;
EOS
$subscriber->safe_psql('everything', "ALTER TABLE $_ DISABLE TRIGGER USER; TRUNCATE $_; ALTER TABLE $_ ENABLE TRIGGER USER") for @both;
my $erasures = $publisher->safe_psql('everything', 'COPY eventstore.erasures TO stdout');
$subscriber->safe_psql('everything', "COPY eventstore.erasures FROM stdin;\n$erasures\n\\.\n");
$publisher->safe_psql('everything', 'CREATE PUBLICATION everything FOR ALL TABLES');
$subscriber->safe_psql('everything', "CREATE SUBSCRIPTION everything CONNECTION '" . $publisher->connstr . " dbname=everything' PUBLICATION everything");
wait_for_copies('everything');

# Whether both servers have the same of something.
sub same_rows
{
  my ($query, $name) = @_;
  $publisher->wait_for_catchup('everything');
  is($subscriber->safe_psql('everything', $query), $publisher->safe_psql('everything', $query), "all tables: $name");
  return;
}
my $marks = "SELECT store, position, announced FROM eventstore.watermarks WHERE store <> to_regclass('own.events') OR to_regclass('own.events') IS NULL ORDER BY store::text";
my $holds = 'SELECT store, name, position FROM eventstore.archive_holds ORDER BY store::text, name';
my $subscriptions = 'SELECT * FROM eventstore.subscription_definitions d JOIN eventstore.subscription_progress p USING (subscription) ORDER BY subscription';
my $parked = 'SELECT * FROM eventstore.subscription_parked ORDER BY subscription, position';
my $records = 'SELECT * FROM eventstore.erasures WHERE erasure_id IN (%s) ORDER BY 1';
my $ids = join ',', map { "'$_'" } split /\n/, $publisher->safe_psql('everything', 'SELECT erasure_id FROM eventstore.erasures');
same_rows($marks, 'the watermarks');
same_rows($holds, 'the holds');
same_rows($subscriptions, 'the subscriptions');
same_rows($parked, 'the parked events');
same_rows(sprintf($records, $ids), 'the records of erasures');
is($subscriber->safe_psql('everything', 'SELECT count(*) FROM eventstore.erasures'), 2 * @both, 'all tables: those of the subscriber are there, too');

# What functions change on the publisher arrives, whatever they change.
my @changes = ('SELECT eventstore.set_notifications(\'eventstore.events\', \'off\')', 'UPDATE eventstore.notifier_status SET failed_starts = 4',
  "SELECT eventstore.drop_store('shop.gone', force => true)", "SELECT eventstore.ack('reads shop.orders', delivery) FROM eventstore.poll('reads shop.orders', 10, 'c') GROUP BY delivery",
  "SELECT eventstore.replay_parked('reads shop.orders')", "DELETE FROM eventstore.subscription_consumers", "SELECT eventstore.create_subscription('more', 'shop.orders', start_position => NULL)",
  map { ("SELECT eventstore.append_event('e', '5', 'a', 3, event_id => 'id-5', store => '$_')", "SELECT eventstore.advance_watermark('$_')",
      "SELECT eventstore.set_archive_hold('a reader', 5, '$_'), eventstore.set_archive_hold('another', NULL, '$_')", "SELECT eventstore.erase_aggregate('b', 'again', '$_')",
      "SELECT eventstore.set_retention('$_', '1 year')", "SELECT eventstore.archive_events('$_', before_position => 3)") } @both[ 0, 1 ]);
is(sqlstate($publisher, $_, dbname => 'everything'), '00000', "published: $_") for @changes;
same_rows($marks, 'the watermarks go on');
same_rows($holds, 'the holds go on');
same_rows($subscriptions, 'the subscriptions go on');
same_rows($parked, 'the parked events go on');
is($subscriber->safe_psql('everything', 'SELECT consumer FROM eventstore.subscription_consumers'), 'x', 'all tables: the consumers are its own');
same_rows("SELECT 'eventstore.events', * FROM eventstore.read_events(store => 'eventstore.events', include_archived => true) UNION ALL SELECT 'shop.orders', * FROM eventstore.read_events(store => 'shop.orders', include_archived => true) ORDER BY 1, 2",
  'the events go on');
same_rows("SELECT position FROM ${_}_archive ORDER BY 1", "the archive of $_ goes on") for @both[ 0, 1 ];
is(sqlstate($subscriber, $_, dbname => 'everything'), '55000', "subscribed: $_")
  for "SELECT eventstore.archive_events('shop.orders', before_position => 4)", "CALL eventstore.archive_all('shop.orders', before_position => 4)",
  "SELECT eventstore.set_retention('shop.orders', '1 day'); SELECT * FROM eventstore.apply_retention('shop.orders', dry_run => false)";
same_rows("SELECT count(*) FROM eventstore.erasures WHERE reason = 'again'", 'the records go on');
is($subscriber->safe_psql('everything', 'SELECT failed_starts FROM eventstore.notifier_status'), '7', 'all tables: the status of the notifier is its own');
is($subscriber->safe_psql('everything', "SELECT notifications FROM eventstore.stores WHERE store = 'eventstore.events'::regclass"), 'worker', 'all tables: and so are the options of its stores');
is($subscriber->safe_psql('everything', "SELECT eventstore.append_event('e', '1', store => 'own.events') IS NULL"), 't', 'all tables: a store of its own goes on');
$subscriber->safe_psql('everything', 'DROP SUBSCRIPTION everything');

# The subscriber takes over: its sequences are where they were made.  The
# publisher has given positions that have no event, over which a reader has moved.
my %checkpoint;
for my $store (@stores)
{
  $publisher->safe_psql('postgres', "BEGIN; SELECT eventstore.append_event('e', '1', store => '$store') FROM generate_series(1, 3); ROLLBACK; SELECT eventstore.advance_watermark('$store')");
  my $mark = $publisher->safe_psql('postgres', "SELECT eventstore.high_water_mark('$store')");
  $subscriber->poll_query_until('postgres', "SELECT eventstore.high_water_mark('$store') = $mark") or die 'the watermark does not come';
  $checkpoint{$store} = $subscriber->safe_psql('postgres', "SELECT eventstore.next_checkpoint(0, '{none}', store => '$store')");
  is($checkpoint{$store}, $mark, "$store: a reader that filters moves to the mark");
}
$publisher->wait_for_catchup('stores');
my %log = map { $_ => read_by($publisher, $_) } @stores;
is(sqlstate($subscriber, "SELECT * FROM eventstore.read_events(1000000, store => '$_')"), '00000', "$_: a position of the publisher may be still to come") for @stores;
for my $store (@stores)
{
  my $top = $checkpoint{$store};
  $subscriber->safe_psql('postgres', "SELECT setval(pg_get_serial_sequence('$store', 'position'), 1, false)");
  my ($rc, $out, $err) = $subscriber->psql('postgres', "SELECT eventstore.append_event('e', '4', 'a', 3, store => '$store')",
    extra_params => [ '-v', 'VERBOSITY=verbose' ]);
  like($err, qr/^psql:<stdin>:1: ERROR:  23505: /, "$store: an append takes a position that is taken");
  like($err, qr/^HINT: .*SELECT setval\(pg_get_serial_sequence\('\Q$store\E', 'position'\), /m,
    "$store: the hint tells what to do");
  my ($hint) = $err =~ /(SELECT setval\(.*\))\.$/m;
  is($subscriber->safe_psql('postgres', $hint), $top, "$store: that works");
}
# the sequence first: without a subscription and with the sequence behind it, the
# watermark would be wrong
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION stores');
for my $store (@stores)
{
  my $top = $checkpoint{$store};
  my $next = $top + 1;
  is(sqlstate($subscriber, "SELECT * FROM eventstore.read_events($top, store => '$store')"), '00000', "$store: the reader has read what the store had");
  is(sqlstate($subscriber, "SELECT * FROM eventstore.read_events($next, store => '$store')"), '22V01', "$store: and not more");
  is(read_by($subscriber, $store), $log{$store}, "$store: the ordered log is what it was");
  is($subscriber->safe_psql('postgres', "SELECT position, aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\"}]', '{\"a\": 3}', '$store')"),
    "$next|4", "$store: then it goes on");
  is($subscriber->safe_psql('postgres', "SELECT position FROM eventstore.read_events($checkpoint{$store}, store => '$store')"), $next, "$store: the reader misses nothing");
  is(read_by($subscriber, $store) =~ s/.*-//r, $next, "$store: and the ordered log, too");
  is(sqlstate($subscriber, "SELECT eventstore.append_event('e', '1', 'a', 2, store => '$store')"), '40V01', "$store: and tells conflicts");
  is($subscriber->safe_psql('postgres', "SELECT deduplicated FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 3, \"event_id\": \"id-3\", \"correlation_id\": \"cor\", \"causation_id\": \"cau\"}]', '{\"a\": 2}', '$store')"),
    't', "$store: and knows a retry of what the publisher stored");
  ok($subscriber->poll_query_until('postgres', "SELECT position >= $next FROM eventstore.watermarks WHERE store = '$store'::regclass"),
    "$store: its own notifier writes the watermark now");
}

$_->stop for $subscriber, $publisher;
done_testing();
