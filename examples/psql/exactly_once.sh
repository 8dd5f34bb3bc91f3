#!/bin/bash
# A worker that fills a table of the same database, exactly once: exactly_once.sh [CONSUMER].
#
# The procedure handle_activity() in ../setup.sql polls, writes and acknowledges. A call is one transaction: if it
# is rolled back, nothing was delivered.
consumer=${1:-worker-1}
stopping='' pause=1
trap 'stopping=yes' TERM INT

# Run some SQL, which a signal to the whole process group does not end.
query() { (trap '' TERM INT; exec psql -XqAt -v ON_ERROR_STOP=1 -v consumer="$consumer" <<<"$1"); }

while [ -z "$stopping" ]; do
  if query "CALL handle_activity(:'consumer')"; then
    pause=1
  else # the connection is lost, as psql said
    sleep "$pause"
    pause=$((pause < 3 ? pause * 2 : 5))
  fi
done
query "SELECT eventstore.release('activity', :'consumer')" >/dev/null
