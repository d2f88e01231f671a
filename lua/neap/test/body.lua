--- One body in a run of its own: its deadline in real time, and the checks
--- when it has ended.

local core = require "neap.core"
local leaks = require "neap.test.leaks"
local options = require "neap.options"
local patch = require "neap.test.patch"
local run = require "neap.run"
local sequence = require "neap.test.sequence"

local kit = core.testkit

local body = {}

local function seed_from(text)
  if text == nil or text == "" then return nil end
  local seed = math.tointeger(tonumber(text))
  if not seed or seed < 1 then
    core.fault.raise {
      kind = "invalid",
      message = ("NEAP_TEST_SEED must be a whole number from 1 on, got '%s'")
        :format(text),
    }
  end
  return seed
end

local SEED <const> = seed_from(os.getenv "NEAP_TEST_SEED")

-- Collect garbage all the time: for modules in C, and for weak tables.
local STRESS <const> = (os.getenv "NEAP_TEST_GC" or "") ~= ""

-- A checker (valgrind) makes everything slower by this factor.
local SLOWDOWN <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1
local TIMEOUT <const> = 5
local GRACE <const> = 1   -- for background tasks, when the body has returned
local UNWIND <const> = 1  -- for the body, when its time is up; real seconds

-- Options of neap.run go there as they are.
local RUN_OPTIONS <const> = {
  "clock", "coroutine", "debug", "grace", "kill_after", "on_error", "pcall",
  "signals", "slow_ms", "trace",
}

local function check_shuffle(v)
  if type(v) == "boolean" then return nil end
  if math.type(v) ~= "integer" or v < 1 then
    return "must be a seed (a whole number from 1 on), true or false"
  end
end

local OPTIONS <const> = {
  timeout = options.range("number", 0),
  leaks = leaks.complaint,
  shuffle = check_shuffle,
  repeats = options.range("integer", 1),
}
for _, name in ipairs(RUN_OPTIONS) do OPTIONS[name] = "any" end

--- The options, checked.
---@param opts table|nil
---@return table
function body.check(opts) return options.check("test.it", opts, OPTIONS) end

---@class neap.test.Reports
---@field [integer] table  infos that nobody has taken, the oldest first
local Reports = {}
Reports.__index = Reports
Reports.__name = "neap.test.reports"

--- Remove the oldest report and return it. With `what` it must be of that
--- kind.
---@param what? string
---@return table info
function Reports:take(what)
  local info = self[1]
  if not info then
    error("no report" .. (what and " of '" .. what .. "'" or ""), 2)
  end
  if what and info.what ~= what then
    error(("the oldest report is of '%s', not of '%s': %s"):format(info.what,
      what, tostring(info.error)), 2)
  end
  return table.remove(self, 1)
end

--- One text for a report.
function Reports.text(info)
  local trace = info.traceback
  return ("reported as '%s'%s: %s%s"):format(info.what,
    info.name and " by " .. info.name or "", tostring(info.error),
    trace and "\n" .. tostring(trace) or "")
end

---@type neap.test.Reports|nil of the body that runs
body.reports = nil
---@type neap.test.State|nil
body.state = nil

---@class neap.test.State
---@field site string  "x_spec.lua:3: "
---@field limit number
---@field outcome table|nil  of the body's task
---@field traceback string|nil  of its failure
---@field tree string|nil  when its time was up
---@field where string|nil  its traceback then
---@field left string[]|nil  background tasks that did not end
---@field given_up boolean|nil
---@field note string|nil  what was going on, for the message of a deadline

--- True if the task has ended in time; else it is cancelled, or given up.
local function join(task, state)
  if kit.join(task, state.limit) then return true end
  state.tree, state.where = core.dump(), task:traceback()
  task:cancel("the time of the test is up")
  if not kit.join(task, UNWIND * SLOWDOWN) then
    state.given_up = true
    kit.give_up()
  end
  return false
end

--- Background tasks may end by themselves, for a while; the rest is left over.
local function wait_for_background(s, opts, state)
  local waiter = s:spawn(core.wait_background, opts.grace or GRACE)
  local in_time = kit.join(waiter, state.limit)
  if in_time and waiter:outcome()[1] then return end
  state.left = {}
  for i, task in ipairs(kit.background()) do
    state.left[i] = leaks.describe(task)
  end
  if in_time then
    core.cancel_background()
  else -- even the clock stands still
    state.given_up = true
    kit.give_up()
  end
end

local function main(state, opts, fn, ...)
  local args = table.pack(...)
  core.current().name = "neap.test"
  core.keep_scope(function(s)
    local task = s:spawn(fn, table.unpack(args, 1, args.n))
    if opts.name then task.name = opts.name end
    local in_time = join(task, state)
    state.outcome = task:outcome()
    if state.outcome and not state.outcome.ok then
      state.traceback = task:traceback()
    end
    if in_time and state.outcome.ok then
      wait_for_background(s, opts, state)
    end
  end)
end

local function site_of(fn)
  local info = type(fn) == "function" and debug.getinfo(fn, "S")
  if not info then return "" end
  return ("%s:%d: "):format(info.short_src, info.linedefined)
end

--- A tree without the traceback of our own task, which is no news to anybody.
local function without_kit(tree)
  local before, after = tree:match "^(.-neap%.test #%d+ [^\n]*\n)(.*)$"
  if not before then return tree end
  while after:find "^    | " do after = after:gsub("^[^\n]*\n", "", 1) end
  return before .. after
end

local function overdue(opts, state)
  local parts = {
    ("%sthe body was still running after %.14g s"):format(state.site,
      opts.timeout or TIMEOUT), state.tree and without_kit(state.tree),
  }
  local where = state.where or state.traceback
  if where then parts[#parts + 1] = "it was here:\n" .. where end
  if state.given_up then
    parts[#parts + 1] = "it did not end when it was cancelled"
  end
  parts[#parts + 1] = state.note
  return table.concat(parts, "\n")
end

local function complaints(opts, state, before, reports)
  local skip = leaks.skipped(opts.leaks)
  local lines = {}
  local function add(prefix, list)
    for _, line in ipairs(list) do lines[#lines + 1] = prefix .. line end
  end
  local patches = patch.restore_all()
  if not skip.patches then add("", patches) end
  add("", sequence.gaps())
  for _, info in ipairs(skip.reports and {} or reports) do
    -- Tasks that were given up are told of as left over.
    if not (state.left and info.what == "shutdown") then
      add("", { Reports.text(info) })
    end
  end
  if not skip.tasks then
    add("left running in the background: ", state.left or {})
  end
  if not state.given_up then
    add("left behind: ", leaks.since(before, skip))
  end
  return lines
end

local function run_options(opts, seed, reports)
  local out = { shuffle = seed }
  for _, name in ipairs(RUN_OPTIONS) do out[name] = opts[name] end
  out.grace = opts.grace or GRACE
  local slow_too = opts.slow_ms or opts.debug -- else it is the machine's
  out.on_error = opts.on_error or function(info)
    if info.what ~= "slow" or slow_too then reports[#reports + 1] = info end
  end
  return out
end

--- What to raise after a run that failed: the body's own error first.
local function failure(err, opts, state)
  if state.tree then return overdue(opts, state) end
  if core.fault.is(err, "deadlock") then
    err.message = without_kit(err.message)
    for _, line in ipairs(sequence.gaps()) do
      err.message = err.message .. line .. "\n"
    end
  elseif state.outcome and not state.outcome.ok then
    return state.outcome.err
  end
  return err
end

local function try_once(opts, seed, fn)
  local state = {
    site = site_of(fn), limit = (opts.timeout or TIMEOUT) * SLOWDOWN,
  }
  local reports = setmetatable({}, Reports)
  patch.mark()
  sequence.mark()
  local before = leaks.clean_snapshot()
  body.reports, body.state = reports, state
  kit.alarm(state.limit)
  local pause = STRESS and collectgarbage("setpause", 0)
  local ok, err = pcall(run.run, run_options(opts, seed, reports), main, state,
    opts, fn, reports)
  if pause then collectgarbage("setpause", pause) end
  local tree = kit.alarm()
  state.tree = state.tree or tree
  body.reports, body.state = nil, nil
  local outcome = state.outcome
  -- A run that was given up for what is left over has failed for that alone.
  if not ok and state.left and state.given_up then ok = true end
  if ok and outcome.ok and not state.tree then
    local lines = complaints(opts, state, before, reports)
    if #lines > 0 then
      return state, false, state.site .. table.concat(lines, "\n")
    end
    return state, true, table.unpack(outcome, 1, outcome.n)
  end
  patch.restore_all()
  for _, info in ipairs(reports) do
    io.stderr:write("neap.test: ", Reports.text(info), "\n")
  end
  return state, false, failure(err, opts, state)
end

--- busted's, raised by its `pending()`.
---@param err any
---@return boolean
function body.is_pending(err)
  local mt = debug.getmetatable(err)
  return type(mt) == "table" and mt.__type == "pending"
end

local function seed_for(opts, round)
  local seed = opts.shuffle
  if seed == nil then seed = SEED end
  if seed == true then seed = SEED or math.random(1, 0x7fffffff) end
  return seed and seed + round - 1 or nil
end

local function tell_seed(opts, seed, state, ok, ...)
  if not ok and seed and not body.is_pending((...)) then
    io.stderr:write(("neap.test: \"%s\" failed with NEAP_TEST_SEED=%d\n")
      :format(opts.name or state.site, seed))
  end
  return state, ok, ...
end

--- Run `fn(reports)` in a run of its own, or in several. As pcall: true and
--- its values, or false and what to raise: its error (the same object), or
--- what the checks found. Before that, the state.
---@param opts table  checked
---@param fn fun(reports: neap.test.Reports): ...
---@return neap.test.State state
---@return boolean ok
---@return any ...
function body.try(opts, fn)
  if core.running() then
    core.fault.raise {
      kind = "invalid",
      message = "neap.test: a body cannot run inside of a run",
    }
  end
  local rounds = opts.repeats or 1
  for round = 1, rounds - 1 do
    local seed = seed_for(opts, round)
    local state, ok, err = try_once(opts, seed, fn)
    if not ok then return tell_seed(opts, seed, state, ok, err) end
  end
  local seed = seed_for(opts, rounds)
  return tell_seed(opts, seed, try_once(opts, seed, fn))
end

return body
