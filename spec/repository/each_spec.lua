local neap = require "neap"
local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Item = shop.Item
local fault, on = shop.fault, shop.on
local op = repository.op

local function fill(db, n)
  local items, list = repository.new(db, Item), {}
  for id = 1, n do
    list[id] = Item.new { id = id, name = "item " .. id, price = id }
  end
  items:insert_many(list)
  return items
end

describe("query:each on a server #pg", function()
  it("gives every entity that matches once, in order", on(function(db)
    local items = fill(db, 50)
    local n = 10
    for item in items:where { id = op(">", 10) }:order_by("id"):each { batch = 7 } do
      n = n + 1
      assert(getmetatable(item) == Item and item.id == n)
    end
    assert.are.equal(50, n)
  end))

  it("can be left at any time, and honours limit and offset", on(function(db)
    local items = fill(db, 20)
    local seen = {}
    neap.scope(function()
      for item in items:where {}:order_by("id"):offset(3):limit(5):each() do
        seen[#seen + 1] = item.id
        if #seen == 2 then break end
      end
    end)
    assert.are.same({ 4, 5 }, seen)
    assert.are.equal(20, items:count())
  end))

  it("knows, in a unit of work, what was changed there, and makes known what it gives",
    on(function(db)
      fill(db, 5)
      repository.unit_of_work(db, function(uow)
        local items = uow:repo(Item)
        local second = items:get(2)
        second.name = "changed"
        for item in items:where {}:order_by("id"):each { batch = 2 } do
          if item.id == 2 then assert.are.equal(second, item) end
          if item.id == 4 then item.name = "changed too" end
        end
      end)
      assert.are.equal(2, repository.new(db, Item):count {
        name = op("like", "changed%"),
      })
    end))

  it("names an option that does not fit", on(function(db)
    local query = repository.new(db, Item):where {}
    fault("invalid", query.each, query, { batch = 0 })
    fault("invalid", query.each, query, { size = 1 })
  end))
end)
