---@meta _

--- Coroutines of one's own, in which tasks may wait. The page is
--- docs/coroutine.md.
---@class neap
local neap = {}

---@class neap.coroutine
neap.coroutine = {}

--- As Lua's, but a wait inside suspends the task. A coroutine that waits is
--- refused: false and a message.
---@async
---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function neap.coroutine.resume(co, ...) end

--- As Lua's, but a wait inside suspends the task.
---@param fn async fun(...): ...
---@return async fun(...): ...
function neap.coroutine.wrap(fn) end

--- As Lua's. Raises for a coroutine that waits.
---@param co thread
---@return boolean ok
---@return any err
function neap.coroutine.close(co) end

--- Put them in place of Lua's. neap.run does so unless told `coroutine=false`.
function neap.coroutine.install() end

--- Undo the last install.
function neap.coroutine.uninstall() end
