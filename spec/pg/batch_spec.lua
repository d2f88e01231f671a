--- Many statements in one segment: all or nothing.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function with(opts, fn)
  if not fn then opts, fn = {}, opts end
  return server.with(opts, function(db)
    db:exec "drop table if exists item"
    db:exec "create table item (id int primary key, name text)"
    return fn(db)
  end)
end

local INSERT <const> = "insert into item values ($1, $2)"

describe("db:batch", function()
  it("returns the result of each statement", with(function(db)
    local r = db:batch(function(b)
      b:exec(INSERT, 1, "a")
      b:exec(INSERT, 2, nil)
      b:query "select id, name from item order by id"
      b:row("select id from item where id = $1", 9)
      b:value "select count(*) from item"
      b:column "select id from item order by id"
      b:exec "create index on item (name)"
    end)
    assert.are.equal(7, r.n)
    assert.are.equal(1, r[1])
    assert.are.same({ { id = 1, name = "a" }, { id = 2 }, n = 2 }, r[3])
    assert.is_nil(r[4])
    assert.are.equal(2, r[5])
    assert.are.same({ 1, 2, n = 2 }, r[6])
    assert.are.equal(0, r[7])
    server.whole(db)
  end))

  it("takes any number of statements that it has never seen", with(function(db)
    local r = db:batch(function(b)
      for i = 1, 20 do b:value("select " .. i) end
    end)
    assert.are.equal(20, r.n)
    assert.are.equal(20, r[20])
  end))

  it("is atomic: an error undoes all of it, and has its index",
    with(function(db)
      local err = raises("pg", db.batch, db, function(b)
        b:exec(INSERT, 1, "a")
        b:exec(INSERT, 2, "b")
        b:exec(INSERT, 1, "c")
        b:exec(INSERT, 3, "d")
      end)
      assert.is_true(pg.is_unique_violation(err))
      assert.are.equal(3, err.index)
      assert.are.equal(INSERT, err.sql)
      assert.are.equal(0, db:value "select count(*) from item")
      err = raises("pg", db.batch, db, function(b)
        b:exec(INSERT, 1, "a")
        b:query "select nonsense"
      end)
      assert.is_true(pg.is_undefined_column(err))
      assert.are.equal(0, db:value "select count(*) from item")
      server.whole(db)
    end))

  it("of nothing is nothing", with(function(db)
    assert.are.same({ n = 0 }, db:batch(function() end))
  end))

  it("sees its parameters before anything is sent", with(function(db)
    raises("invalid", db.batch, db, function(b)
      b:exec(INSERT, 1, "a")
      b:exec(INSERT, {}, "b")
    end)
    raises("invalid", db.batch, db, function(b)
      b:exec(INSERT, 1, "a")
      b:exec(INSERT, 1)
    end)
    raises("unsafe_session_statement", db.batch, db, function(b)
      b:exec(INSERT, 1, "a")
      b:exec "commit"
    end)
    assert.has_error(function() db:batch(function(b) b:exec() end) end)
    assert.has_error(function() db:batch {} end)
    local ok, err = pcall(db.batch, db, function() error("mine", 0) end)
    assert.is_false(ok)
    assert.are.equal("mine", err)
    assert.are.equal(0, db:value "select count(*) from item")
    server.whole(db)
  end))

  it("with a deferred constraint fails as a whole", with(function(db)
    db:exec "drop table if exists late"
    db:exec "create table late (i int unique deferrable initially deferred)"
    local err = raises("pg", db.batch, db, function(b)
      b:exec "insert into late values (1)"
      b:exec "insert into late values (1)"
    end)
    assert.is_true(pg.is_unique_violation(err))
    assert.are.equal(0, db:value "select count(*) from late")
  end))

  it("runs inside of a transaction, and on a connection", with(function(db)
    db:transaction(function(tx)
      tx:batch(function(b)
        b:exec(INSERT, 1, "a")
        b:exec(INSERT, 2, "b")
      end)
      local err = raises("pg", tx.transaction, tx, function(inner)
        inner:batch(function(b)
          b:exec(INSERT, 3, "c")
          b:exec(INSERT, 1, "d")
        end)
      end)
      assert.are.equal(2, err.index)
    end)
    local conn <close> = db:acquire()
    assert.are.same({ 2, n = 1 }, conn:batch(function(b)
      b:value "select count(*) from item"
    end))
  end))

  it("takes thousands, with large results", with({ max = 1 }, function(db)
    local r = db:batch(function(b)
      for i = 1, 3000 do
        b:value("select repeat('x', $1) || $2", 1000, tostring(i))
      end
    end)
    for i = 1, 3000 do
      assert.are.equal(tostring(i), r[i]:sub(1001))
    end
  end))

  it("from many tasks at once", with({ max = 2 }, function(db)
    local list = {}
    for i = 1, 100 do list[i] = i end
    neap.map(list, function(i)
      local r = db:batch(function(b)
        b:value("select $1::int", i)
        b:exec(INSERT, i, "n" .. i)
        b:value("select name from item where id = $1", i)
      end)
      assert.are.same({ i, 1, "n" .. i, n = 3 }, r)
    end)
  end))
end)

describe("db:exec_many", function()
  it("executes one statement for each row", with(function(db)
    local rows = {}
    for i = 1, 5000 do rows[i] = { i, i % 2 == 0 and "even" or nil } end
    assert.are.equal(5000, db:exec_many(INSERT, rows))
    assert.are.equal(2500,
      db:value "select count(*) from item where name is null")
    assert.are.equal(2500, db:exec_many("delete from item where name = $1",
      { { "even" } }))
    assert.are.equal(0, db:exec_many(INSERT, {}))
    server.whole(db)
  end))

  it("is atomic, and tells the row that failed", with(function(db)
    local err = raises("pg", db.exec_many, db, INSERT,
      { { 1, "a" }, { 2, "b" }, { 1, "c" }, { 4, "d" } })
    assert.are.equal(3, err.index)
    assert.are.equal(0, db:value "select count(*) from item")
    err = raises("invalid", db.exec_many, db, INSERT, { { 1, "a" }, { {} } })
    assert.matches("row 2: parameter %$1", err.message)
    raises("invalid", db.exec_many, db, INSERT, { { 1, "a" }, 7 })
    raises("invalid", db.exec_many, db, INSERT, { { 1, "a" }, { n = 3, 1 } })
    assert.has_error(function() db:exec_many(INSERT) end)
    server.whole(db)
  end))
end)
