local shell = require "spec.support.shell"

describe("the layer checker", function()
  local directory

  before_each(function() directory = shell.directory() end)
  after_each(function() shell.remove(directory) end)

  --- Write files, check them; returns the status and the output with the
  --- scratch directory taken out.
  local function check(files)
    for path, text in pairs(files) do shell.write(directory .. "/" .. path, text) end
    local status, output = shell.run(shell.lua .. " tools/layers.lua " .. directory)
    return status, (output:gsub(directory:gsub("%p", "%%%0") .. "/", ""))
  end

  local function refuses(path, text, sentence)
    local status, output = check { [path] = text }
    assert.are.equal(1, status)
    assert.is_truthy(output:find(sentence, 1, true), output)
  end

  it("finds nothing to say about the tree", function()
    local status, output = shell.run(shell.lua .. " tools/layers.lua src include lua")
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("accepts what flows down", function()
    local status, output = check {
      ["src/base/a.c"] = '#include "base/a.h"\n#include <stdlib.h>\n',
      ["src/run/a.c"] = '#include "base/a.h"\n#include <uv.h>\n#include "neap.h"\n',
      ["src/core/a.c"] = '#include "run/a.h"\n#include <lua.h>\n#include <uv.h>\n',
      ["src/pg/a.c"] = '#include "neap.h"\n#include "base/a.h"\n#include <libpq-fe.h>\n',
      ["include/neap.h"] = "#include <lua.h>\n#include <stdint.h>\n",
    }
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("refuses an include that goes up, with file and line", function()
    refuses("src/base/a.c", "\n#include \"run/loop.h\"\n",
      "src/base/a.c:2: base may not include run")
    refuses("src/run/a.c", '#include "core/task.h"\n',
      "src/run/a.c:1: run may not include core")
  end)

  it("refuses an include that goes sideways", function()
    refuses("src/pg/a.c", '#include "core/task.h"\n', "pg may not include core")
    refuses("src/pg/b.c", '#include "run/loop.h"\n', "pg may not include run")
    refuses("src/core/a.c", '#include "pg/conn.h"\n', "core may not include pg")
    refuses("src/base/b.c", '#include "neap.h"\n', "base may not include neap.h")
  end)

  it("refuses a library in a room that may not know it", function()
    refuses("src/run/a.c", "#include <lua.h>\n", "run may not know lua (lua.h)")
    refuses("src/run/b.h", "#include <lauxlib.h>\n", "run may not know lua")
    refuses("src/base/a.c", "#include <uv.h>\n", "base may not know uv")
    refuses("src/pg/a.c", "#  include <uv.h>\n", "pg may not know uv")
    refuses("src/core/a.c", "#include <libpq-fe.h>\n", "core may not know pq")
    refuses("include/neap.h", "#include <uv.h>\n", "include may not know uv")
  end)

  it("refuses an include that does not name its room", function()
    refuses("src/run/a.c", '#include "loop.h"\n', 'name the room: "run/loop.h"')
    refuses("src/run/b.c", '#include "attic/x.h"\n', "there is no room attic")
  end)

  it("refuses a file in no room", function()
    refuses("src/attic/a.c", "int x;\n", "this file stands in no room")
  end)

  it("refuses an await inside a nested switch", function()
    refuses("src/pg/a.c", [[
static int co_x(neap_co *co) {
  CO_BEGIN(co);
  switch (co->rc) { /* a comment with } and a string */
  case 1: {
    CO_AWAIT(co, neap_co_sleep(co, 5));
  }
  }
  CO_END(co, 0);
}
]], "src/pg/a.c:5: await inside a nested switch")
  end)

  it("accepts an await beside a nested switch", function()
    local status, output = check { ["src/pg/a.c"] = [[
#define OPEN \
  do {       \
    {
static int co_x(neap_co *co) {
  CO_BEGIN(co);
  switch (co->rc) { case '}': puts("}"); }
  while (co->rc) {
    CO_AWAIT(co, neap_co_sleep(co, 5)); /* switch ( { */
  }
  CO_END(co, 0);
}
]] }
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("refuses a file of more than 600 lines", function()
    refuses("src/pg/a.c", ("\n"):rep(601), "src/pg/a.c:601: 601 lines; 600 at most")
    refuses("src/pg/a.lua", ("\n"):rep(601), "601 lines; 600 at most")
  end)

  it("fails when there is nothing to check", function()
    local status, output = check {}
    assert.are.equal(1, status)
    assert.is_truthy(output:find("no files", 1, true), output)
  end)
end)
