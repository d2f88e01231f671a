--- Writing one entity: the statement, the check that it hit its row, and the
--- server's values back into the entity.

local neap = require "neap"
local null = neap.null
local entity = require "neap.repository.entity"
local identity = require "neap.repository.identity"
local sql = require "neap.repository.sql"

local unpack <const> = table.unpack

local write = {}

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

local function key_of(def, object)
  if #def.key == 1 then return object[def.key[1].name] end
  local key = {}
  for i, column in ipairs(def.key) do key[i] = object[column.name] end
  return key
end

local SAID <const> = {
  version = "%s in %s is no longer at version %s",
  unread = "%s is in %s already, and this object was not read from there",
  missing = "%s is not in %s any more",
}

--- Raise `stale_object`: the row is not the one the entity was read from.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param verb "update"|"save"|"delete"
function write.stale(def, object, verb)
  local expected = def.version and object[def.version.name]
  local reason = expected ~= nil and "version"
    or verb == "save" and "unread" or "missing"
  neap.fault.raise {
    kind = "stale_object",
    message = SAID[reason]:format(tostring(object), def.label,
      tostring(expected)),
    entity = def.name,
    table = def.label,
    key = key_of(def, object),
    version = expected,
  }
end

--- Send an entity and take the server's values back.
---@async
---@param db any
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param plan neap.repository.Plan
---@param session neap.repository.Session|nil
---@return boolean stored  false if the statement gave no row
local function send(db, def, object, plan, session)
  local values, n = sql.values(plan, object)
  local sent = session and session:note(def, object)
  local row = db:row(plan.sql, unpack(values, 1, n))
  if row then write.absorb(def, object, row, session, sent) end
  return row ~= nil
end

--- Copy the server's values into an entity.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param row table
---@param session neap.repository.Session|nil
---@param sent table|nil  the session's note of what was sent
function write.absorb(def, object, row, session, sent)
  if session then
    session:stored(def, object, row, sent)
  else
    for _, column in ipairs(def.columns) do
      object[column.name] = row[column.name]
    end
  end
  entity.mark(object, false)
end

--- Raise unless the entity can name its row, and the version it expects.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param name string  of the method
function write.needs_key(def, object, name)
  for _, column in ipairs(def.key) do
    local value = object[column.name]
    if value == nil or value == null then
      invalid("%s:%s: the entity has no '%s'", def.name, name, column.name)
    end
  end
  local version = def.version
  if version and math.type(object[version.name]) ~= "integer" then
    invalid("%s:%s: the entity has no '%s'; was it read from the server?",
      def.name, name, version.name)
  end
end

---@async
---@param db any
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@return neap.repository.Entity
function write.insert(db, def, object, session)
  if not send(db, def, object, sql.insert(def, object), session) then
    invalid("%s:insert: %s gave no row back (a trigger or a rule?)", def.name,
      def.label)
  end
  return object
end

--- Update the row of an entity, all of it or some columns.
---@async
---@param db any
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@param changed? neap.repository.Column[]
---@return neap.repository.Entity
function write.update(db, def, object, session, changed)
  write.needs_key(def, object, "update")
  if not send(db, def, object, sql.update(def, changed), session) then
    write.stale(def, object, "update")
  end
  return object
end

---@async
---@param db any
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@return neap.repository.Entity
function write.save(db, def, object, session)
  if not send(db, def, object, sql.save(def, object), session) then
    write.stale(def, object, "save")
  end
  return object
end

---@async
---@param db any
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@return boolean deleted
function write.delete(db, def, object, session)
  write.needs_key(def, object, "delete")
  local plan = sql.delete(def)
  local values, n = sql.values(plan, object)
  local count = db:exec(plan.sql, unpack(values, 1, n))
  if count == 0 and def.version then write.stale(def, object, "delete") end
  if session then
    session:gone(def, identity.of(def, object), object, count > 0)
  end
  entity.mark(object, true)
  return count > 0
end

--- Delete the row of a key, whatever its version.
---@async
---@param db any
---@param def neap.repository.Definition
---@param values any[]
---@param session? neap.repository.Session
---@return boolean deleted
function write.delete_key(db, def, values, session)
  if session then session:flush() end
  local count = db:exec(sql.delete_key(def).sql, unpack(values))
  if session then session:gone(def, identity.of_values(values)) end
  return count > 0
end

return write
