--- What is measured, against whom, and what is asked for. A row is one kind of
--- work; its contenders are commands that print `ops`, `wall`, `cpu` and
--- sometimes `bytes`. Budgets are those of the design.

local rows_pg = require "bench.rows_pg"

local rows = {}

--- The programs and what must be there for each. `probe` is a command that
--- succeeds when it is; `version` prints which one it is.
rows.contenders = {
  neap = { command = "lua5.4 bench/core_neap.lua" },
  lua = {
    command = "lua5.4 bench/core_lua.lua", name = "Lua",
    version = "lua5.4 -v",
  },
  cqueues = {
    command = "lua5.4 bench/core_cqueues.lua",
    probe = "lua5.4 -e 'require \"cqueues\"'", package = "lua-cqueues",
    version = "dpkg-query -W -f '${Version}' lua-cqueues",
  },
  uvloop = {
    command = "/usr/bin/python3 bench/core_uvloop.py",
    name = "asyncio on uvloop",
    probe = "/usr/bin/python3 -c 'import uvloop'", package = "python3-uvloop",
    version = "/usr/bin/python3 -c 'import platform as p, uvloop as u; "
      .. 'print("Python", p.python_version(), "uvloop", u.__version__)\'',
  },
}

-- Numbers for a full run and for a quick one. `unit` is what one op is
-- called; `against` lists budgets: `metric` is cpu, wall (seconds an op),
-- rate (ops a second) or bytes. A budget is `at_most` (ours over theirs) or
-- `at_least` (for rates ours over theirs, for costs theirs over ours).

---@class bench.Row
---@field id string
---@field title string
---@field unit string
---@field run table<string, string> contender -> arguments
---@field full table<string, integer>
---@field quick table<string, integer>
---@field against table[]
---@field database boolean?
---@field before string[]? SQL that runs before every contender

---@type bench.Row[]
rows.list = {
  {
    id = "switch", title = "switch: sleep(0) in 1,000 tasks", unit = "switch",
    run = { neap = "switch $n 1000", lua = "switch $n 1000",
      cqueues = "switch $n 1000", uvloop = "switch $n 1000" },
    full = { n = 1000000 }, quick = { n = 200000 },
    against = {
      { peer = "lua", metric = "cpu", at_most = 1.0 },
      { peer = "cqueues", metric = "cpu", at_least = 5 },
      { peer = "uvloop", metric = "cpu", at_least = 7 },
    },
  },
  {
    id = "spawn", title = "spawn, run and await a task", unit = "task",
    run = { neap = "spawn $n", uvloop = "spawn $n" },
    full = { n = 200000 }, quick = { n = 50000 },
    against = { { peer = "uvloop", metric = "cpu", at_least = 10 } },
  },
  {
    id = "satisfied", title = "a wait that is already satisfied",
    unit = "wait", run = { neap = "satisfied $n", lua = "satisfied $n" },
    full = { n = 5000000 }, quick = { n = 2000000 },
    against = {
      { peer = "lua", what = "C method with luaL_checkudata",
        metric = "cpu", at_most = 1.2 },
    },
  },
  {
    id = "sleepers", title = "100,000 sleeping tasks", unit = "task",
    run = { neap = "sleepers $n", uvloop = "sleepers $n",
      cqueues = "sleepers $n" },
    full = { n = 100000 }, quick = { n = 100000 },
    rounds = { full = 5, quick = 1 },
    against = {
      { peer = "uvloop", metric = "cpu", at_least = 8 },
      { peer = "uvloop", metric = "bytes", at_most = 1.0 },
    },
  },
  {
    id = "parked", title = "parked tasks, their handles kept", unit = "task",
    run = { neap = "parked $n", lua = "parked $n", uvloop = "parked $n" },
    full = { n = 200000 }, quick = { n = 100000 },
    rounds = { full = 3, quick = 1 },
    against = {
      { peer = "lua", what = "bare coroutines", metric = "bytes",
        at_most = 1.25 },
    },
  },
  {
    id = "emit", title = "emit to one listener that does not wait",
    unit = "emit", run = { neap = "emit $n", lua = "emit $n" },
    full = { n = 5000000 }, quick = { n = 1000000 },
    against = {
      { peer = "lua", what = "a Lua loop over functions", metric = "cpu",
        at_most = 3 },
    },
  },
}

for name, c in pairs(rows_pg.contenders) do rows.contenders[name] = c end
table.move(rows_pg.list, 1, #rows_pg.list, #rows.list + 1, rows.list)
rows.means = rows_pg.means

--- Work that must grow in a straight line; each takes 10^2 to 10^6.
rows.scale = {
  { title = "tasks started and ended", run = { "neap", "scale_tasks $n" } },
  { title = "Lua alone: coroutines made, resumed three times",
    run = { "lua", "scale_tasks $n" } },
  { title = "timers set and reached", run = { "neap", "scale_timers $n" } },
  { title = "waiters of one event", run = { "neap", "scale_waiters $n" } },
  { title = "listeners added, one emit",
    run = { "neap", "scale_listeners $n" } },
  { title = "rows of one result", database = true,
    run = { "neap.pg", "scale_rows $dsn $n" } },
}

return rows
