--- Storms of random cancellations and time limits on the primitives, each with
--- a model of its own rules: no wake-up, permit, item or failure is lost.
---
--- NEAP_STORM=n plays n seeds of each; NEAP_STORM_SEED=s plays that one.

local neap = require "neap"
local storm = require "spec.support.storm"

local SEEDS <const> = 120
local TASKS <const> = 8

--- Whole seconds; half a second later everybody waits, and `at_rest` looks.
--- Then all that still waits is cancelled, and `at_end` looks once more.
local function play(roll, seed, worker, at_rest, at_end)
  local reports = {}
  neap.run({
    clock = "virtual", shuffle = seed % 3 == 0 and seed or nil,
    on_error = function(info) reports[#reports + 1] = info end,
  }, function()
    neap.scope(function(s)
      local tasks = {}
      for i = 1, TASKS do
        tasks[i] = s:spawn(function()
          neap.sleep(roll(3) - 1)
          for round = 1, roll(6) do worker(i, round) end
        end)
      end
      neap.sleep(0.5)
      for _ = 1, 30 do
        at_rest()
        neap.sleep(0.5)
        if roll(3) == 1 then tasks[roll(TASKS)]:cancel "storm" end
        neap.sleep(0.5)
      end
      s:cancel "over"
    end)
    at_end()
  end)
  assert(#reports == 0, reports[1] and tostring(reports[1].error))
  local stats = neap.stats()
  assert(stats.tasks == 0 and stats.timers == 0 and stats.pending == 0, "something is left")
end

--- An error that is part of the play.
local function thrown() error(neap.fault.new { kind = "thrown" }, 0) end

--- fn(...), perhaps with a time limit, perhaps in a shield in one. What it
--- raises in the play is caught; what is wrong goes on.
local function perhaps_limited(roll, fn, ...)
  local how <const> = roll(4)
  local ok, err
  if how == 1 then
    ok, err = neap.pcall(neap.move_on_after, roll(4), fn, ...)
  elseif how == 2 then
    ok, err = neap.pcall(neap.move_on_after, roll(4), neap.shield, roll(3), fn, ...)
  elseif how == 3 then
    ok, err = neap.pcall(neap.timeout, roll(4), fn, ...)
  else
    ok, err = neap.pcall(fn, ...)
  end
  if not ok and not neap.is_timeout(err) and not neap.fault.is(err, "thrown") then error(err, 0) end
end

--- Counts who is in `fn`, however it is left.
local function counter()
  local self = { n = 0 }
  function self.wrap(fn, ...)
    self.n = self.n + 1
    local _ <close> = setmetatable({}, { __close = function() self.n = self.n - 1 end })
    return fn(...)
  end
  return self
end

describe("in a storm of cancellations", function()
  it("a condition loses no notification, and its lock is held after (P10, W1)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local cond, tokens, made, used, inside = neap.condition(neap.lock()), 0, 0, 0, 0
      local waiting = counter()
      local function alone()
        inside = inside + 1
        assert(inside == 1, "two have the lock")
        inside = inside - 1
        assert(cond:locked(), "nobody has the lock")
      end
      local function produce()
        local _ <close> = cond:acquire()
        alone()
        tokens, made = tokens + 1, made + 1
        if roll(4) == 1 then cond:notify_all() else cond:notify() end
      end
      local function consume()
        local _ <close> = cond:acquire()
        local ok, err = pcall(waiting.wrap, cond.wait_for, cond, function()
          alone()
          return tokens > 0
        end)
        alone() -- also when cancelled
        if not ok then error(err, 0) end
        tokens, used = tokens - 1, used + 1
        assert(tokens >= 0, "a token was used twice")
      end
      play(roll, seed, function()
        perhaps_limited(roll, roll(2) == 1 and produce or consume)
        neap.sleep(roll(3) - 1)
      end, function()
        assert(not cond:locked(), "the lock is held while all wait")
        assert(tokens == 0 or waiting.n == 0, "a waiter has missed a token")
      end, function()
        assert(made == used + tokens and not cond:locked() and waiting.n == 0)
      end)
    end)
  end)

  it("a rwlock has many readers or one writer, in their order (P12, W4)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local rw, readers, writers, came, line = neap.rwlock(), 0, 0, 0, {}
      local function hold(what)
        came = came + 1
        local me = came
        line[me] = what
        local ok, guard = pcall(rw[what], rw)
        line[me] = nil
        if not ok then error(guard, 0) end
        local _ <close> = guard
        if what == "read" then readers = readers + 1 else writers = writers + 1 end
        local _ <close> = setmetatable({}, { __close = function()
          if what == "read" then readers = readers - 1 else writers = writers - 1 end
        end })
        assert(writers == 0 or writers == 1 and readers == 0, "a writer is not alone")
        neap.sleep(roll(3) - 1)
        if roll(6) == 1 then guard:release() thrown() end
      end
      play(roll, seed, function()
        perhaps_limited(roll, hold, roll(3) == 1 and "write" or "read")
        neap.sleep(roll(3) - 1)
      end, function()
        local first = math.huge
        for at in pairs(line) do first = math.min(first, at) end
        if first == math.huge then return end
        assert(writers == 1 or line[first] == "write" and readers > 0,
          "the first in the line could go on")
      end, function()
        assert(readers == 0 and writers == 0 and next(line) == nil)
        assert(neap.move_on_after(1, function() rw:write():release() end), "it is not free at the end")
      end)
    end)
  end)

  it("a barrier lets go exactly n at a time (P11)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local n = roll(4)
      local barrier, waiting, passed, places = neap.barrier(n), counter(), 0, {}
      play(roll, seed, function()
        perhaps_limited(roll, function()
          local place = waiting.wrap(barrier.wait, barrier)
          passed = passed + 1
          places[place] = (places[place] or 0) + 1
        end)
        neap.sleep(roll(3) - 1)
      end, function()
        assert(waiting.n < n, "they are enough, and wait")
        assert(passed % n == 0, "some went, and others of them did not")
        for place = 1, n do assert((places[place] or 0) == passed // n, "a place was given twice") end
      end, function() assert(passed % n == 0 and waiting.n == 0) end)
    end)
  end)

  it("once runs in one flight until it succeeds (P13)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local flights, successes, value, tried = 0, 0, {}, 0
      local once = neap.once(function()
        tried, flights = tried + 1, flights + 1
        local _ <close> = setmetatable({}, { __close = function() flights = flights - 1 end })
        assert(flights == 1, "two flights")
        neap.sleep(roll(3) - 1)
        if roll(3) == 1 then thrown() end
        successes = successes + 1
        return value, nil
      end)
      local waiting = counter()
      play(roll, seed, function()
        perhaps_limited(roll, function()
          local got = table.pack(waiting.wrap(once))
          assert(got[1] == value and got.n == 2, "another value")
        end)
        neap.sleep(roll(3) - 1)
      end, function()
        assert(successes <= 1, "it succeeded twice")
        assert(waiting.n == 0 or flights == 1, "they wait, and nobody runs it")
      end, function() assert(flights == 0 and successes <= tried) end)
    end)
  end)

  it("a semaphore that is resized keeps its permits (P4, W4)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local size = roll(3)
      local sem, held, waiting = neap.semaphore(size), 0, counter()
      play(roll, seed, function()
        if roll(4) == 1 then
          size = roll(5) - 1
          sem:resize(size)
        end
        perhaps_limited(roll, function()
          local _ <close> = waiting.wrap(sem.acquire, sem)
          held = held + 1
          local _ <close> = setmetatable({}, { __close = function() held = held - 1 end })
          neap.sleep(roll(3) - 1)
        end)
        neap.sleep(roll(3) - 1)
      end, function()
        assert(sem:value() + held == size, "a permit was lost or made")
        assert(held >= size or waiting.n == 0, "a permit lies there, and they wait")
      end, function() assert(sem:value() == size) end)
    end)
  end)

  it("a supervisor starts again who failed, and nobody else (U1, U2)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local lives, live, ended, failed, reported = {}, {}, {}, 0, 0
      neap.run({ clock = "virtual", shuffle = seed % 3 == 0 and seed or nil, on_error = function(info)
        assert(info.what == "background" and info.error.kind == "storm")
        reported = reported + 1
      end }, function()
        local tasks, gone = {}, {}
        neap.supervisor({ restart = "on_failure", max_restarts = 10000,
          strategy = ({ "one_for_one", "one_for_all", "rest_for_one" })[roll(3)],
        }, function(s)
          for i = 1, 5 do
            lives[i], live[i] = 0, 0
            tasks[i] = s:spawn(function()
              assert(not ended[i], "one that had returned was started again")
              assert(not gone[i], "one that was cancelled was started again")
              lives[i], live[i] = lives[i] + 1, live[i] + 1
              assert(live[i] == 1, "it lives twice")
              local _ <close> = setmetatable({}, { __close = function() live[i] = live[i] - 1 end })
              if roll(3) == 1 then
                neap.spawn(neap.sleep, roll(5))
              end
              neap.sleep(roll(4) - 1)
              if roll(2) == 1 then
                failed = failed + 1
                error(neap.fault.new { kind = "storm" }, 0)
              end
            end)
          end
          for _ = 1, 6 do
            neap.sleep(1.5)
            local i = roll(5)
            if roll(3) == 1 and not tasks[i]:outcome() then
              tasks[i]:cancel()
              neap.shield(10, tasks[i].join, tasks[i])
              gone[i] = true
            end
          end
          if roll(2) == 1 then s:cancel() end
        end)
        for i = 1, 5 do
          assert(tasks[i]:outcome(), "a child is alive")
          assert(live[i] == 0, "a life has not ended")
        end
      end)
      assert(reported == failed, ("%d failures, %d reports"):format(failed, reported))
      assert(neap.stats().tasks == 0)
    end)
  end)

  it("shields and limits in each other end at the right time (C9, D1, D5)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local opened = counter()
      local function nest(depth, limit)
        opened.wrap(function()
          if depth == 0 then return neap.sleep(roll(6)) end
          local at, how = neap.now() + roll(6), roll(4)
          if how == 1 then
            local inner = math.min(limit, at)
            neap.move_on_after(at - neap.now(), nest, depth - 1, inner)
            assert(neap.now() <= inner, "it ended too late")
          elseif how == 2 then
            assert(neap.deadline() == nil or neap.deadline() <= limit)
            neap.pcall(neap.timeout, at - neap.now(), nest, depth - 1, math.min(limit, at))
            assert(neap.now() <= math.min(limit, at), "it ended too late")
          elseif how == 3 then
            neap.scope(function(s)
              s:spawn(nest, depth - 1, limit)
              nest(depth - 1, limit)
            end)
          else
            nest(depth - 1, limit)
          end
        end)
      end
      --- Shields in limits in shields: each hides what is outside, the limit
      --- of a shield too, but only for its own time.
      local function shielded(depth)
        if depth == 0 then return 0, function() neap.sleep(roll(6)) end end
        local inner, fn = shielded(depth - 1)
        local s = roll(4)
        return inner + s, function()
          opened.wrap(neap.move_on_after, roll(6), function()
            local at = neap.now()
            local ok, err = pcall(neap.shield, s, fn)
            assert(neap.now() <= at + s + inner, "a shield held too long")
            assert(ok or err.kind == "timeout" or neap.is_cancelled(err), tostring(err))
          end)
        end
      end
      play(roll, seed, function()
        nest(roll(4), math.huge)
        select(2, shielded(roll(3)))()
      end, function() end, function() assert(opened.n == 0, "something is open") end)
    end)
  end)
end)
