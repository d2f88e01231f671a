local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual" }
local plain = require("busted").it

describe("checkpoints", function()
  it("are passed also by what need not wait", function()
    local lock, event = neap.lock(), neap.event()
    event:set()
    test.assert_checkpoints(function()
      local _ <close> = lock:acquire()
    end)
    test.assert_checkpoints(event.wait, event)
    test.assert_checkpoints(neap.sleep, 1)
    test.assert_checkpoints(neap.checkpoint)
  end)

  it("are missed where there is none", function()
    assert.has_error(function() test.assert_checkpoints(function() end) end,
      "expected a checkpoint, but the function passed none")
    assert.has_error(function() test.assert_checkpoints(neap.now) end)
  end)

  it("are noticed where there should be none", function()
    local queue = neap.queue(1)
    test.assert_no_checkpoints(queue.try_put, queue, 1)
    test.assert_no_checkpoints(neap.spawn, function() end)
    assert.has_error(function()
      test.assert_no_checkpoints(function() neap.sleep(0) queue:get() end)
    end, "expected no checkpoint, but the function passed 2")
  end)

  it("need not wait", function()
    local lock = neap.lock()
    test.assert_suspends(neap.sleep, 0)
    test.assert_suspends(neap.sleep, 1)
    assert.has_error(function()
      test.assert_suspends(function() lock:acquire():release() end)
    end, "expected the function to wait, but it did not")
  end)

  it("hand on values and errors", function()
    local function f(...) neap.sleep(0) return ... end
    assert.same({ 1, nil, n = 2 }, table.pack(test.assert_checkpoints(f, 1, nil)))
    assert.same({ 1, nil, n = 2 }, table.pack(test.assert_suspends(f, 1, nil)))
    assert.same({ 1, nil, n = 2 }, table.pack(
      test.assert_no_checkpoints(function(...) return ... end, 1, nil)))
    local mine = {}
    local ok, err = pcall(test.assert_checkpoints, function() error(mine) end)
    assert.is_false(ok)
    assert.equal(mine, err)
  end)

  it("are counted by one who counts within another", function()
    test.assert_checkpoints(function()
      test.assert_no_checkpoints(function() end)
      neap.sleep(0)
    end)
  end)

  it("are not those of other tasks", function()
    local ended = false
    neap.spawn(function() neap.sleep(1) neap.sleep(1) ended = true end)
    test.assert_no_checkpoints(function() end)
    neap.sleep(5)
    assert.is_true(ended)
  end)

  plain("are of tasks", function()
    local ok, err = pcall(test.assert_checkpoints, print)
    assert.is_false(ok)
    assert.is_true(neap.fault.is(err, "not_in_task"))
  end)
end)
