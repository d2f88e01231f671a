--- A service that stops in good order: it takes jobs and works on them; told to
--- stop by SIGTERM or Ctrl-C it takes no more, finishes what it has taken within
--- a limit, closes what is open, and ends. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/service.lua          stops itself after half a second
---   lua5.4 examples/service.lua --serve  goes on until it is told to stop

local neap = require "neap"

local SERVE <const> = arg and arg[1] == "--serve"
local WORKERS <const> = 3
local PATIENCE <const> = 10 -- seconds for what was taken

local function say(text) print(("[%s] %s"):format(SERVE and os.date "%X" or "service", text)) end

local taken, finished = 0, 0

local function handle(job)
  neap.timeout(5, neap.sleep, 0.03) -- the work
  if job % 10 == 0 then error("job " .. job .. " makes no sense", 0) end
end

--- Runs as a background task: the end of main does not cancel it, so that what
--- was taken is finished. It ends when the queue is closed and empty.
local function work(jobs)
  for job in jobs:iter() do
    local ok, err = neap.pcall(handle, job)
    if not ok then say("failed: " .. tostring(err)) end
    finished = finished + 1
  end
end

--- What a socket or a table of jobs would be: a job now and then.
local function listen(jobs)
  while true do
    neap.sleep(0.01)
    local job = taken + 1
    jobs:put(job) -- waits when the workers fall behind
    taken = job
  end
end

local function service()
  local jobs, workers = neap.queue(WORKERS), {}

  -- However this function is left, by a signal or by an error:
  local _ <close> = neap.defer(function()
    say(("stopping: %s"):format(taken > finished and "jobs are under way" or "idle"))
    jobs:close()
    for _, worker in ipairs(workers) do worker:join() end
    say(("every job that was taken is finished: %s"):format(
      taken == finished and "yes" or "no"))
  end, { timeout = PATIENCE })

  for i = 1, WORKERS do workers[i] = neap.background(work, jobs) end
  neap.at_exit(function() say "the last thing: closing the log" end)

  say(("serving with %d workers; stop it with Ctrl-C"):format(WORKERS))
  if not SERVE then
    neap.background(function()
      neap.sleep(0.5)
      os.execute "kill -TERM $PPID" -- as the one who operates it would
    end)
  end
  listen(jobs)
end

local options = { grace = PATIENCE }
if SERVE then
  neap.run(options, service) -- ends by the signal: a shell sees 130 or 143
end

-- To end this example with status 0, the signal becomes an error.
options.signals = "raise"
local ok, err = pcall(neap.run, options, service)
if ok or not neap.fault.is(err, "interrupted") then error(err, 0) end
say("ended by signal " .. err.signal)
