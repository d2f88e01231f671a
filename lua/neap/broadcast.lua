--- Broadcast: every item goes to every subscriber. Each has a queue of its own;
--- what happens when that is full is the subscriber's choice.
---
--- B1  `full` counts the subscribers that block and have no room. Putters stand
---     in the line only while it is not 0.
--- B2  A putter is woken by whoever hands out its item, in the same step.

local core = require "neap.core"
local iterator = require "neap.iterator"
local options = require "neap.options"

---@class neap.Broadcast
---@field private capacity number
---@field private subscribers table<integer, neap.Subscription> weak values
---@field private first integer the range of keys in use
---@field private last integer
---@field private count integer
---@field private full integer
---@field private line any
---@field private ended boolean
local Broadcast = {}
Broadcast.__index = Broadcast
Broadcast.__name = "neap.broadcast"

---@class neap.Subscription
---@field dropped integer items that did not fit (overflow "drop_oldest")
---@field private of neap.Broadcast
---@field private queue neap.Queue
---@field private at integer its key
---@field private is_full boolean
---@field private over boolean no more items come
local Subscription = {}
Subscription.__index = Subscription
Subscription.__name = "neap.subscription"

-- ------------------------------------------------------------- handing out

--- Take it off the list; it may still have items to be read.
local function remove(sub)
  if sub.over then return end
  sub.over = true
  local of = sub.of
  if of.subscribers[sub.at] == sub then -- not yet collected
    of.subscribers[sub.at] = nil
    of.count = of.count - 1
  end
  if sub.is_full then
    sub.is_full = false
    of.full = of.full - 1
  end
end

local GIVE <const> = {
  block = function(sub, item)
    sub.queue:try_put(item)
    if #sub.queue < sub.of.capacity then return end
    sub.is_full = true
    sub.of.full = sub.of.full + 1
  end,
  drop_oldest = function(sub, item)
    if sub.queue:try_put(item) then return end
    sub.queue:try_get()
    sub.dropped = sub.dropped + 1
    sub.queue:try_put(item)
  end,
  error = function(sub, item)
    if sub.queue:try_put(item) then return end
    remove(sub)
    sub.queue:close(core.fault.new {
      kind = "broken",
      message = "subscription: its buffer was full; it has missed an item",
    })
  end,
}

local function hand_out(self, item)
  for at = self.first, self.last do
    local sub = self.subscribers[at]
    if sub then GIVE[sub.overflow](sub, item) end
  end
end

--- A subscriber has room, or has gone: those who wait may put.
local function let_in(self)
  while self.full == 0 and #self.line > 0 do
    local item = self.line:first()[1]
    self.line:wake(true)
    hand_out(self, item)
  end
end

--- Number the subscribers anew when most of the keys have fallen free.
local function compact(self)
  if self.last - self.first < 2 * self.count + 8 then return end
  local subscribers, n = setmetatable({}, { __mode = "v" }), 0
  for at = self.first, self.last do
    local sub = self.subscribers[at]
    if sub then
      n = n + 1
      subscribers[n], sub.at = sub, n
    end
  end
  self.subscribers, self.first, self.last, self.count = subscribers, 1, n, n
end

-- -------------------------------------------------------------- subscribers

--- What was put since it subscribed, oldest first; `nil, "closed"` at the end.
---@async
---@param opts? {timeout?: number}
function Subscription:get(opts)
  local queue = self.queue
  local item, why = queue:get(opts)
  if self.is_full and #queue < self.of.capacity then
    self.is_full = false
    self.of.full = self.of.full - 1
    let_in(self.of)
  end
  return item, why
end

--- For a generic `for`.
function Subscription:iter()
  return function() return (self:get()) end
end

--- Leave: what is in the buffer is dropped.
function Subscription:close()
  self.queue:close(nil, { discard = true })
  remove(self)
  let_in(self.of)
end

--- As `queue:stats()`, and how many items were dropped.
function Subscription:stats()
  local stats = self.queue:stats()
  stats.dropped = self.dropped
  return stats
end

Subscription.__call = function(self) return (self:get()) end
Subscription.__close = Subscription.close
Subscription.__len = function(self) return #self.queue end

-- Forgotten: it must not hold up those who put.
Subscription.__gc = function(self)
  if not self.over and not iterator.later(self.close, self) then
    remove(self)
  end
end

-- ---------------------------------------------------------------- broadcast

--- Items go to every subscriber; each has room for `capacity` of them.
---@param capacity number
---@return neap.Broadcast
local function broadcast(capacity)
  if capacity ~= math.huge
    and (math.type(capacity) ~= "integer" or capacity < 1) then
    error("bad argument #1 to 'broadcast' (a whole number from 1 on, or " ..
      "math.huge, expected)", 2)
  end
  local self = setmetatable({
    capacity = capacity, subscribers = setmetatable({}, { __mode = "v" }),
    first = 1, last = 0, count = 0, full = 0, ended = false,
  }, Broadcast)
  self.line = core.line(self)
  return self
end

local function check_open(self, what)
  if not self.ended then return end
  core.fault.raise {
    kind = "closed", message = what .. ": the broadcast is closed",
  }
end

--- Hand an item to all who have subscribed. Waits for room with those who block;
--- cancelled, nobody has got it.
---@async
---@param item any not nil
function Broadcast:put(item)
  if item == nil then
    error("bad argument #1 to 'put' (nil cannot be put)", 2)
  end
  core.pass "broadcast:put"
  check_open(self, "broadcast:put")
  if self.full == 0 then
    hand_out(self, item)
  elseif not self.line:wait("broadcast:put", { item }) then
    check_open(self, "broadcast:put")
  end
  return true
end

local SUBSCRIBE_OPTIONS <const> = {
  overflow = options.one_of { "block", "drop_oldest", "error" },
}

--- Get all that is put from now on. When the buffer is full, `put` waits
--- ("block", if absent), the oldest is dropped, or the subscription ends with
--- kind `broken` ("error").
---@param opts? {overflow?: "block"|"drop_oldest"|"error"}
---@return neap.Subscription
function Broadcast:subscribe(opts)
  opts = options.check("broadcast:subscribe", opts, SUBSCRIBE_OPTIONS)
  check_open(self, "broadcast:subscribe")
  compact(self)
  local at = self.last + 1
  local sub = setmetatable({
    of = self, queue = core.queue(self.capacity), at = at, is_full = false,
    overflow = opts.overflow or "block", dropped = 0, over = false,
  }, Subscription)
  self.subscribers[at], self.last, self.count = sub, at, self.count + 1
  core.born(sub)
  return sub
end

--- Subscribers get what they have, and then the end, or `err`. Whoever puts,
--- also who waits, gets `closed`.
---@param err? any
function Broadcast:close(err)
  if self.ended then return end
  self.ended = true
  for at = self.first, self.last do
    local sub = self.subscribers[at]
    if sub then
      remove(sub)
      sub.queue:close(err)
    end
  end
  while self.line:wake(false) do end
end

--- `{id, capacity, subscribers, full, waiting, closed}`: how many there are,
--- how many of them have no room, and how many tasks wait to put.
function Broadcast:stats()
  return {
    id = core.object_name(self), capacity = self.capacity,
    subscribers = self.count, full = self.full, waiting = #self.line,
    closed = self.ended,
  }
end

Broadcast.__close = function(self) self:close() end

return broadcast
