local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.scope", function()
  it("passes itself and the arguments, and returns the values (S1)", run(function()
    local values = table.pack(neap.scope(function(s, ...)
      assert.are.equal("userdata", type(s))
      return ...
    end, 1, nil, 3, nil))
    assert.are.same({ n = 4, 1, nil, 3, nil }, values)
    assert.are.equal(0, select("#", neap.scope(function() end)))
  end))

  it("waits for every child, and for children of children (S1)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      s:spawn(function()
        neap.sleep(1)
        s:spawn(function()
          neap.sleep(5)
          note "grandchild"
        end)
        note "child"
      end)
      note "body"
    end)
    note "after"
    assert.are.same({ "body", "child", "grandchild", "after" }, got)
  end))

  it("waits, and does not cancel, when the body returns (S2)", run(function()
    local t = neap.now()
    local task = neap.scope(function(s) return s:spawn(neap.sleep, 7) end)
    assert.are.equal("done", task:status())
    assert.is_true(neap.now() - t >= 7)
  end))

  it("with on_exit=\"cancel\" cancels the children when the body ends (S2)", run(function()
    local err
    local task = neap.scope({ on_exit = "cancel" }, function(s)
      local t = s:spawn(function()
        local ok
        ok, err = pcall(neap.sleep, 100)
        assert(not ok)
        neap.checkpoint()
      end)
      neap.sleep(1)
      return t
    end)
    assert.are.equal("cancelled", task:status())
    assert.are.equal("parent", err.source)
  end))

  it("with on_exit=\"cancel\" lets children live while the body unwinds (S2)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.scope({ on_exit = "cancel" }, function(s)
        s:spawn(function()
          local _ <close> = neap.defer(function() note "service ends" end)
          neap.sleep(1000)
        end)
        local _ <close> = neap.defer(function()
          neap.sleep(2)
          note "body said goodbye"
        end)
        neap.sleep(1000)
      end)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "body said goodbye", "service ends" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("with on_exit=\"cancel\" a failing child still cancels the body (S2, S3)", run(function()
    raises("mine", neap.scope, { on_exit = "cancel" }, function(s)
      s:spawn(error, { kind = "mine" })
      s:spawn(neap.sleep, 100)
      neap.sleep(1000)
    end)
  end))

  it("a child's error cancels body and siblings, waits, and is raised (S3)", run(function()
    local got, note = journal()
    local thrown = { kind = "mine" }
    local sibling
    local err = raises("mine", neap.scope, function(s)
      sibling = s:spawn(function()
        local _ <close> = neap.defer(function()
          neap.sleep(3)
          note "sibling cleaned up"
        end)
        neap.sleep(100)
      end)
      s:spawn(function()
        neap.sleep(1)
        note "fails"
        error(thrown)
      end)
      local ok, e = pcall(neap.sleep, 100)
      assert.is_false(ok)
      assert.are.equal("sibling_failed", e.source)
      note "body interrupted"
      error(e, 0)
    end)
    assert.are.equal(thrown, err)
    assert.are.equal("cancelled", sibling:status())
    assert.are.same({ "fails", "body interrupted", "sibling cleaned up" }, got)
  end))

  it("a child's error is raised also if the body had returned (S3)", run(function()
    raises("mine", neap.scope, function(s)
      s:spawn(function()
        neap.sleep(1)
        error { kind = "mine" }
      end)
      return "value"
    end)
  end))

  it("a child's error is raised also if the body swallowed everything (S3)", run(function()
    raises("mine", neap.scope, function(s)
      s:spawn(error, { kind = "mine" })
      for _ = 1, 3 do pcall(neap.sleep, 1) end
    end)
  end))

  it("the body's error cancels the children, waits, and is raised (S4)", run(function()
    local got, note = journal()
    local err = raises("mine", neap.scope, function(s)
      s:spawn(function()
        local ok, e = pcall(neap.sleep, 100)
        assert.is_false(ok)
        note(e.source)
        error(e, 0)
      end)
      neap.checkpoint()
      error { kind = "mine" }
    end)
    assert.are.equal("mine", err.kind)
    assert.are.same({ "sibling_failed" }, got)
  end))

  it("a child's error that the body awaits counts once (S3, E2)", run(function()
    local err = raises("mine", neap.scope, function(s)
      s:spawn(error, { kind = "mine" }):await()
    end)
    assert.are.same({}, neap.suppressed(err))
  end))

  it("raises anything as it was: nil, false, numbers (S3)", run(function()
    for _, value in ipairs { false, 0, 42, "text" } do
      local ok, err = pcall(neap.scope, function(s) s:spawn(error, value, 0) end)
      assert.is_false(ok)
      assert.are.equal(value, err)
      ok, err = pcall(neap.scope, function() error(value, 0) end)
      assert.is_false(ok)
      assert.are.equal(value, err)
    end
    local ok, err = pcall(neap.scope, function(s) s:spawn(error) end)
    assert.is_false(ok)
    assert.is_nil(err)
    ok, err = pcall(neap.scope, function() error() end)
    assert.is_false(ok)
    assert.is_nil(err)
  end))

  it("a child that ends cancelled does not fail it (S6)", run(function()
    local value = neap.scope(function(s)
      local t = s:spawn(neap.sleep, 100)
      local u = s:spawn(neap.sleep, 2)
      neap.sleep(1)
      t:cancel()
      u:await()
      return "fine"
    end)
    assert.are.equal("fine", value)
  end))

  it("refuses what is no function, and unknown options", run(function()
    assert.is_false((pcall(neap.scope)))
    assert.is_false((pcall(neap.scope, 5)))
    assert.is_false((pcall(neap.scope, {}, 5)))
    assert.is_false((pcall(neap.scope, {})))
    raises("invalid", neap.scope, { nmae = "x" }, function() end)
    raises("invalid", neap.scope, { max = -1 }, function() end)
    raises("invalid", neap.scope, { max = 1.5 }, function() end)
    raises("invalid", neap.scope, { max = 0 / 0 }, function() end)
    raises("invalid", neap.scope, { max = 0 }, function() end)
    neap.scope({ max = math.huge }, function(s) s:spawn(neap.checkpoint) end)
    raises("invalid", neap.scope, { on_exit = "explode" }, function() end)
    raises("invalid", neap.scope, { errors = 5 }, function() end)
    raises("invalid", neap.scope, { name = {} }, function() end)
    neap.scope({}, function() end)
    neap.scope({ name = "named", max = 3, on_exit = "wait", errors = "first" }, function(s)
      assert.are.equal("named", s.name)
      assert.is_truthy(tostring(s):find("named", 1, true))
    end)
    neap.checkpoint()
  end))

  it("nests 150 deep, in one task and through tasks (S10)", run(function()
    local function nest(n)
      if n == 0 then
        neap.sleep(1)
        return "deep"
      end
      return neap.scope(function() return nest(n - 1) end)
    end
    assert.are.equal("deep", nest(150))
    assert.are.equal("deep", neap.spawn(nest, 150):await())
    local function chain(n)
      if n == 0 then
        neap.sleep(1)
        return "end"
      end
      return neap.spawn(chain, n - 1):await()
    end
    assert.are.equal("end", chain(3000))
  end))

  it("that is too deep is an error, and the run goes on (S10)", run(function()
    local function nest(n)
      return neap.scope(function() return nest(n + 1) end)
    end
    local ok, err = pcall(nest, 0)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("overflow", 1, true), tostring(err))
    neap.scope(function(s) s:spawn(neap.sleep, 1) end)
  end))

  it("keeps no memory for children that have ended (S9)", run(function()
    neap.scope(function(s)
      local function nothing() end
      local function round()
        for _ = 1, 100 do
          for _ = 1, 100 do s:spawn(nothing) end
          neap.checkpoint()
        end
        collectgarbage()
        return collectgarbage "count"
      end
      round()
      local before = round()
      for _ = 1, 5 do round() end
      local after = round()
      assert.is_true(after < before + 64, ("%.0f KiB, then %.0f"):format(before, after))
    end)
  end))

  it("left by a cancellation from outside raises it, though its body had returned (S11)", run(function()
    local reached
    local task = neap.spawn(function()
      neap.scope(function(s) s:spawn(neap.sleep, 100) end)
      reached = true -- as if the child had done its work
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.is_nil(reached)
    assert.are.equal("cancelled", task:status())
  end))

  it("left by a cancellation that cut only grandchildren raises it too (S11)", run(function()
    local reached
    local task = neap.spawn(function()
      neap.scope(function(s)
        s:spawn(function() neap.spawn(neap.sleep, 100) end)
      end)
      reached = true
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.is_nil(reached)
  end))
end)

describe("neap.scope{errors=\"group\"}", function()
  it("raises all failures in one fault, in order (S12)", run({ order = true }, function(reports)
    local err = raises("group", neap.scope, { errors = "group" }, function(s)
      s:spawn(error, { kind = "a" })
      s:spawn(error, { kind = "b" })
      s:spawn(neap.sleep, 100)
    end)
    assert.are.equal(2, #err.errors)
    assert.are.equal("a", err.errors[1].kind)
    assert.are.equal("b", err.errors[2].kind)
    assert.are.equal("string", type(err.message))
    while #reports > 0 do reports:take "secondary" end
  end))

  it("raises a group also for one failure, and for the body's (S12)", run(function()
    local err = raises("group", neap.scope, { errors = "group" }, function(s)
      s:spawn(error, "alone", 0)
    end)
    assert.are.same({ "alone" }, err.errors)
    err = raises("group", neap.scope, { errors = "group" }, function() error("body", 0) end)
    assert.are.same({ "body" }, err.errors)
  end))

  it("returns values when nothing fails (S12)", run(function()
    assert.are.equal(5, neap.scope({ errors = "group" }, function() return 5 end))
  end))
end)

describe("scope:cancel", function()
  it("unwinds everything inside; the scope returns nothing (S5)", run(function()
    local child, this
    local n = select("#", neap.scope(function(s)
      this = s
      child = s:spawn(neap.sleep, 100)
      neap.checkpoint()
      assert.is_true(s:cancel "enough")
      neap.sleep(1)
      error "not reached"
    end))
    assert.are.equal(0, n)
    assert.are.equal("cancelled", child:status())
    assert.is_true(this.cancelled)
  end))

  it("leaves the values of a body that returned (S5)", run(function()
    local a, b = neap.scope(function(s)
      s:spawn(neap.sleep, 100)
      neap.checkpoint()
      s:cancel()
      return 1, 2
    end)
    assert.are.same({ 1, 2 }, { a, b })
  end))

  it("works from a child, from another task, and while the scope closes (S5)", run(function()
    neap.scope(function(s)
      s:spawn(function() s:cancel() end)
      neap.sleep(100)
    end)
    local this
    local owner = neap.spawn(function()
      neap.scope(function(s)
        this = s
        s:spawn(neap.sleep, 100)
      end)
      return "went on"
    end)
    neap.sleep(1)
    assert.is_true(this:cancel())
    assert.are.equal("went on", owner:await())
  end))

  it("counts once; on an ended scope it has no effect (S5)", run(function()
    local this
    neap.scope(function(s)
      this = s
      assert.is_false(s.cancelled)
      assert.is_true(s:cancel "first")
      assert.is_false(s:cancel "second")
      local _, err = pcall(neap.checkpoint)
      assert.are.equal("first", err.reason)
      error(err, 0)
    end)
    assert.is_false(this:cancel())
    neap.scope(function(s) this = s end)
    assert.is_false(this:cancel())
    assert.is_false(this.cancelled)
  end))

  it("does not hide an error inside (S5)", run(function()
    raises("mine", neap.scope, function(s)
      s:spawn(function()
        pcall(neap.sleep, 100)
        error { kind = "mine" }
      end)
      neap.checkpoint()
      s:cancel()
    end)
  end))

  it("does not reach outside (S5)", run(function()
    neap.scope(function(outer)
      local other = outer:spawn(neap.sleep, 5)
      neap.scope(function(inner)
        inner:cancel()
        neap.sleep(1)
      end)
      assert.is_false(outer.cancelled)
      assert.is_false(neap.cancelled())
      neap.sleep(1)
      other:await()
    end)
  end))
end)

describe("spawning on a scope", function()
  it("that closes is allowed while a child is alive (S7)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      s:spawn(function()
        neap.sleep(1)
        s:spawn(note, "late child")
      end)
    end)
    assert.are.same({ "late child" }, got)
  end))

  it("that was cancelled makes a cancelled task, which starts (S7, T5)", run(function()
    local started, task = false, nil
    neap.scope(function(s)
      s:cancel()
      task = s:spawn(function()
        started = true
        neap.checkpoint()
        error "not reached"
      end)
    end)
    assert.is_true(started)
    assert.are.equal("cancelled", task:status())
  end))

  it("that has ended raises in the caller (S7)", run(function()
    local this
    neap.scope(function(s) this = s end)
    local err = raises("closed", this.spawn, this, function() end)
    assert.is_truthy(tostring(err):find("scope:spawn", 1, true))
    neap.checkpoint()
  end))

  it("that ended with its run raises (S7)", function()
    local this
    neap.run(function() neap.scope(function(s) this = s end) end)
    raises("closed", this.spawn, this, function() end)
    assert.is_false(this:cancel())
    neap.run(function() raises("closed", this.spawn, this, function() end) end)
  end)

  it("refuses what cannot be called", run(function()
    neap.scope(function(s)
      for _, bad in ipairs { 5, "x", {} } do assert.is_false((pcall(s.spawn, s, bad))) end
      assert.is_false((pcall(s.spawn, s)))
      assert.is_false((pcall(s.spawn, {}, print)))
      assert.is_false((pcall(s.spawn)))
      assert.is_false((pcall(s.cancel)))
      assert.is_false((pcall(s.cancel, 5)))
    end)
  end))
end)

describe("a scope with max", function()
  it("lets spawn wait while that many children are alive (S8)", run(function()
    local live, most = 0, 0
    neap.scope({ max = 3 }, function(s)
      for _ = 1, 20 do
        s:spawn(function()
          live = live + 1
          most = math.max(most, live)
          neap.sleep(1)
          live = live - 1
        end)
      end
    end)
    assert.are.equal(3, most)
    assert.are.equal(0, live)
  end))

  it("holds for neap.spawn in its body as well (S8)", run(function()
    local live, most = 0, 0
    neap.scope({ max = 2 }, function()
      for _ = 1, 10 do
        neap.spawn(function()
          live = live + 1
          most = math.max(most, live)
          neap.sleep(1)
          live = live - 1
        end)
      end
    end)
    assert.are.equal(2, most)
  end))

  it("passes arguments and returns the task after the wait (S8)", run(function()
    neap.scope({ max = 1 }, function(s)
      s:spawn(neap.sleep, 1)
      local task = s:spawn(function(...) return select("#", ...), ... end, nil, 2, nil)
      assert.are.same({ n = 4, 3, nil, 2, nil }, table.pack(task:await()))
    end)
  end))

  it("serves those who wait in order, and nobody slips in (S8, W4)", run({ order = true }, function()
    local got, note = journal()
    neap.scope(function(outer)
      neap.scope({ max = 1 }, function(s)
        s:spawn(neap.sleep, 1)
        for i = 1, 3 do
          outer:spawn(function()
            s:spawn(function()
              note(i)
              neap.sleep(1)
            end)
          end)
        end
        neap.sleep(0.5)
        outer:spawn(function()
          neap.sleep(0.5) -- comes when the first place is free
          s:spawn(note, "late")
        end)
      end)
    end)
    assert.are.same({ 1, 2, 3, "late" }, got)
  end))

  it("a spawn that is cancelled while it waits spawned nothing (S8, W2)", run(function()
    local got, note = journal()
    neap.scope({ max = 1 }, function(s)
      s:spawn(neap.sleep, 10)
      assert.is_false(neap.move_on_after(1, s.spawn, s, note, "never"))
      s:spawn(note, "later")
    end)
    assert.are.same({ "later" }, got)
  end))

  it("stays open for those who wait to spawn (S8)", run(function()
    local got, note = journal()
    neap.scope(function(outer)
      neap.scope({ max = 1 }, function(s)
        s:spawn(neap.sleep, 1)
        outer:spawn(function() s:spawn(note, "spawned") end)
        neap.checkpoint()
      end)
      note "inner over"
    end)
    assert.are.same({ "spawned", "inner over" }, got)
  end))

  it("cancelled lets the waiting ones spawn or unwind (S8)", run(function()
    neap.scope(function(outer)
      neap.scope({ max = 1 }, function(s)
        s:spawn(neap.sleep, 100)
        for _ = 1, 3 do
          outer:spawn(function() s:spawn(neap.sleep, 100) end)
        end
        neap.sleep(1)
        s:cancel()
      end)
    end)
  end))
end)
