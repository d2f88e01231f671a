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
local ctx = require "neap.ctx"
local iterator = require "neap.iterator"
local options = require "neap.options"

---@class neap.Gen
---@field private co thread
---@field private state "new"|"suspended"|"running"|"over"
local Gen = {}
Gen.__index = Gen
Gen.__name = "neap.gen"

local xpcall <const>, traceback <const> = xpcall, debug.traceback
local give_back <const>, running <const> = coroutine.yield, coroutine.running
local plain_close <const> = coroutine.close

-- Raised at the yield of a generator that is being closed.
local EXIT <const> = setmetatable({}, {
  __tostring = function() return "the generator is being closed" end,
  __name = "neap.GeneratorExit",
})

local function invalid(message) iterator.invalid("neap.gen", message) end

--- What the consumer orders when it resumes: to close, or the next value.
local function obey(close)
  if close then error(EXIT, 0) end
end

local function make_yield(self)
  return function(...)
    if (...) == nil then
      invalid "a generator cannot yield nil as its first value"
    end
    if running() ~= self.co then
      invalid "yield was called outside of its generator"
    end
    if core.scope_mark() ~= self.mark then
      invalid "a generator cannot yield while a scope that it opened is open"
    end
    if ctx.mark() ~= self.ctx then
      invalid "a generator cannot yield inside neap.ctx.with"
    end
    return obey(give_back(...))
  end
end

local function after_step(self, ok, ...)
  if coroutine.status(self.co) ~= "dead" then
    self.state = "suspended"
    return ...
  end
  self.state = "over"
  if ok then return nil end
  core.bring_trace((...), (self.trace or "") .. traceback("\nresumed by", 2))
  error((...), 0)
end

local function step(self, ...)
  self.state = "running"
  self.mark, self.ctx = core.scope_mark(), ctx.mark()
  return core.co_resume(self.co, ...)
end

--- The next values, or nil at the end. Waits as the body does.
---@async
function Gen:next()
  iterator.use(self)
  local state = self.state
  if state == "over" then return iterator.ended(self) end
  if state == "running" then invalid "the generator is already running" end
  if state == "new" then return after_step(self, step(self, make_yield(self))) end
  return after_step(self, step(self))
end

--- Somebody else closes it already: wait until that is done.
local function await_close(self)
  local closing = self.closing
  if closing.by ~= core.current() then closing.done:wait() end
end

local function finish_close(self, ok, err)
  local dead = coroutine.status(self.co) == "dead"
  self.state = "over"
  self.closing.done:set()
  if not dead then
    plain_close(self.co)
    invalid "the generator ignored its close and yielded again"
  end
  if not ok and err ~= EXIT then error(err, 0) end
end

--- End it: its `<close>` variables run now, in this task.
---@async
---@param gone? boolean by the end of its scope
function Gen:close(gone)
  local state = self.state
  if state == "running" then
    if self.closing then return await_close(self) end
    if gone then return end
    invalid "cannot close a generator that is running"
  end
  if state == "suspended" then
    self.closing = { by = core.current(), done = core.event() }
    self.gone = gone
    finish_close(self, step(self, true))
  elseif state == "new" then
    if gone then self.homeless = true else self.state = "over" end
  end
end

Gen.__call = function(self) return self:next() end
Gen.__close = iterator.on_close

local function close_left(self)
  if self.state == "suspended" then self:close() end
end

-- Unreachable and unfinished: a background task closes it. Without a run only
-- what need not wait can be closed.
Gen.__gc = function(self)
  if self.state ~= "suspended" or iterator.later(close_left, self) then return end
  self.state = "over"
  local ok, err = plain_close(self.co)
  if not ok then core.report("leak", err) end
end

local gen = {}

--- A generator. Callable in a generic `for`; closable by `<close>`.
---@param fn fun(yield: fun(...))
---@return neap.Gen
function gen.new(fn)
  if not options.callable(fn) then
    error("bad argument #1 to 'gen' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local self = setmetatable({ state = "new", what = "neap.gen" }, Gen)
  local function note(err)
    if err ~= EXIT and not core.is_cancelled(err) then
      self.trace = traceback(nil, 2)
    end
    return err
  end
  -- Protected inside: an error that nobody catches runs no `<close>` in Lua.
  self.co = coroutine.create(function(yield)
    local ok, err = xpcall(fn, note, yield)
    if not ok then error(err, 0) end
  end)
  return iterator.give(self)
end

return gen
