--- Numbers and tables as people read them.

local report = {}

--- 1234567 -> "1,234,567"
---@param n integer
---@return string
function report.count(n)
  local text = ("%d"):format(n)
  local sign, digits = text:match("^(-?)(%d+)$")
  local grouped = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return sign .. grouped:gsub("^,", "")
end

--- Seconds -> "812 us", "3.4 ms", "1.25 s"
---@param s number
---@return string
function report.duration(s)
  if s < 0.001 then return ("%.0f us"):format(s * 1e6) end
  if s < 1 then return ("%.1f ms"):format(s * 1e3) end
  return ("%.2f s"):format(s)
end

--- The value below which a share `q` of a sorted list lies.
---@param sorted number[]
---@param q number 0 to 1
---@return number?
function report.percentile(sorted, q)
  if #sorted == 0 then return nil end
  return sorted[math.max(1, math.ceil(q * #sorted))]
end

-- Columns on a screen: code points, since none here is wide.
local function width(text)
  return utf8.len(text) or #text
end

--- Lay out rows of cells. The first column is flush left, the others right;
--- a row that is a string is a heading, the row `false` a rule.
---@param rows (string[]|string|false)[]
---@return string
function report.table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    if type(row) == "table" then
      for i, cell in ipairs(row) do
        widths[i] = math.max(widths[i] or 0, width(cell))
      end
    end
  end
  local total = -2
  for _, w in ipairs(widths) do total = total + w + 2 end
  local out = {}
  for _, row in ipairs(rows) do
    if row == false then
      out[#out + 1] = ("-"):rep(total)
    elseif type(row) == "string" then
      out[#out + 1] = row
    else
      local cells = {}
      for i, cell in ipairs(row) do
        local pad = (" "):rep(widths[i] - width(cell))
        cells[i] = i == 1 and cell .. pad or pad .. cell
      end
      out[#out + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
    end
  end
  return table.concat(out, "\n") .. "\n"
end

return report
