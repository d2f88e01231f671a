--- Fields replaced for a while: `local _ <close> = test.patch(os, "time", f)`.
---
--- What a test's body does not restore is restored at its end, and fails it.

local compare = require "neap.test.compare"

---@class neap.test.Patch
---@field private tbl table|nil  nil when it has been restored
---@field private key any
---@field private was any  what stood there; nil: nothing
---@field private site string
local Patch = {}
Patch.__index = Patch
Patch.__name = "neap.test.patch"

-- Patches in force on a field, the oldest first: they may be restored in any
-- order, and in the end there stands what stood there at first.
local in_force = setmetatable({}, { __mode = "k" })

local patch = {}

---@type neap.test.Patch[] those made since `patch.mark`, in force or not
local made = {}

local function stack_of(tbl, key)
  local fields = in_force[tbl]
  if not fields then
    fields = {}
    in_force[tbl] = fields
  end
  if not fields[key] then fields[key] = {} end
  return fields[key]
end

--- Put `value` under `key`; nil takes away what is there. Metatables are not
--- asked.
---@param tbl table
---@param key any
---@param value any
---@return neap.test.Patch closable, `:restore()`
function patch.new(tbl, key, value)
  if type(tbl) ~= "table" then
    error("bad argument #1 to 'patch' (table expected, got " .. type(tbl) ..
      ")", 2)
  end
  if key == nil or key ~= key then
    error("bad argument #2 to 'patch' (a key expected, got " ..
      tostring(key) .. ")", 2)
  end
  local info = debug.getinfo(2, "Sl")
  local self = setmetatable({
    tbl = tbl, key = key, was = rawget(tbl, key),
    site = ("%s:%d"):format(info.short_src, info.currentline),
  }, Patch)
  local stack = stack_of(tbl, key)
  stack[#stack + 1] = self
  made[#made + 1] = self
  rawset(tbl, key, value)
  return self
end

--- Put back what stood there. The second time it does nothing.
function Patch:restore()
  local tbl = self.tbl
  if not tbl then return end
  self.tbl = nil
  local stack = stack_of(tbl, self.key)
  for i, other in ipairs(stack) do
    if other == self then
      table.remove(stack, i)
      if stack[i] then
        stack[i].was = self.was -- a later one is in force, and puts it back
      else
        rawset(tbl, self.key, self.was)
      end
      break
    end
  end
  self.was = nil
end

Patch.__close = Patch.restore

--- Forget what was made so far.
function patch.mark() made = {} end

--- Restore what was made since the mark and is in force; one line for each.
---@return string[]
function patch.restore_all()
  local lines = {}
  for i = #made, 1, -1 do
    local self = made[i]
    if self.tbl then
      lines[#lines + 1] = ("patch of %s, made at %s, was not restored")
        :format(compare.show(self.key), self.site)
      self:restore()
    end
  end
  made = {}
  return lines
end

return patch
