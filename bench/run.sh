#!/bin/sh
# The benchmarks: builds what they need of C, then measures (bench/run.lua).
# Usage: make bench, or bench/run.sh [options]; --help lists them.
# QUICK=1 takes less than two minutes, SCALE=1 adds the series 10^2 .. 10^6.
# postgres.js takes part when `npm install --prefix build/bench postgres` has
# been run, or when it is installed for all users; ONLY=ROW measures some rows.
set -eu
cd "$(dirname "$0")/.."

mkdir -p build/bench
# shellcheck disable=SC2046
${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC \
  -fvisibility=hidden -shared $(pkg-config --cflags lua5.4) \
  -o build/bench/probe.so bench/probe.c

LUA_PATH="./lua/?.lua;./lua/?/init.lua;./?.lua;./examples/?.lua;;"
LUA_CPATH="./build/?.so;;"
export LUA_PATH LUA_CPATH
exec "${LUA:-lua5.4}" bench/run.lua "$@"
