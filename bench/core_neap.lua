--- The core's rows, on neap. Usage: core_neap.lua ROW N [M]

local meter = require "bench.meter"
local neap = require "neap"

local rows = {}

--- n switches in all, over `tasks` tasks.
function rows.switch(n, tasks)
  local sleep, per = neap.sleep, n // tasks
  neap.run(function()
    neap.scope(function(s)
      for _ = 1, tasks do
        s:spawn(function() for _ = 1, per do sleep(0) end end)
      end
      meter.start()
    end)
    meter.stop(per * tasks)
  end)
end

function rows.spawn(n)
  local spawn = neap.spawn
  local function body(x) return x end
  neap.run(function()
    meter.start()
    for i = 1, n do spawn(body, i):await() end
    meter.stop(n)
  end)
end

--- A wait that is already satisfied.
function rows.satisfied(n)
  neap.run(function()
    local event = neap.event()
    event:set()
    meter.start()
    for _ = 1, n do event:wait() end
    meter.stop(n)
  end)
end

--- n tasks asleep at once, their ends spread over a second.
function rows.sleepers(n)
  local sleep = neap.sleep
  neap.run(function()
    local base = meter.resident()
    meter.start()
    neap.scope(function(s)
      for i = 1, n do s:spawn(sleep, 0.5 + i * 7919 % 1000 / 1000) end
    end)
    meter.stop(n, { bytes = meter.peak() - base })
  end)
end

--- n tasks parked on one event, their handles kept; then all are woken.
function rows.parked(n)
  neap.run(function()
    local event, tasks = neap.event(), {}
    local function body() event:wait() end
    collectgarbage()
    local base = meter.resident()
    meter.start()
    neap.scope(function(s)
      for i = 1, n do tasks[i] = s:spawn(body) end
      neap.checkpoint()
      neap.checkpoint()
      collectgarbage()
      local bytes = meter.resident() - base
      event:set()
      meter.stop(n, { bytes = bytes })
    end)
    assert(tasks[n]:status() == "done")
  end)
end

function rows.emit(n)
  neap.run(function()
    local sum = 0
    local emitter = neap.emitter()
    emitter:on("tick", function(x) sum = sum + x end)
    meter.start()
    for _ = 1, n do emitter:emit("tick", 1) end
    meter.stop(n)
    assert(sum == n)
  end)
end

-- Scale series: the whole of n, so that a straight line has slope 1.

--- Start n tasks; each gives way twice and ends.
function rows.scale_tasks(n)
  local function body() neap.sleep(0) neap.sleep(0) end
  neap.run(function()
    meter.start()
    neap.scope(function(s) for _ = 1, n do s:spawn(body) end end)
    meter.stop(n)
  end)
end

--- n deadlines set, and as many reached.
function rows.scale_timers(n)
  neap.run({ clock = "virtual" }, function()
    meter.start()
    neap.scope(function(s)
      for i = 1, n do s:spawn(neap.sleep, 1 + i * 7919 % 100003 / 1000) end
    end)
    meter.stop(n)
  end)
end

--- n tasks wait for one event.
function rows.scale_waiters(n)
  neap.run(function()
    local event = neap.event()
    meter.start()
    neap.scope(function(s)
      for _ = 1, n do s:spawn(event.wait, event) end
      neap.sleep(0)
      event:set()
    end)
    meter.stop(n)
  end)
end

--- n listeners added to one event, and one emit to them.
function rows.scale_listeners(n)
  neap.run(function()
    local sum = 0
    local emitter = neap.emitter { max_listeners = 0 }
    local function listen(x) sum = sum + x end
    meter.start()
    for _ = 1, n do emitter:on("tick", listen) end
    emitter:emit("tick", 1)
    meter.stop(n)
    assert(sum == n)
  end)
end

meter.main(rows)
