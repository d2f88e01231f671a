local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a future", function()
  it("hands its values to those who await before and after, in order (P1, W4)", run({ order = true }, function()
    local got, note = journal()
    local f = neap.future()
    for i = 1, 3 do
      neap.spawn(function() note(i .. f:await()) end)
    end
    neap.checkpoint()
    assert.is_false(f:done())
    f:set "v"
    assert.is_true(f:done())
    neap.checkpoint()
    note("4" .. f:await())
    assert.are.same({ "1v", "2v", "3v", "4v" }, got)
  end))

  it("keeps any number of values, nils among them (P1)", run(function()
    for _, values in ipairs {
      { n = 0 }, { n = 1, nil }, { n = 1, false }, { n = 1, { n = 3 } }, { n = 2, nil, nil },
      { n = 3, 1, nil, 3 },
    } do
      local f = neap.future()
      local task = neap.spawn(f.await, f)
      neap.checkpoint()
      f:set(table.unpack(values, 1, values.n))
      assert.are.same(values, table.pack(task:await()))
      assert.are.same(values, table.pack(f:await()))
    end
  end))

  it("raises its error, the same object, for all (P1)", run(function()
    local thrown = {}
    local f = neap.future()
    local task = neap.spawn(function() return pcall(f.await, f) end)
    neap.checkpoint()
    f:fail(thrown)
    assert.are.same({ false, thrown }, { task:await() })
    local ok, err = pcall(f.await, f)
    assert.is_false(ok)
    assert.are.equal(thrown, err)
  end))

  it("is settled once (P1)", run(function()
    local f = neap.future()
    f:set(1)
    raises("invalid", f.set, f, 2)
    raises("invalid", f.fail, f, 2)
    assert.are.equal(1, f:await())
    f = neap.future()
    f:fail "x"
    raises("invalid", f.set, f, 2)
    assert.is_false((pcall(f.await, f)))
  end))

  it("that fails with nobody awaiting it is reported once, a turn later (P1, E4)", run(function(reports)
    local f = neap.future()
    f:fail "unheard"
    assert.are.equal(0, #reports)
    neap.checkpoint()
    neap.checkpoint()
    assert.are.equal("unheard", reports:take "future".error)
    local ok, err = pcall(f.await, f)
    assert.is_false(ok)
    assert.are.equal("unheard", err)
  end))

  it("awaited in the same turn is not reported (P1)", run(function()
    local f = neap.future()
    f:fail "heard"
    assert.is_false((pcall(f.await, f)))
    neap.sleep(1)
  end))

  it("that fails after its only waiter was cancelled is reported (P1)", run(function(reports)
    local f = neap.future()
    assert.is_false(neap.move_on_after(1, f.await, f))
    f:fail "unheard"
    neap.sleep(1)
    assert.are.equal("unheard", reports:take "future".error)
  end))

  it("cancelled waiters leave at once (W5)", run({ order = true }, function()
    local got, note = journal()
    local f = neap.future()
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = neap.spawn(function()
        f:await()
        note(i)
      end)
    end
    neap.checkpoint()
    for i = 1, 5, 2 do tasks[i]:cancel() end
    f:set()
    neap.sleep(1)
    assert.are.same({ 2, 4 }, got)
  end))

  it("outlives the run (W7)", function()
    local f
    neap.run(function() f = neap.future() end)
    neap.run(function() f:set(5) end)
    assert.are.equal(5, neap.run(function() return f:await() end))
    f = neap.future() -- outside
    f:set(6)
    assert.are.equal(6, neap.run(function() return f:await() end))
    f = neap.future()
    f:fail "outside"
    neap.run(function() assert.is_false((pcall(f.await, f))) end)
  end)

  it("that is garbage takes its waiters' memory along, not their lives", run(function()
    neap.scope({ on_exit = "cancel" }, function(s)
      for _ = 1, 10 do s:spawn(function() neap.future():await() end) end
      neap.checkpoint()
      collectgarbage()
      collectgarbage()
    end)
  end))

  it("refuses wrong arguments", run(function()
    local f = neap.future()
    for _, name in ipairs { "set", "fail", "await", "done" } do
      for _, bad in ipairs { 1, {}, "x", neap.event(), neap.lock(), io.stdout } do
        assert.is_false((pcall(f[name], bad)), name)
      end
      assert.is_false((pcall(f[name])), name)
    end
    assert.is_false((pcall(f.fail, f)))
    assert.is_false(f:done())
  end))
end)

describe("an event", function()
  it("wakes all who wait, in order, and stays set (P2)", run({ order = true }, function()
    local got, note = journal()
    local e = neap.event()
    for i = 1, 3 do
      neap.spawn(function()
        e:wait()
        note(i)
      end)
    end
    neap.checkpoint()
    assert.is_false(e:is_set())
    e:set()
    e:set()
    assert.is_true(e:is_set())
    neap.checkpoint()
    assert.are.same({ 1, 2, 3 }, got)
    assert.are.equal(0, select("#", e:wait()))
  end))

  it("waits again after clear (P2)", run(function()
    local e = neap.event()
    e:set()
    e:clear()
    e:clear()
    assert.is_false(e:is_set())
    assert.is_false(neap.move_on_after(1, e.wait, e))
  end))

  it("that is set and cleared at once wakes those who waited (P2, W1)", run(function()
    local e = neap.event()
    local task = neap.spawn(e.wait, e)
    neap.checkpoint()
    e:set()
    e:clear()
    task:await()
    assert.are.equal("done", task:status())
  end))

  it("set is a checkpoint all the same (W3)", run(function()
    local e = neap.event()
    e:set()
    local task = neap.spawn(function()
      neap.current():cancel()
      e:wait()
      error "not reached"
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
  end))

  it("may be set outside of a run, for the next one (W7)", function()
    local e = neap.event()
    e:set()
    neap.run(function() e:wait() end)
  end)

  it("refuses wrong arguments", run(function()
    local e = neap.event()
    for _, name in ipairs { "set", "clear", "is_set", "wait" } do
      for _, bad in ipairs { 1, {}, "x", neap.future(), neap.lock() } do
        assert.is_false((pcall(e[name], bad)), name)
      end
    end
  end))
end)
