--- neap.run: options, and the order of a shutdown.
---
--- The root task runs `root` below; main stands beside it, so that a failing
--- or cancelled main does not touch the shutdown.

local core = require "neap.core"
local options = require "neap.options"
local co = require "neap.coroutine"
local failure = require "neap.failure"
local see = require "neap.see"

local pcall <const> = pcall

local OPTIONS = {
  on_error = "function", grace = options.range("number", 0),
  kill_after = options.range("number", 0),
  shuffle = "integer", coroutine = "boolean", debug = see.OPTIONS.debug,
  trace = see.OPTIONS.trace, slow_ms = see.OPTIONS.slow_ms,
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

local function configure(opts)
  core.configure("virtual", opts.clock == "virtual")
  see.start(opts) -- before the others, for it may raise
  core.configure("shuffle", opts.shuffle or 0)
  core.configure("on_error", opts.on_error)
  core.configure("signals", opts.signals ~= false)
end

local function deadlock(dump)
  return core.fault.new {
    kind = "deadlock",
    message = "every task waits and nothing can wake one:\n" .. dump,
  }
end

--- Put in place what the options ask for; returns what undoes it.
local function enter(opts)
  configure(opts)
  local pcall_was, xpcall_was = _G.pcall, _G.xpcall
  if opts.pcall == "strict" then
    _G.pcall, _G.xpcall = core.pcall, core.xpcall
  end
  if opts.coroutine ~= false then co.install() end
  return function()
    if opts.coroutine ~= false then co.uninstall() end
    _G.pcall, _G.xpcall = pcall_was, xpcall_was
    core.configure("signals", false)
    see.stop()
    core.configure("on_error", nil)
  end
end

--- How it ended: main's values, or what outranks its error, or that; nothing if
--- there was no main.
local function conclude(opts, leave, ok, status, task)
  local signum, dump = core.verdict()
  if (signum or dump) and status == "done" and task then
    local out = task:outcome()
    if not out.ok and not core.fault.is(out.err, "task_cancelled") then
      core.report("secondary", out.err)
    end
  end
  leave()
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
  if not task then return end
  local out = task:outcome()
  if not out.ok then
    failure.remember(out.err, task:traceback())
    error(out.err, 0)
  end
  return table.unpack(out, 1, out.n)
end

local function loop(fn, ...)
  local handle = core.loop_begin(fn, ...)
  core.loop_turn(handle)
  return core.loop_end(handle)
end

local function refuse_second(what)
  if not core.running() then return end
  local why = "already running: just call the function"
  if not core.current() then why = "a runner is open: close it first" end
  error(("%s: %s"):format(what, why), 3)
end

local function check_main(what, main)
  if options.callable(main) then return end
  error(("bad argument to '%s' (a function to run expected, got %s)")
    :format(what, type(main)), 3)
end

--- Run `main(...)` as the root of a tree of tasks; return its values, or raise
--- its error (the same object), when everything it started has ended.
---@param opts? neap.RunOptions
---@param main fun(...): ...
---@param ... any arguments of main
---@return any ... what main returned
local function run(opts, main, ...)
  if type(opts) ~= "table" or options.callable(opts) then
    return run({}, opts, main, ...)
  end
  options.check("neap.run", opts, OPTIONS)
  check_main("run", main)
  refuse_second "neap.run"
  local leave = enter(opts)
  return conclude(opts, leave, pcall(loop, root, opts, main, ...))
end

-- ------------------------------------------------------------------- runners

--- One loop for several calls: what they leave in the background lives on
--- between them, standing still.
---@class neap.Runner
---@field private opts neap.RunOptions
---@field private root neap.Task|nil from the first call to the end
---@field private call any[]|nil the call under way
---@field private more neap.Event set when there is a call, or no more
---@field private done neap.Task the last main
---@field private busy boolean
---@field private closed boolean
local Runner = {}
Runner.__index, Runner.__name = Runner, "neap.runner"

local function serve(self)
  while self.call do
    local task = core.spawn_main(table.unpack(self.call, 1, self.call.n))
    task:join()
    core.main_ended()
    self.done, self.call = task, nil
    self.more:clear()
    core.pause()
    self.more:wait()
  end
  shut_down(self.opts)
  return self.done
end

--- Turn until the call has ended; if the loop has ended with it, the runner
--- has.
local function turn(self)
  self.busy = true
  local ok, paused = pcall(core.loop_turn, self.root)
  self.busy = false
  if ok and paused then return true, "done", self.done end
  local handle = self.root
  self.closed, self.root = true, nil
  return pcall(core.loop_end, handle)
end

local function check_runner(self, what)
  if getmetatable(self) ~= Runner then
    error(("bad argument #1 to '%s' (neap.runner expected, got %s)")
      :format(what, type(self)), 3)
  end
  if self.busy then
    error(("runner:%s: already running: just call the function")
      :format(what), 3)
  end
end

--- Run `main(...)` as `neap.run` does, but without the end: tasks in the
--- background and what they hold are there for the next call.
---@param main fun(...): ...
---@return any ... what main returned
function Runner:run(main, ...)
  check_runner(self, "run")
  check_main("run", main)
  if self.closed then
    core.fault.raise { kind = "closed", message = "runner:run: it is closed" }
  end
  if not self.root then refuse_second "runner:run" end
  local leave = enter(self.opts)
  self.call = table.pack(main, ...)
  if self.root then
    core.forget_signals()
    self.more:set()
  else
    local began, handle = pcall(core.loop_begin, serve, self)
    if not began then -- no memory
      leave()
      error(handle, 0)
    end
    self.root = handle
  end
  local ok, status, task = turn(self)
  if self.root and core.verdict() and self.opts.signals ~= "raise" then
    self.more:set() -- the process ends: in good order
    turn(self)
  end
  return conclude(self.opts, leave, ok, status, task)
end

--- The end, as that of `neap.run`: background tasks, then exit handlers. Once
--- more does nothing.
function Runner:close()
  check_runner(self, "close")
  if self.closed then return end
  self.closed = true
  if not self.root then return end
  local leave = enter(self.opts)
  core.forget_signals()
  self.more:set()
  local ok, status, err = turn(self)
  conclude(self.opts, leave, ok, status, status ~= "done" and err or nil)
end

Runner.__close = Runner.close

local RUNNER_OPTIONS = {}
for name, want in pairs(OPTIONS) do
  if name ~= "trace" then RUNNER_OPTIONS[name] = want end
end

--- A runner: several calls on one loop, for a REPL or the tests of a framework.
---@param opts? neap.RunOptions
---@return neap.Runner
local function runner(opts)
  opts = options.check("neap.runner", opts, RUNNER_OPTIONS)
  return setmetatable({
    opts = opts, more = core.event(), busy = false, closed = false,
  }, Runner)
end

return { run = run, at_exit = at_exit_register, runner = runner }
