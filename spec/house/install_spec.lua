local shell = require "spec.support.shell"

describe("make install", function()
  local root

  setup(function() root = shell.directory() end)
  teardown(function() shell.remove(root) end)

  it("puts modules, Lua files and the header below PREFIX and DESTDIR", function()
    shell.check(("make -s install B=%s DESTDIR=%s PREFIX=/opt/n"):format(shell.build, root))
    shell.check("test -f " .. root .. "/opt/n/lib/lua/5.4/neap/core.so")
    shell.check("test -f " .. root .. "/opt/n/lib/lua/5.4/neap/pg/core.so")
    shell.check("cmp include/neap.h " .. root .. "/opt/n/include/neap.h")
    local sources = shell.check "cd lua && find neap -name '*.lua' | sort"
    local installed = shell.check("cd " .. root .. "/opt/n/share/lua/5.4 && find neap -name '*.lua' | sort")
    assert.are.equal(sources, installed)
  end)
end)

describe("make help", function()
  it("names every target of the house", function()
    local help = shell.check "make -s help"
    for _, target in ipairs { "all", "env", "deps", "test", "demo", "examples", "bench",
      "lint", "check", "asan", "valgrind", "install", "clean", "help" } do
      assert.is_truthy(help:find("make " .. target .. " ", 1, true), target)
    end
  end)
end)

describe("make env", function()
  it("prints what a shell needs", function()
    local path, cpath = shell.check("make -s env B=" .. shell.build)
      :match "^export LUA_PATH='([^']*)' LUA_CPATH='([^']*)'\n$"
    assert.is_truthy(path)
    local file = package.searchpath("neap.options", path)
    assert.is_truthy(file and file:find("/lua/neap/options.lua", 1, true))
    assert.is_truthy(package.searchpath("neap.core", cpath))
  end)
end)

describe("the suite", function()
  it("tests the build that it was started for", function()
    local file = package.searchpath("neap.core", package.cpath)
    assert.is_truthy(file and file:find("/" .. shell.build .. "/neap/core.so", 1, true), file)
  end)
end)
