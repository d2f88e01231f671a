--- Spec files that busted runs in a process of its own, for what must fail.
---
--- ```lua
--- local out = fixture.run [[ it("fails", function() error "no" end) ]]
--- assert.equal(1, out.errors)
--- ```

local shell = require "spec.support.shell"

local fixture = {}

local root = shell.check("pwd"):gsub("\n", "")

local HEAD <const> = ("package.cpath = %q .. package.cpath\n")
  :format(root .. "/" .. shell.build .. "/spec/capi/?.so;") .. [[
local neap = require "neap"
local test = require "neap.test"
local it = test.it { clock = "virtual" }
local SLOW = tonumber(os.getenv "NEAP_SLOWDOWN") or 1
]]

fixture.busted = os.getenv "BUSTED" or shell.lua .. " /usr/bin/busted"

--- The line in the file on which the first line of the text stands.
fixture.first = select(2, HEAD:gsub("\n", "")) + 1

local function numbers(text)
  local pattern = "(%d+) success%a* / (%d+) failures? / (%d+) errors? / (%d+) pending"
  local s, f, e, p = text:match(pattern)
  if not s then error("busted did not come to its end:\n" .. text, 3) end
  return tonumber(s), tonumber(f), tonumber(e), tonumber(p)
end

--- Run the text as a spec file. `env` are assignments for the shell.
---@param text string
---@param env? string
---@return table out successes, failures, errors, pending, text, status
function fixture.run(text, env)
  local directory = shell.directory()
  local _ <close> = setmetatable({}, {
    __close = function() shell.remove(directory) end,
  })
  local file = directory .. "/x_spec.lua"
  shell.write(file, HEAD .. text)
  local status, output = shell.run(("cd %s && export FLAGS= NEAP_TEST_SEED= NEAP_TEST_GC= %s && " ..
    "%s -o plainTerminal $FLAGS x_spec.lua"):format(shell.quote(directory), env or "", fixture.busted))
  local out = { status = status, text = output }
  out.successes, out.failures, out.errors, out.pending = numbers(output)
  return out
end

return fixture
