--- Primitives built of events and locks: condition, barrier, rwlock, once.
--- All fair: first come, first served; a waiter that is cancelled leaves its
--- line at once, one that was granted keeps what it got.

local core = require "neap.core"
local options = require "neap.options"

local sync = {}

--- A line of waiters: keys in order of arrival, removal anywhere in O(1).
local function new_line() return { first = 1, last = 0, n = 0 } end

local function enter(line, waiter)
  line.last = line.last + 1
  line[line.last] = waiter
  line.n = line.n + 1
  return line.last
end

local function leave(line, at)
  if line[at] == nil then return end
  line[at] = nil
  line.n = line.n - 1
end

local function take_first(line)
  while line.first <= line.last do
    local waiter = line[line.first]
    line[line.first] = nil
    line.first = line.first + 1
    if waiter ~= nil then
      line.n = line.n - 1
      return waiter
    end
  end
end

--- Wait in line for one's turn. When cancelled, leaves it and raises. Between
--- being cancelled and leaving, its turn may still come: then `refuse` is
--- called, to hand it on.
local function wait_turn(line, waiter, refuse)
  local at = enter(line, waiter)
  local _ <close> = setmetatable({}, {
    __close = function(_, err)
      leave(line, at)
      if err ~= nil and waiter.turn:is_set() then refuse() end
    end,
  })
  waiter.turn:wait()
end

-- ---------------------------------------------------------------- condition

---@class neap.Condition
---@field private lock neap.Lock
local Condition = {}
Condition.__index = Condition
Condition.__name = "neap.condition"

--- A condition over `lock` (its own when absent).
---@param lock? neap.Lock
---@return neap.Condition
function sync.condition(lock)
  if lock ~= nil and (type(lock) ~= "userdata" or not lock.locked) then
    error("bad argument #1 to 'condition' (lock expected, got " ..
      type(lock) .. ")", 2)
  end
  return setmetatable({ lock = lock or core.lock(), line = new_line() },
    Condition)
end

function Condition:acquire() return self.lock:acquire() end
function Condition:release() return self.lock:release() end

--- Let go of the lock, wait to be notified, take the lock again (also when
--- cancelled: the caller's clean-up runs with the lock).
---@async
function Condition:wait()
  local lock = self.lock
  if not lock:locked() then
    core.fault.raise {
      kind = "invalid", message = "condition:wait: the lock is not held",
    }
  end
  local waiter = { turn = core.event() }
  lock:release()
  local _ <close> = setmetatable({}, {
    __close = function() core.shield(math.huge, lock.acquire, lock) end,
  })
  wait_turn(self.line, waiter, function() self:notify() end)
end

--- Wait until `pred()` holds; it is asked with the lock held.
---@async
function Condition:wait_for(pred)
  if not options.callable(pred) then
    error("bad argument #1 to 'wait_for' (function expected, got " ..
      type(pred) .. ")", 2)
  end
  local value = pred()
  while not value do
    self:wait()
    value = pred()
  end
  return value
end

--- Wake the `n` (default 1) that wait longest.
function Condition:notify(n)
  for _ = 1, n or 1 do
    local waiter = take_first(self.line)
    if not waiter then return end
    waiter.turn:set()
  end
end

function Condition:notify_all() self:notify(self.line.n) end

-- ------------------------------------------------------------------ barrier

---@class neap.Barrier
local Barrier = {}
Barrier.__index = Barrier
Barrier.__name = "neap.barrier"

--- A meeting point of `n` tasks, again and again.
---@param n integer
---@return neap.Barrier
function sync.barrier(n)
  if math.type(n) ~= "integer" or n < 1 then
    error("bad argument #1 to 'barrier' (a whole number from 1 on expected)", 2)
  end
  return setmetatable({ n = n, line = new_line() }, Barrier)
end

--- How many in the line really wait: a cancelled one that has not run yet still
--- stands in it.
local function present(line)
  local n = 0
  for at = line.first, line.last do
    local waiter = line[at]
    if waiter and waiter.task:status() == "waiting" then n = n + 1 end
  end
  return n
end

local function nothing() end

--- Wait until `n` tasks have come; returns one's place, 1 to n. One that is
--- cancelled has not come.
---@async
---@return integer place
function Barrier:wait()
  local place = present(self.line) + 1
  if place < self.n then
    wait_turn(self.line, { turn = core.event(), task = core.current() }, nothing)
    return place
  end
  core.checkpoint()
  if present(self.line) + 1 < self.n then return self:wait() end
  local left = self.n - 1
  while left > 0 do
    local waiter = take_first(self.line)
    if waiter.task:status() == "waiting" then
      left = left - 1
      waiter.turn:set()
    end
  end
  return place
end

-- ------------------------------------------------------------------- rwlock

---@class neap.RWLock
local RWLock = {}
RWLock.__index = RWLock
RWLock.__name = "neap.rwlock"

--- Many readers or one writer; a writer that waits goes before new readers.
---@return neap.RWLock
function sync.rwlock()
  return setmetatable({ readers = 0, writer = false, line = new_line() },
    RWLock)
end

local function front(line)
  while line.first <= line.last and line[line.first] == nil do
    line.first = line.first + 1
  end
  return line[line.first]
end

--- Admit those at the front: one writer, or all readers up to a writer.
local function admit(self)
  while true do
    local waiter = front(self.line)
    if not waiter or self.writer then return end
    if waiter.writes then
      if self.readers > 0 then return end
      self.writer = true
    else
      self.readers = self.readers + 1
    end
    take_first(self.line)
    waiter.turn:set()
  end
end

local function guard(self, writes)
  local over = false
  local function release()
    if over then return end
    over = true
    if writes then self.writer = false else self.readers = self.readers - 1 end
    admit(self)
  end
  return setmetatable({ release = release }, { __close = release })
end

local function lock(self, writes)
  local waiter = { turn = core.event(), writes = writes }
  if front(self.line) == nil and not self.writer
    and not (writes and self.readers > 0) then
    core.checkpoint() -- and nobody may have come in between
    if front(self.line) == nil and not self.writer
      and not (writes and self.readers > 0) then
      if writes then self.writer = true else self.readers = self.readers + 1 end
      return guard(self, writes)
    end
  end
  local _ <close> = setmetatable({}, { __close = function() admit(self) end })
  wait_turn(self.line, waiter, function()
    if writes then self.writer = false else self.readers = self.readers - 1 end
  end)
  return guard(self, writes)
end

--- Wait for a share; returns a `<close>` guard.
---@async
function RWLock:read() return lock(self, false) end

--- Wait for it alone; returns a `<close>` guard.
---@async
function RWLock:write() return lock(self, true) end

-- --------------------------------------------------------------------- once

--- A function that runs `fn` once; callers meanwhile wait for its values. A
--- failure goes to its caller, and the next caller tries again.
---@param fn fun(...): ...
---@return fun(...): ...
function sync.once(fn)
  if not options.callable(fn) then
    error("bad argument #1 to 'once' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local mutex, values = core.lock(), nil
  return function(...)
    if not values then
      local _ <close> = mutex:acquire()
      if not values then values = table.pack(fn(...)) end
    end
    return table.unpack(values, 1, values.n)
  end
end

return sync
