--- Repositories: the rows of one entity, through a pool, a transaction or a
--- unit of work.
---
--- In a unit of work a repository reads through the identity map and flushes
--- what is pending before it asks the server anything but a key.

local neap = require "neap"
local null = neap.null
local bulk = require "neap.repository.bulk"
local criteria = require "neap.repository.criteria"
local entity = require "neap.repository.entity"
local identity = require "neap.repository.identity"
local options = require "neap.options"
local page = require "neap.repository.page"
local query = require "neap.repository.query"
local sql = require "neap.repository.sql"
local step = require "neap.repository.step"
local write = require "neap.repository.write"

local unpack <const> = table.unpack

---@class neap.repository.Repository
---@field private db any
---@field private def neap.repository.Definition
---@field private session neap.repository.Session|nil
local Repository = {}
Repository.__name = "neap.repository.Repository"

local repo = {}

local ALL_SPEC <const> = {
  order = { "string", "table" },
  limit = options.range("integer", 0),
  offset = options.range("integer", 0),
}

---@param db any  a pool, a transaction or a connection
---@param def neap.repository.Definition
---@param session? neap.repository.Session
---@return neap.repository.Repository
function repo.new(db, def, session)
  return setmetatable({ db = db, def = def, session = session }, Repository)
end

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

--- A condition where one is needed: in a table a nil value is no value, and
--- the first row of all would be an answer to another question.
local function needs_condition(self, name, where)
  if where ~= nil and type(where) ~= "table" then
    invalid("%s:%s: a condition is a table of columns, got %s", self.def.name,
      name, type(where))
  elseif where == nil or next(where) == nil then
    invalid("%s:%s: the condition is empty (a nil value vanishes from a table; "
      .. "NULL is repository.null)", self.def.name, name)
  end
end

--- The entity of a key, or nil.
---@async
---@param key any  an array in the order of the key's columns if it has several
---@return neap.repository.Entity|nil
function Repository:get(key)
  local def, session = self.def, self.session
  local plan = sql.get(def)
  if #def.key == 1 and key ~= nil and key ~= null and type(key) ~= "table" then
    if session then
      local object, known = session:lookup(def, identity.of_value(key))
      if known then return object end
      return session:adopt(def, self.db:query_opts(def.read, plan.sql, key))[1]
    end
    return self.db:query_opts(def.read, plan.sql, key)[1]
  end
  local values = identity.values(def, key, "get")
  if session then
    local object, known = session:lookup(def, identity.of_values(values))
    if known then return object end
  end
  local rows = self.db:query_opts(def.read, plan.sql, unpack(values))
  if session then session:adopt(def, rows) end
  return rows[1]
end

--- The entities of many keys, in the order of the keys: a key without a row
--- leaves a hole, and `n` is the number of keys.
---@async
---@param keys any[]
---@return neap.repository.Entity[]
function Repository:get_many(keys)
  local def, session = self.def, self.session
  if type(keys) ~= "table" then
    invalid("%s:get_many: needs a list of keys, got %s", def.name, type(keys))
  end
  local count = keys.n or #keys
  local found = { n = count }
  local arrays, wanted, place = {}, {}, {}
  for c = 1, #def.key do arrays[c] = { n = 0 } end
  for i = 1, count do
    local values = identity.values(def, keys[i], "get_many")
    local id = identity.of_values(values)
    local object, known
    if session then object, known = session:lookup(def, id) end
    if known then
      found[i] = object
    elseif place[id] then
      table.insert(wanted[place[id]], i) -- asked for twice
    else
      wanted[#wanted + 1] = { i }
      place[id] = #wanted
      for c, value in ipairs(values) do
        arrays[c][#wanted], arrays[c].n = value, #wanted
      end
    end
  end
  if #wanted == 0 then return found end
  local rows = self.db:query_opts(def.read, sql.get_many(def).sql,
    unpack(arrays))
  for _, row in ipairs(rows) do
    local answers = wanted[row.neap_row]
    row.neap_row = nil
    local object = session and session:adopt_one(def, row)
    if not session then object = row end
    for _, i in ipairs(answers) do found[i] = object end
  end
  return found
end

local PLAIN <const> = { string = true, number = true, boolean = true }

--- The first row with a plain value in one column: a statement that is kept.
---@private
---@async
function Repository:find_plain(column, value)
  local def, session = self.def, self.session
  if session then session:flush() end
  local rows = self.db:query_opts(def.read, sql.find(def, column).sql, value)
  if session then session:adopt(def, rows) end
  return rows[1]
end

--- The first entity that matches, or nil.
---@async
---@param where table
---@return neap.repository.Entity|nil
function Repository:find(where)
  needs_condition(self, "find", where)
  local name, value = next(where)
  local column = self.def.by_name[name]
  if column and PLAIN[type(value)] and next(where, name) == nil then
    return self:find_plain(column, value)
  end
  return query.new(self, where, "find"):first()
end

--- All entities that match.
---@async
---@param where? table
---@param opts? { order: string|string[], limit: integer, offset: integer }
---@return neap.repository.Entity[]
function Repository:all(where, opts)
  opts = options.check(self.def.name .. ":all", opts, ALL_SPEC)
  local asked = query.new(self, where, "all")
  if opts.order then
    asked = asked:order_by(unpack(type(opts.order) == "table" and opts.order
      or { opts.order }))
  end
  if opts.limit then asked = asked:limit(opts.limit) end
  if opts.offset then asked = asked:offset(opts.offset) end
  return asked:all()
end

--- How many match.
---@async
---@param where? table
---@return integer
function Repository:count(where)
  return query.new(self, where, "count"):count()
end

--- Whether any matches.
---@async
---@param where table
---@return boolean
function Repository:exists(where)
  needs_condition(self, "exists", where)
  return query.new(self, where, "exists"):exists()
end

--- A query to be built further: `repo:where{...}:order_by("name"):all()`.
---@param where? table
---@return neap.repository.Query
function Repository:where(where)
  return query.new(self, where, "where"):checked()
end

--- A page of the entities that match; see `neap.repository.page`.
---@async
---@param opts table
---@return { rows: neap.repository.Entity[], total: integer|nil, next: any, prev: any }
function Repository:page(opts) return page.read(self, opts) end

--- Store a new entity. A nil field is left to the server's default,
--- `repository.null` is NULL; the server's values come back into the entity.
---@async
---@param object neap.repository.Entity
---@return neap.repository.Entity
function Repository:insert(object)
  return self:write("insert", object)
end

--- Store the fields of an entity; nil is NULL. Raises `stale_object` if the
--- row has another version by now, or is gone.
---@async
---@param object neap.repository.Entity
---@return neap.repository.Entity
function Repository:update(object)
  return self:write("update", object)
end

--- Insert, or update where the key exists. Raises `stale_object` if the row
--- has another version than the entity.
---@async
---@param object neap.repository.Entity
---@return neap.repository.Entity
function Repository:save(object)
  return self:write("save", object)
end

--- Delete the row of an entity or of a key; false if there was none. For an
--- entity with a version raises `stale_object` if it is another one by now.
---@async
---@param target neap.repository.Entity|any
---@return boolean
function Repository:delete(target)
  local def = self.def
  if entity.is_entity(target) then
    return self:write("delete", target)
  end
  local values = identity.values(def, target, "delete")
  return write.delete_key(self.db, def, values, self.session)
end

--- Insert many in as few statements as their shapes allow; all or none.
---@async
---@param list neap.repository.Entity[]
---@return neap.repository.Entity[] list
function Repository:insert_many(list)
  return self:write_all("insert", list)
end

--- Save many in as few statements as their shapes allow; all or none. Of
--- several with one key the last is stored.
---@async
---@param list neap.repository.Entity[]
---@return neap.repository.Entity[] list
function Repository:save_many(list)
  return self:write_all("save", list)
end

--- Look at an object: it must be one of ours and hold nothing that would be
--- lost.
---@private
function Repository:check(object, name)
  local def = self.def
  local where = def.name .. ":" .. name
  if entity.definition_of(object, where) ~= def then
    invalid("%s: got an entity of another class, %s", where, tostring(object))
  end
  entity.check_fields(def, object, where)
end

--- In a unit of work a write is a request and a flush: what it depends on may
--- be pending too.
---@private
---@async
---@param verb "insert"|"update"|"save"|"delete"
function Repository:write(verb, object)
  self:check(object, verb)
  local session = self.session
  if not session then
    local one = write[verb](self.def, object)
    step.run(self.db, { one })
    if verb == "delete" then return one.deleted end
    return object
  end
  session:request(self.def, object, verb)
  session:flush()
  if verb == "delete" then return not session:missed(object) end
  return object
end

---@private
---@async
---@param verb "insert"|"save"
function Repository:write_all(verb, list)
  local name = verb .. "_many"
  if type(list) ~= "table" or entity.is_entity(list) then
    invalid("%s:%s: needs a list of entities, got %s", self.def.name, name,
      type(list))
  end
  local def, session, listed = self.def, self.session, {}
  for i = 1, list.n or #list do
    self:check(list[i], name)
    if verb == "insert" and listed[list[i]] then
      invalid("%s:%s: %s is in the list twice", def.name, name,
        tostring(list[i]))
    end
    listed[list[i]] = true
  end
  local objects, earlier = list, {}
  if verb == "save" then objects, earlier = bulk.without_duplicates(def, list) end
  if session then
    for _, object in ipairs(objects) do session:request(def, object, verb) end
    session:flush()
  else
    bulk.write(self.db, def, objects, verb)
  end
  for _, item in ipairs(earlier) do write.absorb(def, item.object, item.by) end
  return list
end

--- find_by_COLUMN(value): the first entity with that value, or nil.
local function finder(_, name)
  local column_name = type(name) == "string" and name:match("^find_by_(.+)$")
  if not column_name then return nil end
  return function(self, value)
    local label = self.def.name .. ":" .. name
    local column = criteria.column(label, self.def, column_name)
    if value == nil then
      invalid("%s: needs a value; NULL is repository.null", label)
    end
    if PLAIN[type(value)] then return self:find_plain(column, value) end
    return query.new(self, { [column_name] = value }, name):first()
  end
end

Repository.__index = setmetatable(Repository, { __index = finder })

return repo
