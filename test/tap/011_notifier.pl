# The notifier: when it comes and goes, what it survives, and that nothing it
# meets costs a notification.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use JSON::PP;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_node('notifier', q{
max_prepared_transactions = 10
restart_after_crash = on
log_line_prefix = '%m [%p] %b '
});

# What the notifier has logged since a place in the log, or since the start;
# expected lines are left out.
sub complaints
{
  my ($from, $expected) = @_;
  return join '', grep { !$expected || !/$expected/ }
    slurp_file($node->logfile, $from // 0) =~ /^(.*pg_eventstore notifier (?:WARNING|ERROR|FATAL|PANIC):.*\n)/mg;
}
sub log_end { return -s $node->logfile }

# A new database with the extension, and a session that listens to its store.
sub new_database
{
  my ($dbname) = @_;
  $node->safe_psql('postgres', "CREATE DATABASE $dbname");
  $node->safe_psql($dbname, 'CREATE EXTENSION pg_eventstore');
  my $listener = session($node, $dbname);
  $listener->run('LISTEN eventstore_events');
  return $listener;
}

# Append one event; its position.
sub append
{
  my ($by, $store) = @_;
  my $sql = sprintf q{SELECT "position" FROM eventstore.append('{"event_type": "e", "data": 1}', store => '%s')},
    $store // 'eventstore.events';
  return ref $by ? $by->run($sql) =~ /^(\d+)$/m && $1 : $node->safe_psql($by, $sql);
}

# Whether a listener is told of a position of a store.
sub is_told
{
  my ($listener, $position, $store, $seconds) = @_;
  my $is_there = sub {
    grep { $_->{store} eq ($store // 'eventstore.events') && $_->{position} >= $position }
      map { decode_json($_->[1]) } @_;
  };
  return $is_there->($listener->hears($is_there, $seconds)) ? 1 : 0;
}

# The process ids of the notifiers of a database.
sub notifiers
{
  my ($dbname) = @_;
  my @pids = split /\n/, $node->safe_psql('postgres',
    "SELECT pid FROM pg_stat_activity WHERE datname = '$dbname' AND backend_type = 'pg_eventstore notifier'");
  return @pids;
}

# Wait until a query gives "t", for 20 seconds; the server may be restarting.
sub soon
{
  my ($dbname, $sql) = @_;
  for (1 .. 200)
  {
    my ($rc, $out) = $node->psql($dbname, $sql);
    return 1 if $rc == 0 && $out eq 't';
    sleep 0.1;
  }
  return 0;
}

# Wait until a database has so many notifiers, for 20 seconds.
sub wait_for_notifiers
{
  my ($dbname, $count) = @_;
  for (1 .. 200)
  {
    return 1 if notifiers($dbname) == $count;
    sleep 0.1;
  }
  return 0;
}

# A session with an open append to a store of its own: the notifier stays.
sub keep_notifier
{
  my ($dbname) = @_;
  my $keeper = session($node, $dbname);
  $keeper->run("SELECT eventstore.create_store('keep.events')");
  append($keeper, 'keep.events');
  wait_for_notifiers($dbname, 1) or die 'no notifier comes';
  $keeper->run('BEGIN');
  append($keeper, 'keep.events');
  return $keeper;
}

# A pgbench script that appends one event.
sub append_script
{
  my $file = PostgreSQL::Test::Utils::tempdir() . '/append.sql';
  append_to_file($file, "SELECT eventstore.append_event('e', '1');\n");
  return $file;
}

### It shows itself, and leaves.
{
  my $listener = new_database('shows');
  my $open = session($node, 'shows');

  $open->run('BEGIN');
  append($open);
  ok(soon('postgres', q{SELECT application_name = 'pg_eventstore notifier' AND state = 'idle' AND query ~ 'open append'
    FROM pg_stat_activity WHERE datname = 'shows' AND backend_type = 'pg_eventstore notifier'}), 'it tells what it waits for');
  is(is_told($listener, 1, undef, 1.5), 0, 'nothing is announced while the append is open');
  is(scalar(notifiers('shows')), 1, 'it stays as long');
  $open->run('COMMIT');
  my $end = time;
  is(is_told($listener, 1), 1, 'then it is');
  ok(wait_for_notifiers('shows', 0), 'and it leaves');
  cmp_ok(time - $end, '<', 20, 'soon');
  $_->quit for $open, $listener;
}

### Only one, however many clients start at once.
for my $round (1 .. 3)
{
  my $dbname = "crowd$round";
  my $listener = new_database($dbname);
  my $script = "$PostgreSQL::Test::Utils::tmp_check/crowd.sql";
  my $watcher = session($node, $dbname);
  my $log = log_end();

  append_to_file($script, "SELECT eventstore.append_event('e', '1');\n") if !-e $script;

  # a notifier that works holds a lock on a tag that names its process
  $watcher->start_sql(q{
    CREATE TEMP TABLE seen (n int);
    DO $$
    DECLARE n int; top bigint := 0; until timestamptz := clock_timestamp() + '20 s';
    BEGIN
      LOOP
        SELECT count(*) INTO n FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 17742 AND classid > 0
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
        INSERT INTO seen VALUES (n);
        SELECT count(*) INTO top FROM eventstore.events;
        EXIT WHEN top >= 400 OR clock_timestamp() > until;
      END LOOP;
    END $$});
  $node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '50', '-f', $script, $node->connstr($dbname) ],
    'eight clients start at once');
  $watcher->finish_sql;
  is($watcher->run('SELECT max(n) FROM seen'), '1', 'there is one notifier');
  my $is_last = sub { grep { decode_json($_->[1])->{position} == 400 } @_ };
  my @positions = map { decode_json($_->[1])->{position} } $listener->hears($is_last);
  is($positions[-1], '400', 'the last append is announced');
  is_deeply(\@positions, [ sort { $a <=> $b } keys %{ { map { $_ => 1 } @positions } } ], 'and the positions grow');
  my @refused = slurp_file($node->logfile, $log) =~ /(could not start a notifier)/g;
  is(scalar @refused, 0, 'and the worker slots are not used up');
  $_->quit for $watcher, $listener;
}

### A watermark that somebody else has moved is announced all the same.
{
  my $listener = new_database('moved');
  for my $advance ('BEGIN; %s; SELECT eventstore.advance_watermark(); COMMIT', 'SET synchronous_commit = off; %s; SELECT eventstore.advance_watermark()')
  {
    wait_for_notifiers('moved', 0);
    $node->safe_psql('moved', sprintf $advance, "SELECT eventstore.append_event('e', '1')");
    is(is_told($listener, $node->safe_psql('moved', 'SELECT max(position) FROM eventstore.events')), 1, 'advance_watermark() does not silence an append');
  }

  # nor does it take back what the notifier wrote
  is($node->safe_psql('moved', 'SELECT eventstore.advance_watermark()'), 2, 'the mark');
  ok(soon('moved', 'SELECT position = 2 AND announced = 2 FROM eventstore.watermarks'), 'is written and announced');
  $listener->quit;
}

### It does not stand in the way of DROP DATABASE and CREATE DATABASE.
{
  my $failed = 0;
  for (1 .. 20)
  {
    $node->safe_psql('postgres', 'CREATE DATABASE brief');
    $node->safe_psql('brief', 'CREATE EXTENSION pg_eventstore');
    append('brief');
    $failed++ if $node->psql('postgres', 'DROP DATABASE brief') != 0;
    $node->safe_psql('postgres', 'DROP DATABASE IF EXISTS brief WITH (FORCE)');
  }
  is($failed, 0, 'a database can be dropped right after an append, 20 times');

  $node->safe_psql('postgres', 'CREATE DATABASE brief');
  $node->safe_psql('brief', 'CREATE EXTENSION pg_eventstore');
  append('brief');
  is($node->psql('postgres', 'CREATE DATABASE copied TEMPLATE brief'), 0, 'and be a template');
  my $listener = session($node, 'copied');
  $listener->run('LISTEN eventstore_events');
  is(is_told($listener, append('copied')), 1, 'the copy has notifications');
  $listener->quit;
}

### DROP EXTENSION under it.
{
  my $listener = new_database('dropped');
  is(is_told($listener, append('dropped')), 1, 'before DROP EXTENSION it announces');
  $node->safe_psql('dropped', 'DROP EXTENSION pg_eventstore; CREATE EXTENSION pg_eventstore');
  is(is_told($listener, append('dropped')), 1, 'after CREATE EXTENSION again, too');
  $node->safe_psql('dropped', 'DROP EXTENSION pg_eventstore CASCADE');
  $listener->quit;
  ok(wait_for_notifiers('dropped', 0), 'without the extension it leaves');
  is($node->psql('postgres', 'DROP DATABASE dropped'), 0, 'and the database can be dropped');
  $node->safe_psql('postgres', 'DROP DATABASE IF EXISTS dropped WITH (FORCE)');
}

### DDL on stores under it.
{
  my $listener = new_database('ddl');
  $node->safe_psql('ddl', "SELECT eventstore.create_store('x.' || s) FROM unnest('{a,b,c,d}'::text[]) s");
  $listener->run('LISTEN x_a; LISTEN x_b; LISTEN x_c; LISTEN x_d');
  my $keeper = keep_notifier('ddl');
  my ($pid) = notifiers('ddl');

  is(is_told($listener, append('ddl', "x.$_"), "x.$_"), 1, "store $_ is announced") for qw(a b c d);
  append('ddl', 'x.a');
  $node->safe_psql('ddl', 'DROP TABLE x.a');
  is(is_told($listener, append('ddl', 'x.b'), 'x.b'), 1, 'after DROP TABLE the others go on');
  append('ddl', 'x.c');
  $node->safe_psql('ddl', "SELECT eventstore.drop_store('x.c', true)");
  is(is_told($listener, append('ddl', 'x.b'), 'x.b'), 1, 'after drop_store() the others go on');
  $node->safe_psql('ddl', 'ALTER TABLE x.b RENAME TO b2');
  is(is_told($listener, append('ddl', 'x.b2'), 'x.b2'), 1, 'RENAME: the new name is announced');
  $node->safe_psql('ddl', 'CREATE SCHEMA y; ALTER TABLE x.b2 SET SCHEMA y');
  is(is_told($listener, append('ddl', 'y.b2'), 'y.b2'), 1, 'SET SCHEMA: the new name is announced');
  $node->safe_psql('ddl', 'ALTER SCHEMA y RENAME TO z');
  is(is_told($listener, append('ddl', 'z.b2'), 'z.b2'), 1, 'ALTER SCHEMA: the new name is announced');
  for my $ddl ('REINDEX TABLE CONCURRENTLY x.d', 'ALTER TABLE x.d ALTER aggregate_id TYPE varchar(100)', 'VACUUM FULL x.d',
    'CREATE INDEX ON x.d (metadata)', 'DROP INDEX x.d_metadata_idx', 'TRUNCATE eventstore.watermarks', 'VACUUM FULL eventstore.watermarks',
    'ALTER SEQUENCE x.d_position_seq RENAME TO other')
  {
    $listener->run('SELECT 1');
    my ($rc, undef, $err) = $node->psql('ddl', $ddl);
    is("$rc $err", '0 ', $ddl);
    is(is_told($listener, append('ddl', 'x.d'), 'x.d'), 1, "after $ddl the store is announced");
  }
  is_deeply([ notifiers('ddl') ], [$pid], 'it was the same notifier all the time');
  $_->quit for $keeper, $listener;
}

### Locks that others hold.
{
  my $listener = new_database('locked');
  $node->safe_psql('locked', "SELECT eventstore.create_store('x.a'), eventstore.create_store('x.b')");
  $listener->run('LISTEN x_a; LISTEN x_b');
  my $locker = session($node, 'locked');
  append('locked', 'x.a');
  is(is_told($listener, append('locked', 'x.b'), 'x.b'), 1, 'a store is announced');
  $locker->run('BEGIN; LOCK TABLE x.a');
  is(is_told($listener, append('locked', 'x.b'), 'x.b'), 1, 'also while another is locked');
  wait_for_notifiers('locked', 1);
  $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore notifier' AND datname = 'locked'});
  wait_for_notifiers('locked', 0);
  is(is_told($listener, append('locked', 'x.b'), 'x.b'), 1, 'also by a notifier that finds it locked');
  $locker->run('COMMIT');
  is(is_told($listener, append('locked', 'x.a'), 'x.a'), 1, 'and the other as soon as it can');

  # a watermark that somebody else has locked is written when it is free
  my $written = sub {
    return soon('locked', "SELECT position >= $_[0] FROM eventstore.watermarks WHERE store = 'x.b'::regclass");
  };
  my $position = append('locked', 'x.b');
  ok($written->($position), 'the watermark is written');
  sleep 0.3;
  is(is_told($listener, $position, 'x.b'), 1, 'the append announced');
  $locker->run('BEGIN; SELECT FROM eventstore.watermarks FOR UPDATE');
  $position = append('locked', 'x.b');
  is(is_told($listener, $position, 'x.b'), 1, 'a locked watermark does not stop an announcement');
  sleep 0.5;
  $locker->run('COMMIT');
  ok($written->($position), 'and is written when it is free');

  # the whole table, for so long that a notifier that gives up has given up
  sleep 0.3;
  $locker->run('BEGIN; LOCK TABLE eventstore.watermarks');
  $position = append('locked', 'x.b');
  $locker->run('SELECT pg_sleep(9)');
  $locker->run('COMMIT');
  is(is_told($listener, $position, 'x.b', 20), 1, 'an append while the watermarks are locked is announced, at the latest when they are free');
  ok($written->($position), 'and the watermark is written');
  $_->quit for $locker, $listener;
}

### Two databases.
{
  my @listeners = map { new_database($_) } 'left_one', 'right_one';
  my @keepers = map { keep_notifier($_) } 'left_one', 'right_one';
  my @pids = map { notifiers($_) } 'left_one', 'right_one';

  is(scalar @pids, 2, 'each database has its notifier');
  append('left_one') for 1 .. 3;
  is(is_told($listeners[1], append('right_one')), 1, 'the other database hears of its own append');
  is(is_told($listeners[0], 3), 1, 'the first of its');
  append('left_one');
  is(is_told($listeners[0], 4), 1, 'and of a further one');
  is(is_told($listeners[1], 2, undef, 1), 0, 'which the other does not hear of');
  $_->quit for @keepers, @listeners;
}

### It is terminated.
{
  my $listener = new_database('killed');
  my $terminate = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore notifier' AND datname = 'killed'};
  my ($first, $second) = (session($node, 'killed'), session($node, 'killed'));

  # others append at once, while the session that started it is still there
  for (1 .. 3)
  {
    wait_for_notifiers('killed', 0);
    is(is_told($listener, append($first)), 1, 'it announces');
    is($node->safe_psql('postgres', $terminate), 't', 'it is terminated');
    wait_for_notifiers('killed', 0);
    is(is_told($listener, append($second), undef, 10), 1, 'an append of another session is announced');
  }
  for my $end ('append', 'commit only')
  {
    is(is_told($listener, append($first)), 1, 'it announces');
    $first->run('BEGIN');
    my $position = append($first);
    wait_for_notifiers('killed', 1);
    is($node->safe_psql('postgres', $terminate), 't', 'it is terminated while a transaction that has called it is open');
    wait_for_notifiers('killed', 0);
    $position = append($first) if $end eq 'append';
    $first->run('COMMIT');
    is(is_told($listener, $position, undef, 10), 1, "the commit is announced ($end)");
  }
  $_->quit for $first, $second, $listener;
}

### It runs as the owner of the watermarks, whatever triggers do there.
{
  $node->safe_psql('postgres', 'CREATE ROLE own LOGIN; CREATE DATABASE trusted OWNER own');
  my @own = (extra_params => [ '-U', 'own' ]);
  $node->safe_psql('trusted', q{
    CREATE EXTENSION pg_eventstore;
    CREATE SCHEMA trap;
    CREATE TABLE trap.seen (as_user text, got text);
    CREATE FUNCTION trap.spring() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE command text;
    BEGIN
      FOREACH command IN ARRAY ARRAY['SELECT 1', 'CREATE ROLE evil SUPERUSER', 'ALTER ROLE own SUPERUSER', 'SET ROLE postgres',
        'SET SESSION AUTHORIZATION postgres', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'COPY trap.seen FROM PROGRAM ''echo x'''] LOOP
        BEGIN
          EXECUTE command;
          INSERT INTO trap.seen VALUES (current_user, command);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
      END LOOP;
      RETURN NULL;
    END $$}, @own);
  my $listener = session($node, 'trusted');
  $listener->run('LISTEN eventstore_events');
  for my $trigger ('CREATE TRIGGER spring AFTER INSERT OR UPDATE', 'CREATE TRIGGER spring BEFORE INSERT OR UPDATE',
    'CREATE CONSTRAINT TRIGGER spring AFTER INSERT OR UPDATE')
  {
    my $late = $trigger =~ /CONSTRAINT/ ? 'DEFERRABLE INITIALLY DEFERRED' : '';
    $node->safe_psql('trusted', "TRUNCATE trap.seen; $trigger ON eventstore.watermarks $late FOR EACH ROW EXECUTE FUNCTION trap.spring()", @own);
    my $from = log_end();
    my $position = append('trusted');
    if ($late)
    {
      ok($node->wait_for_log(qr/cannot fire deferred trigger within security-restricted operation/, $from),
        'a deferred trigger is refused');
    }
    else
    {
      ok(soon('trusted', 'SELECT count(*) > 0 FROM trap.seen'), "$trigger: fires");
      is($node->safe_psql('trusted', q{SELECT string_agg(DISTINCT as_user || ' ' || got, ', ') FROM trap.seen}), 'own SELECT 1', 'as the owner, who may do nothing more');
    }
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'evil' OR (rolname = 'own' AND rolsuper)"), '0', 'nobody is a superuser now');
    $node->safe_psql('trusted', 'DROP TRIGGER spring ON eventstore.watermarks', @own);
    is(is_told($listener, append('trusted')), 1, 'and appends are announced');
    wait_for_notifiers('trusted', 0);
  }
  $listener->quit;
}

### Settings of the database, of rights and of connections.
{
  $node->safe_psql('postgres', 'CREATE ROLE plain');
  $node->safe_psql('postgres', 'CREATE DATABASE set_up');
  $node->safe_psql('set_up', 'CREATE EXTENSION pg_eventstore');
  my $calm = "options='-c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off -c role=none'";
  my $listener = session($node, undef, $node->connstr('set_up') . " $calm");
  $listener->run('LISTEN eventstore_events');
  for my $setting ('default_transaction_read_only = on', "default_transaction_isolation = 'serializable'", "search_path = ''", 'statement_timeout = 1',
    'lock_timeout = 1', 'default_transaction_deferrable = on', 'session_replication_role = replica', 'row_security = off', 'role = plain',
    "pg_eventstore.store = 'nowhere'", 'idle_in_transaction_session_timeout = 1', "application_name = 'x'", 'transform_null_equals = on')
  {
    wait_for_notifiers('set_up', 0);
    $node->safe_psql('postgres', "ALTER DATABASE set_up SET $setting");
    my $writer = session($node, undef, $node->connstr('set_up') . " $calm");
    $writer->run('SET default_transaction_isolation = "read committed"; SET session_replication_role = origin');
    my $position = append($writer);
    ok($position && is_told($listener, $position), "with $setting appends are announced");
    is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'pg_eventstore notifier' AND application_name <> 'pg_eventstore notifier'}), '0', 'under its own name');
    my ($name, undef) = split / /, $setting;
    my $written = "SELECT position = $position FROM eventstore.watermarks WHERE store = 'eventstore.events'::regclass";
    my $done = '';
    for (1 .. 100)
    {
      last if ($done = $writer->run($written)) eq 't';
      sleep 0.1;
    }
    is($done, 't', 'and the watermark is written');
    $node->safe_psql('postgres', "ALTER DATABASE set_up RESET $name");
    $writer->quit;
  }

  wait_for_notifiers('set_up', 0);
  $node->safe_psql('set_up', q{
    GRANT USAGE ON SCHEMA eventstore TO plain;
    GRANT SELECT, INSERT ON eventstore.events TO plain;
    REVOKE ALL ON eventstore.watermarks FROM PUBLIC});
  my $writer = session($node, 'set_up');
  $writer->run('SET ROLE plain');
  my $position = append($writer);
  is(is_told($listener, $position), 1, 'an append by a role without rights on the watermarks is announced');

  wait_for_notifiers('set_up', 0);
  $node->safe_psql('postgres', 'ALTER DATABASE set_up CONNECTION LIMIT 0');
  is(is_told($listener, append($writer)), 1, 'also with no connections left');
  wait_for_notifiers('set_up', 0);
  $node->safe_psql('postgres', 'ALTER DATABASE set_up ALLOW_CONNECTIONS false');
  is(is_told($listener, append($writer)), 1, 'also when the database takes no new ones');
  $_->quit for $writer, $listener;
}

### A session that started it may discard what it has.
{
  my $listener = new_database('discard');
  my $writer = session($node, 'discard');
  for my $discard ('DISCARD ALL', 'SELECT pg_advisory_unlock_all()')
  {
    wait_for_notifiers('discard', 0);
    append($writer);
    $writer->run($discard);
    is($writer->{err} =~ /(WARNING|ERROR)/ ? $writer->{err} : '', '', "$discard after an append warns of nothing");
    my $position = append($writer);
    is($writer->{err} =~ /(WARNING|ERROR)/ ? $writer->{err} : '', '', 'nor does the next append');
    is(is_told($listener, $position), 1, 'which is announced');
  }
  $writer->quit;
  $listener->quit;
}

### The tick.
{
  my $listener = new_database('tick');
  my $script = "$PostgreSQL::Test::Utils::tmp_check/tick.sql";
  my $append = "SELECT eventstore.append_event('e', '1');\n";
  append_to_file($script, "$append\\sleep 5 ms\n");
  # how often a burst is announced, and how long it lasts
  my $burst = sub {
    my $start = time;
    $node->command_ok([ 'pgbench', '-n', '-c', '2', '-T', '3', '-f', $script, $node->connstr('tick') ], 'a burst of appends');
    my $top = $node->safe_psql('tick', 'SELECT max(position) FROM eventstore.events');
    my $is_last = sub { grep { decode_json($_->[1])->{position} == $top } @_ };
    my @heard = $listener->hears($is_last);
    is(scalar($is_last->(@heard)), 1, 'whose end is announced');
    return scalar @heard, time - $start;
  };
  my ($count, $seconds) = $burst->();
  cmp_ok($count, '>', 4 * ($seconds + 1), 'a burst is announced often');
  $script = "$PostgreSQL::Test::Utils::tmp_check/crowd.sql";
  append_to_file($script, $append);
  ($count, $seconds) = $burst->();
  cmp_ok($count, '<', 120 * ($seconds + 1), 'one without pauses, in larger lots');
  my $keeper = keep_notifier('tick');
  $node->append_conf('postgresql.conf', 'pg_eventstore.notifier_tick = 500');
  $node->reload;
  ($count, $seconds) = $burst->();
  cmp_ok($count, '<=', 2 * $seconds + 2, 'with a tick of 500 ms twice a second');
  $keeper->quit;

  # a long one is not waited for by DROP DATABASE
  $node->append_conf('postgresql.conf', 'pg_eventstore.notifier_tick = 1000');
  $node->reload;
  wait_for_notifiers('tick', 0);
  is(is_told($listener, append('tick')), 1, 'with a tick of a second, the first append is announced at once');
  my $position = append('tick');
  $node->append_conf('postgresql.conf', 'pg_eventstore.notifier_tick = 1');
  $node->reload;
  is(is_told($listener, $position, undef, 20), 1, 'a shorter tick holds as soon as it is set');
  $node->append_conf('postgresql.conf', 'pg_eventstore.notifier_tick = 1000');
  $node->reload;
  $node->safe_psql('postgres', 'CREATE DATABASE slow');
  $node->safe_psql('slow', 'CREATE EXTENSION pg_eventstore');
  append('slow');
  is($node->psql('postgres', 'DROP DATABASE slow'), 0, 'with a long tick, DROP DATABASE works');
  $node->safe_psql('postgres', 'DROP DATABASE IF EXISTS slow WITH (FORCE)');
  $node->append_conf('postgresql.conf', 'pg_eventstore.notifier_tick = 1');
  $node->reload;
  $listener->quit;
}

### Tables that are not proper stores do not stop it.
for my $case (
  [ 'a temporary table', 'TEMP', 'position bigint UNIQUE DEFAULT eventstore.next_position(%s)', '', 'numbers' ],
  [ 'a partitioned table', '', 'position bigint UNIQUE DEFAULT eventstore.next_position(%s)', 'PARTITION BY RANGE (position)', 'numbers' ],
  [ 'a position that is no bigint', '', 'position int UNIQUE DEFAULT eventstore.next_position(%s)', '', 'numbers' ],
  [ 'a table in the place of the sequence', '', 'position bigint UNIQUE DEFAULT eventstore.next_position(%s)', '', 'empty' ],
  [ 'a trigger without a channel', '', 'position bigint UNIQUE DEFAULT eventstore.next_position(%s)', '', 'numbers', "''" ],
  [ 'a view in the place of the sequence', '', 'position bigint UNIQUE DEFAULT eventstore.next_position(%s)', '', 'view' ])
{
  my ($name, $kind, $column, $partitions, $sequence, $channel) = @$case;
  my $position;
  soon('postgres', 'SELECT true') or die 'the server is gone';
  $node->safe_psql('postgres', 'DROP DATABASE IF EXISTS odd WITH (FORCE)');
  my $listener = new_database('odd');
  my $odd = session($node, 'odd');
  $odd->run('CREATE SCHEMA s; CREATE SEQUENCE s.numbers; CREATE TABLE s.empty (); CREATE VIEW s.view AS SELECT 1::bigint AS position');
  $odd->run("CREATE $kind TABLE " . ($kind ? '' : 's.') . 'odd (' . sprintf($column, "'s.$sequence'") . ") $partitions");
  my $table = ($kind ? '' : 's.') . 'odd';
  $odd->run("INSERT INTO $table VALUES (1)") if !$partitions;
  $odd->run("CREATE TRIGGER after_append AFTER INSERT ON $table FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append('worker', " . ($channel // "'odd'") . ')');
  die $odd->{err} if $odd->state ne '00000';
  $odd->run("SELECT nextval('s.numbers') FROM generate_series(1, 2)");
  my ($rc, $out) = $node->psql('odd', q{SELECT "position" FROM eventstore.append('{"event_type": "e", "data": 1}')});
  ok($rc == 0 && eval { is_told($listener, $out, undef, 10) }, "$name: appends to proper stores are announced");
  ok(eval { $odd->run("SELECT 'alive'") =~ /alive/ }, "$name: the server goes on");
  eval { $_->quit } for $odd, $listener;
}

### The server restarts, also after a crash.
{
  soon('postgres', 'SELECT true') or die 'the server is gone';
  my $listener = new_database('crash');
  my $writer = session($node, 'crash');
  is(is_told($listener, append($writer)), 1, 'before a crash it announces');
  $writer->run('BEGIN');
  append($writer);
  wait_for_notifiers('crash', 1);
  my ($pid) = notifiers('crash');
  my $log = log_end();
  kill 'KILL', $pid;
  ok($node->wait_for_log(qr/database system is ready to accept connections/, $log), 'kill -9 restarts the server');
  eval { $_->quit } for $writer, $listener;
  soon('crash', 'SELECT true') or die 'the server is gone';
  $listener = session($node, 'crash');
  $listener->run('LISTEN eventstore_events');
  is(is_told($listener, append('crash')), 1, 'after a crash it announces');
  $listener->quit;

  append('crash');
  $node->restart;
  $listener = session($node, 'crash');
  $listener->run('LISTEN eventstore_events');
  is(is_told($listener, append('crash')), 1, 'after a restart it announces');

  # Nobody calls it when a transaction that was prepared before ends, so its
  # events are announced with the next append at the latest.
  $node->safe_psql('crash', q{
    SELECT eventstore.create_store('shop.orders');
    BEGIN; SELECT eventstore.append_event('e', '1', store => 'shop.orders'); PREPARE TRANSACTION 'p'});
  $listener->quit;
  $node->restart;
  $listener = session($node, 'crash');
  $listener->run('LISTEN shop_orders');
  $node->safe_psql('crash', "COMMIT PREPARED 'p'");
  append('crash');
  is(is_told($listener, 1, 'shop.orders'), 1, 'an append that was prepared before a restart is announced');
  $listener->quit;
}

### No free worker slot.
{
  my $refused = qr/could not start a notifier/;
  $node->append_conf('postgresql.conf', "max_logical_replication_workers = 0\nmax_worker_processes = 0");
  $node->restart;
  my $log = log_end();
  my $listener = new_database('crammed');
  $node->safe_psql('crammed', "SELECT eventstore.create_store('c.events', 'commit'); SELECT eventstore.create_store('o.events', 'off')");
  my ($first, $second) = (session($node, 'crammed'), session($node, 'crammed'));
  my $messages = sub { return scalar(() = slurp_file($node->logfile, $log) =~ /$refused/g) };

  is(is_told($listener, append($first)), 1, 'without a worker appends are announced') for 1 .. 3;
  is($messages->(), 1, 'the log says so once');
  is(is_told($listener, append($second)), 1, 'by each session');
  append($second);
  is($messages->(), 2, 'once');
  append('crammed', $_) for 'o.events', 'c.events';
  is($messages->(), 2, 'stores in other modes do not need one');
  $first->run("BEGIN; SELECT eventstore.append_event('e', '1')");
  is(is_told($listener, $node->safe_psql('crammed', 'SELECT max(position) + 1 FROM eventstore.events'), undef, 1), 0, 'an open append is not announced');
  $first->run('ROLLBACK');
  is(is_told($listener, $node->safe_psql('crammed', 'SELECT max(position) + 1 FROM eventstore.events'), undef, 1), 0, 'nor one that is rolled back');
  is(sqlstate($node, "SELECT eventstore.append_event('e', '1'); DROP EXTENSION pg_eventstore CASCADE; CREATE EXTENSION pg_eventstore", dbname => 'crammed'), '00000',
    'the extension can be dropped and made');
  is(is_told($listener, append($second)), 1, 'and goes on');
  $_->quit for $first, $second, $listener;

  # each append of many clients that start at once announces itself
  $listener = new_database('crowd_without');
  $node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '50', '-f', append_script(), 'crowd_without' ], 'eight clients append');
  my $sum = 0;
  $sum += decode_json($_->[1])->{count} for heard_by($listener, $node, 'crowd_without');
  is($sum, 400, 'without a worker no append of a crowd is forgotten');
  $listener->quit;

  # one slot, taken by another database until it is free
  $node->append_conf('postgresql.conf', 'max_worker_processes = 1');
  $node->restart;
  $listener = session($node, 'crammed');
  $listener->run('LISTEN eventstore_events');
  my $keeper = keep_notifier('crash');
  my $writer = session($node, 'crammed');
  is(is_told($listener, append($writer)), 1, 'an append is announced while another database has the only worker');
  is(scalar(notifiers('crammed')), 0, 'by no notifier');
  $keeper->run('COMMIT');
  wait_for_notifiers('crash', 0);
  my $position = append($writer);
  is(is_told($listener, $position), 1, 'an append is announced when it has left');
  $writer->run('BEGIN');
  append($writer);
  ok(wait_for_notifiers('crammed', 1), 'by a notifier again');
  $writer->run('COMMIT');

  # one that is ended finds no slot for its successor while it is there itself
  $writer->run('BEGIN');
  $position = append($writer);
  $node->safe_psql('postgres', "SELECT pg_terminate_backend($_)") for notifiers('crammed');
  ok(wait_for_notifiers('crammed', 0), 'a notifier is ended while a transaction relies on it');
  sleep 1.5;
  $writer->run('COMMIT');
  is(is_told($listener, $position), 1, 'which is announced nevertheless');
  $_->quit for $keeper, $writer, $listener;
}

$node->stop;
is(complaints(0, qr/terminating background worker "pg_eventstore notifier" due to administrator command|canceling statement due to lock timeout|cannot fire deferred trigger within security-restricted operation/),
  '', 'it had nothing to complain about');
done_testing();
