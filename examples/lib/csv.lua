--- Comma-separated values, one record a line. A quoted field may hold commas
--- and doubled quotes but no line break, so a spoiled line spoils only itself.

local csv = {}

--- Split one line. A trailing carriage return is dropped.
---@param line string
---@return string[]? fields
---@return string? why nil fields: what is wrong with the line
function csv.split(line)
  if line:byte(-1) == 13 then line = line:sub(1, -2) end
  local fields, n, at = {}, 0, 1
  while true do
    n = n + 1
    if line:byte(at) == 34 then -- a quote
      local text, from = "", at + 1
      while true do
        local close = line:find('"', from, true)
        if not close then return nil, "a quote is never closed" end
        text = text .. line:sub(from, close - 1)
        at = close + 1
        if line:byte(at) ~= 34 then break end
        text, from = text .. '"', at + 1
      end
      if at <= #line and line:byte(at) ~= 44 then
        return nil, "text after a closing quote"
      end
      fields[n] = text
    else
      local stop = line:find(",", at, true) or #line + 1
      fields[n] = line:sub(at, stop - 1)
      at = stop
    end
    if at > #line then return fields end
    at = at + 1 -- over the comma
  end
end

--- Iterate over the lines of a file that follow its header: `number, line`.
--- The header must name exactly the `columns` expected. Raises otherwise,
--- and when the file cannot be read.
---@param path string
---@param columns string[]
---@return fun(): integer?, string?
function csv.lines(path, columns)
  local file, why = io.open(path, "rb")
  if not file then error({ message = why }, 0) end
  local header, reason, code = file:read("l")
  if not header then
    file:close()
    error({ message = path .. ": "
      .. (code and reason or "the file is empty") }, 0)
  end
  local expected = table.concat(columns, ",")
  if header:gsub("\r$", "") ~= expected then
    file:close()
    error({ message = ("%s: the first line is not '%s'")
      :format(path, expected) }, 0)
  end
  local number = 1
  return function()
    local line = file and file:read("l")
    if line then
      number = number + 1
      return number, line
    end
    if file then file = file:close() and nil end
    return nil
  end
end

--- All records of a file as tables by column name. Raises on a bad record.
---@param path string
---@param columns string[]
---@return table<string, string>[]
function csv.read(path, columns)
  local out = {}
  for number, line in csv.lines(path, columns) do
    local fields, why = csv.split(line)
    if fields and #fields ~= #columns then
      why = ("%d fields instead of %d"):format(#fields, #columns)
    end
    if why or not fields then
      error({ message = ("%s:%d: %s"):format(path, number, why) }, 0)
    end
    local record = {}
    for i, name in ipairs(columns) do record[name] = fields[i] end
    out[#out + 1] = record
  end
  return out
end

return csv
