local cursor = require "neap.repository.cursor"
local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Item, Line, Order, User = shop.Item, shop.Line, shop.Order, shop.User
local fault, on = shop.fault, shop.on
local op = repository.op

--- Twelve items, with ties and NULLs in their prices.
local function fill(db)
  local items, list = repository.new(db, Item), {}
  for i = 1, 12 do
    list[i] = Item.new {
      id = i, name = "n" .. i, price = i % 4 ~= 0 and i % 3 or nil,
    }
  end
  items:insert_many(list)
  return items
end

local function ids(rows)
  local list = {}
  for i = 1, rows.n do list[i] = rows[i].id end
  return list
end

describe("pages by number #pg", function()
  it("count everything and know their neighbours", on(function(db)
    local items = fill(db)
    local page = items:page { size = 5, page = 1 }
    assert.same({ 1, 2, 3, 4, 5 }, ids(page.rows))
    assert.equal(12, page.total)
    assert.equal(2, page.next)
    assert.is_nil(page.prev)
    page = items:page { size = 5, page = 3 }
    assert.same({ 11, 12 }, ids(page.rows))
    assert.is_nil(page.next)
    assert.equal(2, page.prev)
    page = items:page { size = 4, page = 3 }
    assert.is_nil(page.next)
    page = items:page { size = 5, page = 9 }
    assert.equal(0, page.rows.n)
    assert.equal(12, page.total)
  end))

  it("count what the condition selects", on(function(db)
    local items = fill(db)
    local page = items:page {
      size = 2, page = 2, where = { id = op(">", 7) }, order = "id desc",
    }
    assert.same({ 10, 9 }, ids(page.rows))
    assert.equal(5, page.total)
    assert.equal(3, page.next)
  end))
end)

describe("pages by key #pg", function()
  --- Walk to the end and back; both ways must see the same rows.
  local function walk(items, order, size, where)
    local function read(side, token)
      local opts = { size = size, order = order, where = where }
      opts[side] = token
      local page = items:page(opts)
      assert.is_true(page.rows.n <= size)
      return page
    end
    local page = read("after", nil)
    local there = ids(page.rows)
    while page.next do
      page = read("after", page.next)
      for _, id in ipairs(ids(page.rows)) do there[#there + 1] = id end
    end
    local back = ids(page.rows)
    while page.prev do
      page = read("before", page.prev)
      local more = ids(page.rows)
      back = table.move(back, 1, #back, #more + 1, more)
    end
    assert.same(there, back)
    return there
  end

  it("walk in both directions, over ties and NULLs", on(function(db)
    local items = fill(db)
    for _, order in ipairs {
      "id", "id desc", "price", "price desc", "price nulls first",
      "price desc nulls last", "name desc",
    } do
      local wanted = ids(items:all(nil, {
        order = { order, order:find("desc") and "id desc" or "id" },
      }))
      for _, size in ipairs { 1, 2, 3, 5, 11, 12, 13 } do
        assert.same(wanted, walk(items, order, size))
      end
    end
    for _, order in ipairs { { "price desc", "name" }, { "price", "id desc" } }
    do
      local wanted = ids(items:all(nil, { order = { order[1], order[2] } }))
      assert.same(wanted, walk(items, order, 3))
    end
    assert.same({ 8, 9, 10, 11, 12 }, walk(items, "id", 2, { id = op(">", 7) }))
  end))

  it("walk over keys of several columns", on(function(db)
    local user = repository.new(db, User):insert(User.new { email = "a" })
    local orders, lines = repository.new(db, Order), repository.new(db, Line)
    local list = {}
    for o = 1, 3 do
      orders:insert(Order.new { id = o, user_id = user.id })
      for l = 1, 3 do
        list[#list + 1] = Line.new { order_id = o, line = l, item = "x" }
      end
    end
    lines:insert_many(list)
    local seen, token = {}, nil
    repeat
      local page = lines:page { size = 2, after = token }
      for _, line in ipairs(page.rows) do
        seen[#seen + 1] = line.order_id * 10 + line.line
      end
      token = page.next
    until not token
    assert.same({ 11, 12, 13, 21, 22, 23, 31, 32, 33 }, seen)
  end))

  it("neither repeat nor skip rows when others come and go", on(function(db)
    local items = fill(db)
    local page = items:page { size = 4 }
    assert.same({ 1, 2, 3, 4 }, ids(page.rows))
    items:delete(2)
    items:insert(Item.new { id = 0, name = "early" })
    page = items:page { size = 4, after = page.next }
    assert.same({ 5, 6, 7, 8 }, ids(page.rows))
  end))

  it("are empty when there is nothing", on(function(db)
    local page = repository.new(db, Item):page { size = 3 }
    assert.equal(0, page.rows.n)
    assert.is_nil(page.next)
    assert.is_nil(page.prev)
    assert.is_nil(page.total)
  end))

  it("refuse cursors that are not theirs", on(function(db)
    local items = fill(db)
    local token = items:page({ size = 2, order = "price" }).next
    local function read(after, order)
      return fault("invalid", items.page, items, {
        size = 2, after = after, order = order,
      })
    end
    assert.matches("of another order", read(token, "price desc").message)
    assert.matches("of another order", read(token, "id").message)
    for _, bad in ipairs {
      "", "x", "!!!!", token .. "A", token:sub(1, -2), token:sub(5),
    } do
      read(bad, "price")
    end
    fault("invalid", items.page, items, { after = token, before = token })
    fault("invalid", items.page, items, { after = token, page = 1 })
    fault("invalid", items.page, items, { size = 0 })
    fault("invalid", items.page, items, { sise = 1 })
  end))
end)

describe("a cursor", function()
  it("holds any values of a row", function()
    local terms = {}
    for i, name in ipairs { "a", "b", "c", "d", "e", "f", "g" } do
      terms[i] = {
        column = { name = name }, descending = false, nulls_first = false,
      }
    end
    local row = {
      a = math.mininteger, b = 0.1, c = "x\0y", d = true, e = false, f = nil,
      g = 1 / 0,
    }
    local values = cursor.read("spec", terms, cursor.write(terms, row))
    assert.equal(math.mininteger, values[1])
    assert.equal(0.1, values[2])
    assert.equal("x\0y", values[3])
    assert.is_true(values[4])
    assert.is_false(values[5])
    assert.is_nil(values[6])
    assert.equal("inf", values[7])
    assert.is_nil(cursor.write(terms, row):find("[^%w_%-]"))
  end)
end)
