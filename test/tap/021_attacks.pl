# A role that owns a store, its archive, its schema and the database gains no further
# rights. The role sets every trap of traps.txt, each on a new store of its own. Then a
# superuser calls every function of calls.txt on this store. If a trap runs with the
# rights of another role, it "bites": it increments a sequence, so that bites in
# rolled-back transactions are counted, too.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesCalls;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my @roles = qw(connect usage reader writer eraser archiver consumer owner superuser);
my $node = start_node('attacks', "autovacuum = off\npg_eventstore.test_database = on\nwal_level = logical\nlog_statement = none\nmax_worker_processes = 20\nrestart_after_crash = on\n");
my @bugs;

# mallory attacks, bob has a store beside hers, and mule is the role that a bite
# makes a superuser. mallory owns the database.
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE mallory LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE mule;
ALTER DATABASE postgres OWNER TO mallory;
CREATE FUNCTION public.reducer(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state';
GRANT USAGE ON SCHEMA eventstore TO mallory, bob;
CREATE FUNCTION public.handle(eventstore.event) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE TABLE public.handled (n integer);
GRANT ALL ON public.handled TO PUBLIC;
CREATE SCHEMA bob AUTHORIZATION bob;
GRANT USAGE ON SCHEMA bob TO mallory;
SET SESSION AUTHORIZATION bob;
SELECT eventstore.create_store('bob.events');
CREATE TABLE bob.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => 'bob.events');
SELECT eventstore.append_event('e', '1', 'b', event_id => 'again', store => 'bob.events');
SELECT eventstore.create_archive('bob.events');
EOS
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION bob;\n" . until_announced('bob.events', 5)
  . "SELECT eventstore.archive_events('bob.events', before_position => 3)");

# The bite. All names in it are qualified, as it may run under any search_path.
# Whoever it runs as, it tries to become another role, and to leave a mark in the
# settings of the session.
$node->safe_psql('postgres', <<'EOS');
SET SESSION AUTHORIZATION mallory;
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE evil.loot (who text, rights text);
GRANT ALL ON evil.loot TO PUBLIC;
CREATE SEQUENCE evil.springs MINVALUE 0 START 0;
CREATE SEQUENCE evil.bites MINVALUE 0 START 0;
GRANT ALL ON SEQUENCE evil.springs, evil.bites TO PUBLIC;
SELECT nextval('evil.springs'), nextval('evil.bites');
CREATE FUNCTION evil.bite() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  way pg_catalog.text;
BEGIN
  PERFORM pg_catalog.nextval('evil.springs');
  IF CURRENT_USER OPERATOR(pg_catalog.=) 'mallory' THEN
    BEGIN
      PERFORM pg_catalog.set_config('search_path', 'evil', false), pg_catalog.set_config('evil.mark', 'left', false);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    FOREACH way IN ARRAY ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION postgres'] LOOP
      BEGIN
        EXECUTE way;
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
      EXIT WHEN CURRENT_USER OPERATOR(pg_catalog.<>) 'mallory';
    END LOOP;
  END IF;
  IF CURRENT_USER OPERATOR(pg_catalog.=) 'mallory' THEN
    RETURN;
  END IF;
  PERFORM pg_catalog.nextval('evil.bites');
  RAISE LOG 'bite as %, session of %, after %', CURRENT_USER, SESSION_USER, way;
  BEGIN
    INSERT INTO evil.loot VALUES (CURRENT_USER, way);
    ALTER ROLE mule SUPERUSER;
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
END $$;
CREATE FUNCTION evil.trap() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN COALESCE(NEW, OLD); END$$;
CREATE FUNCTION evil.yes() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN true; END$$;
CREATE FUNCTION evil.word() RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN pg_catalog.gen_random_uuid(); END$$;
CREATE FUNCTION evil.stamp() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN pg_catalog.now(); END$$;
CREATE FUNCTION evil.number() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN 1000000; END$$;
CREATE FUNCTION evil.json() RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN 1; END$$;
CREATE FUNCTION evil.constant(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN true; END$$;
CREATE FUNCTION evil.same(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN $1; END$$;
CREATE DOMAIN evil.checked AS integer CHECK (evil.same(VALUE) > 0);
CREATE TYPE evil.kind AS ENUM ('e');
CREATE FUNCTION evil.kind_text(evil.kind) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN 'e'; END$$;
CREATE FUNCTION evil.kind_varchar(evil.kind) RETURNS varchar IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM evil.bite(); RETURN 'e'; END$$;
CREATE CAST (evil.kind AS text) WITH FUNCTION evil.kind_text AS IMPLICIT;
CREATE CAST (evil.kind AS varchar) WITH FUNCTION evil.kind_varchar AS IMPLICIT;
EOS

my @views = members($node, 'v');
my @own_tables = grep { $_ ne 'events' } members($node, 'r');
my @trigger_functions = members($node, 't');

# The calls on a store; appends once more by the executor, and an import to a store
# of the superuser. What empties or drops the store comes by itself.
my %is_function = map { $_ => 1 } members($node, 'fpv');
my (@calls, @drops);
foreach my $call (read_calls(@roles))
{
  next if !$is_function{ $call->{object} };
  push @{ $call->{object} =~ /^(drop|empty)_store$/ ? \@drops : \@calls }, $call;
}
push @calls, { object => 'import_events', sql => q{SELECT * FROM eventstore.import_events(:'source', 'eventstore.events')}, expect => { owner => '42501' } };
push @calls, map { { %$_, spi => 1 } } grep { $_->{object} =~ /^(append|import)/ } @calls;
my %called = map { $_->{object} => 1 } @calls, @drops;
is_deeply([ grep { !$called{$_} } sort keys %is_function ], [], 'there is a call of every function and view');

# Run some psql commands as a superuser, or another role; the output. Whatever
# search_path mallory gives the database, these have one of their own, or that one.
sub script
{
  my ($script, $role, $path) = @_;
  my $options = $path // '-csearch_path=pg_catalog';
  my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0,
    connstr => $node->connstr('postgres') . " options='$options' user=" . ($role // 'postgres'));
  return $out;
}

# How often traps have sprung, and how often they bit.
sub counts
{
  return split /\|/, script('SELECT s.last_value, b.last_value FROM evil.springs s, evil.bites b');
}

# SQL that waits until a store's events are announced up to a position: none is
# archived before.
sub until_announced
{
  my ($store, $position) = @_;
  return <<EOS;
DO \$\$ BEGIN
  FOR i IN 1 .. 1000 LOOP
    EXIT WHEN eventstore.archive_limit('$store') >= $position;
    PERFORM pg_sleep(0.02);
  END LOOP;
END \$\$;
EOS
}

# A digest of all that bob has, and the last of his positions.
sub of_bob
{
  return script(q{SELECT md5(string_agg(e::text, ',' ORDER BY e.position)), (SELECT last_value FROM bob.events_position_seq)
    FROM (SELECT * FROM bob.events UNION ALL SELECT * FROM bob.events_archive) e});
}

# A list of what is wrong, as one test.
sub none
{
  my ($name, @wrong) = @_;
  return ok(!@wrong, $name) || diag(join "\n", @wrong);
}

# psql commands that set its variables for a store, whatever its name is by now.
sub variables
{
  my ($trap) = @_;
  return <<EOS;
SELECT $trap->{oid}{store}::pg_catalog.regclass AS store, $trap->{oid}{archive}::pg_catalog.regclass AS archive, $trap->{oid}{sequence}::pg_catalog.regclass AS sequence,
  '$trap->{schema}.other' AS other, '$trap->{schema}.source' AS source, '$trap->{schema}' AS schema \\gset
EOS
}

# psql commands that run calls: they tell "NUMBER|SQLSTATE|BITES|SEARCH_PATH|MARK|
# USER" of each. $before is run before each of them, and $after after it.
sub call_commands
{
  my ($list, $before, $after) = @_;
  my $script = '';

  foreach my $i (0 .. $#$list)
  {
    my $direct = $list->[$i]{spi} ? 'off' : 'on';
    $script .= $list->[$i]{first} // '';
    $script .= <<EOS;
SET pg_eventstore.direct_append = $direct; $before
\\o /dev/null
$list->[$i]{sql};
\\o
\\set state :SQLSTATE
$after
SELECT last_value AS bites, pg_catalog.current_setting('search_path') AS path, COALESCE(pg_catalog.current_setting('evil.mark', true), '') AS mark, CURRENT_USER AS me FROM evil.bites \\gset
\\echo $i|:state|:bites|:path|:mark|:me
SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET search_path; RESET evil.mark;
EOS
  }
  return $script;
}

# Run a script of call_commands() as a superuser; what went wrong, one string each.
# A script that sets a trap says "set SQLSTATE".
my $sprung = 0; # scripts in which a trap has sprung
sub run_calls
{
  my ($script, $list, $path) = @_;
  my (@wrong, $bites, $first);
  my $out = script(<<EOS, 'postgres', '-csearch_path=' . ($path // 'pg_catalog'));
SET client_min_messages = error; SET lock_timeout = '5s';
SELECT b.last_value AS bites, s.last_value AS springs FROM evil.bites b, evil.springs s \\gset
\\echo from :bites :springs
$script
SELECT last_value AS springs FROM evil.springs \\gset
\\echo to :springs
\\echo end
EOS

  foreach (split /\n/, $out)
  {
    ($bites, $first) = ($1, $2) if /^from (\d+) (\d+)$/;
    $sprung++ if /^to (\d+)$/ && $1 > $first;
    return "not set: $1" if /^set (\w+)$/ && $1 ne '00000';
    my ($i, $state, $count, $set, $mark, $me) = /^(\d+)\|(\w+)\|(\d+)\|(.*)\|(.*)\|(.*)$/ or next;
    my $sql = ($list->[$i]{name} // '') . $list->[$i]{sql} . ($list->[$i]{spi} ? ' (by the executor)' : '');
    push @wrong, "bite: $sql" if $count > $bites;
    push @wrong, "error $state: $sql" if $state =~ /^(XX|58)/;
    push @wrong, "left a mark: $sql" if $count == $bites && (!$path && $set ne 'pg_catalog' || $mark ne '' || $me ne 'postgres');
    $bites = $count;
  }
  if ($out !~ /^end$/m)
  {
    push @wrong, 'the session did not come to its end';
    $node->poll_query_until('postgres', 'SELECT true'); # the server may have crashed
  }
  return @wrong;
}

# Call as bob what he may call, on his own store; what comes to another end than
# calls.txt has for the owner of a store.
sub calls_of_bob
{
  my ($path) = @_;
  my @list = (@calls, @drops);
  my $script = "\\set store bob.events\n\\set archive bob.events_archive\n\\set sequence bob.events_position_seq\n\\set other bob.other\n\\set source bob.source\n";
  my @wrong;
  my %state;

  foreach my $i (0 .. $#list)
  {
    my ($begin, $end) = $list[$i]{alone} ? ('', '') : ('BEGIN;', 'ROLLBACK;');
    $script .= "$begin\n\\o /dev/null\n$list[$i]{sql};\n\\o\n\\echo $i|:SQLSTATE\n$end\n";
  }
  my $out = script("SET client_min_messages = error;\n$script", 'bob', $path);
  /^(\d+)\|(\w+)$/ and $state{$1} = $2 foreach split /\n/, $out;
  foreach my $i (0 .. $#list)
  {
    my ($got, $expected) = ($state{$i} // 'no result', $list[$i]{expect}{owner});
    push @wrong, "$got, not $expected: $list[$i]{sql}" if $got ne $expected;
  }
  return @wrong;
}

# Whether bob's listener hears of an event that he appends.
sub bob_is_heard
{
  my $listener = session($node, undef, $node->connstr('postgres') . " user=bob options='-csearch_path=pg_catalog'");
  my $is_new = sub { grep { $_->[0] eq 'bob_events' } @_ };

  $listener->run('LISTEN bob_events');
  $listener->run("SELECT eventstore.append_event('e', '1', store => 'bob.events')");
  my $heard = $is_new->($listener->hears($is_new, 20));
  $listener->quit;
  return $heard;
}

my %baits = (
  insert => q{INSERT INTO :store (event_type, data) VALUES ('bait', '1')},
  erase => q{SELECT eventstore.erase_aggregate('a', 'bait', :'store')},
  move => q{SELECT eventstore.archive_events(:'store', before_position => 5)},
  read => q{SELECT * FROM eventstore.read_events(store => :'store', include_archived => false)},
  look => q{SELECT * FROM :store},
  dig => q{SELECT * FROM :archive},
  place => q{INSERT INTO :store (position, event_id, event_type, aggregate_id, aggregate_version, data) VALUES (999999, 'x', 'e', 'x', 1, '1')},
  change => q{ALTER TABLE :store DISABLE TRIGGER USER; UPDATE :store SET data = '2'; DELETE FROM :store},
  bury => q{ALTER TABLE :archive DISABLE TRIGGER USER; INSERT INTO :archive SELECT * FROM :store; UPDATE :archive SET data = '2'},
  analyze => q{ANALYZE :store},
  import => q{SELECT * FROM eventstore.import_events(:'source', :'store')});

# The traps, each on a store of its own.
my @traps;
foreach my $line (split /\n/, slurp_file("$FindBin::RealBin/traps.txt"))
{
  next if $line =~ /^\s*(#|$)/;
  my ($name, $bait, $state, $sql) = $line =~ /^(.*?) +\| (\S+) +\| (?:\[(\w+)\] )?(.*)$/ or die "not a trap: $line";
  die "no bait $bait" if $bait ne '-' && !$baits{$bait};
  foreach my $archive ($bait =~ /^(-|import)$/ || $sql =~ /:archive/ ? (1) : (1, 0))
  {
    push @traps, { name => $name . ($archive ? '' : ', no archive'), bait => $bait, sql => $sql, state => $state // '00000',
      archive => $archive, schema => 'trap_' . (@traps + 1) };
  }
}

# Make the stores of traps, as mallory: all before the first of them is used, as their
# events have to be announced.
sub make_stores
{
  my $script = "SET client_min_messages = error;\n";
  foreach my $schema (map { $_->{schema} } @_)
  {
    $script .= <<EOS;
SELECT eventstore.create_store('$schema.events');
CREATE TABLE $schema.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => '$schema.events');
SELECT eventstore.append_event('e', '1', 'b', event_id => 'again', store => '$schema.events');
EOS
  }
  script($script, 'mallory');
  return;
}

# Set a trap on its store, and try it with its bait, as its owner.
sub set_trap
{
  my ($trap) = @_;
  my $schema = $trap->{schema};
  my $sql = $trap->{sql} =~ s/;/\\;/gr;
  my $bait = $baits{ $trap->{bait} } // 'SELECT 1';
  my $views = join '', map { "\\o /dev/null\nSELECT * FROM eventstore.$_;\n\\o\n\\echo view $_ :SQLSTATE\n" } @views;
  my $archive = $trap->{archive} ? "SELECT eventstore.create_archive('$schema.events'); SELECT eventstore.archive_events('$schema.events', before_position => 3);" : '';
  my $out = script(<<EOS, 'mallory');
SET client_min_messages = error;
${ \until_announced("$schema.events", 5) }
$archive
SELECT '$schema.events'::regclass AS store, to_regclass('$schema.events_archive') AS archive, '$schema.events_position_seq'::regclass AS sequence,
  '$schema.other' AS other, '$schema.source' AS source, '$schema' AS schema \\gset
SELECT concat_ws(' ', 'oids', '$schema.events'::regclass::oid, COALESCE(to_regclass('$schema.events_archive')::oid, 0), '$schema.events_position_seq'::regclass::oid);
\\o /dev/null
$sql;
\\o
\\echo set :SQLSTATE
$views
SELECT last_value AS before FROM evil.springs \\gset
\\o /dev/null
BEGIN;
$bait;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
\\o
SELECT last_value - :before AS sprung FROM evil.springs \\gset
\\echo sprung :sprung
EOS
  @{ $trap->{oid} }{qw(store archive sequence)} = ($1, $2, $3) if $out =~ /^oids (\d+) (\d+) (\d+)$/m;
  ($trap->{set}) = $out =~ /^set (\w+)$/m;
  $trap->{views} = join ', ', $out =~ /^view (\w+ (?!00000)\w+)$/mg;
  ($trap->{sprung}) = $out =~ /^sprung (\d+)$/m;
  return;
}

my $bob_before = of_bob();
make_stores(@traps);
set_trap($_) foreach @traps;
is(script('SELECT count(*) FROM bob.events_archive'), '2', 'bob has archived events');
my @moving = grep { $_->{bait} eq 'move' && $_->{archive} } @traps;
is(script(join(' + ', 'SELECT 0', map { "(SELECT count(*) FROM $_->{schema}.events_archive)" } @moving), 'mallory'), 2 * @moving, 'and so has mallory');
none('every trap is set', map { "$_->{name}: " . ($_->{set} // 'no store') } grep { ($_->{set} // '') ne $_->{state} } @traps);
none('every trap springs on its bait', map { $_->{name} } grep { $_->{bait} ne '-' && !$_->{sprung} } @traps);
is((counts())[1], 0, 'none has bitten yet');
none('and none makes a view fail, for all who look', map { $traps[$_]{views} ne ($_ > 0 && $traps[ $_ - 1 ]{views}) ? "$traps[$_]{name}: $traps[$_]{views}" : () } 0 .. $#traps);

# The calls, then those that empty and drop the store.
my @armed = grep { $_->{oid} } @traps;
my @archiving = grep { $_->{object} =~ /archive|retention|^append|^read_events$/ } @calls;
foreach my $trap (@armed)
{
  my $list = $trap->{archive} ? \@calls : \@archiving;
  none("trap: $trap->{name}", run_calls(variables($trap) . call_commands($list, '', ''), $list));
}
cmp_ok($sprung, '>', @traps / 3, 'many sprang, with the rights of their owner');
is(of_bob(), $bob_before, 'the store of bob is unchanged');
ok(bob_is_heard(), 'and announced');
my @last = map { my $trap = $_; map { { %$_, name => "$trap->{name}: ", first => variables($trap) } } @drops } @armed;
none('empty_store() and drop_store() spring no trap', run_calls(call_commands(\@last, '', ''), \@last));

script(join('', map { "DROP SCHEMA IF EXISTS $_->{schema} CASCADE;\n" } @traps), 'mallory');
none('bob calls what he may', calls_of_bob());

# A store without traps of its own, for what follows.
my %plain = (name => 'plain', bait => '-', sql => 'SELECT 1', archive => 1, schema => 'plain');
make_stores(\%plain);
set_trap(\%plain);

# A superuser reads a state whose reducer is a trap of its owner, saves a snapshot, and reads
# the snapshot. The reducer runs as mallory, and cannot change the session.
script(<<'EOS', 'mallory');
CREATE FUNCTION evil.reducer(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE plpgsql AS
  $$BEGIN PERFORM evil.bite(); RETURN state || to_jsonb(CURRENT_USER); END$$;
SELECT eventstore.create_state('evil', 'evil.reducer(jsonb, eventstore.event)', '[]', 1, 'plain.events');
EOS
my @reads = map { { sql => $_, object => 'get_state' } }
  ("SELECT eventstore.get_state('evil', 'a', 1, store => 'plain.events')", ("SELECT eventstore.get_state('evil', 'a', store => 'plain.events')") x 2,
  'SELECT * FROM eventstore.states');
my ($before) = counts();
none('a state of mallory', run_calls(call_commands(\@reads, '', ''), \@reads));
cmp_ok((counts())[0], '>', $before, 'its reducer has sprung');
is(script(q{SELECT eventstore.get_state('evil', 'a', store => 'plain.events') - 'mallory', snapshots FROM eventstore.states WHERE name = 'evil'}), '[]|1', 'as mallory');

# The store gets another name, and a trap its old one, in a session that has used it.
none('renamed while in use', run_calls(
  variables(\%plain) . call_commands(\@calls, '', '') . <<'EOS' .
SET SESSION AUTHORIZATION mallory;
ALTER SCHEMA plain RENAME TO plain_moved; CREATE SCHEMA plain;
CREATE VIEW plain.events AS SELECT evil.yes(); CREATE VIEW plain.events_archive AS SELECT evil.yes();
RESET SESSION AUTHORIZATION;
EOS
  variables(\%plain) . call_commands(\@calls, '', ''), \@calls));

# The store is a superuser's, and the archive was given to mallory.
script(<<'EOS');
CREATE SCHEMA ours; GRANT USAGE, CREATE ON SCHEMA ours TO mallory;
SELECT eventstore.create_store('ours.events');
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => 'ours.events');
SELECT eventstore.create_archive('ours.events');
EOS
script(until_announced('ours.events', 4) . <<'EOS');
SELECT eventstore.archive_events('ours.events', before_position => 3);
CREATE TABLE ours.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
ALTER TABLE ours.events_archive OWNER TO mallory;
SET SESSION AUTHORIZATION mallory;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON ours.events_archive FOR EACH ROW EXECUTE FUNCTION evil.trap();
CREATE INDEX ON ours.events_archive (position) WHERE evil.constant(1);
EOS
my ($springs) = counts();
none('the archive of a superuser given away', run_calls(<<'EOS' . call_commands(\@calls, '', ''), \@calls));
\set store ours.events
\set archive ours.events_archive
\set sequence ours.events_position_seq
\set other ours.other
\set source ours.source
EOS
cmp_ok((counts())[0], '>', $springs, 'springs with the rights of its owner');

# Functions, operators, types and tables that are named like those of PostgreSQL and
# of the extension, in a schema that comes first in the search_path, as the owner of
# a database can set it for all, also for the notifier.
script(<<'EOS', 'mallory');
CREATE SCHEMA evil_names;
GRANT USAGE ON SCHEMA evil_names TO PUBLIC;
DO $$
DECLARE
  common regtype[] := '{text,varchar,name,int2,int4,int8,bool,jsonb,json,oid,regclass,timestamptz,interval,numeric,"\"char\"",text[],uuid}';
  r record;
BEGIN
  FOR r IN SELECT DISTINCT proname, oidvectortypes(proargtypes) AS args, prorettype::regtype AS result
             FROM pg_proc JOIN pg_type ON pg_type.oid = prorettype
            WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a') AND NOT proretset AND provariadic = 0
              AND proargmodes IS NULL AND typtype <> 'p' AND proargtypes::oid[] <@ common::oid[] LOOP
    EXECUTE format('CREATE FUNCTION evil_names.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN PERFORM evil.bite(); RETURN NULL; END$f$', r.proname, r.args, r.result);
  END LOOP;
  FOR r IN SELECT oprname AS name, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result
             FROM pg_operator
            WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft = ANY (common) AND oprright = ANY (common) AND oprresult <> 0 LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION evil_names.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN PERFORM evil.bite(); RETURN NULL; END$f$', 'op_' || r.result, r.l, r.r, r.result);
    EXECUTE format('CREATE OPERATOR evil_names.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil_names.%I)', r.name, r.l, r.r, 'op_' || r.result);
  END LOOP;
  FOR r IN SELECT relname FROM pg_class
            WHERE relnamespace IN ('pg_catalog'::regnamespace, 'eventstore'::regnamespace) AND relkind IN ('r', 'v') LOOP
    EXECUTE format('CREATE VIEW evil_names.%I AS SELECT evil.yes()', r.relname);
  END LOOP;
  FOR r IN SELECT proname, replace(oidvectortypes(proargtypes), 'jsonb', 'text') AS args FROM pg_proc
            WHERE pronamespace = 'eventstore'::regnamespace AND NOT proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[] LOOP
    EXECUTE format('CREATE FUNCTION evil_names.%I(%s) RETURNS boolean LANGUAGE plpgsql AS $f$BEGIN PERFORM evil.bite(); RETURN NULL; END$f$', r.proname, r.args);
  END LOOP;
  FOR r IN SELECT unnest(common) AS type LOOP
    EXECUTE format('CREATE DOMAIN evil_names.%I AS %s CHECK (evil.yes())', (SELECT typname FROM pg_type WHERE oid = r.type), r.type);
  END LOOP;
END $$;
EOS
script('SET SESSION AUTHORIZATION mallory; ALTER DATABASE postgres SET search_path = evil_names, pg_catalog');
($springs) = counts();
script(q{SELECT 1 = 1, 'a' || 'b'::pg_catalog.text}, 'mallory', '');
cmp_ok((counts())[0], '>=', $springs + 2, 'names first in the search_path are traps');
($springs) = counts();
script(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type ~ 'eventstore'});
my %named = (name => 'named', bait => '-', sql => 'SELECT 1', archive => 1, schema => 'named');
make_stores(\%named);
set_trap(\%named);
my @all = (@calls, @drops);
none('names: a superuser calls all', run_calls(variables(\%named) . "SET search_path = evil_names, pg_catalog;\n" . call_commands(\@all, '', ''), \@all, 'evil_names,pg_catalog'));
none('names: bob calls what he may', calls_of_bob(''));
ok(bob_is_heard(), 'names: the notifier announces');
is((counts())[0], $springs, 'names: no trap has sprung');

# The same as temporary views, left by whoever used the session before.
my %temporary = (name => 'temporary', bait => '-', sql => 'SELECT 1', archive => 1, schema => 'temporary');
make_stores(\%temporary);
set_trap(\%temporary);
none('temporary views: a superuser calls all', run_calls(variables(\%temporary) . <<'EOS' .
SET SESSION AUTHORIZATION mallory;
SELECT format('CREATE TEMP VIEW %I AS SELECT evil.yes()', relname) FROM pg_catalog.pg_class
 WHERE relnamespace IN ('pg_catalog'::regnamespace, 'eventstore'::regnamespace) AND relkind IN ('r', 'v') \gexec
RESET SESSION AUTHORIZATION;
EOS
  call_commands(\@all, '', ''), \@all));
is((counts())[0], $springs, 'temporary views: no trap has sprung');

# Tables of the extension that a careless superuser has given away, and what
# their new owner makes of them. All of it is rolled back. What bites while the trap
# is set does not count: that session is a superuser's, who may be himself again.
my @own_traps = (
  'ALTER TABLE :own ADD a text DEFAULT evil.word()',
  'ALTER TABLE :own DROP COLUMN :last; ALTER TABLE :own ADD :last bigint',
  'ALTER TABLE :own ALTER :last DROP DEFAULT, ALTER :last TYPE text, ADD a text',
  'CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON :own FOR EACH ROW EXECUTE FUNCTION evil.trap()',
  'CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON :own EXECUTE FUNCTION evil.trap()',
  'CREATE RULE a AS ON INSERT TO :own DO ALSO SELECT evil.bite(); CREATE RULE b AS ON UPDATE TO :own DO ALSO SELECT evil.bite()',
  'CREATE INDEX ON :own ((evil.constant(1)))', 'CREATE INDEX ON :own (:last) WHERE evil.constant(1)',
  'CREATE INDEX ON :own (evil.same(1)) WHERE :last IS NOT NULL',
  'ALTER TABLE :own ADD CHECK (evil.yes()) NOT VALID', 'ALTER TABLE :own ALTER :last SET DEFAULT NULL, ADD CHECK (evil.constant(1)) NOT VALID',
  'CREATE POLICY a ON :own USING (evil.yes()); ALTER TABLE :own ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
# Some views are plain SQL on their tables: to read them is to read the table of the new owner.
my @own_calls = grep { !$_->{alone} && $_->{object} !~ /^(?:get_(?!snapshot|state)|(?:notifier|projections|states|subscriptions|subscription_partitions|parked_events)$)/ } @all;
foreach my $own (@own_tables)
{
  my @wrong;
  foreach my $trap (@own_traps)
  {
    my $sql = $trap =~ s/;/\\;/gr;
    my $script = <<EOS . call_commands(\@own_calls, 'SAVEPOINT call;', "ROLLBACK TO call;") . "ROLLBACK;\n";
\\set store bob.events
\\set archive bob.events_archive
\\set sequence bob.events_position_seq
\\set other bob.other
\\set source bob.source
\\set own eventstore.$own
SELECT quote_ident(attname) AS last FROM pg_attribute WHERE attrelid = :'own'::regclass ORDER BY attnum DESC LIMIT 1 \\gset
SELECT last_value AS bites FROM evil.bites \\gset
BEGIN;
GRANT CREATE ON SCHEMA eventstore TO mallory;
ALTER TABLE :own OWNER TO mallory;
SET LOCAL SESSION AUTHORIZATION mallory;
$sql;
\\echo set :SQLSTATE
SET LOCAL SESSION AUTHORIZATION DEFAULT;
RESET search_path; RESET evil.mark;
SELECT pg_catalog.setval('evil.bites', :bites);
EOS
    my @said = run_calls($script, \@own_calls);
    # a column that a view or a constraint needs cannot be dropped, nor its type changed
    @said = () if $trap =~ /DROP COLUMN|TYPE/ && "@said" =~ /^not set: (2BP01|0A000|42804)$/;
    push @wrong, map { "$trap: $_" } @said;
  }
  none("table $own, given away", @wrong);
}

# The same for the notifier, which writes watermarks.
is(script(<<'EOS'), 'set 00000', 'table watermarks, given away: a trap for the notifier');
ALTER TABLE eventstore.watermarks OWNER TO mallory;
GRANT CREATE ON SCHEMA eventstore TO mallory;
SET SESSION AUTHORIZATION mallory;
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON eventstore.watermarks FOR EACH ROW EXECUTE FUNCTION evil.trap();
CREATE INDEX a ON eventstore.watermarks (store) WHERE evil.constant(1);
\echo set :SQLSTATE
EOS
my (undef, $bites) = counts();
ok(bob_is_heard(), 'the notifier announces, all the same');
sleep 0.5;
is((counts())[1], $bites, 'and is not bitten');
script('DROP TRIGGER a ON eventstore.watermarks; DROP INDEX eventstore.a; REVOKE CREATE ON SCHEMA eventstore FROM mallory; ALTER TABLE eventstore.watermarks OWNER TO postgres');

# Trigger functions of the extension on a table that is not theirs: the SQLSTATE,
# and the tables of others that the transaction has locked.
my @shapes = ('i int', '"position" text, store text');
my @timings = (
  (map { my $when = $_; map { [ "$when $_ ON t FOR EACH ROW", $_ ] } qw(INSERT UPDATE DELETE) } qw(BEFORE AFTER)),
  (map { my $when = $_; map { [ "$when $_ ON t", $_ ] } qw(INSERT UPDATE DELETE TRUNCATE) } qw(BEFORE AFTER)));
my $script = "SET client_min_messages = error;\n";
foreach my $function (@trigger_functions)
{
  foreach my $shape (@shapes)
  {
    my ($column) = $shape =~ /^(\S+)/;
    my %change = (INSERT => 'INSERT INTO t DEFAULT VALUES', UPDATE => "UPDATE t SET $column = NULL", DELETE => 'DELETE FROM t', TRUNCATE => 'TRUNCATE t');
    foreach my $timing (@timings)
    {
      my ($when, $event) = @$timing;
      $script .= <<EOS;
BEGIN;
CREATE TEMP TABLE t ($shape);
INSERT INTO t DEFAULT VALUES;
SAVEPOINT fire;
CREATE TRIGGER t $when EXECUTE FUNCTION eventstore.$function()\\; $change{$event};
\\set state :SQLSTATE
\\if :ERROR
ROLLBACK TO fire;
\\endif
SELECT concat_ws(' ', :'state', '$function: $when ($shape)', string_agg(relation::regclass::text, ', ')) FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace IN ('eventstore'::regnamespace, 'bob'::regnamespace));
ROLLBACK;
EOS
    }
  }
}
my @fired = grep { /^\w{5} / } split /\n/, script($script, 'mallory');
is(scalar(@fired), @shapes * @timings * @trigger_functions, 'trigger functions on tables of others: all ran');
none('they do nothing, keep no lock, and tell so', grep { !/^(0A000|39P01|42501|42809|00000) [^)]*\)$/ } @fired);
none('who may not put them on a table', grep { /receive_row|keep_erasures|skip_lost_hold/ && !/^42501/ } @fired);

# Schema eventstore made before the extension, in a database of mallory.
my $overload = q{CREATE FUNCTION eventstore.append_events(text, integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'};
my @schemas = (
  [ '55000', 'of another role', 'SET SESSION AUTHORIZATION mallory; CREATE SCHEMA eventstore' ],
  [ '55000', 'of another role, with a function', "SET SESSION AUTHORIZATION mallory; CREATE SCHEMA eventstore; $overload" ],
  [ '55000', 'with a function', "CREATE SCHEMA eventstore; GRANT CREATE ON SCHEMA eventstore TO mallory; SET SESSION AUTHORIZATION mallory; $overload; RESET SESSION AUTHORIZATION; REVOKE CREATE ON SCHEMA eventstore FROM mallory" ],
  [ '55000', 'with an operator', 'CREATE SCHEMA eventstore; CREATE OPERATOR eventstore.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)' ],
  [ '55000', 'with a type', 'CREATE SCHEMA eventstore; CREATE DOMAIN eventstore.jsonb AS text' ],
  [ '55000', 'with a table', 'CREATE SCHEMA eventstore; CREATE TABLE eventstore.x ()' ],
  [ '55000', 'with a collation', 'CREATE SCHEMA eventstore; CREATE COLLATION eventstore."C" FROM "POSIX"' ],
  [ '55000', 'in which a role may create', 'CREATE SCHEMA eventstore; GRANT CREATE ON SCHEMA eventstore TO mallory' ],
  [ '55000', 'none, and a role may create in every new one', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO mallory' ],
  [ '55000', 'in which all may create', 'CREATE SCHEMA eventstore; GRANT ALL ON SCHEMA eventstore TO PUBLIC' ],
  [ '42501', 'none, and the owner of the database creates the extension', 'SET search_path = pg_catalog', 'SET SESSION AUTHORIZATION mallory' ],
  [ '00000', 'of a superuser, and empty', 'CREATE SCHEMA eventstore' ]);
my $number = 0;
foreach my $case (@schemas)
{
  my ($state, $name, $sql, $then) = @$case;
  my $database = 'first_' . ++$number;
  my $out = script(<<EOS);
CREATE DATABASE $database OWNER mallory;
\\c "dbname=$database options='-csearch_path=pg_catalog'"
$sql;
\\echo made :SQLSTATE
RESET SESSION AUTHORIZATION; ${ \($then // '') };
CREATE EXTENSION pg_eventstore;
\\echo created :SQLSTATE
\\c postgres
DROP DATABASE $database;
EOS
  is($out, "made 00000\ncreated $state", "the schema was there: $name");
}

# Privileges that a superuser grants by default on all that he makes.
my $out = script(<<'EOS');
CREATE DATABASE granted;
\c "dbname=granted options='-csearch_path=pg_catalog'"
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO mallory;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO mallory;
CREATE EXTENSION pg_eventstore;
\echo created :SQLSTATE
SELECT coalesce(string_agg(c.relname || ' ' || privilege_type, ', ' ORDER BY 1), 'nothing')
  FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'eventstore'::regnamespace AND grantee = 'mallory'::regrole
   AND relkind = 'r' AND relname <> 'events' AND privilege_type <> 'SELECT';
\c postgres
DROP DATABASE granted;
EOS
is($out, "created 00000\nnothing", 'default privileges let nobody write to the tables that C code believes');

# The extension made anew, with the traps first in the search_path.
($springs) = counts();
is(script(<<'EOS', 'postgres', ''), "dropped 00000\ncreated 00000", 'CREATE EXTENSION under a search_path of traps');
SET client_min_messages = error;
DROP SCHEMA eventstore CASCADE;
\echo dropped :SQLSTATE
CREATE EXTENSION pg_eventstore;
\echo created :SQLSTATE
EOS
is((counts())[0], $springs, 'springs no trap');

# What the counts are worth: what a superuser does without the extension bites.
(undef, $bites) = counts();
script(q{SET SESSION AUTHORIZATION mallory; CREATE TABLE evil.plain (); CREATE TRIGGER a BEFORE INSERT ON evil.plain EXECUTE FUNCTION evil.trap();
RESET SESSION AUTHORIZATION; BEGIN; INSERT INTO evil.plain DEFAULT VALUES; ROLLBACK});
is((counts())[1], $bites + 1, 'a bite in a transaction that is rolled back is counted');

none('the server has not crashed', grep { /terminated by signal|TRAP:|detected write past/ } split /\n/, slurp_file($node->logfile));
is(script('SELECT string_agg(rolname, $$, $$) FROM pg_roles WHERE rolsuper'), 'postgres', 'nobody has become a superuser');
is(script('SELECT count(*) FROM evil.loot'), '0', 'there is no loot');
is($bites, 0, 'nothing has bitten');

done_testing();
