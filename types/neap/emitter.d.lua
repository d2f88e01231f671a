---@meta _

--- The event emitter. The page is docs/emitter.md.
---@class neap
local neap = {}

---@class neap.EmitterOptions
---@field errors? "raise"|"collect"|"report"
---@field concurrency? number  listeners of one emit at once; no limit if absent
---@field wildcard? boolean    patterns may be listened to
---@field delimiter? string    between the segments of a name; "." if absent
---@field max_listeners? integer  10 if absent; 0: no limit
---@field backlog? number      events of emit_soon not ended; 16384 if absent
---@field overflow? "error"|"drop_oldest"  of the backlog; "error" if absent

---@class neap.Emitter
local Emitter = {}

--- Events inside a program.
---@param opts? neap.EmitterOptions
---@return neap.Emitter
function neap.emitter(opts) end

--- Closable.
---@class neap.Listener
local Listener = {}

--- Remove it.
---@return boolean was_there
function Listener:off() end

---@class neap.ListenerOptions
---@field priority? number  0 if absent; higher ones are called first
---@field unique? boolean   a function that listens already is not added again
---@field named? boolean    the name of the event is the first argument
---@field scope? neap.Scope it is removed when that has ended
---@field timeout? number   seconds for each call
---@field concurrency? number  calls at once; more wait in order

--- Call `fn(...)` for each event of that name. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Emitter:on(name, fn, opts) end

--- Before the others of its priority. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Emitter:prepend(name, fn, opts) end

--- For one event. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Emitter:once(name, fn, opts) end

--- For `n` events. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param n integer
---@param fn async fun(...)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Emitter:many(name, n, fn, opts) end

--- Call `fn(name, ...)` for every event, after its other listeners. Raises kind
--- `closed`.
---@param fn async fun(name: any, ...)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Emitter:on_any(fn, opts) end

--- Remove the listeners that are this function, or the one of a handle.
---@param name any
---@param fn function
---@return integer removed
---@overload fun(self: neap.Emitter, handle: neap.Listener): integer
function Emitter:off(name, fn) end

--- Remove all listeners, or all of one event.
---@param name? any
---@return integer removed
function Emitter:off_all(name) end

--- How many listeners there are, or how many of one event.
---@param name? any
---@return integer
function Emitter:count(name) end

--- The names and patterns that have listeners, in no order.
---@return any[]
function Emitter:names() end

--- The functions that listen to it, in the order in which they are called.
---@param name any  not nil, not NaN
---@return function[]
function Emitter:listeners(name) end

--- Run all listeners at once and wait for them. Raises the first failure
--- unless `errors` says otherwise; kind `closed`.
---@async
---@param name any  not nil, not NaN
---@param ... any
---@return integer ran
---@return neap.Outcome[]|nil outcomes  with errors="collect", and `n`
function Emitter:emit(name, ...) end

--- The same, one after the other; one that fails is the last.
---@async
---@param name any  not nil, not NaN
---@param ... any
---@return integer ran
---@return neap.Outcome[]|nil outcomes  with errors="collect", and `n`
function Emitter:emit_serial(name, ...) end

--- Call the listeners as functions, here; also outside of a run. One that waits
--- raises kind `not_in_task`.
---@param name any  not nil, not NaN
---@param ... any
---@return integer ran
---@return neap.Outcome[]|nil outcomes  with errors="collect", and `n`
function Emitter:emit_sync(name, ...) end

--- Emit it in a background task; failures are reported. Raises kinds
--- `bulkhead_full`, `closed`, `not_in_task`.
---@param name any  not nil, not NaN
---@param ... any
function Emitter:emit_soon(name, ...) end

---@class neap.WaitForOptions
---@field filter? fun(...): any  whether it is the one; cannot wait
---@field timeout? number        seconds; absent: no limit
---@field named? boolean         the name of the event comes first

--- The arguments of the next event that the filter accepts. Raises kinds
--- `timeout`, `closed`, and the filter's error.
---@async
---@param name any  not nil, not NaN
---@param opts? neap.WaitForOptions
---@return any ...
function Emitter:wait_for(name, opts) end

---@class neap.EventIteratorOptions
---@field buffer? number  events that wait to be taken; 100 if absent
---@field overflow? "block"|"drop_oldest"|"error"  "block" if absent
---@field named? boolean  the name of the event comes first

--- Closable; what `em:iter` returns.
---@class neap.EventIterator
---@overload async fun(): ...
local EventIterator = {}

--- The arguments of the next event, false for a first one that is nil; nil at
--- the end. Raises kind `broken` after an overflow.
---@async
---@return any ...
function EventIterator:next() end

--- Listen no more.
function EventIterator:close() end

--- The events of that name from now on, for a generic `for`. Raises kind
--- `closed`.
---@param name any  not nil, not NaN
---@param opts? neap.EventIteratorOptions
---@return neap.EventIterator
function Emitter:iter(name, opts) end

---@class neap.DrainOptions
---@field timeout? number  seconds; absent: no limit

--- Wait until no listener runs; false when the time was up first. Raises kind
--- `deadlock` inside a listener of this emitter.
---@async
---@param opts? neap.DrainOptions
---@return boolean in_time
function Emitter:drain(opts) end

--- Refuse from now on; those in wait_for raise kind `closed`, iterators end.
function Emitter:close() end

return neap
