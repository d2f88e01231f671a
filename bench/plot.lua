--- The budgets as a picture: how many times better or worse than the other,
--- on a logarithmic axis, with a mark at what is asked for. SVG.

local plot = {}

local LEFT <const>, WIDE <const>, RIGHT <const> = 560, 380, 60
local TOP <const>, LINE <const>, BAR <const> = 84, 20, 12
local GOOD <const>, BAD <const>, GREY <const> = "#2a7f62", "#c8553d", "#777"
local TICKS <const> = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200 }

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;",
    [">"] = "&gt;" }))
end

---@class bench.Point
---@field title string
---@field against string
---@field measure string   "CPU", "rate" ...
---@field group string
---@field good number      times better than the other
---@field need number      what is asked for, likewise
---@field met boolean

--- The ends of the axis: two of the ticks.
local function ends(points)
  local low, high = 1, 1
  for _, p in ipairs(points) do
    low = math.min(low, p.good, p.need)
    high = math.max(high, p.good, p.need)
  end
  local first, last = TICKS[1], TICKS[#TICKS]
  for _, t in ipairs(TICKS) do
    if t <= low / 1.1 then first = t end
    if t >= high * 1.1 then last = math.min(last, t) end
  end
  return first, last
end

---@param points bench.Point[] those of a group one after the other
---@return string
function plot.render(points)
  local low, high = ends(points)
  local scale = WIDE / math.log(high / low)
  local function x_of(value)
    local clipped = math.max(low, math.min(high, value))
    return LEFT + scale * math.log(clipped / low)
  end

  local out, y, group = {}, TOP, nil
  local function add(form, ...) out[#out + 1] = form:format(...) end
  local function text(x, at, anchor, colour, words, more)
    add('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>%s</text>', x,
      at, anchor, colour, more or "", escape(words))
  end

  for _, p in ipairs(points) do
    if p.group ~= group then
      group = p.group
      y = y + LINE
      text(12, y - 6, "start", "#000", group, ' font-weight="bold"')
    end
    local one, to = x_of(1), x_of(p.good)
    local colour = p.met and GOOD or BAD
    local middle = y + LINE / 2
    text(LEFT - 12, middle + 4, "end", "#222",
      ("%s  |  %s, %s"):format(p.title, p.against, p.measure))
    add('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>',
      math.min(one, to), middle - BAR / 2, math.max(1, math.abs(to - one)),
      BAR, colour)
    add('<path d="M%.1f %.1fv%d" stroke="#000" stroke-width="2"/>',
      x_of(p.need), middle - 8, 16)
    text(math.max(one, to, x_of(p.need)) + 6, middle + 4, "start", colour,
      ("%.2fx"):format(p.good))
    y = y + LINE
  end

  local height = y + 16
  local grid = {}
  for _, t in ipairs(TICKS) do
    if t >= low and t <= high then
      grid[#grid + 1] = ('<path d="M%.1f %dV%d" stroke="%s"/>'):format(x_of(t),
        TOP - 4, y, t == 1 and "#000" or "#ddd")
      grid[#grid + 1] = ('<text x="%.1f" y="%d" text-anchor="middle" '
        .. 'fill="%s">%gx</text>'):format(x_of(t), TOP - 10, GREY, t)
    end
  end
  local width = LEFT + WIDE + RIGHT
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
      .. 'width="%d" height="%d" font-family="sans-serif" font-size="12">')
      :format(width, height, width, height),
    "<title>neap beside what else there is</title>",
    ('<rect width="%d" height="%d" fill="#fff"/>'):format(width, height),
    '<text x="12" y="26" font-size="16" font-weight="bold">neap beside what '
      .. "else there is</text>",
    ('<text x="12" y="46" fill="%s">How many times faster, or less CPU or '
      .. "memory: right of 1x neap is better. The black mark is what is "
      .. "asked for.</text>"):format(GREY),
    table.concat(grid, "\n"), table.concat(out, "\n"), "</svg>\n",
  }, "\n")
end

return plot
