--- Debug mode: functions of Lua's library that make the whole process wait, and
--- all tasks with it. They are replaced for the length of a run; each place that
--- calls one inside a task is reported once.

local core = require "neap.core"

local blocking = {}

---@type {table: table, name: string, was: function, ours: function}[] what has been replaced
local replaced = {}
---@type table<string, true> functions and places that have been reported
local seen = {}

local find <const> = string.find
local getinfo <const>, traceback <const> = debug.getinfo, debug.traceback

--- Report the caller of the replaced function, two levels above.
local function report(name, instead)
  local task = core.current()
  if not task then return end
  local info = getinfo(3, "Sl")
  local place = info and info.currentline > 0
    and info.short_src .. ":" .. info.currentline or "?"
  local what = name .. " at " .. place
  if seen[what] then return end
  seen[what] = true
  core.report("slow", core.fault.new {
    kind = "slow", traceback = traceback(nil, 3),
    message = ("%s makes every task wait: %s"):format(what, instead),
  }, task)
end

local THREAD <const> = "call it by neap.thread.call"

--- `waits(...)` says whether a call with these arguments blocks.
local function replace(t, field, name, waits, instead)
  local was = t and t[field]
  if type(was) ~= "function" then return end
  local function ours(...)
    if waits(...) then report(name, instead or THREAD) end
    return was(...)
  end
  t[field] = ours
  replaced[#replaced + 1] = { table = t, name = field, was = was, ours = ours }
end

local function always() return true end

local function from_terminal(file)
  return io.type(file) == "file" and core.is_terminal(file)
end

local function default_input() return from_terminal(io.input()) end

local function lines_of_input(name)
  return name == nil and default_input()
end

-- luasocket's; a time of 0 does not wait.
local function select_waits(_, _, timeout) return timeout ~= 0 end

function blocking.watch()
  seen = {}
  replace(os, "execute", "os.execute", function(command) return command ~= nil end)
  replace(io, "popen", "io.popen", always)
  replace(io, "read", "io.read", default_input)
  replace(io, "lines", "io.lines", lines_of_input)
  local file = getmetatable(io.stdout).__index
  replace(file, "read", "file:read", from_terminal)
  replace(file, "lines", "file:lines", from_terminal)
  local socket = package.loaded.socket
  if type(socket) ~= "table" then return end
  replace(socket, "sleep", "socket.sleep", always, "use neap.sleep")
  replace(socket, "select", "socket.select", select_waits)
  replace(socket, "connect", "socket.connect", always)
  replace(socket, "bind", "socket.bind", function(host) return find(host, "%a") end)
  replace(socket.dns, "toip", "socket.dns.toip", always)
  replace(socket.dns, "tohostname", "socket.dns.tohostname", always)
  replace(socket.dns, "getaddrinfo", "socket.dns.getaddrinfo", always)
end

--- What others have put in our place meanwhile stays.
function blocking.unwatch()
  for i = #replaced, 1, -1 do
    local r = replaced[i]
    if r.table[r.name] == r.ours then r.table[r.name] = r.was end
  end
  replaced = {}
end

return blocking
