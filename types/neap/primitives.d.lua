---@meta _

--- How tasks wait for one another. The page is docs/primitives.md.
---@class neap
local neap = {}

-- ---------------------------------------------------------- future and event

---@class neap.Future
local Future = {}

--- A value that comes later, once.
---@return neap.Future
function neap.future() end

--- Settle it. Raises kind `invalid` the second time.
---@param ... any
function Future:set(...) end

--- Settle it with an error. Raises kind `invalid` the second time.
---@param err any
function Future:fail(err) end

--- Wait; its values, or its error.
---@async
---@return any ...
function Future:await() end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, done: boolean}
function Future:stats() end

--- Whether it is settled.
---@return boolean
function Future:done() end

---@class neap.Event
local Event = {}

--- A flag to wait for.
---@return neap.Event
function neap.event() end

--- Wake all who wait; stays set.
function Event:set() end

--- Take that back.
function Event:clear() end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, set: boolean}
function Event:stats() end

--- Whether it is set.
---@return boolean
function Event:is_set() end

--- Wait until it is set.
---@async
function Event:wait() end

--- A branch for neap.select.
---@return neap.Branch
function Event:on_wait() end

-- -------------------------------------------------------- lock and semaphore

--- Closable.
---@class neap.Guard
local Guard = {}

--- Give it back; the second time does nothing.
function Guard:release() end

---@class neap.Lock
local Lock = {}

--- One task at a time; not recursive.
---@return neap.Lock
function neap.lock() end

--- Wait for it. Raises kinds `deadlock`, `broken`.
---@async
---@return neap.Guard
function Lock:acquire() end

--- A guard, or false if it is held. Raises kinds `broken`, `not_in_task`.
---@return neap.Guard|false
function Lock:try_acquire() end

--- Let go. Raises kind `invalid` unless this task holds it.
function Lock:release() end

--- Call `fn(...)` holding it; return its values.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Lock:with(fn, ...) end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, locked: boolean, broken: boolean, owner?: neap.Task}
function Lock:stats() end

--- Whether somebody holds it.
---@return boolean
function Lock:locked() end

---@class neap.Semaphore
local Semaphore = {}

---@class neap.SemaphoreOptions
---@field max? integer  permits there may ever be, at least n; absent: no limit

--- Permits to take and give back.
---@param n integer  permits to begin with
---@param opts? neap.SemaphoreOptions
---@return neap.Semaphore
function neap.semaphore(n, opts) end

--- Wait for a permit.
---@async
---@return neap.Guard
function Semaphore:acquire() end

--- A guard, or false if there is no permit.
---@return neap.Guard|false
function Semaphore:try_acquire() end

--- Add a permit. Raises kind `invalid` beyond `max`.
function Semaphore:release() end

--- Call `fn(...)` holding a permit; return its values.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Semaphore:with(fn, ...) end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, value: integer, size: integer, max?: integer}
function Semaphore:stats() end

--- The permits there are.
---@return integer
function Semaphore:value() end

--- Whether there is no permit.
---@return boolean
function Semaphore:locked() end

--- Change the number of permits, and `max` with it; wakes those who fit.
---@param n integer
function Semaphore:resize(n) end

-- ------------------------------------------ condition, barrier, rwlock, once

---@class neap.Condition
local Condition = {}

--- Waiting for something to become true of what a lock protects.
---@param lock? neap.Lock  one of its own if absent
---@return neap.Condition
function neap.condition(lock) end

--- As lock:acquire.
---@async
---@return neap.Guard
function Condition:acquire() end

--- As lock:release.
function Condition:release() end

--- As lock:locked.
---@return boolean
function Condition:locked() end

--- As lock:with.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Condition:with(fn, ...) end

--- Let go of the lock, wait to be notified, take it again. Raises kind
--- `invalid` when a lock was given and is not held.
---@async
function Condition:wait() end

--- Wait until `pred()` is true; returns what it returned.
---@async
---@generic T
---@param pred fun(): T
---@return T
function Condition:wait_for(pred) end

--- Wake those that wait longest.
---@param n? integer  1 if absent
---@return integer woken
function Condition:notify(n) end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, locked: boolean}
function Condition:stats() end

--- Wake all.
---@return integer woken
function Condition:notify_all() end

---@class neap.Barrier
local Barrier = {}

--- A place where `n` tasks meet, again and again.
---@param n integer  from 1 on
---@return neap.Barrier
function neap.barrier(n) end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, size: integer}
function Barrier:stats() end

--- Wait until `n` have come.
---@async
---@return integer place  1 to n
function Barrier:wait() end

--- Closable.
---@class neap.RWGuard
---@field release fun()

---@class neap.RWLock
local RWLock = {}

--- Many readers or one writer.
---@return neap.RWLock
function neap.rwlock() end

--- Wait for a share. Raises kind `deadlock` when the task would wait for itself.
---@async
---@return neap.RWGuard
function RWLock:read() end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, readers: integer, writer: boolean}
function RWLock:stats() end

--- Wait to have it alone. Raises kind `deadlock` when the task would wait for
--- itself.
---@async
---@return neap.RWGuard
function RWLock:write() end

--- A function that calls `fn` once, for all its callers.
---@generic F: function
---@param fn F
---@return F
function neap.once(fn) end
