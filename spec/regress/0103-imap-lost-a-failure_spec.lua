--- A failure in the very call whose turn it was, while imap was cancelled, was
--- told to nobody.

local neap = require "neap"
local run = require "spec.support.run"

describe("a failure in imap is heard of", function()
  it("though the loop is cancelled while it waits for that item (G10, E4)", run(function(reports)
    local err = neap.fault.new { kind = "x" }
    assert.is_false(neap.move_on_after(1, function()
      local items <close> = neap.imap({ 1 }, function()
        pcall(neap.sleep, 10)
        error(err, 0)
      end)
      for _ in items do error "there is none" end
    end))
    assert.are.equal(err, reports:take("secondary").error)
  end))
end)
