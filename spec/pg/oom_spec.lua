local neap = require "neap"
local pg = require "neap.pg"
local shell = require "spec.support.shell"

-- The host of test/c/oom.c, from a hostile build: asan and valgrind are that.
local hostile = shell.build:find("/", 1, true) and shell.build or shell.build .. "/hostile"

local function survives(scenario)
  return function()
    neap.run(function()
      local server <close> = pg.ephemeral()
      local status, output = shell.run(
        ("NEAP_OOM_STRIDE=%d NEAP_TEST_PG='%s' %s/test/c/oom test/c/%s"):format(
          tonumber(os.getenv "NEAP_OOM_STRIDE") or 3, server.dsn, hostile,
          scenario))
      assert.are.equal(0, status, output)
      assert.is_truthy(output:find(scenario, 1, true))
    end)
  end
end

describe("memory that runs out crashes nothing, leaks nothing, is told", function()
  it("in a query #slow", survives "oom_query.lua")
  it("in COPY, cursors and batches #slow", survives "oom_copy.lua")
  it("in LISTEN #slow", survives "oom_listen.lua")
end)
