local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Item, Line, Order, User = shop.Item, shop.Line, shop.Order, shop.User
local fault, on = shop.fault, shop.on
local null, op = repository.null, repository.op

local function columns_of(object)
  local names = {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("a repository #pg", function()
  it("inserts and brings the server's values back", on(function(db)
    local users = repository.new(db, User)
    local user = User.new { email = "ada@example.org" }
    assert.equal(user, users:insert(user))
    assert.matches("^%x+%-%x+%-%x+%-%x+%-%x+$", user.id)
    assert.equal(1, user.version)
    assert.is_true(user.active)
    assert.is_nil(user.name)
    assert.same({ "active", "email", "id", "version" }, columns_of(user))
  end))

  it("leaves nil to the server on insert, and takes null for NULL",
    on(function(db)
      local users = repository.new(db, User)
      local err = fault("pg", users.insert, users, User.new {
        email = "a", active = null,
      })
      assert.equal("23502", err.code)
      local user = users:insert(User.new { email = "a", name = null })
      assert.is_nil(user.name)
    end))

  it("gets an entity of its class by key", on(function(db)
    local users = repository.new(db, User)
    local id = users:insert(User.new { email = "a", age = 30 }).id
    local user = users:get(id)
    assert.equal(User, getmetatable(user))
    assert.equal(30, user.age)
    assert.is_nil(users:get("00000000-0000-0000-0000-000000000000"))
    assert.same({ "active", "age", "email", "id", "version" },
      columns_of(user))
  end))

  it("has keys of several columns", on(function(db)
    local user = repository.new(db, User):insert(User.new { email = "a" })
    repository.new(db, Order):insert(Order.new { id = 1, user_id = user.id })
    local lines = repository.new(db, Line)
    lines:insert(Line.new { order_id = 1, line = 1, item = "nut" })
    lines:insert(Line.new { order_id = 1, line = 2, item = "bolt" })
    local line = lines:get { 1, 2 }
    assert.equal("bolt", line.item)
    assert.equal(1, line.amount)
    line.amount = 5
    lines:update(line)
    assert.equal(5, lines:get({ 1, 2 }).amount)
    assert.is_nil(lines:get { 2, 1 })
    assert.is_true(lines:delete { 1, 1 })
    assert.is_true(lines:delete(line))
    assert.equal(0, lines:count())
    fault("invalid", lines.get, lines, 1)
    fault("invalid", lines.get, lines, { 1 })
    fault("invalid", lines.get, lines, { 1, 2, 3 })
  end))

  it("gets many in the order of their keys", on(function(db)
    local items = repository.new(db, Item)
    items:insert_many {
      Item.new { id = 1, name = "a" }, Item.new { id = 2, name = "b" },
      Item.new { id = 3, name = "c" },
    }
    local found = items:get_many { 3, 9, 1, 3 }
    assert.equal(4, found.n)
    assert.equal("c", found[1].name)
    assert.is_nil(found[2])
    assert.equal("a", found[3].name)
    assert.equal(found[1], found[4])
    assert.equal(Item, getmetatable(found[1]))
    assert.same({ "id", "label", "name" }, columns_of(found[1]))
    assert.same({ n = 0 }, items:get_many {})
    -- A key in another spelling is still a key.
    assert.equal("b", items:get_many({ "2" })[1].name)
  end))

  it("gets many by keys of several columns", on(function(db)
    local user = repository.new(db, User):insert(User.new { email = "a" })
    repository.new(db, Order):insert(Order.new { id = 1, user_id = user.id })
    local lines = repository.new(db, Line)
    lines:insert_many {
      Line.new { order_id = 1, line = 1, item = "a" },
      Line.new { order_id = 1, line = 2, item = "b" },
    }
    local found = lines:get_many { { 1, 2 }, { 1, 3 }, { 1, 1 } }
    assert.equal("b", found[1].item)
    assert.is_nil(found[2])
    assert.equal("a", found[3].item)
  end))

  it("finds the first that matches", on(function(db)
    local users = repository.new(db, User)
    users:insert(User.new { email = "a@example.org", name = "A" })
    users:insert(User.new { email = "b@example.org" })
    assert.equal("A", users:find({ email = "a@example.org" }).name)
    assert.equal("b@example.org", users:find({ name = null }).email)
    assert.is_nil(users:find { email = "c@example.org" })
    assert.equal("A", users:find_by_email("a@example.org").name)
    assert.equal("b@example.org", users:find_by_name(null).email)
    assert.is_nil(users:find_by_age(7))
  end))

  it("never takes a missing value for any", on(function(db)
    local users = repository.new(db, User)
    users:insert(User.new { email = "a" })
    fault("invalid", users.find, users, { email = nil })
    fault("invalid", users.find, users)
    fault("invalid", users.find, users, "a")
    fault("invalid", users.exists, users, {})
    fault("invalid", users.find_by_email, users, nil)
    fault("invalid", users.get, users, nil)
    fault("invalid", users.get, users, null)
    fault("invalid", users.delete, users, nil)
  end))

  it("says which column was meant", on(function(db)
    local users = repository.new(db, User)
    assert.matches("did you mean 'email'", fault("invalid", users.find, users,
      { emial = "a" }).message)
    assert.matches("did you mean 'email'", fault("invalid",
      users.find_by_emial, users, "a").message)
    assert.is_nil(users.no_such_method)
  end))

  it("gives all, in an order, some of them", on(function(db)
    local items = repository.new(db, Item)
    for i = 1, 5 do
      items:insert(Item.new { id = i, name = "n" .. i, price = i % 3 })
    end
    local function ids(...)
      local list = {}
      local rows = items:all(...)
      for i = 1, rows.n do list[i] = rows[i].id end
      return list
    end
    assert.equal(5, #ids())
    assert.same({ 5, 4, 3, 2, 1 }, ids(nil, { order = "id desc" }))
    assert.same({ 3, 1, 4, 2, 5 }, ids({}, { order = { "price", "id" } }))
    assert.same({ 2, 3 }, ids(nil, { order = "id", limit = 2, offset = 1 }))
    assert.same({ 4, 5 }, ids({ id = op(">", 3) }, { order = "id" }))
    fault("invalid", items.all, items, nil, { oder = "id" })
    fault("invalid", items.all, items, nil, { limit = -1 })
  end))

  it("counts and tells whether there is any", on(function(db)
    local items = repository.new(db, Item)
    assert.equal(0, items:count())
    assert.is_false(items:exists { name = "a" })
    items:insert(Item.new { name = "a" })
    items:insert(Item.new { name = "b" })
    assert.equal(2, items:count())
    assert.equal(1, items:count { name = "a" })
    assert.is_true(items:exists { name = "b" })
  end))

  it("keeps documents and arrays as they are", on(function(db)
    local items = repository.new(db, Item)
    local item = items:insert(Item.new {
      name = "a", tags = { "x", "y" }, doc = { size = 3, list = { 1, 2 } },
      price = "12.50",
    })
    item = items:get(item.id)
    assert.equal("y", item.tags[2])
    assert.equal(2, #item.tags)
    assert.equal(3, item.doc.size)
    assert.equal(2, item.doc.list[2])
    assert.equal("12.50", tostring(item.price))
    assert.equal(item.id, items:find({ tags = { "x", "y" } }).id)
    assert.equal(item.id, items:find({ doc = op("@>", { size = 3 }) }).id)
    assert.equal(item.id, items:find({ tags = op("@>", { "y" }) }).id)
    assert.equal(item.id, items:find({ price = op("<", 13) }).id)
  end))

  it("reads what the server computes and never writes it", on(function(db)
    local items = repository.new(db, Item)
    local item = items:insert(Item.new { name = "nut", label = "ignored" })
    assert.equal("NUT", item.label)
    item.name = "bolt"
    items:update(item)
    assert.equal("BOLT", item.label)
  end))

  it("updates under the version it expects", on(function(db)
    local users = repository.new(db, User)
    local mine = users:insert(User.new { email = "a", name = "A", age = 1 })
    local theirs = users:get(mine.id)
    theirs.name = "B"
    assert.equal(theirs, users:update(theirs))
    assert.equal(2, theirs.version)

    mine.name = "C"
    local err = fault("stale_object", users.update, users, mine)
    assert.equal("User", err.entity)
    assert.equal("shop.users", err.table)
    assert.equal(mine.id, err.key)
    assert.equal(1, err.version)
    assert.matches("no longer at version 1", err.message)
    assert.equal("B", users:get(mine.id).name)
    assert.equal(1, mine.version)
  end))

  it("takes nil for NULL on update", on(function(db)
    local users = repository.new(db, User)
    local user = users:insert(User.new { email = "a", name = "A", age = 1 })
    user.name, user.age = nil, null
    users:update(user)
    assert.is_nil(user.age)
    user = users:get(user.id)
    assert.is_nil(user.name)
    assert.is_nil(user.age)
  end))

  it("notices an update of a row that is gone", on(function(db)
    local items = repository.new(db, Item)
    local item = items:insert(Item.new { name = "a" })
    items:delete(item.id)
    fault("stale_object", items.update, items, item)
  end))

  it("refuses to update what was never read", on(function(db)
    local users = repository.new(db, User)
    assert.matches("no 'id'", fault("invalid", users.update, users,
      User.new { email = "a" }).message)
    assert.matches("no 'version'", fault("invalid", users.update, users,
      User.new { id = "00000000-0000-0000-0000-000000000000" }).message)
  end))

  it("refuses fields that would be lost", on(function(db)
    local users = repository.new(db, User)
    local user = users:insert(User.new { email = "a" })
    user.nmae = "A"
    for _, name in ipairs { "insert", "update", "save", "delete" } do
      assert.matches("did you mean 'name'", fault("invalid", users[name], users,
        user).message)
    end
    user.nmae, user._note = nil, "mine"
    users:update(user)
    assert.equal("mine", user._note)
  end))

  it("refuses entities of another class, and other things", on(function(db)
    local users = repository.new(db, User)
    fault("invalid", users.insert, users, Item.new { name = "a" })
    fault("invalid", users.insert, users, { email = "a" })
    fault("invalid", users.insert, users, nil)
    fault("invalid", users.update, users, "a")
    fault("invalid", users.insert_many, users, User.new { email = "a" })
    fault("invalid", users.insert_many, users, { { email = "a" } })
  end))

  it("deletes an entity under its version, a key whatever it is",
    on(function(db)
      local users = repository.new(db, User)
      local user = users:insert(User.new { email = "a" })
      local old = users:get(user.id)
      users:update(user)
      fault("stale_object", users.delete, users, old)
      assert.is_true(users:delete(user))
      assert.is_false(users:delete(user.id))
      user = users:insert(User.new { email = "b" })
      assert.is_true(users:delete(user.id))

      local items = repository.new(db, Item)
      local item = items:insert(Item.new { name = "a" })
      assert.is_true(items:delete(item))
      assert.is_false(items:delete(item))
    end))

  it("passes the server's faults on", on(function(db)
    local users = repository.new(db, User)
    users:insert(User.new { email = "a" })
    local err = fault("pg", users.insert, users, User.new { email = "a" })
    assert.equal("23505", err.code)
    assert.equal("users_email_key", err.constraint)
  end))

  it("works on a transaction, and is undone with it", on(function(db)
    local users = repository.new(db, User)
    fault("invalid", db.transaction, db, function(tx)
      local mine = repository.new(tx, User)
      mine:insert(User.new { email = "a" })
      assert.equal(1, mine:count())
      assert.equal(0, users:count())
      require("neap").fault.raise { kind = "invalid", message = "no" }
    end)
    assert.equal(0, users:count())
  end))
end)

describe("save #pg", function()
  it("inserts what is new and updates what is known", on(function(db)
    local users = repository.new(db, User)
    local user = User.new { email = "a", name = "A" }
    assert.equal(user, users:save(user))
    assert.equal(1, user.version)
    user.name = nil
    users:save(user)
    assert.equal(2, user.version)
    assert.is_nil(users:get(user.id).name)
    assert.equal(1, users:count())
  end))

  it("raises stale_object over another version", on(function(db)
    local users = repository.new(db, User)
    local user = users:save(User.new { email = "a" })
    local old = users:get(user.id)
    users:save(user)
    fault("stale_object", users.save, users, old)
  end))

  it("never overwrites a versioned row that nobody has read", on(function(db)
    local users = repository.new(db, User)
    local user = users:save(User.new { email = "a" })
    local err = fault("stale_object", users.save, users,
      User.new { id = user.id, email = "b" })
    assert.matches("is in shop.users already", err.message)
    assert.equal("a", users:get(user.id).email)
  end))

  it("replaces a row without a version", on(function(db)
    local items = repository.new(db, Item)
    items:save(Item.new { id = 7, name = "a", price = 1 })
    local item = items:save(Item.new { id = 7, name = "b" })
    assert.equal("b", item.name)
    assert.is_nil(item.price)
    assert.equal("B", items:get(7).label)
    assert.equal(1, items:count())
  end))
end)
