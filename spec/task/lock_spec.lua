local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a lock", function()
  it("lets one in at a time, in order (P3, W4)", run({ order = true }, function()
    local got, note = journal()
    local lock, inside = neap.lock(), 0
    neap.scope(function(s)
      for i = 1, 5 do
        s:spawn(function()
          local _ <close> = lock:acquire()
          inside = inside + 1
          assert.are.equal(1, inside)
          neap.sleep(1)
          inside = inside - 1
          note(i)
        end)
      end
    end)
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
    assert.is_false(lock:locked())
  end))

  it("hands over: nobody slips in between (W4)", run({ order = true }, function()
    local lock = neap.lock()
    local guard = lock:acquire()
    local task = neap.spawn(function()
      local _ <close> = lock:acquire()
      neap.sleep(1)
    end)
    neap.checkpoint()
    guard:release()
    assert.is_false(lock:try_acquire())
    assert.is_true(lock:locked())
    task:await()
    local again = lock:try_acquire()
    assert.is_truthy(again)
    again:release()
  end))

  it("is released by release, guard:release, <close>, each once (P3)", run(function()
    local lock = neap.lock()
    lock:acquire()
    lock:release()
    assert.is_false(lock:locked())
    raises("invalid", lock.release, lock)
    do
      local guard <close> = lock:acquire()
      guard:release()
      assert.is_false(lock:locked())
      guard:release()
    end
    do
      local _ <close> = lock:acquire()
      lock:release() -- early
    end
    assert.is_false(lock:locked())
  end))

  it("a guard that is closed late does not release another's hold (P3)", run(function()
    local lock = neap.lock()
    local old = lock:acquire()
    lock:release()
    local task = neap.spawn(function()
      local _ <close> = lock:acquire()
      neap.sleep(2)
    end)
    neap.sleep(1)
    old:release()
    assert.is_true(lock:locked())
    task:await()
  end))

  it("is not recursive: acquiring again is a deadlock at once (P3)", run(function()
    local lock = neap.lock()
    local _ <close> = lock:acquire()
    raises("deadlock", lock.acquire, lock)
    raises("deadlock", lock.with, lock, print)
    assert.is_false(lock:try_acquire())
  end))

  it("is released by its owner only (P3)", run(function()
    local lock = neap.lock()
    local guard = lock:acquire()
    neap.spawn(function()
      raises("invalid", lock.release, lock)
      raises("invalid", guard.release, guard)
    end):await()
    assert.is_true(lock:locked())
    guard:release()
    assert.is_false(lock:locked())
    guard = lock:acquire()
    coroutine.wrap(function() guard:release() end)() -- is the same task
    assert.is_false(lock:locked())
  end))

  it("whose owner ends without releasing is reported, and broken (P3, E4)", run(function(reports)
    local lock = neap.lock()
    local bad = neap.spawn(function()
      lock:acquire()
      neap.sleep(1)
    end)
    neap.checkpoint()
    local waiting = neap.spawn(function() return raises("broken", lock.acquire, lock) end)
    bad:await()
    local info = reports:take "lock"
    assert.are.equal("a task ended while it held a lock, which is broken now", info.error.message)
    assert.are.equal("broken", info.error.kind)
    waiting:await()
    raises("broken", lock.acquire, lock)
    raises("broken", lock.try_acquire, lock)
    raises("broken", lock.with, lock, print)
    assert.is_false(lock:locked())
  end))

  it("is broken too when the owner fails or is cancelled (P3)", run(function(reports)
    for _, how in ipairs { "fail", "cancel" } do
      local lock = neap.lock()
      local task = neap.background(function()
        lock:acquire()
        if how == "fail" then error "x" end
        neap.sleep(100)
      end)
      neap.checkpoint()
      task:cancel()
      task:join()
      reports:take "lock"
      if how == "fail" then reports:take "background" end
      raises("broken", lock.acquire, lock)
    end
  end))

  it("held several at a time are all broken, with one report (P3)", run(function(reports)
    local locks = {}
    for i = 1, 300 do locks[i] = neap.lock() end
    neap.spawn(function()
      for i = 1, 300 do locks[i]:acquire() end
      for i = 1, 100 do locks[i]:release() end
    end):await()
    reports:take "lock"
    for i = 1, 300 do
      local ok = pcall(locks[i].acquire, locks[i])
      assert.are.equal(i <= 100, ok)
      if ok then locks[i]:release() end
    end
  end))

  it("granted and then cancelled is held, and its guard releases (W1)", run(function()
    local lock = neap.lock()
    local guard = lock:acquire()
    local held
    local task = neap.spawn(function()
      local _ <close> = lock:acquire()
      held = lock:locked()
      neap.checkpoint()
    end)
    neap.checkpoint()
    guard:release()
    task:cancel()
    task:join()
    assert.is_true(held)
    assert.are.equal("cancelled", task:status())
    assert.is_false(lock:locked())
  end))

  it("a cancelled waiter leaves, and the next moves up (W5)", run(function()
    local lock = neap.lock()
    local guard = lock:acquire()
    local a = neap.spawn(lock.with, lock, neap.sleep, 1)
    local b = neap.spawn(lock.with, lock, neap.sleep, 1)
    neap.checkpoint()
    a:cancel()
    a:join()
    guard:release()
    b:await()
    assert.is_false(lock:locked())
  end))

  it("with(fn, ...) holds it for the call and returns the values (P3)", run(function()
    local lock = neap.lock()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(lock:with(function(...)
      assert.is_true(lock:locked())
      neap.sleep(1)
      return ...
    end, 1, nil, 3)))
    assert.is_false(lock:locked())
    raises("mine", lock.with, lock, error, { kind = "mine" })
    assert.is_false(lock:locked())
    local task = neap.spawn(lock.with, lock, neap.sleep, 100)
    neap.checkpoint()
    assert.is_true(lock:locked())
    task:cancel()
    task:join()
    assert.is_false(lock:locked())
    lock:with(function() lock:release() end) -- early: fine
    assert.is_false(lock:locked())
  end))

  it("try_acquire takes it or says false (P3)", run(function()
    local lock = neap.lock()
    local guard = lock:try_acquire()
    assert.is_truthy(guard)
    neap.spawn(function() assert.is_false(lock:try_acquire()) end):await()
    guard:release()
  end))

  it("needs a task (W6)", function()
    local lock = neap.lock()
    raises("not_in_task", lock.acquire, lock)
    raises("not_in_task", lock.try_acquire, lock)
    assert.is_false((pcall(lock.release, lock)))
  end)

  it("that is collected while it is held does no harm (P3)", run(function()
    for _ = 1, 100 do neap.lock():acquire() end
    collectgarbage()
    collectgarbage()
    neap.checkpoint()
  end))

  it("outlives its run, free (W7)", function()
    local lock = neap.lock()
    neap.run(function() lock:with(neap.checkpoint) end)
    neap.run(function() lock:with(neap.checkpoint) end)
    assert.is_false(lock:locked())
  end)

  it("refuses wrong arguments, in its metamethods too", run(function()
    local lock = neap.lock()
    local guard = lock:acquire()
    for _, name in ipairs { "acquire", "try_acquire", "release", "locked", "with" } do
      for _, bad in ipairs { 1, {}, "x", neap.semaphore(1), guard, io.stdout } do
        assert.is_false((pcall(lock[name], bad, print)), name)
      end
      assert.is_false((pcall(lock[name])), name)
    end
    assert.is_false((pcall(guard.release, lock)))
    guard:release()
    assert.is_false((pcall(lock.with, lock)))
    assert.is_false((pcall(lock.with, lock, 5)))
    assert.is_false(lock:locked())
    for _, object in ipairs { lock, guard, neap.semaphore(1), neap.queue(1), neap.emitter(),
      neap.future(), neap.event(), neap.current() } do
      local meta = debug.getmetatable(object)
      for _, name in ipairs { "__gc", "__close", "__len", "__index", "__newindex", "__tostring" } do
        if type(meta[name]) == "function" then
          for _, bad in ipairs { 1, {}, "x", io.stdout, print } do
            pcall(meta[name], bad, "x", 1) -- may raise, must not crash
          end
          pcall(meta[name])
        end
      end
    end
  end))
end)

describe("a semaphore", function()
  it("gives n permits, then lets wait, in order (P4, W4)", run({ order = true }, function()
    local got, note = journal()
    local sem, live, most = neap.semaphore(2), 0, 0
    neap.scope(function(s)
      for i = 1, 6 do
        s:spawn(function()
          local _ <close> = sem:acquire()
          live = live + 1
          most = math.max(most, live)
          note(i)
          neap.sleep(1)
          live = live - 1
        end)
      end
    end)
    assert.are.equal(2, most)
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, got)
    assert.are.equal(2, sem:value())
  end))

  it("hands over: nobody slips in between (W4)", run({ order = true }, function()
    local sem = neap.semaphore(1)
    local guard = sem:acquire()
    local task = neap.spawn(function()
      local _ <close> = sem:acquire()
      neap.sleep(1)
    end)
    neap.checkpoint()
    guard:release()
    assert.is_false(sem:try_acquire())
    assert.is_true(sem:locked())
    task:await()
  end))

  it("is released by anybody, and a guard once (P4)", run(function()
    local sem = neap.semaphore(1)
    local guard = sem:acquire()
    neap.spawn(function() guard:release() end):await()
    guard:release()
    assert.are.equal(1, sem:value())
    sem:acquire()
    neap.spawn(sem.release, sem):await()
    assert.are.equal(1, sem:value())
  end))

  it("without max may grow; with max a release too many is invalid (P4)", run(function()
    local sem = neap.semaphore(0)
    sem:release()
    sem:release()
    assert.are.equal(2, sem:value())
    sem = neap.semaphore(1, { max = 2 })
    sem:release()
    raises("invalid", sem.release, sem)
    assert.are.equal(2, sem:value())
  end))

  it("resize wakes those who fit, and takes back what is out (P4)", run({ order = true }, function()
    local got, note = journal()
    local sem = neap.semaphore(1)
    neap.scope(function(s)
      for i = 1, 4 do
        s:spawn(function()
          local _ <close> = sem:acquire()
          note(i)
          neap.sleep(10)
        end)
      end
      neap.sleep(1)
      assert.are.same({ 1 }, got)
      sem:resize(3)
      neap.sleep(1)
      assert.are.same({ 1, 2, 3 }, got)
      sem:resize(1)
    end)
    assert.are.same({ 1, 2, 3, 4 }, got)
    assert.are.equal(1, sem:value())
    sem:resize(0)
    assert.is_false(sem:try_acquire())
    assert.is_false((pcall(sem.resize, sem, -1)))
    assert.is_false((pcall(sem.resize, sem, 1.5)))
  end))

  it("resize keeps the bound of max (P4)", run(function()
    local sem = neap.semaphore(2, { max = 2 })
    sem:resize(5)
    assert.are.equal(5, sem:value())
    raises("invalid", sem.release, sem)
  end))

  it("a cancelled waiter takes no permit (W2, W5)", run(function()
    local sem = neap.semaphore(1)
    local guard = sem:acquire()
    assert.is_false(neap.move_on_after(1, sem.acquire, sem))
    guard:release()
    assert.are.equal(1, sem:value())
  end))

  it("granted and then cancelled keeps the permit, and its guard releases (W1)", run(function()
    local sem = neap.semaphore(1)
    local guard = sem:acquire()
    local task = neap.spawn(function()
      local _ <close> = sem:acquire()
      neap.checkpoint()
    end)
    neap.checkpoint()
    guard:release()
    task:cancel()
    task:join()
    assert.are.equal(1, sem:value())
  end))

  it("with(fn, ...) releases in every case (P4)", run(function()
    local sem = neap.semaphore(1)
    assert.are.same({ n = 2, nil, 2 }, table.pack(sem:with(function(...) return ... end, nil, 2)))
    raises("mine", sem.with, sem, error, { kind = "mine" })
    assert.is_false(neap.move_on_after(1, sem.with, sem, neap.sleep, 5))
    assert.are.equal(1, sem:value())
  end))

  it("refuses wrong arguments", run(function()
    for _, bad in ipairs { -1, 1.5, "x", {}, 0 / 0, math.huge } do
      assert.is_false((pcall(neap.semaphore, bad)), tostring(bad))
    end
    assert.is_false((pcall(neap.semaphore)))
    raises("invalid", neap.semaphore, 1, { maximum = 2 })
    assert.is_false((pcall(neap.semaphore, 2, { max = 1 })))
    assert.is_false((pcall(neap.semaphore, 2, { max = -1 })))
    assert.is_false((pcall(neap.semaphore, 2, { max = "x" })))
    assert.is_false((pcall(neap.semaphore, 2, 5)))
    local sem = neap.semaphore(1)
    for _, name in ipairs { "acquire", "try_acquire", "release", "locked", "with", "value", "resize" } do
      for _, bad in ipairs { 1, {}, "x", neap.lock() } do
        assert.is_false((pcall(sem[name], bad, print)), name)
      end
    end
  end))
end)
