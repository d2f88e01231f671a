--- LISTEN and NOTIFY: order, tasks, and what happens when the connection goes.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function with(opts, fn)
  if not fn then opts, fn = {}, opts end
  opts.max = opts.max or 3
  return server.with(opts, fn)
end

--- A subscription that puts what it hears into a queue.
local function ear(db, channel, opts)
  local heard = neap.queue(math.huge)
  local sub = db:listen(channel, function(payload, pid, name)
    heard:put { payload = payload, pid = pid, channel = name }
  end, opts)
  return sub, heard
end

local function listening(db)
  return db:value [[select count(*) from pg_stat_activity
    where query like 'listen%' and pid <> pg_backend_pid()
    and datname = current_database()]]
end

local function kill_listener(db)
  server.eventually("the listener is there", function()
    return db:value [[select pg_terminate_backend(pid) from pg_stat_activity
      where query like 'listen%' and pid <> pg_backend_pid()
      and datname = current_database()]] == true
  end)
end

describe("db:listen", function()
  it("hears what is sent after it has returned, in order", with(function(db)
    local sub <close>, heard = ear(db, "news")
    for i = 1, 100 do db:notify("news", tostring(i)) end
    for i = 1, 100 do
      local m = heard:get()
      assert.are.equal(tostring(i), m.payload)
      assert.are.equal("news", m.channel)
      assert.is_true(m.pid > 0)
    end
    assert.are.equal("news", sub.channel)
    assert.are.equal(0, sub.dropped)
  end))

  it("hears a transaction's message when it commits", with(function(db)
    local sub <close>, heard = ear(db, "news")
    pcall(db.transaction, db, function(tx)
      tx:notify("news", "never")
      error "no"
    end)
    db:transaction(function(tx)
      tx:notify("news", "committed")
      neap.sleep(0.02)
      assert.are.equal(0, #heard)
    end)
    assert.are.equal("committed", heard:get().payload)
    assert.is_truthy(sub)
  end))

  it("keeps any name and any payload as they are", with(function(db)
    for _, channel in ipairs { '12+"34', "Größe", ("x"):rep(63), "select" } do
      local sub <close>, heard = ear(db, channel)
      local payload = ("ä"):rep(3999)
      db:notify(channel, payload)
      db:notify(channel)
      local m = heard:get()
      assert.are.equal(channel, m.channel)
      assert.are.equal(payload, m.payload)
      assert.are.equal("", heard:get().payload)
      assert.is_truthy(sub)
    end
  end))

  it("needs one connection for all channels, beside the pool's",
    with({ max = 1 }, function(db)
      local one <close>, first = ear(db, "one")
      local two <close>, second = ear(db, "two")
      local again <close>, third = ear(db, "two")
      assert.are.equal(1, listening(db))
      db:notify("two", "x")
      assert.are.equal("x", second:get().payload)
      assert.are.equal("x", third:get().payload)
      assert.are.equal(0, #first)
      assert.is_truthy(one and two and again)
    end))

  it("calls the function in one task, one message after the other",
    with(function(db)
      local inside, most, seen, tasks = 0, 0, neap.queue(math.huge), {}
      local sub <close> = db:listen("news", function(payload)
        inside = inside + 1
        most = math.max(most, inside)
        tasks[neap.current()] = true
        neap.sleep(0.001)
        inside = inside - 1
        seen:put(payload)
      end)
      for i = 1, 10 do db:notify("news", tostring(i)) end
      for i = 1, 10 do assert.are.equal(tostring(i), seen:get()) end
      assert.are.equal(1, most)
      local n = 0
      for _ in pairs(tasks) do n = n + 1 end
      assert.are.equal(1, n)
      assert.is_truthy(sub)
    end))

  it("reports a function that fails, and goes on", with(function(db, reports)
    local seen = neap.queue(math.huge)
    local sub <close> = db:listen("news", function(payload)
      if payload == "bad" then error("cannot", 0) end
      seen:put(payload)
    end)
    db:notify("news", "bad")
    db:notify("news", "good")
    assert.are.equal("good", seen:get())
    assert.are.equal("cannot", reports:take("listener").error)
    assert.is_truthy(sub)
  end))

  it("hears nothing more once it is closed", with(function(db)
    local sub, heard = ear(db, "news")
    local other <close>, others = ear(db, "other")
    sub:close()
    sub:close()
    db:notify("news", "late")
    db:notify("other", "x")
    assert.are.equal("x", others:get().payload)
    assert.are.equal(0, #heard)
    assert.is_truthy(other)
  end))

  it("can be closed by its own function", with(function(db)
    local n, sub = 0, nil
    local over = neap.event()
    sub = db:listen("news", function()
      n = n + 1
      sub:close()
      over:set()
    end)
    for _ = 1, 3 do db:notify("news", "x") end
    over:wait()
    neap.sleep(0.02)
    assert.are.equal(1, n)
  end))

  it("ends its connection with the last subscription, and can begin anew",
    with(function(db)
      for _ = 1, 2 do
        local sub, heard = ear(db, "news")
        db:notify("news", "x")
        assert.are.equal("x", heard:get().payload)
        sub:close()
        server.eventually("the listener has gone", function()
          return listening(db) == 0
        end)
      end
    end))

  it("ends with the pool", with(function(db)
    local own = server.connect { max = 1 }
    local sub = ear(own, "news")
    own:close()
    sub:close()
    server.eventually("the listener has gone", function()
      return listening(db) == 0
    end)
    raises("pool_closed", own.listen, own, "news", print)
  end))

  it("comes back when its connection is lost: first the gap, then what follows",
    with(function(db)
      local events = neap.queue(math.huge)
      local function subscribe(channel)
        return db:listen(channel, function(payload)
          events:put(channel .. ":" .. payload)
        end, { on_gap = function(gap)
          assert(gap.since <= neap.now() and gap.attempts >= 1)
          events:put(channel .. ":gap")
        end })
      end
      local a <close> = subscribe "a"
      local b <close> = subscribe "b"
      db:notify("a", "before")
      assert.are.equal("a:before", events:get())
      kill_listener(db)
      local gaps = { [events:get()] = true, [events:get()] = true }
      assert.are.same({ ["a:gap"] = true, ["b:gap"] = true }, gaps)
      db:notify("a", "after")
      db:notify("b", "after")
      local after = { [events:get()] = true, [events:get()] = true }
      assert.are.same({ ["a:after"] = true, ["b:after"] = true }, after)
      assert.is_truthy(a and b)
    end))

  it("listens also to channels that came while there was no connection",
    with(function(db)
      local a <close>, heard_a = ear(db, "a")
      kill_listener(db)
      local b <close>, heard_b = ear(db, "b")
      db:notify("b", "x")
      assert.are.equal("x", heard_b:get().payload)
      server.eventually("a is heard again", function()
        db:notify("a", "y")
        return #heard_a > 0
      end)
      assert.is_truthy(a and b)
    end))

  it("raises what prevents the first connection", server.body(function(dsn)
    local db <close> = pg.connect(dsn, { max = 1,
      listen_dsn = "host=/nowhere/at/all dbname=x" })
    raises("io", db.listen, db, "news", print)
    assert.are.equal(1, db:value "select 1")
  end))

  it("lets a slow subscription hold the others up, or lose, or end, as it says",
    with(function(db, reports)
      local gate = neap.event()
      local function slow(overflow)
        local seen = {}
        return db:listen("news", function(payload)
          gate:wait()
          seen[#seen + 1] = payload
        end, { buffer = 2, overflow = overflow }), seen
      end
      local losing <close>, seen = slow "drop_oldest"
      local ending <close>, seen_by_ending = slow "error"
      for i = 1, 10 do db:notify("news", tostring(i)) end
      server.eventually("some are dropped", function()
        return losing.dropped >= 7
      end)
      server.eventually("one has ended", function() return #reports > 0 end)
      assert.are.equal("broken", reports:take("listener").error.kind)
      gate:set()
      server.eventually("the last ones come", function()
        return seen[#seen] == "10"
      end)
      assert.are.same({ "1", "9", "10" }, seen)
      assert.is_true(#seen_by_ending <= 1)
      assert.is_truthy(ending)
    end))

  it("can be cancelled at every wait", server.body(function(dsn)
    local db <close> = pg.connect(dsn, { max = 2 })
    require("neap.test").cancel_sweep(function()
      local sub <close>, heard = ear(db, "swept")
      db:notify("swept", "x")
      assert(heard:get().payload == "x" and sub)
    end)
    server.whole(db)
  end))

  it("names the argument that does not fit", with(function(db)
    assert.matches("1 to 63 bytes", raises("invalid", db.listen, db, "", print).message)
    raises("invalid", db.listen, db, ("x"):rep(64), print)
    raises("invalid", db.listen, db, 5, print)
    raises(nil, db.listen, db, "news", 5)
    raises("invalid", db.listen, db, "news", print, { on_gaps = print })
    local e = raises("invalid", db.notify, db, "news", ("x"):rep(8000))
    assert.matches("8000 bytes", e.message)
    assert.matches("outbox", e.message)
    raises("invalid", db.notify, db, "news", 5)
    raises("invalid", db.notify, db, "")
  end))
end)
