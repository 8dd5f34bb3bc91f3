#!/bin/bash
# The manual pages in man/ are those that script/man makes, and pg_eventstore_migrate(1) has each
# option of the program.
set -euo pipefail
command -v lowdown >/dev/null || { echo "lowdown is not installed"; exit 77; }
status=0
script/man --check || status=1
for option in $(sed -nE 's/^\t\{"([a-z-]+)", (no|required)_argument.*/\1/p' src/bin/pg_eventstore_migrate/options.c) help version; do
  grep -qF -e "\`--$option\`" doc/pg_eventstore_migrate.md ||
    { echo "doc/pg_eventstore_migrate.md: option --$option is missing"; status=1; }
done
exit "$status"
