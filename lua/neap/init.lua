--- neap: tasks with owners, cancellation and deadlines for Lua 5.4.
---
--- ```lua
--- local neap = require "neap"
--- neap.run(function()
---   local a, b = neap.gather(fetch_a, fetch_b)
--- end)
--- ```

local core = require "neap.core"
local combine = require "neap.combine"
local run = require "neap.run"

---@class neap
local neap = {
  version = core.version,
  null = core.null,
  fault = {
    new = core.fault.new, raise = core.fault.raise, is = core.fault.is,
  },
  is_timeout = core.fault.is_timeout,
  run = run.run,
  at_exit = run.at_exit,
  runner = run.runner,
  traceback = require("neap.failure").traceback,
  coroutine = require "neap.coroutine",
  thread = { call = core.thread_call, limit = core.thread_limit },
  wrap = require "neap.wrap",
  hooks = require "neap.hooks",
}

for _, name in ipairs {
  "sleep", "checkpoint", "now", "current", "cancelled", "is_cancelled",
  "suppressed", "spawn", "background", "scope", "timeout", "timeout_at",
  "move_on_after", "shield", "deadline", "pcall", "xpcall", "future", "event",
  "lock", "semaphore", "queue", "lifo", "priority_queue", "select", "after",
  "emitter", "numeric",
} do
  neap[name] = core[name]
end

for _, room in ipairs {
  combine, require "neap.complete", require "neap.sync",
  require "neap.supervisor", (require "neap.dump"),
} do
  for name, fn in pairs(room) do neap[name] = fn end
end

neap.gen = require("neap.gen").new
neap.stream = require("neap.stream").new
neap.iter = require "neap.iter"
neap.broadcast = require "neap.broadcast"
neap.signals = require "neap.signals"
require "neap.emitter"
require "neap.queue"
require "neap.start"
require "neap.group"

package.loaded["neap.fault"] = neap.fault -- Lua finds the names of functions there

local ctx = require "neap.ctx"
neap.ctx = { get = ctx.get, set = ctx.set, with = ctx.with }

local Defer = {
  __close = function(self, err)
    if err == nil then return core.shield(self.limit, self.fn) end
    local ok, second = pcall(core.shield, self.limit, self.fn)
    if not ok then core.second_failure(err, second) end
  end,
}

--- A `<close>` value that runs `fn` shielded from cancellation, for at most
--- `timeout` seconds (5 by default).
---@param fn fun()
---@param opts? {timeout?: number}
function neap.defer(fn, opts)
  local options = require "neap.options"
  if not options.callable(fn) then
    error("bad argument #1 to 'defer' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("neap.defer", opts, {
    timeout = options.range("number", 0),
  })
  return setmetatable({ fn = fn, limit = opts.timeout or 5 }, Defer)
end

return neap
