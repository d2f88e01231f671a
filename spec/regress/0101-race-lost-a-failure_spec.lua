--- A race whose first outcome was a failure, and which was then cancelled while
--- it waited for the others, forgot the failure. So did race and any with a
--- failure of kind task_cancelled that came too late.

local neap = require "neap"
local run = require "spec.support.run"

local function fails_with(err) return function() error(err, 0) end end

describe("a failure in a race is heard of", function()
  it("though the race is cancelled before it can raise it (G7, E4)", run({ order = true }, function(reports)
    local err = neap.fault.new { kind = "x" }
    neap.race {
      function()
        neap.race { function() neap.sleep(1) end, function() neap.sleep(1) end, fails_with(err) }
      end,
      function() end,
    }
    assert.are.equal(err, reports:take("secondary").error)
  end))

  it("though it tells of another task that was cancelled (G7, T7)", run(function(reports)
    local other = neap.background(neap.sleep, 10)
    other:cancel()
    other:join()
    local late
    neap.race {
      function() neap.sleep(1) end,
      function()
        pcall(neap.sleep, 5)
        late = select(2, pcall(neap.shield, 1, other.await, other))
        error(late, 0)
      end,
    }
    assert.are.equal("task_cancelled", late.kind)
    assert.are.equal(late, reports:take("secondary").error)
  end))

  it("by its own scope alone when a task was given (G7)", run(function(reports)
    local err = neap.fault.new { kind = "x" }
    local given = neap.background(function()
      neap.sleep(1)
      error(err, 0)
    end)
    assert.is_false(neap.move_on_after(2, neap.any, { given, function() neap.sleep(5) end }))
    assert.are.equal(err, reports:take("background").error)
  end))
end)
