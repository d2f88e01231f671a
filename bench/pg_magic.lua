--- The driver's rows on whole results: the seven workloads with which the
--- authors of asyncpg compare drivers, large results, and COPY. The tables
--- are made by run.lua (rows_pg.lua says how).

local load = require "bench.load"
local meter = require "bench.meter"
local neap = require "neap"
local pg = require "neap.pg"

local CONNECTIONS <const> = 10
local COLUMNS <const> = { "a", "b", "c", "d", "e", "f", "g" }
local RECORD <const> =
  { 10, 11, 10, "TESTTESTTEST", 10.333, 12341234, "123412341234" }

local function copies(n)
  local list = {}
  for i = 1, n do list[i] = RECORD end
  return list
end

--- What one request is, by the number of the workload.
local WORKLOADS <const> = {
  function(db)
    local sql = "select typname, typnamespace, typowner, typlen, typbyval, "
      .. "typcategory, typispreferred, typisdefined, typdelim, typrelid, "
      .. "typelem, typarray from pg_type where typtypmod = $1 "
      .. "and typisdefined = $2"
    return function() return db:query(sql, -1, true) end
  end,
  function(db)
    local sql = "SELECT i FROM generate_series(1, $1) AS i"
    return function() return db:query(sql, 1000) end
  end,
  function(db)
    return function() return db:query "SELECT * FROM bench_bytes" end
  end,
  function(db)
    return function() return db:query "SELECT * FROM bench_arrays" end
  end,
  function(db)
    local records = copies(10000)
    return function() return db:copy_in("bench_test", COLUMNS, records) end
  end,
  function(db)
    local sql = "INSERT INTO bench_test (a, b, c, d, e, f, g) "
      .. "VALUES ($1, $2, $3, $4, $5, $6, $7)"
    local records = copies(1000)
    return function() return db:exec_many(sql, records) end
  end,
  function(db)
    return function() return db:query "SELECT 1+1" end
  end,
}

---@param dsn string
---@return table<string, fun(...: integer)>
return function(dsn)
  local rows = {}

  --- One of the seven: ten connections, a task for each.
  function rows.magic(milliseconds, which)
    neap.run(function()
      local db <close> = pg.connect(dsn,
        { min = CONNECTIONS, max = CONNECTIONS })
      local work = WORKLOADS[which](db)
      load.for_a_while(load.WARM_UP, CONNECTIONS, work)
      meter.start()
      meter.stop(load.for_a_while(milliseconds / 1000, CONNECTIONS, work))
    end)
  end

  --- One result of n rows, all of them kept.
  function rows.rows(n)
    neap.run(function()
      local db <close> = pg.connect(dsn, { max = 1 })
      local sql = "select id, name, half, at from bench_rows limit $1"
      db:query(sql, 10)
      meter.start()
      local got = db:query(sql, n)
      meter.stop(n)
      assert(got.n == n and got[n].name and got[n].at)
    end)
  end

  --- n records from a table of Lua.
  function rows.copy_in(n)
    neap.run(function()
      local db <close> = pg.connect(dsn, { max = 1 })
      local columns, records = { "id", "name", "half" }, {}
      for i = 1, n do records[i] = { i, "row " .. i, i * 0.5 } end
      db:copy_in("bench_copy", columns, { records[1] })
      meter.start()
      local copied = db:copy_in("bench_copy", columns, records)
      meter.stop(n)
      assert(copied == n)
    end)
  end

  --- n rows out as the server writes them, in strings.
  function rows.copy_out(n)
    neap.run(function()
      local db <close> = pg.connect(dsn, { max = 1 })
      local sql = ("select * from bench_rows limit %d"):format(n)
      local function bytes()
        local sum = 0
        for text in db:copy_out(sql, { format = "text" }) do
          sum = sum + #text
        end
        return sum
      end
      meter.start()
      local sum = bytes()
      meter.stop(n)
      assert(sum > n)
    end)
  end

  return rows
end
