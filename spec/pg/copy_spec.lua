--- COPY: rows in and out, and every way in which it can end early.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function with(fn)
  return server.with({ max = 4 }, function(db, reports)
    db:exec "drop table if exists item"
    db:exec [[create table item (id int, name text, price float8, day date,
      data jsonb, raw bytea, list int[])]]
    fn(db, reports)
    server.whole(db)
  end)
end

local function count(db) return db:value "select count(*) from item" end

local function backend(db, like)
  return server.busy_backend(db, like)
end

describe("db:copy_in", function()
  it("loads an array of rows and returns their number", with(function(db)
    assert.are.equal(3, db:copy_in("item", { "id", "name", "price" },
      { { 1, "a", 1.5 }, { 2, nil, 2 }, { 3, "tab\t \\ \n \r", pg.null } }))
    assert.are.same({ n = 3, { id = 1, name = "a", price = 1.5 },
      { id = 2, price = 2.0 }, { id = 3, name = "tab\t \\ \n \r" } },
      db:query "select id, name, price from item order by id")
  end))

  it("takes all columns when none are named", with(function(db)
    db:copy_in("item", nil, { { 1, "a", 0.5, pg.date(2024, 2, 29),
      { k = { 1, pg.null } }, "\0\1\255", { 1, 2, 3 } } })
    local row = db:row "select * from item"
    assert.are.equal("2024-02-29", tostring(row.day))
    assert.are.same({ 1, pg.null }, { row.data.k[1], row.data.k[2] })
    assert.are.equal("\0\1\255", row.raw)
    assert.are.equal(3, row.list[3])
  end))

  it("takes iterators, generators and queues", with(function(db)
    local n = 0
    local function source()
      n = n + 1
      if n <= 5000 then return { n, ("x"):rep(100) } end
    end
    assert.are.equal(5000, db:copy_in("item", { "id", "name" }, source))
    assert.are.equal(10, db:copy_in("item", { "id" }, neap.gen(function(yield)
      for i = 1, 10 do neap.sleep(0) yield { i } end
    end)))
    local q = neap.queue(3)
    neap.scope(function(s)
      s:spawn(function()
        for i = 1, 20 do q:put { i } end
        q:close()
      end)
      assert.are.equal(20, db:copy_in("item", { "id" }, q))
    end)
    assert.are.equal(5030, count(db))
  end))

  it("takes nothing at all", with(function(db)
    assert.are.equal(0, db:copy_in("item", nil, {}))
    assert.are.equal(0, db:copy_in("item", nil, function() end))
  end))

  it("takes strings with a format", with(function(db)
    assert.are.equal(2, db:copy_in("item", { "id", "name" }, "1,a\n2,\n",
      { format = "csv" }))
    assert.are.equal(2, db:copy_in("item", { "id", "name" },
      { "3\tc\n4", "\t\\N\n" }, { format = "text" }))
    assert.are.equal(1, db:copy_in("item", { "id", "name" },
      "id;name\n5;'it''s'\n", { format = "csv", header = true, delimiter = ";",
        quote = "'" }))
    assert.are.equal("it's", db:value "select name from item where id = 5")
    assert.is_nil(db:value "select name from item where id = 2")
  end))

  it("keeps only rows that meet a condition", with(function(db)
    assert.are.equal(1, db:copy_in("item", { "id" }, { { 1 }, { 2 } },
      { where = "id > 1" }))
  end))

  it("goes by text where a column has no binary form", with(function(db)
    db:exec "drop type if exists mood cascade"
    db:exec "create type mood as enum ('sad', 'it''s \\ ok')"
    db:exec "drop table if exists odd"
    db:exec [[create table odd (m mood, addr inet, data jsonb, raw bytea,
      list text[], at timestamptz, n numeric, ok bool)]]
    local at = pg.timestamptz "2024-01-02 03:04:05.678+00"
    assert.are.equal(2, db:copy_in("odd", nil, {
      { "it's \\ ok", "10.0.0.1", { a = "\t\n\\" }, "\0\\\n\255",
        { "a,b", "\\ \"q\"\t", pg.null }, at, pg.numeric "1.50", true },
      { "sad" },
    }))
    local row = db:row "select *, m::text as m from odd where ok"
    assert.are.equal("it's \\ ok", row.m)
    assert.are.equal("10.0.0.1", row.addr)
    assert.are.equal("\t\n\\", row.data.a)
    assert.are.equal("\0\\\n\255", row.raw)
    assert.are.equal("\\ \"q\"\t", row.list[2])
    assert.are.equal(pg.null, row.list[3])
    assert.are.equal(at, row.at)
    assert.are.equal("1.50", tostring(row.n))
    local out = {}
    for r in db:copy_out "odd" do out[#out + 1] = r end
    assert.are.equal("it's \\ ok", out[1][1])
    assert.are.equal("\t\n\\", out[1][3].a)
    assert.are.equal("\0\\\n\255", out[1][4])
    assert.are.equal(at, out[1][6])
    assert.are.equal(8, out[2].n)
    assert.is_nil(out[2][2])
  end))

  it("goes by text where the first row has strings for other types",
    with(function(db)
      assert.are.equal(2, db:copy_in("item", { "id", "day" },
        { { "1", "2024-02-29" }, { 2, pg.date(2024, 3, 1) } }))
      assert.are.equal(2, db:value "select count(distinct day) from item")
    end))

  it("quotes names", with(function(db)
    db:exec [[drop schema if exists "My ""s" cascade]]
    db:exec [[create schema "My ""s"]]
    db:exec [[create table "My ""s"."T.x" ("a ""b" int)]]
    assert.are.equal(1, db:copy_in({ 'My "s', "T.x" }, { 'a "b' }, { { 7 } }))
    for row in db:copy_out { 'My "s', "T.x" } do
      assert.are.equal(7, row[1])
    end
    db:exec [[drop schema "My ""s" cascade]]
  end))

  it("names the row and the column of a value that does not fit",
    with(function(db)
      local e = raises("invalid", db.copy_in, db, "item", { "id", "price" },
        { { 1, 1 }, { 2, true } })
      assert.matches("row 2: column 'price' %(float8%)", e.message)
      e = raises("invalid", db.copy_in, db, "item", { "id" },
        { { 1 }, { 1 << 40 } })
      assert.matches("row 2: column 'id' %(int4%).*range", e.message)
      e = raises("invalid", db.copy_in, db, "item", { "id" },
        { { 1 }, { 1, 2 } })
      assert.matches("row 2 has 2 values", e.message)
      e = raises("invalid", db.copy_in, db, "item", { "id" }, { { 1 }, 5 })
      assert.matches("row 2 is a number", e.message)
      e = raises("invalid", db.copy_in, db, "item", { "id" }, { "x", 5 },
        { format = "csv" })
      assert.matches("#2 is a number", e.message)
      assert.are.equal(0, count(db))
    end))

  it("refuses options that do not belong", with(function(db)
    for _, case in ipairs {
      { { formt = "csv" }, "unknown option 'formt'" },
      { { header = true }, "'header' needs format" },
      { { format = "text", quote = "x" }, "'quote' needs format='csv'" },
      { { format = "csv", force_quote = true }, "'force_quote' is for copy_out" },
      { { format = "xml" }, "format" },
    } do
      local e = raises("invalid", db.copy_in, db, "item", nil, {}, case[1])
      assert.matches(case[2], e.message, 1, true)
    end
    raises("invalid", db.copy_in, db, "", nil, {})
    raises("invalid", db.copy_in, db, "item", {}, {})
    raises("invalid", db.copy_in, db, "item", "id", {})
    raises(nil, db.copy_in, db, "item", nil, 5)
  end))

  it("raises the server's error as it is", with(function(db)
    raises("pg", db.copy_in, db, "nothing_there", { "id" }, { { 1 } })
    db:exec "drop table if exists uniq"
    db:exec "create table uniq (id int primary key)"
    local e = raises("pg", db.copy_in, db, "uniq", nil, { { 1 }, { 1 } })
    assert.are.equal("23505", e.code)
    assert.is_true(pg.is_unique_violation(e))
    assert.are.equal(0, db:value "select count(*) from uniq")
  end))

  it("does not go on for ever after the server has refused", with(function(db)
    db:exec "drop table if exists uniq"
    db:exec "create table uniq (id int primary key, t text)"
    local filler = ("x"):rep(1000)
    local e = raises("pg", db.copy_in, db, "uniq", nil, function()
      return { 1, filler }
    end)
    assert.are.equal("23505", e.code)
  end))

  it("that was refused lets the next statement wait for its end",
    with(function(db)
      db:exec "drop table if exists uniq"
      db:exec "create table uniq (id int primary key, t text)"
      local filler = ("x"):rep(4000)
      local conn <close> = db:acquire()
      for i = 1, 20 do
        raises("pg", conn.copy_in, conn, "uniq", nil, function()
          return { 1, filler }
        end)
        assert.are.equal(i, conn:value("select $1::int", i))
      end
    end))

  it("leaves table and connection as they were when the producer fails",
    with(function(db)
      local boom = {}
      local n = 0
      local ok, err = pcall(db.copy_in, db, "item", { "id" }, function()
        n = n + 1
        if n > 50000 then error(boom, 0) end
        return { n }
      end)
      assert.is_false(ok)
      assert.are.equal(boom, err)
      assert.are.equal(0, count(db))
    end))

  it("closes its source when it fails", with(function(db)
    local closed = false
    raises("pg", db.copy_in, db, "nothing_there", { "id" }, neap.gen(
      function(yield)
        local guard <close> = setmetatable({}, { __close = function()
          closed = true
        end })
        yield { 1 }
        yield { guard }
      end))
    db:exec "drop table if exists uniq"
    db:exec "create table uniq (id int primary key)"
    raises("pg", db.copy_in, db, "uniq", nil, neap.gen(function(yield)
      local guard <close> = setmetatable({}, { __close = function()
        closed = "the second"
      end })
      while true do yield { 1, guard and nil } end
    end))
    assert.are.equal("the second", closed)
  end))

  it("can be cancelled while the producer waits", with(function(db)
    assert.is_false(neap.move_on_after(0.05, function()
      db:copy_in("item", { "id" }, function() neap.sleep(60) return { 1 } end)
    end))
    assert.are.equal(0, count(db))
  end))

  it("can be cancelled while it waits for a lock", with(function(db)
    db:transaction(function(tx)
      tx:exec "lock table item in access exclusive mode"
      assert.is_false(neap.move_on_after(0.05, function()
        db:copy_in("item", { "id" }, { { 1 } })
      end))
    end)
    assert.are.equal(0, count(db))
  end))

  it("can be cancelled while the server digests", with(function(db)
    db:exec [[create or replace function slow() returns trigger language plpgsql
      as $$ begin perform pg_sleep(60); return new; end $$]]
    db:exec "create trigger slow before insert on item for each row execute function slow()"
    assert.is_false(neap.move_on_after(0.1, function()
      db:copy_in("item", { "id" }, { { 1 } })
    end))
    assert.are.equal(0, count(db))
  end))

  it("waits for a server that does not read", with(function(db)
    db:exec [[create or replace function slow() returns trigger language plpgsql
      as $$ begin if new.id = 1 then perform pg_sleep(0.3); end if;
        return new; end $$]]
    db:exec "create trigger slow before insert on item for each row execute function slow()"
    local filler, made, during = ("x"):rep(10000), 0, nil
    neap.scope(function(s)
      s:spawn(function()
        neap.sleep(0.2)
        during = made
      end)
      db:copy_in("item", { "id", "name" }, function()
        made = made + 1
        if made <= 3000 then return { made, filler } end
      end)
    end)
    assert.are.equal(3000, count(db))
    assert.is_true(during < 3000, "30 MB went into memory")
  end))

  it("is part of a transaction", with(function(db)
    db:transaction(function(tx)
      assert.are.equal(2, tx:copy_in("item", { "id" }, { { 1 }, { 2 } }))
      assert.are.equal(2, tx:value "select count(*) from item")
    end)
    assert.are.equal(2, count(db))
    raises(nil, db.transaction, db, function(tx)
      tx:copy_in("item", { "id" }, { { 3 } })
      error("no", 0)
    end)
    db:transaction(function(tx)
      pcall(tx.transaction, tx, function(inner)
        inner:copy_in("item", { "id" }, { { 4 } })
        error("not this", 0)
      end)
      tx:copy_in("item", { "id" }, { { 5 } })
    end)
    assert.are.same({ 1, 2, 5, n = 3 }, db:column "select id from item order by id")
  end))

  it("makes a transaction fail, and says why to the next", with(function(db)
    raises("commit_rolled_back", db.transaction, db, function(tx)
      local e = raises("pg", tx.copy_in, tx, "item", { "id" }, "x\n",
        { format = "csv" })
      assert.are.equal("22P02", e.code)
      local after = raises("transaction_aborted", tx.value, tx, "select 1")
      assert.are.equal(e, after.cause)
    end)
  end))

  it("comes after what other tasks have sent in the transaction",
    with(function(db)
      db:transaction(function(tx)
        neap.gather(
          function() tx:exec "insert into item (id) select 1 from pg_sleep(0.05)" end,
          function() tx:copy_in("item", { "id" }, { { 2 } }) end,
          function() tx:exec "insert into item (id) values (3)" end)
        assert.are.equal(3, tx:value "select count(*) from item")
      end)
    end))

  it("hears of a backend that is killed", with(function(db)
    neap.scope(function(s)
      s:spawn(function()
        db:value("select pg_terminate_backend($1)", backend(db, "copy %"))
      end)
      raises("connection_lost", db.copy_in, db, "item", { "id" }, function()
        neap.sleep(0.001)
        return { 1 }
      end)
    end)
    assert.are.equal(0, count(db))
  end))
end)

describe("db:copy_out", function()
  local function fill(db, n)
    db:exec("insert into item (id, name, price) select i, 'n' || i, i / 2.0 from generate_series(1, $1) i", n)
  end

  it("gives the rows of a table or a query as arrays", with(function(db)
    fill(db, 3)
    local seen = {}
    for row in db:copy_out "item" do
      assert.are.equal(7, row.n)
      seen[#seen + 1] = row[2]
    end
    assert.are.same({ "n1", "n2", "n3" }, seen)
    local rows = {}
    for row in db:copy_out "select id, null, price from item where id > 1 order by id; " do
      rows[#rows + 1] = row
    end
    assert.are.same({ { 2, nil, 1.0, n = 3 }, { 3, nil, 1.5, n = 3 } }, rows)
  end))

  it("gives strings with a format", with(function(db)
    fill(db, 2)
    local text = {}
    for s in db:copy_out("select id, name from item order by id",
      { format = "csv", header = true, force_quote = true }) do
      text[#text + 1] = s
    end
    assert.are.equal('id,name\n"1","n1"\n"2","n2"\n', table.concat(text))
  end))

  it("copies from one table into another in binary", with(function(db)
    fill(db, 10000)
    db:exec "drop table if exists item2"
    db:exec "create table item2 (like item)"
    assert.are.equal(10000, db:copy_in("item2", nil,
      db:copy_out("item", { format = "binary" }), { format = "binary" }))
    assert.are.equal(0, db:value
      "select count(*) from (select id, name from item except select id, name from item2) x")
    assert.are.equal(10000, db:copy_in("item2", nil, db:copy_out "item"))
  end))

  it("gives nothing for an empty table", with(function(db)
    for _ in db:copy_out "item" do error "a row" end
    for _ in db:copy_out("item", { format = "text" }) do error "a chunk" end
  end))

  it("can be left at any row", with(function(db)
    fill(db, 50000)
    for stop = 1, 3 do
      local n = 0
      neap.scope(function()
        for _ in db:copy_out "item" do
          n = n + 1
          if n == stop then break end
        end
      end)
      assert.are.equal(stop, n)
    end
    local rows <close> = db:copy_out "item"
    assert.are.equal(1, rows()[1])
    rows:close()
    assert.is_nil(rows())
  end))

  it("reads no further than it is asked to", with(function(db)
    fill(db, 200000)
    local rows <close> = db:copy_out "item"
    rows()
    local before = collectgarbage "count"
    neap.sleep(0.1)
    assert.is_true(collectgarbage "count" < before + 1000)
    assert.are.equal(1, db:value([[select count(*) from pg_stat_activity
      where query like 'copy%item%' and state = 'active']]))
  end))

  it("raises the server's error where it occurs", with(function(db)
    local seen = 0
    local e = raises("pg", function()
      for _ in db:copy_out "select 1 / (1000 - i) from generate_series(1, 2000) i" do
        seen = seen + 1
      end
    end)
    assert.are.equal("22012", e.code)
    assert.are.equal(999, seen)
    raises("pg", db:copy_out "nothing_there")
  end))

  it("refuses parameters and several statements", with(function(db)
    raises("invalid", db:copy_out "select $1::int")
    raises("invalid", db:copy_out "select 1; select 2")
  end))

  it("can be cancelled while it waits", with(function(db)
    assert.is_false(neap.move_on_after(0.05, function()
      for _ in db:copy_out "select 1 from pg_sleep(60)" do error "a row" end
    end))
  end))

  it("hears of a backend that is killed", with(function(db)
    fill(db, 200000)
    local rows <close> = db:copy_out "item"
    rows()
    db:value("select pg_terminate_backend($1)", backend(db, "copy %"))
    raises("connection_lost", function() while rows() do end end)
  end))

  it("works in a transaction, which goes on when it is left", with(function(db)
    db:transaction(function(tx)
      tx:exec "insert into item (id) values (1), (2)"
      local n = 0
      for _ in tx:copy_out "item" do n = n + 1 end
      assert.are.equal(2, n)
      tx:transaction(function(inner)
        local rows <close> = inner:copy_out "item"
        rows()
        raises("invalid", inner.copy_in, inner, "item", { "id" }, { { 3 } })
        while rows() do end
        inner:exec "insert into item (id) values (3)"
      end)
    end)
    assert.are.equal(3, count(db))
  end))
end)

describe("a COPY at every wait", function()
  it("can be cancelled, and pool and table are whole", server.body(function(dsn)
    local test = require "neap.test"
    local db <close> = pg.connect(dsn, { max = 2 })
    db:exec "drop table if exists swept"
    db:exec "create table swept (id int, t text)"
    local filler = ("x"):rep(5000)
    test.cancel_sweep(function()
      local n = 0
      db:copy_in("swept", nil, function()
        n = n + 1
        if n <= 40 then return { n, filler } end
      end)
      for _ in db:copy_out "swept" do n = n + 1 end
      db:exec "truncate swept"
    end)
    server.whole(db)
  end))
end)
