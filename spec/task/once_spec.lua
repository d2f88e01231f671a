local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

describe("neap.once", function()
  it("calls its function once, and gives its values to everybody (P13)", run({ order = true }, function()
    local calls = 0
    local get = neap.once(function(...)
      calls = calls + 1
      neap.sleep(1)
      return "value", nil, ...
    end)
    local t = neap.now()
    neap.scope(function(s)
      for i = 1, 5 do
        s:spawn(function()
          assert.are.same({ n = 3, "value", nil, 1 }, table.pack(get(i)))
        end)
      end
    end)
    assert.are.equal(1, calls)
    assert.is_true(math.abs(neap.now() - t - 1) < 1e-6)
    assert.are.equal("value", (get()))
    assert.are.equal(0, select("#", neap.once(function() end)()))
  end))

  it("gives a failure to its caller, and the next one tries (P13)", run(function()
    local calls = 0
    local get = neap.once(function()
      calls = calls + 1
      neap.sleep(1)
      if calls == 1 then error { kind = "mine" } end
      return calls
    end)
    local first = neap.spawn(function() return raises("mine", get) end)
    neap.checkpoint()
    local second = neap.spawn(get)
    first:await()
    assert.are.equal(2, second:await())
    assert.are.equal(2, get())
  end))

  it("cancelled in mid-flight lets the next one try (P13)", run({ order = true }, function()
    local calls = 0
    local get = neap.once(function()
      calls = calls + 1
      neap.sleep(1)
      return calls
    end)
    local first, second = neap.spawn(get), neap.spawn(get)
    neap.sleep(0.5)
    first:cancel()
    assert.are.equal(2, second:await())
    assert.are.equal("cancelled", first:status())
  end))

  it("that calls itself is a deadlock, said at once (P13)", run(function()
    local get
    get = neap.once(function() return get() end)
    raises("deadlock", get)
  end))

  it("is a checkpoint also when it has its values (W3)", run(function()
    local get = neap.once(function() return 1 end)
    get()
    local task = neap.spawn(function()
      neap.current():cancel()
      get()
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.is_false((pcall(neap.once, 1)))
  end))
end)
