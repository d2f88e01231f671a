--- Statements of many tasks on few connections: each gets its own answer.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("many tasks on one connection", function()
  it("get each their own answer, and errors harm nobody else",
    server.with({ max = 1 }, function(db)
      local failed = 0
      local results = neap.map(numbers(1000), function(i)
        if i % 100 == 7 then
          local err = raises("pg", db.value, db, "select 1 / ($1::int - $2)",
            i, i)
          assert.are.equal("22012", err.code)
          failed = failed + 1
          return i
        end
        return db:value("select $1::int", i)
      end)
      for i = 1, 1000 do assert.are.equal(i, results[i]) end
      assert.are.equal(10, failed)
      assert.are.equal(1, db:stats().size)
      assert.are.equal(1, db:stats().connects)
    end))

  it("get rows of different shapes", server.with({ max = 1 }, function(db)
    neap.map(numbers(300), function(i)
      local n = i % 7
      local rows = db:query(("select %d as c%d, g from generate_series(1, $1) g")
        :format(i, n), n)
      assert.are.equal(n, rows.n)
      for _, row in ipairs(rows) do assert.are.equal(i, row["c" .. n]) end
    end)
  end))

  it("keep their order: a task sees its own writes",
    server.with({ max = 3 }, function(db)
      db:exec "drop table if exists own"
      db:exec "create table own (task int, n int)"
      neap.map(numbers(50), function(i)
        for n = 1, 5 do
          db:exec("insert into own values ($1, $2)", i, n)
          assert.are.equal(n,
            db:value("select count(*) from own where task = $1", i))
        end
      end)
      assert.are.equal(250, db:value "select count(*) from own")
    end))

  it("commit one by one: a failing write undoes only itself",
    server.with({ max = 2 }, function(db)
      db:exec "drop table if exists odd"
      db:exec "create table odd (i int check (i % 10 <> 3))"
      local bad = 0
      neap.map(numbers(500), function(i)
        if not pcall(db.exec, db, "insert into odd values ($1)", i) then
          bad = bad + 1
        end
      end)
      assert.are.equal(50, bad)
      assert.are.equal(450, db:value "select count(*) from odd")
    end))

  it("with large results and parameters at once",
    server.with({ max = 2 }, function(db)
      neap.map(numbers(40), function(i)
        local text = ("%d "):format(i):rep(30000)
        local back = db:value("select $1::text || $1::text", text)
        assert.are.equal(text .. text, back)
      end)
    end))
end)

describe("a new statement", function()
  it("is described once, however many tasks bring it",
    server.with({ max = 1 }, function(db)
      neap.map(numbers(100), function(i)
        assert.are.equal(i + 12345, db:value("select $1::int + 12345", i))
      end)
      local s = db:stats()
      assert.are.equal(1, s.cache_misses)
      assert.are.equal(100, s.queries)
    end))

  it("that is wrong fails every one of them, and can be tried again",
    server.with({ max = 1 }, function(db)
      neap.map(numbers(20), function()
        local err = raises("pg", db.value, db, "select missing from nowhere")
        assert.is_true(pg.is_undefined_table(err))
      end)
      db:exec "create table nowhere (missing int)"
      assert.are.equal(0, db:value "select count(missing) from nowhere")
      assert.is_nil(db:value "select missing from nowhere")
      db:exec "drop table nowhere"
    end))

  it("whose first bringer is cancelled serves the others",
    server.with({ max = 1 }, function(db)
      neap.scope(function(s)
        local first = s:spawn(db.value, db, "select $1::int + 77", 1)
        local second = s:spawn(db.value, db, "select $1::int + 77", 2)
        neap.checkpoint()
        first:cancel()
        assert.are.equal(79, second:await())
      end)
      server.whole(db)
    end))
end)

describe("max_pipeline", function()
  it("of 0 has one statement in flight for each connection",
    server.with({ max = 2, max_pipeline = 0 }, function(db)
      db:exec "drop table if exists seen"
      db:exec "create table seen (pid int, at timestamptz, till timestamptz)"
      neap.map(numbers(60), function(i)
        assert.are.equal(i, db:value("select $1::int", i))
      end)
      assert.is_true(db:stats().size <= 2)
    end))

  it("bounds a lane; the rest waits in order", server.with(
    { max = 1, max_pipeline = 3, run = { order = true } }, function(db)
      local order = {}
      db:value("select $1::int", 0)
      neap.map(numbers(50), function(i)
        db:value("select $1::int", i)
        order[#order + 1] = i
      end)
      assert.are.same(numbers(50), order)
    end))
end)

describe("readonly statements", function()
  local READ <const> = { readonly = true }

  it("share a Sync, and get each their own answer",
    server.with({ max = 1 }, function(db)
      local function read(i)
        return db:query_opts(READ, "select $1::int as v, txid_current() as x", i)
      end
      read(0)
      local shared, seen = 0, {}
      neap.map(numbers(200), function(i)
        local row = read(i)[1]
        assert.are.equal(i, row.v)
        if seen[row.x] then shared = shared + 1 end
        seen[row.x] = true
      end)
      assert.is_true(shared > 100)
    end))

  it("an error among them harms none", server.with({ max = 1 }, function(db)
    local function read(i)
      return db:query_opts(READ, "select 100 / ($1::int - 50) as v", i)[1].v
    end
    read(1)
    neap.map(numbers(100), function(i)
      if i == 50 then
        local err = raises("pg", read, i)
        assert.is_true(pg.is_division_by_zero(err))
      else
        assert.are.equal(100 // (i - 50) + ((100 % (i - 50) ~= 0 and i < 50)
          and 1 or 0), read(i))
      end
    end)
    assert.is_true(db:stats().retries > 0)
    server.whole(db)
  end))

  it("mix with writes", server.with({ max = 2 }, function(db)
    db:exec "drop table if exists mixed"
    db:exec "create table mixed (i int)"
    neap.map(numbers(200), function(i)
      if i % 3 == 0 then
        db:exec("insert into mixed values ($1)", i)
      else
        local rows = db:query_opts(READ, "select count(*) as n from mixed")
        assert.is_true(rows[1].n <= 66)
      end
    end)
    assert.are.equal(66, db:value "select count(*) from mixed")
  end))
end)

describe("a slow statement", function()
  it("does not hold up those that have a choice",
    server.with({ max = 2 }, function(db)
      db:value "select 1"
      neap.scope(function(s)
        local slow = s:spawn(db.value, db, "select pg_sleep(30)")
        server.busy_backend(db, "select pg_sleep(30)%")
        for i = 1, 50 do assert.are.equal(i, db:value("select $1::int", i)) end
        assert.are.equal("waiting", slow:status())
        slow:cancel()
      end)
      server.whole(db)
    end))
end)

describe("one pool", function()
  it("lives from one run to the next, and ends with the state", function()
    local dsn, db = server.dsn(), nil
    neap.run(function()
      db = pg.connect(dsn, { max = 2 })
      assert.are.equal(1, db:value "select 1")
    end)
    for i = 1, 3 do
      neap.run(function()
        assert.are.equal(i, db:value("select $1::int", i))
      end)
    end
    neap.run(function() db:close() end)
    local ok, err = pcall(neap.run, function() return db:value "select 1" end)
    assert.is_false(ok)
    assert.are.equal("pool_closed", err.kind)
  end)

  it("is closed when it is collected", function()
    local dsn = server.dsn()
    neap.run(function()
      local watch <close> = pg.connect(dsn, { max = 1 })
      local function named()
        return watch:value [[select count(*) from pg_stat_activity
          where application_name = 'lost one']]
      end
      local parts = type(dsn) == "table" and dsn or { dsn = dsn }
      parts.application_name = "lost one"
      do
        local db = pg.connect(parts, { min = 2, max = 4 })
        db:value "select 1"
        assert.are.equal(2, named())
      end
      collectgarbage()
      collectgarbage()
      server.eventually("its sessions end", function() return named() == 0 end)
    end)
  end)
end)
