--- Writing many entities: one statement for those that name the same columns,
--- with an array for each column. All or none.
---
--- Answers are collected first and copied into the entities last, when
--- nothing can fail any more.

local neap = require "neap"
local null = neap.null
local identity = require "neap.repository.identity"
local sql = require "neap.repository.sql"
local write = require "neap.repository.write"

local unpack <const> = table.unpack

local bulk = {}

-- Rows in one statement. More are sent in several, in one transaction.
local MAX_ROWS <const> = 10000

-- Rows in one VALUES list, a power of two; see `sql.insert_values`.
local MAX_VALUES <const> = 128

---@class neap.repository.Group
---@field columns neap.repository.Column[]
---@field shape string
---@field objects neap.repository.Entity[]

---@class neap.repository.Answer
---@field object neap.repository.Entity
---@field row table
---@field sent table|nil

--- Objects by the columns they name, in the order they came. If the order
--- matters, only neighbours share a group.
---@return neap.repository.Group[]
local function group(def, list, columns_of, keeps_order)
  local groups, open = {}, {}
  for _, object in ipairs(list) do
    local columns, shape = columns_of(def, object)
    local current = open[shape]
    if keeps_order and current ~= groups[#groups] then current = nil end
    if not current or #current.objects >= MAX_ROWS then
      current = { columns = columns, shape = shape, objects = {} }
      open[shape] = current
      groups[#groups + 1] = current
    end
    current.objects[#current.objects + 1] = object
  end
  return groups
end

--- One array for each column; NULL takes the place of what is missing.
local function arrays(columns, objects)
  local lists = {}
  for c, column in ipairs(columns) do
    local name, list = column.name, { n = #objects }
    for i, object in ipairs(objects) do
      local value = object[name]
      if value == nil then value = null end
      list[i] = value
    end
    lists[c] = list
  end
  return lists
end

--- A list that cannot be sent as an array for each column: unnest would
--- flatten arrays of arrays, and rows without columns have no array at all.
local function needs_values(columns)
  if #columns == 0 then return true end
  for _, column in ipairs(columns) do
    if column.kind == "array" then return true end
  end
  return false
end

--- The rows that answer the objects, by position where there are as many,
--- otherwise by key. A missing one leaves a hole.
local function match(def, objects, rows)
  if #rows == #objects then
    local in_order = true
    for i, object in ipairs(objects) do
      local id = identity.of(def, object)
      if id and id ~= identity.of(def, rows[i]) then
        in_order = false
        break
      end
    end
    if in_order then return rows end
  end
  local by_id, matched = {}, {}
  for _, row in ipairs(rows) do by_id[identity.of(def, row)] = row end
  for i, object in ipairs(objects) do
    local id = identity.of(def, object)
    matched[i] = id and by_id[id] or nil
  end
  return matched
end

--- The state of one call.
---@class neap.repository.Bulk
---@field db any
---@field def neap.repository.Definition
---@field session neap.repository.Session|nil
---@field answers neap.repository.Answer[]
local Bulk = {}
Bulk.__index = Bulk

---@private
function Bulk:notes(objects)
  local notes = {}
  if self.session then
    for i, object in ipairs(objects) do
      notes[i] = self.session:note(self.def, object)
    end
  end
  return notes
end

---@private
function Bulk:answer(object, row, sent)
  self.answers[#self.answers + 1] = { object = object, row = row, sent = sent }
end

--- One statement for one object.
---@private
---@async
function Bulk:one(plan, object)
  local sent = self:notes({ object })[1]
  local values, n = sql.values(plan, object)
  local row = self.db:row(plan.sql, unpack(values, 1, n))
  if row then self:answer(object, row, sent) end
  return row ~= nil
end

---@private
function Bulk:lost(object)
  neap.fault.raise {
    kind = "invalid",
    message = ("%s:insert_many: %s gave no row back for %s (a trigger or a "
      .. "rule?)"):format(self.def.name, self.def.label, tostring(object)),
  }
end

---@private
function Bulk:answer_all(objects, rows, notes)
  rows = match(self.def, objects, rows)
  for i, object in ipairs(objects) do
    if not rows[i] then self:lost(object) end
    self:answer(object, rows[i], notes[i])
  end
end

--- Lists of VALUES whose lengths are powers of two, so that any number of
--- rows needs few different statements.
---@private
---@async
function Bulk:insert_values(part)
  local def, columns, first = self.def, part.columns, 1
  local size = MAX_VALUES
  while first <= #part.objects do
    while size > #part.objects - first + 1 do size = size // 2 end
    if size == 1 or #columns == 0 then
      local object = part.objects[first]
      if not self:one(sql.insert(def, object, columns, part.shape), object) then
        self:lost(object)
      end
      first = first + 1
    else
      local some = table.move(part.objects, first, first + size - 1, 1, {})
      local notes, values, n = self:notes(some), {}, 0
      for _, object in ipairs(some) do
        for _, column in ipairs(columns) do
          n = n + 1
          values[n] = object[column.name]
        end
      end
      local plan = sql.insert_values(def, columns, part.shape, size)
      self:answer_all(some, self.db:query(plan.sql, unpack(values, 1, n)),
        notes)
      first = first + size
    end
  end
end

---@private
---@async
function Bulk:insert(part)
  if #part.objects == 1 or needs_values(part.columns) then
    return self:insert_values(part)
  end
  local plan = sql.insert_many(self.def, part.columns, part.shape)
  local notes = self:notes(part.objects)
  local rows = self.db:query(plan.sql, unpack(arrays(part.columns,
    part.objects)))
  self:answer_all(part.objects, rows, notes)
end

--- Upsert one group. Rows that do not come back are stale, or, without a
--- version, already as they should be; these are read again.
---@private
---@async
function Bulk:save(part)
  local def, objects = self.def, part.objects
  if #objects == 1 or needs_values(part.columns) then
    for _, object in ipairs(objects) do
      local plan = sql.save(def, object, part.columns, part.shape)
      if not self:one(plan, object) then
        write.stale(def, object, "save")
      end
    end
    return
  end
  local plan = sql.save_many(def, part.columns, part.shape)
  local notes = self:notes(objects)
  local answer = self.db:query(plan.sql, unpack(arrays(part.columns, objects)))
  local rows, missing, left = match(def, objects, answer), {}, {}
  for i, object in ipairs(objects) do
    if rows[i] then
      self:answer(object, rows[i], notes[i])
    else
      missing[#missing + 1], left[#left + 1] = i, object
    end
  end
  if #left == 0 then return end
  if def.version and #answer < #objects then write.stale(def, left[1], "save") end
  local again = self.db:query(sql.get_many(def).sql,
    unpack(arrays(def.key, left)))
  local found = {}
  for _, row in ipairs(again) do found[row.neap_row] = row end
  for m, object in ipairs(left) do
    if not found[m] then write.stale(def, object, "save") end
    self:answer(object, found[m], notes[missing[m]])
  end
end

---@return neap.repository.Bulk
local function new(db, def, session)
  return setmetatable({
    db = db,
    def = def,
    session = session,
    answers = {},
  }, Bulk)
end

---@private
function Bulk:hand_out()
  for _, answer in ipairs(self.answers) do
    write.absorb(self.def, answer.object, answer.row, self.session,
      answer.sent)
  end
end

--- A list in the groups that are written by one call of `write_group` each.
---@param def neap.repository.Definition
---@param list neap.repository.Entity[]
---@param verb "insert"|"save"
---@param keeps_order? boolean
---@return neap.repository.Group[]
function bulk.groups(def, list, verb, keeps_order)
  return group(def, list, verb == "insert" and sql.given_columns
    or sql.save_columns, keeps_order)
end

--- Write one group within a unit of work.
---@async
---@param db any
---@param def neap.repository.Definition
---@param part neap.repository.Group
---@param verb "insert"|"save"
---@param session neap.repository.Session
function bulk.write_group(db, def, part, verb, session)
  local self = new(db, def, session)
  self[verb](self, part)
  self:hand_out()
end

--- Write a list: a lone statement as it is, more of them in a transaction.
---@async
---@param db any
---@param def neap.repository.Definition
---@param list neap.repository.Entity[]
---@param verb "insert"|"save"
function bulk.write(db, def, list, verb)
  local groups, self = bulk.groups(def, list, verb), new(db, def)
  if #groups == 0 then return end
  -- A save of several may find one stale when others are stored already.
  if #groups == 1 and (#list == 1
      or verb == "insert" and not needs_values(groups[1].columns)) then
    self[verb](self, groups[1])
  else
    db:transaction(function(tx)
      self.db, self.answers = tx, {}
      for _, part in ipairs(groups) do self[verb](self, part) end
    end)
  end
  self:hand_out()
end

--- The last object of each key, and the earlier ones it stands for.
---@param def neap.repository.Definition
---@param list neap.repository.Entity[]
---@return neap.repository.Entity[] kept
---@return { object: neap.repository.Entity, by: neap.repository.Entity }[] earlier
function bulk.without_duplicates(def, list)
  local last, kept, earlier = {}, {}, {}
  for i, object in ipairs(list) do
    local id = identity.of(def, object)
    if id then last[id] = i end
  end
  for i, object in ipairs(list) do
    local id = identity.of(def, object)
    if not id or last[id] == i then
      kept[#kept + 1] = object
    elseif object ~= list[last[id]] then
      earlier[#earlier + 1] = { object = object, by = list[last[id]] }
    end
  end
  return kept, earlier
end

return bulk
