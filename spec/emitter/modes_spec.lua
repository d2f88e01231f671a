local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("emitter:emit_serial", function()
  it("runs the listeners one after the other, in order (M12)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    for i = 1, 3 do
      em:on("x", function(v)
        note("begin " .. i .. v)
        if i ~= 2 then neap.sleep(4 - i) end
        note("end " .. i)
      end)
    end
    assert.are.equal(3, em:emit_serial("x", "v"))
    assert.are.same({ "begin 1v", "end 1", "begin 2v", "end 2", "begin 3v", "end 3" }, got)
    assert.are.equal(0, em:emit_serial "nobody")
  end))

  it("ends with the first that fails, waiting or not (M12)", run(function(reports)
    for _, mode in ipairs { "raise", "collect", "report" } do
      for _, pause in ipairs { false, true } do
        local em = neap.emitter { errors = mode }
        local last = false
        em:on("x", function() end)
        em:on("x", function()
          if pause then neap.sleep(1) end
          error { kind = "bad" }
        end)
        em:on("x", function() last = true end)
        if mode == "raise" then
          raises("bad", em.emit_serial, em, "x")
        else
          local n, outcomes = em:emit_serial "x"
          assert.are.equal(2, n)
          if mode == "collect" then
            assert.are.equal(2, outcomes.n)
            assert.are.equal("bad", outcomes[2].err.kind)
          else
            assert.are.equal("bad", reports:take "listener".error.kind)
          end
        end
        assert.is_false(last)
      end
    end
  end))

  it("cancelled, starts no other listener (M12, M6)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function()
      local _ <close> = neap.defer(function() note "cleaned" end)
      neap.sleep(10)
    end)
    em:on("x", function() note "second" end)
    assert.is_false(neap.move_on_after(1, em.emit_serial, em, "x"))
    assert.are.same({ "cleaned" }, got)
  end))

  it("does not start what was removed meanwhile (M12, M3)", run(function()
    local em = neap.emitter()
    local called = false
    local second
    em:on("x", function()
      neap.sleep(1)
      second:off()
    end)
    second = em:on("x", function() called = true end)
    assert.are.equal(1, em:emit_serial "x")
    assert.is_false(called)
  end))

  it("a listener that cancels itself does not stop the others (M12)", run(function()
    local em = neap.emitter()
    local called = false
    em:on("x", function()
      neap.current():cancel()
      neap.checkpoint()
    end)
    em:on("x", function() called = true end)
    assert.are.equal(2, em:emit_serial "x")
    assert.is_true(called)
  end))
end)

describe("the option concurrency of an emitter", function()
  it("lets so many listeners of one emit run at once, in order (M20)", run(function()
    local em = neap.emitter { concurrency = 2 }
    local now, most, order = 0, 0, {}
    for i = 1, 5 do
      em:on("x", function()
        order[#order + 1] = i
        now = now + 1
        most = math.max(most, now)
        neap.sleep(1)
        now = now - 1
      end)
    end
    local t = neap.now()
    assert.are.equal(5, em:emit "x")
    assert.are.same({ 1, 2, 3, 4, 5 }, order)
    assert.are.equal(2, most)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("runs all of them though one fails, and loses no failure (M20, M5)", run(function(reports)
    local em = neap.emitter { concurrency = 1 }
    em:on("x", function() error { kind = "first" } end)
    em:on("x", function()
      neap.sleep(1)
      error { kind = "second" }
    end)
    local called
    em:on("x", function() called = true end)
    raises("first", em.emit, em, "x")
    assert.is_true(called)
    assert.are.equal("second", reports:take "secondary".error.kind)
  end))

  it("lets a listener emit (M20)", run(function()
    local em = neap.emitter { concurrency = 1 }
    em:on("x", function(n)
      neap.sleep(1)
      if n > 0 then em:emit("x", n - 1) end
    end)
    em:emit("x", 20)
    for _, bad in ipairs { 0, -1, 1.5, "x", 0 / 0 } do
      raises("invalid", neap.emitter, { concurrency = bad })
    end
    assert.are.equal(0, neap.emitter { concurrency = math.huge }:emit "x")
  end))
end)

describe("emitter:emit_sync", function()
  it("calls the listeners in the caller, in order (M13)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    local me = neap.current()
    em:on("x", function(...)
      assert.are.equal(me, neap.current())
      note(table.concat({ "a", ... }, " "))
    end)
    em:on("x", function() note "b" end, { priority = 1 })
    em:once("x", function() note "once" end)
    assert.are.equal(3, em:emit_sync("x", 1, 2))
    assert.are.equal(2, em:emit_sync "x")
    assert.are.same({ "b", "a 1 2", "once", "b", "a" }, got)
    assert.are.equal(0, em:emit_sync "nobody")
  end))

  it("works outside of any run (M13)", function()
    local em = neap.emitter()
    local sum = 0
    em:on("x", function(n) sum = sum + n end)
    assert.are.equal(1, em:emit_sync("x", 5))
    assert.are.equal(5, sum)
    em:on("x", function() error "text" end)
    local ok, err = pcall(em.emit_sync, em, "x", 1)
    assert.is_false(ok)
    assert.is_truthy(err:find("text", 1, true))
    em:on("y", function() neap.sleep(1) end)
    assert.is_truthy(raises("not_in_task", em.emit_sync, em, "y").message:find("modes_spec", 1, true))
  end)

  it("refuses a wait, and names the listener and the event (M13)", run(function()
    local em = neap.emitter()
    local line
    em:on("paid", function()
      line = debug.getinfo(1, "S").linedefined
      local function deeper() neap.sleep(1) end
      deeper()
      error "not reached"
    end)
    local err = raises("not_in_task", em.emit_sync, em, "paid")
    assert.is_truthy(err.message:find("modes_spec.lua:" .. line, 1, true), err.message)
    assert.is_truthy(err.message:find("'paid'", 1, true))
    assert.is_truthy(err.message:find("neap.sleep", 1, true))
    neap.sleep(1) -- and after that the task may wait
  end))

  it("deals with failures as emit does (M13, M5)", run(function(reports)
    local em = neap.emitter()
    local called
    em:on("x", function() error { kind = "first" } end)
    em:on("x", function() error { kind = "second" } end)
    em:on("x", function() called = true end)
    local err = raises("first", em.emit_sync, em, "x")
    assert.is_true(called)
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    reports:take "secondary"

    em = neap.emitter { errors = "collect" }
    em:on("x", function() return 1, 2 end)
    em:on("x", function() error("bad", 0) end)
    local n, outcomes = em:emit_sync "x"
    assert.are.equal(2, n)
    assert.are.same({ n = 2, { ok = true, value = 1 }, { ok = false, err = "bad" } }, outcomes)

    em = neap.emitter { errors = "report" }
    em:on("x", function() error("bad", 0) end)
    assert.are.equal(1, em:emit_sync "x")
    assert.are.equal("bad", reports:take "listener".error)
  end))

  it("serves those who wait for the event (M13, M7)", run(function()
    local em = neap.emitter()
    local task = neap.spawn(em.wait_for, em, "x")
    neap.checkpoint()
    em:emit_sync("x", "v")
    assert.are.equal("v", task:await())
  end))
end)

describe("emitter:emit_soon", function()
  it("returns at once, and begins in order (M14)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", note)
    for i = 1, 5 do assert.are.equal(0, select("#", em:emit_soon("x", i))) end
    assert.are.same({}, got)
    assert.is_true(em:drain())
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
  end))

  it("does not make one event wait for another (M14)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function(s)
      neap.sleep(s)
      note(s)
    end)
    em:emit_soon("x", 3)
    em:emit_soon("x", 1)
    em:drain()
    assert.are.same({ 1, 3 }, got)
  end))

  it("passes nils, and hears those who listen when it begins (M14)", run(function()
    local em = neap.emitter()
    em:emit_soon("x", nil, 2, nil)
    local got
    em:on("x", function(...) got = table.pack(...) end)
    em:drain()
    assert.are.same({ n = 3, nil, 2, nil }, got)
  end))

  it("reports failures, whatever the emitter does with others (M14)", run(function(reports)
    for _, mode in ipairs { "raise", "collect", "report" } do
      local em = neap.emitter { errors = mode }
      em:on("x", function() error("bad", 0) end)
      em:emit_soon "x"
      em:drain()
      assert.are.equal("bad", reports:take "listener".error)
    end
  end))

  it("is bounded: it refuses, or drops what has not begun (M14)", run(function()
    local em = neap.emitter { backlog = 2 }
    local got, note = journal()
    em:on("x", note)
    em:emit_soon("x", 1)
    em:emit_soon("x", 2)
    raises("bulkhead_full", em.emit_soon, em, "x", 3)
    em:drain()
    assert.are.same({ 1, 2 }, got)
    em:emit_soon("x", 4)
    em:drain()

    em = neap.emitter { backlog = 2, overflow = "drop_oldest" }
    got, note = journal()
    em:on("x", note)
    for i = 1, 5 do em:emit_soon("x", i) end
    em:drain()
    assert.are.same({ 4, 5 }, got)
    em:on("y", neap.sleep)
    em:emit_soon("y", 1)
    em:emit_soon("y", 1)
    neap.checkpoint()
    raises("bulkhead_full", em.emit_soon, em, "y", 1) -- both have begun
    em:drain()
    for _, bad in ipairs { 0, 1.5, "x" } do raises("invalid", neap.emitter, { backlog = bad }) end
    raises("invalid", neap.emitter, { overflow = "block" })
  end))

  it("is drained at the end of the run, and begins anew in the next (M14, R3)", function()
    local em = neap.emitter { backlog = 1 }
    local got, note = journal()
    em:on("x", function(v)
      neap.sleep(1)
      note(v)
    end)
    for i = 1, 2 do neap.run({ clock = "virtual" }, function() em:emit_soon("x", i) end) end
    assert.are.same({ 1, 2 }, got)
    raises("not_in_task", em.emit_soon, em, "x")
    em:on("stuck", function() neap.sleep(100) end)
    neap.run({ clock = "virtual", on_error = function() end, grace = 1, kill_after = 1 },
      function() em:emit_soon "stuck" end)
    neap.run({ clock = "virtual" }, function()
      assert.is_true(em:drain())
      em:emit_soon("x", 3)
    end)
    assert.are.same({ 1, 2, 3 }, got)
  end)

  it("refuses what emit refuses (M14)", run(function()
    local em = neap.emitter { wildcard = true }
    assert.is_false((pcall(em.emit_soon, em)))
    assert.is_false((pcall(em.emit_soon, em, 0 / 0)))
    assert.is_false((pcall(em.emit_soon, {}, "x")))
    raises("invalid", em.emit_soon, em, "a.*")
    em:emit_soon "x"
    em:close()
    raises("closed", em.emit_soon, em, "x")
    assert.is_true(em:drain())
  end))
end)

describe("emitter:drain", function()
  it("waits until no listener runs (M19)", run(function()
    local em = neap.emitter()
    assert.is_true(em:drain())
    local ended = 0
    em:on("x", function()
      neap.sleep(2)
      ended = ended + 1
    end)
    for _ = 1, 3 do neap.spawn(em.emit, em, "x") end
    neap.spawn(em.emit_serial, em, "x")
    neap.checkpoint()
    assert.is_true(em:drain())
    assert.are.equal(4, ended)
  end))

  it("returns false when the time was up (M19)", run(function()
    local em = neap.emitter()
    em:on("x", neap.sleep)
    em:emit_soon("x", 5)
    neap.checkpoint()
    assert.is_false(em:drain { timeout = 1 })
    assert.is_false(em:drain { timeout = 0 })
    assert.is_true(em:drain { timeout = 10 })
    raises("invalid", em.drain, em, { timeout = -1 })
    raises("invalid", em.drain, em, { time = 1 })
  end))

  it("inside a listener of that emitter would wait for itself (M19)", run(function()
    local em, other = neap.emitter(), neap.emitter()
    em:on("x", function() em:drain() end)
    em:on("y", function() other:emit "y" end)
    other:on("y", function()
      neap.spawn(function() raises("deadlock", em.drain, em) end)
    end)
    raises("deadlock", em.emit, em, "x")
    em:emit "y"
    em:on("z", function() other:drain() end)
    assert.are.equal(1, em:emit "z")
  end))

  it("may be cancelled (M19, W5)", run(function()
    local em = neap.emitter()
    em:on("x", neap.sleep)
    em:emit_soon("x", 5)
    neap.checkpoint()
    assert.is_false(neap.move_on_after(1, em.drain, em))
    assert.is_true(em:drain())
  end))
end)
