# Runs the examples of README.md and doc/*.md in their order: the blocks of SQL, and the
# statements in tables (code that ends in a semicolon), in one new database for each
# document; and the blocks of Python and JavaScript, if their drivers are installed.
#
# Every statement must succeed, except a statement after the comment
#   -- fails with SQLSTATE 40V01
# After "-- returns: X", the only row of the statement must be X. A program is run twice,
# and must print the lines of its comments "prints: X" each time.
# A program whose first line is a comment such as "# worker.py: ..." is saved under that
# name, and later programs of the document can use it.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my %runner = (
    python => {
        name => 'python3 with psycopg',
        command => ['/usr/bin/python3'],
        probe => [ '/usr/bin/python3', '-c', 'import psycopg.types.json' ],
        suffix => 'py',
    },
    js => {
        name => 'node with pg',
        command => ['node'],
        probe => [ 'node', '-e', "require('pg')" ],
        suffix => 'js',
    });
my %titles = (sql => 'SQL', python => 'Python', js => 'JavaScript');

# The examples of a document: kind, first line, text.
sub examples
{
    my ($file) = @_;
    my @examples;
    my $block;
    my $line = 0;

    for my $text (split /\n/, slurp_file($file))
    {
        $line++;
        if (!$block && $text =~ /^```(\w*)$/)
        {
            $block = { kind => $1, line => $line + 1, text => '' };
        }
        elsif ($block && $text eq '```')
        {
            push @examples, $block if $titles{ $block->{kind} };
            undef $block;
        }
        elsif ($block)
        {
            $block->{text} .= "$text\n";
        }
        elsif ($text =~ /^\|/)
        {
            push @examples, { kind => 'sql', line => $line, text => $1 }
              while $text =~ /`([A-Z]+ [^`]*;)`/g;
        }
    }
    die "$file: a block does not end\n" if $block;
    return @examples;
}

# Split a block into its statements, each with the line it begins in.
sub statements
{
    my ($example) = @_;
    my $line = $example->{line};
    my @statements;
    my $text = '';

    while ($example->{text} =~ /\G(--[^\n]*|'(?:[^']|'')*'|"[^"]*"|(\$\w*\$).*?\2|.)/gs)
    {
        $text .= $1;
        next if $1 ne ';';
        push @statements, { line => $line, text => $text };
        $line += $text =~ tr/\n//;
        $text = '';
    }
    die "line $line: a statement does not end: $text\n" if $text =~ /\S/;
    return @statements;
}

# Run statements in one session of psql and test what they bring: for each the
# SQLSTATE and what it prints.
sub run_sql
{
    my ($node, $database, $document, @statements) = @_;
    my $script = "\\set VERBOSITY verbose\n";
    my ($out, $err) = ('', '');
    my @results;

    $script .= "\\echo -\n$_->{text}\n\\echo\n\\echo = :SQLSTATE\n" for @statements;
    IPC::Run::run(
        [ 'psql', '-XqAt', '-d', $node->connstr($database) ],
        '<', \$script, '>', \$out, '2>', \$err,
        IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    push @results, { output => $1, state => $2 }
      while $out =~ /\G-\n(.*?)\n= (\w+)\n/gs;
    my $passed = is(scalar @results, scalar @statements, "$database: psql runs all statements");
    $passed = 0 if !check_statements($document, \@statements, \@results);
    diag $err if !$passed;
    return;
}

# Test statements and what they brought; returns whether all is as it should be.
sub check_statements
{
    my ($document, $statements, $results) = @_;
    my $passed = 1;

    for my $i (0 .. $#$statements)
    {
        my ($statement, $result) = ($statements->[$i], $results->[$i] // {});
        my $text = $statement->{text};
        my $state = $text =~ /^-- fails with SQLSTATE (\w{5})$/m ? $1 : '00000';
        my $name = "$document, statement at line $statement->{line}";

        is($result->{state}, $state, "$name: SQLSTATE") or $passed = 0;
        next unless $text =~ /^-- returns: (.*)$/m;
        is($result->{output}, "$1\n", "$name: result") or $passed = 0;
    }
    return $passed;
}

# Run a program of the document in a folder, twice; it finds the database in its environment.
sub run_program
{
    my ($node, $database, $document, $folder, $example) = @_;
    my $runner = $runner{ $example->{kind} };
    my $name = "$document, $titles{$example->{kind}} at line $example->{line}";
    my ($file) = $example->{text} =~ m{^(?:#|//) (\w+\.$runner->{suffix})\b};
    $file //= "example.$runner->{suffix}";
    my @prints = $example->{text} =~ /\bprints: (.*)$/mg;
    my ($out, $err) = ('', '');

    local $ENV{PGHOST} = $node->host;
    local $ENV{PGPORT} = $node->port;
    local $ENV{PGDATABASE} = $database;
    local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
    local $ENV{NODE_PATH} = join ':', grep { $_ } $ENV{NODE_PATH}, '/usr/share/nodejs';

  SKIP:
    {
        skip "no $runner->{name}", 4
          if !IPC::Run::run([ '/usr/bin/env', @{ $runner->{probe} } ], '<', \'', '>&', \my $said);
        open(my $program, '>', "$folder/$file") or die "$folder/$file: $!";
        print $program $example->{text};
        close $program or die "$folder/$file: $!";
        foreach my $time ('', ', again')
        {
            ok( IPC::Run::run(
                    [ '/usr/bin/env', @{ $runner->{command} }, $file ],
                    init => sub { chdir $folder or die "$folder: $!" },
                    '<', \'', '>', \$out, '2>', \$err,
                    IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)),
                "$name: runs$time") or diag $err;
            is($out, join('', map { "$_\n" } @prints), "$name: prints$time");
        }
    }
    return;
}

# Run all examples of a document. Statements that follow one another share a session.
sub check_document
{
    my ($node, $file) = @_;
    my $document = $file =~ s{^.*?((?:doc/)?[^/]+)$}{$1}r;
    my $database = $document =~ s/\W/_/gr;
    my @examples = examples($file);
    my $folder = PostgreSQL::Test::Utils::tempdir();
    my @statements;
    my $flush = sub {
        return if !@statements;
        run_sql($node, $database, $document, @statements);
        @statements = ();
    };

    $node->safe_psql('postgres', "CREATE DATABASE \"$database\"");
    for my $example (@examples)
    {
        if ($example->{kind} eq 'sql')
        {
            push @statements, statements($example);
            next;
        }
        $flush->();
        run_program($node, $database, $document, $folder, $example);
    }
    $flush->();
    return @examples;
}

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init(extra => ['--encoding=UTF8', '--no-locale']);
# one notifier for each of the databases
$node->append_conf('postgresql.conf', 'max_worker_processes = 100');
$node->start;

my %found;
for my $file ("$root/README.md", sort glob("$root/doc/*.md"))
{
    $found{ $_->{kind} }++ for check_document($node, $file);
}
ok($found{$_}, "there is $titles{$_} to run") for sort keys %titles;

$node->stop;
done_testing();
