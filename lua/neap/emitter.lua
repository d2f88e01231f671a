--- What emitters can do beyond src/core/emit*.c: iterators, events emitted
--- soon, and the limits of a listener.

local core = require "neap.core"
local iterator = require "neap.iterator"
local options = require "neap.options"

---@class neap.Emitter
local Emitter = core.methods "neap.emitter"

-- -------------------------------------------------- the limits of a listener

--- What is called in place of `fn`. Its time begins when its turn has come.
core.set_listener_limit(function(fn, timeout, concurrency)
  if timeout and timeout < math.huge then
    local limited = fn
    fn = function(...) return core.timeout(timeout, limited, ...) end
  end
  if not concurrency or concurrency == math.huge then return fn end
  local permits <const> = core.semaphore(math.tointeger(concurrency))
  return function(...)
    local _ <close> = permits:acquire()
    return fn(...)
  end
end)

-- ---------------------------------------------------------------- iterators

--- What the listener of an iterator knows; not the iterator itself, so that one
--- which is forgotten can be collected.
---@class neap.Emitter.Buffer
---@field queue neap.Queue of packed arguments
---@field over boolean nothing is put any more
---@field dropped integer
---@field handle neap.Listener

---@class neap.EventIterator
---@field private buffer neap.Emitter.Buffer
local Events = {}
Events.__index = Events
Events.__name = "neap.events"

local PUT <const> = {
  block = function(buffer, item)
    local queue = buffer.queue
    if queue:try_put(item) then return end
    local ok, err = core.pcall(queue.put, queue, item)
    if not ok and not buffer.over then error(err, 0) end
  end,
  drop_oldest = function(buffer, item)
    local queue = buffer.queue
    if queue:try_put(item) then return end
    queue:try_get()
    buffer.dropped = buffer.dropped + 1
    queue:try_put(item)
  end,
  error = function(buffer, item)
    local queue = buffer.queue
    if queue:try_put(item) then return end
    buffer.over = true
    buffer.handle:off()
    queue:close(core.fault.new {
      kind = "broken",
      message = "emitter:iter: its buffer was full; it has missed an event",
    })
  end,
}

local function stop(buffer)
  buffer.over = true
  buffer.handle:off()
  buffer.queue:close(nil, { discard = true })
end

--- The next event, nil when the emitter is closed. Waits for it.
---@async
function Events:next()
  iterator.use(self)
  if self.over then return iterator.ended(self) end
  local item = self.buffer.queue:get()
  if item == nil then
    self.over = true
    return nil
  end
  local first = item[1]
  if first == nil then first = false end
  return first, table.unpack(item, 2, item.n)
end

--- Listen no more; what is in the buffer is dropped.
---@param gone? boolean by the end of its scope
function Events:close(gone)
  if self.over then return end
  self.over, self.gone = true, gone
  stop(self.buffer)
end

Events.__call = function(self) return self:next() end
Events.__close = iterator.on_close
Events.__gc = function(self)
  if not self.over then stop(self.buffer) end
end

local function check_buffer(v)
  if v == math.huge then return end
  if math.type(v) ~= "integer" or v < 1 then
    return "must be a whole number from 1 on, or math.huge"
  end
end

local ITER_OPTIONS <const> = {
  buffer = check_buffer, named = "boolean",
  overflow = options.one_of { "block", "drop_oldest", "error" },
}

local DEFAULT_BUFFER <const> = 100

--- The events of a name, from now on, for a generic `for`; closable.
---@param name any
---@param opts? neap.EventIteratorOptions
---@return neap.EventIterator
function Emitter:iter(name, opts)
  local state = core.emitter_state(self)
  opts = options.check("emitter:iter", opts, ITER_OPTIONS)
  local put = PUT[opts.overflow or "block"]
  local buffer = {
    queue = core.queue(opts.buffer or DEFAULT_BUFFER), over = false, dropped = 0,
  }
  buffer.handle = core.emitter_tap(self, "emitter:iter", name, function(...)
    if not buffer.over then put(buffer, table.pack(...)) end
  end, opts.named)
  state.buffers = state.buffers or setmetatable({}, { __mode = "k" })
  state.buffers[buffer] = true
  return iterator.give(setmetatable({
    buffer = buffer, what = "emitter:iter", over = false,
  }, Events))
end

local close <const> = Emitter.close

--- Refuse what comes. Iterators give what they have, and end.
function Emitter:close()
  close(self)
  local state = core.emitter_state(self)
  local buffers = state.buffers or {}
  state.buffers = nil
  for buffer in pairs(buffers) do
    if not buffer.over then
      buffer.over = true
      buffer.queue:close()
    end
  end
end

-- ------------------------------------------------------------------- soon

--- Events that have not begun stand in a line, `first` to `last`; each has a
--- background task on its way, which takes whatever is the first by then.
---@class neap.Emitter.Line
---@field count integer of all that have not ended
---@field run integer the run it belongs to

local Ended = {
  __close = function(self)
    self.line.count = self.line.count - 1
    core.emitter_end(self.emitter)
  end,
}

local function take(line)
  local item = line[line.first]
  line[line.first] = nil
  line.first = line.first + 1
  return item
end

local function append(line, item)
  line.last = line.last + 1
  line[line.last] = item
end

local function emit_next(emitter, line)
  local _ <close> = setmetatable({ emitter = emitter, line = line }, Ended)
  local item = take(line)
  core.emit_reported(emitter, table.unpack(item, 1, item.n))
end

local function full(state)
  core.fault.raise {
    kind = "bulkhead_full",
    message = ("emitter:emit_soon: %d events have not ended (option backlog)")
      :format(state.backlog),
  }
end

core.set_emit_soon(function(emitter, state, ...)
  local run = core.emitter_begin(emitter)
  local line = state.line
  if not line or line.run ~= run then
    line = { first = 1, last = 0, count = 0, run = run }
    state.line = line
  end
  if line.count < state.backlog then
    local ok, err = pcall(core.background, emit_next, emitter, line)
    if not ok then
      core.emitter_end(emitter)
      error(err, 0)
    end
    line.count = line.count + 1
    append(line, table.pack(...))
    return
  end
  core.emitter_end(emitter)
  if not state.drop_oldest or line.first > line.last then full(state) end
  take(line) -- its task takes another one
  append(line, table.pack(...))
end)

return Emitter
