--- Writing many entities: one statement for those that name the same columns,
--- with an array for each column.

local neap = require "neap"
local null = neap.null
local identity = require "neap.repository.identity"
local sql = require "neap.repository.sql"
local step = require "neap.repository.step"
local write = require "neap.repository.write"

local bulk = {}

-- Rows in one statement.
local MAX_ROWS <const> = 10000

-- Rows in one VALUES list, a power of two; see `sql.insert_values`.
local MAX_VALUES <const> = 128

---@class neap.repository.Group
---@field columns neap.repository.Column[]
---@field shape string
---@field objects neap.repository.Entity[]

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

--- Whether rows cannot be sent as an array for each column: unnest would
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

--- A step whose answer is a row for each object. `missing` gives the steps
--- that answer objects without one, or raises.
---@return neap.repository.Step
local function with_rows(def, objects, plan, values, session, missing)
  local notes, rows = {}, {}
  if session then
    for i, object in ipairs(objects) do notes[i] = session:note(def, object) end
  end
  return {
    mode = "query",
    sql = plan.sql,
    values = values,
    n = #plan.columns,
    check = function(answer)
      rows = match(def, objects, answer)
      local left
      for i = 1, #objects do
        if not rows[i] then
          left = left or {}
          left[#left + 1] = i
        end
      end
      return left and missing(left, rows, #answer)
    end,
    finish = function()
      for i, object in ipairs(objects) do
        write.absorb(def, object, rows[i], session, notes[i])
      end
    end,
  }
end

--- Lists of VALUES whose lengths are powers of two, so that any number of
--- rows needs few different statements.
local function insert_values(steps, def, part, session)
  local columns, first, size = part.columns, 1, MAX_VALUES
  while first <= #part.objects do
    while size > #part.objects - first + 1 do size = size // 2 end
    if size == 1 or #columns == 0 then
      local object = part.objects[first]
      steps[#steps + 1] = write.insert(def, object, session,
        sql.insert(def, object, columns, part.shape))
      first = first + 1
    else
      local some = table.move(part.objects, first, first + size - 1, 1, {})
      local values, n = {}, 0
      for _, object in ipairs(some) do
        for _, column in ipairs(columns) do
          n = n + 1
          values[n] = object[column.name]
        end
      end
      local one = with_rows(def, some, sql.insert_values(def, columns,
        part.shape, size), values, session,
        function(left) write.lost(def, some[left[1]]) end)
      one.n = n
      steps[#steps + 1] = one
      first = first + size
    end
  end
end

local function insert_steps(steps, def, part, session)
  local objects, columns = part.objects, part.columns
  if #objects == 1 or needs_values(columns) then
    return insert_values(steps, def, part, session)
  end
  steps[#steps + 1] = with_rows(def, objects,
    sql.insert_many(def, columns, part.shape), arrays(columns, objects),
    session, function(left) write.lost(def, objects[left[1]]) end)
end

--- Rows of an upsert that did not come back are stale, or, without a version,
--- already as they should be; these are read again.
local function read_again(def, objects, left, rows, came_back)
  if def.version and came_back < #objects then
    write.stale(def, objects[left[1]], "save")
  end
  local some = {}
  for i, place in ipairs(left) do some[i] = objects[place] end
  return { {
    mode = "query",
    sql = sql.get_many(def).sql,
    values = arrays(def.key, some),
    n = #def.key,
    check = function(answer)
      for _, row in ipairs(answer) do rows[left[row.neap_row]] = row end
      for _, place in ipairs(left) do
        if not rows[place] then write.stale(def, objects[place], "save") end
      end
    end,
    finish = function() end, -- by the step that asked
  } }
end

local function save_steps(steps, def, part, session)
  local objects, columns = part.objects, part.columns
  if #objects == 1 or needs_values(columns) then
    for _, object in ipairs(objects) do
      steps[#steps + 1] = write.save(def, object, session,
        sql.save(def, object, columns, part.shape))
    end
    return
  end
  steps[#steps + 1] = with_rows(def, objects,
    sql.save_many(def, columns, part.shape), arrays(columns, objects), session,
    function(left, rows, came_back)
      return read_again(def, objects, left, rows, came_back)
    end)
end

--- The steps that write a list.
---@param def neap.repository.Definition
---@param list neap.repository.Entity[]
---@param verb "insert"|"save"
---@param session? neap.repository.Session
---@param keeps_order? boolean
---@return neap.repository.Step[]
function bulk.steps(def, list, verb, session, keeps_order)
  local steps, is_insert = {}, verb == "insert"
  local groups = group(def, list,
    is_insert and sql.given_columns or sql.save_columns, keeps_order)
  for _, part in ipairs(groups) do
    local append = is_insert and insert_steps or save_steps
    append(steps, def, part, session)
  end
  return steps
end

--- Write a list, all of it or nothing.
---@async
---@param db any
---@param def neap.repository.Definition
---@param list neap.repository.Entity[]
---@param verb "insert"|"save"
function bulk.write(db, def, list, verb)
  local steps = bulk.steps(def, list, verb)
  -- A save may find one entity stale when others are stored already.
  if step.is_atomic(steps) and (verb == "insert" or #list == 1) then
    step.send(db, steps)
  else
    db:transaction(function(tx) step.send(tx, steps) end)
  end
  step.finish(steps)
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
