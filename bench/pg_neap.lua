--- The driver's rows, on neap. Usage: pg_neap.lua ROW DSN MILLISECONDS [TASKS]

local meter = require "bench.meter"
local neap = require "neap"
local pg = require "neap.pg"

local KEYS <const> = 100000 -- pgbench's scale 1
local SELECT <const> = "select abalance from pgbench_accounts where aid = $1"
local WARM_UP <const> = 0.3

local dsn = table.remove(arg, 2)
local rows = {}

--- Run `work` in `tasks` tasks until the time is up; returns the rounds.
local function for_a_while(seconds, tasks, work)
  local rounds, stop = 0, neap.now() + seconds
  neap.scope(function(s)
    for i = 1, tasks do
      s:spawn(function()
        local key = i * 7919
        while neap.now() < stop do
          key = (key * 1103515245 + 12345) & 0x7fffffff
          work(1 + key % KEYS)
          rounds = rounds + 1
        end
      end)
    end
  end)
  return rounds
end

--- One row by its key: `tasks` tasks over ten connections.
function rows.select(milliseconds, tasks)
  neap.run(function()
    local db <close> = pg.connect(dsn, { min = 10, max = 10 })
    local function work(key) return db:row(SELECT, key) end
    for_a_while(WARM_UP, tasks, work)
    meter.start()
    meter.stop(for_a_while(milliseconds / 1000, tasks, work))
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
