#!/bin/bash
# Every function, view, type and table that sql/ creates has a COMMENT ON in the same file.
# A shell type, which is declared for its functions, needs none. sql/front/store.sql comments
# on all functions remote_...
find sql -name '*.sql' -print0 |
  xargs -0r perl -0777 -ne '
  my $kinds = qr/FUNCTION|PROCEDURE|AGGREGATE|VIEW|TYPE|DOMAIN|TABLE/;
  my %missing;
  $missing{"$1 $2"}++ while /^CREATE (?:OR REPLACE )?($kinds) (?:IF NOT EXISTS )?(?!eventstore\.remote_)([\w."]++)(?!;)/mg;
  $missing{"$1 $2"}-- while /^COMMENT ON ($kinds) ([\w."]+)/mg;
  for (sort grep { $missing{$_} > 0 } keys %missing)
  {
    print "$ARGV: no COMMENT ON $_\n";
    $bad = 1;
  }
  END { exit($bad // 0) }'
