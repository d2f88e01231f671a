--- Workers that fail and are started again: each alone, all together, and one
--- too often. Failures are reported when they happen. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/supervisor.lua

local neap = require "neap"

local function on_error(info) print("  reported:", info.error) end

--- A connection that is lost twice, then serves its work and ends.
local function connection(name, log, losses)
  local life = (log[name] or 0) + 1
  log[name] = life
  print(("  %s: up, life %d"):format(name, life))
  neap.sleep(0.01)
  if life <= losses then error(name .. " lost its connection", 0) end
  neap.sleep(0.05)
  print(("  %s: done"):format(name))
end

neap.run({ on_error = on_error }, function()
  print "one for one: who fails starts again, the other does not notice"
  local log = {}
  neap.supervisor({ restart = "on_failure" }, function(s)
    s:spawn(connection, "orders", log, 2)
    s:spawn(connection, "stock", log, 0)
  end)
  print(("  lives: orders %d, stock %d"):format(log.orders, log.stock))

  print "one for all: they belong together, and start again together"
  log = {}
  neap.supervisor({ restart = "on_failure", strategy = "one_for_all" }, function(s)
    s:spawn(connection, "reader", log, 1)
    s:spawn(connection, "writer", log, 0)
  end)
  print(("  lives: reader %d, writer %d"):format(log.reader, log.writer))

  print "too often: more than two restarts in five seconds are a failure"
  log = {}
  local ok, err = pcall(neap.supervisor,
    { restart = "on_failure", max_restarts = 2, within = 5 },
    function(s) s:spawn(connection, "mail", log, 99) end)
  print(("  gave up after %d lives: %s"):format(log.mail, ok and "no" or err))
end)
