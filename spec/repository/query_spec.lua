local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Item, User = shop.Item, shop.User
local fault, on = shop.fault, shop.on
local null, op = repository.null, repository.op

local function fill(db)
  local items = repository.new(db, Item)
  items:insert_many {
    Item.new { id = 1, name = "anvil", price = 30 },
    Item.new { id = 2, name = "bolt", price = 1 },
    Item.new { id = 3, name = "crank", price = 12 },
    Item.new { id = 4, name = "drill" },
    Item.new { id = 5, name = "eye" },
  }
  return items
end

local function ids(rows)
  local list = {}
  for i = 1, rows.n do list[i] = rows[i].id end
  table.sort(list)
  return list
end

describe("conditions on a server #pg", function()
  it("select what they say", on(function(db)
    local items = fill(db)
    for _, case in ipairs {
      { { name = "bolt" }, 2 },
      { { price = null }, 4, 5 },
      { { price = op("<>", null) }, 1, 2, 3 },
      { { id = { 1, 5, 9 } }, 1, 5 },
      { { id = {} } },
      { { price = { "12", null } }, 3, 4, 5 },
      { { price = op("not in", { 12 }) }, 1, 2 },
      { { price = op(">=", 12) }, 1, 3 },
      { { id = op("between", { 2, 4 }) }, 2, 3, 4 },
      { { name = op("like", "%l%") }, 1, 2, 4 },
      { { name = op("ilike", "A%") }, 1 },
      { { name = op("not like", "%l%") }, 3, 5 },
      { { name = op("~", "^[ab]") }, 1, 2 },
      { { price = op("is distinct from", 1) }, 1, 3, 4, 5 },
      { { any_of = { { id = 1 }, { name = "eye" } } }, 1, 5 },
      { { any_of = {} } },
      { { none_of = {} }, 1, 2, 3, 4, 5 },
      { { none_of = { { price = op("<", 20) } } }, 1, 4, 5 },
      { { none_of = { { id = 1 }, { id = 2 } }, price = null }, 4, 5 },
      { { all_of = { { id = op(">", 1) }, { id = op("<", 4) } } }, 2, 3 },
      { { any_of = { { none_of = { { id = op(">", 1) } } }, { id = 5 } } },
        1, 5 },
      { {}, 1, 2, 3, 4, 5 },
    } do
      local rows = items:all(case[1])
      assert.same({ table.unpack(case, 2) }, ids(rows))
      assert.equal(#case - 1, items:count(case[1]))
    end
  end))

  it("take any value for a value", on(function(db)
    local items = repository.new(db, Item)
    for i, evil in ipairs {
      "'; drop table shop.items; --", "$1", "\\'; select 1", '"', "%", "a''b",
      "{1,2}", "null", "\u{2028}",
    } do
      items:insert(Item.new { id = i, name = evil })
      assert.equal(i, items:find({ name = evil }).id)
      assert.same({ i }, ids(items:all { name = { evil, "x" } }))
    end
    assert.equal(9, items:count())
  end))
end)

describe("a query #pg", function()
  it("is built step by step and can be used again", on(function(db)
    local items = fill(db)
    local priced = items:where { price = op("<>", null) }
    local by_price = priced:order_by("price desc")
    assert.equal(1, by_price:first().id)
    assert.equal(2, priced:order_by("price"):first().id)
    assert.same({ 1, 3 }, ids(by_price:limit(2):all()))
    assert.same({ 2, 3 }, ids(by_price:offset(1):all()))
    assert.same({ 3 }, ids(by_price:limit(1):offset(1):all()))
    assert.equal(3, priced:count())
    assert.equal(2, by_price:limit(2):count())
    assert.equal(1, by_price:offset(2):count())
    assert.equal(3, by_price:all().n)
    assert.is_nil(by_price:limit(0):first())
  end))

  it("narrows", on(function(db)
    local items = fill(db)
    local some = items:where { id = op(">", 1) }:where { id = op("<", 4) }
    assert.same({ 2, 3 }, ids(some:all()))
    assert.is_true(some:exists())
    assert.is_false(some:where({ name = "anvil" }):exists())
    assert.is_nil(some:where({ name = "anvil" }):first())
  end))

  it("orders with NULLs where they are wanted", on(function(db)
    local items = fill(db)
    local function first(order) return items:where():order_by(order, "id"):first().id end
    assert.equal(2, first("price"))
    assert.equal(4, first("price desc"))
    assert.equal(4, first("price nulls first"))
    assert.equal(1, first("price desc nulls last"))
  end))

  it("complains where the mistake is", on(function(db)
    local items = repository.new(db, Item)
    fault("invalid", items.where, items, { nmae = 1 })
    local query = items:where {}
    fault("invalid", query.where, query, { nmae = 1 })
    fault("invalid", query.order_by, query, "nmae")
    fault("invalid", query.limit, query, "1; drop table x")
    fault("invalid", query.offset, query, -1)
    fault("invalid", query.limit, query, 1.5)
  end))

  it("updates all that match", on(function(db)
    local items = fill(db)
    assert.equal(2, items:where({ price = null }):update { price = 7 })
    assert.equal(2, items:count { price = 7 })
    assert.equal(1, items:where({ id = 1 }):update { price = null, name = "x" })
    assert.is_nil(items:get(1).price)
    assert.equal(5, items:where({ none_of = {} }):update { name = "y" })
    fault("invalid", function() items:where({ id = 1 }):update {} end)
    fault("invalid", function() items:where({ id = 1 }):update { id = 2 } end)
    fault("invalid", function() items:where({ id = 1 }):update { label = 2 } end)
    fault("invalid", function() items:where({ id = 1 }):update { nmae = 2 } end)
  end))

  it("raises the version of what it updates", on(function(db)
    local users = repository.new(db, User)
    local user = users:insert(User.new { email = "a" })
    users:where({ email = "a" }):update { name = "A" }
    fault("stale_object", users.update, users, user)
  end))

  it("deletes all that match", on(function(db)
    local items = fill(db)
    assert.equal(2, items:where({ price = null }):delete())
    assert.equal(0, items:where({ price = null }):delete())
    assert.equal(3, items:count())
  end))

  it("never changes every row because a value was nil", on(function(db)
    local items = fill(db)
    local lost = items:where { name = nil }
    fault("invalid", lost.delete, lost)
    fault("invalid", lost.update, lost, { name = "x" })
    local limited = items:where({ id = 1 }):limit(1)
    fault("invalid", limited.delete, limited)
    assert.equal(5, items:count())
    assert.equal(5, items:where({ none_of = {} }):delete())
  end))
end)
