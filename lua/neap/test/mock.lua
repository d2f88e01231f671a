--- Functions that stand in for others: they give what they are told, keep
--- their calls, and may wait.
---
--- ```lua
--- local fetch = test.mock.fn():sequence { "a", test.mock.err("gone") }
--- fetch(7)
--- fetch:assert_called_once_with(7)
--- ```

local core = require "neap.core"
local compare = require "neap.test.compare"

local mock = {}

---@class neap.test.Mock
---@field calls table[]  arguments of each call, with `n`
---@field started integer  calls
---@field finished integer  calls that have returned or raised
---@operator call(...): ...
---@field private give fun(self, ...): ...
---@field private wait number|nil
local Mock = {}
Mock.__index = Mock
Mock.__name = "neap.test.mock"

local Err = { __name = "neap.test.mock.err" }

--- In a sequence: this call raises `e` (the same value).
---@param e any
function mock.err(e) return setmetatable({ e = e }, Err) end

local function nothing() end

--- A function that returns nothing until it is told what to do.
---@return neap.test.Mock
function mock.fn()
  return setmetatable({
    calls = {}, started = 0, finished = 0, give = nothing,
  }, Mock)
end

-- A call that is cancelled while it waits has started and not finished.
function Mock:__call(...)
  self.started = self.started + 1
  self.calls[self.started] = table.pack(...)
  local number, give = self.started, self.give
  if self.wait then core.sleep(self.wait) end
  self.finished = self.finished + 1
  return give(number)
end

--- Every call returns these values.
---@return neap.test.Mock self
function Mock:returns(...)
  local values = table.pack(...)
  self.give = function() return table.unpack(values, 1, values.n) end
  return self
end

--- Every call raises `e`: the same value.
---@return neap.test.Mock self
function Mock:raises(e)
  self.give = function() error(e, 0) end
  return self
end

--- The first call from now on returns the first value, and so on; `mock.err(e)`
--- raises e. A call too many raises. A list with holes says its length in `n`.
---@param list any[]
---@return neap.test.Mock self
function Mock:sequence(list)
  if type(list) ~= "table" or getmetatable(list) == Err then
    error("bad argument #1 to 'sequence' (table expected, got " ..
      type(list) .. ")", 2)
  end
  local n, first = list.n or #list, self.started
  local values = table.move(list, 1, n, 1, {})
  self.give = function(number)
    local i = number - first
    if i > n then
      error(("mock: the sequence of %d is exhausted (call %d)")
        :format(n, number), 2)
    end
    local value = values[i]
    if getmetatable(value) == Err then error(value.e, 0) end
    return value
  end
  return self
end

--- Every call first waits for `seconds`, on the clock of the run.
---@param seconds number
---@return neap.test.Mock self
function Mock:delays(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    error("bad argument #1 to 'delays' (seconds expected, got " ..
      tostring(seconds) .. ")", 2)
  end
  self.wait = seconds
  return self
end

local function check_last(self, want)
  local last = self.started
  if last == 0 then
    error(("expected a call with %s, but there was none")
      :format(compare.list(want)), 3)
  end
  local said = compare.arguments(want, self.calls[last])
  if said then
    error(("call %d of %d was %s, expected %s\n  %s"):format(last, last,
      compare.list(self.calls[last]), compare.list(want), said), 3)
  end
end

--- The last call had these arguments, compared deeply.
function Mock:assert_called_with(...) check_last(self, table.pack(...)) end

--- There was one call, and it had these arguments.
function Mock:assert_called_once_with(...)
  local want = table.pack(...)
  if self.started > 1 then
    local lines = {}
    for i, call in ipairs(self.calls) do
      lines[i] = ("  %d: %s"):format(i, compare.list(call))
    end
    error(("expected one call with %s, but there were %d:\n%s"):format(
      compare.list(want), self.started, table.concat(lines, "\n")), 2)
  end
  check_last(self, want)
end

return mock
