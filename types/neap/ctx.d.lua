---@meta _

--- Values that go with a task. The page is docs/context.md.
---@class neap
local neap = {}

---@class neap.ctx
neap.ctx = {}

--- The value that the running task has under a key; nil if there is none, and
--- outside of any task.
---@param key any  not nil
---@return any value
function neap.ctx.get(key) end

--- Set a value for the running task and for what it spawns from now on. Raises
--- kind `not_in_task` outside of any task.
---@param key any    not nil
---@param value any  nil removes it
function neap.ctx.set(key, value) end

--- Call `fn(...)` with a value set; put back the one before, however it ends.
---@async
---@param key any    not nil
---@param value any
---@param fn async fun(...): ...
---@param ... any    arguments of `fn`
---@return any ...   what `fn` returned
function neap.ctx.with(key, value, fn, ...) end
