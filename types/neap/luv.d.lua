---@meta neap.luv

--- luv's loop inside ours, and functions that call back as functions that
--- wait. The page is docs/luv.md. `require "neap.luv"` returns luv itself.

---@class neap
local neap = {}

--- Make of a function that calls back one that waits until it has. An error
--- that begins with a name ("ENOENT: ...") is raised as kind `io` with that
--- `code`, any other as it is.
---@param fn function  its callback gets an error or nil, then the results
---@param argpos? integer  where it takes the callback; absent: last
---@return async fun(...): ...
function neap.wrap(fn, argpos) end

return require "luv"
