local criteria = require "neap.repository.criteria"
local entity = require "neap.repository.entity"
local neap = require "neap"
local repository = require "neap.repository"

local op, null = repository.op, repository.null

local def = entity.definition(repository.entity {
  name = "Item", table = "items", key = "id",
  columns = {
    id = "int4", name = "text", price = "numeric", tags = "text[]",
    doc = "jsonb", ['we"ird'] = "text",
  },
}, "spec")

--- The SQL of a condition, its parameters after it.
local function sql_of(where)
  local params = { n = 0 }
  local text = criteria.compile("Item:all", def, where, params)
  return text, params
end

local function complaint(where)
  local ok, err = pcall(sql_of, where)
  assert.is_false(ok)
  assert.is_true(neap.fault.is(err, "invalid"), tostring(err))
  return err.message
end

describe("a condition", function()
  it("compares columns with parameters", function()
    local text, params = sql_of { name = "x" }
    assert.equal('"name" = $1', text)
    assert.same({ n = 1, "x" }, params)
  end)

  it("joins columns by AND, always in the same order", function()
    for _ = 1, 10 do
      local text, params = sql_of { price = 3, id = 1, name = "x" }
      assert.equal('"id" = $1 AND "name" = $2 AND "price" = $3', text)
      assert.same({ n = 3, 1, "x", 3 }, params)
    end
  end)

  it("is nothing when it is empty", function()
    assert.is_nil((sql_of {}))
    assert.is_nil((sql_of(nil)))
  end)

  it("never lets a value into the statement", function()
    local evil = "'; drop table items; --"
    for _, where in ipairs {
      { name = evil }, { name = { evil, evil } }, { name = op("like", evil) },
      { any_of = { { name = evil } } }, { name = op("between", { evil, evil }) },
      { doc = { [evil] = evil } }, { tags = { evil } },
    } do
      local text, params = sql_of(where)
      assert.is_nil(text:find("drop", 1, true))
      assert.is_true(params.n > 0)
    end
  end)

  it("takes only declared columns, quoted", function()
    assert.equal('"we""ird" = $1', (sql_of { ['we"ird'] = 1 }))
    assert.equal("Item:all: Item has no column 'nmae'; did you mean 'name'?",
      complaint { nmae = 1 })
    complaint { ["name = '' or 1=1 --"] = 1 }
    complaint { 1 }
    complaint { { name = "x" } }
    complaint("name = 'x'")
    complaint { name = print }
  end)

  it("knows NULL", function()
    local text, params = sql_of { name = null }
    assert.equal('"name" IS NULL', text)
    assert.equal(0, params.n)
    assert.equal('"name" IS NULL', (sql_of { name = op("=", null) }))
    assert.equal('"name" IS NOT NULL', (sql_of { name = op("<>", null) }))
    assert.matches("never true of NULL", complaint { name = op("<", null) })
  end)

  it("takes false for a value", function()
    local text, params = sql_of { name = false }
    assert.equal('"name" = $1', text)
    assert.is_false(params[1])
  end)

  it("knows the operators", function()
    for symbol, sql in pairs {
      ["="] = "=", ["!="] = "<>", ["<>"] = "<>", ["<="] = "<=", [">"] = ">",
      like = "LIKE", ILIKE = "ILIKE", ["not like"] = "NOT LIKE",
      ["~*"] = "~*", ["is distinct from"] = "IS DISTINCT FROM",
    } do
      local text, params = sql_of { name = op(symbol, "x") }
      assert.equal(('"name" %s $1'):format(sql), text)
      assert.same({ n = 1, "x" }, params)
    end
    local text, params = sql_of { price = op("between", { 1, 2 }) }
    assert.equal('"price" BETWEEN $1 AND $2', text)
    assert.same({ n = 2, 1, 2 }, params)
  end)

  it("knows no other operators", function()
    for _, symbol in ipairs { "; --", "= 1 or", "regexp", 1, "" } do
      local ok, err = pcall(op, symbol, 1)
      assert.is_false(ok)
      assert.matches("unknown operator", err.message)
    end
    local ok, err = pcall(op, "=", nil)
    assert.is_false(ok)
    assert.matches("needs a value", err.message)
    assert.matches("needs a list", complaint { id = op("in", 1) })
    assert.matches("two values", complaint { id = op("between", { 1 }) })
  end)

  it("takes a list for IN, whatever its length, in one statement", function()
    local text, params = sql_of { id = { 1, 2, 3 } }
    assert.equal('"id" = ANY($1)', text)
    assert.same({ n = 1, { n = 3, 1, 2, 3 } }, params)
    assert.equal(text, (sql_of { id = { 7 } }))
    assert.equal(text, (sql_of { id = op("in", { 7 }) }))
    assert.equal("FALSE", (sql_of { id = {} }))
    assert.equal('"id" <> ALL($1)', (sql_of { id = op("not in", { 1 }) }))
    assert.equal("TRUE", (sql_of { id = op("not in", {}) }))
  end)

  it("looks for NULL in a list too", function()
    local text, params = sql_of { id = { 1, null } }
    assert.equal('("id" = ANY($1) OR "id" IS NULL)', text)
    assert.same({ n = 1, { n = 1, 1 } }, params)
    assert.equal('"id" IS NULL', (sql_of { id = { null } }))
    assert.equal('"id" <> ALL($1) AND "id" IS NOT NULL',
      (sql_of { id = op("not in", { 1, null }) }))
  end)

  it("refuses lists with holes and tables that are no lists", function()
    assert.matches("hole at 2", complaint { id = { n = 3, 1, nil, 3 } })
    assert.matches("named fields", complaint { id = { a = 1 } })
  end)

  it("takes a table as a value where the column holds tables", function()
    local text, params = sql_of { tags = { "a", "b" } }
    assert.equal('"tags" = $1', text)
    assert.same({ n = 1, { "a", "b" } }, params)
    assert.equal('"doc" = $1', (sql_of { doc = { a = 1 } }))
    assert.equal('"tags" = ANY($1)', (sql_of { tags = op("in", { { 1 } }) }))
    assert.equal('"doc" @> $1', (sql_of { doc = op("@>", { a = 1 }) }))
  end)

  it("offers alternatives", function()
    local text, params = sql_of {
      id = 1,
      any_of = { { name = "a", price = 2 }, { name = "b" } },
    }
    assert.equal('(("name" = $1 AND "price" = $2) OR ("name" = $3)) '
      .. 'AND "id" = $4', text)
    assert.same({ n = 4, "a", 2, "b", 1 }, params)
    assert.equal("FALSE", (sql_of { any_of = {} }))
  end)

  it("excludes, also where a column is NULL", function()
    assert.equal('((("name" = $1) OR ("price" < $2)) IS NOT TRUE)',
      (sql_of { none_of = { { name = "a" }, { price = op("<", 1) } } }))
    assert.equal("TRUE", (sql_of { none_of = {} }))
  end)

  it("nests", function()
    assert.equal('(((("name" = $1) OR ("name" = $2)) AND "id" = $3))',
      (sql_of {
        any_of = { { any_of = { { name = 1 }, { name = 2 } }, id = 3 } },
      }))
    assert.equal('("id" > $1) AND ("id" < $2)', (sql_of {
      all_of = { { id = op(">", 1) }, { id = op("<", 9) } },
    }))
  end)

  it("refuses an alternative that lost its value", function()
    assert.matches("condition 1 of 'any_of' is empty",
      complaint { any_of = { {} } })
    assert.matches("condition 2 of 'none_of' is empty",
      complaint { none_of = { { id = 1 }, {} } })
    assert.matches("takes a list", complaint { any_of = { name = "x" } })
    assert.matches("takes a list", complaint { any_of = 1 })
  end)
end)

describe("an order", function()
  local function order(given)
    return criteria.order_sql(criteria.order("Item:all", def, given))
  end

  it("is a column, perhaps with a direction", function()
    assert.equal("", order(nil))
    assert.equal(' ORDER BY "name"', order("name"))
    assert.equal(' ORDER BY "name" DESC', order("name desc"))
    assert.equal(' ORDER BY "name" DESC', order("-name"))
    assert.equal(' ORDER BY "name"', order("  name   ASC "))
    assert.equal(' ORDER BY "price" DESC, "id"', order { "price desc", "id" })
    assert.equal(' ORDER BY "price" DESC', order { "price", "desc" })
  end)

  it("places NULLs when told to", function()
    assert.equal(' ORDER BY "name" NULLS FIRST', order("name nulls first"))
    assert.equal(' ORDER BY "name"', order("name asc nulls last"))
    assert.equal(' ORDER BY "name" DESC NULLS LAST',
      order("name desc nulls last"))
  end)

  it("takes nothing else", function()
    for _, bad in ipairs {
      "nope", "name; drop table items", "name sideways", "name desc; --",
      "name nulls middle", "", "lower(name)", "name,id",
    } do
      local ok, err = pcall(order, bad)
      assert.is_false(ok, bad)
      assert.is_true(neap.fault.is(err, "invalid"))
    end
    assert.is_false(pcall(order, 1))
  end)
end)
