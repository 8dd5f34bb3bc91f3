#!/bin/bash
# An order service whose read models the server keeps up to date, by projections (see ../orders.sql):
#
# orders.sh place ORDER TOTAL      places an order, and shows it in the read model
# orders.sh pay ORDER              pays an order, and shows it
# orders.sh register USER EMAIL    registers a user, unless another one has the address
# orders.sh rebuild                handles all events again, after list_order() was replaced
set -uo pipefail

# query SQL [NAME=VALUE...]: run some SQL, with variables of psql.
query() {
  local sql=$1 options=() variable
  shift
  for variable; do options+=(-v "$variable"); done
  psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=verbose "${options[@]}" <<<"$sql"
}

# append ORDER VERSION TYPE DATA: append an event to an order that is at a version, and print its position.
append() {
  query "SELECT position FROM eventstore.append(
           jsonb_build_array(jsonb_build_object('event_type', :'type', 'aggregate_type', 'Order', 'aggregate_id', :'id', 'data', :'data'::jsonb)),
           expected_versions => jsonb_build_object(:'id', :version), store => 'example.orders')" id="$1" version="$2" type="$3" data="$4"
}

# show ORDER POSITION: print an order from the read model, when that has handled the event at the position.
show() {
  local reached
  reached=$(query "SELECT eventstore.wait_for_projection('example.order_list', :position, '5 seconds')" position="$2") || exit
  [ -n "$reached" ] || echo "the list of orders may be old" >&2
  query "SELECT format('%s: %s, %s', order_id, state, total) FROM example.order_list WHERE order_id = :'id'" id="$1"
}

# refuse ERROR PATTERN MESSAGE: end with the message if the error has the pattern, otherwise with the error.
refuse() {
  if [[ $1 == *$2* ]]; then echo "$3" >&2; else echo "$1" >&2; fi
  exit 1
}

case ${1:-} in
  place)
    position=$(append "$2" 0 order_placed "{\"total\": $3}" 2>&1) || refuse "$position" 40V01 "$2 was placed before"
    show "$2" "$position" ;;
  pay)
    version=$(query "SELECT eventstore.get_aggregate_version(:'id', 'example.orders')" id="$2") || exit
    [ "$version" -gt 0 ] || { echo "there is no order $2" >&2; exit 1; }
    position=$(append "$2" "$version" order_paid '{}') || exit
    show "$2" "$position" ;;
  register)
    answer=$(query "SELECT eventstore.append_event('user_registered', jsonb_build_object('email', :'email'), :'id', expected_version => 0,
                      aggregate_type => 'User', store => 'example.users')" id="$2" email="$3" 2>&1) ||
      refuse "$answer" 'CONSTRAINT NAME:  emails_pkey' "$3 is taken" # the event was not stored
    echo "$2 is registered" ;;
  rebuild)
    name=$(query "SELECT eventstore.rebuild_projection('example.order_list')") || exit
    # meanwhile, readers see the old rows
    until reached=$(query "SELECT eventstore.wait_for_projection(:'name')" name="$name") || exit && [ -n "$reached" ]; do
      query "SELECT lag || ' events to go' FROM eventstore.projections WHERE name = :'name'" name="$name" >&2
    done
    echo "order_list is rebuilt" ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 1 ;;
esac
