#!/bin/bash
# A worker: worker.sh [CONSUMER [COMMAND...]]. The PG* environment variables name the database.
#
# Runs the command for each event, with the event as JSON on its standard input. Workers with different names
# share the events. After SIGTERM or Ctrl-C a worker ends the event at hand, acknowledges what is done, and
# releases the rest.
consumer=${1:-worker-1}
command=("${@:2}")
[ $# -gt 1 ] || command=(cat)
lease=${LEASE:-30} # seconds, that of the subscription: more than any event takes
stopping='' delivery='' pause=1
trap 'stopping=yes' TERM INT

# Run a command that a signal to the whole process group does not end.
shielded() { (trap '' TERM INT; exec "$@"); }

# query SQL [NAME=VALUE...]: the values are variables of psql, which quotes them
query() {
  local values=(subscription=mails consumer="$consumer" "${@:2}")
  shielded psql -XqAt -F ' ' -v ON_ERROR_STOP=1 "${values[@]/#/-v}" <<<"$1"
}

# handle_batch EVENTS: one a line, as delivery, position, JSON. Sets delivery if all of them are done.
handle_batch() {
  local current position event status leased=$SECONDS all=''
  while read -r current position event && [ -n "$current" ]; do
    if ((SECONDS - leased > lease / 2)); then # a long batch
      query "SELECT eventstore.extend_lease(:'subscription', :delivery)" delivery="$current" >/dev/null || return
      leased=$SECONDS
    fi
    status=0
    shielded "${command[@]}" <<<"$event" || status=$?
    if [ "$status" -ne 0 ]; then # the events before are done; this one and the rest come again
      query "SELECT eventstore.nack(:'subscription', :delivery, :position, :'reason')" \
        delivery="$current" position="$position" reason="${command[*]}: exit status $status" >/dev/null
      return
    fi
    if [ -n "$stopping" ]; then
      query "SELECT eventstore.ack(:'subscription', :delivery, :position)" \
        delivery="$current" position="$position" >/dev/null
      return
    fi
    all=$current
  done <<<"$1"
  delivery=$all
}

while [ -z "$stopping" ]; do
  if events=$(query "SELECT delivery, position, to_jsonb(event) FROM eventstore.poll(:'subscription', 10,
      :'consumer', '5 seconds', NULLIF(:'delivery', '')::bigint) AS event" delivery="$delivery"); then
    delivery='' pause=1 # what was done is acknowledged
    handle_batch "$events"
  else # the lease or the connection is lost, as psql said: the events come again, here or elsewhere
    delivery=''
    sleep "$pause"
    pause=$((pause < 3 ? pause * 2 : 5))
  fi
done
[ -z "$delivery" ] || # done when the signal came
  query "SELECT eventstore.ack(:'subscription', :delivery)" delivery="$delivery" >/dev/null
query "SELECT eventstore.release(:'subscription', :'consumer')" >/dev/null
