-- The tables of options in the pages: each option stands there once.

local shell = require "spec.support.shell"

--- The options that stand in one table more than once.
local function twice(text)
  local seen, found = nil, {}
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    local name = line:match "^| (`[^|]+) |"
    if line:find "^| option " then
      seen = {}
    elseif not line:find "^|" then
      seen = nil
    elseif name and seen then
      if seen[name] then found[#found + 1] = name end
      seen[name] = true
    end
  end
  return found
end

describe("a table of options in a page", function()
  it("has each of them once", function()
    assert.are.same({ "`a`" }, twice "| option | |\n| `a` | 1 |\n| `b` | 2 |\n| `a` | 3 |")
    for file in shell.check("ls docs/*.md"):gmatch "[^\n]+" do
      assert.are.same({}, twice(shell.read(file)), file)
    end
  end)
end)
