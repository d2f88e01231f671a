--- A function cancelled at its first wait, at its second ... and what it
--- leaves behind each time.

local core = require "neap.core"
local body = require "neap.test.body"
local leaks = require "neap.test.leaks"
local options = require "neap.options"

local kit = core.testkit

local OPTIONS <const> = {
  when = options.one_of { "waiting", "all" },
  max = options.range("integer", 1),
  grace = options.range("number", 0),
  leaks = leaks.complaint,
  after = "callable",
}

local MAX <const> = 10000
local GRACE <const> = 1
local POLL <const> = 0.01
local AGAIN <const> = 2 -- rounds that must leave something behind again

local HOW <const> = {
  before = "cancelled before", waiting = "cancelled in",
  granted = "cancelled when it was granted",
}

---@class neap.test.Round
---@field entries integer  checkpoints passed
---@field fired boolean  it was cancelled
---@field place string|false
---@field status string
---@field outcome table
---@field traceback string|nil
---@field left string[]

local function fail(round, number, when, text)
  local place = round.place and " (" .. round.place .. ")" or ""
  local how = round.fired
    and ("%s wait %d%s"):format(HOW[when], number, place) or "not cancelled"
  error(("cancel_sweep: %s: %s"):format(how, text), 0)
end

-- However a round is left, its probe is taken away.
local Probe = { __close = function(self) kit.probe_end(self.probe) end }

--- Takes the reports that came after the first `count`.
local function reports_since(count)
  local lines, reports = {}, body.reports or {}
  while #reports > count do
    table.insert(lines, 1, reports.text(table.remove(reports)))
  end
  return lines
end

--- What the round has left, when all has come to rest.
local function left_since(before, skip, grace)
  kit.settle()
  local left = leaks.since(before, skip)
  local limit = core.now() + grace
  while #left > 0 and core.now() < limit do
    core.sleep(POLL)
    kit.settle()
    left = leaks.since(before, skip)
  end
  return left
end

---@return neap.test.Round
local function run_round(fn, number, when, opts)
  local round = {}
  local before = leaks.snapshot()
  local heard = body.reports and #body.reports or 0
  core.keep_scope(function(s)
    local task = s:spawn(fn)
    local guard <close> = setmetatable(
      { probe = kit.probe(task, number, when) }, Probe)
    task:join()
    local _
    round.entries, _, round.fired, round.place = kit.probe_end(guard.probe)
    round.status, round.outcome = task:status(), task:outcome()
    round.traceback = task:traceback()
  end)
  round.left = left_since(before, opts.skip, opts.grace)
  local lines = reports_since(heard)
  if #lines > 0 and not opts.skip.reports then
    fail(round, number, when, table.concat(lines, "\n"))
  end
  return round
end

local function check_outcome(round, number, when)
  if round.status == "done" then return end
  if not round.fired then error(round.outcome.err, 0) end
  if round.status == "cancelled" then return end
  fail(round, number, when, ("it raised: %s%s"):format(
    tostring(round.outcome.err),
    round.traceback and "\n" .. round.traceback or ""))
end

--- A pool that has grown is no leak: a leak is what comes again.
local function check_left(round, fn, number, when, opts)
  for _ = 1, AGAIN do
    if #round.left == 0 then return end
    round = run_round(fn, number, when, opts)
    check_outcome(round, number, when)
  end
  if #round.left == 0 then return end
  fail(round, number, when, "it left behind " ..
    table.concat(round.left, ", "))
end

local function one(fn, number, when, opts)
  if body.state then
    body.state.note = ("in cancel_sweep, round %d (%s)"):format(number, when)
  end
  local round = run_round(fn, number, when, opts)
  check_outcome(round, number, when)
  check_left(round, fn, number, when, opts)
  if opts.after then opts.after(number, when, round.place or nil) end
  if body.state then body.state.note = nil end
  return round
end

--- One wait, cancelled in the ways asked for. False when there is none.
local function cancel_at(fn, number, opts)
  if opts.when == "all" then
    if not one(fn, number, "before", opts).fired then return false end
    one(fn, number, "waiting", opts)
    one(fn, number, "granted", opts)
    return true
  end
  local round = one(fn, number, "waiting", opts)
  if round.entries < number then return false end
  -- A checkpoint that did not have to wait can only be cancelled before.
  if not round.fired then one(fn, number, "before", opts) end
  return true
end

---@class neap.test.SweepOptions
---@field when? "waiting"|"all"
---@field max? integer
---@field grace? number
---@field leaks? boolean|table<string, boolean>
---@field after? fun(n: integer, when: string, place: string|nil)

--- Run `fn` again and again, cancelled at its first wait, its second ...,
--- until it ends uncancelled; return the number of waits.
---@async
---@param fn fun()
---@param opts? neap.test.SweepOptions
---@return integer
local function cancel_sweep(fn, opts)
  if not options.callable(fn) then
    error("bad argument #1 to 'cancel_sweep' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("test.cancel_sweep", opts, OPTIONS)
  opts = {
    when = opts.when, max = opts.max or MAX, grace = opts.grace or GRACE,
    skip = leaks.skipped(opts.leaks), after = opts.after,
  }
  core.checkpoint()
  for number = 1, opts.max do
    if not cancel_at(fn, number, opts) then return number - 1 end
  end
  core.fault.raise {
    kind = "invalid",
    message = ("cancel_sweep: more than %d waits"):format(opts.max),
  }
end

return { cancel_sweep = cancel_sweep }
