--- One line of the order book: read it, or say what is wrong with it.

local csv = require "lib.csv"

local line = {}

---@class orders.Line
---@field number integer where it stands in the file
---@field ref integer
---@field user string
---@field sku string
---@field quantity integer
---@field at string
---@field note string?

line.COLUMNS = { "ref", "user", "sku", "quantity", "at", "note" }

local MOST <const> = 1000000

local function positive(text)
  local n = text:find("^%d+$") and math.tointeger(tonumber(text))
  return n and n > 0 and n or nil
end

-- "2024-02-31T10:00:00Z" has the form of a moment and is none: a date that
-- exists comes back unchanged.
local function moment(text)
  local y, m, d, h, min, s =
    text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)Z$")
  if not y then return false end
  local noon = os.time { year = y, month = m, day = d, hour = 12 }
  return os.date("%Y-%m-%d", noon) == ("%s-%s-%s"):format(y, m, d)
    and h < "24" and min < "60" and s < "60"
end

---@param number integer
---@param text string
---@return orders.Line? line
---@return string? why nil line: what is wrong
function line.parse(number, text)
  if not utf8.len(text) then return nil, "not UTF-8" end
  local fields, why = csv.split(text)
  if not fields then return nil, why end
  if #fields ~= #line.COLUMNS then
    return nil, ("%d fields instead of %d"):format(#fields, #line.COLUMNS)
  end
  local ref, quantity = positive(fields[1]), positive(fields[4])
  if not ref then return nil, "the reference is not a number" end
  if fields[2] == "" or fields[3] == "" then return nil, "an empty field" end
  if not quantity or quantity > MOST then
    return nil, "the quantity is not a number of pieces"
  end
  if not moment(fields[5]) then return nil, "the time is not a moment" end
  return {
    number = number, ref = ref, user = fields[2], sku = fields[3],
    quantity = quantity, at = fields[5],
    note = fields[6] ~= "" and fields[6] or nil,
  }
end

return line
