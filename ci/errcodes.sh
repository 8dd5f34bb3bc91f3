#!/bin/bash
# Every error has an SQLSTATE; levels below ERROR need none.
find src -name '*.c' -print0 | xargs -0r perl -0777 -ne '
  my $calls = qr/(\((?:[^()"\x27]|"(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27|(?1))*\))/;
  while (/\bereport\s*$calls/g)
  {
    my ($call, $at) = ($1, $-[0]);
    next if $call =~ /^\(\s*(DEBUG\d|LOG|LOG_SERVER_ONLY|INFO|NOTICE|WARNING)\b/;
    next if $call =~ /\berrcode\w*\(/;
    $bad = 1;
    print "$ARGV:", 1 + (substr($_, 0, $at) =~ tr/\n//), ": ereport without errcode\n";
  }
  END { exit($bad // 0) }'
