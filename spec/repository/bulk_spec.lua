local neap = require "neap"
local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Item, Line, Order, User = shop.Item, shop.Line, shop.Order, shop.User
local fault, on = shop.fault, shop.on
local null = repository.null

--- The same database with its round trips counted.
local function counting(db)
  local count = 0
  local twin = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      count = count + 1
      return db[name](db, ...)
    end
  end })
  return twin, function() return count end
end

describe("insert_many #pg", function()
  it("stores a list in one statement and brings the values back",
    on(function(db)
      local spied, count = counting(db)
      local users = repository.new(spied, User)
      local list = {}
      for i = 1, 500 do
        list[i] = User.new { email = "u" .. i, age = i }
      end
      assert.equal(list, users:insert_many(list))
      assert.equal(1, count())
      for i = 1, 500 do
        assert.equal("u" .. i, list[i].email)
        assert.equal(1, list[i].version)
        assert.is_string(list[i].id)
      end
      assert.equal(500, users:count())
      assert.equal(77, users:get(list[77].id).age)
    end))

  it("gives server-made keys in the order of the list", on(function(db)
    local items, list = repository.new(db, Item), {}
    for i = 1, 200 do list[i] = Item.new { name = "n" .. i } end
    items:insert_many(list)
    for i = 2, 200 do assert.equal(list[i - 1].id + 1, list[i].id) end
    assert.equal("n150", items:get(list[150].id).name)
  end))

  it("leaves to the server what each leaves to it", on(function(db)
    local spied, count = counting(db)
    local users = repository.new(spied, User)
    local list = users:insert_many {
      User.new { email = "a" },
      User.new { email = "b", active = false },
      User.new { email = "c", name = null },
      User.new { email = "d", active = false },
      User.new { email = "e" },
    }
    assert.equal(1, count()) -- three statements in one batch
    local active = {}
    for i, user in ipairs(list) do active[i] = user.active end
    assert.same({ true, false, true, false, true }, active)
    assert.equal("d", list[4].email)
    assert.equal(5, users:count())
  end))

  it("stores all or none", on(function(db)
    local users = repository.new(db, User)
    users:insert(User.new { email = "c" })
    local list = {
      User.new { email = "a" }, User.new { email = "b", age = 1 },
      User.new { email = "c", age = 2 },
    }
    local err = fault("pg", users.insert_many, users, list)
    assert.equal("23505", err.code)
    assert.equal(1, users:count())
    -- And the objects are as they were.
    assert.is_nil(list[1].id)
    assert.is_nil(list[2].version)
    list[3].email = "d"
    users:insert_many(list)
    assert.equal(4, users:count())
  end))

  it("stores documents and arrays", on(function(db)
    local items = repository.new(db, Item)
    local list = {}
    for i = 1, 7 do
      list[i] = Item.new {
        name = "n" .. i, tags = { "t" .. i, "x" }, doc = { i = i },
      }
    end
    items:insert_many(list)
    for i = 1, 7 do
      local item = items:get(list[i].id)
      assert.equal("n" .. i, item.name)
      assert.equal("t" .. i, item.tags[1])
      assert.equal(2, #item.tags)
      assert.equal(i, item.doc.i)
    end
    local docs = {
      Item.new { name = "d1", doc = { list = { 1, 2 } } },
      Item.new { name = "d2", doc = { 1, { a = true } } },
      Item.new { name = "d3", doc = null },
    }
    items:insert_many(docs)
    assert.equal(2, items:get(docs[1].id).doc.list[2])
    assert.is_true(items:get(docs[2].id).doc[2].a)
    assert.is_nil(items:get(docs[3].id).doc)
  end))

  it("takes lists of none and of one", on(function(db)
    local users = repository.new(db, User)
    assert.same({}, users:insert_many {})
    local one = users:insert_many { User.new { email = "a" } }
    assert.equal(1, one[1].version)
  end))

  it("refuses an entity that stands twice in the list", on(function(db)
    local users = repository.new(db, User)
    local user = User.new { email = "a" }
    assert.matches("in the list twice", fault("invalid", users.insert_many,
      users, { user, user }).message)
    assert.equal(0, users:count())
  end))

  it("stores lists of thousands", on(function(db)
    local items, list = repository.new(db, Item), {}
    for i = 1, 25000 do list[i] = Item.new { name = "n", price = i } end
    items:insert_many(list)
    assert.equal(25000, items:count())
    assert.equal(25000, items:get(list[25000].id).id - list[1].id + 1)
  end))
end)

describe("save_many #pg", function()
  it("inserts and updates in one statement", on(function(db)
    local spied, count = counting(db)
    local items = repository.new(spied, Item)
    items:insert_many {
      Item.new { id = 1, name = "a" }, Item.new { id = 2, name = "b" },
    }
    local before = count()
    local list = {
      Item.new { id = 1, name = "A" }, Item.new { id = 3, name = "C" },
    }
    items:save_many(list)
    assert.equal(1, count() - before)
    assert.equal("C", list[2].label)
    assert.equal("A", items:get(1).name)
    assert.equal("b", items:get(2).name)
    assert.equal(3, items:count())
  end))

  it("reads again what did not change", on(function(db)
    local items = repository.new(db, Item)
    items:insert(Item.new { id = 1, name = "a", price = 3 })
    local list = items:save_many {
      Item.new { id = 1, name = "a", price = 3 },
      Item.new { id = 2, name = "b", price = 4 },
    }
    assert.equal("A", list[1].label)
    assert.equal("B", list[2].label)
  end))

  it("stores the last of several with one key", on(function(db)
    local items = repository.new(db, Item)
    local list = {
      Item.new { id = 1, name = "first" }, Item.new { id = 2, name = "two" },
      Item.new { id = 1, name = "last" },
    }
    assert.equal(list, items:save_many(list))
    assert.equal("last", items:get(1).name)
    assert.equal("last", list[1].name)
    assert.equal("LAST", list[1].label)
    assert.equal(2, items:count())
  end))

  it("raises stale_object for one and stores none", on(function(db)
    local users = repository.new(db, User)
    local a, b = users:insert(User.new { email = "a" }),
      users:insert(User.new { email = "b" })
    local old = users:get(b.id)
    users:update(b)
    a.name, old.name = "A", "B"
    local err = fault("stale_object", users.save_many, users, { a, old })
    assert.equal(old.id, err.key)
    assert.is_nil(users:get(a.id).name)
    assert.equal(1, a.version)
    b.name = "B"
    users:save_many { a, b }
    assert.equal("A", users:get(a.id).name)
    assert.same({ 2, 3 }, { a.version, b.version })
  end))

  it("works with keys of several columns", on(function(db)
    local user = repository.new(db, User):insert(User.new { email = "a" })
    repository.new(db, Order):insert(Order.new { id = 1, user_id = user.id })
    local lines = repository.new(db, Line)
    lines:save_many {
      Line.new { order_id = 1, line = 1, item = "a" },
      Line.new { order_id = 1, line = 2, item = "b" },
    }
    lines:save_many {
      Line.new { order_id = 1, line = 2, item = "B" },
      Line.new { order_id = 1, line = 3, item = "c" },
    }
    local items = {}
    for i, line in ipairs(lines:all(nil, { order = { "order_id", "line" } })) do
      items[i] = line.item
    end
    assert.same({ "a", "B", "c" }, items)
  end))
end)

describe("a list in the hands of two tasks #pg", function()
  it("is stored by both or by one", on(function(db)
    local items = repository.new(db, Item)
    local function store()
      local list = {}
      for i = 1, 50 do list[i] = Item.new { id = i, name = "n" .. i } end
      items:insert_many(list)
    end
    local outcomes = neap.settle { store, store }
    local ok = 0
    for _, outcome in ipairs(outcomes) do
      if outcome.ok then ok = ok + 1 else
        assert.equal("23505", outcome.err.code)
      end
    end
    assert.equal(1, ok)
    assert.equal(50, items:count())
  end))
end)
