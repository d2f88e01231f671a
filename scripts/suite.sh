#!/bin/sh
# suite.sh [--asan | --valgrind] BUILD [TEST ...] -- runs the C tests of BUILD
# and the busted suite (or the given specs) on it, shows them, and writes
# BUILD/tally: "passed failed". Exits 1 if anything failed or was found.
#
# Under a checker the suite, and every lua5.4 that it starts by that name,
# runs by a wrapper in BUILD/bin. Other children (PostgreSQL) are not checked.
set -u
# Specs run make on their own.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES B CFLAGS SANITIZE WERROR

checker=none
case ${1:-} in
  --asan) checker=asan && shift ;;
  --valgrind) checker=valgrind && shift ;;
esac
build=$1
shift
root=$(pwd)
LUA=${LUA:-lua5.4}
BUSTED=${BUSTED:-$LUA /usr/bin/busted}
lua=$(command -v "$LUA") || { echo "suite: there is no $LUA" >&2; exit 1; }
findings=$root/$build/findings
log=$root/$build/suite.log
rm -rf "$findings" "$build/tally" "$build/bin"
mkdir -p "$findings" "$build/bin"
chmod 1777 "$findings"

export LUA_PATH="$root/lua/?.lua;$root/lua/?/init.lua;;"
export LUA_CPATH="$root/$build/?.so;;"
export NEAP_BUILD="$build"

under=
case $checker in
  asan)
    options="exitcode=99:detect_leaks=1:log_path=$findings/asan"
    export ASAN_OPTIONS="$options:detect_stack_use_after_return=1"
    export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:exitcode=99"
    runtime=$(${CC:-cc} -print-file-name=libasan.so)
    # The second library takes the first out of the environment again, so that
    # what the suite starts does not inherit it.
    cat >"$build/bin/lua5.4" <<END
#!/bin/sh
LD_PRELOAD='$runtime $root/$build/test/alone.so' exec '$lua' "\$@"
END
    NEAP_SLOWDOWN=4
    ;;
  valgrind)
    under="valgrind -q --error-exitcode=99 --child-silent-after-fork=yes"
    under="$under --keep-debuginfo=yes --leak-check=full --show-leak-kinds=definite"
    under="$under --errors-for-leak-kinds=definite --num-callers=30"
    under="$under --suppressions=$root/tools/valgrind.supp"
    under="$under --log-file=$findings/valgrind.%p"
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$under" "'$lua'" >"$build/bin/lua5.4"
    NEAP_SLOWDOWN=30
    ;;
  none)
    rmdir "$build/bin"
    NEAP_SLOWDOWN=1
    ;;
esac
export NEAP_SLOWDOWN
if [ -d "$build/bin" ]; then
  chmod 755 "$build/bin/lua5.4"
  export PATH="$root/$build/bin:$PATH"
  LUA=lua5.4
  BUSTED="lua5.4 ${BUSTED#* }"
fi
export LUA

passed=0
failed=0

# run LOG COMMAND...: shows and keeps the output; its status is in $status.
run() {
  keep=$1
  shift
  { "$@" 2>&1; echo $? >"$keep.status"; } | tee "$keep"
  status=$(cat "$keep.status")
  rm -f "$keep.status"
}

: >"$log"
if [ $# -eq 0 ]; then
  for program in $PROGRAMS; do
    echo "# $program"
    # shellcheck disable=SC2086 -- words
    run "$program.tap" $under "$program"
    ok=$(grep -c '^ok ' "$program.tap")
    not_ok=$(grep -c '^not ok ' "$program.tap")
    if [ "$status" -ne 0 ] && [ "$not_ok" -eq 0 ]; then
      echo "not ok - $program ended with status $status"
      not_ok=1
    fi
    passed=$((passed + ok))
    failed=$((failed + not_ok))
  done
fi

# shellcheck disable=SC2086 -- words
run "$log" $BUSTED ${BUSTED_FLAGS:-} "$@"
# The exit status of busted is the number of failures modulo 256, so the line
# that it ends with decides; without that line it did not get there.
sum=$(sed -n 's,^\([0-9]*\) success[es]* / \([0-9]*\) failures* / \([0-9]*\) errors* / \([0-9]*\) pending.*,\1 \2 \3 \4,p' "$log" | tail -n 1)
if [ -n "$sum" ]; then
  # shellcheck disable=SC2086 -- four numbers
  set -- $sum
  passed=$((passed + $1))
  failed=$((failed + $2 + $3))
  if [ "$4" -ne 0 ]; then
    echo "suite: $4 pending; a test runs or is not there"
    failed=$((failed + $4))
  fi
  if [ "$status" -ne 0 ] && [ $(($2 + $3)) -eq 0 ]; then
    echo "suite: busted ended with status $status"
    failed=$((failed + 1))
  fi
else
  echo "suite: busted did not come to its end (status $status)"
  failed=$((failed + 1))
fi

for f in "$findings"/*; do
  [ -s "$f" ] || continue
  echo "== $f"
  cat "$f"
  failed=$((failed + 1))
done

echo "$passed $failed" >"$build/tally"
echo "$build: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
