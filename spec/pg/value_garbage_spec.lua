--- Decoders meet bytes that are not values: they raise a decode fault or give
--- a value, and never read past the end (the suite runs under a sanitizer,
--- and the harness hands each decoder a block of exactly its length).

local value = require "spec.support.value"
local pg = value.pg

local samples = {
  bool = { true }, int2 = { -2 }, int4 = { 70000 }, int8 = { 1 << 40 },
  oid = { 26 }, xid8 = { 5 }, float4 = { 1.5 }, float8 = { -0.1 },
  char = { "x" }, bytea = { "\0\1" },
  uuid = { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
  numeric = { pg.numeric "-12345678.00010", pg.numeric "NaN" },
  json = { { a = { 1, "é\n" } } }, jsonb = { { a = { 1.5, "é\n", pg.null } } },
  jsonpath = { "$.a" },
  date = { pg.date "2024-02-29" }, time = { pg.time "12:34:56.789" },
  timetz = { pg.timetz "12:34:56+02:00" },
  timestamp = { pg.timestamp "2024-02-29 12:00:00" },
  timestamptz = { pg.timestamptz "2024-02-29 12:00:00Z" },
  interval = { pg.interval "1 mon 2 days 00:00:03" },
  ["int4[]"] = { { 1, pg.null, 3 }, { { 1, 2 }, { 3, 4 } },
    pg.array({ 1 }, { lower = 7 }), {} },
  ["text[]"] = { { "a", "b c", pg.null } },
  ["numeric[]"] = { { pg.numeric "1.5" } },
  ["jsonb[]"] = { { { a = 1 } } },
  ["bytea[]"] = { { "\0\1" } },
  ["timestamptz[]"] = { { pg.timestamptz "2024-02-29 12:00:00Z" } },
  varbit = { "0101000011", pg.bits "" },
  point = { { x = 1, y = 2 } }, line = { { a = 1, b = 2, c = 3 } },
  lseg = { { { 1, 2 }, { 3, 4 } } }, box = { { { 1, 2 }, { 3, 4 } } },
  path = { { { 1, 2 }, { 3, 4 }, closed = true } }, polygon = { { { 1, 2 } } },
  circle = { { x = 1, y = 2, r = 3 } },
  int4range = { pg.range(1, 5), pg.range.empty, pg.range(nil, 3) },
  numrange = { pg.range(pg.numeric "1.5", nil, "(]") },
  int4multirange = { { pg.range(1, 3), pg.range(5, 7) }, {} },
  ["int4range[]"] = { { pg.range(1, 5), pg.null } },
  mood = { "sad" }, ["mood[]"] = { { "sad", pg.null } },
  pair = { { a = 1, b = "x" }, {} }, ["pair[]"] = { { { a = 1 }, pg.null } },
  nest = { { moods = { "sad" }, pairs = { { a = 1 } }, span = pg.range(1, 2), no = 3 } },
  hstore = { { a = "1", b = pg.null }, {} }, vector = { { 1, 2.5 }, {} },
  inet = { "10.0.0.1/8", "::1" }, macaddr = { "08:00:2b:01:02:03" },
}

local texts = {
  bool = { "t" }, int2 = { "-2" }, int4 = { "70000" }, int8 = { "-9223372036854775808" },
  oid = { "26" }, xid8 = { "18446744073709551615" }, pg_lsn = { "16/B374D848" },
  float4 = { "1.5e-07" }, float8 = { "-Infinity" }, char = { "\\351" },
  bytea = { "\\x00ff41", "a\\\\b\\000c" },
  uuid = { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
  numeric = { "-123.4500", "NaN" }, json = { '{"a":[1,"é\\u00e9",null]}' },
  jsonb = { "[1.5, true]" }, date = { "0044-03-15 BC", "infinity" },
  time = { "12:34:56.789" }, timetz = { "12:34:56.789+05:30" },
  timestamp = { "2024-02-29 12:00:00.5" },
  timestamptz = { "2024-02-29 12:00:00.5+05:30", "0044-03-15 12:00:00+00 BC" },
  interval = { "1 year 2 mons -3 days +04:05:06.7", "P1Y2M3DT4H5M6.7S" },
  inet = { "10.0.0.1/8" }, macaddr = { "08:00:2b:01:02:03" }, void = { "" },
  ["int4[]"] = { "{1,NULL,3}", "[0:1][2:3]={{1,2},{3,4}}" },
  ["text[]"] = { '{"a b","q\\"",NULL}' },
  ["jsonb[]"] = { '{"{\\"a\\": 1}"}' },
  ["timestamptz[]"] = { '{"2024-02-29 12:00:00+00"}' },
  varbit = { "0101000011" }, point = { "(1,2)" }, line = { "{1,2,3}" },
  lseg = { "[(1,2),(3,4)]" }, box = { "(3,4),(1,2)" },
  path = { "((1,2),(3,4))", "[(1,2)]" }, polygon = { "((1,2),(3,4))" },
  circle = { "<(1,2),3>" },
  int4range = { "[1,5)", "(,)", "empty" }, numrange = { '("1.5",]' },
  tsrange = { '["2024-02-29 12:00:00",)' },
  int4multirange = { "{[1,3),[5,7)}", "{}" },
  ["int4range[]"] = { '{"[1,5)",empty,NULL}' },
  ["box[]"] = { "{(3,4),(1,2);(1,1),(0,0)}" },
  int2vector = { "1 2 -3" },
  mood = { "sad" }, ["mood[]"] = { "{sad,NULL}" },
  pair = { "(1,x)", '(,"a ""b"" \\\\")', "(,)" }, ["pair[]"] = { '{"(1,x)",NULL}' },
  nest = { '("{sad}","{""(1,x)""}","[1,2)",3)' },
  hstore = { '"a"=>"1", "b"=>NULL, "q\\""=>"x, \\"y\\""', "" },
  vector = { "[1,2.5]", "[]" },
  record = { "(1,x,)", "()" }, ["record[]"] = { '{"(1,x)",NULL}' },
}

--- Types that take bytes of any length.
local open_ended <const> = { bytea = true, text = true, jsonpath = true, json = true,
  jsonb = true, inet = true, mood = true, macaddr = true, char = true, void = true }

--- Calls fn(name, format, bytes) for the wire form of each sample.
local function each(fn)
  for name, list in pairs(samples) do
    for _, v in ipairs(list) do
      local bytes = value.put(name, v)
      fn(name, "binary", bytes)
    end
  end
  for name, list in pairs(texts) do
    for _, text in ipairs(list) do fn(name, "text", text) end
  end
  fn("inet", "binary", "\3\128\0\16" .. ("\0"):rep(15) .. "\1")
  fn("macaddr8", "binary", "12345678")
  local record = string.pack(">I4I4I4I4I4s4I4i4", 3, 23, 4, 7, 25, "x", 2249, -1)
  fn("record", "binary", record)
  fn("record[]", "binary", string.pack(">I4I4I4I4I4s4", 1, 0, 2249, 1, 1, record))
end

describe("a decoder", function()
  it("takes the whole value", function()
    each(function(name, format, bytes)
      local _, fault = value.try(name, format, bytes)
      assert.is_nil(fault, fault and fault.message)
    end)
  end)

  it("stops at the end of a value that was cut off", function()
    each(function(name, format, bytes)
      for n = 0, #bytes - 1 do
        local _, fault = value.try(name, format, bytes:sub(1, n))
        if format == "binary" and not open_ended[name] then
          assert.is_truthy(fault, name .. " took " .. n .. " of " .. #bytes)
        end
      end
    end)
  end)

  it("refuses bytes after the value", function()
    each(function(name, format, bytes)
      local _, fault = value.try(name, format, bytes .. "\0")
      if not open_ended[name] then assert.is_truthy(fault, name .. " " .. format) end
    end)
  end)

  it("survives each byte changed", function()
    each(function(name, format, bytes)
      for i = 1, #bytes do
        for _, with in ipairs { 0, 1, 0x7f, 0x80, 0xff, bytes:byte(i) ~ 1,
          bytes:byte(i) ~ 0x80, 34, 92, 123, 125, 44 } do
          value.try(name, format,
            bytes:sub(1, i - 1) .. string.char(with) .. bytes:sub(i + 1))
        end
      end
    end)
  end)

  it("survives bytes at random", function()
    math.randomseed(20)
    local alphabet = { "{", "}", '"', "\\", ",", "0", "9", "-", "+", ".", ":", " ",
      "e", "T", "Z", "P", "[", "]", "=", "n", "u", "l", "\0", "\xff", "\xc3\xa9" }
    each(function(name, format)
      for _ = 1, 60 do
        local t = {}
        for i = 1, math.random(0, 40) do
          t[i] = format == "text" and alphabet[math.random(#alphabet)]
            or string.char(math.random(4) == 1 and math.random(0, 255)
              or math.random(0, 3))
        end
        value.try(name, format, table.concat(t))
      end
    end)
  end)

  it("makes no table larger than what the bytes can fill", function()
    local header = string.pack(">I4I4I4", 1, 0, 23)
    assert.is_nil((value.try("int4[]", "binary",
      header .. string.pack(">I4I4", 0x7fffffff, 1))))
    header = string.pack(">I4I4I4", 6, 0, 23)
    assert.is_nil((value.try("int4[]", "binary",
      header .. string.pack(">I4I4", 0x10000, 1):rep(6) .. ("\0"):rep(64))))
    assert.is_nil((value.try("int4[]", "binary", string.pack(">I4I4I4", 0, 0, 25))))
    assert.is_nil((value.try("int4[]", "binary", string.pack(">I4I4I4", 7, 0, 23))))
  end)

  it("names the type, and not the value", function()
    local _, fault = value.try("int4", "binary", "abc")
    assert.are.equal("not a value of type int4 (3 bytes of binary)", fault.message)
    _, fault = value.try("date", "text", "secret")
    assert.are.equal("not a value of type date (6 bytes of text)", fault.message)
  end)

  it("refuses numbers that the server would not send", function()
    for name, bytes in pairs {
      date = string.pack(">i4", -2451546), time = string.pack(">i8", 86400000001),
      timestamp = string.pack(">i8", -211813488000000001),
      timestamptz = string.pack(">i8", 9223371331200000000),
      timetz = string.pack(">i8i4", 0, 57600), bool = "\2",
      numeric = string.pack(">I2i2I2I2I2", 1, 0, 0, 0, 10000),
      inet = "\2\33\0\4\1\2\3\4",
    } do
      assert.is_nil((value.try(name, "binary", bytes)), name)
    end
    -- a digit behind the scale, a sign that is none
    assert.is_nil((value.try("numeric", "binary", string.pack(">I2i2I2I2I2", 1, -1, 0, 0, 5))))
    assert.is_nil((value.try("numeric", "binary", string.pack(">I2i2I2I2", 0, 0, 0x8000, 0))))
  end)
end)
