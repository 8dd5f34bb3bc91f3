# Part of script/demo: a sliced store on two servers behind a front, each a private
# temporary server. All of it is stopped and removed at the end.
# shellcheck shell=bash disable=SC2154

servers=(node_a node_b front) job=''

# Stop the servers and remove the folder, at any end of the script.
end_cluster() {
  local status=$? server
  trap - EXIT
  trap '' HUP INT TERM PIPE
  set +e
  [ -z "$job" ] || kill "$job" 2>/dev/null
  for server in "${servers[@]}"; do
    [ "$status" -eq 0 ] || [ "$status" -ge 129 ] || tail -n 10 "$run/$server/log" >&2
    stop_cluster "$run/$server/data"
  done
  rm -rf "$run"
  [ "$status" -eq 0 ] || say "The demo was interrupted or has failed." >&2
  exit "$status"
}

# address SERVER: print the connection string of its database, which has the same name.
address() { say "host=$run/$1 port=$pg_port user=postgres dbname=$1"; }

# tool ARGUMENT...: show and run pg_eventstore_cluster. Its output about roles is left out.
tool() {
  local word text=pg_eventstore_cluster
  for word; do
    case $word in
      "$(address front)") text+=' "$FRONT"' ;;
      --*' '*) text+=$' \\\n'"  ${word%%=*}=\"${word#*=}\"" ;;
      *) text+=" $word" ;;
    esac
  done
  printf '%s%s%s\n\n' "$cyan" "$text" "$plain"
  as_pg "$run/dest$bindir/pg_eventstore_cluster" "$@" 2>&1 | sed '/^For each role/,$d'
  say
}

# readme_sql NUMBER: print the block of SQL with this number of README.md.
readme_sql() {
  awk -v number="$1" '/^```sql$/ { n++; next } /^```$/ { if (n == number) exit; next } n == number' "$root/README.md"
}

# Run the first steps of README.md, paragraph by paragraph. The first one makes the store,
# which pg_eventstore_cluster has done.
first_steps() {
  local paragraph
  while IFS= read -r -d '' paragraph; do
    case $paragraph in
      *'create_store('*) ;;
      *'fails with SQLSTATE'*) sql_fails <<<"$paragraph" ;;
      *) sql <<<"$paragraph" ;;
    esac
  done < <(readme_sql 1 | awk -v RS= -v ORS='\0' 1)
  sql < <(readme_sql 2)
}

# Append events to one order through the front, each with the next expected version and an
# id, until the file "stop" exists. If a call fails, repeat it. Write the number of
# acknowledged events, of repeated calls, and the longest time of a call in milliseconds.
append_until_stopped() {
  local count=0 repeated=0 longest=0 answer since took
  coproc session { "${psql[@]}" -At -v VERBOSITY=sqlstate -v ON_ERROR_STOP=0 2>&1; }
  while [ ! -e "$run/stop" ]; do
    since=${EPOCHREALTIME/[.,]/}
    while :; do
      printf '%s\n' "SELECT eventstore.append_event('parcel_scanned', '{}', '1207', expected_version => 3 + $count, event_id => 'scan-$count');" \
        >&"${session[1]}"
      read -r answer <&"${session[0]}"
      [ "$answer" != $((4 + count)) ] || break
      [[ $answer == ERROR:*42P01* ]] || die "The append has failed: $answer"
      repeated=$((repeated + 1))
      sleep 0.01
    done
    count=$((count + 1))
    took=$(((${EPOCHREALTIME/[.,]/} - since) / 1000))
    [ "$took" -le "$longest" ] || longest=$took
    [ $((count % 50)) -ne 0 ] || sleep 0.1
  done
  say "$count $repeated $longest"
}

# Move the slot of the order while a client appends to it. Then compare.
move_while_appending() {
  local slot node count repeated longest stored
  slot=$(value "SELECT eventstore.slot_of('1207', 4)")
  node=$(value "SELECT CASE node WHEN 'a' THEN 'b' ELSE 'a' END FROM eventstore.slot_map WHERE slot = $slot")
  append_until_stopped >"$run/appended" &
  job=$!
  sleep 1
  tool move "$(address front)" "$slot" "$node"
  sleep 1
  touch "$run/stop"
  wait "$job" || die "The client that appends has failed."
  job=''
  read -r count repeated longest <"$run/appended"
  stored=$(value "SELECT count(*) FROM eventstore.get_events_by_aggregate('1207') WHERE event_type = 'parcel_scanned'")
  say "The client repeated $repeated calls, which met the slot on its old node. The slowest call took $longest ms."
  say "${green}acknowledged: $count, stored: $stored$plain
"
  [ "$count" -gt 0 ] && [ "$count" -eq "$stored" ] || die "An acknowledged event was lost or doubled."
}

cluster_demo() {
  local server
  "$root/script/setup" cluster
  find_pg
  have_plproxy || die "script/demo: --cluster needs PL/Proxy for this server: on Debian, package postgresql-$pg_major-plproxy"
  run=$(short_dir pges-demo)
  run_in "$run"
  trap end_cluster EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
  say "Building for $("$pg_config" --version), starting three private servers in $run
"
  build "$run"
  for server in "${servers[@]}"; do
    as_pg mkdir "$run/$server"
    start_cluster "$run/$server/data" "$run/$server" "$run/dest" "$run/$server/log"
    as_pg createdb -h "$run/$server" "$server"
  done
  title "FRONT='$(address front)'"
  psql=("$bindir/psql" -X -q -v ON_ERROR_STOP=1 -P footer=off -P format=wrapped -P "columns=$width"
    -h "$run/front" -p "$pg_port" -U postgres -d front)

  step 'Make a store of four slots on two nodes, and its map on a front'
  tool init --store=shop.orders --slots=4 --node=a="$(address node_a)" --node=b="$(address node_b)" --front="$(address front)"

  title "$((steps += 1)). The first steps of README.md, in psql on the front"
  first_steps

  step 'Show where the slots are'
  tool status "$(address front)"

  step 'Move the slot of order 1207 to the other node, while a client appends to the order'
  move_while_appending

  step 'Compare the maps with the places of the slots'
  tool check "$(address front)"
  sql <<'SQL'
SELECT slot, node FROM eventstore.slot_map ORDER BY slot;
SQL
  say "The three servers are stopped and removed."
}
