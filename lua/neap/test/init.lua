--- neap.test: the test kit. Bodies of busted as tasks with a deadline and leak
--- checks, and what makes order and cancellation testable.
---
--- ```lua
--- local test = require "neap.test"
--- local it = test.it { clock = "virtual" }
---
--- it("waits an hour", function()
---   neap.sleep(3600)
--- end)
--- ```

local core = require "neap.core"
local body = require "neap.test.body"
local checkpoints = require "neap.test.checkpoints"
local options = require "neap.options"

---@class neap.test
local test = {
  it = require("neap.test.it").it,
  mock = require "neap.test.mock",
  patch = require("neap.test.patch").new,
  sequence = require("neap.test.sequence").new,
  settle = core.testkit.settle,
  raises = require "neap.test.raises",
  cancel_sweep = require("neap.test.sweep").cancel_sweep,
  assert_checkpoints = checkpoints.assert_checkpoints,
  assert_no_checkpoints = checkpoints.assert_no_checkpoints,
  assert_suspends = checkpoints.assert_suspends,
}

local function finish(_, ok, ...)
  if not ok then error((...), 0) end
  return ...
end

--- A body without busted: run `fn(reports)` as `it` would, with the same
--- options; return its values, or raise what failed.
---@param opts? neap.test.Options
---@param fn fun(reports: neap.test.Reports): ...
---@return any ...
function test.run(opts, fn)
  if fn == nil then opts, fn = nil, opts end
  opts = body.check(opts)
  if not options.callable(fn) then
    error("bad argument to 'run' (function expected, got " .. type(fn) .. ")",
      2)
  end
  return finish(body.try(opts, fn))
end

return test
