--- Generators: a function that yields values, run in the consumer's task.
---
--- ```lua
--- for line in neap.gen(function(yield) yield(read()) yield(read()) end) do
---   print(line)
--- end
--- ```
---
--- States: new -> suspended <-> running -> over. Closing raises a private
--- object at the yield, so that `<close>` variables of the body run, and may
--- wait, before close returns.

local core = require "neap.core"
local options = require "neap.options"
local probe = require "neap.probe"

---@class neap.Gen
---@field private co thread
---@field private state "new"|"suspended"|"running"|"over"
local Gen = {}
Gen.__index = Gen
Gen.__name = "neap.gen"

-- Raised at the yield of a generator that is being closed.
local EXIT = setmetatable({}, {
  __tostring = function() return "the generator is being closed" end,
  __name = "neap.GeneratorExit",
})
local CLOSE = {} -- what resume hands to the yield then

local function invalid(message)
  core.fault.raise { kind = "invalid", message = message }
end

local function make_yield(self)
  return function(...)
    if (...) == nil then
      invalid("neap.gen: a generator cannot yield nil as its first value")
    end
    if core.scope_mark() ~= self.mark then
      invalid("neap.gen: a generator cannot yield while a scope that it " ..
        "opened is open")
    end
    local function back(order, ...)
      if order == CLOSE then error(EXIT, 0) end
      return order, ...
    end
    return back(coroutine.yield(...))
  end
end

local function after_step(self, ok, ...)
  if coroutine.status(self.co) == "dead" then
    self.state = "over"
  else
    self.state = "suspended"
  end
  if not ok then error((...), 0) end
  if self.state == "over" then return nil end
  return ...
end

--- The next values, or nil at the end. Waits as the body does.
---@async
function Gen:next(...)
  if self.state == "over" then return nil end
  if self.state == "running" then
    invalid("neap.gen: the generator is already running")
  end
  local first = self.state == "new"
  self.state = "running"
  self.mark = core.scope_mark()
  if first then
    return after_step(self, core.co_resume(self.co, make_yield(self)))
  end
  return after_step(self, core.co_resume(self.co, ...))
end

--- End it: its `<close>` variables run now, in this task.
---@async
function Gen:close()
  if self.state == "over" then return end
  if self.state == "running" then
    invalid("neap.gen: cannot close a generator that is running")
  end
  if self.state == "new" then
    self.state = "over"
    coroutine.close(self.co)
    return
  end
  self.state = "running"
  self.mark = core.scope_mark()
  local ok, err = core.co_resume(self.co, CLOSE)
  local dead = coroutine.status(self.co) == "dead"
  self.state = "over"
  if not dead then
    coroutine.close(self.co)
    invalid("neap.gen: the generator ignored its close and yielded again")
  end
  if not ok and err ~= EXIT then error(err, 0) end
end

Gen.__call = function(self, _, ...) return self:next(...) end
Gen.__close = function(self) self:close() end

-- Unreachable and unfinished: a background task of the run closes it; without
-- a run only what need not wait is closed.
Gen.__gc = function(self)
  if self.state ~= "suspended" then return end
  if core.running() and pcall(core.background, self.close, self) then return end
  self.state = "over"
  coroutine.close(self.co)
end

local gen = {}

--- Close what a scope was left with, the last made first.
core.set_closer(function(set)
  local list = {}
  for object, order in pairs(set) do
    list[#list + 1] = { object = object, order = order }
  end
  table.sort(list, function(a, b) return a.order > b.order end)
  local failed, first = false, nil
  for _, entry in ipairs(list) do
    local ok, err = core.pcall(entry.object.close, entry.object)
    if not ok and not failed then failed, first = true, err end
  end
  if failed then error(first, 0) end
end)

--- The values a generic `for` takes for a closable iterator.
---@param object table callable, with a method `close`
function gen.iterator(object)
  if probe.for_close_ok then return object, nil, nil, object end
  if core.current() then core.close_with_scope(object) end
  return object
end

--- A generator. Callable in a generic `for`; closable by `<close>`.
---@param fn fun(yield: fun(...): ...)
---@return neap.Gen
function gen.new(fn)
  if not options.callable(fn) then
    error("bad argument #1 to 'gen' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  -- Under a pcall: an error that nobody catches runs no `<close>` in Lua.
  local co = coroutine.create(function(yield)
    local ok, err = pcall(fn, yield)
    if not ok then error(err, 0) end
  end)
  return gen.iterator(setmetatable({ co = co, state = "new" }, Gen))
end

return gen
