--- COPY when it is not treated well: lost, left, closed, collected, used by
--- several tasks at once, in every phase.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises
local ENDLESS <const> = "select generate_series(1, 1000000000), repeat('x', 1000)"

local function with(fn)
  return server.with({ max = 2 }, function(db, reports)
    db:exec "drop table if exists item"
    db:exec "create table item (id int primary key, name text)"
    fn(db, reports)
    server.whole(db)
  end)
end

local function kill(db, pid)
  db:value("select pg_terminate_backend($1)", pid)
  server.eventually("it is gone", function()
    return db:value("select count(*) from pg_stat_activity where pid = $1",
      pid) == 0
  end)
end

--- Rows without end, that wait for nothing.
local function numbers()
  local n = 0
  return function()
    n = n + 1
    return { n, ("x"):rep(500) }
  end
end

describe("a COPY in the hands of two tasks", function()
  it("out: the second waits for nothing, it is told", with(function(db)
    local conn <close> = db:acquire()
    local out <close> = conn:copy_out "select 1 from pg_sleep(0.3)"
    neap.scope(function(s)
      local one = s:spawn(pcall, out.next, out)
      server.busy_backend(db, "copy%pg_sleep(0.3)%")
      local err = raises("invalid", out.next, out)
      assert.matches("another task", err.message)
      local ok, row = one:await()
      assert.is_true(ok, row)
      assert.are.equal(1, row[1])
    end)
  end))

  it("closed by another while one waits for rows", with(function(db)
    local out <close> = db:copy_out "select 1 from pg_sleep(60)"
    neap.scope(function(s)
      local one = s:spawn(pcall, out.next, out)
      server.busy_backend(db, "copy%pg_sleep(60)%")
      out:close()
      local ok, err = one:await()
      assert.is_false(ok)
      assert.are.equal("closed", err.kind)
    end)
  end))

  it("closed by another while rows come: no end that is none", with(function(db)
    for turns = 0, 6 do
      local out <close> = db:copy_out(ENDLESS)
      local n, ok, err = 0, nil, nil
      neap.scope(function(s)
        s:spawn(function()
          ok, err = pcall(function()
            for row in out do
              n = n + 1
              assert(row[1] == n)
            end
          end)
        end)
        server.eventually("rows come", function() return n > 10 end)
        for _ = 1, turns do neap.checkpoint() end
        out:close()
      end)
      assert(ok == true or err.kind == "closed", tostring(err))
    end
  end))

  it("its connection is given back while it waits", with(function(db)
    local conn = db:acquire()
    local out <close> = conn:copy_out "select 1 from pg_sleep(60)"
    neap.scope(function(s)
      local one = s:spawn(pcall, out.next, out)
      server.busy_backend(db, "copy%pg_sleep(60)%")
      conn:release()
      local ok, err = one:await()
      assert.is_false(ok)
      assert.are.equal("closed", err.kind)
    end)
  end))

  it("its connection is given back before it began", with(function(db)
    local conn = db:acquire()
    conn:_describe "select 1 as one"
    neap.scope(function(s)
      s:spawn(pcall, conn.query, conn, "select pg_sleep(0.2)")
      neap.checkpoint()
      local out <close> = conn:copy_out "select 1 as one"
      local one = s:spawn(pcall, out.next, out)
      neap.checkpoint()
      neap.checkpoint()
      conn:release()
      local ok, err = one:await()
      assert.is_false(ok)
      assert.are.equal("closed", err.kind)
    end)
  end))

  it("a producer that uses the same connection is told", with(function(db)
    local conn <close> = db:acquire()
    local err = raises("invalid", conn.copy_in, conn, "item", nil, function()
      return { conn:value "select 1" + (conn:value "select 2"), "x" }
    end)
    assert.matches("COPY is under way", err.message)
    assert.are.equal(0, conn:value "select count(*) from item")
  end))

  it("from one table into another on one connection is refused", with(
    function(db)
      local conn <close> = db:acquire()
      raises("invalid", conn.copy_in, conn, "item", nil,
        conn:copy_out "select 1, 'x'")
      assert.are.equal(0, conn:value "select count(*) from item")
    end))
end)

describe("a COPY whose connection breaks", function()
  it("out, between two rows", with(function(db)
    local conn = db:acquire()
    local pid = conn:pid()
    local out = conn:copy_out(ENDLESS)
    out:next()
    kill(db, pid)
    local err = raises("connection_lost", function()
      while true do assert(out:next()) end
    end)
    assert.is_nil(err.safe_to_retry)
    out:close()
    raises("connection_lost", conn.query, conn, "select 1")
    conn:release()
  end))

  it("out, and it is left without another look", with(function(db)
    for _ = 1, 3 do
      local conn = db:acquire()
      local pid = conn:pid()
      local out = conn:copy_out(ENDLESS)
      out:next()
      kill(db, pid)
      out:close()
      conn:release()
    end
  end))

  it("in, while the producer thinks", with(function(db)
    local conn = db:acquire()
    local pid = conn:pid()
    local n = 0
    local err = raises("connection_lost", conn.copy_in, conn, "item", nil,
      function()
        n = n + 1
        if n == 2 then kill(db, pid) end
        return { n, ("x"):rep(500) }
      end)
    assert.is_true(err.sent)
    conn:release()
    assert.are.equal(0, db:value "select count(*) from item")
  end))

  it("in, at its end", with(function(db)
    local conn = db:acquire()
    local pid = conn:pid()
    local n = 0
    local err = raises("connection_lost", conn.copy_in, conn, "item", nil,
      function()
        n = n + 1
        if n <= 3 then return { n, "x" } end
        kill(db, pid)
      end)
    assert.is_true(err.sent)
    conn:release()
    assert.are.equal(0, db:value "select count(*) from item")
  end))

  it("in, while the server waits for a lock", with(function(db)
    local lock = db:begin()
    lock:exec "lock table item in share mode"
    neap.scope(function(s)
      local task = s:spawn(pcall, db.copy_in, db, "item", nil, { { 1, "x" } })
      local watch <close> = server.connect { max = 1 }
      kill(watch, server.busy_backend(watch, "copy%item%"))
      local ok, err = task:await()
      assert.is_false(ok)
      assert.are.equal("connection_lost", err.kind)
    end)
    lock:rollback()
  end))

  it("in a transaction: nothing of it stays", with(function(db)
    local err = raises("connection_lost", db.transaction, db, function(tx)
      tx:exec "insert into item values (0, 'first')"
      local pid = tx:value "select pg_backend_pid()"
      local next_row = numbers()
      tx:copy_in("item", nil, function()
        local row = next_row()
        if row[1] == 10 then kill(db, pid) end
        return row
      end)
    end)
    assert.is_true(err.sent)
    assert.are.equal(0, db:value "select count(*) from item")
  end))
end)

describe("a pool that is closed in a COPY", function()
  --- What the tasks in it are told; and the server stops it.
  local function closing(start, text)
    return server.body(function(dsn)
      local watch <close> = pg.connect(dsn, { max = 1 })
      watch:exec "drop table if exists item"
      watch:exec "create table item (id int primary key, name text)"
      local db = pg.connect(dsn, { max = 2 })
      neap.scope(function(s)
        local task = s:spawn(pcall, start, db)
        server.busy_backend(watch, text)
        db:close()
        local ok, err = task:await()
        assert.is_false(ok)
        assert.is_true(err.kind == "pool_closed" or
          err.kind == "connection_lost" or err.kind == "closed", tostring(err))
      end)
      server.eventually("nothing runs on the server", function()
        return watch:value([[select count(*) from pg_stat_activity
          where state = 'active' and query like $1
          and pid <> pg_backend_pid()]], text) == 0
      end)
      assert.are.equal(0, watch:value "select count(*) from item")
    end)
  end

  it("out, waiting", closing(function(db)
    for _ in db:copy_out "select 1 from pg_sleep(60)" do error "a row" end
  end, "copy%pg_sleep(60)%"))

  it("out, reading", closing(function(db)
    for _ in db:copy_out(ENDLESS) do neap.checkpoint() end
  end, "copy%generate_series%"))

  it("in, sending", closing(function(db)
    local next_row = numbers()
    db:copy_in("item", nil, function()
      neap.checkpoint()
      return next_row()
    end)
  end, "copy%item%"))
end)

describe("a COPY that is forgotten", function()
  it("is ended by the collector, with all it holds", with(function(db)
    for i = 1, 6 do
      neap.scope(function()
        local conn = db:acquire()
        local out = conn:copy_out(ENDLESS)
        for _ = 1, i * 7 do out:next() end
      end)
      collectgarbage()
      collectgarbage()
    end
    server.eventually("both connections are back", function()
      collectgarbage()
      return db:stats().in_use == 0
    end)
  end))

  it("in a transaction, which cannot commit before it has ended", with(
    function(db)
      local tx = db:begin()
      tx:exec "insert into item values (9, 'not kept')"
      local out = tx:copy_out(ENDLESS)
      out:next()
      raises("invalid", tx.commit, tx)
      tx:rollback()
      raises("closed", out.next, out)
      assert.are.equal(0, db:value "select count(*) from item")
    end))

  it("and cancelled while the rest is waited for", with(function(db)
    for turns = 0, 8 do
      neap.scope(function(s)
        local task = s:spawn(function()
          db:transaction(function(tx)
            local out <close> = tx:copy_out(ENDLESS)
            out:next()
            out:close()
            tx:exec "savepoint nobody_reaches"
          end)
        end)
        for _ = 1, turns * 4 do neap.checkpoint() end
        task:cancel()
        task:join()
      end)
    end
  end))
end)
