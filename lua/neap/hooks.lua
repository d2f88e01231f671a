--- Hooks: functions that the scheduler calls when a task is spawned, begins a
--- step, waits, has ended. They cost nothing while there are none.
---
--- ```lua
--- local hooks <close> = neap.hooks {
---   on_wait = function(task, what) print(task.name, "waits in", what) end,
--- }
--- ```

local core = require "neap.core"
local options = require "neap.options"

local SPEC <const> = {
  on_spawn = "callable", on_step = "callable", on_wait = "callable",
  on_done = "callable",
}

local pcall <const> = pcall

---@type neap.Hooks[] those that are in force, the oldest first
local all = {}

---@class neap.Hooks
local Hooks = {}
Hooks.__index = Hooks
Hooks.__name = "neap.hooks"

--- One function for all that listen to `name`, or nil. A failure of one is
--- reported and does not keep the others from being called.
local function combined(name)
  local list = {}
  for _, hooks in ipairs(all) do list[#list + 1] = hooks[name] end
  if #list < 2 then return list[1] end
  return function(...)
    for _, fn in ipairs(list) do
      local ok, err = pcall(fn, ...)
      if not ok then core.report("listener", err) end
    end
  end
end

local function install()
  for name in pairs(SPEC) do core.see_hook(name, combined(name)) end
end

--- From now on none of these is called. Closing twice does nothing.
function Hooks:close()
  for i, hooks in ipairs(all) do
    if hooks == self then
      table.remove(all, i)
      install()
      return
    end
  end
end

Hooks.__close = Hooks.close

--- Have functions called at the turns of every task's life, until `close`.
--- They run in the scheduler: quickly, and without waiting.
---@param hooks neap.HookFunctions
---@return neap.Hooks
return function(hooks)
  if type(hooks) ~= "table" or options.callable(hooks) then
    error("bad argument #1 to 'neap.hooks' (a table of functions expected, got "
      .. type(hooks) .. ")", 2)
  end
  options.check("neap.hooks", hooks, SPEC)
  if next(hooks) == nil then
    core.fault.raise {
      kind = "invalid", message = "neap.hooks: at least one of on_spawn, " ..
        "on_step, on_wait, on_done expected",
    }
  end
  local self = setmetatable({}, Hooks)
  for name in pairs(SPEC) do self[name] = hooks[name] end
  all[#all + 1] = self
  install()
  return self
end
