--- Who hears of a placed order: a confirmation is mailed, the warehouse writes
--- a pick slip, the statistics are kept. The mail server is a pretence that
--- takes a millisecond and refuses now and then; what becomes of the order
--- does not depend on it.

local neap = require "neap"

local listeners = {}

local MAIL_TIME <const> = 0.001
local MAIL_FAILS_EVERY <const> = 97 -- one order in so many
local ATTEMPTS <const> = 5

-- Written once however often it is asked for, so it may be asked again.
local PICK <const> = [[
  insert into picks (order_ref, sku, quantity) values ($1, $2, $3)
  on conflict do nothing]]

---@class orders.Statistics
---@field orders integer
---@field pieces integer
---@field revenue_cents integer

--- Listeners for orders placed in `db`, and the statistics they keep.
---@param db neap.pg.Pool
---@return table<string, fun(event: table)> by_name
---@return orders.Statistics
function listeners.new(db)
  local statistics = { orders = 0, pieces = 0, revenue_cents = 0 }

  local function confirmation(event)
    neap.sleep(MAIL_TIME)
    if event.payload.ref % MAIL_FAILS_EVERY == 0 then
      neap.fault.raise { kind = "io", code = "451",
        message = "the mail server says: try again later" }
    end
  end

  local function warehouse(event)
    local p = event.payload
    for attempt = 1, ATTEMPTS do
      local ok, err = neap.pcall(db.exec, db, PICK, p.ref, p.sku, p.quantity)
      if ok then return end
      if attempt == ATTEMPTS or not neap.fault.is(err, "connection_lost") then
        error(err, 0)
      end
      neap.sleep(0.01 * attempt)
    end
  end

  local function count(event)
    local p = event.payload
    statistics.orders = statistics.orders + 1
    statistics.pieces = statistics.pieces + p.quantity
    statistics.revenue_cents = statistics.revenue_cents + p.total_cents
  end

  return {
    confirmation = confirmation, warehouse = warehouse, statistics = count,
  }, statistics
end

return listeners
