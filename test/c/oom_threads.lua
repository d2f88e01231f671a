-- Calls on other threads, and functions that call back. Errors of a thread
-- whose own memory runs out come back as those.
local neap = require "neap"

arm()
neap.run({ on_error = function() end }, function()
  local call = neap.thread.call
  assert(call(function(a, b) return a + b end, 1, 2) == 3)
  local t = { 1, 2, { name = ("x"):rep(300) } }
  t.self = t
  local got = call("return ...", t)
  assert(got.self == got and #got[3].name == 300)
  neap.thread.limit(1)
  neap.scope(function(s)
    local tasks = {}
    for i = 1, 3 do tasks[i] = s:spawn(call, "return ...", i) end
    tasks[3]:cancel()
  end)
  neap.thread.limit(3)
  local ok, err = pcall(call, "error { kind = 'x', list = { print } }")
  if ok or type(err) ~= "table" then error(err, 0) end
  ok, err = pcall(call, "error 'boom'")
  if ok or not tostring(err):find "boom" then error(err, 0) end
  assert(neap.wrap(function(callback) callback(nil, 1) end)() == 1)
end)
