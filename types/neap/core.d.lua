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
---@field what "background"|"secondary"|"future"|"lock"|"listener"|"leak"|"slow"|"swallowed"|"at_exit"|"shutdown"|string
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
---@field debug? boolean      more reports; NEAP_DEBUG=1 if absent
---@field slow_ms? number|false  report longer steps; 100 in debug mode
---@field trace? string       path of a trace file
---@field coroutine? boolean  neap.coroutine in place of Lua's, true if absent
---@field slow_ms? number|false  report steps that take longer; 100 with `debug` if absent
---@field trace? string       a file for a timeline, as trace viewers read it
---@field debug? boolean      keep tracebacks of spawns, report more; absent: NEAP_DEBUG=1

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

--- Signals that reach the process, by name, in the order in which they come.
---@class neap.Signals
---@overload async fun(): string|nil
local Signals = {}

--- The name of the next one; nil once it is closed.
---@async
---@return string|nil
function Signals:next() end

--- Leave them to what handled them before.
function Signals:close() end

--- Catch signals from now on.
---@param ... string  names, as "HUP" or "SIGHUP"
---@return neap.Signals
function neap.signals(...) end

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

return neap
