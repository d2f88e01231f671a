--- Coroutines of the user's own that may wait inside a task.
---
--- `resume` and `wrap` behave as Lua's; a wait of neap inside passes through
--- them to the scheduler. `install()` puts them in place of the global ones;
--- `neap.run` does so for its length unless told `coroutine=false`.

local core = require "neap.core"

local co = { resume = core.co_resume, wrap = core.co_wrap }

local NAMES <const> = { "resume", "wrap", "close" }

local plain_close = coroutine.close

--- As Lua's, but a coroutine that waits is not closed: cancel its task.
---@param thread thread
---@return boolean ok
---@return any err
function co.close(thread)
  local what = type(thread) == "thread" and core.co_waits(thread)
  if what then
    error("cannot close a coroutine that waits in " .. what, 2)
  end
  return plain_close(thread)
end

---@type table<string, function>[] what each install replaced
local replaced = {}

--- Replace `coroutine.resume`, `wrap` and `close`. Code that keeps the old
--- functions in locals is not reached; waits there raise a precise error.
function co.install()
  local was = {}
  for _, name in ipairs(NAMES) do
    was[name], coroutine[name] = coroutine[name], co[name]
  end
  replaced[#replaced + 1] = was
end

--- Undo the last `install`.
function co.uninstall()
  local was = table.remove(replaced)
  if not was then return end
  for _, name in ipairs(NAMES) do coroutine[name] = was[name] end
end

return co
