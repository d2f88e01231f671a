--- busted's `it` with bodies that are tasks: each in a run of its own.
---
--- ```lua
--- local it = test.it { clock = "virtual" }
--- it("sleeps", function() neap.sleep(3600) end)
--- ```
---
--- busted's hooks (before_each, finally ...) run outside of the run.

local core = require "neap.core"
local body = require "neap.test.body"
local options = require "neap.options"

local kit = core.testkit

local function busted()
  local it = package.loaded.busted and package.loaded.busted.it
  if not it then
    core.fault.raise {
      kind = "invalid",
      message = "test.it: busted does not run this file; see test.run",
    }
  end
  return package.loaded.busted
end

--- busted takes the traceback where an error reaches it, which is here; the
--- one that says something is of the task. It is kept in the core's table, as
--- busted forgets modules between files, but not those who subscribed.
local function show_true_trace(traceback)
  if not kit.busted then
    local shared = {}
    kit.busted = shared
    local function replace(_, _, _, trace)
      if shared.traceback and type(trace) == "table" then
        trace.traceback, shared.traceback = "\n" .. shared.traceback, nil
      end
      return nil, true
    end
    busted().subscribe({ "error", "it" }, replace)
    busted().subscribe({ "failure", "it" }, replace)
  end
  kit.busted.traceback = traceback
end

--- Path and line in the spec that a traceback leads to.
local function place_in(traceback)
  local own = debug.getinfo(1, "S").short_src:match("^(.*)[/\\]") or ""
  own = own:match("^(.*)[/\\]test$") or own -- neap's own files
  for path, line in (traceback or ""):gmatch("\n%s*([^\n]-):(%d+): in") do
    if path:sub(1, #own) ~= own and not path:find("[/\\]luassert[/\\]")
        and not path:find("[/\\]busted[/\\]") then
      return path, line
    end
  end
end

--- Raise the error as it is. busted names the line where it was raised if the
--- error does not: so a chunk raises it that bears name and line of the spec.
local function raise(err, state)
  local path, line = place_in(state.traceback)
  if not path then path, line = state.site:match("^(.*):(%d+): $") end
  if not body.is_pending(err) then
    show_true_trace(state.traceback or state.where or "")
  end
  local throw = path and load(("\n"):rep(tonumber(line) - 1) ..
    "error(..., 0)", "@" .. path)
  if throw then throw(err) end
  error(err, 0)
end

local function merged(opts, more)
  local out = {}
  for k, v in pairs(opts) do out[k] = v end
  for k, v in pairs(more) do out[k] = v end
  return out
end

local function wrap(opts, name, fn)
  local own = merged(opts, { name = name })
  return function()
    local state, ok, err = body.try(own, fn)
    if not ok then raise(err, state) end
  end
end

local make

--- `it(name, fn)`, `it(name)(fn)`, or `it(opts)`: another `it`.
local function call(opts, name, fn)
  if type(name) == "table" then return make(merged(opts, name)) end
  if type(name) ~= "string" then
    error("bad argument #1 to 'it' (a name or options expected, got " ..
      type(name) .. ")", 2)
  end
  if fn ~= nil and not options.callable(fn) then
    error("bad argument #2 to 'it' (function expected, got " .. type(fn) ..
      ")", 2)
  end
  local it = busted().it
  if fn == nil then
    return function(later) return it(name, wrap(opts, name, later)) end
  end
  -- A tail call: busted looks for the test's line two levels up.
  return it(name, wrap(opts, name, fn))
end

function make(opts)
  body.check(opts)
  return function(name, fn) return call(opts, name, fn) end
end

return { it = make {} }
