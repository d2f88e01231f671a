--- Storms: random programs of many tasks that spawn, cancel, put, get, lock,
--- emit, fail and time out. Whatever happens, nothing may be lost or doubled,
--- every task ends and the counters return to zero.
---
--- NEAP_STORM=n runs n seeds of each; NEAP_STORM_SEED=s runs that one.

local neap = require "neap"

local SEEDS <const> = tonumber(os.getenv "NEAP_STORM") or 150
local ONLY <const> = tonumber(os.getenv "NEAP_STORM_SEED")

--- A generator of its own (Park and Miller 1988), for repeatable storms.
local function dice(seed)
  local state = seed * 7919 % 2147483647 + 1
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

local function storm(seed)
  local roll = dice(seed)
  local queues = { neap.queue(0), neap.queue(1), neap.queue(5), neap.queue(math.huge) }
  local locks, sems, events = {}, {}, {}
  for i = 1, 3 do
    locks[i] = neap.lock()
    sems[i] = neap.semaphore(i, { max = i })
    events[i] = neap.event()
  end
  local em = neap.emitter { errors = seed % 2 == 0 and "raise" or "report" }
  local put, got, held, tasks, next_item = {}, {}, {}, {}, 0
  local live, begun, opened, closed = 0, 0, 0, 0
  local pick = function(list) return list[roll(#list)] end

  local function resource()
    opened = opened + 1
    return setmetatable({}, { __close = function() closed = closed + 1 end })
  end

  local act

  local function body(depth)
    begun, live = begun + 1, live + 1
    local _ <close> = setmetatable({}, { __close = function() live = live - 1 end })
    for _ = 1, roll(6) do act(depth) end
    return depth
  end

  local function remember(task)
    tasks[#tasks + 1] = task
    return task
  end

  em:on("x", function()
    local _ <close> = resource()
    if roll(3) == 1 then neap.sleep(roll(3)) end
    if roll(8) == 1 then error { kind = "storm" } end
  end)
  em:on("x", function() act(99) end)

  local acts = {
    function() neap.sleep(roll(5) - 1) end,
    function() neap.checkpoint() end,
    function() -- put
      local q = pick(queues)
      next_item = next_item + 1
      local item = next_item
      if roll(2) == 1 then
        neap.move_on_after(roll(4), function()
          q:put(item)
          put[item] = true
        end)
      elseif q:try_put(item) then
        put[item] = true
      end
    end,
    function() -- get
      local q = pick(queues)
      local item
      if roll(3) == 1 then
        item = q:try_get()
      elseif roll(2) == 1 then
        item = q:get { timeout = roll(4) - 1 }
      else
        neap.move_on_after(roll(4), function()
          local v = q:get()
          assert(not got[v], "an item came twice")
          got[v] = true
        end)
      end
      if item then
        assert(not got[item], "an item came twice")
        got[item] = true
      end
    end,
    function() -- lock
      local i = roll(#locks)
      neap.move_on_after(roll(6), function()
        if held[neap.current()] then return end
        local _ <close> = locks[i]:acquire()
        assert(not held[i], "two hold one lock")
        held[i], held[neap.current()] = true, true
        local me = neap.current()
        local _ <close> = setmetatable({}, { __close = function()
          held[i], held[me] = nil, nil
        end })
        neap.sleep(roll(3) - 1)
      end)
    end,
    function() -- semaphore
      neap.move_on_after(roll(6), function()
        local _ <close> = pick(sems):acquire()
        neap.sleep(roll(3) - 1)
      end)
    end,
    function(depth) -- children of a scope
      if depth > 3 then return neap.checkpoint() end
      neap.scope({ max = roll(3) == 1 and roll(3) or nil,
        on_exit = roll(3) == 1 and "cancel" or "wait" }, function(s)
        local _ <close> = resource()
        for _ = 1, roll(3) do remember(s:spawn(body, depth + 1)) end
        if roll(3) == 1 then neap.sleep(roll(4)) end
        if roll(4) == 1 then s:cancel "storm" end
        if roll(4) == 1 then s.deadline = neap.now() + roll(5) end
        if roll(3) == 1 then act(depth + 1) end
      end)
    end,
    function(depth) -- a child of the task
      if depth > 3 then return neap.checkpoint() end
      local task = remember(neap.spawn(body, depth + 1))
      if roll(3) == 1 then
        neap.move_on_after(roll(5), task.join, task)
      end
    end,
    function(depth)
      if depth < 3 then remember(neap.background(body, depth + 1)) end
    end,
    function() -- cancel somebody
      if #tasks > 0 then pick(tasks):cancel(roll(10)) end
    end,
    function(depth) -- limits
      local _ <close> = resource()
      neap.timeout(roll(8), act, depth + 1)
    end,
    function(depth)
      neap.shield(roll(8), function()
        local _ <close> = resource()
        act(depth + 1)
      end)
    end,
    function()
      local _ <close> = neap.defer(function()
        if roll(2) == 1 then neap.sleep(1) end
        if roll(9) == 1 then error { kind = "storm" } end
      end)
      neap.sleep(roll(3))
    end,
    function() -- events
      local e = pick(events)
      if roll(2) == 1 then e:set() else e:clear() end
      neap.move_on_after(roll(3), e.wait, e)
    end,
    function(depth) -- combinators
      if depth > 3 then return neap.checkpoint() end
      local fs = {}
      for i = 1, roll(3) do fs[i] = function() return body(depth + 1) end end
      if #tasks > 0 and roll(3) == 1 then
        local task = pick(tasks)
        if task:status() == "done" then fs[#fs + 1] = task end
      end
      if roll(3) == 1 then
        neap.settle(fs)
      elseif roll(2) == 1 then
        neap.gather(table.unpack(fs))
      else
        neap.map(fs, function(f) return type(f) == "function" and f() end,
          { concurrency = roll(2), errors = roll(2) == 1 and "collect" or "raise" })
      end
    end,
    function() em:emit("x", roll(10)) end,
    function() neap.move_on_after(roll(4), em.wait_for, em, "x", { filter = function(n) return n > 5 end }) end,
    function() -- a coroutine of the user's
      local gen = coroutine.wrap(function()
        neap.sleep(roll(2))
        coroutine.yield(1)
        neap.checkpoint()
      end)
      gen()
      gen()
    end,
    function() if roll(6) == 1 then error { kind = "storm" } end end,
    function() if roll(6) == 1 then error("storm", 0) end end,
    function() neap.pcall(act, 99) end,
    function() pcall(act, 99) end,
    function()
      if #tasks > 0 then
        local task = pick(tasks)
        local ok, err = neap.pcall(neap.timeout, roll(5), task.await, task)
        assert(ok or err ~= nil)
      end
    end,
    function() if roll(20) == 1 then collectgarbage "step" end end,
  }

  local calls = 0
  function act(depth)
    calls = calls + 1
    if calls > 3000 then return neap.checkpoint() end
    return pick(acts)(depth)
  end

  local unexpected = {}
  local ok, err = pcall(neap.run, {
    clock = "virtual", shuffle = seed % 3 == 0 and seed or nil, grace = 50, kill_after = 1000,
    on_error = function(info)
      local e = info.error
      local expected = e == "storm" or type(e) == "table" and (e.kind == "storm"
        or e.kind == "timeout" or e.kind == "task_cancelled" or e.kind == "deadlock")
        or info.what == "swallowed"
      if not expected then unexpected[#unexpected + 1] = info.what .. ": " .. tostring(e) end
    end,
  }, function()
    neap.timeout(2000, function()
      for _ = 1, 8 do
        remember(neap.background(body, 1))
        pcall(neap.scope, function(s)
          for _ = 1, 3 do remember(s:spawn(body, 1)) end
        end)
      end
    end)
  end)
  local where = " (seed " .. seed .. ")"
  if not ok then
    local known = err == "storm" or type(err) == "table" and (err.kind == "storm"
      or err.kind == "timeout" or err.kind == "task_cancelled")
    assert(known, tostring(err) .. where)
  end
  assert(#unexpected == 0, table.concat(unexpected, "\n") .. where)
  for _, q in ipairs(queues) do
    local item = q:try_get()
    while item do
      assert(not got[item], "an item came twice" .. where)
      got[item] = true
      item = q:try_get()
    end
  end
  for item in pairs(put) do assert(got[item], "an item was lost" .. where) end
  for item in pairs(got) do assert(put[item], "an item from nowhere" .. where) end
  for i = 1, 3 do
    assert(not locks[i]:locked(), "a lock is held" .. where)
    assert(sems[i]:value() == i, "a permit was lost" .. where)
  end
  assert(live == 0, "a body did not end" .. where)
  assert(opened == closed, "a resource was not closed" .. where)
  assert(em:count "x" == 2)
  for _, task in ipairs(tasks) do
    local status = task:status()
    assert(status == "done" or status == "failed" or status == "cancelled", status .. where)
  end
  local stats = neap.stats()
  assert(stats.tasks == 0 and stats.timers == 0 and stats.pending == 0, "something is left" .. where)
  return begun
end

describe("a storm of tasks", function()
  local function storms(n)
    local begun = 0
    for seed = ONLY or 1, ONLY or n do begun = begun + storm(seed) end
    assert.is_true(begun > 0)
  end

  it("loses nothing, and everything ends (R10, W1, W2)", function() storms(SEEDS) end)

  it("also while memory is collected all the time (R10)", function()
    local mode = collectgarbage "generational"
    storms(SEEDS // 3)
    collectgarbage "incremental"
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 10000)
    storms(SEEDS // 3)
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 100)
    collectgarbage(mode)
  end)
end)
