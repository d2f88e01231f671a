#!/bin/sh
# deps.sh GROUP... -- installs those of Debian's packages that are missing for
# the named groups (build, demo, test, lint, asan, valgrind, bench, or all).
# Says what and why before it does so; says nothing when all is there.
set -eu

# group, package (any of a|b will do), what it is for
table='
build gcc|clang               the C compiler
build libc6-dev               headers of the C library
build make                    the build itself
build pkg-config|pkgconf      finds the libraries below
build liblua5.4-dev           Lua headers
build libuv1-dev              the event loop
build libpq-dev               the PostgreSQL client
build lua5.4                  runs what was built
server postgresql             a private server for tests and examples
test  lua-busted              runs the suite
test  luarocks                the suite builds the rock
test  pgbouncer               a pooler, which the driver works behind
test  openssl                 certificates for the tests of TLS
test  lua-luv                 another event loop, which runs inside of ours
lint  lua-check               luacheck
lint  binutils                nm, which finds static state
asan  libasan8|libasan6       the address sanitizer
asan  libubsan1               the undefined-behaviour sanitizer
valgrind valgrind             the memory checker
bench lua-cqueues             what we compare with
bench python3-asyncpg         what we compare with
bench python3-uvloop          what we compare with
'

say() { printf 'deps: %s\n' "$*" >&2; }

usage() {
  say "unknown group '$1'; there are: build demo test lint asan valgrind bench all"
  exit 2
}

groups=
for g in "${@:-build}"; do
  case $g in
    all) groups="$groups build server test lint asan valgrind bench" ;;
    demo) [ -n "${DATABASE_URL:-}" ] || groups="$groups server" ;;
    test) groups="$groups server test" ;;
    build | lint | asan | valgrind | bench) groups="$groups $g" ;;
    *) usage "$g" ;;
  esac
done

wanted=$(printf '%s\n' "$table" | while read -r group package why; do
  case " $groups " in
    *" $group "*) [ -z "$group" ] || echo "$package $why" ;;
  esac
done)

if ! command -v dpkg-query >/dev/null 2>&1; then
  # Not Debian: nothing can be looked up or installed, so only what is needed
  # for a build is tried, and the list is given when that is not there.
  if pkg-config --exists lua5.4 libuv libpq 2>/dev/null; then exit 0; fi
  say "this system has no dpkg; please install the equivalents of:"
  printf '%s\n' "$wanted" | sed 's/^/  /' >&2
  exit 1
fi

installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null |
  sed -n 's/^ii *//p' | tr '\n' ' ')"

# Any version of the server does: Debian's package names carry it.
has() {
  case $1 in
    postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ;;
    *) case $installed in *" $1 "*) return 0 ;; *) return 1 ;; esac ;;
  esac
}

missing=$(printf '%s\n' "$wanted" | while read -r package why; do
  [ -n "$package" ] || continue
  found=
  for p in $(echo "$package" | tr '|' ' '); do
    if has "$p"; then found=1; fi
  done
  [ -n "$found" ] || printf '%s\t%s\n' "${package%%|*}" "$why"
done)
[ -n "$missing" ] || exit 0

say "these packages are missing:"
printf '%s\n' "$missing" | awk -F'\t' '{ printf "  %-18s %s\n", $1, $2 }' >&2
names=$(printf '%s\n' "$missing" | cut -f1 | tr '\n' ' ')
case " $names" in
  *" postgresql "*)
    say "(with it Debian starts a server of its own; neap does not use that one)" ;;
esac

if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1; then
  as_root=sudo
else
  say "only root can install them and there is no sudo; as root, run:"
  say "  apt-get install --no-install-recommends $names"
  exit 1
fi

say "installing them with ${as_root:+sudo }apt-get"
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
apt update ||
  say "the package lists could not be refreshed; trying with the old ones"
# shellcheck disable=SC2086 -- a list of names
if ! apt install --no-install-recommends $names; then
  say "apt-get could not install: $names"
  exit 1
fi
say "done"
