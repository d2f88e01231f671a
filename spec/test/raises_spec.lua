local neap = require "neap"
local test = require "neap.test"
local it = test.it { clock = "virtual" }

describe("test.raises", function()
  it("returns a fault of the kind, the same object", function()
    local err = neap.fault.new { kind = "closed", message = "no more" }
    assert.equal(err, test.raises("closed", error, err))
    assert.equal("timeout", test.raises("timeout", neap.timeout, 1, neap.sleep, 2).kind)
  end)

  it("returns an error without a kind", function()
    assert.equal("text", test.raises(nil, error, "text", 0))
    local object = setmetatable({}, { __index = function() return "closed" end })
    assert.equal(object, test.raises(nil, error, object))
  end)

  it("fails if nothing is raised, and shows what was returned", function()
    local ok, err = pcall(test.raises, "closed", function(...) return ... end, 1, nil)
    assert.is_false(ok)
    assert.matches("expected a fault of kind 'closed'.*returned %(1, nil%)", err)
    ok, err = pcall(test.raises, nil, function() end)
    assert.is_false(ok)
    assert.matches("expected an error without a kind.*returned %(%)", err)
  end)

  it("fails if something else is raised, and shows it", function()
    local ok, err = pcall(test.raises, "closed", error, "text", 0)
    assert.is_false(ok)
    assert.matches("expected a fault of kind 'closed', got: text", err)
    ok, err = pcall(test.raises, nil, neap.fault.raise, { kind = "io", message = "gone" })
    assert.is_false(ok)
    assert.matches("expected an error without a kind, got: io: gone", err)
    ok = pcall(test.raises, "closed", neap.fault.raise, { kind = "io", message = "gone" })
    assert.is_false(ok)
  end)

  it("refuses what is no kind and no function", function()
    assert.error_matches(function() test.raises(print, "closed") end,
      "bad argument #1 to 'raises'")
    assert.error_matches(function() test.raises("closed", "print") end,
      "bad argument #2 to 'raises'")
  end)
end)
