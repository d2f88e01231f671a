-- Service scopes, bounded spawns, groups, outcomes, filters.
local neap = require "neap"
arm()
neap.run({ clock = "virtual", on_error = function() end }, function()
  local task = neap.spawn(function()
    neap.scope({ on_exit = "cancel", name = "service", max = 2 }, function(s)
      for _ = 1, 2 do s:spawn(neap.sleep, 100) end
      neap.spawn(neap.sleep, 1)
      local _ <close> = neap.defer(function() neap.sleep(1) end)
      neap.sleep(100)
    end)
  end)
  neap.sleep(1)
  task:cancel "bored"
  task:join()
  neap.scope({ max = 1, errors = "first" }, function(s)
    for i = 1, 4 do s:spawn(neap.sleep, i) end
  end)
  local ok = pcall(neap.scope, { errors = "group" }, function(s)
    s:spawn(error, "a")
    s:spawn(error, { kind = "b" })
  end)
  assert(not ok)
  local em = neap.emitter { errors = "collect" }
  em:on("x", function() neap.sleep(1) end)
  em:on("x", function() error "no" end)
  em:on("x", function() em:on("y", print):off() end)
  local n, out = em:emit("x", 1, 2)
  assert(n == 3 and out.n == 3)
  local w = neap.spawn(function() return em:wait_for("z", { filter = function(v) return v > 1 end, timeout = 5 }) end)
  neap.checkpoint()
  em:emit("z", 1)
  em:emit("z", 2)
  assert(w:await() == 2)
  local f = neap.future()
  f:fail "nobody"
  neap.checkpoint()
  neap.settle { error, function() return 1 end }
  neap.map({ 1, 2, 3 }, function(i) neap.sleep(i) return i end, { concurrency = 2, timeout = 10, errors = "collect" })
  neap.xpcall(error, tostring, "x")
  neap.dump()
end)
