--- layers.lua -- do the files keep to their rooms?
---
---     lua5.4 tools/layers.lua DIR ...
---
--- Reads files as text and prints one line for each fault, `file:line:
--- sentence`; exits 1 if there was any. What it looks for:
---
--- * `#include` against the direction of the rooms (DESIGN: base, run, core;
---   drivers stand on neap.h and base alone), and libraries in rooms that may
---   not know them;
--- * a CO_AWAIT inside a nested switch, which could never be resumed;
--- * files of more than 600 lines, Lua's too.

local MAX_LINES <const> = 600

--- What each room may include: rooms, and libraries by a pattern of the
--- header's name. A library that stands nowhere is anybody's (libc, POSIX).
local rooms <const> = {
  base = { rooms = { "base" }, libraries = {} },
  run = { rooms = { "base", "run", "neap.h" }, libraries = { "uv" } },
  core = { rooms = { "base", "run", "core", "neap.h" }, libraries = { "uv", "lua" } },
  pg = { rooms = { "base", "pg", "neap.h" }, libraries = { "lua", "pq" } },
  sqlite = { rooms = { "base", "sqlite", "neap.h" }, libraries = { "lua", "sqlite" } },
  include = { rooms = {}, libraries = { "lua" } },
}

local libraries <const> = {
  { name = "lua", pattern = "^lua[%w]*%.h$" },
  { name = "lua", pattern = "^lauxlib%.h$" },
  { name = "uv", pattern = "^uv%.h$" },
  { name = "uv", pattern = "^uv/" },
  { name = "pq", pattern = "^libpq" },
  { name = "pq", pattern = "^postgresql/" },
  { name = "pq", pattern = "^postgres_ext%.h$" },
  { name = "sqlite", pattern = "^sqlite3" },
}

local faults = 0

local function fault(file, line, format, ...)
  faults = faults + 1
  print(("%s:%d: " .. format):format(file, line, ...))
end

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

--- The room a file stands in: `src/pg/conn.c` is in pg, `include/x.h` in
--- include. The last directory of a known name counts.
local function room_of(path)
  local room
  for part in path:gmatch("([^/]+)/") do
    if rooms[part] then room = part end
  end
  return room
end

local function library_of(header)
  for _, l in ipairs(libraries) do
    if header:find(l.pattern) then return l.name end
  end
end

--- Text with comments, strings, characters and directives blanked, the lines
--- kept.
local function bare(text)
  local out, i, n = {}, 1, #text
  local continued = false
  local function blank(s) return (s:gsub("[^\n]", " ")) end
  while i <= n do
    local c = text:sub(i, i)
    local two = text:sub(i, i + 1)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", i + 2, true)) or n
    elseif two == "//" then
      stop = (text:find("\n", i, true) or n + 1) - 1
    elseif c == '"' or c == "'" then
      stop = i
      repeat
        stop = stop + 1
        if text:sub(stop, stop) == "\\" then stop = stop + 2 end
      until stop >= n or text:sub(stop, stop) == c
    end
    if stop then
      out[#out + 1] = blank(text:sub(i, stop))
      i = stop + 1
    else
      out[#out + 1] = c
      i = i + 1
    end
  end
  return (table.concat(out):gsub("[^\n]*\n?", function(l)
    local directive = continued or l:find("^%s*#")
    continued = directive and l:find("\\%s*$") ~= nil
    return directive and blank(l) or nil
  end))
end

local function check_includes(path, room, text)
  local may = rooms[room]
  local line = 0
  for l in (text .. "\n"):gmatch("(.-)\n") do
    line = line + 1
    local quote, header = l:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if quote == '"' then
      local target = header:match("^([^/]+)/") or header
      if target == "neap.h" and not contains(may.rooms, target) then
        fault(path, line, "%s may not include neap.h", room)
      elseif target ~= "neap.h" and not header:find("/", 1, true) then
        fault(path, line, 'name the room: "%s/%s"', room, header)
      elseif not rooms[target] and target ~= "neap.h" then
        fault(path, line, "there is no room %s", target)
      elseif not contains(may.rooms, target) then
        fault(path, line, "%s may not include %s", room, target)
      end
    elseif quote == "<" then
      local library = library_of(header)
      if library and not contains(may.libraries, library) then
        fault(path, line, "%s may not know %s (%s)", room, library, header)
      end
    end
  end
end

--- Follows the braces; remembers at what depth each nested switch began.
local function check_awaits(path, text)
  local line, depth = 0, 0
  local switches, due = {}, false
  for l in (text .. "\n"):gmatch("(.-)\n") do
    line = line + 1
    for brace, word in l:gmatch("([{}]?)([%w_]*)") do
      if brace == "{" then
        depth = depth + 1
        if due then switches[#switches + 1] = depth end
        due = false
      elseif brace == "}" then
        if switches[#switches] == depth then switches[#switches] = nil end
        depth = depth - 1
      end
      if word == "switch" then
        due = true
      elseif word == "CO_AWAIT" and #switches > 0 then
        fault(path, line, "await inside a nested switch")
      end
    end
  end
end

local function check_length(path, text)
  local _, lines = text:gsub("\n", "\n")
  if lines > MAX_LINES then
    fault(path, lines, "%d lines; %d at most", lines, MAX_LINES)
  end
end

local function check(path)
  local room = room_of(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  check_length(path, text)
  if path:find("%.lua$") then return end
  if room == nil then
    if not ("/" .. path):find("/src/", 1, true) then return end -- tests, tools
    fault(path, 1, "this file stands in no room")
    return
  end
  check_includes(path, room, text)
  check_awaits(path, bare(text))
end

local directories = arg
local count = 0
for _, directory in ipairs(directories) do
  local quoted = "'" .. directory:gsub("'", "'\\''") .. "'"
  local pipe = assert(io.popen("find " .. quoted ..
    " -name '*.[ch]' -o -name '*.lua' | sort"))
  for path in pipe:lines() do
    count = count + 1
    check(path)
  end
  pipe:close()
end

if count == 0 then
  print("layers: no files in " .. table.concat(directories, ", "))
  os.exit(1)
end
if faults > 0 then
  print(("layers: %d fault(s) in %d files"):format(faults, count))
  os.exit(1)
end
