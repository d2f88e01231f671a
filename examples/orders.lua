--- Imports an order book into PostgreSQL: tasks, a connection pool,
--- repositories, a unit of work and events, end to end.
---
---   eval "$(make -s env)"
---   lua5.4 examples/orders.lua              (or: make demo)
---
--- It uses the server that DATABASE_URL names, else a private one that is
--- gone afterwards. In the database it makes two schemas, neap_orders and
--- neap_orders_serial, and leaves them for a look; nothing else is touched.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local cli = require "lib.cli"

local options = cli.parse("Import an order book into PostgreSQL.", {
  { name = "file", kind = "string", value = "PATH",
    default = here .. "data/orders.csv", help = "the order book" },
  { name = "limit", kind = "integer", min = 1,
    help = "stop after so many lines" },
  { name = "concurrency", kind = "integer", min = 1, max = 1000, default = 32,
    help = "orders under way at once" },
  { name = "pool", kind = "integer", min = 1, max = 100, default = 10,
    help = "connections" },
  { name = "sample", kind = "integer", min = 0, default = 2000,
    help = "lines for the comparison one by one; 0: none" },
  { name = "out", kind = "string", value = "PATH",
    default = (here:match("^(.*)examples/$") or here .. "../")
      .. "build/orders.svg", help = "the picture" },
  { name = "no-svg", kind = "flag", help = "draw no picture" },
})

local neap = require "neap"
local pg = require "neap.pg"
local csv = require "lib.csv"
local progress = require "lib.progress"
local report = require "lib.report"
local books = require "orders.books"
local import = require "orders.import"
local line = require "orders.line"
local picture = require "orders.picture"
local schema = require "orders.schema"
local serial = require "orders.serial"

local SCHEMA <const> = "neap_orders"
local SCHEMA_SERIAL <const> = "neap_orders_serial"

local terminal = cli.on_terminal()
local listener_failures = 0

local function say(form, ...)
  io.write(form:format(...), "\n")
  io.flush()
end

-- Listeners fail into the run, not into the order that called them.
local function on_error(info)
  if info.what == "listener" then
    listener_failures = listener_failures + 1
  else
    io.stderr:write(("orders.lua: %s: %s\n"):format(info.what,
      tostring(info.error)))
  end
end

--- The lines of the file that are wanted, and how many there are.
local function book(limit)
  local total = 0
  for _ in csv.lines(options.file, line.COLUMNS) do total = total + 1 end
  total = math.min(total, limit or total)
  local next_line, taken = csv.lines(options.file, line.COLUMNS), 0
  return function()
    taken = taken + 1
    if taken <= total then return next_line() end
  end, total
end

local function check_picture_path()
  if options.no_svg then return end
  local file, why = io.open(options.out, "a")
  if not file then error({ message = "cannot write " .. why }, 0) end
  file:close()
end

--- The books, as lines of text. An interrupted run may have listeners that
--- are still at work: give them a moment.
local function balance(job, placed, patience)
  local stop = neap.now() + patience
  local balanced, verdicts = books.check(job.db, placed)
  while not balanced and neap.now() < stop do
    neap.sleep(0.05)
    balanced, verdicts = books.check(job.db, placed)
  end
  say("\nThe books")
  for _, v in ipairs(verdicts) do
    say("  %-40s %s", v.question,
      v.wrong == 0 and "yes" or ("NO: %d wrong"):format(v.wrong))
  end
  return balanced
end

--- Where an import stands that does not go on. Lines before the first one
--- unfinished are done; those in flight are in the books whole or not at all.
local function say_stopped(job)
  local count, first = job:unfinished()
  say("\nStopped: every line before line %d is done; %d were under way.",
    first or job.done + 2, count)
  say("%s orders are in the database, %s lines were turned away.",
    report.count(job.db:value("select count(*) from orders")),
    report.count(job:turned_away()))
  if balance(job, nil, 2) then
    say("Nothing is half written.")
  else
    say("THE BOOKS DO NOT BALANCE.")
  end
end

--- Calls the function when the scope is left before `done` was set: by an
--- error or by Ctrl-C. Shielded, since the task is cancelled by then.
local function unless_done(state, fn)
  return setmetatable({}, { __close = function()
    if not state.done then neap.shield(10, fn) end
  end })
end

local function run_import(db)
  local lines, total = book(options.limit)
  local job = import.new(db)
  local bar = progress.new(total, terminal)
  local function show()
    bar:show(job.done, ("%s placed, %s turned away, %s retried"):format(
      report.count(job.placed), report.count(job:turned_away()),
      report.count(job.conflicts)))
  end
  say("Importing %s lines, %d at a time over %d connections",
    report.count(total), options.concurrency, options.pool)

  local state = { done = false }
  local _ <close> = unless_done(state, function()
    bar:finish()
    say_stopped(job)
  end)
  job:run(lines, {
    concurrency = options.concurrency, interval = bar:interval(), tick = show,
  })
  show()
  bar:finish()
  state.done = true
  return job
end

local function run_serial(dsn, sample)
  schema.create(dsn, SCHEMA_SERIAL)
  local db <close> = schema.connect(dsn, SCHEMA_SERIAL, { max = 1 })
  schema.fill(db, here)
  local lines, total = book(sample)
  say("The first %s lines again, one query after another", report.count(total))
  return serial.run(db, lines)
end

local function table_of(job, plain)
  local rate = job.placed / job.elapsed
  local rows = {
    "", "The import", false,
    { "lines", report.count(job.done) },
    { "orders placed", report.count(job.placed) },
  }
  local reasons = {}
  for reason in pairs(job.rejected) do reasons[#reasons + 1] = reason end
  table.sort(reasons)
  rows[#rows + 1] = { "orders rejected", report.count(job:turned_away()) }
  for _, reason in ipairs(reasons) do
    rows[#rows + 1] = { "  " .. reason, report.count(job.rejected[reason]) }
  end
  local function add(name, value) rows[#rows + 1] = { name, value } end
  add("conflicts retried", report.count(job.conflicts))
  add("events delivered", report.count(job.delivered))
  add("listener failures", report.count(listener_failures))
  local function pace(name, latencies, n, elapsed)
    add(name, report.count(math.floor(n / elapsed)) .. " orders/s")
    if #latencies > 0 then
      add("  p50", report.duration(report.percentile(latencies, 0.50)))
      add("  p95", report.duration(report.percentile(latencies, 0.95)))
    end
  end
  pace(("%d at a time"):format(options.concurrency), job.latencies,
    job.placed, job.elapsed)
  if plain then
    pace(("one by one (%s lines)"):format(report.count(plain.lines)),
      plain.latencies, plain.placed, plain.elapsed)
    if plain.placed > 0 then
      add("how many times faster",
        ("%.1f"):format(rate / (plain.placed / plain.elapsed)))
    end
  end
  return report.table(rows)
end

local function draw(job)
  local svg = picture.draw {
    latencies = job.latencies, finished_at = job.finished_at,
    elapsed = job.elapsed,
    title = ("An order book: %s orders placed in %s"):format(
      report.count(job.placed), report.duration(job.elapsed)),
    subtitle = ("%s lines, %d at a time over %d connections; "
      .. "%s rejected, %s conflicts retried"):format(report.count(job.done),
      options.concurrency, options.pool, report.count(job:turned_away()),
      report.count(job.conflicts)),
  }
  local file, why = io.open(options.out, "w")
  if not file then error({ message = "cannot write " .. why }, 0) end
  file:write(svg)
  file:close()
  say("\nThe picture of the run is in %s", options.out)
end

local function main()
  local begun = false
  local _ <close> = setmetatable({}, { __close = function()
    if not begun and neap.cancelled() then
      say("\nStopped before the first line: nothing was imported.")
    end
  end })
  book(1) -- a file that is missing is said before anything is started
  check_picture_path()
  local given = os.getenv "DATABASE_URL"
  if given == "" then given = nil end
  local server <close> = not given and pg.ephemeral() or nil
  local dsn = given or server.dsn
  say("PostgreSQL: %s; schemas %s and %s", given and "as DATABASE_URL says"
    or "a private server, gone afterwards", SCHEMA, SCHEMA_SERIAL)

  schema.create(dsn, SCHEMA)
  local db <close> = schema.connect(dsn, SCHEMA,
    -- Orders queue for a connection; that many may take their time.
    { min = math.min(3, options.pool), max = options.pool,
      acquire_timeout = 60 })
  schema.fill(db, here)

  begun = true
  local job = run_import(db)
  local sample = math.min(options.sample, options.limit or options.sample)
  local plain = sample > 0 and run_serial(dsn, sample) or nil
  io.write(table_of(job, plain))
  local balanced = balance(job, job.placed, 0)
  if not options.no_svg then draw(job) end
  return balanced
end

local ok, result = pcall(neap.run, { on_error = on_error }, main)
if not ok then
  -- A fault is one clear line; anything else is our own mistake.
  cli.fail(type(result) == "table" and result.message or tostring(result))
end
if not result then cli.fail("the books do not balance") end
