--- Commands and scratch files for specs.

local shell = {}

--- A word that the shell takes as it is.
function shell.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- Run a command; returns its exit status (128 plus the number when a signal
--- ended it), and what it wrote to stdout and stderr together.
---@param command string
---@return integer status
---@return string output
function shell.run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1 </dev/null"))
  local output = pipe:read("a")
  local _, how, code = pipe:close()
  return how == "signal" and 128 + code or code, output
end

--- As run, for commands that must succeed: returns the output alone.
function shell.check(command)
  local status, output = shell.run(command)
  if status ~= 0 then
    error(("%s\nended with status %d:\n%s"):format(command, status, output), 2)
  end
  return output
end

--- A fresh directory. Remove it with shell.remove.
function shell.directory()
  return (shell.check("mktemp -d"):gsub("\n$", ""))
end

function shell.remove(directory)
  assert(directory:find("^/tmp/") or directory:find("^/var/tmp/"), directory)
  shell.check("rm -rf " .. shell.quote(directory))
end

--- Write a file; its directories are made.
function shell.write(path, text)
  shell.check("mkdir -p " .. shell.quote(path:match("^(.*)/[^/]*$") or "."))
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

function shell.read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

--- The interpreter under which the suite runs.
shell.lua = os.getenv "LUA" or "lua5.4"

--- The build that is tested: "build", "build/asan", ...
shell.build = os.getenv "NEAP_BUILD" or "build"

return shell
