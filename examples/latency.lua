--- One order, as a web shop places it: three lookups (50, 50 and 30 ms), a
--- save (80 ms), then a mail (200 ms) and a word to the warehouse (100 ms).
--- First one after another; then the lookups at once and the two messages in
--- the background, so that the customer waits for 50 + 80 ms. The database
--- does the waiting: each step is a pg_sleep.
---
---   eval "$(make -s env)"
---   lua5.4 examples/latency.lua         (DATABASE_URL, or a private server)

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local cli = require "lib.cli"

local options = cli.parse("One order, step by step and concurrently.", {
  { name = "runs", kind = "integer", min = 1, default = 5,
    help = "how often; the median is shown" },
})

local neap = require "neap"
local pg = require "neap.pg"

local USER <const>, PRODUCT <const>, STOCK <const> = 0.050, 0.050, 0.030
local SAVE <const>, MAIL <const>, WAREHOUSE <const> = 0.080, 0.200, 0.100

local function step(db, seconds)
  return function() db:exec("select pg_sleep($1)", seconds) end
end

--- Returns when the customer has the answer and when all is done, in seconds.
local function one_by_one(db)
  local start = neap.now()
  for _, seconds in ipairs { USER, PRODUCT, STOCK, SAVE, MAIL, WAREHOUSE } do
    step(db, seconds)()
  end
  local done = neap.now() - start
  return done, done
end

local function concurrently(db)
  local start = neap.now()
  neap.gather(step(db, USER), step(db, PRODUCT), step(db, STOCK))
  step(db, SAVE)()
  local mail = neap.background(step(db, MAIL))
  local warehouse = neap.background(step(db, WAREHOUSE))
  local answered = neap.now() - start
  mail:await()
  warehouse:await()
  return answered, neap.now() - start
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function show(name, workflow, db, ideal)
  local answers, ends = {}, {}
  for i = 1, options.runs do answers[i], ends[i] = workflow(db) end
  local answer = median(answers)
  print(("%-13s answer after %6.1f ms (the steps need %3.0f), all done after "
    .. "%6.1f ms"):format(name, answer * 1e3, ideal * 1e3, median(ends) * 1e3))
  return answer
end

local function main()
  local given = os.getenv "DATABASE_URL"
  if given == "" then given = nil end
  local server <close> = not given and pg.ephemeral() or nil
  local db <close> = pg.connect(given or server.dsn, { min = 3, max = 5 })
  concurrently(db) -- warm: connections open, statement prepared

  local slow = show("one by one", one_by_one, db,
    USER + PRODUCT + STOCK + SAVE + MAIL + WAREHOUSE)
  local fast = show("concurrently", concurrently, db,
    math.max(USER, PRODUCT, STOCK) + SAVE)
  print(("%-13s %.1f times sooner"):format("", slow / fast))
end

local ok, err = pcall(neap.run, main)
if not ok then
  cli.fail(type(err) == "table" and err.message or tostring(err))
end
