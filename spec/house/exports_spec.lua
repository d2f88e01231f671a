local shell = require "spec.support.shell"

describe("a module", function()
  --- Names that a shared object defines for others to see.
  local function exports(path)
    local names = {}
    for name in shell.check("nm -D --defined-only " .. path):gmatch "%x+ %a (%S+)\n" do
      names[#names + 1] = name
    end
    table.sort(names)
    return names
  end

  local function needs(path)
    return shell.check("readelf -d " .. path)
  end

  it("shows nothing but its opener", function()
    -- A hostile build shows the hooks of its allocator as well.
    if not shell.build:find "asan" and not shell.build:find "valgrind" then
      assert.are.same({ "luaopen_neap_core" }, exports(shell.build .. "/neap/core.so"))
      assert.are.same({ "luaopen_neap_pg_core" }, exports(shell.build .. "/neap/pg/core.so"))
    end
    assert.are.same({ "luaopen_stranger" }, exports(shell.build .. "/spec/capi/stranger.so"))
  end)

  it("loads libpq for PostgreSQL only, and libuv for the core only", function()
    local core = needs(shell.build .. "/neap/core.so")
    local pg = needs(shell.build .. "/neap/pg/core.so")
    assert.is_truthy(core:find("libuv", 1, true))
    assert.is_nil(core:find("libpq", 1, true))
    assert.is_truthy(pg:find("libpq", 1, true))
    assert.is_nil(pg:find("libuv", 1, true))
  end)
end)
