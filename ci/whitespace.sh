#!/bin/bash
# White space follows .editorconfig: none at the end of a line, indentation by tabs
# only in C and make files, a newline at the end of the file.
ci/files | perl -0ne '
  chomp(my $file = $_);
  next if !-f $file || !-T $file || $file =~ m{^(?:\./)?expected/|\.(svg|csv|patch)$};
  open(my $in, "<", $file) or die "$file: $!";
  local $/ = "\n";
  my $line = "\n";
  while ($line = <$in>)
  {
    report($file, "white space at the end of the line") if $line =~ /[ \t\r]$/;
    report($file, "indented by a tab") if $line =~ /^ *\t/ && $file !~ /(\.[chly]|Makefile|\.mk|debian\/rules)$/;
    report($file, "no newline at the end") if $line !~ /\n$/;
  }
  sub report { print "$_[0]:$.: $_[1]\n"; $bad = 1 }
  END { exit($bad // 0) }'
