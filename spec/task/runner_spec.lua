local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("neap.runner", function()
  it("runs several functions, and returns or raises what they do (R13)", function()
    local r <close> = neap.runner { clock = "virtual" }
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(r:run(function(...)
      neap.sleep(1)
      return ...
    end, 1, nil, 3)))
    local mark = {}
    local ok, err = pcall(r.run, r, function() error(mark) end)
    assert.is_false(ok)
    assert.are.equal(mark, err)
    raises("task_cancelled", r.run, r, function()
      neap.current():cancel()
      neap.checkpoint()
    end)
    assert.are.equal("still there", r:run(function() return "still there" end))
  end)

  it("keeps what is in the background between them (R13)", function()
    local got, note = journal()
    local r = neap.runner { clock = "virtual" }
    local q = neap.queue(10)
    local task = r:run(function()
      return neap.background(function()
        for v in q:iter() do
          neap.sleep(1)
          note(v)
        end
        note "drained"
      end)
    end)
    r:run(function()
      q:put "one"
      q:put "two"
      neap.sleep(1.5)
    end)
    assert.are.same({ "one" }, got)
    assert.are.equal("waiting", task:status())
    r:run(function() neap.sleep(1) end)
    assert.are.same({ "one", "two" }, got)
    neap.background(function() q:close() end) -- between two calls
    r:close()
    assert.are.same({ "one", "two", "drained" }, got)
    assert.are.equal("done", task:status())
    assert.are.equal(0, neap.stats().tasks)
  end)

  it("ends as a run does, when it is closed (R13, R3, R4)", function()
    local got, note = journal()
    local r = neap.runner { clock = "virtual", grace = 2 }
    r:run(function()
      neap.at_exit(function() note "handler" end)
      neap.background(function()
        local _ <close> = neap.defer(function() note "cancelled" end)
        neap.sleep(100)
      end)
    end)
    assert.are.same({}, got)
    r:close()
    assert.are.same({ "cancelled", "handler" }, got)
    r:close()
    raises("closed", r.run, r, function() end)
    assert.are.equal(5, neap.run(function() return 5 end))
  end)

  it("refuses another run beside it, and inside it (R13, R1)", function()
    local r <close> = neap.runner { clock = "virtual" }
    r:run(function()
      local ok, err = pcall(r.run, r, print)
      assert.is_false(ok)
      assert.is_truthy(err:find("already running", 1, true), err)
      assert.is_false((pcall(r.close, r)))
      assert.is_false((pcall(neap.run, print)))
    end)
    local ok, err = pcall(neap.run, print)
    assert.is_false(ok)
    assert.is_truthy(err:find("a runner is open", 1, true), err)
    local other = neap.runner()
    ok, err = pcall(other.run, other, print)
    assert.is_false(ok)
    assert.is_truthy(err:find("a runner is open", 1, true), err)
  end)

  it("goes on after a deadlock in a call (R13, R6)", function()
    local r <close> = neap.runner { clock = "virtual" }
    raises("deadlock", r.run, r, function() neap.event():wait() end)
    assert.are.equal("fine", r:run(function()
      neap.sleep(1)
      return "fine"
    end))
  end)

  it("is over when a call had to be given up (R13, R6)", function()
    local r = neap.runner { clock = "virtual", on_error = function() end }
    raises("deadlock", r.run, r, function()
      while true do neap.shield(math.huge, function() neap.event():wait() end) end
    end)
    raises("closed", r.run, r, function() end)
    assert.are.equal(0, neap.stats().tasks)
  end)

  it("puts pcall and coroutine back between the calls (R13)", function()
    local plain, resume = pcall, coroutine.resume
    local r <close> = neap.runner { clock = "virtual", pcall = "strict" }
    for _ = 1, 2 do
      r:run(function()
        assert.are_not.equal(plain, pcall)
        assert.are_not.equal(resume, coroutine.resume)
      end)
      assert.are.equal(plain, pcall)
      assert.are.equal(resume, coroutine.resume)
    end
  end)

  it("hears a signal in a call, and with signals=\"raise\" goes on (R13, R7)", function()
    local r <close> = neap.runner { signals = "raise" }
    for _ = 1, 2 do
      local err = raises("interrupted", r.run, r, function()
        os.execute "kill -TERM $PPID"
        neap.sleep(100)
      end)
      assert.are.equal(15, err.signal)
    end
    assert.are.equal("fine", r:run(function() return "fine" end))
  end)

  it("refuses what it does not know, and what is no function (R13)", function()
    local err = raises("invalid", neap.runner, { grase = 1 })
    assert.is_truthy(err.message:find("did you mean 'grace'", 1, true), err.message)
    raises("invalid", neap.runner, 5)
    local r <close> = neap.runner()
    local ok, text = pcall(r.run, r, 5)
    assert.is_false(ok)
    assert.is_truthy(text:find("'run' (a function to run expected, got number)", 1, true), text)
    assert.is_false((pcall(r.run, {}, print)))
    assert.is_false((pcall(r.close)))
  end)

  it("that was never used leaves nothing, closed or not (R13)", function()
    neap.runner()
    neap.runner():close()
    assert.are.equal(1, neap.run(function() return 1 end))
  end)
end)
