--- statics.lua -- what the compiler made of the rooms: no mutable static
--- state, no library where it may not be known, no exports but luaopen_*.
---
---     lua5.4 tools/statics.lua BUILD
---
--- Asks nm about the objects below BUILD/src and the modules in BUILD/neap;
--- prints one line for each fault and exits 1 if there was any.

--- Writable symbols that may be: in the object whose name ends so, of this
--- name. Anything else hangs off the Lua state (DESIGN decision 5).
local allowed <const> = {
  ["neap_"] = "", -- the pointer that NEAP_MODULE makes in a driver
  ["signal_slot"] = "core/signals.o", -- the one exception of decision 5
  ["countdown"] = "base/base.o", -- these two in hostile builds only
  ["live"] = "base/base.o",
}

--- Undefined symbols that betray a library, by room.
local forbidden <const> = {
  base = { "^lua_", "^luaL_", "^uv_", "^PQ" },
  run = { "^lua_", "^luaL_", "^PQ" },
  core = { "^PQ" },
  pg = { "^uv_" },
}

local build = arg[1] or "build"
local faults, seen = 0, 0

local function fault(file, format, ...)
  faults = faults + 1
  print(("%s: " .. format):format(file, ...))
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function lines(command)
  local list = {}
  local pipe = assert(io.popen(command))
  for l in pipe:lines() do list[#list + 1] = l end
  if not pipe:close() then
    print("statics: failed: " .. command)
    os.exit(2)
  end
  return list
end

--- Mutable: .data, .bss, their thread-local kin and commons. Constants that
--- only need relocation lie in .data.rel.ro and are none of these.
local function mutable(section)
  if section:find("^%.data%.rel%.ro") then return false end
  return section:find("^%.t?data") or section:find("^%.t?bss") or section:find("COM")
end

local function check_object(path)
  local room = path:match("/src/([^/]+)/")
  for _, l in ipairs(lines("nm -f sysv " .. quote(path))) do
    local name, class, section = l:match("^([^|]-)%s*|[^|]*|%s*(%S+)%s*|[^|]*|[^|]*|[^|]*|%s*(%S*)")
    if name and class ~= "class" and class ~= "Class" then
      local base = name:gsub("%.%d+$", "") -- statics of a function are numbered
      local where = allowed[base]
      if mutable(section) and not (where and path:sub(-#where - 1):find(where, 1, true)) then
        fault(path, "%s is mutable static state (%s)", name, section)
      end
      if class == "U" then
        for _, pattern in ipairs(forbidden[room] or {}) do
          if name:find(pattern) then fault(path, "%s may not use %s", room, name) end
        end
      end
    end
  end
end

local function check_module(path)
  for _, l in ipairs(lines("nm -D --defined-only " .. quote(path))) do
    local class, name = l:match("(%a) (%S+)$")
    if name and not name:find("^luaopen_") then
      fault(path, "exports %s (%s); only luaopen_* may be seen", name, class)
    end
  end
end

for _, path in ipairs(lines("find " .. quote(build) .. "/src -name '*.o' 2>/dev/null | sort")) do
  seen = seen + 1
  check_object(path)
end
for _, path in ipairs(lines("find " .. quote(build) .. "/neap -name '*.so' 2>/dev/null | sort")) do
  seen = seen + 1
  check_module(path)
end

if seen == 0 then
  print("statics: nothing is built in " .. build)
  os.exit(1)
end
if faults > 0 then
  print(("statics: %d fault(s) in %d files"):format(faults, seen))
  os.exit(1)
end
