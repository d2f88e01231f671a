---@meta _

--- Generators, streams and pipelines. The page is docs/iterators.md.
---@class neap
local neap = {}

--- What all iterators are: callable, as a generic `for` does it, and closable
--- by `<close>`. A step waits as its source does, and raises its error; kind
--- `closed` after the scope in which it was made has ended.
---@class neap.Iterator
---@overload async fun(): any ...
local Iterator = {}

--- The values of the next step; nil at the end.
---@async
---@return any ...
function Iterator:next() end

--- End it where it stands; what it holds is cleaned up when this returns.
---@async
function Iterator:close() end

---@class neap.Gen: neap.Iterator

--- A generator: `fn(yield)` runs in the consumer's task, from one `yield(...)`
--- to the next. Kind `invalid` at a step whose first value is nil, and where a
--- scope is open in `fn` while it yields.
---@param fn async fun(yield: async fun(value: any, ...: any))
---@return neap.Gen
function neap.gen(fn) end

---@class neap.Stream: neap.Iterator

---@class neap.StreamOptions
---@field buffer? integer  items it may be ahead, 0 if absent

--- As neap.gen, but `fn` runs in a child task of the caller.
---@param fn async fun(yield: async fun(value: any, ...: any))
---@param opts? neap.StreamOptions
---@return neap.Stream
function neap.stream(fn, opts) end

---@class neap.ImapOptions
---@field concurrency? number  calls at once, 8 if absent; may be math.huge
---@field ordered? boolean     results in the order of the items, true if absent

--- `fn(...)` of each item, pulled as there is room for it.
---@generic T
---@param source T[]|neap.Queue|neap.Iterator|fun(): T
---@param fn async fun(item: T, ...: any): any ...
---@param opts? neap.ImapOptions
---@return neap.Stream
function neap.imap(source, fn, opts) end

--- The values of functions or tasks as they come, in the order of their ends.
--- Leaving the loop cancels what was started for it and is still running.
---@param list neap.Job[]
---@return neap.Stream
function neap.as_completed(list) end

---@class neap.Iter: neap.Iterator
local Iter = {}

--- A pipeline over a list, a queue, an iterator, or what a generic `for` takes.
---@param x any[]|neap.Queue|neap.Iterator|function
---@param ... any  state, control and closing value, if `x` is a function
---@return neap.Iter
function neap.iter(x, ...) end

--- What `fn` returns for each. Kind `invalid` where that begins with nil.
---@param fn async fun(...): ...
---@return neap.Iter
function Iter:map(fn) end

--- Those for which `pred` is true.
---@param pred async fun(...): any
---@return neap.Iter
function Iter:filter(pred) end

--- The first `n`; no more are pulled.
---@param n integer
---@return neap.Iter
function Iter:take(n) end

--- Lists of `n` first values; the last may be shorter.
---@param n integer
---@return neap.Iter
function Iter:chunk(n) end

--- The items of all of them as they come, read by tasks.
---@param ... any  sources
---@return neap.Iter
function Iter:merge(...) end

--- The first values of all of them side by side, as long as all have one.
---@param ... any  sources
---@return neap.Iter
function Iter:zip(...) end

--- The last item before each pause of `seconds`.
---@param seconds number
---@return neap.Iter
function Iter:debounce(seconds) end

--- At most one item in `seconds`; what comes too early is dropped.
---@param seconds number
---@return neap.Iter
function Iter:throttle(seconds) end

--- A list of the first values of all that comes.
---@async
---@return any[]
function Iter:totable() end
