--- Types that a user has made: enums, domains, composites, ranges; records.
--- The server's own text says what is right.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local TYPES <const> = {
  "drop schema if exists ut cascade",
  "create schema ut",
  "create type ut.mood as enum ('sad', 'ok', 'it''s \"fine\"')",
  "create domain ut.posint as int4 check (value > 0)",
  "create domain ut.small as ut.posint check (value < 100)",
  "create domain ut.list as int4[]",
  "create domain ut.doc as jsonb",
  "create type ut.point3 as (x float8, y float8, z float8)",
  "create type ut.address as (street text, no ut.posint, moods ut.mood[], at timestamptz)",
  "create type ut.person as (name text, home ut.address, others ut.address[], doc ut.doc, span int4range)",
  "create domain ut.home as ut.address check (value is null or (value).no is not null)",
  "create type ut.floats as range (subtype = float8)",
  "create type ut.moodrange as range (subtype = ut.mood)",
  "create type ut.priced as (label text, price money)",
  "create type ut.one as (v int4)",
  "create type ut.empty as ()",
}

local function with(fn, opts)
  local rest = { max = 2 }
  for k, v in pairs(opts or {}) do rest[k] = v end
  return server.with(rest, function(db)
    for _, sql in ipairs(TYPES) do db:exec(sql) end
    return fn(db)
  end)
end

local function same(a, b)
  if type(a) == "table" and type(b) == "table" then
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
  end
  return a == b
end

--- For each type literals; each goes to Lua and back, both ways.
local SAMPLES <const> = {
  ["ut.mood"] = { "'sad'", "'it''s \"fine\"'" },
  ["ut.mood[]"] = { "'{sad,NULL,ok}'", "'{{sad,ok},{ok,sad}}'", "array['it''s \"fine\"']", "'[3:4]={sad,ok}'" },
  ["ut.posint"] = { "5" }, ["ut.small"] = { "7" },
  ["ut.small[]"] = { "'{1,NULL,3}'" },
  ["ut.list"] = { "'{1,2,NULL}'", "'{}'" },
  ["ut.list[]"] = { "array['{1,2}'::ut.list, null, '{}']" },
  ["ut.doc"] = { [['{"a": [1, null]}']] },
  ["ut.point3"] = { "row(1, -2.5, 'NaN')", "row(null, null, null)", "row(null, 1, null)" },
  ["ut.point3[]"] = {
    "array[row(1, 2, 3)::ut.point3, null, row(null, null, 1)]",
    "array[array[row(1, 2, 3)::ut.point3], array[row(4, 5, 6)]]",
  },
  ["ut.address"] = {
    [[row('a "b", (c)\', 3, '{sad,NULL}', '2024-01-01 00:00+00')]],
    "row('', 1, '{}', 'infinity')", "row(null, null, null, null)",
  },
  ["ut.address[]"] = { [[array[row('x', 3, array['it''s "fine"']::ut.mood[], null)::ut.address, null] ]] },
  ["ut.home"] = { "row('x', 3, null, null)::ut.address" },
  ["ut.home[]"] = { "array[row('x', 3, null, null)::ut.address::ut.home]" },
  ["ut.person"] = {
    [[row('n', row('s', 1, '{ok}', null), array[row('o', 2, null, null)::ut.address, null], '{"k": "v"}', '[1,5)')]],
    "row(null, null, '{}', 'true', 'empty')",
  },
  ["ut.floats"] = { "'[1.5,2.5)'", "'(,)'", "'empty'" },
  ["ut.floats[]"] = { "array['[1.5,2.5)'::ut.floats, null, 'empty']" },
  ["ut.floats_multirange"] = { "'{[1,2),[3,4)}'", "'{}'" },
  ["ut.moodrange"] = { "'[sad,ok]'", [['["it''s \"fine\"",)']] },
  ["ut.priced"] = { "row('x', '$1.50')", "row(null, null)" },
  ["ut.priced[]"] = { "array[row('a,b', '$1.50')::ut.priced, null]" },
  ["ut.one"] = { "row(1)", "row(null)" },
  ["ut.empty"] = { "row()" },
}

local function each(fn)
  local names = {}
  for name in pairs(SAMPLES) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, text in ipairs(SAMPLES[name]) do fn(name, ("(%s)::%s"):format(text, name)) end
  end
end

--- A domain over jsonb would take a string for its text.
local function sendable(name, v) return name == "ut.doc" and pg.json(v) or v end

describe("a value of a user's type", function()
  it("comes back to the server as it was", with(function(db)
    each(function(name, sql)
      local v = db:value("select " .. sql)
      local written = db:value(("select (%s)::text"):format(sql))
      local again = db:value(("select ($1::%s)::text"):format(name), sendable(name, v))
      assert.are.equal(written, again, name)
    end)
  end))

  it("is the same from the text form of a result", with(function(db)
    each(function(name, sql)
      local v = db:value("select " .. sql)
      local row = db:row(("select %s as v, 'pg_class'::regclass as r"):format(sql))
      if not sql:find "NaN" then
        assert.is_true(same(v, row.v), name .. " " .. sql)
      end
    end)
  end))

  it("goes through COPY in both directions", with(function(db)
    local i = 0
    each(function(name, sql)
      i = i + 1
      db:exec(("create table ut.t%d (v %s, id int)"):format(i, name))
      local v = db:value("select " .. sql)
      assert.are.equal(2, db:copy_in("ut.t" .. i, { "v", "id" },
        { { sendable(name, v), 1 }, { nil, 2 } }))
      local written = db:value(("select (%s)::text"):format(sql))
      assert.are.equal(written, db:value(("select v::text from ut.t%d where id = 1"):format(i)), name)
      local rows = {}
      for row in db:copy_out(("select v from ut.t%d where id = 1"):format(i)) do
        rows[#rows + 1] = row[1]
      end
      if not sql:find "NaN" then assert.is_true(same(v, rows[1]), name) end
    end)
  end))

  it("comes through each, batch, exec_many and a transaction", with(function(db)
    db:exec "create table ut.t (id int, a ut.address)"
    assert.are.equal(3, db:exec_many("insert into ut.t values ($1, $2)",
      { { 1, { street = "a" } }, { 2, pg.null }, { 3, { "c", 3 } } }))
    local seen = {}
    for row in db:each "select * from ut.t order by id" do
      seen[#seen + 1] = row.a and row.a.street or false
    end
    assert.are.same({ "a", false, "c" }, seen)
    local r = db:batch(function(b)
      b:value "select a from ut.t where id = 3"
      b:value("select $1::ut.mood[]", { "ok" })
    end)
    assert.are.equal(3, r[1].no)
    assert.are.equal("ok", r[2][1])
    db:transaction(function(tx)
      assert.are.equal("a", tx:value "select a from ut.t where id = 1".street)
    end)
    local conn <close> = db:acquire()
    assert.are.equal("c", conn:value "select a from ut.t where id = 3"[1])
  end))

  it("is the same without prepared statements", with(function(db)
    each(function(name, sql)
      local v = db:value("select " .. sql)
      if name:find "%[%]$" then assert.is_table(v, name) end
      if name == "ut.address" then assert.is_table(v) end
    end)
    local r = db:batch(function(b) b:value "select row('x', 1, null, null)::ut.address" end)
    assert.are.equal("x", r[1].street)
  end, { prepared = "off" }))

  it("is known in a cursor of one's own, too", with(function(db)
    db:transaction(function(tx)
      tx:exec "declare c cursor for select row('x', 1, null, null)::ut.address as a, 'ok'::ut.mood as m"
      local row = tx:row "fetch 1 from c"
      assert.are.equal("x", row.a.street)
      assert.are.equal("ok", row.m)
    end)
  end))
end)

describe("a composite", function()
  it("is a table by name, and answers to positions", with(function(db)
    local v = db:value "select row('x', 1, null, null)::ut.address"
    assert.are.same({ street = "x", no = 1 }, v)
    assert.are.same({ "x", 1 }, { v[1], v[2] })
    assert.is_nil(v[3])
    assert.is_nil(v[5])
    assert.are.equal(4, #v)
    assert.are.equal("ut.address", getmetatable(v).__name)
  end))

  it("can be sent by name or by position; what is missing is NULL", with(function(db)
    local sql = "select ($1::ut.address)::text"
    assert.are.equal("(x,,,)", db:value(sql, { street = "x" }))
    assert.are.equal("(x,2,,)", db:value(sql, { "x", 2 }))
    assert.are.equal("(,2,,)", db:value(sql, { nil, 2 }))
    assert.are.equal("(,2,,)", db:value(sql, table.pack(nil, 2)))
    assert.are.equal("(x,,,)", db:value(sql, { street = "x", no = pg.null }))
    assert.are.equal("(,,,)", db:value(sql, {}))
    assert.are.equal("(x,2,,)", db:value(sql, "(x,2,,)"))
    -- a string for a type that is none: the whole goes as text
    assert.are.equal('("a ""b""",7,{ok},"2024-01-31 00:00:00+00")', db:value(sql,
      { street = 'a "b"', no = "7", moods = { "ok" }, at = "2024-01-31 00:00+00" }))
  end))

  it("is refused, with the attribute, when it does not fit", with(function(db)
    local function refusal(v)
      local err = raises("invalid", db.value, db, "select $1::ut.person", v)
      return (err.message:gsub("^db:value: parameter %$1 %(ut.person%): ", ""))
    end
    assert.are.equal("ut.person has no attribute 'nmae'; it has name, home, others, doc, span",
      refusal { nmae = "x" })
    assert.are.equal("attribute 'home': attribute 'no': value out of ut.posint range (got 4294967296)",
      refusal { home = { no = 1 << 32 } })
    assert.are.equal("attribute 'others': item 2: attribute 'street': expected a string, got an integer",
      refusal { others = { pg.null, { street = 5 } } })
    assert.are.equal("its attributes are given by name and by position; choose one",
      refusal { "x", home = {} })
    assert.are.equal("ut.person has 5 attributes, there is a value at 6",
      refusal { [6] = 1 })
    assert.are.equal("expected a table for ut.person, got an integer", refusal(5))
    assert.are.equal("a boolean is no attribute of ut.person", refusal { [true] = 1 })
  end))

  it("that is refused as text says the same", with(function(db)
    local err = raises("invalid", db.value, db, "select $1::ut.priced", { label = 5 })
    assert.is_truthy(err.message:find("attribute 'label': expected a string, got an integer", 1, true))
  end))

  it("can have attributes of any name", with(function(db)
    db:exec [[create type ut.odd as ("__index" int, "n" int, "a b" int, "1" int)]]
    local v = db:value "select row(1, 2, 3, 4)::ut.odd"
    assert.are.same({ __index = 1, n = 2, ["a b"] = 3, ["1"] = 4 }, v)
    assert.are.equal(4, v[4])
    assert.are.equal("(1,2,3,4)", db:value("select ($1::ut.odd)::text", v))
  end))
end)

describe("random values", function()
  local PIECES <const> = { "a", "é", '"', "\\", "(", ")", ",", "{", "}", " ", "'", "NULL", "[", "\n" }

  local function text()
    local t = {}
    for i = 1, math.random(0, 6) do t[i] = PIECES[math.random(#PIECES)] end
    return table.concat(t)
  end

  local function maybe(v) if math.random(4) > 1 then return v end end

  local function list(make, least)
    local t = { n = math.random(least or 0, 3) }
    for i = 1, t.n do t[i] = maybe(make()) or pg.null end
    return pg.array(t)
  end

  local function mood() return ({ "sad", "ok", "it's \"fine\"" })[math.random(3)] end

  local function address()
    return { street = maybe(text()), no = maybe(math.random(1 << 30)),
      moods = maybe(list(mood)), at = maybe(pg.unix_us(math.random(0, 1 << 50))) }
  end

  local function span()
    local a = math.random(-1000, 1000)
    return pg.range(maybe(a), maybe(a + math.random(1, 1000)))
  end

  local function person()
    return { name = maybe(text()), home = maybe(address()),
      others = maybe(list(address)), doc = maybe { k = text() }, span = maybe(span()) }
  end

  it("survive the trip in binary and as text", with(function(db)
    math.randomseed(31)
    for _ = 1, 60 do
      local people = list(person, 1)
      local back = db:value("select $1::ut.person[]", people)
      assert.is_true(same(people, back))
      local written = db:value("select ($1::ut.person[])::text", people)
      -- a string among them: all of it goes as text
      local as_text = db:value("select (($1::ut.person[])[2:])::text",
        pg.array({ '("",,,,)', table.unpack(people, 1, people.n) }, { n = people.n + 1 }))
      assert.are.equal(written, (as_text:gsub("^%[%d+:%d+%]=", "")))
      assert.is_true(same(people,
        db:row("select $1::ut.person[] as p, 'pg_class'::regclass as c", people).p))
    end
  end))

  it("of ranges, bits and figures are what the server writes", with(function(db)
    math.randomseed(32)
    local function number() return math.random() * 10 ^ math.random(-20, 20) end
    local function point() return { x = number(), y = -number() } end
    local function points()
      local t = {}
      for i = 1, math.random(1, 5) do t[i] = point() end
      return t
    end
    local makers = {
      int8range = span, int4multirange = function() return { span(), span() } end,
      numrange = function()
        return pg.range(maybe(pg.numeric(math.random(-99, 0)) - "0.50"),
          maybe(pg.numeric(math.random(1, 99))), "(]")
      end,
      varbit = function()
        local t = {}
        for i = 1, math.random(0, 40) do t[i] = math.random(0, 1) end
        return pg.bits(table.concat(t))
      end,
      point = point, polygon = points,
      path = function() local p = points() p.closed = math.random(2) == 1 return p end,
      circle = function() local c = point() c.r = number() return c end,
    }
    for name, make in pairs(makers) do
      for _ = 1, 60 do
        local v = make()
        local back = db:value(("select $1::%s"):format(name), v)
        local written = db:value(("select $1::%s::text"):format(name), v)
        assert.are.equal(written, db:value(("select $1::%s::text"):format(name), back), name)
        -- the server's text, read by the server and by us
        assert.is_true(same(back, db:value(("select $1::%s"):format(name), written)), name)
        assert.is_true(same(back, db:row(("select $1::%s as v, 'pg_class'::regclass as c")
          :format(name), written).v), name)
      end
    end
  end))
end)

describe("an anonymous record", function()
  it("is a sequence with n, its fields in their own types", with(function(db)
    local r = db:value [[select row(1, null, 'x'::text, 2.5, row('sad'::ut.mood),
      array[row('a', 1, null, null)::ut.address], null)]]
    assert.are.equal(7, r.n)
    assert.are.same({ 1, nil, "x" }, { r[1], r[2], r[3] })
    assert.are.equal(pg.numeric "2.5", r[4])
    assert.are.same({ "sad", n = 1 }, r[5])
    assert.are.equal("a", r[6][1].street)
    assert.are.same({ n = 0 }, db:value "select row()")
  end))

  it("asks for types that only its fields have", with(function(db)
    assert.are.same({ "ok", n = 1 }, db:value "select row('ok'::ut.mood)")
    local list = db:value "select array[row(1, 'ok'::ut.mood), null, row(2, null)]"
    assert.are.same({ 1, "ok", n = 2 }, list[1])
    assert.are.equal(pg.null, list[2])
    assert.are.same({ 2, n = 2 }, list[3])
    local r = db:batch(function(b)
      b:value "select row('[1,2)'::ut.floats)"
      b:value "select row(row('x', 3, null, null)::ut.address)"
    end)
    assert.are.equal(pg.range(1.0, 2.0), r[1][1])
    assert.are.equal(3, r[2][1].no)
  end))

  it("has strings in it where the result is text", with(function(db)
    local row = db:row "select row(1, null, 'a\"b') as r, 'pg_class'::regclass as c"
    assert.are.same({ "1", nil, 'a"b', n = 3 }, row.r)
  end))

  it("says which field has no binary form", with(function(db)
    local err = raises("pg", db.value, db, "select row(1, 'a'::tsvector)")
    assert.are.equal("decode", err.code)
    assert.is_truthy(err.message:find("field 2 of a record is of type tsvector", 1, true))
    assert.are.equal(1, db:value "select 1")
  end))
end)

describe("what is known of types", function()
  it("is asked for once, for all connections", with(function(db)
    db:value "select 'ok'::ut.mood"
    local before = db:stats().queries
    neap.gather(
      function() db:value "select 'ok'::ut.mood as a" end,
      function() db:value "select 'ok'::ut.mood as b" end)
    assert.are.equal(2, db:stats().queries - before)
  end))

  it("survives that a type is dropped and made anew by this pool", with(function(db)
    local sql = "select row(1, 'x')::ut.pair"
    db:exec "create type ut.pair as (a int, b text)"
    assert.are.same({ a = 1, b = "x" }, db:value(sql))
    db:exec "drop type ut.pair"
    db:exec "create type ut.pair as (c int8, d text)"
    assert.are.same({ c = 1, d = "x" }, db:value(sql))
    db:exec "alter type ut.pair rename attribute c to e"
    assert.are.same({ e = 1, d = "x" }, db:value(sql))
  end))

  it("survives the same done by somebody else", with(function(db)
    local other <close> = server.connect { max = 1 }
    db:exec "create type ut.pair as (a int, b text)"
    db:exec "create table ut.pairs (p ut.pair)"
    local insert, select = "insert into ut.pairs values ($1)", "select p from ut.pairs"
    db:exec(insert, { a = 1, b = "x" })
    assert.are.same({ a = 1, b = "x" }, db:value(select))
    other:exec "alter type ut.pair add attribute c int cascade"
    -- The server refuses the old form; it is sent again in the new one.
    assert.are.equal(1, (db:exec(insert, { a = 2, b = "y" })))
    assert.are.equal(2, db:value "select count(*) from ut.pairs")
    assert.are.same({ a = 1, b = "x" }, db:value(select))
    other:exec "alter type ut.pair drop attribute a cascade"
    -- The rows were on their way: this once it is an error, then not.
    raises("stale_statement", db.value, db, select)
    assert.are.same({ b = "x" }, db:value(select))
    other:exec "drop table ut.pairs"
    other:exec "drop type ut.pair"
    other:exec "create type ut.pair as enum ('z')"
    other:exec "create table ut.pairs (p ut.pair)"
    assert.is_nil(db:value(select))
    other:exec "insert into ut.pairs values ('z')"
    assert.are.equal("z", db:value(select))
    assert.are.equal(1, (db:exec(insert, "z")))
  end))

  it("includes types made in a transaction that is open", with(function(db)
    pcall(db.transaction, db, function(tx)
      tx:exec "create type ut.fresh as (a int)"
      assert.are.same({ a = 1 }, tx:value "select row(1)::ut.fresh")
      error "no"
    end)
    raises("pg", db.value, db, "select row(1)::ut.fresh")
    server.whole(db)
  end))

  it("is asked for in good order when the task is cancelled", with(function(db)
    for i = 1, 12 do
      db:exec(("create type ut.deep%d as (a %s)"):format(i,
        i == 1 and "int" or "ut.deep" .. i - 1))
    end
    local deep = db:value("select null::ut.deep12")
    assert.is_nil(deep)
    for _, limit in ipairs { 0, 0.0005, 0.001, 0.002, 0.004 } do
      db:exec "comment on schema ut is 'x'"
      db:exec "alter type ut.deep1 rename attribute a to b"
      db:exec "alter type ut.deep1 rename attribute b to a"
      neap.move_on_after(limit, function()
        db:value "select row(null)::ut.deep12, row('ok'::ut.mood)"
      end)
      assert.are.equal(1, db:value "select 1")
    end
    server.whole(db)
  end))
end)

describe("types of extensions", function()
  local function have(db, name)
    return db:value("select count(*) from pg_available_extensions where name = $1", name) > 0
  end

  it("are known by name", with(function(db)
    for _, name in ipairs { "hstore", "citext", "ltree", "isn" } do
      assert.is_true(have(db, name), name)
      db:exec(("create extension if not exists %s with schema public"):format(name))
    end
    local h = db:value [[select 'a=>1, "b c"=>NULL, "q\"=>\\"=>"x, \"y\""'::hstore]]
    assert.are.same({ a = "1", ["b c"] = pg.null, ['q"=>\\'] = 'x, "y"' }, h)
    assert.is_true(db:value([[select $1 = 'a=>1, "b c"=>NULL, "q\"=>\\"=>"x, \"y\""'::hstore]], h))
    local row = db:row([[select $1::hstore as h, ''::hstore as e, 'pg_class'::regclass as c]], h)
    assert.are.same(h, row.h)
    assert.are.same({}, row.e)
    assert.are.same({ n = 2, { a = "1" }, pg.null },
      db:value("select $1::hstore[]", { { a = "1" }, pg.null }))
    assert.are.equal("AbC", db:value("select $1::citext", "AbC"))
    assert.is_true(db:value("select $1::citext = 'aBc'", "AbC"))
    assert.are.equal("a.b.c", db:value("select $1::ltree", "a.b.c"))
    assert.are.same({ n = 1, "a.b" }, db:value("select $1::ltree[]", { "a.b" }))
    assert.are.equal("a.*", db:value("select $1::lquery", "a.*"))
    -- without a binary form on the server
    assert.are.equal("1-4028-9462-7", db:value("select $1::isbn", "1402894627"))
    assert.are.same({ n = 2, "1-4028-9462-7", pg.null },
      db:value("select $1::isbn[]", { "1402894627", pg.null }))
    local err = raises("invalid", db.value, db, "select $1::hstore", { a = 1 })
    assert.is_truthy(err.message:find("key 'a': expected a string, got an integer", 1, true))
    for _, name in ipairs { "isn", "ltree", "citext", "hstore" } do
      db:exec("drop extension " .. name .. " cascade")
    end
  end))
end)
