#!/bin/bash
# The C code is formatted by pgindent; with --fix, format it.
set -euo pipefail
tool=$(ci/get-pgindent) || { echo "pgindent cannot be downloaded"; exit 77; }
own=$(find src -name '*.[ch]' -print0 |
  xargs -0r perl -0777 -ne 'print $1 // $2, " " while /\btypedef\s+(?:struct|enum|union)\s+(\w+)|^\}\s*(\w+);/mg')
mode=(--check --diff)
[ "${1:-}" != --fix ] || mode=()
find src -name '*.[ch]' -print0 |
  PATH=$tool:$PATH xargs -0r perl "$tool/pgindent" \
    --typedefs="$tool/typedefs.list" --list-of-typedefs="${own:-none}" "${mode[@]}"
