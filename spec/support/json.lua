--- A strict reader of JSON (RFC 8259), for specs that check what others must be
--- able to read. Raises with the place of the first fault.

local json = {}

local ESCAPES <const> = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t",
}

local value

local function fail(text, at, expected)
  error(("JSON: %s expected at byte %d: %q"):format(expected, at,
    text:sub(at, at + 30)), 0)
end

local function skip(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

local function expect(text, at, literal)
  if text:sub(at, at + #literal - 1) ~= literal then fail(text, at, literal) end
  return at + #literal
end

local function read_string(text, at)
  local parts = {}
  at = expect(text, at, '"')
  while true do
    local plain, stop = text:match('^([^"\\\0-\31]*)()', at)
    parts[#parts + 1] = plain
    at = stop
    if text:sub(at, at) == '"' then break end
    if text:sub(at, at) ~= "\\" then fail(text, at, "a character") end
    local code, char = text:match("^u(%x%x%x%x)", at + 1), text:sub(at + 1, at + 1)
    if code then
      parts[#parts + 1] = utf8.char(tonumber(code, 16))
      at = at + 6
    elseif ESCAPES[char] then
      parts[#parts + 1] = ESCAPES[char]
      at = at + 2
    else
      fail(text, at, "an escape")
    end
  end
  local s = table.concat(parts)
  if not utf8.len(s) then fail(text, at, "UTF-8 before") end
  return s, at + 1
end

--- What stands between brackets: `read` reads one item.
local function read_items(text, at, close, read)
  at = skip(text, at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = skip(text, read(at))
    if text:sub(at, at) == close then return at + 1 end
    at = skip(text, expect(text, at, ","))
  end
end

function value(text, at)
  local char = text:sub(at, at)
  if char == '"' then return read_string(text, at) end
  if char == "[" then
    local list = {}
    return list, read_items(text, at, "]", function(i)
      list[#list + 1], i = value(text, i)
      return i
    end)
  end
  if char == "{" then
    local object = {}
    return object, read_items(text, at, "}", function(i)
      local key
      key, i = read_string(text, i)
      i = skip(text, expect(text, skip(text, i), ":"))
      object[key], i = value(text, i)
      return i
    end)
  end
  for name, v in pairs { ["true"] = true, ["false"] = false } do
    if text:sub(at, at + #name - 1) == name then return v, at + #name end
  end
  local whole, rest = text:match("^-?(%d+)()", at)
  if not whole or #whole > 1 and whole:sub(1, 1) == "0" then fail(text, at, "a value") end
  rest = text:match("^%.%d+()", rest) or rest
  rest = text:match("^[eE][+-]?%d+()", rest) or rest
  return tonumber(text:sub(at, rest - 1)), rest
end

function json.read(text)
  local v, at = value(text, skip(text, 1))
  at = skip(text, at)
  if at <= #text then fail(text, at, "the end") end
  return v
end

return json
