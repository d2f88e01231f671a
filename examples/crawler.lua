--- The shape of a crawler: pages are found while pages are fetched, each once,
--- so many at a time, so many a second for each host, with a limit and a second
--- try for each. The web is made up, and so is its latency: no network, no
--- database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/crawler.lua

local neap = require "neap"

local WORKERS <const> = 8     -- pages under way
local PER_SECOND <const> = 100 -- requests to one host
local LIMIT <const> = 0.5     -- seconds for one request
local TRIES <const> = 2

-- ------------------------------------------------------------- a little web

--- 40 pages on two hosts; page n links to 2n, 2n+1, and back to 1.
local function url(n)
  return ("http://%s.example/%d"):format(n % 2 == 0 and "even" or "odd", n)
end

local asked = {}

--- Answer with the links of a page, after a while. Page 13 never answers, page
--- 21 only when asked again.
local function fetch(address)
  local n = tonumber(address:match "(%d+)$")
  asked[n] = (asked[n] or 0) + 1
  neap.sleep(n == 13 and 60 or 0.005)
  if n == 21 and asked[n] == 1 then
    neap.fault.raise { kind = "io", code = "ECONNRESET", message = address }
  end
  local links = { url(1) }
  for _, next in ipairs { 2 * n, 2 * n + 1 } do
    if next <= 40 then links[#links + 1] = url(next) end
  end
  return links
end

-- -------------------------------------------------------------- the crawler

--- So many calls a second: each caller is given the next free moment.
local function pace(per_second)
  local free = -math.huge
  return function()
    local at = math.max(free, neap.now())
    free = at + 1 / per_second
    neap.sleep(math.max(0, at - neap.now()))
  end
end

local function crawl(start)
  local frontier, seen = neap.queue(math.huge), {}
  local pages, failed, paces, requests = 0, {}, {}, 0

  local function add(address)
    if seen[address] then return end
    seen[address] = true
    frontier:put(address)
  end

  local function get(address)
    local host = address:match "//([^/]+)"
    paces[host] = paces[host] or pace(PER_SECOND)
    local err
    for _ = 1, TRIES do
      paces[host]()
      requests = requests + 1
      local ok, links = neap.pcall(neap.timeout, LIMIT, fetch, address)
      if ok then return links end
      err = links
    end
    error(err, 0)
  end

  neap.scope(function(s)
    s:spawn(frontier.consume, frontier, WORKERS, function(address)
      local links = get(address)
      pages = pages + 1
      for _, link in ipairs(links) do add(link) end
    end, { on_error = function(err, address) failed[address] = err end })
    add(start)
    frontier:join() -- every page that was found has been dealt with
    frontier:close()
  end)
  return pages, failed, requests
end

neap.run(function()
  local began = neap.now()
  local pages, failed, requests = crawl(url(1))
  local took = neap.now() - began
  print(("%d pages fetched with %d requests"):format(pages, requests))
  for address, err in pairs(failed) do
    print(("failed: %s (%s)"):format(address, err.kind))
  end
  print(("page 21 was asked %d times"):format(asked[21]))
  -- Two hosts, so at most twice the rate; the first request of each is free.
  print(("within the rate: %s"):format(
    requests <= 2 * (PER_SECOND * took + 1) and "yes" or "no"))
end)
