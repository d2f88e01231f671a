local value = require "spec.support.value"
local pg, trip, refusal = value.pg, value.trip, value.refusal

describe("strings", function()
  it("make the trip as UTF-8", function()
    for _, s in ipairs { "", "a", "naïve café", "日本語", "𝄞 clef",
      ("x"):rep(100000), "12345678", "1234567é", "\x7f\x01" } do
      assert.are.equal(s, trip("text", s))
      assert.are.equal(s, trip("varchar", s))
      assert.are.equal(s, value.from_text("text", s))
    end
  end)

  it("that PostgreSQL cannot hold are refused", function()
    assert.are.equal("the string has a zero byte at position 3",
      refusal("text", "ab\0c"))
    assert.are.equal("the string has a zero byte at position 11",
      refusal("text", "0123456789\0"))
    for _, bad in ipairs { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
      "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
      "\xc3", "\xe2\x82", "\xff", "\xf0\x9d\x84" } do
      assert.are.equal("the string is not UTF-8 at position 1", refusal("text", bad))
      assert.are.equal("the string is not UTF-8 at position 10",
        refusal("text", "123456789" .. bad))
      assert.are.equal("the string is not UTF-8 at position 1",
        refusal("text", bad .. "12345678"))
    end
  end)

  it("are not made of other values", function()
    assert.are.equal("expected a string, got an integer", refusal("text", 5))
    assert.are.equal("expected a string, got the float 1.5", refusal("text", 1.5))
    assert.are.equal("expected a string, got a boolean", refusal("text", true))
    assert.are.equal("expected a string, got a numeric",
      refusal("text", pg.numeric "1"))
  end)

  it("sent as text are checked too", function()
    assert.are.equal("the string has a zero byte at position 2",
      refusal("int4", "1\0"))
    assert.are.equal("the string is not UTF-8 at position 1",
      refusal("inet", "\xff"))
  end)
end)

describe('"char"', function()
  it("is one byte, of any value", function()
    for byte = 0, 255 do
      assert.are.equal(string.char(byte), trip("char", string.char(byte)))
    end
    assert.are.equal("\0", trip("char", ""))
    assert.are.equal("\0", value.from_text("char", ""))
    assert.are.equal("r", value.from_text("char", "r"))
    assert.are.equal("\xe9", value.from_text("char", "\\351"))
    assert.are.equal("expected a string of one byte, got 2 bytes",
      refusal("char", "ab"))
  end)
end)

describe("bytea", function()
  local all = {}
  for byte = 0, 255 do all[#all + 1] = string.char(byte) end
  all = table.concat(all)

  it("is a string of bytes", function()
    for _, s in ipairs { "", "\0", all, "\\x", all:rep(1000) } do
      assert.are.equal(s, trip("bytea", s))
      assert.are.equal(s, trip("bytea", pg.bytea(s)))
    end
    assert.are.equal("expected a string of bytes, got an integer",
      refusal("bytea", 1))
  end)

  it("is read from both text forms", function()
    assert.are.equal("\0\xffA", value.from_text("bytea", "\\x00fF41"))
    assert.are.equal("", value.from_text("bytea", "\\x"))
    assert.are.equal("a\\b\0c", value.from_text("bytea", "a\\\\b\\000c"))
  end)

  it("marks a string for a parameter of unknown type", function()
    assert.are.equal("\\x00ff41", (value.put(99999, pg.bytea "\0\xffA")))
    assert.are.equal("expected a string, got a bytea",
      refusal("text", pg.bytea "x"))
    assert.are.equal(3, #pg.bytea "abc")
    assert.are.equal("abc", tostring(pg.bytea "abc"))
    assert.is_true(pg.bytea "abc" == pg.bytea "abc")
    assert.is_false(pg.bytea "abc" == pg.bytea "abd")
    assert.has_error(function() pg.bytea(5) end)
  end)
end)

describe("uuid", function()
  local id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

  it("is 36 characters in lower case, and takes 32 or 36", function()
    assert.are.equal(id, trip("uuid", id))
    assert.are.equal(id, trip("uuid", id:upper()))
    assert.are.equal(id, trip("uuid", (id:gsub("-", ""))))
    assert.are.equal(id, value.from_text("uuid", id))
    assert.are.equal("expected a string, got an integer", refusal("uuid", 5))
  end)

  it("leaves other spellings to the server", function()
    for _, s in ipairs { "{" .. id .. "}", "x", "", id .. "0",
      (id:gsub("-", "_")), (id:gsub("a", "g")) } do
      local bytes, format = value.put("uuid", s)
      assert.are.equal("text", format)
      assert.are.equal(s, bytes)
    end
  end)
end)

describe("network addresses", function()
  it("look as the server writes them", function()
    assert.are.equal("10.11.12.13",
      value.from_binary("inet", "\2\32\0\4\10\11\12\13"))
    assert.are.equal("10.11.12.13/8",
      value.from_binary("inet", "\2\8\0\4\10\11\12\13"))
    assert.are.equal("10.0.0.0/8",
      value.from_binary("cidr", "\2\8\1\4\10\0\0\0"))
    assert.are.equal("10.0.0.1/32",
      value.from_binary("cidr", "\2\32\1\4\10\0\0\1"))
    assert.are.equal("::1",
      value.from_binary("inet", "\3\128\0\16" .. ("\0"):rep(15) .. "\1"))
    assert.are.equal("2001:db8::/32",
      value.from_binary("cidr", "\3\32\1\16\x20\x01\x0d\xb8" .. ("\0"):rep(12)))
    assert.are.equal("08:00:2b:01:02:03",
      value.from_binary("macaddr", "\x08\x00\x2b\x01\x02\x03"))
    assert.are.equal("08:00:2b:01:02:03:04:05",
      value.from_binary("macaddr8", "\x08\x00\x2b\x01\x02\x03\x04\x05"))
  end)

  it("are sent in binary where they are written out", function()
    for name, list in pairs {
      inet = { "::1", "10.11.12.13", "10.11.12.13/8", "2001:db8::/32", "0.0.0.0/0" },
      cidr = { "10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32" },
      macaddr = { "08:00:2b:01:02:ff" }, macaddr8 = { "08:00:2b:01:02:03:04:05" },
    } do
      for _, text in ipairs(list) do
        assert.are.equal(text, value.trip(name, text))
      end
    end
    assert.are.equal("\2\8\0\4\10\11\12\13", (value.put("inet", "10.11.12.13/8")))
  end)

  it("of any other spelling are for the server to read", function()
    for name, list in pairs {
      inet = { "10.1", "10.0.0.1/33", "::1%eth0", "x", "10.0.0.1/", "1.2.3.4/8x", "" },
      cidr = { "10.0.0.1/8", "10" },
      macaddr = { "08002b010203", "08-00-2b-01-02-03", "08:00:2b:01:02:03:04:05" },
      macaddr8 = { "08:00:2b:01:02:03" },
    } do
      for _, text in ipairs(list) do
        local bytes, format = value.put(name, text)
        assert.are.equal("text", format, text)
        assert.are.equal(text, bytes)
      end
    end
    assert.are.equal("expected a string, got an integer", refusal("inet", 5))
  end)
end)

describe("void", function()
  it("is nil", function()
    assert.is_nil(value.from_binary("void", ""))
    assert.is_nil(value.from_text("void", ""))
  end)
end)

describe("a parameter of a type that is not built in", function()
  it("goes as text", function()
    local function text(v)
      local bytes, format = value.put(99999, v)
      assert.are.equal("text", format)
      return bytes
    end
    assert.are.equal("happy", text "happy")
    assert.are.equal("12", text(12))
    assert.are.equal("-9223372036854775808", text(math.mininteger))
    assert.are.equal("0.1", text(0.1))
    assert.are.equal("1e+300", text(1e300))
    assert.are.equal("NaN", text(0 / 0))
    assert.are.equal("true", text(true))
    assert.are.equal("1.50", text(pg.numeric "1.50"))
    assert.are.equal("2024-01-31", text(pg.date "2024-01-31"))
    assert.are.equal("P1DT2H", text(pg.interval { days = 1, hours = 2 }))
    assert.are.equal('{"a":1}', text(pg.json { a = 1 }))
    assert.are.equal("{}", text {})
    assert.are.equal('{"a","b \\"q\\" \\\\",NULL,1,true}',
      text { "a", 'b "q" \\', pg.null, 1, true })
    assert.are.equal("{{1,2},{3,4}}", text { { 1, 2 }, { 3, 4 } })
    assert.are.equal("[0:1]={1,2}", text(pg.array({ 1, 2 }, { lower = 0 })))
    assert.are.equal("{1,NULL,NULL}", text(pg.array({ 1 }, { n = 3 })))
    assert.is_truthy(refusal(99999, print))
    assert.is_truthy(refusal(99999, { a = 1 }))
    assert.is_truthy(refusal(99999, { "a\0" }))
  end)
end)
