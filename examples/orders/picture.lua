--- The picture of a run: how long an order took, and how many went through
--- in each moment. Input is what the import has measured.

local report = require "lib.report"
local svg = require "lib.svg"

local picture = {}

local BLUE <const> = "#2b6cb0"
local PALE <const> = "#bee3f8"
local RED <const> = "#c53030"
local SOFT <const> = "#616e7c"
local BINS <const> = 48
local SLICES <const> = 60

-- 1, 2, 5, 10, ... from below `low` to above `high`.
local function decades(low, high)
  local out, power = {}, 10.0 ^ math.floor(math.log(low, 10))
  while #out < 2 or out[#out] < high do
    for _, digit in ipairs { 1, 2, 5 } do
      local value = digit * power
      if value * 2.6 > low and (#out < 2 or out[#out] < high) then
        out[#out + 1] = value
      end
    end
    power = power * 10
  end
  return out
end

local function milliseconds(s)
  local ms = s * 1000
  return ms < 1 and ("%.2g"):format(ms) or ("%.0f"):format(ms)
end

-- Logarithmic bins: the slow ones are few, and the ones to look at.
local function histogram(page, box, sorted)
  local marks = decades(sorted[1], sorted[#sorted])
  local low, high = math.log(marks[1]), math.log(marks[#marks])
  local function place(v) return (math.log(v) - low) / (high - low) end

  local bins, most = {}, 0
  for i = 1, BINS do bins[i] = 0 end
  for _, v in ipairs(sorted) do
    local i = math.min(BINS, 1 + math.floor(place(v) * BINS))
    bins[i] = bins[i] + 1
    most = math.max(most, bins[i])
  end

  local xticks, yticks = {}, {}
  for i, v in ipairs(marks) do xticks[i] = { place(v), milliseconds(v) } end
  local values, top = svg.scale(most, 5)
  for i, v in ipairs(values) do
    yticks[i] = { v / top, report.count(math.floor(v)) }
  end
  page:frame(box, {
    title = "Time per order", x = "milliseconds (logarithmic)", y = "orders",
    xticks = xticks, yticks = yticks,
  })
  local w = box.w / BINS
  for i, n in ipairs(bins) do
    local h = n / top * box.h
    page:rect(box.x + (i - 1) * w + 0.5, box.y + box.h - h, w - 1, h, BLUE)
  end
  for _, q in ipairs { 0.50, 0.95 } do
    local value = report.percentile(sorted, q) or 0
    local x = box.x + place(value) * box.w
    local y = box.y + (q < 0.9 and 10 or 28)
    page:line(x, box.y, x, box.y + box.h, RED, 1.5, "5 4")
    local left = place(value) < 0.85 -- room for the label on the right
    page:text(x + (left and 6 or -6), y,
      ("p%d = %s"):format(q * 100, report.duration(value)),
      { colour = RED, anchor = left and "start" or "end" })
  end
end

local function throughput(page, box, run)
  local width = run.elapsed / SLICES
  local slices, most = {}, 0
  for i = 1, SLICES do slices[i] = 0 end
  for _, at in ipairs(run.finished_at) do
    local i = math.max(1, math.min(SLICES, math.ceil(at / width)))
    slices[i] = slices[i] + 1
  end
  for i = 1, SLICES do
    slices[i] = slices[i] / width
    most = math.max(most, slices[i])
  end

  local xticks, yticks = {}, {}
  local seconds = svg.scale(run.elapsed, 6)
  for _, s in ipairs(seconds) do
    if s <= run.elapsed * 1.001 then
      xticks[#xticks + 1] = { s / run.elapsed, ("%g"):format(s) }
    end
  end
  local values, top = svg.scale(most, 5)
  for i, v in ipairs(values) do
    yticks[i] = { v / top, report.count(math.floor(v)) }
  end
  page:frame(box, {
    title = "Orders placed over time", x = "seconds since the start",
    y = "orders per second", xticks = xticks, yticks = yticks,
  })
  local bottom, outline = box.y + box.h, {}
  for i, rate in ipairs(slices) do
    local y = bottom - rate / top * box.h
    outline[#outline + 1] = { box.x + (i - 1) / SLICES * box.w, y }
    outline[#outline + 1] = { box.x + i / SLICES * box.w, y }
  end
  local area = { { box.x, bottom }, table.unpack(outline) }
  area[#area + 1] = { box.x + box.w, bottom }
  page:path(area, "none", 0, PALE)
  page:path(outline, BLUE, 1.5)
  local mean = #run.finished_at / run.elapsed
  local y = bottom - mean / top * box.h
  page:line(box.x, y, box.x + box.w, y, RED, 1.5, "5 4")
  page:text(box.x + box.w, box.y - 14,
    ("mean %s/s"):format(report.count(math.floor(mean))),
    { anchor = "end", colour = RED })
end

---@class orders.Picture
---@field latencies number[] seconds, sorted
---@field finished_at number[] seconds since the start, in any order
---@field elapsed number
---@field title string
---@field subtitle string

--- Draw a run.
---@param run orders.Picture
---@return string svg
function picture.draw(run)
  local page = svg.new(900, 760)
  page:text(40, 42, run.title, { size = 20, bold = true })
  page:text(40, 66, run.subtitle, { size = 13, colour = SOFT })
  if #run.latencies > 0 then
    histogram(page, { x = 100, y = 120, w = 760, h = 230 }, run.latencies)
    throughput(page, { x = 100, y = 460, w = 760, h = 230 }, run)
  else
    page:text(40, 120, "No order was placed.", { size = 14 })
  end
  return page:tostring()
end

return picture
