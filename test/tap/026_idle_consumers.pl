# Consumers that find no event write nothing: no WAL, and no table grows. Takes a few
# seconds; with PGES_IDLE_SECONDS=60, the consumers poll for a minute.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{PGES_IDLE_SECONDS} // 3;

# A server that writes nothing by itself.
my $node = start_node('idle_consumers', <<'EOS');
autovacuum = off
wal_level = minimal
max_wal_senders = 0
checkpoint_timeout = 1h
log_statement = none
max_connections = 60
EOS
$node->safe_psql('postgres', <<'EOS');
SELECT eventstore.append_event('e', to_jsonb(n), 'a' || n) FROM generate_series(1, 1000) n;
SELECT eventstore.create_subscription('one', start_position => NULL);
SELECT eventstore.create_subscription('shared', start_position => NULL, partitions => 16);
SELECT eventstore.create_subscription('filtered', event_types => '{f}', start_position => NULL, partitions => 16);
SELECT eventstore.create_subscription('paused', partitions => 16);
SELECT eventstore.pause_subscription('paused');
EOS
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type ~ 'eventstore'") or die 'the notifier works';
$node->safe_psql('postgres', 'VACUUM; CHECKPOINT');

# The bytes of WAL and of all tables, and the changes of rows that were counted.
sub written
{
  return split /\|/, $node->safe_psql('postgres', <<'EOS');
SELECT pg_current_wal_insert_lsn() - '0/0', (SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 't', 'S')),
       (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables)
EOS
}

# Poll by 50 consumers, each ten times a second, and return how many polls that were.
my $script = PostgreSQL::Test::Utils::tempdir . '/poll.sql';
append_to_file($script, <<'EOS');
\set n random(0, 3)
SELECT count(*) AS events FROM eventstore.poll((ARRAY['one', 'shared', 'filtered', 'paused'])[1 + :n], 100, 'consumer-' || :client_id) \gset
\if :events > 0
SELECT 1 / 0;
\endif
EOS

sub poll
{
  my ($time) = @_;
  my ($out, $err) = run_command([ 'pgbench', '-n', '-M', 'prepared', '-c', 50, '-j', 2, '-R', 500, '-T', $time, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ]);
  return $out =~ /actually processed: (\d+)/ && $err !~ /aborted/ ? $1 : die "pgbench: $err";
}

poll(1);    # fills the catalogs' caches, and sets hint bits
my @before = written();
my $polls = poll($seconds);
my @after = written();
cmp_ok($polls, '>', 50 * $seconds, "50 idle consumers poll for $seconds s: $polls polls");
is($after[0] - $before[0], 0, 'they write no WAL');
is($after[1] - $before[1], 0, 'no table grows');
is($after[2] - $before[2], 0, 'no row is written');

# What a poll that delivers would have written is seen.
$node->safe_psql('postgres', "SELECT eventstore.append_event('e', '1', 'a')");
@before = written();
is($node->safe_psql('postgres', "SELECT count(*) FROM eventstore.poll('one', 100, 'consumer-1')"), '1', 'a poll that delivers');
@after = written();
cmp_ok($after[0] - $before[0], '>', 0, 'writes WAL');
cmp_ok($after[2] - $before[2], '>', 0, 'and a row');

$node->stop;
done_testing();
