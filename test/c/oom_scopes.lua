-- Scopes and deadlines: nested, expiring, shielded, failing.
local neap = require "neap"

arm()
neap.run({ clock = "virtual", on_error = function() end }, function()
  local n = neap.scope(function(s)
    for i = 1, 3 do s:spawn(neap.sleep, i / 100) end
    return 7
  end)
  assert(n == 7)
  assert(neap.move_on_after(0.01, neap.sleep, 60) == false)
  local ok, err = pcall(neap.timeout, 0.01, function()
    neap.scope(function(s)
      s:spawn(neap.sleep, 60)
      neap.sleep(60)
    end)
  end)
  assert(not ok, err)
  ok, err = pcall(neap.scope, function(s)
    s:spawn(error, "broken")
    s:spawn(function()
      neap.shield(1, neap.sleep, 0.02)
    end)
    neap.sleep(60)
  end)
  assert(not ok, err)
  local ended = neap.scope(function(s)
    local t = s:spawn(neap.sleep, 60)
    neap.checkpoint()
    s:cancel "over"
    return t
  end)
  assert(ended == nil or ended:status())
end)
