local neap = require "neap"
local run = require "spec.support.run"

local function here() return debug.getinfo(2, "l").currentline end

local function snapshot_of(task)
  for _, entry in ipairs(neap.dump { format = "table" }.entries) do
    if entry.task == task then return entry end
  end
end

describe("the traceback of a task", function()
  it("that waits shows where, also in a dump (T14, R10)", run(function()
    local line
    local function wait_there() neap.sleep(5) end
    local task = neap.spawn(function()
      line = here() + 1
      wait_there()
      return 1
    end)
    neap.sleep(1)
    local text = task:traceback()
    assert.is_truthy(text:find("neap.sleep", 1, true))
    assert.is_truthy(text:find("wait_there", 1, true))
    assert.is_truthy(text:find("_spec.lua:" .. line .. ":", 1, true))
    assert.are.equal(text, snapshot_of(task).traceback)
    assert.is_truthy(neap.dump():find("_spec.lua:" .. line .. ":", 1, true))
    assert.is_nil(neap.dump { traceback = false }:find("_spec.lua:" .. line .. ":", 1, true))
  end))

  it("goes through the coroutines inside of which it waits, innermost first (T14)", run(function()
    local lines = {}
    local task = neap.spawn(function()
      local outer = coroutine.wrap(function()
        local inner = coroutine.create(function()
          lines[1] = here() + 1
          neap.sleep(5)
          return 1
        end)
        lines[2] = here() + 1
        coroutine.resume(inner)
        return 1
      end)
      lines[3] = here() + 1
      outer()
      return 1
    end)
    neap.sleep(1)
    local text, at = task:traceback(), 1
    for i = 1, 3 do
      at = text:find("_spec.lua:" .. lines[i] .. ":", at, true)
      assert.is_truthy(at, text)
    end
    assert.are.equal(text, snapshot_of(task).traceback)
  end))

  it("that runs is where it is now, not where a collected coroutine waited (T14)", run(function()
    local me = neap.current()
    coroutine.wrap(function() neap.sleep(1) end)()
    collectgarbage()
    collectgarbage()
    local line = here() + 1
    assert.is_truthy(me:traceback():find("_spec.lua:" .. line .. ":", 1, true))
    coroutine.wrap(function()
      line = here() + 1
      local text = me:traceback()
      assert.is_truthy(text:find("_spec.lua:" .. line .. ":", 1, true))
      assert.is_truthy(text:find("in a coroutine that was resumed here", 1, true))
    end)()
  end))

  it("that failed is where it failed; of one that ended well there is none (T14)", run(function(reports)
    local line
    local failed = neap.background(function()
      line = here() + 1
      error { "any value" }
    end)
    failed:join()
    reports:take "background"
    assert.is_truthy(failed:traceback():find("_spec.lua:" .. line .. ":", 1, true))
    local done = neap.spawn(function() end)
    assert.is_nil(done:traceback()) -- it has not begun
    done:join()
    assert.is_nil(done:traceback())
  end))

  it("that another one looks at from an emit is its own (T14)", run(function()
    local em, outer = neap.emitter(), neap.current()
    local text
    em:on("x", function() text = outer:traceback() end)
    local line = here() + 1
    em:emit "x"
    assert.is_truthy(text:find("_spec.lua:" .. line .. ":", 1, true))
  end))

  it("begins in a dump at what called neap.dump, not inside of that (R10)", run(function()
    local line = here() + 1
    local text = neap.dump()
    assert.is_truthy(text:find("running[^\n]*\n *| [^\n]*_spec.lua:" .. line .. ":"), text)
  end))

  it("has that of its spawn in debug mode (R10)", run({ debug = true }, function()
    local line = here() + 1
    local task = neap.spawn(neap.sleep, 2)
    neap.sleep(1)
    local entry = snapshot_of(task)
    assert.is_truthy(entry.spawned:find("_spec.lua:" .. line .. ":", 1, true))
    assert.is_truthy(neap.dump():find("spawned at\n[^\n]*neap.spawn'\n[^\n]*_spec.lua:" .. line .. ":"))
  end))

  it("has none of its spawn otherwise (R10)", run(function()
    local task = neap.spawn(neap.sleep, 2)
    neap.checkpoint()
    assert.is_nil(snapshot_of(task).spawned)
  end))
end)
