-- PostgreSQL's values: numerics, JSON, arrays, moments.
local pg = require("neap.pg.core").values

arm()
local a, b = pg.numeric "123456789.123456789", pg.numeric "-0.000000001"
assert(tostring(a * b - 1 + a) == "123456787.999999999876543211")
assert(tostring(a:div(b, 3)) == "-123456789123456789.000")
assert(pg.numeric(0.1):round(0) == pg.numeric(0))
local long = ("x"):rep(3000)
local doc = { list = pg.array { 1, pg.null }, text = long .. "\n", n = a, at = pg.unix(0) }
assert(#tostring(pg.json(doc)) > 3000)
assert(not pcall(pg.json, { { { print } } }))
assert(pg.array({}, { n = 3, type = "int8", lower = { 0 } }).n == 3)
assert(tostring(pg.interval { days = 1, seconds = 0.5 }) == "P1DT0.5S")
assert(tostring(pg.timestamptz "2024-01-31 12:00:00+02") == "2024-01-31T10:00:00Z")
assert(pg.date "2024-01-31" < pg.date.infinity)
assert(not pcall(pg.date, "2024-02-30"))
assert(#pg.bytea(long) == 3000)
