local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.spawn", function()
  it("returns at once; nothing of the body runs before the caller waits (T1)", run(function()
    local ran = false
    local task = neap.spawn(function() ran = true end)
    assert.is_false(ran)
    assert.are.equal("new", task:status())
    neap.checkpoint()
    assert.is_true(ran)
    assert.are.equal("done", task:status())
  end))

  it("passes arguments, nils among them (T1)", run(function()
    local task = neap.spawn(function(...) return select("#", ...), ... end, nil, 1, nil)
    assert.are.same({ n = 4, 3, nil, 1, nil }, table.pack(task:await()))
  end))

  it("starts tasks in the order in which they were spawned (O1)", run({ order = true }, function()
    local got, note = journal()
    for i = 1, 5 do neap.spawn(note, i) end
    neap.checkpoint()
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
  end))

  it("takes anything that can be called", run(function()
    local callable = setmetatable({}, { __call = function(_, x) return x + 1 end })
    assert.are.equal(4, neap.spawn(callable, 3):await())
    assert.are.equal(3, neap.spawn(math.max, 1, 3, 2):await())
  end))

  it("refuses what cannot be called", run(function()
    for _, bad in ipairs { 5, "x", {}, true } do
      local ok, err = pcall(neap.spawn, bad)
      assert.is_false(ok)
      assert.is_truthy(err:find("bad argument #1", 1, true), err)
    end
    assert.is_false((pcall(neap.spawn)))
  end))

  it("outside of a task is an error that says so (W6)", function()
    local err = raises("not_in_task", neap.spawn, function() end)
    assert.is_truthy(tostring(err):find("neap.spawn", 1, true))
    err = raises("not_in_task", neap.background, function() end)
    assert.is_truthy(tostring(err):find("neap.background", 1, true))
  end)

  it("works inside a coroutine of the task (T3)", run(function()
    local task
    coroutine.wrap(function() task = neap.spawn(function() return 7 end) end)()
    assert.are.equal(7, task:await())
  end))

  it("makes the task a child of the innermost open scope (T3)", run(function()
    local got, note = journal()
    neap.scope(function()
      neap.spawn(function()
        neap.sleep(1)
        note "child of the scope"
      end)
    end)
    note "after the scope"
    neap.timeout(10, function()
      neap.spawn(function()
        neap.sleep(1)
        note "child of the timeout"
      end)
    end)
    note "after the timeout"
    neap.shield(10, function()
      neap.spawn(function()
        neap.sleep(1)
        note "child of the shield"
      end)
    end)
    note "after the shield"
    neap.move_on_after(10, function()
      neap.spawn(function()
        neap.sleep(1)
        note "child of move_on_after"
      end)
    end)
    note "after move_on_after"
    assert.are.same({ "child of the scope", "after the scope", "child of the timeout",
      "after the timeout", "child of the shield", "after the shield",
      "child of move_on_after", "after move_on_after" }, got)
  end))

  it("makes the task a child of its spawner, which ends after it (T4)", run(function()
    local got, note = journal()
    local parent = neap.spawn(function()
      neap.spawn(function()
        neap.sleep(5)
        note "child"
      end)
      note "body"
      return "value"
    end)
    assert.are.equal("value", parent:await())
    note "parent"
    assert.are.same({ "body", "child", "parent" }, got)
  end))

  it("a failing child fails its parent task, and that one its scope (T4, S3)", run(function(reports)
    local thrown = { kind = "mine" }
    local sibling
    local err = raises("mine", neap.scope, function(s)
      sibling = s:spawn(neap.sleep, 100)
      s:spawn(function()
        neap.spawn(error, thrown)
        neap.sleep(100)
      end)
    end)
    assert.are.equal(thrown, err)
    assert.are.equal("cancelled", sibling:status())
    assert.are.equal(0, #reports)
  end))

  it("keeps a million tasks' worth of memory flat (S9) #slow", run(function()
    local function nothing() end
    local function round()
      for _ = 1, 1000 do
        for _ = 1, 100 do neap.spawn(nothing) end
        neap.checkpoint()
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local first = round()
    for _ = 1, 9 do round() end
    local last = round()
    assert.is_true(last < first + 256, ("%.0f KiB, then %.0f"):format(first, last))
  end))

  it("a hundred thousand live tasks come and go (R10)", run(function()
    local gate = neap.event()
    neap.scope(function(s)
      for _ = 1, 100000 do s:spawn(gate.wait, gate) end
      neap.checkpoint()
      assert.is_true(neap.stats().tasks >= 100000)
      gate:set()
    end)
    assert.is_true(neap.stats().tasks < 10)
  end))
end)

describe("neap.background", function()
  it("makes a task of the run, which outlives its spawner (T3, R2)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      s:spawn(function()
        neap.background(function()
          neap.sleep(1)
          note "background"
        end)
      end)
    end)
    note "scope over"
    neap.sleep(2)
    assert.are.same({ "scope over", "background" }, got)
  end))

  it("is not cancelled with its spawner (T3)", run(function()
    local task
    neap.scope(function(s)
      task = neap.background(neap.sleep, 10)
      s:cancel()
    end)
    task:await()
    assert.are.equal("done", task:status())
  end))

  it("reports an error at once and touches nobody else (R2, E4)", run(function(reports)
    local sibling = neap.background(neap.sleep, 10)
    local task = neap.background(error, "broken", 0)
    neap.checkpoint()
    neap.checkpoint()
    local info = reports:take "background"
    assert.are.equal("broken", info.error)
    assert.are.equal(task, info.task)
    assert.are.equal("failed", task:status())
    assert.are.equal("waiting", sibling:status())
    assert.are.equal("broken", (select(2, pcall(task.await, task))))
    sibling:cancel()
  end))

  it("reports the failure of a child of a background task once (R2)", run(function(reports)
    local task = neap.background(function()
      neap.spawn(error, "deep", 0)
      neap.sleep(100)
    end)
    task:join()
    assert.are.equal("deep", reports:take "background".error)
    assert.are.equal("failed", task:status())
  end))

  it("says nothing of one that was cancelled (R2)", run(function()
    local task = neap.background(neap.sleep, 100)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
  end))
end)

describe("a task", function()
  it("goes through its states (T2)", run(function()
    local inside
    local event = neap.event()
    local task
    task = neap.spawn(function()
      inside = task:status()
      event:wait()
    end)
    assert.are.equal("new", task:status())
    neap.checkpoint()
    assert.are.equal("running", inside)
    assert.are.equal("waiting", task:status())
    event:set()
    assert.are.equal("ready", task:status())
    task:await()
    assert.are.equal("done", task:status())
  end))

  it("is failed, or cancelled, at the end (T2)", run(function(reports)
    local bad = neap.background(error, "x")
    bad:join()
    assert.are.equal("failed", bad:status())
    reports:take "background"
    local late = neap.spawn(neap.sleep, 1)
    late:cancel()
    late:join()
    assert.are.equal("cancelled", late:status())
    local deaf = neap.spawn(function() pcall(neap.sleep, 1) end)
    deaf:cancel()
    deaf:join()
    assert.are.equal("done", deaf:status())
  end))

  it("has a name: where its function stands, or the one assigned (T13)", run(function()
    local task = neap.spawn(function() return neap.current().name end)
    assert.is_truthy(task.name:find("spawn_spec.lua:%d+$"), task.name)
    task.name = "worker 1"
    assert.are.equal("worker 1", task.name)
    assert.are.equal("worker 1", task:await())
    task.name = "later"
    assert.are.equal("later", task.name)
    task.name = nil
    assert.is_truthy(task.name:find("spawn_spec.lua", 1, true))
    assert.is_false((pcall(function() task.name = 5 end)))
    assert.is_false((pcall(function() task.color = "red" end)))
    assert.is_nil(task.color)
    assert.are.equal("string", type(neap.spawn(neap.checkpoint).name))
  end))

  it("prints itself with its name and state (T13)", run(function()
    local task = neap.spawn(function() end)
    task.name = "printer"
    assert.is_truthy(tostring(task):find("printer", 1, true))
    assert.is_truthy(tostring(task):find("new", 1, true))
  end))

  it("shows where it waits (T14)", run(function()
    local function waits_here() neap.sleep(10) end
    local task = neap.spawn(function() waits_here() end)
    neap.checkpoint()
    assert.is_truthy(task:traceback():find("waits_here", 1, true), task:traceback())
  end))

  it("shows where it failed, whatever it raised (T14)", run(function(reports)
    local function fails_here(value) error(value, 0) end
    for _, value in ipairs { "text", { kind = "x" }, {}, 42, neap.fault.new { kind = "io" } } do
      local task = neap.background(function() fails_here(value) end)
      task:join()
      assert.is_truthy(task:traceback():find("fails_here", 1, true), task:traceback())
      local info = reports:take "background"
      assert.is_truthy(info.traceback:find("fails_here", 1, true), info.traceback)
    end
  end))

  it("keeps the trace of its own failure when others fail alike (T14)", run(function(reports)
    local function first_place() error("same text", 0) end
    local function second_place() error("same text", 0) end
    local a = neap.background(function() first_place() end)
    local b = neap.background(function() second_place() end)
    a:join()
    b:join()
    assert.is_truthy(a:traceback():find("first_place", 1, true), a:traceback())
    assert.is_truthy(b:traceback():find("second_place", 1, true), b:traceback())
    reports:take "background"
    reports:take "background"
  end))

  it("has no trace when it is done (T14)", run(function()
    local task = neap.spawn(function() end)
    task:await()
    assert.is_nil(task:traceback())
  end))

  it("is no other object's method's argument", run(function()
    local task = neap.current()
    for _, name in ipairs { "await", "join", "outcome", "cancel", "status", "traceback" } do
      for _, bad in ipairs { 1, "x", {}, neap.event(), io.stdout, print } do
        assert.is_false((pcall(task[name], bad)), name)
      end
      assert.is_false((pcall(task[name])), name)
    end
  end))
end)
