--- Every type, through a real server: what the server understands, and what
--- it writes itself, decide.

local pg = require "neap.pg"
local server = require "spec.support.pg"

local function on(fn) return server.with({ max = 2 }, fn) end

--- Type to texts that the server reads. Of numeric and jsonb the ends of what
--- can be are here too.
local SAMPLES <const> = {
  bool = { "t", "f" },
  int2 = { "-32768", "32767", "0" },
  int4 = { "-2147483648", "2147483647" },
  int8 = { "-9223372036854775808", "9223372036854775807" },
  oid = { "0", "4294967295" },
  xid8 = { "18446744073709551615", "9223372036854775807" },
  pg_lsn = { "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/0" },
  float4 = { "0.1", "1e-45", "3.4028235e+38", "NaN", "Infinity", "-0" },
  float8 = { "0.1", "5e-324", "1.7976931348623157e308", "NaN", "-Infinity",
    "-0", "1e22", "123456789.123" },
  numeric = { "0", "0.00", "1.50", "-0.0001", "12345678901234567890.123456789",
    "NaN", "Infinity", "-Infinity", "1e131071", "1e-16383", "10000",
    "100000000.0001", "-5e-20" },
  text = { "", "abc", "naïve", "it's {} \"q\" \\", "NULL" },
  varchar = { "x" }, bpchar = { "x" }, name = { "n" },
  ['"char"'] = { "x", "" },
  bytea = { "\\x", "\\x00ff41" },
  uuid = { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{A0EEBC99-9C0B4EF8BB6D-6BB9BD380A11}" },
  jsonb = { '{"a": [1, 2.5, null, "é"], "b": {}}', "null", "1e400", "[]",
    "12345678901234567890", "0.1", "1e-7", '"x"', "true", '{"a": {"b": [[]]}}' },
  json = { '{"a":[1,2.5,null,"é"]}', "null", "[]", '"x"' },
  jsonpath = { '$."a"[*]' },
  xml = { "<a/>" },
  date = { "2024-02-29", "0044-03-15 BC", "4714-11-24 BC", "5874897-12-31",
    "infinity", "-infinity", "0001-01-01", "10000-01-01" },
  time = { "00:00:00", "24:00:00", "12:34:56.789", "23:59:59.999999" },
  timetz = { "12:34:56.5+02", "00:00:00-15:59:59", "24:00:00+05:45" },
  timestamp = { "2000-01-01", "1999-12-31 23:59:59.999999", "4714-11-24 BC",
    "294276-12-31 23:59:59.999999", "infinity", "-infinity",
    "0044-03-15 12:00:00.5 BC" },
  timestamptz = { "2000-01-01 00:00+00", "1999-12-31 23:59:59.999999+05:30",
    "4714-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00", "infinity",
    "-infinity", "0044-03-15 12:00:00.5+00 BC", "2024-03-10 02:30:00-08" },
  interval = { "0", "1 year 2 mons 3 days 04:05:06.789",
    "-1 years -2 mons +3 days -04:05:06", "-00:00:00.5", "1 day -00:00:01",
    "178956970 years 7 mons", "-178956970 years -8 mons",
    "2562047788:00:54.775807", "2147483647 days", "-1 mons +1 days" },
  inet = { "10.1.2.3", "10.1.2.3/8", "::1", "::ffff:1.2.3.4",
    "2001:db8::1/64", "::1.2.3.4", "0.0.0.0/0" },
  cidr = { "10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::/0" },
  macaddr = { "08:00:2b:01:02:03" },
  macaddr8 = { "08:00:2b:01:02:03:04:05" },
  ["int4[]"] = { "{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:2]={1,2,3}",
    "[-1:0][2:3]={{1,2},{3,NULL}}", "{{{{{{1}}}}}}" },
  ["text[]"] = { '{"a b","q\\"","\\\\",NULL,"NULL","",a,"{}",","}' },
  ["jsonb[]"] = { '{"{\\"a\\": 1}",NULL,"[1]"}' },
  ["bytea[]"] = { '{"\\\\x00ff"}' },
  ["inet[]"] = { "{10.0.0.1/8,::1}" },
  ['"char"[]'] = { '{x,""}' },
  bit = { "1", "0" }, varbit = { "", "0101", "1111111100000001", "101010101" },
  point = { "(1,2)", "(-0.5,1e+300)", "(Infinity,NaN)" },
  line = { "{1,-2,0.5}" },
  lseg = { "[(1,2),(3,4)]" },
  box = { "(3,4),(1,2)", "(1,1),(0,0)" },
  path = { "[(0,0),(1,1),(2,0)]", "((0,0),(1,1))" },
  polygon = { "((0,0),(1,1),(2,0))" },
  circle = { "<(1,2),3.5>" },
  ["box[]"] = { "{(3,4),(1,2);(1,1),(0,0)}", "{NULL;(1,1),(0,0)}" },
  ["point[]"] = { '{"(1,2)",NULL}', '{{"(1,2)"},{"(3,4)"}}' },
  ["path[]"] = { '{"[(0,0),(1,1)]"}' },
  int4range = { "[1,5)", "empty", "(,)", "[1,)", "(,7)", "[3,3]" },
  int8range = { "[-9223372036854775808,5)" },
  numrange = { "[1.50,2.75]", "(1,2)", "(,0.1]", "[-Infinity,Infinity]" },
  daterange = { "[2024-01-01,2024-02-01)", "(,infinity)", "empty" },
  tsrange = { '["2024-01-01 10:00:00","2024-01-01 12:00:00.5"]', "(,)" },
  tstzrange = { '["2024-01-01 10:00:00+02","2024-01-01 12:00:00+00")' },
  int4multirange = { "{}", "{[1,3),[5,7)}", "{(,2),[5,)}" },
  nummultirange = { "{[1.5,2],(3,4)}" },
  tsmultirange = { '{["2024-01-01 10:00:00","2024-01-01 12:00:00"]}' },
  ["int4range[]"] = { '{"[1,5)",empty,NULL,"(,)"}', '{{"[1,2)"},{"[3,4)"}}' },
  ["tsrange[]"] = { '{"[\\"2024-01-01 10:00:00\\",\\"2024-01-01 12:00:00\\"]"}' },
  ["int4multirange[]"] = { '{"{[1,3),[5,7)}",NULL,"{}"}' },
  int2vector = { "", "1 2 -3" }, oidvector = { "26 25 4294967295" },
  money = { "$1.50", "-$3.00" },
  tsvector = { "'a' 'b'", "'fat':2,4 'cat':3A" }, tsquery = { "'a' & 'b'" },
  regclass = { "pg_class" }, regtype = { "integer" },
  ["regclass[]"] = { "{pg_class,pg_type}" },
  tid = { "(0,1)" },
  aclitem = { "=r/postgres" }, ["aclitem[]"] = { "{=r/postgres}" },
}

--- json keeps the text it was given, so it cannot be compared as text.
local function keeps_its_text(name) return name == "json" end

--- The server's own reading of a text.
local function literal(name, text)
  return ("'%s'::%s"):format(text:gsub("'", "''"), name)
end

--- What a value read is sent as: a string would be taken for JSON text.
local function sendable(name, v)
  if name == "json" or name == "jsonb" then return pg.json(v) end
  if name ~= "jsonb[]" and name ~= "json[]" then return v end
  local list = pg.array({}, { n = v.n })
  for i = 1, v.n do list[i] = v[i] ~= pg.null and pg.json(v[i]) or pg.null end
  return list
end

--- Not of one kind with what an array of it would need.
local NO_ARRAY <const> = { bpchar = true, bit = true, int2vector = true,
  oidvector = true }

local function same(a, b)
  if type(a) == "table" and type(b) == "table" then
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
  end
  if a ~= a and b ~= b then return true end -- nan
  return a == b and math.type(a) == math.type(b) and tostring(a) == tostring(b)
end

local function each(fn)
  local names = {}
  for name in pairs(SAMPLES) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, text in ipairs(SAMPLES[name]) do fn(name, text) end
  end
end

local function check(condition, name, text, ...)
  if condition then return end
  local rest = table.pack(...)
  for i = 1, rest.n do rest[i] = tostring(rest[i]) end
  error(("%s %q: %s"):format(name, tostring(text), table.concat(rest, " | ")), 0)
end

describe("a value of each type", function()
  it("comes back to the server as it was", on(function(db)
    each(function(name, text)
      local v = db:value("select " .. literal(name, text))
      if keeps_its_text(name) then return end
      local written = db:value(("select %s::text"):format(literal(name, text)))
      local again = db:value(("select $1::%s::text"):format(name), sendable(name, v))
      check(written == again, name, text, written, again)
    end)
  end))

  it("is the same from the text form of a result", on(function(db)
    each(function(name, text)
      local v = db:value("select " .. literal(name, text))
      -- A column without a binary form makes the whole result text.
      local row = db:row(("select %s as v, 'pg_class'::regclass as r"):format(literal(name, text)))
      check(same(v, row.v), name, text, v, row.v)
      check(row.r == "pg_class", name, text, row.r)
    end)
  end))

  it("fits into an array beside a NULL, in both forms", on(function(db)
    each(function(name, text)
      if name:find "%[%]$" or NO_ARRAY[name] then return end
      local sql = ("select array[%s, null]"):format(literal(name, text))
      local v = db:value("select " .. literal(name, text))
      local list = db:value(sql)
      check(list.n == 2 and list[2] == pg.null, name, text, "not two items")
      check(same(v, list[1]), name, text, v, list[1])
      local row = db:row(sql .. " as v, 'pg_class'::regclass as r")
      check(same(v, row.v[1]) and row.v[2] == pg.null, name, text, v, row.v[1])
      if keeps_its_text(name) or v == pg.null then return end
      local as_text = ("select $1::%s[]::text"):format(name)
      check(db:value(sql .. "::text") == db:value(as_text,
        sendable(name .. "[]", list)), name, text, "as an array")
    end)
  end))

  it("can be NULL", on(function(db)
    each(function(name)
      local sql = ("select $1::%s is null"):format(name)
      assert.is_true(db:value(sql, nil))
      assert.is_true(db:value(sql, pg.null))
      assert.is_nil(db:value(("select $1::%s"):format(name), nil))
    end)
  end))

  it("reads the text that tostring gives", on(function(db)
    for _, name in ipairs { "numeric", "date", "time", "timetz", "timestamp",
      "timestamptz", "interval" } do
      for _, text in ipairs(SAMPLES[name]) do
        local v = db:value("select " .. literal(name, text))
        local written = db:value(("select %s::text"):format(literal(name, text)))
        local again = db:value(("select $1::%s::text"):format(name), tostring(v))
        check(written == again, name, text, written, again)
        if name == "timetz" or name == "timestamptz" or name:find "time" == nil then
          check(same(v, pg[name](tostring(v))), name, text, "constructor")
        end
      end
    end
  end))
end)

describe("parameters", function()
  it("are Lua values of the column's kind", on(function(db)
    assert.are.equal("42", db:value("select $1::int8::text", 42.0))
    assert.are.equal("0.1", db:value("select $1::numeric::text", 0.1))
    assert.are.equal("12345678901234567890.5",
      db:value("select $1::numeric::text", pg.numeric "12345678901234567890.5"))
    assert.are.equal('{"a": [1, null], "b": []}', db:value("select $1::jsonb::text",
      { a = { 1, pg.null }, b = pg.array {} }))
    assert.are.equal('"x"', db:value("select $1::jsonb::text", pg.json "x"))
    assert.are.equal("null", db:value("select $1::jsonb::text", pg.json(nil)))
    assert.are.equal("{1,NULL,3}", db:value("select $1::int4[]::text",
      table.pack(1, nil, 3)))
    assert.are.equal("[5:6]={1,2}", db:value("select $1::int4[]::text",
      pg.array({ 1, 2 }, { lower = 5 })))
    assert.are.equal("2024-01-31", db:value("select $1::date::text",
      { year = 2024, month = 1, day = 31 }))
    assert.are.equal("00:01:30.5", db:value("select $1::interval::text",
      pg.seconds(90.5)))
    assert.are.equal("1970-01-01 00:00:01.5+00",
      db:value("select $1::timestamptz::text", pg.unix(1.5)))
    assert.are.equal("\\x00ff", db:value("select $1::bytea::text", "\0\xff"))
    assert.are.equal(3, db:value("select count(*) from unnest($1::uuid[])",
      { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12}", pg.null }))
  end))

  it("that are strings are for the server to read", on(function(db)
    assert.are.equal(12, db:value("select $1::int4", "12"))
    assert.are.same({ n = 2, 1, 2 }, db:value("select $1::int4[]", "{1,2}"))
    assert.are.equal("2024-01-31",
      tostring(db:value("select ($1::date[])[1]", { "2024-01-31", pg.null })))
    assert.are.equal("10.0.0.0/8", db:value("select $1::cidr", "10"))
    assert.are.equal("08:00:2b:01:02:03", db:value("select $1::macaddr", "08002b:010203"))
    assert.are.equal("11110000", tostring(db:value("select $1::varbit", "xF0")))
    assert.are.equal(pg.range(1, 5), db:value("select $1::int4range", "[1,4]"))
  end))

  it("of types without a binary form go as text", on(function(db)
    db:exec "drop type if exists mood"
    db:exec "create type mood as enum ('sad', 'happy')"
    assert.are.equal("happy", db:value("select $1::mood", "happy"))
    assert.is_true(db:value("select 'sad'::mood = any($1::mood[])", { "happy", "sad" }))
    assert.are.equal("{sad,NULL}", db:value("select $1::mood[]::text", { "sad", pg.null }))
    assert.are.equal("$1.50", db:value("select $1::money", "1.5"))
    assert.are.equal("$2.50", db:value("select $1::money", 2.5))
    db:exec "drop type mood"
  end))

  it("that do not fit are refused, and the statement is not sent", on(function(db)
    local function refusal(...)
      local ok, err = pcall(db.value, db, ...)
      assert.is_false(ok)
      assert.are.equal("invalid", err.kind)
      return err.message
    end
    assert.is_truthy(refusal("select $1::int2", 40000)
      :find("value out of int2 range (got 40000)", 1, true))
    assert.is_truthy(refusal("select $1::int4, $2::int4", 1, {})
      :find("$2", 1, true))
    assert.is_truthy(refusal("select $1::bool", "t")
      :find("expected a boolean, got a string", 1, true))
    assert.is_truthy(refusal("select $1::text", 5)
      :find("expected a string, got an integer", 1, true))
    assert.is_truthy(refusal("select $1::text", "\xff")
      :find("not UTF-8", 1, true))
    assert.are.equal(1, db:value "select 1")
  end))
end)

describe("random values", function()
  it("survive the trip through the server", on(function(db)
    math.randomseed(11)
    local function integer() return math.random(0) >> math.random(0, 63) end
    local makers = {
      int8 = integer,
      float8 = function()
        return (string.unpack(">d", string.pack(">I8", math.random(0))))
      end,
      numeric = function()
        return pg.numeric(tostring(integer()) .. "." ..
          ("%018d"):format(math.random(0, 999999999999999999)))
      end,
      date = function()
        return pg.date(math.random(1, 9999), math.random(1, 12), math.random(1, 28))
      end,
      timestamptz = function()
        return pg.unix_us(math.random(-(1 << 57), 1 << 59))
      end,
      interval = function()
        return pg.interval { months = math.random(-100000, 100000),
          days = math.random(-100000, 100000), us = integer() >> 12 }
      end,
      bytea = function()
        local t = {}
        for i = 1, math.random(0, 40) do t[i] = string.char(math.random(0, 255)) end
        return table.concat(t)
      end,
      text = function()
        local t = {}
        for i = 1, math.random(0, 20) do
          local c = math.random(1, 0x10ffff)
          t[i] = (c >= 0xd800 and c < 0xe000) and "x" or utf8.char(c)
        end
        return table.concat(t)
      end,
    }
    local function json(depth)
      local kind = math.random(depth > 3 and 5 or 7)
      if kind == 1 then return math.random(0) end
      if kind == 2 then return math.random() end
      if kind == 3 then return makers.text():gsub("\0", "") .. "" end
      if kind == 4 then return math.random(2) == 1 end
      if kind == 5 then return pg.null end
      local t = {}
      for i = 1, math.random(0, 4) do
        t[kind == 6 and i or "k" .. i] = json(depth + 1)
      end
      return kind == 6 and pg.array(t) or t
    end
    makers.jsonb = function() return pg.json(json(0)) end
    for name, make in pairs(makers) do
      local list = { n = 200 }
      for i = 1, list.n do list[i] = make() end
      local back = db:value(("select $1::%s[]"):format(name), list)
      assert.are.equal(list.n, back.n)
      -- The server writes each item itself, too.
      local texts = db:value(("select $1::%s[]::text[]"):format(name),
        sendable(name .. "[]", back))
      local first = db:value(("select $1::%s[]::text[]"):format(name), list)
      for i = 1, list.n do
        -- null in JSON is pg.null, as is the NULL around it
        check(texts[i] == first[i] or first[i] == "null", name, texts[i], first[i])
        if name ~= "jsonb" then
          check(same(list[i], back[i]), name, texts[i], list[i], back[i])
        end
      end
    end
  end))
end)
