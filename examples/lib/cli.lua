--- Command-line options for the examples: `--name VALUE`, `--name=VALUE` and
--- flags. Whatever is wrong ends the script with one line on stderr, status 2.

local cli = {}

-- Where no neap is installed and the shell has not been told of the tree
-- (make env), take what was built there.
local tree = (arg[0]:match("^(.*/)") or "./") .. "../"
package.path = ("%s;%slua/?.lua;%slua/?/init.lua")
  :format(package.path, tree, tree)
package.cpath = ("%s;%sbuild/?.so"):format(package.cpath, tree)

---@class cli.Option
---@field name string without the dashes
---@field kind "string"|"integer"|"flag"
---@field default any
---@field min integer?
---@field max integer?
---@field value string? what the help calls the value
---@field help string

local function script()
  return (arg[0]:gsub("^.*/", ""))
end

--- End the script: one line on stderr. Status 1 unless another is given.
function cli.fail(message, status)
  io.stderr:write(script(), ": ", message, "\n")
  os.exit(status or 1, true)
end

local function usage(summary, options)
  local lines = { "usage: lua5.4 " .. arg[0] .. " [options]", "", summary, "" }
  for _, o in ipairs(options) do
    local left = "--" .. o.name
    if o.kind ~= "flag" then left = left .. " " .. (o.value or "N") end
    local default = ""
    if o.kind ~= "flag" and o.default ~= nil then
      default = (" (default %s)"):format(o.default)
    end
    lines[#lines + 1] = ("  %-18s %s%s"):format(left, o.help, default)
  end
  lines[#lines + 1] = ("  %-18s %s"):format("--help", "this text")
  return table.concat(lines, "\n") .. "\n"
end

-- How many single-letter changes lead from one word to the other.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local least = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], least
    end
  end
  return row[#b]
end

local function near(name, options)
  local best, least = nil, 3
  for _, o in ipairs(options) do
    local d = distance(name, o.name)
    if d < least then best, least = o.name, d end
  end
  return best and ("; did you mean --%s?"):format(best) or ""
end

local function integer(o, text)
  local n = text:match("^[+-]?%d+$") and math.tointeger(tonumber(text))
  local low, high = o.min or 0, o.max or math.maxinteger
  if n and n >= low and n <= high then return n end
  local range = o.max and ("from %d to %d"):format(low, high)
    or ("of at least %d"):format(low)
  cli.fail(("--%s wants a whole number %s, got '%s'")
    :format(o.name, range, text), 2)
end

--- Read the script's arguments. Handles `--help` itself.
---@param summary string
---@param options cli.Option[]
---@return table<string, any> values by name, with `_` for `-` in names
function cli.parse(summary, options)
  local values, by_name = {}, {}
  for _, o in ipairs(options) do
    by_name[o.name] = o
    values[o.name:gsub("-", "_")] = o.default
  end
  local i = 1
  while i <= #arg do
    local word = arg[i]
    local name, value = word:match("^%-%-([^=]+)=?(.*)$")
    local glued = name and word:find("=", 1, true) ~= nil
    if word == "--help" or word == "-h" then
      io.write(usage(summary, options))
      os.exit(0, true)
    end
    if not name then
      cli.fail(("unexpected argument '%s'; --help shows the options")
        :format(word), 2)
    end
    local o = by_name[name]
    if not o then
      cli.fail(("unknown option '--%s'%s"):format(name, near(name, options)), 2)
    elseif o.kind == "flag" then
      if glued then cli.fail(("--%s takes no value"):format(name), 2) end
      value = true
    else
      if not glued then
        i = i + 1
        value = arg[i]
      end
      if value == nil or value == "" then
        cli.fail(("--%s wants a value"):format(name), 2)
      end
      if o.kind == "integer" then value = integer(o, value) end
    end
    values[name:gsub("-", "_")] = value
    i = i + 1
  end
  return values
end

--- Is standard output a terminal? Lua cannot ask; the shell can.
function cli.on_terminal()
  return os.execute("test -t 1") == true
end

return cli
