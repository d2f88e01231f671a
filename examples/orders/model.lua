--- The entities of the order book. An order carries the event that listeners
--- hear of once it is committed.

local repository = require "neap.repository"

local model = {}

model.User = repository.entity {
  name = "User",
  table = "users",
  key = "code",
  columns = { code = "text", email = "text", name = "text" },
}

model.Product = repository.entity {
  name = "Product",
  table = "products",
  key = "sku",
  columns = {
    sku = "text", name = "text", price_cents = "int8", initial_stock = "int8",
  },
}

--- Changed under optimistic locking: see `version`.
model.Stock = repository.entity {
  name = "Stock",
  table = "stock",
  key = "sku",
  columns = { sku = "text", quantity = "int8", version = "int8" },
  version = "version",
  references = { sku = model.Product },
}

model.Order = repository.entity {
  name = "Order",
  table = "orders",
  key = "ref",
  columns = {
    ref = "int8", user_code = "text", total_cents = "int8",
    placed_at = "timestamptz", note = "text",
  },
  references = { user_code = model.User },
}

model.OrderItem = repository.entity {
  name = "OrderItem",
  table = "order_items",
  key = "order_ref",
  columns = {
    order_ref = "int8", sku = "text", quantity = "int8", price_cents = "int8",
  },
  references = { order_ref = model.Order },
}

model.OrderEvent = repository.entity {
  name = "OrderEvent",
  table = "order_events",
  key = "order_ref",
  columns = {
    order_ref = "int8", name = "text", payload = "jsonb", at = "timestamptz",
  },
  references = { order_ref = model.Order },
}

return model
