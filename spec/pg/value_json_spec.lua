local value = require "spec.support.value"
local pg, refusal = value.pg, value.refusal

local function read(text) return value.from_text("json", text) end
local function write(v) return (value.put("json", v)) end

local function is_number(expected, text)
  local v = read(text)
  assert.are.equal(expected, v)
  assert.are.equal(math.type(expected), math.type(v))
end

local function is_array(t)
  local meta = getmetatable(t)
  return meta ~= nil and meta.__name == "pg.array"
end

describe("reading JSON", function()
  it("keeps integers exact", function()
    is_number(0, "0")
    is_number(0, "-0")
    is_number(math.maxinteger, "9223372036854775807")
    is_number(math.mininteger, "-9223372036854775808")
    is_number(9007199254740993, "9007199254740993")
    local big = read "9223372036854775808"
    assert.are.equal("9223372036854775808", tostring(big))
    assert.is_true(big == pg.numeric "9223372036854775808")
    assert.are.equal("-123456789012345678901234567890",
      tostring(read "-123456789012345678901234567890"))
  end)

  it("rounds other numbers once", function()
    for text, v in pairs { ["1.5"] = 1.5, ["0.1"] = 0.1, ["1e5"] = 1e5, ["1E+2"] = 1e2,
      ["-2.5e-3"] = -2.5e-3, ["1e22"] = 1e22, ["1e23"] = 1e23, ["123456789.123"] =
      123456789.123, ["5e-324"] = 5e-324, ["1e-400"] = 0.0, ["0.30000000000000004"] =
      0.30000000000000004, ["9007199254740993.0"] = 9007199254740993.0,
      ["-0.0"] = -0.0, ["1.7976931348623157e308"] = 1.7976931348623157e308,
      ["3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"]
        = math.pi } do
      is_number(v, text)
    end
    assert.are.equal("1" .. ("0"):rep(400), tostring(read "1e400"))
    assert.are.equal("[1,1" .. ("0"):rep(400) .. ",0.1,2]",
      write(read("[1,1e400,0.1" .. ("0"):rep(100) .. ",2]")))
    math.randomseed(3)
    for _ = 1, 5000 do
      local v = string.unpack(">d", string.pack(">I8", math.random(0)))
      if v == v and v ~= math.huge and v ~= -math.huge then
        is_number(v, ("%.17g"):format(v):gsub("^(-?%d+)$", "%1.0"))
        assert.are.equal(v, read(write(v)))
      end
    end
  end)

  it("makes tables", function()
    assert.are.same({ a = { 1, { b = true } }, c = "x" },
      read ' { "a" : [ 1 , {"b":true} ] , "c":"x" } ')
    assert.are.same({ pg.null, false, pg.null }, read "[null,false,null]")
    assert.are.same({}, read "{}")
    assert.are.same({}, read "[]")
    assert.is_true(is_array(read "[]"))
    assert.is_true(is_array(read "[1]"))
    assert.is_false(is_array(read "{}"))
    assert.are.equal(pg.null, read "null")
    assert.are.equal("x", read '"x"')
    assert.is_true(read "true")
  end)

  it("lets the last of equal keys win, near and far", function()
    assert.are.same({ a = 3 }, read '{"a":1,"a":2,"a":3}')
    local t, expected = {}, {}
    for i = 1, 200 do
      t[i] = ('"k%d":%d'):format(i % 50, i)
      expected["k" .. i % 50] = i
    end
    assert.are.same(expected, read("{" .. table.concat(t, ",") .. "}"))
  end)

  it("makes long arrays and objects", function()
    for _, n in ipairs { 31, 32, 33, 64, 65, 1000 } do
      local list, fields = {}, {}
      for i = 1, n do list[i], fields[i] = tostring(i), ('"k%d":%d'):format(i, i) end
      local t = read("[" .. table.concat(list, ",") .. "]")
      assert.are.equal(n, #t)
      for i = 1, n do assert.are.equal(i, t[i]) end
      t = read("{" .. table.concat(fields, ",") .. "}")
      for i = 1, n do assert.are.equal(i, t["k" .. i]) end
    end
  end)

  it("understands every escape", function()
    assert.are.equal("\"\\/\b\f\n\r\t", read [["\"\\\/\b\f\n\r\t"]])
    assert.are.equal("A\0é€𝄞", read [["\u0041\u0000\u00e9\u20AC\ud834\udd1e"]])
    assert.are.equal("plain é 𝄞 text of some length", read '"plain é 𝄞 text of some length"')
    assert.are.equal(("x"):rep(5000) .. "\n", read('"' .. ("x"):rep(5000) .. '\\n"'))
    assert.are.same({ ["k\n"] = 1 }, read [[{"k\n":1}]])
  end)

  it("refuses what is not JSON, and says where", function()
    for _, bad in ipairs { "", " ", "tru", "nul", "01", "-", "1.", ".5", "1e", "1e+",
      "+1", "0x1", "NaN", "Infinity", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "{",
      '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{a:1}", "{1:1}", '{"a" 1}',
      '"', '"a', '"\\', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\ud834"', '"\\ud834\\u0041"',
      '"\\udd1e"', '"\1"', '"\n"', '"\xff"', '"\xc3"', '"\xed\xa0\x80"', "1 2", "[]]",
      "{}x", "'a'", "\0", "1\0", "--1", "1e999999999999", ("[" ):rep(1001) } do
      local v, fault = value.try("json", "text", bad)
      assert.is_nil(v, bad)
      assert.is_truthy(fault.message:find("not a value of type json: ", 1, true), bad)
    end
    local _, fault = value.try("json", "text", '{"a": tru}')
    assert.are.equal("not a value of type json: not a JSON value (at byte 7)",
      fault.message)
  end)

  it("goes 1000 levels deep", function()
    local v = read(("["):rep(1000) .. ("]"):rep(1000))
    for _ = 1, 999 do v = v[1] end
    assert.are.equal(0, #v)
    v = read(('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000))
    for _ = 1, 1000 do v = v.a end
    assert.are.equal(1, v)
  end)

  it("is the same for jsonb, behind its version", function()
    assert.are.same({ 1 }, value.from_binary("jsonb", "\1[1]"))
    assert.is_nil((value.try("jsonb", "binary", "\2[1]")))
    assert.is_nil((value.try("jsonb", "binary", "")))
    assert.are.equal("$.a", value.from_binary("jsonpath", "\1$.a"))
    assert.are.equal("\1$.a", (value.put("jsonpath", "$.a")))
  end)
end)

describe("writing JSON", function()
  it("writes scalars", function()
    assert.are.equal("1", write(1))
    assert.are.equal("-9223372036854775808", write(math.mininteger))
    assert.are.equal("1.0", write(1.0))
    assert.are.equal("0.1", write(0.1))
    assert.are.equal("1e+300", write(1e300))
    assert.are.equal("-0.0", write(-0.0))
    assert.are.equal("true", write(true))
    assert.are.equal("12345678901234567890.10", write(pg.numeric "12345678901234567890.10"))
    assert.are.equal('{"d":"2024-01-31"}', write { d = pg.date "2024-01-31" })
    assert.are.equal('{"t":"2024-01-31T10:00:00Z"}',
      write { t = pg.timestamptz "2024-01-31 10:00Z" })
    assert.are.equal('[{"a":1},"x"]', write { pg.json { a = 1 }, "x" })
  end)

  it("escapes what must be escaped", function()
    assert.are.equal([[["\"\\\b\f\n\r\t\u0000\u001f/é𝄞]] .. "\x7f" .. '"]',
      write { "\"\\\b\f\n\r\t\0\31/é𝄞\x7f" })
    for byte = 0, 127 do
      local s = ("abcdefg" .. string.char(byte)):rep(3)
      assert.are.equal(s, read(write { s })[1])
    end
  end)

  it("tells arrays from objects", function()
    assert.are.equal("[1,2]", write { 1, 2 })
    assert.are.equal("{}", write {})
    assert.are.equal("[]", write(pg.array {}))
    assert.are.equal('{"a":[]}', write { a = pg.array {} })
    assert.are.equal("[null,null,3]", write { nil, nil, 3, n = 3 })
    assert.are.equal("[1,null]", write { 1, n = 2 })
    assert.are.equal("[1,null]", write(pg.array({ 1 }, { n = 2 })))
    assert.are.equal("[1,null,3]", write { 1, pg.null, 3 })
    assert.are.equal('{"n":5}', write { n = 5 })
    assert.are.equal("[[1],[]]", write { { 1 }, pg.array {} })
    assert.are.equal("[]", write(read "[]"))
    assert.are.equal("{}", write(read "{}"))
    local grown = {}
    for i = 100, 1, -1 do grown[i] = i end
    assert.are.equal(100, #read(write(grown)))
  end)

  it("refuses what cannot be JSON, and says where", function()
    assert.are.equal("a function cannot be JSON (at items[3].callback)",
      refusal("json", { items = { 1, 2, { callback = print } } }))
    assert.are.equal("a number that is not finite cannot be JSON (at [1])",
      refusal("json", { 0 / 0 }))
    assert.are.equal("a numeric that is not finite cannot be JSON (at x)",
      refusal("jsonb", { x = pg.numeric "NaN" }))
    assert.are.equal("a table with holes (see pg.array) cannot be JSON",
      refusal("json", { [1] = 1, [5] = 5 }))
    assert.are.equal("a table with keys of several kinds cannot be JSON",
      refusal("json", { 1, a = 2 }))
    assert.is_truthy(refusal("json", { a = 1, [true] = 2 }))
    assert.is_truthy(refusal("json", { [1.5] = 2 }))
    assert.is_truthy(refusal("json", { [0] = 1, 2 }))
    assert.are.equal("a string not in UTF-8 cannot be JSON (at [1])",
      refusal("json", { "\xff" }))
    assert.is_truthy(refusal("json", { ["\xff"] = 1 }))
    assert.is_truthy(refusal("json", { pg.bytea "x" }))
    assert.is_truthy(refusal("json", pg.array { n = math.maxinteger }))
    assert.is_truthy(refusal("json", print))
    local t = {}
    t.t = t
    assert.is_truthy(refusal("json", t):find("nested too deeply", 1, true))
  end)

  it("takes a string as JSON text", function()
    assert.are.equal('{"a": 1}', write '{"a": 1}')
    assert.are.equal('\1{"a": 1}', (value.put("jsonb", '{"a": 1}')))
    assert.are.equal("\1[1]", (value.put("jsonb", { 1 })))
  end)

  it("makes the trip", function()
    local v = { name = "é", list = { 1, 2.5, pg.null, { x = true } }, n = 3,
      nested = { a = { b = { c = "d" } } }, [""] = 0 }
    assert.are.same(v, value.trip("json", v))
    assert.are.same(v, value.trip("jsonb", v))
  end)
end)

describe("pg.json", function()
  it("turns any value into JSON at once", function()
    assert.are.equal('"x"', write(pg.json "x"))
    assert.are.equal("null", write(pg.json(nil)))
    assert.are.equal("null", write(pg.json(pg.null)))
    assert.are.equal("5", tostring(pg.json(5)))
    assert.are.equal("\1[1]", (value.put("jsonb", pg.json { 1 })))
    assert.has_error(function() pg.json(print) end, "a function cannot be JSON")
    assert.has_error(function() pg.json() end)
    local long = ("x"):rep(200000)
    assert.are.equal('"' .. long .. '"', tostring(pg.json(long)))
    assert.are.equal('"y"', tostring(pg.json "y"))
  end)
end)
