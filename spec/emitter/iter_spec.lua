local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("emitter:iter", function()
  it("gives the arguments of each event, and ends with the emitter (M18, M10)", run(function()
    local em = neap.emitter()
    neap.spawn(function()
      for i = 1, 3 do assert.are.equal(0, em:emit("x", i, i * i)) end
      em:emit("y", 5)
      em:close()
    end)
    local got = {}
    for i, square in em:iter "x" do got[#got + 1] = { i, square } end
    assert.are.same({ { 1, 1 }, { 2, 4 }, { 3, 9 } }, got)
    raises("closed", em.iter, em, "x")
  end))

  it("gives false for a first argument that is not there, or nil (M18, I2)", run(function()
    local em = neap.emitter()
    local events = em:iter "x"
    em:emit "x"
    em:emit("x", nil, 2, nil)
    em:emit("x", false)
    assert.are.same({ n = 1, false }, table.pack(events()))
    assert.are.same({ n = 3, false, 2, nil }, table.pack(events()))
    assert.are.same({ n = 1, false }, table.pack(events()))
  end))

  it("hears the events since it was made, not counted as a listener (M18)", run(function()
    local em = neap.emitter()
    em:emit("x", 1)
    local events <close> = em:iter "x"
    assert.are.equal(0, em:emit("x", 2))
    assert.are.equal(0, em:count())
    assert.are.equal(0, em:off_all())
    assert.are.equal(0, em:off_all "x")
    assert.are.same({}, em:listeners "x")
    em:emit("x", 3)
    assert.are.equal(2, events())
    assert.are.equal(3, events())
    assert.are.equal(0, em:emit_sync("x", 4))
    assert.are.equal(4, events())
  end))

  it("left by break listens no more when its scope ends, if not before (M18, I4)", run(function()
    local em = neap.emitter()
    local captured = {}
    neap.spawn(function() for i = 1, 5 do em:emit("x", i) end end)
    neap.scope(function()
      for v in em:iter("x", { buffer = 1 }) do
        captured[#captured + 1] = function() return v end -- the shape that breaks 5.4.4
        if v == 2 then break end
      end
    end)
    assert.are.equal(2, #captured)
    neap.timeout(10, em.emit, em, "x", 6) -- nobody holds it up
    neap.timeout(10, em.emit, em, "x", 7)
  end))

  it("closed listens no more, and lets go who was held up (M18)", run(function()
    local em = neap.emitter()
    local events = em:iter("x", { buffer = 1 })
    local done
    local task = neap.spawn(function()
      for i = 1, 3 do em:emit("x", i) end
      done = true
    end)
    neap.sleep(1)
    assert.is_nil(done)
    events:close()
    events:close()
    task:await()
    assert.is_true(done)
    assert.is_nil(events())
    assert.is_nil(events:next())
  end))

  it("forgotten is closed by the collector (M18, I6)", run(function()
    local em = neap.emitter()
    neap.spawn(function() em:iter("x", { buffer = 1 }) end):await()
    local function make() em:iter("x", { buffer = 1 }) end
    make()
    collectgarbage()
    collectgarbage()
    neap.timeout(10, function() for i = 1, 5 do em:emit("x", i) end end)
  end))

  it("is closed when the loop's body fails, or is cancelled (M18)", run(function()
    local em = neap.emitter()
    local function loop(body)
      neap.spawn(em.emit, em, "x", 1)
      for _ in em:iter("x", { buffer = 1 }) do body() end
    end
    raises("bad", neap.scope, function() loop(function() error { kind = "bad" } end) end)
    neap.timeout(10, function() for i = 1, 5 do em:emit("x", i) end end)
    assert.is_false(neap.move_on_after(1, loop, function() neap.sleep(5) end))
    neap.timeout(10, function() for i = 1, 5 do em:emit("x", i) end end)
  end))

  it("with overflow=\"block\" the emit waits, and the order stays (M18)", run({ order = true }, function()
    local em = neap.emitter()
    local got, note = journal()
    local events = em:iter("x", { buffer = 2 })
    local task = neap.spawn(function()
      for i = 1, 5 do
        em:emit("x", i)
        note("emitted " .. i)
      end
    end)
    neap.sleep(1)
    assert.are.same({ "emitted 1", "emitted 2" }, got)
    for i = 1, 5 do assert.are.equal(i, events()) end
    task:await()
    assert.are.equal(5, #got)
  end))

  it("with overflow=\"drop_oldest\" the latest are kept (M18)", run(function()
    local em = neap.emitter()
    local events = em:iter("x", { buffer = 2, overflow = "drop_oldest" })
    for i = 1, 5 do em:emit("x", i) end
    assert.are.equal(4, events())
    assert.are.equal(5, events())
  end))

  it("with overflow=\"error\" it ends with broken, after what it has (M18)", run(function()
    local em = neap.emitter()
    local events = em:iter("x", { buffer = 2, overflow = "error" })
    for i = 1, 5 do assert.are.equal(0, em:emit("x", i)) end
    assert.are.equal(1, events())
    assert.are.equal(2, events())
    raises("broken", events)
  end))

  it("the emitter closed gives what is in the buffer, and ends (M18, M10)", run(function()
    local em = neap.emitter()
    local events = em:iter "x"
    local held = em:iter("x", { buffer = 1 })
    em:emit("x", 1)
    local task = neap.spawn(em.emit, em, "x", 2)
    neap.checkpoint()
    em:close()
    task:await()
    assert.are.equal(1, events())
    assert.are.equal(2, events())
    assert.is_nil(events())
    assert.is_nil(events())
    assert.are.equal(1, held())
    assert.is_nil(held())
  end))

  it("a cancelled emit that was held up does its cancellation (M18, M6)", run(function()
    local em = neap.emitter()
    local events = em:iter("x", { buffer = 1 })
    em:emit("x", 1)
    assert.is_false(neap.move_on_after(1, em.emit, em, "x", 2))
    assert.are.equal(1, events())
    em:emit("x", 3)
    assert.are.equal(3, events())
  end))

  it("of a pattern, with the name (M18, M16)", run(function()
    local em = neap.emitter { wildcard = true }
    local events = em:iter("a.*", { named = true })
    em:emit("a.b", 1)
    em:emit("b.b", 1)
    em:emit "a.c"
    assert.are.same({ "a.b", 1 }, { events() })
    assert.are.same({ "a.c" }, { events() })
  end))

  it("passes through a pipeline (M18, I10)", run(function()
    local em = neap.emitter()
    neap.spawn(function()
      for i = 1, 10 do em:emit("x", i) end
    end)
    local list = neap.iter(em:iter("x", { buffer = 1 })):map(function(v) return v * 2 end):take(3):totable()
    assert.are.equal(2, list[1])
    assert.are.equal(6, list[3])
    neap.timeout(10, em.emit, em, "x", 11)
  end))

  it("refuses wrong arguments", run(function()
    local em = neap.emitter()
    for _, opts in ipairs { { buffer = 0 }, { buffer = 1.5 }, { buffer = "x" }, { overflow = "x" },
      { named = 1 }, { bufer = 1 } } do
      raises("invalid", em.iter, em, "x", opts)
    end
    raises("invalid", em.iter, em, "x", 5)
    assert.is_false((pcall(em.iter, em)))
    assert.is_false((pcall(em.iter, em, 0 / 0)))
    assert.is_false((pcall(em.iter, {}, "x")))
  end))
end)
