--- neap.signals: the signals that reach the process, as an iterator.
---
--- ```lua
--- for name in neap.signals("HUP", "USR2") do
---   if name == "HUP" then reload() else rotate() end
--- end
--- ```

local core = require "neap.core"
local iterator = require "neap.iterator"

---@class neap.Signals: neap.Iterator
---@field private catcher userdata
---@field private what string
local Signals = { __name = "neap.signals" }
Signals.__index = Signals

--- The name of the next signal, without "SIG"; nil once it is closed.
---@async
---@return string|nil
function Signals:next()
  iterator.use(self)
  local name = self.catcher:next()
  if name == nil then return iterator.ended(self) end
  return name
end

--- Leave the signals to what handled them before.
---@param gone? boolean by the end of the scope
function Signals:close(gone)
  if gone and not self.closed then self.gone = true end
  self.closed = true
  self.catcher:close()
end

Signals.__call = Signals.next
Signals.__close = iterator.on_close

--- Catch signals from now on, and iterate over their names in the order in which
--- they come. Nothing is lost between two steps.
---@param ... string names, as "HUP" or "SIGHUP"
---@return neap.Signals
local function signals(...)
  return iterator.give(setmetatable({
    catcher = core.catch(...), what = "neap.signals", closed = false,
  }, Signals))
end

return signals
