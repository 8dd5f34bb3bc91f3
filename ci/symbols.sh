#!/bin/bash
# On PostgreSQL 15 every symbol that is not static is exported: each of the extension's
# own has the prefix pges_. And what the files use of each other makes no loop.
set -euo pipefail
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
while IFS= read -r -d '' file; do
  # shellcheck disable=SC2086 # the flags are words
  gcc $PG_CPPFLAGS -fPIC -w -c -o "$objects/$(basename "$file" .c).o" "$file"
done < <(find src -name '*.c' ! -path 'src/bin/*' -print0)
cd "$objects"
wrong=$(nm -A --defined-only -g ./*.o |
  grep -vE ' (pges_|pg_finfo_pges_|Pg_magic_func$|_PG_init$)' | awk '{print $NF}') || true
# pairs of a file that uses a symbol and the file that defines it
loop=$(nm -A -g ./*.o | perl -ne '
  my ($file, $type, $name) = m{^\./(\w+)\.o:.* (\w) (pges_\w+)$} or next;
  if ($type eq "U") { push @used, [$file, $name] } else { $home{$name} = $file }
  END { print map { $home{$_->[1]} ? "$_->[0] $home{$_->[1]}\n" : () } @used }' |
  tsort 2>&1 >/dev/null | sed 's/^tsort: -: input contains a loop:/these files use each other:/; s/^tsort: //') || true
printf '%s' "${wrong:+$wrong
}" "$loop"
[ -z "$wrong$loop" ]
