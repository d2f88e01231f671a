--- LISTEN and NOTIFY: one connection for all channels of a pool, which comes
--- back when it is lost; each subscription has a task of its own.
---
--- ```lua
--- local sub <close> = db:listen("cache", function(payload) drop(payload) end, {
---   on_gap = function(gap) drop_everything() end,
--- })
--- ```
---
--- When the connection was lost, every channel is listened to again, then each
--- subscription is told of the gap, then what comes is delivered: what was
--- missed is missed, but nothing in between the gap and the first message.

local core = require "neap.pg.core"
local runtime = require "neap.core"
local neap = require "neap"
local options = require "neap.options"

local listen = {}

local SILENCE <const> = 30     -- seconds without a word, then it is asked
local ANSWER <const> = 10      -- seconds for its answer
local PAUSE <const>, PAUSE_MAX <const> = 0.1, 5 -- between dials
local BUFFER <const> = 1024    -- messages kept for a slow subscription
local PAYLOAD_MAX <const> = 7999 -- bytes; the server's limit
local CHANNEL_MAX <const> = 63

local function invalid(message, ...)
  neap.fault.raise { kind = "invalid", message = message:format(...) }
end

local function check_channel(where, channel)
  if type(channel) ~= "string" or channel == "" or #channel > CHANNEL_MAX
      or channel:find("\0", 1, true) then
    invalid("%s: a channel is a string of 1 to %d bytes, got %s", where,
      CHANNEL_MAX, type(channel) == "string" and #channel .. " bytes"
      or "a " .. type(channel))
  end
end

-- ----------------------------------------------------------- subscriptions

---@class neap.pg.Subscription
---@field channel string
---@field dropped integer        messages dropped by the overflow policy
---@field private queue neap.Queue
---@field private listener? neap.pg.Listener
---@field private task neap.Task
local Subscription = {}
Subscription.__name = "neap.pg.subscription"
Subscription.__index = function(self, key)
  if key == "dropped" then return rawget(self, "queue"):dropped() end
  return Subscription[key]
end

--- Hand an item to a subscription; with overflow "error" a full one ends.
local function put(sub, item)
  if not sub.listener then return end -- closed a moment ago
  if sub.strict and not sub.queue:try_put(item) then
    runtime.report("listener", neap.fault.new {
      kind = "broken",
      message = ("db:listen '%s': %d messages wait, more than its buffer "
        .. "takes"):format(sub.channel, #sub.queue),
    })
    sub.queue:close(nil, { discard = true })
    local listener = sub.listener
    sub.listener = nil
    if listener then neap.background(listener.remove, listener, sub) end
  elseif not sub.strict then
    local ok, err = neap.pcall(sub.queue.put, sub.queue, item)
    if not ok and not neap.fault.is(err, "closed") then error(err, 0) end
  end
end

--- One task for each: messages in order, a failure ends nothing.
local function deliver(self, fn, on_gap)
  for item in self.queue:iter() do
    local ok, err
    if item.gap then
      ok, err = neap.pcall(on_gap, item.gap)
    else
      ok, err = neap.pcall(fn, item[1], item[2], self.channel)
    end
    if not ok then runtime.report("listener", err) end
  end
end

--- No more messages; waits for the one that `fn` has in hand, unless fn itself
--- closes it. Twice is no error.
---@async
function Subscription:close()
  local listener = self.listener
  if listener then
    self.listener = nil
    self.queue:close(nil, { discard = true })
    listener:remove(self)
  end
  if self.task ~= neap.current() then self.task:join() end
end

Subscription.__close = function(self) self:close() end

-- ---------------------------------------------------------------- listener

---@class neap.pg.Listener
---@field private config table           of a pool for one connection
---@field private channels table<string, {subs: table, ready: any}>
---@field private pool? neap.pg.Pool
---@field private conn? neap.pg.Conn     nil while there is none
---@field private task? neap.Task
---@field private lock any          who starts it, one after the other
local Listener = {}
Listener.__index = Listener

local function quoted(verb, channel) return verb .. " " .. core.ident(channel) end

--- A connection that hears all channels; raises what prevents it.
local function connect(self)
  if not self.pool then
    self.pool = core.open(self.config)
    self.pool:_strict(true) -- what prevents it is raised, not waited for
  end
  local conn = self.pool:_acquire(math.huge, "db:listen")
  local _ <close> = setmetatable({}, { __close = function()
    if self.conn ~= conn then conn:_release() end
  end})
  conn:_note(true)
  local heard = {}
  while true do -- others may come while we wait
    local missing = {}
    for channel in pairs(self.channels) do
      if not heard[channel] then missing[#missing + 1] = channel end
    end
    if #missing == 0 then break end
    conn:batch(function(b)
      for _, channel in ipairs(missing) do
        b:exec(quoted("listen", channel))
        heard[channel] = true
      end
    end)
  end
  self.conn = conn
  for _, entry in pairs(self.channels) do entry.ready:set() end
end

--- Hand on what comes until the connection breaks.
local function hear(self)
  local conn = self.conn
  while self.conn == conn do
    local heard, channel, payload, pid =
      neap.move_on_after(SILENCE, conn._note, conn)
    if heard then
      local entry = self.channels[channel]
      for sub in pairs(entry and entry.subs or {}) do
        put(sub, { payload, pid })
      end
    else
      conn:query_opts({ timeout = ANSWER }, "select 1")
    end
  end
end

local function tell_of_gap(self, gap)
  for _, entry in pairs(self.channels) do
    for sub in pairs(entry.subs) do
      if sub.on_gap then put(sub, { gap = gap }) end
    end
  end
end

local function let_go(self)
  local conn = self.conn
  self.conn = nil
  if conn and not conn:_is_over() then conn:_release() end
end

--- Dial until it succeeds or nobody listens any more.
local function reconnect(self)
  local since, attempts, pause = neap.now(), 0, PAUSE
  while next(self.channels) do
    attempts = attempts + 1
    if neap.pcall(connect, self) then
      return tell_of_gap(self, { since = since, attempts = attempts })
    end
    neap.sleep(pause * (0.5 + math.random() / 2))
    pause = math.min(pause * 2, PAUSE_MAX)
  end
end

local function serve(self)
  while next(self.channels) do
    local ok, err = neap.pcall(hear, self)
    let_go(self)
    if not ok and not (type(err) == "table" and err.kind) then
      error(err, 0) -- not the connection's fault
    end
    reconnect(self)
  end
end

local function start(self)
  if self.task then return end
  connect(self)
  self.task = neap.background(serve, self)
  self.task.name = "db:listen"
end

--- End the connection and its task.
function Listener:stop()
  local task, pool, conn = self.task, self.pool, self.conn
  self.task, self.pool, self.conn = nil, nil, nil
  if task and task ~= neap.current() then
    task:cancel "nobody listens any more"
    neap.shield(math.huge, task.join, task)
  end
  if conn and not conn:_is_over() then conn:_release() end
  if pool then pool:_close() end
end

--- The channel is heard on the connection of this moment, or on the next one.
local function hear_channel(self, channel, entry)
  local conn = self.conn
  if conn then
    local ok, err = neap.pcall(conn.exec, conn, quoted("listen", channel))
    if ok then
      entry.ready:set()
    elseif type(err) ~= "table" or err.kind == "pg" then
      error(err, 0)
    end
  end
  entry.ready:wait()
end

---@param sub neap.pg.Subscription
function Listener:add(sub)
  local entry = self.channels[sub.channel]
  if not entry then
    entry = { subs = {}, ready = neap.event() }
    self.channels[sub.channel] = entry
  end
  entry.subs[sub] = true
  local lock <close> = self.lock:acquire()
  local known = lock and entry.ready:is_set()
  if not self.task then
    start(self)
  elseif not known then
    hear_channel(self, sub.channel, entry)
  end
end

--- Forget a subscription; the last one of a channel unlistens, the last one of
--- all ends the connection.
function Listener:remove(sub)
  local entry = self.channels[sub.channel]
  if not entry then return end
  entry.subs[sub] = nil
  if next(entry.subs) then return end
  self.channels[sub.channel] = nil
  if not next(self.channels) then return self:stop() end
  local conn = self.conn
  if conn then
    -- On a connection that breaks it is undone by that.
    pcall(conn.exec, conn, quoted("unlisten", sub.channel))
  end
end

--- The pool is closed: all subscriptions end.
function Listener:close()
  for _, entry in pairs(self.channels) do
    for sub in pairs(entry.subs) do
      sub.listener = nil
      sub.queue:close(nil, { discard = true })
    end
  end
  self.channels = {}
  self:stop()
end

-- ----------------------------------------------------------------- methods

---@type table<neap.pg.Pool, neap.pg.Listener>
local listeners = setmetatable({}, { __mode = "k" })

---@type table<neap.pg.Pool, table>
local configs = setmetatable({}, { __mode = "k" })

--- What a pool was opened with; its listener has the like, for one connection.
function listen.remember(db, config)
  local own = {}
  for name, value in pairs(config) do own[name] = value end
  own.min, own.max, own.overflow = 1, 1, 0
  own.max_lifetime, own.idle_timeout, own.max_uses = 0, 0, 0
  own.on_connect, own.command_timeout = nil, 0
  if config.listen_dsn then
    own.dsn, own.params, own.listen_dsn = config.listen_dsn, {}, nil
  end
  configs[db] = own
end

--- Called when the pool is closed.
function listen.close(db)
  local listener = listeners[db]
  listeners[db] = nil
  if listener then listener:close() end
end

local SPEC <const> = {
  on_gap = "callable",
  buffer = options.range("integer", 1, 10000000),
  overflow = options.one_of { "block", "drop_oldest", "error" },
}

--- Call `fn(payload, pid, channel)` for each message, in order, in a task of
--- its own, until the subscription or the pool is closed. Returns when the
--- server listens.
---@async
---@param self neap.pg.Pool
---@param channel string
---@param fn fun(payload: string, pid: integer, channel: string)
---@param opts? table
---@return neap.pg.Subscription
local function db_listen(self, channel, fn, opts)
  check_channel("db:listen", channel)
  if not options.callable(fn) then
    error(("bad argument #2 to 'listen' (function expected, got %s)")
      :format(type(fn)), 2)
  end
  opts = options.check("db:listen", opts, SPEC)
  if self:_is_closed() then
    neap.fault.raise { kind = "pool_closed",
      message = "db:listen: the pool is closed" }
  end
  local listener = listeners[self]
  if not listener then
    listener = setmetatable({
      config = configs[self], channels = {}, lock = neap.lock(),
    }, Listener)
    listeners[self] = listener
  end
  local sub = setmetatable({
    channel = channel, on_gap = opts.on_gap, listener = listener,
    strict = opts.overflow == "error",
    queue = neap.queue(opts.buffer or BUFFER,
      { overflow = opts.overflow ~= "error" and opts.overflow or "block" }),
  }, Subscription)
  local ok, err = pcall(listener.add, listener, sub)
  if not ok then
    sub.listener = nil
    pcall(listener.remove, listener, sub)
    error(err, 0)
  end
  sub.task = neap.background(deliver, sub, fn, opts.on_gap)
  sub.task.name = "db:listen '" .. channel .. "'"
  return sub
end

--- Send `payload` to those who listen; within a transaction, when it commits.
---@async
---@param channel string
---@param payload? string at most 7999 bytes
local function notify(self, channel, payload)
  check_channel("db:notify", channel)
  if payload == nil then payload = "" end
  if type(payload) ~= "string" then
    invalid("db:notify: the payload must be a string, got a %s", type(payload))
  end
  if #payload > PAYLOAD_MAX then
    invalid("db:notify: the payload has %d bytes, the server takes %d; put it "
      .. "into a table (an outbox) and send its key", #payload, PAYLOAD_MAX)
  end
  self:exec("select pg_notify($1, $2)", channel, payload)
end

function listen.install(db, conn, tx)
  db.listen = db_listen
  for _, class in ipairs { db, conn, tx } do class.notify = notify end
end

return listen
