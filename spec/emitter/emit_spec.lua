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
    assert.is_truthy(info.task.name:find("emit_spec", 1, true))
    assert.is_truthy(info.traceback:find("emit_spec", 1, true))
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

describe("a listener seen by others", function()
  it("stands in the dump below its emit, waiting or not (R10)", run(function()
    local em = neap.emitter()
    local dumps = {}
    em:on("x", function()
      dumps[#dumps + 1] = neap.dump()
      neap.sleep(1)
      dumps[#dumps + 1] = neap.dump()
    end)
    em:emit "x"
    for i = 1, 2 do
      assert.is_truthy(dumps[i]:find("emit_spec.lua", 1, true), dumps[i])
      assert.is_truthy(dumps[i]:find("emit", 1, true))
    end
    assert.are.equal(nil, neap.dump():find("emit_spec.lua:%d+.*sleep"))
  end))

  it("has its function's name, whenever it is asked for (T1)", run(function()
    local em = neap.emitter()
    local names = {}
    local function tail() return names end
    local line = debug.getinfo(1, "l").currentline + 1
    em:on("x", function() names[#names + 1] = neap.current().name end)
    em:on("x", function()
      local function deep(n) if n == 0 then return neap.current().name end return (deep(n - 1)) end
      names[#names + 1] = deep(150)
      return tail()
    end)
    em:emit "x"
    em:emit "x"
    assert.is_truthy(names[1]:find("emit_spec.lua:" .. line, 1, true))
    assert.is_truthy(names[2]:find("emit_spec.lua:" .. line + 1, 1, true))
    assert.are.equal(names[1], names[3])
  end))

  it("is a task of its own in each call (M1)", run(function()
    local em = neap.emitter()
    local seen = {}
    local caller = neap.current()
    em:on("x", function(keep)
      local me = neap.current()
      assert.are_not.equal(caller, me)
      assert.are.equal("running", me:status())
      if keep then
        for _, other in ipairs(seen) do assert.are_not.equal(other, me) end
        seen[#seen + 1] = me
      end
      return #seen
    end)
    em:on("x", function() end)
    for i = 1, 6 do em:emit("x", i % 2 == 0) end
    assert.are.equal(3, #seen)
    for i, task in ipairs(seen) do
      assert.are.equal("done", task:status())
      assert.are.equal(i, task:await())
    end
  end))

  it("gives back locks, tells of them, and owns what it spawns (P3, T4)", run(function(reports)
    local em, lock = neap.emitter(), neap.lock()
    em:on("x", function() lock:acquire() end)
    em:emit "x"
    reports:take "lock"
    local child
    em:on("y", function() child = neap.spawn(neap.sleep, 5) end)
    em:emit "y"
    assert.are.equal("done", child:status())
    em:on("z", function() neap.spawn(error, { kind = "child" }) end)
    raises("child", em.emit, em, "z")
  end))

  it("has the task-locals of its emitter, and keeps its own (L1)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function()
      note(neap.ctx.get "k")
      neap.ctx.set("k", "changed")
    end)
    neap.ctx.set("k", 1)
    em:emit "x"
    neap.ctx.set("k", 2)
    em:emit "x"
    assert.are.same({ 1, 2 }, got)
    assert.are.equal(2, neap.ctx.get "k")
  end))

  it("that cancels the emit: the others are cancelled at their first wait (M6)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    neap.scope(function(s)
      em:on("x", function() s:cancel() end)
      em:on("x", function()
        note "second"
        neap.checkpoint()
        note "not reached"
      end)
      em:emit "x"
      note "not reached"
    end)
    assert.are.same({ "second" }, got)
    em:emit "y"
    neap.checkpoint()
  end))

  it("yields, and closes what it has open when it fails (T2)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function()
      local _ <close> = setmetatable({}, { __close = function() note "closed" end })
      coroutine.yield()
      note "on"
      error { kind = "bad" }
    end)
    raises("bad", em.emit, em, "x")
    em:off_all()
    em:on("x", function()
      local _ <close> = setmetatable({}, { __close = function() note "closed" end })
      error { kind = "bad" }
    end)
    raises("bad", em.emit, em, "x")
    assert.are.same({ "on", "closed", "closed" }, got)
  end))

  it("that overflows its stack is a failure like any other (M5)", run(function()
    local em = neap.emitter()
    local function forever(n) return 1 + forever(n + 1) end
    em:on("x", forever)
    local called
    em:on("x", function() called = true end)
    assert.is_false((pcall(em.emit, em, "x", 1)))
    assert.is_true(called)
    assert.is_false((pcall(em.emit, em, "x", 1)))
  end))
end)
