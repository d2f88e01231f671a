--- Rows one after the other: bounded memory, and every way to leave.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises
local SERIES <const> = "select i, i * 2 as d from generate_series(1, $1::int) i"

local function with(fn)
  return server.with({ max = 3 }, function(db, reports)
    fn(db, reports)
    server.whole(db)
  end)
end

--- Each kind of object that has `each`, with the pool below it.
local function everywhere(fn)
  return with(function(db)
    fn(db)
    do
      local conn <close> = db:acquire()
      fn(conn)
      assert.are.equal(1, conn:value "select 1")
    end
    db:transaction(function(tx)
      fn(tx)
      assert.are.equal(1, tx:value "select 1")
    end)
  end)
end

describe("db:each", function()
  it("gives every row once, in order", everywhere(function(on)
    for _, n in ipairs { 0, 1, 999, 1000, 1001, 2500 } do
      local seen = 0
      for row in on:each(SERIES, n) do
        seen = seen + 1
        assert(row.i == seen and row.d == 2 * seen)
      end
      assert.are.equal(n, seen)
    end
  end))

  it("has options for the shape of rows and the size of a batch",
    everywhere(function(on)
      local list = {}
      for row in on:each_opts({ rows = "array", batch = 2 }, SERIES, 5) do
        list[#list + 1] = row
      end
      assert.are.equal(5, #list)
      assert.are.same({ 5, 10, n = 2 }, list[5])
      local Class = { __index = { double = function(r) return r.d end } }
      for row in on:each_opts({ entity = Class }, SERIES, 1) do
        assert.are.equal(2, row:double())
      end
    end))

  it("keeps memory small", with(function(db)
    collectgarbage()
    local before, most = collectgarbage "count", 0
    for row in db:each("select i, repeat('x', 1000) as t from generate_series(1, 50000) i") do
      if row.i % 5000 == 0 then
        most = math.max(most, collectgarbage "count")
      end
    end
    assert.is_true(most - before < 20000, "50 MB of rows were kept")
  end))

  it("can be left at any row", everywhere(function(on)
    for _, stop in ipairs { 1, 999, 1000, 1001 } do
      local n = 0
      neap.scope(function()
        for _ in on:each(SERIES, 3000) do
          n = n + 1
          if n == stop then break end
        end
      end)
      assert.are.equal(stop, n)
    end
    local rows <close> = on:each(SERIES, 3000)
    assert.are.equal(1, rows().i)
    rows:close()
    assert.is_nil(rows())
    rows:close()
  end))

  it("is closed by an error in the loop", everywhere(function(on)
    local boom = {}
    local ok, err = pcall(neap.scope, function()
      for _ in on:each(SERIES, 3000) do error(boom, 0) end
    end)
    assert.is_false(ok)
    assert.are.equal(boom, err)
  end))

  it("can be used in the loop with the same object", everywhere(function(on)
    local sum = 0
    for row in on:each_opts({ batch = 2 }, SERIES, 5) do
      for inner in on:each_opts({ batch = 2 }, SERIES, row.i) do
        sum = sum + inner.i
      end
      assert.are.equal(row.i, on:value("select $1::int", row.i))
    end
    assert.are.equal(35, sum)
  end))

  it("raises the server's error at the step where it occurs", with(function(db)
    local seen = 0
    local e = raises("pg", function()
      for _ in db:each_opts({ batch = 10 },
        "select 1 / (25 - i) from generate_series(1, 100) i") do
        seen = seen + 1
      end
    end)
    assert.are.equal("22012", e.code)
    assert.are.equal(20, seen) -- whole batches
    raises("pg", db:each "select * from nothing_there")
    raises("invalid", db:each "select $1::int")
    raises(nil, db.each, db, 5)
    raises("invalid", db.each_opts, db, { rows = "x" }, "select 1")
    raises("invalid", db.each_opts, db, { batch = 0 }, "select 1")
  end))

  it("gives what a change returns", everywhere(function(on)
    local list = {}
    on:exec "drop table if exists each_item"
    on:exec "create table each_item (id int)"
    for row in on:each("insert into each_item values ($1), (2) returning id", 1) do
      list[#list + 1] = row.id
    end
    assert.are.same({ 1, 2 }, list)
    for _ in on:each "delete from each_item" do error "a row" end
    on:exec "drop table each_item"
  end))

  it("does not end with the scope of its first step", with(function(db)
    local rows <close> = db:each(SERIES, 5000)
    assert.are.equal(1, neap.timeout(20, rows).i)
    local n = 1
    for _ in rows do n = n + 1 end
    assert.are.equal(5000, n)
  end))

  it("can be cancelled while it waits", with(function(db)
    assert.is_false(neap.move_on_after(0.05, function()
      for _ in db:each "select pg_sleep(60)" do error "a row" end
    end))
    db:transaction(function(tx)
      raises("transaction_aborted", tx.transaction, tx, function(inner)
        assert.is_false(neap.move_on_after(0.05, function()
          for _ in inner:each "select pg_sleep(60)" do error "a row" end
        end))
        inner:exec "select 1"
      end)
      assert.are.equal(1, tx:value "select 1")
    end)
  end))

  it("can be cancelled at every wait", server.body(function(dsn)
    local db <close> = pg.connect(dsn, { max = 2 })
    require("neap.test").cancel_sweep(function()
      local n = 0
      for _ in db:each_opts({ batch = 3 }, SERIES, 10) do n = n + 1 end
      assert(n == 10)
    end)
    server.whole(db)
  end))
end)
