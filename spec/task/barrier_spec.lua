local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a barrier", function()
  it("lets them go when n have come, and tells each his place (P11)", run({ order = true }, function()
    local got, note = journal()
    local b = neap.barrier(3)
    for i = 1, 3 do
      neap.spawn(function()
        neap.sleep(i)
        local place = b:wait()
        note(place)
        assert.are.equal(i, place)
      end)
    end
    neap.sleep(2.5)
    assert.are.same({}, got)
    neap.sleep(1)
    assert.are.same({ 3, 1, 2 }, got)
  end))

  it("starts anew (P11)", run(function()
    local b, rounds = neap.barrier(4), {}
    neap.scope(function(s)
      for i = 1, 4 do
        s:spawn(function()
          for round = 1, 50 do
            neap.sleep((i * round) % 3)
            b:wait()
            rounds[round] = (rounds[round] or 0) + 1
            assert.is_true(round == 1 or rounds[round - 1] == 4
              or rounds[round - 1] >= 1)
          end
        end)
      end
    end)
    for round = 1, 50 do assert.are.equal(4, rounds[round]) end
  end))

  it("of one never waits (P11)", run(function()
    local b = neap.barrier(1)
    for _ = 1, 3 do assert.are.equal(1, b:wait()) end
  end))

  it("does not count one that was cancelled (P11, W5)", run(function()
    local b = neap.barrier(2)
    local first = neap.spawn(function() b:wait() end)
    neap.checkpoint()
    first:cancel()
    assert.is_false((neap.move_on_after(1, b.wait, b)))
    neap.gather(function() b:wait() end, function() b:wait() end)
    assert.are.equal("cancelled", first:status())
  end))

  it("lets go one that is cancelled after the last has come (P11, W1)", run(function()
    local b = neap.barrier(2)
    local passed = false
    local first = neap.spawn(function()
      b:wait()
      passed = true
    end)
    neap.checkpoint()
    assert.are.equal(2, b:wait())
    first:cancel()
    first:join()
    assert.is_true(passed)
  end))

  it("is a checkpoint for the last one too (W3)", run(function()
    local b = neap.barrier(2)
    local first = neap.spawn(function() b:wait() end)
    neap.checkpoint()
    local task = neap.spawn(function()
      neap.current():cancel()
      b:wait()
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("waiting", first:status())
    b:wait()
  end))

  it("is named when a limit interrupts it (D1)", run(function()
    local err = raises("timeout", neap.timeout, 1, neap.barrier(2).wait, neap.barrier(2))
    assert.is_truthy(err.message:find("barrier:wait", 1, true))
  end))

  it("refuses bad numbers", run(function()
    for _, bad in ipairs { 0, -1, 1.5, "x" } do
      assert.is_false((pcall(neap.barrier, bad)))
    end
    assert.is_false((pcall(neap.barrier)))
  end))
end)
