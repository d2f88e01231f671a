local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.timeout", function()
  it("returns the values, nils among them (D1)", run(function()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(neap.timeout(5, function(...)
      neap.sleep(1)
      return ...
    end, 1, nil, 3)))
    assert.are.equal(0, select("#", neap.timeout(5, function() end)))
  end))

  it("raises timeout when the time is up, and names the operation (D1)", run(function()
    local t = neap.now()
    local err = raises("timeout", neap.timeout, 2.5, function() neap.queue(1):get() end)
    assert.is_true(math.abs(neap.now() - t - 2.5) < 1e-6)
    assert.is_truthy(err.message:find("2.5", 1, true), err.message)
    assert.is_truthy(err.message:find("queue:get", 1, true), err.message)
    assert.is_false(neap.is_cancelled(err))
    assert.is_true(neap.is_timeout(err))
    assert.is_false(neap.cancelled())
  end))

  it("raises when a child only was interrupted (D1)", run(function()
    local child
    raises("timeout", neap.timeout, 1, function()
      child = neap.spawn(neap.sleep, 100)
      return "value"
    end)
    assert.are.equal("cancelled", child:status())
  end))

  it("raises also if the body swallowed the interruption (D1)", run(function()
    raises("timeout", neap.timeout, 1, function()
      pcall(neap.sleep, 100)
      return "value"
    end)
  end))

  it("interrupts work that never sleeps long (D1)", run({ clock = "real" }, function()
    raises("timeout", neap.timeout, 0.01, function()
      while true do neap.checkpoint() end
    end)
  end))

  it("gives the value when nothing was interrupted (D3)", run({ clock = "real" }, function()
    local value = neap.timeout(0.005, function()
      local t = neap.now()
      while neap.now() - t < 0.01 do end -- the deadline passes
      return "value"
    end)
    assert.are.equal("value", value)
  end))

  it("gives the value that was granted before the deadline fired (D3, W1)", run(function()
    local q = neap.queue(1)
    neap.spawn(function()
      neap.sleep(1)
      q:put "item" -- at the very time of the deadline
    end)
    neap.checkpoint()
    local got
    local ok = pcall(neap.timeout, 1, function() got = q:get() end)
    if ok then
      assert.are.equal("item", got)
    else
      assert.is_nil(got)
      assert.are.equal("item", q:get())
    end
  end))

  it("nil and math.huge mean no limit (D4)", run(function()
    for _, limit in ipairs { false, math.huge, 1e300 } do
      assert.are.equal("ok", neap.timeout(limit or nil, function()
        neap.sleep(1000)
        assert.are.equal(limit ~= false and nil or nil, nil)
        return "ok"
      end))
      local ok, v = neap.move_on_after(limit or nil, function()
        neap.sleep(1000)
        return "ok"
      end)
      assert.are.same({ true, "ok" }, { ok, v })
    end
  end))

  it("zero interrupts the first checkpoint, not before (D4)", run(function()
    local reached
    raises("timeout", neap.timeout, 0, function()
      reached = true
      neap.checkpoint()
      reached = "too far"
    end)
    assert.is_true(reached)
    assert.are.equal("value", neap.timeout(0, function() return "value" end))
    assert.are.same({ true, "value" }, { neap.move_on_after(0, function() return "value" end) })
    assert.is_false(neap.move_on_after(0, neap.checkpoint))
  end))

  it("refuses NaN, negatives, and what is no number (D4)", run(function()
    for _, bad in ipairs { 0 / 0, -1, -math.huge, "x", {}, true } do
      for _, name in ipairs { "timeout", "move_on_after", "shield" } do
        local ok, err = pcall(neap[name], bad, function() end)
        assert.is_false(ok, name)
        assert.is_truthy(tostring(err):find("#1", 1, true), tostring(err))
      end
    end
    assert.is_false((pcall(neap.timeout, 1)))
    assert.is_false((pcall(neap.timeout, 1, 5)))
    assert.is_false((pcall(neap.timeout)))
    assert.is_false((pcall(neap.shield, nil, function() end)))
    assert.is_nil(neap.deadline() and nil)
  end))

  it("nested: the inner one converts its own, the outer stays armed (D5)", run(function()
    local got, note = journal()
    local outer = raises("timeout", neap.timeout, 5, function()
      local inner = raises("timeout", neap.timeout, 2, neap.sleep, 100)
      note(inner.message)
      neap.sleep(100)
      note "not reached"
    end)
    assert.are.equal(1, #got)
    assert.is_truthy(outer.message:find("5", 1, true))
    assert.is_truthy(got[1]:find("2", 1, true))
  end))

  it("nested: an outer that is due first passes the inner by (D5)", run(function()
    local got, note = journal()
    local err = raises("timeout", neap.timeout, 1, function()
      local ok, e = neap.pcall(neap.timeout, 50, neap.sleep, 100)
      note(ok)
      note(e)
    end)
    assert.is_truthy(err.message:find("after 1 s", 1, true), err.message)
    assert.are.same({}, got)
  end))

  it("nested and due together: the outer raises (D5, C6)", run(function()
    local got, note = journal()
    raises("timeout", neap.timeout, 1, function()
      pcall(neap.timeout, 1, neap.sleep, 100)
      neap.checkpoint()
      note "not reached"
    end)
    assert.are.same({}, got)
  end))

  it("waits for the cleanup of what it interrupts (D8)", run(function()
    local t = neap.now()
    local cleaned
    raises("timeout", neap.timeout, 1, function()
      local _ <close> = neap.defer(function()
        neap.sleep(3)
        cleaned = true
      end)
      neap.sleep(100)
    end)
    assert.is_true(cleaned)
    assert.is_true(neap.now() - t >= 4)
  end))

  it("owns the tasks spawned inside (D8)", run(function()
    local child
    raises("timeout", neap.timeout, 1, function()
      child = neap.spawn(neap.sleep, 100)
      neap.sleep(50)
    end)
    assert.are.equal("cancelled", child:status())
    local t = neap.now()
    neap.timeout(10, function() neap.spawn(neap.sleep, 3) end)
    assert.is_true(neap.now() - t >= 3)
  end))

  it("lets another error of the body pass, with the timeout suppressed (D7)", run(function(reports)
    local err = raises("mine", neap.timeout, 1, function()
      pcall(neap.sleep, 100)
      error { kind = "mine" }
    end)
    local suppressed = neap.suppressed(err)
    assert.are.equal(1, #suppressed)
    assert.are.equal("timeout", suppressed[1].kind)
    assert.are.equal(0, #reports)
  end))

  it("raises a child's error as any scope does (D8, S3)", run(function()
    raises("mine", neap.timeout, 10, function()
      neap.spawn(error, { kind = "mine" })
      neap.sleep(100)
    end)
    raises("mine", neap.move_on_after, 10, function()
      neap.spawn(error, { kind = "mine" })
      neap.sleep(100)
    end)
    raises("mine", neap.shield, 10, function()
      neap.spawn(error, { kind = "mine" })
      neap.sleep(100)
    end)
  end))

  it("around a scope passes the scope (D8)", run(function()
    local n = 0
    assert.are.equal("v", neap.timeout(5, neap.scope, function(s, x)
      s:spawn(function() n = n + 1 end)
      return x
    end, "v"))
    assert.are.equal(1, n)
    raises("timeout", neap.timeout, 5, neap.scope, function(s) s:spawn(neap.sleep, 10) end)
  end))

  it("leaves no timer behind (R10)", run(function()
    local before = neap.stats().timers
    for _ = 1, 100 do
      neap.timeout(1000, function() end)
      neap.move_on_after(1000, neap.checkpoint)
      neap.shield(1000, function() end)
      pcall(neap.timeout, 1000, error)
    end
    assert.are.equal(before, neap.stats().timers)
  end))
end)

describe("neap.timeout_at", function()
  it("takes a time on the clock of now() (D1)", run(function()
    local t = neap.now()
    assert.are.equal("v", neap.timeout_at(t + 5, function()
      neap.sleep(4)
      return "v"
    end))
    raises("timeout", neap.timeout_at, neap.now() + 5, neap.sleep, 10)
    assert.is_true(math.abs(neap.now() - t - 9) < 1e-6)
  end))

  it("of nil is no limit, nor is math.huge (D4)", run(function()
    assert.are.equal("ok", neap.timeout_at(nil, function()
      neap.sleep(1000)
      return "ok"
    end))
    local before = neap.deadline()
    assert.are.equal(before, neap.timeout_at(nil, neap.deadline))
    assert.are.equal(before, neap.timeout_at(math.huge, neap.deadline))
    assert.is_false((pcall(neap.timeout_at)))
  end))

  it("of a time gone by interrupts the first checkpoint (D4)", run(function()
    for _, at in ipairs { neap.now() - 5, 0, -5, -1e300, -math.huge, neap.now() } do
      local reached = false
      raises("timeout", neap.timeout_at, at, function()
        reached = true
        neap.checkpoint()
      end)
      assert.is_true(reached)
    end
  end))

  it("math.huge is never; NaN is refused (D4)", run(function()
    assert.are.equal("v", neap.timeout_at(math.huge, function()
      neap.sleep(100)
      return "v"
    end))
    assert.is_false((pcall(neap.timeout_at, 0 / 0, function() end)))
    assert.is_false((pcall(neap.timeout_at, "x", function() end)))
    assert.is_false((pcall(neap.timeout_at)))
  end))
end)

describe("neap.move_on_after", function()
  it("returns true and the values, or false (D2)", run(function()
    assert.are.same({ n = 4, true, 1, nil, 3 }, table.pack(neap.move_on_after(5, function(...)
      neap.sleep(1)
      return ...
    end, 1, nil, 3)))
    assert.are.same({ n = 1, true }, table.pack(neap.move_on_after(5, function() end)))
    assert.are.same({ n = 1, false }, table.pack(neap.move_on_after(5, neap.sleep, 10)))
  end))

  it("returns the values that beat the deadline (D3)", run({ clock = "real" }, function()
    local ok, value = neap.move_on_after(0.005, function()
      local t = neap.now()
      while neap.now() - t < 0.01 do end
      return "value"
    end)
    assert.are.same({ true, "value" }, { ok, value })
  end))

  it("does not hide a cancellation from outside (C6)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      note(neap.move_on_after(50, neap.sleep, 100))
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({}, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("lets errors pass (D2)", run(function()
    raises("mine", neap.move_on_after, 5, error, { kind = "mine" })
  end))
end)

describe("neap.deadline", function()
  it("is the earliest that is in force (D5)", run(function()
    local t = neap.now()
    local base = neap.deadline() -- the suite's own limit
    local function near(a, b) return math.abs(a - b) < 1e-6 end
    neap.timeout(10, function()
      assert.is_true(near(neap.deadline(), t + 10))
      neap.timeout(50, function() assert.is_true(near(neap.deadline(), t + 10)) end)
      neap.timeout(5, function() assert.is_true(near(neap.deadline(), t + 5)) end)
      neap.move_on_after(6, function() assert.is_true(near(neap.deadline(), t + 6)) end)
      neap.shield(60, function() assert.is_true(near(neap.deadline(), t + 60)) end)
      neap.spawn(function() assert.is_true(near(neap.deadline(), t + 10)) end):await()
      neap.background(function() assert.is_nil(neap.deadline()) end):await()
      assert.is_true(near(coroutine.wrap(neap.deadline)(), t + 10))
    end)
    assert.are.equal(base, neap.deadline())
  end))
end)

describe("scope.deadline", function()
  it("is nil until it is assigned; then the scope raises timeout (D6)", run(function()
    local err = raises("timeout", neap.scope, { name = "import" }, function(s)
      assert.is_nil(s.deadline)
      s.deadline = neap.now() + 2
      assert.is_true(math.abs(s.deadline - neap.now() - 2) < 1e-6)
      neap.sleep(10)
    end)
    assert.is_truthy(err.message:find("import", 1, true), err.message)
  end))

  it("may be extended and shortened (D6)", run(function()
    local t = neap.now()
    neap.scope(function(s)
      s.deadline = t + 2
      s.deadline = t + 20
      neap.sleep(10)
      s.deadline = nil
      neap.sleep(100)
      assert.is_nil(s.deadline)
      assert.is_false(s.expired)
    end)
    raises("timeout", neap.scope, function(s)
      s.deadline = neap.now() + 1000
      s.deadline = neap.now() + 1
      neap.sleep(100)
    end)
  end))

  it("in the past expires at once (D6)", run(function()
    for _, at in ipairs { 0, -1, -math.huge, neap.now() } do
      local this
      raises("timeout", neap.scope, function(s)
        this = s
        s.deadline = at
        assert.is_true(s.expired)
        neap.checkpoint()
      end)
      assert.is_true(this.expired)
    end
  end))

  it("assigned by another task interrupts the body (D6)", run(function()
    local this
    local task = neap.spawn(function()
      return (select(2, pcall(neap.scope, function(s)
        this = s
        neap.sleep(100)
      end)))
    end)
    neap.sleep(1)
    this.deadline = neap.now() - 1
    assert.are.equal("timeout", task:await().kind)
  end))

  it("passed without interrupting anything is visible in expired (D3)", run({ clock = "real" }, function()
    local this
    assert.are.equal("v", neap.scope(function(s)
      this = s
      s.deadline = neap.now() + 0.002
      local t = neap.now()
      while neap.now() - t < 0.005 do end
      return "v"
    end))
    assert.are.equal("boolean", type(this.expired))
  end))

  it("of an ended scope cannot be assigned (D6)", run(function()
    local this
    neap.scope(function(s) this = s end)
    raises("closed", function() this.deadline = neap.now() + 1 end)
  end))

  it("refuses NaN, what is no number, and other fields (D6)", run(function()
    neap.scope(function(s)
      for _, bad in ipairs { 0 / 0, "x", {}, true } do
        assert.is_false((pcall(function() s.deadline = bad end)))
      end
      assert.is_false((pcall(function() s.cancelled = true end)))
      assert.is_false((pcall(function() s[1] = true end)))
      assert.is_false((pcall(function() s[{}] = true end)))
      assert.is_nil(s.unknown)
      assert.is_nil(s.deadline)
    end)
  end))
end)

describe("the message of a timeout", function()
  local function limit_of(err) return err.message:match "^timeout after (%S+) s" end

  it("has the limit as it was meant, though the clock went on meanwhile", run(function()
    local LATE <const> = 2e-6 -- between neap.now() and the call, on a real clock
    for _, seconds in ipairs { 0.01, 0.025, 0.125, 3, 60 } do
      local err = raises("timeout", neap.timeout_at, neap.now() + seconds - LATE, neap.sleep, 100)
      assert.are.equal(("%.14g"):format(seconds), limit_of(err))
      err = raises("timeout", neap.scope, function(s)
        s.deadline = neap.now() + seconds - LATE
        neap.sleep(100)
      end)
      assert.are.equal(("%.14g"):format(seconds), limit_of(err))
    end
  end))

  it("has whole milliseconds of a long limit, and zero of one gone by", run(function()
    local err = raises("timeout", neap.timeout_at, neap.now() + 3600.25, neap.sleep, 5000)
    assert.are.equal("3600.25", limit_of(err))
    err = raises("timeout", neap.timeout_at, neap.now() - 5, neap.sleep, 5000)
    assert.are.equal("0", limit_of(err))
  end))
end)

describe("neap.is_timeout", function()
  it("is true for the kinds of timeouts (D9)", function()
    for _, kind in ipairs { "timeout", "query_timeout", "pool_timeout" } do
      assert.is_true(neap.is_timeout(neap.fault.new { kind = kind }))
    end
    for _, other in ipairs { neap.fault.new { kind = "io" }, "timeout", 5, {}, { kind = "timeout" } } do
      assert.is_false(neap.is_timeout(other))
    end
    assert.is_false(neap.is_timeout(nil))
  end)
end)
