--- Deep comparison that says where two values differ, in one line.

local compare = {}

local WIDTH <const> = 60 -- of a value in a message
local DEPTH <const> = 3

local function is_name(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil
end

--- ".name", "[3]", '["a b"]': one step from a table to a field of it.
local function step(key)
  if is_name(key) then return "." .. key end
  if type(key) == "string" then return ("[%q]"):format(key) end
  return "[" .. tostring(key) .. "]"
end

local function by_type_and_text(a, b)
  if type(a) == type(b) and type(a) == "number" then return a < b end
  if type(a) ~= type(b) then return type(a) < type(b) end
  return tostring(a) < tostring(b)
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, by_type_and_text)
  return keys
end

local show

local function show_table(t, depth)
  if depth == 0 then return "{...}" end
  local parts, size = {}, 0
  for i, key in ipairs(sorted_keys(t)) do
    local text = show(rawget(t, key), depth - 1)
    if key ~= i then
      local name = is_name(key) and key or "[" .. show(key, 0) .. "]"
      text = name .. " = " .. text
    end
    size = size + #text + 2
    if size > WIDTH and i > 1 then
      parts[#parts + 1] = "..."
      break
    end
    parts[#parts + 1] = text
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

function show(value, depth)
  if type(value) == "string" then
    if #value > WIDTH then value = value:sub(1, WIDTH) .. "..." end
    return (("%q"):format(value):gsub("\\\n", "\\n"))
  end
  if type(value) == "table" then
    local mt = getmetatable(value)
    if type(mt) == "table" and mt.__tostring then return tostring(value) end
    return show_table(value, depth)
  end
  return tostring(value)
end

--- A value as a message shows it: strings quoted, tables shortened.
---@param value any
---@return string
function compare.show(value) return show(value, DEPTH) end

local function has_eq(value)
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__eq ~= nil
end

local function same(a, b)
  return a == b or (a ~= a and b ~= b)
end

--- Nil when equal, else path and texts. `seen` holds the pairs that are being
--- compared further up: tables may contain themselves.
local function differ(want, got, path, seen)
  if same(want, got) then return nil end
  if type(want) ~= "table" or type(got) ~= "table" or has_eq(want)
      or has_eq(got) then
    return path, compare.show(want), compare.show(got)
  end
  if seen[want] and seen[want][got] then return nil end
  seen[want] = seen[want] or {}
  seen[want][got] = true
  local keys = sorted_keys(want)
  for _, key in ipairs(sorted_keys(got)) do
    if rawget(want, key) == nil then keys[#keys + 1] = key end
  end
  for _, key in ipairs(keys) do
    local at, a, b = differ(rawget(want, key), rawget(got, key),
      path .. step(key), seen)
    if at then return at, a, b end
  end
  return nil
end

--- The first difference, or nil: "at .items[3].name: expected "a", got "b"".
---
--- Tables are equal when they hold equal values under the same keys, whatever
--- their metatables, unless one of them defines `__eq`. NaN equals NaN.
---@param want any
---@param got any
---@return string|nil
function compare.difference(want, got)
  local path, a, b = differ(want, got, "", {})
  if not path then return nil end
  local where = path == "" and "" or "at " .. path .. ": "
  return ("%sexpected %s, got %s"):format(where, a, b)
end

--- The same for argument lists (`table.pack`), whose numbers count too.
---@param want table
---@param got table
---@return string|nil
function compare.arguments(want, got)
  for i = 1, math.max(want.n, got.n) do
    if i > got.n then
      return ("argument %d: expected %s, got none"):format(i,
        compare.show(want[i]))
    end
    if i > want.n then
      return ("argument %d: expected none, got %s"):format(i,
        compare.show(got[i]))
    end
    local said = compare.difference(want[i], got[i])
    if said then return ("argument %d: %s"):format(i, said) end
  end
  return nil
end

--- "(1, "a", {id = 3})"
---@param args table packed
---@return string
function compare.list(args)
  local parts = {}
  for i = 1, args.n do parts[i] = compare.show(args[i]) end
  return "(" .. table.concat(parts, ", ") .. ")"
end

return compare
