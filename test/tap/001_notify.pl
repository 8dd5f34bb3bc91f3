# Appends announce themselves to sessions that LISTEN, once for each statement.
use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('notify', 'client_encoding = UTF8');
my $listener = session($node);
$listener->run('LISTEN eventstore_events');

# What an SQL script in a session of its own announces: "position+count" each.
sub announced
{
  my ($sql) = @_;
  $node->safe_psql('postgres', $sql);
  return join ' ', map {
    my $payload = decode_json($_->[1]);
    "$payload->{position}+$payload->{count}"
  } heard_by($listener, $node);
}

# The highest position of the default store.
sub top { return $node->safe_psql('postgres', 'SELECT COALESCE(max(position), 0) FROM eventstore.events') }

# The payload.
$node->safe_psql('postgres', "SELECT eventstore.append_event('made', '1', 'a')");
my @heard = heard_by($listener, $node);
is(scalar @heard, 1, 'an append is announced once');
is($heard[0][0], 'eventstore_events', 'on the channel named after the store');
is_deeply(decode_json($heard[0][1]),
  { store => 'eventstore.events', position => 1, count => 1 },
  'with the store, its last position and the number of events');

is(announced("SELECT eventstore.append_event('big', to_jsonb(repeat('x', 10 * 1024 * 1024)), 'big')"),
  top() . '+1', 'a 10 MB event is announced as briefly');
is($node->safe_psql('postgres', q{SELECT length(data #>> '{}') FROM eventstore.get_events_by_aggregate('big')}),
  10 * 1024 * 1024, 'and stored whole');

# One notification for each statement, by every way.
is(announced("SELECT eventstore.append_to_aggregate('b', array_fill('e'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]))"),
  top() . '+1000', 'a batch of 1000 is announced once');
is(announced(q{SELECT FROM eventstore.append('[{"event_type": "e", "aggregate_id": "c", "data": 1}, {"event_type": "e", "aggregate_id": "d", "data": 1}, {"event_type": "e", "data": 1}]')}),
  top() . '+3', 'an append to several aggregates is announced once');
my $before = top();
is(announced("SELECT eventstore.append_event('e', '1', 'a'); SELECT eventstore.append_event('e', '2', 'a')"),
  sprintf('%d+1 %d+1', $before + 1, $before + 2), 'two statements are announced each');
$before = top();
is(announced("BEGIN; SELECT eventstore.append_event('e', '1', 'a'); SELECT eventstore.append_event('e', '2', 'a'); COMMIT"),
  sprintf('%d+1 %d+1', $before + 1, $before + 2), 'also in one transaction');
is(announced("INSERT INTO eventstore.events (event_type, data) SELECT 'raw', to_jsonb(i) FROM generate_series(1, 7) i"),
  top() . '+7', 'a plain INSERT is announced');
is(announced("COPY eventstore.events (event_type, data) FROM stdin;\nc\t1\nc\t2\n\\.\n"),
  top() . '+2', 'COPY is announced');

# Nothing when nothing is stored.
is(announced(q{SELECT eventstore.append_events('[]')}), '', 'an empty append is not announced');
is(announced("BEGIN; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK"), '', 'a rollback is not announced');
is(announced("BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK TO s; COMMIT"),
  '', 'a rollback to a savepoint is not announced');
is(announced("BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK TO s;
  SELECT eventstore.append_event('e', '2', 'a'); COMMIT"),
  top() . '+1', 'an append after a rollback to a savepoint is announced with its own count');
is(announced("BEGIN;
  INSERT INTO eventstore.events (event_type, data) VALUES ('e', '1');
  DO \$\$ BEGIN
    INSERT INTO eventstore.events (event_type, data) SELECT nullif(i, 4)::text, '1' FROM generate_series(1, 4) i;
  EXCEPTION WHEN not_null_violation THEN NULL;
  END \$\$;
  INSERT INTO eventstore.events (event_type, data) VALUES ('e', '1'), ('e', '2');
  COMMIT"),
  sprintf('%d+1 %d+2', top() - 6, top()),
  'a failed statement does not disturb the counts around it');
is(announced("SELECT FROM eventstore.append('[{\"event_id\": \"retry-1\", \"event_type\": \"e\", \"aggregate_id\": \"r\", \"data\": 1}]', '{\"r\": 0}')"),
  top() . '+1', 'an append with an id is announced');
is(announced("SELECT FROM eventstore.append('[{\"event_id\": \"retry-1\", \"event_type\": \"e\", \"aggregate_id\": \"r\", \"data\": 1}]', '{\"r\": 0}')"),
  '', 'its deduplicated retry is not');

# An announcement counts positions taken, so a row that is skipped wakes a
# listener for nothing, but is not added to what comes later.
my $skipped = "INSERT INTO eventstore.events (event_id, event_type, data) VALUES ('retry-1', 'e', '1') ON CONFLICT DO NOTHING";
like(announced($skipped), qr/^\d+\+1$/, 'an INSERT that skips its row is announced');
like(announced("BEGIN; $skipped; SELECT eventstore.append_event('e', '1', 'a'); COMMIT"),
  qr/ ${\ top()}\+1$/, 'it does not disturb the count of a later append');

# A trigger of the user's that appends to the same store, in a subtransaction
# that fails: the event that fired it is still announced.
$node->safe_psql('postgres', q{
  CREATE FUNCTION react() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    BEGIN
      PERFORM eventstore.append_event('reaction', '1', 'a');
      RAISE EXCEPTION 'no reaction';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
    RETURN NULL;
  END $$;
  CREATE TRIGGER react AFTER INSERT ON eventstore.events
    FOR EACH ROW WHEN (NEW.event_type = 'action') EXECUTE FUNCTION react()});
is(announced("SELECT eventstore.append_event('action', '1', 'a')"), top() . '+1',
  'an event is announced although a trigger on it failed to append');
$node->safe_psql('postgres', q{
  DROP TRIGGER react ON eventstore.events;
  DROP FUNCTION react});

# Modes and channels.
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'off')");
is(announced("SELECT eventstore.append_event('e', '1', 'a')"), '', 'mode off is silent');
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'commit')");
is(announced("SELECT eventstore.append_event('e', '1', 'a')"), top() . '+1', 'mode commit speaks again, on the same channel');

# A session that has appended before follows a change made by another.
my $writer = session($node);
$writer->run("SELECT eventstore.append_event('e', '1', 'a')");
heard_by($listener, $node);
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'commit', 'moved')");
$listener->run('LISTEN moved');
$writer->run("SELECT eventstore.append_event('e', '1', 'a')");
is(join(' ', map { $_->[0] } heard_by($listener, $node)), 'moved', 'an open session uses the new channel');
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'off')");
$writer->run("SELECT eventstore.append_event('e', '1', 'a')");
is(scalar(heard_by($listener, $node)), 0, 'and the new mode');
$writer->quit;

# Two stores, each its channel, names that need quotes.
my $odd = q{Größe "1"'s $x\\};
my $sql_odd = $odd =~ s/'/''/gr;
utf8::encode(my $bytes = $sql_odd);
$node->safe_psql('postgres', "SELECT eventstore.create_store('one.events', 'commit', '$bytes')");
$node->safe_psql('postgres', "SELECT eventstore.create_store('one.\"Two \"\" 2\"')");
utf8::encode(my $listen = $odd =~ s/"/""/gr);
$listener->run("LISTEN \"$listen\"");
$listener->run(q{LISTEN "one_Two "" 2"});
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a', store => 'one.events')");
$node->safe_psql('postgres', q{SELECT eventstore.append_event('e', '1', 'a', store => 'one."Two "" 2"')});
@heard = heard_by($listener, $node);
utf8::encode(my $odd_bytes = $odd);
is($heard[0][0], $odd_bytes, 'a channel may have any name');
is(decode_json($heard[0][1])->{store}, 'one.events', 'and tells of its store');
is($heard[1][0], 'one_Two " 2', 'the channel of another store is named after it');
is(decode_json($heard[1][1])->{store}, 'one."Two "" 2"', 'and tells of that store');
is(scalar @heard, 2, 'each store speaks on its own channel only');

$listener->quit;
$node->stop;
done_testing();
