# The notifier: its start and its exit, the failures that it survives, and that no
# notification is lost.
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
  return join '', grep { /pg_eventstore notifier (?:WARNING|ERROR|FATAL|PANIC):/ && !($expected && /$expected/) }
    split /^/, slurp_file($node->logfile, $from // 0);
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

# Terminate the notifier of a database, and wait until its process has ended; whether
# there was one. While an append is open it has a successor.
sub terminate_notifier
{
  my ($dbname) = @_;
  my ($pid) = notifiers($dbname) or return 0;
  $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
  soon('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'it does not end';
  return 1;
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

  append($open);
  $open->run('BEGIN');
  append($open);
  ok(soon('postgres', q{SELECT application_name = 'pg_eventstore notifier' AND state = 'idle' AND query ~ 'open append'
    FROM pg_stat_activity WHERE datname = 'shows' AND backend_type = 'pg_eventstore notifier'}), 'it tells what it waits for');
  is(is_told($listener, 2, undef, 1.5), 0, 'nothing is announced while the append is open');
  is(scalar(notifiers('shows')), 1, 'it stays as long');
  $open->run('COMMIT');
  my $end = time;
  is(is_told($listener, 2), 1, 'then it is');
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

  # a notifier that works holds the lease
  $watcher->start_sql(q{
    CREATE TEMP TABLE seen (n int);
    DO $$
    DECLARE n int; top bigint := 0; until timestamptz := clock_timestamp() + '20 s';
    BEGIN
      LOOP
        SELECT count(*) INTO n FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 17742 AND objid = 0
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
  is(is_told($listener, 400), 1, 'the last append is announced');
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

  # nor does it keep its session from starting a notifier later
  my $writer = session($node, 'moved');
  wait_for_notifiers('moved', 0);
  is($writer->run('SELECT eventstore.advance_watermark()'), 2, 'there is nothing to announce');
  my $position = append($writer);
  is(scalar(notifiers('moved')), 1, 'the next append of the session has a notifier');
  is(is_told($listener, $position), 1, 'which announces it');
  $writer->quit;
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
  # again and again, as the notifier must look just when the store is gone
  my $log = log_end();
  my @again = map { ('-c', $_) } "SELECT eventstore.append_event('e', '1')", 'SELECT pg_sleep(random() * 0.09)',
    'DROP EXTENSION pg_eventstore', 'CREATE EXTENSION pg_eventstore';
  $node->command_ok([ 'psql', '-qXd', 'dropped', (@again) x 40 ], 'it is dropped and made 40 times');
  is(complaints($log), '', 'and the notifier does not mind');
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
  terminate_notifier('locked') or die 'no notifier';
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

### A store that is idle is not visited: it does not matter that others have locked it.
{
  my $listener = new_database('idle');
  $node->safe_psql('idle', "SELECT eventstore.create_store('x.busy'), eventstore.create_store('x.idle')");
  $listener->run('LISTEN x_busy; LISTEN x_idle');
  my $locker = session($node, 'idle');
  is(is_told($listener, append('idle', $_), $_), 1, "$_ is announced") for 'x.idle', 'x.busy';
  # a notifier that has come to know the store before it is locked
  my $keeper = keep_notifier('idle');
  soon('idle', "SELECT count(*) = 3 FROM eventstore.watermarks WHERE announced > 0 AND store::text ~ '^(x|keep)[.]'") or die 'there are no watermarks';
  sleep 0.5;
  $locker->run('BEGIN; LOCK TABLE x.idle');
  # has the notifier look at all stores anew
  $node->safe_psql('idle', 'CREATE TABLE x.other (a int)');
  is(is_told($listener, append('idle', 'x.busy'), 'x.busy'), 1, 'the busy store is announced');
  $keeper->run('ROLLBACK');
  $keeper->quit;
  ok(wait_for_notifiers('idle', 0), 'and nothing keeps the notifier from leaving');
  $locker->run('COMMIT');
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
  my ($first, $second) = (session($node, 'killed'), session($node, 'killed'));

  # others append at once, while the session that started it is still there
  for (1 .. 3)
  {
    wait_for_notifiers('killed', 0);
    is(is_told($listener, append($first)), 1, 'it announces');
    ok(terminate_notifier('killed'), 'it is terminated');
    is(is_told($listener, append($second), undef, 10), 1, 'an append of another session is announced');
  }
  for my $end ('append', 'commit only')
  {
    is(is_told($listener, append($first)), 1, 'it announces');
    $first->run('BEGIN');
    my $position = append($first);
    wait_for_notifiers('killed', 1);
    ok(terminate_notifier('killed'), 'it is terminated while a transaction that has called it is open');
    $position = append($first) if $end eq 'append';
    $first->run('COMMIT');
    is(is_told($listener, $position, undef, 10), 1, "the commit is announced ($end)");
  }
  $_->quit for $first, $second, $listener;
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
  # The notifier rests for longer if it finds many positions at a look.
  append_to_file($script, q{SELECT count(eventstore.append_event('e', '1')) FROM generate_series(1, 20);});
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

### What stands in the way of a look, ends it, or changes a store meanwhile.
{
  my $listener = new_database('harmed');
  my ($writer, $other) = map { session($node, 'harmed') } 1 .. 2;

  # an index is locked for long
  $writer->run('BEGIN');
  my $position = append($writer);
  $other->run('BEGIN; ALTER INDEX eventstore.events_position_key SET TABLESPACE pg_default');
  $writer->run('COMMIT');
  is(is_told($listener, $position, undef, 3), 0, 'while the index of the positions is locked nothing is announced');
  $other->run('COMMIT');
  is(is_told($listener, $position), 1, 'but then it is');

  # it cannot be canceled, as it runs no statement of anybody
  $writer->run('BEGIN');
  append($writer);
  $position = append('harmed');
  my ($pid) = notifiers('harmed');
  $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
  sleep 0.3;
  $writer->run('ROLLBACK');
  is(is_told($listener, $position), 1, 'pg_cancel_backend() keeps nothing from being announced');

  # the transaction that appends changes the mode, the name, or drops the store
  $writer->run('BEGIN');
  $position = append($writer);
  $writer->run("SELECT eventstore.set_notifications('eventstore.events', 'commit'); COMMIT");
  is(is_told($listener, $position), 1, 'an append is announced that sets mode commit');
  $writer->run("SELECT eventstore.set_notifications('eventstore.events', 'off'); BEGIN");
  $position = append($writer);
  $writer->run("SELECT eventstore.set_notifications('eventstore.events', 'worker'); COMMIT");
  is(is_told($listener, $position), 1, 'and one that sets mode worker');
  $writer->run("SELECT eventstore.create_store('h.old', 'commit', 'eventstore_events'); BEGIN");
  $position = append($writer, 'h.old');
  $writer->run('ALTER TABLE h.old RENAME TO new; COMMIT');
  is(is_told($listener, $position, 'h.new'), 1, 'and one that renames the store, by the new name');
  $writer->run("BEGIN; SELECT eventstore.append_event('e', '1', store => 'h.new'); SELECT eventstore.drop_store('h.new', true); COMMIT");
  is($writer->state, '00000', 'a store can be dropped after an append');
  $_->quit for $writer, $other, $listener;
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

### A notifier that cannot start.

# What view eventstore.notifier says of a database.
sub view
{
  my ($dbname, $columns) = @_;
  return $node->safe_psql($dbname, "SELECT $columns FROM eventstore.notifier");
}

# How often a start has failed since a place in the log.
sub failures
{
  my ($from) = @_;
  return scalar(() = slurp_file($node->logfile, $from) =~ /LOG:\s+could not start the pg_eventstore notifier/g);
}

# The library that a session has loaded is found by a worker, too. The server's setting
# dynamic_library_path does not apply to what extension_destdir adds.
SKIP:
{
  my $destdir = $node->safe_psql('postgres', "SELECT current_setting('extension_destdir', true)");
  skip 'the server has no setting extension_destdir', 8 if !$destdir;
  my $copy = PostgreSQL::Test::Utils::tempdir_short() . '/dest';
  system('cp', '-r', $destdir, $copy) == 0 or die 'cannot copy the extension';
  $node->append_conf('postgresql.conf', "extension_destdir = '$copy'\ndynamic_library_path = '\$libdir'");
  $node->restart;
  my $log = log_end();
  my $listener = new_database('elsewhere');
  is(is_told($listener, append('elsewhere')), 1, 'without dynamic_library_path appends are announced');
  is(failures($log), 0, 'which could be started');

  # until it is gone, when the session has loaded it
  my $writer = session($node, 'elsewhere');
  append($writer);
  wait_for_notifiers('elsewhere', 0);
  my ($library) = glob "$copy/usr/lib/postgresql/*/lib/pg_eventstore.so";
  skip 'the library is not where Debian has it', 6 if !$library;
  rename $library, "$library.gone" or die 'cannot rename the library';
  $log = log_end();
  is(is_told($listener, append($writer)), 1, 'without the library an append is announced at once');
  is(failures($log), 1, 'and the log has a line');
  is($writer->run('SELECT state, failed_starts, last_error FROM eventstore.notifier'),
    'pausing|1|the background worker ended before it was ready', 'as has the view');
  $writer->run('BEGIN');
  append($writer);
  $writer->run("PREPARE TRANSACTION 'p'");
  is($writer->state, '55000', 'PREPARE TRANSACTION fails');
  rename "$library.gone", $library or die 'cannot rename the library';
  for (1 .. 100)
  {
    append($writer);
    last if notifiers('elsewhere');
    sleep 0.1;
  }
  is(scalar(notifiers('elsewhere')), 1, 'with the library there is a notifier again');
  is(is_told($listener, append($writer)), 1, 'which announces');
  $_->quit for $writer, $listener;
  $node->append_conf('postgresql.conf', "extension_destdir = '$destdir'");
  $node->append_conf('postgresql.conf', "dynamic_library_path = '" . slurp_file($ENV{TEMP_CONFIG}) =~ s/.*dynamic_library_path = '([^']*)'.*/$1/sr . "'");
  $node->restart;
}

# It is not ready in time, and terminated while it starts.
{
  my $listener = new_database('blocked');
  my ($writer, $locker) = (session($node, 'blocked'), session($node, 'blocked'));
  append($writer);
  wait_for_notifiers('blocked', 0);
  for my $end ('late', 'terminated')
  {
    my $log = log_end();
    $locker->run('BEGIN; LOCK TABLE pg_trigger IN ACCESS EXCLUSIVE MODE') if $end eq 'late';
    $locker->run('BEGIN; LOCK TABLE pg_db_role_setting IN ACCESS EXCLUSIVE MODE') if $end eq 'terminated';
    my $sql = q{SELECT eventstore.append_event('e', '1')};
    $writer->start_sql($sql);
    if ($end eq 'terminated')
    {
      my $pid;
      for (1 .. 100)
      {
        $pid = $locker->run(q{SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'pg_db_role_setting'::regclass AND pid <> pg_backend_pid()});
        last if $pid =~ /^\d+$/;
        sleep 0.01;
      }
      kill 'TERM', $pid;
    }
    $writer->finish_sql;
    is($writer->state, '00000', "$end: the append succeeds");
    $locker->run('COMMIT');
    is(is_told($listener, $node->safe_psql('blocked', 'SELECT max(position) FROM eventstore.events')), 1, "$end: and is announced");
    is(failures($log), 1, "$end: the log has a line");
    my $next = $writer->run('SELECT GREATEST(0, extract(epoch FROM next_start_at - clock_timestamp())) + 0.1 FROM eventstore.notifier');
    sleep $next;
    is(is_told($listener, append($writer)), 1, "$end: it recovers");
    ok(wait_for_notifiers('blocked', 1), "$end: by itself");
    wait_for_notifiers('blocked', 0);
  }
  $_->quit for $writer, $locker, $listener;
}

# Settings that are hard on a worker.
{
  my $listener = new_database('hard');
  my $writer = session($node, 'hard');
  for my $setting ('exit_on_error = on', "max_stack_depth = '100kB'", "session_authorization = 'plain'", 'temp_file_limit = 0', "default_tablespace = 'nowhere'",
    "default_table_access_method = 'nothing'", 'transaction_timeout = 1', 'work_mem = 64')
  {
    wait_for_notifiers('hard', 0);
    for my $target ('DATABASE hard', 'ROLE postgres IN DATABASE hard')
    {
      my ($rc) = $node->psql('postgres', "ALTER $target SET $setting");
      next if $rc != 0;    # not in this version
      is(is_told($listener, append($writer), undef, 20), 1, "with $setting for $target appends are announced");
      my ($name) = split / /, $setting;
      $node->safe_psql('postgres', "ALTER $target RESET $name");
    }
  }
  diag($writer->run('SELECT failed_starts, last_error FROM eventstore.notifier')) if $ENV{HARD};
  $_->quit for $writer, $listener;
}

# No free slot.
{
  $node->append_conf('postgresql.conf', "max_logical_replication_workers = 0\nmax_worker_processes = 0");
  $node->restart;
  my $log = log_end();
  my $listener = new_database('crammed');
  $node->safe_psql('crammed', "SELECT eventstore.create_store('c.events', 'commit'); SELECT eventstore.create_store('o.events', 'off')");
  my ($first, $second) = (session($node, 'crammed'), session($node, 'crammed'));

  append('crammed', $_) for 'o.events', 'c.events';
  is(failures($log), 0, 'stores in other modes need no notifier');
  is(view('crammed', 'state, failed_starts, last_error IS NULL'), 'absent|0|t', 'it is absent');

  my $start = time;
  is(is_told($listener, append($_)), 1, 'without a notifier an append is announced at once') for $first, $second, $first;
  is(failures($log), 1, 'the log says once for all sessions that none could be started');
  is(view('crammed', 'state, pid IS NULL, failed_starts, last_error'), 'pausing|t|1|no background worker slot is free', 'the view says why');
  is(view('crammed', "last_error_at > now() - interval '1 min' AND next_start_at - last_error_at = interval '1 s'"), 't', 'and when the next try may be');

  # pauses grow: the tries are 1, 2 and 4 seconds apart
  my $appends = 0;
  while (time < $start + 8)
  {
    append(++$appends % 2 ? $first : $second);
    sleep 0.05;
  }
  is(failures($log), 4, 'the pauses between two tries grow');
  is(view('crammed', 'failed_starts, next_start_at - last_error_at'), '4|00:00:08', 'the view tells');

  # who reads for the first time would like to have one, but does not insist
  $node->safe_psql('crammed', 'UPDATE eventstore.notifier_status SET next_start_at = NULL');
  $node->safe_psql('crammed', 'SELECT count(*) FROM eventstore.read_events()') for 1 .. 5;
  is(failures($log), 4, 'readers log nothing');
  $node->safe_psql('crammed', "UPDATE eventstore.notifier_status SET next_start_at = clock_timestamp() + interval '8 s'");
  # a serializable append reads the row, and does not conflict about it
  $second->run("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM pg_catalog.pg_class");
  $node->safe_psql('crammed', q{SET default_transaction_isolation = 'serializable'; SELECT eventstore.append_event('e', '1')});
  is($node->safe_psql('crammed', q{SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'eventstore.notifier_status'::regclass}), 0, 'it takes no predicate lock');
  $second->run('COMMIT');
  is(is_told($listener, $node->safe_psql('crammed', 'SELECT max(position) FROM eventstore.events')), 1, 'all that was appended meanwhile is announced');

  $first->run("BEGIN; SELECT eventstore.append_event('e', '1')");
  $listener->hears(sub { 1 });
  is(is_told($listener, $node->safe_psql('crammed', 'SELECT max(position) + 1 FROM eventstore.events'), undef, 1), 0, 'an open append is not announced');
  $first->run('ROLLBACK');
  is(is_told($listener, $node->safe_psql('crammed', 'SELECT max(position) + 1 FROM eventstore.events'), undef, 1), 0, 'nor one that is rolled back');

  # a prepared transaction cannot announce itself
  is(sqlstate($node, "BEGIN; SELECT eventstore.append_event('e', '1'); PREPARE TRANSACTION 'p'", dbname => 'crammed'), '55000', 'PREPARE TRANSACTION fails');
  is(sqlstate($node, "BEGIN; SELECT eventstore.append_event('e', '1', store => 'c.events'); PREPARE TRANSACTION 'p'", dbname => 'crammed'), '0A000', 'also in mode commit');
  is(sqlstate($node, "BEGIN; SELECT eventstore.append_event('e', '1', store => 'o.events'); PREPARE TRANSACTION 'p'", dbname => 'crammed'), '00000', 'but not when notifications are off');
  $node->safe_psql('crammed', "ROLLBACK PREPARED 'p'");

  is(sqlstate($node, "SELECT eventstore.append_event('e', '1'); DROP EXTENSION pg_eventstore CASCADE; CREATE EXTENSION pg_eventstore", dbname => 'crammed'), '00000',
    'the extension can be dropped and made');
  is(is_told($listener, append($second)), 1, 'and goes on');
  $_->quit for $first, $second, $listener;

  # each append of many clients that start at once announces itself
  $listener = new_database('crowd_without');
  $log = log_end();
  $node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '50', '-f', append_script(), 'crowd_without' ], 'eight clients append');
  is(scalar(my @all = heard_by($listener, $node, 'crowd_without')), 400, 'without a notifier no append of a crowd is forgotten');
  cmp_ok(failures($log), '<=', 4, 'and few tries are made');
  $listener->quit;
}

# One slot, taken by another database until it is free.
{
  $node->append_conf('postgresql.conf', 'max_worker_processes = 1');
  $node->restart;
  my $listener = session($node, 'crammed');
  $listener->run('LISTEN eventstore_events');
  my $keeper = keep_notifier('crash');
  my $writer = session($node, 'crammed');
  is(is_told($listener, append($writer)), 1, 'an append is announced while another database has the only worker');
  is(scalar(notifiers('crammed')), 0, 'by no notifier');
  $keeper->run('COMMIT');
  wait_for_notifiers('crash', 0);
  is(is_told($listener, append($writer)), 1, 'an append is announced when it has left');
  for (1 .. 100)
  {
    append($writer);
    last if notifiers('crammed');
    sleep 0.1;
  }
  is(scalar(notifiers('crammed')), 1, 'by a notifier again, without anybody doing anything about it');
  ok(soon('crammed', q{SELECT failed_starts = 0 AND next_start_at IS NULL AND last_error IS NOT NULL FROM eventstore.notifier}), 'which says that it works, and keeps the last error');

  # a transaction relies on it, it is ended, and another database takes the slot
  $writer->run('BEGIN');
  my $position = append($writer);
  wait_for_notifiers('crammed', 1) or die 'no notifier';
  ok(terminate_notifier('crammed'), 'a notifier is ended while a transaction relies on it');
  for (1 .. 100)
  {
    append($keeper, 'keep.events');
    last if notifiers('crash');
    sleep 0.1;
  }
  $keeper->run('BEGIN');
  append($keeper, 'keep.events');
  is(scalar(notifiers('crash')), 1, 'another database takes the slot');
  $writer->run('COMMIT');
  is($writer->state, '00000', 'the transaction commits');
  is(is_told($listener, $position), 1, 'and is announced nevertheless');
  $_->quit for $keeper, $writer, $listener;

  # many clients, few slots
  $node->append_conf('postgresql.conf', 'max_worker_processes = 2');
  $node->restart;
  $listener = new_database('crowd_few');
  my $log = log_end();
  $node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '50', '-f', append_script(), 'crowd_few' ], 'eight clients start at once');
  is(is_told($listener, 400), 1, 'the last append is announced');
  is(failures($log), 0, 'and two slots are enough');
  $listener->quit;
}

$node->stop;
is(complaints(0, qr/terminating background worker "pg_eventstore notifier" due to administrator command|canceling statement due to lock timeout|could not access file ".*": No such file|invalid value for parameter "default_t/),
  '', 'it had nothing to complain about');
done_testing();
