local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("emitter:emit", function()
  it("calls every listener with the arguments and returns how many (M1)", run(function()
    local em = neap.emitter()
    local seen = {}
    for i = 1, 3 do
      em:on("x", function(...) seen[i] = table.pack(...) end)
    end
    assert.are.equal(3, em:emit("x", 1, nil, "three", nil))
    for i = 1, 3 do assert.are.same({ n = 4, 1, nil, "three", nil }, seen[i]) end
    assert.are.equal(0, em:emit "nobody listens")
    assert.are.equal(3, em:emit "x")
    assert.are.same({ n = 0 }, seen[1])
  end))

  it("runs them at once and waits for all (M1)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    for _, s in ipairs { 3, 1, 2 } do
      em:on("x", function()
        neap.sleep(s)
        note(s)
      end)
    end
    local t = neap.now()
    assert.are.equal(3, em:emit "x")
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
    assert.are.same({ 1, 2, 3 }, got)
  end))

  it("waits for what listeners spawn (M1)", run(function()
    local em = neap.emitter()
    local done
    em:on("x", function()
      neap.spawn(function()
        neap.sleep(5)
        done = true
      end)
    end)
    em:emit "x"
    assert.is_true(done)
  end))

  it("costs no switch for listeners that do not wait (M1)", run({ order = true }, function()
    local em = neap.emitter()
    local called = 0
    for _ = 1, 5 do em:on("x", function() called = called + 1 end) end
    local other = false
    neap.spawn(function() other = true end)
    em:emit "x"
    assert.are.equal(5, called)
    assert.is_false(other)
  end))

  it("passes many arguments (M1)", run(function()
    local em = neap.emitter()
    local n
    em:on("x", function(...) n = select("#", ...) end)
    local list = {}
    for i = 1, 1000 do list[i] = i end
    em:emit("x", table.unpack(list))
    assert.are.equal(1000, n)
  end))

  it("nests, however deep (M1)", run(function()
    local em = neap.emitter()
    local deepest = 0
    em:on("x", function(n)
      deepest = math.max(deepest, n)
      if n < 300 then assert(em:emit("x", n + 1) == 1) end
    end)
    em:emit("x", 1)
    assert.are.equal(300, deepest)
    em:on("y", function(n)
      if n < 100 then
        neap.checkpoint()
        em:emit("y", n + 1)
      end
    end)
    em:emit("y", 1)
  end))

  it("inside deep calls of pcall works or fails as any call (M1)", run(function()
    local em = neap.emitter()
    local called = 0
    em:on("x", function() called = called + 1 end)
    local function deep(n)
      if n == 0 then return em:emit "x" end
      local ok, v = pcall(deep, n - 1)
      if not ok then error(v, 0) end
      return v
    end
    for _, depth in ipairs { 10, 100, 150, 180, 185, 190, 195 } do pcall(deep, depth) end
    assert.is_true(called >= 3)
    assert.are.equal(1, em:emit "x")
  end))

  it("is a checkpoint (W3, C2)", run(function()
    local em = neap.emitter()
    local called = false
    em:on("x", function() called = true end)
    local task = neap.spawn(function()
      neap.current():cancel()
      em:emit "x"
      error "not reached"
    end)
    task:join()
    assert.is_false(called)
    assert.are.equal("cancelled", task:status())
  end))
end)

describe("the order of listeners", function()
  it("is by priority, then by registration; prepend goes first (M2)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    local function n(word) return function() note(word) end end
    em:on("x", n "a")
    em:on("x", n "b")
    em:on("x", n "high", { priority = 10 })
    em:on("x", n "low", { priority = -1 })
    em:on("x", n "c", {})
    em:prepend("x", n "first of 0")
    em:prepend("x", n "first of 10", { priority = 10 })
    em:prepend("x", n "huge", { priority = math.huge })
    em:on("x", n "half", { priority = 0.5 })
    em:emit "x"
    assert.are.same({ "huge", "first of 10", "high", "half", "first of 0", "a", "b", "c", "low" }, got)
  end))

  it("the same function twice is two listeners (M2)", run(function()
    local em = neap.emitter()
    local n = 0
    local function f() n = n + 1 end
    em:on("x", f)
    em:on("x", f)
    assert.are.equal(2, em:emit "x")
    assert.are.equal(2, n)
    assert.are.equal(2, em:off("x", f))
    assert.are.equal(0, em:emit "x")
  end))
end)

describe("a change during an emit", function()
  it("removed and not yet started: not called (M3)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    local b
    em:on("x", function()
      note "a"
      b:off()
    end)
    b = em:on("x", function() note "b" end)
    em:on("x", function() note "c" end)
    assert.are.equal(2, em:emit "x")
    assert.are.same({ "a", "c" }, got)
  end))

  it("removed by off_all, off(name, fn), <close>, close: likewise (M3)", run(function()
    for _, how in ipairs {
      function(em) em:off_all "x" end,
      function(em) em:off_all() end,
      function(em, fn) em:off("x", fn) end,
      function(_, _, handle)
        local _ <close> = handle
      end,
    } do
      local em = neap.emitter()
      local called = false
      local handle
      local function second() called = true end
      em:on("x", function() how(em, second, handle) end)
      handle = em:on("x", second)
      assert.are.equal(1, em:emit "x")
      assert.is_false(called)
    end
  end))

  it("added: called by the next emit only (M3)", run(function()
    local em = neap.emitter()
    local n = 0
    em:on("x", function() em:on("x", function() n = n + 1 end) end)
    assert.are.equal(1, em:emit "x")
    assert.are.equal(0, n)
    assert.are.equal(2, em:emit "x")
    assert.are.equal(1, n)
  end))

  it("removed while it runs: it runs on (M3)", run(function()
    local em = neap.emitter()
    local done
    local handle
    handle = em:on("x", function()
      neap.sleep(1)
      done = true
    end)
    neap.spawn(function() handle:off() end)
    em:emit "x"
    assert.is_true(done)
    assert.are.equal(0, em:count "x")
  end))

  it("a listener that removes itself (M3)", run(function()
    local em = neap.emitter()
    local n = 0
    local handle
    handle = em:on("x", function()
      n = n + 1
      assert.is_true(handle:off())
      assert.is_false(handle:off())
    end)
    em:emit "x"
    em:emit "x"
    assert.are.equal(1, n)
  end))
end)

describe("once and many", function()
  it("are removed before the last call (M4)", run(function()
    local em = neap.emitter()
    local n = 0
    em:once("x", function()
      n = n + 1
      assert.are.equal(0, em:count "x")
      em:emit "x" -- does not come back
    end)
    em:emit "x"
    em:emit "x"
    assert.are.equal(1, n)
  end))

  it("run so often in concurrent emits (M4)", run(function()
    local em = neap.emitter()
    local n = 0
    em:many("x", 3, function()
      n = n + 1
      neap.sleep(1)
    end)
    neap.scope(function(s)
      for _ = 1, 10 do s:spawn(em.emit, em, "x") end
    end)
    assert.are.equal(3, n)
    assert.are.equal(0, em:count "x")
  end))

  it("that fail are not put back (M4)", run(function()
    local em = neap.emitter()
    em:once("x", function() error("bad", 0) end)
    assert.are.same({ false, "bad" }, { pcall(em.emit, em, "x") })
    assert.are.equal(0, em:emit "x")
  end))

  it("may be removed before (M4, M8)", run(function()
    local em = neap.emitter()
    local handle = em:once("x", print)
    assert.is_true(handle:off())
    assert.are.equal(0, em:emit "x")
    local function f() end
    em:many("x", 5, f)
    assert.are.equal(1, em:off("x", f))
  end))

  it("refuse wrong numbers (M4)", run(function()
    local em = neap.emitter()
    for _, bad in ipairs { 0, -1, 1.5, "x", {} } do
      assert.is_false((pcall(em.many, em, "x", bad, print)))
    end
    assert.is_false((pcall(em.many, em, "x", 1)))
    assert.are.equal(0, em:count())
  end))
end)

describe("failures of listeners", function()
  it("do no harm to the others; the first is raised (M5)", run(function(reports)
    local em = neap.emitter()
    local got, note = journal()
    local first = { kind = "first" }
    em:on("x", function()
      neap.sleep(2)
      error(first)
    end)
    em:on("x", function()
      neap.sleep(1)
      error { kind = "second" }
    end)
    em:on("x", function()
      neap.sleep(3)
      note "third"
    end)
    local err = raises("first", em.emit, em, "x")
    assert.are.equal(first, err)
    assert.are.same({ "third" }, got)
    local suppressed = neap.suppressed(err)
    assert.are.equal(1, #suppressed)
    assert.are.equal("second", suppressed[1].kind)
    assert.are.equal("second", reports:take "secondary".error.kind)
  end))

  it("without waiting: likewise (M5)", run(function(reports)
    local em = neap.emitter()
    local called
    em:on("x", error)
    em:on("x", function() called = true end)
    em:on("x", error)
    local ok, err = pcall(em.emit, em, "x", "text", 0)
    assert.are.same({ false, "text" }, { ok, err })
    assert.is_true(called)
    assert.are.equal(0, #reports) -- the same text: the same failure
  end))

  it("with errors=\"collect\" the outcomes are returned, in order (M5)", run(function(reports)
    local em = neap.emitter { errors = "collect" }
    em:on("x", function() error("a", 0) end)
    em:on("x", function() return 1, 2 end)
    em:on("x", function()
      neap.sleep(1)
      error { kind = "b" }
    end)
    em:on("x", function()
      neap.current():cancel()
      neap.checkpoint()
    end)
    em:on("x", function() neap.sleep(1) end)
    local n, outcomes = em:emit "x"
    assert.are.equal(5, n)
    assert.are.equal(5, outcomes.n)
    assert.are.same({ ok = false, err = "a" }, outcomes[1])
    assert.are.same({ ok = true, value = 1 }, outcomes[2])
    assert.are.equal("b", outcomes[3].err.kind)
    assert.are.equal("task_cancelled", outcomes[4].err.kind)
    assert.are.same({ ok = true }, outcomes[5])
    assert.are.equal(0, #reports)
    n, outcomes = em:emit "nobody"
    assert.are.same({ 0, { n = 0 } }, { n, outcomes })
  end))

  it("with errors=\"report\" are reported, each with its listener's task (M5, E4)", run(function(reports)
    local em = neap.emitter { errors = "report" }
    em:on("x", function() error("a", 0) end)
    em:on("x", function()
      neap.sleep(1)
      error { kind = "b" }
    end)
    assert.are.equal(2, em:emit "x")
    local info = reports:take "listener"
    assert.are.equal("a", info.error)
    assert.is_truthy(info.task.name:find("emitter_spec", 1, true))
    assert.is_truthy(info.traceback:find("emitter_spec", 1, true))
    assert.are.equal("b", reports:take "listener".error.kind)
  end))

  it("a listener that cancels itself is no failure (M5)", run(function()
    local em = neap.emitter()
    em:on("x", function()
      neap.current():cancel()
      neap.checkpoint()
    end)
    em:on("x", function() neap.move_on_after(1, neap.sleep, 5) end)
    assert.are.equal(2, em:emit "x")
  end))

  it("of nil and false are failures (M5)", run(function()
    local em = neap.emitter()
    em:on("x", function() error() end)
    assert.are.same({ n = 2, false, nil }, table.pack(pcall(em.emit, em, "x")))
  end))

  it("its own timeout is an error of that listener (M5)", run(function()
    local em = neap.emitter()
    local done
    em:on("x", function() neap.timeout(1, neap.sleep, 5) end)
    em:on("x", function()
      neap.sleep(3)
      done = true
    end)
    raises("timeout", em.emit, em, "x")
    assert.is_true(done)
  end))
end)

describe("cancelling an emit", function()
  it("cancels the listeners and waits for them (M6)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function()
      local _ <close> = neap.defer(function()
        neap.sleep(2)
        note "cleaned"
      end)
      neap.sleep(100)
    end)
    local task = neap.spawn(function()
      em:emit "x"
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "cleaned" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("by a timeout raises the timeout (M6, D1)", run(function()
    local em = neap.emitter()
    em:on("x", neap.sleep)
    raises("timeout", neap.timeout, 1, em.emit, em, "x", 100)
    assert.are.equal(1, em:emit("x", 1))
  end))

  it("loses no failure (M6)", run(function(reports)
    local em = neap.emitter()
    em:on("x", function() error("early", 0) end)
    em:on("x", neap.sleep)
    assert.is_false(neap.move_on_after(1, em.emit, em, "x", 100))
    assert.are.equal("early", reports:take "listener".error)
  end))

  it("that has all its listeners done has done its work (M6, W1)", run(function()
    local em = neap.emitter()
    local n = 0
    em:on("x", function() n = n + 1 end)
    local result
    local task = neap.spawn(function()
      result = em:emit "x"
      neap.current():cancel()
      neap.checkpoint()
    end)
    task:join()
    assert.are.same({ 1, 1 }, { n, result })
  end))
end)

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

  it("does not miss an event fired right after it began to wait (M7)", run(function()
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

describe("removal", function()
  it("by handle:off(), once; by <close>; by off(handle) (M8)", run(function()
    local em = neap.emitter()
    local handle = em:on("x", print)
    assert.is_true(handle:off())
    assert.is_false(handle:off())
    do
      local _ <close> = em:on("x", print)
      assert.are.equal(1, em:count "x")
    end
    assert.are.equal(0, em:count "x")
    handle = em:on("x", print)
    assert.are.equal(1, em:off(handle))
    assert.are.equal(0, em:off(handle))
    local other = neap.emitter()
    handle = em:on("x", print)
    assert.are.equal(0, other:off(handle))
    assert.are.equal(1, em:count "x")
  end))

  it("off and off_all say how many (M8)", run(function()
    local em = neap.emitter()
    local function f() end
    local function g() end
    em:on("x", f)
    em:on("x", g)
    em:on("x", f)
    em:on("y", f)
    assert.are.equal(4, em:count())
    assert.are.equal(2, em:off("x", f))
    assert.are.equal(0, em:off("x", f))
    assert.are.equal(0, em:off("nothing", f))
    assert.are.equal(1, em:off_all "x")
    assert.are.equal(0, em:off_all "x")
    em:on("z", f)
    assert.are.equal(2, em:off_all())
    assert.are.equal(0, em:off_all())
    assert.are.equal(0, em:count())
  end))
end)

describe("the leak warning", function()
  it("comes once for an event with more than ten listeners (M9)", run(function(reports)
    local em = neap.emitter()
    for _ = 1, 10 do em:on("x", print) end
    assert.are.equal(0, #reports)
    for _ = 1, 20 do em:on("x", print) end
    local info = reports:take "leak"
    assert.is_truthy(tostring(info.error):find("x", 1, true))
    for _ = 1, 11 do em:on("y", print) end
    reports:take "leak"
  end))

  it("may be set, and turned off (M9)", run(function(reports)
    local em = neap.emitter { max_listeners = 2 }
    for _ = 1, 3 do em:on("x", print) end
    reports:take "leak"
    em = neap.emitter { max_listeners = 0 }
    for _ = 1, 100 do em:on("x", print) end
    em = neap.emitter { max_listeners = math.huge }
    for _ = 1, 100 do em:on("x", print) end
  end))
end)

describe("emitter:close", function()
  it("refuses what comes, and ends those who wait (M10)", run(function()
    local em = neap.emitter()
    local handle = em:on("x", print)
    local task = neap.spawn(function() raises("closed", em.wait_for, em, "x") end)
    neap.checkpoint()
    em:close()
    task:await()
    raises("closed", em.emit, em, "x")
    raises("closed", em.on, em, "x", print)
    raises("closed", em.once, em, "x", print)
    raises("closed", em.wait_for, em, "x")
    assert.are.equal(0, em:count())
    assert.are.equal(0, em:off_all())
    handle:off()
    em:close()
  end))

  it("in a listener lets the emit end (M10)", run(function()
    local em = neap.emitter()
    local done
    em:on("x", function() em:close() end)
    em:on("x", function()
      neap.sleep(1)
      done = true
    end)
    assert.are.equal(2, em:emit "x")
    assert.is_true(done)
  end))
end)

describe("names of events", function()
  it("are any values but nil and NaN (M11)", run(function()
    local em = neap.emitter()
    for _, name in ipairs { "x", 1, 1.5, true, false, {}, print, em, "" } do
      local called = 0
      em:on(name, function() called = called + 1 end)
      assert.are.equal(1, em:emit(name))
      assert.are.equal(1, called)
      assert.are.equal(1, em:count(name))
      em:off_all(name)
    end
    em:on(1, print)
    assert.are.equal(1, em:count(1.0))
    for _, name in ipairs { "on", "once", "emit", "wait_for", "prepend" } do
      assert.is_false((pcall(em[name], em, nil, print)))
      assert.is_false((pcall(em[name], em, 0 / 0, print)))
    end
  end))
end)

describe("neap.emitter", function()
  it("refuses wrong options and arguments", run(function()
    raises("invalid", neap.emitter, { max_listener = 5 })
    raises("invalid", neap.emitter, { max_listeners = -1 })
    raises("invalid", neap.emitter, { max_listeners = "x" })
    raises("invalid", neap.emitter, { errors = "ignore" })
    assert.is_false((pcall(neap.emitter, 5)))
    local em = neap.emitter {}
    for _, name in ipairs { "on", "once", "prepend" } do
      assert.is_false((pcall(em[name], em, "x")))
      assert.is_false((pcall(em[name], em, "x", 5)))
      assert.is_false((pcall(em[name], em, "x", print, 5)))
      raises("invalid", em[name], em, "x", print, { prority = 5 })
      raises("invalid", em[name], em, "x", print, { priority = "x" })
      raises("invalid", em[name], em, "x", print, { priority = 0 / 0 })
      for _, bad in ipairs { 1, {}, "x", neap.queue(1), io.stdout } do
        assert.is_false((pcall(em[name], bad, "x", print)), name)
      end
    end
    for _, name in ipairs { "emit", "off", "off_all", "count", "close", "wait_for", "many" } do
      assert.is_false((pcall(em[name])), name)
      assert.is_false((pcall(em[name], {})), name)
    end
    local handle = em:on("x", print)
    assert.is_false((pcall(handle.off)))
    assert.is_false((pcall(handle.off, em)))
    assert.is_false((pcall(handle.off, {})))
    assert.are.equal(1, em:count())
  end))

  it("registers outside of a run, for all runs (W7)", function()
    local em = neap.emitter()
    local n = 0
    em:on("x", function() n = n + 1 end)
    neap.run(function() em:emit "x" end)
    neap.run(function() em:emit "x" end)
    assert.are.equal(2, n)
    raises("not_in_task", em.emit, em, "x")
  end)

  it("lets listeners go that were removed, and itself", run(function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local em = neap.emitter()
      local function f() return em end
      weak[em], weak[f] = true, true
      em:on("x", f)
      em:on("y", f):off()
      em:emit "x"
    end
    neap.checkpoint()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)
