--- map.lua -- one line for each file: where it stands and what it is for,
--- taken from its first comment, so that the map cannot fall behind.
---
---     lua5.4 tools/map.lua [DIR ...]
---
--- Exits 1 if a file does not say what it is for.

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- The first sentence of a file's header, without the file's own name.
local function purpose(path, text)
  local name = path:match "[^/]*$"
  local body
  if path:find "%.lua$" then
    body = text:gsub("^#![^\n]*\n", ""):match "^(%-%-[^\n]*\n[^\n]*)"
    body = body and body:gsub("^%-%-%-?", ""):gsub("\n%-%-%-?", "\n")
    if body and body:find "\n[^ ]" then body = body:match "^[^\n]*" end
  else
    body = text:match "^/%*%s*\n(.-)%*/"
    body = body and body:gsub("%f[^\n\0]%*%*", "")
  end
  if body == nil then return nil end
  body = body:gsub("\n%s*\n.*", ""):gsub("%s+", " "):gsub("^ ", "")
  if body:sub(1, #name + 4) == name .. " -- " then body = body:sub(#name + 5) end
  local sentence = (body .. " "):match "^(.-[%.;])%s" or body
  sentence = sentence:gsub("[%.:;%s]+$", "")
  return sentence ~= "" and sentence or nil
end

local directories = #arg > 0 and arg
  or { "include", "src", "lua", "examples", "bench", "test", "tools" }
local words = {}
for i, d in ipairs(directories) do words[i] = quote(d) end
local pipe = assert(io.popen("find " .. table.concat(words, " ")
  .. " -name '*.[ch]' -o -name '*.lua' | sort"))
local silent, room = 0, nil
for path in pipe:lines() do
  local file = assert(io.open(path))
  local what = purpose(path, file:read "a")
  file:close()
  local directory = path:match "^(.*)/" or "."
  if directory ~= room then
    print((room and "\n" or "") .. directory .. "/")
    room = directory
  end
  if what == nil then
    silent = silent + 1
    what = "(does not say what it is for)"
  end
  print(("  %-18s %s"):format(path:match "[^/]*$", what))
end
pipe:close()
os.exit(silent == 0 and 0 or 1)
