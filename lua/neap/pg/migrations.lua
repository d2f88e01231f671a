--- Where migrations come from: a directory of numbered files, or a list.

local neap = require "neap"
local script = require "neap.pg.script"

local migrations = {}

---@class neap.pg.Migration
---@field version integer
---@field name string
---@field label string              for messages
---@field text string|nil           the SQL, for the checksum
---@field statements neap.pg.script.Statement[]|nil
---@field run fun(tx: any)|nil
---@field is_transaction boolean
---@field checksum string|nil       filled in later

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

-- The numbers are those of errno(3) on every system this runs on.
local ERRNO <const> = {
  [2] = "ENOENT", [13] = "EACCES", [20] = "ENOTDIR", [21] = "EISDIR",
  [24] = "EMFILE",
}

local function io_fault(said, number)
  neap.fault.raise {
    kind = "io",
    code = ERRNO[number] or "EIO",
    message = "migrate: " .. said,
  }
end

local function read_file(path)
  local file <close>, said, number = io.open(path, "rb")
  if not file then io_fault(said, number) end
  local text, why, code = file:read("a")
  if not text then io_fault(path .. ": " .. why, code) end
  return text
end

--- The names in a directory, by `ls`: Lua has no way of its own.
local function list_directory(path)
  local probe <close>, said, number = io.open(path, "rb")
  if not probe then io_fault(said, number) end
  local _, _, reads_as = probe:read(1)
  if reads_as ~= 21 then io_fault(path .. ": is not a directory", 20) end
  local quoted = "'" .. path:gsub("'", [['\'']]) .. "'"
  local pipe <close> = assert(io.popen("LC_ALL=C ls -1A -- " .. quoted))
  local names = {}
  for name in pipe:lines() do names[#names + 1] = name end
  return names
end

--- The marker of a file whose statements refuse a transaction.
local function wants_transaction(text)
  for line in text:gmatch("[^\n]+") do
    if not line:find("^%s*%-%-") then return true end
    if line:find("^%s*%-%-%s*neap:%s*no transaction") then return false end
  end
  return true
end

---@return neap.pg.Migration
local function new(version, name, label, sql, run, is_transaction)
  local text = sql and sql:gsub("\r\n", "\n")
  if is_transaction == nil then
    is_transaction = not text or wants_transaction(text)
  end
  return {
    version = version,
    name = name,
    label = label,
    text = text,
    statements = text and script.split(text),
    run = run,
    is_transaction = is_transaction,
  }
end

local function from_directory(path)
  local list = {}
  for _, file in ipairs(list_directory(path)) do
    if file:find("%.sql$") and not file:find("%.down%.sql$") then
      local digits = file:match("^%d+")
      local version = digits and math.tointeger(tonumber(digits))
      if not version then
        invalid("migrate: %s: the name of a migration begins with its number",
          file)
      end
      list[#list + 1] = new(version, file, file,
        read_file(path .. "/" .. file))
    end
  end
  return list
end

local KNOWN <const> = {
  version = true, name = true, sql = true, up = true, transaction = true,
}

local function from_item(i, item)
  if type(item) == "string" or type(item) == "function" then
    item = { up = item }
  elseif type(item) ~= "table" then
    invalid("migrate: item %d of the list is a %s", i, type(item))
  end
  for name in next, item do
    if not KNOWN[name] and name ~= 1 and name ~= 2 then
      invalid("migrate: item %d: unknown field '%s'", i, tostring(name))
    end
  end
  local up = item.sql or item.up or item[2]
  local version = item.version or item[2] and item[1] or i
  if not item.version and not item[2] and type(item[1]) == "string" then
    up = up or item[1]
  end
  local number = math.tointeger(tonumber(version)
    or type(version) == "string" and tonumber(version:match("^%d+")) or nil)
  if not number or number < 0 then
    invalid("migrate: item %d: a version is a number, got '%s'", i,
      tostring(version))
  end
  if type(up) ~= "string" and type(up) ~= "function" then
    invalid("migrate: item %d has neither 'sql' nor 'up'", i)
  end
  local name = item.name or tostring(version)
  local label = "migration " .. number
  if name ~= tostring(number) then label = label .. " (" .. name .. ")" end
  local is_sql = type(up) == "string"
  return new(number, name, label, is_sql and up or nil,
    not is_sql and up or nil, item.transaction)
end

--- The migrations of a source, by version.
---@param source string|table
---@return neap.pg.Migration[]
function migrations.read(source)
  local list
  if type(source) == "string" then
    list = from_directory(source)
  elseif type(source) == "table" then
    list = {}
    for i, item in ipairs(source) do list[i] = from_item(i, item) end
  else
    invalid("migrate: takes a directory or a list, got %s", type(source))
  end
  table.sort(list, function(a, b) return a.version < b.version end)
  for i = 2, #list do
    if list[i].version == list[i - 1].version then
      invalid("migrate: version %d stands twice: %s and %s", list[i].version,
        list[i - 1].name, list[i].name)
    end
  end
  return list
end

return migrations
