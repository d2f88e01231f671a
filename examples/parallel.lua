--- Several things at once, with a time limit: gather, timeout, and what
--- becomes of the others when one fails. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/parallel.lua

local neap = require "neap"

local function fetch(name, seconds, fails)
  neap.sleep(seconds)
  if fails then
    neap.fault.raise { kind = "io", message = name .. " is not there" }
  end
  return name .. " (" .. math.floor(seconds * 1000) .. " ms)"
end

neap.run(function()
  -- All at once: takes as long as the slowest.
  local start = neap.now()
  local user, product, stock = neap.gather(
    function() return fetch("user", 0.05) end,
    function() return fetch("product", 0.05) end,
    function() return fetch("stock", 0.03) end)
  print(("%s, %s, %s after %.0f ms"):format(user, product, stock,
    (neap.now() - start) * 1000))

  -- The first error is raised; the rest is cancelled, and has ended.
  local ok, err = pcall(neap.gather,
    function() return fetch("user", 10) end,
    function() return fetch("product", 0.01, true) end)
  print(ok, err.kind, err.message)

  -- Too slow: a fault of kind "timeout", or `false` where that is no error.
  ok, err = pcall(neap.timeout, 0.02, fetch, "report", 10)
  print(ok, err.kind)
  print(neap.move_on_after(0.02, fetch, "report", 10))

  -- Every outcome, whatever it is.
  local outcomes = neap.settle {
    function() return fetch("user", 0.01) end,
    function() return fetch("product", 0.01, true) end,
  }
  for i = 1, outcomes.n do
    local o = outcomes[i]
    print(i, o.ok, o.ok and o.value or o.err.message)
  end
end)
