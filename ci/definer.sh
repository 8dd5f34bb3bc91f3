#!/bin/bash
# For each SECURITY DEFINER function, search_path is set and privileges are revoked.
find sql -name '*.sql' -print0 |
  xargs -0r perl -0777 -ne '
  while (/^CREATE (?:OR REPLACE )?FUNCTION ([\w.]+)\((.*?);\n\n/msg)
  {
    my ($name, $body) = ($1, $2);
    next if $body !~ /\bSECURITY DEFINER\b/;
    complain("$name lacks SET search_path") if $body !~ /SET search_path = pg_catalog, pg_temp/;
    complain("$name lacks REVOKE") if !/^REVOKE .* ON FUNCTION \Q$name\E\(/m;
  }
  sub complain { print "$ARGV: $_[0]\n"; $bad = 1 }
  END { exit($bad // 0) }'
