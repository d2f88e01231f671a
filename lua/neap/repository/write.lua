--- Writing one entity: the statement, the check that it hit its row, and the
--- server's values back into the entity.

local neap = require "neap"
local null = neap.null
local entity = require "neap.repository.entity"
local identity = require "neap.repository.identity"
local sql = require "neap.repository.sql"

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

--- Raise: a row was sent and did not come back.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
function write.lost(def, object)
  invalid("%s: %s gave no row back for %s (a trigger or a rule?)", def.name,
    def.label, tostring(object))
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

--- A step that sends an entity by a plan and takes its row back.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param plan neap.repository.Plan
---@param session neap.repository.Session|nil
---@param missing fun()  raises, when no row came back
---@return neap.repository.Step
local function with_row(def, object, plan, session, missing)
  local values, n = sql.values(plan, object)
  local sent = session and session:note(def, object)
  local row
  return {
    mode = "row",
    sql = plan.sql,
    values = values,
    n = n,
    check = function(answer)
      if not answer then missing() end
      row = answer
    end,
    finish = function() write.absorb(def, object, row, session, sent) end,
  }
end

---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@param plan? neap.repository.Plan
---@return neap.repository.Step
function write.insert(def, object, session, plan)
  return with_row(def, object, plan or sql.insert(def, object), session,
    function() write.lost(def, object) end)
end

---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@param changed? neap.repository.Column[]  all that can be written by default
---@return neap.repository.Step
function write.update(def, object, session, changed)
  write.needs_key(def, object, "update")
  return with_row(def, object, sql.update(def, changed), session,
    function() write.stale(def, object, "update") end)
end

---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@param plan? neap.repository.Plan
---@return neap.repository.Step
function write.save(def, object, session, plan)
  return with_row(def, object, plan or sql.save(def, object), session,
    function() write.stale(def, object, "save") end)
end

--- `step.deleted` tells afterwards whether there was a row.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param session? neap.repository.Session
---@return neap.repository.Step
function write.delete(def, object, session)
  write.needs_key(def, object, "delete")
  local plan = sql.delete(def)
  local values, n = sql.values(plan, object)
  local step = { mode = "exec", sql = plan.sql, values = values, n = n }
  function step.check(count)
    step.deleted = count > 0
    if count == 0 and def.version then write.stale(def, object, "delete") end
  end
  function step.finish()
    if session then
      session:gone(def, identity.of(def, object), object, step.deleted)
    end
    entity.mark(object, true)
  end
  return step
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
  local count = db:exec(sql.delete_key(def).sql, table.unpack(values))
  if session then session:gone(def, identity.of_values(values)) end
  return count > 0
end

return write
