#!/bin/bash
# Every C function has a comment before it.
find src -name '*.c' -print0 | xargs -0r perl -0777 -ne '
  # a definition: lines at the margin, the last of them ends in ), then {
  while (/\n\n((?:[\w#\/].*\n(?:[ \t].*\n|\S.*\n)*?)?\w+\(.*(?:\n[ \t].*)*\)\n)\{\n/g)
  {
    my ($head, $at) = ($1, $-[1]);
    next if $head =~ /^\/\*/ || $head =~ /\*\/\n/;
    $bad = 1;
    print "$ARGV:", 1 + (substr($_, 0, $at) =~ tr/\n//), ": no comment before the function\n";
  }
  END { exit($bad // 0) }'
