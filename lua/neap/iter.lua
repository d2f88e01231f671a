--- Pipelines: an iterator whose steps are made of other iterators.
---
--- ```lua
--- for batch in neap.iter(queue):filter(is_new):map(fetch):chunk(100) do
---   store(batch)
--- end
--- ```
---
--- Items are pulled, one by one, by whoever advances the last stage; only
--- `merge` and `debounce` have tasks, which read ahead. Whatever a pipeline
--- reads from is closed with it.

local core = require "neap.core"
local iterator = require "neap.iterator"
local options = require "neap.options"
local stream = require "neap.stream"

---@class neap.Iter
---@field private pull fun(): ... the next values; nil at the end
---@field private closers (fun())[] close what it reads from, the last first
---@field private started boolean
---@field private over boolean
---@field private taken boolean a later stage has taken it over
local Iter = {}
Iter.__index = Iter
Iter.__name = "neap.iter"

local pcall <const> = pcall
local WHAT <const> = "neap.iter"

local function make(pull, closers)
  local self = setmetatable({
    pull = pull, closers = closers, started = false, over = false, what = WHAT,
  }, Iter)
  return iterator.give(self, #closers == 0)
end

local function finish(self, err)
  self.over = true
  iterator.close_all(self.closers, err)
  if err then error(err[1], 0) end
end

local function after_pull(self, ok, ...)
  if not ok then return finish(self, { (...) }) end
  if (...) == nil then return finish(self) end
  return ...
end

local function check_not_taken(self)
  if not self.taken then return end
  iterator.invalid(WHAT, "a later stage of the pipeline reads from this one")
end

--- The next values, or nil at the end.
---@async
function Iter:next()
  check_not_taken(self)
  if self.over then return iterator.ended(self) end
  iterator.use(self)
  self.started = true
  return after_pull(self, pcall(self.pull))
end

--- Close everything that it reads from.
---@async
---@param gone? boolean by the end of its scope
function Iter:close(gone)
  if self.over then return end
  if gone and not self.started then
    self.homeless = true
    return
  end
  self.over, self.gone = true, gone
  iterator.close_all(self.closers)
end

Iter.__call = function(self) return self:next() end
Iter.__close = iterator.on_close

-- Unreachable: a background task closes what it reads from.
Iter.__gc = function(self)
  if not self.over and #self.closers > 0 then iterator.later(self.close, self) end
end

--- The source of an iterator: of a pipeline its insides, so that a long one
--- costs no more than its stages.
local function take_over(what, x, ...)
  if getmetatable(x) ~= Iter then return iterator.source(what, x, ...) end
  check_not_taken(x)
  if x.over then return function() end, {} end
  x.taken, x.over = true, true
  return x.pull, x.closers
end

--- A pipeline over a list, a queue, an iterator, or what a generic `for` takes.
---@param x any
---@return neap.Iter
local function iter(x, ...)
  return make(take_over("iter", x, ...))
end

-- ------------------------------------------- stages that run in the consumer

local function check_fn(what, fn)
  if options.callable(fn) then return end
  error(("bad argument #1 to '%s' (function expected, got %s)")
    :format(what, type(fn)), 3)
end

local function check_count(what, n)
  if math.type(n) == "integer" and n >= 1 then return end
  error(("bad argument #1 to '%s' (a whole number from 1 on expected)")
    :format(what), 3)
end

local function check_seconds(what, s)
  if type(s) == "number" and s >= 0 then return end
  error(("bad argument #1 to '%s' (seconds expected)"):format(what), 3)
end

--- `fn(...)` of each.
---@param fn fun(...): ...
function Iter:map(fn)
  check_fn("map", fn)
  local pull, closers = take_over("map", self)
  local function apply(...)
    if (...) == nil then return nil end
    return iterator.check_first("neap.iter:map", fn(...))
  end
  return make(function() return apply(pull()) end, closers)
end

--- Those for which `pred(...)` is true.
---@param pred fun(...): any
function Iter:filter(pred)
  check_fn("filter", pred)
  local pull, closers = take_over("filter", self)
  local function choose(...)
    if (...) == nil then return true, nil end
    return pred(...), ...
  end
  local function pass(chosen, ...)
    if chosen then return ... end
    return pass(choose(pull()))
  end
  return make(function() return pass(choose(pull())) end, closers)
end

--- The first `n`. No more are pulled.
---@param n integer
function Iter:take(n)
  if n ~= 0 then check_count("take", n) end
  local pull, closers = take_over("take", self)
  local taken = 0
  return make(function()
    if taken >= n then return nil end
    taken = taken + 1
    return pull()
  end, closers)
end

--- Lists of `n`, the last perhaps shorter, of the first value of each.
---@param n integer
function Iter:chunk(n)
  check_count("chunk", n)
  local pull, closers = take_over("chunk", self)
  local ended = false
  return make(function()
    if ended then return nil end
    local list = {}
    for i = 1, n do
      list[i] = (pull())
      if list[i] == nil then
        ended = true
        break
      end
    end
    if #list > 0 then return list end
  end, closers)
end

--- The first value of each of them, as long as all have one.
function Iter:zip(...)
  local pull, closers = take_over("zip", self)
  local pulls, n = { pull }, select("#", ...) + 1
  closers = table.move(closers, 1, #closers, 1, {})
  for i = 2, n do
    local more
    pulls[i], more = take_over("zip", (select(i - 1, ...)))
    table.move(more, 1, #more, #closers + 1, closers)
  end
  return make(function()
    local values = {}
    for i = 1, n do
      values[i] = (pulls[i]())
      if values[i] == nil then return nil end
    end
    return table.unpack(values, 1, n)
  end, closers)
end

--- At most one in `s` seconds: what comes too early is dropped.
---@param s number
function Iter:throttle(s)
  check_seconds("throttle", s)
  local pull, closers = take_over("throttle", self)
  local free_at = -math.huge
  local function pass(...)
    if (...) == nil then return nil end
    local now = core.now()
    if now < free_at then return pass(pull()) end
    free_at = now + s
    return ...
  end
  return make(function() return pass(pull()) end, closers)
end

--- A list of the first value of each. Closes the pipeline.
---@async
---@return any[]
function Iter:totable()
  local list, n = {}, 0
  while true do
    local value = self:next()
    if value == nil then return list end
    n = n + 1
    list[n] = value
  end
end

-- --------------------------------------------------------- stages with tasks

--- A stage whose items come from a task that reads the source. Closing ends
--- that task first.
local function with_task(closers, produce)
  local from = stream.start(WHAT, produce, 0)
  closers = table.move(closers, 1, #closers, 1, {})
  closers[#closers + 1] = function() from:close() end
  local self = make(function() return from:next() end, closers)
  self.started = true
  return self
end

local function pump(pull, put)
  local function pass(...)
    if (...) == nil then return false end
    put(...)
    return true
  end
  while pass(pull()) do end
end

--- The items of all of them, as they come.
function Iter:merge(...)
  local pull, closers = take_over("merge", self)
  local pulls, n = { pull }, select("#", ...) + 1
  closers = table.move(closers, 1, #closers, 1, {})
  for i = 2, n do
    local more
    pulls[i], more = take_over("merge", (select(i - 1, ...)))
    table.move(more, 1, #more, #closers + 1, closers)
  end
  return with_task(closers, function(put)
    core.scope(function(s)
      for i = 1, n do s:spawn(pump, pulls[i], put) end
    end)
  end)
end

--- Wait until nothing more has come for `s` seconds; give the last that came.
local function settle(latest, s, item)
  while true do
    local newer = latest:get { timeout = s }
    if newer == nil then return item end
    item = newer
  end
end

--- The last item before each pause of at least `s` seconds.
---@param s number
function Iter:debounce(s)
  check_seconds("debounce", s)
  local pull, closers = take_over("debounce", self)
  return with_task(closers, function(put)
    local latest = core.queue(1)
    core.scope(function(scope)
      scope:spawn(function()
        pump(pull, function(...)
          local item = table.pack(...)
          if not latest:try_put(item) then
            latest:try_get()
            latest:try_put(item)
          end
        end)
        latest:close()
      end)
      for item in latest:iter() do
        local last = settle(latest, s, item)
        put(table.unpack(last, 1, last.n))
      end
    end)
  end)
end

return iter
