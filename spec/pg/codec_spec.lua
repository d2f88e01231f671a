--- pg.codec: functions of the user's around a type.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function with(fn)
  return server.with({ max = 2 }, function(db)
    db:exec "drop schema if exists cs cascade"
    db:exec "create schema cs"
    db:exec "create type cs.mood as enum ('sad', 'ok')"
    db:exec "create type cs.pair as (a int, m cs.mood)"
    return fn(db)
  end)
end

--- Functions that remember what they were called with.
local function recording()
  local seen = {}
  return seen, {
    decode = function(data, form)
      seen[#seen + 1] = { "decode", data, form }
      return { data }
    end,
    encode = function(v, form)
      seen[#seen + 1] = { "encode", v, form }
      return v[1]
    end,
  }
end

describe("pg.codec", function()
  it("gives and takes the server's text", with(function(db)
    local seen, spec = recording()
    pg.codec(db, "cs.mood", spec)
    assert.are.same({ "ok" }, db:value("select $1::cs.mood", { "ok" }))
    assert.are.same({ { "encode", { "ok" }, "text" }, { "decode", "ok", "text" } }, seen)
    assert.are.equal("sad", db:value("select ($1::cs.mood)::text", { "sad" }))
  end))

  it("gives and takes bytes with format='binary'", with(function(db)
    local seen, spec = recording()
    spec.format = "binary"
    pg.codec(db, "int4", spec)
    local v = db:value("select $1::int4 + 1", { "\0\0\1\0" })
    assert.are.same({ "\0\0\1\1" }, v)
    assert.are.same({ { "encode", { "\0\0\1\0" }, "binary" },
      { "decode", "\0\0\1\1", "binary" } }, seen)
    -- where the whole result is text, text is what there is
    assert.are.same({ "7" }, db:row("select 7 as n, 'pg_class'::regclass as c").n)
    assert.are.equal("text", seen[#seen][3])
  end))

  it("stands on the driver's own codec with format='value'", with(function(db)
    pg.codec(db, "numeric", { format = "value",
      decode = function(v) return v:tonumber() end,
      encode = function(v) return pg.numeric(v) * 2 end })
    assert.are.equal(3.0, db:value("select $1::numeric", 1.5))
    assert.are.same({ 1.5, pg.null, n = 2 }, db:value "select array[1.5, null]")
    assert.are.equal(0.25, db:value "select 0.25::numeric(5, 2)")
    -- another pool has its own
    local other <close> = server.connect { max = 1 }
    assert.are.equal("1.5", tostring(other:value "select 1.5"))
  end))

  it("reaches into arrays, composites, ranges, domains, records and COPY", with(function(db)
    for _, format in ipairs { "text", "binary", "value" } do
      pg.codec(db, "cs.mood", { format = format, decode = string.upper,
        encode = function(v) return v:lower() end })
      assert.are.same({ "OK", pg.null, n = 2 }, db:value("select $1::cs.mood[]", { "Ok", pg.null }))
      assert.are.same({ { "OK", n = 1 }, { "SAD", n = 1 }, n = 2 },
        db:value("select $1::cs.mood[]", pg.array { pg.array { "OK" }, pg.array { "SAD" } }))
      assert.are.same({ a = 1, m = "OK" }, db:value("select $1::cs.pair", { 1, "OK" }))
      assert.are.same({ { m = "SAD" }, n = 1 }, db:value("select $1::cs.pair[]", { { m = "SAD" } }))
      db:exec "drop table if exists cs.t"
      db:exec "create table cs.t (m cs.mood, p cs.pair)"
      assert.are.equal(2, db:copy_in("cs.t", nil, { { "OK", { 1, "SAD" } }, { pg.null, pg.null } }))
      assert.are.equal("ok", db:value "select m::text from cs.t limit 1")
      local rows = {}
      for row in db:copy_out "cs.t" do rows[#rows + 1] = row end
      assert.are.same({ { "OK", { a = 1, m = "SAD" }, n = 2 }, { n = 2 } }, rows)
      if format ~= "text" then
        assert.are.same({ "OK", n = 1 }, db:value "select row('ok'::cs.mood)")
      end
    end
    db:exec "create type cs.moods as range (subtype = cs.mood)"
    assert.are.equal(pg.range("SAD", "OK", "[]"),
      db:value("select $1::cs.moods", pg.range("SAD", "OK", "[]")))
    db:exec "create domain cs.feeling as cs.mood"
    assert.are.equal("OK", db:value("select $1::cs.feeling", "OK"))
  end))

  it("never sees NULL", with(function(db)
    local seen, spec = recording()
    pg.codec(db, "cs.mood", spec)
    assert.is_nil(db:value("select $1::cs.mood", nil))
    assert.is_nil(db:value("select $1::cs.mood", pg.null))
    assert.are.same({}, seen)
  end))

  it("may have one direction only", with(function(db)
    pg.codec(db, "cs.mood", { decode = string.upper })
    assert.are.equal("OK", db:value("select $1::cs.mood", "ok"))
    pg.codec(db, "cs.mood", { encode = string.lower })
    assert.are.equal("ok", db:value("select $1::cs.mood", "OK"))
  end))

  it("holds for statements that are prepared, and when the type is made anew", with(function(db)
    local sql = "select 'ok'::cs.mood"
    assert.are.equal("ok", db:value(sql))
    assert.are.equal("ok", db:value(sql))
    pg.codec(db, "cs.mood", { decode = string.upper })
    assert.are.equal("OK", db:value(sql))
    db:exec "drop type cs.mood cascade"
    db:exec "create type cs.mood as enum ('ok', 'new')"
    assert.are.equal("OK", db:value(sql))
    assert.are.equal("NEW", db:value "select 'new'::cs.mood")
  end))

  it("raises what its functions raise, and the pool is whole", with(function(db)
    local mine = {}
    pg.codec(db, "cs.mood", { decode = function() error(mine) end,
      encode = function(v) if v == "bad" then error(mine) end return v end })
    local ok, err = pcall(db.value, db, "select 'ok'::cs.mood")
    assert.is_false(ok)
    assert.are.equal(mine, err)
    ok, err = pcall(db.value, db, "select $1::cs.mood is null", "bad")
    assert.is_false(ok)
    assert.are.equal(mine, err)
    assert.is_false(db:value("select $1::cs.mood is null", "ok"))
    server.whole(db)
  end))

  it("refuses what encode must not give", with(function(db)
    pg.codec(db, "cs.mood", { encode = function() return 5 end })
    local err = raises("invalid", db.value, db, "select $1::cs.mood", "x")
    assert.is_truthy(err.message:find(
      "parameter $1 (cs.mood): its codec must give a string, it gave an integer", 1, true))
    pg.codec(db, "cs.mood", { format = "value", encode = function() return nil end })
    err = raises("invalid", db.value, db, "select $1::cs.mood", "x")
    assert.is_truthy(err.message:find("its codec gave no value for a string", 1, true))
  end))

  it("lets its functions use neither the pool nor any wait", with(function(db)
    local errors = {}
    pg.codec(db, "cs.mood", { decode = function(s)
      local _, err = pcall(db.value, db, "select 1")
      errors[1] = err
      local _, err2 = pcall(neap.sleep, 0)
      errors[2] = err2
      return s
    end })
    assert.are.equal("ok", db:value "select 'ok'::cs.mood")
    assert.are.equal("not_in_task", errors[1].kind)
    assert.are.equal("not_in_task", errors[2].kind)
    assert.are.equal(1, db:value "select 1")
    server.whole(db)
  end))

  it("refuses what it cannot use", with(function(db)
    local function refusal(...)
      local err = raises("invalid", pg.codec, ...)
      return err.message
    end
    assert.are.equal("pg.codec: the database has no type 'cs.nothing'",
      refusal(db, "cs.nothing", { decode = print }))
    assert.are.equal("pg.codec: a pool expected, got a table", refusal({}, "int4", { decode = print }))
    assert.are.equal("pg.codec: the name of a type expected, got a number", refusal(db, 23, { decode = print }))
    assert.are.equal("pg.codec: a table with decode or encode expected, got a function",
      refusal(db, "int4", print))
    assert.are.equal("pg.codec: give a function as 'decode', as 'encode', or both", refusal(db, "int4", {}))
    assert.is_truthy(refusal(db, "int4", { decod = print }):find("decode", 1, true))
    assert.is_truthy(refusal(db, "int4", { decode = 5 }):find("decode", 1, true))
    assert.is_truthy(refusal(db, "int4", { decode = print, format = "json" }):find("format", 1, true))
  end))

  it("is let go of with its pool", function()
    local weak = setmetatable({}, { __mode = "v" })
    server.with({}, function(db)
      local function decode() return db end -- holds the pool that holds it
      weak[1] = decode
      pg.codec(db, "int4", { decode = decode })
      assert.are.equal(db, db:value "select 1::int4")
    end)()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)
