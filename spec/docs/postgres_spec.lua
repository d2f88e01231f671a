--- docs/postgres.md: its Lua blocks run, and print what their comments say;
--- the page and the annotations name all that the driver has.

local neap = require "neap"
local pg = require "neap.pg"
local server = require "spec.support.pg"
local shell = require "spec.support.shell"

local PATH <const> = "docs/postgres.md"
local LIMIT <const> = 60 -- seconds

--- `print(x) --> text` becomes `shows(text, x)`, in one line of code.
local function checked(code)
  local before, rest, text = code:match "^(.-)%f[%w]print%f[%W] *(.-) *%-%-> (.*)$"
  if not before then return nil end
  local call, tail = rest:match "^(%b())(.*)$"
  if not call then call, tail = rest:match '^(%b"")(.*)$' end
  return ("%sshows(%q, %s)%s"):format(before, text,
    call:match "^%((.*)%)$" or call, tail)
end

--- The Lua blocks of the page, each behind as many line breaks as put it where
--- it stands on the page.
local function blocks(page)
  local list, at, line = {}, 1, 1
  while true do
    local first, last, block = page:find("\n```lua\n(.-)```", at)
    if not first then return list end
    local _, before = page:sub(at, first + 7):gsub("\n", "")
    local _, inside = block:gsub("\n", "")
    line = line + before
    list[#list + 1] = { line = line, text = block:gsub("[^\n]+", checked) }
    line, at = line + inside, last + 1
  end
end

--- One program of blocks, which keep the line numbers of the page.
local function program(list)
  local text, line = {}, 1
  for _, block in ipairs(list) do
    text[#text + 1] = ("\n"):rep(block.line - line) .. block.text
    local _, inside = block.text:gsub("\n", "")
    line = block.line + inside
  end
  return table.concat(text)
end

local function run(list, globals)
  local shown = 0
  local env = setmetatable(globals, { __index = _G })
  function env.shows(text, ...)
    local values = table.pack(...)
    for i = 1, values.n do values[i] = tostring(values[i]) end
    assert.are.equal(text, table.concat(values, "\t"))
    shown = shown + 1
  end
  assert(load(program(list), "=" .. PATH, "t", env))()
  return shown
end

--- How many lines of the blocks say what they print.
local function promised(list)
  local _, count = program(list):gsub("shows%(", "")
  return count
end

describe(PATH .. " #pg", function()
  local page = shell.read(PATH)
  local list = blocks(page)

  it("begins with a program of its own", function()
    assert.are.equal(1, run({ list[1] }, {}))
  end)

  it("shows a program that runs, and prints what it says", function()
    local rest = table.move(list, 2, #list, 1, {})
    assert.is_true(#rest > 12)
    assert.is_nil(program(rest):find "%-%->")
    neap.run(function()
      local own <close> = pg.ephemeral()
      neap.timeout(LIMIT, function()
        assert.are.equal(promised(rest), run(rest, { server = own }))
      end)
    end)
  end)
end)

describe("docs/postgres.md and types/neap/pg.d.lua #pg", function()
  local page = shell.read(PATH)
  local types = shell.read "types/neap/pg.d.lua"

  it("name every predicate", function()
    for name in pairs(require "neap.pg.sqlstate") do
      assert.is_truthy(page:find(("`%s`"):format(name), 1, true), name)
      assert.is_truthy(types:find(("function pg.%s("):format(name), 1, true),
        name)
    end
  end)

  it("name every method", function()
    local core = require "neap.pg.core"
    for _, class in ipairs { core.db, core.conn, core.tx } do
      for name in pairs(class) do
        if name:sub(1, 1) ~= "_" then
          assert.is_truthy(page:find("[:.]" .. name .. "%f[^%w_]"), name)
          assert.is_truthy(types:find("function %a+:" .. name .. "%("), name)
        end
      end
    end
  end)

  it("name every counter", server.with(function(db)
    for name, value in pairs(db:stats()) do
      assert.is_truthy(page:find(("`%s`"):format(name), 1, true), name)
      assert.is_truthy(types:find("---@field " .. name
        .. (math.type(value) and " integer" or " "), 1, true), name)
    end
  end))
end)
