local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.hooks", function()
  it("is told of a task's birth, steps, waits and end, in order (R15)", run({ order = true }, function()
    local list, note = journal()
    local function name(task) return task.name end
    local hooks <close> = neap.hooks {
      on_spawn = function(task) note("spawn " .. task:status()) end,
      on_step = function(task) note("step " .. name(task)) end,
      on_wait = function(task, what) note("wait " .. name(task) .. " " .. tostring(what)) end,
      on_done = function(task, status) note("done " .. name(task) .. " " .. status) end,
    }
    neap.current().name = "main"
    neap.checkpoint() -- the step in which they are installed is not seen
    local task = neap.spawn(function()
      neap.sleep(1)
      neap.checkpoint()
    end)
    task.name = "child"
    task:await()
    hooks:close()
    neap.sleep(1)
    assert.are.same({
      "step main", "spawn new", "wait main task:await", "step child", "wait child neap.sleep",
      "step child", "wait child nil", "step child", "done child done", "step main",
    }, list)
  end))

  it("tells how a task has ended (R15)", run(function(reports)
    local ends = {}
    local _ <close> = neap.hooks {
      on_done = function(task, status) ends[task.name] = status end,
    }
    neap.settle {
      function()
        neap.current().name = "fails"
        error "x"
      end,
      function()
        local task = neap.current()
        task.name = "is cancelled"
        task:cancel()
        neap.checkpoint()
      end,
    }
    assert.are.same({ fails = "failed", ["is cancelled"] = "cancelled" }, ends)
    assert.are.equal(0, #reports)
  end))

  it("hears of tasks that are given up (R15)", function()
    local ends = {}
    local _ <close> = neap.hooks {
      on_done = function(task, status) ends[task.name] = status end,
    }
    pcall(neap.run, { clock = "virtual", on_error = function() end, kill_after = 1 }, function()
      local task = neap.background(function()
        while true do pcall(neap.sleep, 1000) end
      end)
      task.name = "stubborn"
      neap.sleep(1)
    end)
    assert.are.equal("cancelled", ends.stubborn)
  end)

  it("hears of the listeners that emit begins at once (R15)", run(function()
    local steps = 0
    local em = neap.emitter()
    em:on("x", function() neap.sleep(1) end)
    local hooks <close> = neap.hooks { on_step = function() steps = steps + 1 end }
    em:emit("x")
    hooks:close()
    assert.are.equal(3, steps) -- the listener twice, and who emits
  end))

  it("may be several, and each can be closed (R15)", run(function()
    local a, b = 0, 0
    local first = neap.hooks { on_spawn = function() a = a + 1 end }
    local second = neap.hooks { on_spawn = function() b = b + 1 end }
    neap.spawn(function() end)
    first:close()
    first:close()
    neap.spawn(function() end)
    second:close()
    neap.spawn(function() end)
    assert.are.same({ 1, 2 }, { a, b })
  end))

  it("that fails is reported, and the task goes on (R15)", run(function(reports)
    local hooks <close> = neap.hooks { on_spawn = function() error "no" end }
    local other <close> = neap.hooks { on_spawn = function() end }
    assert.are.equal(5, neap.spawn(function() return 5 end):await())
    other:close()
    assert.are.equal(6, neap.spawn(function() return 6 end):await())
    hooks:close()
    assert.is_truthy(reports:take("listener").error:find "no")
    assert.is_truthy(reports:take("listener").error:find "no")
  end))

  it("cannot wait (R15)", run(function(reports)
    local hooks <close> = neap.hooks { on_spawn = function() neap.sleep(1) end }
    neap.spawn(function() end)
    hooks:close()
    assert.are.equal("not_in_task", reports:take("listener").error.kind)
  end))

  it("is not told of what a hook does itself (R15)", run(function()
    local n = 0
    local hooks <close> = neap.hooks {
      on_spawn = function()
        n = n + 1
        if neap.current() then neap.spawn(function() end) end
      end,
    }
    neap.spawn(function() end)
    hooks:close()
    assert.are.equal(1, n)
  end))

  it("outlives a run (R15)", function()
    local n = 0
    local _ <close> = neap.hooks { on_done = function() n = n + 1 end }
    neap.run(function() end)
    local once = n
    neap.run(function() end)
    assert.is_true(once > 0)
    assert.are.equal(2 * once, n)
  end)

  it("wants functions, under names that it knows (R15)", function()
    local err = raises("invalid", neap.hooks, { on_wake = print })
    assert.is_truthy(err.message:find("unknown option 'on_wake'", 1, true))
    raises("invalid", neap.hooks, { on_step = 1 })
    raises("invalid", neap.hooks, {})
    assert.is_truthy(raises(nil, neap.hooks, print):find "table of functions")
  end)
end)
