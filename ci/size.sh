#!/bin/bash
# No function is longer than 70 lines, no file longer than 600.
find src -name '*.[ch]' -print0 | xargs -0r perl -ne '
  $start = $. if /^\{/;
  report("a function of " . ($. - $start + 1) . " lines")
    if /^\}$/ && $. - $start >= 70;
  report("a file of more than 600 lines") if $. == 601;
  close ARGV if eof;
  sub report { print "$ARGV:$.: $_[0]\n"; $bad = 1 }
  END { exit($bad // 0) }'
