# What a role can gain that owns a store, its archive, its schema and the database:
# nothing. The role sets every trap of traps.txt on its own store, each on a new
# one; then a superuser calls every function of calls.txt on it. A trap that springs
# with the rights of another role bites, which is counted in a sequence, so that
# also a bite in a transaction that was rolled back is seen.
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
my $node = start_node('attacks', "autovacuum = off\nwal_level = logical\nlog_statement = none\nmax_worker_processes = 20\n");
my @bugs;

# mallory attacks, bob has a store beside hers, and mule is the role that a bite
# makes a superuser. mallory owns the database.
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE mallory LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE mule;
ALTER DATABASE postgres OWNER TO mallory;
ALTER ROLE postgres SET search_path = pg_catalog;
GRANT USAGE ON SCHEMA eventstore TO mallory, bob;
CREATE SCHEMA bob AUTHORIZATION bob;
GRANT USAGE ON SCHEMA bob TO mallory;
SET SESSION AUTHORIZATION bob;
SELECT eventstore.create_store('bob.events');
CREATE TABLE bob.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => 'bob.events');
SELECT eventstore.append_event('e', '1', 'b', event_id => 'again', store => 'bob.events');
SELECT eventstore.create_archive('bob.events');
SELECT eventstore.archive_events('bob.events', before_position => 3);
EOS

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

# The calls on a store, as [NUMBER, SQL]; appends once more by the executor. What
# drops it comes by itself.
my %is_function = map { $_ => 1 } members($node, 'fpv');
my (@calls, @drops);
foreach my $call (read_calls(@roles))
{
  next if !$is_function{ $call->{object} };
  push @{ $call->{object} eq 'drop_store' ? \@drops : \@calls }, $call;
}
push @calls, map { { %$_, spi => 1 } } grep { $_->{object} =~ /^(append|import)/ } @calls;
my %called = map { $_->{object} => 1 } @calls, @drops;
is_deeply([ grep { !$called{$_} } sort keys %is_function ], [], 'there is a call of every function and view');

# Run some psql commands as a superuser, or another role; the output.
sub script
{
  my ($script, $role) = @_;
  my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0,
    connstr => $node->connstr('postgres') . ' user=' . ($role // 'postgres'));
  return $out;
}

# How often traps have sprung, and how often they bit.
sub counts
{
  return split /\|/, script('SELECT s.last_value, b.last_value FROM evil.springs s, evil.bites b');
}

# psql commands that set its variables for a store, whatever its name is by now.
sub variables
{
  my ($trap) = @_;
  return <<EOS;
SELECT $trap->{oid}{store}::regclass AS store, COALESCE(to_regclass('$trap->{schema}.none'), $trap->{oid}{archive}::regclass) AS archive,
  $trap->{oid}{sequence}::regclass AS sequence, '$trap->{schema}.other' AS other, '$trap->{schema}.source' AS source, '$trap->{schema}' AS schema \\gset
EOS
}

# psql commands that run calls on a trapped store: they tell "NUMBER|SQLSTATE|BITES|
# SEARCH_PATH|MARK|USER" of each.
sub call_commands
{
  my ($trap, $session, @list) = @_;
  my $script = "SET client_min_messages = error; SET lock_timeout = '5s';\n" . variables($trap) . $session;

  foreach my $i (0 .. $#list)
  {
    my $direct = $list[$i]{spi} ? 'off' : 'on';
    $script .= <<EOS;
SET pg_eventstore.direct_append = $direct;
\\o /dev/null
$list[$i]{sql};
\\o
\\set state :SQLSTATE
SELECT last_value AS bites, pg_catalog.current_setting('search_path') AS path, pg_catalog.current_setting('evil.mark', true) AS mark, CURRENT_USER AS me FROM evil.bites \\gset
\\echo $i|:state|:bites|:path|:mark|:me
RESET SESSION AUTHORIZATION; RESET ROLE; RESET search_path; RESET evil.mark;
EOS
  }
  return $script . "\\echo end\n";
}

# Run calls on a trapped store; what went wrong, one string each.
sub spring
{
  my ($trap, $session, @list) = @_;
  my @wrong;
  my (undef, $bites) = counts();
  my $out = script(call_commands($trap, $session, @list));

  foreach (split /\n/, $out)
  {
    next if !/^(\d+)\|(\w+)\|(\d+)\|(.*)\|(.*)\|(.*)$/;
    my $sql = $list[$1]{sql} . ($list[$1]{spi} ? ' (by the executor)' : '');
    push @wrong, "bite: $sql" if $3 > $bites;
    push @wrong, "error $2: $sql" if $2 =~ /^(XX|58)/;
    push @wrong, "left a mark: $sql" if $3 == $bites && ($4 ne 'pg_catalog' || $5 ne '' || $6 ne 'postgres');
    $bites = $3;
  }
  push @wrong, "the session did not come to its end" if $out !~ /^end$/m;
  return @wrong;
}

my %baits = (
  insert => q{INSERT INTO :store (event_type, data) VALUES ('bait', '1')},
  erase => q{SELECT eventstore.erase_aggregate('a', 'bait', :'store')},
  move => q{SELECT eventstore.archive_events(:'store', before_position => 5)},
  read => q{SELECT * FROM eventstore.read_events(store => :'store', include_archived => true)},
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
  foreach my $archive ($bait eq '-' || $sql =~ /:archive/ ? (1) : (1, 0))
  {
    push @traps, { name => $name . ($archive ? '' : ', no archive'), bait => $bait, sql => $sql, state => $state // '00000',
      archive => $archive, schema => 'trap_' . (@traps + 1) };
  }
}

# Make the store of a trap, and set the trap, as its owner.
sub set_trap
{
  my ($trap) = @_;
  my $schema = $trap->{schema};
  my $archive = $trap->{archive} ? "SELECT eventstore.create_archive('$schema.events'); SELECT eventstore.archive_events('$schema.events', before_position => 3);" : '';
  my $out = script(<<EOS, 'mallory');
SET client_min_messages = error;
SELECT eventstore.create_store('$schema.events');
CREATE TABLE $schema.source AS SELECT 'e'::text AS event_type, '1'::jsonb AS data;
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, '{4}'), '{1,2,3,4}', store => '$schema.events');
SELECT eventstore.append_event('e', '1', 'b', event_id => 'again', store => '$schema.events');
$archive
SELECT concat_ws(' ', 'oids', '$schema.events'::regclass::oid, COALESCE(to_regclass('$schema.events_archive')::oid, 0), '$schema.events_position_seq'::regclass::oid);
EOS
  @{ $trap->{oid} }{qw(store archive sequence)} = ($1, $2, $3) if $out =~ /^oids (\d+) (\d+) (\d+)$/m;
  return if !$trap->{oid};
  my $sql = $trap->{sql} =~ s/;/\\;/gr;
  my $bait = $baits{ $trap->{bait} } // 'SELECT 1';
  $out = script(variables($trap) . <<EOS, 'mallory');
SET client_min_messages = error;
\\o /dev/null
$sql;
\\o
\\echo set :SQLSTATE
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
  ($trap->{set}) = $out =~ /^set (\w+)$/m;
  ($trap->{sprung}) = $out =~ /^sprung (\d+)$/m;
  return;
}

# A list of what is wrong, as one test.
sub none
{
  my ($name, @wrong) = @_;
  return ok(!@wrong, $name) || diag(join "\n", @wrong);
}

set_trap($_) foreach @traps;
none('every trap is set', map { "$_->{name}: " . ($_->{set} // 'no store') } grep { ($_->{set} // '') ne $_->{state} } @traps);
none('every trap springs on its bait', map { $_->{name} } grep { $_->{bait} ne '-' && !$_->{sprung} } @traps);
is((counts())[1], 0, 'none has bitten yet');

# The calls, then those that drop the store.
my @armed = grep { $_->{oid} } @traps;
foreach my $trap (@armed)
{
  none("trap: $trap->{name}", spring($trap, '', @calls));
}
none('drop_store() springs none', map { my $t = $_; map { "$t->{name}: $_" } spring($t, '', @drops) } @armed);

my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|TRAP:|detected write past/, 'the server has not crashed');
is(script('SELECT string_agg(rolname, $$, $$) FROM pg_roles WHERE rolsuper'), 'postgres', 'nobody has become a superuser');
is(script('SELECT count(*) FROM evil.loot'), '0', 'there is no loot');
is((counts())[1], 0, 'nothing has bitten');

done_testing();
