local neap = require "neap"
local run = require "spec.support.run"

local raises = run.raises

describe("neap.stats", function()
  it("counts turns, by how long they took (R10)", run({ clock = "real" }, function()
    local before = neap.stats()
    for _ = 1, 20 do neap.sleep(0.0001) end
    local after, sum, last = neap.stats(), 0, 0
    assert.is_true(after.turns >= before.turns + 20)
    for _, class in ipairs(after.turn_latency) do
      assert.is_true(class.below > last)
      last = class.below
      sum = sum + class.n
    end
    assert.are.equal(after.turns, sum)
    assert.is_true(after.turn_latency[#after.turn_latency].n > 0)
    assert.is_true(after.turn_max > 0 and after.turn_max < last)
  end))

  it("tells how many tasks wait in each operation, if asked (R10)", run(function()
    local q, event = neap.queue(1), neap.event()
    for _ = 1, 3 do neap.spawn(q.get, q) end
    for _ = 1, 2 do neap.spawn(event.wait, event) end
    neap.spawn(neap.sleep, 5)
    neap.sleep(1)
    assert.is_nil(neap.stats().waiting)
    assert.is_nil(neap.stats({ waiting = false }).waiting)
    local waiting = neap.stats({ waiting = true }).waiting
    assert.are.same({ 3, 2, 1 }, { waiting["queue:get"], waiting["event:wait"], waiting["neap.sleep"] })
    event:set()
    q:close()
    neap.sleep(1)
    waiting = neap.stats({ waiting = true }).waiting
    assert.is_nil(waiting["queue:get"])
  end))

  it("counts calls on other threads (R10)", run({ clock = "real" }, function()
    local task = neap.spawn(neap.thread.call, function() return 1 end)
    neap.checkpoint()
    local stats = neap.stats()
    assert.are.equal(1, stats.threads + stats.threads_waiting)
    assert.is_true(stats.threads_max >= 1)
    task:join()
    stats = neap.stats()
    assert.are.equal(0, stats.threads + stats.threads_waiting)
  end))

  it("refuses options that are none (R10)", function()
    raises("invalid", neap.stats, { wating = true })
    raises("invalid", neap.stats, { waiting = 1 })
    raises("invalid", neap.stats, 5)
  end)
end)

describe("the stats of a primitive", function()
  --- Start a task in it, look, and let it go.
  local function with_one_waiting(wait, look, go)
    local task = neap.spawn(wait)
    neap.sleep(1)
    look()
    go()
    task:join()
  end

  it("future and event (R12)", run(function()
    local future, event = neap.future(), neap.event()
    with_one_waiting(function() future:await() end, function()
      assert.are.same({ id = future:stats().id, waiting = 1, done = false }, future:stats())
    end, function() future:set() end)
    assert.are.same({ id = future:stats().id, waiting = 0, done = true }, future:stats())
    with_one_waiting(function() event:wait() end, function()
      assert.are.same({ id = event:stats().id, waiting = 1, set = false }, event:stats())
    end, function() event:set() end)
    assert.is_true(event:stats().set)
  end))

  it("lock and semaphore (R12)", run(function()
    local lock, semaphore = neap.lock(), neap.semaphore(2, { max = 3 })
    lock:acquire()
    with_one_waiting(function() lock:with(print) end, function()
      assert.are.same({
        id = lock:stats().id, waiting = 1, locked = true, broken = false, owner = neap.current(),
      }, lock:stats())
    end, function() lock:release() end)
    assert.are.same({ id = lock:stats().id, waiting = 0, locked = false, broken = false }, lock:stats())
    semaphore:acquire()
    semaphore:acquire()
    with_one_waiting(function() semaphore:acquire() end, function()
      assert.are.same({ id = semaphore:stats().id, waiting = 1, value = 0, size = 2, max = 3 },
        semaphore:stats())
    end, function() semaphore:release() end)
    assert.is_nil(neap.semaphore(1):stats().max)
  end))

  it("condition, barrier and rwlock (R12)", run(function()
    local condition, barrier, rwlock = neap.condition(), neap.barrier(2), neap.rwlock()
    with_one_waiting(function() condition:wait() end, function()
      assert.are.same({ id = condition:stats().id, waiting = 1, locked = false }, condition:stats())
    end, function() condition:notify() end)
    with_one_waiting(function() barrier:wait() end, function()
      assert.are.same({ id = barrier:stats().id, waiting = 1, size = 2 }, barrier:stats())
    end, function() barrier:wait() end)
    local guard = rwlock:read()
    with_one_waiting(function() rwlock:write():release() end, function()
      assert.are.same({ id = rwlock:stats().id, waiting = 1, readers = 1, writer = false },
        rwlock:stats())
    end, function() guard:release() end)
    guard = rwlock:write()
    assert.is_true(rwlock:stats().writer)
    guard:release()
  end))

  it("queue (R12)", run(function()
    local q = neap.queue(1)
    q:put "x"
    with_one_waiting(function() q:put "y" end, function()
      assert.are.same({
        id = q:stats().id, size = 1, capacity = 1, getters = 0, putters = 1, joiners = 0,
        unfinished = 1, dropped = 0, closed = false,
      }, q:stats())
    end, function() q:get() end)
    q:get()
    with_one_waiting(function() q:get() end, function() assert.are.equal(1, q:stats().getters) end,
      function() q:put "z" end)
    with_one_waiting(function() q:join() end, function() assert.are.equal(1, q:stats().joiners) end,
      function() for _ = 1, 3 do q:done() end end)
    q:close()
    assert.is_true(q:stats().closed)
    assert.are.equal(math.huge, neap.queue(math.huge):stats().capacity)
  end))

  it("broadcast and subscription (R12)", run(function()
    local broadcast = neap.broadcast(1)
    local sub = broadcast:subscribe()
    local lossy = broadcast:subscribe { overflow = "drop_oldest" }
    broadcast:put(1)
    with_one_waiting(function() broadcast:put(2) end, function()
      assert.are.same({
        id = broadcast:stats().id, waiting = 1, subscribers = 2, full = 1, capacity = 1,
        closed = false,
      }, broadcast:stats())
      assert.are.equal(1, sub:stats().size)
    end, function() sub:get() end)
    assert.are.equal(1, lossy:stats().dropped)
    broadcast:close()
    assert.is_true(broadcast:stats().closed)
  end))

  it("has a number of its own for each object, also in a dump (R12)", function()
    local seen = {}
    for _ = 1, 20 do
      for _, object in ipairs { neap.lock(), neap.queue(1), neap.event(), neap.rwlock() } do
        local id = object:stats().id
        assert.is_nil(seen[id])
        seen[id] = true
        assert.are.equal(id, object:stats().id)
      end
    end
  end)
end)
