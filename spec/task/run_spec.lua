local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

describe("neap.run", function()
  it("passes arguments and returns all values, nils among them (R1)", function()
    local values = table.pack(neap.run(function(...) return ... end, 1, nil, "x", nil))
    assert.are.same({ n = 4, 1, nil, "x", nil }, values)
    assert.are.equal(0, select("#", neap.run(function() end)))
    assert.are.same({ n = 1 }, table.pack(neap.run(function() return nil end)))
  end)

  it("takes options first (R1)", function()
    assert.are.same({ 7, 8 }, { neap.run({ clock = "virtual" }, function(a, b)
      neap.sleep(3600)
      return a, b
    end, 7, 8) })
  end)

  it("raises main's error, the same object (R1)", function()
    local thing = {}
    for _, value in ipairs { thing, "text", 42, false, print } do
      local ok, err = pcall(neap.run, error, value, 0)
      assert.is_false(ok)
      assert.are.equal(value, err)
    end
    local ok, err = pcall(neap.run, error)
    assert.is_false(ok)
    assert.is_nil(err)
  end)

  it("waits for what main has started (R1)", function()
    local ended = 0
    run.now({}, function()
      for i = 1, 10 do
        neap.spawn(function()
          neap.sleep(i)
          neap.spawn(function()
            neap.sleep(i)
            ended = ended + 1
          end)
        end)
      end
    end)
    assert.are.equal(10, ended)
  end)

  it("waits for main's children also when main fails (R1)", function()
    local cleaned = false
    local ok, err = pcall(neap.run, { clock = "virtual" }, function()
      neap.spawn(function()
        local _ <close> = neap.defer(function()
          neap.sleep(1)
          cleaned = true
        end)
        neap.sleep(100)
      end)
      neap.checkpoint()
      error("main fails", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("main fails", err)
    assert.is_true(cleaned)
  end)

  it("raises inside a task (R1)", run(function()
    local err = raises(nil, neap.run, function() end)
    assert.is_truthy(err:find("already running", 1, true))
    err = raises(nil, coroutine.wrap(function() neap.run(function() end) end))
    assert.is_truthy(err:find("already running", 1, true))
  end))

  it("raises in on_error and in a finalizer too (R1)", function()
    local refused = 0
    local function try()
      local ok, err = pcall(neap.run, function() end)
      if not ok and err:find("already running", 1, true) then refused = refused + 1 end
    end
    neap.run({ on_error = try }, function()
      neap.background(error, "x")
      neap.checkpoint()
      setmetatable({}, { __gc = try })
      collectgarbage()
    end)
    assert.are.equal(2, refused)
  end)

  it("follows another run in the same state, whatever that one did (R1)", function()
    for i = 1, 50 do
      pcall(neap.run, { clock = i % 2 == 0 and "virtual" or "real", grace = 0, kill_after = 0,
        on_error = function() end }, function()
        neap.background(neap.sleep, 1000)
        neap.spawn(error, "fails")
        neap.event():wait()
      end)
      assert.are.equal(i, neap.run(function()
        neap.sleep(0)
        return i
      end))
      local stats = neap.stats()
      assert.are.same({ 0, 0, 0 }, { stats.tasks, stats.timers, stats.pending })
    end
  end)

  it("runs inside a coroutine of the caller (R1)", function()
    local co = coroutine.wrap(function()
      local v = neap.run(function()
        neap.sleep(0.001)
        return 5
      end)
      coroutine.yield(v)
      return neap.run(function() return 6 end)
    end)
    assert.are.equal(5, co())
    assert.are.equal(6, co())
  end)

  it("raises task_cancelled when main is cancelled (R5)", function()
    local err = raises("task_cancelled", neap.run, function()
      neap.current():cancel "enough"
      neap.checkpoint()
    end)
    assert.is_false(neap.is_cancelled(err))
  end)

  it("returns main's values when main swallowed its cancellation (R5)", function()
    assert.are.equal("anyway", neap.run(function()
      neap.current():cancel()
      pcall(neap.checkpoint)
      return "anyway"
    end))
  end)

  it("takes anything that can be called", function()
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    assert.are.equal(3, neap.run(callable, 3))
    assert.are.equal(4, neap.run({}, callable, 4))
  end)

  for _, bad in ipairs {
    { "an unknown option", { cloc = "virtual" }, "did you mean 'clock'" },
    { "a clock that is none", { clock = "atomic" }, "clock" },
    { "a negative grace", { grace = -1 }, "grace" },
    { "a NaN", { grace = 0 / 0 }, "grace" },
    { "a negative kill_after", { kill_after = -1 }, "kill_after" },
    { "a wrong type", { on_error = 5 }, "on_error" },
    { "signals that are none", { signals = "yes" }, "signals" },
    { "a pcall that is none", { pcall = true }, "pcall" },
    { "a seed that is none", { shuffle = 1.5 }, "shuffle" },
  } do
    it("refuses " .. bad[1], function()
      local ran = false
      local err = raises("invalid", neap.run, bad[2], function() ran = true end)
      assert.is_truthy(tostring(err):find(bad[3], 1, true), tostring(err))
      assert.is_false(ran)
    end)
  end

  it("refuses a main that cannot be called", function()
    for _, bad in ipairs { {}, { {} }, { 5 }, { {}, "x" } } do
      local ok, err = pcall(neap.run, table.unpack(bad))
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("function", 1, true), tostring(err))
    end
    assert.is_false((pcall(neap.run)))
  end)

  it("ends quietly by os.exit in a task", function()
    local shell = require "spec.support.shell"
    for _, close in ipairs { "true", "false" } do
      local status, output = shell.run(shell.lua .. [=[ -e '
        local neap = require "neap"
        neap.run(function()
          local _ <close> = setmetatable({}, { __close = function() end })
          neap.spawn(neap.sleep, 100)
          neap.background(neap.sleep, 100)
          neap.scope(function(s)
            s:spawn(function() neap.queue(1):get() end)
            neap.sleep(0.001)
            os.exit(3, ]=] .. close .. [=[)
          end)
        end)']=])
      assert.are.equal("", output)
      assert.are.equal(3, status)
    end
  end)
end)

describe("neap.now", function()
  it("is monotonic seconds, also outside of a run", function()
    local a = neap.now()
    local b = neap.run(function()
      neap.sleep(0.002)
      return neap.now()
    end)
    assert.is_true(b - a >= 0.002)
    assert.is_true(b - a < 60)
  end)
end)

describe("neap.sleep", function()
  it("sleeps the time given, on the clock of the run (V1)", run(function()
    for _, s in ipairs { 0.001, 1, 2.5, 86400 } do
      local t = neap.now()
      neap.sleep(s)
      local slept = neap.now() - t
      assert.is_true(math.abs(slept - s) < 1e-6, slept)
    end
  end))

  it("returns nothing", run(function()
    assert.are.equal(0, select("#", neap.sleep(0)))
    assert.are.equal(0, select("#", neap.sleep(0.1)))
    assert.are.equal(0, select("#", neap.checkpoint()))
  end))

  it("refuses NaN, negative times and what is no number", run(function()
    for _, bad in ipairs { 0 / 0, -1, -math.huge, "x", {}, true, print } do
      assert.is_false((pcall(neap.sleep, bad)), tostring(bad))
    end
    assert.is_false((pcall(neap.sleep)))
    assert.is_false((pcall(neap.sleep, nil)))
  end))

  it("for ever is interrupted like any other (V2)", run(function()
    assert.is_false(neap.move_on_after(5, neap.sleep, math.huge))
    local task = neap.spawn(neap.sleep, math.huge)
    neap.sleep(1e5)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.is_false(neap.move_on_after(5, neap.sleep, 1e300))
  end))

  it("for longer than the clock lasts is for ever (V2)", function()
    local reached
    raises("deadlock", neap.run, { clock = "virtual" }, function()
      neap.sleep(8e9)
      reached = neap.now()
      neap.sleep(8e9)
    end)
    assert.is_true(reached >= 8e9)
  end)
end)

describe("neap.current", function()
  it("is the running task, and nil outside", run(function()
    local me = neap.current()
    assert.are.equal("running", me:status())
    local child
    child = neap.spawn(function() return neap.current() end)
    assert.are.equal(child, child:await())
    assert.are_not.equal(me, child)
    assert.are.equal(me, coroutine.wrap(function() return neap.current() end)())
  end))

  it("is nil outside of a run", function()
    assert.is_nil(neap.current())
    assert.is_false(neap.cancelled())
    assert.is_nil(neap.deadline())
  end)
end)

describe("neap.version", function()
  it("is a string", function() assert.are.equal("string", type(neap.version)) end)
end)
