--- Supervisors: scopes whose children fail alone, and may be started again
--- (Erlang's restart strategies). Failures go to `on_error` when they happen.

local core = require "neap.core"
local options = require "neap.options"

local function one_of(...)
  local names = table.pack(...)
  return function(v)
    for i = 1, names.n do if v == names[i] then return end end
    return "must be \"" .. table.concat(names, "\", \"") .. "\""
  end
end

local OPTIONS = {
  restart = one_of("never", "on_failure", "always"),
  strategy = one_of("one_for_one", "one_for_all", "rest_for_one"),
  max_restarts = "integer", within = "number", name = "string",
}

---@class neap.Supervisor
local Supervisor = {}
Supervisor.__name = "neap.supervisor"

function Supervisor.__index(self, key)
  local method = Supervisor[key]
  if method ~= nil then return method end
  return rawget(self, "scope")[key]
end

function Supervisor.__newindex(self, key, value)
  rawget(self, "scope")[key] = value
end

--- Cancel all children; none is started again.
function Supervisor:cancel(reason)
  rawset(self, "over", true)
  return rawget(self, "scope"):cancel(reason)
end

--- More restarts than allowed: the supervisor itself fails.
local function exhausted(self, out)
  local now, times = core.now(), rawget(self, "times")
  times[#times + 1] = now
  while times[1] and times[1] < now - rawget(self, "within") do
    table.remove(times, 1)
  end
  if #times <= rawget(self, "max_restarts") then return false end
  local err = out[2]
  if out[1] then
    err = core.fault.new {
      kind = "broken",
      message = "neap.supervisor: a child that returns was started more than " ..
        rawget(self, "max_restarts") .. " times again",
    }
  end
  rawset(self, "failure", { err })
  self:cancel("too many restarts")
  return true
end

--- The children that go down with `child`.
local function companions(self, child)
  local strategy, list = rawget(self, "strategy"), {}
  if strategy == "one_for_one" then return list end
  for _, other in ipairs(rawget(self, "children")) do
    if other ~= child and other.inner
      and (strategy == "one_for_all" or other.index > child.index) then
      list[#list + 1] = other
    end
  end
  return list
end

--- Take the companions down, wait until they are, let all start again.
local function restart(self, child)
  local others, gate = companions(self, child), core.event()
  for _, other in ipairs(others) do
    other.again, other.down = gate, core.event()
    other.inner:cancel("restarted with a sibling")
  end
  for _, other in ipairs(others) do other.down:wait() end
  gate:set()
end

local function remove(list, child)
  for i, other in ipairs(list) do
    if other == child then return table.remove(list, i) end
  end
end

--- One life of a child. Returns whether it ended well, and its values or
--- error; nil when a sibling took it down.
local function live(child)
  local out
  core.scope(function(inner)
    child.inner = inner
    out = table.pack(core.pcall(child.fn, table.unpack(child, 1, child.n)))
  end)
  child.inner = nil
  return out
end

local function keep(self, child)
  local policy = rawget(self, "restart")
  while true do
    local out = live(child)
    if child.again then
      local gate = child.again
      child.again = nil
      child.down:set()
      gate:wait()
    elseif not out then
      core.checkpoint() -- cancelled from outside: raises
      return
    else
      if not out[1] then core.report("background", out[2]) end
      if policy == "never" or rawget(self, "over")
        or out[1] and policy ~= "always" then
        remove(rawget(self, "children"), child)
        if out[1] then return table.unpack(out, 2, out.n) end
        return
      end
      if exhausted(self, out) then return end
      restart(self, child)
    end
    core.checkpoint()
  end
end

--- Start a child; with a restart policy the task lives through its restarts.
---@param fn fun(...)
---@return neap.Task
function Supervisor:spawn(fn, ...)
  if not options.callable(fn) then
    error("bad argument #1 to 'spawn' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local children = rawget(self, "children")
  local child = table.pack(...)
  child.fn = fn
  rawset(self, "index", rawget(self, "index") + 1)
  child.index = rawget(self, "index")
  children[#children + 1] = child
  return rawget(self, "scope"):spawn(keep, self, child)
end

--- Run `fn(s, ...)` in a scope whose children fail alone.
---@async
---@param opts? {restart?: string, strategy?: string, max_restarts?: integer, within?: number, name?: string}
---@param fn fun(s: neap.Supervisor, ...): ...
local function supervisor(opts, fn, ...)
  opts = options.check("neap.supervisor", opts, OPTIONS)
  if not options.callable(fn) then
    error("bad argument to 'supervisor' (function expected, got " ..
      type(fn) .. ")", 3)
  end
  local restarts = opts.restart or "never"
  if restarts == "never" then return core.supervised(fn, ...) end
  local self = setmetatable({
    restart = restarts, strategy = opts.strategy or "one_for_one",
    max_restarts = opts.max_restarts or 3, within = opts.within or 5,
    children = {}, times = {}, index = 0, over = false,
  }, Supervisor)
  local results = table.pack(core.supervised(function(scope, ...)
    rawset(self, "scope", scope)
    return fn(self, ...)
  end, ...))
  local failure = rawget(self, "failure")
  if failure then error(failure[1], 0) end
  return table.unpack(results, 1, results.n)
end

return {
  supervisor = function(opts, fn, ...)
    if type(opts) == "table" and not options.callable(opts) then
      return supervisor(opts, fn, ...)
    end
    return supervisor(nil, opts, fn, ...)
  end,
}
