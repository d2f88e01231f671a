--- Supervisors: scopes whose children fail alone, and may be started again
--- (Erlang's restart strategies). Failures go to `on_error` when they happen.
---
--- R1  A child is up (its function runs), down (it waits to be started again)
---     or gone (for good, and off the list).
--- R2  One restart at a time: it holds `turn`. It claims those that go down with
---     the child, itself among them; who was claimed waits at a gate of his own.
--- R3  They go down in reverse order of their start. The first gate is opened
---     when all are down; who has passed his opens that of the next, `after`.

local core = require "neap.core"
local options = require "neap.options"

local pcall <const> = pcall

local OPTIONS <const> = {
  restart = options.one_of { "never", "on_failure", "always" },
  strategy = options.one_of { "one_for_one", "one_for_all", "rest_for_one" },
  max_restarts = options.range("integer", 0),
  within = options.range("number", 0),
  name = "string",
}

---@class neap.Supervisor
---@field private scope neap.Scope
---@field private children table[] that are not gone, in order of their start
---@field private turn neap.Lock held by a restart
---@field private times number[] of the restarts that count
---@field private failure any[]|nil why it gave up
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
function Supervisor:cancel(reason) return rawget(self, "scope"):cancel(reason) end

-- ----------------------------------------------------------------- restarts

--- One more restart, because of `out`: more than allowed? Then the supervisor
--- itself fails.
local function exhausted(self, out)
  local now, times = core.now(), rawget(self, "times")
  times[#times + 1] = now
  while times[1] < now - rawget(self, "within") do table.remove(times, 1) end
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
  self:cancel "too many restarts"
  return true
end

--- The children that go down with `child`, itself among them.
local function claim(self, child)
  local strategy, group, found = rawget(self, "strategy"), {}, false
  for _, other in ipairs(rawget(self, "children")) do
    found = found or other == child
    if other == child or strategy == "one_for_all"
      or strategy == "rest_for_one" and found then
      if other.gate then other.gate:set() end -- to the new one
      other.gate, other.after = core.event(), nil
      if #group > 0 then group[#group].after = other.gate end
      group[#group + 1] = other
    end
  end
  return group
end

--- Take the group down, wait until all of it is, and let it start again.
local function restart(self, child)
  local group = claim(self, child)
  for i = #group, 1, -1 do
    local other = group[i]
    if other.up then other.up:cancel "restarted with a sibling" end
  end
  for i = #group, 1, -1 do group[i].down:wait() end
  group[1].gate:set()
end

-- ------------------------------------------------------------------- a child

local Gone = {}

local function open_next(child)
  local after = child.after
  child.after = nil
  if after then after:set() end
end

--- However its task ends, the child is off the list.
function Gone.__close(child)
  child.down:set() -- nobody waits for it
  open_next(child)
  local list = child.list
  for i, other in ipairs(list) do
    if other == child then return table.remove(list, i) end
  end
end

--- One life: in a scope of its own, by which a restart ends it. The outcome,
--- packed; of what it has spawned, too.
local function live(child)
  child.down:clear()
  local out = table.pack(core.pcall(core.scope, function(inner)
    child.up = inner
    return child.fn(table.unpack(child, 1, child.n))
  end))
  child.up = nil
  child.down:set()
  return out
end

--- Is it to be started again? If so, it has a gate.
local function again(self, child, out)
  if child.gate then return true end
  if out[1] and rawget(self, "restart") ~= "always" then return false end
  local _ <close> = rawget(self, "turn"):acquire()
  if child.gate then return true end -- claimed meanwhile
  if exhausted(self, out) then return false end
  restart(self, child)
  return true
end

--- Wait at the gate, and at the next one, if it is claimed once more.
local function pass_gates(child)
  while child.gate do
    local gate = child.gate
    gate:wait()
    if child.gate == gate then child.gate = nil end
  end
  open_next(child)
end

--- Body of the task of a child: all its lives.
local function keep(self, child)
  local _ <close> = setmetatable(child, Gone)
  while true do
    pass_gates(child)
    local out = live(child)
    if not out[1] then core.report("background", out[2], core.current()) end
    if not again(self, child, out) then
      return table.unpack(out, 2, out[1] and out.n or 1)
    end
  end
end

--- Start a child. Its task lives through all restarts; it ends well, with the
--- values of the last life, also when that failed.
---@param fn fun(...)
---@return neap.Task
function Supervisor:spawn(fn, ...)
  if not options.callable(fn) then
    error("bad argument #1 to 'spawn' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local children = rawget(self, "children")
  local child = table.pack(...)
  child.fn, child.down, child.list = fn, core.event(), children
  child.down:set()
  local task = rawget(self, "scope"):spawn(keep, self, child)
  task.name = core.site(fn)
  children[#children + 1] = child
  return task
end

--- As `scope:start`: wait until the child calls `started(...)` in its first
--- life. What fails before that comes out of `start` and is not tried again.
---@async
---@param fn fun(started: fun(...), ...)
---@return any ...
function Supervisor:start(fn, ...)
  return rawget(self, "scope"):start(fn, ...)
end

-- --------------------------------------------------------------- supervisor

local function run(opts, fn, ...)
  local self = setmetatable({
    restart = opts.restart or "never",
    strategy = opts.strategy or "one_for_one",
    max_restarts = opts.max_restarts or 3, within = opts.within or 5,
    children = {}, times = {}, turn = core.lock(),
  }, Supervisor)
  local out = table.pack(pcall(core.supervised, opts.name or "", function(scope, ...)
    rawset(self, "scope", scope)
    return fn(self, ...)
  end, ...))
  local failure = rawget(self, "failure")
  if not out[1] then
    if failure then core.report("secondary", failure[1]) end
    error(out[2], 0)
  end
  if failure then error(failure[1], 0) end
  return table.unpack(out, 2, out.n)
end

--- Run `fn(s, ...)` in a scope whose children fail alone.
---@async
---@param opts? {restart?: string, strategy?: string, max_restarts?: integer, within?: number, name?: string}
---@param fn fun(s: neap.Supervisor, ...): ...
local function supervisor(opts, fn, ...)
  if type(opts) ~= "table" or options.callable(opts) then
    return supervisor({}, opts, fn, ...)
  end
  options.check("neap.supervisor", opts, OPTIONS)
  if not options.callable(fn) then
    error("bad argument to 'supervisor' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  if (opts.restart or "never") == "never" then
    return core.supervised(opts.name or "", fn, ...)
  end
  return run(opts, fn, ...)
end

return { supervisor = supervisor }
