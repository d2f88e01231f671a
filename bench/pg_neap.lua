--- The driver's rows, on neap. Usage: pg_neap.lua ROW DSN MILLISECONDS [TASKS]

local load = require "bench.load"
local magic = require "bench.pg_magic"
local meter = require "bench.meter"
local neap = require "neap"
local pg = require "neap.pg"
local repository = require "neap.repository"

local SELECT <const> = "select abalance from pgbench_accounts where aid = $1"
local BATCH <const> = 100

local dsn = table.remove(arg, 2)
local rows = magic(dsn)

--- Ten connections, so many tasks, each asking again and again. `begin` is
--- called with the pool and returns what one round is.
local function closed_loop(milliseconds, tasks, begin, ops_a_round)
  neap.run(function()
    local db <close> = pg.connect(dsn, { min = 10, max = 10 })
    local work = begin(db)
    load.for_a_while(load.WARM_UP, tasks, work)
    meter.start()
    local rounds = load.for_a_while(milliseconds / 1000, tasks, work)
    meter.stop(rounds * (ops_a_round or 1))
  end)
end

--- One row by its key: `tasks` tasks over ten connections.
function rows.select(milliseconds, tasks)
  closed_loop(milliseconds, tasks, function(db)
    return function(key) return db:row(SELECT, key) end
  end)
end

--- Batches of statements, each with its own answer, one Sync a batch.
function rows.batch(milliseconds)
  closed_loop(milliseconds, 10, function(db)
    return function(_, next_key)
      return db:batch(function(b)
        for _ = 1, BATCH do b:row(SELECT, next_key()) end
      end)
    end
  end, BATCH)
end

--- One statement for many lists of arguments, one Sync.
function rows.many(milliseconds)
  closed_loop(milliseconds, 10, function(db)
    return function(_, next_key)
      local list = {}
      for i = 1, BATCH do list[i] = { next_key() } end
      return db:exec_many(SELECT, list)
    end
  end, BATCH)
end

--- The same row of three columns by its key: as an entity of a repository,
function rows.get(milliseconds)
  local Account = repository.entity {
    name = "Account", table = "pgbench_accounts", key = "aid",
    columns = { aid = "int4", bid = "int4", abalance = "int4" },
  }
  closed_loop(milliseconds, 10, function(db)
    local accounts = repository.new(db, Account)
    return function(key) return accounts:get(key) end
  end)
end

--- and as the driver gives it.
function rows.row(milliseconds)
  closed_loop(milliseconds, 10, function(db)
    local sql = "select aid, abalance, bid from pgbench_accounts "
      .. "where aid = $1"
    return function(key) return db:row(sql, key) end
  end)
end

--- The first guide's order: 50, 50 and 30 ms at once, then 80 ms. What is
--- timed is the answer to one order, all being warm.
function rows.workflow()
  neap.run(function()
    local db <close> = pg.connect(dsn, { min = 3, max = 3 })
    local function step(seconds)
      return function() db:exec("select pg_sleep($1)", seconds) end
    end
    local function order()
      neap.gather(step(0.05), step(0.05), step(0.03))
      step(0.08)()
    end
    order()
    meter.start()
    order()
    meter.stop(1)
  end)
end

--- One result of n rows, for the scale series.
function rows.scale_rows(n)
  neap.run(function()
    local db <close> = pg.connect(dsn, { max = 1 })
    local sql = "select i, i * 0.5::float8 as half, 'row ' || i as name "
      .. "from generate_series(1, $1::bigint) i"
    db:query(sql, 10)
    meter.start()
    local got = db:query(sql, n)
    meter.stop(n)
    assert(got.n == n)
  end)
end

meter.main(rows)
