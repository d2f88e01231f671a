--- Every primitive and combinator cancelled at every wait, in every way, with
--- others on its other side: nothing is left, nothing is lost.

local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual", timeout = 30 }

local ALL <const> = { when = "all" }

--- Sweep `fn` while `other` runs beside it, once in the task that is cancelled
--- and once outside of it.
local function sweep_with(other, fn, after)
  local opts = { when = "all", after = after }
  local inside = test.cancel_sweep(function()
    neap.scope({ on_exit = "cancel" }, function(s)
      s:spawn(other)
      fn()
    end)
  end, opts)
  neap.scope(function(s)
    local task = s:spawn(function() while true do other() neap.sleep(0.1) end end)
    local outside = test.cancel_sweep(fn, opts)
    assert.is_true(inside > 1 and outside > 0)
    task:cancel()
  end)
end

--- Can it be had right now, by somebody else?
local function free(fn)
  assert.is_true((neap.move_on_after(0.5, fn)), "it is not free")
end

describe("cancelled at every wait,", function()
  it("a lock is free again", function()
    local lock = neap.lock()
    sweep_with(function() lock:with(neap.sleep, 1) end, function()
      for _ = 1, 2 do
        local _ <close> = lock:acquire()
        neap.sleep(1)
      end
    end)
    free(function() lock:with(function() end) end)
  end)

  it("a semaphore has its permits", function()
    local semaphore = neap.semaphore(2)
    sweep_with(function()
      neap.gather(
        function() semaphore:with(neap.sleep, 1) end,
        function() semaphore:with(neap.sleep, 2) end)
    end, function()
      semaphore:with(neap.sleep, 1)
      neap.gather(
        function() semaphore:with(neap.sleep, 1) end,
        function() semaphore:with(neap.sleep, 1) end)
    end)
    assert.equal(2, semaphore:value())
  end)

  it("a condition has its lock, and its waiters are not forgotten", function()
    local lock = neap.lock()
    local condition = neap.condition(lock)
    local items = 0
    sweep_with(function()
      local _ <close> = lock:acquire()
      items = items + 1
      condition:notify()
      neap.sleep(0.5)
    end, function()
      local _ <close> = lock:acquire()
      condition:wait_for(function() return items > 0 end)
      items = items - 1
      neap.sleep(1)
    end)
    free(function() lock:with(function() end) end)
  end)

  it("a barrier counts only those who came", function()
    local barrier = neap.barrier(2)
    test.cancel_sweep(function()
      neap.gather(
        function() neap.sleep(1) barrier:wait() barrier:wait() end,
        function() barrier:wait() neap.sleep(1) barrier:wait() end)
    end, {
      when = "all",
      after = function()
        assert.is_false((neap.move_on_after(1, barrier.wait, barrier)))
      end,
    })
  end)

  it("a rwlock is free again", function()
    local lock = neap.rwlock()
    local function with(kind, seconds)
      local _ <close> = lock[kind](lock)
      neap.sleep(seconds)
    end
    sweep_with(function()
      with("read", 1)
      with("write", 1)
    end, function()
      neap.gather(
        function() with("read", 1) end,
        function() with("write", 1) end,
        function() with("read", 2) end)
    end)
    free(function() with("write", 0) end)
  end)

  it("a queue loses nothing", function()
    for _, capacity in ipairs { 0, 1, 2 } do
      local queue, put, got = neap.queue(capacity), 0, 0
      sweep_with(function()
        for _ = 1, 3 do
          queue:put(1)
          put = put + 1
        end
      end, function()
        for _ = 1, 3 do
          queue:get()
          got = got + 1
        end
      end, function()
        test.settle()
        while queue:try_get() do
          got = got + 1
          test.settle()
        end
        assert.equal(put, got)
      end)
    end
  end)

  it("a queue takes nothing that was not put", function()
    for _, capacity in ipairs { 0, 1 } do
      local queue, put, got = neap.queue(capacity), 0, 0
      sweep_with(function()
        for _ = 1, 3 do
          queue:get()
          got = got + 1
        end
      end, function()
        for _ = 1, 3 do
          queue:put(1)
          put = put + 1
        end
      end, function()
        test.settle()
        while queue:try_get() do
          got = got + 1
          test.settle()
        end
        assert.equal(put, got)
      end)
    end
  end)

  it("a select commits to one or none", function()
    local a, b, event = neap.queue(0), neap.queue(1), neap.event()
    local put, got = 0, 0
    sweep_with(function()
      a:put(1)
      put = put + 1
      b:put(1)
      put = put + 1
      event:set()
    end, function()
      for _ = 1, 3 do
        local i = neap.select { a:on_get(), b:on_get(), event:on_wait() }
        if i < 3 then got = got + 1 end
      end
    end, function()
      test.settle()
      while a:try_get() or b:try_get() do
        got = got + 1
        test.settle()
      end
      assert.equal(put, got)
      event:clear()
    end)
  end)

  it("an event and a future wake whom they wake", function()
    test.cancel_sweep(function()
      local event, future = neap.event(), neap.future()
      neap.gather(
        function() neap.sleep(1) event:set() neap.sleep(1) future:set(1) end,
        function() event:wait() assert(future:await() == 1) end,
        function() assert(future:await() == 1) event:wait() end)
    end, ALL)
  end)

  it("once is one flight, and free for the next", function()
    local flights, landed = 0, 0
    test.cancel_sweep(function()
      local get = neap.once(function()
        flights = flights + 1
        neap.sleep(1)
        landed = landed + 1
        return "x"
      end)
      local a, b = neap.gather(get, get)
      assert(a == "x" and b == "x")
    end, ALL)
    assert.is_true(flights >= landed and landed > 0)
  end)

  it("combinators leave no one behind", function()
    local alive = 0
    local function work(seconds, fails)
      return function()
        alive = alive + 1
        local _ <close> = setmetatable({}, { __close = function() alive = alive - 1 end })
        neap.sleep(seconds)
        neap.sleep(seconds)
        if fails then error "on purpose" end
        return seconds
      end
    end
    local function check() assert.equal(0, alive) end
    local opts = { when = "all", after = check }
    -- A failure that its cancelled caller cannot take is reported.
    local unread = { when = "all", after = check, leaks = { reports = false } }
    test.cancel_sweep(function() neap.gather(work(1), work(2), work(3)) end, opts)
    test.cancel_sweep(function() neap.all { work(1), work(2) } end, opts)
    test.cancel_sweep(function() neap.settle { work(1), work(2, true), work(3) } end, unread)
    test.cancel_sweep(function() neap.race { work(2), work(1) } end, opts)
    test.cancel_sweep(function() neap.any { work(1, true), work(2), work(3) } end, unread)
    test.cancel_sweep(function()
      neap.map({ 1, 2, 3, 4 }, function(s) return work(s)() end, { concurrency = 2 })
    end, opts)
    test.cancel_sweep(function()
      for v in neap.as_completed { work(2), work(1) } do assert(v) end
    end, opts)
    test.cancel_sweep(function()
      for v in neap.imap({ 1, 2, 3 }, function(s) return work(s)() end, { concurrency = 2 }) do assert(v) end
    end, opts)
    test.cancel_sweep(function()
      pcall(neap.timeout, 1.5, work(1))
      neap.move_on_after(1.5, work(1))
      neap.shield(5, work(1))
    end, opts)
    test.cancel_sweep(function()
      local tasks = { neap.spawn(work(1)), neap.spawn(work(2)) }
      neap.wait(tasks, { when = "first" })
      tasks[2]:await()
    end, opts)
  end)

  it("generators and streams are closed", function()
    local open = 0
    local function body(yield)
      open = open + 1
      local _ <close> = neap.defer(function() neap.sleep(0.1) open = open - 1 end)
      for i = 1, 3 do
        neap.sleep(1)
        yield(i)
      end
    end
    local opts = { when = "all", after = function() assert.equal(0, open) end }
    for _, make in ipairs { neap.gen, neap.stream } do
      test.cancel_sweep(function()
        for i in make(body) do
          neap.sleep(1)
          if i == 2 then break end
        end
      end, opts)
      test.cancel_sweep(function()
        for _ in make(body) do neap.sleep(1) end
      end, opts)
    end
  end)

  it("a supervisor ends its children", function()
    local alive = 0
    test.cancel_sweep(function()
      neap.supervisor(function(s)
        for i = 1, 2 do
          s:spawn(function()
            alive = alive + 1
            local _ <close> = neap.defer(function() alive = alive - 1 end)
            neap.sleep(i)
          end)
        end
        neap.sleep(1)
      end)
    end, { when = "all", after = function() assert.equal(0, alive) end })
  end)

  it("an emit waits for its listeners, and hears no more", function()
    local em, inside = neap.emitter(), 0
    local function listen()
      inside = inside + 1
      local _ <close> = setmetatable({}, { __close = function() inside = inside - 1 end })
      neap.sleep(1)
      neap.sleep(1)
    end
    local one <close> = em:on("x", listen)
    local two <close> = em:on("x", listen)
    assert.is_true(one ~= two)
    sweep_with(function() neap.sleep(0.5) em:emit("y", 1) end, function()
      neap.gather(
        function() em:emit "x" end,
        function() em:wait_for "y" end)
    end, function() assert.equal(2, em:count()) end)
    assert.equal(0, inside)
  end)

  it("a bounded scope comes to its end", function()
    test.cancel_sweep(function()
      neap.scope({ max = 2 }, function(s)
        for _ = 1, 4 do s:spawn(neap.sleep, 1) end
      end)
    end, ALL)
  end)
end)

describe("one who is cancelled and has not run yet", function()
  local function waiting(fn)
    local task = neap.spawn(fn)
    test.settle()
    assert.equal("waiting", task:status())
    return task
  end

  it("hands a notification on", function()
    local condition = neap.condition()
    local function wait()
      local _ <close> = condition:acquire()
      condition:wait()
    end
    local first, second = waiting(wait), waiting(wait)
    first:cancel()
    condition:notify()
    test.settle()
    assert.same({ "cancelled", "done" }, { first:status(), second:status() })
  end)

  it("has not come to a barrier", function()
    local barrier = neap.barrier(3)
    local first = waiting(function() barrier:wait() end)
    local second = waiting(function() barrier:wait() end)
    first:cancel()
    assert.is_false((neap.move_on_after(1, barrier.wait, barrier)))
    assert.same({ "cancelled", "waiting" }, { first:status(), second:status() })
    neap.gather(function() barrier:wait() end, function() barrier:wait() end)
    test.settle()
    assert.equal("done", second:status())
  end)

  it("does not keep a rwlock", function()
    local lock = neap.rwlock()
    local writer = lock:write()
    local reader = waiting(function() local _ <close> = lock:read() end)
    reader:cancel()
    writer.release()
    test.settle()
    assert.equal("cancelled", reader:status())
    free(function() local _ <close> = lock:write() end)
  end)
end)
