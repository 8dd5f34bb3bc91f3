#!/bin/bash
# The dead letters: events that failed too often, each with the later events of its aggregate behind it.
#
#   dead_letters.sh SUBSCRIPTION                         list them
#   dead_letters.sh SUBSCRIPTION replay AGGREGATE        deliver those of an aggregate again, in order
#   dead_letters.sh SUBSCRIPTION discard AGGREGATE WHY   give up the one that failed, deliver those behind it
set -euo pipefail

# query SQL: the statements are one transaction; the arguments of the script are variables, which psql quotes
query() {
  psql -Xq -1 -f - -P footer=off -v ON_ERROR_STOP=1 \
    -v subscription="$subscription" -v aggregate="$aggregate" -v why="$why" <<<"$1"
}

subscription=${1:-} aggregate=${3:-} why=${4:-}
case $#:${2:-} in
  1:)
    query "SELECT aggregate_id, aggregate_version, event_type, attempts, replay, reason
             FROM eventstore.parked_events WHERE subscription = :'subscription' ORDER BY aggregate_id, position" ;;
  3:replay)
    query "SELECT eventstore.replay_parked(:'subscription', :'aggregate')" ;;
  4:discard)
    query "SELECT eventstore.discard_parked(subscription, aggregate_id, min(position), :'why')
             FROM eventstore.parked_events WHERE subscription = :'subscription' AND aggregate_id = :'aggregate'
            GROUP BY subscription, aggregate_id;
           SELECT eventstore.replay_parked(:'subscription', :'aggregate')" ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 1 ;;
esac
