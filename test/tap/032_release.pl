# script/release and script/package, on a scratch branch of a scratch repository: a release, what it
# freezes, the next version, and what they refuse.
use strict;
use warnings;

use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $work = PostgreSQL::Test::Utils::tempdir();
my $clone = "$work/clone";

# Run a command in the clone; its status, and all it says.
sub said
{
  my @command = @_;
  IPC::Run::run([ 'sh', '-c', 'cd "$0" && exec "$@"', $clone, @command ],
    '<', \undef, '>', \my $out, '2>&1', IPC::Run::timeout(120));
  return ($? >> 8, $out);
}

# Commit all of the clone.
sub commit
{
  my ($message) = @_;
  my ($status, $out) = said(qw(git commit -q -a -m), $message);
  return $status == 0 || diag $out;
}

sub in_file { return slurp_file("$clone/$_[0]"); }

# Change a file of the clone.
sub edit
{
  my ($file, $change) = @_;
  my $text = in_file($file);
  local $_ = $text;
  $change->();
  die "$file: nothing to change" if $_ eq $text;
  open(my $out, '>', "$clone/$file") or die "$file: $!";
  print $out $_;
  close($out);
  return;
}

plan skip_all => 'git is not installed' if system('git --version >/dev/null 2>&1') != 0;
chomp(my $pg_config = $ENV{PG_CONFIG} // 'pg_config');
$ENV{PG_CONFIG} = $pg_config;

mkdir $clone;
system("cd '$root' && ci/files | tar --null --files-from=- --exclude='./bench/results' -cf - | tar -C '$clone' -xf -") == 0
  or die 'could not copy the sources';
# It is one before its release, whatever this checkout is.
my @addresses = qw(META.json debian/control.in debian/control debian/changelog debian/copyright);
my @silent = qw(CONTRIBUTING.md doc/install.md doc/upgrading.md);
unlink glob("$clone/sql/pg_eventstore*--*.sql"), glob("$clone/sql/updates/*");
for my $file (@addresses)
{
  edit($file, sub { s/<[^<>]+@[^<>]+>/<pg_eventstore\@example.org>/ }) if in_file($file) !~ /example\.org/;
}
for my $file (@silent)
{
  append_to_file("$clone/$file", "\nNothing is released yet.\n") if in_file($file) !~ /not released|nothing is released|until a version is released/i;
}
edit('CHANGELOG.md', sub { s/^(## \S+) \(.*\)/$1 (unreleased)/m }) if in_file('CHANGELOG.md') !~ /\A.*\n\n## \S+ \(unreleased\)/;
edit('META.json', sub { s/"stable"/"unstable"/ }) if in_file('META.json') =~ /"stable"/;
edit('debian/changelog', sub { s/\) \w+;/) UNRELEASED;/ }) if in_file('debian/changelog') !~ /\) UNRELEASED;/;
my ($status, $out) = said('sh', '-c', 'git init -q -b scratch && git config user.name tester &&
  git config user.email tester@example.net && git add -A && git commit -q -m "Before the release"');
is($status, 0, 'a scratch repository') or diag $out;
my ($version) = in_file('pg_eventstore.control') =~ /^default_version = '(.*)'/m;

# What the script refuses; it changes nothing.
my @release = ('script/release', '--no-test');
($status, $out) = said(@release, '1.2.3.4');
ok($status == 1 && $out =~ /no version such as/, 'not a version') or diag $out;
($status, $out) = said(@release, '99.0.0');
ok($status == 1 && $out =~ /has version \Q$version\E, not 99\.0\.0/ && $out =~ /no section "## 99\.0\.0/, 'another version') or diag $out;
($status, $out) = said(@release, $version);
my @named = $out =~ /^(\S+) has an address at example\.org/mg;
my @unreleased = $out =~ /^(\S+) says that nothing is released/mg;
is_deeply([ sort @named ], [ sort @addresses ], 'addresses that are not those of the project');
($status, $out) = said(@release, '--next', '99.0.0');
ok($status == 1 && $out =~ /\Q$version\E is not released yet/, 'the next version comes after a release') or diag $out;
is_deeply(\@unreleased, \@silent, 'pages that say that nothing is released');
for my $file (@unreleased) { edit($file, sub { s/^.*(?:not released|nothing is released|until a version is released).*\n//img }); }
for my $file (@addresses) { edit($file, sub { s/example\.org/example.net/g }); }
($status, $out) = said(@release, $version);
ok($status == 1 && $out =~ /not committed/, 'a checkout with changes') or diag $out;
($status, $out) = said('script/package', 'dist');
ok($status == 1 && $out =~ /not committed/, 'no archive of a checkout with changes') or diag $out;
ok(commit('Name the addresses'), 'the addresses');
is(in_file('META.json') =~ /"unstable"/ ? 1 : 0, 1, 'nothing is released');

# The release.
($status, $out) = said(@release, $version);
is($status, 0, "release $version") or diag $out;
($status, $out) = said(qw(git tag -l --format), '%(refname:short) %(objecttype)');
is($out, "v$version tag\n", 'an annotated tag');
($status, $out) = said(qw(git status --porcelain));
is($out, '', 'all is committed');
like(in_file('CHANGELOG.md'), qr/^## \Q$version\E \(\d{4}-\d\d-\d\d\)$/m, 'CHANGELOG.md has the date');
like(in_file('META.json'), qr/"release_status": "stable"/, 'META.json says stable');
like(in_file('debian/changelog'), qr/\Apg-eventstore \(\Q$version\E-1~upstream\) unstable;/, 'debian/changelog says unstable, the suite');
like(in_file("sql/pg_eventstore--$version.sql"), qr/^CREATE FUNCTION eventstore\.append_events\(/m, 'the install script is frozen');
like(in_file("sql/pg_eventstore_front--$version.sql"), qr/^CREATE FUNCTION eventstore\.read_events_all\(/m, 'and that of the front');
($status, $out) = said('unzip', '-Z1', "dist/pg_eventstore-$version.zip");
SKIP:
{
  skip 'unzip is not installed', 1 if $status == 127;
  my %archived = map { s/^pg_eventstore-\Q$version\E\///r => 1 } split /\n/, $out;
  my @lacking = grep { !$archived{$_} } qw(META.json Makefile pg_eventstore.control README.md doc/install.md man/pg_eventstore.7),
    "sql/pg_eventstore--$version.sql";
  ok(!@lacking && !$archived{'.ci/run'}, 'the archive has the sources') or diag "@lacking";
}
($status, $out) = said(@release, $version);
ok($status == 1 && $out =~ /tag v\Q$version\E exists/, 'not twice') or diag $out;

# What is released cannot change.
($status, $out) = said('ci/version.sh');
is($status, 0, 'the gate after the release') or diag $out;
edit('sql/append/functions.sql', sub { s/Appends one event\./Appends an event./ });
($status, $out) = said('ci/version.sh');
ok($status == 1 && $out =~ /^-Appends one event|^-'Appends one event/m && $out =~ /is released/, 'a changed SQL object is found') or diag $out;
said(qw(git checkout -q sql));
edit('sql/front/append.sql', sub { s/on the slot of the aggregates/on the slot of all aggregates/ });
($status, $out) = said('ci/version.sh');
ok($status == 1 && $out =~ /is released/, 'and one of the front') or diag $out;
said(qw(git checkout -q sql));

# The next version.
($status, $out) = said(@release, '--next', $version);
ok($status == 1 && $out =~ /does not come after/, 'the next version is not the same') or diag $out;
($status, $out) = said(@release, '--next', '99.0.0');
is($status, 0, 'begin 99.0.0') or diag $out;
($status, $out) = said('ci/version.sh');
is($status, 0, 'the gate with the next version') or diag $out;
like(in_file('META.json'), qr/(?:"version": "99\.0\.0".*){3}"unstable"/s, 'META.json has it, unstable');
like(in_file('CHANGELOG.md'), qr/\A# Changelog\n\n## 99\.0\.0 \(unreleased\)\n\n## \Q$version\E \(2/, 'CHANGELOG.md has it');
like(in_file('man/pg_eventstore.7'), qr/^\.TH .*"pg_eventstore 99\.0\.0"/m, 'the manual page has it');
like(in_file('doc/upgrading.md'), qr/^-- returns: 99\.0\.0$/m, 'doc/upgrading.md has it');
ok(-f "$clone/sql/updates/pg_eventstore--$version--99.0.0.sql", 'there is a script for updates');
($status, $out) = said('make', '-s', '-n', "PG_CONFIG=$pg_config", 'install');
like($out, qr{\./+sql/pg_eventstore--\Q$version\E\.sql .*pg_eventstore--\Q$version\E--99\.0\.0\.sql.* pg_eventstore--99\.0\.0\.sql}s, 'make install has all three scripts');

# Without git, as in a package's build, the same sources are found.
my ($with_git, $without_git);
($status, $with_git) = said('sh', '-c', 'ci/files | tr "\\0" "\\n" | grep -v "^\\." | sort');
($status, $without_git) = said('sh', '-c', 'mv .git ../git && ci/files | tr "\\0" "\\n" | sed "s/^\\.\\///" | grep -v "^\\." | sort; mv ../git .git');
is($without_git, $with_git, 'ci/files without git');

# A commit that fails leaves the checkout as it was.
append_to_file("$clone/.git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
chmod 0755, "$clone/.git/hooks/pre-commit";
($status, $out) = said(@release, '99.0.0');
ok($status == 1 && $out =~ /the checkout is as it was/, 'a commit that fails') or diag $out;
($status, $out) = said(qw(git status --porcelain));
is($out, '', 'nothing is left of it');

done_testing();
