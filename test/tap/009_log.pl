# For every error, the server log has the SQLSTATE, the operation with its store and
# aggregate, and the statement.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('log', "log_line_prefix = '%e '\nlog_error_verbosity = default\nlog_min_error_statement = error");
$node->safe_psql('postgres', "SELECT eventstore.append_event('opened', '{}', 'door-1', 0, 'Door', event_id => 'id-1')");

# Run a statement that fails; check its lines in the log.
sub logged
{
  my ($name, $statement, $state, @lines) = @_;
  my $mark = -s $node->logfile;

  $node->psql('postgres', $statement);
  my $log = substr(slurp_file($node->logfile), $mark);
  like($log, qr/^$state ERROR:  /m, "$name: the log has the SQLSTATE") or diag($log);
  like($log, qr/^$state $_$/m, "$name: and $_") or diag($log) for @lines;
  like($log, qr/^$state STATEMENT:  \Q$statement\E$/m, "$name: and the statement") or diag($log);
}

my $door = 'to aggregate "door-1" of store eventstore.events';
logged('version conflict', "SELECT eventstore.append_event('shut', '{}', 'door-1', 7)", '40V01',
  'ERROR:  version conflict on aggregate "door-1"',
  'DETAIL:  Expected version 7, but the aggregate is at version 1 in store eventstore.events.\n\s*\{"aggregate_id": "door-1", "expected": 7, "actual": 1\}',
  'HINT:  Read the aggregate again, .*', "CONTEXT:  appending 1 event $door");
logged('duplicate event', "SELECT eventstore.append_event('shut', '{}', 'door-1', event_id => 'id-1')", '23505',
  "CONTEXT:  appending 1 event $door");
logged('wrong type', q{SELECT eventstore.append_to_aggregate('door-1', '{a,b}', '{1,2}', aggregate_type => 'Window')}, '22023',
  "CONTEXT:  appending event 1 of 2 $door");
logged('bad event', q{SELECT eventstore.append_events('[{"event_type": "shut"}, {"aggregate_id": "door-1"}]')}, '22023',
  'CONTEXT:  appending event 2 of 2 to store eventstore.events');
logged('several aggregates', q{SELECT eventstore.append('[{"event_type": "shut", "aggregate_id": "door-2"}]', '{"door-1": 9}')}, '40V01',
  'CONTEXT:  appending 1 event to store eventstore.events');
logged('not JSON', q<SELECT eventstore.append_events('[{')>, '22P02');
logged('no schema', q{SELECT eventstore.create_store('missing.events', create_schema_if_missing => false)}, '3F000',
  'ERROR:  schema "missing" does not exist');
logged('schema refused', q{SELECT eventstore.create_store('pg_catalog.events')}, '42501',
  'ERROR:  permission denied .*');

$node->stop;
done_testing();
