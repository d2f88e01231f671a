-- Supervisors, select, generators, streams, imap, broadcasts, a coroutine of
-- the user's, a dump.
local neap = require "neap"

-- What a supervisor reports may be the lack of memory, which is then the news.
local news
local function heard(info)
  if tostring(info.error):find "memory" then news = info.error end
end

arm()
neap.run({ clock = "virtual", on_error = heard }, function()
  local lives = 0
  neap.supervisor({ restart = "on_failure", strategy = "one_for_all" }, function(s)
    s:spawn(function()
      lives = lives + 1
      if lives == 1 then error { kind = "x" } end
    end)
    s:spawn(neap.sleep, 1)
  end)
  local q, event = neap.queue(1), neap.event()
  neap.scope(function(s)
    s:spawn(q.put, q, 1)
    local which = neap.select { q:on_get(), event:on_wait(), neap.after(1) }
    assert(which == 1 or news)
  end)
  local sum = 0
  do
    local numbers <close> = neap.gen(function(yield)
      for i = 1, 3 do yield(i) end
    end)
    for i in numbers do sum = sum + i end
  end
  for i in neap.imap({ 1, 2, 3 }, function(i) return i * 2 end, { concurrency = 2 }) do sum = sum + i end
  local stream <close> = neap.stream(function(yield)
    while true do yield(1) end
  end, { buffer = 1 })
  sum = sum + stream()
  assert(sum == 19)
  local each = coroutine.wrap(function()
    neap.sleep(1)
    coroutine.yield(1)
    neap.sleep(1)
  end)
  each()
  each()
  local b = neap.broadcast(1)
  local sub <close> = b:subscribe()
  b:put(1)
  assert(sub:get() == 1)
  assert(neap.race { function() return 1 end, function() neap.sleep(1) end } == 1)
  assert(#neap.dump() > 0)
end)
if news then error(news, 0) end
