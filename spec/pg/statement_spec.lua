--- Prepared statements: cached, bounded, and healed when they go stale.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

--- Statements that the connection has on the server.
local PREPARED <const> =
  "select count(*) from pg_prepared_statements where name like 'neap%'"

describe("the cache of statements", function()
  it("prepares each once for each connection", server.with({ max = 1 },
    function(db)
      for i = 1, 30 do
        assert.are.equal(i, db:value("select $1::int", i))
        assert.are.equal(-i, db:value("select - $1::int", i))
      end
      assert.are.equal(2, db:stats().cache_misses)
      assert.are.equal(3, db:value(PREPARED))
    end))

  it("asks for types once for all connections", server.with(
    { min = 3, max = 3 }, function(db)
      local first = db:acquire()
      first:value("select $1::int + 1", 1)
      local before = db:stats().queries
      local second, third = db:acquire(), db:acquire()
      second:value("select $1::int + 1", 1)
      third:value("select $1::int + 1", 1)
      assert.are.equal(before + 2, db:stats().queries)
      first:release()
      second:release()
      third:release()
    end))

  it("is bounded: the server forgets what has not been used",
    server.with({ max = 1, statement_cache = 5 }, function(db)
      for i = 1, 40 do
        assert.are.equal(i, db:value(("select %d"):format(i)))
      end
      server.eventually("the names are given back", function()
        return db:value(PREPARED) <= 6
      end)
      assert.are.equal(1, db:value "select 1")
    end))

  it("of 0 keeps nothing", server.with({ max = 1, statement_cache = 0 },
    function(db)
      for i = 1, 5 do assert.are.equal(i, db:value("select $1::int", i)) end
      assert.are.equal(0, db:value(PREPARED))
    end))

  it("forgets texts in the pool too", server.with(
    { max = 1, statement_cache = 8 }, function(db)
      for i = 1, 1300 do db:value(("select %d"):format(i)) end
      assert.is_true(db:stats().statements <= 1024)
      assert.are.equal(1, db:value "select 1")
      assert.are.equal(1300, db:value "select 1300")
    end))

  it("does not keep very long texts on the server", server.with({ max = 1 },
    function(db)
      local sql = "select /* " .. ("padding "):rep(3000) .. " */ $1::int + 1"
      assert.are.equal(8, db:value(sql, 7))
      assert.are.equal(9, db:value(sql, 8))
      assert.are.equal(1, db:value(PREPARED))
    end))
end)

for _, mode in ipairs { "named", "unnamed", "off" } do
  describe("prepared = " .. mode, function()
    it("runs everything", server.with({ max = 3, prepared = mode },
      function(db)
        db:exec "drop table if exists modes"
        db:exec "create table modes (i int, t text, b bool, f float8)"
        neap.map(numbers(60), function(i)
          db:exec("insert into modes values ($1, $2, $3, $4)", i, "t" .. i,
            i % 2 == 0, i / 2)
        end)
        assert.are.equal(60, db:value "select count(*) from modes")
        local row = db:row("select * from modes where i = $1", 7)
        assert.are.same({ i = 7, t = "t7", b = false, f = 3.5 }, row)
        assert.are.equal(0.5, db:value("select $1::float8", 0.5))
        assert.is_nil(db:value("select $1::text", nil))
        db:transaction(function(tx)
          tx:exec("update modes set t = $1 where i = $2", "x", 1)
          assert.are.equal("x", tx:value("select t from modes where i = 1"))
        end)
        assert.are.equal(3, (db:exec_many("insert into modes (i) values ($1)",
          { { 100 }, { 101 }, { 102 } })))
        local r = db:batch(function(b)
          b:value("select $1::int + 1", 1)
          b:column "select i from modes where i > 100 order by i"
        end)
        assert.are.same({ 2, { 101, 102, n = 2 }, n = 2 }, r)
        raises("pg", db.query, db, "select nothing from modes")
        if mode ~= "named" then assert.are.equal(0, db:value(PREPARED)) end
        server.whole(db)
      end))
  end)
end

describe("a plan that is out of date", function()
  --- Run DDL behind the pool's back.
  local function behind(sql)
    local other <close> = server.connect { max = 1 }
    other:exec(sql)
  end

  it("because the table has changed is made again", server.with({ max = 2 },
    function(db)
      behind "drop table if exists shape"
      behind "create table shape (a int)"
      behind "insert into shape values (1)"
      assert.are.same({ a = 1 }, db:row "select * from shape")
      behind "alter table shape add column b text default 'x'"
      assert.are.same({ a = 1, b = "x" }, db:row "select * from shape")
      behind "alter table shape alter column a type text using 'n' || a"
      assert.are.same({ a = "n1", b = "x" }, db:row "select * from shape")
      behind "alter table shape rename column b to c"
      neap.map(numbers(20), function()
        assert.are.same({ a = "n1", c = "x" }, db:row "select * from shape")
      end)
      assert.is_true(db:stats().healed >= 2)
      server.whole(db)
    end))

  it("because a parameter has another type fails once, then fits",
    server.with({ max = 1 }, function(db)
      behind "drop table if exists typed"
      behind "create table typed (k int)"
      db:exec("insert into typed values ($1)", 5)
      local sql = "select * from typed where k = $1"
      assert.are.equal(1, #db:query(sql, 5))
      behind "alter table typed alter column k type text"
      local err = raises("pg", db.query, db, sql, 5)
      assert.is_true(pg.is_undefined_function(err))
      assert.are.equal("5", db:query(sql, "5")[1].k)
    end))

  it("because the session was reset is prepared again",
    server.with({ max = 1 }, function(db)
      assert.are.equal(1, db:value("select $1::int", 1))
      do
        local conn <close> = db:acquire()
        conn:exec "deallocate all"
      end
      assert.are.equal(2, db:value("select $1::int", 2))
      do
        local conn <close> = db:acquire()
        conn:exec "discard all"
        assert.are.equal(3, conn:value "select 3")
      end
      assert.are.equal(4, db:value("select $1::int", 4))
      server.whole(db)
    end))

  it("on a connection of one's own is made again, outside of transactions",
    server.with({ max = 1 }, function(db)
      behind "drop table if exists owned"
      behind "create table owned (a int)"
      behind "insert into owned values (1)"
      local conn <close> = db:acquire()
      assert.are.same({ a = 1 }, conn:row "select * from owned")
      behind "alter table owned add column b int default 2"
      assert.are.same({ a = 1, b = 2 }, conn:row "select * from owned")
      behind "alter table owned drop column b"
      conn:exec "begin"
      raises("stale_statement", conn.row, conn, "select * from owned")
      conn:exec "rollback"
      assert.are.same({ a = 1 }, conn:row "select * from owned")
    end))

  it("inside of a transaction raises stale_statement, and retries help",
    server.with({ max = 1 }, function(db)
      behind "drop table if exists moving"
      behind "create table moving (a int)"
      behind "insert into moving values (1)"
      db:query "select * from moving"
      behind "alter table moving add column b int default 2"
      local err = raises("stale_statement", db.transaction, db, function(tx)
        tx:value "select 1"
        tx:row "select * from moving"
      end)
      assert.is_true(err.safe_to_retry)
      assert.are.equal("0A000", err.cause.code)
      behind "alter table moving add column c int default 3"
      local row = db:transaction({ retries = 3 }, function(tx)
        tx:value "select 1"
        return tx:row "select * from moving"
      end)
      assert.are.same({ a = 1, b = 2, c = 3 }, row)
    end))

  it("after DDL of our own does not fail in a transaction",
    server.with({ max = 2 }, function(db)
      db:exec "drop table if exists ours"
      db:exec "create table ours (a int)"
      db:exec "insert into ours values (1)"
      neap.map(numbers(8), function() db:query "select * from ours" end)
      db:exec "alter table ours add column b int default 2"
      for _ = 1, 4 do
        db:transaction(function(tx)
          assert.are.same({ a = 1, b = 2 }, tx:row "select * from ours")
        end)
      end
    end))

  it("in a batch is made again as a whole", server.with({ max = 1 },
    function(db)
      behind "drop table if exists batched"
      behind "create table batched (a int)"
      local function go()
        return db:batch(function(b)
          b:exec "insert into batched values (1)"
          b:row "select * from batched limit 1"
        end)
      end
      assert.are.same({ a = 1 }, go()[2])
      behind "alter table batched add column b int default 2"
      assert.are.same({ a = 1, b = 2 }, go()[2])
      assert.are.equal(2, db:value "select count(*) from batched")
    end))

  it("because a type was made anew", server.with({ max = 1 }, function(db)
    behind "drop type if exists mood cascade"
    behind "create type mood as enum ('sad', 'glad')"
    assert.are.equal("sad", db:value("select $1::mood", "sad"))
    behind "drop type mood"
    behind "create type mood as enum ('sad', 'mad')"
    local last
    for _ = 1, 3 do
      local ok, v = pcall(db.value, db, "select $1::mood", "mad")
      last = ok and v or tostring(v)
    end
    assert.are.equal("mad", last)
  end))
end)

describe("db:prepare", function()
  it("knows what a statement takes and gives", server.with(function(db)
    local st = db:prepare
      "select $1::int4 + 1 as next, $2::text as t, now() as at"
    assert.are.same({ "int4", "text" }, st.params)
    assert.are.same({ "next", "t", "at" }, st.columns)
    assert.are.same({ "int4", "text", "timestamptz" }, st.types)
    assert.are.equal(8, st:value(7, "x"))
    assert.are.equal("x", st:row(7, "x").t)
    assert.are.equal(1, st:query(7, "x").n)
    assert.are.equal(1, (st:exec(7, "x")))
    assert.are.same({ 8, n = 1 }, st:column(7, "x"))
    assert.are.equal("select $1::int4 + 1 as next, $2::text as t, now() as at",
      st.sql)
    local none = db:prepare "create table if not exists prepared_one (i int)"
    assert.are.same({ {}, {} }, { none.params, none.columns })
  end))

  it("names types that are not built in", server.with(function(db)
    db:exec "drop type if exists hue cascade"
    db:exec "create type hue as enum ('red', 'blue')"
    local st = db:prepare "select $1::hue as h, 1 as n"
    assert.are.same({ "hue" }, st.params)
    assert.are.same({ "hue", "int4" }, st.types)
    assert.are.same({ h = "red", n = 1 }, st:row "red")
  end))

  it("fails where the statement is wrong", server.with(function(db)
    local err = raises("pg", db.prepare, db, "select from where")
    assert.is_true(pg.is_syntax_error(err))
    raises("unsafe_session_statement", db.prepare, db, "begin")
  end))

  it("on a connection and in a transaction", server.with(function(db)
    local conn <close> = db:acquire()
    conn:exec "create temp table only_here (i int8)"
    assert.are.same({ "int8" },
      conn:prepare("select * from only_here where i = $1").params)
    pcall(db.transaction, db, function(tx)
      tx:exec "create table only_inside (i int2)"
      local st = tx:prepare "select i from only_inside where i > $1"
      assert.are.same({ "int2" }, st.params)
      assert.are.equal(0, st:query(1).n)
      error "undone"
    end)
    local err = raises("pg", db.query, db,
      "select i from only_inside where i > $1", 1)
    assert.is_true(pg.is_undefined_table(err))
  end))
end)
