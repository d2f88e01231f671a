--- One statement: parameters, shapes of results, refusals, faults.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

describe("a statement", function()
  it("gives rows by column name, with n, nil for NULL", server.with(function(db)
    local rows = db:query [[select i, 'v' || i as v, nullif(i, 2) as o
      from generate_series(1, 3) i]]
    assert.are.equal(3, rows.n)
    assert.are.same({ i = 1, v = "v1", o = 1 }, rows[1])
    assert.are.same({ i = 2, v = "v2" }, rows[2])
    assert.are.equal("integer", math.type(rows[3].i))
  end))

  it("gives an empty array for no rows", server.with(function(db)
    assert.are.same({ n = 0 }, db:query "select 1 where false")
    assert.is_nil(db:row "select 1 where false")
    assert.is_nil(db:value "select 1 where false")
    assert.are.same({ n = 0 }, db:column "select 1 where false")
  end))

  it("gives the first row, value or column", server.with(function(db)
    local sql = "select i, -i as m from generate_series(5, 7) i"
    assert.are.same({ i = 5, m = -5 }, db:row(sql))
    assert.are.equal(5, db:value(sql))
    assert.are.same({ 5, 6, 7, n = 3 }, db:column(sql))
    local holes = db:column "select nullif(i, 2) from generate_series(1, 3) i"
    assert.are.same({ 1, nil, 3, n = 3 }, holes)
  end))

  it("counts its parameters as given: nil is NULL, at the end too",
    server.with(function(db)
      assert.are.equal("yes", db:value(
        "select case when $1::int is null and $2::int is null then 'yes' end",
        nil, nil))
      assert.are.equal("yes", db:value(
        "select case when $1::int is null then 'yes' end", pg.null))
      local err = raises("invalid", db.value, db, "select $1::int", 1, nil)
      assert.matches("takes 1 parameter, 2 given", err.message)
      err = raises("invalid", db.value, db, "select $1::int + $2::int", 1)
      assert.matches("takes 2 parameters, 1 given", err.message)
    end))

  it("names the parameter that does not fit, before anything is sent",
    server.with({ max = 1 }, function(db)
      db:value("select $1::int4, $2::int2", 1, 2)
      local before = db:stats().queries
      local err = raises("invalid", db.value, db,
        "select $1::int4, $2::int2", 1, 100000)
      assert.matches("parameter %$2 %(int2%)", err.message)
      assert.matches("db:value", err.message)
      err = raises("invalid", db.value, db, "select $1::int4, $2::int2", {}, 1)
      assert.matches("parameter %$1", err.message)
      err = raises("invalid", db.query, db, "select $1::text", "a\0b")
      assert.matches("parameter %$1", err.message)
      assert.are.equal(before, db:stats().queries)
      assert.are.equal(3, db:value "select 3")
    end))

  it("tells how many rows it touched, and the tag", server.with(function(db)
    db:exec "drop table if exists counted"
    local count, tag = db:exec "create table counted (i int)"
    assert.are.equal(0, count)
    assert.are.equal("CREATE TABLE", tag)
    count, tag = db:exec("insert into counted select generate_series(1, $1)", 7)
    assert.are.equal(7, count)
    assert.are.equal("INSERT 0 7", tag)
    assert.are.equal(3, (db:exec "delete from counted where i < 4"))
    assert.are.equal(4, (db:exec "select * from counted"))
  end))

  it("runs statements that take no preparation", server.with(function(db)
    assert.are.equal("UTF8", db:value "show server_encoding")
    assert.matches("Result", db:value "explain select 1")
    assert.are.equal("on", db:row "show integer_datetimes".integer_datetimes)
    db:exec "do $$ begin perform 1; end $$"
    db:exec "-- a comment\n/* and /* another */ one */ analyze pg_class"
  end))

  it("reads what has no binary form as text", server.with(function(db)
    local row = db:row [[select 1 as i, 'a=r/b'::text as t,
      (select relacl from pg_class where relacl is not null
       and relname = 'pg_class') as acl, true as b]]
    assert.are.equal(1, row.i)
    assert.are.equal(true, row.b)
    assert.are.equal("string", type(row.acl[1] or row.acl))
  end))

  it("keeps the last of two columns with one name", server.with(function(db)
    assert.are.same({ a = 2 }, db:row "select 1 as a, 2 as a")
  end))

  it("takes statements with hundreds of columns and parameters",
    server.with(function(db)
      local columns, values = {}, {}
      for i = 1, 700 do
        columns[i] = ("$%d::int8 as c%d"):format(i, i)
        values[i] = i * 3
      end
      local row = db:row("select " .. table.concat(columns, ", "),
        table.unpack(values))
      for i = 1, 700 do assert.are.equal(i * 3, row["c" .. i]) end
    end))

  it("refuses more parameters than the protocol has", server.with(function(db)
    local values = {}
    for i = 1, 66000 do values[i] = i end
    local err = raises("invalid", db.exec, db, "values ($1)",
      table.unpack(values))
    assert.matches("parameter", err.message)
  end))

  it("takes a large result and a large parameter", server.with(function(db)
    local rows = db:query "select i, 'x' as t from generate_series(1, 20000) i"
    assert.are.equal(20000, rows.n)
    assert.are.equal(20000, rows[20000].i)
    local big = ("neap"):rep(2500000)
    assert.are.equal(#big, db:value("select length($1::text)", big))
    assert.are.equal(big, db:value("select $1::text", big))
  end))
end)

describe("query_opts", function()
  it("gives positional rows", server.with(function(db)
    local rows = db:query_opts({ rows = "array" },
      "select 1, null, 'x' union all select 2, 'b', null order by 1")
    assert.are.same({ { 1, nil, "x", n = 3 }, { 2, "b", nil, n = 3 }, n = 2 },
      rows)
  end))

  it("gives rows a metatable", server.with(function(db)
    local Point = { __index = { sum = function(p) return p.x + p.y end } }
    local rows = db:query_opts({ entity = Point }, "select 1 as x, 2 as y")
    assert.are.equal(3, rows[1]:sum())
    assert.are.equal(Point, getmetatable(rows[1]))
  end))

  it("plans as asked", server.with(function(db)
    for _, opts in ipairs {
      { plan = "custom" }, { plan = "generic" }, { prepare = false },
      { prepare = true }, { readonly = true }, { timeout = 30 },
    } do
      assert.are.equal(5,
        db:query_opts(opts, "select $1::int + 2 as v", 3)[1].v)
    end
    local mode = db:query_opts({ plan = "generic" },
      "select current_setting('plan_cache_mode') as m")[1].m
    assert.are.equal("force_generic_plan", mode)
    assert.are.equal("auto", db:value "select current_setting('plan_cache_mode')")
  end))

  it("refuses unknown keys and wrong values", server.with(function(db)
    local err = raises("invalid", db.query_opts, db, { row = "array" },
      "select 1")
    assert.matches("unknown option 'row'; did you mean 'rows'", err.message)
    for _, opts in ipairs {
      { rows = "list" }, { timeout = 0 }, { timeout = "1" }, { prepare = 1 },
      { readonly = "yes" }, { entity = 1 }, { plan = "good" },
    } do
      local key = next(opts)
      err = raises("invalid", db.query_opts, db, opts, "select 1")
      assert.matches("'" .. key .. "'", err.message)
    end
    raises("invalid", db.query_opts, db, 1, "select 1")
  end))
end)

describe("what a pool does not run", function()
  local function refused(kind, text, sql)
    it(sql:sub(1, 40), server.with({ max = 1 }, function(db)
      local before = db:stats().queries
      local err = raises(kind, db.query, db, sql)
      assert.matches(text, err.message)
      assert.are.equal(before, db:stats().queries)
      assert.are.equal(1, db:value "select 1")
    end))
  end

  for _, sql in ipairs {
    "begin", "START TRANSACTION", "commit", "Rollback", "end", "abort",
    "savepoint a", "release a", "rollback to a", "prepare transaction 'x'",
  } do
    refused("unsafe_session_statement", "transaction", sql)
  end
  for _, sql in ipairs {
    "set work_mem = '5MB'", "/* hidden */ reset all", "discard all",
    "listen x", "unlisten *", "prepare x as select 1", "execute x",
    "deallocate all", "declare c cursor with hold for select 1", "fetch c",
    "close c", "load 'x'", "create temp table t (i int)",
    "CREATE TEMPORARY TABLE t (i int)",
    "select pg_advisory_lock(1)", "with a as (select pg_try_advisory_lock(1)) "
      .. "select * from a",
  } do
    refused("unsafe_session_statement", "session", sql)
  end
  refused("invalid", "copy_in", "copy t from stdin")
  refused("invalid", "copy_in", "COPY t (a, b) TO STDOUT with (format csv)")
  refused("invalid", "second statement", "select 1; select 2")
  refused("invalid", "second statement", "select ';'; -- one\n select $$;$$")
  refused("invalid", "empty", "")
  refused("invalid", "empty", " -- nothing\n ; ")
  refused("invalid", "zero byte at position 10", "select 1 \0 where false")

  it("but what only looks like it", server.with(function(db)
    assert.are.equal("begin", db:value "select 'begin'")
    assert.are.equal(1, db:value "select 1 as \"set\"")
    assert.are.equal("pg_advisory_lock(1)",
      db:value "select 'pg_advisory_lock(1)'")
    assert.are.equal(1, db:value "select 1; -- the end")
    assert.are.equal("; select 2", db:value "select $a$; select 2$a$")
    assert.are.equal("';", db:value "select E'\\';'")
    db:value "select pg_advisory_xact_lock(1)"
  end))

  it("anything of another type than a string", server.with(function(db)
    assert.has_error(function() db:query(nil) end)
    assert.has_error(function() db:query {} end)
    assert.has_error(function() db.query("select 1") end)
  end))
end)

describe("an error of the server", function()
  it("has every field", server.with(function(db)
    db:exec "drop table if exists guarded"
    db:exec [[create table guarded (id int primary key,
      age int constraint grown_up check (age >= 18), name text not null)]]
    db:exec "insert into guarded values (1, 20, 'a')"
    local sql = "insert into guarded values ($1, $2, $3)"
    local err = raises("pg", db.exec, db, sql, 1, 30, "b")
    assert.are.equal("23505", err.code)
    assert.are.equal("ERROR", err.severity)
    assert.are.equal("guarded_pkey", err.constraint)
    assert.are.equal("guarded", err.table)
    assert.are.equal("public", err.schema)
    assert.matches("already exists", err.detail)
    assert.are.equal(sql, err.sql)
    assert.is_string(err.traceback)
    assert.is_true(pg.is_unique_violation(err))
    assert.is_false(pg.is_check_violation(err))
    assert.is_true(pg.is_integrity_constraint_violation(err))
    err = raises("pg", db.exec, db, sql, 2, 10, "b")
    assert.are.equal("grown_up", err.constraint)
    assert.is_true(pg.is_check_violation(err))
    err = raises("pg", db.exec, db, sql, 2, 30, nil)
    assert.are.equal("name", err.column)
    assert.is_true(pg.is_not_null_violation(err))
    err = raises("pg", db.query, db, "select * from guarde")
    assert.are.equal(15, err.position)
    assert.is_true(pg.is_undefined_table(err))
    err = raises("pg", db.query, db, "select guarded.nam from guarded")
    assert.matches("name", err.hint)
    assert.is_true(pg.is_undefined_column(
      neap.fault.new { kind = "x", message = "y", cause = err }))
    err = raises("pg", db.exec, db,
      "do $$ begin raise exception 'own' using errcode = 'AB123'; end $$")
    assert.are.equal("AB123", err.code)
    assert.are.equal("own", err.message)
    assert.matches("inline_code_block", err.where)
    assert.is_false(pg.is_unique_violation "23505")
  end))

  it("of a deferred constraint comes with the statement", server.with(
    function(db)
      db:exec "drop table if exists late"
      db:exec "create table late (i int unique deferrable initially deferred)"
      db:exec "insert into late values (1)"
      local err = raises("pg", db.exec, db, "insert into late values ($1)", 1)
      assert.is_true(pg.is_unique_violation(err))
      assert.are.equal(1, db:value "select count(*) from late")
    end))
end)

describe("echo", function()
  it("calls a function with the SQL and the seconds, without values", function()
    local seen = {}
    server.with({ echo = function(sql, seconds)
      seen[#seen + 1] = sql
      assert(seconds >= 0)
    end }, function(db)
      db:value("select $1::text", "secret")
      pcall(db.value, db, "select 1/0")
    end)()
    assert.are.same({ "select $1::text", "select 1/0" }, seen)
  end)
end)
