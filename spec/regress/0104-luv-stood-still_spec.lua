-- luv had work that was due at once, and our loop slept in its poll: a timer
-- of libuv that is due before the poll does not end it.

local neap = require "neap"
local run = require "spec.support.run"
local uv = require "neap.luv"

it("luv goes on by itself while every task waits", run({ clock = "real" },
  function()
    local done = neap.future()
    local left = 200
    local idle = uv.new_idle()
    idle:start(function() -- always due, and nothing on any descriptor
      left = left - 1
      if left > 0 then return end
      idle:close()
      done:set(true)
    end)
    assert.is_true(neap.timeout(20, done.await, done))
    neap.sleep(0.01) -- it is closing
  end))
