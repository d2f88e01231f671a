--- The same work as orders/import.lua the plain way: one connection, one
--- statement after another, one listener after another. For comparison.

local neap = require "neap"
local pg = require "neap.pg"
local line = require "orders.line"
local listeners = require "orders.listeners"

local serial = {}

local ORDER <const> = [[
  insert into orders (ref, user_code, total_cents, placed_at, note)
  values ($1, $2, $3, $4, $5)]]
local ITEM <const> = [[
  insert into order_items (order_ref, sku, quantity, price_cents)
  values ($1, $2, $3, $4)]]
local EVENT <const> = [[
  insert into order_events (order_ref, name, payload) values ($1, $2, $3)]]
local STOCK <const> = [[
  update stock set quantity = quantity - $2, version = version + 1
   where sku = $1 and version = $3]]

local function place(db, l, hear)
  local user = db:row("select * from users where code = $1", l.user)
  local product = db:row("select * from products where sku = $1", l.sku)
  local stock = db:row("select * from stock where sku = $1", l.sku)
  if not user or not product then return false end
  if stock.quantity < l.quantity then return false end
  local total = l.quantity * product.price_cents
  local payload = {
    ref = l.ref, sku = l.sku, quantity = l.quantity, total_cents = total,
  }
  local ok, err = neap.pcall(db.transaction, db, function(tx)
    tx:exec(ORDER, l.ref, l.user, total, l.at, l.note)
    tx:exec(ITEM, l.ref, l.sku, l.quantity, product.price_cents)
    tx:exec(EVENT, l.ref, "order.placed", payload)
    tx:exec(STOCK, l.sku, l.quantity, stock.version)
  end)
  if pg.is_unique_violation(err) then return false end
  if not ok then error(err, 0) end
  for _, listener in pairs(hear) do
    neap.pcall(listener, { name = "order.placed", payload = payload })
  end
  return true
end

--- Import what `lines` yields. `db` should have one connection.
---@async
---@param db neap.pg.Pool
---@param lines fun(): integer?, string?
---@return {lines: integer, placed: integer, elapsed: number,
---  latencies: number[]}
function serial.run(db, lines)
  local hear = listeners.new(db)
  local run = { lines = 0, placed = 0, elapsed = 0, latencies = {} }
  local started = neap.now()
  for number, text in lines do
    local from = neap.now()
    local l = line.parse(number, text)
    run.lines = run.lines + 1
    if l and place(db, l, hear) then
      run.placed = run.placed + 1
      run.latencies[run.placed] = neap.now() - from
    end
  end
  run.elapsed = neap.now() - started
  table.sort(run.latencies)
  return run
end

return serial
