--- A pool of workers: many jobs, a few at a time, some of which fail or take too
--- long. First with a queue, which takes jobs as they come; then with a list,
--- which is less to write. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/worker_pool.lua

local neap = require "neap"

local WORKERS <const> = 4
local JOBS <const> = 20

local busy, busiest = 0, 0

--- One job. Every seventh one is bad, every ninth one hangs.
local function work(n)
  busy = busy + 1
  busiest = math.max(busiest, busy)
  local _ <close> = setmetatable({}, { __close = function() busy = busy - 1 end })
  if n % 7 == 0 then
    neap.fault.raise { kind = "bad_job", message = "no such order: " .. n }
  end
  neap.sleep(n % 9 == 0 and 60 or 0.01)
  return n * n
end

local function limited(n) return neap.timeout(0.5, work, n) end

local function with_a_queue()
  local jobs, results, failed = neap.queue(WORKERS), {}, {}
  neap.scope(function(s)
    s:spawn(function() -- jobs come from somewhere
      for n = 1, JOBS do jobs:put(n) end
      jobs:close()
    end)
    jobs:consume(WORKERS, function(n) results[n] = limited(n) end, {
      on_error = function(err, n) failed[n] = err.kind end,
    })
  end)

  local done, kinds = 0, {}
  for n = 1, JOBS do
    if results[n] then done = done + 1 end
    if failed[n] then kinds[failed[n]] = (kinds[failed[n]] or 0) + 1 end
  end
  print(("queue: %d of %d jobs done; %d bad, %d took too long"):format(done, JOBS,
    kinds.bad_job or 0, kinds.timeout or 0))
  print(("never more than %d at work"):format(busiest))
end

local function with_a_list()
  local list = {}
  for n = 1, JOBS do list[n] = n end
  local outcomes = neap.map(list, work,
    { concurrency = WORKERS, timeout = 0.5, errors = "collect" })
  for n, outcome in ipairs(outcomes) do
    if not outcome.ok then print(("list: job %d: %s"):format(n, outcome.err)) end
  end
end

neap.run(function()
  with_a_queue()
  with_a_list()
end)
