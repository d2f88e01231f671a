--- Task-locals: values that go with a task and are copied to what it spawns.
---
--- ```lua
--- neap.ctx.with("request", id, function()
---   neap.spawn(function() log(neap.ctx.get "request") end)
--- end)
--- ```
---
--- Listeners of an event inherit from the task that emits, background tasks
--- from the one that starts them; a generator runs in its consumer's.

local core = require "neap.core"
local options = require "neap.options"

local ctx = {}

local pcall <const> = pcall
local OPEN <const> = {} -- the key under which open calls of `with` are counted

--- The value under a key; nil outside of tasks.
---@type fun(key: any): any
ctx.get = core.ctx_get

local function check_key(what, key)
  if key == nil or key ~= key then
    error(("bad argument #1 to '%s' (a key cannot be %s)"):format(what,
      key == nil and "nil" or "NaN"), 3)
  end
end

--- Set it for the running task, and for what the task spawns from now on. Nobody
--- else sees it: neither the parent nor children that run already.
---@param key any
---@param value any nil removes it
function ctx.set(key, value)
  check_key("set", key)
  core.ctx_set(key, value)
end

local function leave(key, before, depth, ok, ...)
  core.ctx_set(key, before)
  core.ctx_set(OPEN, depth)
  if not ok then error((...), 0) end
  return ...
end

--- Call `fn(...)` with the value set, and put back the one before, however `fn`
--- ends. Returns what it returned.
---@async
---@param key any
---@param value any
---@param fn fun(...): ...
function ctx.with(key, value, fn, ...)
  check_key("with", key)
  if not options.callable(fn) then
    error("bad argument #3 to 'with' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local before = core.ctx_set(key, value)
  local depth = core.ctx_get(OPEN)
  core.ctx_set(OPEN, (depth or 0) + 1)
  return leave(key, before, depth, pcall(fn, ...))
end

--- Tells whether calls of `with` were opened in between.
function ctx.mark() return core.ctx_get(OPEN) end

return ctx
