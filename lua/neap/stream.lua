--- Streams: a producer in a task of its own behind a bounded queue. Unlike a
--- generator it may hold scopes open while it yields.

local core = require "neap.core"
local gen = require "neap.gen"
local options = require "neap.options"

---@class neap.Stream
---@field private queue neap.Queue
---@field private task neap.Task
local Stream = {}
Stream.__index = Stream
Stream.__name = "neap.stream"

local function leave(self, item)
  if item == nil then
    self.over = true
    return nil
  end
  return table.unpack(item, 1, item.n)
end

--- The next values, or nil at the end; raises the producer's error.
---@async
function Stream:next()
  if self.over then return nil end
  local ok, item = core.pcall(self.queue.get, self.queue)
  if not ok then
    self.over = true
    self.task:join()
    error(item, 0)
  end
  return leave(self, item)
end

--- Cancel the producer and wait for its end.
---@async
function Stream:close()
  if self.closed then return end
  self.closed, self.over = true, true
  self.task:cancel("the stream was closed")
  self.queue:close(nil, { discard = true })
  self.task:join()
end

Stream.__call = function(self) return self:next() end
Stream.__close = function(self) self:close() end

local stream = {}

--- Start `produce(put)` as a child task of the caller; `put(...)` hands one
--- item over and waits for room. Its failure is raised at the consumer's step.
---@param what string for messages
---@param produce fun(put: fun(...))
---@param capacity number
---@return neap.Stream
function stream.start(what, produce, capacity)
  local queue = core.queue(capacity)
  local function put(...)
    if (...) == nil then
      core.fault.raise {
        kind = "invalid", message = what .. ": the first value cannot be nil",
      }
    end
    queue:put(table.pack(...))
  end
  local task = core.spawn(function()
    local ok, err = core.pcall(produce, put)
    if ok then queue:close() else queue:close(err) end
  end)
  return setmetatable({ queue = queue, task = task }, Stream)
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
  opts = options.check("neap.stream", opts, { buffer = "number" })
  return gen.iterator(stream.start("neap.stream", fn, opts.buffer or 0))
end

return stream
