local neap = require "neap"
local pg = require "neap.pg"
local shell = require "spec.support.shell"

-- The host of test/c/oom.c, from a hostile build: asan and valgrind are that.
local hostile = shell.build:find("/", 1, true) and shell.build or shell.build .. "/hostile"

describe("memory that runs out in a query", function()
  it("crashes nothing, leaks nothing, and is told #slow", function()
    neap.run(function()
      local server <close> = pg.ephemeral()
      local status, output = shell.run(("NEAP_OOM_STRIDE=3 NEAP_TEST_PG='%s' %s/test/c/oom test/c/oom_query.lua")
        :format(server.dsn, hostile))
      assert.are.equal(0, status, output)
      assert.is_truthy(output:find("oom_query.lua", 1, true))
    end)
  end)
end)
