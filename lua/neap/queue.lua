--- What queues can do beyond src/core/queue.c: workers, and handles of producers
--- and consumers that are counted.

local core = require "neap.core"
local iterator = require "neap.iterator"
local options = require "neap.options"

---@class neap.Queue
local Queue = core.methods "neap.queue"

-- ------------------------------------------------------------------ workers

local CONSUME_OPTIONS <const> = { on_error = "callable" }

-- A number out of hand asked for tasks until the memory was full, without a
-- wait in between where it could have been cancelled.
local MOST_WORKERS <const> = 1000000

local Mark = { __close = function(self) self.queue:done() end }

--- Take items and call `fn` for each until the queue is closed and drained.
local function work(queue, fn, on_error)
  local mark = setmetatable({ queue = queue }, Mark)
  for item in queue:iter() do
    local _ <close> = mark
    if on_error then
      local ok, err = core.pcall(fn, item)
      if not ok then on_error(err, item) end
    else
      fn(item)
    end
  end
end

--- Have `n` workers call `fn(item)` for every item, each marked as done however
--- `fn` ends, and wait until the queue is closed and drained. The first error
--- cancels the workers and is raised; with `on_error` it goes there instead.
---@async
---@param n integer
---@param fn fun(item: any)
---@param opts? {on_error?: fun(err: any, item: any)}
function Queue:consume(n, fn, opts)
  if math.type(n) ~= "integer" or n < 1 or n > MOST_WORKERS then
    error(("bad argument #1 to 'consume' (a whole number from 1 to %d expected)")
      :format(MOST_WORKERS), 2)
  end
  if not options.callable(fn) then
    error("bad argument #2 to 'consume' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("queue:consume", opts, CONSUME_OPTIONS)
  core.may_wait "queue:consume"
  core.scope(function(s)
    for _ = 1, n do s:spawn(work, self, fn, opts.on_error) end
  end)
end

-- ------------------------------------------------------------------ handles

---@type table<neap.Queue, {producers: integer, consumers: integer}>
local counts = setmetatable({}, { __mode = "k" })

local function counts_of(queue)
  local count = counts[queue]
  if not count then
    count = { producers = 0, consumers = 0 }
    counts[queue] = count
  end
  return count
end

local END <const> = {
  producers = function(queue) queue:close() end,
  consumers = core.queue_break,
}

local function check_open(self, what)
  if self.open then return end
  core.fault.raise {
    kind = "closed", message = what .. ": the handle is closed",
  }
end

--- Give a handle back; the last of its kind ends the queue. Need not wait.
local function close(self)
  if not self.open then return end
  self.open = false
  local count, kind = counts_of(self.queue), self.kind
  count[kind] = count[kind] - 1
  if count[kind] == 0 then END[kind](self.queue) end
end

local function new_handle(class, queue, kind)
  local count = counts_of(queue)
  count[kind] = count[kind] + 1
  local self = setmetatable({ queue = queue, kind = kind, open = true }, class)
  core.born(self)
  return self
end

local function new_class(name)
  local class = { __name = name, close = close, __close = close }
  class.__index = class
  -- Forgotten: as if closed, but not from inside the collector.
  class.__gc = function(self)
    if self.open and not iterator.later(close, self) then close(self) end
  end
  return class
end

---@class neap.QueueProducer
local Producer = new_class "neap.queue.producer"

--- As the queue's own; `closed` also when this handle is.
---@async
function Producer:put(item)
  check_open(self, "producer:put")
  return self.queue:put(item)
end

function Producer:try_put(item)
  check_open(self, "producer:try_put")
  return self.queue:try_put(item)
end

---@class neap.QueueConsumer
local Consumer = new_class "neap.queue.consumer"

---@async
function Consumer:get(opts)
  check_open(self, "consumer:get")
  return self.queue:get(opts)
end

function Consumer:try_get()
  check_open(self, "consumer:try_get")
  return self.queue:try_get()
end

function Consumer:iter()
  check_open(self, "consumer:iter")
  return self.queue:iter()
end

function Consumer:done() return self.queue:done() end

--- A handle to put through. When the last of them is closed, so is the queue.
---@return neap.QueueProducer
function Queue:producer() return new_handle(Producer, self, "producers") end

--- A handle to get through. When the last of them is closed, the queue is
--- broken: what is left in it is dropped, and whoever puts gets `broken`.
---@return neap.QueueConsumer
function Queue:consumer() return new_handle(Consumer, self, "consumers") end

return Queue
