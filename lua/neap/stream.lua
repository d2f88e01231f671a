--- Streams: a producer in a task of its own behind a bounded queue. Unlike a
--- generator it may hold scopes open while it yields.

local core = require "neap.core"
local iterator = require "neap.iterator"
local options = require "neap.options"

---@class neap.Stream
---@field private queue neap.Queue
---@field private task neap.Task
---@field private shared {failure?: any[]} what the producer ended with
---@field private sources (fun())[] to be closed after the producer
local Stream = {}
Stream.__index = Stream
Stream.__name = "neap.stream"

local pcall <const> = pcall

--- The end, or the producer's error: nothing is left to close but sources.
local function finish(self, err)
  self.over, self.shared.failure = true, nil
  iterator.close_all(self.sources, err)
  if err then error(err[1], 0) end
  return nil
end

local function after_get(self, ok, item)
  if not ok then
    if core.is_cancelled(item) then error(item, 0) end -- the consumer's own
    return finish(self, { item })
  end
  if item ~= nil then return table.unpack(item, 1, item.n) end
  if self.closed then return iterator.ended(self) end -- by another task
  return finish(self)
end

--- The next values, or nil at the end; raises the producer's error.
---@async
function Stream:next()
  if self.over then return iterator.ended(self) end
  iterator.use(self)
  return after_get(self, pcall(self.queue.get, self.queue))
end

local function join(self)
  if iterator.has_ended(self.task) then return end
  core.shield(math.huge, self.task.join, self.task)
end

--- Cancel the producer and wait for its end; raises what it failed with, if
--- that has not been heard yet.
---@async
---@param gone? boolean by the end of its scope
function Stream:close(gone)
  if self.closed then return join(self) end -- perhaps by another task, just now
  if self.over then return end
  -- First, as it may fail, for want of memory: then nothing has been closed.
  self.task:cancel "the stream was closed"
  self.closed, self.over, self.gone = true, true, gone
  self.queue:close(nil, { discard = true })
  join(self)
  local failure = self.shared.failure
  self.shared.failure = nil
  iterator.close_all(self.sources, failure)
  if failure then error(failure[1], 0) end
end

Stream.__call = function(self) return self:next() end
Stream.__close = iterator.on_close

-- Unreachable with a producer that waits for it: a background task closes it.
Stream.__gc = function(self)
  if not self.over then iterator.later(self.close, self) end
end

local stream = {}

--- The body of the producer's task. The scope holds what `fn` spawns: it has
--- ended, well or not, before the queue is closed.
local function produce(shared, queue, fn, put)
  local ok, err = pcall(core.scope, function() fn(put) end)
  if ok then
    queue:close()
  elseif core.is_cancelled(err) then
    queue:close(core.fault.new {
      kind = "task_cancelled",
      message = "the producer of the stream was cancelled",
    })
    error(err, 0)
  else
    core.was_heard()
    shared.failure = { err }
    queue:close(err)
  end
end

--- Start `fn(put)` as a child task of the caller; `put(...)` hands one item over
--- and waits for room. Its failure is raised at the consumer's step.
---@param what string for messages
---@param fn fun(put: fun(...))
---@param capacity number
---@param sources? (fun())[] what closes that which it reads from
---@return neap.Stream
function stream.start(what, fn, capacity, sources)
  core.may_wait(what)
  local queue, shared = core.queue(capacity), {}
  local function put(...)
    iterator.check_first(what, ...)
    queue:put(table.pack(...))
  end
  -- The task must not know the stream: it would never be collected.
  local task = core.spawn(produce, shared, queue, fn, put)
  task.name = what
  return setmetatable({
    queue = queue, task = task, shared = shared, sources = sources or {},
    what = what,
  }, Stream)
end

--- As `neap.gen`, the producer being a child task; `buffer` items ahead.
---@param fn fun(yield: fun(...))
---@param opts? {buffer?: integer}
---@return neap.Stream
function stream.new(fn, opts)
  if not options.callable(fn) then
    error("bad argument #1 to 'stream' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("neap.stream", opts, {
    buffer = options.range("number", 0),
  })
  return iterator.give(stream.start("neap.stream", fn, opts.buffer or 0))
end

return stream
