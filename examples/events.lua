--- An event emitter: listeners run at once, may wait, and cannot break one
--- another. Needs no database.
---
---   eval "$(make -s env)"
---   lua5.4 examples/events.lua

local neap = require "neap"

neap.run(function()
  local shop = neap.emitter()

  shop:on("order.placed", function(order)
    neap.sleep(0.02)
    print("mailed a confirmation for", order.ref)
  end)
  shop:on("order.placed", function(order)
    error("the warehouse does not know " .. order.sku, 0)
  end)
  shop:once("order.placed", function(order)
    print("the first order of the day is", order.ref)
  end)

  -- emit waits for all listeners. All of them have run when it raises.
  print(pcall(shop.emit, shop, "order.placed", { ref = 1, sku = "P-0001" }))

  -- Nobody listens: that is no error.
  print("listeners of order.lost:", shop:emit("order.lost", 2))

  -- Wait for an event that somebody else will emit.
  neap.scope(function(s)
    s:spawn(function()
      neap.sleep(0.01)
      shop:emit("order.shipped", 1, "DHL")
    end)
    local ref, carrier = shop:wait_for("order.shipped", { timeout = 1 })
    print("shipped", ref, carrier)
  end)
end)
