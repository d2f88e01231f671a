--- `scope:start`: a child that says when it is ready.
---
--- ```lua
--- local port = s:start(function(started)
---   local server <close> = listen()
---   started(server.port)
---   serve(server)
--- end)
--- ```

local core = require "neap.core"
local options = require "neap.options"

---@class neap.Scope
local Scope = core.methods "neap.scope"

local pcall <const> = pcall

local function invalid(message)
  core.fault.raise { kind = "invalid", message = message }
end

--- The function that the child calls, once.
local function make_started(hand)
  return function(...)
    if hand.values then
      invalid "scope:start: started was called a second time"
    end
    hand.values = table.pack(...)
    hand.shaken:set()
  end
end

local function drop_scope(_, fn, ...) return fn(...) end

--- Body of the child. What fails before `started` is the business of `start`,
--- not of the scope; hence a scope of its own, for what the child spawns too.
local function child(hand, fn, ...)
  local out = table.pack(pcall(core.scope, drop_scope, fn, make_started(hand),
    ...))
  if out[1] then return table.unpack(out, 2, out.n) end
  if hand.values or core.is_cancelled(out[2]) then error(out[2], 0) end
  core.was_heard()
  hand.failure = { out[2] }
end

--- Wait for the child to be ready; end it when that was in vain.
local function await_start(hand, task)
  local ok, which = pcall(core.select, {
    hand.shaken:on_wait(), task:on_done(),
  })
  if ok and hand.values then return table.unpack(hand.values, 1, hand.values.n) end
  if not ok then -- the caller is cancelled, or the child was
    task:cancel "scope:start was cancelled"
    core.shield(math.huge, task.join, task)
    if hand.failure then core.second_failure(which, hand.failure[1]) end
    error(which, 0)
  end
  if hand.failure then error(hand.failure[1], 0) end
  invalid "scope:start: the function returned without calling started"
end

--- Call `fn(started, ...)` in a child and wait until it calls `started(...)`;
--- returns what it passed. An error before that comes out of `start` only, and
--- returning without it is one. Cancelling `start` cancels the child.
---@async
---@param fn fun(started: fun(...), ...)
---@return any ...
function Scope:start(fn, ...)
  if not options.callable(fn) then
    error("bad argument #1 to 'start' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local hand = { shaken = core.event() }
  local task = self:spawn(child, hand, fn, ...)
  task.name = core.site(fn)
  return await_start(hand, task)
end

return true
