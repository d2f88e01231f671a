--- Random work on a server that is not left in peace: statements,
--- transactions, COPY, cursors, batches, LISTEN; cancelled, out of time,
--- their backends killed, the server stopped, frozen and started again.
--- Afterwards every call had its own answer or an error that says why, money
--- is neither made nor lost, no transaction is open, the pool is whole.
---
--- NEAP_SOAK=SEED repeats one, NEAP_SOAK_SECONDS makes it longer: hours, if
--- you like, seed after seed.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local SLOW <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1
local SECONDS <const> = tonumber(os.getenv "NEAP_SOAK_SECONDS") or 6
local ROUND <const> = 3 -- seconds of load for one seed
local ACCOUNTS <const>, MONEY <const> = 20, 1000

--- What a call may end with, besides its answer.
local RIGHT <const> = {
  connection_lost = true, commit_unknown = true, io = true,
  query_timeout = true, timeout = true, cancelled = true, pool_timeout = true,
  stale_statement = true, transaction_aborted = true, closed = true,
}
local RIGHT_CODES <const> = {
  ["40001"] = true, ["40P01"] = true, -- in each other's way
  ["57P01"] = true, ["57P02"] = true, ["57P03"] = true, -- killed, starting
  ["57014"] = true, -- cancelled by us
}

local function is_right(err)
  return type(err) == "table" and (RIGHT[err.kind] or
    err.kind == "pg" and RIGHT_CODES[err.code] or
    err.kind == "commit_rolled_back" and is_right(err.cause)) or false
end

--- A random generator of one's own, to be repeated.
local function generator(seed)
  local state = seed * 2862933555777941757 + 3037000493
  return function(n)
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    return 1 + (state & 0x7fffffff) % n
  end
end

local work = {}

function work.value(db, random)
  local n = random(1000000)
  assert(db:value("select $1::int", n) == n)
end

function work.slow(db, random)
  local n = random(1000000)
  local row = db:row("select $1::int as n from pg_sleep($2)", n, random(20) / 1000)
  assert(row.n == n)
end

function work.rows(db, random)
  local n = random(300)
  local rows = db:query_opts({ readonly = true, timeout = 5 },
    "select i, i * $2::int as j from generate_series(1, $1::int) i", n, n)
  assert(rows.n == n and rows[n].j == n * n)
end

local function transfer(on, random)
  local from, to, sum = random(ACCOUNTS), random(ACCOUNTS), random(50)
  if from > to then from, to = to, from end -- fewer deadlocks
  on:exec("update account set money = money - $1 where id = $2", sum, from)
  neap.checkpoint()
  on:exec("update account set money = money + $1 where id = $2", sum, to)
end

function work.transfer(db, random)
  db:transaction({ retries = random(3) - 1 }, transfer, random)
end

function work.nested(db, random)
  db:transaction(function(tx)
    transfer(tx, random)
    local undone = {}
    local ok, err = neap.pcall(tx.transaction, tx, function(inner)
      inner:exec("update account set money = money + 1000000 where id = $1",
        random(ACCOUNTS))
      error(undone, 0)
    end)
    assert(not ok)
    if err ~= undone then error(err, 0) end
  end)
end

function work.batch(db, random)
  local from, to, sum = random(ACCOUNTS), random(ACCOUNTS), random(9)
  if from > to then from, to = to, from end
  db:batch(function(b)
    b:exec("update account set money = money - $1 where id = $2", sum, from)
    b:exec("update account set money = money + $1 where id = $2", sum, to)
  end)
end

--- Groups of ten rows, whole or not at all.
function work.exec_many(db, random)
  local group, rows = random(1 << 30), {}
  for i = 1, 10 do rows[i] = { group, i } end
  assert(db:exec_many("insert into part values ($1, $2)", rows) == 10)
end

function work.copy_in(db, random)
  local group, n = random(1 << 30), 0
  assert(db:copy_in("part", nil, function()
    n = n + 1
    if n % 4 == 0 then neap.sleep(0) end
    if n <= 10 then return { group, n } end
  end) == 10)
end

function work.copy_out(db, random)
  local n, most = 0, random(2000)
  local out <close> = db:copy_out "select i, repeat('x', 200) from generate_series(1, 1500) i"
  for row in out do
    n = n + 1
    assert(row[1] == n and #row[2] == 200)
    if n == most then return end
  end
  assert(n == 1500)
end

function work.each(db, random)
  local n, most = 0, random(400)
  local rows <close> = db:each_opts({ batch = 50 },
    "select i from generate_series(1, 300) i")
  for row in rows do
    n = n + 1
    assert(row.i == n)
    if n == most then return end
  end
  assert(n == 300)
end

function work.session(db, random)
  local conn <close> = db:acquire()
  local n = random(1000)
  conn:exec(("set application_name = 'soak %d'"):format(n))
  assert(conn:value "show application_name" == "soak " .. n)
end

function work.notify(db, random)
  db:notify("soak", tostring(random(1000)))
end

local names = {}
for name in pairs(work) do names[#names + 1] = name end
table.sort(names)

--- One call after the other, some cancelled, some with little time.
local function client(state, random)
  while not state.stop do
    local name = names[random(#names)]
    local how, time = random(8), random(30) / 1000
    local ok, err
    if how == 1 then
      ok, err = neap.pcall(neap.timeout, time, work[name], state.db, random)
    elseif how == 2 then
      neap.scope(function(s)
        local task = s:spawn(function()
          ok, err = neap.pcall(work[name], state.db, random)
        end)
        neap.sleep(time)
        task:cancel()
        task:join()
        if ok == nil then ok = true end -- it never began
      end)
    else
      ok, err = neap.pcall(work[name], state.db, random)
    end
    if ok then
      state.done = state.done + 1
    elseif is_right(err) or neap.is_cancelled(err) then
      state.failed = state.failed + 1
    else
      error(("%s: %s"):format(name, tostring(err)), 0)
    end
    neap.sleep(0)
  end
end

local function postmaster(other)
  local file <close> = assert(io.open(other.dir .. "/data/postmaster.pid"))
  return file:read "n"
end

--- Does something bad to the server now and then.
local function vandal(state, other, random)
  while not state.stop do
    neap.sleep(random(100) / 1000)
    local what = random(12)
    if what <= 6 then
      neap.pcall(state.watch.query, state.watch, [[
        select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid()
        order by random() limit 2]])
    elseif what <= 9 then
      neap.pcall(state.watch.query, state.watch, [[
        select pg_cancel_backend(pid) from pg_stat_activity
        where state = 'active' and pid <> pg_backend_pid() limit 1]])
    elseif what == 10 then -- a moment without any answer
      local pids = {}
      neap.pcall(function()
        pids = state.watch:column [[select pid from pg_stat_activity
          where backend_type = 'client backend' and pid <> pg_backend_pid()]]
      end)
      for i = 1, #pids do os.execute("kill -STOP " .. pids[i] .. " 2>&-") end
      neap.sleep(0.05)
      for i = 1, #pids do os.execute("kill -CONT " .. pids[i] .. " 2>&-") end
    elseif what == 11 then -- a backend crashes: the server starts over
      local ok, pid = neap.pcall(state.watch.value, state.watch, [[
        select pid from pg_stat_activity where pid <> pg_backend_pid()
        and backend_type = 'client backend' limit 1]])
      if ok and pid and pid ~= postmaster(other) then
        os.execute(("kill -KILL %d 2>&-"):format(pid))
        neap.sleep(0.3)
      end
    else
      neap.sleep(0.2) -- peace
    end
  end
end

local function conserved(watch)
  assert.are.equal(ACCOUNTS * MONEY, watch:value "select sum(money)::int8 from account")
  assert.are.equal(0, watch:value [[select count(*) from
    (select grp from part group by grp having count(*) % 10 <> 0) broken]])
  server.eventually("no transaction is open", function()
    return watch:value [[select count(*) from pg_stat_activity
      where xact_start is not null and pid <> pg_backend_pid()
      and backend_type = 'client backend']] == 0
  end)
end

--- What nobody waited for any more, a batch of rows for instance that was
--- fetched ahead, is reported, and must be right too.
local function check_reports(reports)
  while #reports > 0 do
    local report = reports:take()
    if not is_right(report.error) then error(report.error, 0) end
  end
end

local function one_round(other, seed, seconds)
  local random = generator(seed)
  local watch <close> = pg.connect(other.dsn, { max = 1, acquire_timeout = 30 })
  local db <close> = pg.connect(other.dsn, { max = 4, acquire_timeout = 20 })
  local state = { db = db, watch = watch, done = 0, failed = 0 }
  local sub <close> = db:listen("soak", function(payload)
    assert(tonumber(payload))
  end)
  neap.timeout((seconds + 60) * SLOW, neap.scope, function(s)
    for i = 1, 12 do
      s:spawn(client, state, generator(seed * 1000 + i))
    end
    local bad = s:spawn(vandal, state, other, random)
    neap.sleep(seconds)
    state.stop = true
    bad:join()
  end)
  sub:close()
  server.eventually("it answers", function()
    return (neap.pcall(watch.value, watch, "select 1"))
  end)
  conserved(watch)
  db:expire()
  server.whole(db)
  assert(state.done > 0)
  return state
end

describe("a soak of random work", function()
  it("keeps its promises, seed after seed", function()
    local first = tonumber(os.getenv "NEAP_SOAK") or os.time() % 100000
    run.now({ clock = "real", timeout = (SECONDS * 20 + 120) * SLOW },
      function(reports)
      local other <close> = pg.ephemeral { settings = {
        restart_after_crash = "on", deadlock_timeout = "50ms",
      } }
      do
        local db <close> = pg.connect(other.dsn, { max = 1 })
        db:exec "create table account (id int primary key, money int8)"
        db:exec(("insert into account select i, %d from generate_series(1, %d) i")
          :format(MONEY, ACCOUNTS))
        db:exec "create table part (grp int, nth int)"
      end
      local until_ = neap.now() + SECONDS
      local seed = first
      repeat
        local ok, err = neap.pcall(one_round, other, seed,
          math.min(ROUND, SECONDS))
        if ok then ok, err = neap.pcall(check_reports, reports) end
        if not ok then
          error(("NEAP_SOAK=%d repeats it: %s"):format(seed, tostring(err)), 0)
        end
        seed = seed + 1
      until neap.now() >= until_ or os.getenv "NEAP_SOAK"
    end)
  end)
end)
