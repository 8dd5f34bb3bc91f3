# Client drivers: the results of appends, conflicts, readers and LISTEN in a program.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The drivers that are there: psycopg of the system's Python, pg of Node.js.
my %drivers = (
  psycopg => [ '/usr/bin/python3', '-c', 'import psycopg' ],
  node => [ 'node', '-e', 'require("pg")' ]);
my %there = map { $_ => scalar succeeds($drivers{$_}) } keys %drivers;

# Whether a command does.
sub succeeds
{
  my ($command) = @_;
  return eval { IPC::Run::run($command, '<', \undef, '>', \my $out, '2>', \my $err) };
}
plan skip_all => 'neither psycopg nor pg is installed' if !grep { $_ } values %there;

my $node = start_node('clients');

# Run a program with the server's address; the lines it prints.
sub lines_of
{
  my ($how, @command) = @_;
  local $ENV{PGHOST} = $node->host;
  local $ENV{PGPORT} = $node->port;
  local $ENV{PGDATABASE} = 'postgres';
  local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
  my ($out, $err);
  my $ok = IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  ok($ok, "$how: the program ends well") or diag($err);
  return split /\n/, $out;
}

my $python = <<'EOP';
import json, psycopg, threading
from psycopg.types.json import Jsonb

with psycopg.connect(autocommit=True) as db, psycopg.connect(autocommit=True) as other:
    other.execute('LISTEN eventstore_events')
    events = [{'event_type': 'UserCreated', 'aggregate_id': 'py', 'aggregate_type': 'User', 'email': 'é@example.org'}]
    print('append_events', db.execute('SELECT eventstore.append_events(%s, %s)', (Jsonb(events), 0)).fetchone()[0])
    print('arrays', db.execute('SELECT eventstore.append_to_aggregate(%s, %s, %s, expected_version => %s)',
          ('py', ['Renamed', 'Deleted'], [Jsonb({'to': 'x'}), Jsonb(None)], 1)).fetchone()[0])
    print('named', db.execute('SELECT eventstore.append_event(%s, %s, aggregate_id => %s)', ('Named', Jsonb([1, 'a']), 'py')).fetchone()[0])
    print('rows', db.execute('SELECT aggregate_id, aggregate_version, deduplicated FROM eventstore.append(%s, %s)',
          (Jsonb([{'event_type': 'e', 'aggregate_id': 'py', 'data': 1}, {'event_type': 'e', 'aggregate_id': 'py2', 'data': 1}]),
           Jsonb({'py': 4, 'py2': 0}))).fetchall())
    try:
        db.execute('SELECT eventstore.append_events(%s, %s)', (Jsonb(events), 2))
    except psycopg.Error as e:
        print('conflict', e.sqlstate, type(e).__name__, isinstance(e, psycopg.OperationalError))
        print('detail', json.loads(e.diag.message_detail.splitlines()[-1]))
        print('table', e.diag.schema_name, e.diag.table_name)
        print('connection', db.closed, db.broken, db.execute('SELECT eventstore.append_events(%s, %s)', (Jsonb(events), 5)).fetchone()[0])
    try:
        with db.transaction():
            db.execute('SELECT eventstore.append_event(%s, %s, %s)', ('lost', Jsonb(1), 'py'))
            raise RuntimeError
    except RuntimeError:
        pass
    rows = db.execute('SELECT event_type, aggregate_version, data, occurred_at FROM eventstore.get_events_by_aggregate(%s)', ('py',)).fetchall()
    print('read', [row[:3] for row in rows], rows[0][3].tzinfo is not None)
    with db.cursor() as prepared:
        for i in range(8):
            prepared.execute('SELECT eventstore.append_event(%s, %s, %s)', ('again', Jsonb(i), 'py3'), prepare=True)
        print('prepared', prepared.fetchone()[0])
    with db.pipeline():
        cursors = [db.execute('SELECT eventstore.append_event(%s, %s, %s)', ('piped', Jsonb(i), 'py4')) for i in range(5)]
    print('pipeline', [cursor.fetchone()[0] for cursor in cursors])
    with db.cursor() as cursor:
        with cursor.copy('COPY eventstore.events (event_type, data) FROM STDIN') as copy:
            copy.write_row(('copied', Jsonb({'a': 1})))
    print('copied', db.execute("SELECT data FROM eventstore.get_events_by_type('copied')").fetchall())
    watchdog = threading.Timer(20, other.close)
    watchdog.start()
    last = db.execute('SELECT max(position) FROM eventstore.events').fetchone()[0]
    heard = []
    for notification in other.notifies():
        heard.append(json.loads(notification.payload)['position'])
        if heard[-1] == last:
            break
    watchdog.cancel()
    print('heard', heard[-1] == last, heard == sorted(set(heard)))
EOP

my $javascript = <<'EOJ';
const { Client, types } = require('pg');
const say = (...words) => console.log(...words.map((w) => typeof w === 'string' ? w : JSON.stringify(w)));
(async () => {
  const db = new Client(), other = new Client(), heard = [];
  await db.connect();
  await other.connect();
  other.on('notification', (n) => heard.push([n.channel, JSON.parse(n.payload).position]));
  await other.query('LISTEN eventstore_events');
  const one = async (sql, values) => Object.values((await db.query(sql, values)).rows[0])[0];
  const events = [{ event_type: 'UserCreated', aggregate_id: 'js', aggregate_type: 'User', email: 'é@example.org' }];
  say('append_events', await one('SELECT eventstore.append_events($1, $2)', [JSON.stringify(events), 0]));
  say('arrays', await one('SELECT eventstore.append_to_aggregate($1, $2, $3, $4)',
    ['js', ['Renamed', 'Deleted'], [{ to: 'x' }, { y: null }], 1]));
  say('named', await one('SELECT eventstore.append_event($1, $2, aggregate_id => $3)', ['Named', JSON.stringify([1, 'a']), 'js']));
  say('rows', (await db.query('SELECT aggregate_id, aggregate_version, deduplicated FROM eventstore.append($1, $2)',
    [JSON.stringify([{ event_type: 'e', aggregate_id: 'js', data: 1 }, { event_type: 'e', aggregate_id: 'js2', data: 1 }]), { js: 4, js2: 0 }])).rows);
  try {
    await db.query('SELECT eventstore.append_events($1, $2)', [JSON.stringify(events), 2]);
  } catch (e) {
    say('conflict', e.code, e.schema, e.table, JSON.parse(e.detail.split('\n').pop()));
    say('connection', await one('SELECT eventstore.append_events($1, $2)', [JSON.stringify(events), 5]));
  }
  const position = async () => typeof await one('SELECT position FROM eventstore.read_events(0, 1)');
  const parser = types.getTypeParser(20);
  say('a position is a', await position());
  types.setTypeParser(20, Number);
  say('and then a', await position());
  types.setTypeParser(20, parser);
  for (let i = 0; i < 8; i++)
    await db.query({ name: 'again', text: 'SELECT eventstore.append_event($1, $2, $3)', values: ['again', i, 'js3'] });
  say('prepared', await one('SELECT eventstore.get_aggregate_version($1)', ['js3']));
  const { rows } = await db.query('SELECT event_type, aggregate_version, data FROM eventstore.get_events_by_aggregate($1)', ['js']);
  say('read', rows.map((r) => [r.event_type, r.aggregate_version, r.data]));
  const last = Number(await one('SELECT max(position) FROM eventstore.events'));
  for (let i = 0; i < 400 && !heard.some(([, position]) => position === last); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  say('heard', heard.length > 0 && heard[heard.length - 1][1] === last, [...new Set(heard.map(([channel]) => channel))]);
  await db.end();
  await other.end();
})().catch((e) => { console.error(e); process.exit(1); });
EOJ

SKIP:
{
  skip 'psycopg is not installed', 2 if !$there{psycopg};
  is_deeply([ lines_of('psycopg', '/usr/bin/python3', '-c', $python) ], [
      'append_events 1',
      'arrays 3',
      'named 4',
      q{rows [('py', 5, False), ('py2', 1, False)]},
      'conflict 40V01 OperationalError True',
      q{detail {'aggregate_id': 'py', 'expected': 2, 'actual': 5}},
      'table eventstore events',
      'connection False False 6',
      q{read [('UserCreated', 1, {'email': 'é@example.org'}), ('Renamed', 2, {'to': 'x'}), ('Deleted', 3, None), ('Named', 4, [1, 'a']), ('e', 5, 1), ('UserCreated', 6, {'email': 'é@example.org'})] True},
      'prepared 8',
      'pipeline [1, 2, 3, 4, 5]',
      q{copied [({'a': 1},)]},
      'heard True True',
    ], 'psycopg: appends, sees conflicts, reads, hears');
}

SKIP:
{
  skip 'pg for Node.js is not installed', 2 if !$there{node};
  is_deeply([ lines_of('node', 'node', '-e', $javascript) ], [
      'append_events 1',
      'arrays 3',
      'named 4',
      'rows [{"aggregate_id":"js","aggregate_version":5,"deduplicated":false},{"aggregate_id":"js2","aggregate_version":1,"deduplicated":false}]',
      'conflict 40V01 eventstore events {"aggregate_id":"js","expected":2,"actual":5}',
      'connection 6',
      'a position is a string',
      'and then a number',
      'prepared 8',
      'read [["UserCreated",1,{"email":"é@example.org"}],["Renamed",2,{"to":"x"}],["Deleted",3,{"y":null}],["Named",4,[1,"a"]],["e",5,1],["UserCreated",6,{"email":"é@example.org"}]]',
      'heard true ["eventstore_events"]',
    ], 'pg for Node.js: appends, sees conflicts, reads, hears');
}
$node->stop;
done_testing();
