# Faults of projections that background workers run: workers that cannot start, are killed,
# canceled or fail, handlers that raise errors or hang, tables, roles, stores and databases
# that are dropped, standbys and dumps. In each case, the projection has every event once in
# the end, and view eventstore.projections shows what is wrong meanwhile.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_node('projections', q{
autovacuum = off
max_prepared_transactions = 10
max_worker_processes = 12
restart_after_crash = on
log_line_prefix = '%m [%p] %b '
}, allows_streaming => 1);
my $dir = PostgreSQL::Test::Utils::tempdir;
my $patience = $ENV{PGES_PATIENCE} || 60;

# A database that the tests copy: a table that counts and sums, two handlers that fill it, and
# the faults that these raise: for one event or all, always or a number of times. The sequence
# counts the times, because a rollback does not undo it. View differences has the aggregates
# whose count or sum differs from the store's, without events that are parked.
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model', <<'EOS');
CREATE EXTENSION pg_eventstore;
CREATE TABLE totals (aggregate_id text PRIMARY KEY, events bigint, amount bigint);
CREATE TABLE faults (position bigint, code text, times bigint, nap float8);
CREATE SEQUENCE tried;
CREATE SEQUENCE called;
CREATE FUNCTION fail(at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE f faults;
BEGIN
  PERFORM nextval('called');
  FOR f IN SELECT * FROM faults WHERE position IS NULL OR position = at LOOP
    PERFORM pg_sleep(f.nap) WHERE f.nap > 0;
    CONTINUE WHEN f.code IS NULL OR (f.times IS NOT NULL AND nextval('tried') > f.times);
    CONTINUE WHEN f.times < 0 AND random() > 0.05;
    RAISE EXCEPTION 'a fault' USING ERRCODE = f.code;
  END LOOP;
END $$;
CREATE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::bigint)
    ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount;
  PERFORM fail(e.position);
END $$;
CREATE FUNCTION add_all(e eventstore.event[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO totals
    SELECT aggregate_id, count(*), sum((data->>'amount')::bigint) FROM unnest(e) GROUP BY 1 ORDER BY 1
    ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + excluded.events, amount = totals.amount + excluded.amount;
  PERFORM fail(position) FROM unnest(e);
END $$;
CREATE TABLE other (position bigint PRIMARY KEY);
CREATE FUNCTION note_one(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO other VALUES (e.position)';
CREATE VIEW differences AS
SELECT aggregate_id FROM (
  SELECT aggregate_id, count(*) AS events, sum((data->>'amount')::bigint)::bigint AS amount FROM eventstore.events
   WHERE position NOT IN (SELECT p.position FROM eventstore.parked_events p WHERE p.subscription = 'p') GROUP BY 1) s
  FULL JOIN totals t USING (aggregate_id)
 WHERE s.events IS DISTINCT FROM t.events OR s.amount IS DISTINCT FROM t.amount;
EOS

# A new database, as a copy of the model, with projection p of a handler.
sub new_database
{
  my ($dbname, $handler, $arguments, $on) = @_;
  ($on // $node)->safe_psql('postgres', "CREATE DATABASE $dbname TEMPLATE model");
  create($dbname, $handler, $arguments, $on) if $handler;
  return $dbname;
}

# Create projection p.
sub create
{
  my ($dbname, $handler, $arguments, $on) = @_;
  my $type = $handler eq 'add_all' ? 'eventstore.event[]' : 'eventstore.event';
  $arguments = $arguments ? ", $arguments" : '';
  return ($on // $node)->safe_psql($dbname, "SELECT eventstore.create_projection('p', 'public.$handler($type)', tables => '{totals}'$arguments)");
}

# The query that appends some events in one transaction, to seven aggregates.
sub append_query
{
  my ($count) = @_;
  return "SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 7)) FROM generate_series(1, $count) i";
}
sub append { my ($dbname, $count) = @_; return $node->safe_psql($dbname, append_query($count)) }

# Wait until a query gives "t", for $patience seconds; the server may be restarting.
sub soon
{
  my ($dbname, $sql, $what, $on) = @_;
  my $end = time + $patience;
  my ($out, $err);
  while (time < $end)
  {
    my $rc = ($on // $node)->psql($dbname, $sql, stdout => \$out, stderr => \$err);
    return pass($what) if $rc == 0 && $out eq 't';
    sleep 0.1;
  }
  ($on // $node)->psql($dbname, q{SET lock_timeout = '5s'; SELECT * FROM eventstore.projections}, stdout => \my $view, extra_params => ['-x']);
  diag("$sql gives \"$out\" $err\n$view");
  return fail($what);
}

# Wait until projection p is in a state.
sub in_state
{
  my ($dbname, $state, $what) = @_;
  return soon($dbname, "SELECT state = '$state' FROM eventstore.projections WHERE name = 'p'", $what);
}

# Wait until projection p has all events, and compare its table with the store.
sub complete
{
  my ($dbname, $what, $on) = @_;
  $on //= $node;
  soon($dbname, q{SELECT state = 'current' FROM eventstore.projections WHERE name = 'p'}, "$what: all events are handled", $on);
  return is($on->safe_psql($dbname, 'SELECT * FROM differences'), '', "$what: each exactly once");
}

# What the view shows of projection p.
sub shows
{
  my ($dbname, $columns) = @_;
  return $node->safe_psql($dbname, "SELECT $columns FROM eventstore.projections WHERE name = 'p'");
}

# The process ids of the workers that run projections in a database.
sub workers
{
  my ($dbname) = @_;
  return split /\n/, $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE datname = '$dbname' AND backend_type = 'pg_eventstore projections' ORDER BY pid");
}

# Append until a database has a notifier, which an open append keeps.
sub await_notifier
{
  my ($dbname) = @_;
  for (1 .. 100)
  {
    $node->safe_psql($dbname, "SELECT eventstore.append_event('e', '1')");
    return if $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$dbname' AND backend_type = 'pg_eventstore notifier'") eq '1';
    sleep 0.3;
  }
  die 'no notifier';
}

# Drop a database without FORCE.
sub drop_database
{
  my ($dbname, $what) = @_;
  is(sqlstate($node, "DROP DATABASE $dbname"), '00000', $what // "$dbname can be dropped");
  $node->safe_psql('postgres', "DROP DATABASE IF EXISTS $dbname WITH (FORCE)");
  return;
}

# Set a setting of the server, or reset it.
sub set
{
  my ($name, $value) = @_;
  $node->adjust_conf('postgresql.conf', $name, undef);
  $node->append_conf('postgresql.conf', "$name = '$value'") if defined $value;
  $node->reload;
  return;
}

# Which sections to run; without arguments, all.
my @sections;
sub section { my ($name, $code) = @_; push @sections, [ $name, $code ]; return }

### The handler raises errors.
section errors => sub {
  for my $handler (qw(add_one add_all))
  {
    for my $on_error (qw(stop park skip))
    {
      my $db = new_database("${on_error}_$handler", $handler, "on_error => '$on_error', max_attempts => 2, backoff => '20 ms'");
      my $what = "$handler, $on_error";
      append($db, 100);
      complete($db, "$what, no fault");
      # one event
      $node->safe_psql($db, "INSERT INTO faults VALUES (150, 'P0001')");
      append($db, 100);
      if ($on_error eq 'stop')
      {
        in_state($db, 'failed', "$what: the projection has failed");
        is(shows($db, 'position, last_error_position, last_error_event_type, last_error'), '149|150|added|a fault (SQLSTATE P0001)', "$what: the view shows the event and the error");
        is($node->safe_psql($db, 'SELECT count(*) FROM differences'), '7', "$what: the projection is behind");
        is(sqlstate($node, "SELECT eventstore.wait_for_projection('p')", dbname => $db), '55000', "$what: nobody waits for it");
      }
      else
      {
        complete($db, "$what, one event");
        is(shows($db, 'parked, last_error_position'), ($on_error eq 'park' ? '8' : '1') . '|150', "$what: the event is parked");
      }
      $node->safe_psql($db, 'DELETE FROM faults');
      $node->safe_psql($db, $on_error eq 'stop' ? "SELECT eventstore.resume_projection('p')" : "SELECT eventstore.replay_parked('p')");
      soon($db, "SELECT lag = 0 AND parked = 0 FROM eventstore.projections", "$what: after the repair all are handled");
      complete($db, "$what, repaired");
      # all events
      $node->safe_psql($db, "INSERT INTO faults VALUES (NULL, '22012')");
      append($db, 20);
      if ($on_error eq 'stop')
      {
        in_state($db, 'failed', "$what, all events: the projection has failed");
        is(append($db, 1), 1, "$what: appends succeed");
        $node->safe_psql($db, 'DELETE FROM faults');
        complete($db, "$what, all events, repaired: by itself");
      }
      else
      {
        soon($db, 'SELECT parked = 20 AND lag = 0 FROM eventstore.projections', "$what, all events: they are parked");
        is($node->safe_psql($db, "SELECT eventstore.discard_parked('p', at_position => (SELECT min(position) FROM eventstore.parked_events))"), '1', "$what: one is discarded");
        $node->safe_psql($db, 'DELETE FROM faults');
        $node->safe_psql($db, "SELECT eventstore.replay_parked('p')");
        soon($db, 'SELECT parked = 0 AND lag = 0 FROM eventstore.projections', "$what: the others are replayed");
        is($node->safe_psql($db, 'SELECT (SELECT count(*) FROM eventstore.events) - (SELECT sum(events) FROM totals)'), '1', "$what: each once, but for one");
      }
      drop_database($db);
    }
    # some calls: fewer than 2^31, more than a failing event can have
    my $db = new_database("sometimes_$handler", $handler, "max_attempts => 1000, backoff => '1 ms', batch_size => 50");
    $node->safe_psql($db, "INSERT INTO faults VALUES (NULL, 'P0001', -1)");
    append($db, 300) for 1 .. 3;
    complete($db, "$handler, errors at random");
    drop_database($db);
  }
};

### Errors with another cause than the event do not count as attempts.
section causes => sub {
  for my $code (qw(40P01 40001 53100 53200 55P03 57P01))
  {
    my $db = new_database(lc "cause_$code", 'add_one', q{on_error => 'park', max_attempts => 1});
    $node->safe_psql($db, "INSERT INTO faults VALUES (2, '$code')");
    append($db, 3);
    soon($db, "SELECT state = 'failed' AND last_error ~ '$code' FROM eventstore.projections", "$code: the view shows it in the end");
    $node->safe_psql($db, 'DELETE FROM faults');
    complete($db, $code);
    is(shows($db, 'parked'), '0', "$code: it is no attempt");
    drop_database($db);
  }
  # a real deadlock
  my $db = new_database('deadlock', 'add_one', q{on_error => 'park', max_attempts => 1});
  append($db, 7);
  complete($db, 'before the deadlock');
  my $session = session($node, $db);
  $session->run("SET deadlock_timeout = '1h'; BEGIN; UPDATE totals SET events = events WHERE aggregate_id = 'a2'");
  append($db, 2);
  soon($db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections' AND wait_event_type = 'Lock'}, 'the handler waits for a lock');
  $session->start_sql("UPDATE totals SET events = events WHERE aggregate_id = 'a1'");
  $session->finish_sql;
  is($session->state, '00000', 'the worker ends the deadlock');
  $session->run('COMMIT');
  complete($db, 'deadlock');
  is(shows($db, 'parked'), '0', 'a deadlock is no attempt');
  $session->quit;
  drop_database($db);
};

### The worker ends.
section ends => sub {
  my $db = new_database('ends', 'add_one', q{on_error => 'park', max_attempts => 1});
  $node->safe_psql($db, 'INSERT INTO faults (nap) VALUES (0.005)');
  append($db, 400);
  for my $how (qw(cancel terminate))
  {
    for (1 .. 4)
    {
      $node->poll_query_until('postgres', "SELECT bool_or(pg_${how}_backend(pid)) FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_eventstore projections' AND state = 'active'") or die 'no worker is active';
      sleep 0.2;
    }
  }
  complete($db, 'canceled and terminated');
  is(shows($db, 'parked'), '0', 'no attempt is counted');

  # a run of one event
  $node->safe_psql($db, 'UPDATE faults SET nap = 3');
  for my $how (qw(cancel terminate))
  {
    append($db, 1);
    $node->poll_query_until('postgres', "SELECT bool_or(pg_${how}_backend(pid)) FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep'") or die 'no handler runs';
    complete($db, "one event, $how");
    is(shows($db, 'parked'), '0', "$how: no attempt is counted for one event");
  }

  # kill -9, and an immediate stop
  for my $how ('kill', 'stop')
  {
    $node->safe_psql($db, 'UPDATE faults SET nap = 0.01');
    append($db, 100);
    $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep'") or die;
    if ($how eq 'kill')
    {
      kill 'KILL', workers($db);
      soon('postgres', 'SELECT true', 'the server comes back');
    }
    else
    {
      $node->stop('immediate');
      $node->start;
    }
    $node->safe_psql($db, 'UPDATE faults SET nap = 0');
    is($node->safe_psql($db, "SELECT eventstore.wait_for_projection('p', timeout => '60 s') = max(position) FROM eventstore.events"), 't', "$how: without an append, wait_for_projection() starts a worker");
    complete($db, $how);
  }
  drop_database($db);
};

### A handler that runs for ever delays neither appends nor another projection.
section hangs => sub {
  my $db = new_database('hangs', 'add_one', q{on_error => 'park', max_attempts => 2, backoff => '1 ms'});
  set('pg_eventstore.projection_timeout', '3s');
  $node->safe_psql($db, 'INSERT INTO faults (nap) VALUES (3600)');
  $node->safe_psql($db, q{SELECT eventstore.create_projection('other', 'public.note_one(eventstore.event)')});
  append($db, 1);
  soon($db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep'}, 'a handler hangs');
  append($db, 1);
  soon($db, q{SELECT (SELECT state FROM eventstore.projections WHERE name = 'other') = 'current' AND
    EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep')}, 'the other projection goes on meanwhile');
  soon($db, q{SELECT last_error ~ 'timeout' FROM eventstore.projections WHERE name = 'p'}, 'the timeout is an error of the event');
  soon($db, q{SELECT parked = 2 FROM eventstore.projections WHERE name = 'p'}, 'it is parked in the end');
  $node->safe_psql($db, 'DELETE FROM faults');
  $node->safe_psql($db, q{SELECT eventstore.replay_parked('p')});
  soon($db, 'SELECT parked = 0 FROM eventstore.projections WHERE name = $$p$$', 'and replayed');
  complete($db, 'a handler that hung');
  set('pg_eventstore.projection_timeout');
  drop_database($db);

  # the statement_timeout of sessions is not that of workers
  $db = new_database('timeouts', 'add_one', q{on_error => 'park', max_attempts => 1});
  my $user = $node->safe_psql('postgres', 'SELECT quote_ident(current_user)');
  $node->safe_psql('postgres', 'CREATE ROLE bystander');
  $node->safe_psql($db, "INSERT INTO faults (nap) VALUES (0.2); ALTER DATABASE $db SET statement_timeout = '50ms'; ALTER DATABASE $db SET lock_timeout = '1ms'; ALTER DATABASE $db SET default_transaction_read_only = on; ALTER DATABASE $db SET idle_in_transaction_session_timeout = '20ms'; ALTER ROLE $user IN DATABASE $db SET statement_timeout = '60ms'; ALTER DATABASE $db SET role = bystander");
  $node->safe_psql($db, 'SET role = none; SET statement_timeout = 0; SET default_transaction_read_only = off; ' . append_query(3));
  soon($db, q{SET role = none; SET statement_timeout = 0; SELECT state = 'current' FROM eventstore.projections}, 'settings of the database and the role');
  is($node->safe_psql($db, 'SET role = none; SET statement_timeout = 0; SELECT parked FROM eventstore.projections'), '0', 'do not end a run');
  drop_database($db);
};

### Tables and handlers are changed under it.
section changes => sub {
  my $db = new_database('changes', 'add_one', q{backoff => '50 ms', max_attempts => 3});
  my @cases = (
    [ 'a table is dropped', 'ALTER TABLE totals RENAME TO gone', 'ALTER TABLE gone RENAME TO totals', '42P01' ],
    [ 'a column is renamed', 'ALTER TABLE totals RENAME amount TO sum', 'ALTER TABLE totals RENAME sum TO amount', '42703' ],
    [ 'the handler is renamed', 'ALTER FUNCTION add_one RENAME TO gone', 'ALTER FUNCTION gone RENAME TO add_one', '42883' ],
    [ 'the handler becomes a set', 'ALTER FUNCTION add_one RENAME TO gone; CREATE FUNCTION add_one(eventstore.event) RETURNS SETOF int LANGUAGE sql AS $$SELECT 1$$', 'DROP FUNCTION add_one; ALTER FUNCTION gone RENAME TO add_one', '42P13' ],
    [ 'the schema of the handler is renamed', 'ALTER SCHEMA public RENAME TO gone', 'ALTER SCHEMA gone RENAME TO public', '42883' ]);
  for my $case (@cases)
  {
    my ($what, $break, $repair, $code) = @$case;
    $node->safe_psql($db, $break);
    append($db, 2);
    in_state($db, 'failed', $what);
    soon($db, "SELECT last_error ~ '$code' FROM eventstore.projections", "$what: the view shows the error");
    $node->safe_psql($db, $repair);
    complete($db, "$what, repaired");
  }
  # no recovery by itself after max_attempts is needed when resume_projection() tells
  $node->safe_psql($db, "SELECT eventstore.alter_projection('p', backoff => '1 h')");
  $node->safe_psql($db, 'ALTER TABLE totals RENAME TO gone');
  append($db, 1);
  soon($db, q{SELECT retry_at > now() + '20 s' FROM eventstore.projections}, 'a long pause');
  $node->safe_psql($db, "ALTER TABLE gone RENAME TO totals; SELECT eventstore.resume_projection('p')");
  complete($db, 'resumed');
  # replaced while it runs: each event is handled by the old or the new function
  $node->safe_psql($db, 'INSERT INTO faults (nap) VALUES (0.005)');
  append($db, 200);
  for (1 .. 5)
  {
    $node->safe_psql($db, "DO \$\$ BEGIN EXECUTE replace(pg_get_functiondef('add_one'::regproc), 'BEGIN', 'BEGIN '); END \$\$");
    sleep 0.1;
  }
  complete($db, 'replaced meanwhile');
  # the projection's store
  $node->safe_psql($db, "DELETE FROM faults; SELECT eventstore.create_store('shop.s'); CREATE TABLE seen (position bigint PRIMARY KEY);
    CREATE FUNCTION see(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO seen VALUES (e.position)';
    SELECT eventstore.create_projection('q', 'see(eventstore.event)', store => 'shop.s');
    SELECT eventstore.append_event('e', '1', store => 'shop.s')");
  $node->safe_psql($db, 'ALTER TABLE shop.s RENAME TO t');
  $node->safe_psql($db, "SELECT eventstore.append_event('e', '1', store => 'shop.t')");
  soon($db, q{SELECT state = 'current' AND store::text = 'shop.t' FROM eventstore.projections WHERE name = 'q'}, 'a store is renamed');
  is($node->safe_psql($db, 'SELECT count(*) FROM seen'), '2', 'its projection goes on');
  my $failing = session($node, $db);
  $failing->run('BEGIN; LOCK TABLE seen IN ACCESS EXCLUSIVE MODE');
  $node->safe_psql($db, "SELECT eventstore.append_event('e', '1', store => 'shop.t')");
  soon($db, q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'seen'::regclass)}, 'the handler waits');
  $failing->run('DROP TABLE shop.t');
  like($failing->state, qr/^(00000|40P01)$/, 'DROP TABLE of the store: one of the two ends the deadlock');
  $failing->run('COMMIT');
  $failing->quit;
  $node->safe_psql($db, 'DROP TABLE IF EXISTS shop.t');
  soon($db, q{SELECT state = 'failed' AND problem ~ 'store' FROM eventstore.projections WHERE name = 'q'}, 'the view says that the store does not exist');
  append($db, 10);
  complete($db, 'another projection after DROP TABLE of a store');
  $node->safe_psql($db, "SELECT eventstore.drop_projection('q')");
  drop_database($db);
};

### Roles.
section roles => sub {
  my $db = new_database('roles');
  $node->safe_psql($db, <<'EOS');
CREATE ROLE keeper;
GRANT USAGE ON SCHEMA eventstore TO keeper;
GRANT SELECT ON eventstore.events TO keeper;
GRANT ALL ON totals, faults TO keeper;
GRANT ALL ON SEQUENCE tried, called TO keeper;
SET ROLE keeper;
SELECT eventstore.create_projection('p', 'public.add_one(eventstore.event)', tables => '{totals}', backoff => '20 ms');
RESET ROLE;
EOS
  append($db, 10);
  complete($db, 'a projection of a role');
  my @cases = (
    [ 'no SELECT on the store', 'REVOKE SELECT ON eventstore.events FROM keeper', 'GRANT SELECT ON eventstore.events TO keeper', 'SQLSTATE 42501' ],
    [ 'no EXECUTE of the handler', 'REVOKE EXECUTE ON FUNCTION add_one FROM PUBLIC', 'GRANT EXECUTE ON FUNCTION add_one TO PUBLIC', 'SQLSTATE 42501' ],
    [ 'no USAGE of the schema', 'REVOKE USAGE ON SCHEMA public FROM PUBLIC', 'GRANT USAGE ON SCHEMA public TO PUBLIC', 'SQLSTATE' ],
    [ 'no INSERT', 'REVOKE INSERT ON totals FROM keeper', 'GRANT INSERT ON totals TO keeper', 'SQLSTATE 42501' ]);
  for my $case (@cases)
  {
    my ($what, $break, $repair, $error) = @$case;
    $node->safe_psql($db, $break);
    append($db, 2);
    in_state($db, 'failed', $what);
    soon($db, "SELECT last_error ~ '$error' FROM eventstore.projections", "$what: the view shows the error");
    $node->safe_psql($db, $repair);
    complete($db, "$what, repaired");
  }
  $node->safe_psql($db, 'ALTER ROLE keeper RENAME TO renamed');
  append($db, 1);
  soon($db, q{SELECT state = 'failed' AND problem ~ 'keeper' FROM eventstore.projections}, 'a renamed owner: the view says so');
  $node->safe_psql($db, q{SELECT eventstore.alter_projection('p', owner => 'renamed')});
  complete($db, 'a renamed owner, repaired');
  $node->safe_psql($db, 'DROP OWNED BY renamed; DROP ROLE renamed');
  append($db, 1);
  soon($db, q{SELECT state = 'failed' AND problem ~ 'role' FROM eventstore.projections}, 'a dropped owner: the view says so');
  is(sqlstate($node, "SELECT eventstore.run_projection('p')", dbname => $db), '42704', 'nobody runs it');
  $node->safe_psql($db, q{SELECT eventstore.alter_projection('p', owner => current_user)});
  complete($db, 'a dropped owner, repaired');
  drop_database($db);
};

### Stores that are truncated or emptied.
section truncated => sub {
  my $db = new_database('truncated', 'add_one');
  append($db, 5);
  complete($db, 'before');
  is(sqlstate($node, 'TRUNCATE eventstore.events', dbname => $db), '0A000', 'a store cannot be truncated');
  $node->safe_psql('postgres', "ALTER DATABASE $db SET pg_eventstore.test_database = on");
  $node->safe_psql($db, "SELECT eventstore.empty_store('eventstore.events'); TRUNCATE totals");
  append($db, 5);
  complete($db, 'an emptied store');
  drop_database($db);
};

### DROP DATABASE and DROP EXTENSION.
section drops => sub {
  my $db = new_database('drops', 'add_one', q{backoff => '1 h'});
  $node->safe_psql($db, "INSERT INTO faults VALUES (1, 'P0001')");
  append($db, 2);
  in_state($db, 'failed', 'a projection waits for its next attempt');
  is(scalar(workers($db)), 1, 'its worker waits, too');
  drop_database($db, 'the database can be dropped meanwhile');

  $db = new_database('drops', 'add_one');
  append($db, 2);
  complete($db, 'before DROP EXTENSION');
  is(sqlstate($node, 'DROP EXTENSION pg_eventstore', dbname => $db), '2BP01', 'the handler depends on the extension');
  for (1 .. 5)
  {
    $node->safe_psql($db, 'DROP EXTENSION pg_eventstore CASCADE; CREATE EXTENSION pg_eventstore;
      CREATE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO other VALUES (e.position); END $$; TRUNCATE other');
    create($db, 'add_one');
    append($db, 20);
    soon($db, q{SELECT state = 'current' FROM eventstore.projections}, 'dropped and created again');
    is($node->safe_psql($db, 'SELECT count(*) FROM other'), '20', 'the new projection has the new events');
    append($db, 1);
  }
  # an update that keeps the version: its script is empty
  $node->safe_psql($db, 'BEGIN; ALTER EXTENSION pg_eventstore UPDATE; ' . append_query(1) . '; COMMIT');
  append($db, 1);
  soon($db, q{SELECT state = 'current' FROM eventstore.projections}, 'ALTER EXTENSION ... UPDATE');
  $node->safe_psql($db, 'DROP EXTENSION pg_eventstore CASCADE');
  $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = '$db' AND backend_type ~ 'pg_eventstore'") or die 'workers stay';
  drop_database($db);
  my @errors = grep { /pg_eventstore projections (?:WARNING|FATAL|PANIC):/ && !/terminating/ } split /^/, slurp_file($node->logfile);
  is("@errors", '', 'no worker has ended by an error');
};

### Stores with other notifications, and transactions of several kinds.
section appends => sub {
  my $db = new_database('appends');
  $node->safe_psql($db, q{CREATE TABLE seen (store text, position bigint, PRIMARY KEY (store, position))});
  for my $notifications (qw(off commit worker))
  {
    $node->safe_psql($db, qq{SELECT eventstore.create_store('n.$notifications', '$notifications');
      CREATE FUNCTION see_$notifications(e eventstore.event[]) RETURNS void LANGUAGE sql AS 'INSERT INTO public.seen SELECT \$\$$notifications\$\$, position FROM unnest(e)';
      BEGIN; SELECT eventstore.create_projection('$notifications', 'see_$notifications(eventstore.event[])', store => 'n.$notifications');
      SELECT eventstore.append_event('e', '1', store => 'n.$notifications'); COMMIT});
    soon($db, "SELECT state = 'current' FROM eventstore.projections WHERE name = '$notifications'", "notifications $notifications: an append in the transaction that creates the projection");
    $node->safe_psql($db, "SELECT eventstore.append_event('e', '1', store => 'n.$notifications')") for 1 .. 3;
    soon($db, "SELECT count(*) = 4 FROM seen WHERE store = '$notifications'", "notifications $notifications: further appends");
    next if $notifications eq 'commit'; # which PREPARE TRANSACTION rejects
    $node->safe_psql($db, "BEGIN; SELECT eventstore.append_event('e', '1', store => 'n.$notifications'); PREPARE TRANSACTION '$notifications'");
    sleep 1.5 if $notifications eq 'off';
    is($node->safe_psql($db, "SELECT count(*) FROM seen WHERE store = '$notifications'"), '4', "notifications $notifications: a prepared transaction is not handled");
    $node->safe_psql($db, "COMMIT PREPARED '$notifications'");
    soon($db, "SELECT count(*) = 5 FROM seen WHERE store = '$notifications'", "notifications $notifications: it is handled after COMMIT PREPARED");
    $node->safe_psql($db, "INSERT INTO n.$notifications (event_type, data) SELECT 'e', '1' FROM generate_series(1, 3)");
    soon($db, "SELECT count(*) = 8 FROM seen WHERE store = '$notifications'", "notifications $notifications: raw INSERT");
  }
  drop_database($db);
};

### What clients call.
section calls => sub {
  my $db = new_database('calls', 'add_one');
  for my $sql (q{SELECT * FROM eventstore.poll('p')}, q{SELECT eventstore.ack('p', 1)}, q{SELECT eventstore.nack('p', 1, 1)}, q{SELECT eventstore.reset_subscription('p', 0)},
    q{SELECT eventstore.drop_subscription('p')}, q{SELECT eventstore.alter_subscription('p', partitions => 2)}, q{SELECT eventstore.pause_subscription('p')}, q{SELECT eventstore.park('p', 1, 1)})
  {
    my ($rc, $out, $err) = $node->psql($db, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    like($err, qr/ERROR:  55000:/, "refused: $sql");
    like($err, qr/HINT:/, "with a hint: $sql");
  }
  my ($rc, $out, $err) = $node->psql($db, q{SELECT eventstore.create_projection('p', 'public.add_one(eventstore.event)', tables => '{totals}')});
  is($rc, 0, 'created again');
  like($err, qr/NOTICE:.*already exists, skipping/, 'with a notice');
  is(sqlstate($node, q{SELECT eventstore.create_projection('p', 'public.add_all(eventstore.event[])')}, dbname => $db), '42710', 'but not with another handler');
  is(sqlstate($node, q{SELECT eventstore.create_projection('p', 'public.add_one(eventstore.event)', event_types => '{e}')}, dbname => $db), '42710', 'nor with other types');
  is(sqlstate($node, q{SELECT eventstore.create_subscription('s'); SELECT eventstore.create_projection('s', 'public.add_one(eventstore.event)')}, dbname => $db), '42710', 'nor with the name of a subscription');
  is(sqlstate($node, q{SELECT eventstore.create_subscription('p')}, dbname => $db), '42710', 'nor a subscription with the name of a projection');

  # by hand, while a worker runs it
  $node->safe_psql($db, 'INSERT INTO faults (nap) VALUES (0.002)');
  my $hand = session($node, $db);
  for (1 .. 5)
  {
    append($db, 100);
    $hand->run("SELECT eventstore.run_projection('p', 7)") for 1 .. 10;
    is($hand->state, '00000', 'run_projection() while a worker runs it');
  }
  $hand->quit;
  complete($db, 'by hand and by a worker');
  # a run in a transaction that stays open, and is rolled back
  $node->safe_psql($db, "SELECT eventstore.pause_projection('p')");
  append($db, 10);
  is($node->safe_psql($db, "SELECT eventstore.run_projection('p')"), '0', 'a paused projection is not run by hand');
  is(sqlstate($node, "SELECT eventstore.wait_for_projection('p')", dbname => $db), '55000', 'nor waited for');
  is(shows($db, 'state'), 'paused', 'the view says so');
  $node->safe_psql($db, "SELECT eventstore.resume_projection('p')");
  complete($db, 'paused and resumed');
  drop_database($db);
};

### The number of workers.
section workers => sub {
  set('pg_eventstore.projection_workers', 0);
  my $db = new_database('workers', 'add_one');
  my $two = new_database('workers2', 'add_all');
  $node->safe_psql($db, q{SELECT eventstore.create_projection('other', 'public.note_one(eventstore.event)')});
  append($_, 20) for $db, $two;
  my $open = session($node, $db);
  $open->run("SELECT eventstore.create_store('keep.s'); BEGIN; SELECT eventstore.append_event('e', '1', store => 'keep.s')");
  $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_eventstore notifier'") or die 'no notifier';
  is(scalar(workers($db)), 0, 'with 0 there is no worker');
  is($node->safe_psql($db, "SELECT state, lag FROM eventstore.projections WHERE name = 'p'"), 'waiting|20', 'the view says that no worker runs it');
  is($node->safe_psql($db, "SELECT eventstore.wait_for_projection('p', timeout => '100 ms') IS NULL"), 't', 'wait_for_projection() waits');
  set('pg_eventstore.projection_workers', 1);
  $node->safe_psql($db, "SELECT eventstore.wait_for_projection('p', timeout => '60 s')");
  complete($db, 'with 1, while an append is open');
  $node->safe_psql($two, "SELECT eventstore.wait_for_projection('p', timeout => '60 s')");
  complete($two, 'another database');
  # one hangs, the other waits for the second worker
  $node->safe_psql($db, 'INSERT INTO faults (nap) VALUES (3600)');
  append($db, 1);
  soon($db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep'}, 'the only worker is occupied');
  append($db, 1);
  set('pg_eventstore.projection_workers', 4);
  soon($db, q{SELECT count(*) = 22 FROM other}, 'with 4, a second one comes');
  cmp_ok(scalar(workers($db)), '<=', 2, 'there are no more workers than projections');
  $node->safe_psql($db, 'DELETE FROM faults');
  $node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections' AND wait_event = 'PgSleep'");
  complete($db, 'and the first one is canceled');
  # two databases at once
  $node->safe_psql($_, 'INSERT INTO faults (nap) VALUES (0.001)') for $db, $two;
  append($_, 300) for $db, $two;
  complete($_, "$_ of two databases") for $db, $two;
  set('pg_eventstore.projection_workers');
  $open->run('COMMIT');
  $open->quit;
  drop_database($_) for $db, $two;
};

### Huge events: a run ends at 16 MB.
section huge => sub {
  my $db = new_database('huge');
  $node->safe_psql($db, q{CREATE TABLE sizes (events int, bytes bigint);
    CREATE FUNCTION size(e eventstore.event[]) RETURNS void LANGUAGE sql AS 'INSERT INTO public.sizes SELECT count(*), sum(length(data->>$$d$$)) FROM unnest(e)';
    SELECT eventstore.append_event('e', jsonb_build_object('d', repeat(md5(i::text), 32768))) FROM generate_series(1, 60) i;
    SELECT eventstore.create_projection('p', 'size(eventstore.event[])')});
  $node->safe_psql($db, q{SELECT eventstore.wait_for_projection('p', timeout => '60 s')});
  is($node->safe_psql($db, 'SELECT sum(events), sum(bytes), max(events) BETWEEN 2 AND 20 FROM sizes'), '60|' . 60 * 1024 * 1024 . '|t', '60 events of 1 MB, in batches of at most 16 MB');
  drop_database($db);
};

### Projections of some types, far behind: all events of other types are passed.
section filtered => sub {
  my $db = new_database('filtered', 'add_one', q{event_types => '{rare}'});
  $node->safe_psql($db, "ALTER TABLE eventstore.events SET (autovacuum_enabled = off); SELECT eventstore.pause_projection('p')");
  $node->safe_psql($db, q{INSERT INTO eventstore.events (event_type, data, aggregate_id) SELECT 'frequent', '1', 'b' FROM generate_series(1, 300000)});
  $node->safe_psql($db, q{SELECT eventstore.append_event('rare', '{"amount": 1}', 'a')});
  $node->safe_psql($db, q{SELECT eventstore.resume_projection('p')});
  soon($db, q{SELECT state = 'current' FROM eventstore.projections}, 'an event after 300000 others is found');
  is($node->safe_psql($db, 'SELECT * FROM totals'), 'a|1|1', 'and handled');
  drop_database($db);
};

### Dump and restore.
section dump => sub {
  my $db = new_database('dumped', 'add_one');
  append($db, 50);
  complete($db, 'before the dump');
  $node->safe_psql($db, "SELECT eventstore.pause_projection('p')");
  append($db, 30);
  my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null');
  for my $way ([ plain => [ [ 'pg_dump', '-f', "$dir/plain", $db ], [ @psql, '-1', '-f', "$dir/plain", '-d', 'plain' ] ] ],
    [ custom => [ [ 'pg_dump', '-Fc', '-f', "$dir/custom", $db ], [ 'pg_restore', '-e', '-d', 'custom', "$dir/custom" ] ] ])
  {
    my ($dbname, $commands) = @$way;
    $node->safe_psql('postgres', "CREATE DATABASE $dbname");
    $node->command_ok($_, "$dbname: $_->[0]") for @$commands;
    is($node->safe_psql($dbname, 'SELECT name, state, handler, tables, position, lag FROM eventstore.projections'), 'p|paused|public.add_one(eventstore.event)|{public.totals}|50|30', "$dbname: the projection and its checkpoint");
    $node->safe_psql($dbname, "SELECT eventstore.resume_projection('p')");
    complete($dbname, "$dbname: the worker goes on");
    append($dbname, 10);
    complete($dbname, "$dbname: with new events");
    drop_database($dbname);
  }
  drop_database($db);
};

### Worker slots.
section slots => sub {
  set('max_worker_processes', 3); # the logical replication launcher, and two
  $node->restart;
  my $keep = new_database('keeper');
  my $open = session($node, $keep);
  $open->run('BEGIN; ' . append_query(1));
  await_notifier($keep);
  my $db = new_database('slots', 'add_one');
  append($db, 20);
  soon($db, q{SELECT state = 'waiting' AND problem = 'no background worker slot is free' FROM eventstore.projections}, 'no free slot: the view says so');
  is(append($db, 1), 1, 'appends succeed');
  my $doomed = new_database('doomed', 'add_one');
  $open->run('COMMIT');
  complete($db, 'a slot is free');
  is($node->safe_psql($db, 'SELECT failed_starts, next_start_at FROM eventstore.projector_status'), '0|', 'the failures are forgotten');
  # a database whose projections wait for a slot can be dropped
  $open->run('BEGIN; ' . append_query(1));
  await_notifier($keep);
  append($doomed, 1);
  soon($doomed, q{SELECT state = 'waiting' FROM eventstore.projections}, 'another database waits for a slot');
  drop_database($doomed, 'it can be dropped');
  $open->run('COMMIT');
  $open->quit;
  set('max_worker_processes', 12);
  $node->restart;
  drop_database($_) for $db, $keep;

  # a worker that starts slowly is started once
  $db = new_database('slow');
  my $log = -s $node->logfile;
  my $locker = session($node, $db);
  $locker->run("SELECT eventstore.create_store('keep.s'); SELECT eventstore.append_event('e', '1', store => 'keep.s'); BEGIN; SELECT eventstore.append_event('e', '1', store => 'keep.s')");
  $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_eventstore notifier'") or die 'no notifier';
  my $appender = session($node, $db);
  $appender->run('SELECT 1');
  $locker->run('LOCK TABLE pg_db_role_setting IN ACCESS EXCLUSIVE MODE');
  $appender->run(q{SELECT eventstore.create_projection('p', 'public.add_one(eventstore.event)')});
  $appender->run(append_query(5));
  my $waiting = q{SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pg_db_role_setting'::regclass};
  my $end = time + 60;
  sleep 0.1 until $locker->run($waiting) >= 1 || time > $end;
  my $most = 0;
  for (1 .. 30)
  {
    sleep 0.1;
    my $now = $locker->run($waiting);
    $most = $now if $now > $most;
  }
  is($most, 1, 'one worker is starting, while it cannot');
  $locker->run('COMMIT');
  complete($db, 'a worker that starts slowly');
  unlike(slurp_file($node->logfile, $log), qr/could not start/, 'no failure');
  $_->quit for $locker, $appender;
  drop_database($db);
};

### Standby and promotion. At last, as the primary is stopped.
section standby => sub {
  my $db = new_database('replicated', 'add_one');
  append($db, 20);
  complete($db, 'the primary');
  $node->backup('base');
  my $standby = PostgreSQL::Test::Cluster->new('standby');
  $standby->init_from_backup($node, 'base', has_streaming => 1);
  $standby->start;
  append($db, 20);
  complete($db, 'the primary, with a standby');
  $node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
  is($standby->safe_psql($db, q{SELECT state FROM eventstore.projections}), 'standby', 'standby: the view says so');
  is($standby->safe_psql($db, q{SELECT eventstore.wait_for_projection('p', 40, '60 s')}), '40', 'standby: what was replicated can be waited for');
  is($standby->safe_psql($db, q{SELECT * FROM differences}), '', 'standby: and is there');
  is(sqlstate($standby, "SELECT eventstore.$_", dbname => $db), '25006', "standby: no $_")
    for q{create_projection('q', 'public.add_one(eventstore.event)')}, q{alter_projection('p')}, q{drop_projection('p')}, q{pause_projection('p')}, q{resume_projection('p')}, q{run_projection('p')};
  $node->safe_psql($db, "INSERT INTO faults (nap) VALUES (0.1)");
  append($db, 10);
  $node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
  $node->stop('immediate');
  $standby->promote;
  $standby->safe_psql($db, 'DELETE FROM faults');
  is($standby->safe_psql($db, q{SELECT eventstore.wait_for_projection('p', timeout => '60 s')}), '50', 'promoted: without an append, wait_for_projection() starts a worker');
  complete($db, 'promoted', $standby);
  $standby->stop;
};

my $only = $ENV{PGES_SECTIONS} // '';
for my $section (@sections)
{
  my ($name, $code) = @$section;
  next if $only && $only !~ /\b$name\b/;
  note("section $name");
  eval { $code->(); 1 } or fail("section $name: $@");
}
$node->stop('fast') if -e $node->data_dir . '/postmaster.pid';
done_testing();
