#!/bin/bash
# A file of a room, a folder of src/, includes the headers of its room, those of base/, and
# the door, ROOM/ROOM.h, of rooms that are earlier in src/rooms. So includes have no cycles.
# The comment of any other header has the words "for this room alone". The folders of SQL
# and of tests have the names of rooms, and a room has the three SQL files of the Makefile.
find src -mindepth 2 -name '*.[ch]' ! -path 'src/bin/*' -print0 | sort -z | xargs -0r perl -e '
  open(my $list, "<", "src/rooms") or die "src/rooms: $!";
  my $n = 0;
  my %rank = map { /^(\w+)\s/ ? ($1 => $n++) : () } <$list>;
  complain("src/rooms", "lists no room") if !%rank;
  for my $room (keys %rank)
  {
    complain("src/rooms", "there is no room $room") if !-d "src/$room";
  }
  my ($front) = `cat Makefile` =~ /^FRONT_PARTS = ((?:.*\\\n)*.*)/m;
  for my $file (glob("sql/*/* test/sql/*/* test/isolation/specs/*/* expected/*/*"))
  {
    my ($room) = $file =~ m{(\w+)/[^/]+$};
    next if $file =~ m{^sql/updates/};
    complain($file, "is in no room of src/rooms") if !exists $rank{$room};
    complain($file, "is not taken by the Makefile") if $file =~ /^sql/ &&
      ($file =~ m{^sql/front/(\w+)\.sql$} ? $front !~ /\b$1\b/ : $file !~ m{/(?:types|functions|tables)\.sql$});
  }
  my %place = map { s{.*/}{}r => $_ } glob("src/*.[ch]");
  for my $file (@ARGV)
  {
    my ($room, $name) = $file =~ m{^src/(\w+)/([\w.]+)$};
    if (!$room || !exists $rank{$room})
    {
      complain($file, "is in no room of src/rooms");
      next;
    }
    complain($file, "has the name of $place{$name}") if $place{$name};
    $place{$name} = $file;
    open(my $in, "<", $file) or die "$file: $!";
    my $text = do { local $/; <$in> };
    complain($file, "is no door and does not say that it is for its room alone")
      if $name =~ /\.h$/ && $room ne "base" && $name ne "$room.h" && $text !~ /^\/\*(?:(?!\*\/).)*for this room alone/s;
    my $line = 0;
    for (split /\n/, $text)
    {
      $line++;
      my ($to, $header) = m{^\s*#\s*include\s*["<](?:.*?([\w.]+)/)?([\w.]+)[">]} or next;
      complain("$file:$line", "\"$header\" without its room") if !$to && grep { -f } glob("src/*/$header");
      complain("$file:$line", "a path that begins with its room is wanted") if m{["/]\.\.?/};
      next if !$to || !-f "src/$to/$header" || $to eq $room;
      complain("$file:$line", "room $room is before $to in src/rooms") if $rank{$to} > $rank{$room};
      complain("$file:$line", "$to/$header is no door; include $to/$to.h")
        if $to ne "base" && $header ne "$to.h";
    }
  }
  sub complain { print "$_[0]: $_[1]\n"; $bad = 1 }
  END { exit($bad // 0) }'
