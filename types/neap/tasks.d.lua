---@meta _

--- Tasks, scopes, cancellation and time limits. The page is docs/tasks.md.
---@class neap
local neap = {}

-- --------------------------------------------------------------------- tasks

--- Made by neap.spawn and others.
---@class neap.Task
---@field name string  where its function stands, until assigned
local Task = {}

--- Make a task of `fn(...)`, owned by the caller's innermost scope. Waits only
--- if that has a `max` and is full. Raises kind `closed`.
---@param fn async fun(...): ...
---@param ... any
---@return neap.Task
function neap.spawn(fn, ...) end

--- Make a task that belongs to the run; its error is reported at once. Raises
--- kind `closed` in the last part of a shutdown.
---@param fn async fun(...)
---@param ... any
---@return neap.Task
function neap.background(fn, ...) end

--- The running task.
---@return neap.Task|nil
function neap.current() end

--- Wait for its end; return its values or raise its error. Raises kinds
--- `task_cancelled`, `deadlock`.
---@async
---@return any ...
function Task:await() end

--- Wait for its end. Raises kind `deadlock`.
---@async
function Task:join() end

---@class neap.TaskOutcome
---@field ok boolean
---@field n integer  number of values, which are at 1 to n
---@field err any
---@field [integer] any

--- How it ended; nil while it runs.
---@return neap.TaskOutcome|nil
function Task:outcome() end

--- Cancel it and its children.
---@param reason? any
---@return boolean had_an_effect
function Task:cancel(reason) end

--- Where it is in its life.
---@return "new"|"ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
function Task:status() end

--- Where it waits, or where it failed.
---@return string|nil
function Task:traceback() end

--- A branch for neap.select: its values, or its error.
---@return neap.Branch
function Task:on_done() end

-- -------------------------------------------------------------------- scopes

---@class neap.Scope
---@field deadline number|nil  of neap.now(); may be assigned while it is open
---@field cancelled boolean
---@field expired boolean      its deadline has passed
---@field name string|nil
local Scope = {}

---@class neap.ScopeOptions
---@field name? string
---@field max? integer  live children at once; 0 or absent: no limit
---@field on_exit? "wait"|"cancel"   "wait" if absent; "cancel": children end with the body
---@field errors? "first"|"group"   "first" if absent; "group": raises kind `group`

--- Call `fn(s, ...)`, wait for all children, return its values. Raises the
--- first failure; kinds `group`, `timeout`.
---@async
---@param opts neap.ScopeOptions
---@param fn async fun(s: neap.Scope, ...): ...
---@param ... any
---@return any ...
---@overload async fun(fn: (async fun(s: neap.Scope, ...): ...), ...): ...
function neap.scope(opts, fn, ...) end

--- Make a child of this scope; waits only if the scope is full. Raises kind `closed`.
---@param fn async fun(...): ...
---@param ... any
---@return neap.Task
function Scope:spawn(fn, ...) end

--- Make a child and wait until it calls `started(...)`; returns what it passed.
--- Raises its error when it ends before that.
---@async
---@param fn async fun(started: fun(...), ...): ...
---@param ... any
---@return any ...
function Scope:start(fn, ...) end

--- Cancel the body and all children; the scope returns normally.
---@param reason? any
---@return boolean had_an_effect
function Scope:cancel(reason) end

---@class neap.Supervisor: neap.Scope

---@class neap.SupervisorOptions
---@field restart? "never"|"on_failure"|"always"  "never" if absent
---@field strategy? "one_for_one"|"one_for_all"|"rest_for_one"  "one_for_one" if absent
---@field name? string
---@field max_restarts? integer  3 if absent
---@field within? number         seconds, 5 if absent

--- A scope whose children fail alone, and may be started again. Raises the
--- failure that was one too many.
---@async
---@param opts neap.SupervisorOptions
---@param fn async fun(s: neap.Supervisor, ...): ...
---@param ... any
---@return any ...
---@overload async fun(fn: (async fun(s: neap.Supervisor, ...): ...), ...): ...
function neap.supervisor(opts, fn, ...) end

-- ------------------------------------------------- cancellation, time limits

--- Whether the caller's innermost scope is cancelled.
---@return boolean
function neap.cancelled() end

--- Whether `err` is a cancellation.
---@param err any
---@return boolean
function neap.is_cancelled(err) end

--- As Lua's; the caller's own cancellation passes.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return boolean ok
---@return any ...
function neap.pcall(fn, ...) end

--- As Lua's; the caller's own cancellation passes.
---@async
---@param fn async fun(...): ...
---@param handler fun(err: any): any
---@param ... any
---@return boolean ok
---@return any ...
function neap.xpcall(fn, handler, ...) end

--- Run `fn` hidden from cancellation outside. Raises kind `timeout`.
---@async
---@param seconds number  at most so long
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function neap.shield(seconds, fn, ...) end

---@class neap.DeferOptions
---@field timeout? number  seconds that `fn` has, 5 if absent

--- A `<close>` value that runs `fn` shielded when the block is left.
---@param fn async fun()
---@param opts? neap.DeferOptions
---@return any
function neap.defer(fn, opts) end

--- Call `fn(...)`; raises kind `timeout` when the time is up and that interrupted
--- something inside.
---@async
---@param seconds number|nil  nil and math.huge: no limit
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function neap.timeout(seconds, fn, ...) end

--- As neap.timeout, until a time of neap.now().
---@async
---@param time number
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function neap.timeout_at(time, fn, ...) end

--- Call `fn(...)`; true and its values, or false when the time was up.
---@async
---@param seconds number|nil  nil and math.huge: no limit
---@param fn async fun(...): ...
---@param ... any
---@return boolean in_time
---@return any ...
function neap.move_on_after(seconds, fn, ...) end

--- The earliest limit around the caller, of neap.now().
---@return number|nil
function neap.deadline() end

--- Of kind `timeout`, `query_timeout` or `pool_timeout`?
---@param err any
---@return boolean
function neap.is_timeout(err) end
