--- Announcing events whose work is committed.
---
--- It happens in a task of the run, so that cancelling the caller does not
--- silence what has become true. A handler that fails is reported and harms
--- neither the others nor the committed work.

local neap = require "neap"

local dispatch = {}

--- Have an error reported the way a failed background task is. Others that
--- came with it, the publisher has reported.
local function report(err)
  neap.background(function() error(err, 0) end)
end

---@async
local function announce(publisher, events)
  for _, event in ipairs(events) do
    local ok, err = neap.pcall(publisher.publish, publisher, event)
    if not ok then report(err) end
  end
end

--- Publish the events one after another, each to all its handlers, and wait.
---@async
---@param publisher any
---@param events neap.repository.Event[]
function dispatch.run(publisher, events)
  if #events == 0 then return end
  neap.background(announce, publisher, events):join()
end

return dispatch
