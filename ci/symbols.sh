#!/bin/bash
# On PostgreSQL 15, every symbol that is not static is exported, so each has the prefix
# pges_. No file uses a symbol of a room that is later in src/rooms, even without its
# header, and the uses of symbols between files have no cycle.
set -euo pipefail
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
while IFS= read -r -d '' file; do
  mkdir -p "$objects/$(dirname "$file")"
  # shellcheck disable=SC2086 # the flags are words
  gcc $PG_CPPFLAGS -fPIC -w -c -o "$objects/${file%.c}" "$file"
done < <(find src -name '*.c' ! -path 'src/bin/*' -print0)
symbols=$(cd "$objects" && find src -type f -exec nm -A -g {} +)
{
  grep -v ' U ' <<<"$symbols" |
    grep -vE ' (pges_|pg_finfo_pges_|Pg_magic_func$|_PG_init$)' | awk '{print $NF ": has no prefix"}'
  # pairs of a file that uses a symbol and the file that defines it
  perl -ne '
    BEGIN
    {
      open(my $list, "<", "src/rooms") or die "src/rooms: $!";
      %rank = map { /^(\w+)\s/ ? ($1 => ++$n) : () } <$list>;
    }
    my ($file, $type, $name) = m{^src/([\w/]+):.* (\w) (pges_\w+)$} or next;
    if ($type eq "U") { push @used, [$file, $name] } else { $home{$name} = $file }
    END
    {
      for (grep { $home{$_->[1]} } @used)
      {
        my ($user, $name) = @$_;
        my ($from, $to) = map { m{(\w+)/} ? $rank{$1} : $n + 1 } $user, $home{$name};
        print STDERR "src/$user.c: uses $name of src/$home{$name}.c, whose room is later in src/rooms\n" if $from < $to;
        print "$user $home{$name}\n";
      }
    }' <<<"$symbols" | tsort 2>&1 >/dev/null |
    sed 's/^tsort: -: input contains a loop:/these files use each other:/; s/^tsort: //'
} >"$objects/said" 2>&1 || true
cat "$objects/said"
[ ! -s "$objects/said" ]
