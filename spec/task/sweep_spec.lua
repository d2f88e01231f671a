--- Cancellation at every wait, one after another: each program is run again
--- and again, and its victim is cancelled after t seconds and k turns more,
--- for every t and k until it gets through.

local neap = require "neap"
local run = require "spec.support.run"

local STEP <const>, TURNS <const> = 0.5, 12

--- program() returns the victim's body and a check; check(status) is called
--- when the victim has ended.
local function sweep(program, horizon)
  local cancelled, through = 0, 0
  for t = 0, horizon, STEP do
    for k = 0, TURNS do
      run.now({}, function(reports)
        neap.scope(function(s)
          local body, check = program(s, reports)
          local victim = s:spawn(body)
          if t > 0 then neap.sleep(t) end
          for _ = 1, k do neap.checkpoint() end
          victim:cancel()
          victim:join()
          local status = victim:status()
          if status == "cancelled" then cancelled = cancelled + 1 end
          if status == "done" then through = through + 1 end
          assert(status ~= "failed", tostring(victim:outcome().err))
          if check then check(status) end
          s:cancel()
        end)
      end)
    end
  end
  assert.is_true(cancelled > 5, "cancelled " .. cancelled)
  assert.is_true(through > 0)
end

describe("cancelled at every wait", function()
  it("a queue loses and doubles nothing (W1, W2)", function()
    for capacity = 0, 3 do
      sweep(function(s)
        local q, put, got = neap.queue(capacity), {}, {}
        local function producer(from, to)
          for i = from, to do
            q:put(i)
            put[i] = true
            if i % 2 == 0 then neap.sleep(1) end
          end
        end
        local function consumer()
          while true do
            local item = q:get()
            assert(not got[item], "twice")
            got[item] = true
          end
        end
        s:spawn(producer, 1, 4)
        s:spawn(consumer)
        return function()
          neap.scope(function(inner)
            inner:spawn(producer, 11, 14)
            local c = inner:spawn(consumer)
            neap.sleep(2)
            c:cancel()
          end)
        end, function()
          neap.sleep(100)
          local item = q:try_get()
          while item do
            got[item] = true
            item = q:try_get()
          end
          assert.are.same(put, got)
        end
      end, 4)
    end
  end)

  it("a lock is left free and works on (W1, P3)", function()
    sweep(function(s, reports)
      local lock, inside = neap.lock(), 0
      local function worker()
        for _ = 1, 2 do
          local _ <close> = lock:acquire()
          local _ <close> = setmetatable({}, { __close = function() inside = inside - 1 end })
          inside = inside + 1
          assert(inside == 1)
          neap.sleep(0.5)
        end
        lock:with(function() neap.sleep(0.5) end)
      end
      s:spawn(worker)
      s:spawn(worker)
      return worker, function()
        assert.are.equal(true, (neap.move_on_after(100, lock.with, lock, neap.checkpoint)))
        neap.sleep(100)
        assert.is_false(lock:locked())
        assert.are.equal(0, #reports)
      end
    end, 6)
  end)

  it("a semaphore has all its permits again (W1, P4)", function()
    sweep(function(s)
      local sem = neap.semaphore(2, { max = 2 })
      local function worker()
        for _ = 1, 2 do
          local _ <close> = sem:acquire()
          neap.sleep(0.5)
        end
        sem:with(neap.sleep, 0.5)
      end
      for _ = 1, 3 do s:spawn(worker) end
      return worker, function()
        neap.sleep(100)
        assert.are.equal(2, sem:value())
      end
    end, 5)
  end)

  it("scopes, timeouts, shields and defers clean up once (C9, C10, D8)", function()
    sweep(function()
      local opened, closed = 0, 0
      local function resource()
        opened = opened + 1
        return neap.defer(function()
          neap.sleep(0.25)
          closed = closed + 1
        end)
      end
      return function()
        local _ <close> = resource()
        neap.checkpoint()
        neap.scope(function(s)
          local _ <close> = resource()
          s:spawn(function()
            local _ <close> = resource()
            neap.timeout(50, function()
              local _ <close> = resource()
              neap.sleep(1)
            end)
          end)
          neap.move_on_after(0.5, function()
            local _ <close> = resource()
            neap.sleep(10)
          end)
          neap.shield(10, function()
            local _ <close> = resource()
            neap.sleep(0.5)
          end)
        end)
        neap.scope({ on_exit = "cancel" }, function(s)
          s:spawn(function()
            local _ <close> = resource()
            neap.sleep(1000)
          end)
          neap.sleep(0.5)
        end)
      end, function() assert.are.equal(opened, closed) end
    end, 5)
  end)

  it("gather, settle and map leave nothing running (G6)", function()
    sweep(function()
      local live = 0
      local function work(s)
        return function()
          live = live + 1
          local _ <close> = setmetatable({}, { __close = function() live = live - 1 end })
          neap.sleep(s)
          neap.checkpoint()
          return s
        end
      end
      local background
      return function()
        background = neap.background(work(3))
        neap.gather(work(0.5), work(0), background)
        neap.settle { work(0.5), work(1), work(0.5) }
        neap.map({ 0.5, 1, 0, 0.5 }, function(s) work(s)() end, { concurrency = 2 })
      end, function()
        if background then background:join() end
        assert.are.equal(0, live)
      end
    end, 8)
  end)

  it("an emitter keeps its listeners and forgets its waiters (M6, W5)", function()
    sweep(function(s)
      local em, calls, ends = neap.emitter(), 0, 0
      for _ = 1, 2 do
        em:on("x", function()
          calls = calls + 1
          local _ <close> = setmetatable({}, { __close = function() ends = ends + 1 end })
          neap.sleep(0.5)
          neap.checkpoint()
        end)
      end
      s:spawn(function()
        while true do
          neap.sleep(0.75)
          em:emit "y"
        end
      end)
      return function()
        em:emit "x"
        em:wait_for "y"
        em:wait_for("y", { filter = function() return true end, timeout = 50 })
        neap.gather(function() em:emit "x" end, function() em:emit "x" end)
      end, function()
        assert.are.equal(calls, ends)
        assert.are.equal(2, em:emit "x")
        assert.are.equal(2, em:count())
      end
    end, 5)
  end)

  it("futures, events and awaits keep nobody (W5)", function()
    sweep(function(s)
      local f, e = neap.future(), neap.event()
      local task = s:spawn(neap.sleep, 1.5)
      s:spawn(function()
        neap.sleep(0.5)
        f:set(1)
        neap.sleep(0.5)
        e:set()
      end)
      return function()
        assert(f:await() == 1)
        e:wait()
        task:await()
        task:join()
        f:await()
      end, function()
        neap.sleep(10)
        assert.are.equal("done", task:status())
        assert.are.equal(1, f:await())
      end
    end, 3)
  end)

  it("bounded spawns keep their bound and their order (S8)", function()
    sweep(function(s)
      local live, most, begun = 0, 0, 0
      return function()
        neap.scope({ max = 2 }, function(inner)
          for _ = 1, 4 do
            s:spawn(function()
              local ok, err = pcall(inner.spawn, inner, function()
                begun, live = begun + 1, live + 1
                most = math.max(most, live)
                local _ <close> = setmetatable({}, { __close = function() live = live - 1 end })
                neap.sleep(0.5)
              end)
              assert(ok or err.kind == "closed" or neap.is_cancelled(err), tostring(err))
            end)
          end
          neap.sleep(0.25)
          for _ = 1, 3 do inner:spawn(neap.sleep, 0.5) end
        end)
      end, function()
        assert.are.equal(0, live)
        assert.is_true(most <= 2)
      end
    end, 5)
  end)

  it("waits inside coroutines of the user's unwind (W3)", function()
    sweep(function()
      local open = 0
      return function()
        local gen = coroutine.wrap(function()
          for i = 1, 3 do
            open = open + 1
            local _ <close> = setmetatable({}, { __close = function() open = open - 1 end })
            neap.sleep(0.5)
            coroutine.yield(i)
            neap.checkpoint()
          end
        end)
        for _ = 1, 3 do
          gen()
          neap.checkpoint()
        end
        gen()
      end, function(status)
        assert.is_true(open == 0 or status == "cancelled")
      end
    end, 3)
  end)
end)
