--- Pages of docs/ as programs: their Lua blocks, run one by one.
---
--- A block that calls `neap.run` or `require`s neap is a program of its own,
--- whose runs have the virtual clock unless they say otherwise; any other is the
--- body of a task on the virtual clock, with `neap` at hand.
--- What a block prints must be what its `-->` comments say, line by line.

local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

local page = {}

--- The Lua blocks of a page, each with the line on which it begins.
---@param path string
---@return {text: string, line: integer}[]
function page.blocks(path)
  local text, blocks, at = shell.read(path), {}, 1
  while true do
    local first, last, block = text:find("\n```lua\n(.-)```", at)
    if not first then return blocks end
    local _, breaks = text:sub(1, first + 7):gsub("\n", "")
    blocks[#blocks + 1] = { text = block, line = breaks + 1 }
    at = last + 1
  end
end

local function expected(block)
  local lines = {}
  for line in block:gmatch "%-%-> ([^\n]*)" do lines[#lines + 1] = line end
  return lines
end

-- neap for programs: time is virtual.
local program = setmetatable({
  run = function(opts, ...)
    if type(opts) ~= "table" then return neap.run({ clock = "virtual" }, opts, ...) end
    local with = { clock = "virtual" }
    for k, v in pairs(opts) do with[k] = v end
    return neap.run(with, ...)
  end,
}, { __index = neap })

--- Run a block; returns what it printed and what it says it prints.
---@param path string
---@param block {text: string, line: integer}
---@return string[] printed
---@return string[] said
function page.run(path, block)
  local printed = {}
  local env = setmetatable({
    neap = program,
    require = function(name) return name == "neap" and program or require(name) end,
    print = function(...)
      local words = table.pack(...)
      for i = 1, words.n do words[i] = tostring(words[i]) end
      printed[#printed + 1] = table.concat(words, " ")
    end,
  }, { __index = _G })
  local text = ("\n"):rep(block.line - 1) .. block.text
  local chunk = assert(load(text, "=" .. path, "t", env))
  local whole = block.text:find "neap%.run" or block.text:find "require \"neap\""
  if whole then chunk() else run.now({ order = true }, chunk) end
  return printed, expected(block.text)
end

--- The names that a page's headings declare: "neap.spawn", "task:await".
---@param path string
---@return table<string, boolean>
function page.headings(path)
  local names = {}
  for heading in shell.read(path):gmatch "\n##+ ([^\n]*)" do
    for name in heading:gmatch "`([%w_.:]+)" do names[name] = true end
  end
  return names
end

return page
