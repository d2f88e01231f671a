--- A proxy in front of the suite's PostgreSQL server that does what networks do:
--- splits what it forwards, holds it back, closes or resets at a given byte.
---
--- ```lua
--- local p <close> = proxy.open(socket_path)
--- local db <close> = pg.connect(p:dsn "neap_spec")
--- p:cut("down", 1234, "reset") -- behind 1234 bytes from the server, once
--- ```
---
--- Runs on luv's loop inside of ours. "up" is towards the server. Bytes are
--- counted over all links since `reset`, `marks` has the ends of messages.

local uv = require "neap.luv"

---@class spec.Proxy
local Proxy = {}
Proxy.__index = Proxy

local OTHER <const> = { up = "down", down = "up" }

local function close(handle)
  if not handle:is_closing() then handle:close() end
end

local function close_link(link)
  close(link.client)
  close(link.server)
  link.proxy.links[link] = nil
end

local function reset_link(link)
  if not link.client:is_closing() then link.client:close_reset() end
  close_link(link)
end

-- ---------------------------------------------------------------- messages

--- Notes where messages end. The first of a client has no type byte, and what
--- answers a request for encryption is one byte: none is asked for here.
local function note(link, dir, data)
  local self, side = link.proxy, link[dir]
  local base = self.count[dir] - #side.rest
  local text = side.rest .. data
  local at = 1
  while true do
    local untyped = dir == "up" and side.first
    local head = untyped and 4 or 5
    if #text - at + 1 < head then break end
    local length = string.unpack(">I4", text, untyped and at or at + 1)
    local size = untyped and length or length + 1
    if #text - at + 1 < size then break end
    side.first = false
    at = at + size
    local marks = self.marks[dir]
    marks[#marks + 1] = base + at - 1
  end
  side.rest = text:sub(at)
end

-- -------------------------------------------------------------- forwarding

local act = {
  close = function(link) close_link(link) end,
  reset = function(link) reset_link(link) end,
  --- The receiver of this direction sees the end; the other one goes on.
  half = function(link, dir)
    local to = dir == "up" and link.server or link.client
    if not to:is_closing() then to:shutdown() end
    link[dir].deaf = true
  end,
  --- Nothing more in this direction until the link is closed.
  freeze = function(link, dir) link[dir].stuck = true end,
  --- Nothing more in both.
  silence = function(link) link.up.stuck, link.down.stuck = true, true end,
}

local read

--- Write piece after piece, then read again.
local function send(link, dir, data)
  local self = link.proxy
  local to = dir == "up" and link.server or link.client
  if to:is_closing() or link[dir].stuck then return end
  if link[dir].deaf then return read(link, dir) end
  if data == "" then return read(link, dir) end
  local size = self.split or #data
  local cut = self.planned
  if cut and cut.dir ~= dir then cut = nil end
  if cut then size = math.min(size, cut.after - self.count[dir]) end
  local piece = data:sub(1, size)
  local function go_on(err)
    if err then return close_link(link) end
    if cut and cut == self.planned and self.count[dir] >= cut.after then
      self.planned = nil
      self.cuts = self.cuts + 1
      if cut.how == "delay" then
        local timer = uv.new_timer()
        return timer:start(15, 0, function()
          close(timer)
          send(link, dir, data:sub(size + 1))
        end)
      end
      act[cut.how](link, dir)
    end
    send(link, dir, data:sub(size + 1))
  end
  if size == 0 then return go_on() end
  note(link, dir, piece)
  self.count[dir] = self.count[dir] + size
  to:write(piece, go_on)
end

function read(link, dir)
  local from = dir == "up" and link.client or link.server
  local to = dir == "up" and link.server or link.client
  if from:is_closing() then return end
  from:read_start(function(err, data)
    if err then return close_link(link) end
    if data == nil then
      link[dir].ended = true
      if link[OTHER[dir]].ended then return close_link(link) end
      if not to:is_closing() and not link[dir].deaf then to:shutdown() end
      return
    end
    from:read_stop()
    send(link, dir, data)
  end)
end

local function accept(self)
  local client = uv.new_tcp()
  self.listener:accept(client)
  if self.refusing then return client:close_reset() end
  client:nodelay(true)
  local server = uv.new_pipe(false)
  local link = {
    proxy = self, client = client, server = server,
    up = { rest = "", first = true }, down = { rest = "" },
  }
  self.links[link] = true
  self.accepted = self.accepted + 1
  server:connect(self.path, function(err)
    if err then return reset_link(link) end
    read(link, "up")
    read(link, "down")
  end)
end

-- ------------------------------------------------------------------ surface

--- In front of the server whose socket is `path`.
---@param path string
---@return spec.Proxy
local function open(path)
  local self = setmetatable({
    path = path, links = {}, listener = uv.new_tcp(), cuts = 0, accepted = 0,
  }, Proxy)
  assert(self.listener:bind("127.0.0.1", 0))
  assert(self.listener:listen(64, function(err)
    if not err then accept(self) end
  end))
  self.broken = uv.new_signal() -- luv does not spare us SIGPIPE
  self.broken:start "sigpipe"
  self.broken:unref()
  self.port = self.listener:getsockname().port
  self:reset()
  return self
end

--- A connection string for a database behind it.
function Proxy:dsn(name)
  return ("host=127.0.0.1 port=%d user=postgres dbname='%s' sslmode=disable")
    :format(self.port, name)
end

--- Count from here on.
function Proxy:reset()
  self.count = { up = 0, down = 0 }
  self.marks = { up = {}, down = {} }
  self.planned = nil
end

--- Once `after` bytes have gone in direction `dir`: "close", "reset", "half",
--- "freeze", "silence" or "delay". Once.
function Proxy:cut(dir, after, how)
  self.planned = { dir = dir, after = after, how = how }
end

--- Reset every link there is.
function Proxy:reset_all()
  for link in pairs(self.links) do reset_link(link) end
end

function Proxy:__close()
  close(self.listener)
  close(self.broken)
  for link in pairs(self.links) do close_link(link) end
end

return { open = open }
