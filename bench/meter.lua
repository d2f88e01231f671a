--- What every benchmark program in Lua does alike: pick the row named on the
--- command line, run it, print what it took as `key value` lines.

local probe = require "bench.probe"

local meter = { cpu = probe.cpu, wall = probe.wall, resident = probe.resident,
  peak = probe.peak, object = probe.object }

local from_wall, from_cpu

--- The measured part begins.
function meter.start()
  collectgarbage()
  from_wall, from_cpu = probe.wall(), probe.cpu()
end

--- The measured part has ended after `ops` operations. `more` are further
--- lines to print, such as `bytes`.
---@param ops integer
---@param more table<string, number>?
function meter.stop(ops, more)
  local cpu, wall = probe.cpu() - from_cpu, probe.wall() - from_wall
  io.write(("ops %d\nwall %.9f\ncpu %.9f\n"):format(ops, wall, cpu))
  for key, value in pairs(more or {}) do
    io.write(("%s %.9g\n"):format(key, value))
  end
end

--- Run `rows[arg[1]]` with the numbers that follow.
---@param rows table<string, fun(...: integer)>
function meter.main(rows)
  local row = rows[arg[1]]
  if not row then
    io.stderr:write(arg[0], ": no row '", tostring(arg[1]), "'\n")
    os.exit(2)
  end
  local numbers = {}
  for i = 2, #arg do numbers[i - 1] = math.tointeger(tonumber(arg[i])) end
  row(table.unpack(numbers))
end

return meter
