--- Cursors: the place of a row in an order, as an opaque string.
---
--- A cursor holds the row's values of the ordering columns and the names of
--- these columns, so that it cannot be used with another order. It comes back
--- from outside: what it says is only ever used as parameters.

local neap = require "neap"

local cursor = {}

local ALPHABET <const> =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local digit_of <const> = {}
for i = 1, #ALPHABET do digit_of[ALPHABET:byte(i)] = i - 1 end

--- Base 64 in the alphabet of addresses, without padding.
---@param bytes string
---@return string
local function encode(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local word = a << 16 | (b or 0) << 8 | (c or 0)
    for k = 0, c and 3 or b and 2 or 1 do
      local at = (word >> (18 - 6 * k) & 63) + 1
      out[#out + 1] = ALPHABET:sub(at, at)
    end
  end
  return table.concat(out)
end

---@param text string
---@return string|nil
local function decode(text)
  local out = {}
  for i = 1, #text, 4 do
    local group = { text:byte(i, i + 3) }
    if #group == 1 then return nil end
    local word = 0
    for k = 1, 4 do
      local digit = group[k] and digit_of[group[k]] or 0
      if group[k] and not digit_of[group[k]] then return nil end
      word = word << 6 | digit
    end
    out[#out + 1] = string.pack(">I3", word):sub(1, #group - 1)
  end
  return table.concat(out)
end

--- What an order is called inside a cursor.
local function fingerprint(terms)
  local parts = {}
  for i, term in ipairs(terms) do
    parts[i] = term.column.name .. (term.descending and "-" or "+")
      .. (term.nulls_first and "f" or "l")
  end
  return table.concat(parts, ",")
end

-- A tag tells how the text of a value is read; other types than these travel
-- as text, which the server takes for any of them.
local function pack(value)
  if value == nil then return "n" end
  if type(value) == "boolean" then return value and "t" or "f" end
  if math.type(value) == "integer" then return "i" .. value end
  if math.type(value) == "float" then return "d" .. ("%.17g"):format(value) end
  return "s" .. tostring(value)
end

local READ <const> = {
  n = function() return true, nil end,
  t = function() return true, true end,
  f = function() return true, false end,
  i = function(text)
    local value = math.tointeger(tonumber(text))
    return value ~= nil, value
  end,
  d = function(text)
    local value = tonumber(text) -- "inf" and "nan" go as text
    return true, value and value + 0.0 or text
  end,
  s = function(text) return true, text end,
}

--- The cursor of a row.
---@param terms neap.repository.Order[]
---@param row table
---@return string
function cursor.write(terms, row)
  local parts = { string.pack(">s2", fingerprint(terms)) }
  for i, term in ipairs(terms) do
    parts[i + 1] = string.pack(">s4", pack(row[term.column.name]))
  end
  return encode(table.concat(parts))
end

local function unpack_values(terms, bytes)
  local mark, at = string.unpack(">s2", bytes)
  if mark ~= fingerprint(terms) then return false end
  local values = {}
  for i = 1, #terms do
    local text
    text, at = string.unpack(">s4", bytes, at)
    local read = READ[text:sub(1, 1)]
    local is_right, value = false, nil
    if read then is_right, value = read(text:sub(2)) end
    if not is_right then return false end
    values[i] = value
  end
  return at == #bytes + 1 and values or false
end

--- The values in a cursor, from 1 to the number of terms; nil for NULL.
---@param label string
---@param terms neap.repository.Order[]
---@param token string
---@return table
function cursor.read(label, terms, token)
  local bytes = decode(token)
  -- string.unpack raises when the text ends early: it is not one of ours.
  local is_whole, values = false, nil
  if bytes then is_whole, values = pcall(unpack_values, terms, bytes) end
  if is_whole and values then return values end
  neap.fault.raise {
    kind = "invalid",
    message = label .. ": the cursor is damaged, or of another order",
  }
end

return cursor
