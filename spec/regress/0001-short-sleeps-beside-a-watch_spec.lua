--- A deadline that came while the loop went to poll was not heard before the
--- next event: the timer ran before the poll, which then had no limit.

local neap = require "neap"
local shell = require "spec.support.shell"

package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath

describe("short sleeps beside a watched descriptor", function()
  it("end, though nothing ever comes from there", function()
    local stranger = require "stranger"
    local slept = neap.run(function()
      local pipe <close> = stranger.pipe()
      local n = 0
      neap.scope({ on_exit = "cancel" }, function(s)
        s:spawn(pipe.read, pipe)
        for _ = 1, 1000 do
          neap.sleep(n % 200 * 1e-8)
          n = n + 1
        end
      end)
      return n
    end)
    assert.are.equal(1000, slept)
  end)
end)
