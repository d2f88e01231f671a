local shell = require "spec.support.shell"

describe("the order book", function()
  local path, csv, line

  setup(function()
    path = package.path
    package.path = "examples/?.lua;" .. path
    csv, line = require "lib.csv", require "orders.line"
  end)

  teardown(function() package.path = path end)

  it("is what its generator makes, byte for byte", function()
    local status, output =
      shell.run(shell.lua .. " examples/data/make_orders.lua --check")
    assert.are.equal(0, status, output)
  end)

  it("holds what an importer must cope with", function()
    local users, products = {}, {}
    for _, user in ipairs(csv.read("examples/data/users.csv",
      { "code", "email", "name" })) do users[user.code] = true end
    for _, product in ipairs(csv.read("examples/data/products.csv",
      { "sku", "name", "price_cents", "stock" })) do
      products[product.sku] = math.tointeger(tonumber(product.stock))
    end
    local n, good, refs, found = 0, 0, {}, {}
    for number, text in csv.lines("examples/data/orders.csv", line.COLUMNS) do
      n = n + 1
      local l, why = line.parse(number, text)
      local kind = why and "malformed"
        or not users[l.user] and "unknown user"
        or not products[l.sku] and "unknown product"
        or refs[l.ref] and "duplicate"
        or l.quantity > products[l.sku] and "beyond stock"
      if kind then
        found[kind] = (found[kind] or 0) + 1
      else
        good = good + 1
        refs[l.ref] = true
      end
    end
    assert.is_true(n >= 20000)
    assert.is_true(good > n * 0.8)
    for _, kind in ipairs { "malformed", "unknown user", "unknown product",
      "duplicate", "beyond stock" } do
      assert.is_true((found[kind] or 0) > 50, kind)
    end
  end)
end)

describe("lines of the order book", function()
  local path, csv, line

  setup(function()
    path = package.path
    package.path = "examples/?.lua;" .. path
    csv, line = require "lib.csv", require "orders.line"
  end)

  teardown(function() package.path = path end)

  it("are split as CSV has it", function()
    assert.are.same({ "a", "b", "" }, csv.split("a,b,"))
    assert.are.same({ "" }, csv.split(""))
    assert.are.same({ "a", 'x, "y"', "" }, csv.split('a,"x, ""y""",""\r'))
  end)

  it("are refused with a reason when spoiled", function()
    local refused = {
      ['1,u,P,2,2024-03-01T10:00:00Z,"open'] = "a quote is never closed",
      ['1,u,P,2,2024-03-01T10:00:00Z,"a"b'] = "text after a closing quote",
      ["1,u,P,2"] = "4 fields instead of 6",
      ["-1,u,P,2,2024-03-01T10:00:00Z,"] = "the reference is not a number",
      ["1,,P,2,2024-03-01T10:00:00Z,"] = "an empty field",
      ["1,u,P,0,2024-03-01T10:00:00Z,"] = "the quantity is not a number of pieces",
      ["1,u,P,0x2,2024-03-01T10:00:00Z,"] = "the quantity is not a number of pieces",
      ["1,u,P,2,2024-02-30T10:00:00Z,"] = "the time is not a moment",
      ["1,u,P,2,2024-03-01T24:00:00Z,"] = "the time is not a moment",
      ["1,u,P,2,2024-03-01T10:00:00Z,\xFF"] = "not UTF-8",
    }
    for text, why in pairs(refused) do
      assert.are.same({ nil, why }, { line.parse(2, text) })
    end
    assert.are.equal(2, line.parse(2, "1,u,P,2,2024-02-29T23:59:59Z,").quantity)
  end)

  it("name the file, the line and the fault where none may be bad", function()
    local directory <const> = shell.directory()
    local file = directory .. "/x.csv"
    shell.write(file, "a,b\n1,2\n3\n")
    local ok, err = pcall(csv.read, file, { "a", "b" })
    assert.is_false(ok)
    assert.are.equal(file .. ":3: 1 fields instead of 2", err.message)
    ok, err = pcall(csv.read, file, { "a", "c" })
    assert.is_false(ok)
    assert.are.equal(file .. ": the first line is not 'a,c'", err.message)
    shell.remove(directory)
  end)
end)
