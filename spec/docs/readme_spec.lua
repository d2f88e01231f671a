local pg = require "spec.support.pg"
local shell = require "spec.support.shell"

describe("README.md #pg", function()
  local text = shell.read "README.md"

  it("begins with a program that prints what it says", pg.with(function()
    local program, said = text:match "\n```lua\n(.-)```\n\n```\n(.-)```"
    local lines = {}
    local env = setmetatable({
      print = function(...)
        local words = table.pack(...)
        for i = 1, words.n do words[i] = tostring(words[i]) end
        lines[#lines + 1] = table.concat(words, "\t") .. "\n"
      end,
      require = function(name)
        local module = require(name)
        if name ~= "neap" then return module end
        -- It runs inside the task of this spec.
        return setmetatable({ run = function(main) main() end }, { __index = module })
      end,
    }, { __index = _G })
    assert(load(program, "=README.md", "t", env))()
    assert.are.equal(said, table.concat(lines))
  end))
end)
