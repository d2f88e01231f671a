local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.select", function()
  it("takes the first in the list that need not wait (G11)", run(function()
    local q, other, ev = neap.queue(5), neap.queue(5), neap.event()
    q:put "item"
    other:put "other"
    assert.are.same({ 2, "item" }, { neap.select { ev:on_wait(), q:on_get(), other:on_get() } })
    assert.are.equal(1, #other)
    ev:set()
    assert.are.same({ n = 1, 1 }, table.pack(neap.select { ev:on_wait(), other:on_get() }))
    assert.are.equal(1, #other)
  end))

  it("waits for the first that comes (G11)", run(function()
    local q, ev = neap.queue(5), neap.event()
    local t = neap.now()
    neap.spawn(function()
      neap.sleep(2)
      q:put "item"
      ev:set()
    end)
    assert.are.same({ 2, "item" }, { neap.select { ev:on_wait(), q:on_get(), neap.after(5) } })
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    assert.are.same({ n = 1, 1 }, table.pack(neap.select { neap.after(1), q:on_get() }))
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("puts (G11)", run(function()
    local full, empty = neap.queue(1), neap.queue(1)
    full:put "there"
    assert.are.same({ 2, true }, { neap.select { full:on_put "a", empty:on_put "b" } })
    assert.are.equal("b", empty:get())
    neap.spawn(function()
      neap.sleep(1)
      full:get()
    end)
    assert.are.same({ 1, true }, { neap.select { full:on_put "a", neap.after(5) } })
    assert.are.equal("a", full:get())
  end))

  it("a branch that was not taken has not happened (G11, W2)", run(function()
    local full, empty, ev = neap.queue(1), neap.queue(1), neap.event()
    full:put "there"
    neap.select { full:on_put "a", empty:on_get(), neap.after(1) }
    assert.are.equal(1, #full)
    assert.are.equal("there", full:get())
    assert.is_nil(full:try_get())
    empty:put "item" -- nobody stands in line for it
    assert.are.equal(1, #empty)
    neap.spawn(function()
      neap.sleep(1)
      ev:set()
    end)
    assert.are.equal(1, (neap.select { ev:on_wait(), full:on_get() }))
    assert.is_true(full:try_put "b")
    assert.are.equal("b", full:get())
  end))

  it("awaits tasks, and raises their error (G11)", run(function(reports)
    local task = neap.spawn(function()
      neap.sleep(1)
      return "a", nil, "c"
    end)
    assert.are.same({ n = 4, 2, "a", nil, "c" },
      table.pack(neap.select { neap.after(5), task:on_done() }))
    assert.are.same({ 1, "a", nil, "c" }, { neap.select { task:on_done() } })
    local thrown = { kind = "mine" }
    local failing = neap.background(function()
      neap.sleep(1)
      error(thrown)
    end)
    assert.are.equal(thrown, (raises("mine", neap.select, { failing:on_done(), neap.after(5) })))
    reports:take "background"
    local cancelled = neap.spawn(neap.sleep, 100)
    cancelled:cancel()
    raises("task_cancelled", neap.select, { cancelled:on_done() })
  end))

  it("hears of a queue that is closed (G11, P6)", run(function()
    local q = neap.queue(1)
    neap.spawn(function()
      neap.sleep(1)
      q:close()
    end)
    assert.are.same({ n = 3, 2, nil, "closed" },
      table.pack(neap.select { neap.after(5), q:on_get() }))
    assert.are.same({ n = 3, 1, nil, "closed" }, table.pack(neap.select { q:on_get() }))
    raises("closed", neap.select, { q:on_put "x" })
    local full = neap.queue(0)
    neap.spawn(function()
      neap.sleep(1)
      full:close()
    end)
    raises("closed", neap.select, { neap.after(5), full:on_put "x" })
    local bad = neap.queue(1)
    bad:close { kind = "mine" }
    raises("mine", neap.select, { bad:on_get() })
  end))

  it("hands over from hand to hand, also between two of its kind (G11)", run(function()
    local q = neap.queue(0)
    local getter = neap.spawn(function()
      return table.pack(neap.select { neap.after(5), q:on_get() })
    end)
    neap.checkpoint()
    assert.are.same({ 2, true }, { neap.select { neap.after(5), q:on_put "x" } })
    assert.are.same({ n = 2, 2, "x" }, getter:await())
    local putter = neap.spawn(function()
      return table.pack(neap.select { q:on_put "y", neap.after(5) })
    end)
    neap.checkpoint()
    assert.are.same({ 1, "y" }, { neap.select { q:on_get(), neap.after(5) } })
    assert.are.same({ n = 2, 1, true }, putter:await())
  end))

  it("with put and get of the same queue does not serve itself (G11)", run(function()
    local q = neap.queue(0)
    assert.are.equal(3, (neap.select { q:on_put "x", q:on_get(), neap.after(1) }))
    local other = neap.spawn(function()
      return table.pack(neap.select { q:on_put "theirs", q:on_get() })
    end)
    neap.checkpoint()
    local i, v = neap.select { q:on_put "ours", q:on_get() }
    local theirs = other:await()
    if i == 1 then
      assert.are.same({ n = 2, 2, "ours" }, theirs)
    else
      assert.are.equal("theirs", v)
      assert.are.same({ n = 2, 1, true }, theirs)
    end
  end))

  it("stands in line in order with those that wait for one thing (G11, W4)", run({ order = true }, function()
    local q = neap.queue(1)
    local got, note = journal()
    local function plain(name) return function() note(name .. q:get()) end end
    local function choice(name)
      return function()
        local _, item = neap.select { q:on_get(), neap.after(50) }
        note(name .. item)
      end
    end
    for _, fn in ipairs { plain "a", choice "b", plain "c", choice "d" } do neap.spawn(fn) end
    neap.checkpoint()
    for i = 1, 4 do q:put(i) end
    neap.sleep(1)
    assert.are.same({ "a1", "b2", "c3", "d4" }, got)
  end))

  it("that has been given something keeps it, though cancelled then (W1)", run(function()
    local q = neap.queue(1)
    local got
    local task = neap.spawn(function()
      got = table.pack(neap.select { q:on_get(), neap.after(5) })
      neap.checkpoint()
    end)
    neap.checkpoint()
    q:put "item"
    task:cancel()
    task:join()
    assert.are.same({ n = 2, 1, "item" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("that is cancelled has left every line (W2, W5)", run(function()
    local q, ev, full = neap.queue(1), neap.event(), neap.queue(1)
    full:put "there"
    local done = neap.spawn(neap.sleep, 10)
    local task = neap.spawn(neap.select, {
      q:on_get(), ev:on_wait(), full:on_put "x", done:on_done(), neap.after(100),
    })
    neap.sleep(1)
    task:cancel()
    q:put "item"
    assert.are.equal(1, #q)
    assert.are.equal("there", full:get())
    assert.is_nil(full:try_get())
    ev:set()
    task:join()
    assert.are.equal("cancelled", task:status())
    done:await()
  end))

  it("is a checkpoint, also when it need not wait (W3)", run(function()
    local q = neap.queue(1)
    q:put "item"
    local task = neap.spawn(function()
      neap.current():cancel()
      neap.select { q:on_get() }
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal(1, #q)
  end))

  it("of several limits the shortest gives (G11)", run(function()
    local t = neap.now()
    local q = neap.queue(1)
    local i = neap.select { neap.after(5), q:on_get(), neap.after(2), neap.after(9) }
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    assert.are.equal(3, i)
    assert.are.equal(1, (neap.select { neap.after(0) }))
    assert.are.equal(2, (neap.select { q:on_get(), neap.after(0) }))
  end))

  it("with after(math.huge) alone is a deadlock, not a long wait (G11, V2)", function()
    raises("deadlock", neap.run, { clock = "virtual", signals = false }, function()
      neap.select { neap.after(math.huge) }
    end)
    raises("deadlock", neap.run, { signals = false }, function()
      neap.select { neap.queue(1):on_get(), neap.after(math.huge) }
    end)
  end)

  it("may use a branch again (G11)", run(function()
    local q = neap.queue(5)
    local branches = { q:on_get(), neap.after(1) }
    for i = 1, 3 do
      q:put(i)
      assert.are.same({ 1, i }, { neap.select(branches) })
    end
    assert.are.equal(2, (neap.select(branches)))
    q:put(4)
    assert.are.same({ 1, 4 }, { neap.select(branches) })
  end))

  it("may have the same thing in several branches (G11)", run(function()
    local q, ev = neap.queue(1), neap.event()
    local task = neap.spawn(function()
      return neap.select { q:on_get(), q:on_get(), ev:on_wait(), ev:on_wait() }
    end)
    neap.checkpoint()
    q:put "item"
    ev:set()
    assert.are.equal(1, (task:await()))
    assert.are.equal(0, #q)
  end))

  it("takes a thousand branches (G11)", run(function()
    local branches, queues = {}, {}
    for i = 1, 1000 do
      queues[i] = neap.queue(1)
      branches[i] = queues[i]:on_get()
    end
    neap.spawn(function()
      neap.sleep(1)
      queues[777]:put "item"
    end)
    assert.are.same({ 777, "item" }, { neap.select(branches) })
    for i = 1, 1000 do
      queues[i]:put(i)
      assert.are.equal(1, #queues[i])
    end
  end))

  it("keeps what it waits for alive (G11)", run(function()
    local task = neap.spawn(function()
      local q = neap.queue(1)
      local branches = { q:on_get(), neap.after(5) }
      local sender = q
      neap.spawn(function()
        neap.sleep(1)
        local s = sender
        sender = nil
        s:put {}
      end)
      q = nil
      local i, v = neap.select(branches)
      return i, type(v), q
    end)
    for _ = 1, 3 do
      neap.sleep(0.4)
      collectgarbage()
    end
    assert.are.same({ 1, "table" }, { task:await() })
  end))

  it("refuses what is no branch, and nothing at all", run(function()
    local ok, err = pcall(neap.select, {})
    assert.is_false(ok)
    assert.is_truthy(err:find("branch", 1, true))
    assert.is_false((pcall(neap.select)))
    err = raises("invalid", neap.select, { neap.after(1), neap.queue(1) })
    assert.is_truthy(err.message:find("branch 2", 1, true))
    raises("invalid", neap.select, { 1 })
    assert.is_false((pcall(neap.after, -1)))
    assert.is_false((pcall(neap.after, 0 / 0)))
    assert.is_false((pcall(neap.queue(1).on_put, neap.queue(1), nil)))
  end))

  it("refuses to wait for the end of the task that calls", run(function()
    local err = raises("deadlock", neap.select, {
      neap.queue(0):on_get(), neap.current():on_done(),
    })
    assert.is_truthy(err.message:find("on_done", 1, true), err.message)
  end))

  it("outside of a task says so (W6)", function()
    raises("not_in_task", neap.select, { neap.after(1) })
  end)
end)
