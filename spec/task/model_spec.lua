local shell = require "spec.support.shell"

describe("docs/model.md", function()
  local stated, cited = {}, {}
  for name in shell.read("docs/model.md"):gmatch "\n%- %*%*(%u%d+)%*%*" do stated[name] = true end
  for file in shell.check("ls spec/task/*_spec.lua spec/emitter/*_spec.lua"):gmatch "[^\n]+" do
    for sentence in shell.read(file):gmatch 'it%("(.-)", ' do
      local names = sentence:match "%(([%u%d, ]+)%)"
      for name in (names or ""):gmatch "%u%d+" do
        cited[name] = cited[name] or (file .. ": " .. sentence)
      end
    end
  end

  it("has a spec for every statement", function()
    local missing = {}
    for name in pairs(stated) do
      if not cited[name] then missing[#missing + 1] = name end
    end
    table.sort(missing)
    assert.are.same({}, missing)
    assert.is_true(next(stated) ~= nil)
  end)

  it("has every statement that a spec cites", function()
    for name, where in pairs(cited) do assert.is_true(stated[name], name .. " in " .. where) end
  end)
end)
