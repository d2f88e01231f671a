--- The order in which a unit of work writes.
---
--- New rows before those that refer to them, then changes, then deletions the
--- other way round. What may not overtake is written in phases; within a phase
--- statements are sent one behind the other without waiting in between.

local neap = require "neap"
local bulk = require "neap.repository.bulk"
local entity = require "neap.repository.entity"
local identity = require "neap.repository.identity"
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

--- Tasks that store new objects of one class: one for each statement, unless
--- the rows refer to one another.
local function insert_tasks(tasks, session, db, def, verb, objects)
  local columns = own_references(def)
  if #columns == 0 then
    for _, part in ipairs(bulk.groups(def, objects, verb)) do
      tasks[#tasks + 1] = function()
        bulk.write_group(db, def, part, verb, session)
      end
    end
    return
  end
  local sorted = parents_first(def, objects, columns)
  tasks[#tasks + 1] = function()
    for _, part in ipairs(bulk.groups(def, sorted, verb, true)) do
      bulk.write_group(db, def, part, verb, session)
    end
  end
end

--- Tasks that delete objects of one class: at once, unless the rows refer to
--- one another.
local function delete_tasks(tasks, session, db, def, objects)
  local columns = own_references(def)
  if #columns == 0 then
    for _, object in ipairs(objects) do
      tasks[#tasks + 1] = function() write.delete(db, def, object, session) end
    end
    return
  end
  local sorted = parents_first(def, objects, columns)
  tasks[#tasks + 1] = function()
    for i = #sorted, 1, -1 do write.delete(db, def, sorted[i], session) end
  end
end

--- The tasks of one phase.
---@param jobs neap.repository.Job[]
---@param first integer
---@return function[] tasks
---@return integer next  the first job of the next phase
local function tasks_of(session, db, jobs, first)
  local tasks, phase = {}, jobs[first].phase
  while jobs[first] and jobs[first].phase == phase do
    local job = jobs[first]
    local def, verb = job.entry.def, job.verb
    local objects = { job.entry.object }
    first = first + 1
    if verb == "update" then
      tasks[#tasks + 1] = function()
        write.update(db, def, job.entry.object, session, job.changed)
      end
    else
      while jobs[first] and jobs[first].phase == phase
          and jobs[first].entry.def == def and jobs[first].verb == verb do
        objects[#objects + 1] = jobs[first].entry.object
        first = first + 1
      end
      if verb == "delete" then
        delete_tasks(tasks, session, db, def, objects)
      else
        insert_tasks(tasks, session, db, def, verb, objects)
      end
    end
  end
  return tasks, first
end

--- Run the tasks of a phase together. All answers are awaited; then the
--- failure is raised that made the rest fail.
---@async
---@param tasks function[]
local function pipeline(tasks)
  if #tasks == 1 then return tasks[1]() end
  local first
  for _, outcome in ipairs(neap.settle(tasks)) do
    if not outcome.ok and (first == nil
        or neap.fault.is(first, "transaction_aborted")) then
      first = outcome.err
    end
  end
  if first ~= nil then error(first, 0) end
end

--- Write the jobs.
---@async
---@param session neap.repository.Session
---@param db any
---@param jobs neap.repository.Job[]
function flush.write(session, db, jobs)
  local ranks, first = {}, 1
  for _, job in ipairs(jobs) do
    job.phase = phase_of(job.verb, job.entry.def, ranks)
  end
  table.sort(jobs, before)
  while jobs[first] do
    local tasks, next_phase = tasks_of(session, db, jobs, first)
    pipeline(tasks)
    first = next_phase
  end
end

return flush
