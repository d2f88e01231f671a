--- Progress of a long job: one line redrawn in place on a terminal, a plain
--- line now and then otherwise (no carriage return ever reaches a file).

local report = require "lib.report"

---@class lib.Progress
---@field private total integer
---@field private terminal boolean
---@field private drawn integer width of what is on the line now
---@field private last number when it was last shown
local Progress = {}
Progress.__index = Progress

local BAR <const> = 30
local REDRAW <const> = 0.1 -- seconds between redraws on a terminal
local PLAIN <const> = 1.0 -- seconds between plain lines

--- How often `show` is worth calling, in seconds.
function Progress:interval()
  return self.terminal and REDRAW or PLAIN
end

--- Show that `done` of the total is through; `note` follows it.
---@param done integer
---@param note string
function Progress:show(done, note)
  local share = self.total > 0 and done / self.total or 1
  if not self.terminal then
    io.write(("  %3.0f%%  %s of %s lines, %s\n"):format(share * 100,
      report.count(done), report.count(self.total), note))
    io.flush()
    return
  end
  local full = math.floor(share * BAR)
  local text = ("  [%s%s] %3.0f%%  %s"):format(("#"):rep(full),
    ("."):rep(BAR - full), share * 100, note)
  local blank = (" "):rep(math.max(0, self.drawn - #text))
  io.write("\r", text, blank)
  io.flush()
  self.drawn = #text
end

--- Leave the line: whatever is printed next starts a fresh one.
function Progress:finish()
  if self.terminal and self.drawn > 0 then
    io.write("\n")
    io.flush()
  end
  self.drawn = 0
end

local progress = {}

---@param total integer
---@param terminal boolean
---@return lib.Progress
function progress.new(total, terminal)
  return setmetatable({ total = total, terminal = terminal, drawn = 0 },
    Progress)
end

return progress
