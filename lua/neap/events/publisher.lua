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
  return self.emitter:on(name, fn, opts)
end

--- Have an error reported the way a failed background task is.
local function report(err)
  neap.background(function() error(err, 0) end)
end

--- Announce an event to all its handlers and wait for them.
---@async
---@param event neap.events.Event
---@return integer count     of the handlers that ran
---@return table|nil outcomes  with the option `errors = "collect"`
function Publisher:publish(event)
  if type(event) ~= "table" or type(event.name) ~= "string"
      or event.name == "*" then
    invalid("publisher:publish: takes an event, a table with a name")
  end
  if event.at == nil then event.at = os.time() end
  local emitter = self.emitter
  if emitter:count("*") == 0 then return emitter:emit(event.name, event) end
  if emitter:count(event.name) == 0 then return emitter:emit("*", event) end

  -- Both lists at once, and a failure in one does not stop the other.
  local both = neap.settle {
    function() return table.pack(emitter:emit(event.name, event)) end,
    function() return table.pack(emitter:emit("*", event)) end,
  }
  if both[1].ok and both[2].ok then
    local own, any = both[1].value, both[2].value
    local outcomes = own[2]
    if outcomes then table.move(any[2], 1, #any[2], #outcomes + 1, outcomes) end
    return own[1] + any[1], outcomes
  end
  if not both[1].ok and not both[2].ok then report(both[2].err) end
  error(both[1].ok and both[2].err or both[1].err, 0)
end

return publisher
