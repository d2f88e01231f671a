local value = require "spec.support.value"
local pg, trip, refusal = value.pg, value.trip, value.refusal

local limits = {
  int2 = { -32768, 32767 },
  int4 = { -2147483648, 2147483647 },
  int8 = { math.mininteger, math.maxinteger },
  oid = { 0, 4294967295 },
  xid = { 0, 4294967295 },
  cid = { 0, 4294967295 },
}

describe("integers", function()
  it("make the trip at both ends of their range", function()
    for name, range in pairs(limits) do
      for _, v in ipairs { range[1], range[2], 0, 1, range[1] + 1 } do
        assert.are.equal(v, trip(name, v))
        assert.are.equal("integer", math.type(trip(name, v)))
        assert.are.equal(v, value.from_text(name, tostring(v)))
      end
    end
  end)

  it("beyond the range are refused before anything is sent", function()
    assert.are.equal("value out of int2 range (got 40000)", refusal("int2", 40000))
    assert.are.equal("value out of int2 range (got -32769)", refusal("int2", -32769))
    assert.are.equal("value out of int4 range (got 4294967295)",
      refusal("int4", 4294967295))
    assert.are.equal("value out of oid range (got -1)", refusal("oid", -1))
    assert.are.equal("value out of int8 range (got 1e+20)", refusal("int8", 1e20))
    assert.are.equal("value out of int8 range (got 9223372036854775808)",
      refusal("int8", pg.numeric "9223372036854775808"))
  end)

  it("take floats and numerics with an exact integer value", function()
    assert.are.equal(3, trip("int4", 3.0))
    assert.are.equal(-7, trip("int8", pg.numeric "-7.00"))
    assert.are.equal(math.mininteger, trip("int8", pg.numeric(math.mininteger)))
    assert.are.equal("expected an integer, got the float 1.5", refusal("int4", 1.5))
    assert.are.equal("expected an integer, got a numeric",
      refusal("int4", pg.numeric "1.5"))
  end)

  it("refuse other types by name", function()
    assert.are.equal("expected an integer, got a boolean", refusal("int4", true))
    assert.are.equal("expected an integer, got a table", refusal("int8", {}))
    assert.are.equal("expected an integer, got a function", refusal("int8", print))
    assert.are.equal("expected an integer, got a date",
      refusal("int8", pg.date "2024-01-01"))
    assert.are.equal("expected an integer, got a numeric",
      refusal("int8", pg.numeric "NaN"))
  end)

  it("take strings as text, for the server to judge", function()
    local bytes, format = value.put("int4", "12")
    assert.are.equal("12", bytes)
    assert.are.equal("text", format)
  end)

  it("of 64 unsigned bits become strings above 2^63 - 1", function()
    local all = string.rep("\xff", 8)
    assert.are.equal("18446744073709551615", value.from_binary("xid8", all))
    assert.are.equal("18446744073709551615",
      value.from_text("xid8", "18446744073709551615"))
    assert.are.equal(math.maxinteger,
      value.from_text("xid8", "9223372036854775807"))
    assert.are.equal("9223372036854775808",
      value.from_text("xid8", "9223372036854775808"))
    assert.are.equal(5, trip("xid8", 5))
    assert.are.equal("value out of xid8 range (got -5)", refusal("xid8", -5))
    assert.are.equal(0x16B374D848, value.from_text("pg_lsn", "16/B374D848"))
    assert.are.equal(0x16B374D848, trip("pg_lsn", 0x16B374D848))
    assert.are.equal("18446744073709551615",
      trip("pg_lsn", "18446744073709551615"))
    local bytes, format = value.put("pg_lsn", "16/B374D848")
    assert.are.equal("16/B374D848", bytes)
    assert.are.equal("text", format)
  end)
end)

describe("bool", function()
  it("is a boolean and nothing else", function()
    assert.is_true(trip("bool", true))
    assert.is_false(trip("bool", false))
    assert.is_true(value.from_text("bool", "t"))
    assert.is_false(value.from_text("bool", "f"))
    assert.are.equal("expected a boolean, got a string", refusal("bool", "t"))
    assert.are.equal("expected a boolean, got an integer", refusal("bool", 1))
  end)
end)

describe("floats", function()
  local samples = { 0.0, -0.0, 1.5, -2.25, 1e300, 5e-324, 0.1, math.pi,
    1.7976931348623157e308, math.huge, -math.huge, 2^53 }

  it("make the trip to the last bit", function()
    for _, v in ipairs(samples) do
      local back = trip("float8", v)
      assert.are.equal(string.pack(">d", v), string.pack(">d", back))
      assert.are.equal("float", math.type(back))
    end
    local nan = trip("float8", 0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("read the server's text", function()
    for text, v in pairs { ["1"] = 1.0, ["-0"] = -0.0, ["1.5e-07"] = 1.5e-7,
      ["Infinity"] = math.huge, ["-Infinity"] = -math.huge,
      ["1e+22"] = 1e22, ["0.1"] = 0.1 } do
      local back = value.from_text("float8", text)
      assert.are.equal(string.pack(">d", v), string.pack(">d", back))
    end
    local nan = value.from_text("float8", "NaN")
    assert.is_true(nan ~= nan)
  end)

  it("of four bytes are the same from text and from binary", function()
    local tenth = string.unpack(">f", string.pack(">f", 0.1))
    assert.are.equal(tenth, trip("float4", 0.1))
    assert.are.equal(tenth, value.from_text("float4", "0.1"))
    assert.are.equal(trip("float4", 3.4028234663852886e38),
      value.from_text("float4", "3.4028235e+38"))
    assert.are.equal(math.huge, trip("float4", math.huge))
    assert.are.equal("value out of float4 range (got 4.1e+40)",
      refusal("float4", 4.1e40))
  end)

  it("take integers where they are exact", function()
    assert.are.equal(2.0^53, trip("float8", 9007199254740992))
    assert.are.equal("the integer 9007199254740993 is not exact as float8",
      refusal("float8", 9007199254740993))
    assert.are.equal("expected a number, got a numeric",
      refusal("float8", pg.numeric "1"))
    local bytes, format = value.put("float8", "1.25")
    assert.are.equal("1.25", bytes)
    assert.are.equal("text", format)
  end)
end)
