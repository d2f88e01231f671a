local shell = require "spec.support.shell"

--- A list of names in parentheses, "(T1, S4)", or nil.
local function names(text) return text:match "^%((%u%d+[%u%d, ]*)%)$" end

describe("docs/model.md", function()
  local stated, twice, cited, linked = {}, {}, {}, {}
  for name in shell.read("docs/model.md"):gmatch "\n%- %*%*(%u%d+)%*%*" do
    if stated[name] then twice[#twice + 1] = name end
    stated[name] = true
  end
  for file in shell.check("find spec -name '*_spec.lua'"):gmatch "[^\n]+" do
    for sentence in shell.read(file):gmatch '%f[%w]it%("(.-)", ' do
      for list in sentence:gmatch "%b()" do
        for name in (names(list) or ""):gmatch "%u%d+" do
          cited[name] = cited[name] or (file .. ": " .. sentence)
        end
      end
    end
  end
  for file in shell.check("ls docs/*.md"):gmatch "[^\n]+" do
    for list in shell.read(file):gsub("```.-```", ""):gmatch "%b()" do
      for name in (names(list) or ""):gmatch "%u%d+" do linked[name] = linked[name] or file end
    end
  end

  --- The names on a list that are not on the other, with where they stand.
  local function lost(list, there)
    local missing = {}
    for name, where in pairs(list) do
      if not there[name] then missing[#missing + 1] = ("%s (%s)"):format(name, tostring(where)) end
    end
    table.sort(missing)
    return missing
  end

  it("states many things, each once", function()
    local n = 0
    for _ in pairs(stated) do n = n + 1 end
    assert.is_true(n > 100)
    assert.are.same({}, twice)
  end)

  it("has a spec for every statement", function()
    assert.are.same({}, lost(stated, cited))
  end)

  it("has every statement that a spec cites", function()
    assert.are.same({}, lost(cited, stated))
  end)

  it("has every statement that a page cites", function()
    assert.is_true(next(linked) ~= nil)
    assert.are.same({}, lost(linked, stated))
  end)

  it("counts its statements without gaps", function()
    local most = {}
    for name in pairs(stated) do
      local letter, n = name:match "^(%u)(%d+)$"
      most[letter] = math.max(most[letter] or 0, tonumber(n))
    end
    for letter, n in pairs(most) do
      for i = 1, n do assert.is_true(stated[letter .. i], letter .. i) end
    end
  end)
end)
