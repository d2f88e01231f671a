local compare = require "neap.test.compare"

describe("a difference", function()
  local difference = compare.difference

  it("is none between equal things", function()
    local cycle, other = { 1 }, { 1 }
    cycle.self, other.self = cycle, other
    for _, pair in ipairs {
      { 1, 1.0 }, { "a", "a" }, { {}, {} }, { 0 / 0, 0 / 0 },
      { { 1, { a = { 2 } } }, { 1, { a = { 2 } } } }, { cycle, other },
      { setmetatable({ 1 }, { __index = {} }), { 1 } }, { nil, nil },
    } do
      assert.is_nil(difference(pair[1], pair[2]))
    end
  end)

  it("says where and what", function()
    assert.equal('expected 1, got 2', difference(1, 2))
    assert.equal('expected 1, got "1"', difference(1, "1"))
    assert.equal('at .items[2].name: expected "a", got "b"', difference(
      { items = { 1, { name = "a" } } }, { items = { 1, { name = "b" } } }))
    assert.equal('at ["two words"]: expected true, got nil',
      difference({ ["two words"] = true }, {}))
    assert.equal("at [true]: expected nil, got {}", difference({}, { [true] = {} }))
    assert.equal("at [2]: expected nil, got {x = 1}", difference({ 1 }, { 1, { x = 1 } }))
  end)

  it("is always the same one", function()
    for _ = 1, 20 do
      assert.equal("at .a: expected 1, got 2", difference(
        { a = 1, b = 1, c = 1 }, { a = 2, b = 2, c = 2 }))
    end
  end)

  it("asks __eq where there is one", function()
    local mt = { __eq = function(a, b) return a.id == b.id end,
      __tostring = function(t) return "no. " .. t.id end }
    local function new(id, seen) return setmetatable({ id = id, seen = seen }, mt) end
    assert.is_nil(difference(new(1, 1), new(1, 2)))
    assert.equal("at [1]: expected no. 1, got no. 2", difference({ new(1) }, { new(2) }))
  end)

  it("between cycles is found", function()
    local a, b = { n = { n = 1 } }, { n = { n = 2 } }
    a.n.up, b.n.up = a, b
    assert.equal("at .n.n: expected 1, got 2", difference(a, b))
  end)

  it("stays short", function()
    local long, deep = {}, {}
    for i = 1, 1000 do long[i] = i end
    local at = deep
    for _ = 1, 50 do at.next = {}; at = at.next end
    assert.is_true(#difference(long, deep) < 300)
    assert.is_true(#difference(("x"):rep(1000), "y") < 100)
    assert.equal('expected "a\\nb", got nil', difference("a\nb", nil))
  end)
end)

describe("a difference of arguments", function()
  local function arguments(...) return compare.arguments(...) end

  it("counts them", function()
    local pack = table.pack
    assert.is_nil(arguments(pack(1, nil), pack(1, nil)))
    assert.equal("argument 2: expected nil, got none", arguments(pack(1, nil), pack(1)))
    assert.equal("argument 2: expected none, got nil", arguments(pack(1), pack(1, nil)))
    assert.equal("argument 1: at .a: expected 1, got 2",
      arguments(pack { a = 1 }, pack { a = 2 }))
    assert.is_nil(arguments(pack(), pack()))
  end)
end)
