---@meta _

--- Errors as objects. The page is docs/tasks.md, "Faults".
---@class neap
local neap = {}

---@alias neap.FaultKind
---| "cancelled"       a checkpoint of a cancelled task
---| "task_cancelled"  awaiting a task that was cancelled
---| "timeout"         a time limit, a shield, a scope with a deadline
---| "closed"          using what has ended
---| "broken"          a lock whose owner ended, a queue without consumers
---| "deadlock"        waiting for oneself; nothing can happen any more
---| "interrupted"     a run ended by a signal
---| "stale_cancel"    a cancellation raised after its scope has ended
---| "not_in_task"     waiting where it is not possible
---| "group"           several failures: see `errors`
---| "io"              the operating system: see `code`
---| "invalid"         wrong options, use against the rules

---@class neap.Fault
---@field kind neap.FaultKind|string
---@field code string|nil
---@field message string|nil
---@field cause any
---@field traceback string|nil
---@field safe_to_retry boolean|nil
---@field errors any[]|nil   of kind `group`
---@field n integer|nil      of kind `group`: how many errors, for one may be nil
---@field find nil|fun(self: neap.Fault, pred: string|fun(err: any): any): any  of kind `group`
---@field split nil|fun(self: neap.Fault, pred: string|fun(err: any): any): neap.Fault|nil, neap.Fault|nil  of kind `group`
---@field source "explicit"|"deadline"|"sibling_failed"|"parent"|"shutdown"|"signal"|nil  of kind `cancelled`
---@field reason any         of kind `cancelled`
---@field signal integer|nil of kind `interrupted`

--- What makes a fault; other fields stay as they are.
---@class neap.FaultFields
---@field kind string
---@field message? string
---@field code? string
---@field cause? any
---@field safe_to_retry? boolean
---@field [string] any

---@class neap.fault
neap.fault = {}

--- Make a fault of the table.
---@param fields neap.FaultFields
---@return neap.Fault
function neap.fault.new(fields) end

--- Raise a fault, or one made of the table.
---@param fields neap.Fault|neap.FaultFields
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

--- The text of an error, and where it was raised if a run has raised it or it is
--- a fault. A handler for `xpcall(neap.run, neap.traceback, main)`.
---@param err any
---@return string
function neap.traceback(err) end
