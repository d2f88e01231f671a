--- From measurements to bench/RESULTS.md and results.svg: medians, ratios,
--- verdicts.

local plot = require "bench.plot"

local results = {}

local function sorted(list, of)
  local values = {}
  for i, result in ipairs(list) do values[i] = of(result) end
  table.sort(values)
  return values
end

local METRICS <const> = {
  cpu = function(r) return r.cpu / r.ops end,
  wall = function(r) return r.wall / r.ops end,
  rate = function(r) return r.ops / r.wall end,
  bytes = function(r) return r.bytes and r.bytes / r.ops or 0 end,
}

--- The median of a metric over all rounds, the least and the most.
local function median(list, metric)
  local values = sorted(list, METRICS[metric])
  local n = #values
  local middle = n % 2 == 1 and values[(n + 1) // 2]
    or (values[n // 2] + values[n // 2 + 1]) / 2
  return middle, values[1], values[n]
end

local function time(s)
  if s < 1e-6 then return ("%.1f ns"):format(s * 1e9) end
  if s < 1e-3 then return ("%.2f us"):format(s * 1e6) end
  if s < 1 then return ("%.2f ms"):format(s * 1e3) end
  return ("%.2f s"):format(s)
end

local SHOW <const> = {
  cpu = time, wall = time,
  rate = function(v) return ("%.0f/s"):format(v) end,
  bytes = function(v) return ("%.0f B"):format(v) end,
}

local WORDS <const> = {
  cpu = "CPU", wall = "time", rate = "rate", bytes = "memory",
}

--- Our own contender of a row.
local function ours(measured)
  local name = measured.row.run["neap.pg"] and "neap.pg" or "neap"
  return measured.got[name], measured.failed[name]
end

--- How many times better than the other we are, and what is asked for, from
--- our cost over theirs or our rate over theirs.
local function versus(budget, ratio)
  if budget.at_most then return 1 / ratio, 1 / budget.at_most end
  return ratio, budget.at_least
end

--- One budget: the cells of its line, whether it is met (nil: unknown), and
--- the two numbers of `versus`.
local function judge(measured, budget, contenders)
  local row, metric = measured.row, budget.metric
  local show = SHOW[metric]
  local mine, my_failure = ours(measured)
  local peer = budget.peer and contenders[budget.peer]
  local against = budget.what or peer.name
  local cells = { row.title, against, WORDS[metric] }
  local function rest(...)
    for _, cell in ipairs { ... } do cells[#cells + 1] = cell end
    return cells
  end

  local asked
  if budget.seconds then asked = "at most " .. time(budget.seconds)
  elseif budget.at_most then asked = ("at most %.4gx"):format(budget.at_most)
  elseif metric == "rate" then
    asked = ("at least %.4gx"):format(budget.at_least)
  else asked = ("%.4gx less"):format(budget.at_least) end

  if not mine then
    return rest("-", "-", "-", asked, "not measured: " .. tostring(my_failure))
  end
  local a = median(mine, metric)
  if budget.seconds then
    local met = a <= budget.seconds
    return rest(show(a), "-", "-", asked, met and "met" or "**not met**"),
      met, budget.seconds / a, 1
  end
  local theirs = measured.got[budget.peer]
  if not theirs then
    local why = measured.failed[budget.peer] or peer.absent or "not measured"
    return rest(show(a), "-", "-", asked, why)
  end
  local b = median(theirs, metric)
  local ratio, met
  if budget.at_most then
    ratio = a / b
    met = ratio <= budget.at_most
  else
    ratio = metric == "rate" and a / b or b / a
    met = ratio >= budget.at_least
  end
  return rest(show(a), show(b), ("%.2fx"):format(ratio), asked,
    met and "met" or "**not met**"), met, versus(budget, ratio)
end

--- The geometric mean of our rates over theirs, of those rows that `mean`
--- names; nil unless all of them were measured.
local function judge_mean(all, mean, contenders)
  local by_id, sum = {}, 0
  for _, measured in ipairs(all) do by_id[measured.row.id] = measured end
  for _, id in ipairs(mean.ids) do
    local measured = by_id[id]
    local mine = measured and ours(measured)
    local theirs = measured and measured.got[mean.peer]
    if not (mine and theirs) then return nil end
    sum = sum + math.log(median(mine, mean.metric)
      / median(theirs, mean.metric))
  end
  local ratio = math.exp(sum / #mean.ids)
  local met = ratio >= mean.at_least
  return { mean.title, contenders[mean.peer].name, WORDS[mean.metric], "-",
    "-", ("%.2fx"):format(ratio), ("at least %.4gx"):format(mean.at_least),
    met and "met" or "**not met**" }, met, ratio, mean.at_least
end

local function line(out, cells)
  out[#out + 1] = "| " .. table.concat(cells, " | ") .. " |"
end

local function head(out, cells)
  line(out, cells)
  local rule = {}
  for i = 1, #cells do rule[i] = "---" end
  line(out, rule)
end

--- Returns what there is to draw.
local function budgets(out, all, contenders, means)
  head(out, { "work", "against", "measure", "neap", "the other", "ratio",
    "asked for", "verdict" })
  local met, missed, points = 0, {}, {}
  local function add(group, cells, is_met, good, need)
    if not cells then return end
    line(out, cells)
    if is_met then met = met + 1 end
    if is_met == false then missed[#missed + 1] = cells end
    if good then
      points[#points + 1] = { group = group, title = cells[1],
        against = cells[2], measure = cells[3], good = good, need = need,
        met = is_met }
    end
  end
  for _, measured in ipairs(all) do
    local group = measured.row.database and "PostgreSQL" or "Tasks"
    for _, budget in ipairs(measured.row.against) do
      add(group, judge(measured, budget, contenders))
    end
  end
  for _, mean in ipairs(means) do
    add("PostgreSQL", judge_mean(all, mean, contenders))
  end
  out[#out + 1] = ""
  out[#out + 1] = ("%d met, %d not met.%s"):format(met, #missed,
    #missed > 0 and " What falls short:" or "")
  if #missed > 0 then out[#out + 1] = "" end
  for _, c in ipairs(missed) do
    out[#out + 1] = ("- %s, against %s: %s %s (asked for: %s).")
      :format(c[1], c[2], c[3], c[6] == "-" and c[4] or c[6], c[7])
  end
  if #missed > 0 then
    out[#out + 1] = "\nWhere the time and the memory of these go: "
      .. "[WHY.md](WHY.md)."
  end
  return points
end

local function measurements(out, all, contenders)
  head(out, { "work", "who", "CPU an operation", "time an operation",
    "operations a second", "memory an operation", "rounds" })
  for _, measured in ipairs(all) do
    local names = {}
    for name in pairs(measured.row.run) do names[#names + 1] = name end
    table.sort(names, function(a, b)
      local x, y = a:find("^neap") ~= nil, b:find("^neap") ~= nil
      if x ~= y then return x end
      return a < b
    end)
    for i, name in ipairs(names) do
      local list = measured.got[name]
      local title = i == 1 and measured.row.title or ""
      local who = contenders[name].name
      if list then
        local cpu, low, high = median(list, "cpu")
        local bytes = median(list, "bytes")
        line(out, { title, who,
          ("%s (%s to %s)"):format(time(cpu), time(low), time(high)),
          time((median(list, "wall"))), SHOW.rate((median(list, "rate"))),
          bytes > 0 and SHOW.bytes(bytes) or "", tostring(#list) })
      else
        line(out, { title, who, measured.failed[name] or "not measured", "",
          "", "", "0" })
      end
    end
  end
end

--- Slope of log(cost) over log(n) by least squares: 1 is a straight line. The
--- smallest sizes are mostly the clock, so only those from 10^3 on count.
local function slope(points)
  local n, sx, sy, sxx, sxy = 0, 0, 0, 0, 0
  for _, p in ipairs(points) do
    if p.n >= 1000 then
      local x, y = math.log(p.n), math.log(p.cpu)
      n, sx, sy = n + 1, sx + x, sy + y
      sxx, sxy = sxx + x * x, sxy + x * y
    end
  end
  return (n * sxy - sx * sy) / (n * sxx - sx * sx)
end

local function scale(out, series)
  out[#out + 1] = "\n## Scale\n"
  out[#out + 1] = "CPU for each of n; the slope of the whole is that of "
    .. "log(cost) over log(n)\nfrom 10^3 on: 1.00 is a straight line.\n"
  local cells = { "what" }
  local most = 0
  for _, s in ipairs(series) do most = math.max(most, #s.points) end
  for power = 2, most + 1 do cells[#cells + 1] = ("10^%d"):format(power) end
  cells[#cells + 1] = "slope"
  head(out, cells)
  for _, s in ipairs(series) do
    cells = { s.title }
    for i = 1, most do
      local p = s.points[i]
      cells[#cells + 1] = p and time(p.cpu / p.n) or "too long"
    end
    cells[#cells + 1] = ("%.2f"):format(slope(s.points))
    line(out, cells)
  end
end

--- The whole report as Markdown, and its picture.
---@param all table[] what run.lua has measured
---@param how table contenders, means, facts, quick, awake, scale, load
---@return string report
---@return string svg
function results.render(all, how)
  local out = {
    "# Benchmarks", "",
    "Written by `make bench`" .. (how.quick and " (QUICK=1: shorter runs, "
      .. "fewer rounds)" or "") .. ". Do not edit.", "",
    "## Budgets", "",
    "Ratios of medians. \"at most 1.2x\": our cost over theirs; \"5x less\": "
      .. "theirs over\nours; \"at least 5x\": our rate over theirs.", "",
  }
  local points = budgets(out, all, how.contenders, how.means)
  out[#out + 1] = "\n![The same as a picture](results.svg)"
  out[#out + 1] = "\n## Measurements\n"
  out[#out + 1] = "Medians; in brackets the least and the most of all rounds."
    .. "\n"
  measurements(out, all, how.contenders)
  if how.scale and #how.scale > 0 then scale(out, how.scale) end
  out[#out + 1] = "\n## How\n"
  out[#out + 1] = "- Each contender runs in a process of its own; the "
    .. "contenders of a row take turns,\n  round after round, in changing "
    .. "order. What is timed leaves out starting up."
  out[#out + 1] = "- CPU is that of the contender's process, not of the "
    .. "server. Memory is what the\n  resident set grew by, for sleeping "
    .. "tasks at its peak."
  out[#out + 1] = how.awake > 0 and ("- %d processes at the idle priority "
    .. "kept the cores awake."):format(how.awake)
    or "- Nothing kept the cores awake: times of small waits vary more than "
    .. "CPU does."
  out[#out + 1] = ("- Load average at the start %.2f, at the end %.2f (the "
    .. "benchmark itself is\n  about 2)."):format(how.load[1], how.load[2])
  if how.load[1] > 2 then
    out[#out + 1] = "- **The machine was busy with other work: times and "
      .. "rates are worth little\n  here, CPU and memory more.**"
  end
  out[#out + 1] = "- Queries go over the address in the DSN: a private "
    .. "server's unix socket, or what\n  DATABASE_URL says."
  out[#out + 1] = "\n## Machine\n"
  for _, fact in ipairs(how.facts) do out[#out + 1] = "- " .. fact end
  return table.concat(out, "\n") .. "\n", plot.render(points)
end

return results
