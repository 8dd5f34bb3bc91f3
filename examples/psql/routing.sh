#!/bin/bash
# Append to a sliced store without a front in between: find the slot and its server.
#   routing.sh STORE AGGREGATE_ID EVENT_TYPE [DATA]
# The environment (PGHOST, PGDATABASE ...) names a front, which has the map. See
# doc/many-servers.md. psql calls slot_of() of the front; the programs in Python and
# JavaScript beside this one compute the slot by themselves.
set -euo pipefail
store=$1 aggregate=$2 type=$3 data=${4:-'{}'}

# The server of the slot, by the map of the front.
server() {
  psql -XAtq -v store="$store" -v aggregate="$aggregate" <<'SQL'
SELECT conninfo FROM eventstore.slot_map WHERE store = :'store' AND slot = eventstore.slot_of(:'aggregate', slots)
SQL
}

for attempt in 1 2 3 4 5; do
  conninfo=$(server)
  [ -n "$conninfo" ] || { echo "the front has no map of store $store" >&2; exit 1; }
  if version=$(psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -d "$conninfo" -v store="$store" \
    -v aggregate="$aggregate" -v type="$type" -v data="$data" 2>&1 <<'SQL'
SELECT eventstore.append_event(:'type', :'data', :'aggregate', store => eventstore.slot_store(:'store', :'aggregate'))
SQL
  ); then
    echo "$aggregate is at version $version"
    exit 0
  fi
  case $version in *42P01* | *22023*) ;; *) attempt=5 ;; esac # otherwise the slot has moved
  [ "$attempt" -lt 5 ] || { echo "$version" >&2; exit 1; }
  sleep 0.1
done
