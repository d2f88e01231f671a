--- Does a function pass a checkpoint, does it wait?

local core = require "neap.core"

local kit = core.testkit

local checkpoints = {}

--- Call fn in the running task; returns the number of checkpoints, how often
--- the task was suspended, and fn's values packed.
local function count(what, fn, ...)
  local task = core.current()
  if not task then
    core.fault.raise {
      kind = "not_in_task", message = what .. ": not inside a task",
    }
  end
  local probe = kit.probe(task)
  local results = table.pack(pcall(fn, ...))
  local entries, waits = kit.probe_end(probe)
  if not results[1] then error(results[2], 0) end
  return entries, waits, results
end

local function values(results)
  return table.unpack(results, 2, results.n)
end

--- `fn(...)` passes at least one checkpoint. Returns its values.
---@async
function checkpoints.assert_checkpoints(fn, ...)
  local entries, _, results = count("test.assert_checkpoints", fn, ...)
  if entries == 0 then
    error("expected a checkpoint, but the function passed none", 2)
  end
  return values(results)
end

--- `fn(...)` passes no checkpoint: it could not be cancelled, and nobody else
--- ran meanwhile. Returns its values.
function checkpoints.assert_no_checkpoints(fn, ...)
  local entries, _, results = count("test.assert_no_checkpoints", fn, ...)
  if entries > 0 then
    error(("expected no checkpoint, but the function passed %d")
      :format(entries), 2)
  end
  return values(results)
end

--- `fn(...)` waits: others ran meanwhile. Returns its values.
---@async
function checkpoints.assert_suspends(fn, ...)
  local _, waits, results = count("test.assert_suspends", fn, ...)
  if waits == 0 then
    error("expected the function to wait, but it did not", 2)
  end
  return values(results)
end

return checkpoints
