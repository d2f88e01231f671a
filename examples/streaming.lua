--- More data than memory: 100,000 records come from a source that never stops
--- for breath, are enriched eight at a time and summed up. What is in memory at
--- any moment is what is under way, however long the stream is. Needs no
--- database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/streaming.lua [RECORDS]

local neap = require "neap"

local RECORDS <const> = tonumber(arg and arg[1]) or 100000
local SIZE <const> = 1000 -- bytes in each record

local alive, most_alive = 0, 0
local gone = { __gc = function() alive = alive - 1 end }

--- A page of records after another, as a cursor or a paged service gives them.
local function records()
  return neap.gen(function(yield)
    local id = 0
    while id < RECORDS do
      neap.sleep(0) -- the next page is on its way
      for _ = 1, math.min(500, RECORDS - id) do
        id = id + 1
        alive = alive + 1
        yield(setmetatable({ id = id, body = ("x"):rep(SIZE) .. id }, gone))
      end
    end
  end)
end

local function enrich(record)
  if record.id % 100 == 0 then neap.sleep(0) end -- some need a look-up
  return #record.body, record.id
end

--- The resident memory of this process in MB; nil where there is no /proc.
local function resident()
  local file = io.open "/proc/self/statm"
  if not file then return nil end
  local pages = file:read("a"):match "^%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096 / 1e6
end

neap.run(function()
  local bytes, n, peak, first = 0, 0, 0, nil
  for size, id in neap.imap(records(), enrich, { concurrency = 8 }) do
    bytes, n = bytes + size, n + 1
    if id % 1000 == 0 then
      most_alive = math.max(most_alive, alive)
      peak = math.max(peak, collectgarbage "count" * 1024 / 1e6)
      first = first or resident()
    end
  end
  print(("%d records, %.0f MB in all"):format(n, bytes / 1e6))
  print(("peak memory of Lua: %.1f MB, at most %d records not yet collected")
    :format(peak, most_alive))
  local now = resident()
  if now then print(("memory of the process: %.0f MB"):format(now)) end
  print(("in bounded memory: %s"):format(peak < 40 and "yes" or "no"))
end)
