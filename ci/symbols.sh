#!/bin/bash
# On PostgreSQL 15 every symbol that is not static is exported: each of the
# extension's own has the prefix pges_.
set -euo pipefail
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
find src -name '*.c' ! -path 'src/bin/*' | while read -r file; do
  # shellcheck disable=SC2086 # the flags are words
  gcc $PG_CPPFLAGS -fPIC -w -c -o "$objects/$(basename "$file" .c).o" "$file"
done
! nm -A --defined-only -g "$objects"/*.o | sed 's/.*objects.//' |
  grep -vE ' (pges_|pg_finfo_pges_|Pg_magic_func$|_PG_init$)' | awk '{print $NF}'
