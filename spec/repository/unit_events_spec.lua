local events = require "neap.events"
local neap = require "neap"
local repository = require "neap.repository"
local server = require "spec.support.pg"
local shop = require "spec.repository.shop"

local Order, User = shop.Order, shop.User
local fault, on = shop.fault, shop.on
local unit_of_work = repository.unit_of_work

--- A publisher that keeps the payload of everything it is told.
local function listening()
  local publisher, heard = events.publisher(), {}
  publisher:subscribe("*", function(event)
    heard[#heard + 1] = event.payload or event.name
  end)
  return publisher, heard
end

describe("events of a unit of work #pg", function()
  it("are announced after the commit, in the order they were recorded",
    on(function(db)
      local publisher, heard = listening()
      local seen
      publisher:subscribe("user.added", function()
        seen = repository.new(db, User):count()
      end)
      unit_of_work(db, { events = publisher }, function(uow)
        local a, b = User.new { email = "a" }, User.new { email = "b" }
        b:record("user.added", 1)
        a:record("user.added", 2)
        uow:add(a)
        uow:add(b)
        b:record("user.renamed", 3)
        uow:flush()
        a:record("user.renamed", 4)
        assert.same({}, heard)
      end)
      assert.same({ 1, 2, 3, 4 }, heard)
      assert.equal(2, seen)
    end))

  it("come from everything the unit has touched, and only once",
    on(function(db)
      local publisher, heard = listening()
      local users = repository.new(db, User)
      local id = users:insert(User.new { email = "a" }).id
      local other = users:insert(User.new { email = "b" })
      local kept
      unit_of_work(db, { events = publisher }, function(uow)
        kept = uow:repo(User):get(id)
        kept:record("read", 1)
        other:record("removed", 2)
        uow:remove(other)
        User.new({ email = "c" }):record("never stored", 3)
      end)
      assert.same({ 1, 2 }, heard)
      assert.same({}, kept:events())
      unit_of_work(db, { events = publisher }, function(uow)
        uow:add(kept)
      end)
      assert.same({ 1, 2 }, heard)
    end))

  it("know who recorded them", on(function(db)
    local publisher, got = events.publisher(), nil
    publisher:subscribe("user.added", function(event) got = event end)
    local user = User.new { email = "a" }
    user:record("user.added", { by = "me" })
    unit_of_work(db, { events = publisher }, function(uow) uow:add(user) end)
    assert.equal("user.added", got.name)
    assert.equal(user, got.entity)
    assert.is_string(got.entity.id) -- the server's by now
    assert.equal("me", got.payload.by)
    assert.is_number(got.at)
  end))

  it("are not announced when the unit is undone", on(function(db)
    local publisher, heard = listening()
    local user = User.new { email = "a" }
    user:record("before", "before")
    fault("invalid", unit_of_work, db, { events = publisher }, function(uow)
      uow:add(user)
      user:record("inside", "inside")
      uow:flush()
      neap.fault.raise { kind = "invalid", message = "no" }
    end)
    assert.same({}, heard)
    -- What was recorded before is still to come; what was undone is not.
    assert.equal(1, #user:events())
    unit_of_work(db, { events = publisher }, function(uow) uow:add(user) end)
    assert.same({ "before" }, heard)
  end))

  it("are not announced when the commit fails", on(function(db)
    local publisher, heard = listening()
    db:exec("alter table shop.orders alter constraint orders_user_id_fkey "
      .. "deferrable initially deferred")
    local err = fault("pg", unit_of_work, db, { events = publisher },
      function(uow)
        local order = uow:add(Order.new {
          id = 1, user_id = "00000000-0000-0000-0000-000000000000",
        })
        order:record("order.placed", 1)
      end)
    assert.equal("23503", err.code)
    assert.same({}, heard)
  end))

  it("are not announced when the server made a rollback of the commit",
    on(function(db)
      local publisher, heard = listening()
      fault("commit_rolled_back", unit_of_work, db, { events = publisher },
        function(uow)
          uow:add(User.new { email = "a" }):record("user.added", 1)
          uow:flush()
          neap.pcall(uow.tx.exec, uow.tx, "select 1/0")
        end)
      assert.same({}, heard)
    end))

  it("are announced once when the unit had to run again", on(function(db)
    local publisher, heard = listening()
    local runs, outer = 0, User.new { email = "outer" }
    outer:record("outer", "outer")
    unit_of_work(db, { events = publisher }, function(uow)
      runs = runs + 1
      local user = uow:add(User.new { email = "a" })
      user:record("inner", "run " .. runs)
      uow:add(outer)
      outer:record("outer again", "outer in run " .. runs)
      uow:flush()
      if runs < 3 then
        neap.fault.raise { kind = "pg", code = "40001", message = "again" }
      end
    end)
    assert.same({ "outer", "run 3", "outer in run 3" }, heard)
    assert.equal(2, repository.new(db, User):count())
  end))

  it("reach each handler one event after the other", on(function(db)
    local publisher, log = events.publisher(), {}
    publisher:subscribe("a", function(event)
      neap.sleep(event.payload)
      log[#log + 1] = "slow " .. event.payload
    end)
    publisher:subscribe("a", function(event)
      log[#log + 1] = "fast " .. event.payload
    end)
    unit_of_work(db, { events = publisher }, function(uow)
      local user = uow:add(User.new { email = "a" })
      user:record("a", 0.03)
      user:record("a", 0.01)
    end)
    assert.same({ "fast 0.03", "slow 0.03", "fast 0.01", "slow 0.01" }, log)
  end))

  it("do not undo what is committed when a handler fails",
    on(function(db, reports)
      local publisher, heard = listening()
      publisher:subscribe("user.added", function() error("no", 0) end)
      local result = unit_of_work(db, { events = publisher }, function(uow)
        uow:add(User.new { email = "a" }):record("user.added", 1)
        return "fine"
      end)
      assert.equal("fine", result)
      assert.same({ 1 }, heard)
      assert.equal(1, repository.new(db, User):count())
      assert.equal(1, #reports)
      assert.equal("no", table.remove(reports).error)
    end))

  it("have their failures reported when the publisher raises them",
    on(function(db, reports)
      local publisher = events.publisher { errors = "raise" }
      for i = 1, 3 do
        publisher:subscribe("a", function() error("fault " .. i, 0) end)
      end
      local heard = 0
      publisher:subscribe("b", function() heard = heard + 1 end)
      unit_of_work(db, { events = publisher }, function(uow)
        local user = uow:add(User.new { email = "a" })
        user:record("a")
        user:record("b")
      end)
      assert.equal(1, heard)
      server.eventually("all are reported",
        function() return #reports == 3 end)
      local messages = {}
      while #reports > 0 do
        messages[#messages + 1] = table.remove(reports).error
      end
      table.sort(messages)
      assert.same({ "fault 1", "fault 2", "fault 3" }, messages)
    end))

  it("stay with their entities without a publisher", on(function(db)
    local user = User.new { email = "a" }
    unit_of_work(db, function(uow)
      uow:add(user):record("user.added")
    end)
    assert.equal(1, #user:events())
  end))

  it("go to anything that can publish", on(function(db)
    local names = {}
    local own = {
      publish = function(_, event) names[#names + 1] = event.name end,
    }
    unit_of_work(db, { events = own }, function(uow)
      uow:add(User.new { email = "a" }):record("user.added")
    end)
    assert.same({ "user.added" }, names)
  end))

  it("are announced although the caller is cancelled meanwhile",
    on(function(db)
      local publisher, heard = events.publisher(), {}
      local began = neap.event()
      publisher:subscribe("*", function(event)
        began:set()
        neap.sleep(0.02)
        heard[#heard + 1] = event.name
      end)
      local task = neap.spawn(function()
        unit_of_work(db, { events = publisher }, function(uow)
          local user = uow:add(User.new { email = "a" })
          user:record("one")
          user:record("two")
        end)
      end)
      began:wait()
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
      server.eventually("both events are heard",
        function() return #heard == 2 end)
      assert.same({ "one", "two" }, heard)
    end))

  it("are announced when the caller is cancelled during the commit",
    on(function(db)
      local publisher, heard = listening()
      -- A commit that takes its time.
      db:exec [[create function shop.slow() returns trigger language plpgsql
        as 'begin perform pg_sleep(0.2); return null; end']]
      db:exec [[create constraint trigger slow after insert on shop.users
        deferrable initially deferred for each row
        execute function shop.slow()]]
      local flushed = neap.event()
      local task = neap.spawn(function()
        unit_of_work(db, { events = publisher }, function(uow)
          uow:add(User.new { email = "a" }):record("user.added", 1)
          uow:before_commit(function() flushed:set() end)
        end)
      end)
      flushed:wait()
      neap.sleep(0.1)
      task:cancel()
      task:join()
      assert.equal(1, repository.new(db, User):count())
      server.eventually("the event is heard",
        function() return #heard == 1 end)
    end))
end)

describe("a nested unit of work #pg", function()
  it("commits with the outer one", on(function(db)
    local publisher, heard = listening()
    unit_of_work(db, { events = publisher }, function(uow)
      local outer = uow:add(User.new { email = "outer" })
      outer:record("outer", 1)
      local result = unit_of_work(uow.tx, function(inner)
        assert.equal(outer, inner:repo(User):get(outer.id))
        inner:add(User.new { email = "inner" }):record("inner", 2)
        outer.name = "by the inner"
        return "result"
      end)
      assert.equal("result", result)
      assert.same({}, heard)
      local inner = uow:repo(User):find_by_email("inner")
      assert.equal(inner, uow:repo(User):get(inner.id))
      inner.name = "by the outer"
      outer:record("outer", 3)
    end)
    assert.same({ 1, 2, 3 }, heard)
    local users = repository.new(db, User)
    assert.equal("by the inner", users:find_by_email("outer").name)
    assert.equal("by the outer", users:find_by_email("inner").name)
  end))

  it("is undone alone", on(function(db)
    local publisher, heard = listening()
    unit_of_work(db, { events = publisher }, function(uow)
      local outer = uow:add(User.new { email = "outer" })
      outer:record("outer", 1)
      fault("invalid", unit_of_work, uow.tx, function(inner)
        inner:add(User.new { email = "inner" }):record("inner", 2)
        outer.name = "lost"
        outer:record("lost", 3)
        inner:flush()
        assert.equal(2, outer.version)
        neap.fault.raise { kind = "invalid", message = "no" }
      end)
      assert.is_nil(outer.name)
      assert.equal(1, outer.version)
      assert.equal(1, uow:repo(User):count())
      outer.name = "kept"
    end)
    assert.same({ 1 }, heard)
    local user = repository.new(db, User):find_by_email("outer")
    assert.equal("kept", user.name)
    assert.equal(2, user.version)
  end))

  it("is undone with the outer one", on(function(db)
    local publisher, heard = listening()
    local user = User.new { email = "a" }
    fault("invalid", unit_of_work, db, { events = publisher }, function(uow)
      unit_of_work(uow.tx, function(inner)
        inner:add(user):record("user.added", 1)
      end)
      assert.is_string(user.id)
      neap.fault.raise { kind = "invalid", message = "no" }
    end)
    assert.is_nil(user.id)
    assert.same({}, heard)
    assert.equal(0, #user:events())
    assert.equal(0, repository.new(db, User):count())
  end))

  it("may be nested again", on(function(db)
    unit_of_work(db, function(uow)
      unit_of_work(uow.tx, function(second)
        second:add(User.new { email = "2" })
        unit_of_work(second.tx, function(third)
          third:add(User.new { email = "3" })
        end)
        fault("invalid", unit_of_work, second.tx, function(third)
          third:repo(User):find_by_email("3").name = "lost"
          third:flush()
          neap.fault.raise { kind = "invalid", message = "no" }
        end)
      end)
      assert.is_nil(uow:repo(User):find_by_email("3").name)
    end)
    assert.equal(2, repository.new(db, User):count())
  end))

  it("knows what the outer one has removed", on(function(db)
    local id = repository.new(db, User):insert(User.new { email = "a" }).id
    unit_of_work(db, function(uow)
      local user = uow:repo(User):get(id)
      uow:remove(user)
      unit_of_work(uow.tx, function(inner)
        assert.is_nil(inner:repo(User):get(id))
      end)
    end)
    unit_of_work(db, function(uow)
      local user = uow:add(User.new { email = "a" })
      fault("invalid", unit_of_work, uow.tx, function(inner)
        inner:repo(User):delete(user)
        assert.is_nil(inner:repo(User):get(user.id))
        neap.fault.raise { kind = "invalid", message = "no" }
      end)
      assert.equal(user, uow:repo(User):get(user.id))
      user.name = "still here"
    end)
    assert.equal("still here",
      repository.new(db, User):find_by_email("a").name)
  end))

  it("cannot run again alone, and has the outer one's publisher",
    on(function(db)
      local one, other = listening(), listening()
      local function body() end
      unit_of_work(db, { events = one }, function(uow)
        fault("invalid", unit_of_work, uow.tx, { retries = 1 }, body)
        fault("invalid", unit_of_work, uow.tx, { events = other }, body)
        unit_of_work(uow.tx, { events = one }, body)
      end)
      local publisher, heard = listening()
      unit_of_work(db, function(uow)
        unit_of_work(uow.tx, { events = publisher }, function(inner)
          inner:add(User.new { email = "a" }):record("user.added", 1)
        end)
        assert.same({}, heard)
      end)
      assert.same({ 1 }, heard)
    end))

  it("in a transaction of one's own announces nothing", on(function(db)
    local publisher = events.publisher()
    db:transaction(function(tx)
      fault("invalid", unit_of_work, tx, { events = publisher },
        function() end)
      unit_of_work(tx, function(uow)
        uow:add(User.new { email = "a" })
      end)
      assert.equal(1, repository.new(tx, User):count())
      fault("invalid", unit_of_work, tx, function(uow)
        uow:add(User.new { email = "b" })
        uow:flush()
        neap.fault.raise { kind = "invalid", message = "no" }
      end)
    end)
    assert.equal(1, repository.new(db, User):count())
  end))
end)
