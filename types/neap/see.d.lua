---@meta _

--- Seeing what a run does: hooks. The page is docs/seeing.md.
---@class neap
local neap = {}

---@class neap.HookFunctions
---@field on_spawn? fun(task: neap.Task)  it stands in the queue now
---@field on_step? fun(task: neap.Task)   it is about to run
---@field on_wait? fun(task: neap.Task, operation: string|nil)  its step is over; nil: it lets others run
---@field on_done? fun(task: neap.Task, status: "done"|"failed"|"cancelled")

--- What `neap.hooks` returns; closable.
---@class neap.Hooks
local Hooks = {}

--- None of its functions is called any more. Twice is once.
function Hooks:close() end

--- Have functions called at the turns of every task's life, in this run and in
--- later ones, until the handle is closed. They must not wait. A failure of one
--- is reported as `listener`.
---@param functions neap.HookFunctions  at least one
---@return neap.Hooks
function neap.hooks(functions) end
