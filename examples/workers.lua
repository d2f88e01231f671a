--- A queue between one producer and three workers. The queue holds two items:
--- the producer waits when the workers fall behind. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/workers.lua

local neap = require "neap"

neap.run(function()
  local jobs = neap.queue(2)
  local results = {}

  neap.scope(function(s)
    s:spawn(function()
      for i = 1, 9 do
        jobs:put(i)
        print("put", i)
      end
      jobs:close() -- the workers finish what is there, then end
    end)
    for worker = 1, 3 do
      s:spawn(function()
        for job in jobs:iter() do
          neap.sleep(0.01 * worker) -- one is slower than the other
          results[#results + 1] = ("%d by worker %d"):format(job, worker)
        end
      end)
    end
  end) -- all four have ended here

  print(table.concat(results, "\n"))

  -- The same with less to write: a list, three at a time, results in order.
  local squares = neap.map({ 1, 2, 3, 4, 5 }, function(n)
    neap.sleep(0.01)
    return n * n
  end, { concurrency = 3 })
  print(table.concat(squares, " "))
end)
