# pg_eventstore_migrate between databases of different encodings: the error about a
# character that the target lacks has the file, the line and the key.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgesMigrate;
use PgesTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('encodings');
for my $encoding (qw(LATIN1 SQL_ASCII))
{
  $node->safe_psql('postgres', "CREATE DATABASE $encoding ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
  $node->safe_psql(lc $encoding, 'CREATE EXTENSION pg_eventstore');
}
my $latin1 = '--target=' . $node->connstr('latin1');
my $smile = "\x{f0}\x{9f}\x{98}\x{80}";
my $e_acute = "\x{c3}\x{a9}";
my $reason = qr/character with byte sequence 0xf0 0x9f 0x98 0x80 in encoding "UTF8" has no equivalent in encoding "LATIN1"/;
# of an escaped character; PostgreSQL 16 and later do not say which one
my $escape_reason = qr/$reason|unsupported Unicode escape sequence/;

# A new file of these lines; its path.
my $files = 0;
sub new_file_of { return file_of(++$files, @_) }

# An event of an aggregate as JSON.
sub event
{
  my ($version, $more) = @_;
  return qq({"event_id": "a-$version", "event_type": "t", "occurred_at": "2025-01-01T00:00:00Z", "aggregate_id": "a", "aggregate_version": $version, $more});
}

# A character that the target lacks, in each part of an event; line 3 is blank.
my %events = (
  '"data"' => event(2, qq("data": {"text": "$smile"})),
  '"metadata"' => event(2, qq("data": 1, "metadata": ["$e_acute", "$smile"])),
  '"name"' => event(2, qq("title": "$e_acute", "name": "x$smile")),
  qq("$smile") => event(2, qq("$smile": 1)),
  '"correlation_id"' => event(2, qq("correlation_id": "$smile", "data": "\\n")),
  '"event_type"' => qq({"event_type": "$smile"}),
  '"escaped"' => event(2, '"escaped": ["\u00e9", "\ud83d\ude00"]'),
  '"\ud83d\ude00"' => event(2, '"\ud83d\ude00": 1'));
for my $key (sort keys %events)
{
  my $escaped = $key =~ /ud83d|escaped/;
  my $file = new_file_of(event(1, qq("data": "$e_acute")), event(2, '"data": 1'), '', $events{$key}, event(3, $escaped ? '"data": 1' : qq("data": "$smile")));
  my $why = $escaped ? $escape_reason : $reason;
  my $said = qr/error: \Q$file: line 4: key $key\E: $why/;

  migrate_fails("$key", $said, "--source=$file", $latin1, '--table=t');
  migrate_fails("$key, one by one", $said, "--source=$file", $latin1, '--table=t', '--batch-size=1');
  migrate_fails("$key, dry run", $said, "--source=$file", $latin1, '--table=t', '--dry-run');
  migrate_fails("$key, verify", $escaped ? qr/error: \Q$file\E: line 4: $why/ : $said, "--source=$file", $latin1, '--table=t', '--verify');
}
# when the events are put in order first
my $unordered = new_file_of(event(2, '"data": 1'), event(1, '"data": 1'), event(3, '"data": 1'), event(4, qq("data": "$smile")), event(5, '"data": 1'));
migrate_fails("out of order, in batches of $_", qr/error: \Q$unordered: line 4: key "data"\E: $reason/,
  "--source=$unordered", $latin1, '--table=unordered', "--batch-size=$_") for 1, 2, 3, 10;
# from a store
$node->safe_psql('postgres', qq(SELECT eventstore.append_event('t', '1', 'a'), eventstore.append_event('t', '"$smile"', 'a')));
migrate_fails('from a store', qr/error: database "postgres": position 2: key "data": $reason/, '--source=' . $node->connstr('postgres'), $latin1, '--table=copy', '--source-table=events');

# No character at all; what is no JSON. The server shows where it is.
my %escapes = (
  '\u0000' => qr/key "data": unsupported Unicode escape sequence/,
  '\ud800' => qr/invalid input syntax for type json/,
  '\x' => qr/invalid input syntax for type json/);
for my $escape (sort keys %escapes)
{
  my $file = new_file_of(event(1, '"data": 1'), '', event(2, qq("data": {"greeting": "$escape"})));
  my $said = qr/error: \Q$file: line 3: \E$escapes{$escape}.*detail: JSON data, line 1: .*"greeting": /s;

  migrate_fails($escape, $said, "--source=$file", $latin1, '--table=escapes');
}
# bytes that are no UTF-8 at all
my $bytes = new_file_of(event(1, '"data": 1'), event(2, qq("data": "\x{ff}")));
migrate_fails('invalid UTF-8', qr/error: \Q$bytes: line 2: is not valid UTF-8/, "--source=$bytes", $latin1, '--table=bytes');

# What a file cannot hold, which is UTF-8: the position before it is named.
$node->safe_psql('sql_ascii', q(SELECT eventstore.append_event('t', '1', 'a'), eventstore.append_event(E'\xff', '1', 'a'), eventstore.append_event('t', '1', 'a')));
my $from = '--source=' . $node->connstr('sql_ascii');
for my $target ("$dir/ascii.jsonl", '-')
{
  migrate_fails("export to $target", qr/error: database "sql_ascii": after position 1: invalid byte sequence for encoding "UTF8": 0xff/, $from, "--target=$target");
}
ok(!-e "$dir/ascii.jsonl", 'and nothing is left of the file');
migrate_fails('from store to store', qr/error: database "sql_ascii": after position 1: invalid byte sequence/, $from, $latin1, '--table=ascii', '--source-table=events');

# SQL_ASCII holds any bytes, but no escaped character.
my $escaped = new_file_of(event(1, qq("data": "$smile")), event(2, '"data": 1, "metadata": {"a": "\u00e9"}'));
migrate_fails('an escaped character to SQL_ASCII', qr/error: \Q$escaped: line 2: key "metadata"\E: (?:conversion between UTF8 and SQL_ASCII is not supported|unsupported Unicode escape sequence)/, "--source=$escaped", $from =~ s/source/target/r, '--table=escaped');

# What both have goes there and back.
my $good = new_file_of(event(1, qq("data": {"$e_acute": "$e_acute"})), event(2, qq("data": "\\u00e9")));
is((migrate("--source=$good", $latin1, '--table=good'))[0], 0, 'characters that both have are imported');
is((migrate("--source=$good", $latin1, '--table=good', '--verify'))[0], 0, 'and equal');
like((migrate('--source=' . $node->connstr('latin1'), '--target=-', '--table=good'))[1], qr/"data": \{"$e_acute": "$e_acute"\}.*"data": "$e_acute"/s, 'and exported');

$node->stop;
done_testing();
