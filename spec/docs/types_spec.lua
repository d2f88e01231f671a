local shell = require "spec.support.shell"
local types = require "spec.support.types"

-- What the language server knows without us.
local KNOWN <const> = {}
for name in ([[any nil boolean true false string number integer table function
  thread userdata lightuserdata fun async self unknown]]):gmatch "%a+" do
  KNOWN[name] = true
end

describe("the reader of annotations", function()
  it("hears of what is wrong in them", function()
    local directory = shell.directory()
    local path = directory .. "/bad.d.lua"
    shell.write(path, [[
---@class bad
---@field it bad.Nowhere  a field
local bad = {}

--- Words.
---@generic T
---@param fn async fun(item: T, n: integer): bad.Missing ...
---@param opts? {timeout?: number}
---@return T[]|nil list  or nothing
function bad.one(fn, other) end
]])
    local read = types.read { path }
    shell.remove(directory)
    assert.are.equal(path .. ":2", read.used["bad.Nowhere"])
    assert.are.equal(path .. ":7", read.used["bad.Missing"])
    assert.is_nil(read.used.T)
    assert.is_nil(read.used.list)
    assert.is_true(read.declared.bad)
    assert.are.same({ "fn", "opts" }, read.functions[1].params)
    assert.are.same({ "fn", "other" }, read.functions[1].parameters)
    assert.are.equal("{timeout?: number}", read.functions[1].param_types[2])
    assert.are.equal("--- Words.", read.functions[1].prose)
  end)
end)

describe("types/neap", function()
  local paths = types.paths()
  local read = types.read(paths)

  it("is Lua", function()
    assert.is_true(#paths > 10)
    for _, path in ipairs(paths) do assert(load(shell.read(path), "=" .. path)) end
  end)

  it("has every type that it names", function()
    local missing = {}
    for name, where in pairs(read.used) do
      if not KNOWN[name] and not read.declared[name] then
        missing[#missing + 1] = where .. ": " .. name
      end
    end
    assert.are.same({}, missing)
  end)

  --- The functions of which this is not true.
  local function but_for(fits)
    assert.is_true(#read.functions > 300)
    local list = {}
    for _, f in ipairs(read.functions) do
      if not fits(f) then list[#list + 1] = f.where .. ": " .. f.name end
    end
    return list
  end

  it("says every parameter, by its name and in its order", function()
    assert.are.same({}, but_for(function(f)
      return table.concat(f.parameters, " ") == table.concat(f.params, " ")
    end))
  end)

  it("says in words what each function of the runtime does", function()
    assert.are.same({}, but_for(function(f)
      return f.prose or f.where:find "/pg" or f.where:find "/repository"
    end))
  end)

  it("has a class for every table of options", function()
    assert.are.same({}, but_for(function(f)
      for i, name in ipairs(f.params) do
        local type = f.param_types[i]
        if name == "opts" and (type == "table" or type:find "{") then return false end
      end
      return true
    end))
  end)
end)
