local shell = require "spec.support.shell"

local BAD <const> = [[
#include <stdlib.h>
#include <lua.h>

static char *volatile lost;

static int l_overflow(lua_State *L) {
  char *p = malloc(8);
  volatile size_t n = 8;
  lua_pushinteger(L, p[n]);
  free(p);
  return 1;
}

static int l_leak(lua_State *L) {
  lost = malloc(100);
  lost = NULL;
  return (int)(lua_gettop(L) * 0);
}

static int l_shift(lua_State *L) {
  volatile int by = 40;
  lua_pushinteger(L, 1 << by);
  return 1;
}

int luaopen_bad(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, l_overflow);
  lua_setfield(L, -2, "overflow");
  lua_pushcfunction(L, l_leak);
  lua_setfield(L, -2, "leak");
  lua_pushcfunction(L, l_shift);
  lua_setfield(L, -2, "shift");
  return 1;
}
]]

local checker = shell.build:match "asan" or shell.build:match "valgrind"

if checker then
  describe("the checker " .. checker, function()
    local directory

    setup(function()
      directory = shell.directory()
      shell.write(directory .. "/bad.c", BAD)
      shell.check(("cc -g -fPIC -shared %s -I/usr/include/lua5.4 -o %s/bad.so %s/bad.c"):format(
        checker == "asan" and "-fsanitize=address,undefined -fno-sanitize-recover=undefined" or "",
        directory, directory))
    end)
    teardown(function() shell.remove(directory) end)

    --- Run Lua code as the suite runs its children; what is found goes to a
    --- file of our own, not to that of the suite.
    local function run(code)
      local lua = shell.check("command -v lua5.4"):gsub("\n", "")
      local wrapper = shell.read(lua):gsub("%-%-log%-file=[^ ]*", "--log-file=" .. directory .. "/found")
      shell.write(directory .. "/lua5.4", wrapper)
      return shell.run(([[chmod +x %s/lua5.4; cd %s; \
        ASAN_OPTIONS="$ASAN_OPTIONS:log_path=%s/found" UBSAN_OPTIONS="$UBSAN_OPTIONS:log_path=%s/found" \
        LUA_CPATH='%s/?.so' ./lua5.4 -e '%s'; status=$?; cat found* 2>/dev/null; rm -f found*; exit $status]])
        :format(directory, directory, directory, directory, directory, code))
    end

    it("lets pass what is well", function()
      local status, output = run 'require "bad"'
      assert.are.equal("", output)
      assert.are.equal(0, status)
    end)

    it("finds a read beyond the end", function()
      local status, output = run 'require "bad".overflow()'
      assert.are.equal(99, status)
      assert.is_truthy(output:find "heap%-buffer%-overflow" or output:find "Invalid read", output)
    end)

    it("finds a leak", function()
      local status, output = run 'require "bad".leak()'
      assert.are.equal(99, status)
      assert.is_truthy(output:find "100 byte", output)
    end)

    if checker == "asan" then
      it("finds undefined behaviour", function()
        local status, output = run 'require "bad".shift()'
        assert.are.equal(99, status)
        assert.is_truthy(output:find("shift exponent", 1, true), output)
      end)

      it("is not inherited by other programs", function()
        local status, output = run 'os.execute "echo preload:$LD_PRELOAD"'
        assert.are.equal("preload:\n", output)
        assert.are.equal(0, status)
      end)
    end
  end)
end
