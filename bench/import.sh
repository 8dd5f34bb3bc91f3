# Part of script/bench: measures how fast a history is imported. The variables
# group, case, variables, fsync, seconds and names describe the case.
# shellcheck shell=bash disable=SC2154

# in_import [OPTION...]: run psql in the database of the imports.
in_import() { as_pg psql -qX -o /dev/null -v ON_ERROR_STOP=1 -d bench_import "$@"; }

# Make the history: a table, and its events as files for COPY and for the program.
make_history() {
  sql postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS bench_import WITH (FORCE)' \
    -c 'CREATE DATABASE bench_import TEMPLATE eventstore'
  as_pg mkdir -p "$dir/import"
  in_import -v events="$events" -v in_a_row="${variables#*=}" -v copy="$dir/import/events.copy" \
    -v lines="$dir/import/events.jsonl" -f "$dir/sql/setup/import.sql"
}

# import_by CONTESTANT: import the history in the contestant's way.
import_by() {
  case $1 in
    migrate)
      as_pg "$dir/src/src/bin/pg_eventstore_migrate/pg_eventstore_migrate" --quiet \
        --source="$dir/import/events.jsonl" --target=dbname=bench_import --schema=bench --table=target
      ;;
    *) in_import -v copy="$dir/import/events.copy" -f "$dir/sql/${folder[$1]}/import.sql" ;;
  esac
}

# import_once CONTESTANT ROUND: import into a new table, and write the rate.
import_once() {
  local begun ended count
  in_import -f "$dir/sql/setup/import_target.sql"
  write_out
  begun=$EPOCHREALTIME
  import_by "$1"
  ended=$EPOCHREALTIME
  count=$(ask bench_import 'SELECT count(*) FROM bench.target')
  [ "$1" != copy ] || count=$(ask bench_import 'SELECT count(*) FROM bench.copied_events')
  [ "$count" -eq "$events" ] || die "$(title): $1 imported $count events, not $events"
  result "$1" "$2" events_per_second "$(awk "BEGIN { printf \"%.1f\", $events / ($ended - $begun) }")"
}

# Measure imports. Each round runs every contestant once, every other round in
# reverse order. A round takes long, so there are half as many as elsewhere.
measure_import() {
  local round i events=${seconds%e}
  [ -z "$quick" ] || events=2000
  set_fsync "$fsync"
  make_history
  for ((round = 1; round <= (rounds + 1) / 2; round++)); do
    for ((i = 0; i < ${#names[@]}; i++)); do
      if [ $((round % 2)) -eq 1 ]; then
        import_once "${names[i]}" "$round"
      else
        import_once "${names[-1 - i]}" "$round"
      fi
    done
  done
  sql postgres -c 'DROP DATABASE bench_import WITH (FORCE)'
  rm -rf "$dir/import"
}
