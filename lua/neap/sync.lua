--- Primitives whose rules are written in Lua: condition, barrier, rwlock, once.
--- They stand on `core.line`, which is atomic: who was cancelled is out of the
--- line at once, who was taken out of it has been granted. All are fair: first
--- come, first served, and nobody who comes later overtakes one that waits.

local core = require "neap.core"
local options = require "neap.options"

local sync = {}

local pcall <const> = pcall

-- ---------------------------------------------------------------- condition

---@class neap.Condition
---@field private lock neap.Lock
---@field private given boolean the lock is the user's
---@field private line any
local Condition = {}
Condition.__index = Condition
Condition.__name = "neap.condition"

local function is_lock(x)
  local mt = debug.getmetatable(x)
  return type(x) == "userdata" and mt ~= nil and mt.__name == "neap.lock"
end

--- A condition over `lock`. Without one it has a lock of its own, which need
--- not be used: who waits without holding it just waits.
---@param lock? neap.Lock
---@return neap.Condition
function sync.condition(lock)
  if lock ~= nil and not is_lock(lock) then
    error("bad argument #1 to 'condition' (neap.lock expected, got " ..
      type(lock) .. ")", 2)
  end
  local self = setmetatable({
    lock = lock or core.lock(), given = lock ~= nil,
  }, Condition)
  self.line = core.line(self)
  return self
end

--- The lock's own methods.
---@async
function Condition:acquire() return self.lock:acquire() end
function Condition:release() return self.lock:release() end
function Condition:locked() return self.lock:locked() end
---@async
function Condition:with(fn, ...) return self.lock:with(fn, ...) end

--- Let go of the lock; false if it was not held and need not be.
local function let_go(self)
  if not self.given then return (pcall(self.lock.release, self.lock)) end
  local ok, err = pcall(self.lock.release, self.lock)
  if ok then return true end
  core.fault.raise {
    kind = "invalid", cause = err,
    message = "condition:wait: the caller does not hold the lock",
  }
end

--- Let go of the lock, wait to be notified, take the lock again. That is done
--- also when cancelled, so that the caller's clean-up runs with the lock.
---@async
function Condition:wait()
  core.pass "condition:wait"
  if not let_go(self) then return self.line:wait "condition:wait" end
  local ok, err = pcall(self.line.wait, self.line, "condition:wait")
  local again, second = pcall(core.shield, math.huge, self.lock.acquire,
    self.lock)
  if not ok then
    if not again then core.second_failure(err, second) end
    error(err, 0)
  end
  if not again then error(second, 0) end
end

--- Wait until `pred()` holds; it is asked with the lock held. Returns what it
--- returned.
---@async
---@param pred fun(): any
function Condition:wait_for(pred)
  if not options.callable(pred) then
    error("bad argument #1 to 'wait_for' (function expected, got " ..
      type(pred) .. ")", 2)
  end
  core.pass "condition:wait"
  local value = pred()
  while not value do
    self:wait()
    value = pred()
  end
  return value
end

--- Wake the `n` (1 if absent) that wait longest. Returns how many there were.
---@param n? integer
---@return integer
function Condition:notify(n)
  n = n or 1
  if math.type(n) ~= "integer" or n < 0 then
    error("bad argument #1 to 'notify' (a whole number from 0 on expected)", 2)
  end
  local woken = 0
  while woken < n and self.line:wake() do woken = woken + 1 end
  return woken
end

--- Wake all that wait now.
---@return integer
function Condition:notify_all() return self:notify(#self.line) end

--- `{id, waiting, locked}`; `id` is its name in a dump.
function Condition:stats()
  return {
    id = core.object_name(self), waiting = #self.line,
    locked = self.lock:locked(),
  }
end

-- ------------------------------------------------------------------ barrier

---@class neap.Barrier
---@field private n integer
---@field private line any
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
  local self = setmetatable({ n = n }, Barrier)
  self.line = core.line(self)
  return self
end

--- Wait until `n` tasks have come; returns one's place in the line, 1 to n. One
--- that was cancelled before has not come.
---@async
---@return integer place
function Barrier:wait()
  core.pass "barrier:wait"
  if #self.line + 1 < self.n then return self.line:wait "barrier:wait" end
  local place = 0
  repeat place = place + 1 until not self.line:wake(place)
  return place
end

--- `{id, size, waiting}`.
function Barrier:stats()
  return { id = core.object_name(self), size = self.n, waiting = #self.line }
end

-- ------------------------------------------------------------------- rwlock

---@class neap.RWLock
---@field private readers integer
---@field private writer boolean
---@field private holds table<neap.Task, integer> guards of each task
---@field private line any
local RWLock = {}
RWLock.__index = RWLock
RWLock.__name = "neap.rwlock"

--- Many readers or one writer, first come, first served: readers that come
--- after a waiting writer wait behind it.
---@return neap.RWLock
function sync.rwlock()
  local self = setmetatable({
    readers = 0, writer = false, holds = setmetatable({}, { __mode = "k" }),
  }, RWLock)
  self.line = core.line(self)
  return self
end

local function is_free(self, what)
  return not self.writer and (what == "read" or self.readers == 0)
end

local function take(self, what)
  if what == "write" then
    self.writer = true
  else
    self.readers = self.readers + 1
  end
end

--- Let in whoever stands first, as long as there is room: the hand-off.
local function admit(self)
  local what = self.line:first()
  while what and is_free(self, what) do
    take(self, what)
    self.line:wake()
    what = self.line:first()
  end
end

---@class neap.RWGuard
---@field release fun() lets go; the second time does nothing
local Guard = {}
Guard.__name = "neap.rwguard"

local function release(self)
  local lock = self.lock
  if not lock then return end
  self.lock = false
  if self.what == "write" then
    lock.writer = false
  else
    lock.readers = lock.readers - 1
  end
  lock.holds[self.owner] = lock.holds[self.owner] - 1
  admit(lock)
end

Guard.__close = release

local OPS <const> = { read = "rwlock:read", write = "rwlock:write" }

local function lock(self, what)
  core.pass(OPS[what])
  local me, holds = core.current(), self.holds
  -- All is made before the wait: nothing can fail once the lock is ours.
  local guard = setmetatable({ what = what, owner = me, lock = false }, Guard)
  guard.release = function() release(guard) end
  holds[me] = holds[me] or 0
  if #self.line == 0 and is_free(self, what) then
    take(self, what)
  elseif holds[me] > 0 then
    core.fault.raise {
      kind = "deadlock",
      message = OPS[what] .. ": the task holds this lock already",
    }
  else
    local ok, err = pcall(self.line.wait, self.line, OPS[what], what)
    if not ok then
      admit(self) -- who stood behind a writer that left
      error(err, 0)
    end
  end
  holds[me], guard.lock = holds[me] + 1, self
  return guard
end

--- Wait for a share; returns a `<close>` guard.
---@async
---@return neap.RWGuard
function RWLock:read() return lock(self, "read") end

--- Wait for it alone; returns a `<close>` guard.
---@async
---@return neap.RWGuard
function RWLock:write() return lock(self, "write") end

--- `{id, readers, writer, waiting}`.
function RWLock:stats()
  return {
    id = core.object_name(self), readers = self.readers, writer = self.writer,
    waiting = #self.line,
  }
end

-- --------------------------------------------------------------------- once

--- A function that runs `fn` once; callers meanwhile wait for its values. A
--- failure or a cancellation goes to its caller, and the next one tries again.
---@param fn fun(...): ...
---@return fun(...): ...
function sync.once(fn)
  if not options.callable(fn) then
    error("bad argument #1 to 'once' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  local mutex, values = core.lock(), nil
  return function(...)
    core.may_wait "neap.once"
    if values then
      core.pass "once"
    else
      local _ <close> = mutex:acquire()
      if not values then values = table.pack(fn(...)) end
    end
    return table.unpack(values, 1, values.n)
  end
end

return sync
