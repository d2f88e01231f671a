--- Coroutines of the user's own that may wait inside a task.
---
--- `resume` and `wrap` behave as Lua's; a wait of neap inside passes through
--- them to the scheduler. `install()` puts them in place of the global ones;
--- `neap.run` does so for its length unless told `coroutine=false`.

local core = require "neap.core"

local co = { resume = core.co_resume, wrap = core.co_wrap }

---@type {resume: function, wrap: function}[] what each install replaced
local replaced = {}

--- Replace `coroutine.resume` and `coroutine.wrap`. Code that keeps the old
--- functions in locals is not reached; waits there raise a precise error.
function co.install()
  replaced[#replaced + 1] = {
    resume = coroutine.resume, wrap = coroutine.wrap,
  }
  coroutine.resume, coroutine.wrap = co.resume, co.wrap
end

--- Undo the last `install`.
function co.uninstall()
  local was = table.remove(replaced)
  if not was then return end
  coroutine.resume, coroutine.wrap = was.resume, was.wrap
end

return co
