--- Options: one table, last; keys that nobody declared raise.
---
--- ```lua
--- local SPEC <const> = { max = "integer", timeout = { "number", "boolean" } }
---
--- opts = options.check("pg.connect", opts, SPEC)
--- -- pg.connect: unknown option 'time_out'; did you mean 'timeout'?
--- ```

local options = {}

-- What stands in "must be ..." for each type name.
local PHRASE <const> = {
  any = "anything",
  boolean = "a boolean",
  callable = "callable",
  ["function"] = "a function",
  integer = "an integer",
  number = "a number",
  string = "a string",
  table = "a table",
  userdata = "a userdata",
}

--- True for a function and for whatever else can be called.
---@param value any
---@return boolean
function options.callable(value)
  if type(value) == "function" then return true end
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__call ~= nil
end

---@param value any
---@param name string
local function is_a(value, name)
  if name == "any" then return true end
  if name == "integer" then
    return type(value) == "number" and math.tointeger(value) ~= nil
  end
  if name == "number" then return type(value) == "number" and value == value end
  if name == "callable" then return options.callable(value) end
  if not PHRASE[name] then error("options: no type is called " .. name, 0) end
  return type(value) == name
end

--- The value as a message shows it: its type, and for numbers the number.
--- Strings are not shown, for they may be secrets.
local function describe(value)
  local kind = type(value)
  if kind == "number" or kind == "nil" or kind == "boolean" then
    return tostring(value)
  end
  return PHRASE[kind] or "a " .. kind
end

---@param names string[]
local function phrase(names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = PHRASE[name] end
  return table.concat(parts, " or ")
end

--- Edits that turn `a` into `b`, a swap of neighbours counting as one.
---@param a string
---@param b string
---@return integer
local function distance(a, b)
  local before, last, row = {}, {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(last[j] + 1, row[j - 1] + 1,
        last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1)
          and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
    end
    before, last, row = last, row, before
  end
  return last[#b]
end

local function sorted_keys(spec)
  local names = {}
  for name in pairs(spec) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return names
end

--- The name in `spec` that `name` was probably meant to be, or nil.
---@param name string
---@param spec table<string, any>
---@return string|nil
function options.nearest(name, spec)
  local best, best_distance
  for _, candidate in ipairs(sorted_keys(spec)) do
    local edits = distance(name:lower(), candidate:lower())
    if not best or edits < best_distance then
      best, best_distance = candidate, edits
    end
  end
  local limit = math.max(1, math.max(#name, #(best or "")) // 3)
  -- All letters replaced is no resemblance, however short the name.
  if best and best_distance <= limit and best_distance < #name then
    return best
  end
end

--- "; did you mean 'x'?" or, where nothing is near, the names there are.
---@param name string
---@param spec table<string, any>
---@param what? string  plural of the thing named, "options" by default
---@return string
function options.hint(name, spec, what)
  local near = options.nearest(name, spec)
  if near then return ("; did you mean '%s'?"):format(near) end
  local names = sorted_keys(spec)
  what = what or "options"
  if #names == 0 then return ("; there are no %s here"):format(what) end
  return ("; the %s are %s"):format(what, table.concat(names, ", "))
end

local function invalid(message)
  -- Required here, for the core itself checks options while it loads.
  require("neap").fault.raise { kind = "invalid", message = message }
end

--- A validator for options whose value is one of a few strings.
---@param list string[]
---@return fun(value: any): string|nil
function options.one_of(list)
  local known, quoted = {}, {}
  for i, name in ipairs(list) do
    known[name] = true
    quoted[i] = ("'%s'"):format(name)
  end
  local text = table.concat(quoted, ", ")
  return function(value)
    if type(value) == "string" and known[value] then return nil end
    if type(value) ~= "string" then
      return ("must be one of %s, got %s"):format(text, describe(value))
    end
    return ("must be one of %s, got '%s'"):format(text, value)
  end
end

--- A validator for numbers with a lower bound (and perhaps an upper one).
---@param name "integer"|"number"
---@param least number
---@param most? number
---@return fun(value: any): string|nil
function options.range(name, least, most)
  local text = "must be " .. PHRASE[name] .. (most
    and (" from %s to %s"):format(least, most)
    or (" of at least %s"):format(least))
  return function(value)
    if is_a(value, name) and value >= least and value <= (most or value) then
      return nil
    end
    return ("%s, got %s"):format(text, describe(value))
  end
end

---@alias neap.options.Want string|string[]|fun(value: any): string|nil

---@param value any
---@param want neap.options.Want
---@return string|nil complaint
local function complaint(value, want)
  if type(want) == "string" then
    if is_a(value, want) then return nil end
    want = { want }
  elseif type(want) == "function" then
    return want(value)
  end
  for _, name in ipairs(want) do
    if is_a(value, name) then return nil end
  end
  return ("must be %s, got %s"):format(phrase(want), describe(value))
end

--- The options, checked: every key is in `spec` and every value fits.
---
--- `spec` maps a name to a type name, a list of type names, or a function of
--- the value that returns nil or a complaint ("must be positive, got -1").
--- Raises kind `invalid`; `where` opens the message.
---@param where string
---@param opts table|nil
---@param spec table<string, neap.options.Want>
---@return table
function options.check(where, opts, spec)
  if opts == nil then return {} end
  if type(opts) ~= "table" then
    invalid(("%s: options must be a table, got %s")
      :format(where, describe(opts)))
  end
  local unknown, wrong
  for name, value in next, opts do
    local want = spec[name]
    if want == nil then
      if not unknown or tostring(name) < tostring(unknown) then
        unknown = name
      end
    else
      local said = complaint(value, want)
      -- The first in the alphabet, so that the message is always the same.
      if said and (not wrong or name < wrong.name) then
        wrong = { name = name, said = said }
      end
    end
  end
  if unknown ~= nil then
    local shown = tostring(unknown)
    invalid(("%s: unknown option '%s'%s")
      :format(where, shown, options.hint(shown, spec)))
  end
  if wrong then
    invalid(("%s: option '%s' %s"):format(where, wrong.name, wrong.said))
  end
  return opts
end

return options
