--- Conditions: a table becomes a WHERE clause and its parameters.
---
--- Names reach the statement only when they are declared columns, and then
--- quoted; values only as parameters. There is no way to pass SQL text.

local neap = require "neap"
local null = neap.null
local options = require "neap.options"

local criteria = {}

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

---@class neap.repository.Op
---@field symbol string
---@field value any
local Op = {}
Op.__name = "neap.repository.Op"

-- Operators with one value on the right.
local BINARY <const> = {
  ["="] = "=", ["=="] = "=", ["<>"] = "<>", ["!="] = "<>", ["~="] = "<>",
  ["<"] = "<", ["<="] = "<=", [">"] = ">", [">="] = ">=",
  ["like"] = "LIKE", ["not like"] = "NOT LIKE",
  ["ilike"] = "ILIKE", ["not ilike"] = "NOT ILIKE",
  ["~"] = "~", ["~*"] = "~*", ["!~"] = "!~", ["!~*"] = "!~*",
  ["@>"] = "@>", ["<@"] = "<@", ["&&"] = "&&", ["?"] = "?",
  ["is distinct from"] = "IS DISTINCT FROM",
  ["is not distinct from"] = "IS NOT DISTINCT FROM",
}

-- Operators with a list on the right.
local LISTS <const> = { ["in"] = true, ["not in"] = true, between = true }

-- How the operators that mean something for NULL say it.
local WITH_NULL <const> = {
  ["="] = "IS NULL", ["<>"] = "IS NOT NULL",
  ["IS DISTINCT FROM"] = "IS NOT NULL", ["IS NOT DISTINCT FROM"] = "IS NULL",
}

--- A comparison other than equality: `{ price = op(">=", 10) }`.
---@param symbol string  =, <>, <, <=, >, >=, like, ilike, in, not in, between ...
---@param value any
---@return neap.repository.Op
function criteria.op(symbol, value)
  local name = type(symbol) == "string" and symbol:lower() or tostring(symbol)
  if not BINARY[name] and not LISTS[name] then
    invalid("repository.op: unknown operator '%s'", name)
  end
  if value == nil then
    invalid("repository.op: '%s' needs a value; NULL is repository.null", name)
  end
  return setmetatable({ symbol = name, value = value }, Op)
end

--- The parameters of a statement being built.
---@class neap.repository.Params
---@field n integer

---@param params neap.repository.Params
---@param value any
---@return string placeholder
local function bind(params, value)
  params.n = params.n + 1
  params[params.n] = value
  return "$" .. params.n
end
criteria.bind = bind

--- The elements of a list without its NULLs, and whether it had any.
local function split_nulls(label, column, list)
  local values, has_null = { n = 0 }, false
  local size = list.n or #list
  for name in next, list do
    if name ~= "n" and math.type(name) ~= "integer" then
      invalid("%s: the value of '%s' is a table with named fields; a list "
        .. "was expected", label, column.name)
    end
  end
  for i = 1, size do
    local value = list[i]
    if value == nil then
      invalid("%s: the list for '%s' has a hole at %d", label, column.name, i)
    elseif value == null then
      has_null = true
    else
      values.n = values.n + 1
      values[values.n] = value
    end
  end
  return values, has_null
end

local function in_list(label, column, list, params)
  local values, has_null = split_nulls(label, column, list)
  if values.n == 0 then return has_null and column.quoted .. " IS NULL" or "FALSE" end
  local text = ("%s = ANY(%s)"):format(column.quoted, bind(params, values))
  if not has_null then return text end
  return ("(%s OR %s IS NULL)"):format(text, column.quoted)
end

local function not_in_list(label, column, list, params)
  local values, has_null = split_nulls(label, column, list)
  local parts = {}
  if values.n > 0 then
    parts[1] = ("%s <> ALL(%s)"):format(column.quoted, bind(params, values))
  end
  if has_null then parts[#parts + 1] = column.quoted .. " IS NOT NULL" end
  return #parts > 0 and table.concat(parts, " AND ") or "TRUE"
end

local function operation(label, column, op, params)
  local symbol, value = op.symbol, op.value
  if LISTS[symbol] then
    if type(value) ~= "table" then
      invalid("%s: '%s' for '%s' needs a list", label, symbol, column.name)
    elseif symbol == "in" then
      return in_list(label, column, value, params)
    elseif symbol == "not in" then
      return not_in_list(label, column, value, params)
    end
    local low, high = value[1], value[2]
    if low == nil or high == nil or low == null or high == null then
      invalid("%s: 'between' for '%s' needs two values", label, column.name)
    end
    return ("%s BETWEEN %s AND %s"):format(column.quoted, bind(params, low),
      bind(params, high))
  end
  local sql = BINARY[symbol]
  if value == null then
    local said = WITH_NULL[sql]
    if not said then
      invalid("%s: '%s' for '%s' is never true of NULL", label, symbol,
        column.name)
    end
    return column.quoted .. " " .. said
  end
  return ("%s %s %s"):format(column.quoted, sql, bind(params, value))
end

--- One column's condition.
local function condition(label, column, value, params)
  local kind = type(value)
  if value == null then
    return column.quoted .. " IS NULL"
  elseif kind == "table" then
    if getmetatable(value) == Op then
      return operation(label, column, value, params)
    elseif column.kind == "scalar" then
      return in_list(label, column, value, params)
    end -- an array or a document is a value of its own
  elseif kind == "function" or kind == "thread" then
    invalid("%s: the value of '%s' is a %s", label, column.name, kind)
  end
  return ("%s = %s"):format(column.quoted, bind(params, value))
end

local compile

local function alternatives(label, def, list, name, params)
  if type(list) ~= "table" then
    invalid("%s: '%s' takes a list of conditions", label, name)
  end
  local parts = {}
  for i in next, list do
    if math.type(i) ~= "integer" then
      invalid("%s: '%s' takes a list of conditions: {{...}, {...}}", label,
        name)
    end
  end
  for i, where in ipairs(list) do
    local text = compile(label, def, where, params)
    if not text then
      invalid("%s: condition %d of '%s' is empty (a nil value vanishes from "
        .. "a table)", label, i, name)
    end
    parts[i] = "(" .. text .. ")"
  end
  return parts
end

local GROUPS <const> = {
  any_of = function(...)
    local parts = alternatives(...)
    if #parts == 0 then return "FALSE" end
    return "(" .. table.concat(parts, " OR ") .. ")"
  end,
  all_of = function(...)
    local parts = alternatives(...)
    if #parts == 0 then return "TRUE" end
    return table.concat(parts, " AND ")
  end,
  -- A condition that is unknown for a row does not hold for it.
  none_of = function(...)
    local parts = alternatives(...)
    if #parts == 0 then return "TRUE" end
    return "((" .. table.concat(parts, " OR ") .. ") IS NOT TRUE)"
  end,
}

local function by_text(a, b) return tostring(a) < tostring(b) end

--- The condition as SQL without the word WHERE, or nil when it is empty.
--- The parameters are appended to `params`.
---@param label string  opens the messages
---@param def neap.repository.Definition
---@param where table|nil
---@param params neap.repository.Params
---@return string|nil
function compile(label, def, where, params)
  if where == nil then return nil end
  if type(where) ~= "table" or getmetatable(where) == Op then
    invalid("%s: a condition is a table of columns, got %s", label,
      type(where))
  end
  local names = {}
  for name in next, where do names[#names + 1] = name end
  -- The same condition always gives the same text, and so one statement.
  if #names > 1 then table.sort(names, by_text) end
  local parts = {}
  for i, name in ipairs(names) do
    local column = def.by_name[name]
    if column then
      parts[i] = condition(label, column, where[name], params)
    elseif GROUPS[name] then
      parts[i] = GROUPS[name](label, def, where[name], name, params)
    elseif type(name) == "string" then
      invalid("%s: %s has no column '%s'%s", label, def.name, name,
        options.hint(name, def.by_name, "columns"))
    else
      invalid("%s: conditions are named by column; alternatives go into "
        .. "any_of = {{...}, {...}}", label)
    end
  end
  if #parts == 0 then return nil end
  return table.concat(parts, " AND ")
end
criteria.compile = compile

--- A column the user named, or a fault with the near name.
---@param label string
---@param def neap.repository.Definition
---@param name any
---@return neap.repository.Column
function criteria.column(label, def, name)
  local column = def.by_name[name]
  if column then return column end
  invalid("%s: %s has no column '%s'%s", label, def.name, tostring(name),
    options.hint(tostring(name), def.by_name, "columns"))
end

---@class neap.repository.Order
---@field column neap.repository.Column
---@field descending boolean
---@field nulls_first boolean

--- One term: "name", "name desc", "-name", "name asc nulls first".
local function order_term(label, def, text)
  if type(text) ~= "string" then
    invalid("%s: an order is a column name, perhaps with 'desc'", label)
  end
  local name, rest = text:match("^%s*(%S+)%s*(.-)%s*$")
  if not name then invalid("%s: an order is empty", label) end
  local descending = false
  if name:sub(1, 1) == "-" and not def.by_name[name] then
    name, descending = name:sub(2), true
  end
  local column = criteria.column(label, def, name)
  rest = rest:lower()
  local nulls = rest:match("nulls%s+(%a+)$")
  local direction = rest:gsub("%s*nulls%s+%a+$", "")
  if direction == "desc" then
    descending = not descending
  elseif direction ~= "" and direction ~= "asc" then
    invalid("%s: '%s' is no order; write '%s' or '%s desc'", label, text,
      name, name)
  end
  if nulls and nulls ~= "first" and nulls ~= "last" then
    invalid("%s: NULLs come first or last, not '%s'", label, nulls)
  end
  return {
    column = column,
    descending = descending,
    -- The server's own choice: NULLs are larger than any value.
    nulls_first = nulls == "first" or (nulls == nil and descending),
  }
end

--- Read an order: a term, or a list of terms.
---@param label string
---@param def neap.repository.Definition
---@param given string|string[]|nil
---@return neap.repository.Order[]
function criteria.order(label, def, given)
  if given == nil then return {} end
  if type(given) ~= "table" then given = { given } end
  local terms = {}
  for i = 1, given.n or #given do
    local text = given[i]
    local word = type(text) == "string" and text:lower() or ""
    if (word == "asc" or word == "desc") and #terms > 0
        and not def.by_name[text] then
      -- ("price", "desc"): the word belongs to the column before it.
      terms[#terms] = order_term(label, def, given[i - 1] .. " " .. word)
    else
      terms[#terms + 1] = order_term(label, def, text)
    end
  end
  return terms
end

--- ` ORDER BY ...`, or nothing.
---@param terms neap.repository.Order[]
---@return string
function criteria.order_sql(terms)
  if #terms == 0 then return "" end
  local parts = {}
  for i, term in ipairs(terms) do
    local text = term.column.quoted .. (term.descending and " DESC" or "")
    if term.nulls_first ~= term.descending then
      text = text .. (term.nulls_first and " NULLS FIRST" or " NULLS LAST")
    end
    parts[i] = text
  end
  return " ORDER BY " .. table.concat(parts, ", ")
end

return criteria
