--- Looking while memory runs out: what cannot be told is an error of the one
--- who looks, nothing more, and the collector goes on afterwards.

local neap = require "neap"
arm()

local function both(first, second)
  local _ <close> = first:acquire()
  neap.checkpoint()
  second:with(print)
end

neap.run({ on_error = function() end, clock = "virtual" }, function()
  local a, b, q, rw = neap.lock(), neap.lock(), neap.queue(1), neap.rwlock()
  neap.move_on_after(3, function()
    neap.spawn(both, a, b).name = "left"
    neap.spawn(both, b, a)
    neap.spawn(q.get, q)
    neap.spawn(neap.select, { q:on_get(), neap.after(5) })
    neap.spawn(function()
      local _ <close> = rw:read()
      coroutine.wrap(neap.sleep)(5)
    end)
    neap.spawn(rw.write, rw)
    neap.sleep(1)
    local ok, err = pcall(neap.dump)
    if not collectgarbage "isrunning" then error("the collector rests", 0) end
    if not ok then error(err, 0) end
    neap.dump { format = "table", limit = 3 }
    neap.stats { waiting = true }
    q:stats()
    rw:stats()
  end)
end)
