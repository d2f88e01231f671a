--- What is measured of the driver, against whom, and what is asked for; the
--- words are those of rows.lua.

local rows_pg = {}

-- postgres.js is a package of npm: it is looked for where npm puts it for all
-- users, in NODE_PATH, and below build/bench.
local NODE <const> = 'NODE_PATH="build/bench/node_modules:${NODE_PATH}" node '

rows_pg.contenders = {
  ["neap.pg"] = { command = "lua5.4 bench/pg_neap.lua", name = "neap" },
  ["neap.row"] = {
    command = "lua5.4 bench/pg_neap.lua", name = "neap, row of the driver",
  },
  asyncpg = {
    command = "/usr/bin/python3 bench/pg_asyncpg.py",
    name = "asyncpg on uvloop",
    probe = "/usr/bin/python3 -c 'import asyncpg, uvloop'",
    package = "python3-asyncpg",
    version = "/usr/bin/python3 -c 'import asyncpg as a; "
      .. "print(a.__version__)'",
  },
  pgbench = {
    command = "sh bench/pgbench.sh", name = "pgbench -M prepared",
    probe = "sh bench/pgbench.sh --version", package = "postgresql-15",
    version = "sh bench/pgbench.sh --version",
  },
  ["postgres.js"] = {
    command = NODE .. "bench/pg_postgresjs.js",
    probe = NODE .. "bench/pg_postgresjs.js --version",
    missing = "not installed: npm install --prefix build/bench postgres",
    version = NODE .. "bench/pg_postgresjs.js --version",
  },
}

local DROP <const> = "drop table if exists bench_rows, bench_copy, "
  .. "bench_bytes, bench_arrays, bench_test"

-- Made once, read by several.
local ROWS_TABLE <const> = {
  [[do $$ begin
    if to_regclass('bench_rows') is null then
      create table bench_rows as select i::int8 as id, 'row ' || i as name,
        i * 0.5::float8 as half,
        timestamptz '2024-01-01 00:00Z' + i * interval '1 s' as at
        from generate_series(1, 1000000) i;
    end if;
  end $$]],
}

-- Anew for each contender, so that none finds the rows of another.
local TEST_TABLE <const> = {
  DROP,
  "create table bench_test "
    .. "(a int, b int, c int, d text, e float, f int, g text)",
}

rows_pg.list = {
  {
    id = "select10", title = "SELECT by key: 10 connections, 10 tasks",
    unit = "query", database = true,
    run = { ["neap.pg"] = "select $dsn $ms 10",
      asyncpg = "select $dsn $ms 10", pgbench = "$dsn $ms",
      ["postgres.js"] = "select $dsn $ms 10" },
    full = { ms = 2000 }, quick = { ms = 700 },
    rounds = { full = 5, quick = 3 },
    against = {
      { peer = "pgbench", metric = "rate", at_least = 1.0 },
      { peer = "asyncpg", metric = "rate", at_least = 1.15 },
      { peer = "asyncpg", metric = "cpu", at_most = 0.75 },
    },
  },
  {
    id = "select1000", title = "SELECT by key: 10 connections, 1,000 tasks",
    unit = "query", database = true,
    run = { ["neap.pg"] = "select $dsn $ms 1000",
      asyncpg = "select $dsn $ms 1000",
      ["postgres.js"] = "select $dsn $ms 1000" },
    full = { ms = 2000 }, quick = { ms = 700 },
    rounds = { full = 5, quick = 3 },
    against = {
      { peer = "asyncpg", metric = "rate", at_least = 5 },
      { peer = "postgres.js", metric = "rate", at_least = 1.5 },
    },
  },
  {
    id = "batch", title = "batches of 100 SELECTs, one Sync each",
    unit = "query", database = true,
    run = { ["neap.pg"] = "batch $dsn $ms", pgbench = "$dsn $ms 100" },
    full = { ms = 2000 }, quick = { ms = 700 },
    rounds = { full = 3, quick = 1 },
    against = {
      { peer = "pgbench", metric = "rate", at_least = 0.9 },
    },
  },
  {
    id = "many", title = "exec_many, executemany: 100 SELECTs, one Sync",
    unit = "query", database = true,
    run = { ["neap.pg"] = "many $dsn $ms", asyncpg = "many $dsn $ms" },
    full = { ms = 2000 }, quick = { ms = 700 },
    rounds = { full = 3, quick = 1 },
    against = {
      { peer = "asyncpg", metric = "rate", at_least = 1.0 },
      { peer = "asyncpg", metric = "cpu", at_most = 0.6 },
    },
  },
  {
    id = "rows", title = "1,000,000 rows of four columns, all kept",
    unit = "row", database = true, before = ROWS_TABLE,
    run = { ["neap.pg"] = "rows $dsn $n", asyncpg = "rows $dsn $n" },
    full = { n = 1000000 }, quick = { n = 1000000 },
    rounds = { full = 5, quick = 1 },
    against = {
      { peer = "asyncpg", metric = "rate", at_least = 1.3 },
    },
  },
  {
    id = "copy_out", title = "COPY out: 1,000,000 rows in strings",
    unit = "row", database = true, before = ROWS_TABLE,
    run = { ["neap.pg"] = "copy_out $dsn $n", asyncpg = "copy_out $dsn $n" },
    full = { n = 1000000 }, quick = { n = 1000000 },
    rounds = { full = 3, quick = 1 },
    against = {
      { peer = "asyncpg", metric = "rate", at_least = 1.0 },
    },
  },
  {
    id = "copy_in", title = "COPY in: 500,000 records",
    unit = "row", database = true, before = {
      "drop table if exists bench_copy",
      "create table bench_copy (id int8, name text, half float8)",
    },
    run = { ["neap.pg"] = "copy_in $dsn $n", asyncpg = "copy_in $dsn $n" },
    full = { n = 500000 }, quick = { n = 500000 },
    rounds = { full = 5, quick = 1 },
    against = {
      { peer = "asyncpg", metric = "rate", at_least = 1.0 },
    },
  },
  {
    id = "magic1", title = "MagicStack 1: 612 rows of pg_type",
    unit = "query", database = true,
    run = { ["neap.pg"] = "magic $dsn $ms 1",
      asyncpg = "magic $dsn $ms 1" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic2", title = "MagicStack 2: 1,000 numbers of generate_series",
    unit = "query", database = true,
    run = { ["neap.pg"] = "magic $dsn $ms 2",
      asyncpg = "magic $dsn $ms 2" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic3", title = "MagicStack 3: 100 values of 1,000 bytes",
    unit = "query", database = true, before = {
      DROP, "create table bench_bytes(b bytea)",
      "insert into bench_bytes select repeat('a', 1000)::bytea "
        .. "from generate_series(1, 100)",
    },
    run = { ["neap.pg"] = "magic $dsn $ms 3",
      asyncpg = "magic $dsn $ms 3" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic4", title = "MagicStack 4: 100 arrays of 100 numbers",
    unit = "query", database = true, before = {
      DROP, "create table bench_arrays(a int[])",
      "insert into bench_arrays select array(select generate_series(1, 100)) "
        .. "from generate_series(1, 100)",
    },
    run = { ["neap.pg"] = "magic $dsn $ms 4",
      asyncpg = "magic $dsn $ms 4" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic5", title = "MagicStack 5: COPY in of 10,000 records",
    unit = "COPY", database = true, before = TEST_TABLE,
    run = { ["neap.pg"] = "magic $dsn $ms 5",
      asyncpg = "magic $dsn $ms 5" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic6", title = "MagicStack 6: 1,000 rows by executemany",
    unit = "batch", database = true, before = TEST_TABLE,
    run = { ["neap.pg"] = "magic $dsn $ms 6",
      asyncpg = "magic $dsn $ms 6" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "magic7", title = "MagicStack 7: SELECT 1+1",
    unit = "query", database = true,
    run = { ["neap.pg"] = "magic $dsn $ms 7",
      asyncpg = "magic $dsn $ms 7" },
    full = { ms = 1000 }, quick = { ms = 500 },
    rounds = { full = 5, quick = 1 },
    against = { { peer = "asyncpg", metric = "rate", at_least = 1.0 } },
  },
  {
    id = "get", title = "get of a repository", unit = "query",
    database = true, before = { DROP },
    run = { ["neap.pg"] = "get $dsn $ms", ["neap.row"] = "row $dsn $ms" },
    full = { ms = 1500 }, quick = { ms = 700 },
    rounds = { full = 5, quick = 3 },
    against = {
      { peer = "neap.row", metric = "cpu", at_most = 1.15 },
    },
  },
  {
    id = "workflow", title = "order workflow: 50, 50 and 30 ms, then 80 ms",
    unit = "order", database = true,
    run = { ["neap.pg"] = "workflow $dsn", asyncpg = "workflow $dsn" },
    full = {}, quick = {}, rounds = { full = 11, quick = 5 },
    against = {
      { what = "its critical path of 130 ms", metric = "wall",
        seconds = 0.132 },
    },
  },
}

--- Geometric means of a metric's ratios over several rows.
rows_pg.means = {
  {
    title = "MagicStack 1 to 7, geometric mean", ids = { "magic1", "magic2",
      "magic3", "magic4", "magic5", "magic6", "magic7" },
    peer = "asyncpg", metric = "rate", at_least = 1.2,
  },
}

return rows_pg
