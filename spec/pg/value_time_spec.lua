local value = require "spec.support.value"
local pg, trip, refusal = value.pg, value.trip, value.refusal

local function is(expected, v)
  assert.are.equal(expected, tostring(v))
end

describe("pg.date", function()
  it("keeps every day that the server knows", function()
    for _, s in ipairs { "2000-01-01", "1999-12-31", "2024-02-29", "1900-02-28",
      "0001-01-01", "0001-12-31 BC", "0044-03-15 BC", "4714-11-24 BC",
      "5874897-12-31", "9999-12-31", "10000-01-01", "infinity", "-infinity" } do
      is(s, pg.date(s))
      is(s, trip("date", pg.date(s)))
      is(s, value.from_text("date", s))
      assert.is_true(pg.date(s) == trip("date", pg.date(s)))
    end
  end)

  it("counts days as the server does", function()
    local function days(s) return (string.unpack(">i4", (value.put("date", pg.date(s))))) end
    assert.are.equal(0, days "2000-01-01")
    assert.are.equal(-1, days "1999-12-31")
    assert.are.equal(-2451545, days "4714-11-24 BC")
    assert.are.equal(2145031948, days "5874897-12-31")
    assert.are.equal(-730119, days "0001-01-01")
    assert.are.equal(-730120, days "0001-12-31 BC")
    assert.are.equal(59, days "2000-02-29")
    assert.are.equal(366, days "2001-01-01")
  end)

  it("walks through the calendar without a gap", function()
    local previous
    for d = -800000, 800000, 37 do
      local v = value.from_binary("date", string.pack(">i4", d))
      local again = pg.date(v.year, v.month, v.day)
      assert.are.equal(d, (string.unpack(">i4", (value.put("date", again)))))
      assert.is_true(previous == nil or previous < v)
      previous = v
    end
  end)

  it("is made from fields, numbers, or a table of os.date", function()
    is("2024-02-29", pg.date { year = 2024, month = 2, day = 29 })
    is("2024-02-29", pg.date(2024, 2, 29))
    is("0044-03-15 BC", pg.date(-44, 3, 15))
    is("1970-01-01", pg.date(os.date("!*t", 0)))
    is("1970-01-01", trip("date", os.date("!*t", 0)))
    local d = pg.date "2024-02-29"
    assert.are.equal(d, pg.date(d))
    assert.are.same({ 2024, 2, 29 }, { d.year, d.month, d.day })
    assert.are.equal(-44, pg.date "0044-03-15 BC".year)
    assert.is_nil(pg.date.infinity.year)
    assert.is_nil(d.hour)
    assert.is_false(pg.date.infinity:is_finite())
    assert.is_true(d:is_finite())
    is("-infinity", pg.date.neg_infinity)
  end)

  it("refuses days that are not", function()
    for _, s in ipairs { "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-32",
      "2024-1-1", "24-01-01", "0000-01-01", "2024-01-01 ", "2024-01-01x", "",
      "4714-11-23 BC", "5874898-01-01", "2024-01-01 10:00", "1900-02-29" } do
      assert.has_error(function() pg.date(s) end, "pg.date: not a date: '" .. s .. "'")
    end
    assert.has_error(function() pg.date(2023, 2, 29) end,
      "pg.date: no such date: year 2023, month 2, day 29")
    assert.has_error(function() pg.date { year = 2024, month = 1 } end,
      "pg.date: field 'day' is missing")
    assert.has_error(function() pg.date { year = 2024, month = 1.5, day = 1 } end)
    assert.has_error(function() pg.date(2024, 1) end)
    assert.has_error(function() pg.date(2024, 1, 1, 1) end)
    assert.has_error(function() pg.date(true) end)
    assert.has_error(function() pg.date() end)
    assert.are.equal("expected a date, got an integer", refusal("date", 5))
    assert.are.equal("expected a date, got a timestamp",
      refusal("date", pg.timestamp "2024-01-01"))
    assert.are.equal("field 'day' is missing", refusal("date", {}))
  end)

  it("compares", function()
    local a, b = pg.date "2024-01-01", pg.date "2024-01-02"
    assert.is_true(a < b and a <= b and b > a and a ~= b)
    assert.is_true(a == pg.date "2024-01-01")
    assert.is_true(b < pg.date.infinity and pg.date.neg_infinity < a)
    assert.is_false(a == pg.timestamp "2024-01-01")
    assert.has_error(function() return a < pg.timestamp "2024-01-01" end,
      "cannot compare a date and a timestamp")
    assert.has_error(function() return a < 5 end,
      "cannot compare a date and an integer")
  end)
end)

describe("pg.time and pg.timetz", function()
  it("make the trip", function()
    for _, s in ipairs { "00:00:00", "24:00:00", "12:34:56.789", "23:59:59.999999",
      "00:00:00.000001" } do
      is(s, trip("time", pg.time(s)))
      is(s, value.from_text("time", s))
    end
    for _, s in ipairs { "12:34:56.5+02:00", "00:00:00Z", "24:00:00-15:59:59",
      "01:02:03+05:45" } do
      is(s, trip("timetz", pg.timetz(s)))
      is(s, value.from_text("timetz", s))
    end
  end)

  it("have fields", function()
    local t = pg.time(12, 34, 56, 789)
    is("12:34:56.000789", t)
    assert.are.same({ 12, 34, 56, 789 }, { t.hour, t.min, t.sec, t.usec })
    is("01:02:03.25", pg.time { hour = 1, min = 2, sec = 3.25 })
    is("01:00:00+01:00", pg.timetz { hour = 1, offset = 3600 })
    assert.are.equal(-7200, pg.timetz "10:00:00-02:00".offset)
    assert.are.equal(24, pg.time "24:00:00".hour)
  end)

  it("refuse what is not a time", function()
    for _, s in ipairs { "24:00:01", "25:00:00", "12:60:00", "12:00:60", "12",
      "12:00:00Z", "12:00:00.", "-01:00:00" } do
      assert.has_error(function() pg.time(s) end)
    end
    assert.has_error(function() pg.timetz "12:00:00" end)
    assert.has_error(function() pg.timetz "12:00:00+16:00" end)
    assert.are.equal("expected a time, got an integer", refusal("time", 5))
  end)

  it("with zones compare by instant, then by zone", function()
    assert.is_true(pg.timetz "12:00:00+02:00" < pg.timetz "12:00:00+01:00")
    assert.is_false(pg.timetz "12:00:00+01:00" == pg.timetz "11:00:00+00:00")
    assert.is_true(pg.timetz "12:00:00+01:00" < pg.timetz "11:00:00+00:00")
  end)
end)

describe("pg.timestamp", function()
  it("makes the trip", function()
    for _, s in ipairs { "2000-01-01T00:00:00", "1999-12-31T23:59:59.999999",
      "2024-02-29T12:34:56.789", "4714-11-24T00:00:00 BC",
      "294276-12-31T23:59:59.999999", "0001-01-01T00:00:00",
      "0044-03-15T12:00:00.5 BC", "infinity", "-infinity" } do
      is(s, pg.timestamp(s))
      is(s, trip("timestamp", pg.timestamp(s)))
      is(s, value.from_text("timestamp", (s:gsub("T", " "))))
    end
  end)

  it("reads dates, both separators, midnight and rounding", function()
    is("2024-01-31T00:00:00", pg.timestamp "2024-01-31")
    is("2024-01-31T10:00:00", pg.timestamp "2024-01-31 10:00")
    is("2024-02-01T00:00:00", pg.timestamp "2024-01-31 24:00:00")
    is("2024-01-31T00:00:00.123457", pg.timestamp "2024-01-31 00:00:00.1234565")
    is("2024-02-01T00:00:00", pg.timestamp "2024-01-31 23:59:59.9999999")
    is("2024-01-31T00:00:00.123456", pg.timestamp "2024-01-31 00:00:00.12345649")
  end)

  it("has no zone", function()
    assert.has_error(function() pg.timestamp "2024-01-31 10:00Z" end)
    assert.has_error(function() pg.timestamp "2024-01-31 10:00:00+02" end)
    assert.has_error(function() pg.timestamp "294277-01-01" end)
    local t = pg.timestamp(2024, 1, 31, 10, 20, 30, 40)
    is("2024-01-31T10:20:30.00004", t)
    is("2024-01-31T10:20:30.00004Z", t:utc())
    assert.is_nil(t.offset)
    assert.are.equal("expected a timestamp, got a timestamptz",
      refusal("timestamp", t:utc()))
  end)
end)

describe("pg.timestamptz", function()
  it("is an instant, written in UTC", function()
    is("2024-01-31T06:30:00.123456Z",
      pg.timestamptz "2024-01-31 12:00:00.123456+05:30")
    is("2024-01-31T12:00:00Z", pg.timestamptz "2024-01-31T12:00:00Z")
    is("2024-01-31T22:00:00Z", pg.timestamptz "2024-01-31 12:00:00-10")
    is("2024-01-31T12:00:00Z", pg.timestamptz "2024-01-31 12:00:00+0000")
    is("1900-01-01T00:00:00Z", value.from_text("timestamptz",
      "1900-01-01 00:53:28+00:53:28"))
    is("0044-03-15T12:00:00Z BC", value.from_text("timestamptz",
      "0044-03-15 12:00:00+00 BC"))
    is("0044-03-15T12:00:00Z BC", pg.timestamptz "0044-03-15T12:00:00Z BC")
    is("infinity", value.from_text("timestamptz", "infinity"))
    is("2024-01-31T12:00:00Z", trip("timestamptz", pg.timestamptz "2024-01-31 12:00Z"))
    is("294276-12-31T23:59:59.999999Z",
      trip("timestamptz", pg.timestamptz "294276-12-31 23:59:59.999999Z"))
  end)

  it("needs an offset in a string, and takes one among fields", function()
    assert.has_error(function() pg.timestamptz "2024-01-31 12:00:00" end,
      "pg.timestamptz: not a timestamptz: '2024-01-31 12:00:00' " ..
      "(it needs an offset, such as Z or +02:00)")
    is("2024-01-31T10:00:00Z", pg.timestamptz { year = 2024, month = 1, day = 31,
      hour = 12, offset = 7200 })
    is("2024-01-31T12:00:00Z", pg.timestamptz(2024, 1, 31, 12))
    assert.are.equal("expected a timestamptz (pg.unix makes one of seconds), " ..
      "got an integer", refusal("timestamptz", 1700000000))
  end)

  it("counts from 1970", function()
    assert.are.equal(0, pg.timestamptz "1970-01-01 00:00Z":unix_us())
    assert.are.equal(-1.5, pg.unix(-1.5):unix())
    assert.are.equal(1700000000123456, pg.unix_us(1700000000123456):unix_us())
    assert.are.equal("integer", math.type(pg.unix(1):unix_us()))
    assert.are.equal("float", math.type(pg.unix(1):unix()))
    is("2023-11-14T22:13:20Z", pg.unix(1700000000))
    is("1969-12-31T23:59:59.75Z", pg.unix(-0.25))
    is("infinity", pg.unix(math.huge))
    assert.are.equal(math.huge, pg.timestamptz.infinity:unix())
    assert.has_error(function() pg.timestamptz.infinity:unix_us() end)
    assert.has_error(function() pg.unix(0 / 0) end)
    assert.has_error(function() pg.unix(1e18) end)
    assert.has_error(function() pg.unix(math.maxinteger) end)
    assert.has_error(function() pg.unix_us(math.mininteger) end)
    assert.has_error(function() pg.timestamptz "294276-12-31 00:00Z":unix_us() end)
    local far = pg.timestamptz "4714-11-24 00:00:00Z BC"
    is(tostring(far), pg.unix(far:unix()))
    is(tostring(far), pg.unix_us(far:unix_us()))
  end)

  it("has its fields in UTC", function()
    local t = pg.timestamptz "2024-02-29 23:30:15.25-01:00"
    assert.are.same({ 2024, 3, 1, 0, 30, 15, 250000, 0 },
      { t.year, t.month, t.day, t.hour, t.min, t.sec, t.usec, t.offset })
    assert.is_nil(t.nothing)
    assert.is_true(t < pg.timestamptz.infinity)
  end)
end)

describe("pg.interval", function()
  it("keeps months, days and microseconds apart", function()
    local v = trip("interval", pg.interval "1 year 2 mons -3 days 04:05:06.7")
    assert.are.same({ 14, -3, 14706700000 }, { v.months, v.days, v.us })
    is("P1Y2M-3DT4H5M6.7S", v)
  end)

  it("reads what the server writes, in each style it has", function()
    for text, iso in pairs {
      ["00:00:00"] = "PT0S",
      ["1 day"] = "P1D",
      ["-1 days"] = "P-1D",
      ["1 year 2 mons"] = "P1Y2M",
      ["-1 years -2 mons +3 days -04:05:06"] = "P-1Y-2M3DT-4H-5M-6S",
      ["00:00:00.000001"] = "PT0.000001S",
      ["-00:00:00.5"] = "PT-0.5S",
      ["1 day -00:00:01"] = "P1DT-1S",
      ["2562047788:00:54.775807"] = "PT2562047788H54.775807S",
      ["-2562047788:00:54.775808"] = "PT-2562047788H-54.775808S",
      ["-178956970 years -8 mons"] = "P-178956970Y-8M",
      ["P1Y2M3DT4H5M6.7S"] = "P1Y2M3DT4H5M6.7S",
      ["P-1Y-2M3DT-4H-5M-6.7S"] = "P-1Y-2M3DT-4H-5M-6.7S",
      ["P2W"] = "P14D",
      ["PT0S"] = "PT0S",
      ["@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs"] = "P1Y2M-3DT4H5M6.7S",
      ["@ 1 mon ago"] = "P-1M",
      ["infinity"] = "infinity",
      ["-infinity"] = "-infinity",
    } do
      is(iso, value.from_text("interval", text))
      is(iso, pg.interval(iso))
      is(iso, trip("interval", pg.interval(text)))
    end
  end)

  it("is made of fields and of seconds", function()
    is("P1Y2M17DT4H5M6.5S", pg.interval { years = 1, months = 2, weeks = 2,
      days = 3, hours = 4, minutes = 5, seconds = 6.5 })
    is("PT0.000007S", pg.interval { us = 7 })
    is("PT1M30.5S", pg.seconds(90.5))
    is("PT-1S", pg.seconds(-1))
    assert.are.equal(90.5, pg.seconds(90.5):seconds())
    assert.are.equal(86401.0, pg.interval { days = 1, seconds = 1 }:seconds())
    assert.has_error(function() pg.interval { months = 1 }:seconds() end)
    assert.are.equal(math.huge, pg.interval.infinity:seconds())
    assert.has_error(function() pg.interval { hour = 1 } end)
    assert.has_error(function() pg.interval { days = 1.5 } end)
    assert.has_error(function() pg.interval { days = "1" } end)
    assert.has_error(function() pg.interval { years = math.maxinteger } end,
      "pg.interval: value out of interval range")
    assert.has_error(function() pg.interval { us = math.maxinteger, seconds = 0.5 } end)
    assert.has_error(function() pg.interval(5) end)
    assert.are.equal("expected an interval (pg.seconds makes one of seconds), " ..
      "got an integer", refusal("interval", 5))
    is("PT1H", trip("interval", { hours = 1 }))
  end)

  it("refuses what is not one", function()
    for _, s in ipairs { "", "P", "PT", "P1", "1", "1 fortnight", "P1YT",
      "1 day ago ago", "P1.5Y", "P1S", "-", "1:2", "@", "99999999999 years" } do
      assert.has_error(function() pg.interval(s) end,
        "pg.interval: not an interval: '" .. s .. "'")
    end
  end)

  it("compares as the server does", function()
    assert.is_true(pg.interval "1 mon" == pg.interval "30 days")
    assert.is_true(pg.interval "1 day" == pg.interval "24:00:00")
    assert.is_true(pg.interval "1 day -00:00:01" < pg.interval "1 day")
    assert.is_true(pg.interval "1 mon" > pg.interval "29 days 23:59:59")
    assert.is_true(pg.interval "-1 days" < pg.interval "-23:59:59")
    assert.is_true(pg.interval.neg_infinity < pg.interval "-178956970 years -8 mons")
  end)
end)
