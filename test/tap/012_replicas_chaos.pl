# Readers on a standby and on a logical subscriber see every event of a busy primary
# once and in the order of positions, while writers and servers fail.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my @stores = ('eventstore.events', 'shop.orders');
my $conf = "max_connections = 50\nmax_prepared_transactions = 60\nmax_worker_processes = 20\nwal_retrieve_retry_interval = '100ms'\n";
my $primary = start_node('primary', $conf, allows_streaming => 'logical');
my $subscriber = start_node('subscriber', $conf);

$_->safe_psql('postgres', "SELECT eventstore.create_store('shop.orders')") for $primary, $subscriber;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', 'CREATE PUBLICATION chaos FOR TABLE eventstore.events, shop.orders, eventstore.watermarks');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION chaos CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION chaos");

# The writers, by their weight among the transactions.
my $store = "(ARRAY['eventstore.events', 'shop.orders'])[:s]::regclass";
my %writers = (
  single => [ 30, "SELECT eventstore.append_event('single', '{}', 'a' || :a, store => $store);" ],
  insert => [ 10, "INSERT INTO shop.orders (event_type, data) SELECT 'insert', '{}' FROM generate_series(1, :n);" ],
  batch => [ 10, "SELECT eventstore.append_events((SELECT jsonb_agg('{\"event_type\": \"batch\", \"data\": 1}'::jsonb) FROM generate_series(1, :n * 4)), store => $store);" ],
  slow => [ 8, "BEGIN;
    SELECT eventstore.append_event('slow', '{}', store => $store);
    \\sleep :ms ms
    SELECT eventstore.append_event('slow', '{}', store => 'shop.orders');
    COMMIT;" ],
  rollback => [ 8, "BEGIN;
    SELECT eventstore.append_event('rolled back', '{}', store => $store);
    \\sleep :ms ms
    ROLLBACK;" ],
  savepoint => [ 8, "BEGIN;
    SAVEPOINT s;
    SELECT eventstore.append_event('rolled back', '{}', store => $store);
    ROLLBACK TO s;
    \\sleep :ms ms
    SELECT eventstore.append_event('savepoint', '{}', store => $store);
    SAVEPOINT t;
    SELECT eventstore.append_event('rolled back', '{}', store => 'eventstore.events');
    ROLLBACK TO t;
    SELECT eventstore.append_event('savepoint', '{}', store => 'eventstore.events');
    COMMIT;" ],
  prepared => [ 4, "BEGIN;
    SELECT eventstore.append_event('prepared', '{}', store => $store);
    PREPARE TRANSACTION 'own :client_id :g';
    \\sleep :ms ms
    COMMIT PREPARED 'own :client_id :g';" ],
  abandoned => [ 1, "BEGIN;
    SELECT eventstore.append_event('abandoned', '{}', store => $store);
    PREPARE TRANSACTION 'abandoned :client_id :g';" ]);
my @scripts;
for my $name (sort keys %writers)
{
  my $file = $primary->basedir . "/$name.sql";
  append_to_file($file, "\\set s random(1, 2)\n\\set a random(1, 1000)\n\\set n random(1, 12)\n\\set ms random(1, 150)\n\\set g random(1, 1000000000)\n"
    . $writers{$name}[1] =~ s/(?<!;)\n */ /gr =~ s/ *(\\sleep :ms ms) */\n$1\n/gr . "\n");
  push @scripts, '-f', "$file\@$writers{$name}[0]";
}

# Run the writers for some seconds, without waiting for them.  Those that are
# killed say so, and pgbench fails.
my $writers_out = '';
sub start_writers
{
  my ($seconds) = @_;
  return IPC::Run::start([ 'pgbench', '-n', '-c', '12', '-j', '2', '-T', $seconds, '-R', '300', @scripts, $primary->connstr('postgres') ],
    '<', \'', '>', \$writers_out, '2>', \$writers_out, IPC::Run::timeout(60));
}

# Each reader goes on from the last position that it has seen.  One reads by
# the function, one by the watermark's row; one does without the mark, which
# is not safe.
my %queries = (
  'read_events' => "SELECT position FROM eventstore.read_events(%d, 500, store => '%s')",
  'the row' => "SELECT position FROM %2\$s WHERE position > %1\$d AND position <= (SELECT position FROM eventstore.watermarks WHERE store = '%2\$s'::regclass) ORDER BY position LIMIT 500",
  'no mark' => "SELECT position FROM %2\$s WHERE position > %1\$d ORDER BY position LIMIT 500");
my @readers;
for my $node ($standby, $subscriber)
{
  for my $by (sort keys %queries)
  {
    push @readers, { node => $node, by => $by, store => $_, seen => [], last => 0, name => $node->name . ", $_, by $by" } for @stores;
  }
}
my %errors;

# Have all readers read a page, in sessions that are opened anew when they end;
# the number of events that they got.
sub read_pages
{
  my $got = 0;
  for my $reader (@readers)
  {
    $reader->{session} //= eval { session($reader->{node}) } or next;
    eval { $reader->{session}->start_sql(sprintf $queries{ $reader->{by} }, $reader->{last}, $reader->{store}) };
  }
  for my $reader (grep { $_->{session} } @readers)
  {
    my $out = eval { $reader->{session}->finish_sql };
    my $state = defined $out ? $reader->{session}->state : 'connection lost';
    if ($state eq '00000')
    {
      my @positions = split /\n/, $out;
      next if !@positions;
      push @{ $reader->{seen} }, @positions;
      $reader->{last} = $positions[-1];
      $got += @positions;
      next;
    }
    $errors{ $reader->{node}->name . ": $state" }++;
    next if defined $out;
    $reader->{session}->quit;
    delete $reader->{session};
  }
  return $got;
}

# End what is prepared and abandoned: about every other one is rolled back.
sub finish_prepared
{
  my ($which) = @_;
  my ($rc, $out, $err) = $primary->psql('postgres',
    "SELECT format('%s PREPARED %L', CASE WHEN hashtext(gid) % 2 = 0 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid) FROM pg_prepared_xacts WHERE $which \\gexec");
  diag("finishing prepared transactions: $err") if $err;
  return;
}

# Read, kill a writer and finish abandoned transactions now and then, until a
# time.
my $killed = 0;
sub read_until
{
  my ($end) = @_;
  my $next = time + 0.7;
  while (time < $end)
  {
    read_pages();
    sleep 0.02;
    next if time < $next;
    $next = time + 0.7;
    finish_prepared("gid LIKE 'abandoned%' AND prepared < now() - interval '500 ms'");
    my ($rc, $out) = $primary->psql('postgres', "SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE state = 'idle in transaction'");
    $killed++ if ($out // '') eq 't';
  }
  return;
}

# The notifier is killed while it works; the next append brings another.
my $run = start_writers(5);
read_until(time + 2);
is($primary->safe_psql('postgres', "SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_eventstore notifier'"), 't', 'the notifier is killed');
read_until(time + 3);
eval { $run->finish };

# The primary crashes, with open and prepared transactions.
$run = start_writers(30);
read_until(time + 2);
$primary->safe_psql('postgres', "BEGIN; SELECT eventstore.append_event('crash', '{}'); PREPARE TRANSACTION 'before the crash'");
$primary->stop('immediate');
eval { $run->finish };
read_until(time + 0.3);
$primary->start;
is($primary->safe_psql('postgres', "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'before the crash'"), '1', 'the primary is back after a crash, with what was prepared');

# The standby is restarted while the writers go on.
$run = start_writers(5);
read_until(time + 1.5);
$standby->restart;
read_until(time + 3.5);
eval { $run->finish };

# So is the subscriber.
$run = start_writers(3);
read_until(time + 1);
$subscriber->restart;
read_until(time + 2);
eval { $run->finish };
finish_prepared('true');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'nothing is left prepared');

# Without further appends, the marks come to the last events.
my %last = map { $_ => $primary->safe_psql('postgres', "SELECT max(position) FROM $_") } @stores;
my $end = time + 20;
read_pages() || sleep 0.05 while time < $end && grep { $_->{last} < $last{ $_->{store} } } @readers;

my $lost_without = 0;
my %events = map { $_ => [ split /\n/, $primary->safe_psql('postgres', "SELECT position FROM $_ ORDER BY position") ] } @stores;
for my $reader (@readers)
{
  my %seen;
  my ($duplicated, $inverted, $previous) = (0, 0, 0);
  for my $position (@{ $reader->{seen} })
  {
    $duplicated++ if $seen{$position}++;
    $inverted++ if $position < $previous;
    $previous = $position;
  }
  my $lost = grep { !delete $seen{$_} } @{ $events{ $reader->{store} } };
  my $result = "$lost lost, $duplicated duplicated, $inverted inverted, " . scalar(keys %seen) . ' unknown';
  if ($reader->{by} eq 'no mark') { diag("$reader->{name}: $result") }
  else { is($result, '0 lost, 0 duplicated, 0 inverted, 0 unknown', $reader->{name}) }
}
for my $store (@stores)
{
  my $n = @{ $events{$store} };
  my $gaps = $events{$store}[-1] - $n;
  diag("$store: $n events, $gaps positions without");
  cmp_ok($n, '>', 1000, "$store has many events");
  cmp_ok($gaps, '>', 10, "$store has positions that were rolled back");
  is($primary->safe_psql('postgres', "SELECT count(*) FROM (SELECT aggregate_version - lag(aggregate_version, 1, 0) OVER (PARTITION BY aggregate_id ORDER BY position) AS step FROM $store WHERE aggregate_id IS NOT NULL) s WHERE step <> 1"),
    '0', "$store: the versions of each aggregate are in the order of the positions");
  is($_->safe_psql('postgres', "SELECT eventstore.high_water_mark('$store') >= $last{$store}"), 't', $_->name . ": the mark of $store has come to the end")
    for $primary, $standby, $subscriber;
}
cmp_ok($killed, '>', 2, 'writers were killed');
# a reader may be told to try again by the standby's recovery, or lose its
# connection when its server is restarted
is(join(', ', grep { !/: (?:40001|57P0[123]|connection lost)$/ } sort keys %errors), '', 'no reader failed');
diag("$_: $errors{$_} times") for sort keys %errors;

# The standby takes over, and its readers go on.
$primary->stop;
$standby->promote;
@readers = grep { $_->{node} == $standby && $_->{by} eq 'read_events' } @readers;
$_->{seen} = [] for @readers;
for my $store (@stores)
{
  $standby->safe_psql('postgres', "SELECT eventstore.append_event('promoted', '{}', store => '$store') FROM generate_series(1, 700)");
}
1 while read_pages();
for my $reader (@readers)
{
  my $positions = $standby->safe_psql('postgres', "SELECT position FROM $reader->{store} WHERE event_type = 'promoted' ORDER BY position");
  is(scalar(@{ $reader->{seen} }), 700, "$reader->{name}: goes on after the promotion");
  is(join("\n", @{ $reader->{seen} }), $positions, 'in order');
}
$_->{session}->quit for @readers;
$_->stop for $standby, $subscriber;
done_testing();
