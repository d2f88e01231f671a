--- luv's loop inside ours. `require "neap.luv"` is all there is to it: from
--- then on every run also turns luv's loop, and callbacks of luv come while
--- tasks wait. Returns luv.
---
--- ```lua
--- local uv = require "neap.luv"
---
--- neap.run(function()
---   uv.new_timer():start(100, 0, function() print "tick" end)
---   neap.sleep(1)
--- end)
--- ```

local core = require "neap.core"

local found, uv = pcall(require, "luv")
if not found then
  error("neap.luv needs the module luv (Debian's package lua-luv, or " ..
    "luarocks install luv): " .. tostring(uv), 0)
end

local told = false

--- Is it luv that runs us? Then its loop stands still until we are done.
local function runs_already()
  if not uv.loop_mode or not uv.loop_mode() then
    told = false
    return false
  end
  if not told then
    told = true
    core.report("background", core.fault.new {
      kind = "invalid",
      message = "neap.luv: neap.run was called in a callback of luv, whose " ..
        "loop cannot be turned before that callback returns",
    })
  end
  return true
end

--- One turn of luv's loop. Callbacks run in luv's own Lua thread, so they are
--- no part of a task.
---@return boolean alive
---@return integer ms until it wants the next turn, -1 when only events can
local function turn()
  if runs_already() then return false, -1 end
  uv.run("nowait")
  return uv.loop_alive(), uv.backend_timeout()
end

core.guest(uv.backend_fd(), turn)

return uv
