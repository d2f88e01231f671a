local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function sleeper(seconds) return neap.spawn(neap.sleep, seconds) end

--- A task that fails without failing its scope.
local function failer(seconds)
  return neap.background(function()
    neap.sleep(seconds)
    error { kind = "mine" }
  end)
end

describe("neap.wait", function()
  it("waits for all, and gives them in the order given (G8)", run(function()
    local a, b, c = sleeper(3), sleeper(1), sleeper(2)
    local t = neap.now()
    local done, pending = neap.wait { a, b, c }
    assert.are.same({ a, b, c }, done)
    assert.are.same({}, pending)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("with when=\"first\" waits for one (G8)", run(function()
    local a, b, c = sleeper(3), sleeper(1), sleeper(2)
    local done, pending = neap.wait({ a, b, c }, { when = "first" })
    assert.are.same({ b }, done)
    assert.are.same({ a, c }, pending)
    done, pending = neap.wait({ a, b, c }, { when = "first" })
    assert.are.same({ b }, done)
    assert.are.same({ a, c }, pending)
    assert.are.equal("waiting", a:status())
  end))

  it("with when=\"first_error\" waits for the first that fails, or all (G8)", run(function(reports)
    local a, b, c = sleeper(5), failer(2), sleeper(1)
    local done, pending = neap.wait({ a, b, c }, { when = "first_error" })
    assert.are.same({ b, c }, done)
    assert.are.same({ a }, pending)
    done, pending = neap.wait({ a, c }, { when = "first_error" })
    assert.are.same({ a, c }, done)
    assert.are.same({}, pending)
    assert.are.equal("mine", reports:take("background").error.kind)
  end))

  it("counts a cancelled task as an error (G8)", run(function()
    local a, b = sleeper(5), sleeper(100)
    b:cancel()
    local done, pending = neap.wait({ a, b }, { when = "first_error" })
    assert.are.same({ b }, done)
    assert.are.same({ a }, pending)
  end))

  it("raises nothing, whatever becomes of the tasks (G8)", run(function(reports)
    local task = failer(1)
    assert.are.same({ task }, (neap.wait { task }))
    reports:take "background"
  end))

  it("with a timeout returns what it has (G8)", run(function()
    local a, b = sleeper(1), sleeper(9)
    local t = neap.now()
    local done, pending = neap.wait({ a, b }, { timeout = 2 })
    assert.are.same({ a }, done)
    assert.are.same({ b }, pending)
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    done, pending = neap.wait({ b }, { timeout = 0 })
    assert.are.same({}, done)
    assert.are.same({ b }, pending)
    done = neap.wait({ a }, { timeout = 0 })
    assert.are.same({ a }, done)
    done = neap.wait({ b }, { timeout = math.huge })
    assert.are.same({ b }, done)
  end))

  it("cancelled leaves the tasks alone (G8, G6)", run(function()
    local a = sleeper(5)
    local waiter = neap.spawn(neap.wait, { a })
    neap.sleep(1)
    waiter:cancel()
    waiter:join()
    assert.are.equal("cancelled", waiter:status())
    a:await()
    assert.are.equal("done", a:status())
  end))

  it("within a limit is interrupted by that, not by its own (G8, D5)", run(function()
    raises("timeout", neap.timeout, 1, neap.wait, { sleeper(5) }, { timeout = 3 })
  end))

  it("takes tasks only, and at least one", run(function()
    assert.is_false((pcall(neap.wait, {})))
    assert.is_false((pcall(neap.wait, { function() end })))
    assert.is_false((pcall(neap.wait, nil)))
    raises("deadlock", neap.wait, { neap.current() })
    raises("invalid", neap.wait, { sleeper(0) }, { when = "last" })
    raises("invalid", neap.wait, { sleeper(0) }, { timeout = -1 })
    raises("invalid", neap.wait, { sleeper(0) }, { timout = 1 })
  end))

  it("serves a thousand tasks (G8)", run(function()
    local tasks = {}
    for i = 1, 1000 do tasks[i] = sleeper(i % 10) end
    local done, pending = neap.wait(tasks, { timeout = 4.5 })
    assert.are.equal(500, #done)
    assert.are.equal(500, #pending)
    assert.are.equal(1000, #neap.wait(tasks))
  end))
end)
