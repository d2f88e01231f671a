local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function after(seconds, ...)
  local values = table.pack(...)
  return function()
    neap.sleep(seconds)
    return table.unpack(values, 1, values.n)
  end
end

local function fails_after(seconds, kind)
  return function()
    neap.sleep(seconds)
    error { kind = kind }
  end
end

describe("neap.race", function()
  it("returns all values of the first to end (G7)", run(function()
    local t = neap.now()
    assert.are.same({ n = 3, "fast", nil, 3 },
      table.pack(neap.race { after(5, "slow"), after(1, "fast", nil, 3), after(3) }))
    assert.is_true(math.abs(neap.now() - t - 1) < 1e-6)
    assert.are.equal(0, select("#", neap.race { after(1) }))
    assert.are.equal(nil, (neap.race { function() end }))
  end))

  it("raises the error of the first to end, the same object (G7)", run(function()
    local thrown = { kind = "mine" }
    local err = raises("mine", neap.race, {
      after(2, "late"), function()
        neap.sleep(1)
        error(thrown)
      end,
    })
    assert.are.equal(thrown, err)
  end))

  it("cancels the others and waits for their end (G7)", run(function()
    local got, note = journal()
    local t = neap.now()
    assert.are.equal("fast", (neap.race {
      after(1, "fast"),
      function()
        local _ <close> = neap.defer(function()
          neap.sleep(2)
          note "slow has ended"
        end)
        neap.sleep(100)
      end,
    }))
    assert.are.same({ "slow has ended" }, got)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("takes the first in the list of those that need not wait (G7)", run({ order = true }, function()
    assert.are.equal(1, (neap.race { function() return 1 end, function() return 2 end }))
  end))

  it("watches tasks that it is given, and leaves them alone (G7)", run(function()
    local task = neap.spawn(after(3, "task"))
    assert.are.equal("function", (neap.race { task, after(1, "function") }))
    assert.are.equal("waiting", task:status())
    assert.are.equal("task", (neap.race { task, after(9, "function") }))
    assert.are.equal("task", (neap.race { after(9, "function"), task }))
  end))

  it("counts a cancelled task as an outcome (G7)", run(function()
    local task = neap.spawn(neap.sleep, 100)
    task:cancel()
    raises("task_cancelled", neap.race, { task, after(5) })
    raises("task_cancelled", neap.race, {
      function()
        neap.current():cancel()
        neap.checkpoint()
      end,
      after(5),
    })
  end))

  it("waits for what its functions have spawned (G7)", run(function()
    local t = neap.now()
    neap.race { function()
      neap.spawn(neap.sleep, 3)
      return "early"
    end }
    assert.is_true(neap.now() - t >= 3)
    raises("child", neap.race, { function()
      neap.spawn(fails_after(1, "child"))
      return "early"
    end })
  end))

  it("reports a failure that comes too late, and attaches it to an error (G7, E2)", run(function(reports)
    local function bad_cleanup(kind)
      return function()
        local _ <close> = setmetatable({}, { __close = function() error { kind = kind } end })
        neap.sleep(100)
      end
    end
    assert.are.equal("fast", (neap.race { after(1, "fast"), bad_cleanup "late" }))
    assert.are.equal("late", reports:take("secondary").error.kind)
    local err = raises("first", neap.race, { fails_after(1, "first"), bad_cleanup "second" })
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    assert.are.equal("second", reports:take("secondary").error.kind)
  end))

  it("cancelled cancels what it has started, and loses no failure (G6, G7)", run(function(reports)
    local ended = 0
    local task = neap.spawn(neap.race, {
      function()
        local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
        neap.sleep(100)
      end,
      function()
        local _ <close> = setmetatable({}, { __close = function() error { kind = "late" } end })
        neap.sleep(100)
      end,
    })
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal(1, ended)
    assert.are.equal("late", reports:take("secondary").error.kind)
  end))

  it("refuses an empty list, and what is neither function nor task", run(function()
    for _, call in ipairs { neap.race, neap.any } do
      assert.is_false((pcall(call, {})))
      assert.is_false((pcall(call)))
      assert.is_false((pcall(call, { 1 })))
      assert.is_false((pcall(call, { after(1), "x" })))
      raises("deadlock", call, { neap.current() })
    end
  end))
end)

describe("neap.any", function()
  it("returns all values of the first that succeeds (G7)", run(function()
    assert.are.same({ n = 2, "b", nil }, table.pack(neap.any {
      fails_after(1, "a"), after(2, "b", nil), after(3, "c"),
    }))
  end))

  it("cancels the others and waits for their end (G7)", run(function()
    local ended = false
    neap.any {
      after(1), function()
        local _ <close> = neap.defer(function()
          neap.sleep(1)
          ended = true
        end)
        neap.sleep(100)
      end,
    }
    assert.is_true(ended)
  end))

  it("raises a group when all have failed (G7)", run(function()
    local err = raises("group", neap.any, {
      fails_after(3, "a"), fails_after(1, "b"), function() error("text", 0) end,
    })
    assert.are.equal(3, #err.errors)
    assert.are.equal("a", err.errors[1].kind)
    assert.are.equal("b", err.errors[2].kind)
    assert.are.equal("text", err.errors[3])
    assert.is_truthy(err.message:find("text", 1, true))
  end))

  it("keeps quiet about those that failed before (G7)", run(function()
    assert.are.equal(1, (neap.any { fails_after(1, "a"), after(2, 1) }))
  end))

  it("reports those that fail after (G7)", run(function(reports)
    neap.any { after(1), function()
      local _ <close> = setmetatable({}, { __close = function() error { kind = "late" } end })
      neap.sleep(100)
    end }
    assert.are.equal("late", reports:take("secondary").error.kind)
  end))

  it("watches tasks, also such as have ended (G7)", run(function(reports)
    local done = neap.spawn(after(0, "done"))
    local failed = neap.background(fails_after(0, "x"))
    neap.sleep(1)
    assert.are.equal("done", (neap.any { failed, done }))
    local err = raises("group", neap.any, { failed })
    assert.are.equal("x", err.errors[1].kind)
    assert.are.equal("x", reports:take("background").error.kind)
  end))

  it("cancelled reports the failures that it had collected (G6, G7)", run(function(reports)
    local task = neap.spawn(neap.any, { fails_after(0.5, "early"), after(100) })
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("early", reports:take("secondary").error.kind)
  end))
end)
