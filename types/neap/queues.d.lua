---@meta _

--- Queues, broadcast and select. The page is docs/primitives.md.
---@class neap
local neap = {}

---@class neap.Queue
---@operator len: integer
local Queue = {}

---@class neap.QueueOptions
---@field overflow? "block"|"drop_oldest"|"drop_newest"|"latest"  of a full queue; "block" if absent

--- First in, first out.
---@param capacity number  whole, or math.huge; 0: from hand to hand
---@param opts? neap.QueueOptions
---@return neap.Queue
function neap.queue(capacity, opts) end

--- Last in, first out.
---@param capacity number  as of neap.queue
---@return neap.Queue
function neap.lifo(capacity) end

--- The smallest first; of equal ones the first that was put.
---@param capacity number  as of neap.queue
---@param less? fun(a: any, b: any): boolean  `a < b` if absent; cannot wait
---@return neap.Queue
function neap.priority_queue(capacity, less) end

---@class neap.GetOptions
---@field timeout? number  seconds; absent: no limit

--- How many items the overflow policy has dropped.
---@return integer
function Queue:dropped() end

--- Wait for room. Raises kinds `closed`, `broken`.
---@async
---@param item any  not nil
---@return boolean put  false when the overflow policy dropped it
function Queue:put(item) end

--- Wait for an item. Raises the error given to close.
---@async
---@param opts? neap.GetOptions
---@return any item  nil when there is none
---@return "closed"|"timeout"|nil why
function Queue:get(opts) end

--- Whether there was room. Raises kinds `closed`, `broken`.
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

---@class neap.CloseOptions
---@field discard? boolean  drop what is left; false if absent

--- Refuse what comes, let take what is there.
---@param err? any  what get raises when it is drained; nil: `nil, "closed"`
---@param opts? neap.CloseOptions
function Queue:close(err, opts) end

--- An item has been dealt with. Raises kind `invalid` when called more often than items were put.
function Queue:done() end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, size: integer, capacity: number, getters: integer, putters: integer, joiners: integer, unfinished: integer, dropped: integer, closed: boolean}
function Queue:stats() end

--- Wait until done has been called for every item.
---@async
function Queue:join() end

---@class neap.ConsumeOptions
---@field on_error? fun(err: any, item: any)  takes errors; absent: the first is raised

--- Have `n` workers call `fn(item)` for each item until the queue is closed and
--- drained. Raises the first error, unless `on_error` takes it.
---@async
---@param n integer
---@param fn async fun(item: any)
---@param opts? neap.ConsumeOptions
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

--- Closable.
---@class neap.QueueProducer
local QueueProducer = {}

--- As queue:put; kind `closed` also when this handle is.
---@async
---@param item any  not nil
---@return true
function QueueProducer:put(item) end

--- As queue:try_put.
---@param item any  not nil
---@return boolean
function QueueProducer:try_put(item) end

--- Close the handle; the last one closes the queue.
function QueueProducer:close() end

--- Closable.
---@class neap.QueueConsumer
local QueueConsumer = {}

--- As queue:get; kind `closed` when this handle is.
---@async
---@param opts? neap.GetOptions
---@return any item  nil when there is none
---@return "closed"|"timeout"|nil why
function QueueConsumer:get(opts) end

--- As queue:try_get.
---@return any item  nil when there is none
---@return "closed"|nil why
function QueueConsumer:try_get() end

--- As queue:iter.
---@return async fun(): any
function QueueConsumer:iter() end

--- As queue:done.
function QueueConsumer:done() end

--- Close the handle; the last one breaks the queue.
function QueueConsumer:close() end

-- ----------------------------------------------------------------- broadcast

--- Closable.
---@class neap.Broadcast
local Broadcast = {}

--- Every item for every subscriber; each has room for `capacity` of them.
---@param capacity number  whole from 1 on, or math.huge
---@return neap.Broadcast
function neap.broadcast(capacity) end

--- Give an item to all who have subscribed; waits for room with those who
--- block. Raises kind `closed`.
---@async
---@param item any  not nil
---@return true
function Broadcast:put(item) end

---@class neap.SubscribeOptions
---@field overflow? "block"|"drop_oldest"|"error"  "block" if absent

--- Get all that is put from now on. Raises kind `closed`.
---@param opts? neap.SubscribeOptions
---@return neap.Subscription
function Broadcast:subscribe(opts) end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, waiting: integer, subscribers: integer, full: integer, capacity: number, closed: boolean}
function Broadcast:stats() end

--- No more; subscribers get what they have, then the end, or `err`.
---@param err? any
function Broadcast:close(err) end

--- Closable; callable in a generic `for`.
---@class neap.Subscription
---@field dropped integer  items that did not fit, with "drop_oldest"
---@operator len: integer
---@overload async fun(): any
local Subscription = {}

--- The next item. Raises kind `broken` after an overflow with "error", and the
--- error given to close.
---@async
---@param opts? neap.GetOptions
---@return any item  nil when there is none
---@return "closed"|"timeout"|nil why
function Subscription:get(opts) end

--- Items until the broadcast is closed; each step waits.
---@return async fun(): any
function Subscription:iter() end

--- How it is just now; `id` is its name in a dump.
---@return {id: string, size: integer, capacity: number, getters: integer, putters: integer, joiners: integer, unfinished: integer, dropped: integer, closed: boolean}
function Subscription:stats() end

--- Leave; what is in the buffer is dropped.
function Subscription:close() end

-- -------------------------------------------------------------------- select

--- What neap.select takes.
---@class neap.Branch

--- Let exactly one of the branches happen. Raises what that raises.
---@async
---@param branches neap.Branch[]  not empty
---@return integer index
---@return any ...
function neap.select(branches) end

--- A branch that goes on when the time is up.
---@param seconds number
---@return neap.Branch
function neap.after(seconds) end
