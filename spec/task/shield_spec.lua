local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.shield", function()
  it("returns the values (C9)", run(function()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(neap.shield(5, function(...)
      neap.sleep(1)
      return ...
    end, 1, nil, 3)))
  end))

  it("hides a cancellation that comes while it runs (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.shield(50, function()
        neap.sleep(10)
        note "shielded work done"
      end)
      note "after the shield"
      neap.checkpoint()
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "shielded work done", "after the shield" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("hides a cancellation that came before (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      local ok, err = pcall(neap.sleep, 100)
      assert(not ok)
      neap.shield(5, function()
        neap.sleep(1)
        note "cleaned"
      end)
      error(err, 0)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "cleaned" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("hides deadlines outside (C9)", run(function()
    local got, note = journal()
    raises("timeout", neap.timeout, 1, function()
      neap.shield(50, function()
        neap.sleep(10)
        note "done"
      end)
      neap.checkpoint()
      note "not reached"
    end)
    assert.are.same({ "done" }, got)
  end))

  it("shields the tasks spawned inside (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.shield(50, function()
        neap.spawn(function()
          neap.sleep(10)
          neap.scope(function(s) s:spawn(neap.sleep, 5) end)
          note "child done"
        end)
      end)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "child done" }, got)
  end))

  it("has a limit of its own, which raises timeout (C9)", run(function()
    local t = neap.now()
    local err = raises("timeout", neap.shield, 2, neap.sleep, 100)
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    assert.is_truthy(err.message:find("neap.sleep", 1, true))
  end))

  it("whose limit passes raises timeout also in a cancelled task (C9)", run(function()
    local err
    local task = neap.spawn(function()
      pcall(neap.sleep, 100)
      local _
      _, err = pcall(neap.shield, 2, neap.sleep, 100)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("timeout", err.kind)
  end))

  it("does not hide cancellation inside it (C9)", run(function()
    neap.shield(50, function()
      neap.scope(function(s)
        s:cancel()
        neap.sleep(100)
        error "not reached"
      end)
      raises("timeout", neap.timeout, 1, neap.sleep, 100)
      local task = neap.spawn(neap.sleep, 100)
      task:cancel()
      task:join()
      assert.are.equal("cancelled", task:status())
    end)
  end))

  it("nests (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.shield(50, function()
        neap.shield(50, function()
          neap.sleep(5)
          note "inner"
        end)
        neap.sleep(5)
        note "outer"
      end)
      neap.checkpoint()
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "inner", "outer" }, got)
  end))

  it("inside a scope inside: only what is inside the shield is hidden (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.scope(function(s)
        s:spawn(function()
          local ok, err = pcall(neap.sleep, 100)
          note(ok and "slept" or "sibling interrupted")
          error(err, 0)
        end)
        neap.shield(50, neap.sleep, 10)
        note "shield over"
      end)
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "sibling interrupted", "shield over" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("with a limit of math.huge has none (C9, D4)", run(function()
    assert.are.equal("v", neap.shield(math.huge, function()
      neap.sleep(1000)
      return "v"
    end))
  end))

  it("of zero lets run what does not wait (C9, D4)", run(function()
    assert.are.equal("v", neap.shield(0, function() return "v" end))
    raises("timeout", neap.shield, 0, neap.checkpoint)
  end))

  it("raises the errors of its body (C9)", run(function()
    raises("mine", neap.shield, 5, error, { kind = "mine" })
  end))

  it("that ends while the cancellation waits raises it at the next checkpoint only (C9)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.scope(function()
        neap.shield(5, neap.sleep, 2)
        note "left"
      end)
      note "scope left"
      neap.checkpoint()
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "left", "scope left" }, got)
  end))
end)

describe("neap.defer", function()
  it("runs when the block is left by its end, by return, break, goto (C10)", run(function()
    local got, note = journal()
    do
      local _ <close> = neap.defer(function() note "end" end)
    end
    local function f()
      local _ <close> = neap.defer(function()
        neap.sleep(1)
        note "return"
      end)
      return "value"
    end
    assert.are.equal("value", f())
    for _ = 1, 2 do
      local _ <close> = neap.defer(function() note "break" end)
      if #got > 0 then break end
    end
    do
      local _ <close> = neap.defer(function() note "goto" end)
      goto out
    end
    ::out::
    assert.are.same({ "end", "return", "break", "goto" }, got)
  end))

  it("runs when the block is left by an error, and may wait (C10)", run(function()
    local got, note = journal()
    local err = raises("mine", function()
      local _ <close> = neap.defer(function()
        neap.sleep(1)
        note "cleaned"
      end)
      error { kind = "mine" }
    end)
    assert.are.equal("mine", err.kind)
    assert.are.same({ "cleaned" }, got)
  end))

  it("runs when the task fails with no pcall round it (C10)", run(function(reports)
    local got, note = journal()
    local task = neap.background(function()
      local _ <close> = neap.defer(function()
        neap.sleep(1)
        note "cleaned"
      end)
      error "x"
    end)
    task:join()
    assert.are.same({ "cleaned" }, got)
    reports:take "background"
  end))

  it("runs shielded when the task is cancelled (C10)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      local _ <close> = neap.defer(function()
        neap.sleep(3)
        note "cleaned"
      end)
      neap.sleep(100)
    end)
    neap.sleep(1)
    task:cancel()
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "cleaned" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("raises the error of fn when nothing else is on its way (C10)", run(function()
    raises("mine", function()
      local _ <close> = neap.defer(function() error { kind = "mine" } end)
    end)
  end))

  it("keeps the error on its way, and attaches and reports its own (C10)", run(function(reports)
    local thrown = { kind = "first" }
    local err = raises("first", function()
      local _ <close> = neap.defer(function() error { kind = "second" } end)
      error(thrown)
    end)
    assert.are.equal(thrown, err)
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    assert.are.equal("second", reports:take "secondary".error.kind)
  end))

  it("keeps the cancellation on its way (C10)", run(function(reports)
    local task = neap.spawn(function()
      local _ <close> = neap.defer(function() error { kind = "second" } end)
      neap.sleep(100)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("second", reports:take "secondary".error.kind)
  end))

  it("has a limit, of 5 seconds or as given (C10)", run(function(reports)
    local t = neap.now()
    raises("timeout", function()
      local _ <close> = neap.defer(function() neap.sleep(100) end)
    end)
    assert.is_true(math.abs(neap.now() - t - 5) < 1e-6)
    t = neap.now()
    raises("timeout", function()
      local _ <close> = neap.defer(function() neap.sleep(100) end, { timeout = 2 })
    end)
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    local task = neap.spawn(function()
      local _ <close> = neap.defer(function() neap.sleep(100) end)
      neap.sleep(100)
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("timeout", reports:take "secondary".error.kind)
  end))

  it("several run in reverse order (C10)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      for i = 1, 1 do
        local _ <close> = neap.defer(function()
          neap.sleep(1)
          note(i)
        end)
        local _ <close> = neap.defer(function()
          neap.sleep(1)
          note(i + 1)
        end)
        neap.sleep(100)
      end
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ 2, 1 }, got)
  end))

  it("refuses what cannot be called, and unknown options (C10)", run(function()
    for _, bad in ipairs { 5, "x", {} } do assert.is_false((pcall(neap.defer, bad))) end
    assert.is_false((pcall(neap.defer)))
    raises("invalid", neap.defer, print, { timout = 5 })
    raises("invalid", neap.defer, print, { timeout = "x" })
    raises("invalid", neap.defer, print, { timeout = -1 })
    raises("invalid", neap.defer, print, { timeout = 0 / 0 })
  end))
end)
