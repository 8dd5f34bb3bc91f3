# Part of script/bench: starts the cluster, installs the peers, makes the template
# databases, loads events, and collects the facts of the machine.
# shellcheck shell=bash disable=SC2154

# sql DATABASE ARGUMENT...: run psql in a database without printing results.
sql() { as_pg psql -qX -v ON_ERROR_STOP=1 -o /dev/null -d "$@"; }

# ask DATABASE QUERY: print the values that a query returns, separated by tabs.
ask() { as_pg psql -qXAt -F $'\t' -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

# options_of CONTESTANT: print the options of its sessions in this round.
options_of() { say "${options[$1]//ROUND/${round:-1}}"; }

# Build the programs, and create the databases for the measurements.
prepare() {
  mkdir "$dir/results"
  printf 'group\tcase\tvariables\tclients\tcores\tfsync\tcontestant\tround\tmetric\tvalue\n' >"$dir/results/runs.tsv"
  build "$dir"
  build_latency
  expand_scripts
  start_cluster "$dir/data" "$dir" "$dir/dest" "$dir/server.log"
  settings | as_pg tee -a "$dir/data/postgresql.conf" >/dev/null
  as_pg pg_ctl -s -w -D "$dir/data" -l "$dir/server.log" restart </dev/null
  allowed=$(taskset -cp $$ | sed 's/.*: //')
  if [ -n "$peers" ]; then install_peers; fi
  make_templates
  [ -n "$quick" ] || warm_up
}

# settings: print the settings that differ from the defaults. The memory is sufficient
# for all data except the largest store. The WAL limits prevent checkpoints during a
# measurement, and keep WAL files, so that they are reused instead of created.
settings() {
  local memory
  memory=$(awk '/^MemTotal/ { quarter = int($2 / 4096); print quarter < 6144 ? quarter : 6144 }' /proc/meminfo)
  say "shared_buffers = ${memory}MB"
  say "max_wal_size = 8GB"
  say "min_wal_size = 4GB"
}

# build_latency: build the client program with the libpq of this server.
build_latency() {
  local cc lib
  read -ra cc < <("$pg_config" --cc)
  lib=$("$pg_config" --libdir)
  as_pg "${cc[@]}" -std=gnu11 -O2 -Wall -Wextra -Werror -I"$("$pg_config" --includedir)" \
    -o "$dir/latency" "$dir/src/bench/latency.c" -L"$lib" -Wl,-rpath,"$lib" -lpq
}

# Copy the scripts to $dir/sql, and repeat the lines between "-- N times" and
# "-- end": pgbench has no loops, and a client sends each statement.
expand_scripts() {
  local file
  as_pg cp -r "$dir/src/bench/sql" "$dir/sql"
  for file in "$root"/bench/sql/*/*.sql; do
    grep -q '^-- [0-9]* times$' "$file" || continue
    awk '/^-- [0-9]+ times$/ { times = $2; block = ""; next }
      /^-- end$/ { while (times-- > 0) printf "%s", block; times = 0; next }
      times > 0 { block = block $0 "\n"; next }
      { print }' "$file" | as_pg tee "$dir/sql/${file#"$root"/bench/sql/}" >/dev/null
  done
}

# Download the packages of the peers from npm, and install each in a separate database.
install_peers() {
  cp -r "$root/bench/peers" "$dir/peers"
  npm install --loglevel=error --ignore-scripts --no-audit --no-fund --no-package-lock --prefix "$dir/peers" >/dev/null
  chmod -R a+rX "$dir/peers"
  as_pg env DATABASE_NAME=message_db \
    bash "$dir/peers/node_modules/@eventide/message-db/database/install.sh" >/dev/null
  as_pg createdb emmett
  node "$dir/peers/emmett-schema.mjs" >"$dir/peers/emmett.sql"
  sql emmett -f "$dir/peers/emmett.sql"
  install_pgq
}

# Download Debian's package of PgQ for this server, and unpack it into the folder of the
# extension, because its installation would also install a daemon. If there is no such
# package, leave out PgQ.
install_pgq() {
  local package=postgresql-$pg_major-pgq3
  if [ -n "${PG_CONFIG:-}" ] || ! (cd "$dir/peers" && timeout 60 apt-get -qq download "$package") >/dev/null 2>&1; then
    pgq=''
    say "PgQ is left out: Debian has no package $package for this server"
    return
  fi
  as_pg dpkg-deb -x "$dir/peers/$package"_*.deb "$dir/dest"
  as_pg sed -i "s|\$libdir/||" "$dir/dest$("$pg_config" --sharedir)"/extension/pgq--*.sql
  as_pg createdb pgq
  sql pgq -c 'CREATE EXTENSION pgq'
}

# Make the template databases, except those of the peers.
make_templates() {
  local name
  for name in eventstore seed indexes; do
    as_pg createdb "$name"
    sql "$name" -f "$dir/sql/setup/$name.sql"
  done
  sql postgres -f "$dir/sql/setup/copy.sql"
}

# load_copy DATABASE [OPTION]: copy a template, and load the events into the copy.
load_copy() {
  as_pg createdb -T "$1" "loaded_$1"
  as_pg env PGOPTIONS="$(options_of "$1")" psql -qX -o /dev/null -v ON_ERROR_STOP=1 -v events="$read_events" "${@:2}" \
    -f "$dir/sql/setup/load_events.sql" -f "$dir/sql/setup/load_$1.sql" -d "loaded_$1"
  sql "loaded_$1" -c 'VACUUM (ANALYZE)'
}

# Load the same events into a copy of each template that the reading cases need.
read_events=50000
load_for_reading() {
  local name
  [ -z "$quick" ] || read_events=2000
  for name in eventstore ${peers:+message_db emmett}; do
    load_copy "$name" -1
    [ "$(count_events "loaded_$name")" -eq $((3 * read_events)) ] || die "$name: not all events were loaded"
  done
}

# Load these events into queues of PgQ.
load_for_queue() { [ -z "$pgq" ] || load_copy pgq; }

# growth_size CONTESTANT: print how many events its store has at the start.
growth_size() {
  case $1$quick in
    *_100k) say 100000 ;; *_1m) say 1000000 ;; *_10m) say 10000000 ;;
    *_100kyes) say 1000 ;; *_1myes) say 2000 ;; *_10myes) say 4000 ;;
  esac
}

# Fill the stores of the group growth. The largest store is filled first, because not all
# of it stays in memory. Autovacuum is off until the VACUUM that follows. Each round has
# a separate small store, because appends make it larger.
load_for_growth() {
  local round
  growth_loaders=2
  as_pg createdb growth
  sql growth -c 'CREATE EXTENSION pg_eventstore'
  sql postgres -c 'ALTER SYSTEM SET autovacuum = off' -c 'SELECT pg_reload_conf()'
  load_store eventstore_10m
  load_store eventstore_1m
  for ((round = 1; round <= rounds; round++)); do load_store eventstore_100k; done
  sql postgres -c 'ALTER SYSTEM RESET autovacuum' -c 'SELECT pg_reload_conf()'
}

# load_store CONTESTANT: create its store for this round, and fill it.
load_store() {
  local option size said
  option=$(options_of "$1") size=$(growth_size "$1")
  sql growth -c "SELECT eventstore.create_store('${option##*=}')"
  said=$(as_pg env PGOPTIONS="$option" timeout 600 pgbench -n -M prepared -c "$growth_loaders" -j "$growth_loaders" \
    -t $((size / 100 / growth_loaders)) -D k=0 -f "$dir/sql/growth/load.sql" growth 2>&1) ||
    die "$1: the events were not loaded"$'\n'"$said"
  sql growth -c "VACUUM (ANALYZE) ${option##*=}" -c "SELECT
    eventstore.create_subscription('${option##*=}-head', '${option##*=}', start_position => $((size - 100)), partitions => 16),
    eventstore.create_subscription('${option##*=}-idle', '${option##*=}', start_position => $size, partitions => 16)"
}

# Bring the server into the state of one that has run for a long time: use all of its
# shared memory once, and write all WAL files that are kept. New pages of memory and new
# files cost more than used ones, most for the contestant that writes most.
warm_up() {
  sql postgres -c 'CREATE UNLOGGED TABLE filler (t text)' -c 'ALTER TABLE filler ALTER t SET STORAGE PLAIN' \
    -c "INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1,
      (SELECT setting::integer FROM pg_settings WHERE name = 'shared_buffers'))" \
    -c 'DROP TABLE filler' \
    -c "SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 16000000)))
      FROM generate_series(1, 200)" -c CHECKPOINT
}

# fact KEY VALUE...: print a line of machine.tsv, if there is a value.
fact() { [ -z "${*:2}" ] || printf '%s\t%s\n' "$1" "${*:2}"; }

# peer_version PACKAGE: print the version of a package that npm has installed.
peer_version() {
  node -p 'require(process.argv[1]).version' "$dir/peers/node_modules/$1/package.json"
}

# machine_facts: print machine.tsv, the facts on which the numbers depend.
machine_facts() {
  local commit
  commit=$(git -c safe.directory="$root" -C "$root" describe --always --dirty 2>/dev/null || say unknown)
  fact key value
  fact date "$(date -u +%Y-%m-%d)"
  fact cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
  fact cores "$(nproc)"
  fact memory "$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo)"
  fact kernel "$(uname -sr)"
  fact filesystem "$(df --output=fstype "$dir" | tail -n 1)"
  fact PostgreSQL "$(ask postgres 'SHOW server_version')"
  fact pg_eventstore "$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$root/pg_eventstore.control"), commit $commit"
  if [ -n "$peers" ]; then
    fact message-db "$(peer_version @eventide/message-db)"
    fact Emmett "$(peer_version @event-driven-io/emmett-postgresql)"
    if [ -n "$pgq" ]; then fact PgQ "$(ask pgq 'SELECT pgq.version()')"; else fact PgQ "left out: no package for this server"; fi
  fi
  fact pgbench "$(as_pg pgbench --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)"
  fact gnuplot "$(gnuplot --version 2>/dev/null | cut -d ' ' -f 2- || true)"
  fact valgrind "$(valgrind --version | sed 's/^valgrind-//')"
  ask postgres "SELECT format('%s', name), current_setting(name) FROM pg_settings
    WHERE source = 'configuration file' AND name NOT IN ('listen_addresses', 'port', 'unix_socket_directories',
      'extension_destdir', 'extension_control_path', 'dynamic_library_path', 'fsync', 'log_timezone', 'TimeZone',
      'lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config', 'DateStyle',
      'dynamic_shared_memory_type') AND setting IS DISTINCT FROM boot_val ORDER BY name"
  fact fsync "as each case says"
  fact rounds "$rounds"
  fact duration "$(((SECONDS - began + 59) / 60)) minutes"
}
