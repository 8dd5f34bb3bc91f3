# The programs in examples/: workers that are killed, stopped and disconnected during
# their work, dead letters, effects exactly once, and an order service with projections. All languages take each step at
# the same time, each in a separate database. If PgBouncer is installed, workers with an
# even number connect through it, in transaction mode.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $examples = "$FindBin::RealBin/../../examples";
my $dir = PostgreSQL::Test::Utils::tempdir();
$ENV{NODE_PATH} = join ':', grep { $_ } $ENV{NODE_PATH}, '/usr/share/nodejs';
$ENV{PYTHONDONTWRITEBYTECODE} = 1;

# Handles an event, which comes as JSON: writes down when it begins and ends, takes a while,
# and fails for an event of type "bad" while there is a file "broken".
my $handler = "$dir/handle";
append_to_file($handler, <<'EOP');
#!/usr/bin/perl
use strict;
use warnings;
use JSON::PP;
use Time::HiRes 'sleep';
my $event = decode_json(do { local $/; <STDIN> });

sub note
{
  open(my $out, '>>', $ENV{HANDLED}) or die;
  syswrite $out, "$ENV{PGAPPNAME} $_[0] $event->{aggregate_id} $event->{aggregate_version}\n";
}
note('begins');
sleep($event->{data}{seconds} // 0.04);
exit 1 if $event->{event_type} eq 'bad' && -e "$ENV{HANDLED}.broken";
note('ends');
EOP
chmod 0755, $handler;

my $python = <<'EOP';
import json, subprocess, sys
sys.path.insert(0, sys.argv[1])
import worker
worker.LEASE = 10
def handle(event):
    subprocess.run([sys.argv[3]], input=json.dumps(event._asdict(), default=str), text=True, check=True)
worker.run(sys.argv[2], handle)
EOP

my $javascript = <<'EOJ';
const { execFile } = require('child_process');
const [folder, consumer, handler] = process.argv.slice(1);
const handle = (event) => new Promise((resolve, reject) => {
  execFile(handler, (error) => error ? reject(error) : resolve()).stdin.end(JSON.stringify(event));
});
require(folder + '/worker.js').run(consumer, handle, 10000);
EOJ

# The languages: how to run a program, and the worker with the handler above.
my %languages = (
  python => {
    probe => [ '/usr/bin/python3', '-c', 'import psycopg' ],
    lacks => 'psycopg is not installed',
    program => sub { ('/usr/bin/python3', "$examples/python/$_[0].py") },
    worker => sub { ('/usr/bin/python3', '-c', $python, "$examples/python", $_[0], $handler) },
  },
  javascript => {
    probe => [ 'node', '-e', 'require("pg")' ],
    lacks => 'pg for Node.js is not installed',
    program => sub { ('node', "$examples/javascript/$_[0].js") },
    worker => sub { ('node', '-e', $javascript, "$examples/javascript", $_[0], $handler) },
  },
  psql => {
    probe => [ 'psql', '--version' ],
    lacks => 'psql is not installed',
    program => sub { ('bash', "$examples/psql/$_[0].sh") },
    worker => sub { ('env', 'LEASE=10', 'bash', "$examples/psql/worker.sh", $_[0], $handler) },
  });
my @languages;
foreach my $language (sort keys %languages)
{
  my $there = eval { IPC::Run::run($languages{$language}{probe}, '<', \undef, '>&', \my $said) };
 SKIP:
  {
    skip $languages{$language}{lacks}, 1 if !$there;
    pass("$language: can be tested");
    push @languages, $language;
  }
}

my $node = start_node('examples');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
my %pids;                       # of programs that run
my $pooler;

# End all that was started, also after a signal.
$SIG{$_} = sub { exit 1 } foreach 'HUP', 'INT', 'TERM';
END
{
  local $?;
  kill 'KILL', map { -$_ } keys %pids;
  $pooler->kill_kill if $pooler;
}

# A pooler in transaction mode; returns the folder of its socket, or that of the server if
# there is no PgBouncer.
sub start_pooler
{
  my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
  my $sockets = PostgreSQL::Test::Utils::tempdir_short();
 SKIP:
  {
    skip 'pgbouncer is not installed', 1 if !$pgbouncer;
    my ($host, $port) = ($node->host, $node->port);
    append_to_file("$dir/users", qq{"$user" ""\n});
    append_to_file("$dir/pgbouncer.ini", <<"EOS");
[databases]
* = host=$host port=$port
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $sockets
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 3
server_login_retry = 1
logfile = $dir/pgbouncer.log
EOS
    $pooler = IPC::Run::start([ $pgbouncer, '-q', "$dir/pgbouncer.ini" ], '<', \undef, '>&', \my $said);
    my $answers = within(20, sub { $node->psql('postgres', 'SELECT 1', connstr => "host=$sockets port=$port dbname=postgres user=$user") == 0 });
    ok($answers, 'PgBouncer answers') or diag(slurp_file("$dir/pgbouncer.log"));
    return $sockets;
  }
  return $node->host;
}

# Whether a condition comes true within some seconds.
sub within
{
  my ($seconds, $condition) = @_;
  my $end = time + $seconds;

  until ($condition->())
  {
    return 0 if time > $end;
    sleep 0.05;
  }
  return 1;
}

# Wait for a condition, for each language. One for which it does not come true takes no
# further steps.
sub await
{
  my ($name, $condition) = @_;
  foreach my $language (my @all = @languages)
  {
    next if ok(within(60, sub { $condition->($language) }), "$language: $name");
    diag(join "\n", map { "$_:\n" . slurp_file($_) } grep { -e } glob("$dir/$language.*.log"), handled($language));
    @languages = grep { $_ ne $language } @languages;
  }
  return;
}

my $pooled_host = start_pooler();

# Start a program; its process group has its process id.
sub start_program
{
  my ($language, $name, @command) = @_;
  local $ENV{PGHOST} = $name =~ /[02468]$/ ? $pooled_host : $node->host;
  local $ENV{PGPORT} = $node->port;
  local $ENV{PGDATABASE} = $language;
  local $ENV{PGUSER} = $user;
  local $ENV{PGAPPNAME} = $name;
  local $ENV{HANDLED} = handled($language);
  my $pid = fork // die "could not fork: $!";

  if ($pid == 0)
  {
    setpgrp(0, 0);
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>>', "$dir/$language.$name.log");
    open(STDERR, '>&', \*STDOUT);
    exec(@command) or POSIX::_exit(127);
  }
  setpgrp($pid, $pid);
  $pids{$pid} = 1;
  return $languages{$language}{pids}{$name} = $pid;
}
sub start_worker { return start_program(@_, $languages{ $_[0] }{worker}->($_[1])) }
sub start_example { my ($language, $name, $program) = @_; return start_program($language, $name, $languages{$language}{program}->($program), $name) }

# Send a signal to a program, or, as kill -9, to all its processes, or 0 for none, and wait
# for its end; its exit status, or undef if it does not end.
sub signaled
{
  my ($language, $name, $signal) = @_;
  my $pid = $languages{$language}{pids}{$name};
  my $status;

  kill $signal, $signal eq 'KILL' ? -$pid : $pid;
  within(20, sub { waitpid($pid, WNOHANG) == $pid and defined($status = $?) });
  kill 'KILL', -$pid if !defined $status;
  delete $pids{$pid};
  return $status;
}

# Stop programs of all languages; each has to end well.
sub stop_all
{
  my (@names) = @_;
  foreach my $language (@languages)
  {
    kill 'TERM', @{ $languages{$language}{pids} }{@names};
  }
  foreach my $language (@languages)
  {
    is(signaled($language, $_, 0), 0, "$language: SIGTERM: the idle worker $_ ends well") foreach @names;
  }
  return;
}

# What a program has written.
sub said
{
  my ($language, $name) = @_;
  return slurp_file("$dir/$language.$name.log");
}

# The file of what was handled, and its lines: worker, "begins" or "ends", aggregate, version.
sub handled { return "$dir/$_[0].handled" }
sub lines
{
  my ($language) = @_;
  return -e handled($language) ? map { [split] } split /\n/, slurp_file(handled($language)) : ();
}

# The lines of a kind, as "aggregate version", of a worker if one is given.
sub events
{
  my ($language, $what, $worker) = @_;
  return map { "$_->[2] $_->[3]" } grep { $_->[1] eq $what && (!$worker || $_->[0] eq $worker) } lines($language);
}

# How often an event has begun or ended.
sub how_often
{
  my ($language, $what, $event) = @_;
  return scalar grep { $_ eq $event } events($language, $what);
}

# What breaks the order: an event that begins before the one before it has ended, or again,
# except for one repetition of the last events of an aggregate after $killed had it.
sub disorder
{
  my ($language, $killed) = @_;
  my (%last, %by, %repeated, @wrong);

  foreach my $line (lines($language))
  {
    my ($worker, $what, $aggregate, $version) = @$line;
    if ($what eq 'ends')
    {
      $last{$aggregate} = $version;
      next;
    }
    my $expected = ($last{$aggregate} // 0) + 1;
    push @wrong, "@$line" if $version > $expected || $version < $expected && ($repeated{$aggregate}++ || $by{$aggregate} ne $killed);
    $by{$aggregate} = $worker;
  }
  return @wrong;
}

sub sql { my ($language, $sql) = @_; return $node->safe_psql($language, $sql) }

# Whether a subscription has nothing left to do, beside parked events.
sub is_done
{
  my ($language, $subscription) = @_;
  return sql($language, "SELECT lag = 0 AND in_flight = 0 FROM eventstore.subscriptions WHERE name = '$subscription'") eq 't';
}

# Append events of a type to aggregates, one to each, a number of times.
sub append
{
  my ($language, $rounds, $aggregates, $type, $data) = @_;
  return sql($language, "SELECT eventstore.append_event('$type', '" . ($data // '{}') . "', aggregate_id => a) FROM generate_series(1, $rounds), unnest('{$aggregates}'::text[]) a");
}

# Run the dead-letter handler; what it prints.
sub dead_letters
{
  my ($language, @arguments) = @_;
  my $name = 'letters' . ($#arguments + 1);
  my $pid = start_program($language, $name, $languages{$language}{program}->('dead_letters'), @arguments);
  my $status = 1;

  within(20, sub { waitpid($pid, WNOHANG) == $pid and defined($status = $?) });
  delete $pids{$pid};
  is($status, 0, "$language: dead_letters @arguments");
  return said($language, $name);
}

foreach my $language (@languages)
{
  $node->safe_psql('postgres', "CREATE DATABASE $language");
  sql($language, 'CREATE EXTENSION pg_eventstore');
  $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($language), '-f', "$examples/setup.sql" ], "$language: setup.sql");
  sql($language, "SELECT eventstore.alter_subscription(s, lease => '10 seconds', max_attempts => 2, backoff => '0.1 second') FROM unnest('{mails,activity}'::text[]) s");
}

# One worker is killed in the middle of a batch, another one is stopped in the middle of one.
my $aggregates = join ',', map { "a$_" } 1 .. 8;
my $in_flight = 'SELECT COALESCE(sum(in_flight), 0) FROM eventstore.subscription_partitions WHERE consumer =';
sub kill_and_stop
{
  my ($language) = @_;
  append($language, 6, $aggregates, 'e');
  start_worker($language, $_) foreach 'w1', 'w2';
  append($language, 4, $aggregates, 'e');
  ok(within(60, sub { events($language, 'ends', 'w1') > 2 && events($language, 'ends', 'w2') > 2 && sql($language, "$in_flight 'w1'") > 3 }), "$language: two workers share the events");
  signaled($language, 'w1', 'KILL');
  cmp_ok(sql($language, "$in_flight 'w1'"), '>', 1, "$language: one is killed in the middle of a batch");
  my $before = events($language, 'ends', 'w2');
  ok(within(60, sub { events($language, 'ends', 'w2') > $before && sql($language, "$in_flight 'w2'") > 3 }), "$language: the other one goes on");
  is(signaled($language, 'w2', 'TERM'), 0, "$language: SIGTERM: it ends well");
  is(sql($language, "SELECT count(*) FROM eventstore.subscription_partitions WHERE consumer = 'w2'"), '0', "$language: SIGTERM: its partitions are free");
  is(scalar events($language, 'begins', 'w2'), scalar events($language, 'ends', 'w2'), "$language: SIGTERM: it has ended the event at hand");
  ok(!is_done($language, 'mails'), "$language: SIGTERM: and no more than that");
  return ([ events($language, 'ends', 'w2') ], scalar lines($language));
}
foreach my $language (@languages)
{
  @{ $languages{$language} }{ 'done', 'stopped_at' } = kill_and_stop($language);
  start_worker($language, 'w4');
}
await('all events are handled', sub { is_done($_[0], 'mails') });
foreach my $language (@languages)
{
  my %ended = map { $_ => 1 } events($language, 'ends');
  is(scalar(keys %ended), 80, "$language: each event is handled");
  is_deeply([ disorder($language, 'w1') ], [], "$language: in the order of its aggregate, and again only after the kill");
  my @lines = lines($language);
  my %done = map { $_ => 1 } @{ $languages{$language}{done} };
  is_deeply([ grep { $done{$_} } map { "$_->[2] $_->[3]" } @lines[ $languages{$language}{stopped_at} .. $#lines ] ],
    [], "$language: SIGTERM: what was done was acknowledged");
}

# A lease is lost while an event is handled, and then the server crashes and starts again.
append($_, 1, 'slow', 'e', '{"seconds": 1.5}') foreach @languages;
await('an event is at hand', sub { how_often($_[0], 'begins', 'slow 1') });
is(sql($_, "SELECT eventstore.release('mails', 'w4')"), '1', "$_: its lease is lost") foreach @languages;
await('a lost lease: the event comes again', sub { how_often($_[0], 'ends', 'slow 1') == 2 && is_done($_[0], 'mails') });
like(said($_, 'w4'), qr/is not outstanding/, "$_: a lost lease: the worker says so") foreach @languages;
append($_, 2, $aggregates, 'e') foreach @languages;
sleep 0.3;
$node->stop('immediate');
$node->start;
append($_, 1, 'after', 'e') foreach @languages;
await('a crash of the server: the worker connects again', sub { how_often($_[0], 'ends', 'after 1') && is_done($_[0], 'mails') });
ok(kill(0, $languages{$_}{pids}{w4}), "$_: the worker has run all the time") foreach @languages;

# A batch that takes longer than the lease, while another worker waits for events.
start_worker($_, 'w5') foreach @languages;
append($_, 9, 'long', 'e', '{"seconds": 1.3}') foreach @languages;
await('a long batch is handled', sub { how_often($_[0], 'ends', 'long 9') && is_done($_[0], 'mails') });
is(scalar(grep { /^long / } events($_, 'begins')), 9, "$_: a long batch: each event once") foreach @languages;

# An event fails: the later ones of its aggregate wait, and the dead-letter handler replays them.
my $parked = "SELECT count(*) FROM eventstore.parked_events";
foreach my $language (@languages)
{
  sql($language, "SELECT eventstore.alter_subscription('mails', lease => '1 minute')");
  append_to_file(handled($language) . '.broken', '');
  append($language, 1, 'x', $_) foreach 'e', 'bad', 'e';
  append($language, 1, 'y', 'e');
}
await('an event is parked, with the one behind it', sub { sql($_[0], $parked) eq '2' && is_done($_[0], 'mails') });
foreach my $language (@languages)
{
  is(how_often($language, 'begins', 'x 2'), 2, "$language: after two attempts");
  is(how_often($language, 'begins', 'x 3'), 0, "$language: the later event of its aggregate waits");
  is(how_often($language, 'ends', 'y 1'), 1, "$language: other aggregates go on");
  like(dead_letters($language, 'mails'), qr/x *\| *2 *\| *bad *\| *2 .*handle.*\bx *\| *3 *\| *e *\| *0 /s, "$language: dead letters are listed, with the reason");
  unlink handled($language) . '.broken';
  like(dead_letters($language, 'mails', 'replay', 'x'), qr/\b2\b/, "$language: two are replayed");
}
await('replayed events are handled', sub { sql($_[0], $parked) eq '0' });
foreach my $language (@languages)
{
  is_deeply([ grep { /^x / } events($language, 'ends') ], [ 'x 1', 'x 2', 'x 3' ], "$language: in order");
  append_to_file(handled($language) . '.broken', '');
  append($language, 1, 'z', $_) foreach 'bad', 'e', 'e';
}
await('another event is parked', sub { sql($_[0], $parked) eq '3' });
dead_letters($_, 'mails', 'discard', 'z', 'it is of no use') foreach @languages;
await('the events behind one that is discarded are handled', sub { how_often($_[0], 'ends', 'z 3') && sql($_[0], $parked) eq '0' });
is_deeply([ grep { /^z / } events($_, 'ends') ], [ 'z 2', 'z 3' ], "$_: in order, without it") foreach @languages;
is(scalar(() = slurp_file($node->logfile) =~ /Reason: it is of no use/g), scalar @languages, 'the server logs why it was discarded');
unlink handled($_) . '.broken' foreach @languages;
stop_all('w4', 'w5');

# Exactly once: a trigger makes each effect take a while. One worker is killed in the middle
# of its transaction, another one loses its connection there.
my $right = q{SELECT count(*) FROM (SELECT aggregate_id, count(*) AS events, (array_agg(event_type ORDER BY position DESC))[1] AS last_event FROM eventstore.events GROUP BY 1) e FULL JOIN activity a USING (aggregate_id, events, last_event) WHERE a IS NULL OR e IS NULL};
sub in_the_middle
{
  my ($language, $name) = @_;
  ok(within(60, sub { sql($language, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '$name' AND wait_event = 'PgSleep'") eq '1' }), "$language: exactly once: $name writes");
  sleep 0.3;
  return;
}
foreach my $language (@languages)
{
  sql($language, <<'EOS');
CREATE TABLE broken (aggregate_id text);
CREATE FUNCTION take_a_while() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(0.02);
  IF EXISTS (SELECT FROM broken b WHERE b.aggregate_id = NEW.aggregate_id) AND NEW.last_event = 'bad' THEN
    RAISE 'it is broken';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER take_a_while BEFORE INSERT ON activity FOR EACH ROW EXECUTE FUNCTION take_a_while();
EOS
  append($language, 10, $aggregates, 'e');
  start_example($language, 'e1', 'exactly_once');
  in_the_middle($language, 'e1');
  signaled($language, 'e1', 'KILL');
  start_example($language, 'e2', 'exactly_once');
  in_the_middle($language, 'e2');
  cmp_ok(sql($language, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'e2'"), '>', 0, "$language: exactly once: e2 loses its connection");
  start_example($language, 'e3', 'exactly_once');
}
await('exactly once: all events are handled', sub { is_done($_[0], 'activity') });
is(sql($_, $right), '0', "$_: exactly once: after a kill and a lost connection") foreach @languages;
foreach my $language (@languages)
{
  sql($language, "INSERT INTO broken VALUES ('q')");
  append($language, 1, 'q', $_) foreach 'e', 'bad', 'e';
  append($language, 1, 'r', 'e');
}
await('exactly once: an event is parked', sub { sql($_[0], $parked) eq '2' && is_done($_[0], 'activity') });
foreach my $language (@languages)
{
  is(sql($language, "SELECT aggregate_id, events, last_event FROM activity WHERE aggregate_id IN ('q', 'r') ORDER BY 1"), "q|1|e\nr|1|e", "$language: exactly once: an event that fails leaves nothing behind, others go on");
  sql($language, 'DELETE FROM broken');
  dead_letters($language, 'activity', 'replay', 'q');
}
await('exactly once: replayed events are handled', sub { sql($_[0], $parked) eq '0' });
is(sql($_, $right), '0', "$_: exactly once: after a replay") foreach @languages;
stop_all('e2', 'e3');

# The worker as it is, which prints the events.
start_program($_, 'print2', $languages{$_}{program}->('worker')) foreach @languages;
await('the worker as it is prints the events', sub { said($_[0], 'print2') =~ /\bq\b.*\br\b/s && is_done($_[0], 'mails') });
stop_all('print2');

# The order service, whose read models projections keep up to date. Every second program connects through the pooler.
my $orders = 0;
sub orders
{
  my ($language, $wanted, $prints, @arguments) = @_;
  my $name = 'orders' . ++$orders;
  my $pid = start_program($language, $name, $languages{$language}{program}->('orders'), @arguments);
  my $status;

  within(60, sub { waitpid($pid, WNOHANG) == $pid and defined($status = $?) });
  delete $pids{$pid};
  is($status // 'none', $wanted, "$language: orders @arguments: status") or diag said($language, $name);
  is(said($language, $name), "$prints\n", "$language: orders @arguments");
  return;
}
foreach my $language (@languages)
{
  $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($language), '-f', "$examples/orders.sql" ], "$language: orders.sql");
  orders($language, 0, "o-$_: placed, 3$_", 'place', "o-$_", "3$_") foreach 1 .. 3;
  orders($language, 0, 'o-1: paid, 31', 'pay', 'o-1');
  orders($language, 256, 'o-1 was placed before', 'place', 'o-1', '30');
  orders($language, 256, 'there is no order o-4', 'pay', 'o-4');
  is(sql($language, "SELECT eventstore.wait_for_projection('example.turnover') IS NOT NULL, (SELECT concat(sum(orders), ' ', sum(total)) FROM example.turnover)"), 't|3 96', "$language: orders: the turnover");
  orders($language, 0, 'u-1 is registered', 'register', 'u-1', 'ann@example.org');
  orders($language, 256, 'Ann@example.org is taken', 'register', 'u-2', 'Ann@example.org');
  orders($language, 0, 'u-2 is registered', 'register', 'u-2', 'bob@example.org');
  is(sql($language, 'SELECT string_agg(e.aggregate_id || $$ $$ || m.email, $$,$$ ORDER BY position) FROM example.users e JOIN example.emails m ON m.user_id = e.aggregate_id'), 'u-1 ann@example.org,u-2 bob@example.org', "$language: orders: no event of a rejected user");
  sql($language, "UPDATE example.order_list SET total = 0; DELETE FROM example.order_list WHERE order_id = 'o-2'");
  orders($language, 0, 'order_list is rebuilt', 'rebuild');
  is(sql($language, "SELECT string_agg(concat_ws(' ', order_id, state, total), ',' ORDER BY order_id) FROM example.order_list"), 'o-1 paid 31,o-2 placed 32,o-3 placed 33', "$language: orders: rebuilt");
}

$pooler->signal('INT') if $pooler;
$pooler->kill_kill(grace => 5) if $pooler;
undef $pooler;
$node->stop;
done_testing();
