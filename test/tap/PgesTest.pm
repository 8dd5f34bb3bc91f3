# Functions of the tests in this folder: a server with the extension, psql sessions that
# stay open, SQLSTATEs.
package PgesTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_node sqlstate session heard_by hears appends readers);

# A new server that runs; $conf is added to its postgresql.conf. Its database
# "postgres" has the extension.
sub start_node
{
  my ($name, $conf, %init) = @_;
  my $node = PostgreSQL::Test::Cluster->new($name);

  $node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %init);
  $node->append_conf('postgresql.conf', $conf) if $conf;
  $node->start;
  $node->safe_psql('postgres', 'CREATE EXTENSION pg_eventstore');
  return $node;
}

# The SQLSTATE that some SQL ends with; 00000 is success.
sub sqlstate
{
  my ($node, $sql, %params) = @_;
  my ($rc, $out, $err) = $node->psql($params{dbname} // 'postgres', $sql,
    extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);

  return $1 if $err =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})/;
  return $rc == 0 ? '00000' : "psql: $err";
}

# Each way to append, by name, as a query on the given store.
sub appends
{
  my ($store) = @_;
  return (
    append_events => "SELECT eventstore.append_events('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 1}]', store => '$store')",
    append_event => "SELECT eventstore.append_event('e', '1', 'a', store => '$store')",
    append_to_aggregate => "SELECT eventstore.append_to_aggregate('a', ARRAY['e'], ARRAY['1']::jsonb[], store => '$store')",
    append => "SELECT aggregate_version FROM eventstore.append('[{\"event_type\": \"e\", \"aggregate_id\": \"a\", \"data\": 1}]', store => '$store')");
}

# Each reader, by name, as a query on the given store.
sub readers
{
  my ($store) = @_;
  return (
    get_events_by_aggregate => "SELECT * FROM eventstore.get_events_by_aggregate('a', store => '$store')",
    get_events_by_type => "SELECT * FROM eventstore.get_events_by_type('e', store => '$store')",
    get_events_by_aggregate_type => "SELECT * FROM eventstore.get_events_by_aggregate_type('A', store => '$store')",
    get_events_by_correlation_id => "SELECT * FROM eventstore.get_events_by_correlation_id('cor', store => '$store')",
    get_events_by_causation_id => "SELECT * FROM eventstore.get_events_by_causation_id('cau', store => '$store')",
    get_latest_events => "SELECT * FROM eventstore.get_latest_events(10, '$store')",
    get_event => "SELECT * FROM eventstore.get_event('id-1', '$store')",
    get_aggregate_version => "SELECT eventstore.get_aggregate_version('a', '$store')",
    load_aggregate => "SELECT * FROM eventstore.load_aggregate('a', '$store')");
}

# Open a psql session, to a database of the node or by another connection
# string: its run() gives the output, its state() the SQLSTATE of the last run.
sub session
{
  my ($node, $dbname, $connstr) = @_;
  my $self = bless { in => '', out => '', err => '', n => 0, heard => [] }, __PACKAGE__;
  my @psql = ('psql', '-XAtq', '-v', 'VERBOSITY=sqlstate',
    '-d', $connstr // $node->connstr($dbname // 'postgres'));

  $self->{limit} = IPC::Run::timeout(120);
  $self->{run} = IPC::Run::start(\@psql, '<', \$self->{in},
    '>', \$self->{out}, '2>', \$self->{err}, $self->{limit});
  $self->run("SELECT 1");
  return $self;
}

# Send some SQL without waiting for its end.
sub start_sql
{
  my ($self, $sql) = @_;
  my $mark = 'end of ' . ++$self->{n};

  $self->{limit}->start;
  $self->{out} = $self->{err} = '';
  $self->{in} .= "$sql\n;\n\\echo $mark\n\\warn $mark\n";
  $self->{run}->pump_nb;
  return;
}

# Wait until what start_sql() sent has ended; its output.
sub finish_sql
{
  my ($self) = @_;
  my $mark = qr/^end of $self->{n}\n/m;

  $self->{run}->pump until $self->{out} =~ $mark && $self->{err} =~ $mark;
  push @{ $self->{heard} }, [ $1, $2 // '' ]
    while $self->{out} =~ /^Asynchronous notification "(.*?)" (?:with payload "(.*?)" )?received from server process/mg;
  (my $out = $self->{out}) =~ s/$mark//;
  chomp $out;
  return $out;
}

# Run some SQL; its output.
sub run
{
  my ($self, $sql) = @_;
  $self->start_sql($sql);
  return $self->finish_sql;
}

# The SQLSTATE of the first error of the last run; 00000 is success.
sub state
{
  my ($self) = @_;
  return $self->{err} =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5})/ ? $1 : '00000';
}

# The backend's process id.
sub pid
{
  my ($self) = @_;
  return $self->run('SELECT pg_backend_pid()');
}

# End the session.
sub quit
{
  my ($self) = @_;
  $self->{in} .= "\\q\n";
  eval { $self->{run}->finish };
  return;
}

# What the session has been notified of since the last call, as [channel,
# payload], when that is enough, as told by a function of it, or after a while.
sub hears
{
  my ($self, $enough, $seconds) = @_;
  my $end = time + ($seconds // 60);

  $self->run('SELECT pg_sleep(0.02)') until $enough->(@{ $self->{heard} }) || time > $end;
  my @heard = @{ $self->{heard} };
  $self->{heard} = [];
  return @heard;
}

# What the session has been notified of since the last call by transactions
# that have committed. NOTIFY keeps the order of commits, so what came before a
# last notification of our own is all there is.
sub heard_by
{
  my ($self, $node, $dbname) = @_;
  my $is_end = sub { grep { $_->[0] eq 'the_end' } @_ };

  $self->run('LISTEN the_end');
  $node->safe_psql($dbname // 'postgres', 'NOTIFY the_end');
  my @heard = $self->hears($is_end, 60);
  die 'no notification came' if !$is_end->(@heard);
  return grep { $_->[0] ne 'the_end' } @heard;
}

1;
