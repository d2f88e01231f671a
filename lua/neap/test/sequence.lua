--- Order between tasks: `seq(n)` waits until every lower number has been
--- called. Numbers begin at 1.
---
--- ```lua
--- local seq = test.sequence()
--- neap.gather(
---   function() seq(1) write() seq(3) write() end,
---   function() seq(2) read() end)
--- ```

local core = require "neap.core"

---@class neap.test.Sequence
---@field private called table<integer, boolean>
---@field private asked table<integer, boolean>  also calls that were cancelled
---@field private doors table<integer, any>  events of those who wait
---@field private passed integer  all up to this one have returned
---@field private site string
---@field private closed boolean|nil
---@operator call(integer): nil
local Sequence = {}
Sequence.__index = Sequence
Sequence.__name = "neap.test.sequence"

local sequence = {}

---@type neap.test.Sequence[] those made since `sequence.mark`
local made = {}

---@return neap.test.Sequence
function sequence.new()
  local info = debug.getinfo(2, "Sl")
  local self = setmetatable({
    called = {}, asked = {}, doors = {}, passed = 0,
    site = ("%s:%d"):format(info.short_src, info.currentline),
  }, Sequence)
  made[#made + 1] = self
  return self
end

-- A call that is cancelled may be made again.
local Undo = {
  __close = function(self, err)
    if err ~= nil then self.sequence.called[self.n] = nil end
  end,
}

---@async
function Sequence:__call(n)
  if math.type(n) ~= "integer" or n < 1 then
    error("bad argument #1 to a sequence (a whole number from 1 on " ..
      "expected, got " .. tostring(n) .. ")", 2)
  end
  if self.called[n] then
    error(("sequence: %d was called already"):format(n), 2)
  end
  self.called[n], self.asked[n] = true, true
  if self.passed < n - 1 then
    local _ <close> = setmetatable({ sequence = self, n = n }, Undo)
    self.doors[n] = core.event()
    self.doors[n]:wait()
  end
  self.passed = n
  local door = self.doors[n + 1]
  if door then door:set() end
end

--- Which numbers nobody called, below the highest that somebody did, or nil.
---@return string|nil
function Sequence:gap()
  local highest, missing, waiting = 0, {}, nil
  for n in pairs(self.asked) do highest = math.max(highest, n) end
  for n = 1, highest do
    if not self.asked[n] then
      missing[#missing + 1] = n
    elseif n > self.passed and not waiting then
      waiting = n
    end
  end
  if #missing == 0 then return nil end
  return ("sequence made at %s: %s %s never called%s"):format(self.site,
    table.concat(missing, ", "), #missing == 1 and "was" or "were",
    waiting and ("; %d waited"):format(waiting) or "")
end

function Sequence:__close(err)
  local said = self:gap()
  self.closed = true
  if said and err == nil then error(said, 0) end
end

--- Forget those made so far.
function sequence.mark() made = {} end

--- Lines about the sequences made since the mark that have gaps, and were not
--- closed: those have told.
---@return string[]
function sequence.gaps()
  local lines = {}
  for _, self in ipairs(made) do
    if not self.closed then lines[#lines + 1] = self:gap() end
  end
  made = {}
  return lines
end

return sequence
