#!/bin/bash
# debian/control is what debian/control.in makes for Debian's version of PostgreSQL, debian/copyright
# has the text of LICENSE, and META.json has what PGXN needs.
set -euo pipefail
status=0
diff <(sed 's/PGVERSION/15/g' debian/control.in) debian/control ||
  { echo "debian/control differs from debian/control.in"; status=1; }
diff <(sed '1,4d' LICENSE) <(sed '1,/^License: PostgreSQL$/d' debian/copyright | sed '1,/^License: PostgreSQL$/d; s/^ //; s/^\.$//') ||
  { echo "debian/copyright differs from LICENSE"; status=1; }
perl -MJSON::PP -0777 -ne '
  my $meta = decode_json($_);
  my @missing = grep { !$meta->{$_} } qw(name version abstract description maintainer license provides meta-spec resources);
  push @missing, map { "resources $_" } grep { !$meta->{resources}{$_} } qw(homepage bugtracker repository);
  while (my ($name, $provided) = each %{ $meta->{provides} })
  {
    push @missing, "provides $name $_" for grep { !length $provided->{$_} } qw(file version);
    push @missing, "file $_" for grep { !-e } @$provided{qw(file docfile)};
  }
  print "META.json: no $_\n" for @missing;
  exit(@missing > 0)' META.json || status=1
exit "$status"
