--- A pipeline of stages, each at work while the others are: lines are read,
--- looked up several at a time, put together in batches, and stored. Needs no
--- database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/pipeline.lua

local neap = require "neap"

local LINES <const> = 60
local LATENCY <const> = 0.01 -- of each look-up and each batch stored

--- Stage 1: a producer in a task of its own, at most ten lines ahead.
local function read_lines()
  return neap.stream(function(yield)
    for i = 1, LINES do
      yield(i % 10 == 0 and "# a comment" or "item " .. i)
      if i % 20 == 0 then neap.sleep(LATENCY) end -- the disk
    end
  end, { buffer = 10 })
end

--- Stage 2: a look-up that takes its time; eight at once.
local lookups, most = 0, 0
local function look_up(line)
  lookups = lookups + 1
  most = math.max(most, lookups)
  neap.sleep(LATENCY)
  lookups = lookups - 1
  return { name = line, price = tonumber(line:match "%d+") * 10 }
end

--- Stage 4: a batch is stored at one go.
local stored, sum = 0, 0
local function store(batch)
  neap.sleep(LATENCY)
  stored = stored + #batch
  for _, item in ipairs(batch) do sum = sum + item.price end
  print(("stored %2d: %s to %s"):format(#batch, batch[1].name, batch[#batch].name))
end

neap.run(function()
  local began = neap.now()
  local lines = neap.iter(read_lines())
    :filter(function(line) return not line:find "^#" end)
  local items = neap.imap(lines, look_up, { concurrency = 8 })
  for batch in neap.iter(items):chunk(20) do store(batch) end -- stage 3: chunk

  local took = neap.now() - began
  local one_by_one = (stored + LINES // 20 + 3) * LATENCY
  print(("%d items worth %d, in their order; at most %d look-ups at once"):format(
    stored, sum, most))
  print(("one after another would have waited %.0f ms; faster: %s"):format(
    one_by_one * 1000, took < one_by_one and "yes" or "no"))
end)
