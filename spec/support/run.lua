--- Bodies of specs as tasks: neap.test, on the virtual clock unless told
--- otherwise.
---
--- ```lua
--- local run = require "spec.support.run"
---
--- it("wakes in order", run(function(reports) ... end))
--- it("really sleeps", run({ clock = "real" }, function(reports) ... end))
--- ```
---
--- `run.now` runs a body at once. Options are those of test.it, and `order`: the
--- spec is about the order of tasks, which no seed may disturb.

local test = require "neap.test"

local TIMEOUT <const> = 30 -- real seconds: some bodies are storms

local function run(opts, main)
  local own = { clock = "virtual", timeout = TIMEOUT }
  for key, value in pairs(opts) do own[key] = value end
  if own.order then own.shuffle = false end
  own.order = nil
  return test.run(own, main)
end

--- The lines or words that a body notes, to compare with what was expected.
local function journal()
  local list = {}
  return list, function(word) list[#list + 1] = word end
end

return setmetatable({ now = run, raises = test.raises, journal = journal }, {
  __call = function(_, opts, main)
    if not main then opts, main = {}, opts end
    return function() return run(opts, main) end
  end,
})
