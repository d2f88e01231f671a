--- What every iterator of neap has in common: how it is handed to a generic
--- `for`, who closes it, and how anything that can be iterated becomes a source.
---
--- Where the `for` of this Lua closes its fourth value (see neap.probe), it is
--- given one. Where it does not, an iterator left by `break`, `return` or an
--- error is closed when the body of the scope has ended that was innermost when
--- it was made. If another task uses it then, it is handed on to that one.
---
--- An iterator is an object with `next`, `close(gone)`, and fields that belong to
--- this file: `user` (the task that made it or advanced it last), `what` (for
--- messages), `gone` (its scope has ended), `homeless` (the same, but it was not
--- in use: the scope in which it begins to be takes it).

local core = require "neap.core"
local options = require "neap.options"
local probe = require "neap.probe"

local iterator = {}

local pcall <const> = pcall
local FINAL <const> = { done = true, failed = true, cancelled = true }

--- Has this task ended?
function iterator.has_ended(task) return FINAL[task:status()] or false end

-- ------------------------------------------------------------------ closing

--- The worse of two failures, packed: an error before one's own cancellation,
--- the earlier before the later. The other one is attached and reported.
local function worse(first, second)
  if not first then return second end
  if core.is_cancelled(first[1]) and not core.is_cancelled(second[1]) then
    return second
  end
  core.second_failure(first[1], second[1])
  return first
end

--- Call each function, the last first, whatever becomes of the others. Raises
--- the first failure, or attaches all to the error that is on its way.
---@async
---@param list (fun())[]
---@param err? any[] the error on its way, packed
function iterator.close_all(list, err)
  local failure
  for i = #list, 1, -1 do
    local ok, second = pcall(list[i])
    if not ok and err then
      core.second_failure(err[1], second)
    elseif not ok then
      failure = worse(failure, { second })
    end
  end
  if failure then error(failure[1], 0) end
end

--- The metamethod `__close`: an error on its way is not replaced.
function iterator.on_close(object, err)
  if err == nil then return object:close() end
  local ok, second = pcall(object.close, object)
  if not ok then core.second_failure(err, second) end
end

--- Called by a finalizer of what nobody has closed: have `fn(object, ...)` run in
--- a background task, which may wait. False if there is no run.
function iterator.later(fn, object, ...)
  core.leaked(object, object.what or getmetatable(object).__name)
  return core.running() and (pcall(core.background, fn, object, ...))
end

--- Another task uses it: its end closes the object, not that of our scope.
local function hand_on(object)
  local user = object.user
  return user and user ~= core.current() and core.close_with_scope(object, user)
end

--- What is to be done with what the body of a scope has left; that of the last
--- one made stands last.
local function take_left(set)
  local left = {}
  for object, order in pairs(set) do
    left[#left + 1] = { object = object, order = order }
  end
  table.sort(left, function(a, b) return a.order < b.order end)
  local list = {}
  for _, entry in ipairs(left) do
    local object = entry.object
    set[object] = nil
    if not hand_on(object) then
      list[#list + 1] = function() object:close(true) end
    end
  end
  return list
end

core.set_closer(function(set)
  local list = take_left(set)
  while #list > 0 do -- what is closed may leave others
    iterator.close_all(list)
    list = take_left(set)
  end
end)

-- ------------------------------------------------------- in a generic `for`

--- The values that a generic `for` takes. For an object that holds nothing
--- which would have to be closed, say so.
---@param object table
---@param holds_nothing? boolean
function iterator.give(object, holds_nothing)
  object.user = core.current()
  if holds_nothing then return object end
  core.born(object)
  if probe.for_close_ok then return object, nil, nil, object end
  core.close_with_scope(object)
  return object
end

--- Called at every step.
function iterator.use(object)
  object.user = core.current()
  if not object.homeless then return end
  object.homeless = false
  core.close_with_scope(object)
end

--- One that sets `busy` while it waits for its next value gives it to one task.
function iterator.alone(object)
  if not object.busy then return end
  iterator.invalid(object.what, "another task waits for the next value already")
end

--- A step of one that is over: nil, unless the end came from its scope.
function iterator.ended(object)
  if not object.gone then return nil end
  core.fault.raise {
    kind = "closed",
    message = object.what .. ": the scope in which it was made has ended",
  }
end

function iterator.invalid(what, message)
  core.fault.raise { kind = "invalid", message = what .. ": " .. message }
end

function iterator.check_first(what, ...)
  if (...) == nil then
    iterator.invalid(what, "the first value of an iterator cannot be nil")
  end
  return ...
end

-- ------------------------------------------------------------------ sources

local function closer_of(x)
  local mt = debug.getmetatable(x)
  local close = mt and rawget(mt, "__close")
  return close and function() close(x, nil) end
end

local function is_queue(x)
  local mt = debug.getmetatable(x)
  return type(x) == "userdata" and mt ~= nil and mt.__name == "neap.queue"
end

local function over_list(list)
  local i, n = 0, list.n or #list
  return function()
    i = i + 1
    if i <= n then return list[i] end
  end
end

local function over_function(fn, state, control)
  local function keep(first, ...)
    control = first
    return first, ...
  end
  return function() return keep(fn(state, control)) end
end

--- Anything that can be iterated, as a function that gives the next values, nil
--- at the end, and the functions that close it.
---@param what string for messages
---@param x any list, queue, iterator, or what a generic `for` takes
---@return fun(): ... pull
---@return (fun())[] closers
function iterator.source(what, x, state, control, closing)
  if is_queue(x) then return x:iter(), {} end
  if options.callable(x) then
    local close = closer_of(closing == nil and x or closing)
    return over_function(x, state, control), { close or nil }
  end
  if type(x) == "table" then return over_list(x), {} end
  error(("bad argument #1 to '%s' (iterator, queue or list expected, got %s)")
    :format(what, type(x)), 3)
end

return iterator
