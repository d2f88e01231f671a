--- db:each -- the rows of a query one after the other, in bounded memory: a
--- cursor on the server, read a batch at a time.
---
--- On a pool the cursor has a connection and a transaction of its own, and the
--- next batch is fetched while this one is worked on. In a transaction, and on
--- a connection, a batch is fetched when it is needed, so that a loop that is
--- left leaves nothing behind that would have to be cancelled.

local iterator = require "neap.iterator"
local options = require "neap.options"
local stream = require "neap.stream"

local each = {}

-- ORDER ROWS_MODES, src/pg/rows.h
local QUERY <const>, EXEC <const> = 0, 4

local BATCH <const> = 1000 -- rows; measured in design/postgres.md 2.3

---@class neap.pg.EachOptions
---@field rows? "table"|"array"
---@field entity? table  a metatable for each row
---@field batch? integer rows fetched at once, 1000

local SPEC <const> = {
  rows = options.one_of { "table", "array" },
  entity = "table",
  batch = options.range("integer", 1, 1000000),
}

--- Reads one cursor of a transaction.
---@class neap.pg.Cursor
local Cursor = {}
Cursor.__index = Cursor

local serial = 0

local function declare(on, opts, sql, ...)
  serial = serial + 1
  local name = "neap_each_" .. serial
  on:_as(sql, ("declare %s no scroll cursor for %s"):format(name, sql), false,
    EXEC, false, nil, ...)
  return setmetatable({
    on = on, sql = sql, name = name, size = opts.batch or BATCH,
    text = ("fetch %d from %s"):format(opts.batch or BATCH, name),
    array = opts.rows == "array", entity = opts.entity,
  }, Cursor)
end

--- The next rows, nil at the end.
function Cursor:fetch()
  if self.done then return nil end
  local rows = self.on:_as(self.sql, self.text, true, QUERY, self.array,
    self.entity)
  if rows.n < self.size then self.done = true end
  return rows.n > 0 and rows or nil
end

--- Free it before its transaction ends. One that has failed frees it anyway.
function Cursor:close()
  if self.on:_is_over() then return end
  pcall(self.on._as, self.on, self.sql, "close " .. self.name, true, EXEC)
end

-- ------------------------------------------------------------ the iterator

---@class neap.pg.Each
local Each = {}
Each.__index = Each
Each.__name = "neap.pg.each"

--- The next row, or nil at the end.
---@async
function Each:next()
  if self.over then return iterator.ended(self) end
  iterator.alone(self)
  iterator.use(self)
  local i = self.i + 1
  local row = self.rows[i]
  if row ~= nil then
    self.i = i
    return row
  end
  self.busy = true
  local ok, rows = pcall(self.more, self)
  self.busy = false
  if not ok then
    local err = rows
    self:finish()
    error(err, 0)
  end
  if rows == nil then
    self:close()
    return nil
  end
  self.rows, self.i = rows, 1
  return rows[1]
end

function Each:finish(gone)
  self.over, self.gone, self.rows = true, gone, {}
end

--- Leave the rest.
---@async
---@param gone? boolean by the end of its scope
function Each:close(gone)
  if self.over then return end
  self:finish(gone)
  if self.source then self.source:close() end
  if self.cursor then self.cursor:close() end
end

Each.__call = function(self) return self:next() end
Each.__close = iterator.on_close

--- The producer on a pool: a transaction that ends well if all was read.
local function read_ahead(db, opts, sql, args, put)
  local guard <close> = db:begin()
  local cursor = declare(guard, opts, sql, table.unpack(args, 1, args.n))
  for rows in cursor.fetch, cursor do put(rows) end
  guard:commit()
end

local function from_pool(self) return self.source:next() end

local function from_tx(self)
  if not self.cursor then
    self.cursor = declare(self.on, self.opts, self.sql,
      table.unpack(self.args, 1, self.args.n))
  end
  return self.cursor:fetch()
end

--- The transaction that one loop on a connection has begun, for loops in it.
---@type table<userdata, neap.pg.Tx>
local guards = setmetatable({}, { __mode = "k" })

--- A connection without a transaction: one is made for the cursor.
local function from_conn(self)
  local guard = guards[self.on]
  if not self.cursor and guard and not guard:_is_over() then
    self.on = guard
  elseif not self.cursor then
    self.guard = self.on:begin()
    guards[self.on] = self.guard
    self.on = self.guard
  end
  local rows = from_tx(self)
  if rows == nil and self.guard then
    self.cursor = nil
    self.guard:commit()
  end
  return rows
end

-- No cursor can be had for what changes rows: its result comes whole.
local CHANGES <const> = { insert = true, update = true, delete = true,
  merge = true }

local function from_result(self)
  if self.cursor then return nil end
  self.cursor = { close = function() end }
  local rows = self.on:query_opts({
    rows = self.opts.rows, entity = self.opts.entity,
  }, self.sql, table.unpack(self.args, 1, self.args.n))
  return rows.n > 0 and rows or nil
end

local function close_with_guard(self, gone)
  if self.over then return end
  self:finish(gone)
  if self.guard and not self.guard:_is_over() then
    self.guard:rollback()
  elseif self.cursor and not self.guard then
    self.cursor:close()
  end
end

local function check(where, sql)
  if type(sql) ~= "string" then
    error(("bad argument #1 to '%s' (string expected, got %s)")
      :format(where, type(sql)), 3)
  end
end

local function make(on, more, opts, sql, ...)
  local self = setmetatable({
    on = on, more = more, opts = opts, sql = sql, args = table.pack(...),
    rows = {}, i = 0, what = "db:each",
  }, Each)
  if CHANGES[(sql:match "^%s*(%a+)" or ""):lower()] then
    self.more = from_result
  elseif more == from_conn then
    self.close = close_with_guard
  elseif more == from_pool then -- at once, for the task belongs to this scope
    local args = self.args
    self.source = stream.start("db:each", function(put)
      read_ahead(on, opts, sql, args, put)
    end, 0)
  end
  return iterator.give(self)
end

--- Add `each` and `each_opts` to the classes of the driver.
function each.install(db, conn, transaction)
  local ways = { [db] = from_pool, [conn] = from_conn, [transaction] = from_tx }
  for class, more in pairs(ways) do
    function class:each(sql, ...)
      check("each", sql)
      return make(self, more, {}, sql, ...)
    end

    function class:each_opts(opts, sql, ...)
      opts = options.check("each_opts", opts, SPEC)
      check("each_opts", sql)
      return make(self, more, opts, sql, ...)
    end
  end
end

return each
