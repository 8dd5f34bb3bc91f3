# pg_eventstore_migrate: its command line, the files that it writes, signals, and its
# output on a terminal.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::UNIX;
use IPC::Run ();
use PgesTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The program as it was built here, or else the installed one.
my $program = 'pg_eventstore_migrate';
my $built = "$FindBin::RealBin/../../src/bin/$program";
$ENV{PATH} = "$built:$ENV{PATH}" if -x "$built/$program";

my $node = start_node('migrate_files');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $connstr = $node->connstr('postgres');
delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE PGAPPNAME COLUMNS)};
umask 022;

my $event = '{"event_id": "e-1", "event_type": "t", "occurred_at": "2025-01-01T00:00:00Z", "data": 1}';
my $to = "--target=$connstr";
my $from = "--source=$connstr";

# A file that gives this as standard input: a pipe would break when the program
# ends before it reads.
sub input_of
{
  my ($text) = @_;
  my $path = "$dir/input";

  unlink $path;
  append_to_file($path, $text);
  return $path;
}

# Run a command; its exit status (128 and more is a signal), standard output and standard error.
sub command
{
  my ($in, @command) = @_;
  my ($out, $err) = ('', '');

  IPC::Run::run([@command], '<', input_of($in), '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $out, $err);
}

# Run the program from a shell that does this with its descriptors.
sub from_shell
{
  my ($in, $redirections, @arguments) = @_;
  return command($in, 'sh', '-c', "exec \"\$@\" $redirections", 'sh', $program, @arguments);
}

# The program ends with this status, and says this.
sub ends
{
  my ($name, $expected, $said, @result) = @_;

  is($result[0], $expected, "$name: exit status") or diag($result[2]);
  like($result[2], $said, "$name: what it says");
  return;
}

# The program exports to this file.
sub exports_ok
{
  my ($name, $target) = @_;
  ends($name, 0, qr/1 events exported/, command('', $program, $from, "--target=$target"));
  return;
}

# What stays beside a file.
sub left_beside
{
  my ($path) = @_;
  return join(' ', glob("$path.partial*"));
}

# Write a file; its path.
sub file_of
{
  my ($name, $content) = @_;
  my $path = "$dir/$name";

  append_to_file($path, $content);
  return $path;
}

# The permissions of a file, in octal.
sub mode_of
{
  my ($path) = @_;
  return sprintf('%04o', (stat $path)[2] & 07777);
}

# Start the program on a store that is locked, and wait until it waits for that.
sub start_waiting
{
  my ($err, @arguments) = @_;
  my $lock = session($node);

  $lock->run('BEGIN; LOCK TABLE eventstore.events');
  my $run = IPC::Run::start([ $program, @arguments ], '<', \undef, '2>', $err, IPC::Run::timeout(60));
  $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$program' AND wait_event_type = 'Lock'")
    or die 'it does not wait';
  return ($run, $lock);
}

# The signal that a run ends by; 0 if it exits, -1 if it does not end.
sub signal_of
{
  my ($run) = @_;
  my $end = time + 15;

  while ($run->pumpable && time < $end)
  {
    select(undef, undef, undef, 0.05);
    $run->pump_nb;
  }
  if ($run->pumpable)
  {
    $run->kill_kill(grace => 0);
    return -1;
  }
  eval { $run->finish };
  return $run->full_result(0) & 127;
}

ends('the event', 0, qr/1 events imported/, command($event, $program, '--source=-', $to));
my $content = (command('', $program, $from, '--target=-'))[1];
like($content, qr/^\{.*"e-1".*\}\n$/, 'the event as it comes out');

# The command line.
ends('an empty target', 1, qr/--target is empty.*hint: Try/s, command('', $program, '--source=-', '--target='));
ends('an empty source', 1, qr/--source is empty.*hint: Try/s, command('', $program, '--source', '', $to));
ends('-d for no end', 1, qr/--dbname cannot be used/, command($event, $program, '--source=-', $to, '-d', 'postgres'));
for my $option ('--source-format=auto', '--source-schema=x', '--source-table=x')
{
  my ($name) = $option =~ /^([^=]+)/;
  ends("$name and a file", 1, qr/option $name cannot be used with a source that is a file.*hint: Try/s,
    command($event, $program, '--source=-', $to, $option));
}
for my $option ('--batch-size=10000', '--no-notifications', '--no-create-schema')
{
  my ($name) = $option =~ /^([^=]+)/;
  ends("$name and a file", 1, qr/option $name cannot be used with a target that is a file.*hint: Try/s,
    command('', $program, $from, '--target=-', $option));
}

# What is a file, and what a database.
mkdir "$dir/day=1";
ends('a path with =', 0, qr/1 events exported/, command('', $program, $from, "--target=$dir/day=1/v.json"));
ends('a relative path with =', 0, qr/1 were there already/, command('', 'sh', '-c', 'cd "$1"; shift; exec "$@"', 'sh', $dir, $program, '--source=./day=1/v.json', $to));
ends('no option of a connection', 1, qr{invalid connection option "day".*hint: .*"\./}s, command('', $program, '--source=day=1/v.json', $to));
my ($host, $port) = ($node->host, $node->port);
for my $scheme ('postgres', 'postgresql', 'PostgreSQL')
{
  ends("$scheme://", 0, qr/1 events exported/, command('', $program, "--source=$scheme:///postgres?host=$host&port=$port", '--target=-'));
}
for my $mistyped ('postgre://u:secret@h/x', 'postgresql:/u:secret@h/x', 'Postgresql//u:secret@h/x', 'h/x?user=u&password=secret', './x password = secret')
{
  my @result = command('', $program, "--source=$mistyped", $to);
  is($result[0], 1, "$mistyped: exit status");
  like($result[2], qr/error: (?:could not open file|there are no databases)/, "$mistyped: what it says");
  unlike($result[2], qr/secret/, "$mistyped: the password is not shown");
}
like((command('', $program, '--help'))[1], qr{"=" before any "/"}, '--help tells the rule');

# A new file and one that is there; its permissions, and what a link leads to.
exports_ok('a new file', "$dir/new.jsonl");
is(slurp_file("$dir/new.jsonl"), $content, 'a new file: the event');
is(mode_of("$dir/new.jsonl"), '0644', 'a new file: its mode comes from the umask');
umask 077;
exports_ok('a new private file', "$dir/private.jsonl");
is(mode_of("$dir/private.jsonl"), '0600', 'a new private file: its mode');
umask 022;
exports_ok('an old private file', "$dir/private.jsonl");
is(mode_of("$dir/private.jsonl"), '0600', 'an old private file stays private');
chmod 0666, "$dir/new.jsonl";
exports_ok('an old public file', "$dir/new.jsonl");
is(mode_of("$dir/new.jsonl"), '0666', 'an old public file stays public');

mkdir "$dir/real";
symlink 'real/linked.jsonl', "$dir/link.jsonl";
symlink 'link.jsonl', "$dir/second.jsonl";
for my $kind ('leads nowhere yet', 'leads to a file')
{
  exports_ok("a link that $kind", "$dir/second.jsonl");
  ok(-l "$dir/link.jsonl" && -l "$dir/second.jsonl", "a link that $kind: stays a link");
  ok(!-l "$dir/real/linked.jsonl", "a link that $kind: the file is none");
  is(slurp_file("$dir/real/linked.jsonl"), $content, "a link that $kind: the file is written");
}
is(join(' ', glob("$dir/*.partial* $dir/real/*.partial*")), '', 'nothing else stays');
symlink 'round.jsonl', "$dir/round.jsonl";
ends('a link to itself', 1, qr/could not open file "\S+round.jsonl" for writing: Too many levels/, command('', $program, $from, "--target=$dir/round.jsonl"));

# The name that a file has before it is whole can neither be planted nor shared.
my $victim = file_of('victim', "mine\n");
symlink $victim, "$dir/planted.jsonl.partial";
exports_ok('a planted link', "$dir/planted.jsonl");
is(slurp_file($victim), "mine\n", 'a planted link: is not followed');
ok(!-l "$dir/planted.jsonl", 'a planted link: is not what the file becomes');
{
  my ($first, $lock) = start_waiting(\my $err, $from, "--target=$dir/shared.jsonl");
  my @begun = glob("$dir/shared.jsonl.partial*");
  is(scalar(@begun), 1, 'two exports at once: the first one has begun');
  is(mode_of($begun[0]), '0600', 'two exports at once: nobody else may read what it writes');
  my ($second) = IPC::Run::start([ $program, $from, "--target=$dir/shared.jsonl" ], '2>', \my $said, IPC::Run::timeout(60));
  $node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = '$program' AND wait_event_type = 'Lock'")
    or die 'it does not wait';
  is(scalar(my @both = glob("$dir/shared.jsonl.partial*")), 2, 'two exports at once: each has its own file');
  $lock->quit;
  $_->finish for $first, $second;
  is($first->full_result(0) + $second->full_result(0), 0, 'two exports at once: both end well');
  is(slurp_file("$dir/shared.jsonl"), $content, 'two exports at once: the file is whole');
  is(left_beside("$dir/shared.jsonl"), '', 'two exports at once: nothing else stays');
}

# What is no file is written as it is, or is an error before anything else.
my $nowhere = '--source=host=/nowhere';
mkdir "$dir/folder";
for my $target ("$dir/folder", "$dir/folder/")
{
  ends('a directory', 1, qr/could not open file "\S+folder\/?" for writing: Is a directory/, command('', $program, $nowhere, "--target=$target"));
}
ends('a directory, dry', 1, qr/folder" for writing: Is a directory/, command('', $program, $nowhere, '--dry-run', "--target=$dir/folder"));
ends('a dry run', 0, qr/1 events would be exported/, command('', $program, $from, '--dry-run', "--target=$dir/dry.jsonl"));
is(join(' ', glob("$dir/dry*")), '', 'a dry run: nothing stays');
ends('a dry run with no directory', 1, qr/for writing: No such file/, command('', $program, $from, '--dry-run', "--target=$dir/none/x.jsonl"));
ends('a directory as source', 1, qr/folder" for reading: Is a directory/, command('', $program, "--source=$dir/folder", $to));
is(left_beside("$dir/folder") . join(' ', glob("$dir/folder/* $dir/folder/.p*")), '', 'a directory: nothing stays');
ends('no directory', 1, qr/could not open file "\S+none\/x.jsonl" for writing: No such file/, command('', $program, $nowhere, "--target=$dir/none/x.jsonl"));
ends('no server', 1, qr/connection to server/, command('', $program, $nowhere, "--target=$dir/unmade.jsonl"));
is(join(' ', glob("$dir/unmade*")), '', 'no server: nothing stays');
SKIP:
{
  skip 'root may write everything', 3 if $> == 0;
  my $protected = file_of('protected.jsonl', "old\n");
  chmod 0400, $protected;
  ends('a file that may not be written', 1, qr/for writing: Permission denied/, command('', $program, $nowhere, "--target=$protected"));
  is(slurp_file($protected), "old\n", 'a file that may not be written: is as it was');
}
ends('a device', 0, qr/1 events exported/, command('', $program, $from, '--target=/dev/null'));
ok(-c '/dev/null', 'a device stays one');
ends('a full device', 1, qr{could not write to /dev/full: No space}, command('', $program, $from, '--target=/dev/full')) if -c '/dev/full';
POSIX::mkfifo("$dir/fifo", 0600) or die "no fifo: $!";
my @through = command('', 'sh', '-c', 'cat "$1" & shift; "$@" || kill $!; wait', 'sh', "$dir/fifo", $program, $from, "--target=$dir/fifo");
ends('a fifo', 0, qr/1 events exported/, @through);
is($through[1], $content, 'a fifo: what comes out');
ok(-p "$dir/fifo", 'a fifo stays one');
for my $target ('/dev/stdout', '/dev/fd/1', '-')
{
  my $both = file_of('both' . length $target, "before\n");
  is((from_shell('', ">>'$both'", $from, "--target=$target"))[0], 0, "$target: exit status");
  is(slurp_file($both), "before\n$content", "$target: is appended to");
}
is((from_shell('', '7>&1', $from, '--target=/dev/fd/7'))[1], $content, 'another descriptor');

# Descriptors that are closed are not taken for those of the server.
ends('a closed output', 1, qr/the standard output is not open/, from_shell('', '>&-', $from, '--target=-'));
ends('a closed output by name', 1, qr/the standard output is not open/, from_shell('', '>&-', $from, '--target=/dev/stdout'));
ends('a closed input', 1, qr/the standard input is not open/, from_shell('', '<&-', '--source=-', $to));
ends('a closed descriptor', 1, qr/descriptor 9 is not open/, from_shell('', '9>&-', '--source=/dev/fd/9', $to));
is((from_shell($event, '2>&-', '--source=-', $to))[0], 0, 'the standard error may be closed');
is((from_shell('', '<&- 2>&-', $from, '--target=-'))[1], $content, 'so may what is not needed');
is((from_shell('', '<&- >&- 2>&-', $from, "--target=$dir/closed.jsonl"))[0], 0, 'and all of them');
is(slurp_file("$dir/closed.jsonl"), $content, 'the file has the events only');

# A password is not read from the events.
{
  $node->safe_psql('postgres', "CREATE ROLE keyed LOGIN SUPERUSER PASSWORD 'secret'");
  my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
  unlink $node->data_dir . '/pg_hba.conf';
  $node->append_conf('pg_hba.conf', "local all keyed scram-sha-256\nlocal all all trust");
  $node->reload;
  local $ENV{PGPASSFILE} = "$dir/none";
  for my $option ('-W', '--quiet')
  {
    my ($out, $err) = ('', '');
    IPC::Run::run([ $program, $option, '--source=-', "$to user=keyed" ], '<', input_of("secret\n$event"), '>', \$out, '2>', \$err,
      init => sub { POSIX::setsid() }, IPC::Run::timeout(60));
    is($? >> 8, 1, "no terminal to ask for a password, $option: exit status");
    like($err, $option eq '-W' ? qr/no terminal to ask for a password/ : qr/no password supplied/, "no terminal, $option: what it says");
    unlike($err, qr/Password:/, "no terminal, $option: it does not ask");
  }
  my $list = file_of('list.jsonl', "$event\n");
  my $err = '';
  IPC::Run::run([ $program, "--source=$list", "$to user=keyed" ], '<', input_of("secret\n"), '2>', \$err, init => sub { POSIX::setsid() }, IPC::Run::timeout(60));
  like($err, qr/1 were there already/, 'with events from a file the standard input may give the password');
}

# On a terminal it is asked for there.
SKIP:
{
  eval { require IO::Pty; IO::Pty->new or die } or skip 'there is no IO::Pty, or no terminal for it', 2;
  my $list = file_of('piped.jsonl', "$event\n");
  my $pty = IO::Pty->new;
  my $pid = fork // die "no fork: $!";
  if ($pid == 0)
  {
    $pty->make_slave_controlling_terminal;
    $ENV{PGPASSFILE} = "$dir/none";
    exec 'sh', '-c', 'in=$1; log=$2; shift 2; exec "$@" <"$in" 2>"$log"', 'sh', $list, "$dir/asked", $program, '--source=-', "$to user=keyed"
      or POSIX::_exit(1);
  }
  my $seen = '';
  local $SIG{ALRM} = sub { die "it does not ask: $seen" };
  alarm 60;
  sysread($pty, $seen, 1000, length $seen) until $seen =~ /Password:/;
  syswrite($pty, "secret\n");
  waitpid($pid, 0);
  my $status = $?;
  alarm 0;
  is($status, 0, 'a password from the terminal');
  like(slurp_file("$dir/asked"), qr/1 were there already/, 'and events from the standard input');
}

# Signals leave no part of a file, and a second SIGINT ends everything at once.
# Who started this may have ignored some, as shells do for what runs in the background.
@SIG{qw(HUP INT QUIT TERM)} = ('DEFAULT') x 4;
for my $signal ('HUP', 'TERM', 'QUIT', 'KILL')
{
  my ($run, $lock) = start_waiting(\my $err, $from, "--target=$dir/$signal.jsonl");
  $run->signal($signal);
  my $ended = signal_of($run);
  my %numbers = (HUP => 1, QUIT => 3, KILL => 9, TERM => 15);
  is($ended, $numbers{$signal}, "SIG$signal ends it");
  $lock->quit;
  is(!!left_beside("$dir/$signal.jsonl"), $signal eq 'KILL', "SIG$signal: what stays");
  exports_ok("after SIG$signal", "$dir/$signal.jsonl");
}
{
  my ($run, $lock) = start_waiting(\my $err, $from, "--target=$dir/canceled.jsonl");
  $run->signal('INT');
  eval { $run->finish };
  is($run->result(0), 1, 'SIGINT: exit status');
  is(join(' ', glob("$dir/canceled*")), '', 'SIGINT: nothing stays');
  $lock->quit;

  ($run, $lock) = start_waiting(\$err, $from, "--target=$dir/canceled.jsonl");
  my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
  kill 'STOP', $postmaster;
  $run->signal('INT');
  select(undef, undef, undef, 0.5);
  ok($run->pumpable, 'SIGINT: it waits for a server that does not answer');
  $run->signal('INT');
  is(signal_of($run), 2, 'a second SIGINT ends it');
  kill 'CONT', $postmaster;
  $lock->quit;
  is(join(' ', glob("$dir/canceled*")), '', 'a second SIGINT: nothing stays');
}
{
  my $short = PostgreSQL::Test::Utils::tempdir_short();
  my $silent = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => "$short/.s.PGSQL.5432", Listen => 5) or die "no socket: $!";
  my $run = IPC::Run::start([ $program, "--source=host=$short port=5432", "--target=$dir/connecting.jsonl" ], '2>', \my $err, IPC::Run::timeout(60));
  my $accepted = $silent->accept;
  $run->signal('INT');
  is(signal_of($run), 2, 'SIGINT while it connects');
  is(join(' ', glob("$dir/connecting*")), '', 'SIGINT while it connects: nothing stays');
}

# The bar fits into the terminal.
SKIP:
{
  eval { require IO::Pty; IO::Pty->new or die } or skip 'there is no IO::Pty, or no terminal for it', 8;
  my $many = file_of('many.jsonl', join('', map { qq({"event_type": "t", "n": $_}\n) } 1 .. 40_000));
  my %shown = (
    20 => qr/^ *\d+ %, \d:\d\d:\d\d left$/,
    40 => qr/^ *\d+ %, \d+ events, \d:\d\d:\d\d left$/,
    80 => qr/^\[#+ +\] +\d+ %, \d+ events imported, \d+ a second, \d:\d\d:\d\d left$/,
    120 => qr/^\[[# ]{24}\] +\d+ %, \d+ events imported, \d+ a second, \d:\d\d:\d\d left$/);
  for my $columns (sort keys %shown)
  {
    my $by = $columns == 40 ? "COLUMNS=$columns; export COLUMNS" : "stty cols $columns <&2";
    my $seen = '';
    IPC::Run::run([ 'sh', '-c', "$by; exec \"\$@\"", 'sh', $program, "--source=$many", $to, '--batch-size=200', '--table=wide' . $columns ],
      '>pty>', \$seen, IPC::Run::timeout(120));
    my @drawn = grep { /%/ } map { s/ +$//r } split /[\r\n]+/, $seen;
    is(scalar(grep { length >= $columns } @drawn), 0, "$columns columns: no line is longer");
    ok(scalar(grep { $_ =~ $shown{$columns} } @drawn), "$columns columns: what is shown") or diag($drawn[-1] // $seen);
  }
}

$node->stop;
done_testing();
