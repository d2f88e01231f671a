--- Who gets a connection, when, and what becomes of it afterwards.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function pid_of(conn) return conn:pid() end

describe("a pool that is exhausted", function()
  it("raises pool_timeout, which tells its state",
    server.with({ max = 2, acquire_timeout = 0.03 }, function(db)
      local a <close> = db:acquire()
      local other <close> = db:acquire()
      for _, call in ipairs {
        function() return db:acquire() end,
        function() return db:acquire { timeout = 0.01 } end,
        function() return db:query "select 1" end,
        function() return db:begin() end,
      } do
        local err = raises("pool_timeout", call)
        assert.are.equal(2, err.size)
        assert.are.equal(2, err.in_use)
        assert.are.equal(0, err.idle)
        assert.matches("2 of at most 2 open, 2 of them held", err.message)
        assert.is_true(neap.is_timeout(err))
        assert.is_true(err.safe_to_retry)
      end
      assert.are.equal(1, a:value "select 1")
      assert.are.equal(1, other:value "select 1")
      assert.are.equal(4, db:stats().timeouts)
    end))

  it("serves those who wait in their order", server.with(
    { max = 1, run = { order = true } }, function(db)
      local order = {}
      db:value("select $1::int", 0)
      local held = db:acquire()
      neap.scope(function(s)
        for i = 1, 6 do
          s:spawn(function()
            if i % 2 == 0 then
              assert.are.equal(i, db:value("select $1::int", i))
            else
              local conn <close> = db:acquire()
              assert.are.equal(i, conn:value("select $1::int", i))
            end
            order[#order + 1] = i
          end)
        end
        neap.checkpoint()
        assert.are.equal(6, db:stats().waiting)
        held:release()
      end)
      assert.are.same({ 1, 2, 3, 4, 5, 6 }, order)
      server.whole(db)
    end))

  it("gives its lane to one who wants it alone, though others keep coming",
    server.with({ max = 1 }, function(db)
      db:value("select $1::int", 0)
      local over = false
      neap.scope(function(s)
        for _ = 1, 20 do
          s:spawn(function()
            while not over do db:value("select $1::int", 1) end
          end)
        end
        neap.checkpoint()
        local conn = db:acquire()
        assert.are.equal(2, conn:value "select 2")
        conn:release()
        over = true
      end)
      server.whole(db)
    end))

  it("goes beyond max by overflow, and shrinks again",
    server.with({ max = 1, overflow = 2 }, function(db)
      local a, b, c = db:acquire(), db:acquire(), db:acquire()
      assert.are.equal(3, db:stats().size)
      raises("pool_timeout", db.acquire, db, { timeout = 0.01 })
      a:release()
      b:release()
      c:release()
      server.eventually("one is left", function()
        return db:stats().size == 1
      end)
      server.whole(db)
    end))
end)

describe("a connection", function()
  it("that was used last is used next", server.with({ min = 3, max = 3 },
    function(db)
      local a, b = db:acquire(), db:acquire()
      local first = pid_of(a)
      b:release()
      a:release()
      for _ = 1, 5 do
        local conn <close> = db:acquire()
        assert.are.equal(first, pid_of(conn))
      end
    end))

  it("is opened when the others are busy, up to max",
    server.with({ max = 3 }, function(db)
      assert.are.equal(1, db:stats().size)
      local held = {}
      for i = 1, 3 do held[i] = db:acquire() end
      assert.are.equal(3, db:stats().size)
      local pids = {}
      for i = 1, 3 do pids[pid_of(held[i])] = true end
      local n = 0
      for _ in pairs(pids) do n = n + 1 end
      assert.are.equal(3, n)
      for i = 1, 3 do held[i]:release() end
    end))

  it("given back cannot be used, nor given back twice",
    server.with(function(db)
      local conn = db:acquire()
      conn:release()
      raises("closed", conn.query, conn, "select 1")
      raises("closed", conn.release, conn)
      raises("closed", conn.begin, conn)
      assert.matches("given back", tostring(conn))
      server.whole(db)
    end))

  it("has its session put right when it is given back",
    server.with({ max = 1 }, function(db)
      local pid
      do
        local conn <close> = db:acquire()
        pid = conn:pid()
        conn:exec "set work_mem = '7MB'"
        conn:exec "create temp table leftover (i int)"
        conn:exec "listen somewhere"
        conn:value "select pg_advisory_lock(42)"
        conn:exec "prepare mine as select 1"
        conn:exec "begin"
        conn:exec "insert into leftover values (1)"
      end
      local conn <close> = db:acquire()
      assert.are.equal(pid, conn:pid())
      assert.are_not.equal("7MB", conn:value "show work_mem")
      assert.is_nil(conn:value "select to_regclass('leftover')::text")
      assert.are.equal(0, conn:value "select count(*) from pg_listening_channels()")
      assert.are.equal(0, conn:value [[select count(*) from pg_locks
        where locktype = 'advisory' and pid = pg_backend_pid()]])
      assert.is_true(conn:value "select pg_current_xact_id_if_assigned() is null")
      assert.are.equal("UTC", conn:value "show timezone")
    end))

  it("with an open transaction is rolled back", server.with({ max = 1 },
    function(db)
      db:exec "drop table if exists half"
      db:exec "create table half (i int)"
      local conn = db:acquire()
      conn:exec "begin"
      conn:exec "insert into half values (1)"
      conn:release()
      assert.are.equal(0, db:value "select count(*) from half")
      server.whole(db)
    end))

  it("that nobody gave back returns when it is collected",
    server.with({ max = 1 }, function(db)
      db:acquire():exec "set work_mem = '7MB'"
      collectgarbage()
      collectgarbage()
      assert.are_not.equal("7MB", db:value "show work_mem")
      server.whole(db)
    end))

  it("runs statements of several tasks in order",
    server.with({ max = 1 }, function(db)
      local conn <close> = db:acquire()
      neap.scope(function(s)
        for i = 1, 100 do
          s:spawn(function()
            assert.are.equal(i, conn:value("select $1::int", i))
          end)
        end
      end)
    end))
end)

describe("the age of a connection", function()
  it("max_uses: another one takes its place",
    server.with({ max = 1, max_uses = 3 }, function(db)
      local pids = {}
      for _ = 1, 12 do
        pids[db:value "select pg_backend_pid()"] = true
      end
      local n = 0
      for _ in pairs(pids) do n = n + 1 end
      assert.is_true(n >= 3)
    end))

  it("idle_timeout: it is closed, down to min",
    server.with({ min = 1, max = 3, idle_timeout = 0.04 }, function(db)
      local a, b, c = db:acquire(), db:acquire(), db:acquire()
      a:release()
      b:release()
      c:release()
      server.eventually("one is left", function()
        return db:stats().size == 1
      end)
      assert.are.equal(1, db:value "select 1")
    end))

  it("max_lifetime: it is replaced", server.with(
    { min = 1, max = 1, max_lifetime = 0.05 }, function(db)
      local pid = db:value "select pg_backend_pid()"
      server.eventually("another one", function()
        return db:value "select pg_backend_pid()" ~= pid
      end)
    end))

  it("expire: none of now is used again", server.with({ min = 2, max = 2 },
    function(db)
      local conn = db:acquire()
      local old = { [conn:pid()] = true }
      old[db:value "select pg_backend_pid()"] = true
      db:expire()
      assert.are.equal(1, conn:value "select 1")
      conn:release()
      for _ = 1, 4 do
        assert.is_nil(old[db:value "select pg_backend_pid()"])
      end
    end))
end)

describe("hooks", function()
  it("on_connect runs once on each connection, before anybody else",
    function()
      local count = 0
      server.with({
        max = 3,
        on_connect = function(conn)
          count = count + 1
          conn:exec "set application_name = 'hooked'"
          neap.checkpoint()
        end,
      }, function(db)
        assert.are.equal(1, count)
        local list = {}
        for i = 1, 60 do list[i] = i end
        neap.map(list, function(i)
          assert.are.equal("hooked", db:value "show application_name")
          if i % 10 == 0 then
            local conn <close> = db:acquire()
            assert.are.equal("hooked", conn:value "show application_name")
          end
        end)
        assert.is_true(count <= db:stats().connects)
        do
          local conn <close> = db:acquire()
          conn:exec "set application_name = 'mine'"
        end
        assert.are.equal("hooked", db:value "show application_name")
        server.whole(db)
      end)()
    end)

  it("on_connect that fails fails the call, and the connection is closed",
    server.body(function(dsn)
      local fail = true
      local function hook(conn)
        if fail then conn:exec "select nonsense" end
      end
      local err = raises("pg", pg.connect, dsn, { on_connect = hook })
      assert.is_true(pg.is_undefined_column(err))
      fail = false
      local db <close> = pg.connect(dsn, { max = 2, on_connect = hook })
      fail = true
      local conn = db:acquire()
      raises("pg", db.query, db, "select 1")
      raises("pg", db.acquire, db)
      raises("pg", db.transaction, db, function(tx) tx:query "select 1" end)
      fail = false
      assert.are.equal(1, db:value "select 1")
      conn:release()
      server.whole(db)
    end))

  it("on_acquire and on_release frame what has a connection of its own",
    function()
      local list, note = run.journal()
      server.with({
        max = 1,
        on_acquire = function(conn) note("acquire " .. conn:value "select 1") end,
        on_release = function(conn) note("release " .. conn:value "select 2") end,
      }, function(db)
        db:acquire():release()
        do local _ <close> = db:acquire() end
        db:transaction(function(tx) note(tx:value "select 'in'") end)
        do
          local tx <close> = db:begin()
          tx:commit()
        end
        do local _ <close> = db:begin() end
        pcall(db.transaction, db, function() error "no" end)
        server.eventually("it is quiet", function()
          return db:stats().in_use == 0
        end)
        db:value "select 1"
      end)()
      assert.are.same({
        "acquire 1", "release 2", "acquire 1", "release 2",
        "acquire 1", "in", "release 2", "acquire 1", "release 2",
        "acquire 1", "release 2", "acquire 1", "release 2",
      }, list)
    end)

  it("on_acquire that fails gives the connection back", server.with({
    max = 1, on_acquire = function() error("not today", 0) end,
  }, function(db)
    for _ = 1, 3 do
      local ok, err = pcall(db.acquire, db)
      assert.is_false(ok)
      assert.are.equal("not today", err)
    end
    assert.are.equal(1, db:value "select 1")
  end))
end)

describe("closing", function()
  it("refuses those who wait, and lets end what is under way",
    server.body(function(dsn)
      local db = pg.connect(dsn, { max = 1 })
      local conn = db:acquire()
      neap.scope(function(s)
        local waiting = s:spawn(pcall, db.query, db, "select 1")
        local claiming = s:spawn(pcall, db.acquire, db)
        local working = s:spawn(function()
          local v = conn:value "select 1 from pg_sleep(0.02)"
          conn:release()
          return v
        end)
        server.eventually("they wait", function()
          return db:stats().waiting == 2 and working:status() == "waiting"
        end)
        db:close()
        for _, task in ipairs { waiting, claiming } do
          local ok, err = task:await()
          assert.is_false(ok)
          assert.are.equal("pool_closed", err.kind)
        end
        assert.are.equal(1, working:await())
      end)
      raises("pool_closed", db.query, db, "select 1")
      raises("pool_closed", db.acquire, db)
      raises("pool_closed", db.transaction, db, function() end)
      assert.matches("closed", tostring(db))
      db:close()
      assert.are.equal(0, db:stats().size)
    end))

  it("ends what does not end in time", server.body(function(dsn)
    local db = pg.connect(dsn, { max = 2 })
    neap.scope(function(s)
      local stuck = s:spawn(pcall, db.query, db, "select pg_sleep(60)")
      server.busy_backend(db, "select pg_sleep(60)%")
      db:close { timeout = 0.02 }
      local ok, err = stuck:await()
      assert.is_false(ok)
      assert.are.equal("pool_closed", err.kind)
    end)
    local other <close> = pg.connect(dsn)
    server.eventually("the server has stopped it too", function()
      return other:value [[select count(*) from pg_stat_activity
        where query like 'select pg_sleep(60)%' and state = 'active']] == 0
    end)
  end))

  it("drain serves those who wait", server.body(function(dsn)
    local db = pg.connect(dsn, { max = 1 })
    local conn = db:acquire()
    neap.scope(function(s)
      local waiting = s:spawn(db.value, db, "select 5")
      server.eventually("it waits", function()
        return db:stats().waiting == 1
      end)
      s:spawn(function() conn:release() end)
      assert.is_true(db:drain())
      assert.are.equal(5, waiting:await())
    end)
    raises("pool_closed", db.query, db, "select 1")
  end))

  it("by <close> does not wait for what the pool does not have",
    server.body(function(dsn)
      do local db <close> = pg.connect(dsn, { max = 1 }) assert(db) end
      local ok = pcall(function()
        local db <close> = pg.connect(dsn, { max = 1 })
        db:value "select 1"
        error "in between"
      end)
      assert.is_false(ok)
    end))

  it("in a cancelled task closes all the same", server.body(function(dsn)
    local kept
    local watch <close> = pg.connect(dsn, { max = 1 })
    neap.scope(function(s)
      local task = s:spawn(function()
        local db <close> = pg.connect(dsn, { max = 1 })
        kept = db
        db:value "select pg_sleep(61)"
      end)
      server.busy_backend(watch, "select pg_sleep(61)%")
      task:cancel()
    end)
    assert.are.equal(0, kept:stats().size)
  end))
end)

describe("an idle connection", function()
  it("that dies is noticed, and never handed out",
    server.with({ min = 3, max = 3 }, function(db)
      local watch <close> = server.connect { max = 1 }
      local held, pids = {}, {}
      for i = 1, 3 do
        held[i] = db:acquire()
        pids[i] = held[i]:pid()
      end
      for i = 1, 3 do held[i]:release() end
      for i = 1, 3 do
        watch:value("select pg_terminate_backend($1)", pids[i])
      end
      server.eventually("three were lost", function()
        return db:stats().lost == 3
      end)
      for i = 1, 20 do assert.are.equal(i, db:value("select $1::int", i)) end
      server.whole(db)
    end))
end)
