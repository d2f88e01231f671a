--- The memory of a unit of work: who has been loaded and what has changed.
---
--- One object for one row: a key that has been seen gives the object again.
--- An entity is compared with the copy taken when it was read or written;
--- nothing watches its fields.

local neap = require "neap"
local null = neap.null
local entity = require "neap.repository.entity"
local flush = require "neap.repository.flush"
local identity = require "neap.repository.identity"
local recorder = require "neap.repository.recorder"
local write = require "neap.repository.write"

local session = {}

---@class neap.repository.Entry
---@field object neap.repository.Entity
---@field def neap.repository.Definition
---@field id string|nil          the key as a string, once it is known
---@field seen table|nil         the columns as the server has them
---@field pending "insert"|"save"|"update"|"delete"|nil  at the next flush
---@field flying "insert"|"save"|"update"|"delete"|nil   in this one
---@field is_gone boolean|nil    its row has been deleted here
---@field has_missed boolean|nil there was no row to delete

---@class neap.repository.Session
---@field private db any
---@field private parent neap.repository.Session|nil
---@field private entries table<neap.repository.Entity, neap.repository.Entry>
---@field private order neap.repository.Entry[]   as they came
---@field private by_id table<neap.repository.Definition, table<string, neap.repository.Entry>>
---@field private undo table[]
---@field private mark integer
---@field private lock any
---@field private is_open boolean
local Session = {}
Session.__index = Session
Session.__name = "neap.repository.Session"

--- A copy of a value that may be changed in place.
local function copy(value)
  if type(value) ~= "table" then return value end
  local twin = {}
  for k, v in next, value do twin[k] = copy(v) end
  return setmetatable(twin, getmetatable(value))
end

local function same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for k, v in next, a do
    if not same(v, b[k]) then return false end
  end
  for k in next, b do
    if a[k] == nil then return false end
  end
  return true
end

local function snapshot(def, object)
  local seen = {}
  for _, column in ipairs(def.columns) do
    seen[column.name] = copy(object[column.name])
  end
  return seen
end

--- A session on a transaction; a nested one begins with what its parent knows.
---@param db any
---@param parent? neap.repository.Session
---@return neap.repository.Session
function session.new(db, parent)
  local self = setmetatable({
    db = db,
    parent = parent,
    entries = {},
    order = {},
    by_id = {},
    undo = {},
    mark = recorder.mark(),
    lock = neap.lock(),
    is_open = true,
  }, Session)
  for _, entry in ipairs(parent and parent.order or {}) do
    self:note(entry.def, entry.object)
    self:track(entry.def, entry.object, {
      id = entry.id,
      seen = entry.seen,
      is_gone = entry.is_gone,
    })
  end
  return self
end

---@private
function Session:check_open()
  if not self.is_open then
    neap.fault.raise {
      kind = "closed",
      message = "the unit of work is over",
    }
  end
end

---@private
---@return neap.repository.Entry
function Session:track(def, object, entry)
  entry.def, entry.object = def, object
  self.entries[object] = entry
  self.order[#self.order + 1] = entry
  self:index(entry)
  return entry
end

--- Enter an entry under its key.
---@private
function Session:index(entry)
  if not entry.id then return end
  local ids = self.by_id[entry.def]
  if not ids then
    ids = {}
    self.by_id[entry.def] = ids
  end
  ids[entry.id] = entry
end

---@private
function Session:entry_of(def, id)
  local ids = self.by_id[def]
  return ids and id and ids[id]
end

--- Whether the row of an entry is deleted, or about to be.
local function is_going(entry)
  if entry.pending then return entry.pending == "delete" end
  return entry.flying == "delete" or entry.is_gone == true
end

--- What is known of a key: the object, or nil if its row was deleted here.
---@param def neap.repository.Definition
---@param id string
---@return neap.repository.Entity|nil object
---@return boolean known
function Session:lookup(def, id)
  self:check_open()
  local entry = self:entry_of(def, id)
  if not entry then return nil, false end
  if is_going(entry) then return nil, true end
  return entry.object, true
end

--- The one object for a row; nil if it was deleted here.
---@param def neap.repository.Definition
---@param row neap.repository.Entity
---@return neap.repository.Entity|nil
function Session:adopt_one(def, row)
  local id = identity.of(def, row)
  local entry = self:entry_of(def, id)
  if entry then
    if is_going(entry) then return nil end
    return entry.object
  end
  self:track(def, row, { id = id, seen = snapshot(def, row) })
  return row
end

--- The same for an array of rows, in place.
---@param def neap.repository.Definition
---@param rows neap.repository.Entity[]
---@return neap.repository.Entity[] rows
function Session:adopt(def, rows)
  local kept = 0
  for i = 1, #rows do
    local object = self:adopt_one(def, rows[i])
    rows[i] = nil
    if object then
      kept = kept + 1
      rows[kept] = object
    end
  end
  rows.n = kept
  return rows
end

--- Ask for an entity to be written at the next flush.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param verb "insert"|"save"|"update"|"delete"
function Session:request(def, object, verb)
  self:check_open()
  local entry = self.entries[object]
  if not entry then
    if verb == "delete" or verb == "update" then
      write.needs_key(def, object, verb)
    end
    local id = identity.of(def, object)
    local other = self:entry_of(def, id)
    if other and not is_going(other) then
      neap.fault.raise {
        kind = "invalid",
        message = ("%s:%s: another object stands for %s in this unit of work")
          :format(def.name, verb, tostring(object)),
      }
    end
    entry = self:track(def, object, { id = id })
  end
  if entry.pending == "insert" and verb == "delete" then
    self:forget(entry) -- never stored: nothing to do
  elseif entry.pending == "insert" and verb == "update" then
    return -- it will be stored as it is
  else
    entry.pending = verb
    entry.has_missed = nil
  end
end

--- Have an entity stored at the next flush: a new one is inserted, one that
--- was read elsewhere updated; one that is known already stays as it is.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
function Session:add(def, object)
  self:check_open()
  local entry = self.entries[object]
  if entry and not is_going(entry) then return end
  if entry and entry.pending == "delete" and not entry.is_gone then
    -- Not deleted yet: it stays. One that was read elsewhere is updated.
    entry.pending = not entry.seen and "update" or nil
    return
  elseif entry and entry.flying == "delete" then
    entry.pending = "insert" -- too late: it comes back
    return
  end
  self:request(def, object, entity.is_unsaved(object) and "insert" or "update")
end

---@private
function Session:forget(entry)
  self.entries[entry.object] = nil
  if entry.id and self:entry_of(entry.def, entry.id) == entry then
    self.by_id[entry.def][entry.id] = nil
  end
  for i, other in ipairs(self.order) do
    if other == entry then
      table.remove(self.order, i)
      break
    end
  end
end

--- Whether the last delete of an object found no row.
---@param object neap.repository.Entity
---@return boolean
function Session:missed(object)
  local entry = self.entries[object]
  return entry ~= nil and entry.has_missed == true
end

--- Keep the values of an entity that is about to be sent.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@return table values
function Session:note(def, object)
  local values = snapshot(def, object)
  self.undo[#self.undo + 1] = {
    def = def,
    object = object,
    values = values,
    was_unsaved = entity.is_unsaved(object),
  }
  return values
end

--- An entity has just been written. It takes the server's values, save where
--- another task of the unit has changed it while the statement was away.
---@param def neap.repository.Definition
---@param object neap.repository.Entity
---@param row table
---@param sent table  the values when the statement left
function Session:stored(def, object, row, sent)
  local entry = self.entries[object] or self:track(def, object, {})
  for _, column in ipairs(def.columns) do
    local name = column.name
    if same(object[name], sent[name]) then object[name] = row[name] end
  end
  entry.id = identity.of(def, row)
  entry.seen, entry.is_gone = snapshot(def, row), nil
  self:index(entry)
end

--- A row has just been deleted.
---@param def neap.repository.Definition
---@param id string|nil
---@param object? neap.repository.Entity
---@param was_there? boolean
function Session:gone(def, id, object, was_there)
  local entry = object and self.entries[object] or self:entry_of(def, id)
  if not entry then return end
  self:note(def, entry.object)
  entity.mark(entry.object, true)
  entry.is_gone, entry.seen = true, nil
  entry.has_missed = was_there == false
end

--- A row was changed by a statement on many: the entity follows.
---@param def neap.repository.Definition
---@param row neap.repository.Entity
function Session:refresh(def, row)
  local entry = self:entry_of(def, identity.of(def, row))
  if not entry or entry.is_gone then return end
  local sent = self:note(def, entry.object)
  self:stored(def, entry.object, row, sent)
end

--- A row was deleted by a statement on many.
---@param def neap.repository.Definition
---@param row neap.repository.Entity
function Session:vanish(def, row)
  self:gone(def, identity.of(def, row))
end

--- The columns of an entity that differ from what the server has; nil if
--- there are none.
---@private
---@param entry neap.repository.Entry
---@return neap.repository.Column[]|nil
function Session:changes(entry)
  local def, object, seen = entry.def, entry.object, entry.seen
  if not seen or entry.is_gone then return nil end
  for _, column in ipairs(def.key) do
    if not same(object[column.name], seen[column.name]) then
      neap.fault.raise {
        kind = "invalid",
        message = ("%s: the key '%s' of a stored entity was changed from %s "
          .. "to %s"):format(def.name, column.name,
          tostring(seen[column.name]), tostring(object[column.name])),
      }
    end
  end
  local changed
  for _, column in ipairs(def.writable) do
    local value = object[column.name]
    if value == null then value = nil end
    if not same(value, seen[column.name]) then
      changed = changed or {}
      changed[#changed + 1] = column
    end
  end
  local version = def.version
  if version and object[version.name] ~= seen[version.name] then
    changed = changed or {} -- the user expects another version: let it show
  end
  return changed
end

--- The jobs of a flush: what was asked for, and what has changed.
---@private
---@return neap.repository.Job[]
function Session:jobs()
  local jobs = {}
  for place, entry in ipairs(self.order) do
    local verb, changed = entry.pending, nil
    if not verb then
      changed = self:changes(entry)
      verb = changed and "update"
    end
    if verb then
      entity.check_fields(entry.def, entry.object, entry.def.name)
      jobs[#jobs + 1] = {
        entry = entry,
        verb = verb,
        changed = changed,
        place = place,
      }
    end
  end
  return jobs
end

-- While its statement is away an entity can be asked for again. If the flush
-- fails, what it was to do is still to be done.
local Flight = {
  __close = function(jobs, err)
    for _, job in ipairs(jobs) do
      local entry = job.entry
      if err ~= nil and not job.changed and not entry.pending then
        entry.pending = job.verb
      end
      entry.flying = nil
    end
  end,
}

--- Write what is pending: new rows first, those that others refer to before
--- them, then changes in the order of their keys, then deletions.
---@async
function Session:flush()
  self:check_open()
  local _ <close> = self.lock:acquire()
  local jobs <close> = setmetatable(self:jobs(), Flight)
  if #jobs == 0 then return end
  for _, job in ipairs(jobs) do
    job.entry.pending, job.entry.flying = nil, job.verb
  end
  flush.write(self, self.db, jobs)
end

--- The work is over: nothing more is accepted.
function Session:close() self.is_open = false end

--- The transaction was rolled back: entities get back what the server's
--- answers overwrote, and lose the events recorded meanwhile.
function Session:rollback()
  self:close()
  for i = #self.undo, 1, -1 do
    local item = self.undo[i]
    for _, column in ipairs(item.def.columns) do
      item.object[column.name] = item.values[column.name]
    end
    entity.mark(item.object, item.was_unsaved)
  end
  for object in pairs(self.entries) do
    recorder.forget_since(object, self.mark)
  end
end

--- A nested session is done: its parent takes over what it learned.
function Session:hand_over()
  self:close()
  local parent = self.parent
  table.move(self.undo, 1, #self.undo, #parent.undo + 1, parent.undo)
  for _, entry in ipairs(self.order) do
    local known = parent.entries[entry.object]
    if known then
      known.id, known.seen, known.is_gone = entry.id, entry.seen, entry.is_gone
      parent:index(known)
    else
      parent:track(entry.def, entry.object, entry)
    end
  end
end

--- The events of all entities seen, in the order they were recorded.
---@return neap.repository.Event[]
function Session:take_events()
  local objects = {}
  for i, entry in ipairs(self.order) do objects[i] = entry.object end
  return recorder.take(objects)
end

return session
