local shell = require "spec.support.shell"
local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual" }
local really = test.it

package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath

describe("settle", function()
  local function waits_for_others()
    local n, queue, event = 0, neap.queue(0), neap.event()
    neap.spawn(function()
      for _ = 1, 1000 do neap.checkpoint() n = n + 1 end
      event:set()
    end)
    neap.spawn(function() event:wait() queue:put(1) n = n + 1 end)
    neap.spawn(function() queue:get() n = n + 1 end)
    test.settle()
    assert.equal(1002, n)
  end

  it("waits until all others are blocked", waits_for_others)
  really("waits so on the real clock", waits_for_others)

  it("does not make time pass", function()
    local sleeper = neap.spawn(neap.sleep, 1)
    local from = neap.now()
    test.settle()
    assert.equal(from, neap.now())
    assert.equal("waiting", sleeper:status())
  end)

  really("does not wait for time or I/O", function()
    local pipe = require("stranger").pipe()
    local reader = neap.spawn(pipe.read, pipe)
    local sleeper = neap.spawn(neap.sleep, 0.05)
    test.settle()
    assert.equal("waiting", reader:status())
    assert.equal("waiting", sleeper:status())
    reader:cancel()
    reader:join()
    pipe:close()
  end)

  it { shuffle = false } ("lets several settle at once", function()
    local steps = {}
    neap.gather(
      function() test.settle() steps[#steps + 1] = "a" end,
      function() test.settle() steps[#steps + 1] = "b" end,
      function() for _ = 1, 5 do neap.checkpoint() end steps[#steps + 1] = "c" end)
    assert.equal("cab", table.concat(steps))
  end)

  it("can be cancelled, and leaves the others", function()
    local spinner = neap.spawn(function() while true do neap.checkpoint() end end)
    local settler = neap.spawn(test.settle)
    while settler:status() ~= "waiting" do neap.checkpoint() end
    assert.is_true(settler:cancel())
    settler:join()
    assert.equal("cancelled", settler:status())
    spinner:cancel()
    test.settle()
    assert.equal("cancelled", spinner:status())
  end)

  it("is no reason for a deadlock", function()
    neap.spawn(function()
      local ok, err = pcall(function() neap.event():wait() end)
      assert(not ok)
      error(err, 0)
    end):cancel()
    test.settle()
  end)

  it("is named where it cannot wait", function()
    local ok, err = pcall(function()
      table.sort({ 2, 1 }, function() test.settle() end)
    end)
    assert.is_false(ok)
    assert.is_true(neap.fault.is(err, "not_in_task"))
    assert.matches("test.settle: cannot wait inside table.sort", tostring(err))
  end)
end)
