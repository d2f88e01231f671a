local value = require "spec.support.value"
local pg, trip, refusal = value.pg, value.trip, value.refusal

local function lower(t) return getmetatable(t).lower end

describe("arrays", function()
  it("are sequences with n, and pg.null for NULL", function()
    local t = trip("int4[]", { 1, pg.null, 3 })
    assert.are.same({ n = 3, 1, pg.null, 3 }, t)
    assert.are.same({ n = 0 }, trip("int4[]", {}))
    assert.are.same({ n = 2, "a", "" }, trip("text[]", { "a", "" }))
    assert.are.same({ n = 1, true }, trip("bool[]", { true }))
    assert.are.equal("1.50", tostring(trip("numeric[]", { pg.numeric "1.50" })[1]))
    assert.are.equal("P1D", tostring(trip("interval[]", { pg.interval "1 day" })[1]))
  end)

  it("take holes where n says how many items there are", function()
    assert.are.same({ n = 3, pg.null, 2, pg.null }, trip("int8[]", { n = 3, nil, 2 }))
    assert.are.same({ n = 2, pg.null, pg.null }, trip("int8[]", pg.array({}, { n = 2 })))
    assert.are.same({ n = 1, 1 }, trip("int8[]", { 1, 2, 3, n = 1 }))
    assert.are.same({ n = 3, 1, pg.null, 3 }, trip("int8[]", table.pack(1, nil, 3)))
  end)

  it("have up to six dimensions", function()
    assert.are.same({ n = 2, { n = 2, 1, 2 }, { n = 2, 3, pg.null } },
      trip("int4[]", { { 1, 2 }, { 3, pg.null } }))
    local deep = { { { { { { 7 } } } } } }
    assert.are.equal(7, trip("int4[]", deep)[1][1][1][1][1][1])
    assert.are.equal("the array has more than 6 dimensions",
      refusal("int4[]", { deep }))
  end)

  it("keep their lower bounds", function()
    local t = value.from_text("int4[]", "[0:2]={1,2,3}")
    assert.are.same({ n = 3, 1, 2, 3 }, t)
    assert.are.same({ 0 }, lower(t))
    assert.are.same({ 0 }, lower(trip("int4[]", t)))
    t = value.from_text("int4[]", "[-5:-4][2:4]={{1,2,3},{4,5,6}}")
    assert.are.same({ -5, 2 }, lower(trip("int4[]", t)))
    assert.are.same({ n = 3, 4, 5, 6 }, t[2])
    t = trip("int4[]", pg.array({ 1, 2 }, { lower = 5 }))
    assert.are.same({ 5 }, lower(t))
    assert.is_nil(lower(trip("int4[]", { 1 })))
    assert.is_truthy(refusal("int4[]", pg.array({ 1, 2 }, { lower = 2147483646 })))
  end)

  it("must be regular", function()
    assert.are.equal("the array is ragged: 1 items where its first row has 2",
      refusal("int4[]", { { 1, 2 }, { 3 } }))
    assert.are.equal("the array is ragged: an integer where its first item is an array",
      refusal("int4[]", { { 1 }, 2 }))
    assert.are.equal("item 2: expected an integer, got a table",
      refusal("int4[]", { 1, { 2 } }))
    assert.are.equal("a nested array cannot be empty", refusal("int4[]", { {} }))
    assert.is_truthy(refusal("int4[]", { { 1 }, pg.null }))
    assert.is_truthy(refusal("int4[]", { 1, pg.array { 2 } }))
  end)

  it("name the item that is wrong", function()
    assert.are.equal("item 2: value out of int2 range (got 40000)",
      refusal("int2[]", { 1, 40000 }))
    assert.are.equal("item 1: expected a string, got an integer",
      refusal("text[]", { 5 }))
    assert.are.equal("item 1: the string has a zero byte at position 1",
      refusal("text[]", { "\0" }))
  end)

  it("are not made of other tables or values", function()
    assert.are.equal("expected an array, got a table with fields",
      refusal("int4[]", { a = 1 }))
    assert.are.equal("expected an array, got an integer", refusal("int4[]", 1))
    assert.are.equal("expected an array, got a numeric",
      refusal("int4[]", pg.numeric "1"))
  end)

  it("go as text when an item is a string for the server to read", function()
    local bytes, format = value.put("int4[]", { "1", 2, pg.null })
    assert.are.equal("text", format)
    assert.are.equal('{"1",2,NULL}', bytes)
    bytes, format = value.put("timestamptz[]", { "2024-01-31 00:00+00" })
    assert.are.equal("text", format)
    assert.are.equal('{"2024-01-31 00:00+00"}', bytes)
    bytes, format = value.put("int4[]", "{1,2}")
    assert.are.equal("text", format)
    assert.are.equal("{1,2}", bytes)
    bytes = value.put("inet[]", { "10.1", pg.null })
    assert.are.equal('{"10.1",NULL}', bytes)
    bytes = value.put("uuid[]", { { "{x}" }, { 'a"\\' } })
    assert.are.equal('{{"{x}"},{"a\\"\\\\"}}', bytes)
  end)

  it("are read from text", function()
    assert.are.same({ n = 3, 1, pg.null, 3 }, value.from_text("int4[]", "{1,NULL,3}"))
    assert.are.same({ n = 0 }, value.from_text("int4[]", "{}"))
    assert.are.same({ n = 6, "a b", 'q"', "\\", "NULL", "", "{},é" },
      value.from_text("text[]", '{"a b","q\\"","\\\\","NULL","","{},é"}'))
    assert.are.same({ n = 2, { n = 1, "a" }, { n = 1, "b" } },
      value.from_text("text[]", "{{a},{b}}"))
    assert.are.same({ n = 1, "\0\xff" }, value.from_text("bytea[]", '{"\\\\x00ff"}'))
    assert.are.same({ n = 2, true, false }, value.from_text("bool[]", "{t,f}"))
    assert.are.equal("2024-01-31T10:00:00Z",
      tostring(value.from_text("timestamptz[]", '{"2024-01-31 10:00:00+00"}')[1]))
  end)

  it("of JSON hold values, not dimensions", function()
    local t = trip("jsonb[]", { { 1, 2 }, { a = 1 }, 5, true, pg.json "x" })
    assert.are.same({ n = 5, { 1, 2 }, { a = 1 }, 5, true, "x" }, t)
    assert.are.same({ n = 1, { a = pg.null } },
      value.from_text("json[]", '{"{\\"a\\": null}"}'))
  end)

  it("are equal from both forms", function()
    local t = { { "a", "b,c" }, { pg.null, '"' } }
    local text = '{{a,"b,c"},{NULL,"\\""}}'
    assert.are.same(trip("text[]", t), value.from_text("text[]", text))
  end)
end)

describe("pg.array", function()
  it("marks the table itself", function()
    local t = { 1 }
    assert.are.equal(t, pg.array(t))
    assert.are.equal("pg.array", getmetatable(t).__name)
    assert.are.equal(getmetatable(t), getmetatable(trip("int4[]", { 1 })))
    assert.are.equal(5, pg.array({}, { n = 5 }).n)
    pg.array(pg.array(t), { n = 1 })
  end)

  it("made with a type goes to that type only", function()
    local t = pg.array({}, { type = "int8" })
    assert.are.same({ n = 0 }, trip("int8[]", t))
    assert.are.equal("expected an array for int4[], got an array of int8",
      refusal("int4[]", t))
    assert.are.same({ n = 0 }, trip("varchar[]", pg.array({}, { type = "text" })))
  end)

  it("refuses what it does not know", function()
    assert.has_error(function() pg.array({}, { m = 1 }) end,
      "pg.array: unknown option 'm'; it has n, type and lower")
    assert.has_error(function() pg.array({}, { n = -1 }) end)
    assert.has_error(function() pg.array({}, { n = 1.5 }) end)
    assert.has_error(function() pg.array({}, { type = "int9" }) end,
      "pg.array: unknown type 'int9'")
    assert.has_error(function() pg.array({}, { lower = "1" }) end)
    assert.has_error(function() pg.array({}, { lower = { 1.5 } }) end)
    assert.has_error(function() pg.array(5) end)
    assert.has_error(function() pg.array(setmetatable({}, {})) end)
    assert.is_truthy(refusal("int4[]", { n = math.maxinteger }))
  end)
end)
