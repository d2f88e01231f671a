--- The import: workers take lines from a queue; each places its order in a
--- unit of work and starts again when another was faster at the same stock.

local neap = require "neap"
local pg = require "neap.pg"
local repository = require "neap.repository"
local events = require "neap.events"
local line = require "orders.line"
local listeners = require "orders.listeners"
local model = require "orders.model"

local ATTEMPTS <const> = 50 -- then the order is rejected, not lost
local BACKOFF <const> = 0.001 -- seconds, times the attempt, at random

---@class orders.Import
---@field read integer lines taken from the file
---@field done integer lines placed or rejected
---@field placed integer
---@field rejected table<string, integer> by reason
---@field conflicts integer attempts repeated after stale_object
---@field delivered integer events that a listener has dealt with
---@field latencies number[] seconds per placed order
---@field finished_at number[] when each was placed, since the start
---@field elapsed number
---@field statistics orders.Statistics
---@field private db neap.pg.Pool
---@field private in_flight table<integer, true> by line number
local Import = {}
Import.__index = Import

local import = {}

---@param db neap.pg.Pool
---@return orders.Import
function import.new(db)
  local self = setmetatable({
    db = db, read = 0, done = 0, placed = 0, rejected = {}, conflicts = 0,
    delivered = 0, latencies = {}, finished_at = {}, elapsed = 0,
    in_flight = {},
  }, Import)
  self.users = repository.new(db, model.User)
  self.products = repository.new(db, model.Product)
  self.stock = repository.new(db, model.Stock)
  self.publisher = events.publisher()
  local by_name, statistics = listeners.new(db)
  self.statistics = statistics
  for _, listener in pairs(by_name) do
    self.publisher:subscribe("order.placed", function(event)
      listener(event)
      self.delivered = self.delivered + 1
    end)
  end
  return self
end

--- One attempt: all writes or none. The event is announced once the server
--- has said COMMIT.
---@async
---@private
function Import:write(l, product, stock)
  local total = l.quantity * product.price_cents
  -- Once, out here: the function below is run again after a deadlock, or when
  -- its connection is lost.
  local left = stock.quantity - l.quantity
  local placed = {
    ref = l.ref, sku = l.sku, quantity = l.quantity, total_cents = total,
  }
  repository.unit_of_work(self.db, { events = self.publisher }, function(uow)
    local order = model.Order.new {
      ref = l.ref, user_code = l.user, total_cents = total,
      placed_at = l.at, note = l.note,
    }
    order:record("order.placed", placed)
    uow:add(order)
    uow:add(model.OrderItem.new {
      order_ref = l.ref, sku = l.sku, quantity = l.quantity,
      price_cents = product.price_cents,
    })
    uow:add(model.OrderEvent.new {
      order_ref = l.ref, name = "order.placed", payload = placed,
    })
    stock.quantity = left
    uow:repo(model.Stock):update(stock)
  end)
end

--- Place the order on one line. Returns nil, or why it is rejected.
---@async
---@param l orders.Line
---@return string? reason
function Import:place(l)
  local user, product, stock = neap.gather(
    function() return self.users:get(l.user) end,
    function() return self.products:get(l.sku) end,
    function() return self.stock:get(l.sku) end)
  if not user then return "unknown user" end
  if not product then return "unknown product" end

  for attempt = 1, ATTEMPTS do
    if stock.quantity < l.quantity then return "out of stock" end
    local ok, err = neap.pcall(self.write, self, l, product, stock)
    if ok then return nil end
    if pg.is_unique_violation(err) then return "duplicate" end
    if not neap.fault.is(err, "stale_object") then error(err, 0) end
    self.conflicts = self.conflicts + 1
    neap.sleep(math.random() * attempt * BACKOFF)
    stock = self.stock:get(l.sku)
  end
  return "too many conflicts"
end

---@async
---@private
function Import:take(item)
  local started = neap.now()
  self.in_flight[item.number] = true
  local l = line.parse(item.number, item.text)
  local reason = l == nil and "malformed line" or self:place(l)
  if reason then
    self.rejected[reason] = (self.rejected[reason] or 0) + 1
  else
    local now = neap.now()
    self.placed = self.placed + 1
    self.latencies[self.placed] = now - started
    self.finished_at[self.placed] = now - self.started
  end
  self.in_flight[item.number] = nil
  self.done = self.done + 1
end

--- Import all lines that `lines` yields, `concurrency` of them at a time.
--- `tick` is called every `interval` seconds meanwhile.
---@async
---@param lines fun(): integer?, string?
---@param opts {concurrency: integer, interval: number, tick: fun()}
function Import:run(lines, opts)
  local queue = neap.queue(2 * opts.concurrency)
  self.started = neap.now()
  neap.scope(function(s)
    s:spawn(function()
      for number, text in lines do
        self.read = self.read + 1
        queue:put { number = number, text = text }
      end
      queue:close()
    end)
    local ticker = s:spawn(function()
      while true do
        neap.sleep(opts.interval)
        opts.tick()
      end
    end)
    neap.scope(function(workers)
      for _ = 1, opts.concurrency do
        workers:spawn(function()
          for item in queue:iter() do self:take(item) end
        end)
      end
    end)
    ticker:cancel("the last line is done")
  end)
  self.elapsed = neap.now() - self.started
  table.sort(self.latencies)
end

--- Rejected lines in all.
---@return integer
function Import:turned_away()
  local n = 0
  for _, count in pairs(self.rejected) do n = n + count end
  return n
end

--- How many lines were under way when the import was stopped, and the first
--- of them: all lines before it are done.
---@return integer count
---@return integer? first
function Import:unfinished()
  local n, first = 0, nil
  for number in pairs(self.in_flight) do
    n = n + 1
    if not first or number < first then first = number end
  end
  return n, first
end

return import
