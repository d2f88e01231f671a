local neap = require "neap"
local core = require "neap.core"

describe("names in messages", function()
  it("are those of neap, not of the core inside", function()
    for name, fn in pairs { select = neap.select, semaphore = neap.semaphore, spawn = neap.spawn,
      queue = neap.queue, timeout = neap.timeout, after = neap.after } do
      local ok, err = pcall(fn, false)
      assert.is_false(ok)
      assert.are.equal("string", type(err))
      assert.is_nil(err:find("core", 1, true), err)
      assert.is_truthy(err:find("'neap." .. name .. "'", 1, true), err)
    end
  end)

  it("the core still has its functions, for who looks it up", function()
    local n = 0
    for name, value in pairs(core) do
      assert.are.equal(value, core[name])
      n = n + 1
    end
    assert.is_true(n > 50)
    assert.is_nil(core["no such function"])
  end)
end)
