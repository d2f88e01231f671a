--- The core's rows, on cqueues. Usage: core_cqueues.lua ROW N [M]

local meter = require "bench.meter"
local cqueues = require "cqueues"

local rows = {}

function rows.switch(n, tasks)
  local sleep, per = cqueues.sleep, n // tasks
  local controller = cqueues.new()
  for _ = 1, tasks do
    controller:wrap(function() for _ = 1, per do sleep(0) end end)
  end
  meter.start()
  assert(controller:loop())
  meter.stop(per * tasks)
end

function rows.sleepers(n)
  local controller = cqueues.new()
  local base = meter.resident()
  meter.start()
  for i = 1, n do
    controller:wrap(cqueues.sleep, 0.5 + i * 7919 % 1000 / 1000)
  end
  assert(controller:loop())
  meter.stop(n, { bytes = meter.peak() - base })
end

meter.main(rows)
