--- Bodies of specs as tasks, on the virtual clock, with a deadline.
---
--- ```lua
--- local run = require "spec.support.run"
---
--- it("wakes in order", run(function(reports) ... end))
--- it("really sleeps", run({ clock = "real" }, function(reports) ... end))
--- ```
---
--- `reports` holds what went to on_error; `reports:take(what)` removes the
--- first one. What is left there fails the spec, and so does anything that
--- the run leaves behind.
---
--- NEAP_SHUFFLE=seed disturbs the order of tasks, for specs without `order`;
--- NEAP_GC=1 collects garbage all the time.

local neap = require "neap"

local Reports = {}
Reports.__index = Reports

--- Remove the first report and return it; it must be of this kind.
function Reports:take(what)
  local info = table.remove(self, 1)
  if not info then error("no report of " .. what, 2) end
  if info.what ~= what then
    error(("a report of %s, not of %s: %s"):format(info.what, what,
      tostring(info.error)), 2)
  end
  return info
end

local COUNTERS <const> = { "tasks", "timers", "pending", "handles" }
local LIMIT <const> = 1000000 -- seconds, mostly virtual ones

local shuffle = tonumber(os.getenv "NEAP_SHUFFLE")
local stress = os.getenv "NEAP_GC"

local function check_nothing_left(before)
  local after = neap.stats()
  for _, name in ipairs(COUNTERS) do
    if after[name] ~= before[name] then
      error(("the run left %d %s behind"):format(after[name] - before[name],
        name), 0)
    end
  end
end

local function check_reports(reports)
  local lines = {}
  for i, info in ipairs(reports) do
    lines[i] = ("unexpected report: %s: %s\n%s"):format(info.what,
      tostring(info.error), info.traceback or "")
  end
  if #lines > 0 then error(table.concat(lines, "\n"), 0) end
end

--- Run main(reports) and check that it leaves nothing; returns its values.
---@param opts table options of neap.run, and `limit`, `order`
---@param main fun(reports: table): ...
local function run(opts, main)
  local reports = setmetatable({}, Reports)
  local before, run_opts = neap.stats(), {}
  for k, v in pairs(opts) do run_opts[k] = v end
  local limit = opts.limit or LIMIT
  run_opts.limit, run_opts.order = nil, nil
  run_opts.clock = opts.clock or "virtual"
  run_opts.on_error = opts.on_error or function(info)
    reports[#reports + 1] = info
  end
  if shuffle and not opts.order then run_opts.shuffle = shuffle end
  if stress then collectgarbage("setpause", 0) end
  local results = table.pack(pcall(neap.run, run_opts, function()
    return neap.timeout(limit, main, reports)
  end))
  if stress then collectgarbage("setpause", 200) end
  check_nothing_left(before)
  if not results[1] then error(results[2], 0) end
  check_reports(reports)
  return table.unpack(results, 2, results.n)
end

--- Call fn; it must raise a fault of this kind (or, with nil, a string).
--- Returns the error.
local function raises(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error(("no error; %s expected"):format(kind or "one"), 2) end
  if kind == nil then
    if type(err) ~= "string" then error("a string expected: " .. tostring(err), 2) end
  elseif type(err) ~= "table" or err.kind ~= kind then
    error(("a fault of kind %s expected, got: %s"):format(kind, tostring(err)), 2)
  end
  return err
end

--- The lines or words that a body notes, to compare with what was expected.
local function journal()
  local list = {}
  return list, function(word) list[#list + 1] = word end
end

return setmetatable({ now = run, raises = raises, journal = journal }, {
  __call = function(_, opts, main)
    if not main then opts, main = {}, opts end
    return function() return run(opts, main) end
  end,
})
