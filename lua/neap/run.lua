--- neap.run: options, and the order of a shutdown.
---
--- The root task runs `root` below; main stands beside it, so that a failing
--- or cancelled main does not touch the shutdown.

local core = require "neap.core"
local options = require "neap.options"
local co = require "neap.coroutine"

local OPTIONS = {
  on_error = "function", grace = options.range("number", 0),
  kill_after = options.range("number", 0),
  shuffle = "integer", coroutine = "boolean", debug = "boolean",
  trace = "string",
  pcall = function(v)
    if v ~= "strict" then return "must be \"strict\"" end
  end,
  clock = function(v)
    if v ~= "real" and v ~= "virtual" then
      return "must be \"real\" or \"virtual\""
    end
  end,
  signals = function(v)
    if v ~= true and v ~= false and v ~= "raise" then
      return "must be true, false or \"raise\""
    end
  end,
}

---@type function[] handlers for the current run, or the next one
local at_exit = {}

--- Call `fn` in the shutdown of the current run, or of the next one when
--- nothing runs; the last registered first, each once.
---@param fn fun()
local function at_exit_register(fn)
  if not options.callable(fn) then
    error("bad argument #1 to 'at_exit' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  at_exit[#at_exit + 1] = fn
end

local HANDLERS_MAX <const> = 10000 -- more than there were: they go on for ever

--- In a task of its own, so that one that does not end, however it is
--- shielded, can be left behind: the end of the run gives it up.
local function run_exit_handler(fn, limit)
  local task = core.spawn_beside(core.timeout, limit, fn)
  task.name = core.site(fn)
  core.move_on_after(2 * limit, task.join, task) -- the second for clean-up
  local out = task:outcome()
  if out and not out.ok then core.report("at_exit", out.err, task) end
end

local function run_exit_handlers(limit)
  local left = #at_exit + HANDLERS_MAX
  while #at_exit > 0 do
    left = left - 1
    if left < 0 then
      at_exit = {}
      core.report("at_exit", core.fault.new {
        kind = "invalid", message = "handlers of neap.at_exit register " ..
          "others without end: the rest is dropped",
      })
      return
    end
    run_exit_handler(table.remove(at_exit), limit)
  end
end

local function shut_down(opts)
  local grace, kill_after = opts.grace or 5, opts.kill_after or 5
  if not core.wait_background(grace) then
    core.cancel_background()
    core.wait_background(kill_after)
  end
  core.close_background()
  run_exit_handlers(kill_after)
end

--- Body of the root task: main, then the shutdown.
local function root(opts, main, ...)
  core.current().name = "neap.run"
  local task = core.spawn_main(main, ...)
  task:join()
  core.main_ended()
  shut_down(opts)
  return task
end

local function open_trace(path)
  local ok, why = core.see_trace(path)
  if path == nil or ok then return end
  core.configure("virtual", false)
  core.fault.raise {
    kind = "io", message = ("neap.run: option 'trace': cannot write '%s': %s")
      :format(path, why),
  }
end

local function configure(opts)
  core.configure("virtual", opts.clock == "virtual")
  open_trace(opts.trace) -- first, for it may raise
  core.configure("shuffle", opts.shuffle or 0)
  core.configure("on_error", opts.on_error)
  core.configure("signals", opts.signals ~= false)
end

--- As the option says; without it, the environment.
local function wants_debug(opts)
  if opts.debug ~= nil then return opts.debug end
  local env = os.getenv "NEAP_DEBUG"
  return env ~= nil and env ~= "" and env ~= "0"
end

local function deadlock(dump)
  return core.fault.new {
    kind = "deadlock",
    message = "every task waits and nothing can wake one:\n" .. dump,
  }
end

--- Run `main(...)` as the root of a tree of tasks; return its values, or raise
--- its error (the same object), when everything it started has ended.
---@param opts? neap.RunOptions
---@param main fun(...): ...
---@param ... any arguments of main
---@return any ... what main returned
local function run(opts, main, ...)
  local has_opts = type(opts) == "table" and not options.callable(opts)
  if not has_opts then return run({}, opts, main, ...) end
  options.check("neap.run", opts, OPTIONS)
  if not options.callable(main) then
    error("bad argument to 'run' (a function to run expected, got " ..
      type(main) .. ")", 2)
  end
  if core.running() then
    error("neap.run: already running: just call the function", 2)
  end
  configure(opts)
  core.see_debug(wants_debug(opts))
  local pcall_was, xpcall_was = pcall, xpcall
  if opts.pcall == "strict" then
    _G.pcall, _G.xpcall = core.pcall, core.xpcall
  end
  if opts.coroutine ~= false then co.install() end
  local function finish(ok, status, task)
    if opts.coroutine ~= false then co.uninstall() end
    _G.pcall, _G.xpcall = pcall_was, xpcall_was
    local signum, dump = core.verdict()
    if (signum or dump) and status == "done" then -- these outrank main's error
      local out = task:outcome()
      if not out.ok and not core.fault.is(out.err, "task_cancelled") then
        core.report("secondary", out.err)
      end
    end
    core.see_trace(nil)
    core.configure("on_error", nil)
    core.see_debug(false)
    if not ok then error(status, 0) end -- no memory for a first task
    if signum then
      if opts.signals ~= "raise" then core.die_by(signum) end
      core.fault.raise {
        kind = "interrupted", signal = signum,
        message = "interrupted by signal " .. signum,
      }
    end
    if dump then core.fault.raise(deadlock(dump)) end
    if status == "failed" then error(task, 0) end
    if status ~= "done" then
      core.fault.raise { kind = "closed", message = "the run was given up" }
    end
    return task
  end
  local task = finish(pcall_was(core.loop, root, opts, main, ...))
  local out = task:outcome()
  if not out.ok then error(out.err, 0) end
  return table.unpack(out, 1, out.n)
end

return { run = function(opts, main, ...)
  if type(opts) == "table" and not options.callable(opts) then
    return run(opts, main, ...)
  end
  return run({}, opts, main, ...)
end, at_exit = at_exit_register }
