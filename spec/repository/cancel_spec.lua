local events = require "neap.events"
local neap = require "neap"
local repository = require "neap.repository"
local server = require "spec.support.pg"
local shop = require "spec.repository.shop"
local test = require "neap.test"

local Line, Order, User = shop.Line, shop.Order, shop.User
local fault, on = shop.fault, shop.on
local unit_of_work = repository.unit_of_work

describe("a unit of work cancelled at any wait #pg", function()
  it("has done all of its work or none, and announces what is done",
    on(function(db)
      local user = repository.new(db, User):insert(User.new {
        email = "a", age = 0,
      })
      local publisher, heard, round = events.publisher(), 0, 0
      publisher:subscribe("order.placed", function() heard = heard + 1 end)
      local function place()
        round = round + 1
        unit_of_work(db, { events = publisher }, function(uow)
          local mine = uow:repo(User):get(user.id)
          mine.age = mine.age + 1
          uow:add(Line.new { order_id = round, line = 1, item = "nut" })
          uow:add(Line.new { order_id = round, line = 2, item = "bolt" })
          uow:add(Order.new { id = round, user_id = user.id })
            :record("order.placed")
          uow:repo(Order):find { state = "new" }
          unit_of_work(uow.tx, function(inner)
            inner:repo(Order):get(round).state = "paid"
          end)
        end)
      end
      local done
      local waits = test.cancel_sweep(place, {
        when = "all",
        after = function()
          server.whole(db)
          local placed = db:value "select count(*) from shop.orders"
          assert.equal(2 * placed, db:value "select count(*) from shop.lines")
          assert.equal(placed, db:value
            "select count(*) from shop.orders where state = 'paid'")
          assert.equal(placed, db:value "select age from shop.users")
          server.eventually("events of what is committed",
            function() return heard == placed end)
          done = placed
        end,
      })
      assert.is_true(waits > 10)
      assert.is_true(done > 0) -- the commit is not undone by a late cancel
    end))

  it("does not lose a list", on(function(db)
    local round = 0
    test.cancel_sweep(function()
      round = round + 1
      local list = {}
      for i = 1, 40 do
        list[i] = User.new {
          email = round .. "/" .. i, age = i % 2 == 0 and i or nil,
        }
      end
      repository.new(db, User):insert_many(list)
    end, {
      after = function()
        server.whole(db)
        assert.equal(0, db:value "select count(*) % 40 from shop.users")
      end,
    })
  end))
end)

describe("a unit of work whose connection dies #pg", function()
  it("runs again when nothing was committed", on(function(db)
    local runs = 0
    unit_of_work(db, function(uow)
      runs = runs + 1
      uow:add(User.new { email = "a" })
      uow:flush()
      if runs == 1 then
        local pid = uow.tx:value "select pg_backend_pid()"
        db:value("select pg_terminate_backend($1)", pid)
        neap.sleep(0.05)
      end
    end)
    assert.equal(2, runs)
    assert.equal(1, repository.new(db, User):count())
  end))

  it("says so when nobody knows, and announces nothing", on(function(db)
    db:exec [[create function shop.slow() returns trigger language plpgsql
      as 'begin perform pg_sleep(30); return null; end']]
    db:exec [[create constraint trigger slow after insert on shop.users
      deferrable initially deferred for each row
      execute function shop.slow()]]
    local publisher, heard, runs = events.publisher(), 0, 0
    publisher:subscribe("*", function() heard = heard + 1 end)
    local pid
    local _, err = neap.gather(
      function()
        return fault("commit_unknown", unit_of_work, db, { events = publisher },
          function(uow)
            runs = runs + 1
            uow:add(User.new { email = "a" }):record("user.added")
            pid = uow.tx:value "select pg_backend_pid()"
          end)
      end,
      function()
        server.eventually("it commits", function()
          return pid and db:value([[select state = 'active' and
            query ilike 'commit%' from pg_stat_activity where pid = $1]], pid)
        end)
        db:value("select pg_terminate_backend($1)", pid)
      end)
    assert.is_nil(err)
    assert.equal(1, runs)
    assert.equal(0, heard)
  end))
end)
