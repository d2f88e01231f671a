-- Tasks that shutdown gives up: deaf ones, with children, locks, coroutines.
local neap = require "neap"
local function deaf()
  while true do
    local _, err = pcall(neap.sleep, 1)
    if err == "not enough memory" then return end
  end
end
arm()
neap.run({ clock = "virtual", grace = 0, kill_after = 0, on_error = function() end }, function()
  local lock = neap.lock()
  local function tree(depth)
    local _ <close> = setmetatable({}, { __close = function() pcall(neap.spawn, print) end })
    if depth == 0 then
      deaf()
    end
    neap.scope(function(s)
      for _ = 1, 2 do s:spawn(tree, depth - 1) end
      deaf()
    end)
  end
  neap.background(tree, 2)
  neap.background(function()
    lock:acquire()
    deaf()
  end)
  neap.background(function()
    coroutine.wrap(function()
      deaf()
    end)()
  end)
  neap.sleep(1)
end)
