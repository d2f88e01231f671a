--- On the virtual clock the order of tasks depended on how long they computed:
--- a slice of the loop also ended after 100 us of real time.

local neap = require "neap"
local run = require "spec.support.run"

--- Forty tasks; the first computes `burn` rounds, the 36th does so much that
--- what is left of a slice is not enough.
local function order(burn)
  local list = {}
  neap.scope(function(s)
    local event = neap.event()
    event:set()
    for i = 1, 40 do
      s:spawn(function()
        if i == 1 then
          for _ = 1, burn do list[1] = #list end
          list[1] = nil
        end
        if i == 36 then
          for _ = 1, 240 do event:wait() end
        end
        list[#list + 1] = i
      end)
    end
  end)
  return list
end

describe("the order on the virtual clock", function()
  it("is the same however long tasks compute (O5)", run({ order = true }, function()
    assert.are.same(order(0), order(2000000))
  end))
end)
