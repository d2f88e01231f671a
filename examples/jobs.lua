--- A queue of jobs in a table: several workers take what nobody else has
--- (FOR UPDATE SKIP LOCKED), a bell (LISTEN) wakes them, a job that fails comes
--- back later. What is taken and what is done about it are one transaction.
---
---   eval "$(make -s env)"
---   lua5.4 examples/jobs.lua         (DATABASE_URL, or a private server)

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local database = require "lib.database"
local neap = require "neap"

local WORKERS <const>, JOBS <const>, MAX_ATTEMPTS <const> = 4, 40, 3

local TAKE <const> = [[
  select id, payload, attempts from job
  where done_at is null and available_at <= now()
  order by id limit 1 for update skip locked]]

local function work(job)
  neap.sleep(0.002)
  if job.payload.n % 10 == 0 and job.attempts == 0 then
    error("job " .. job.id .. ": the mail server is busy", 0)
  end
end

--- Take one job and do it. True if there was one.
local function take_one(db, done)
  return db:transaction(function(tx)
    local job = tx:row(TAKE)
    if not job then return false end
    local ok, err = neap.pcall(work, job)
    if ok then
      tx:exec("update job set done_at = now() where id = $1", job.id)
      done[#done + 1] = job.id
    else
      tx:exec([[update job set attempts = attempts + 1, last_error = $2,
        available_at = case when attempts + 1 >= $3 then 'infinity'
          else now() + interval '20 milliseconds' end
        where id = $1]], job.id, tostring(err), MAX_ATTEMPTS)
    end
    return true
  end)
end

local function worker(db, bell, done)
  while true do
    if not take_one(db, done) then
      bell:clear()
      neap.move_on_after(0.05, bell.wait, bell) -- or look again anyway
    end
  end
end

neap.run(database.with, "neap_jobs", { max = WORKERS + 1 }, function(db)
  db:exec [[create table job (
    id int generated always as identity primary key,
    payload jsonb not null, attempts int not null default 0, last_error text,
    available_at timestamptz not null default now(), done_at timestamptz)]]
  local bell, done = neap.event(), {}
  local bells <close> = db:listen("neap_jobs", function() bell:set() end, {
    on_gap = function() bell:set() end,
  })

  neap.scope({ on_exit = "cancel" }, function(s)
    for _ = 1, WORKERS do s:spawn(worker, db, bell, done) end
    local list = {}
    for n = 1, JOBS do list[n] = { { n = n } } end
    db:exec_many("insert into job (payload) values ($1)", list)
    db:notify "neap_jobs"
    neap.timeout(20, function()
      while db:value "select exists (select from job where done_at is null)" do
        neap.sleep(0.01)
      end
    end)
  end)

  table.sort(done)
  for i, id in ipairs(done) do assert(i == id, "done twice, or not at all") end
  print(("%d jobs done by %d workers, each once; %d came back after a failure")
    :format(#done, WORKERS, db:value "select count(*) from job where attempts > 0"))
  bells:close()
end)
