-- Tasks: spawned, awaited, gathered, failing, cancelled, in the background.
local neap = require "neap"

local opts = { clock = "virtual", on_error = function() end }

local function answer(n)
  neap.sleep(0.01 * n)
  return n, n + 1
end

arm()
neap.run(opts, function()
  local t = neap.spawn(answer, 1)
  local a, b = t:await()
  assert(a == 1 and b == 2)
  local x, y = neap.gather(function() return answer(2) end,
    function() return answer(3) end)
  assert(x == 2 and y == 3)
  local failing = neap.spawn(function()
    local ok, err = pcall(neap.gather, error, function() neap.sleep(60) end)
    assert(not ok)
    return err
  end)
  failing:join()
  local asleep = neap.spawn(neap.sleep, 3600)
  neap.checkpoint()
  asleep:cancel("enough")
  asleep:join()
  neap.background(answer, 1)
  local all = neap.map({ 1, 2, 3 }, answer, { concurrency = 2 })
  assert(all.n == 3 and all[3] == 3)
end)
