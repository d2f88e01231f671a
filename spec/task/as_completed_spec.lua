local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function after(seconds, ...)
  local values = table.pack(...)
  return function()
    neap.sleep(seconds)
    return table.unpack(values, 1, values.n)
  end
end

describe("neap.as_completed", function()
  it("gives the values in the order of their ends (G9)", run(function()
    local got, t = {}, neap.now()
    for name, extra in neap.as_completed {
      after(3, "c"), after(1, "a", "x"), neap.spawn(after(2, "b")),
    } do
      got[#got + 1] = { name, extra, math.floor(neap.now() - t + 0.5) }
    end
    assert.are.same({ { "a", "x", 1 }, { "b", nil, 2 }, { "c", nil, 3 } }, got)
  end))

  it("starts all at once, and does not wait for the loop's body (G9)", run(function()
    local t, n = neap.now(), 0
    for _ in neap.as_completed { after(1, 1), after(1, 2), after(1, 3) } do
      n = n + 1
      neap.sleep(1)
    end
    assert.are.equal(3, n)
    assert.is_true(math.abs(neap.now() - t - 4) < 1e-6)
  end))

  it("of an empty list is an empty loop (G9)", run(function()
    for _ in neap.as_completed {} do error "not reached" end
  end))

  it("raises an error at its place, and ends the rest (G9)", run(function()
    local got, ended = {}, 0
    local err = raises("mine", function()
      for v in neap.as_completed {
        after(1, "a"),
        function()
          neap.sleep(2)
          error { kind = "mine" }
        end,
        function()
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          neap.sleep(100)
        end,
      } do
        got[#got + 1] = v
        neap.sleep(5) -- the failure has happened meanwhile
      end
    end)
    assert.are.equal("mine", err.kind)
    assert.are.same({ "a" }, got)
    assert.are.equal(1, ended)
  end))

  it("left early cancels the rest and waits for it, but leaves given tasks alone (G9)", run(function()
    local given, ended = neap.spawn(neap.sleep, 7), 0
    neap.scope(function()
      for v in neap.as_completed {
        after(1, "a"), given, function()
          local _ <close> = neap.defer(function()
            neap.sleep(1)
            ended = ended + 1
          end)
          neap.sleep(100)
        end,
      } do
        if v == "a" then break end
      end
    end)
    assert.are.equal(1, ended)
    assert.are.equal("waiting", given:status())
  end))

  it("left early loses no failure (G9, E2)", run(function(reports)
    neap.scope(function()
      for v in neap.as_completed {
        after(1, "a"), function()
          local _ <close> = setmetatable({}, { __close = function() error { kind = "late" } end })
          neap.sleep(100)
        end,
      } do
        if v == "a" then break end
      end
    end)
    assert.are.equal("late", reports:take("secondary").error.kind)
  end))

  it("tells of the further failures (G9, E2)", run({ order = true }, function(reports)
    local err = raises("first", function()
      for _ in neap.as_completed {
        function() error { kind = "first" } end,
        function() error { kind = "second" } end,
      } do error "not reached" end
    end)
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    assert.are.equal("second", reports:take("secondary").error.kind)
  end))

  it("passes a cancelled one on as an error (G9)", run(function()
    local task = neap.spawn(neap.sleep, 100)
    task:cancel()
    raises("task_cancelled", neap.as_completed { task })
  end))

  it("takes no nil as a first value, and says so (I2)", run(function()
    local err = raises("invalid", neap.as_completed { function() end })
    assert.is_truthy(err.message:find("neap.as_completed", 1, true))
  end))

  it("leaves the tasks of the loop's body to the caller (G9)", run(function()
    local child
    neap.scope(function()
      for _ in neap.as_completed { after(1, "a") } do
        child = neap.spawn(neap.sleep, 5)
      end
      neap.sleep(1)
      assert.are.equal("waiting", child:status())
    end)
    assert.are.equal("done", child:status())
  end))

  it("refuses what is neither function nor task", run(function()
    assert.is_false((pcall(neap.as_completed, { 1 })))
    assert.is_false((pcall(neap.as_completed)))
    raises("deadlock", neap.as_completed, { neap.current() })
  end))
end)
