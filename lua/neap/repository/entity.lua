--- Entities: plain tables with declared columns, a key, and events.
---
--- ```lua
--- local User = entity.define {
---   name = "User", table = "users", key = "id", version = "version",
---   columns = { id = "uuid", email = "text", version = "int4" },
--- }
--- function User:rename(email)
---   self.email = email
---   self:record("user.renamed", { email = email })
--- end
--- ```
---
--- An entity holds column values and nothing else; what the library has to
--- remember about it lives in weak tables beside it.

local neap = require "neap"
local options = require "neap.options"
local recorder = require "neap.repository.recorder"

local entity = {}

---@class neap.repository.Column
---@field name string
---@field type string
---@field quoted string     the name as an SQL identifier
---@field kind "scalar"|"array"|"json"
---@field is_key boolean
---@field is_readonly boolean  computed by the server, never written

---@class neap.repository.Definition
---@field class neap.repository.Class
---@field name string
---@field table string      quoted, with its schema
---@field label string      as declared, for messages
---@field columns neap.repository.Column[]   the key first, then by name
---@field by_name table<string, neap.repository.Column>
---@field key neap.repository.Column[]
---@field writable neap.repository.Column[]  not key, version or read-only
---@field version neap.repository.Column|nil
---@field references table<string, any>
---@field read table        options of the driver for reading entities
---@field plans table       statements built so far, by shape
---@field plan_count integer

---@type table<neap.repository.Class, neap.repository.Definition>
local definitions = setmetatable({}, { __mode = "k" })

-- Made by `new` and not stored since.
---@type table<neap.repository.Entity, boolean>
local unsaved = setmetatable({}, { __mode = "k" })

-- Keys of a condition that are not columns.
local RESERVED <const> = { any_of = true, all_of = true, none_of = true }

local VERSION_TYPES <const> = {
  int2 = true, int4 = true, int8 = true, smallint = true, integer = true,
  int = true, bigint = true,
}

local SPEC <const> = {
  name = "string",
  table = "string",
  key = { "string", "table" },
  columns = "table",
  version = "string",
  methods = "table",
  references = "table",
  readonly = "table",
}

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

--- A name as an SQL identifier.
---@param name string
---@return string
function entity.quote(name)
  if name == "" or name:find("\0", 1, true) then
    invalid("an SQL name is empty or holds a zero byte")
  end
  return '"' .. name:gsub('"', '""') .. '"'
end

--- Types stand in statements as they are, so they have to look like one:
--- words (a schema before a dot), a quoted name, `(n, m)`, `[]`.
local function is_type(text)
  local bare = text:gsub("%s*%[%d*%]", "")
  bare = bare:gsub("%(%s*%d+[%d%s,]*%)", "", 1)
  bare = bare:gsub('"[^"%z]+"', "q")
  return bare:find("^[%a_][%w_%.]*[%w_ ]*$") ~= nil
end

local function kind_of(text)
  if text:find("%]%s*$") then return "array" end
  local bare = text:lower()
  return (bare == "json" or bare == "jsonb") and "json" or "scalar"
end

local function read_columns(where, declared)
  local by_name, list = {}, {}
  for name, sql_type in pairs(declared) do
    if type(name) ~= "string" then
      invalid("%s: columns map a name to a type (id = \"uuid\")", where)
    end
    if RESERVED[name] then
      invalid("%s: '%s' is a word of conditions and cannot be a column",
        where, name)
    end
    if type(sql_type) ~= "string" or not is_type(sql_type) then
      invalid("%s: the type of column '%s' is no SQL type name", where, name)
    end
    list[#list + 1] = {
      name = name,
      type = sql_type,
      quoted = entity.quote(name),
      kind = kind_of(sql_type),
      is_key = false,
      is_readonly = false,
    }
    by_name[name] = list[#list]
  end
  if #list == 0 then invalid("%s: an entity needs columns", where) end
  return by_name, list
end

local function column_of(where, by_name, name, what)
  local column = by_name[name]
  if not column then
    invalid("%s: %s '%s' is not among the columns%s", where, what,
      tostring(name), options.hint(tostring(name), by_name, "columns"))
  end
  return column
end

local function read_key(where, by_name, declared)
  local names = declared
  if type(names) ~= "table" then names = { names } end
  local key = {}
  for i, name in ipairs(names) do
    local column = column_of(where, by_name, name, "the key")
    if column.is_key then
      invalid("%s: the key names '%s' twice", where, name)
    end
    column.is_key = true
    key[i] = column
  end
  if #key == 0 then invalid("%s: the key names no column", where) end
  return key
end

local function quote_table(name)
  local parts = {}
  for part in (name .. "."):gmatch("(.-)%.") do
    parts[#parts + 1] = entity.quote(part)
  end
  return table.concat(parts, ".")
end

---@param where string
---@param declared table
---@return neap.repository.Definition
local function read_definition(where, declared)
  if not declared.table then invalid("%s: 'table' is missing", where) end
  if not declared.columns then invalid("%s: 'columns' is missing", where) end
  local by_name, list = read_columns(where, declared.columns)
  local key = read_key(where, by_name, declared.key or "id")
  local version
  if declared.version then
    version = column_of(where, by_name, declared.version, "the version")
    if version.is_key or not VERSION_TYPES[version.type:lower()] then
      invalid("%s: the version column '%s' must be an integer outside the key",
        where, version.name)
    end
  end
  for _, name in ipairs(declared.readonly or {}) do
    column_of(where, by_name, name, "the read-only").is_readonly = true
  end
  for name in pairs(declared.references or {}) do
    column_of(where, by_name, name, "the reference")
  end
  local place = {}
  for i, column in ipairs(key) do place[column] = i end
  table.sort(list, function(a, b)
    local pa, pb = place[a], place[b]
    if pa and pb then return pa < pb end
    if pa or pb then return pa ~= nil end
    return a.name < b.name
  end)
  local writable = {}
  for _, column in ipairs(list) do
    if not column.is_key and not column.is_readonly and column ~= version then
      writable[#writable + 1] = column
    end
  end
  return {
    name = declared.name or declared.table,
    table = quote_table(declared.table),
    label = declared.table,
    columns = list,
    by_name = by_name,
    key = key,
    writable = writable,
    version = version,
    references = declared.references or {},
    plans = {},
    plan_count = 0,
  }
end

--- Raise when the entity holds a field that is no column: it would be lost
--- without a word. Names that open with an underscore are the user's own.
---@param def neap.repository.Definition
---@param fields table
---@param where string
function entity.check_fields(def, fields, where)
  local by_name = def.by_name
  for name in next, fields do
    if type(name) ~= "string" or not by_name[name] then
      if type(name) ~= "string" then
        invalid("%s: fields are named by column, got %s", where, tostring(name))
      elseif name:byte() ~= 95 then
        invalid("%s: %s has no column '%s'%s", where, def.name, name,
          options.hint(name, by_name, "columns"))
      end
    end
  end
end

local function define_method(def, class, name, value)
  if def.by_name[name] then
    invalid("%s: the method '%s' would show through where the column is NULL",
      def.name, name)
  elseif name == "__index" or name == "__newindex" then
    invalid("%s: %s belongs to the library", def.name, name)
  elseif type(name) == "string" and name:find("^__") then
    rawset(class, name, value) -- a metamethod of the entities
  else
    class.__index[name] = value
  end
end

local function describe(def, object)
  local parts = {}
  for i, column in ipairs(def.key) do
    parts[i] = ("%s=%s"):format(column.name, tostring(object[column.name]))
  end
  return ("%s(%s)"):format(def.name, table.concat(parts, ", "))
end

---@class neap.repository.Entity
---@field record fun(self, event: string, payload: any)
---@field events fun(self): neap.repository.Event[]

---@class neap.repository.Class
---@field new fun(fields?: table): neap.repository.Entity
---@field record fun(self: neap.repository.Entity, event: string, payload: any)
---@field events fun(self: neap.repository.Entity): neap.repository.Event[]

--- Declare an entity. The class is the metatable of its entities; functions
--- assigned to it become methods.
---@param declared table
---@return neap.repository.Class
function entity.define(declared)
  local where = "repository.entity"
  if type(declared) ~= "table" then
    invalid("%s: takes one table, got %s", where, type(declared))
  end
  if type(declared.name) == "string" then
    where = ("%s '%s'"):format(where, declared.name)
  end
  options.check(where, declared, SPEC)
  local def = read_definition(where, declared)

  local methods = {}
  local class = {
    __name = def.name,
    __index = methods,
    __tostring = function(object) return describe(def, object) end,
    record = recorder.record,
    events = recorder.events,
  }
  -- A column of one of these names keeps it; `Class.events(obj)` remains.
  for _, name in ipairs { "record", "events" } do
    if not def.by_name[name] then methods[name] = class[name] end
  end
  for name, method in pairs(declared.methods or {}) do
    define_method(def, class, name, method)
  end

  function class.new(fields)
    local object = {}
    if fields ~= nil then
      if type(fields) ~= "table" then
        invalid("%s.new: takes a table of fields, got %s", def.name,
          type(fields))
      end
      entity.check_fields(def, fields, def.name .. ".new")
      for name, value in next, fields do object[name] = value end
    end
    unsaved[object] = true
    return setmetatable(object, class)
  end

  def.class = class
  def.read = { entity = class, readonly = true }
  definitions[class] = def
  return setmetatable(class, {
    __name = "neap.repository.Class",
    __index = methods,
    __newindex = function(_, name, value)
      define_method(def, class, name, value)
    end,
    __tostring = function() return "entity " .. def.name end,
  })
end

--- The definition behind a class; raises for anything else.
---@param class any
---@param where string
---@return neap.repository.Definition
function entity.definition(class, where)
  local def = definitions[class]
  if not def then
    invalid("%s: needs a class made by repository.entity, got %s", where,
      type(class))
  end
  return def
end

---@param object any
---@return boolean
function entity.is_entity(object)
  return type(object) == "table" and definitions[getmetatable(object)] ~= nil
end

--- The definition of an object's class; raises unless it is an entity.
---@param object any
---@param where string
---@return neap.repository.Definition
function entity.definition_of(object, where)
  local def = entity.is_entity(object) and definitions[getmetatable(object)]
  if not def then
    invalid("%s: needs an entity, got a %s; Class.new makes one", where,
      type(object))
  end
  return def
end

--- True for an object of `Class.new` that has not been stored yet.
---@param object neap.repository.Entity
function entity.is_unsaved(object) return unsaved[object] == true end

---@param object neap.repository.Entity
---@param is_unsaved boolean
function entity.mark(object, is_unsaved)
  unsaved[object] = is_unsaved or nil
end

--- The class a declared reference leads to.
---@param def neap.repository.Definition
---@param target any  a class, the entity's own name, or a function giving one
---@return neap.repository.Definition
function entity.referenced(def, target)
  if target == def.name then return def end
  if type(target) == "function" then target = target() end
  return entity.definition(target, def.name .. ": references")
end

return entity
