local shell = require "spec.support.shell"

describe("docs/capi.md", function()
  local page = shell.read "docs/capi.md"
  local header = shell.read "include/neap.h"
  local stranger = shell.read "spec/capi/stranger.c"

  it("shows C that stands in the header or in the module, word for word", function()
    local blocks = 0
    for block in page:gmatch "\n```c\n(.-)```" do
      blocks = blocks + 1
      assert.is_truthy(stranger:find(block, 1, true) or header:find(block, 1, true), block)
    end
    assert.is_true(blocks > 15)
  end)

  it("names every slot of the table, and none that is not there", function()
    local slots = {}
    local reference = page:match "\n# Reference\n(.*)\n# Versions\n"
    local body = header:match "typedef struct neap_api {(.-)} neap_api;"
    for slot in body:gmatch "%(%*([%w_]+)%)%(" do slots[slot] = true end
    slots.fini = nil -- an argument of body_new
    slots.step = nil -- an argument of co_init
    for slot in pairs(slots) do
      assert.is_truthy(reference:find("`" .. slot .. "(", 1, true), slot)
    end
    for line in reference:gmatch "\n| (`[^|]*) |" do
      for slot in line:gmatch "`([%w_]+)%(" do assert.is_true(slots[slot], slot) end
    end
  end)
end)
