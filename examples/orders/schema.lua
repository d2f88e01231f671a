--- A schema of our own in somebody's database. Only a schema that carries our
--- mark is ever dropped, so a user's tables are safe whatever they are called.

local pg = require "neap.pg"
local repository = require "neap.repository"
local csv = require "lib.csv"
local model = require "orders.model"

local schema = {}

local MARK <const> =
  "made by examples/orders.lua of neap, dropped by its next run"

--- Make the schema anew, empty. Raises when one of that name is not ours.
---@async
---@param dsn string
---@param name string
function schema.create(dsn, name)
  local db <close> = pg.connect(dsn, { max = 1 })
  local there = db:row([[
    select obj_description(oid, 'pg_namespace') as mark
      from pg_namespace where nspname = $1]], name)
  if there and there.mark ~= MARK then
    error({ message = ("the database has a schema '%s' that this program "
      .. "did not make; it is left alone"):format(name) }, 0)
  end
  local ident = pg.ident(name)
  if there then db:exec("drop schema " .. ident .. " cascade") end
  db:exec("create schema " .. ident)
  db:exec(("comment on schema %s is '%s'"):format(ident, MARK:gsub("'", "''")))
end

--- A pool whose connections see the schema and nothing else.
---@async
---@param dsn string
---@param name string
---@param opts table options of pg.connect
---@return neap.pg.Pool
function schema.connect(dsn, name, opts)
  local path = "set search_path to " .. pg.ident(name)
  opts.on_connect = function(conn) conn:exec(path) end
  return pg.connect(dsn, opts)
end

--- Create the tables and fill in users, products and stock.
---@async
---@param db neap.pg.Pool
---@param here string directory of the examples
function schema.fill(db, here)
  db:migrate(here .. "orders/migrations")
  local users = csv.read(here .. "data/users.csv", { "code", "email", "name" })
  local catalogue = csv.read(here .. "data/products.csv",
    { "sku", "name", "price_cents", "stock" })

  local people, products, stock = {}, {}, {}
  for i, user in ipairs(users) do people[i] = model.User.new(user) end
  for i, p in ipairs(catalogue) do
    local quantity = math.tointeger(tonumber(p.stock))
    products[i] = model.Product.new {
      sku = p.sku, name = p.name, initial_stock = quantity,
      price_cents = math.tointeger(tonumber(p.price_cents)),
    }
    stock[i] = model.Stock.new { sku = p.sku, quantity = quantity }
  end
  repository.new(db, model.User):insert_many(people)
  repository.new(db, model.Product):insert_many(products)
  repository.new(db, model.Stock):insert_many(stock)
  -- Not the tables that are still empty: the server would plan to read them
  -- from end to end, and stay with that while they grow.
  db:exec("analyze users, products, stock")
end

return schema
