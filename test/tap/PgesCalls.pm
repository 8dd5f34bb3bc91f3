# Reads calls.txt, and compares its objects with those of the extension.
package PgesCalls;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(read_calls members);

# The calls, each as {object, sql, alone, expect}: whether it runs outside of a
# transaction block, and what each of these roles gets.
sub read_calls
{
  my (@roles) = @_;
  my @calls;

  foreach my $line (split /\n/, slurp_file("$FindBin::RealBin/calls.txt"))
  {
    next if $line =~ /^\s*(#|$)/;
    my ($object, $cells, $sql) = $line =~ /^(\w+) +\|((?: +\S+)+) +\| (.*)$/ or die "not a call: $line";
    my @cells = split ' ', $cells;
    die "not a cell for each role: $line" if @cells != @roles;
    my %expect;
    @expect{@roles} = map { $_ eq 'ok' ? '00000' : $_ } @cells;
    push @calls, { object => $object, sql => $sql =~ s/^!//r, alone => scalar($sql =~ /^!/), expect => \%expect };
  }
  return @calls;
}

# The names of the extension's objects of some kinds, as pg_depend has them, and of the
# default store; r table, v view, S sequence, c type, f function, p procedure, t trigger
# function, e event trigger and its function.
# Casts have no name.
sub members
{
  my ($node, $kinds) = @_;
  return split /\n/, $node->safe_psql('postgres', qq{
    WITH member AS (
      SELECT classid, objid FROM pg_depend
       WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
         AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
      UNION ALL
      SELECT 'pg_class'::regclass, unnest('{eventstore.events,eventstore.events_position_seq}'::regclass[])),
    named AS (
      SELECT relname AS name, relkind::text AS kind
        FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid
      UNION ALL
      SELECT proname, CASE prorettype WHEN 'trigger'::regtype THEN 't' WHEN 'event_trigger'::regtype THEN 'e' ELSE prokind::text END
        FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND oid = objid
      UNION ALL
      SELECT typname, 'c'
        FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND t.oid = objid
       WHERE typelem = 0 AND COALESCE((SELECT relkind <> ALL ('{r,v,S}') FROM pg_class c WHERE c.oid = typrelid), true)
      UNION ALL
      SELECT evtname, 'e'
        FROM member JOIN pg_event_trigger e ON classid = 'pg_event_trigger'::regclass AND e.oid = objid
      UNION ALL
      SELECT pg_describe_object(classid, objid, 0), 'other'
        FROM member WHERE classid <> ALL ('{pg_class,pg_proc,pg_type,pg_cast,pg_event_trigger}'::regclass[]))
    SELECT name FROM named WHERE kind = 'other' OR position(kind IN '$kinds') > 0 ORDER BY 1});
}

1;
