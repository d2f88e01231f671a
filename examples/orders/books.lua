--- Do the books balance? Each question is a query that counts what is wrong.

local books = {}

local QUESTIONS <const> = {
  { "stock is never negative",
    "select count(*) from stock where quantity < 0" },
  { "stock plus sold equals the start", [[
    select count(*) from products p join stock s using (sku)
      left join (select sku, sum(quantity) as sold
                   from order_items group by sku) i using (sku)
     where s.quantity + coalesce(i.sold, 0) <> p.initial_stock]] },
  { "stock was changed once for each order", [[
    select count(*) from stock s
      left join (select sku, count(*) as n
                   from order_items group by sku) i using (sku)
     where s.version <> 1 + coalesce(i.n, 0)]] },
  { "every order has its item, at its price", [[
    select count(*) from orders o left join order_items i
        on i.order_ref = o.ref
       and i.quantity * i.price_cents = o.total_cents
     where i.order_ref is null]] },
  { "every order has its event", [[
    select count(*) from orders o left join order_events e
        on e.order_ref = o.ref and (e.payload->>'ref')::bigint = o.ref
     where e.order_ref is null]] },
  { "every order has reached the warehouse", [[
    select count(*) from orders o full join picks p on p.order_ref = o.ref
     where o.ref is null or p.order_ref is null]] },
}

---@class orders.Verdict
---@field question string
---@field wrong integer how many rows are at fault; 0 is good

--- Put all questions. With `placed` the number of orders must be that too.
---@async
---@param db neap.pg.Pool
---@param placed integer?
---@return boolean balanced
---@return orders.Verdict[]
function books.check(db, placed)
  local verdicts, balanced = {}, true
  for i, question in ipairs(QUESTIONS) do
    local wrong = db:value(question[2])
    verdicts[i] = { question = question[1], wrong = wrong }
  end
  if placed then
    local there = db:value("select count(*) from orders")
    verdicts[#verdicts + 1] = {
      question = "as many orders as were reported",
      wrong = math.abs(there - placed),
    }
  end
  for _, verdict in ipairs(verdicts) do
    balanced = balanced and verdict.wrong == 0
  end
  return balanced, verdicts
end

return books
