--- The order in which a unit of work writes.
---
--- New rows before those that refer to them, then changes in the order of
--- their keys, then deletions the other way round.

local bulk = require "neap.repository.bulk"
local entity = require "neap.repository.entity"
local identity = require "neap.repository.identity"
local step = require "neap.repository.step"
local write = require "neap.repository.write"

local flush = {}

---@class neap.repository.Job
---@field entry neap.repository.Entry
---@field verb "insert"|"save"|"update"|"delete"
---@field changed neap.repository.Column[]|nil  some columns of an update
---@field place integer   among all entries
---@field phase integer   filled in here

-- Phases of updates and deletions: above any rank, and counting down.
local UPDATES <const>, DELETIONS <const> = 1 << 20, 1 << 21

--- Where a class stands among the others: those it refers to come before it.
---@param def neap.repository.Definition
---@param ranks table<neap.repository.Definition, integer|false>
---@return integer
local function rank_of(def, ranks)
  if ranks[def] then return ranks[def] end
  if ranks[def] == false then return 0 end -- a circle: broken here
  ranks[def] = false
  local rank = 0
  for _, target in pairs(def.references) do
    local other = entity.referenced(def, target)
    if other ~= def then rank = math.max(rank, rank_of(other, ranks) + 1) end
  end
  ranks[def] = rank
  return rank
end

local function phase_of(verb, def, ranks)
  if verb == "update" then return UPDATES end
  local rank = rank_of(def, ranks)
  return verb == "delete" and DELETIONS - rank or rank
end

---@param a neap.repository.Job
---@param b neap.repository.Job
local function before(a, b)
  if a.phase ~= b.phase then return a.phase < b.phase end
  local one, other = a.entry, b.entry
  if one.def ~= other.def then return one.def.label < other.def.label end
  if a.verb ~= b.verb then return a.verb < b.verb end
  -- Changes by key: two units that touch the same rows meet in one order.
  if a.phase >= UPDATES and one.id ~= other.id then
    return (one.id or "") < (other.id or "")
  end
  return a.place < b.place
end

--- The columns by which rows of a class refer to rows of the same class.
local function own_references(def)
  local columns = {}
  for name, target in pairs(def.references) do
    if entity.referenced(def, target) == def then
      columns[#columns + 1] = name
    end
  end
  return columns
end

--- Objects of one class, each after those among them it refers to.
local function parents_first(def, objects, columns)
  local by_id, done, sorted = {}, {}, {}
  for _, object in ipairs(objects) do
    local id = identity.of(def, object)
    if id then by_id[id] = object end
  end
  local function visit(object)
    if done[object] then return end
    done[object] = true
    for _, name in ipairs(columns) do
      local value = object[name]
      local parent = value ~= nil and by_id[identity.of_value(value)]
      if parent then visit(parent) end
    end
    sorted[#sorted + 1] = object
  end
  for _, object in ipairs(objects) do visit(object) end
  return sorted
end

--- The steps that store new objects of one class.
local function insert_steps(session, def, verb, objects)
  local columns = own_references(def)
  if #columns == 0 then return bulk.steps(def, objects, verb, session) end
  return bulk.steps(def, parents_first(def, objects, columns), verb, session,
    true)
end

--- The steps that delete objects of one class.
local function delete_steps(session, def, objects)
  local columns, steps = own_references(def), {}
  if #columns > 0 then objects = parents_first(def, objects, columns) end
  for i = #objects, 1, -1 do
    steps[#steps + 1] = write.delete(def, objects[i], session)
  end
  return steps
end

--- The steps of all jobs, in their order: objects of one class that are to be
--- inserted, or deleted, together.
---@param session neap.repository.Session
---@param jobs neap.repository.Job[]
---@return neap.repository.Step[]
local function steps_of(session, jobs)
  local steps, first = {}, 1
  while jobs[first] do
    local job = jobs[first]
    local def, verb = job.entry.def, job.verb
    local some
    first = first + 1
    if verb == "update" then
      some = { write.update(def, job.entry.object, session, job.changed) }
    else
      local objects = { job.entry.object }
      while jobs[first] and jobs[first].entry.def == def
          and jobs[first].verb == verb do
        objects[#objects + 1] = jobs[first].entry.object
        first = first + 1
      end
      some = verb == "delete" and delete_steps(session, def, objects)
        or insert_steps(session, def, verb, objects)
    end
    table.move(some, 1, #some, #steps + 1, steps)
  end
  return steps
end

--- Write the jobs, in one flight where they are not very many.
---@async
---@param session neap.repository.Session
---@param db any
---@param jobs neap.repository.Job[]
function flush.write(session, db, jobs)
  local ranks = {}
  for _, job in ipairs(jobs) do
    job.phase = phase_of(job.verb, job.entry.def, ranks)
  end
  table.sort(jobs, before)
  step.run(db, steps_of(session, jobs))
end

return flush
