local neap = require "neap"
local server = require "spec.support.pg"
local shell = require "spec.support.shell"
local fault = require("spec.repository.shop").fault

--- A body on an empty schema.
local function on(fn)
  return server.with({ database = "migrate", max = 6 }, function(db)
    db:exec "drop schema public cascade"
    db:exec "create schema public"
    fn(db)
  end)
end

describe("a list of migrations #pg", function()
  local LIST <const> = {
    { version = 1, name = "users", sql = [[
      create table users (id int primary key, name text);
      insert into users values (1, 'semi;colon');
      create function one() returns int language sql as $$ select 1; $$;
    ]] },
    { version = 2, name = "more", up = function(tx)
      tx:exec("insert into users values ($1, $2)", 2, "by hand")
    end },
  }

  it("is applied once, in order", on(function(db)
    assert.same({ 1, 2 }, db:migrate(LIST))
    assert.equal(2, db:value "select count(*) from users")
    assert.equal("semi;colon", db:value "select name from users where id = 1")
    assert.same({}, db:migrate(LIST))
    assert.equal(2, db:value "select count(*) from users")
  end))

  it("is sorted by version", on(function(db)
    assert.same({ 1, 2 }, db:migrate { LIST[2], LIST[1] })
  end))

  it("goes on where it stopped", on(function(db)
    assert.same({ 1 }, db:migrate { LIST[1] })
    assert.same({ 2 }, db:migrate(LIST))
  end))

  it("may be bare SQL, numbered by its place", on(function(db)
    assert.same({ 1, 2 }, db:migrate {
      "create table a (id int)", "create table b (id int)",
    })
    assert.same({}, db:migrate {
      "create table a (id int)", "create table b (id int)",
    })
  end))

  it("writes down what it did", on(function(db)
    db:migrate(LIST)
    local row = db:row "select * from neap_migrations where version = 1"
    assert.equal("users", row.name)
    assert.equal(64, #row.checksum)
    assert.is_true(row.seconds >= 0)
    assert.is_nil(db:value
      "select checksum from neap_migrations where version = 2")
  end))

  it("keeps its books where it is told to", on(function(db)
    db:exec "create schema books"
    db:migrate(LIST, { table = "books.done" })
    assert.equal(2, db:value "select count(*) from books.done")
    db:exec "drop schema books cascade"
  end))

  it("leaves nothing of one that fails, and keeps those before it",
    on(function(db)
      local err = fault("pg", db.migrate, db, {
        LIST[1],
        { version = 2, name = "bad", sql = "create table t (id int);\n\n"
          .. "insert into t values ('x')" },
        { version = 3, sql = "create table never (id int)" },
      })
      assert.equal("22P02", err.code)
      assert.matches("migration 2 %(bad%), line 3: ", err.message)
      assert.equal("22P02", err.cause.code)
      assert.is_nil(db:value "select to_regclass('t')")
      assert.is_nil(db:value "select to_regclass('never')")
      assert.equal(1, db:value "select max(version) from neap_migrations")
    end))

  it("notices what was changed after it was applied", on(function(db)
    db:migrate { { version = 1, sql = "create table a (id int)" } }
    assert.matches("migration 1 has been changed", fault("invalid", db.migrate,
      db, { { version = 1, sql = "create table b (id int)" } }).message)
    -- The end of a line is not a change.
    db:migrate { { version = 2, sql = "create table\n c (id int)" } }
    assert.same({}, db:migrate {
      { version = 2, sql = "create table\r\n c (id int)" },
    })
  end))

  it("refuses a version below those applied, unless told", on(function(db)
    db:migrate { { version = 5, sql = "create table a (id int)" } }
    local late = { version = 3, sql = "create table b (id int)" }
    assert.matches("comes before version 5",
      fault("invalid", db.migrate, db, { late }).message)
    assert.same({ 3 }, db:migrate({ late }, { out_of_order = true }))
  end))

  it("refuses what would end the transaction", on(function(db)
    for _, word in ipairs { "commit", "BEGIN", "rollback", "savepoint x" } do
      assert.matches("inside a migration", fault("invalid", db.migrate, db, {
        "create table a (id int); " .. word .. ";",
      }).message)
      assert.is_nil(db:value "select to_regclass('a')")
    end
  end))

  it("runs without a transaction what refuses one", on(function(db)
    assert.same({ 1, 2 }, db:migrate {
      "create table a (id int)",
      { sql = "create index concurrently a_id on a (id)",
        transaction = false },
    })
    assert.is_string(db:value "select to_regclass('a_id')::text")
    local err = fault("pg", db.migrate, db, {
      "create table a (id int)",
      { sql = "create index concurrently a_id on a (id)",
        transaction = false },
      "-- a note\n-- neap: no transaction\ncreate index concurrently b on b (i)",
    })
    assert.equal("42P01", err.code)
    -- The lock is free again.
    assert.same({ 4 }, db:migrate { { version = 4, sql = "select 1" } })
  end))

  it("is applied once by many who start together", on(function(db)
    local tasks = {}
    for i = 1, 6 do tasks[i] = function() return #db:migrate(LIST) end end
    local sum = 0
    for _, count in ipairs(neap.all(tasks)) do sum = sum + count end
    assert.equal(2, sum)
    assert.equal(2, db:value "select count(*) from users")
  end))

  it("waits for another who is at it", on(function(db)
    local began, may_end = neap.event(), neap.event()
    local first = neap.spawn(function()
      return db:migrate { { version = 1, up = function(tx)
        tx:exec "create table a (id int)"
        began:set()
        may_end:wait()
      end } }
    end)
    began:wait()
    local second = neap.spawn(function()
      return db:migrate { { version = 1, up = function(tx)
        tx:exec "create table a (id int)"
      end } }
    end)
    neap.sleep(0.1)
    assert.is_nil(second:outcome())
    may_end:set()
    assert.same({ 1 }, first:await())
    assert.same({}, second:await())
  end))

  it("can be cancelled, and leaves nothing", on(function(db)
    local task = neap.spawn(function()
      db:migrate {
        "create table a (id int)",
        "create table b (id int); select pg_sleep(60)",
      }
    end)
    server.busy_backend(db, "select pg_sleep%")
    task:cancel()
    task:join()
    assert.equal("cancelled", task:status())
    server.whole(db)
    assert.same({ 2 }, db:migrate {
      "create table a (id int)", "create table b (id int)",
    })
  end))

  it("raises what a function raises, with the migration named",
    on(function(db)
      local err = fault("invalid", db.migrate, db, {
        { version = 7, name = "data", up = function() error("no", 0) end },
      })
      assert.equal("migrate: migration 7 (data): no", err.message)
    end))

  it("must make sense", on(function(db)
    for _, wrong in ipairs {
      { { version = 1 } }, { 1 }, { { sql = "select 1", versoin = 1 } },
      { { version = "x", sql = "select 1" } }, { { version = -1, sql = "" } },
      { { version = 1, sql = "" }, { version = 1, sql = "" } },
      { { version = 1, sql = 7 } },
    } do
      fault("invalid", db.migrate, db, wrong)
    end
    fault("invalid", db.migrate, db)
    fault("invalid", db.migrate, db, {}, { tabel = "x" })
    fault("invalid", db.migrate, db, {}, { table = "" })
    assert.same({}, db:migrate {})
  end))
end)

describe("a directory of migrations #pg", function()
  local directory

  before_each(function() directory = shell.directory() end)
  after_each(function() shell.remove(directory) end)

  it("is applied in the order of its numbers", on(function(db)
    shell.write(directory .. "/10_ten.sql", "insert into log values (10);")
    shell.write(directory .. "/0002_two.sql",
      "create table log (n int);\ninsert into log values (2);")
    shell.write(directory .. "/0002_two.down.sql", "drop table log;")
    shell.write(directory .. "/notes.txt", "nothing")
    assert.same({ 2, 10 }, db:migrate(directory))
    assert.same({ 2, 10 }, { table.unpack(db:column
      "select n from log order by n") })
    assert.same({}, db:migrate(directory .. "/"))
  end))

  it("names the file and the line that failed", on(function(db)
    shell.write(directory .. "/0001_bad.sql",
      "-- fine\nselect 1;\n\nselekt 2;\n")
    local err = fault("pg", db.migrate, db, directory)
    assert.equal("42601", err.code)
    assert.matches("0001_bad.sql, line 4: ", err.message)
  end))

  it("must be there", on(function(db)
    local err = fault("io", db.migrate, db, directory .. "/none")
    assert.equal("ENOENT", err.code)
    assert.matches("none", err.message)
    shell.write(directory .. "/file", "x")
    assert.equal("ENOTDIR", fault("io", db.migrate, db,
      directory .. "/file").code)
    shell.write(directory .. "/first.sql", "select 1")
    assert.matches("begins with its number",
      fault("invalid", db.migrate, db, directory).message)
  end))

  it("may have any name", on(function(db)
    local odd = directory .. "/it's; $(touch x) \"odd\""
    shell.run("mkdir '" .. odd:gsub("'", [['\'']]) .. "'")
    shell.write(odd .. "/1.sql", "create table a (id int)")
    assert.same({ 1 }, db:migrate(odd))
  end))
end)
