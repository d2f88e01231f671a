---@meta _

--- Lua functions on other threads. The page is docs/threads.md.
---@class neap.thread
local thread = {}

--- Call a function in another Lua state on the thread pool, and wait for it.
---
--- The function may not use local variables from outside of it. Arguments and
--- results are copied: nil, booleans, numbers, strings, `neap.null`, faults and
--- tables of these without a metatable.
---
--- Raises what the function raised; kind `invalid` for what cannot be copied.
--- Once it runs it is waited for, also by a cancelled task, unless `abandon`
--- is set.
---@async
---@param fn function|string  a function, source text, or "module:function"
---@param ... any  arguments
---@return any ...  results
---@overload async fun(opts: neap.thread.CallOptions, fn: function|string, ...: any): ...: any
function thread.call(fn, ...) end

---@class neap.thread.CallOptions
---@field abandon? boolean  who is cancelled does not wait for its end; false if absent
---@field class? string  one that has a limit of its own

--- Set how many calls run at once; the others wait in line. One less than
--- libuv's pool has threads, if never set.
---@param n? integer  nil: leave it
---@return integer was
---@overload fun(class: string, n?: number): number
function thread.limit(n) end

--- In a function called on another thread: is the result unwanted by now?
---@return boolean
function neap_thread_cancelled() end
