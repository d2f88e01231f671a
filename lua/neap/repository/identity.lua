--- Keys: what makes two rows the same entity.
---
--- A key becomes one string, so that it can index a table. Spellings the
--- server treats alike (an integer and its digits, the case of a uuid) give
--- the same string; any other spelling costs a query and no more.

local neap = require "neap"
local null = neap.null

local identity = {}

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

local UUID <const> = "^" .. ("%x"):rep(8) .. "%-" .. (("%x"):rep(4)
  .. "%-"):rep(3) .. ("%x"):rep(12) .. "$"

--- The string of a key of one column.
---@param value any
---@return string
local function of_value(value)
  if type(value) == "string" then
    if #value == 36 and value:find(UUID) then return value:lower() end
    return value
  elseif math.type(value) == "float" and math.tointeger(value) then
    return tostring(math.tointeger(value))
  end
  return tostring(value)
end
identity.of_value = of_value

--- The string of a key's values.
---@param values any[]
---@return string
function identity.of_values(values)
  if #values == 1 then return of_value(values[1]) end
  local parts = {}
  for i, value in ipairs(values) do
    local text = of_value(value)
    parts[i] = ("%d:%s"):format(#text, text)
  end
  return table.concat(parts)
end

--- The string of an entity's key, or nil while a part of it is missing.
---@param def neap.repository.Definition
---@param object table
---@return string|nil
function identity.of(def, object)
  local key = def.key
  if #key == 1 then
    local value = object[key[1].name]
    return value ~= nil and value ~= null and of_value(value) or nil
  end
  local values = {}
  for i, column in ipairs(key) do
    local value = object[column.name]
    if value == nil or value == null then return nil end
    values[i] = value
  end
  return identity.of_values(values)
end

--- The values of a key given by the user, as an array; raises if it does not
--- fit the entity.
---@param def neap.repository.Definition
---@param key any
---@param name string  of the method
---@return any[]
function identity.values(def, key, name)
  local wanted = #def.key
  local values = key
  if wanted == 1 and (type(key) ~= "table" or getmetatable(key) ~= nil) then
    values = { key }
  elseif type(key) ~= "table" then
    invalid("%s:%s: the key has %d columns and is given as an array, got %s",
      def.name, name, wanted, type(key))
  end
  for i, column in ipairs(def.key) do
    if values[i] == nil or values[i] == null then
      invalid("%s:%s: the key is missing '%s'", def.name, name, column.name)
    end
  end
  if #values ~= wanted then
    invalid("%s:%s: the key has %d column%s, got %d values", def.name, name,
      wanted, wanted == 1 and "" or "s", #values)
  end
  return values
end

return identity
