local test = require "neap.test"

--- A step of the task that takes a while.
local function compute()
  local until_when = os.clock() + 0.05
  while os.clock() < until_when do end
end

describe("a slow step", function()
  it("is reported to a body that asks for it", function()
    test.run({ slow_ms = 10 }, function(reports)
      compute()
      require("neap").checkpoint()
      assert.is_truthy(reports:take "slow")
      while #reports > 0 do reports:take "slow" end
    end)
  end)
end)
