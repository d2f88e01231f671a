-- Futures, events, locks, semaphores and queues between tasks.
local neap = require "neap"

arm()
neap.run({ clock = "virtual", on_error = function() end }, function()
  local future, event = neap.future(), neap.event()
  local lock, semaphore, queue = neap.lock(), neap.semaphore(2), neap.queue(1)
  neap.scope(function(s)
    s:spawn(function() assert(future:await() == 5) end)
    s:spawn(function() event:wait() end)
    for _ = 1, 2 do
      s:spawn(function()
        local _ <close> = lock:acquire()
        neap.sleep(0.01)
      end)
    end
    for _ = 1, 3 do
      s:spawn(function()
        local _ <close> = semaphore:acquire()
        neap.sleep(0.01)
      end)
    end
    s:spawn(function()
      for i = 1, 4 do queue:put(i) end
      queue:close()
    end)
    s:spawn(function()
      local sum = 0
      for v in queue:iter() do sum = sum + v end
      assert(sum == 10)
    end)
    neap.sleep(0.05)
    future:set(5)
    event:set()
  end)
end)
