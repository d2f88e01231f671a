--- Producers and consumers with a bounded queue between them: who is too fast
--- waits, and who closes last ends the consumers. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/producer_consumer.lua

local neap = require "neap"

local ROOM <const> = 3 -- items in the queue
local EACH <const> = 5 -- items of each producer

local fullest, waited = 0, 0
local sums = {}

--- Puts its items and closes its handle; with the last handle the queue closes.
local function produce(queue, handle, name)
  local _ <close> = handle
  for i = 1, EACH do
    if #queue == ROOM then waited = waited + 1 end
    handle:put { from = name, value = i }
    fullest = math.max(fullest, #queue)
  end
  print(("producer %s: %d items, done"):format(name, EACH))
end

--- Takes what comes, until the queue is closed and empty.
local function consume(queue, name)
  local n, sum = 0, 0
  for item in queue:iter() do
    neap.sleep(0.005 * name) -- one consumer is slower than the other
    n, sum = n + 1, sum + item.value
  end
  sums[name] = sum
  print(("consumer %d: %d items"):format(name, n))
end

neap.run(function()
  local queue = neap.queue(ROOM)
  neap.scope(function(s)
    for _, name in ipairs { "A", "B", "C" } do
      s:spawn(produce, queue, queue:producer(), name)
    end
    for name = 1, 2 do s:spawn(consume, queue, name) end
  end) -- all five have ended here

  print(("the queue never held more than %d items; producers waited for room: %s")
    :format(fullest, waited > 0 and "yes" or "no"))
  print(("sum of all items: %d (expected %d)"):format(sums[1] + sums[2],
    3 * EACH * (EACH + 1) // 2))
end)
