# Shared by script/test-versions and script/test-package: chroots of Debian suites, in
# which the scripts build and test. mmdebstrap makes the chroots, as root.
# shellcheck shell=bash disable=SC2034

cache=${PG_ROOTS:-/var/cache/pg_eventstore}
age=30     # days for a chroot
path=/usr/sbin:/usr/bin:/sbin:/bin

# Set suites to the Debian suites that have a version. From the second one, only the
# server itself and its libpq are installed.
find_suites() { # VERSION
  case $1 in
    15) suites=(bookworm) ;;
    17) suites=(trixie) ;;
    18) suites=(forky) ;;
    19) suites=(sid experimental) ;;
    *) die "Debian has no PostgreSQL $1 that this script knows of" ;;
  esac
}

# Set mirror to the Debian mirror that apt uses.
find_mirror() {
  local codename
  codename=$(. /etc/os-release && say "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    'Origin: Debian' "Codename: $codename" 'Component: main' | sed -n 1p)
  [ -n "$mirror" ] || die "apt knows no mirror of Debian: run apt-get update"
}

# is_made NAME PACKAGES: return whether a chroot or server exists, is not too old, and was
# made with these packages. The file "made" lists them.
is_made() { [ -n "$(find "$cache/$1/made" -mtime "-$age" 2>/dev/null)" ] && [ "$(cat "$cache/$1/made")" = "$2" ]; }

# Check that chroots can be made, and lock them against other scripts.
prepare_roots() {
  local name
  name=script/$(basename "$0")
  [ -n "$is_root" ] || die "$name needs to be root"
  command -v mmdebstrap >/dev/null ||
    apt-get -qq -y install --no-install-recommends mmdebstrap >/dev/null
  find_mirror
  mkdir -p "$cache"
  exec {lock}>"$cache/lock"
  flock -n "$lock" || die "another script uses $cache"
}

# "${in_root[@]}" ROOT COMMAND...: run the command in the chroot. /proc is mounted there:
# bash needs it for <(...), and script/test to find running processes. The mount is
# private to the command, and ends with it.
in_root=(unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"')

# copy_checkout FOLDER: copy the checkout there, in place of what is there.
copy_checkout() {
  rm -rf "$1"
  mkdir "$1"
  tar -C "$root" --exclude=./.git --exclude=./.cache --exclude=./.demo --exclude=./dist \
    --exclude=./results --exclude=./tmp_check --exclude=./regression.* \
    --exclude=node_modules -cf - . | tar -C "$1" --no-same-owner -xf -
}
