local value = require "spec.support.value"
local numeric = value.pg.numeric

local function is(expected, v)
  assert.are.equal(expected, tostring(v))
end

describe("numeric", function()
  local samples = { "0", "0.00", "1", "-1", "10000", "9999", "0.0001", "0.00010",
    "123456789012345678901234567890.123456789", "-0.5", "1000000000000",
    "99999999.99999999", "1.00000", "-12345.6789", "0.000000000000000000001",
    "NaN", "Infinity", "-Infinity", "0." .. ("0"):rep(16382) .. "1",
    "1" .. ("0"):rep(131071) }

  it("keeps every digit and the scale, through binary and text", function()
    for _, s in ipairs(samples) do
      is(s, numeric(s))
      is(s, value.trip("numeric", numeric(s)))
      is(s, value.from_text("numeric", s))
    end
  end)

  it("reads the spellings the server reads", function()
    is("150", numeric "1.5e2")
    is("0.0015", numeric "1.5e-3")
    is("1.50", numeric "+1.50")
    is("0.5", numeric ".5")
    is("5", numeric "5.")
    is("0.00", numeric "-0.00")
    is("12", numeric "0000012")
    is("NaN", numeric "nan")
    is("Infinity", numeric "inf")
    is("0", numeric "0e1000000000")
  end)

  it("is made from integers and floats", function()
    is("-9223372036854775808", numeric(math.mininteger))
    is("9223372036854775807", numeric(math.maxinteger))
    is("0.1", numeric(0.1))
    is("10000000000000000000000", numeric(1e22))
    is("Infinity", numeric(math.huge))
    is("0.1", value.trip("numeric", 0.1))
    is("42", value.trip("numeric", 42))
    is("-Infinity", value.trip("numeric", -math.huge))
  end)

  it("refuses what is not a number", function()
    for _, s in ipairs { "", " ", "1 ", "abc", "1.2.3", "1e", "e5", "-", ".",
      "0x10", "--1", "-nan", "infin" } do
      assert.has_error(function() numeric(s) end, "not a number: '" .. s .. "'")
    end
    assert.has_error(function() numeric {} end)
    assert.has_error(function() numeric(nil) end)
    assert.has_error(function() numeric "1e131072" end)
    assert.has_error(function() numeric "1e-16384" end)
    assert.are.equal("expected a number, got a boolean",
      value.refusal("numeric", true))
  end)

  it("adds, subtracts and multiplies exactly", function()
    is("0.3", numeric "0.1" + numeric "0.2")
    is("100000000000000000000", numeric "99999999999999999999" + 1)
    is("1.00", numeric "0.99" + numeric "0.01")
    is("-0.01", numeric "0.99" - 1)
    is("0.00", numeric "1.5" - numeric "1.50")
    is("121932631137021795226185032733622923332237463801111263526900",
      numeric "123456789012345678901234567890" *
      numeric "987654321098765432109876543210")
    is("-1.0000", numeric "-0.50" * numeric "2.00")
    is("3.5", 1 + numeric "2.5")
    is("3.5", numeric "2.5" + "1")
    is("-2.5", -numeric "2.5")
    is("0.0", -numeric "0.0")
  end)

  it("divides to the scale that is asked for, half away from zero", function()
    is("0.333", numeric(1):div(3, 3))
    is("0.67", numeric(2):div(3, 2))
    is("-0.67", numeric(-2):div(3, 2))
    is("1", numeric(1):div(2, 0))
    is("-1", numeric(-1):div(2, 0))
    is("0", numeric "0.49":div(1, 0))
    is("33333333333333333333.33", numeric "1e20":div(3, 2))
    is("0.00", numeric "1":div("1e30", 2))
    is("1000000.0", numeric "1":div("0.000001", 1))
    is("2.00", numeric "10":div(5, 2))
    assert.has_error(function() numeric(1):div(0, 2) end, "division of a numeric by zero")
    assert.has_error(function() return numeric(1) / 3 end)
    assert.has_error(function() numeric(1):div(3) end)
    assert.has_error(function() numeric(1):div(3, -1) end)
  end)

  it("keeps quotient times divisor within half a unit", function()
    math.randomseed(7)
    local half = numeric "0.0000000005"
    local function random(digits)
      local t = { tostring(math.random(1, 9)) }
      for i = 2, math.random(1, digits) do t[i] = tostring(math.random(0, 9)) end
      local s = table.concat(t)
      local cut = math.random(0, #s)
      return numeric((math.random(2) == 1 and "-" or "") .. s:sub(1, cut)
        .. "." .. s:sub(cut + 1))
    end
    for _ = 1, 3000 do
      local a, b = random(60), random(40)
      local q = a:div(b, 9)
      assert.are.equal(9, q:scale())
      local rest = (a - q * b):abs()
      assert.is_true(rest <= half * b:abs(), tostring(a) .. " / " .. tostring(b))
      -- and with the other operations
      assert.is_true((a + b) - b == a)
      assert.is_true((a + b) * (a - b) == a * a - b * b)
    end
  end)

  it("rounds half away from zero", function()
    is("1.24", numeric "1.235":round(2))
    is("-1.24", numeric "-1.235":round(2))
    is("1000", numeric "999.9999":round(0))
    is("10000", numeric "9999.5":round())
    is("1.2000", numeric "1.2":round(4))
    is("0", numeric "0.4999":round())
    is("0.000", numeric "0.0004":round(3))
    is("0.001", numeric "0.0005":round(3))
    is("0.0000", numeric "0.00004":round(4))
    is("0.0001", numeric "0.00005":round(4))
    is("0.00", numeric "0.00000000001":round(2))
    is("NaN", numeric "NaN":round(2))
  end)

  it("compares by value, not by scale", function()
    assert.is_true(numeric "1.0" == numeric "1.00")
    assert.is_true(numeric "1.0" < numeric "1.01")
    assert.is_true(numeric "-10000" < numeric "-9999")
    assert.is_true(numeric "0.1" <= numeric "0.10")
    assert.is_true(numeric "5" > 4)
    assert.is_true(numeric "1.4" < 1.5)
    assert.is_false(numeric "1" == numeric "2")
    assert.is_true(numeric "0" == -numeric "0")
    assert.are.equal(-1, numeric "1":compare(2))
    assert.has_error(function() return numeric "1" < {} end,
      "cannot compare a numeric and a table")
  end)

  it("orders NaN and the infinities as the server does", function()
    local nan, up, down = numeric "NaN", numeric "Infinity", numeric "-Infinity"
    assert.is_true(nan == numeric "NaN")
    assert.is_true(nan > up and up > numeric "1e1000" and down < numeric "-1e1000")
    is("NaN", up + down)
    is("NaN", up * 0)
    is("-Infinity", up * -1)
    is("Infinity", up + 1)
    is("0.00", numeric(1):div(up, 2))
    is("NaN", nan + 1)
    is("-Infinity", -up)
    is("Infinity", down:abs())
    assert.is_true(nan:is_nan() and not nan:is_finite() and not up:is_finite())
  end)

  it("gives Lua numbers on request", function()
    assert.are.equal("integer", math.type(numeric "12":tonumber()))
    assert.are.equal(12, numeric "12":tonumber())
    assert.are.equal("float", math.type(numeric "12.0":tonumber()))
    assert.are.equal(0.1, numeric "0.1":tonumber())
    assert.are.equal(-1e300, numeric "-1e300":tonumber())
    assert.are.equal(1e-10, numeric "0.0000000001":tonumber())
    assert.are.equal(math.huge, numeric "1e400":tonumber())
    assert.are.equal(-math.huge, numeric "-Infinity":tonumber())
    assert.are.equal(1.8446744073709552e19, numeric "18446744073709551616":tonumber())
    assert.are.equal(math.mininteger, numeric(math.mininteger):tonumber())
    local third = numeric(1):div(3, 1000)
    assert.are.equal(1 / 3, third:tonumber())
    local nan = numeric "NaN":tonumber()
    assert.is_true(nan ~= nan)
    assert.are.equal(3, numeric "3.000":tointeger())
    assert.is_nil(numeric "3.5":tointeger())
    assert.is_nil(numeric "1e19":tointeger())
  end)

  it("joins strings", function()
    assert.are.equal("total 1.50", "total " .. numeric "1.50")
  end)

  it("stops where the server does", function()
    local big = numeric("9" .. ("0"):rep(131071))
    assert.has_error(function() return big * 10 end)
    assert.has_error(function() return numeric "1e-16383" * numeric "0.1" end)
  end)
end)
