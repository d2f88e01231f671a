--- A timeline of a run, to be looked at: three workers share a queue and a lock,
--- and one of them computes on a thread. Writes build/trace.json.
---
---     lua5.4 examples/trace.lua [FILE]
---
--- Open the file at https://ui.perfetto.dev or in chrome://tracing.

local neap = require "neap"

local path = arg[1] or "build/trace.json"

local function compute(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 7 end
  return sum
end

local function worker(name, jobs, lock)
  neap.current().name = name
  for n in jobs:iter() do
    neap.thread.call(compute, n * 100000)
    lock:with(neap.sleep, 0.002) -- one at a time
  end
end

neap.run({ trace = path }, function()
  neap.current().name = "main"
  local jobs, lock = neap.queue(2), neap.lock()
  neap.scope(function(s)
    for i = 1, 3 do s:spawn(worker, "worker " .. i, jobs, lock) end
    for n = 1, 9 do jobs:put(n) end
    jobs:close()
  end)
  neap.move_on_after(0.005, neap.sleep, 1) -- a time limit cancels
end)

local file <close> = assert(io.open(path))
local _, events = file:read("a"):gsub("\n{", "")
print(("%s: %d events; open it at https://ui.perfetto.dev"):format(path, events))
