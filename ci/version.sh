#!/bin/bash
# The control file, META.json and the first entry of CHANGELOG.md have the same version.
set -euo pipefail
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_eventstore.control)
top=$(grep -m1 -oE '[0-9]+\.[0-9]+\.[0-9]+' CHANGELOG.md || true)
meta=$(perl -0777 -ne 's/"meta-spec"\s*:\s*\{.*?\}//s; print "$1\n" while /"version"\s*:\s*"(.*?)"/g' \
  META.json | sort -u)
status=0
[ "$top" = "$version" ] || { echo "CHANGELOG.md: $top, not $version"; status=1; }
[ "$meta" = "$version" ] || { echo "META.json: ${meta:-none}, not $version"; status=1; }
exit "$status"
