local shell = require "spec.support.shell"

-- A checker has nothing to find in luarocks and in a build without it.
if shell.build:find "asan" or shell.build:find "valgrind" then return end

describe("the rock #slow", function()
  local tree

  setup(function() tree = shell.directory() end)
  teardown(function() shell.remove(tree) end)

  --- Without a network, where the system lets us take it away.
  local function offline(command)
    if shell.run("unshare -n true") == 0 then command = "unshare -n " .. command end
    return command
  end

  it("is well-formed", function()
    shell.check("luarocks lint neap-scm-1.rockspec")
  end)

  it("builds and installs offline", function()
    shell.check("env -u LUA_PATH -u LUA_CPATH "
      .. offline("luarocks --lua-version=5.4 --tree=" .. tree .. " make"))
  end)

  it("installs every Lua file and both modules", function()
    local sources = shell.check "cd lua && find neap -name '*.lua' | sort"
    local installed = shell.check("cd " .. tree .. "/share/lua/5.4 && find neap -name '*.lua' | sort")
    assert.are.equal(sources, installed)
    shell.check("test -f " .. tree .. "/lib/lua/5.4/neap/core.so")
    shell.check("test -f " .. tree .. "/lib/lua/5.4/neap/pg/core.so")
  end)

  it("serves a script outside of the tree", function()
    shell.write(tree .. "/elsewhere/main.lua", [[
local neap = require "neap"
local pg = require "neap.pg"
print(neap.run(function()
  neap.sleep(0.001)
  return type(pg.connect), package.searchpath("neap.core", package.cpath)
end))
]])
    local output = shell.check(([[cd %s/elsewhere && LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua' \
      LUA_CPATH='%s/lib/lua/5.4/?.so' %s main.lua]]):format(tree, tree, tree, tree, shell.lua))
    assert.are.equal("function\t" .. tree .. "/lib/lua/5.4/neap/core.so\n", output)
  end)
end)
