--- The benchmarks: every row's contenders in turn, round after round, each in
--- a process of its own; medians, ratios, budgets. Started by bench/run.sh.

local cli = require "lib.cli"
local machine = require "bench.machine"
local results = require "bench.results"
local rows = require "bench.rows"

local function set(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= "" and value ~= "0"
end

local options = cli.parse("Measure neap beside what else there is.", {
  { name = "quick", kind = "flag", default = set "QUICK",
    help = "less than two minutes; also QUICK=1" },
  { name = "scale", kind = "flag", default = set "SCALE",
    help = "also the series 10^2 .. 10^6; also SCALE=1" },
  { name = "only", kind = "string", value = "ROW", default = os.getenv "ONLY",
    help = "rows whose id contains this" },
  { name = "rounds", kind = "integer", min = 1, help = "of every row" },
  { name = "out", kind = "string", value = "PATH",
    help = "write the results there, not to bench/RESULTS.md" },
})

local FULL_ROUNDS <const>, QUICK_ROUNDS <const> = 5, 3

local function note(form, ...)
  io.stderr:write(form:format(...), "\n")
end

--- Fill in `$name` from the tables, in order.
local function expand(text, ...)
  local tables = { ... }
  return (text:gsub("%$(%w+)", function(name)
    for _, t in ipairs(tables) do
      if t[name] ~= nil then return tostring(t[name]) end
    end
    error("no value for $" .. name)
  end))
end

--- Run one contender once. Returns what it printed, by key, or nil and why.
local function once(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1", "r"))
  local text = pipe:read("a")
  local _, how, status = pipe:close()
  if how == "signal" then error("interrupted", 0) end
  if status ~= 0 then
    -- Lua says what is wrong first, Python last.
    return nil, text:match("^lua%S*: ([^\n]*)") or text:match("([^\n]+)%s*$")
      or ("ended with status " .. status)
  end
  local got = {}
  for key, value in text:gmatch("(%w+) (%S+)") do got[key] = tonumber(value) end
  if not got.ops then return nil, "printed no result" end
  return got
end

--- Mark the contenders that are not on this machine.
local function look_for_contenders()
  for name, c in pairs(rows.contenders) do
    c.name = c.name or name
    if c.probe and not machine.ask(c.probe .. " && echo yes") then
      c.absent = c.missing or "missing: install " .. c.package
      note("%s is left out: %s", c.name, c.absent)
    end
  end
end

local function wanted(row)
  return not options.only or row.id:find(options.only, 1, true) ~= nil
end

--- Run SQL for a row, on a connection of its own.
local function run_sql(dsn, statements)
  local db <close> = require "neap.pg".connect(dsn, { max = 1 })
  for _, text in ipairs(statements) do db:exec(text) end
end

--- All rounds of one row: contender -> list of results, or -> why not.
local function measure(row, values)
  local names = {}
  for name in pairs(row.run) do names[#names + 1] = name end
  table.sort(names)
  local rounds = options.rounds or row.rounds
    and row.rounds[options.quick and "quick" or "full"]
    or (options.quick and QUICK_ROUNDS or FULL_ROUNDS)
  local got, failed = {}, {}
  for round = 1, rounds do
    for turn = 1, #names do
      -- Another one begins each round.
      local name = names[(turn + round) % #names + 1]
      local c = rows.contenders[name]
      if c.absent then
        failed[name] = c.absent
      elseif row.database and not values.dsn then
        failed[name] = values.why
      elseif not failed[name] then
        if row.before then run_sql(values.uri, row.before) end
        local result, why = once(expand(c.command .. " " .. row.run[name],
          options.quick and row.quick or row.full, values))
        if result then
          got[name] = got[name] or {}
          table.insert(got[name], result)
        else
          failed[name] = why
          note("  %s: %s", c.name, why)
        end
      end
    end
  end
  return { row = row, got = got, failed = failed, rounds = rounds }
end

-- Sizes that would take longer than this, going by the last two, are left out.
local PATIENCE <const> = 20 -- seconds

local function series(values)
  local out = {}
  for _, row in ipairs(rows.scale) do
    if not row.database or values.dsn then
      note("scale: %s", row.title)
      local points, c = {}, rows.contenders[row.run[1]]
      for power = 2, options.quick and 5 or 6 do
        local last, before = points[#points], points[#points - 1]
        if before and last.cpu * math.max(10, last.cpu / before.cpu)
            > PATIENCE then
          break
        end
        local n, cpu = 10 ^ power // 1 | 0, {}
        for i = 1, power < 6 and 3 or 1 do
          local result, why = once(expand(c.command .. " " .. row.run[2],
            { n = n }, values))
          if not result then error(row.title .. ": " .. why, 0) end
          cpu[i] = result.cpu
        end
        table.sort(cpu)
        points[#points + 1] = { n = n, cpu = cpu[(#cpu + 1) // 2] }
      end
      out[#out + 1] = { title = row.title, points = points }
    end
  end
  return out
end

--- The same address as a URI, the one form that all contenders take.
local function uri(dsn)
  if dsn:find("^postgres%w*://") then return dsn end
  local function encode(text)
    return (text:gsub("[^%w%-._~/]", function(c)
      return ("%%%02X"):format(c:byte())
    end))
  end
  local parts, database = {}, ""
  for key, value in dsn:gmatch("(%w+)%s*=%s*'?([^'%s]*)'?") do
    if key == "dbname" then database = encode(value)
    else parts[#parts + 1] = key .. "=" .. encode(value) end
  end
  return "postgresql:///" .. database .. "?" .. table.concat(parts, "&")
end

--- A private server with pgbench's tables, or the one DATABASE_URL names.
--- `use` is called with the DSN and the server's version.
local function with_server(use)
  local neap = require "neap"
  local pg = require "neap.pg"
  neap.run(function()
    local given = os.getenv "DATABASE_URL"
    if given == "" then given = nil end
    local server <close> = not given and pg.ephemeral() or nil
    local dsn = given or server.dsn
    local version
    do
      local db <close> = pg.connect(dsn, { max = 1 })
      version = db:value "show server_version"
      -- What `pgbench -i -s 1` makes, as far as `pgbench -S` reads it.
      for _, sql in ipairs {
        "drop table if exists pgbench_accounts, pgbench_branches",
        "create table pgbench_branches (bid int primary key)",
        "insert into pgbench_branches values (1)",
        "create table pgbench_accounts (aid int primary key, bid int, "
          .. "abalance int, filler char(84))",
        "insert into pgbench_accounts "
          .. "select i, 1, 0, '' from generate_series(1, 100000) i",
        "vacuum analyze pgbench_accounts",
        "checkpoint",
      } do db:exec(sql) end
    end
    use(uri(dsn), version, neap.checkpoint)
  end)
end

local function main()
  look_for_contenders()
  local need_server = options.scale
  for _, row in ipairs(rows.list) do
    need_server = need_server or row.database and wanted(row)
  end

  local awake <close> = machine.awake()
  local measured, scale, version = {}, nil, nil
  local load = machine.load()
  local function all(dsn, server_version, checkpoint, why)
    version = server_version
    local values = { uri = dsn, dsn = dsn and ("'%s'"):format(dsn), why = why }
    for _, row in ipairs(rows.list) do
      if wanted(row) then
        note("%s", row.title)
        measured[#measured + 1] = measure(row, values)
        if checkpoint then checkpoint() end -- Ctrl-C arrives here
      end
    end
    if options.scale then scale = series(values) end
  end
  if need_server then
    local began = false
    local ok, err = pcall(with_server, function(...)
      began = true
      all(...)
    end)
    if not ok then
      if began then error(err, 0) end
      local why = type(err) == "table" and err.message or tostring(err)
      note("no server: %s", why)
      all(nil, nil, nil, "no server: " .. why:match("[^\n]*"))
    end
  else
    all()
  end

  local report, picture = results.render(measured, {
    contenders = rows.contenders, means = rows.means,
    facts = machine.facts(rows.contenders, version), quick = options.quick, awake = awake.n, scale = scale,
    load = { load, machine.load() },
  })
  io.write(report)
  local out = options.out or not options.only and "bench/RESULTS.md" or nil
  if out then
    local function write(path, text)
      local file <close> = assert(io.open(path, "w"))
      assert(file:write(text))
      note("written to %s", path)
    end
    write(out, report)
    write((out:match("^(.*/)") or "") .. "results.svg", picture)
  end
end

local ok, err = pcall(main)
if not ok then
  cli.fail(type(err) == "table" and err.message or tostring(err))
end
