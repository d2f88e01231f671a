local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- A task that has begun to wait in fn(...).
local function waiting(fn, ...)
  local task = neap.spawn(fn, ...)
  neap.checkpoint()
  return task
end

describe("cancellation", function()
  it("is raised in the wait, and at every checkpoint after it (C1)", run(function()
    local got, note = journal()
    local task = waiting(function()
      for _ = 1, 3 do
        local ok, err = pcall(neap.sleep, 100)
        assert.is_false(ok)
        note(err)
      end
    end)
    task:cancel "enough"
    task:join()
    assert.are.equal(3, #got)
    assert.are.equal(got[1], got[2])
    assert.are.equal(got[1], got[3])
    assert.is_true(neap.is_cancelled(got[1]))
    assert.are.equal("done", task:status())
  end))

  it("takes effect at the next checkpoint when it is one's own (C4)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      neap.current():cancel()
      assert.is_true(neap.cancelled())
      note "went on"
      neap.checkpoint()
      note "not reached"
    end)
    task:join()
    assert.are.same({ "went on" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("of a scope that meets no checkpoint has interrupted nothing (C4)", run(function()
    assert.are.equal("value", neap.scope(function(s)
      s:cancel()
      return "value"
    end))
  end))

  it("does not stop code that does not wait (C2)", run(function()
    local n = 0
    local task = neap.spawn(function()
      neap.current():cancel()
      for i = 1, 10 do n = i end
      return n
    end)
    assert.are.equal(10, task:await())
  end))

  it("before the first step: the body starts, and meets it at a checkpoint (T5)", run(function()
    local got, note = journal()
    local task = neap.spawn(function(x)
      note(x)
      local _ <close> = setmetatable({}, { __close = function() note "closed" end })
      neap.sleep(0)
      note "not reached"
    end, "started")
    assert.is_true(task:cancel())
    task:join()
    assert.are.same({ "started", "closed" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("reaches children, and their children (T12)", run(function()
    local tasks = {}
    local top = neap.spawn(function()
      tasks[1] = neap.spawn(function()
        neap.scope(function(s)
          tasks[2] = s:spawn(neap.sleep, 100)
          tasks[3] = s:spawn(function() neap.timeout(50, neap.sleep, 100) end)
          neap.sleep(100)
        end)
      end)
      neap.sleep(100)
    end)
    neap.sleep(1)
    assert.is_true(top:cancel())
    top:join()
    for i = 1, 3 do assert.are.equal("cancelled", tasks[i]:status()) end
    assert.are.equal("cancelled", top:status())
  end))

  it("leaves parents and siblings alone (T12, S6)", run(function()
    local a = waiting(neap.sleep, 10)
    local b = waiting(neap.sleep, 10)
    a:cancel()
    b:await()
    assert.are.equal("cancelled", a:status())
    assert.are.equal("done", b:status())
    assert.is_false(neap.cancelled())
  end))

  it("says whether it had an effect (T12)", run(function()
    local task = neap.spawn(neap.sleep, 10)
    assert.is_true(task:cancel "first")
    assert.is_false(task:cancel "second")
    task:join()
    assert.is_false(task:cancel())
    task = neap.spawn(function() end)
    task:join()
    assert.is_false(task:cancel())
    assert.are.equal("done", task:status())
  end))

  it("carries source and reason, the first of each (C5)", run(function()
    local err
    local task = waiting(function()
      local _
      _, err = pcall(neap.sleep, 100)
      _, err = pcall(neap.sleep, 100)
    end)
    task:cancel "bored"
    task:cancel "later"
    task:join()
    assert.are.equal("cancelled", err.kind)
    assert.are.equal("explicit", err.source)
    assert.are.equal("bored", err.reason)
    assert.is_truthy(tostring(err):find("bored", 1, true))
    assert.is_truthy(tostring(err):find("explicit", 1, true))
  end))

  it("takes any value as its reason (C5)", run(function()
    for _, reason in ipairs { false, 42, {}, print } do
      local err
      local task = waiting(function() err = select(2, pcall(neap.sleep, 100)) end)
      task:cancel(reason)
      task:join()
      assert.are.equal(reason, err.reason)
      assert.are.equal("string", type(tostring(err)))
    end
    local bad = setmetatable({}, { __tostring = function() error "no name" end })
    local task = waiting(neap.sleep, 100)
    task:cancel(bad)
    task:join()
    assert.is_true(task:status() == "cancelled" or task:status() == "failed")
  end))

  it("names its source (C5)", run(function()
    local function source_of(fn)
      local err
      fn(function()
        local _
        _, err = pcall(neap.sleep, 100)
        error(err, 0)
      end)
      return err.source
    end
    assert.are.equal("deadline", source_of(function(f) pcall(neap.timeout, 1, f) end))
    assert.are.equal("explicit", source_of(function(f)
      neap.scope(function(s)
        s:spawn(f)
        neap.checkpoint()
        s:cancel()
      end)
    end))
    assert.are.equal("sibling_failed", source_of(function(f)
      pcall(neap.scope, function(s)
        s:spawn(f)
        neap.checkpoint()
        error "x"
      end)
    end))
    assert.are.equal("parent", source_of(function(f)
      neap.scope({ on_exit = "cancel" }, function(s)
        s:spawn(f)
        neap.checkpoint()
      end)
    end))
  end))

  it("is one object for one cancelled scope, in every task inside (C5)", run(function()
    local seen = {}
    neap.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          neap.scope(function()
            local _
            _, seen[i] = pcall(neap.sleep, 100)
          end)
        end)
      end
      neap.checkpoint()
      s:cancel()
    end)
    assert.are.equal(seen[1], seen[2])
    assert.are.equal(seen[1], seen[3])
  end))

  it("that is granted already does not take the result away (W1)", run(function()
    local q = neap.queue(1)
    local got
    local task = neap.spawn(function()
      got = q:get()
      neap.checkpoint()
      got = "not reached"
    end)
    neap.checkpoint()
    q:put "item"
    task:cancel()
    task:join()
    assert.are.equal("item", got)
    assert.are.equal("cancelled", task:status())
  end))

  it("lets others run before it is raised (C3)", run({ order = true }, function()
    local turns = 0
    local other = neap.spawn(function()
      while not neap.cancelled() do
        turns = turns + 1
        neap.checkpoint()
      end
    end)
    local task = neap.spawn(function()
      for _ = 1, 50 do pcall(neap.checkpoint) end
    end)
    task:cancel()
    task:join()
    assert.is_true(turns >= 50)
    other:cancel()
  end))

  it("swallowed for ever is reported once and starves nobody (C3)", run(function(reports)
    local stop = false
    local rounds = 0
    local task = neap.spawn(function()
      while not stop do
        pcall(neap.sleep, 0)
        rounds = rounds + 1
      end
    end)
    task:cancel()
    neap.sleep(60)
    stop = true
    task:join()
    local info = reports:take "swallowed"
    assert.are.equal(task, info.task)
    assert.is_truthy(info.traceback:find("cancel_spec", 1, true))
    assert.is_true(rounds < 100 + 60 * 30, rounds) -- 50 ms each at last
  end))

  it("swallowed round a shield is delayed all the same (C3)", run(function(reports)
    local stop, rounds = false, 0
    local task = neap.spawn(function()
      while not stop do
        pcall(neap.sleep, 0)
        neap.shield(1, function() end)
        rounds = rounds + 1
      end
    end)
    task:cancel()
    neap.sleep(60)
    stop = true
    task:join()
    reports:take "swallowed"
    assert.is_true(rounds < 100 + 60 * 30, rounds)
  end))

  it("of the outer scope outranks that of the inner (C6)", run(function()
    local got, note = journal()
    local err
    neap.scope(function(outer)
      neap.scope(function(inner)
        inner:cancel "inner"
        outer:cancel "outer"
        local _
        _, err = pcall(neap.checkpoint)
        error(err, 0)
      end)
      note "not reached"
    end)
    note "after outer"
    assert.are.equal("outer", err.reason)
    assert.are.same({ "after outer" }, got)
  end))

  it("of the outer scope overtakes that of the inner on its way (C6)", run(function()
    local got, note = journal()
    local scopes = {}
    local task = neap.spawn(function()
      neap.scope(function(outer)
        scopes.outer = outer
        neap.scope(function(inner)
          scopes.inner = inner
          local _ <close> = neap.defer(function() neap.sleep(3) end)
          neap.sleep(100)
        end)
        note "not reached"
      end)
      note "after outer"
    end)
    neap.sleep(1)
    scopes.inner:cancel()
    neap.sleep(1)
    scopes.outer:cancel() -- while inner's cleanup runs
    task:await()
    assert.are.same({ "after outer" }, got)
  end))

  it("of a child's scope while it unwinds from an inner one is no failure (C6)", run(function()
    local task, inner
    neap.scope(function(outer)
      outer:spawn(function()
        neap.scope(function(s)
          inner = s
          task = s:spawn(function()
            local _ <close> = neap.defer(function() neap.sleep(3) end)
            neap.sleep(100)
          end)
        end)
      end)
      neap.sleep(1)
      inner:cancel()
      neap.sleep(1)
      outer:cancel()
    end)
    assert.are.equal("cancelled", task:status())
  end))

  it("inner ends with its scope; the task goes on (C6)", run(function()
    neap.scope(function(s)
      s:cancel()
      neap.sleep(1)
    end)
    neap.sleep(1)
    assert.is_false(neap.cancelled())
  end))

  it("stored and raised later is an ordinary error (C7)", run(function()
    local stored
    neap.scope(function(s)
      s:cancel()
      local _
      _, stored = pcall(neap.checkpoint)
      error(stored, 0)
    end)
    assert.is_true(neap.is_cancelled(stored))
    local err = raises("stale_cancel", neap.scope, function() error(stored, 0) end)
    assert.are.equal(stored, err.cause)
    raises("stale_cancel", neap.scope, function(s) s:spawn(error, stored) end)
    raises("stale_cancel", neap.timeout, 1, error, stored)
  end))

  it("stored and raised out of main is an ordinary error (C7)", function()
    local stored
    neap.run(function()
      neap.scope(function(s)
        s:cancel()
        stored = select(2, pcall(neap.checkpoint))
      end)
    end)
    raises("stale_cancel", neap.run, function() error(stored, 0) end)
    raises("stale_cancel", neap.run, function() neap.spawn(error, stored) end)
  end)

  it("of another scope raised in mine is an ordinary error (C7)", run(function()
    local stored
    neap.scope(function(s)
      s:spawn(function()
        local ok
        ok, stored = pcall(neap.sleep, 100)
        assert(not ok)
        neap.shield(1, neap.sleep, 0.5)
      end)
      neap.checkpoint()
      s:cancel()
      neap.shield(1, function()
        neap.sleep(0.1)
        local ok, err = pcall(neap.scope, function() error(stored, 0) end)
        assert(ok or neap.is_cancelled(err), tostring(err))
      end)
    end)
    assert.is_true(neap.is_cancelled(stored))
  end))

  it("made by hand is an ordinary error (C7)", run(function()
    local fake = { kind = "cancelled" }
    assert.is_false(neap.is_cancelled(fake))
    assert.are.equal(fake, (raises("cancelled", neap.scope, function() error(fake) end)))
    fake = neap.fault.new { kind = "cancelled" }
    assert.is_false(neap.is_cancelled(fake))
    raises("cancelled", neap.scope, function(s) s:spawn(error, fake) end)
    local real
    neap.scope(function(s)
      s:cancel()
      real = select(2, pcall(neap.checkpoint))
    end)
    assert.is_false((pcall(setmetatable, {}, getmetatable(real))))
    for _, value in ipairs { 1, "cancelled", false, {}, print } do
      assert.is_false(neap.is_cancelled(value))
    end
    assert.is_false(neap.is_cancelled(nil))
    assert.is_false((pcall(neap.is_cancelled)))
  end))

  it("and then an error in cleanup: the error counts (S5)", run(function(reports)
    local task = neap.background(function()
      local _ <close> = setmetatable({}, { __close = function() error("cleanup", 0) end })
      neap.sleep(100)
    end)
    neap.checkpoint()
    task:cancel()
    task:join()
    assert.are.equal("failed", task:status())
    assert.are.equal("cleanup", task:outcome().err)
    reports:take "background"
  end))

  it("does not interrupt a join; the children end first (C11)", run(function()
    local got, note = journal()
    local task = waiting(function()
      neap.scope(function(s)
        s:spawn(function()
          local _ <close> = neap.defer(function()
            neap.sleep(3)
            note "child cleaned"
          end)
          neap.sleep(100)
        end)
      end)
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    neap.sleep(1)
    assert.are.equal("waiting", task:status())
    task:join()
    assert.are.same({ "child cleaned" }, got)
  end))

  it("waits for a body that cleans up at length (D8)", run(function()
    local cleaned = 0
    local task = waiting(function()
      local _ <close> = neap.defer(function()
        for _ = 1, 10 do neap.sleep(0.1) end
        cleaned = cleaned + 1
      end)
      local _ <close> = neap.defer(function()
        for _ = 1, 10 do neap.sleep(0.1) end
        cleaned = cleaned + 1
      end)
      neap.sleep(100)
    end)
    task:cancel()
    task:join()
    assert.are.equal(2, cleaned)
  end))
end)
