local neap = require "neap"
local repository = require "neap.repository"
local shop = require "spec.repository.shop"

local User = shop.User
local fault, on = shop.fault, shop.on
local unit_of_work = repository.unit_of_work

--- A user that is in the table already.
local function stored(db, fields)
  fields = fields or {}
  fields.email = fields.email or "ada@example.org"
  return repository.new(db, User):insert(User.new(fields))
end

describe("running again #pg", function()
  it("happens after a serialization failure, with a fresh memory",
    on(function(db)
      local user, runs = stored(db, { age = 0 }), 0
      local at_once = neap.event()
      local waiting = 0
      local function add_one()
        unit_of_work(db, { isolation = "repeatable read" }, function(uow)
          runs = runs + 1
          local mine = uow:repo(User):get(user.id)
          waiting = waiting + 1
          if waiting == 2 then at_once:set() end
          at_once:wait()
          mine.age = mine.age + 1
        end)
      end
      neap.gather(add_one, add_one)
      assert.equal(2, repository.new(db, User):get(user.id).age)
      assert.equal(3, runs)
    end))

  it("happens after a deadlock", on(function(db)
    local a, b = stored(db, { email = "a" }), stored(db, { email = "b" })
    local at_once, waiting, runs = neap.event(), 0, 0
    local function visit(first, second)
      unit_of_work(db, function(uow)
        runs = runs + 1
        local touch = "update shop.users set age = coalesce(age, 0) + 1 "
          .. "where id = $1"
        uow.tx:exec(touch, first.id)
        waiting = waiting + 1
        if waiting == 2 then at_once:set() end
        at_once:wait()
        uow.tx:exec(touch, second.id)
      end)
    end
    neap.gather(function() visit(a, b) end, function() visit(b, a) end)
    local users = repository.new(db, User)
    assert.equal(2, users:get(a.id).age)
    assert.equal(2, users:get(b.id).age)
    assert.equal(3, runs)
  end))

  it("ends after the retries that are allowed", on(function(db)
    local runs = 0
    local function fail()
      runs = runs + 1
      neap.fault.raise { kind = "pg", code = "40001", message = "again" }
    end
    local err = fault("pg", unit_of_work, db, { retries = 2 }, fail)
    assert.equal("40001", err.code)
    assert.equal(3, runs)
    runs = 0
    fault("pg", unit_of_work, db, { retries = 0 }, fail)
    assert.equal(1, runs)
    runs = 0
    fault("pg", unit_of_work, db, fail)
    assert.equal(5, runs)
  end))

  it("does not happen for other faults", on(function(db)
    for _, given in ipairs {
      { kind = "pg", code = "23505", message = "x" },
      { kind = "invalid", message = "x" },
      { kind = "stale_object", message = "x" },
      { kind = "commit_unknown", message = "x", cause = neap.fault.new {
        kind = "connection_lost", message = "y",
      } },
    } do
      local runs = 0
      fault(given.kind, unit_of_work, db, function()
        runs = runs + 1
        neap.fault.raise(given)
      end)
      assert.equal(1, runs)
    end
  end))

  it("is not kept from happening by a wrapper", on(function(db)
    local runs = 0
    unit_of_work(db, function()
      runs = runs + 1
      if runs == 1 then
        neap.fault.raise {
          kind = "invalid", message = "could not reserve",
          cause = neap.fault.new { kind = "pg", code = "40P01", message = "x" },
        }
      end
    end)
    assert.equal(2, runs)
  end))
end)
