---@meta neap

--- The module itself: the run, its clock, what can be seen of it. The page is
--- docs/run.md; the other parts of `neap` stand in the files beside this one.
---
--- All times are seconds. What is marked async may suspend the task; it raises
--- kind `cancelled` in a cancelled task and `not_in_task` where Lua cannot
--- suspend. What the words mean exactly stands in docs/model.md.
---@class neap
---@field version string
---@field null userdata  NULL, where a table cannot hold nil
---@field fault neap.fault
---@field ctx neap.ctx
---@field coroutine neap.coroutine
---@field thread neap.thread
local neap = {}

-- ------------------------------------------------------------------ the run

---@class neap.Report
---@field what "background"|"secondary"|"future"|"lock"|"listener"|"leak"|"swallowed"|"at_exit"|"shutdown"|string
---@field error any
---@field traceback string|nil
---@field task neap.Task|nil
---@field name string|nil  of the task

---@class neap.RunOptions
---@field on_error? fun(info: neap.Report)  print to stderr if absent
---@field grace? number       seconds for background tasks, 5 if absent
---@field kill_after? number  seconds after their cancellation, 5 if absent
---@field clock? "real"|"virtual"  "real" if absent
---@field shuffle? integer    seed; disturbs the order of tasks
---@field signals? boolean|"raise"  true if absent
---@field pcall? "strict"     neap.pcall in place of Lua's
---@field coroutine? boolean  neap.coroutine in place of Lua's, true if absent

--- Run `main(...)` as the root of a tree of tasks; return its values, or raise
--- its error, when all that it started has ended. Raises kinds
--- `task_cancelled`, `deadlock`, `interrupted`, and in a task a plain error.
---@param opts neap.RunOptions
---@param main fun(...): ...
---@param ... any
---@return any ...
---@overload fun(main: fun(...): ..., ...): ...
function neap.run(opts, main, ...) end

--- A run in several calls.
---@class neap.Runner
local Runner = {}

--- Run `main(...)` as `neap.run` does; background tasks stand still until the
--- next call. Raises `closed` after the end.
---@param main fun(...): ...
---@param ... any
---@return any ...
function Runner:run(main, ...) end

--- The end, as that of `neap.run`. Once more does nothing.
function Runner:close() end

--- Several calls on one loop. Takes the options of `neap.run` but `trace`.
---@param opts? neap.RunOptions
---@return neap.Runner
function neap.runner(opts) end

--- Call `fn` in the shutdown of this run, or of the next one.
---@param fn fun()
function neap.at_exit(fn) end

--- Wait; 0 lets the others run once.
---@async
---@param seconds number
function neap.sleep(seconds) end

--- Let the others run once, and be cancelled here if need be.
---@async
function neap.checkpoint() end

--- The loop's clock: seconds, never going back.
---@return number
function neap.now() end

--- An exact decimal number; the same as pg.numeric.
---@param v string|integer|number|neap.numeric
---@return neap.numeric
function neap.numeric(v) end

-- -------------------------------------------------------------- the emitter

---@class neap.EmitterOptions
---@field errors? "raise"|"collect"|"report"
---@field max_listeners? integer  10 if absent; 0: no limit

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
---@return neap.Listener
function Emitter:many(name, n, fn) end

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

--- Run all listeners at once and wait for them. Raises the first failure
--- unless `errors` says otherwise; kind `closed`.
---@async
---@param name any  not nil, not NaN
---@param ... any
---@return integer ran
---@return neap.Outcome[]|nil outcomes  with errors="collect", and `n`
function Emitter:emit(name, ...) end

---@class neap.WaitForOptions
---@field filter? fun(...): any  whether it is the one; cannot wait
---@field timeout? number        seconds; absent: no limit

--- The arguments of the next event that the filter accepts. Raises kinds
--- `timeout`, `closed`, and the filter's error.
---@async
---@param name any  not nil, not NaN
---@param opts? neap.WaitForOptions
---@return any ...
function Emitter:wait_for(name, opts) end

--- Refuse from now on; those in wait_for raise kind `closed`.
function Emitter:close() end

return neap
