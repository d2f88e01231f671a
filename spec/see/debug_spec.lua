local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

local DEBUG <const> = { debug = true }

describe("debug mode: a cancellation that is swallowed", function()
  it("is reported with the place when the task ends normally (R16)", run(DEBUG, function(reports)
    local line
    local task = neap.spawn(function()
      line = debug.getinfo(1, "l").currentline + 1
      pcall(neap.sleep, 10)
      return "as if nothing had happened"
    end)
    task.name = "deaf"
    neap.checkpoint()
    task:cancel()
    task:join()
    local info = reports:take "swallowed"
    assert.is_truthy(info.error.message:find("task deaf finished normally", 1, true))
    assert.is_truthy(info.error.message:find("debug_spec.lua:" .. line, 1, true))
    assert.is_truthy(info.traceback:find("sleep", 1, true))
    assert.is_truthy(info.traceback:find("pcall", 1, true))
    assert.are.equal(task, info.task)
    assert.are.equal("deaf", info.name)
  end))

  it("is not reported when it is let through (R16)", run(DEBUG, function(reports)
    local task = neap.spawn(function()
      local ok, err = pcall(neap.sleep, 10)
      if not ok then error(err, 0) end
    end)
    neap.checkpoint()
    task:cancel()
    task:join()
    assert.are.equal(0, #reports)
  end))

  it("of a scope inside is that scope's affair (R16)", run(DEBUG, function(reports)
    neap.spawn(function()
      neap.move_on_after(1, neap.sleep, 10)
      pcall(neap.timeout, 1, neap.sleep, 10)
      neap.scope(function(s)
        s:cancel()
        pcall(neap.sleep, 1)
      end)
    end):join()
    assert.are.equal(0, #reports)
  end))

  it("is not looked for without it (R16)", run({ debug = false }, function(reports)
    local task = neap.spawn(function() pcall(neap.sleep, 10) end)
    neap.checkpoint()
    task:cancel()
    task:join()
    assert.are.equal(0, #reports)
  end))
end)

describe("neap.run{debug=}", function()
  it("is taken from NEAP_DEBUG where it is not given (R16)", function()
    local script = [[
      local neap = require "neap"
      neap.run({ clock = "virtual" %s }, function()
        local task = neap.spawn(function() pcall(neap.sleep, 10) end)
        neap.checkpoint()
        task:cancel()
      end)]]
    local function reported(env, option)
      local status, out = shell.run(("NEAP_DEBUG=%s %s -e %s"):format(env, shell.lua,
        shell.quote(script:format(option))))
      assert.are.equal(0, status, out)
      return out:find("swallowed", 1, true) ~= nil
    end
    assert.is_true(reported("1", ""))
    assert.is_false(reported("1", ", debug = false"))
    assert.is_false(reported("0", ""))
    assert.is_false(reported("", ""))
    assert.is_true(reported("", ", debug = true"))
  end)

  it("must be a boolean (R16)", function()
    local err = run.raises("invalid", neap.run, { debug = 1 }, print)
    assert.is_truthy(err.message:find("option 'debug' must be a boolean", 1, true))
  end)
end)
