local server = require "spec.support.pg"
local shell = require "spec.support.shell"

--- The Lua blocks of a page, one program, run with `db`.
local function program(path)
  local page, blocks, line = shell.read(path), {}, 1
  local at = 1
  while true do
    local first, last, block = page:find("\n```lua\n(.-)```", at)
    if not first then break end
    -- Keep the line numbers of the page.
    local _, breaks = page:sub(at, first + 7):gsub("\n", "")
    line = line + breaks
    blocks[#blocks + 1] = ("\n"):rep(line - select(2, table.concat(blocks)
      :gsub("\n", "")) - 1) .. block
    local _, inside = block:gsub("\n", "")
    line, at = line + inside, last + 1
  end
  return table.concat(blocks), #blocks
end

for _, path in ipairs { "docs/repository.md", "docs/events.md" } do
  describe(path .. " #pg", function()
    it("shows a program that runs", server.with({ database = "docs" },
      function(db)
        db:exec "drop schema public cascade"
        db:exec "create schema public"
        local text, count = program(path)
        assert.is_true(count > 1)
        local printed = {}
        local env = setmetatable({
          db = db,
          print = function(...) printed[#printed + 1] = { ... } end,
        }, { __index = _G })
        assert(load(text, "=" .. path, "t", env))()
        assert.is_true(#printed > 0)
      end))
  end)
end
