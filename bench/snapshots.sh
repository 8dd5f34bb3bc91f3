# Part of script/bench: measures the case fold of the group snapshots. The client of both
# contestants is a program in Python, so that they differ only in where the state is
# computed.
# shellcheck shell=bash disable=SC2154

# Make the events, the reducer and the snapshots of the group.
load_for_snapshots() {
  as_pg createdb snapshots
  sql snapshots -v divisor="$([ -n "$quick" ] && say 100 || say 1)" -f "$dir/sql/setup/snapshots.sql"
}

# have_psycopg: return whether there is psycopg for the server's Python.
have_psycopg() { /usr/bin/python3 -c 'import psycopg' 2>/dev/null; }

# fold_once CONTESTANT ROUND: run the program, and write the rate.
fold_once() {
  local rate
  rate=$(as_pg env PGDATABASE=snapshots timeout 300 /usr/bin/python3 "$dir/src/bench/fold.py" "$1" fold-1000 \
    "$([ -n "$quick" ] && say 0 || say "$seconds")") || die "$(title), $1"
  result "$1" "$2" tps "$rate"
}

# Measure where a state is computed. Each round runs every contestant once, every other
# round in reverse order.
measure_fold() {
  local round i
  if ! have_psycopg; then
    say "The case fold is left out: /usr/bin/python3 has no psycopg"
    return
  fi
  set_fsync "$fsync"
  for ((round = 1; round <= rounds; round++)); do
    for ((i = 0; i < ${#names[@]}; i++)); do
      if [ $((round % 2)) -eq 1 ]; then
        fold_once "${names[i]}" "$round"
      else
        fold_once "${names[-1 - i]}" "$round"
      fi
    done
  done
}
