--- A private PostgreSQL server that lives as long as this process at most.
---
--- ```lua
--- local server <close> = pg.ephemeral()
--- local db <close> = pg.connect(server:createdb "shop")
--- ```
---
--- It listens on a unix socket in a directory of its own under /tmp, runs as
--- another user when we are root, and is made for speed, not for safety: no
--- fsync. A shell stands between us and it, with the read end of a pipe whose
--- only writer we are: when we close it or die, however, the shell stops the
--- server and removes the directory.

local core = require "neap.pg.core"
local neap = require "neap"
local options = require "neap.options"

local ephemeral = {}

-- Seconds until it must be ready, and between two looks.
local START_TIMEOUT <const>, LOOK <const> = 30, 0.01
local STOP_TIMEOUT <const> = 10

-- A server that is starting says so; one that is not yet there refuses.
local NOT_YET <const> = { ["57P03"] = true, ENOENT = true, ECONNREFUSED = true }

local OPTIONS <const> = {
  bin = "string",
  user = "string",
  port = options.range("integer", 1, 65535),
  settings = "table",
  timeout = options.range("number", 0),
}

---@class neap.pg.Ephemeral
---@field dsn string  of the database "postgres"
---@field dir string  where it lives
---@field private server userdata
---@field private pg neap.pg
local Ephemeral = {}
Ephemeral.__index = Ephemeral
Ephemeral.__name = "neap.pg.ephemeral"

---@param opts table
---@return string[]
local function arguments(opts)
  local settings = {
    fsync = "off", synchronous_commit = "off", full_page_writes = "off",
    autovacuum = "off", max_connections = "120",
    listen_addresses = opts.port and "127.0.0.1" or "",
    port = tostring(opts.port or 5432),
  }
  for name, value in pairs(opts.settings or {}) do
    settings[name] = tostring(value)
  end
  local args = {}
  for name, value in pairs(settings) do
    args[#args + 1] = "-c"
    args[#args + 1] = name .. "=" .. value
  end
  return args
end

--- Connect until it answers. Raises what initdb or postgres said if they fail.
---@async
local function await_ready(self)
  while true do
    local log = self.server:failed()
    if log then
      neap.fault.raise {
        kind = "io",
        message = "pg.ephemeral: the server did not start:\n" .. log,
      }
    end
    local ok, err = neap.pcall(self.pg.connect, self.dsn,
      { max = 1, connect_timeout = 5 })
    if ok then return err:close() end
    if type(err) ~= "table" or not NOT_YET[err.code or ""] then
      error(err, 0)
    end
    neap.sleep(LOOK)
  end
end

--- Start a server and wait until it takes connections.
---
--- Options: `bin` (directory of initdb and postgres), `user` (to run as, when
--- we are root), `port` (also on 127.0.0.1), `settings` (of postgres, by
--- name), `timeout` (seconds to start, 30).
---@async
---@param pg neap.pg
---@param opts? table
---@return neap.pg.Ephemeral
function ephemeral.start(pg, opts)
  opts = options.check("pg.ephemeral", opts, OPTIONS)
  local server = core.start_server {
    bin = opts.bin, user = opts.user, args = arguments(opts),
  }
  local self = setmetatable({ server = server, pg = pg, dir = server:dir() },
    Ephemeral)
  self.port = opts.port or 5432
  self.dsn = self:dsn_of "postgres"
  local unready <close> = setmetatable({ self = self }, {
    __close = function(guard)
      if guard.self then guard.self:stop() end
    end,
  })
  neap.timeout(opts.timeout or START_TIMEOUT, await_ready, self)
  unready.self = nil
  return self
end

---@param name string
---@return string
function Ephemeral:dsn_of(name)
  return ("host=%s port=%d user=postgres dbname='%s'"):format(self.dir,
    self.port, (name:gsub("[\\']", "\\%0")))
end

--- Make a database and return its connection string.
---@async
---@param name string
---@return string
function Ephemeral:createdb(name)
  local db <close> = self.pg.connect(self.dsn, { max = 1 })
  db:exec("create database " .. self.pg.ident(name) ..
    " template template0 strategy file_copy")
  return self:dsn_of(name)
end

--- Stop it and remove its directory. Waits, also in a cancelled task; outside
--- of tasks it only sees to it that both happen.
---@async
function Ephemeral:stop()
  if not self.server then return end
  local server = self.server
  self.server = nil
  server:stop(STOP_TIMEOUT)
end

Ephemeral.__close = Ephemeral.stop

return ephemeral
