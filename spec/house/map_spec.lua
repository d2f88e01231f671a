local shell = require "spec.support.shell"

describe("the map of the rooms", function()
  local directory

  before_each(function() directory = shell.directory() end)
  after_each(function() shell.remove(directory) end)

  it("finds that every file says what it is for", function()
    local status, output = shell.run(shell.lua .. " tools/map.lua")
    assert.are.equal(0, status, output)
  end)

  it("takes the first sentence of the header", function()
    shell.write(directory .. "/a.c", "/*\n** a.c -- keeps order. Not more.\n*/\n")
    shell.write(directory .. "/b.lua", "--- Transactions: a guard that rolls back\n--- unless committed. So.\n")
    local output = shell.check(shell.lua .. " tools/map.lua " .. directory)
    assert.is_truthy(output:find("a.c +keeps order\n"), output)
    assert.is_truthy(output:find("b.lua +Transactions: a guard that rolls back unless committed\n"), output)
  end)

  it("fails for a file that is silent about itself", function()
    shell.write(directory .. "/a.c", "int x;\n")
    local status, output = shell.run(shell.lua .. " tools/map.lua " .. directory)
    assert.are.equal(1, status)
    assert.is_truthy(output:find("does not say", 1, true), output)
  end)
end)
