local shell = require "spec.support.shell"

describe("docs/capi.md", function()
  local page = shell.read "docs/capi.md"
  local header = shell.read "include/neap.h"
  local modules = shell.read "spec/capi/stranger.c" .. shell.read "spec/capi/parrot.c"

  it("shows C that stands in the header or in the module, word for word", function()
    local blocks = 0
    for block in page:gmatch "\n```c\n(.-)```" do
      blocks = blocks + 1
      assert.is_truthy(modules:find(block, 1, true) or header:find(block, 1, true), block)
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

describe("the pages", function()
  local pages = { "README.md", "CONTRIBUTING.md", "examples/README.md" }
  for path in shell.check("ls docs/*.md"):gmatch "[^\n]+" do pages[#pages + 1] = path end

  --- The anchors of a page, as they are made of its headings.
  local function anchors(path)
    local list = {}
    for heading in ("\n" .. shell.read(path)):gmatch "\n#+ ([^\n]+)" do
      list[heading:lower():gsub("[^%w%-_ ]", ""):gsub(" ", "-")] = true
    end
    return list
  end

  it("link to what is there", function()
    local links, lost = 0, {}
    for _, path in ipairs(pages) do
      local text = shell.read(path):gsub("```.-```", "")
      for target in text:gmatch "%]%(([^)]+)%)" do
        local file, anchor = target:match "^([^#]*)#?(.*)$"
        links = links + 1
        if not target:find "^https?:" then
          local there = file == "" and path
            or ((path:match "^(.*/)" or "") .. file):gsub("[^/]+/%.%./", "")
          if shell.run("test -e " .. shell.quote(there)) ~= 0
            or anchor ~= "" and not anchors(there)[anchor] then
            lost[#lost + 1] = path .. ": " .. target
          end
        end
      end
    end
    assert.are.same({}, lost)
    assert.is_true(links > 50)
  end)

  it("are all in the index", function()
    local index = shell.read "docs/index.md"
    for _, path in ipairs(pages) do
      local name = path:match "^docs/(.*)$"
      if name and name ~= "index.md" then
        assert.is_truthy(index:find("](" .. name .. ")", 1, true), name)
      end
    end
  end)
end)
