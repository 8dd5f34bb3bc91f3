# Part of script/bench: measures the group projections. The variables group, case,
# variables, fsync, seconds and names describe the case.
# shellcheck shell=bash disable=SC2154

# Measure the current case.
measure_projections() {
  case $case in
    catch_up*) measure_catch_up ;;
    visible) measure_visible ;;
    *)
      set_workers "${variables#workers=}"
      measure_rates
      set_workers DEFAULT
      ;;
  esac
}

# set_workers NUMBER: change pg_eventstore.projection_workers for the server at once.
set_workers() {
  sql postgres -c "LOAD 'pg_eventstore'" -c "ALTER SYSTEM SET pg_eventstore.projection_workers = $1" -c 'SELECT pg_reload_conf()'
}

# finish_projections CONTESTANT: wait until its projections have handled all events, so that
# they do not run while another contestant is measured. Without workers, none can.
finish_projections() {
  local names
  [ "$variables" != workers=0 ] || return 0
  names=$(ask "bench_$1" "SELECT name FROM eventstore.projections
    WHERE eventstore.wait_for_projection(name, timeout => '60 seconds') IS NULL")
  [ -z "$names" ] || die "$(title), $1: projection $names does not handle all events within a minute"
}

# in_catch_up CONTESTANT [OPTION...]: run psql in the database of the cases that catch up.
in_catch_up() { as_pg env PGOPTIONS="$(options_of "$1")" psql -qX -o /dev/null -v ON_ERROR_STOP=1 -d bench_catch_up "${@:2}"; }

# catch_up_once CONTESTANT ROUND: handle all events of the log, and write the rate.
catch_up_once() {
  local begun ended count
  in_catch_up "$1" -f "$dir/sql/setup/catch_up.sql"
  write_out
  begun=$EPOCHREALTIME
  in_catch_up "$1" -v "$variables" -f "$(script_of "$1")"
  ended=$EPOCHREALTIME
  count=$(ask bench_catch_up 'SELECT sum(events) FROM bench.totals')
  [ "$count" = "$events" ] || die "$(title): $1 handled $count events, not $events"
  result "$1" "$2" events_per_second "$(awk "BEGIN { printf \"%.1f\", $events / ($ended - $begun) }")"
}

# Measure how fast the events of a log are handled. Each round runs every contestant once,
# every other round in reverse order.
measure_catch_up() {
  local round i name events=${seconds%e}
  [ -z "$quick" ] || events=3000
  set_fsync "$fsync"
  sql postgres -c 'CREATE DATABASE bench_catch_up TEMPLATE eventstore'
  sql bench_catch_up -v events="$events" -f "$dir/sql/setup/projected_log.sql"
  for ((round = 1; round <= rounds; round++)); do
    for ((i = 0; i < ${#names[@]}; i++)); do
      name=${names[i]}
      [ $((round % 2)) -eq 1 ] || name=${names[-1 - i]}
      catch_up_once "$name" "$round"
    done
  done
  sql postgres -c 'DROP DATABASE bench_catch_up WITH (FORCE)'
}

# restart_server [OPTION]: restart the server with options of postgres.
restart_server() {
  stop_cluster "$dir/data"
  as_pg pg_ctl -s -w -D "$dir/data" -l "$dir/server.log" -o "${1:-}" start </dev/null
}

# visible_once CONTESTANT ROUND: append at a steady rate, and write how long it takes until
# an append is visible in the projection. The first appends start the workers, and are
# not counted.
visible_once() {
  local after limit times
  limit=(-T "$seconds")
  [ -z "$quick" ] || limit=(-t 50)
  bench "$1" "$(script_of "$1")" -t 50 --rate="${variables#rate=}"
  after=$(ask "bench_$1" 'SELECT COALESCE(max(position), 0) FROM eventstore.events')
  bench "$1" "$(script_of "$1")" "${limit[@]}" --rate="${variables#rate=}"
  finish_projections "$1"
  mapfile -t times < <(as_pg psql -qXAt -F ' ' -v ON_ERROR_STOP=1 -v after="$after" -f "$dir/sql/setup/visible.sql" "bench_$1")
  [ "${times[0]% *}" = "$processed" ] || die "$(title): $1 handled ${times[0]% *} events, not $processed"
  result "$1" "$2" tps "$tps"
  result "$1" "$2" latency_ms_p50 "${times[0]#* }"
  result "$1" "$2" latency_ms_p90 "${times[1]#* }"
  result "$1" "$2" latency_ms_p99 "${times[2]#* }"
  result "$1" "$2" latency_ms_max "${times[3]#* }"
}

# Measure how long it takes until an append is visible in a projection. The server records
# the times of commits.
measure_visible() {
  local round name
  restart_server '-c track_commit_timestamp=on'
  begin_case
  for ((round = 1; round <= rounds; round++)); do
    for name in "${names[@]}"; do visible_once "$name" "$round"; done
  done
  end_case
  restart_server
}
