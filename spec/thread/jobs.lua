--- What specs call on other threads by name, and what holds calls back.

local shell = require "spec.support.shell"

local jobs = {}

function jobs.sum(...)
  local s = 0
  for _, v in ipairs { ... } do s = s + v end
  return s
end

jobs.callable = setmetatable({}, {
  __call = function(_, v) return "called with " .. v end,
})

jobs.number = 5

local Gate = {}
Gate.__index = Gate

--- A gate that calls wait at: each says that it has come and goes on when it
--- is let through. Real time only, for a clock of ours stands still meanwhile.
function jobs.gate()
  local directory = shell.directory()
  local path = directory .. "/gate"
  shell.check("mkfifo " .. path)
  return setmetatable({
    directory = directory, path = path, file = assert(io.open(path, "r+")),
  }, Gate)
end

--- On another thread: come to the gate as `name`, wait, return the name.
function jobs.pass(path, name)
  assert(io.open(path .. "." .. name, "w")):close()
  -- One byte lets one through. Not read by a FILE of ours: C's fflush(NULL),
  -- which io.popen calls, would wait until that has its byte.
  assert(os.execute("dd bs=1 count=1 status=none if=" .. path .. " of=/dev/null"))
  return name
end

--- Let n through.
function Gate:open(n)
  self.file:write(("."):rep(n))
  self.file:flush()
end

--- The names of those who have come, in the order of the alphabet.
function Gate:arrived()
  local names = {}
  for name in shell.check("ls " .. self.directory):gmatch "gate%.(%w+)" do
    names[#names + 1] = name
  end
  return table.concat(names, " ")
end

--- Wait until these have come.
function Gate:expect(names)
  local neap = require "neap"
  neap.timeout(20, function()
    while self:arrived() ~= names do neap.sleep(0.005) end
  end)
end

function Gate:__close()
  shell.remove(self.directory) -- first: opening it later would never end
  -- Those who still stand there, abandoned ones too, may go: they may have
  -- inherited the pipe for writing as well, and would never see its end.
  self:open(100)
  self.file:close()
end

return jobs
