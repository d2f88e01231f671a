local shell = require "spec.support.shell"
local fixture = require "spec.test.fixture"

describe("docs/testing.md", function()
  local page = shell.read "docs/testing.md"

  it("is a spec file that passes", function()
    local blocks, tests = {}, 0
    for block in page:gmatch "\n```lua\n(.-)```" do
      blocks[#blocks + 1] = block
      for _ in block:gmatch "%f[%w]it%(\"" do tests = tests + 1 end
    end
    local out = fixture.run(table.concat(blocks, "\n"))
    assert.same({ tests, 0, 0, 0 },
      { out.successes, out.failures, out.errors, out.pending }, out.text)
    assert.is_true(tests > 7)
  end)

  it("names all that the module has", function()
    for name in pairs(require "neap.test") do
      assert.is_truthy(page:find(name, 1, true), name)
    end
    local types = shell.read "types/neap/test.d.lua"
    for name in pairs(require "neap.test") do
      assert.is_truthy(types:find("test." .. name, 1, true), name)
    end
  end)
end)
