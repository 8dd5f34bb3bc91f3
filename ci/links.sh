#!/bin/bash
# The target of every link to a file or a heading of this repository exists. README.md has at
# most 150 lines, a page of doc/ at most 300.
ci/files | grep -z '\.md$' | xargs -0r perl -e '
  use strict;
  my ($bad, %headings, @links) = (0);
  for my $file (@ARGV)
  {
    my ($is_code, %seen);
    open(my $in, "<", $file) or die "$file: $!";
    while (my $line = <$in>)
    {
      $is_code = !$is_code if $line =~ /^```/;
      next if $is_code;
      if ($line =~ /^#+ (.*)/)
      {
        my $anchor = lc($1) =~ s/\[([^\]]*)\]\([^)]*\)/$1/gr =~ s/[^\w\- ]//gr =~ tr/ /-/r;
        $anchor .= "-" . ($seen{$anchor} - 1) if $seen{$anchor}++;
        $headings{$file}{$anchor} = 1;
      }
      push @links, [ $file, $., $1 ] while $line =~ /\]\(([^)\s]+)\)/g;
    }
    my $limit = $file eq "README.md" ? 150 : $file =~ m{^doc/} ? 300 : next;
    report($file, $limit + 1, "the page has more than $limit lines") if $. > $limit;
  }
  for (@links)
  {
    my ($file, $line, $target) = @$_;
    next if $target =~ /^\w+:/;
    my ($path, $heading) = split /#/, $target, 2;
    $path = length $path ? ($file =~ s{[^/]*$}{}r) . $path : $file;
    1 while $path =~ s{[^/]+/\.\./}{};
    report($file, $line, "there is no $target")
      if !-e $path || (defined $heading && $path =~ /\.md$/ && !$headings{$path}{$heading});
  }
  sub report { print "$_[0]:$_[1]: $_[2]\n"; $bad = 1 }
  exit $bad'
