#!/bin/sh
# pgbench as a contender: ten connections, one thread, prepared statements.
# Usage: pgbench.sh DSN MILLISECONDS [STATEMENTS], or pgbench.sh --version
# With STATEMENTS so many travel in one pipeline with one Sync.
# Prints ops, wall and cpu (of pgbench itself) as the other programs do.
set -eu

pgbench=$(command -v pgbench) || for pgbench in \
  /usr/lib/postgresql/*/bin/pgbench; do :; done
[ -x "$pgbench" ] || { echo "pgbench.sh: no pgbench here" >&2; exit 1; }

if [ "$1" = --version ]; then exec "$pgbench" --version; fi

dsn=$1
seconds=$((($2 + 999) / 1000))
batch=${3:-1}
out=$(mktemp)
trap 'rm -f "$out" "$out.times" "$out.sql"' EXIT
if [ "$batch" = 1 ]; then
  set -- -S
else
  {
    printf '%s\n' '\startpipeline'
    i=0
    while [ $i -lt "$batch" ]; do
      i=$((i + 1))
      printf '%s\n' '\set aid random(1, 100000)'
      printf '%s\n' 'select abalance from pgbench_accounts where aid = :aid;'
    done
    printf '%s\n' '\endpipeline'
  } >"$out.sql"
  set -- -f "$out.sql"
fi
"$pgbench" -n "$@" -M prepared -c 10 -j 1 -T "$seconds" "$dsn" >"$out" 2>&1 ||
  { cat "$out" >&2; exit 1; }
# The second line of `times` is what the children have used; in a pipe it
# would be that of a fresh subshell.
times >"$out.times"
awk -v batch="$batch" '
  function seconds(t, p) { sub("s", "", t); split(t, p, "m")
    return p[1] * 60 + p[2] }
  FILENAME ~ /times$/ { if (FNR == 2) cpu = seconds($1) + seconds($2); next }
  /^number of transactions actually/ { ops = $6 + 0 }
  /^tps = / { wall = ops / $3 }
  END {
    if (ops == 0) exit 1
    printf "ops %d\nwall %.6f\ncpu %.6f\n", ops * batch, wall, cpu
  }' "$out" "$out.times"
