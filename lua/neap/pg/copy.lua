--- COPY: many rows in and out, at the speed of the server.
---
--- ```lua
--- db:copy_in("item", { "id", "name" }, { { 1, "a" }, { 2, nil } })
--- for row in db:copy_out "select id, name from item" do print(row[1]) end
--- ```
---
--- Without a `format` rows are arrays of values, in binary where every column
--- has a binary form; with one they are strings as the server reads and writes
--- them. A producer that fails leaves table and connection as they were.

local core = require "neap.pg.core"
local neap = require "neap"
local iterator = require "neap.iterator"
local options = require "neap.options"
local tx = require "neap.pg.tx"

local copy = {}

---@class neap.pg.CopyOptions
---@field format? "text"|"csv"|"binary"  strings go as they are
---@field header? boolean         csv, text: a first line with the names
---@field delimiter? string       one character
---@field null? string            what stands for NULL
---@field quote? string           csv
---@field escape? string          csv
---@field force_quote? true|string[]  csv, out
---@field force_not_null? string[]    csv, in
---@field force_null? string[]        csv, in
---@field encoding? string
---@field freeze? boolean         in
---@field where? string           in: a condition on rows, SQL

local SPEC <const> = {
  format = options.one_of { "text", "csv", "binary" },
  header = "boolean",
  delimiter = "string",
  null = "string",
  quote = "string",
  escape = "string",
  force_quote = { "table", "boolean" },
  force_not_null = "table",
  force_null = "table",
  encoding = "string",
  freeze = "boolean",
  where = "string",
}

local ONLY_IN <const> = { "force_not_null", "force_null", "freeze", "where" }
local ONLY_OUT <const> = { "force_quote" }
local ONLY_CSV <const> = {
  "quote", "escape", "force_quote", "force_not_null", "force_null",
}
local ONLY_STRINGS <const> = { "header", "delimiter", "null", "encoding" }

local function invalid(message, ...)
  neap.fault.raise { kind = "invalid", message = message:format(...) }
end

local function literal(s)
  return " E'" .. s:gsub("\\", "\\\\"):gsub("'", "''") .. "'"
end

local function names(where, what, list)
  local quoted = {}
  for i = 1, #list do
    if type(list[i]) ~= "string" then
      invalid("%s: %s #%d must be a name, got a %s", where, what, i,
        type(list[i]))
    end
    quoted[i] = core.ident(list[i])
  end
  return "(" .. table.concat(quoted, ", ") .. ")"
end

--- A table's name as SQL: "name", "schema.name" or { "schema", "name" }.
local function relation(where, name)
  if type(name) == "table" and #name > 0 then
    return (names(where, "part", name):sub(2, -2):gsub(", ", "."))
  end
  if type(name) ~= "string" or name == "" then
    invalid("%s: the name of a table expected, got %s", where,
      name == "" and "an empty string" or "a " .. type(name))
  end
  local parts = {}
  for part in (name .. "."):gmatch "(.-)%." do
    parts[#parts + 1] = core.ident(part)
  end
  return table.concat(parts, ".")
end

--- Options that do not belong here.
local function refuse(where, opts, list, why)
  for _, name in ipairs(list) do
    if opts[name] ~= nil and opts[name] ~= false then
      invalid("%s: option '%s' %s", where, name, why)
    end
  end
end

local function check(where, opts, is_in)
  opts = options.check(where, opts, SPEC)
  if is_in then
    refuse(where, opts, ONLY_OUT, "is for copy_out")
  else
    refuse(where, opts, ONLY_IN, "is for copy_in")
  end
  if opts.format ~= "csv" then
    refuse(where, opts, ONLY_CSV, "needs format='csv'")
  end
  if opts.format ~= "csv" and opts.format ~= "text" then
    refuse(where, opts, ONLY_STRINGS, "needs format='text' or 'csv'")
  end
  return opts
end

--- The list in WITH (...).
local function with(where, opts, format)
  local parts = { "format " .. format }
  local function add(text) parts[#parts + 1] = text end
  if opts.header ~= nil then add("header " .. tostring(opts.header)) end
  for _, name in ipairs { "delimiter", "null", "quote", "escape", "encoding" } do
    if opts[name] then add(name .. literal(opts[name])) end
  end
  for _, name in ipairs { "force_quote", "force_not_null", "force_null" } do
    local list = opts[name]
    if list == true then
      add(name .. " *")
    elseif list then
      add(name .. " " .. names(where, name, list))
    end
  end
  if opts.freeze then add "freeze true" end
  return table.concat(parts, ", ")
end

-- ---------------------------------------------------------------------- in

local IN <const> = "db:copy_in"

--- Sends what `source` has; k is a copier (src/pg/l_copy.c).
local function feed_strings(k, pull)
  local nth = 0
  for chunk in pull do
    nth = nth + 1
    if type(chunk) ~= "string" then
      invalid("%s: with a format the source gives strings; #%d is a %s", IN,
        nth, type(chunk))
    end
    k:_put(chunk)
  end
end

local function feed_rows(k, first, pull)
  if first == nil then return end
  k:_row(first)
  for row in pull do k:_row(row) end
end

local Dropped = { __close = function(self) self.k:_drop() end }

local function strings_of(source)
  if type(source) ~= "string" then return nil end
  local given = false
  return function()
    if given then return nil end
    given = true
    return source
  end
end

local function is_list(source)
  return type(source) == "table" and not options.callable(source)
end

--- One COPY FROM on a connection or in a transaction.
local function run_in(on, target, columns, opts, source, pull)
  local list = columns and names(IN, "column", columns)
  local select = ("select %s from %s"):format(
    list and list:sub(2, -2) or "*", target)
  local _, described, oids = on:_describe(select)
  local raw = opts.format ~= nil
  local k = on:_copy(true, described, not raw and oids or nil)
  local _ <close> = setmetatable({ k = k }, Dropped)
  local whole = not raw and is_list(source)
  local first, binary
  if whole then
    first = source[1]
  elseif not raw then
    first = pull()
  end
  if not raw then binary = k:_is_binary(first) end
  local sql = ("copy %s %s from stdin with (%s)%s"):format(target, list or "",
    with(IN, opts, opts.format or (binary and "binary" or "text")),
    opts.where and (" where " .. opts.where) or "")
  k:_start(sql, binary)
  if raw then
    feed_strings(k, pull)
  elseif whole then
    k:_rows(source)
  else
    feed_rows(k, first, pull)
  end
  return k:_finish()
end

--- Load rows into a table; returns their number. `source`: an array or an
--- iterator of rows (arrays of values), or with `opts.format` of strings.
---@async
---@param target string|string[]
---@param columns? string[]  nil: all
---@param source any
---@param opts? neap.pg.CopyOptions
---@return integer rows
local function copy_in(on, target, columns, source, opts)
  opts = check(IN, opts, true)
  target = relation(IN, target)
  if columns ~= nil and (type(columns) ~= "table" or #columns == 0) then
    invalid("%s: columns must be an array of names, or nil for all", IN)
  end
  local pull, closers = opts.format and strings_of(source), {}
  if not pull then pull, closers = iterator.source("copy_in", source) end
  local results = table.pack(pcall(run_in, on, target, columns, opts, source,
    pull))
  local failed = not results[1] and { results[2] } or nil
  iterator.close_all(closers, failed)
  if failed then error(failed[1], 0) end
  return results[2]
end

-- --------------------------------------------------------------------- out

local OUT <const> = "db:copy_out"

---@class neap.pg.CopyOut
---@field private k? userdata    the copier, once it has begun
---@field private conn? userdata a connection of its own
local Out = {}
Out.__index = Out
Out.__name = "neap.pg.copy_out"

--- What is copied, as SQL: a query or a table.
local function source_of(what)
  if type(what) == "string" and what:find "[%s(]" then
    return what:gsub("[%s;]+$", ""), true
  end
  return relation(OUT, what), false
end

local function begin(self)
  local on = self.on
  if self.pool then
    self.conn = tx.acquire(self.pool, nil, "db:copy_out")
    on = self.conn
  end
  local query = self.is_query and self.source or "select * from " .. self.source
  local params, described, oids = on:_describe(query)
  if #params > 0 then
    invalid("%s: COPY takes no parameters, the query has %d", OUT, #params)
  end
  local raw = self.opts.format ~= nil
  local k = on:_copy(false, described, not raw and oids or nil)
  local binary = not raw and k:_is_binary()
  self.k = k
  k:_start(("copy %s to stdout with (%s)"):format(
    self.is_query and "(\n" .. self.source .. "\n)" or self.source,
    with(OUT, self.opts, self.opts.format or (binary and "binary" or "text"))),
    binary)
end

local function step(self)
  if not self.k then begin(self) end
  return self.k:_next()
end

--- The next row or chunk, or nil at the end.
---@async
function Out:next()
  if self.over then return iterator.ended(self) end
  iterator.alone(self)
  iterator.use(self)
  self.busy = true
  local ok, item = pcall(step, self)
  self.busy = false
  if ok and item ~= nil then return item end
  if ok then self:close() return nil end
  local err = item
  self:close()
  error(err, 0)
end

--- Leave the rest: the server is told to stop.
---@param gone? boolean by the end of its scope
function Out:close(gone)
  if self.over then return end
  self.over, self.gone = true, gone
  if self.k then self.k:_drop() end
  local conn = self.conn
  self.conn = nil
  if conn and not conn:_is_over() then conn:release() end
end

Out.__call = function(self) return self:next() end
Out.__close = iterator.on_close

local function copy_out(on, what, opts, pool)
  opts = check(OUT, opts, false)
  local source, is_query = source_of(what)
  return iterator.give(setmetatable({
    on = on, pool = pool, source = source, is_query = is_query, opts = opts,
    what = OUT,
  }, Out))
end

-- ------------------------------------------------------------------ methods

function copy.install(db, conn, transaction)
  for _, class in ipairs { conn, transaction } do
    class.copy_in = copy_in
    --- Rows of a query or table as an iterator: arrays of values with `n`, or
    --- with `opts.format` strings.
    class.copy_out = function(self, what, opts)
      return copy_out(self, what, opts)
    end
  end

  function db:copy_in(target, columns, source, opts)
    local own <close> = tx.acquire(self, nil, "db:copy_in")
    return copy_in(own, target, columns, source, opts)
  end

  function db:copy_out(what, opts) return copy_out(nil, what, opts, self) end
end

return copy
