#!/bin/bash
# A function has at most 70 lines, a file at most 600; a room, a folder of src/, has at
# most 10 C files and 2,500 lines.
find src -name '*.[ch]' -print0 | xargs -0r perl -ne '
  $start = $. if /^\{/;
  report("a function of " . ($. - $start + 1) . " lines")
    if /^\}$/ && $. - $start >= 70;
  report("a file of more than 600 lines") if $. == 601;
  my ($room) = $ARGV =~ m{^src/(\w+)/\w+\.\w+$};
  if ($room)
  {
    report("the room has more than 2500 lines") if ++$lines{$room} == 2501;
    report("the room has more than 10 C files") if $. == 1 && $ARGV =~ /c$/ && ++$files{$room} == 11;
  }
  close ARGV if eof;
  sub report { print "$ARGV:$.: $_[0]\n"; $bad = 1 }
  END { exit($bad // 0) }'
