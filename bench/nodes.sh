# Part of script/bench: measures the group cluster, on three servers of its own: two nodes
# and a front. Besides the rate, it measures the processor time of each server, because a
# machine with few cores cannot show the rate of several servers at once.
# shellcheck shell=bash disable=SC2154

# Start the servers, and create stores on the nodes and their maps on the front. The table
# of a store with many slots has only the slot that is used on the node.
load_for_nodes() {
  local server
  for server in node_1 node_2 front; do
    as_pg mkdir "$dir/$server"
    start_cluster "$dir/$server/data" "$dir/$server" "$dir/dest" "$dir/$server/log"
    { settings; say "autovacuum = off"; } | as_pg tee -a "$dir/$server/data/postgresql.conf" >/dev/null
    as_pg pg_ctl -s -w -D "$dir/$server/data" -l "$dir/$server/log" restart </dev/null
    as_pg createdb -h "$dir/$server" bench
  done
  on_server node_1 -v first=0 -v last=7 -f "$dir/sql/setup/node.sql"
  on_server node_2 -v first=8 -v last=15 -f "$dir/sql/setup/node.sql"
  on_server front -v node="host=$dir/node_1 port=$pg_port user=postgres dbname=bench" -f "$dir/sql/setup/front.sql"
  id_of_slot_0=$(as_pg psql -qXAt -h "$dir/node_1" bench -c "SELECT 'order-' || i FROM generate_series(1, 100000) i
    WHERE eventstore.slot_of('order-' || i, 1024) = 0 LIMIT 1")
}
on_server() { as_pg psql -qX -v ON_ERROR_STOP=1 -o /dev/null -h "$dir/$1" -d bench "${@:2}"; }

# Stop the servers, if they were started.
stop_nodes() {
  local server
  for server in node_1 node_2 front; do stop_cluster "$dir/$server/data"; done
}

# cpu_of SERVER: print the microseconds of processor time that its processes have used, in
# the user's and the system's mode. Those of ended processes are counted by their parent.
cpu_of() {
  local pid child files=()
  read -r pid <"$dir/$1/data/postmaster.pid"
  for child in $(<"/proc/$pid/task/$pid/children"); do files+=("/proc/$child/stat"); done
  cat "/proc/$pid/stat" "${files[@]}" 2>/dev/null | sed 's/.*) //' |
    awk -v tick="$(getconf CLK_TCK)" 'NR == 1 { sum = $14 + $15 } { sum += $12 + $13 } END { printf "%.0f\n", sum * 1e6 / tick }'
}

# servers_of CONTESTANT: print the servers that its clients call. One node is the second
# one in every other round, because its core may be slower or faster.
servers_of() {
  case $1,$case in
    two_nodes,*) say node_1 node_2 ;;
    one_node,*) say "node_$((2 - round % 2))" ;;
    behind_front,* | slots_*,append_*) say front ;;
    *) say node_1 ;;
  esac
}

# core_of SERVER: print the core or cores for its sessions and clients. If the case is
# pinned, each server shares one core with its clients.
core_of() {
  case $cores,$1 in
    1,node_2) last_core ;;
    1,*) sed 's/[-,].*//' <<<"$allowed" ;;
    *) say "$allowed" ;;
  esac
}

# start_clients CONTESTANT SERVER CLIENTS: start pgbench on a server, and set job.
start_clients() {
  local mode=prepared pid list count=$3 threads=1
  [ "$1" != node_unprepared ] || mode=extended
  [ -z "$quick" ] || [ "$count" -le 2 ] || count=2
  [ "$count" -lt "$(nproc)" ] || [ "$cores" = 1 ] || threads=$(nproc)
  list=$(core_of "$2")
  read -r pid <"$dir/$2/data/postmaster.pid"
  as_pg taskset -cp "$list" "$pid" >/dev/null
  as_pg env PGHOST="$dir/$2" PGOPTIONS="$(options_of "$1")" taskset -c "$list" timeout 300 pgbench -n -M "$mode" -c "$count" \
    -j "$threads" $([ -n "$quick" ] && say -t 4 || say -T "$seconds") -D slots="${1#slots_}" -D id="$id_of_slot_0" \
    -f "$(script_of "$1")" bench >"$dir/$2/said" 2>&1 &
  job=$!
}

# run_clients CONTESTANT: run its clients, as many on each server, and set tps and processed to the sums.
run_clients() {
  local server servers job jobs=() said i
  read -ra servers < <(servers_of "$1")
  for server in "${servers[@]}"; do
    start_clients "$1" "$server" "$clients"
    jobs+=("$job")
  done
  tps=0 processed=0
  for i in "${!servers[@]}"; do
    wait "${jobs[i]}" || die "$(title), $1:"$'\n'"$(<"$dir/${servers[i]}/said")"
    said=$(<"$dir/${servers[i]}/said")
    tps=$(awk "BEGIN { print $tps + $(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$said") }")
    processed=$((processed + $(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$said")))
  done
  [ "$processed" -gt 0 ] || die "$(title), $1: nothing was run"
  sleep 0.3 # for the sessions to end
}

# run_on_nodes CONTESTANT ROUND: run a contestant once, and write the rate and the
# processor time of an event on the nodes and the front.
run_on_nodes() {
  local node front
  node=$(($(cpu_of node_1) + $(cpu_of node_2))) front=$(cpu_of front)
  run_clients "$1"
  node=$(($(cpu_of node_1) + $(cpu_of node_2) - node)) front=$(($(cpu_of front) - front))
  result "$1" "$2" tps "$tps"
  [ "$(events_each)" -eq 0 ] || {
    ran=$((ran + processed * $(events_each)))
    result "$1" "$2" node_us "$(awk "BEGIN { printf \"%.1f\", $node / $processed }")"
    result "$1" "$2" front_us "$(awk "BEGIN { printf \"%.1f\", $front / $processed }")"
  }
}

# count_on_nodes: print how many events the nodes have.
count_on_nodes() {
  local server sum=0
  for server in node_1 node_2; do
    sum=$((sum + $(as_pg psql -qXAt -v ON_ERROR_STOP=1 -h "$dir/$server" -f "$dir/sql/setup/count.sql" -d bench)))
  done
  say "$sum"
}

# Measure a case on the nodes. Each round runs every contestant once, every other round in
# reverse order.
measure_nodes() {
  local round i name ran=0 before
  before=$(count_on_nodes)
  for ((round = 1; round <= rounds; round++)); do
    for ((i = 0; i < ${#names[@]}; i++)); do
      name=${names[i]}
      [ $((round % 2)) -eq 1 ] || name=${names[-1 - i]}
      run_on_nodes "$name" "$round"
    done
  done
  [ "$(count_on_nodes)" -eq $((before + ran)) ] || die "$(title): the nodes got $(($(count_on_nodes) - before)) events, not $ran"
}
