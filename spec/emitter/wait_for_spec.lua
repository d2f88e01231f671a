local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("emitter:wait_for", function()
  it("returns the arguments of the next event (M7)", run(function()
    local em = neap.emitter()
    local task = neap.spawn(function() return em:wait_for "x" end)
    neap.checkpoint()
    em:emit("y", 1)
    assert.are.equal(0, em:emit("x", 1, nil, 3, nil))
    assert.are.same({ n = 4, 1, nil, 3, nil }, table.pack(task:await()))
    task = neap.spawn(function() return em:wait_for "x" end)
    neap.checkpoint()
    em:emit "x"
    assert.are.equal(0, select("#", task:await()))
  end))

  it("serves all who wait, in order, beside the listeners (M7, W4)", run({ order = true }, function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function(v) note("listener " .. v) end)
    for i = 1, 3 do neap.spawn(function() note(i .. em:wait_for "x") end) end
    neap.checkpoint()
    assert.are.equal(1, em:emit("x", "v"))
    neap.checkpoint()
    assert.are.same({ "listener v", "1v", "2v", "3v" }, got)
  end))

  it("takes what the filter accepts (M7)", run(function()
    local em = neap.emitter()
    local task = neap.spawn(function()
      return em:wait_for("x", { filter = function(a, b) return a == 2 and b == "b" end })
    end)
    neap.checkpoint()
    em:emit("x", 1, "b")
    em:emit("x", 2, "a")
    neap.checkpoint()
    assert.are.equal("waiting", task:status())
    em:emit("x", 2, "b")
    assert.are.same({ 2, "b" }, { task:await() })
  end))

  it("an error in the filter is the waiter's (M7)", run(function()
    local em = neap.emitter()
    local task = neap.spawn(function()
      return pcall(em.wait_for, em, "x", { filter = function() error("bad filter", 0) end })
    end)
    local other = neap.spawn(function() return em:wait_for "x" end)
    neap.checkpoint()
    assert.are.equal(0, em:emit("x", 5))
    assert.are.same({ false, "bad filter" }, { task:await() })
    assert.are.equal(5, other:await())
  end))

  it("a filter may do what it likes but wait (M7)", run(function()
    for _, act in ipairs {
      function(em) em:close() end,
      function(em) em:off_all() end,
      function(_, tasks) tasks[2]:cancel() end,
      function(_, tasks) for i = 1, 3 do tasks[i]:cancel() end end,
      function(em) em:on("x", print) end,
      function(em) em:wait_for "x" end,
      function(em) em:emit "x" end,
      function() collectgarbage() end,
    } do
      local em = neap.emitter()
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = neap.spawn(function()
          return (pcall(em.wait_for, em, "x", { filter = function()
            act(em, tasks)
            return i == 2
          end }))
        end)
      end
      neap.checkpoint()
      pcall(em.emit, em, "x")
      neap.checkpoint()
      em:close()
      for i = 1, 3 do tasks[i]:join() end
    end
  end))

  it("with a timeout raises it (M7)", run(function()
    local em = neap.emitter()
    local err = raises("timeout", em.wait_for, em, "x", { timeout = 2 })
    assert.is_truthy(tostring(err):find("x", 1, true))
    neap.spawn(function()
      neap.sleep(1)
      em:emit("x", "in time")
    end)
    assert.are.equal("in time", em:wait_for("x", { timeout = 2 }))
    raises("timeout", em.wait_for, em, "x", { timeout = 0 })
    local task = neap.spawn(em.wait_for, em, "x", { timeout = math.huge })
    neap.checkpoint()
    em:emit "x"
    task:await()
  end))

  it("does not miss an event fired right after it began to wait (M7)", run({ order = true }, function()
    local em = neap.emitter()
    local task = neap.spawn(function() return em:wait_for "x" end)
    neap.spawn(function() em:emit("x", 1) end)
    assert.are.equal(1, task:await())
  end))

  it("cancelled leaves nothing behind, for a thousand names (M7, W5)", run(function()
    local em = neap.emitter()
    local function round()
      for i = 1, 1000 do
        local task = neap.spawn(em.wait_for, em, "name " .. i .. tostring({}))
        neap.checkpoint()
        task:cancel()
        task:join()
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    round()
    local before = round()
    local after = round()
    assert.is_true(after < before + 64, ("%.0f KiB, then %.0f"):format(before, after))
  end))

  it("refuses wrong arguments", run(function()
    local em = neap.emitter()
    for _, opts in ipairs { { filter = 5 }, { timeout = -1 }, { timeout = 0 / 0 }, { timeout = "x" },
      { filer = print } } do
      raises("invalid", em.wait_for, em, "x", opts)
    end
    assert.is_false((pcall(em.wait_for, em, "x", 5)))
    assert.is_false((pcall(em.wait_for, em)))
    assert.is_false((pcall(em.wait_for, em, 0 / 0)))
  end))
end)
