# The owner of a projection gains no further rights by its handler: not those of another
# role, not in the worker that also runs the projections of others, and not for longer than
# a run. mallory owns a projection, and may create, read and write in her schema. bob owns
# another projection, which the same worker runs.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_node('rights', q{
autovacuum = off
max_worker_processes = 16
restart_after_crash = on
log_line_prefix = '%m [%p] %b '
pg_eventstore.projection_workers = 1
});
my $patience = $ENV{PGES_PATIENCE} || 60;

# Function admin_only() trusts the session user, as functions of applications do.
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE mallory LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE boss;
CREATE ROLE stranger LOGIN;
GRANT boss TO mallory;
GRANT USAGE ON SCHEMA eventstore TO mallory, bob, stranger;
GRANT SELECT ON eventstore.events TO mallory, bob;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE FUNCTION public.admin_only() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
    RAISE EXCEPTION 'for superusers' USING ERRCODE = '42501';
  END IF;
  ALTER ROLE mallory CREATEROLE;
  RETURN 'done';
END $$;
CREATE SCHEMA evil AUTHORIZATION mallory;
CREATE SCHEMA bob AUTHORIZATION bob;
SET SESSION AUTHORIZATION bob;
CREATE TABLE bob.secrets AS SELECT 'secret'::text AS secret;
CREATE TABLE bob.seen (position bigint PRIMARY KEY, state text);
CREATE FUNCTION bob.witness() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', current_user, session_user, current_setting('role'), current_setting('is_superuser'), current_setting('search_path'),
    current_setting('session_replication_role'), current_setting('work_mem'), current_setting('DateStyle'), current_setting('lock_timeout'),
    COALESCE(current_setting('my.mark', true), ''), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_listening_channels()),
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid IN (1, 2))) $$;
CREATE FUNCTION bob.see(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO bob.seen VALUES (e.position, bob.witness())';
SELECT eventstore.create_projection('bobs', 'bob.see(eventstore.event)');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION mallory;
SELECT eventstore.create_store('evil.own');
SELECT eventstore.create_store('evil.other');
CREATE TABLE evil.log (position bigint PRIMARY KEY, state text, message text, result text, who text);
CREATE TABLE evil.rows (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION evil.deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.admin_only(); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON evil.rows DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.deferred();
CREATE PROCEDURE evil.commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE FUNCTION evil.who() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', current_user, session_user, current_setting('is_superuser'), (SELECT rolsuper FROM pg_roles WHERE rolname = session_user),
    pg_has_role(session_user, 'bob', 'MEMBER'), pg_has_role('bob', 'MEMBER'), (SELECT has_table_privilege(oid, 'SELECT') FROM pg_class WHERE relname = 'secrets')) $$;
CREATE FUNCTION evil.try(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$
DECLARE r text; s text := '00000'; m text;
BEGIN
  BEGIN
    EXECUTE e.data->>'sql';
    IF e.data->>'result' IS NOT NULL THEN EXECUTE e.data->>'result' INTO r; END IF;
  EXCEPTION WHEN OTHERS THEN
    s := SQLSTATE; m := SQLERRM;
  END;
  INSERT INTO evil.log VALUES (e.position, s, m, r, evil.who());
END $$;
EOS

# Wait until a query gives "t".
sub soon
{
  my ($sql, $what) = @_;
  my $end = time + $patience;
  my ($out, $err);
  while (time < $end)
  {
    return pass($what) if $node->psql('postgres', $sql, stdout => \$out, stderr => \$err) == 0 && $out eq 't';
    sleep 0.1;
  }
  $node->psql('postgres', q{SET lock_timeout = '5s'; SELECT * FROM eventstore.projections}, stdout => \my $view, extra_params => ['-x']);
  diag("$sql gives \"$out\" $err\n$view");
  return fail($what);
}

# Run some SQL as a role; the SQLSTATE.
sub as { my ($role, $sql) = @_; return sqlstate($node, "SET SESSION AUTHORIZATION $role; $sql") }

# Each attack is an event of mallory's store, and her projection runs it; then bob's
# projection looks at the session in the same worker.
my $attack = 0;
sub attack
{
  my ($sql, $expected) = @_;
  (my $quoted = $sql) =~ s/'/''/g;
  my $position = $node->safe_psql('postgres', "SELECT (eventstore.append('{\"event_type\": \"e\"}'::jsonb || jsonb_build_object('data', jsonb_build_object('sql', '$quoted')), store => 'evil.own')).position");
  soon("SELECT count(*) = 1 FROM evil.log WHERE position = $position", "$sql: it is tried") or die 'the handler does not run';
  my ($state, $message, $who) = split /\|/, $node->safe_psql('postgres', "SELECT state, message, who FROM evil.log WHERE position = $position");
  like($state, qr/^(?:$expected)$/, "$sql: $expected") or diag($message);
  is($who, 'mallory mallory off f f f f', "$sql: it runs as mallory, and nobody else");
  my $seen = $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
  soon('SELECT count(*) = (SELECT count(*) FROM eventstore.events) FROM bob.seen', "$sql: bob's projection runs");
  return;
}

is(as('mallory', "SELECT eventstore.create_projection('mallorys', 'evil.try(eventstore.event)', store => 'evil.own')"), '00000', 'an ordinary role creates a projection');
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
soon('SELECT count(*) = 1 FROM bob.seen', 'the first witness');
my $untouched = $node->safe_psql('postgres', 'SELECT state FROM bob.seen');
like($untouched, qr/^bob bob none off bob, pg_temp origin 4MB /, 'a projection runs as its owner, who is the session user');
is($node->safe_psql('postgres', q{SELECT pg_backend_pid() IS NOT NULL}), 't', 'the server runs');

my $elsewhere = session($node);
my $victim = $elsewhere->pid;
my @attacks = (
  [ 'SET ROLE bob', '42501' ], [ 'SET LOCAL ROLE bob', '42501' ], [ 'SET ROLE boss', '42501' ], [ 'SET ROLE NONE', '42501' ], [ 'RESET ROLE', '42501' ],
  [ 'SET SESSION AUTHORIZATION bob', '42501' ], [ 'SET SESSION AUTHORIZATION DEFAULT', '42501' ], [ 'RESET SESSION AUTHORIZATION', '42501' ],
  [ q{SELECT set_config('role', 'bob', false)}, '42501' ], [ q{SELECT set_config('session_authorization', 'bob', true)}, '42501' ],
  [ 'SELECT public.admin_only()', '42501' ], [ 'ALTER ROLE mallory SUPERUSER', '42501' ], [ 'SELECT secret FROM bob.secrets', '42501' ],
  [ q{SELECT pg_read_file('/etc/passwd')}, '42501' ], [ q{COPY evil.log TO PROGRAM 'true'}, '42501' ], [ q{COPY evil.log TO '/tmp/x'}, '42501' ],
  [ q{LOAD 'auto_explain'}, '42501|58P01' ], [ 'CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $f$SELECT 1$f$', '42501' ],
  [ 'CREATE FUNCTION evil.f() RETURNS int LANGUAGE sql AS $f$SELECT 1$f$', '00000' ],
  [ 'CREATE TEMP TABLE t (a int)', '42501' ], [ 'CREATE TABLE pg_temp.t (a int)', '42501' ], [ 'CREATE TEMP VIEW events AS SELECT 1', '42501' ],
  [ 'SET search_path = evil, pg_temp', '00000' ], [ q{SELECT set_config('work_mem', '64kB', false)}, '00000' ], [ q{SET DateStyle = 'German'}, '00000' ],
  [ q{SELECT set_config('my.mark', 'mallory', false)}, '00000' ], [ 'SET lock_timeout = 0', '00000' ], [ 'SET session_replication_role = replica', '42501' ],
  [ 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', '00000' ],
  [ 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', '42501' ], [ 'DECLARE c CURSOR FOR SELECT 1', '00000' ], [ 'PREPARE p AS SELECT 1', '42501' ], [ 'DEALLOCATE ALL', '00000|42501' ],
  [ 'LISTEN x', '42501|0A000|22023|55000' ], [ 'NOTIFY x', '00000' ], [ 'UNLISTEN *', '00000|42501' ], [ 'DISCARD ALL', '25001|42501' ],
  [ 'COMMIT', '0A000|2D000' ], [ 'CALL evil.commits()', '2D000' ], [ 'ROLLBACK', '0A000|2D000' ], [ 'SAVEPOINT s', '0A000|2D000' ], [ 'BEGIN', '0A000|2D000' ],
  [ 'INSERT INTO evil.rows VALUES (1)', '42501' ], [ 'SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO evil.rows VALUES (1)', '42501' ],
  [ "SELECT pg_terminate_backend($victim)", '42501' ], [ 'SELECT pg_terminate_backend(pg_backend_pid())', '42501' ], [ 'SELECT pg_cancel_backend(pg_backend_pid())', '42501' ],
  [ 'SELECT pg_advisory_lock(1), pg_advisory_lock(2, 3)', '00000' ], [ 'SELECT pg_advisory_unlock_all()', '00000' ],
  [ q{SELECT eventstore.append_event('e', '1', store => 'evil.other')}, '00000' ],
  [ q{SELECT eventstore.run_projection('mallorys')}, '00000' ], [ q{SELECT * FROM eventstore.poll('mallorys')}, '55000' ],
  [ q{SELECT eventstore.wait_for_projection('mallorys', timeout => '20 ms')}, '00000|55000|25001' ],
  [ q{SELECT eventstore.run_projection('bobs')}, '42501' ], [ q{SELECT eventstore.drop_projection('bobs')}, '42501' ],
  [ q{UPDATE eventstore.projection_definitions SET handler = 'evil.try(eventstore.event)'}, '42501' ], [ q{UPDATE eventstore.subscription_definitions SET owner = 'bob'}, '42501' ],
  [ q{CREATE TRIGGER t BEFORE UPDATE ON eventstore.subscription_progress FOR EACH ROW EXECUTE FUNCTION evil.deferred()}, '42501' ],
  [ q{DO $d$ BEGIN SET ROLE bob; END $d$}, '42501' ], [ q{SELECT pg_reload_conf()}, '42501' ], [ q{ALTER SYSTEM SET work_mem = '1GB'}, '42501|25001' ]);
attack(@$_) for @attacks;
is($node->safe_psql('postgres', 'SELECT count(DISTINCT state), min(state) FROM bob.seen'), "1|$untouched", 'no attack has changed the session for another projection');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname = 'mallory' AND (rolsuper OR rolcreaterole)}), '0', 'mallory is an ordinary role');
is($elsewhere->run('SELECT 1'), '1', 'the session of another role lives');

### Session locks: the lease of the worker is one. A handler that releases them while it runs does not make room for another worker.
{
  $node->safe_psql('postgres', "CREATE TABLE evil.go (); ALTER TABLE evil.go OWNER TO mallory");
  my $session = session($node);
  $session->run('BEGIN; LOCK TABLE evil.go');
  $node->safe_psql('postgres', q{SELECT eventstore.append_event('e', jsonb_build_object('sql', 'SELECT pg_advisory_unlock_all(); SET lock_timeout = 0; LOCK TABLE evil.go IN ACCESS SHARE MODE'), store => 'evil.own')});
  soon(q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'evil.go'::regclass}, 'a handler has released all session locks, and waits');
  $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')") for 1 .. 3;
  sleep 1;
  is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore projections'}), '1', 'no other worker takes its place');
  $session->run('COMMIT');
  $session->quit;
  soon('SELECT count(*) = (SELECT count(*) FROM eventstore.events) FROM bob.seen', 'the worker goes on');
}

### A handler changes its own projection.
for my $case ([ drop_projection => q{SELECT eventstore.drop_projection('own')} ], [ alter_projection => q{SELECT eventstore.alter_projection('own', batch_size => 7)} ], [ pause_projection => q{SELECT eventstore.pause_projection('own')} ],
  [ resume_projection => q{SELECT eventstore.resume_projection('own')} ], [ append => q{SELECT eventstore.append_event('e', '1', store => 'evil.mine')} ])
{
  my ($what, $sql) = @$case;
  (my $quoted = $sql) =~ s/'/''/g;
  $quoted =~ s/^SELECT/PERFORM/;
  is(as('mallory', "SELECT eventstore.create_store('evil.mine'); CREATE FUNCTION evil.mine(e eventstore.event) RETURNS void LANGUAGE plpgsql AS 'BEGIN $quoted; END';
    SELECT eventstore.create_projection('own', 'evil.mine(eventstore.event)', store => 'evil.mine', max_attempts => 2, backoff => '10 ms'); SELECT eventstore.append_event('e', '1', store => 'evil.mine')") , '00000', "$what: a handler that calls it");
  soon(q{SELECT NOT EXISTS (SELECT FROM eventstore.projections WHERE name = 'own') OR (SELECT state IN ('failed', 'current', 'paused') FROM eventstore.projections WHERE name = 'own')}, "$what: the projection ends, is done or has failed");
  is($node->safe_psql('postgres', 'SELECT state, last_error_position, last_error ~ $$55000$$ FROM eventstore.projections WHERE name = $$own$$'), 'failed|1|t', 'append: the view shows the error and the event') if $what eq 'append';
  $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
  soon('SELECT count(*) = (SELECT count(*) FROM eventstore.events) FROM bob.seen', "$what: another projection goes on");
  $node->psql('postgres', q{SELECT eventstore.drop_projection('own')});
  $node->safe_psql('postgres', "DROP TABLE evil.mine; DROP FUNCTION evil.mine(eventstore.event)");
}

### Handlers in SQL, SECURITY DEFINER, and those of others.
{
  is(as('mallory', q{CREATE FUNCTION evil.plain(e eventstore.event) RETURNS void LANGUAGE sql AS $$ SELECT set_config('role', 'bob', false) $$;
    SELECT eventstore.create_projection('plain', 'evil.plain(eventstore.event)', backoff => '10 ms')}), '00000', 'a handler in SQL');
  soon(q{SELECT state = 'failed' AND last_error ~ '42501' FROM eventstore.projections WHERE name = 'plain'}, 'cannot set the role');
  # who sees the error
  my $error = q{SELECT last_error IS NOT NULL FROM eventstore.projections WHERE name = 'plain'};
  is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION $_->[0]; $error"), $_->[1], "$_->[0] sees the error: $_->[1]") for [ mallory => 't' ], [ bob => 't' ], [ stranger => 'f' ];
  $node->safe_psql('postgres', q{SELECT eventstore.drop_projection('plain')});

  is(as('bob', q{CREATE TABLE bob.definer (who text); CREATE FUNCTION bob.definer(e eventstore.event) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO bob.definer VALUES (concat_ws(' ', current_user, session_user)) $$}), '00000', 'bob has a SECURITY DEFINER function');
  is(as('mallory', q{SELECT eventstore.create_projection('definer', 'bob.definer(eventstore.event)')}), '42501', 'mallory may not use the schema');
  $node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA bob TO mallory; REVOKE EXECUTE ON FUNCTION bob.definer(eventstore.event) FROM PUBLIC');
  is(as('mallory', q{SELECT eventstore.create_projection('definer', 'bob.definer(eventstore.event)')}), '42501', 'nor a function that she may not execute');
  $node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION bob.definer(eventstore.event) TO mallory');
  is(as('mallory', q{SELECT eventstore.create_projection('definer', 'bob.definer(eventstore.event)')}), '42501', 'nor one of a role that is no member of hers');
  # a handler that gets another owner could be replaced by that role
  is(as('mallory', q{CREATE FUNCTION evil.given(e eventstore.event) RETURNS void LANGUAGE sql AS 'SELECT'; SELECT eventstore.create_projection('definer', 'evil.given(eventstore.event)', backoff => '10 ms')}), '00000', 'she may use her own');
  $node->safe_psql('postgres', q{ALTER FUNCTION evil.given(eventstore.event) OWNER TO bob; GRANT USAGE ON SCHEMA evil TO bob});
  is(as('bob', q{CREATE OR REPLACE FUNCTION evil.given(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE bob SUPERUSER; END $$}), '42501', 'bob may not create in the schema');
  $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
  soon(q{SELECT state = 'failed' AND last_error ~ '42501' FROM eventstore.projections WHERE name = 'definer'}, 'it is not run any more');
  is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname = 'bob' AND rolsuper}), '0', 'bob is an ordinary role');
  $node->safe_psql('postgres', q{SELECT eventstore.drop_projection('definer')});
}

### Rights on projections, stores and tables.
{
  for my $sql (q{SELECT eventstore.alter_projection('mallorys', batch_size => 1)}, q{SELECT eventstore.drop_projection('mallorys')}, q{SELECT eventstore.run_projection('mallorys')},
    q{SELECT eventstore.pause_projection('mallorys')}, q{SELECT eventstore.resume_projection('mallorys')}, q{SELECT eventstore.replay_parked('mallorys')}, q{SELECT eventstore.wait_for_projection('mallorys', timeout => '0 s')})
  {
    is(as('bob', $sql), '42501', "bob: $sql");
  }
  is(as('mallory', q{SELECT eventstore.alter_projection('mallorys', owner => 'bob')}), '42501', 'mallory cannot give her projection to bob');
  is(as('stranger', q{CREATE SCHEMA AUTHORIZATION stranger}), '42501', 'a role without rights');
  is(as('stranger', q{SELECT eventstore.create_projection('s', 'bob.see(eventstore.event)')}), '42501', 'a store that the role may not read, and a function that it may not execute');
  is(as('mallory', q{SELECT eventstore.create_projection('t', 'evil.try(eventstore.event)', tables => '{bob.secrets}')}), '42501', 'a table of another role');
  $node->safe_psql('postgres', 'CREATE ROLE deputy LOGIN; GRANT mallory TO deputy');
  is(as('deputy', q{SELECT eventstore.alter_projection('mallorys', batch_size => 10)}), '00000', 'a member of the owner changes the projection');
}

### Row security: on the store it stops the projection, which would skip the hidden events. On the table of the projection it is that of the owner.
{
  $node->safe_psql('postgres', <<'EOS');
SELECT eventstore.create_store('bob.guarded');
GRANT SELECT ON bob.guarded TO mallory;
CREATE FUNCTION bob.check_row(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN $1 = current_user AND session_user = current_user; END $$;
ALTER TABLE bob.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bob.guarded FOR SELECT USING (bob.check_row(aggregate_type));
SET SESSION AUTHORIZATION mallory;
CREATE TABLE evil.guarded (who text);
ALTER TABLE evil.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON evil.guarded USING (true) WITH CHECK (bob.check_row(who));
CREATE FUNCTION evil.guarded(e eventstore.event) RETURNS void LANGUAGE sql AS 'INSERT INTO evil.guarded VALUES (e.aggregate_type)';
SELECT eventstore.create_store('evil.policies');
SELECT eventstore.create_projection('hidden', 'evil.guarded(eventstore.event)', store => 'bob.guarded');
SELECT eventstore.create_projection('guarded', 'evil.guarded(eventstore.event)', store => 'evil.policies', on_error => 'park', max_attempts => 1);
SELECT eventstore.append_event('e', '1', t, aggregate_type => t, store => 'evil.policies') FROM unnest('{bob,mallory}'::text[]) t;
RESET SESSION AUTHORIZATION;
SELECT eventstore.append_event('e', '1', t, aggregate_type => t, store => 'bob.guarded') FROM unnest('{bob,mallory}'::text[]) t;
EOS
  soon(q{SELECT state = 'failed' AND last_error ~ '0A000' FROM eventstore.projections WHERE name = 'hidden'}, 'row security of the store stops a projection');
  is($node->safe_psql('postgres', q{SET SESSION AUTHORIZATION mallory; SELECT last_error IS NULL FROM eventstore.projections WHERE name = 'hidden'}), 't', 'its owner does not see the error, which could tell hidden values');
  soon(q{SELECT parked = 1 AND lag = 0 FROM eventstore.projections WHERE name = 'guarded'}, 'row security of the table rejects a row');
  is($node->safe_psql('postgres', 'SELECT who FROM evil.guarded'), 'mallory', 'and takes the one that the owner may write');
  $node->safe_psql('postgres', "SELECT eventstore.drop_projection(p) FROM unnest('{hidden,guarded}'::text[]) p");
}

### A handler that catches its cancellation does not hold the worker for ever.
{
  $node->append_conf('postgresql.conf', "pg_eventstore.projection_timeout = '1s'");
  $node->reload;
  is(as('mallory', q{CREATE FUNCTION evil.hold(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;
    SELECT eventstore.create_projection('holds', 'evil.hold(eventstore.event)', backoff => '1 ms')}), '00000', 'a handler that catches query_canceled');
  my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM bob.seen');
  for (1 .. 3)
  {
    $node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1')");
    soon('SELECT count(*) = (SELECT count(*) FROM eventstore.events) FROM bob.seen', 'another projection goes on in the end');
  }
  soon(q{SELECT state = 'failed' FROM eventstore.projections WHERE name = 'holds'}, 'the view says that the projection has failed');
  is(as('mallory', q{SELECT eventstore.drop_projection('holds')}), '00000', 'it can be dropped');
}

$elsewhere->quit;
$node->stop;
done_testing();
