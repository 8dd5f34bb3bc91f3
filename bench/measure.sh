# Part of script/bench: measures the current case. The variables group, case, variables,
# clients, cores, fsync, seconds and names describe the case.
# shellcheck shell=bash disable=SC2154

# result CONTESTANT ROUND METRIC VALUE: add a line to runs.tsv.
result() {
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
    "$group" "$case" "$variables" "$clients" "$cores" "$fsync" "$@" >>"$dir/results/runs.tsv"
}

# events_each: print how many events a transaction of the case appends.
events_each() {
  case $case in append_* | form_*) say "${case##*_}" ;; *) say 0 ;; esac
}

# count_events DATABASE: print how many events all its tables have.
count_events() { as_pg psql -qXAt -v ON_ERROR_STOP=1 -f "$dir/sql/setup/count.sql" -d "$1"; }

# set_fsync VALUE: change the setting fsync of the server at once.
set_fsync() { sql postgres -c "ALTER SYSTEM SET fsync = $1" -c 'SELECT pg_reload_conf()'; }

# set_cores CORES: set the cores for the sessions that the server starts from now on.
set_cores() {
  local pid list=$allowed
  read -r pid <"$dir/data/postmaster.pid"
  [ "$1" != 1 ] || list=$(last_core)
  as_pg taskset -cp "$list" "$pid" >/dev/null
}
last_core() { sed 's/.*[-,]//' <<<"$allowed"; }

# database_of CONTESTANT: print the name of its database in this case.
database_of() {
  case $group in
    read) say "loaded_${template[$1]}" ;;
    growth) say growth ;;
    snapshots) say snapshots ;;
    callgrind) say "bench_$1_${round:-1}" ;;
    *) say "bench_$1" ;;
  esac
}

# template_of CONTESTANT: print the name of the database that is copied for it.
template_of() {
  case $case in follow) say "loaded_${template[$1]}" ;; *) say "${template[$1]}" ;; esac
}

# log_events: print how many events the log has that consumers share.
log_events() {
  case $case$quick in share) say 300000 ;; *yes) say 10000 ;; *) say 100000 ;; esac
}

# fresh CONTESTANT: drop its database, and create it again from the template.
fresh() {
  local database script=$dir/sql/${folder[$1]}/$case.setup.sql
  database=$(database_of "$1")
  sql postgres -c 'SET client_min_messages = warning' -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" \
    -c "CREATE DATABASE $database TEMPLATE $(template_of "$1")"
  [ ! -f "$script" ] ||
    as_pg env PGOPTIONS="$(options_of "$1")" psql -qX -o /dev/null -v ON_ERROR_STOP=1 \
      -v rounds="$rounds" -v events="$(log_events)" -f "$script" -d "$database"
}

# Run a checkpoint. If the case waits for the disk, also write out the file system,
# so that the disk has nothing else to do.
write_out() {
  sql postgres -c CHECKPOINT
  [ "$fsync$quick" != on ] || timeout 120 sync -f "$dir" || true
}

# Prepare the server and the databases of all contestants for this case.
begin_case() {
  local name
  set_fsync off
  case $group in
    read | growth | snapshots) ;;
    *) for name in "${names[@]}"; do fresh "$name"; done ;;
  esac
  set_fsync "$fsync"
  write_out
  [ "$group $case $variables$quick" != "growth append_1 -" ] || touch_pages
}

# Append to each store in proportion to its size, so that almost all pages of the
# index on the aggregates are changed. The first change of a page after a checkpoint
# writes the whole page to the WAL. In a large store, nearly all measured appends would
# change such a page, in a small one soon none. The time just after a checkpoint is
# measured by a separate case, with checkpoint=1.
touch_pages() {
  local name round size
  for ((round = 1; round <= rounds; round++)); do
    for name in "${names[@]}"; do
      [ "$round" -eq 1 ] || [[ ${options[$name]} == *ROUND* ]] || continue
      size=$(growth_size "$name")
      bench "$name" "$(script_of "$name")" -t $((size / 40))
    done
  done
}

# Drop the databases that begin_case has created.
end_case() {
  local name
  case $group in read | growth | snapshots) return 0 ;; esac
  for name in "${names[@]}"; do
    sql postgres -c "DROP DATABASE $(database_of "$name") WITH (FORCE)"
  done
}

# pgbench_variables CONTESTANT: print the options -D for its script.
pgbench_variables() {
  local variable
  [ "$variables" = - ] || for variable in ${variables//,/ }; do printf -- '-D %s ' "$variable"; done
  case $group in
    read) printf -- '-D events=%s ' "$read_events" ;;
    growth) printf -- '-D events=%s -D loaders=%s ' "$(growth_size "$1")" "$growth_loaders" ;;
    subscriptions) printf -- '-D events=%s -D left=0 -D p_delivery=0 -D round=%s ' $((3 * read_events)) "${round:-1}" ;;
  esac
}

# run_length CLIENTS: print the option that limits the run of pgbench.
run_length() {
  local count=${seconds%t}
  if [ -n "$quick" ]; then
    say "-t 4"
  elif [ "$count" != "$seconds" ]; then
    say "-t $((count / $1))"
  else
    say "-T $seconds"
  fi
}

# script_of CONTESTANT: print the path of its script for this case.
script_of() { say "$dir/sql/${folder[$1]}/$case.sql"; }

# bench CONTESTANT SCRIPT [OPTION...]: run a script once, and set tps and processed.
# The options replace the length of a run in cases.tsv.
bench() {
  local name=$1 count=$clients threads command=() more said
  [ "$name" != consumer_1 ] || count=1
  [ -z "$quick" ] || [ "$count" -le 2 ] || count=2
  threads=$count
  [ "$threads" -le "$(nproc)" ] || threads=$(nproc)
  [ "$cores" != 1 ] || command=(taskset -c "$(last_core)")
  read -ra more <<<"$(pgbench_variables "$name")${*:3}"
  [ $# -gt 2 ] || read -ra more <<<"${more[*]} $(run_length "$count")"
  said=$(as_pg env PGOPTIONS="$(options_of "$name")" "${command[@]}" timeout 300 pgbench -n -M prepared -c "$count" -j "$threads" \
    "${more[@]}" -f "$2" "$(database_of "$name")" 2>&1) ||
    die "$(title), $name:"$'\n'"$said"
  tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$said")
  processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$said")
  [ -n "$tps" ] && [ "${processed:-0}" -gt 0 ] || die "$(title), $name: nothing was run"$'\n'"$said"
}

# wal_position: print how many bytes of WAL have been written.
wal_position() { ask postgres "SELECT pg_current_wal_insert_lsn() - '0/0'"; }

# run_once CONTESTANT ROUND: run a contestant once, and write the result.
run_once() {
  local name=$1 before='' wal='' events=''
  [ "$group" != contended ] || before=$(count_events "bench_$name")
  [ "$variables" != checkpoint=1 ] || sql postgres -c CHECKPOINT
  case $group in indexes | growth) wal=$(wal_position) ;; esac
  bench "$name" "$(script_of "$name")"
  ran[$name]=$((${ran[$name]:-0} + processed))
  [ "$group" != projections ] || finish_projections "$name"
  [ "$group" != contended ] || events=$(($(count_events "bench_$name") - before))
  case "$case $name" in
    share* | 'one_event subscription'*) events=$(ask "bench_$name" "SELECT bench.consumed('log_$2')") ;;
  esac
  if [ -n "$events" ]; then
    result "$name" "$2" events_per_second "$(awk "BEGIN { printf \"%.1f\", $events * $tps / $processed }")"
    return
  fi
  result "$name" "$2" tps "$tps"
  [ -z "$wal" ] || [ "$(events_each)" -eq 0 ] || result "$name" "$2" wal_bytes \
    "$(awk "BEGIN { printf \"%.1f\", ($(wal_position) - $wal) / $processed / $(events_each) }")"
}

# Measure rates. Each round runs every contestant once, every other round in
# reverse order.
measure_rates() {
  local round i name
  declare -gA ran=() at_start=()
  begin_case
  set_cores "$cores"
  note_counts
  for ((round = 1; round <= rounds; round++)); do
    for ((i = 0; i < ${#names[@]}; i++)); do
      name=${names[i]}
      [ $((round % 2)) -eq 1 ] || name=${names[-1 - i]}
      run_once "$name" "$round"
    done
  done
  set_cores all
  check_counts
  end_case
}

# Store the number of events in each database before the first run.
note_counts() {
  local name database
  [ "$group" != read ] && [ "$group" != subscriptions ] && [ "$group" != snapshots ] && [[ $case != read_* ]] && [[ $case != *poll ]] || return 0
  for name in "${names[@]}"; do
    database=$(database_of "$name")
    [ -n "${at_start[$database]:-}" ] || at_start[$database]=$(count_events "$database")
  done
}

# Die unless the tables have the expected number of events: all that were appended, or at
# most that number if some attempts fail. If the case only reads, die unless all
# contestants read the same number of rows. The scripts that follow the log check their
# results themselves.
check_counts() {
  local name database count
  local -A more=()
  if [[ $case == read_* ]]; then check_rows; return; fi
  [ "$group" != subscriptions ] && [ "$group" != snapshots ] && [[ $case != *poll ]] || return 0
  for name in "${names[@]}"; do
    database=$(database_of "$name")
    more[$database]=$((${more[$database]:-0} + ran[$name] * $(events_each)))
  done
  for database in "${!more[@]}"; do
    count=$(($(count_events "$database") - at_start[$database]))
    case $case in
      hot_*) [ "$count" -gt 0 ] && [ "$count" -le "${ran[${database#bench_}]}" ] ;;
      *) [ "$count" -eq "${more[$database]}" ] ;;
    esac || die "$(title): $database got $count events, not ${more[$database]}"
  done
}

# Die unless the reading scripts of all contestants return the same number of rows.
# A changed copy of each script counts its rows, and writes the number to a file.
check_rows() {
  local name rows first='' script round=1
  for name in "${names[@]}"; do
    script=$(script_of "$name")
    {
      grep '^\\set' "$script" || true
      printf 'SELECT count(*) AS rows FROM (\n%s) q \\gset\n' "$(grep -v '^\\set' "$script" | sed '$s/;$//')"
      printf '\\shell echo :rows >%s/rows\n' "$dir"
    } | as_pg tee "$dir/rows.sql" >/dev/null
    bench "$name" "$dir/rows.sql" -t 1
    rows=$(<"$dir/rows")
    first=${first:-$rows}
    [ "$rows" -gt 0 ] && [ "$rows" -eq "$first" ] ||
      die "$(title): $name reads $rows rows, ${names[0]} $first"
  done
}

# Measure the WAL, and the growth of tables and indexes, for each event.
measure_size() {
  local name wal before after events
  declare -gA ran=() at_start=()
  begin_case
  note_counts
  for name in "${names[@]}"; do
    before=$(sizes "bench_$name")
    wal=$(wal_position)
    bench "$name" "$(script_of "$name")"
    wal=$(($(wal_position) - wal))
    after=$(sizes "bench_$name")
    ran[$name]=$processed
    events=$((processed * $(events_each)))
    awk -v OFMT=%.1f "BEGIN { split(\"$before\", b); split(\"$after\", a)
      print \"wal_bytes\", $wal / $events; print \"table_bytes\", (a[1] - b[1]) / $events
      print \"index_bytes\", (a[2] - b[2]) / $events }" |
      while read -r metric value; do result "$name" 1 "$metric" "$value"; done
  done
  check_counts
  end_case
}
sizes() { as_pg psql -qXAt -F ' ' -v ON_ERROR_STOP=1 -f "$dir/sql/setup/size.sql" -d "$1"; }

# Measure under callgrind how many instructions the server's session runs for an event:
# the difference between a session of n transactions and one of 2n. So work that a session
# does once does not count. Measure twice, in two databases with the same events, to show
# that the numbers are reproducible.
measure_instructions() {
  local name round times=2 count=${seconds%t} n once twice
  [ -z "$quick" ] || times=1 count=3 names=("${names[0]}")
  set_fsync "$fsync"
  for ((round = 1; round <= times; round++)); do
    for name in "${names[@]}"; do fresh "$name"; done
  done
  start_valgrind
  n=$((count * $(events_each)))
  for ((round = 1; round <= times; round++)); do
    for name in "${names[@]}"; do
      once=$(instructions "$name" 2 1) # fills the server's caches
      once=$(instructions "$name" "$count" 2)
      twice=$(instructions "$name" $((2 * count)) 3)
      result "$name" "$round" instructions "$(((twice - once + n / 2) / n))"
    done
  done
  stop_valgrind
  for ((round = 1; round <= times; round++)); do
    declare -gA ran=() at_start=()
    for name in "${names[@]}"; do
      ran[$name]=$((3 * count + 2)) at_start[$(database_of "$name")]=0
    done
    check_counts
    end_case
  done
}

# Restart the server under callgrind, which writes a file for each session.
start_valgrind() {
  local tries
  stop_cluster "$dir/data"
  as_pg mkdir -p "$dir/callgrind"
  as_pg valgrind -q --tool=callgrind --trace-children=yes --callgrind-out-file="$dir/callgrind/%p" \
    "$bindir/postgres" -D "$dir/data" -c log_connections=on -c log_line_prefix='%p ' -c autovacuum=off \
    >"$dir/valgrind.log" 2>&1 &
  for tries in {1..120}; do
    ! as_pg pg_isready -q || return 0
    sleep 0.5
  done
  die "the server did not start under valgrind within $((tries / 2)) seconds: $(tail -n 3 "$dir/valgrind.log")"
}

# Restart the server without callgrind.
stop_valgrind() {
  stop_cluster "$dir/data"
  wait
  as_pg pg_ctl -s -w -D "$dir/data" -l "$dir/server.log" start </dev/null
  rm -rf "$dir/callgrind"
}

# instructions CONTESTANT TRANSACTIONS SEED: print the instructions of a run in the server.
instructions() {
  local seen pids
  seen=$(wc -l <"$dir/valgrind.log")
  bench "$1" "$(script_of "$1")" -t "$2" --random-seed="$3"
  mapfile -t pids < <(tail -n +$((seen + 1)) "$dir/valgrind.log" |
    sed -n "s/^\([0-9]*\) LOG:  connection authorized: .* database=bench_$1_$round .*/\1/p")
  [ ${#pids[@]} -gt 0 ] || die "$1: no session in the server's log"
  total_instructions "${pids[@]}"
}

# total_instructions PID...: wait until these sessions have ended, and print the sum.
total_instructions() {
  local pid total=0 count tries
  for pid; do
    for tries in {1..200}; do
      count=$(sed -n 's/^totals: //p' "$dir/callgrind/$pid" 2>/dev/null || true)
      [ -z "$count" ] || break
      sleep 0.05
    done
    [ -n "$count" ] || die "no counts of process $pid in $((tries / 20)) seconds"
    total=$((total + count))
  done
  say "$total"
}

# Measure how long a listener waits for an event. One run measures both times, since the
# append and since the time at which the append was due; these are separate cases.
measure_latency() {
  local name events p50 p90 p99 max since mode option
  for name in "${names[@]}"; do
    if [ ! -f "$dir/times_$name" ]; then
      fresh "$name"
      set_fsync "$fsync"
      write_out
      option=''
      [ "$name" != eventstore_commit ] || option=--commit
      as_pg env PGDATABASE="bench_$name" timeout 300 "$dir/latency" --rate=500 --seconds="$([ -n "$quick" ] && say 2 || say "$seconds")" \
        ${option:+"$option"} >"$dir/times_$name"
      sql postgres -c "DROP DATABASE bench_$name WITH (FORCE)"
    fi
    while read -r mode since events p50 p90 p99 max; do
      [ "since=$since" = "$variables" ] || continue
      [ "$events" -gt 0 ] || die "latency: no events in mode $mode"
      result "$name" 1 latency_ms_p50 "$p50"
      result "$name" 1 latency_ms_p90 "$p90"
      result "$name" 1 latency_ms_p99 "$p99"
      result "$name" 1 latency_ms_max "$max"
    done <"$dir/times_$name"
  done
}
