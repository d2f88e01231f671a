-- The emitter, whole: patterns, modes, iterators, events soon, limits, scopes.
local neap = require "neap"

arm()
neap.run({ clock = "virtual", on_error = function() end }, function()
  local em = neap.emitter { wildcard = true, max_listeners = 3, concurrency = 2 }
  local heard = 0
  local function hear(n) heard = heard + n end
  em:on("a.*", hear)
  em:on("**.b", hear, { priority = 1 })
  em:prepend("a.b", hear)
  em:on_any(function(_, n) heard = heard + n end)
  assert(em:emit("a.b", 1) == 4)
  assert(heard == 4)
  assert(em:emit_sync("a.b", 1) == 4)
  em:on("a.b", function(n)
    neap.sleep(0.01)
    hear(n)
  end, { timeout = 1, concurrency = 1 })
  assert(em:emit_serial("a.b", 1) == 5)
  assert(heard == 13)
  neap.scope(function(s)
    em:once("a.c", hear, { scope = s })
    em:on("s", hear, { scope = s }) -- it ends with the scope
  end)
  assert(em:count "s" == 0 and em:count "a.c" == 0)
  local events = em:iter("x.*", { buffer = 1, named = true })
  em:emit_soon("x.y", 5)
  assert(em:drain())
  local name, n = events()
  assert(name == "x.y" and n == 5)
  events:close()
  local plain = neap.emitter()
  plain:on("deep", function(k)
    if k > 0 then plain:emit("deep", k - 1) end
  end)
  plain:emit("deep", 20)
  plain:on("seen", function() return neap.current() end)
  plain:emit "seen"
  plain:on("bad", function() error { kind = "bad" } end)
  local ok, err = pcall(plain.emit, plain, "bad")
  assert(not ok, err)
  assert(plain:off_all() == 3)
  em:close()
end)
