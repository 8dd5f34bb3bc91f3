# Notifications of appends to sessions that LISTEN. In mode commit, the appending
# transaction sends one for each store; in mode worker, the notifier sends them, up to
# the mark.
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

my $node = start_node('notify', "client_encoding = UTF8\nmax_prepared_transactions = 10");
my $listener = session($node);
$listener->run('LISTEN eventstore_events');

is($node->safe_psql('postgres', 'SELECT notifications FROM eventstore.stores'), 'worker', 'the default mode is worker');

### Mode commit.

$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'commit')");

# What an SQL script in a session of its own announces: the positions.
sub announced
{
  my ($sql) = @_;
  $node->safe_psql('postgres', $sql);
  return join ' ', map {
    decode_json($_->[1])->{position}
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
  { store => 'eventstore.events', position => 1 },
  'with the store and the last position');

is(announced("SELECT eventstore.append_event('big', to_jsonb(repeat('x', 10 * 1024 * 1024)), 'big')"),
  top(), 'a 10 MB event is announced as briefly');
is($node->safe_psql('postgres', q{SELECT length(data #>> '{}') FROM eventstore.get_events_by_aggregate('big')}),
  10 * 1024 * 1024, 'and stored whole');

# One notification for each transaction and store, by every way.
is(announced("SELECT eventstore.append_to_aggregate('b', array_fill('e'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]))"),
  top(), 'a batch of 1000 is announced once');
is(announced(q{SELECT FROM eventstore.append('[{"event_type": "e", "aggregate_id": "c", "data": 1}, {"event_type": "e", "aggregate_id": "d", "data": 1}, {"event_type": "e", "data": 1}]')}),
  top(), 'an append to several aggregates is announced once');
my $before = top();
is(announced("SELECT eventstore.append_event('e', '1', 'a'); SELECT eventstore.append_event('e', '2', 'a')"),
  sprintf('%d %d', $before + 1, $before + 2), 'two transactions are announced each');
is(announced("BEGIN; SELECT eventstore.append_event('e', '1', 'a'); SELECT eventstore.append_event('e', '2', 'a'); COMMIT"),
  top(), 'two statements in one transaction are announced once');
is(announced("INSERT INTO eventstore.events (event_type, data) SELECT 'raw', to_jsonb(i) FROM generate_series(1, 7) i"),
  top(), 'a plain INSERT is announced');
is(announced("COPY eventstore.events (event_type, data) FROM stdin;\nc\t1\nc\t2\n\\.\n"),
  top(), 'COPY is announced');

is(announced("ALTER TABLE eventstore.events DISABLE TRIGGER eventstore_append; SELECT eventstore.append_event('e', '1', 'a'); ALTER TABLE eventstore.events ENABLE TRIGGER eventstore_append"),
  top(), 'also with the trigger of the store disabled');

# Nothing when nothing is stored.
is(announced(q{SELECT eventstore.append_events('[]')}), '', 'an empty append is not announced');
is(announced("BEGIN; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK"), '', 'a rollback is not announced');
is(announced("BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK TO s; COMMIT"),
  '', 'a rollback to a savepoint is not announced');
is(announced("BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK TO s;
  SELECT eventstore.append_event('e', '2', 'a'); COMMIT"),
  top(), 'an append after a rollback to a savepoint is announced');
is(announced("BEGIN;
  INSERT INTO eventstore.events (event_type, data) VALUES ('e', '1');
  DO \$\$ BEGIN
    INSERT INTO eventstore.events (event_type, data) SELECT nullif(i, 4)::text, '1' FROM generate_series(1, 4) i;
  EXCEPTION WHEN not_null_violation THEN NULL;
  END \$\$;
  INSERT INTO eventstore.events (event_type, data) VALUES ('e', '1'), ('e', '2');
  COMMIT"),
  top(), 'a failed statement does not disturb what is around it');
is(announced("BEGIN; SELECT eventstore.append_event('e', '1', 'a'); SAVEPOINT s; SAVEPOINT t; SELECT eventstore.append_event('e', '1', 'a');
  RELEASE t; SELECT eventstore.append_event('e', '1', 'a'); ROLLBACK TO s; COMMIT"),
  top(), 'what is rolled back to a savepoint is not');
is(announced("BEGIN; SAVEPOINT s; SAVEPOINT t; SELECT eventstore.append_event('e', '1', 'a'); RELEASE t; RELEASE s; COMMIT"),
  top(), 'what is released is');
$node->safe_psql('postgres', q{
  CREATE TABLE parent (LIKE eventstore.events) PARTITION BY LIST (event_type);
  ALTER TABLE eventstore.events ALTER event_type SET NOT NULL;
  ALTER TABLE parent ATTACH PARTITION eventstore.events DEFAULT;
  ALTER TABLE parent ALTER "position" SET DEFAULT eventstore.next_position('eventstore.events_position_seq');
  ALTER TABLE parent ALTER event_id SET DEFAULT gen_random_uuid(), ALTER occurred_at SET DEFAULT now()});
is(announced("INSERT INTO parent (event_type, data) VALUES ('by parent', '1')"), top(), 'an INSERT through a partitioned parent is announced');
$node->safe_psql('postgres', 'ALTER TABLE parent DETACH PARTITION eventstore.events; DROP TABLE parent');
is(announced("SELECT FROM eventstore.append('[{\"event_id\": \"retry-1\", \"event_type\": \"e\", \"aggregate_id\": \"r\", \"data\": 1}]', '{\"r\": 0}')"),
  top(), 'an append with an id is announced');
is(announced("SELECT FROM eventstore.append('[{\"event_id\": \"retry-1\", \"event_type\": \"e\", \"aggregate_id\": \"r\", \"data\": 1}]', '{\"r\": 0}')"),
  '', 'its deduplicated retry is not');

# An announcement tells of positions taken, so a row that is skipped wakes a
# listener for nothing.
my $skipped = "INSERT INTO eventstore.events (event_id, event_type, data) VALUES ('retry-1', 'e', '1') ON CONFLICT DO NOTHING";
like(announced($skipped), qr/^\d+$/, 'an INSERT that skips its row is announced');
like(announced("BEGIN; $skipped; SELECT eventstore.append_event('e', '1', 'a'); COMMIT"),
  qr/^${\ top()}$/, 'also before a later append');

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
is(announced("SELECT eventstore.append_event('action', '1', 'a')"), top(),
  'an event is announced although a trigger on it failed to append');
$node->safe_psql('postgres', q{
  DROP TRIGGER react ON eventstore.events;
  DROP FUNCTION react});

# Modes and channels.
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'off')");
is(announced("SELECT eventstore.append_event('e', '1', 'a')"), '', 'mode off is silent');
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('eventstore.events', 'commit')");
is(announced("SELECT eventstore.append_event('e', '1', 'a')"), top(), 'mode commit speaks again, on the same channel');

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
$node->safe_psql('postgres', "SELECT eventstore.create_store('one.\"Two \"\" 2\"', 'commit')");
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

### Mode worker.

$node->safe_psql('postgres', "SELECT eventstore.create_store('w.events'), eventstore.create_store('w.probe')");
$listener = session($node);
$listener->run('LISTEN w_events; LISTEN w_probe');

# The payloads of some notifications of a store.
sub payloads
{
  my ($store, @heard) = @_;
  return grep { $_->{store} eq $store } map { decode_json($_->[1]) } @heard;
}

# The highest position and the high-water mark of w.events.
sub w_top { return $node->safe_psql('postgres', 'SELECT COALESCE(max(position), 0) FROM w.events') }
sub w_mark { return $node->safe_psql('postgres', "SELECT eventstore.high_water_mark('w.events')") }

# What is announced of w.events until the announcement of a position, or an
# empty list if that does not come.
sub announced_to
{
  my ($position) = @_;
  my $is_there = sub { grep { $_->{position} >= $position } payloads('w.events', @_) };
  my @heard = $listener->hears($is_there);
  return $is_there->(@heard) ? payloads('w.events', @heard) : ();
}

# Everything that is announced of w.events by what was done before. The notifier
# looks at all stores in one transaction, so when an append to another store
# has been announced, it has looked.
sub announced_so_far
{
  my $position = $node->safe_psql('postgres',
    q{SELECT "position" FROM eventstore.append('{"event_type": "probe", "data": 1}', store => 'w.probe')});
  my $is_there = sub { grep { $_->{position} >= $position } payloads('w.probe', @_) };
  my @heard = $listener->hears($is_there);

  die 'the probe is not announced' if !$is_there->(@heard);
  return map { $_->{position} } payloads('w.events', @heard);
}

# The payload.
$node->safe_psql('postgres', "SELECT eventstore.append_event('made', '1', 'a', store => 'w.events')");
@heard = $listener->hears(sub { @_ > 0 });
is($heard[0][0], 'w_events', 'worker: on the channel named after the store');
is_deeply(decode_json($heard[0][1]), { store => 'w.events', position => 1 }, 'with the store and the position');

# Every way to append, and what is announced is the high-water mark.
my %ways = (appends('w.events'),
  'a batch of 1000' => "SELECT eventstore.append_to_aggregate('b', array_fill('e'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]), store => 'w.events')",
  'several aggregates' => q{SELECT FROM eventstore.append('[{"event_type": "e", "aggregate_id": "c", "data": 1}, {"event_type": "e", "data": 1}]', store => 'w.events')},
  'a 10 MB event' => "SELECT eventstore.append_event('big', to_jsonb(repeat('x', 10 * 1024 * 1024)), 'big', store => 'w.events')",
  'a plain INSERT' => "INSERT INTO w.events (event_type, data) SELECT 'raw', to_jsonb(i) FROM generate_series(1, 7) i",
  'an INSERT through a partitioned parent' => "CREATE TABLE parent (LIKE w.events) PARTITION BY LIST (event_type);
    ALTER TABLE parent ATTACH PARTITION w.events DEFAULT;
    ALTER TABLE parent ALTER position SET DEFAULT eventstore.next_position('w.events_position_seq');
    INSERT INTO parent (event_id, event_type, occurred_at, data) VALUES ('by-parent', 'e', now(), '1');
    ALTER TABLE parent DETACH PARTITION w.events; DROP TABLE parent",
  'COPY' => "COPY w.events (event_type, data) FROM stdin;\nc\t1\nc\t2\n\\.\n",
  'REPEATABLE READ' => "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); COMMIT",
  'SERIALIZABLE' => "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); COMMIT",
  'after ROLLBACK TO SAVEPOINT' => "BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); ROLLBACK TO s;
    SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); COMMIT",
  'before ROLLBACK TO SAVEPOINT' => "BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); SAVEPOINT s; SELECT 1; ROLLBACK TO s; COMMIT");
for my $way (sort keys %ways)
{
  my $before = w_top();
  $node->safe_psql('postgres', $ways{$way});
  cmp_ok(my $top = w_top(), '>', $before, "$way: appends");
  my @payloads = announced_to($top);
  is_deeply([ sort keys %{ $payloads[-1] } ], [qw(position store)], "$way: is announced");
  is($payloads[-1]{position}, w_mark(), "$way: up to the mark");
}
is(join(' ', announced_so_far()), '', 'each was announced once');

# Nothing when nothing is stored. Positions that nobody has are not announced.
$node->safe_psql('postgres', q{SELECT FROM eventstore.append('[{"event_id": "retry-1", "event_type": "e", "aggregate_id": "r", "data": 1}]', '{"r": 0}', 'w.events')});
announced_to(w_top());
my %silent = (
  'an empty append' => q{SELECT eventstore.append_events('[]', store => 'w.events')},
  'a rollback' => "BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); ROLLBACK",
  'a rollback of many' => "BEGIN; INSERT INTO w.events (event_type, data) SELECT 'raw', '1' FROM generate_series(1, 200); ROLLBACK",
  'a rollback to a savepoint' => "BEGIN; SAVEPOINT s; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events'); ROLLBACK TO s; COMMIT",
  'a deduplicated retry' => q{SELECT FROM eventstore.append('[{"event_id": "retry-1", "event_type": "e", "aggregate_id": "r", "data": 1}]', '{"r": 0}', 'w.events')},
  'an INSERT that skips its row' => "INSERT INTO w.events (event_id, event_type, data) VALUES ('retry-1', 'e', '1') ON CONFLICT DO NOTHING",
  'a failed statement' => "DO \$\$ BEGIN
      INSERT INTO w.events (event_type, data) SELECT nullif(i, 4)::text, '1' FROM generate_series(1, 4) i;
    EXCEPTION WHEN not_null_violation THEN NULL;
    END \$\$");
for my $name (sort keys %silent)
{
  my $before = w_top();
  $node->safe_psql('postgres', $silent{$name});
  is(w_top(), $before, "$name stores nothing");
  is(join(' ', announced_so_far()), '', "$name is not announced");
}

# Appends that come close together may be announced together, but their last
# position always is, and no position is announced twice or too late.
{
  my $writer = session($node);
  $writer->run("SELECT eventstore.append_event('e', '1', 'a', store => 'w.events');\n" x 100);
  my @positions = map { $_->{position} } announced_to(w_top());
  is($positions[-1], w_top(), 'the last of 100 appends is announced');
  cmp_ok(scalar @positions, '<=', 100, 'not more often than there are appends');
  is_deeply(\@positions, [ sort { $a <=> $b } keys %{ { map { $_ => 1 } @positions } } ], 'the positions grow');
  $writer->quit;
}

# Two stores in one transaction.
$node->safe_psql('postgres', "BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'w.events');
  SELECT eventstore.append_event('e', '1', 'a', store => 'w.probe'); COMMIT");
@heard = $listener->hears(sub { @_ >= 2 });
is_deeply({ map { decode_json($_->[1])->{store} => $_->[0] } @heard },
  { 'w.events' => 'w_events', 'w.probe' => 'w_probe' }, 'a transaction that appends to two stores is announced on both channels');

# An open append holds back what comes after it, until it ends.
my %ends = (
  commit => 'COMMIT',
  rollback => 'ROLLBACK',
  'pg_terminate_backend' => undef,
  'COMMIT PREPARED' => "PREPARE TRANSACTION 'p'",
  'ROLLBACK PREPARED' => "PREPARE TRANSACTION 'p'");
for my $end (sort keys %ends)
{
  my $open = session($node);
  my $own = $open->run(q{BEGIN; SELECT "position" FROM eventstore.append('{"event_type": "held", "data": 1}', store => 'w.events')});
  if ($end =~ /PREPARED/)
  {
    $open->run($ends{$end});
    is($open->state, '00000', 'a transaction that appends can be prepared');
  }
  $node->safe_psql('postgres', "SELECT eventstore.append_event('later', '1', 'a', store => 'w.events')");
  my $later = w_top();
  cmp_ok($later, '>', $own, 'an event comes after an open append');
  is(join(' ', grep { $_ >= $own } announced_so_far()), '', "before $end it is not announced");
  is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.read_events($own - 1, store => 'w.events')"), '0', 'nor read');
  if ($end =~ /PREPARED/) { $node->safe_psql('postgres', "$end 'p'") }
  elsif ($ends{$end}) { $open->run($ends{$end}) }
  else { $node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $open->pid . ')') }
  my @payloads = announced_to($later);
  is($payloads[-1]{position}, $later, "after $end it is");
  is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.read_events($own - 1, store => 'w.events')"),
    $end =~ /^commit/i ? 2 : 1, 'and read');
  $open->quit;
}

# An open append to one store does not hold back another.
{
  my $open = session($node);
  $open->run("BEGIN; SELECT eventstore.append_event('e', '1', 'a', store => 'w.probe')");
  $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a', store => 'w.events')");
  is(scalar(grep { $_->{position} == w_top() } announced_to(w_top())), 1, 'an open append to another store holds back nothing');
  $open->run('ROLLBACK');
  $open->quit;
}

# What a notification says can be read at once: a reader counts the events up to
# each position that it hears of, and at the end there are no more.
{
  my $seconds = 4;
  my $script = "$PostgreSQL::Test::Utils::tmp_check/mixed.sql";
  append_to_file($script, q{\set ms random(0, 15)
\set many random(1, 30)
\set end random(1, 10)
BEGIN;
INSERT INTO w.events (event_type, data) SELECT 'mixed', '1' FROM generate_series(1, :many);
\sleep :ms ms
SELECT eventstore.append_event('mixed', '1', store => 'w.events');
\if :end > 7
ROLLBACK;
\else
COMMIT;
\endif
});
  announced_so_far();
  my $reader = session($node);
  $reader->run('LISTEN w_events');
  my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-T', $seconds, '-f', $script, $node->connstr('postgres') ],
    '>', \my $out, '2>', \my $err, my $limit = IPC::Run::timeout(120));
  my (%seen, $early);
  my $until = time + $seconds + 1;
  while (time < $until)
  {
    for my $payload (payloads('w.events', $reader->hears(sub { @_ > 0 }, 1)))
    {
      my $position = $payload->{position};
      my $count = $reader->run("SELECT 'seen', count(*) FROM eventstore.read_events(0, 1000000, store => 'w.events') WHERE \"position\" <= $position");
      ($seen{$position}) = $count =~ /^seen\|(\d+)$/m;
    }
  }
  $pgbench->finish;
  $reader->run('UNLISTEN *');
  cmp_ok(scalar keys %seen, '>', 10, 'a reader hears of many positions');
  for my $position (keys %seen)
  {
    my $now = $reader->run("SELECT count(*) FROM w.events WHERE \"position\" <= $position");
    $early .= " $position: $seen{$position} of $now" if $seen{$position} != $now;
  }
  is($early, undef, 'and can read all the events up to each');
  my @positions = map { $_->{position} } announced_to(w_top());
  is($positions[-1], w_mark(), 'the last is announced');
  is_deeply(\@positions, [ sort { $a <=> $b } @positions ], 'and the positions do not go back');
  $reader->quit;
}

# Modes and channels, with a writer whose session stays open.
$writer = session($node);
$writer->run("SELECT eventstore.append_event('e', '1', 'a', store => 'w.events')");
for my $change ('worker commit', 'commit worker', 'worker off', 'off worker', 'worker worker', 'worker off',
  'off off', 'off commit', 'commit commit', 'commit off', 'off worker')
{
  my (undef, $to) = split / /, $change;
  $node->safe_psql('postgres', "SELECT eventstore.set_notifications('w.events', '$to')");
  announced_so_far();
  $writer->run("SELECT eventstore.append_event('e', '1', 'a', store => 'w.events')");
  my $top = w_top();
  my %expected = (worker => { store => 'w.events', position => $top },
    commit => { store => 'w.events', position => $top });
  my @payloads = $to eq 'off' ? () : announced_to($top);
  is_deeply(\@payloads, [ $expected{$to} // () ], "$change: heard as told");
  is(join(' ', announced_so_far()), '', "$change: and no more");
}
$node->safe_psql('postgres', "SELECT eventstore.set_notifications('w.events', 'worker', 'moved')");
$listener->run('UNLISTEN w_events; LISTEN moved');
$writer->run("SELECT eventstore.append_event('e', '1', 'a', store => 'w.events')");
@heard = $listener->hears(sub { grep { $_->[0] eq 'moved' } @_ });
is_deeply([ map { $_->[0] } @heard ], ['moved'], 'an open session and the notifier use the new channel');
$writer->quit;

# Names and channels that need quotes.
$node->safe_psql('postgres', "SELECT eventstore.create_store('w.\"Two \"\" 2\"', 'worker', '$bytes')");
$node->safe_psql('postgres', q{SELECT eventstore.create_store('"W \ ''1"."Größe"')});
$listener->run("LISTEN \"$listen\"");
$listener->run(q{LISTEN "W \\ '1_Größe"});
$node->safe_psql('postgres', q{SELECT eventstore.append_event('e', '1', 'a', store => 'w."Two "" 2"')});
@heard = $listener->hears(sub { @_ > 0 });
is($heard[0][0], $odd_bytes, 'worker: a channel may have any name');
is(decode_json($heard[0][1])->{store}, 'w."Two "" 2"', 'and a store');
$node->safe_psql('postgres', q{SELECT eventstore.append_event('e', '1', 'a', store => '"W \ ''1"."Größe"')});
@heard = $listener->hears(sub { @_ > 0 });
is(decode_json($heard[0][1])->{store}, q{"W \ '1"."Größe"}, 'with any letters');

# The longest names there can be.
my $long = '"' x 63;
my $quoted = '"' . '""' x 63 . '"';
$node->safe_psql('postgres', qq{SELECT eventstore.create_store('$quoted.$quoted', 'worker', 'long')});
$listener->run('LISTEN long');
$node->safe_psql('postgres', qq{SELECT eventstore.append_event('e', '1', store => '$quoted.$quoted')});
@heard = $listener->hears(sub { @_ > 0 });
is(decode_json($heard[0][1])->{store}, "$quoted.$quoted", 'and of any length');

# An append after events came with their positions, as from a dump.
$node->safe_psql('postgres', "SELECT eventstore.create_store('w.copy')");
$listener->run('LISTEN w_copy');
$node->safe_psql('postgres', "INSERT INTO w.copy SELECT * FROM w.probe; SELECT setval('w.copy_position_seq', (SELECT max(position) FROM w.copy))");
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'copied', store => 'w.copy')");
my $copied = $node->safe_psql('postgres', 'SELECT max(position) FROM w.copy');
@heard = $listener->hears(sub { grep { $_->{position} == $copied } payloads('w.copy', @_) });
is((payloads('w.copy', @heard))[-1]{position}, $copied, 'an append after a restore is announced');

# What is announced can be read by every session at once: also while an append is
# open that began after the announcement, by a session that reads for the first time,
# and while the watermark is not yet written.
$node->safe_psql('postgres', "SELECT eventstore.create_store('w.late')");
$listener->run('LISTEN w_late');
my $announced = sub {
  my $event = $node->safe_psql('postgres', q{SELECT "position" FROM eventstore.append('[{"event_type": "e"}]', store => 'w.late')});
  my $is_told = sub { grep { $_->{position} >= $event } payloads('w.late', @_) };
  die 'an append is not announced' if !$is_told->($listener->hears($is_told));
  return $event;
};
my $row = "FROM eventstore.watermarks WHERE store = 'w.late'::regclass";
$announced->();
$node->poll_query_until('postgres', "SELECT announced > 0 $row") or die 'the watermark is not written';
my $keeper = session($node);
$keeper->run("BEGIN; SELECT $row FOR UPDATE");    # the notifier does not wait for the row
my $event = $announced->();
my $opener = session($node);
$opener->run("BEGIN; SELECT eventstore.append_event('e', '1', store => 'w.late')");
cmp_ok($node->safe_psql('postgres', "SELECT position $row"), '<', $event, 'the watermark is behind what is announced');
is($node->safe_psql('postgres', "SELECT first_position FROM eventstore.open_appends WHERE store = 'w.late'::regclass"), $event + 1, 'an append is open that began later');
is($node->safe_psql('postgres', "SELECT eventstore.high_water_mark('w.late')"), $event, 'the mark of a session that has not read before is what was announced');
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.read_events($event - 1, store => 'w.late')"), '1', 'such a session reads the event');
$opener->run('ROLLBACK');
$keeper->run('ROLLBACK');
$_->quit for $opener, $keeper;

$listener->quit;
$node->stop;
done_testing();
