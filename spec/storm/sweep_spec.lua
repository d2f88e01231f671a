--- Cancelled at the first wait, at the second ..., before, in and after it:
--- every primitive and combinator. Whatever is cut leaves nothing behind, and
--- what is shared works on.

local neap = require "neap"
local test = require "neap.test"

local it <const> = test.it { clock = "virtual", timeout = 30 }

--- Sweep fn(shared); `works(shared)` afterwards, each time.
local function sweep(fn, make, works)
  local shared
  local waits = test.cancel_sweep(function()
    shared = make and make()
    fn(shared)
  end, {
    when = "all",
    after = function()
      if works then neap.timeout(100, works, shared) end
    end,
  })
  assert.is_true(waits > 0)
end

local function pair(a, b) neap.gather(a, b) end

describe("swept by cancellations,", function()
  it("a condition gives its lock back (P10)", function()
    sweep(function(cond)
      local set = false
      pair(function()
        local _ <close> = cond:acquire()
        cond:wait_for(function() return set end)
      end, function()
        neap.sleep(1)
        cond:with(function()
          set = true
          cond:notify()
        end)
      end)
    end, function() return neap.condition(neap.lock()) end, function(cond) cond:with(neap.checkpoint) end)
  end)

  it("a rwlock is free again (P12)", function()
    sweep(function(rw)
      local function hold(what)
        return function()
          local _ <close> = rw[what](rw)
          neap.sleep(1)
        end
      end
      neap.gather(hold "read", hold "write", hold "read", hold "write")
    end, neap.rwlock, function(rw) rw:write():release() end)
  end)

  it("a barrier counts nobody who has left (P11)", function()
    sweep(function(barrier)
      pair(function() barrier:wait() end, function()
        neap.sleep(1)
        barrier:wait()
      end)
    end, function() return neap.barrier(2) end, function(barrier)
      pair(function() barrier:wait() end, function() barrier:wait() end)
    end)
  end)

  it("once may be tried again (P13)", function()
    sweep(function(once)
      pair(once, once)
    end, function()
      return neap.once(function()
        neap.sleep(1)
        return 7
      end)
    end, function(once) assert.are.equal(7, once()) end)
  end)

  it("select takes nothing it does not give (G11)", function()
    sweep(function(q)
      pair(function()
        for _ = 1, 2 do neap.select { q:on_get(), neap.after(9) } end
      end, function()
        q:put(1)
        neap.sleep(1)
        q:put(2)
      end)
    end, function() return neap.queue(0) end, function(q) assert.are.equal(0, #q) end)
  end)

  it("other queues work on (P16)", function()
    for _, make in ipairs { neap.lifo, neap.priority_queue } do
      sweep(function(q)
        pair(function()
          for i = 1, 3 do q:put(i) end
        end, function()
          for _ = 1, 3 do
            neap.sleep(1)
            q:get()
          end
        end)
      end, function() return make(1) end, function(q)
        while q:try_get() do end
        q:put(1)
        assert.are.equal(1, q:get())
      end)
    end
  end)

  it("a broadcast waits for nobody who has left (P17)", function()
    sweep(function(b)
      local sub <close> = b:subscribe()
      pair(function()
        for i = 1, 3 do b:put(i) end
      end, function()
        for _ = 1, 3 do
          neap.sleep(1)
          sub:get()
        end
      end)
    end, function() return neap.broadcast(1) end, function(b)
      b:put "nobody hears it"
      b:put "nor that"
    end)
  end)

  it("workers mark what they took as done (P14)", function()
    sweep(function(q)
      pair(function() q:consume(2, function() neap.sleep(1) end) end, function()
        local p <close> = q:producer()
        for i = 1, 3 do p:put(i) end
      end)
    end, function() return neap.queue(1) end, function(q)
      q:close(nil, { discard = true })
      q:join()
    end)
  end)

  it("a supervisor ends all its children (U2, U3)", function()
    for _, strategy in ipairs { "one_for_one", "one_for_all", "rest_for_one" } do
      sweep(function()
        neap.supervisor({ restart = "always", strategy = strategy, max_restarts = 100 }, function(s)
          for i = 1, 3 do s:spawn(neap.sleep, i) end
          neap.sleep(4)
          s:cancel()
        end)
      end)
    end
  end)

  it("iterators are closed (I3, I9, I10, G9, G10)", function()
    local function numbers(yield)
      for i = 1, 3 do
        neap.sleep(1)
        yield(i)
      end
    end
    local function slow(i)
      neap.sleep(1)
      return i
    end
    local makers = {
      function() return neap.gen(numbers) end,
      function() return neap.stream(numbers, { buffer = 1 }) end,
      function() return neap.imap({ 1, 2, 3 }, slow, { concurrency = 2 }) end,
      function() return neap.imap({ 1, 2, 3 }, slow, { concurrency = 2, ordered = false }) end,
      function() return neap.as_completed { function() return slow(1) end, function() return slow(2) end } end,
      function() return neap.iter(neap.stream(numbers)):map(slow):take(2) end,
      function() return neap.iter(neap.stream(numbers)):merge(neap.stream(numbers)) end,
    }
    for _, make in ipairs(makers) do
      sweep(function()
        local items <close> = make()
        for _ in items do neap.checkpoint() end
      end)
    end
  end)

  it("combinators leave nobody running (G6, G7, G8)", function()
    local function one() neap.sleep(1) return 1 end
    local function two() neap.sleep(2) return 2 end
    sweep(function() neap.race { one, two } end)
    sweep(function() neap.any { one, two } end)
    sweep(function() neap.settle { one, two } end)
    sweep(function() neap.all { one, two } end)
    sweep(function() neap.map({ 1, 2, 3 }, one, { concurrency = 2, timeout = 5 }) end)
    sweep(function() neap.wait({ neap.spawn(one), neap.spawn(two) }, { when = "first" }) end)
    sweep(function()
      neap.scope(function(s)
        s:start(function(started)
          neap.sleep(1)
          started(1)
          neap.sleep(1)
        end)
      end)
    end)
  end)

  it("limits, shields and clean-up end (C9, C10, D8)", function()
    sweep(function()
      neap.move_on_after(3, function()
        local _ <close> = neap.defer(function() neap.sleep(1) end)
        neap.shield(2, neap.sleep, 1)
        neap.timeout(5, neap.sleep, 1)
      end)
    end)
  end)
end)
