--- Work for a processor, on threads, while tasks go on: primes counted in four
--- pieces, an error that comes back with both tracebacks, a search that is
--- told to stop. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/thread.lua

local neap = require "neap"

--- Runs in another Lua state: everything it needs is an argument.
local function count_primes(from, to)
  local n = 0
  for i = math.max(from, 2), to do
    local prime = true
    for d = 2, math.floor(math.sqrt(i)) do
      if i % d == 0 then
        prime = false
        break
      end
    end
    if prime then n = n + 1 end
  end
  return { from = from, to = to, primes = n }
end

neap.run(function()
  -- Meanwhile this task is not held up.
  local ticks = 0
  local ticker = neap.spawn(function()
    while true do
      neap.sleep(0.005)
      ticks = ticks + 1
    end
  end)

  local pieces = {}
  for i = 0, 3 do pieces[i + 1] = { 100000 * i + 1, 100000 * (i + 1) } end
  local counts = neap.map(pieces, function(piece)
    return neap.thread.call(count_primes, piece[1], piece[2])
  end)
  ticker:cancel()

  local sum = 0
  for _, count in ipairs(counts) do
    print(("%6d to %6d: %5d primes"):format(count.from, count.to, count.primes))
    sum = sum + count.primes
  end
  print(("%d primes in all; the tasks went on: %s"):format(sum, ticks > 0))

  -- An error comes back as it was, with the traceback of both threads.
  local ok, err = pcall(neap.thread.call, function(path)
    local fault = require("neap").fault
    local file, message = io.open(path)
    if not file then fault.raise { kind = "io", message = message } end
    return file:read "a"
  end, "/no/such/file")
  print(ok, err)
  print((err.traceback:gsub("\n.*\nin a thread", "\n\t...\nin a thread"):gsub("from\n.*", "from ...")))

  -- What runs cannot be stopped, but it can be asked to.
  print(neap.timeout(0.05, neap.thread.call, function()
    local n = 0
    while not neap_thread_cancelled() do n = n + 1 end
    return n > 0 and "stopped early" or "not begun"
  end))
end)
