local neap = require "neap"
local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local Category, Item, Line = shop.Category, shop.Item, shop.Line
local Order, User = shop.Order, shop.User
local fault, on = shop.fault, shop.on
local null, op = repository.null, repository.op
local unit_of_work = repository.unit_of_work

--- A user that is in the table already.
local function stored(db, fields)
  fields = fields or {}
  fields.email = fields.email or "ada@example.org"
  return repository.new(db, User):insert(User.new(fields))
end

--- Spawn `fn` and come back when it waits for the server.
local function started(fn)
  local has_begun = false
  local task = neap.spawn(function()
    has_begun = true
    fn()
  end)
  while not has_begun do neap.sleep(0) end
  return task
end

describe("a unit of work #pg", function()
  it("commits when its function returns, and gives its results",
    on(function(db)
      local a, b, c = unit_of_work(db, function(uow, x, y)
        uow:add(User.new { email = "a" })
        return x, nil, y
      end, 1, 2)
      assert.same({ 1, nil, 2 }, { a, b, c })
      assert.equal(1, repository.new(db, User):count())
    end))

  it("rolls back when it raises, and passes the error on", on(function(db)
    local mine = setmetatable({}, { __tostring = function() return "mine" end })
    local ok, err = neap.pcall(unit_of_work, db, function(uow)
      uow:add(User.new { email = "a" })
      uow:flush()
      error(mine)
    end)
    assert.is_false(ok)
    assert.equal(mine, err)
    assert.equal(0, repository.new(db, User):count())
  end))

  it("rolls back when it is cancelled", on(function(db)
    local reached = false
    local task = neap.spawn(function()
      unit_of_work(db, function(uow)
        uow:repo(User):insert(User.new { email = "a" })
        reached = true
        neap.sleep(60)
      end)
    end)
    while not reached do neap.sleep(0.005) end
    task:cancel("enough")
    task:join()
    assert.equal("cancelled", task:status())
    assert.equal(0, repository.new(db, User):count())
  end))

  it("writes what was loaded and has changed", on(function(db)
    local id = stored(db, { age = 1 }).id
    unit_of_work(db, function(uow)
      local user = uow:repo(User):get(id)
      user.name, user.age = "Ada", nil
    end)
    local user = repository.new(db, User):get(id)
    assert.equal("Ada", user.name)
    assert.is_nil(user.age)
    assert.equal(2, user.version)
  end))

  it("writes nothing that has not changed", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local user = uow:repo(User):get(id)
      user.name = "x"
      user.name = nil
      user.age = null -- as it is
    end)
    assert.equal(1, repository.new(db, User):get(id).version)
  end))

  it("writes only the columns that have changed", on(function(db)
    local items = repository.new(db, Item)
    items:insert(Item.new { id = 1, name = "a", price = 1 })
    unit_of_work(db, function(uow)
      local item = uow:repo(Item):get(1)
      items:where({ id = 1 }):update { price = 2 } -- somebody else
      item.name = "b"
    end)
    local item = items:get(1)
    assert.equal("b", item.name)
    assert.equal("2.00", tostring(item.price))
  end))

  it("sees changes inside documents", on(function(db)
    local items = repository.new(db, Item)
    items:insert(Item.new { id = 1, name = "a", doc = { n = 1, l = { 1 } } })
    unit_of_work(db, function(uow)
      uow:repo(Item):get(1).doc.l[2] = 5
    end)
    assert.equal(5, items:get(1).doc.l[2])
  end))

  it("has one object for one row", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      local user = users:get(id)
      assert.equal(user, users:get(id))
      assert.equal(user, users:get(id:upper()))
      assert.equal(user, users:find { email = "ada@example.org" })
      assert.equal(user, users:all()[1])
      assert.equal(user, users:get_many({ id })[1])
      assert.equal(users, uow:repo(User))
      user.name = "changed"
      assert.equal("changed", users:find_by_email("ada@example.org").name)
    end)
  end))

  it("asks the server once for a row it knows", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      local user = users:get(id)
      user.name = "mine"
      uow:flush()
      uow.tx:exec("delete from shop.users")
      assert.equal(user, users:get(id))
    end)
  end))

  it("flushes before it asks", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      users:get(id).name = "Grace"
      uow:add(User.new { email = "new" })
      assert.equal(1, users:count { name = "Grace" })
      assert.equal(2, users:count())
      assert.is_true(users:exists { email = "new" })
      uow:remove(users:find_by_email("new"))
      assert.equal(1, #users:all())
    end)
  end))

  it("stores new rows after those they refer to", on(function(db)
    local id = "00000000-0000-0000-0000-000000000001"
    unit_of_work(db, function(uow)
      uow:add(Line.new { order_id = 1, line = 1, item = "nut" })
      uow:add(Line.new { order_id = 2, line = 1, item = "bolt" })
      uow:add(Order.new { id = 2, user_id = id })
      uow:add(Order.new { id = 1, user_id = id, state = "paid" })
      uow:add(User.new { id = id, email = "a" })
    end)
    assert.equal(2, repository.new(db, Line):count())
    assert.equal("paid", repository.new(db, Order):get(1).state)

    unit_of_work(db, function(uow)
      local user, orders, lines = uow:repo(User):get(id),
        uow:repo(Order):all(), uow:repo(Line):all()
      uow:remove(user)
      for _, order in ipairs(orders) do uow:remove(order) end
      for _, line in ipairs(lines) do uow:remove(line) end
    end)
    assert.equal(0, repository.new(db, User):count())
  end))

  it("stores rows of one table after those they refer to", on(function(db)
    unit_of_work(db, function(uow)
      uow:add(Category.new { id = 4, parent_id = 3 })
      uow:add(Category.new { id = 3, parent_id = 2, note = "x" })
      uow:add(Category.new { id = 2, parent_id = 1 })
      uow:add(Category.new { id = 1, note = "root" })
    end)
    local all = repository.new(db, Category)
    assert.equal(4, all:count())
    unit_of_work(db, function(uow)
      for _, category in ipairs(uow:repo(Category):all(nil, { order = "id" }))
      do
        uow:remove(category)
      end
    end)
    assert.equal(0, all:count())
  end))

  it("gives added entities the server's values", on(function(db)
    local user = User.new { email = "a" }
    unit_of_work(db, function(uow)
      assert.equal(user, uow:add(user))
      assert.is_nil(user.id)
      uow:flush()
      assert.is_string(user.id)
      assert.equal(user, uow:repo(User):get(user.id))
      user.name = "later"
    end)
    assert.equal(2, user.version)
    assert.equal("later", repository.new(db, User):get(user.id).name)
  end))

  it("removes what was added before it is stored", on(function(db)
    unit_of_work(db, function(uow)
      local user = uow:add(User.new { email = "a" })
      uow:remove(user)
    end)
    assert.equal(0, repository.new(db, User):count())
  end))

  it("takes a removal back when the entity is added again", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local user = uow:repo(User):get(id)
      uow:remove(user)
      assert.is_nil(uow:repo(User):get(id))
      uow:add(user)
      assert.equal(user, uow:repo(User):get(id))
    end)
    assert.equal(1, repository.new(db, User):get(id).version)
  end))

  it("knows a removed row for gone", on(function(db)
    local id = stored(db).id
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      users:delete(users:get(id))
      assert.is_nil(users:get(id))
      assert.equal(0, users:get_many({ id })[1] and 1 or 0)
      assert.is_false(users:delete(id))
    end)
    unit_of_work(db, function(uow)
      local user = uow:add(User.new { email = "b" })
      uow:flush()
      assert.is_true(uow:repo(User):delete(user.id))
      assert.is_nil(uow:repo(User):get(user.id))
    end)
    assert.equal(0, repository.new(db, User):count())
  end))

  it("stores entities that were read elsewhere", on(function(db)
    local user = stored(db)
    user.name = "elsewhere"
    unit_of_work(db, function(uow) uow:add(user) end)
    assert.equal(2, user.version)
    user.name = "again"
    unit_of_work(db, function(uow) uow:repo(User):update(user) end)
    assert.equal("again", repository.new(db, User):get(user.id).name)
    unit_of_work(db, function(uow) uow:remove(user) end)
    assert.equal(0, repository.new(db, User):count())
  end))

  it("raises stale_object and undoes all, memory included", on(function(db)
    local user = stored(db)
    local order = Order.new { id = 1, user_id = user.id }
    local err = fault("stale_object", unit_of_work, db, function(uow)
      local mine = uow:repo(User):get(user.id)
      mine.name = "mine"
      uow:add(order)
      uow:flush()
      assert.equal(1, order.version)
      mine.version = 1 -- as if it had been read before
    end)
    assert.equal("User", err.entity)
    assert.is_nil(order.version)
    assert.is_nil(order.state)
    assert.equal(0, repository.new(db, Order):count())
    assert.is_nil(repository.new(db, User):get(user.id).name)
    -- So it can be added again.
    unit_of_work(db, function(uow) uow:add(order) end)
    assert.equal("new", order.state)
  end))

  it("loses no update when two change one row", on(function(db)
    local user = stored(db, { age = 0 })
    local stale, tasks = 0, {}
    for i = 1, 8 do
      tasks[i] = function()
        while true do
          local ok, err = neap.pcall(unit_of_work, db, function(uow)
            local mine = uow:repo(User):get(user.id)
            neap.sleep(math.random() * 0.01)
            mine.age = mine.age + 1
          end)
          if ok then return end
          if not neap.fault.is(err, "stale_object") then error(err, 0) end
          stale = stale + 1
        end
      end
    end
    neap.all(tasks)
    assert.equal(8, repository.new(db, User):get(user.id).age)
    assert.is_true(stale > 0)
  end, { max = 8 }))

  it("runs again after stale_object when asked to", on(function(db)
    local user, tasks, runs = stored(db, { age = 0 }), {}, 0
    for i = 1, 4 do
      tasks[i] = function()
        unit_of_work(db, { retry_stale = true, retries = 20 }, function(uow)
          runs = runs + 1
          local mine = uow:repo(User):get(user.id)
          neap.sleep(0.005)
          mine.age = mine.age + 1
        end)
      end
    end
    neap.all(tasks)
    assert.equal(4, repository.new(db, User):get(user.id).age)
    assert.is_true(runs > 4)
  end))

  it("works from many tasks at once", on(function(db)
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      neap.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
        local user = uow:add(User.new { email = "u" .. i })
        assert.equal(user, users:find_by_email("u" .. i))
        user.age = i
      end)
      assert.equal(8, users:count { age = op(">", 0) })
    end)
    assert.equal(8, repository.new(db, User):count())
  end))

  it("keeps a change made while the statement was away", on(function(db)
    local user = User.new { email = "a" }
    unit_of_work(db, function(uow)
      uow:add(user)
      local flight = started(function() uow:flush() end)
      user.name = "meanwhile"
      flight:await()
      assert.is_string(user.id)
      assert.equal("meanwhile", user.name)
    end)
    assert.equal("meanwhile", repository.new(db, User):get(user.id).name)
  end))

  it("takes requests while the statement is away", on(function(db)
    unit_of_work(db, function(uow)
      local user = uow:add(User.new { email = "a" })
      local other = uow:add(User.new { email = "b" })
      local flight = started(function() uow:flush() end)
      uow:remove(user)
      assert.is_nil(other.id)
      flight:await()
      assert.is_string(other.id)
      assert.is_nil(uow:repo(User):find_by_email("a"))
      flight = started(function() uow:repo(User):delete(other) end)
      uow:add(other)
      flight:await()
      other.name = "back"
    end)
    local all = repository.new(db, User):all()
    assert.equal(1, all.n)
    assert.equal("back", all[1].name)
  end))

  it("still has to write what could not be sent", on(function(db)
    unit_of_work(db, function(uow)
      local user = uow:add(User.new { email = "a", age = {} })
      fault("invalid", uow.flush, uow)
      user.age = 7
    end)
    assert.equal(7, repository.new(db, User):find_by_email("a").age)
  end))

  it("waits for the tasks it has started", on(function(db)
    unit_of_work(db, function(uow)
      neap.spawn(function()
        neap.sleep(0.01)
        uow:add(User.new { email = "late" })
      end)
    end)
    assert.equal(1, repository.new(db, User):count())
  end))

  it("is over when it is over", on(function(db)
    local kept
    unit_of_work(db, function(uow) kept = uow end)
    fault("closed", kept.add, kept, User.new { email = "a" })
    fault("closed", kept.flush, kept)
    local users = kept:repo(User)
    fault("closed", users.insert, users, User.new { email = "a" })
    fault("closed", users.count, users)
  end))

  it("follows statements that change many rows", on(function(db)
    local id = stored(db).id
    local other = stored(db, { email = "b" }).id
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      local user = users:get(id)
      user.age = 5
      assert.equal(2, users:where({ none_of = {} }):update { name = "all" })
      assert.equal("all", user.name)
      assert.equal(5, user.age)
      user.age = 6
      assert.equal(1, users:where({ id = other }):delete())
      assert.is_nil(users:get(other))
    end)
    local user = repository.new(db, User):get(id)
    assert.equal("all", user.name)
    assert.equal(6, user.age)
  end))

  it("stores lists", on(function(db)
    unit_of_work(db, function(uow)
      local users = uow:repo(User)
      local list = users:insert_many {
        User.new { email = "a" }, User.new { email = "b", age = 3 },
      }
      assert.equal(list[2], users:find_by_age(3))
      list[1].name = "A"
    end)
    assert.equal("A", repository.new(db, User):find_by_email("a").name)
    unit_of_work(db, function(uow)
      uow:repo(Item):save_many {
        Item.new { id = 1, name = "a" }, Item.new { id = 1, name = "b" },
      }
    end)
    assert.equal("b", repository.new(db, Item):get(1).name)
  end))

  it("refuses a second object for one row", on(function(db)
    local user = stored(db)
    assert.matches("another object", fault("invalid", unit_of_work, db,
      function(uow)
        uow:repo(User):get(user.id)
        uow:repo(User):update(user)
      end).message)
  end))

  it("refuses a change of the key", on(function(db)
    local items = repository.new(db, Item)
    items:insert(Item.new { id = 1, name = "a" })
    assert.matches("the key 'id'", fault("invalid", unit_of_work, db,
      function(uow) uow:repo(Item):get(1).id = 2 end).message)
    assert.equal(1, items:count { id = 1 })
  end))

  it("refuses fields that would be lost", on(function(db)
    local id = stored(db).id
    assert.matches("did you mean 'name'", fault("invalid", unit_of_work, db,
      function(uow)
        local user = uow:repo(User):get(id)
        user.nmae, user.age = "x", 1
      end).message)
  end))

  it("refuses what it does not know", on(function(db)
    local function body() end
    fault("invalid", unit_of_work, db, { isolaton = "serializable" }, body)
    fault("invalid", unit_of_work, db, { events = {} }, body)
    fault("invalid", unit_of_work, db, { retries = -1 }, body)
    fault("invalid", unit_of_work, db, "body")
    fault("invalid", unit_of_work, db)
    fault("invalid", unit_of_work, db, function(uow) uow:add {} end)
    fault("invalid", unit_of_work, db, function(uow) uow:repo {} end)
    fault("invalid", unit_of_work, db, function(uow)
      uow:remove(User.new { email = "a" })
    end)
    fault("invalid", unit_of_work, db, function(uow) uow:before_commit(1) end)
  end))

  it("has the options of a transaction", on(function(db)
    local level = unit_of_work(db, { isolation = "serializable" },
      function(uow)
        return uow.tx:value("show transaction_isolation")
      end)
    assert.equal("serializable", level)
    local err = fault("pg", unit_of_work, db, { read_only = true },
      function(uow) uow:add(User.new { email = "a" }) end)
    assert.equal("25006", err.code)
  end))
end)

describe("before the commit #pg", function()
  it("hooks run when all is written, and may write more", on(function(db)
    unit_of_work(db, function(uow)
      uow:before_commit(function(same)
        assert.equal(uow, same)
        assert.equal(1, uow.tx:value("select count(*) from shop.users"))
        uow:add(User.new { email = "from the hook" })
        uow:before_commit(function()
          assert.equal(2, uow.tx:value("select count(*) from shop.users"))
        end)
      end)
      uow:add(User.new { email = "a" })
    end)
    assert.equal(2, repository.new(db, User):count())
  end))

  it("hooks may veto", on(function(db)
    local ok, err = neap.pcall(unit_of_work, db, function(uow)
      uow:add(User.new { email = "a" })
      uow:before_commit(function() error("no", 0) end)
    end)
    assert.is_false(ok)
    assert.equal("no", err)
    assert.equal(0, repository.new(db, User):count())
  end))
end)
