local shell = require "spec.support.shell"

describe("the checker of compiled rooms", function()
  local directory

  before_each(function() directory = shell.directory() end)
  after_each(function() shell.remove(directory) end)

  --- Compile one file into a room and check it.
  local function check(room, text, flags)
    local c = directory .. "/a.c"
    local o = ("%s/src/%s/a.o"):format(directory, room)
    shell.write(c, text)
    shell.check(("mkdir -p %s/src/%s && cc -std=c11 -fPIC -c -o %s %s %s")
      :format(directory, room, o, flags or "", c))
    return shell.run(shell.lua .. " tools/statics.lua " .. directory)
  end

  local function refuses(room, text, sentence, flags)
    local status, output = check(room, text, flags)
    assert.are.equal(1, status)
    assert.is_truthy(output:find(sentence, 1, true), output)
  end

  it("finds nothing to say about the tree", function()
    if shell.build:find("asan") or shell.build:find("valgrind") then return end -- hostile
    local status, output = shell.run(shell.lua .. " tools/statics.lua " .. shell.build)
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("accepts constants, tables of pointers among them", function()
    local status, output = check("core", [[
static const char *const names[] = {"a", "b"};
const char *name(int i) { return names[i]; }
]])
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("refuses state that is static, zeroed or not", function()
    refuses("core", "static int n; int next(void) { return ++n; }\n",
      "n is mutable static state")
    refuses("run", "int n = 3;\n", "n is mutable static state")
    refuses("pg", "static const char *p = 0; void set(void) { p = \"x\"; }\n",
      "p is mutable static state")
  end)

  it("refuses state inside a function and per thread", function()
    refuses("core", "int next(void) { static int n; return ++n; }\n",
      "mutable static state")
    refuses("run", "_Thread_local int n;\n", "n is mutable static state")
    refuses("base", "int n;\n", "n is mutable static state", "-fcommon")
  end)

  it("accepts the one pointer of a driver", function()
    assert.are.equal(0, (check("pg", "const void *neap_;\n")))
  end)

  it("refuses a library's symbol where it may not be known", function()
    refuses("run", "int lua_gettop(void *L); int f(void *L) { return lua_gettop(L); }\n",
      "run may not use lua_gettop")
    refuses("pg", "int uv_run(void *l, int m); int f(void *l) { return uv_run(l, 0); }\n",
      "pg may not use uv_run")
  end)

  it("refuses a module that exports more than its opener", function()
    shell.write(directory .. "/m.c", "int luaopen_m(void *L); int helper(void);\n"
      .. "int luaopen_m(void *L) { return L != 0; }\nint helper(void) { return 1; }\n")
    shell.check(("mkdir -p %s/neap %s/src && cc -fPIC -shared -o %s/neap/m.so %s/m.c")
      :format(directory, directory, directory, directory))
    local status, output = shell.run(shell.lua .. " tools/statics.lua " .. directory)
    assert.are.equal(1, status)
    assert.is_truthy(output:find("exports helper", 1, true), output)
    assert.is_nil(output:find("exports luaopen_m", 1, true))
  end)

  it("fails when nothing is built", function()
    local status = shell.run(shell.lua .. " tools/statics.lua " .. directory)
    assert.are_not.equal(0, status)
  end)
end)
