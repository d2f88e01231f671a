--- Functions that call back, as functions that wait.
---
--- ```lua
--- local uv = require "neap.luv"
--- local stat = neap.wrap(uv.fs_stat)
---
--- print(stat("README.md").size)     -- waits; raises kind io, code ENOENT
--- ```

local core = require "neap.core"
local options = require "neap.options"

---@class neap.wrap.Call one call under way
---@field private future neap.Future
---@field private settled boolean the callback has come, or will not matter
---@field private left boolean the caller is gone: a late result is dropped
---@field private request any what the function returned at once
local Call = {}
Call.__index = Call

--- The caller was cancelled: so is the request, where it knows how.
function Call:__close()
  if self.settled then return end
  self.settled, self.left = true, true
  local request = self.request
  if type(request) ~= "userdata" and type(request) ~= "table" then return end
  local ok, err = pcall(function()
    if options.callable(request.cancel) then request:cancel() end
  end)
  if not ok then core.report("secondary", err) end
end

function Call:settle(...)
  if self.settled then
    if self.left then return end
    core.report("future", core.fault.new {
      kind = "invalid",
      message = "neap.wrap: the callback was called a second time",
    })
    return
  end
  self.settled = true
  self.future:set(...)
end

--- "ECONNREFUSED", and "ENOENT: no such file: x", are failures of the world.
local function raise(err)
  if type(err) ~= "string" then error(err, 0) end
  local code, text = err:match "^(E[%u%d_]+): (.*)$"
  if not code then
    code = err:match "^E[%u%d_]+$"
    text = code and core.error_text(code) or code
  end
  if not code then error(err, 0) end
  core.fault.raise { kind = "io", code = code, message = text }
end

local function results(err, ...)
  if err then raise(err) end
  return ...
end

--- Make of `fn`, which takes a callback, a function that waits for it.
---
--- The callback gets an error (nil for none), then results, which are
--- returned. An error that begins with a name, as luv's do, raises kind `io`
--- with that code; any other is raised as it is. So is a failure to start:
--- nil and an error returned by `fn` itself.
---@param fn function
---@param argpos? integer where `fn` takes the callback; default: last
---@return async fun(...): ...
return function(fn, argpos)
  if not options.callable(fn) then
    error("bad argument #1 to 'wrap' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  if argpos ~= nil and (math.type(argpos) ~= "integer" or argpos < 1) then
    error("bad argument #2 to 'wrap' (a position from 1 on expected)", 2)
  end
  return function(...)
    core.enter("neap.wrap")
    local args, n = { ... }, select("#", ...)
    local at = argpos or n + 1
    local call <close> = setmetatable({
      future = core.future(), settled = false, left = false,
    }, Call)
    for i = n, at, -1 do args[i + 1] = args[i] end
    args[at] = function(...) call:settle(...) end
    local request, err = fn(table.unpack(args, 1, math.max(n + 1, at)))
    if not call.settled then
      if request == nil and err ~= nil then
        call.settled = true
        raise(err)
      end
      call.request = request
    end
    return results(call.future:await())
  end
end
