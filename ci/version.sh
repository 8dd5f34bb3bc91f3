#!/bin/bash
# The control files, META.json, debian/changelog and the top of the CHANGELOG name one version. If it
# is released, its install script is frozen: what the parts in sql/ make is that script.
set -euo pipefail
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_eventstore.control)
top=$(grep -m1 -oE '[0-9]+\.[0-9]+\.[0-9]+' CHANGELOG.md || true)
debian=$(sed -nE '1s/^pg-eventstore \((.*)-1~upstream\) .*/\1/p' debian/changelog)
meta=$(perl -0777 -ne 's/"meta-spec"\s*:\s*\{.*?\}//s; print "$1\n" while /"version"\s*:\s*"(.*?)"/g' \
  META.json | sort -u)
status=0
[ "$top" = "$version" ] || { echo "CHANGELOG.md: $top, not $version"; status=1; }
[ "$debian" = "$version" ] || { echo "debian/changelog: $debian, not $version"; status=1; }
[ "$meta" = "$version" ] || { echo "META.json: ${meta:-none}, not $version"; status=1; }

grep -q "^default_version = '$version'$" pg_eventstore_front.control ||
  { echo "pg_eventstore_front.control: not $version"; status=1; }

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for script in "pg_eventstore--$version.sql" "pg_eventstore_front--$version.sql"; do
  [ -f "sql/$script" ] || continue
  make -s -C "$build" -f "$PWD/Makefile" PG_CONFIG="$PG_CONFIG" "$script"
  diff -u "sql/$script" "$build/$script" ||
    { echo "version $version is released, so its SQL objects cannot change: see CONTRIBUTING.md"; status=1; }
done
exit "$status"
