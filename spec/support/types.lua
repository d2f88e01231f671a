--- The annotations in types/neap, read: classes, aliases and functions, each
--- with what its comment says.

local shell = require "spec.support.shell"

local types = {}

--- The names in a type: "neap.Task", "integer", "fun", "T".
---@param text string
---@return string[]
local function names(text)
  local list = {}
  text = text:gsub('"[^"]*"', " ")
  -- What stands before a colon is a parameter or a field.
  text = text:gsub("[%w_%.]+%??%s*:", " ")
  for name in text:gmatch "%a[%w_%.]*" do list[#list + 1] = name end
  return list
end

--- The type at the beginning of a text that goes on with prose.
local function type_of(text)
  local depth, at = 0, 1
  while at <= #text do
    local c = text:sub(at, at)
    if c:find "[%(%[{<]" then depth = depth + 1 end
    if c:find "[%)%]}>]" then depth = depth - 1 end
    if c == '"' then at = text:find('"', at + 1, true) or #text end
    if c == " " and depth == 0 then
      local before, after = text:sub(1, at - 1), text:sub(at + 1)
      if before ~= "async" and not before:find "[:,|]$" and not after:find "^|" then
        return before
      end
    end
    at = at + 1
  end
  return text
end

local READ <const> = {}

function READ.class(into, rest)
  local name, parents = rest:match "^([%w_%.]+)%s*:?%s*([%w_%., ]*)"
  into.declared[name] = true
  for parent in parents:gmatch "^[%w_%.]+" do into:uses(parent) end
end

function READ.alias(into, rest)
  local name, what = rest:match "^(%S+)%s*(.*)$"
  into.declared[name] = true
  into:uses(type_of(what))
end

function READ.field(into, rest)
  local what = rest:match "^%b[]%s+(.*)$"
    or rest:match "^private%s+%S+%s+(.*)$" or rest:match "^%S+%s+(.*)$"
  into:uses(type_of(what))
end

function READ.generic(into, rest)
  into.generics = {}
  for name in rest:gmatch "(%a[%w_]*)[^,]*" do into.generics[name] = true end
end

function READ.param(into, rest)
  local name, what = rest:match "^(%S+)%s+(.*)$"
  assert(name, rest)
  into.params[#into.params + 1] = (name:gsub("%?$", ""))
  into.param_types[#into.params] = type_of(what)
  into:uses(type_of(what))
end

READ["return"] = function(into, rest) into:uses(type_of(rest)) end
READ["type"] = READ["return"]
READ.overload = READ["return"]
READ.operator = function(into, rest)
  into:uses(rest:match "%((.-)%)" or "any")
  into:uses(rest:match ":%s*(.*)$" or "any")
end

--- Read files; returns what they declare, use, and the functions in order.
---@param paths string[]
---@return {declared: table, used: table, functions: table[]}
function types.read(paths)
  local into = { declared = {}, used = {}, functions = {} }
  for _, path in ipairs(paths) do
    local line = 0
    local function fresh()
      into.params, into.param_types, into.generics, into.prose = {}, {}, {}, nil
    end
    function into:uses(text)
      for _, name in ipairs(names(text)) do
        if not self.generics[name] then
          self.used[name] = self.used[name] or path .. ":" .. line
        end
      end
    end
    fresh()
    for text in (shell.read(path) .. "\n"):gmatch "(.-)\n" do
      line = line + 1
      local tag, rest = text:match "^%-%-%-@(%a+)%s*(.*)$"
      local name, list = text:match "^function ([%w_%.:]+)(%b())"
      if tag and READ[tag] then
        READ[tag](into, rest)
      elseif text:find "^%-%-%-|" then
        assert(text:find '^%-%-%-| "[^"]*"', text)
      elseif not tag and text:find "^%-%-%- " then
        into.prose = into.prose or text
      elseif name then
        local parameters = {}
        for p in list:gmatch "[%w_%.]+" do parameters[#parameters + 1] = p end
        into.functions[#into.functions + 1] = {
          name = name, where = path .. ":" .. line, prose = into.prose,
          params = into.params, param_types = into.param_types,
          parameters = parameters,
        }
      end
      if not text:find "^%-%-%-" then fresh() end
    end
  end
  return into
end

--- The files of types/neap.
function types.paths()
  local list = {}
  for path in shell.check("ls types/neap/*.d.lua"):gmatch "[^\n]+" do
    list[#list + 1] = path
  end
  return list
end

return types
