--- Drawing into a plain SVG file: shapes, text, and a chart frame with axes.
--- Coordinates are pixels from the upper left corner.

---@class lib.Svg
---@field private width integer
---@field private height integer
---@field private parts string[]
local Svg = {}
Svg.__index = Svg

local INK <const> = "#1f2933"
local SOFT <const> = "#616e7c"
local GRID <const> = "#e4e7eb"

local function escape(text)
  return (tostring(text):gsub("[&<>\"]", {
    ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  }))
end

local function add(self, form, ...)
  self.parts[#self.parts + 1] = form:format(...)
end

function Svg:rect(x, y, w, h, fill)
  add(self, '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>',
    x, y, w, h, fill)
end

--- A straight line; `dash` as SVG has it ("4 3"), or nil for a solid one.
function Svg:line(x1, y1, x2, y2, colour, thick, dash)
  add(self, '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" '
    .. 'stroke-width="%.1f"%s/>', x1, y1, x2, y2, colour, thick or 1,
    dash and (' stroke-dasharray="%s"'):format(dash) or "")
end

--- A line through `points` ({x, y} pairs), or an area when `fill` is given.
function Svg:path(points, colour, thick, fill)
  local steps = {}
  for i, p in ipairs(points) do
    steps[i] = ("%s%.1f %.1f"):format(i == 1 and "M" or "L", p[1], p[2])
  end
  add(self, '<path d="%s" fill="%s" stroke="%s" stroke-width="%.1f" '
    .. 'stroke-linejoin="round"/>', table.concat(steps, " "), fill or "none",
    colour, thick or 1)
end

--- Text; `opts`: `size`, `anchor` ("start", "middle", "end"), `colour`,
--- `bold`, `turned` (reads upwards).
function Svg:text(x, y, text, opts)
  opts = opts or {}
  add(self, '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" '
    .. 'fill="%s"%s%s>%s</text>', x, y, opts.size or 12,
    opts.anchor or "start", opts.colour or INK,
    opts.bold and ' font-weight="bold"' or "",
    opts.turned and (' transform="rotate(-90 %.1f %.1f)"'):format(x, y) or "",
    escape(text))
end

--- A chart frame: title, axes, ticks, grid. `ticks` are {share, label} with
--- share from 0 to 1 along the axis.
---@param box {x: number, y: number, w: number, h: number}
---@param spec {title: string, x: string, y: string, xticks: table[],
---  yticks: table[]}
function Svg:frame(box, spec)
  local bottom, right = box.y + box.h, box.x + box.w
  self:text(box.x, box.y - 14, spec.title, { size = 15, bold = true })
  for _, tick in ipairs(spec.yticks) do
    local y = bottom - tick[1] * box.h
    self:line(box.x, y, right, y, GRID)
    self:text(box.x - 8, y + 4, tick[2], { anchor = "end", colour = SOFT })
  end
  for _, tick in ipairs(spec.xticks) do
    local x = box.x + tick[1] * box.w
    self:line(x, bottom, x, bottom + 5, SOFT)
    self:text(x, bottom + 19, tick[2], { anchor = "middle", colour = SOFT })
  end
  self:line(box.x, bottom, right, bottom, SOFT)
  self:line(box.x, box.y, box.x, bottom, SOFT)
  self:text(box.x + box.w / 2, bottom + 40, spec.x, { anchor = "middle" })
  self:text(box.x - 58, box.y + box.h / 2, spec.y,
    { anchor = "middle", turned = true })
end

--- The finished document.
---@return string
function Svg:tostring()
  return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
    .. 'viewBox="0 0 %d %d" font-family="DejaVu Sans, Verdana, sans-serif">\n')
    :format(self.width, self.height, self.width, self.height)
    .. table.concat(self.parts, "\n") .. "\n</svg>\n"
end

local svg = {}

---@param width integer
---@param height integer
---@return lib.Svg
function svg.new(width, height)
  local self = setmetatable({ width = width, height = height, parts = {} }, Svg)
  self:rect(0, 0, width, height, "#ffffff")
  return self
end

--- Round values from 0 to at least `top`, about `n` of them, and the last.
---@param top number
---@param n integer
---@return number[] values
---@return number last
function svg.scale(top, n)
  if top <= 0 then return { 0, 1 }, 1 end
  local rough = top / n
  local power = 10.0 ^ math.floor(math.log(rough, 10))
  local step = 10 * power
  for _, nice in ipairs { 1, 2, 5 } do
    if nice * power >= rough then
      step = nice * power
      break
    end
  end
  local values = {}
  for i = 0, math.ceil(top / step - 1e-9) do values[#values + 1] = i * step end
  return values, values[#values]
end

return svg
