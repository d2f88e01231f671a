--- Publishers: domain events by name, on the emitter.
---
--- ```lua
--- local publisher = events.publisher()
--- publisher:subscribe("order.placed", function(event)
---   send_confirmation(event.entity, event.payload)
--- end)
--- ```
---
--- All handlers of an event run at once and `publish` waits for them. One that
--- fails is reported to the run's `on_error`; the others do not notice.

local neap = require "neap"

local publisher = {}

---@class neap.events.Event
---@field name string
---@field payload any
---@field entity any
---@field at number  seconds since the epoch

---@class neap.events.Publisher
---@field private emitter any
local Publisher = {}
Publisher.__index = Publisher
Publisher.__name = "neap.events.Publisher"

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

--- A publisher. The options are the emitter's; `errors` is "report" unless
--- said otherwise.
---@param opts? table
---@return neap.events.Publisher
function publisher.new(opts)
  if opts ~= nil and type(opts) ~= "table" then
    invalid("events.publisher: options must be a table, got %s", type(opts))
  end
  local given = { errors = "report" }
  for name, value in next, opts or {} do given[name] = value end
  return setmetatable({ emitter = neap.emitter(given) }, Publisher)
end

--- Call `fn(event)` for each event of a name, "*" for all. The options are
--- those of the emitter's `on`.
---@param name string
---@param fn fun(event: neap.events.Event)
---@param opts? table
---@return any handle  with `:off()`, closable
function Publisher:subscribe(name, fn, opts)
  if type(name) ~= "string" or name == "" then
    invalid("publisher:subscribe: an event's name is a string, got %s",
      type(name))
  end
  if name ~= "*" then return self.emitter:on(name, fn, opts) end
  return self.emitter:on_any(function(_, event) return fn(event) end, opts)
end

--- Announce an event to all its handlers and wait for them.
---@async
---@param event neap.events.Event
---@return integer count  of the handlers that ran
function Publisher:publish(event)
  if type(event) ~= "table" or type(event.name) ~= "string" then
    invalid("publisher:publish: takes an event, a table with a name")
  end
  if event.at == nil then event.at = os.time() end
  return self.emitter:emit(event.name, event)
end

return publisher
