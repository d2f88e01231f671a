--- PostgreSQL: a pool of connections whose statements pipeline by themselves.
---
--- ```lua
--- local pg = require "neap.pg"
--- neap.run(function()
---   local db <close> = pg.connect(os.getenv "DATABASE_URL", { max = 10 })
---   local user = db:row("select * from users where id = $1", 7)
--- end)
--- ```
---
--- The way of a statement is C from end to end (src/pg); here are options,
--- what a batch collects, and the shutdown of a pool.

local core = require "neap.pg.core"
local holders = require "neap.pg.holders"
local neap = require "neap"
local listen = require "neap.pg.listen"
local options = require "neap.options"
local tx = require "neap.pg.tx"

---@class neap.pg
local pg = {
  null = neap.null, ident = core.ident, codec = require "neap.pg.codec",
}

for name, value in pairs(core.values) do pg[name] = value end
for name, predicate in pairs(require "neap.pg.sqlstate") do
  pg[name] = predicate
end

-- Seconds for what is in flight when a pool is closed.
local CLOSE_TIMEOUT <const> = 5
local CANCEL_TIMEOUT <const> = 1

-- ORDER PREPARE_MODES, src/pg/pool.h
local PREPARE_MODES <const> = { named = 0, unnamed = 1, off = 2 }

-- ORDER reset_policy, src/pg/pool.h
local RESETS <const> = { auto = 0, always = 1, never = 2 }
local RESET_OWN <const> = 3

-- ORDER ROWS_MODES, src/pg/rows.h
local MODES <const> = { query = 0, row = 1, value = 2, column = 3, exec = 4 }

local DEFAULTS <const> = {
  min = 1, max = 10, overflow = 0, acquire_timeout = 5, max_lifetime = 2700,
  idle_timeout = 600, max_pipeline = 64, commit_timeout = 30,
  statement_cache = 256, prepared = "named", timezone = "UTC",
  min_idle = 0, max_waiting = 10000, warmup_parallel = 4, ping_after = 30,
  queue_target = 0, queue_interval = 2, reset = "auto",
}

local POOL_OPTIONS <const> = {
  min = options.range("integer", 0, 10000),
  max = options.range("integer", 1, 10000),
  overflow = options.range("integer", 0, 10000),
  acquire_timeout = options.range("number", 0),
  connect_timeout = options.range("number", 0),
  commit_timeout = options.range("number", 0),
  command_timeout = options.range("number", 0),
  max_lifetime = options.range("number", 0),
  idle_timeout = options.range("number", 0),
  max_uses = options.range("integer", 0),
  min_idle = options.range("integer", 0, 10000),
  max_waiting = options.range("integer", 0),
  warmup_parallel = options.range("integer", 1, 1000),
  ping_after = options.range("number", 0),
  queue_target = options.range("number", 0),
  queue_interval = options.range("number", 0.001),
  reset = function(value)
    if not RESETS[value] and not options.callable(value) then
      return "must be 'auto', 'always', 'never' or a function"
    end
  end,
  max_pipeline = options.range("integer", 0, 100000),
  statement_cache = options.range("integer", 0, 100000),
  prepared = options.one_of { "named", "unnamed", "off" },
  timezone = function(value)
    if value == false then return nil end
    if type(value) ~= "string" or not value:match "^[%w_/+:-]+$"
        or #value > 40 then
      return "must be the name of a time zone, or false for the server's"
    end
  end,
  listen_dsn = "string",
  on_connect = "callable",
  on_acquire = "callable",
  on_release = "callable",
  echo = { "boolean", "callable" },
  on_notice = "callable",
  trace = "callable",
}

local keywords = core.keywords()

-- What the first argument may hold when it is a table.
local CONNECT_OPTIONS = { dsn = "string", database = "string" }
for name in pairs(keywords) do CONNECT_OPTIONS[name] = { "string", "number" } end
for name, want in pairs(POOL_OPTIONS) do CONNECT_OPTIONS[name] = want end

---@type table<userdata, {on_acquire?: function, on_release?: function, reset?: function}>
local hooks = setmetatable({}, { __mode = "k" })

local function print_statement(sql, seconds)
  io.stderr:write(("%.3f ms  %s\n"):format(seconds * 1000, sql or "?"))
end

local function invalid(message)
  neap.fault.raise { kind = "invalid", message = message }
end

--- The configuration that core.open takes: options of the pool by name, those
--- of libpq as strings in `params`.
---@param dsn string|table
---@param opts? table
local function configure(dsn, opts)
  local config, params = {}, {}
  for name, value in pairs(DEFAULTS) do config[name] = value end
  if type(dsn) == "table" then
    options.check("pg.connect", dsn, CONNECT_OPTIONS)
    for name, value in pairs(dsn) do
      if name == "database" then
        params.dbname = value
      elseif POOL_OPTIONS[name] == nil and keywords[name] then
        params[name] = tostring(value)
      else
        config[name] = value
      end
    end
  elseif type(dsn) == "string" then
    config.dsn = dsn
  else
    invalid(("pg.connect: expected a connection string or a table, got %s")
      :format(dsn == nil and "nil" or "a " .. type(dsn)))
  end
  options.check("pg.connect", opts, POOL_OPTIONS)
  for name, value in pairs(opts or {}) do config[name] = value end
  if config.min_idle > config.max then
    invalid(("pg.connect: min_idle (%d) is more than max (%d)")
      :format(config.min_idle, config.max))
  end
  if config.min > config.max then
    invalid(("pg.connect: min (%d) is more than max (%d)")
      :format(config.min, config.max))
  end
  config.params = params
  config.prepare_mode = PREPARE_MODES[config.prepared]
  config.reset_policy = RESETS[config.reset] or RESET_OWN
  config.timezone = config.timezone or nil
  if config.echo == true then config.echo = print_statement end
  if config.echo == false then config.echo = nil end
  return config
end

local Unfinished = {
  __close = function(self)
    if self.db then self.db:_close() end
  end,
}

--- Connect: the smallest number of connections is made before it returns, so
--- that what is wrong with them is raised here.
---
--- `dsn` is a URI, a list of key=value, or a table of libpq's options and the
--- pool's.
---@async
---@param dsn string|table
---@param opts? neap.pg.PoolOptions
---@return neap.pg.Pool
function pg.connect(dsn, opts)
  local config = configure(dsn, opts)
  local weak = setmetatable({}, { __mode = "v" })
  config.explain = function(err) holders.explain(weak.db, err) end
  local db = core.open(config)
  listen.remember(db, config)
  weak.db = db
  local reset = config.reset_policy == RESET_OWN and config.reset or nil
  if config.on_acquire or config.on_release or reset then
    hooks[db] = {
      on_acquire = config.on_acquire, on_release = config.on_release,
      reset = reset,
    }
  end
  local unfinished <close> = setmetatable({ db = db }, Unfinished)
  local held = {}
  db:_strict(true)
  for i = 1, math.max(config.min, 1) do
    held[i] = db:_acquire(math.huge, "pg.connect")
  end
  for _, conn in ipairs(held) do conn:_release() end
  db:_strict(false)
  unfinished.db = nil
  return db
end

-- Connections of one's own.

--- A connection from the pool, and whether a hook waits for its end.
---@async
---@param self neap.pg.Pool
---@param timeout? number
---@param what? string  the call, as messages name it
---@return neap.pg.Conn conn
---@return boolean hooked
function tx.acquire(self, timeout, what)
  local conn = holders.acquire(self, timeout, what)
  holders.add(self, conn)
  local mine = hooks[self]
  if not mine then return conn, false end
  hooks[conn] = mine
  if mine.on_acquire then
    local ok, err = pcall(mine.on_acquire, conn)
    if not ok then
      if not conn:_is_over() then conn:_release() end
      error(err, 0)
    end
  end
  return conn, true
end

local ACQUIRE_OPTIONS <const> = { timeout = options.range("number", 0) }

--- A connection that nobody else uses, until `:release()` or `<close>`.
---@async
---@param opts? {timeout?: number}
---@return neap.pg.Conn
function core.db:acquire(opts)
  opts = options.check("db:acquire", opts, ACQUIRE_OPTIONS)
  return (tx.acquire(self, opts.timeout))
end

--- Give the connection back. An open transaction is rolled back, what was
--- changed in the session is undone.
function core.conn:release()
  local mine = hooks[self]
  if mine and (mine.on_release or mine.reset) and not self:_is_over() then
    hooks[self] = nil
    local ok, err = pcall(neap.shield, CLOSE_TIMEOUT, function()
      if mine.on_release then mine.on_release(self) end
      if mine.reset then mine.reset(self) end
    end)
    if not self:_is_over() then self:_release(ok and mine.reset ~= nil) end
    if not ok then error(err, 0) end
    return
  end
  self:_release()
end

function core.conn_meta.__close(self)
  if not self:_is_over() then self:release() end
end

-- Many statements at once.

---@class neap.pg.Batch
local Batch = {}
Batch.__index = Batch

for name, mode in pairs(MODES) do
  Batch[name] = function(self, sql, ...)
    if type(sql) ~= "string" then
      error(("bad argument #1 to '%s' (string expected, got %s)")
        :format(name, type(sql)), 2)
    end
    self[#self + 1] = { mode, sql, select("#", ...), ... }
  end
end

--- Run what `fn(b)` collects by b:query, b:row, b:value, b:column and b:exec
--- in one go: one Sync, all or nothing. Returns the results in order; an error
--- has the `index` of the statement that failed.
---@async
---@param fn fun(b: neap.pg.Batch)
---@return any[]
local function batch(self, fn)
  if not options.callable(fn) then
    error(("bad argument #1 to 'batch' (function expected, got %s)")
      :format(type(fn)), 2)
  end
  local items = setmetatable({}, Batch)
  fn(items)
  return self:_batch(items)
end

-- Prepared statements: the pool prepares by itself; this is for those who want
-- to know what a statement takes and gives, or to keep the text in one place.

---@class neap.pg.Statement
---@field sql string
---@field params string[]   names of the parameters' types
---@field columns string[]  names of the columns
---@field types string[]    names of the columns' types
---@field private on userdata
local Statement = {}
Statement.__index = Statement
Statement.__name = "neap.pg.statement"

for _, name in ipairs { "query", "row", "value", "column", "exec" } do
  Statement[name] = function(self, ...)
    return self.on[name](self.on, self.sql, ...)
  end
end

function Statement:exec_many(list) return self.on:exec_many(self.sql, list) end

local function type_names(self, oids)
  local names, missing = {}, {}
  for i, oid in ipairs(oids) do
    names[i] = self:_type_name(oid)
    if not names[i] then
      names[i] = false
      missing[#missing + 1] = oid
    end
  end
  if #missing > 0 then
    for i, oid in ipairs(oids) do
      names[i] = names[i]
        or self:value("select format_type($1::oid, null)", oid)
    end
  end
  return names
end

---@async
---@param sql string
---@return neap.pg.Statement
local function prepare(self, sql)
  local params, columns, types = self:_describe(sql)
  return setmetatable({
    on = self,
    sql = sql,
    params = type_names(self, params),
    columns = columns,
    types = type_names(self, types),
  }, Statement)
end

for _, class in ipairs { core.db, core.conn, core.tx } do
  class.batch = batch
  class.prepare = prepare
end

require("neap.pg.copy").install(core.db, core.conn, core.tx)
listen.install(core.db, core.conn, core.tx)
require("neap.pg.each").install(core.db, core.conn, core.tx)

-- What a pool tells.

--- What it has, and what it has counted since it was made.
---@return neap.pg.Stats
function core.db:stats() return self:_stats() end

--- What each statement has cost, the dearest in sum first.
---@return neap.pg.StatementStats[]
function core.db:statements()
  local list = self:_statements()
  table.sort(list, function(a, b)
    if a.seconds ~= b.seconds then return a.seconds > b.seconds end
    return a.sql < b.sql
  end)
  return list
end

--- From now on `fn(event)` hears of every statement that is over; nil: nobody
--- does. An error of its own is reported and harms nobody.
---@param fn? fun(event: neap.pg.TraceEvent)
function core.db:trace(fn)
  if fn ~= nil and not options.callable(fn) then
    error(("bad argument #1 to 'trace' (function expected, got %s)")
      :format(type(fn)), 2)
  end
  self:_trace(fn)
end

-- The end of a pool.

--- Wait until nothing is under way, at most `timeout` seconds, then close.
---@async
local function finish(self, timeout, serve)
  listen.close(self)
  local ok, done = pcall(self._drain, self, timeout, serve)
  self:_close()
  -- Requests to cancel what was still running are on the thread pool.
  local ok_too, err = pcall(self._drain, self, CANCEL_TIMEOUT, true)
  if not ok then error(done, 0) end
  if not ok_too then error(err, 0) end
  return done
end

--- Take nothing new, serve those who wait, then close. Returns whether all of
--- it was over in time (5 seconds).
---@async
---@param timeout? number
---@return boolean
function core.db:drain(timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout < 0) then
    error("bad argument #1 to 'drain' (a number of seconds expected)", 2)
  end
  return finish(self, timeout or CLOSE_TIMEOUT, true)
end

local CLOSE_OPTIONS <const> = { timeout = options.range("number", 0) }

--- Refuse those who wait for a connection, let end what is under way, at most
--- `timeout` seconds (5), then close every connection.
---@async
---@param opts? {timeout?: number}
function core.db:close(opts)
  opts = options.check("db:close", opts, CLOSE_OPTIONS)
  finish(self, opts.timeout or CLOSE_TIMEOUT, false)
end

function core.db_meta.__close(self)
  finish(self, CLOSE_TIMEOUT, false)
end

function core.db_meta.__tostring(self)
  if self:_is_closed() then return "neap.pg.db (closed)" end
  local stats = self:stats()
  return ("neap.pg.db (%d of %d connections, %d in use)")
    :format(stats.size, stats.max, stats.in_use)
end

function core.conn_meta.__tostring(self)
  return self:_is_over() and "neap.pg.conn (given back)"
    or ("neap.pg.conn (process %d)"):format(self:pid())
end

function core.tx_meta.__tostring(self)
  return self:_is_over() and "neap.pg.tx (over)" or "neap.pg.tx (open)"
end

--- Apply the migrations of a directory or list that are missing, in order.
--- Returns their versions; see neap.pg.migrate.
---@async
---@param source string|table
---@param opts? { table: string, out_of_order: boolean }
---@return integer[]
function core.db:migrate(source, opts)
  return require "neap.pg.migrate"(self, source, opts)
end

--- A private throwaway server; see neap.pg.ephemeral.
---@async
function pg.ephemeral(opts)
  return require("neap.pg.ephemeral").start(pg, opts)
end

return pg
