---@meta neap

--- Tasks, scopes, primitives and the emitter. The pages are docs/tasks.md,
--- docs/primitives.md and docs/emitter.md; what the words mean exactly stands
--- in docs/model.md. All times are seconds. What is marked async may suspend
--- the task; it raises kind `cancelled` in a cancelled task and `not_in_task`
--- where Lua cannot suspend.
---@class neap
---@field version string
---@field null userdata  NULL, where a table cannot hold nil
---@field fault neap.fault
---@field coroutine neap.coroutine
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
---@field clock? "real"|"virtual"
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

--- The tree of tasks and what each waits for.
---@return string
function neap.dump() end

---@class neap.Stats
---@field tasks integer     alive now
---@field timers integer    set now
---@field pending integer   I/O under way
---@field handles integer   open on the loop
---@field spawned integer   since the beginning
---@field failed integer    since the beginning
---@field switches integer  since the beginning
---@field polls integer     since the beginning
---@field idle_coroutines integer  kept for the next tasks

---@return neap.Stats
function neap.stats() end

-- -------------------------------------------------------------------- tasks

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

--- nil while it runs.
---@return neap.TaskOutcome|nil
function Task:outcome() end

--- Cancel it and its children.
---@param reason? any
---@return boolean had_an_effect
function Task:cancel(reason) end

---@return "new"|"ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
function Task:status() end

--- Where it waits, or where it failed.
---@return string|nil
function Task:traceback() end

--- A branch for neap.select: its values, or its error.
---@return neap.Branch
function Task:on_done() end

-- ------------------------------------------------------------------- scopes

---@class neap.Scope
---@field deadline number|nil  of neap.now(); may be assigned while it is open
---@field cancelled boolean
---@field expired boolean      its deadline has passed
---@field name string|nil
local Scope = {}

---@class neap.ScopeOptions
---@field name? string
---@field max? integer  live children at once; 0 or absent: no limit
---@field on_exit? "wait"|"cancel"
---@field errors? "first"|"group"

--- Call `fn(s, ...)`, wait for all children, return its values. Raises the
--- first failure; kinds `group`, `timeout`.
---@async
---@param opts neap.ScopeOptions
---@param fn async fun(s: neap.Scope, ...): ...
---@param ... any
---@return any ...
---@overload async fun(fn: (async fun(s: neap.Scope, ...): ...), ...): ...
function neap.scope(opts, fn, ...) end

--- Make a child; waits only if the scope is full. Raises kind `closed`.
---@param fn async fun(...): ...
---@param ... any
---@return neap.Task
function Scope:spawn(fn, ...) end

--- Make a child and wait until it calls `started(...)`; returns what it passed.
--- Raises its error when it ends before that.
---@async
---@param fn async fun(started: fun(...), ...): ...
---@return any ...
function Scope:start(fn, ...) end

--- Cancel the body and all children; the scope returns normally.
---@param reason? any
---@return boolean had_an_effect
function Scope:cancel(reason) end

---@class neap.Supervisor: neap.Scope

---@class neap.SupervisorOptions
---@field restart? "never"|"on_failure"|"always"
---@field strategy? "one_for_one"|"one_for_all"|"rest_for_one"
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

-- ------------------------------------------------ cancellation, time limits

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
---@param seconds number
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function neap.shield(seconds, fn, ...) end

--- A `<close>` value that runs `fn` shielded.
---@param fn async fun()
---@param opts? {timeout?: number}  seconds, 5 if absent
---@return any
function neap.defer(fn, opts) end

--- Raises kind `timeout` when the time is up and interrupted something.
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

--- true and the values, or false when the time was up.
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

-- -------------------------------------------------------------- combinators

---@alias neap.Job neap.Task|async fun(): ...

---@class neap.Outcome
---@field ok boolean
---@field value any
---@field err any

--- One value of each, in order; raises the first error.
---@async
---@param ... neap.Job
---@return any ...
function neap.gather(...) end

--- As gather; `{n=, v1, ...}`.
---@async
---@param list neap.Job[]
---@return table
function neap.all(list) end

--- All outcomes, with `n`; raises none of the errors.
---@async
---@param list neap.Job[]
---@return neap.Outcome[]
function neap.settle(list) end

---@class neap.MapOptions
---@field concurrency? integer|number  all at once if absent, or math.huge
---@field timeout? number              seconds for each call
---@field errors? "raise"|"collect"

--- `fn(item, index)` of each, in order, with `n`. Raises the first error.
---@async
---@param list any[]
---@param fn async fun(item: any, index: integer): any
---@param opts? neap.MapOptions
---@return table
function neap.map(list, fn, opts) end

--- The first outcome: its values, or its error.
---@async
---@param list neap.Job[]
---@return any ...
function neap.race(list) end

--- The first success. Raises kind `group` when all fail.
---@async
---@param list neap.Job[]
---@return any ...
function neap.any(list) end

--- Those that have ended, those that have not; cancels and raises nothing.
---@async
---@param tasks neap.Task[]
---@param opts? {when?: "all"|"first"|"first_error", timeout?: number}
---@return neap.Task[] ended
---@return neap.Task[] running
function neap.wait(tasks, opts) end

--- Values in the order in which they come; each step waits, and raises.
---@param list neap.Job[]
---@return async fun(): ...
function neap.as_completed(list) end

--- `fn(item)` of each item, pulled as needed; each step waits, and raises.
---@param iter any[]|fun(): any
---@param fn async fun(item: any): ...
---@param opts? {concurrency?: integer, ordered?: boolean}
---@return async fun(): ...
function neap.imap(iter, fn, opts) end

-- ------------------------------------------------------------------- faults

---@class neap.Fault
---@field kind string
---@field code string|nil
---@field message string|nil
---@field cause any
---@field traceback string|nil
---@field safe_to_retry boolean|nil
---@field errors any[]|nil   of kind `group`
---@field source "explicit"|"deadline"|"sibling_failed"|"parent"|"shutdown"|"signal"|nil  of kind `cancelled`
---@field reason any         of kind `cancelled`
---@field signal integer|nil of kind `interrupted`

---@class neap.fault
neap.fault = {}

--- Make a fault of the table.
---@param fields {kind: string, message?: string, code?: string, cause?: any, [string]: any}
---@return neap.Fault
function neap.fault.new(fields) end

--- Raise a fault, or one made of the table.
---@param fields neap.Fault|{kind: string, message?: string, code?: string, cause?: any, [string]: any}
function neap.fault.raise(fields) end

--- Whether it, or one of its causes, is a fault of that kind.
---@param err any
---@param kind string
---@return boolean
function neap.fault.is(err, kind) end

--- The failures that came with it, in order.
---@param err any
---@return any[]
function neap.suppressed(err) end

-- --------------------------------------------------------- future and event

---@class neap.Future
local Future = {}

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

--- Whether it is settled.
---@return boolean
function Future:done() end

---@class neap.Event
local Event = {}

---@return neap.Event
function neap.event() end

--- Wake all who wait; stays set.
function Event:set() end

function Event:clear() end

---@return boolean
function Event:is_set() end

---@async
function Event:wait() end

--- A branch for neap.select.
---@return neap.Branch
function Event:on_wait() end

-- ------------------------------------------------------- lock and semaphore

--- Closable.
---@class neap.Guard
local Guard = {}

--- Give it back; the second time does nothing.
function Guard:release() end

---@class neap.Lock
local Lock = {}

---@return neap.Lock
function neap.lock() end

--- Raises kinds `deadlock`, `broken`.
---@async
---@return neap.Guard
function Lock:acquire() end

--- Raises kinds `broken`, `not_in_task`.
---@return neap.Guard|false
function Lock:try_acquire() end

--- Raises kind `invalid` unless this task holds it.
function Lock:release() end

--- Call `fn(...)` holding it; return its values.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Lock:with(fn, ...) end

---@return boolean
function Lock:locked() end

---@class neap.Semaphore
local Semaphore = {}

---@param n integer  permits
---@param opts? {max?: integer}
---@return neap.Semaphore
function neap.semaphore(n, opts) end

---@async
---@return neap.Guard
function Semaphore:acquire() end

---@return neap.Guard|false
function Semaphore:try_acquire() end

--- Raises kind `invalid` beyond `max`.
function Semaphore:release() end

--- Call `fn(...)` holding a permit; return its values.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Semaphore:with(fn, ...) end

--- The permits there are.
---@return integer
function Semaphore:value() end

--- Whether there is no permit.
---@return boolean
function Semaphore:locked() end

---@param n integer
function Semaphore:resize(n) end

-- --------------------------------------- condition, barrier, rwlock, once

---@class neap.Condition
local Condition = {}

---@param lock? neap.Lock
---@return neap.Condition
function neap.condition(lock) end

---@async
---@return neap.Guard
function Condition:acquire() end

function Condition:release() end

---@return boolean
function Condition:locked() end

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
---@param pred fun(): any
---@return any
function Condition:wait_for(pred) end

--- Wake those that wait longest.
---@param n? integer  1 if absent
---@return integer woken
function Condition:notify(n) end

---@return integer woken
function Condition:notify_all() end

---@class neap.Barrier
local Barrier = {}

---@param n integer
---@return neap.Barrier
function neap.barrier(n) end

---@async
---@return integer place  1 to n
function Barrier:wait() end

--- Closable.
---@class neap.RWGuard
---@field release fun()

---@class neap.RWLock
local RWLock = {}

---@return neap.RWLock
function neap.rwlock() end

--- Raises kind `deadlock` when the task would wait for itself.
---@async
---@return neap.RWGuard
function RWLock:read() end

--- Raises kind `deadlock` when the task would wait for itself.
---@async
---@return neap.RWGuard
function RWLock:write() end

--- A function that calls `fn` once, for all its callers.
---@generic F: function
---@param fn F
---@return F
function neap.once(fn) end

-- --------------------------------------------------------- queue and select

---@class neap.Queue
---@operator len: integer
local Queue = {}

---@param capacity number  whole, or math.huge; 0: from hand to hand
---@return neap.Queue
function neap.queue(capacity) end

--- Raises kind `closed`.
---@async
---@param item any  not nil
---@return true
function Queue:put(item) end

--- Raises the error given to close.
---@async
---@param opts? {timeout?: number}
---@return any item  nil when there is none
---@return "closed"|"timeout"|nil why
function Queue:get(opts) end

--- Raises kind `closed`.
---@param item any  not nil
---@return boolean
function Queue:try_put(item) end

--- Raises the error given to close.
---@return any item  nil when there is none
---@return "closed"|nil why
function Queue:try_get() end

--- Items until it is closed and drained; each step waits.
---@return async fun(): any
function Queue:iter() end

---@param err? any  what get raises when it is drained
---@param opts? {discard?: boolean}
function Queue:close(err, opts) end

--- Raises kind `invalid` when called more often than items were put.
function Queue:done() end

--- Wait until done has been called for every item.
---@async
function Queue:join() end

--- Have `n` workers call `fn(item)` for each item until the queue is closed and
--- drained. Raises the first error, unless `on_error` takes it.
---@async
---@param n integer
---@param fn async fun(item: any)
---@param opts? {on_error?: fun(err: any, item: any)}
function Queue:consume(n, fn, opts) end

--- A closable handle to put through; the last one closed closes the queue.
---@return neap.QueueProducer
function Queue:producer() end

--- A closable handle to get through; the last one closed breaks the queue.
---@return neap.QueueConsumer
function Queue:consumer() end

--- A branch for neap.select: the item, or nil and "closed".
---@return neap.Branch
function Queue:on_get() end

--- A branch for neap.select; raises kind `closed` there.
---@param item any  not nil
---@return neap.Branch
function Queue:on_put(item) end

---@class neap.Branch

--- Let exactly one of the branches happen. Raises what that raises.
---@async
---@param branches neap.Branch[]
---@return integer index
---@return any ...
function neap.select(branches) end

--- A branch that goes on when the time is up.
---@param seconds number
---@return neap.Branch
function neap.after(seconds) end

-- -------------------------------------------------------------- the emitter

---@class neap.EmitterOptions
---@field errors? "raise"|"collect"|"report"
---@field max_listeners? integer  10 if absent; 0: no limit

---@class neap.Emitter
local Emitter = {}

---@param opts? neap.EmitterOptions
---@return neap.Emitter
function neap.emitter(opts) end

--- Closable.
---@class neap.Listener
local Listener = {}

---@return boolean was_there
function Listener:off() end

--- Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? {priority?: number, unique?: boolean}
---@return neap.Listener
function Emitter:on(name, fn, opts) end

--- Before the others of its priority. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? {priority?: number, unique?: boolean}
---@return neap.Listener
function Emitter:prepend(name, fn, opts) end

--- For one event. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param fn async fun(...)
---@param opts? {priority?: number, unique?: boolean}
---@return neap.Listener
function Emitter:once(name, fn, opts) end

--- For `n` events. Raises kind `closed`.
---@param name any  not nil, not NaN
---@param n integer
---@param fn async fun(...)
---@return neap.Listener
function Emitter:many(name, n, fn) end

---@param name any
---@param fn function
---@return integer removed
---@overload fun(self: neap.Emitter, handle: neap.Listener): integer
function Emitter:off(name, fn) end

---@param name? any
---@return integer removed
function Emitter:off_all(name) end

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

--- The arguments of the next event that the filter accepts. Raises kinds
--- `timeout`, `closed`, and the filter's error.
---@async
---@param name any  not nil, not NaN
---@param opts? {filter?: (fun(...): any), timeout?: number}
---@return any ...
function Emitter:wait_for(name, opts) end

--- Refuse from now on; those in wait_for raise kind `closed`.
function Emitter:close() end

-- ----------------------------------------------------------- code of others

--- Make of a function that calls back one that waits. That raises kind `io`
--- for errors that begin with a name, others as they are.
---@param fn function
---@param argpos? integer  where it takes the callback; last if absent
---@return async fun(...): ...
function neap.wrap(fn, argpos) end

---@class neap.coroutine
neap.coroutine = {}

---@async
---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function neap.coroutine.resume(co, ...) end

---@param fn function
---@return async fun(...): ...
function neap.coroutine.wrap(fn) end

--- Raises for one that waits.
---@param co thread
---@return boolean ok
---@return any err
function neap.coroutine.close(co) end

--- Put them in place of Lua's.
function neap.coroutine.install() end

--- Undo the last install.
function neap.coroutine.uninstall() end

return neap
