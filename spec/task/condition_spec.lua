local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- Tasks that wait with the lock held and note when they are woken.
local function waiters(condition, n, note)
  local tasks = {}
  for i = 1, n do
    tasks[i] = neap.spawn(function()
      local _ <close> = condition:acquire()
      condition:wait()
      note(i)
    end)
  end
  neap.checkpoint()
  return tasks
end

describe("a condition", function()
  it("wakes the one that waits longest (P10, W4)", run({ order = true }, function()
    local got, note = journal()
    local c = neap.condition()
    waiters(c, 3, note)
    assert.are.equal(1, c:notify())
    neap.sleep(1)
    assert.are.same({ 1 }, got)
    assert.are.equal(2, c:notify(5))
    neap.sleep(1)
    assert.are.same({ 1, 2, 3 }, got)
    assert.are.equal(0, c:notify())
    assert.are.equal(0, c:notify_all())
  end))

  it("wakes all that wait now, and not those that come (P10)", run({ order = true }, function()
    local got, note = journal()
    local c = neap.condition()
    waiters(c, 3, note)
    assert.are.equal(3, c:notify_all())
    waiters(c, 1, function() note "late" end)
    neap.sleep(1)
    assert.are.same({ 1, 2, 3 }, got)
    c:notify()
    neap.sleep(1)
    assert.are.equal("late", got[4])
  end))

  it("lets go of the lock while it waits, and has it again after (P10)", run(function()
    local lock = neap.lock()
    local c = neap.condition(lock)
    local task = neap.spawn(function()
      local _ <close> = lock:acquire()
      c:wait()
      assert.is_true(lock:locked())
      neap.sleep(1)
    end)
    neap.sleep(1)
    assert.is_false(lock:locked())
    do
      local _ <close> = lock:acquire()
      c:notify()
      neap.sleep(1) -- the waiter needs the lock first
      assert.are.equal("waiting", task:status())
    end
    task:await()
    assert.is_false(lock:locked())
  end))

  it("with a lock of its own is one too: acquire, release, with (P10)", run(function()
    local c = neap.condition()
    local g = c:acquire()
    assert.is_true(c:locked())
    c:release()
    assert.is_false(c:locked())
    g:release() -- its lock is not held any more
    assert.are.equal("inside", c:with(function()
      assert.is_true(c:locked())
      return "inside"
    end))
    assert.is_false(c:locked())
  end))

  it("without a lock just waits (P10)", run(function()
    local c = neap.condition()
    local task = neap.spawn(function()
      c:wait()
      return "woken"
    end)
    neap.checkpoint()
    c:notify()
    assert.are.equal("woken", task:await())
    assert.is_false(c:locked())
  end))

  it("with a given lock that is not held refuses (P10)", run(function()
    local lock = neap.lock()
    local c = neap.condition(lock)
    raises("invalid", c.wait, c)
    local holder = neap.spawn(function()
      local _ <close> = lock:acquire()
      neap.sleep(1)
    end)
    neap.checkpoint()
    raises("invalid", c.wait, c)
    holder:await()
  end))

  it("cancelled has the lock again, so that clean-up runs with it (P10)", run(function()
    local c = neap.condition()
    local seen
    local task = neap.spawn(function()
      local _ <close> = c:acquire()
      local _ <close> = setmetatable({}, { __close = function() seen = c:locked() end })
      c:wait()
    end)
    local holder = neap.spawn(function()
      neap.sleep(0.5)
      local _ <close> = c:acquire()
      neap.sleep(2)
    end)
    neap.sleep(1)
    task:cancel()
    neap.sleep(0.5)
    assert.are.equal("waiting", task:status()) -- for the lock, shielded
    task:join()
    holder:await()
    assert.is_true(seen)
    assert.are.equal("cancelled", task:status())
    assert.is_false(c:locked())
  end))

  it("passes a notification on when the one it would wake is cancelled (P10, W5)", run({ order = true }, function()
    local got, note = journal()
    local c = neap.condition()
    local tasks = waiters(c, 3, note)
    tasks[1]:cancel() -- has not run yet
    c:notify()
    neap.sleep(1)
    assert.are.same({ 2 }, got)
    c:notify()
    neap.sleep(1)
    assert.are.same({ 2, 3 }, got)
  end))

  it("notified and then cancelled was notified (W1)", run(function()
    local got, note = journal()
    local c = neap.condition()
    local tasks = waiters(c, 1, note)
    c:notify()
    tasks[1]:cancel()
    neap.sleep(1)
    assert.are.same({ 1 }, got)
  end))

  it("wait_for asks with the lock held, first and after each wake-up (P10)", run(function()
    local c = neap.condition()
    local n, asked = 0, 0
    local task = neap.spawn(function()
      local _ <close> = c:acquire()
      return c:wait_for(function()
        asked = asked + 1
        assert.is_true(c:locked())
        return n >= 3 and "n is " .. n
      end)
    end)
    for i = 1, 3 do
      neap.sleep(1)
      n = i
      c:notify_all()
    end
    assert.are.equal("n is 3", task:await())
    assert.are.equal(4, asked)
    do
      local _ <close> = c:acquire()
      assert.is_true(c:wait_for(function() return true end))
    end
  end))

  it("is a checkpoint that lets go of nothing (W3, C2)", run(function()
    local c = neap.condition()
    local others = 0
    local task = neap.spawn(function()
      local _ <close> = c:acquire()
      neap.spawn(function()
        local _ <close> = c:acquire()
        others = others + 1
      end)
      neap.current():cancel()
      local ok = pcall(c.wait, c)
      assert.is_false(ok)
      assert.is_true(c:locked())
      assert.is_false((pcall(c.wait_for, c, function() return true end)))
      neap.checkpoint()
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal(0, others)
  end))

  it("whose lock breaks meanwhile raises broken (P10, P3)", run(function(reports)
    local lock = neap.lock()
    local c = neap.condition(lock)
    local task = neap.spawn(function()
      lock:acquire()
      return raises("broken", c.wait, c)
    end)
    neap.checkpoint()
    neap.spawn(function() lock:acquire() end):join()
    assert.are.equal("broken", reports:take("lock").error.kind)
    c:notify()
    assert.are.equal("broken", task:await().kind)
  end))

  it("with a deadline is interrupted (D1)", run(function()
    local c = neap.condition()
    local err = raises("timeout", neap.timeout, 1, c.wait, c)
    assert.is_truthy(err.message:find("condition:wait", 1, true))
  end))

  it("refuses bad arguments", run(function()
    for _, bad in ipairs { 1, "x", neap.semaphore(1), {} } do
      assert.is_false((pcall(neap.condition, bad)))
    end
    local c = neap.condition()
    assert.is_false((pcall(c.notify, c, -1)))
    assert.is_false((pcall(c.notify, c, 1.5)))
    assert.is_false((pcall(c.wait_for, c, 1)))
    assert.are.equal(0, c:notify(0))
  end))
end)
