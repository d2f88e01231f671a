--- What a run is watched for: the options `debug`, `slow_ms` and `trace` of
--- neap.run, and the environment's NEAP_DEBUG.

local blocking = require "neap.blocking"
local core = require "neap.core"

local see = {}

local SLOW_MS <const> = 100 -- in debug mode

see.OPTIONS = {
  debug = "boolean", trace = "string",
  slow_ms = function(v)
    if v == false or math.type(v) and v > 0 then return end
    return "must be a number above 0, or false"
  end,
}

--- As the option says; without it, the environment.
local function wants_debug(opts)
  if opts.debug ~= nil then return opts.debug end
  local env = os.getenv "NEAP_DEBUG"
  return env ~= nil and env ~= "" and env ~= "0"
end

---@type integer|nil in debug mode, the open handles when the run began
local handles

local function check_handles()
  local left = handles and core.stats().handles - handles or 0
  handles = nil
  if left <= 0 then return end
  core.report("leak", core.fault.new {
    kind = "invalid", message = ("the run left %d handle%s open (watches, " ..
      "streams, posts, processes)"):format(left, left > 1 and "s" or ""),
  })
end

--- Nothing is watched any more; what was replaced is as before.
function see.stop()
  check_handles()
  core.see_trace(nil)
  core.see_slow(nil)
  core.see_debug(false)
  blocking.unwatch()
end

--- Raises, and then nothing is watched, where an option cannot be followed.
function see.start(opts)
  local in_debug, slow_ms = wants_debug(opts), opts.slow_ms
  if slow_ms == nil and in_debug then slow_ms = SLOW_MS end
  core.see_slow(slow_ms or nil)
  local ok, why = true, nil
  if opts.trace then ok, why = core.see_trace(opts.trace) end
  if not ok then
    see.stop()
    core.configure("virtual", false)
    core.fault.raise {
      kind = "io", message = ("neap.run: option 'trace': cannot write '%s': %s")
        :format(opts.trace, why),
    }
  end
  if not in_debug then return end
  handles = core.stats().handles
  core.see_debug(true)
  blocking.watch()
end

return see
