--- What is left behind: counters of the runtime and listeners of emitters,
--- now and before.

local core = require "neap.core"
local compare = require "neap.test.compare"
local options = require "neap.options"

local kit = core.testkit

local leaks = {}

-- In the order of a report. `pending`: waits for I/O.
local COUNTERS <const> = { "tasks", "timers", "pending", "handles" }

--- What can be left out by name: `leaks = { handles = false }`.
leaks.CATEGORIES = {
  tasks = "boolean", timers = "boolean", pending = "boolean",
  handles = "boolean", listeners = "boolean", reports = "boolean",
  patches = "boolean",
}

--- A validator for an option `leaks`.
---@param v any
---@return string|nil
function leaks.complaint(v)
  if type(v) == "boolean" then return nil end
  if type(v) ~= "table" then return "must be a boolean or a table" end
  options.check("option 'leaks'", v, leaks.CATEGORIES)
end

---@class neap.test.Snapshot
---@field stats table<string, integer>
---@field listeners table<any, integer>  by emitter; those that there were

--- The state of things. Emitters that come later are their test's own.
---@return neap.test.Snapshot
function leaks.snapshot()
  local listeners = setmetatable({}, { __mode = "k" })
  for emitter in pairs(kit.emitters()) do
    listeners[emitter] = emitter:count()
  end
  return { stats = core.stats(), listeners = listeners }
end

-- What was there after the last collection and is there to stay: a server
-- that the whole suite uses, for example.
local settled = { handles = 0, timers = 0 }

--- A snapshot that garbage of earlier tests does not falsify. To collect costs
--- a tenth of a second in a large suite: only where there is more than before.
---@return neap.test.Snapshot
function leaks.clean_snapshot()
  local stats = core.stats()
  if stats.handles > settled.handles or stats.timers > settled.timers then
    collectgarbage()
    collectgarbage()
    stats = core.stats()
  end
  settled.handles, settled.timers = stats.handles, stats.timers
  return leaks.snapshot()
end

local function events_of(emitter)
  local names = {}
  if not emitter.names then return "" end
  for _, name in ipairs(emitter:names()) do
    names[#names + 1] = compare.show(name)
  end
  return " (events there: " .. table.concat(names, ", ") .. ")"
end

local function add_listeners(lines, before)
  for emitter, count in pairs(before.listeners) do
    local more = emitter:count() - count
    if more > 0 then
      lines[#lines + 1] = ("%d %s on an emitter that was there before%s")
        :format(more, more == 1 and "listener" or "listeners",
          events_of(emitter))
    end
  end
end

local NOUN <const> = {
  tasks = { "task", "tasks" }, timers = { "timer", "timers" },
  pending = { "wait for I/O", "waits for I/O" },
  handles = { "handle", "handles" },
}

--- Lines about what there is more of than before.
---@param before neap.test.Snapshot
---@param skip table<string, boolean>  categories that do not matter
---@return string[]
function leaks.since(before, skip)
  local lines, now = {}, core.stats()
  for _, name in ipairs(COUNTERS) do
    local more = now[name] - before.stats[name]
    if more > 0 and not skip[name] then
      lines[#lines + 1] = ("%d %s"):format(more,
        NOUN[name][more == 1 and 1 or 2])
    end
  end
  if not skip.listeners then add_listeners(lines, before) end
  return lines
end

--- The set of categories that an option `leaks` leaves out.
---@param option nil|boolean|table<string, boolean>
---@return table<string, boolean>
function leaks.skipped(option)
  local skip = {}
  for name in pairs(leaks.CATEGORIES) do
    if option == false or (type(option) == "table" and option[name] == false)
    then
      skip[name] = true
    end
  end
  return skip
end

--- One line for a task: its name, what it waits for, where.
---@param task neap.Task
---@return string
function leaks.describe(task)
  local trace = task:traceback()
  return tostring(task) .. (trace and "\n" .. trace or "")
end

return leaks
