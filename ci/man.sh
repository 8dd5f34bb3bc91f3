#!/bin/bash
# The manual pages in man/ are those that script/man makes, and the page of a program has each of
# its options.
set -euo pipefail
command -v lowdown >/dev/null || { echo "lowdown is not installed"; exit 77; }
status=0
script/man --check || status=1
for program in pg_eventstore_migrate pg_eventstore_cluster; do
  for option in $(sed -nE 's/^\t\{"([a-z-]+)", (no|required)_argument.*/\1/p' "src/bin/$program/options.c") help version; do
    grep -qF -e "\`--$option\`" "doc/$program.md" ||
      { echo "doc/$program.md: option --$option is missing"; status=1; }
  done
done
exit "$status"
