-- LISTEN on a server: NEAP_TEST_PG says where. spec/pg/oom_spec.lua starts it.
local neap = require "neap"
local pg = require "neap.pg"
local dsn = assert(os.getenv "NEAP_TEST_PG", "NEAP_TEST_PG is not set")

arm()
neap.run({ on_error = function() end }, function()
  local db <close> = pg.connect(dsn, { min = 1, max = 1 })
  local heard = neap.event()
  local _ <close> = db:listen("oom", function(payload)
    if payload == "x" then heard:set() end
  end, { on_gap = function() heard:set() end })
  db:notify("oom", "x")
  -- Where memory runs out in the delivery itself the message is lost.
  neap.move_on_after(0.3, heard.wait, heard)
end)
