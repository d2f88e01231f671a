-- The emitter: listeners that return, wait, fail; somebody waiting for one.
local neap = require "neap"

arm()
neap.run({ clock = "virtual", on_error = function() end }, function()
  local em = neap.emitter()
  local heard = 0
  em:on("order", function(n) heard = heard + n end)
  em:on("order", function(n)
    neap.sleep(0.01)
    heard = heard + n
  end)
  em:once("order", function() heard = heard + 100 end)
  assert(em:emit("order", 1) == 3)
  assert(heard == 102)
  local waiting = neap.spawn(function() return em:wait_for "paid" end)
  neap.checkpoint()
  em:emit("paid", 42)
  assert(waiting:await() == 42)
  em:on("order", function() error "a listener fails" end)
  local ok, err = pcall(em.emit, em, "order", 1)
  assert(not ok, err)
  assert(heard == 104)
end)
