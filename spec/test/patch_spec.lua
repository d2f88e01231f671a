local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual" }

describe("a patch", function()
  it("holds for its block", function()
    local t = { a = 1 }
    do
      local _ <close> = test.patch(t, "a", 2)
      assert.equal(2, t.a)
    end
    assert.equal(1, t.a)
  end)

  it("makes what was absent absent again", function()
    local t = setmetatable({}, { __index = { a = "inherited" } })
    do
      local _ <close> = test.patch(t, "a", 2)
      assert.equal(2, t.a)
    end
    assert.is_nil(rawget(t, "a"))
    assert.equal("inherited", t.a)
  end)

  it("may take something away", function()
    local t = { a = false }
    do
      local _ <close> = test.patch(t, "a", nil)
      assert.is_nil(t.a)
    end
    assert.is_false(t.a)
  end)

  it("does not ask metatables", function()
    local t = setmetatable({}, { __newindex = function() error "read-only" end })
    local _ <close> = test.patch(t, "a", 1)
    assert.equal(1, t.a)
  end)

  it("ends when the block ends by an error or a cancellation", function()
    local t = { a = 1 }
    pcall(function()
      local _ <close> = test.patch(t, "a", 2)
      error "no"
    end)
    assert.equal(1, t.a)
    neap.move_on_after(1, function()
      local _ <close> = test.patch(t, "a", 2)
      neap.sleep(5)
    end)
    assert.equal(1, t.a)
  end)

  it("can be restored by hand, once", function()
    local t = { a = 1 }
    local patched = test.patch(t, "a", 2)
    patched:restore()
    assert.equal(1, t.a)
    t.a = 3
    patched:restore()
    assert.equal(3, t.a)
  end)

  it("restores whatever was done meanwhile", function()
    local t = { a = 1 }
    local patched = test.patch(t, "a", 2)
    t.a = 7
    patched:restore()
    assert.equal(1, t.a)
  end)

  it("on a patch may go in any order", function()
    for _, order in ipairs { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 }, { 1, 3, 2 } } do
      local t = { a = 0 }
      local patches, on = {}, {}
      for i = 1, 3 do patches[i], on[i] = test.patch(t, "a", i), true end
      for _, i in ipairs(order) do
        patches[i]:restore()
        on[i] = nil
        local top = on[3] and 3 or on[2] and 2 or on[1] and 1 or 0
        assert.equal(top, t.a)
      end
    end
  end)

  it("needs a table and a key", function()
    assert.has_error(function() test.patch("x", "a", 1) end,
      "bad argument #1 to 'patch' (table expected, got string)")
    assert.has_error(function() test.patch({}, nil, 1) end,
      "bad argument #2 to 'patch' (a key expected, got nil)")
    assert.has_error(function() test.patch({}, 0 / 0, 1) end)
  end)
end)
