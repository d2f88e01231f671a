local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("task:await", function()
  it("returns all values, nils among them (T6)", run(function()
    for _, values in ipairs {
      { n = 0 }, { n = 1, nil }, { n = 1, false }, { n = 1, 7 }, { n = 1, { n = 5 } },
      { n = 2, nil, nil }, { n = 3, 1, nil, 3 }, { n = 5, nil, nil, 3, nil, nil },
    } do
      local function body()
        neap.sleep(1)
        return table.unpack(values, 1, values.n)
      end
      local task = neap.spawn(body)
      assert.are.same(values, table.pack(task:await())) -- waits
      assert.are.same(values, table.pack(task:await())) -- does not
    end
  end))

  it("returns very many values (T6)", run(function()
    local list = {}
    for i = 1, 10000 do list[i] = i end
    local task = neap.spawn(function() return table.unpack(list) end)
    assert.are.equal(10000, select("#", task:await()))
    assert.are.equal(10000, task:outcome().n)
  end))

  it("raises the task's error, the same object (T6)", run(function(reports)
    local thing = { "thing" }
    local task = neap.background(function()
      neap.sleep(1)
      error(thing)
    end)
    for _ = 1, 3 do
      local ok, err = pcall(task.await, task)
      assert.is_false(ok)
      assert.are.equal(thing, err)
    end
    reports:take "background"
  end))

  it("serves any number of tasks, in order (T6, W4)", run({ order = true }, function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.sleep(1)
      return "value"
    end)
    neap.scope(function(s)
      for i = 1, 4 do
        s:spawn(function() note(i .. task:await()) end)
      end
    end)
    assert.are.same({ "1value", "2value", "3value", "4value" }, got)
  end))

  it("of a cancelled task raises task_cancelled, which is no cancellation (T7)", run(function()
    local task = neap.spawn(neap.sleep, 100)
    task.name = "sleeper"
    task:cancel()
    local err = raises("task_cancelled", task.await, task)
    assert.is_false(neap.is_cancelled(err))
    assert.is_truthy(tostring(err):find("sleeper", 1, true))
    raises("task_cancelled", task.await, task)
    assert.is_false(neap.cancelled())
  end))

  it("fails the awaiting task's scope as any other error does (T7)", run(function()
    local task = neap.spawn(neap.sleep, 100)
    raises("task_cancelled", neap.scope, function(s)
      s:spawn(task.await, task)
      s:spawn(neap.sleep, 1000)
      neap.checkpoint()
      task:cancel()
    end)
  end))

  it("cancelled leaves the awaited task alone (T9)", run(function()
    local task = neap.spawn(function()
      neap.sleep(10)
      return "mine"
    end)
    local waiter = neap.spawn(task.await, task)
    neap.sleep(1)
    waiter:cancel()
    waiter:join()
    assert.are.equal("cancelled", waiter:status())
    assert.are.equal("mine", task:await())
  end))

  it("wakes before the failure reaches the scope (T10)", run(function()
    local heard
    local thrown = { kind = "mine" }
    raises("mine", neap.scope, function(s)
      local task = s:spawn(function()
        neap.sleep(1)
        error(thrown)
      end)
      s:spawn(function()
        local _
        _, heard = pcall(task.await, task)
      end)
    end)
    assert.are.equal(thrown, heard)
  end))

  it("does not excuse a failure to the scope (T10)", run(function()
    raises("mine", neap.scope, function(s)
      local task = s:spawn(error, { kind = "mine" })
      pcall(task.await, task)
    end)
  end))

  it("of oneself is a deadlock at once (T11)", run(function()
    local me = neap.current()
    raises("deadlock", me.await, me)
    raises("deadlock", me.join, me)
    neap.checkpoint()
  end))

  it("of one's joiner is a deadlock at once (T11)", run(function()
    local a, b, caught
    a = neap.spawn(function() return b:await() end)
    b = neap.spawn(function()
      neap.sleep(1)
      caught = raises("deadlock", a.await, a)
      return "b"
    end)
    assert.are.equal("b", a:await())
    assert.is_truthy(tostring(caught):find("task:await", 1, true))
  end))

  it("in a ring of three is a deadlock at once (T11)", run(function()
    local a, b, c
    a = neap.spawn(function() return b:await() end)
    b = neap.spawn(function() return c:await() end)
    c = neap.spawn(function()
      neap.sleep(1)
      raises("deadlock", a.await, a)
      return 3
    end)
    assert.are.equal(3, a:await())
  end))

  it("of an ancestor that waits for its children is a deadlock at once (T11)", run(function()
    local parent
    parent = neap.spawn(function()
      neap.scope(function(s)
        s:spawn(function()
          neap.sleep(1)
          raises("deadlock", parent.await, parent)
          neap.scope(function(inner)
            inner:spawn(function()
              raises("deadlock", parent.join, parent)
            end)
          end)
        end)
      end)
      neap.spawn(function()
        neap.sleep(1)
        raises("deadlock", parent.await, parent)
      end)
    end)
    parent:await()
  end))

  it("leaves nothing behind when it is cancelled among many (W5)", run({ order = true }, function()
    local got, note = journal()
    local task = neap.spawn(neap.sleep, 10)
    local waiters = {}
    for i = 1, 5 do
      waiters[i] = neap.spawn(function()
        task:await()
        note(i)
      end)
    end
    neap.sleep(1)
    waiters[1]:cancel()
    waiters[3]:cancel()
    waiters[5]:cancel()
    task:await()
    neap.checkpoint()
    assert.are.same({ 2, 4 }, got)
  end))
end)

describe("task:join", function()
  it("waits and does not raise (T8)", run(function(reports)
    local task = neap.background(function()
      neap.sleep(1)
      error "x"
    end)
    assert.are.equal(0, select("#", task:join()))
    assert.are.equal("failed", task:status())
    assert.are.equal(0, select("#", task:join()))
    reports:take "background"
  end))
end)

describe("task:outcome", function()
  it("is nil while the task runs (T8)", run(function()
    local task = neap.spawn(neap.sleep, 1)
    assert.is_nil(task:outcome())
    neap.checkpoint()
    assert.is_nil(task:outcome())
  end))

  it("holds the values (T8)", run(function()
    local function outcome(...)
      local task = neap.spawn(function(...) return ... end, ...)
      task:join()
      return task:outcome()
    end
    assert.are.same({ ok = true, n = 0 }, outcome())
    assert.are.same({ ok = true, n = 1 }, outcome(nil))
    assert.are.same({ ok = true, n = 1, 5 }, outcome(5))
    assert.are.same({ ok = true, n = 3, nil, 2, nil }, outcome(nil, 2, nil))
  end))

  it("holds the error (T8)", run(function(reports)
    local task = neap.background(error, "x", 0)
    task:join()
    assert.are.same({ ok = false, n = 0, err = "x" }, task:outcome())
    reports:take "background"
    task = neap.spawn(neap.sleep, 1)
    task:cancel()
    task:join()
    local outcome = task:outcome()
    assert.is_false(outcome.ok)
    assert.are.equal("task_cancelled", outcome.err.kind)
  end))

  it("is a table of the caller's own (T8)", run(function()
    local task = neap.spawn(function() return 1, 2 end)
    task:join()
    local outcome = task:outcome()
    outcome[1], outcome.ok = "changed", false
    assert.are.same({ ok = true, n = 2, 1, 2 }, task:outcome())
    assert.are.same({ 1, 2 }, { task:await() })
  end))
end)
