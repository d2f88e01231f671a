---@meta _

--- Several waits as one. The page is docs/combinators.md. What one of them
--- starts has ended when it returns; a task in place of a function is watched
--- only. `list.n`, if there, is the length of a list.
---@class neap
local neap = {}

---@alias neap.Job neap.Task|async fun(): ...

---@class neap.Outcome
---@field ok boolean
---@field value any  if ok
---@field err any    if not

--- One value of each, in order. Raises the first error.
---@async
---@param ... neap.Job
---@return any ...
function neap.gather(...) end

--- As gather; `{n=, v1, ...}`.
---@async
---@generic T
---@param list (neap.Task|async fun(): T)[]
---@return {n: integer, [integer]: T}
function neap.all(list) end

--- All outcomes, with `n`. Raises none of their errors.
---@async
---@param list neap.Job[]
---@return {n: integer, [integer]: neap.Outcome}
function neap.settle(list) end

---@class neap.MapOptions
---@field concurrency? number  calls at once; absent or math.huge: all
---@field timeout? number      seconds for each call; absent: no limit
---@field errors? "raise"|"collect"  "raise" if absent; "collect": outcomes

--- `fn(item, index)` of each, in order, with `n`. Raises the first error.
---@async
---@generic T, R
---@param list T[]
---@param fn async fun(item: T, index: integer): R
---@param opts? neap.MapOptions
---@return {n: integer, [integer]: R}
function neap.map(list, fn, opts) end

--- The first outcome: its values, or its error.
---@async
---@param list neap.Job[]  not empty
---@return any ...
function neap.race(list) end

--- The values of the first that succeeds. Raises kind `group` when all fail.
---@async
---@param list neap.Job[]  not empty
---@return any ...
function neap.any(list) end

---@class neap.WaitOptions
---@field when? "all"|"first"|"first_error"  "all" if absent
---@field timeout? number  seconds; absent: no limit

--- Those that have ended, and those that have not. Cancels and raises nothing.
---@async
---@param tasks neap.Task[]  not empty
---@param opts? neap.WaitOptions
---@return neap.Task[] ended
---@return neap.Task[] running
function neap.wait(tasks, opts) end
