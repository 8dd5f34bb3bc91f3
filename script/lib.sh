# Functions of the scripts in this folder: find PostgreSQL, build the extension in a
# copy of the checkout, and run a temporary cluster that loads it from there. The
# functions write only in the given folders, and the server does not listen on TCP.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
pg_major=${PG_MAJOR:-15}
pg_port=54329
cd / # the server's user may not be able to enter the caller's folder
is_root=$([ "$(id -u)" -ne 0 ] || echo yes)

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Print the head comment of the running script.
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$root/script/$(basename "$0")"; }

# give_back NAME...: give files that root has made in the checkout to its owner.
give_back() {
  [ -z "$is_root" ] || chown -Rhf --reference="$root" "${@/#/$root/}" || true
}

# A setting of the caller's shell could connect a client to another server.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGDATA \
  PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGCLIENTENCODING PGTZ PGDATESTYLE

# Set pg_config: PG_CONFIG, or Debian's for PG_MAJOR, or the one in PATH.
find_pg() {
  pg_config=${PG_CONFIG:-/usr/lib/postgresql/$pg_major/bin/pg_config}
  [ -n "${PG_CONFIG:-}" ] || [ -x "$pg_config" ] || pg_config=pg_config
  command -v "$pg_config" >/dev/null || return 1
  bindir=$("$pg_config" --bindir)
}

# Set pg_run, which runs a command with DIR as its home. initdb and the server
# reject root, so for root pg_run runs the command as postgres.
pg_run=()
run_in() { # DIR
  pg_run=(env -u TMPDIR HOME="$1" LC_ALL=C.UTF-8 PATH="$bindir:$PATH:/usr/sbin"
    PGHOST="$1" PGPORT="$pg_port" PGUSER=postgres)
  [ -z "$is_root" ] || pg_run=(runuser -u postgres -- "${pg_run[@]}")
}
as_pg() { "${pg_run[@]}" "$@"; }

# Return whether a server and its development files are installed.
have_pg() {
  find_pg && [ -x "$bindir/initdb" ] && [ -f "$("$pg_config" --pgxs)" ] &&
    [ -f "$("$pg_config" --includedir-server)/postgres.h" ]
}

# Return whether PL/Proxy is installed for the server.
have_plproxy() { [ -f "$("$pg_config" --sharedir)/extension/plproxy.control" ]; }

# short_dir NAME: make a private folder of that user, and print its path. The path
# is short, because the path of a Unix socket has at most 107 bytes.
short_dir() {
  local dir
  dir=$(mktemp -d "/tmp/$1.XXXXXX")
  [ -z "$is_root" ] || chown postgres: "$dir"
  say "$dir"
}

# make_pg DIR ARGUMENT...: run make in the copy of the checkout in DIR/src.
make_pg() {
  as_pg make -s --no-print-directory -C "$1/src" with_llvm=no \
    PG_CONFIG="$pg_config" "${@:2}"
}

# build DIR: copy the checkout to DIR/src, build it there without warnings and
# install it below DIR/dest.
build() {
  as_pg mkdir "$1/src"
  tar -C "$root" --exclude=./.git --exclude=./.cache --exclude=./.demo --exclude=./dist \
    --exclude=./results --exclude=./tmp_check --exclude=./regression.* \
    --exclude=node_modules --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
    -cf - . | as_pg tar -C "$1/src" --no-same-owner -xf -
  make_pg "$1" COPT=-Werror all
  make_pg "$1" DESTDIR="$1/dest" install
}

# cluster_settings DATA DEST: print the settings with which the server of that folder
# finds an extension that is installed below DEST.
cluster_settings() {
  local lib share
  lib=$2$("$pg_config" --pkglibdir) share=$2$("$pg_config" --sharedir)
  if as_pg postgres -D "$1" -C extension_control_path >/dev/null 2>&1; then
    say "extension_control_path = '$share:\$system'"
  elif as_pg postgres -D "$1" -C extension_destdir >/dev/null 2>&1; then
    say "extension_destdir = '$2'"
  else
    say "This server cannot load an extension from a private folder (PostgreSQL
18 can, and Debian's 15 and 17). Use make && make install && make installcheck." >&2
    return 1
  fi
  say "dynamic_library_path = '$lib:\$libdir'"
}

# start_cluster DATA SOCKETS DEST LOG: create a cluster and start its server.
start_cluster() {
  as_pg initdb -D "$1" -U postgres -A trust -N --no-locale -E UTF8 >/dev/null
  {
    cluster_settings "$1" "$3"
    say "listen_addresses = ''"
    say "unix_socket_directories = '$2'"
    say "port = $pg_port"
    say "fsync = off"
    say "max_prepared_transactions = 10"
  } | as_pg tee -a "$1/postgresql.conf" >/dev/null
  as_pg pg_ctl -s -w -t 60 -D "$1" -l "$4" start </dev/null >/dev/null || {
    as_pg tail -n 20 "$4" >&2
    return 1
  }
}

# stop_cluster DATA: stop the server of that folder, if it runs.
stop_cluster() {
  as_pg pg_ctl -D "$1" status >/dev/null 2>&1 || return 0
  as_pg pg_ctl -s -w -t 30 -D "$1" -m fast stop ||
    as_pg pg_ctl -s -w -t 30 -D "$1" -m immediate stop
}
