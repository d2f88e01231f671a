local neap = require "neap"
local options = require "neap.options"

--- The message of the `invalid` fault that a check raises.
local function complaint(...)
  local ok, err = pcall(options.check, ...)
  assert.is_false(ok)
  assert.is_true(neap.fault.is(err, "invalid"))
  return err.message
end

local SPEC <const> = {
  timeout = "number",
  max = "integer",
  name = { "string", "boolean" },
  on_error = "callable",
  any = "any",
  mode = options.one_of { "fast", "slow" },
  size = options.range("integer", 1, 10),
}

describe("an option table", function()
  it("comes back as it was given", function()
    local opts = { timeout = 1.5, max = 3, name = "x", any = {} }
    assert.equal(opts, options.check("here", opts, SPEC))
  end)

  it("may be missing", function()
    assert.same({}, options.check("here", nil, SPEC))
  end)

  it("must be a table", function()
    assert.equal("here: options must be a table, got a string",
      complaint("here", "x", SPEC))
  end)

  it("raises for an unknown name and says the near one", function()
    assert.equal("pg.connect: unknown option 'time_out'; did you mean "
      .. "'timeout'?", complaint("pg.connect", { time_out = 1 }, SPEC))
    assert.equal("pg.connect: unknown option 'mxa'; did you mean 'max'?",
      complaint("pg.connect", { mxa = 1 }, SPEC))
  end)

  it("lists the names when none is near", function()
    assert.equal("here: unknown option 'zebra'; the options are max, timeout",
      complaint("here", { zebra = 1 }, { max = "integer", timeout = "number" }))
    assert.equal("here: unknown option 'zebra'; there are no options here",
      complaint("here", { zebra = 1 }, {}))
    assert.equal("here: unknown option '1'; the options are x",
      complaint("here", { "a" }, { x = "any" }))
  end)

  it("names the same one of several unknown options every time", function()
    for _ = 1, 20 do
      assert.matches("'aaa'", complaint("here", { ccc = 1, aaa = 1, bbb = 1 },
        {}))
    end
  end)

  it("tells a wrong type from the right one", function()
    assert.equal("pg.connect: option 'max' must be an integer, got a string",
      complaint("pg.connect", { max = "7" }, SPEC))
    assert.equal("here: option 'max' must be an integer, got 1.5",
      complaint("here", { max = 1.5 }, SPEC))
    assert.equal("here: option 'timeout' must be a number, got true",
      complaint("here", { timeout = true }, SPEC))
    assert.equal("here: option 'name' must be a string or a boolean, got 1",
      complaint("here", { name = 1 }, SPEC))
    assert.equal("here: option 'on_error' must be callable, got a table",
      complaint("here", { on_error = {} }, SPEC))
  end)

  it("does not show a string, which may be a secret", function()
    assert.not_matches("hunter2", complaint("here", { max = "hunter2" }, SPEC))
  end)

  it("takes an integral float for an integer, and no NaN for a number",
    function()
      options.check("here", { max = 3.0 }, SPEC)
      assert.matches("must be a number", complaint("here",
        { timeout = 0 / 0 }, SPEC))
    end)

  it("takes whatever can be called for callable", function()
    local functor = setmetatable({}, { __call = function() end })
    options.check("here", { on_error = functor }, SPEC)
    options.check("here", { on_error = print }, SPEC)
  end)

  it("accepts false where a boolean is accepted", function()
    options.check("here", { name = false }, SPEC)
    assert.matches("got false", complaint("here", { max = false }, SPEC))
  end)

  it("is judged by validators", function()
    options.check("here", { mode = "fast", size = 10 }, SPEC)
    assert.equal("here: option 'mode' must be one of 'fast', 'slow', got "
      .. "'quick'", complaint("here", { mode = "quick" }, SPEC))
    assert.equal("here: option 'mode' must be one of 'fast', 'slow', got 1",
      complaint("here", { mode = 1 }, SPEC))
    assert.equal("here: option 'size' must be an integer from 1 to 10, got 11",
      complaint("here", { size = 11 }, SPEC))
    assert.equal("here: option 'n' must be a number of at least 0, got -1",
      complaint("here", { n = -1 }, { n = options.range("number", 0) }))
  end)
end)

describe("the nearest name", function()
  it("allows a slip of one or two letters, more in longer names", function()
    local names = { max_lifetime = 1, min = 1, idle_timeout = 1 }
    assert.equal("max_lifetime", options.nearest("maxLifetime", names))
    assert.equal("min", options.nearest("mni", names))
    assert.is_nil(options.nearest("zzz", names))
  end)
end)
