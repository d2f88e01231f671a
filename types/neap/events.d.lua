---@meta neap.events

--- Domain events. The page is docs/events.md.
---@class neap.events
local events = {}

---@class neap.events.Event
---@field name string
---@field payload any
---@field entity neap.repository.Entity|nil
---@field at number  seconds since the epoch

---@class neap.events.Options
---@field errors? "report"|"raise"|"collect"  "report" if absent
---@field max_listeners? integer

--- Brings events to those who have subscribed.
---@param opts? neap.events.Options
---@return neap.events.Publisher
function events.publisher(opts) end

---@class neap.events.Publisher
local Publisher = {}

--- Call `fn(event)` for the events of a name, "*" for all.
---@param name string
---@param fn fun(event: neap.events.Event)
---@param opts? neap.ListenerOptions
---@return neap.Listener
function Publisher:subscribe(name, fn, opts) end

--- Announce an event to all its handlers and wait for them.
---@async
---@param event neap.events.Event
---@return integer count
---@return table|nil outcomes  with `errors = "collect"`
function Publisher:publish(event) end

return events
