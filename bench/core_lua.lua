--- The core's rows in bare Lua: what a scheduler is built from, and nothing
--- more. Usage: core_lua.lua ROW N [M]

local meter = require "bench.meter"

local rows = {}

function rows.switch(n, tasks)
  local yield, resume, per = coroutine.yield, coroutine.resume, n // tasks
  local threads = {}
  for i = 1, tasks do
    threads[i] = coroutine.create(function() for _ = 1, per do yield() end end)
  end
  meter.start()
  for _ = 1, per do
    for i = 1, tasks do resume(threads[i]) end
  end
  meter.stop(per * tasks)
end

--- A C method that checks its userdata and returns.
function rows.satisfied(n)
  local object = meter.object()
  meter.start()
  for _ = 1, n do object:touch() end
  meter.stop(n)
end

function rows.parked(n)
  local yield = coroutine.yield
  local threads = {}
  local function body() yield() end
  collectgarbage()
  local base = meter.resident()
  meter.start()
  for i = 1, n do
    threads[i] = coroutine.create(body)
    coroutine.resume(threads[i])
  end
  collectgarbage()
  meter.stop(n, { bytes = meter.resident() - base })
end

--- A table of functions, called in turn.
function rows.emit(n)
  local sum = 0
  local listeners = { tick = { function(x) sum = sum + x end } }
  meter.start()
  for _ = 1, n do
    local list = listeners.tick
    for i = 1, #list do list[i](1) end
  end
  meter.stop(n)
  assert(sum == n)
end

--- For the scale series: n coroutines alive at once, each resumed three times.
function rows.scale_tasks(n)
  local yield, resume = coroutine.yield, coroutine.resume
  local threads = {}
  local function body() yield() yield() end
  meter.start()
  for i = 1, n do threads[i] = coroutine.create(body) end
  for _ = 1, 3 do
    for i = 1, n do resume(threads[i]) end
  end
  meter.stop(n)
end

meter.main(rows)
