--- Events that entities record, until somebody takes them.
---
--- They wait in a weak table beside the entity, so that a row stays a row.
--- A number that only grows gives the order across entities.

local neap = require "neap"

local recorder = {}

---@class neap.repository.Event
---@field name string
---@field payload any
---@field entity neap.repository.Entity
---@field at integer  seconds since the epoch

---@type table<neap.repository.Entity, { event: neap.repository.Event, seq: integer }[]>
local recorded = setmetatable({}, { __mode = "k" })

local last_seq = 0

--- Record what happened to an entity. It is announced when the unit of work
--- that holds the entity has been committed.
---@param object neap.repository.Entity
---@param name string
---@param payload any
function recorder.record(object, name, payload)
  if type(name) ~= "string" or name == "" or name == "*" then
    neap.fault.raise {
      kind = "invalid",
      message = "record: an event needs a name (a string, not '*')",
    }
  end
  local list = recorded[object]
  if not list then
    list = {}
    recorded[object] = list
  end
  last_seq = last_seq + 1
  list[#list + 1] = {
    seq = last_seq,
    event = {
      name = name,
      payload = payload,
      entity = object,
      at = os.time(),
    },
  }
end

--- The events recorded and not yet announced, oldest first (a copy).
---@param object neap.repository.Entity
---@return neap.repository.Event[]
function recorder.events(object)
  local events = {}
  for i, item in ipairs(recorded[object] or {}) do events[i] = item.event end
  return events
end

--- A point in time for `forget_since`.
---@return integer
function recorder.mark() return last_seq end

--- Drop what the entity recorded after a mark: the work was rolled back.
---@param object neap.repository.Entity
---@param mark integer
function recorder.forget_since(object, mark)
  local list = recorded[object]
  if not list then return end
  for i = #list, 1, -1 do
    if list[i].seq <= mark then break end
    list[i] = nil
  end
end

--- Take the events of many entities, in the order they were recorded.
---@param objects neap.repository.Entity[]
---@return neap.repository.Event[]
function recorder.take(objects)
  local items = {}
  for _, object in ipairs(objects) do
    local list = recorded[object]
    if list then
      table.move(list, 1, #list, #items + 1, items)
      recorded[object] = nil
    end
  end
  table.sort(items, function(a, b) return a.seq < b.seq end)
  local events = {}
  for i, item in ipairs(items) do events[i] = item.event end
  return events
end

return recorder
