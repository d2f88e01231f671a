--- The policy of a pool: how many may wait, what is kept at rest, what is asked
--- before it is lent, what becomes of a session, who is told of a deadlock.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

describe("a line that is too long", function()
  it("takes max_waiting, and refuses the next at once",
    server.with({ max = 1, max_waiting = 3 }, function(db)
      local held = db:acquire()
      neap.scope(function(s)
        for _ = 1, 2 do s:spawn(db.value, db, "select 1") end
        s:spawn(function() db:acquire():release() end)
        server.eventually("three wait", function()
          return db:stats().waiting == 3
        end)
        for _, call in ipairs {
          function() return db:query "select 1" end,
          function() return db:acquire() end,
          function() return db:transaction(function() end) end,
        } do
          local err = raises("pool_overloaded", call)
          assert.are.equal(3, err.waiting)
          assert.is_true(err.safe_to_retry)
          assert.matches("3 wait for one of 1 connections", err.message)
        end
        held:release()
      end)
      assert.are.equal(3, db:stats().shed)
      server.whole(db)
    end))

  it("with queue_target drops those who waited twice as long, once it is "
    .. "late for a whole interval", server.with({
      max = 1, queue_target = 0.002, queue_interval = 0.05, max_pipeline = 0,
    }, function(db)
      local served, dropped = 0, 0
      neap.scope(function(s)
        for _ = 1, 60 do
          s:spawn(function()
            local ok, err = neap.pcall(function()
              local conn <close> = db:acquire()
              conn:value "select 1 from pg_sleep(0.01)"
            end)
            if ok then served = served + 1 return end
            assert.are.equal("pool_overloaded", err.kind)
            dropped = dropped + 1
          end)
        end
      end)
      assert.are.equal(60, served + dropped)
      assert.is_true(served > 0 and dropped > 0)
      assert.are.equal(dropped, db:stats().shed)
      -- What comes afterwards is served again.
      for i = 1, 3 do assert.are.equal(i, db:value("select $1::int", i)) end
      server.whole(db)
    end))
end)

describe("connections at rest", function()
  it("min_idle: are there before they are needed",
    server.with({ min = 1, max = 4, min_idle = 2 }, function(db)
      local function two_idle()
        server.eventually("two are idle", function()
          return db:stats().idle >= 2
        end)
      end
      two_idle()
      local a, b = db:acquire(), db:acquire()
      two_idle()
      assert.are.equal(4, db:stats().size)
      local c <close> = db:acquire()
      assert.are.equal(4, db:stats().size) -- not beyond max
      assert.are.equal(1, c:value "select 1")
      a:release()
      b:release()
    end))

  it("ping_after: are asked before they are lent",
    server.with({ max = 2, ping_after = 1e-9 }, function(db)
      for i = 1, 3 do
        neap.sleep(0.001)
        local conn <close> = db:acquire()
        assert.are.equal(i, conn:value("select $1::int", i))
      end
      neap.sleep(0.001)
      assert.are.equal(4, db:value "select 4")
      assert.is_true(db:stats().pings >= 4)
      assert.are.equal(1, db:stats().connects)
      server.whole(db)
    end))

  it("ping_after: the one that does not answer is replaced",
    server.with({ max = 1, ping_after = 1e-9, acquire_timeout = 20 },
      function(db)
        local pid
        do
          local conn <close> = db:acquire()
          pid = conn:pid()
        end
        os.execute(("kill -STOP %d"):format(pid))
        neap.sleep(0.001)
        local _ <close> = setmetatable({}, { __close = function()
          os.execute(("kill -CONT %d"):format(pid))
        end })
        assert.are_not.equal(pid, db:value "select pg_backend_pid()")
        assert.are.equal(1, db:stats().lost)
      end))

  it("warmup_parallel: one at a time fills the pool too",
    server.with({ min = 5, max = 5, warmup_parallel = 1 }, function(db)
      assert.are.equal(5, db:stats().idle)
    end))
end)

describe("the session that comes back", function()
  local function setting(opts, touch)
    local seen
    opts.max = 1
    server.with(opts, function(db)
      do
        local conn <close> = db:acquire()
        touch(conn)
      end
      seen = db:value "show work_mem"
      server.whole(db)
      assert.are.equal(1, db:stats().connects)
    end)()
    return seen
  end

  -- set_config in a function is what the driver cannot see.
  local function behind(conn)
    conn:value "select set_config('work_mem', '7MB', false)"
  end
  local function openly(conn) conn:exec "set work_mem = '7MB'" end

  it("auto: is put right after what was seen to change it", function()
    assert.are_not.equal("7MB", setting({}, openly))
    assert.are.equal("7MB", setting({}, behind))
  end)

  it("always: is put right whatever was done", function()
    assert.are_not.equal("7MB", setting({ reset = "always" }, behind))
  end)

  it("never: stays as it is, but for a transaction that is open", function()
    assert.are.equal("7MB", setting({ reset = "never" }, openly))
    server.with({ max = 1, reset = "never" }, function(db)
      local conn = db:acquire()
      conn:exec "begin"
      conn:release()
      server.whole(db)
    end)()
  end)

  it("by a function of one's own", function()
    local calls = 0
    local function mine(conn)
      calls = calls + 1
      conn:exec "set work_mem = '9MB'"
    end
    assert.are.equal("9MB", setting({ reset = mine }, openly))
    assert.is_true(calls >= 1)
    server.with({ max = 1, reset = mine }, function(db)
      db:transaction(function(tx) tx:exec "set local work_mem = '1MB'" end)
      assert.are.equal("9MB", db:value "show work_mem")
    end)()
  end)

  it("by a function that fails: it is put right all the same", function()
    local fails = true
    server.with({
      max = 1, reset = function() if fails then error("no", 0) end end,
    }, function(db)
      local conn = db:acquire()
      openly(conn)
      local ok, err = pcall(conn.release, conn)
      assert.is_false(ok)
      assert.are.equal("no", err)
      fails = false
      assert.are_not.equal("7MB", db:value "show work_mem")
      server.whole(db)
    end)()
  end)
end)

describe("who holds what", function()
  it("in debug mode a pool_timeout says where they were taken",
    server.with({ max = 2, run = { debug = true } }, function(db)
      local a <close> = db:acquire()
      local tx <close> = db:begin()
      neap.scope(function(s)
        s:spawn(function()
          for _, call in ipairs { db.acquire, db.begin } do
            local err = raises("pool_timeout", function()
              if call == db.acquire then return call(db, { timeout = 0 }) end
              local held = neap.timeout(5, function()
                return db:acquire { timeout = 0.001 }
              end)
              return held
            end)
            assert.are.equal(2, #err.holders)
            for _, place in ipairs(err.holders) do
              assert.matches("pool_policy_spec", place)
            end
            assert.is_nil(err.nested)
          end
        end)
      end)
      assert.are.equal(1, a:value "select 1")
      assert.are.equal(1, tx:value "select 1")
    end))

  it("a task that waits for itself is told in the timeout",
    server.with({ max = 1, acquire_timeout = 0.02 }, function(db)
      db:transaction(function(tx)
        tx:exec "select 1"
        for _, call in ipairs { db.acquire, db.begin } do
          local err = raises("pool_timeout", call, db)
          assert.is_true(err.nested)
          assert.matches("holds one of them itself", err.message)
        end
        local err = raises("pool_timeout", db.value, db, "select 1")
        assert.is_true(err.nested)
      end)
    end))

  it("after a second a nested wait is reported, with both places", function()
    local dsn, reports = server.dsn(), {}
    neap.run({
      debug = true, slow_ms = false,
      on_error = function(info) reports[#reports + 1] = info end,
    }, function()
      local db <close> = pg.connect(dsn, { max = 1, acquire_timeout = 1.3 })
      local outer <close> = db:acquire()
      raises("pool_timeout", db.acquire, db)
      assert.are.equal(1, outer:value "select 1")
    end)
    assert.are.equal(1, #reports)
    assert.are.equal("nested_acquire", reports[1].what)
    local trace = tostring(reports[1].error.traceback)
    assert.matches("the first was taken at", trace)
    local _, places = trace:gsub("pool_policy_spec", "")
    assert.is_true(places >= 2)
  end)
end)

describe("limits and names", function()
  it("timeout = 0 takes what is free, or says that nothing is",
    server.with({ max = 1 }, function(db)
      local conn = db:acquire { timeout = 0 }
      local err = raises("pool_timeout", db.acquire, db, { timeout = 0 })
      assert.matches("^no connection is free: 1 of at most 1 open", err.message)
      conn:release()
      db:acquire({ timeout = 0 }):release()
    end))

  it("connect_timeout = 0 is no limit", server.with({ connect_timeout = 0 },
    function(db) assert.are.equal(1, db:value "select 1") end))

  it("a wait has the name of the call", server.with({ max = 1 }, function(db)
    local held = db:acquire()
    local calls = {
      ["db:exec"] = function() db:exec "select 1" end,
      ["db:row"] = function() db:row "select 1" end,
      ["db:exec_many"] = function() db:exec_many("select $1", { { 1 } }) end,
      ["db:batch"] = function()
        db:batch(function(b) b:query "select 1" end)
      end,
      ["db:acquire"] = function() db:acquire():release() end,
      ["db:begin"] = function() local _ <close> = db:begin() end,
      ["db:transaction"] = function() db:transaction(function() end) end,
      ["conn:value"] = function() held:value "select pg_sleep(60)" end,
    }
    for name, call in pairs(calls) do
      neap.scope(function(s)
        s:spawn(call)
        neap.checkpoint()
        assert.matches(name, neap.dump(), 1, true)
        s:cancel()
      end)
    end
    held:release()
    server.whole(db)
  end))

  it("max_uses counts statements, not questions for their types",
    server.with({ max = 1, max_uses = 4 }, function(db)
      for i = 1, 8 do
        assert.are.equal(i, db:value(("select $1::int + %d - %d")
          :format(i, i), i))
      end
      server.eventually("two have gone", function()
        return db:stats().closed.uses == 2
      end)
    end))

  it("timezone holds without startup options, also after a reset", function()
    for _, mode in ipairs { "unnamed", "off" } do
      server.with({ max = 1, prepared = mode, timezone = "Asia/Tokyo" },
        function(db)
          assert.are.equal("Asia/Tokyo", db:value "show timezone")
          do
            local conn <close> = db:acquire()
            conn:exec "set timezone = 'Europe/Paris'"
            conn:exec "set datestyle = 'German'"
          end
          assert.are.equal("Asia/Tokyo", db:value "show timezone")
          assert.matches("^ISO", db:value "show datestyle")
          server.whole(db)
        end)()
    end
  end)

  it("a timezone that the server does not know fails pg.connect",
    server.body(function(dsn)
      for _, mode in ipairs { "named", "unnamed" } do
        local err = raises("pg", pg.connect, dsn,
          { timezone = "No/Such", prepared = mode })
        assert.are.equal("22023", err.code)
        assert.matches("No/Such", err.message)
      end
    end))

  it("a transaction cancelled while its backend is stopped ends at once",
    server.with({ max = 2 }, function(db)
      local watch = db:acquire()
      local pid, before
      neap.scope(function(s)
        local task = s:spawn(function()
          db:transaction(function(tx)
            pid = tx:value "select pg_backend_pid()"
            tx:value "select pg_sleep(60)"
          end)
        end)
        server.busy_backend(watch, "select pg_sleep(60)%")
        os.execute(("kill -STOP %d"):format(pid))
        before = db:stats().lost
        task:cancel()
        task:join()
        -- The lane is not clean yet, and not lost: nobody waited for either.
        assert.are.equal(before, db:stats().lost)
        assert.are.equal(2, db:stats().in_use)
      end)
      os.execute(("kill -CONT %d"):format(pid))
      watch:release()
      server.whole(db)
    end))
end)
