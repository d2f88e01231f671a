--- Ranges, multiranges, bits and figures: the codecs alone.

local value = require "spec.support.value"
local pg, trip, refusal = value.pg, value.trip, value.refusal

describe("a range", function()
  it("has bounds, whether they belong to it, and whether it is empty", function()
    local r = pg.range(1, 5)
    assert.are.same({ 1, 5, true, false, false },
      { r.lower, r.upper, r.lower_inc, r.upper_inc, r.empty })
    r = pg.range(1, 5, "(]")
    assert.are.same({ false, true }, { r.lower_inc, r.upper_inc })
    assert.is_true(pg.range.empty.empty)
    assert.is_nil(pg.range.empty.lower)
    assert.is_nil(r.nonsense)
  end)

  it("has no bound where there is nil or null", function()
    local r = pg.range(nil, pg.null, "[]")
    assert.is_nil(r.lower)
    assert.is_nil(r.upper)
    assert.is_false(r.lower_inc)
    assert.is_false(r.upper_inc)
    assert.are.equal("(,)", tostring(r))
  end)

  it("equals one with the same bounds", function()
    assert.are.equal(pg.range(1, 5), pg.range(1, 5))
    assert.are_not.equal(pg.range(1, 5), pg.range(1, 5, "[]"))
    assert.are_not.equal(pg.range(1, 5), pg.range(1, 6))
    assert.are.equal(pg.range(pg.numeric "1.50"), pg.range(pg.numeric "1.5"))
    assert.are.equal(pg.range.empty, pg.range.empty)
    assert.are_not.equal(pg.range.empty, pg.range())
  end)

  it("shows itself as the server writes it", function()
    assert.are.equal("[1,5)", tostring(pg.range(1, 5)))
    assert.are.equal("empty", tostring(pg.range.empty))
    assert.are.equal("(,3]", tostring(pg.range(nil, 3, "(]")))
    assert.are.equal('["a b","\\"\\\\")', tostring(pg.range("a b", '"\\')))
    assert.are.equal('["",x)', tostring(pg.range("", "x")))
    assert.are.equal("[2024-01-01,2024-02-01)",
      tostring(pg.range(pg.date "2024-01-01", pg.date "2024-02-01")))
  end)

  it("is refused when its bounds are the wrong way round or unknown", function()
    assert.has_error(function() pg.range(5, 1) end,
      "pg.range: the lower bound 5 is above the upper one, 1")
    local ok, err = pcall(pg.range, 1, 5, "<>")
    assert.is_false(ok)
    assert.is_truthy(err:find("expected '[)', '[]', '(]' or '()'", 1, true))
  end)

  it("goes in binary and comes back", function()
    for _, r in ipairs { pg.range(1, 5), pg.range(1, 5, "[]"), pg.range.empty,
      pg.range(), pg.range(nil, 5, "(]"), pg.range(-3) } do
      assert.are.equal(r, trip("int4range", r))
    end
    assert.are.equal(pg.range(pg.numeric "1.50", pg.numeric "2"),
      trip("numrange", pg.range(1.5, 2)))
  end)

  it("goes as text when a bound is a string for the server to read", function()
    local bytes, format = value.put("daterange", pg.range("2024-01-01", nil))
    assert.are.equal("text", format)
    assert.are.equal("[2024-01-01,)", bytes)
    bytes = value.put("tsrange", pg.range("2024-01-01 10:00", nil))
    assert.are.equal('["2024-01-01 10:00",)', bytes)
  end)

  it("is refused when a bound does not fit", function()
    assert.are.equal("lower bound: value out of int4 range (got 4294967296)",
      refusal("int4range", pg.range(1 << 32, nil)))
    assert.are.equal("upper bound: expected an integer, got a boolean",
      refusal("int4range", pg.range(nil, true)))
    assert.are.equal("expected a range, got an integer", refusal("int4range", 5))
    assert.are.equal("expected a range, got a table", refusal("int4range", {}))
  end)

  it("is read from text with quotes of both kinds", function()
    local r = value.from_text("tsrange", '["2024-01-01 10:00:00","2024\\-01-02 00:00:00")')
    assert.are.equal(pg.timestamp "2024-01-01 10:00:00", r.lower)
    assert.are.equal(pg.timestamp "2024-01-02 00:00:00", r.upper)
    for _, text in ipairs { "", "[", "[1,2", "1,2)", "[1,2)x", "[1,2,3)", "emptyx",
      '["1,2)', "[1,2\\", "[x,2)" } do
      assert.is_nil((value.try("int4range", "text", text)), text)
    end
  end)
end)

describe("a multirange", function()
  it("is a sequence of ranges with n", function()
    local m = value.from_text("int4multirange", "{[1,3),[5,7)}")
    assert.are.equal(2, m.n)
    assert.are.equal(pg.range(5, 7), m[2])
    assert.are.equal("{[1,3),[5,7)}", tostring(m))
    assert.are.equal(m, trip("int4multirange", { pg.range(1, 3), pg.range(5, 7) }))
    assert.are_not.equal(m, trip("int4multirange", { pg.range(1, 3) }))
    assert.are.equal(0, trip("int4multirange", {}).n)
  end)

  it("is refused when an item does not fit", function()
    assert.are.equal("item 2: expected a range, got an integer",
      refusal("int4multirange", { pg.range(1, 2), 3 }))
    assert.are.equal("expected a sequence of ranges, got a range",
      refusal("int4multirange", pg.range(1, 2)))
    assert.are.equal("expected a sequence of ranges, got a table with fields",
      refusal("int4multirange", { lower = 1 }))
  end)

  it("goes as text when a bound must", function()
    assert.are.equal("{[1.5,2),(3,4)}",
      (value.put("nummultirange", { pg.range("1.5", 2), "(3,4)" })))
  end)
end)

describe("bits", function()
  it("know their length and their bytes", function()
    local b = pg.bits "0101000011"
    assert.are.equal("0101000011", tostring(b))
    assert.are.equal(10, #b)
    assert.are.equal(10, b.len)
    assert.are.equal("\x50\xc0", b.bytes)
    assert.are.same({ 0, 1, 1 }, { b[1], b[2], b[10] })
    assert.is_nil(b[0])
    assert.is_nil(b[11])
    assert.are.equal(b, pg.bits(b))
    assert.are.equal(b, pg.bits "0101000011")
    assert.are_not.equal(pg.bits "0", pg.bits "00")
    assert.has_error(function() pg.bits "012" end)
    assert.has_error(function() pg.bits(101) end)
  end)

  it("go in binary, from a string too", function()
    for _, text in ipairs { "", "1", "0101000011", ("10"):rep(100) } do
      assert.are.equal(pg.bits(text), trip("varbit", text))
      assert.are.equal(pg.bits(text), trip("varbit", pg.bits(text)))
    end
    local bytes, format = value.put("varbit", "xFF")
    assert.are.equal("text", format)
    assert.are.equal("xFF", bytes)
    assert.are.equal("expected a string of 0 and 1, or pg.bits, got an integer",
      refusal("varbit", 5))
  end)

  it("are refused when more bits are set than there are", function()
    assert.is_nil((value.try("varbit", "binary", "\0\0\0\3\x10")))
    assert.is_nil((value.try("varbit", "binary", "\0\0\0\9\x10")))
    assert.is_nil((value.try("varbit", "binary", "\xff\xff\xff\xff")))
    assert.is_nil((value.try("varbit", "text", "012")))
  end)
end)

describe("figures", function()
  it("are tables of floats, by name or position", function()
    assert.are.same({ x = 1.0, y = 2.0 }, trip("point", { x = 1, y = 2 }))
    assert.are.same({ x = 1.0, y = 2.0 }, trip("point", { 1, 2 }))
    assert.are.same({ a = 1.0, b = 2.0, c = 3.0 }, trip("line", { 1, 2, 3 }))
    assert.are.same({ x = 1.0, y = 2.0, r = 3.0 }, trip("circle", { 1, 2, 3 }))
    assert.are.same({ { x = 1.0, y = 2.0 }, { x = 3.0, y = 4.0 } },
      trip("lseg", { { 1, 2 }, { 3, 4 } }))
    assert.are.same({ { x = 1.0, y = 2.0 }, closed = true },
      trip("path", { { 1, 2 }, closed = true }))
  end)

  it("nest in arrays marked as such", function()
    assert.are.equal('{"(1,2)","(3,4)"}',
      (value.put("point[]", { { 1, 2 }, "(3,4)" })))
    local t = trip("point[]", pg.array { pg.array { { 1, 2 } }, pg.array { { 3, 4 } } })
    assert.are.equal(4.0, t[2][1].y)
    assert.are.equal(2,
      trip("box[]", { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }).n)
  end)

  it("are refused with their place", function()
    assert.are.equal("expected a point {x=, y=}, got an integer", refusal("point", 5))
    assert.are.equal("field 'y': expected a number, got a nil", refusal("point", { x = 1 }))
    assert.are.equal("point 2: field 'x': expected a number, got a string",
      refusal("path", { { 1, 2 }, { "a", 2 } }))
    assert.are.equal("expected 2 points, got 1", refusal("box", { { 1, 2 } }))
  end)
end)

describe("a type with a text form only", function()
  it("is a string, in arrays too", function()
    assert.are.equal("$1.00", value.from_text("money", "$1.00"))
    assert.are.same({ n = 2, "$1.00", pg.null }, value.from_text("money[]", "{$1.00,NULL}"))
    local bytes, format = value.put("money[]", { "$1.00", 2 })
    assert.are.equal("text", format)
    assert.are.equal('{"$1.00",2}', bytes)
  end)
end)
