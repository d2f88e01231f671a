--- The dialogue with the server split, held back and cut, at every byte and
--- message: each call ends with its own answer or an error that says why, and
--- afterwards the pool is whole.

local neap = require "neap"
local pg = require "neap.pg"
local proxy = require "spec.support.proxy"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local SLOW <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1

--- How many places of each dialogue are cut, each time others than the last:
--- NEAP_PROXY=500 takes nearly all.
local PLACES <const> = tonumber(os.getenv "NEAP_PROXY")
  or SLOW == 1 and 6 or 1
local seed = os.time()

--- What a broken connection may look like to a caller.
local RIGHT <const> = {
  connection_lost = true, -- in the middle of it
  commit_unknown = true,  -- in the middle of COMMIT
  io = true,              -- while connecting
}

local function rows(n)
  local list = {}
  for i = 1, n do list[i] = { i, ("row %d"):format(i) } end
  return list
end

--- Each is run behind the proxy, raises what it is told and checks the rest.
local work = {}

function work.query(db)
  for i = 1, 3 do
    assert(db:value("select $1::int + 1", i) == i + 1)
    local row = db:row("select $1::text as t, $2::numeric as n", "x", 1.5)
    assert(row.t == "x" and tostring(row.n) == "1.5")
  end
  local all = db:query "select i, repeat('y', 300) as y from generate_series(1, 30) i"
  assert(all.n == 30 and all[30].i == 30 and #all[7].y == 300)
  local ok, err = pcall(db.query, db, "select 1 / $1::int", 0)
  assert(not ok)
  if err.code ~= "22012" then error(err, 0) end
end

function work.many_tasks(db)
  neap.scope(function(s)
    local tasks = {}
    for i = 1, 12 do
      tasks[i] = s:spawn(pcall, db.value, db, "select $1::int * 2", i)
    end
    local failure
    for i = 1, 12 do
      local ok, v = tasks[i]:await()
      if ok then assert(v == i * 2) else failure = v end
    end
    if failure then error(failure, 0) end
  end)
end

function work.readonly(db)
  neap.scope(function(s)
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = s:spawn(pcall, db.query_opts, db, { readonly = true },
        "select $1::int * 3 as v", i)
    end
    local failure
    for i = 1, 8 do
      local ok, v = tasks[i]:await()
      if ok then assert(v[1].v == i * 3) else failure = v end
    end
    if failure then error(failure, 0) end
  end)
end

function work.transaction(db)
  db:transaction(function(tx)
    tx:exec "insert into proxied values (1, 'a')"
    pcall(tx.transaction, tx, function(inner)
      inner:exec "insert into proxied values (1, 'again')"
    end)
    tx:transaction(function(inner)
      assert(inner:exec "insert into proxied values (2, 'b')" == 1)
    end)
    assert(tx:value "select count(*) from proxied" == 2)
  end)
end

function work.batch(db)
  local counts = db:batch(function(b)
    b:exec("insert into proxied values ($1, $2)", 1, "a")
    b:exec("insert into proxied values ($1, $2)", 2, "b")
  end)
  assert(counts[1] == 1 and counts[2] == 1)
end

function work.exec_many(db)
  assert(db:exec_many("insert into proxied values ($1, $2)", rows(20)) == 20)
end

function work.copy_in(db)
  assert(db:copy_in("proxied", { "id", "t" }, rows(60)) == 60)
end

function work.copy_in_strings(db)
  local n = 0
  assert(db:copy_in("proxied", nil, function()
    n = n + 1
    if n <= 20 then return ("%d\t%s\n"):format(n, ("z"):rep(8000)) end
  end, { format = "text" }) == 20)
end

function work.copy_out(db)
  local n = 0
  for row in db:copy_out "select i, repeat('y', 500) from generate_series(1, 40) i" do
    n = n + 1
    assert(row[1] == n and #row[2] == 500)
  end
  assert(n == 40)
end

function work.copy_out_left(db)
  local out <close> = db:copy_out "select i from generate_series(1, 100000) i"
  assert(out()[1] == 1)
end

function work.copy_in_transaction(db)
  db:transaction(function(tx)
    assert(tx:copy_in("proxied", nil, rows(5)) == 5)
    local n = 0
    for _ in tx:copy_out "proxied" do n = n + 1 end
    assert(n == 5)
  end)
end

function work.each(db)
  local n = 0
  for row in db:each_opts({ batch = 4 }, "select i from generate_series(1, 10) i") do
    n = n + 1
    assert(row.i == n)
  end
  assert(n == 10)
end

function work.each_left(db)
  local each <close> = db:each_opts({ batch = 2 },
    "select i from generate_series(1, 1000) i")
  assert(each().i == 1)
  assert(each().i == 2)
  assert(each().i == 3)
end

function work.cancelled(db)
  assert(not neap.move_on_after(0.01, db.query, db, "select pg_sleep(20)"))
  assert(db:value "select 5" == 5)
end

function work.copy_cancelled(db)
  assert(not neap.move_on_after(0.01, function()
    for _ in db:copy_out "select pg_sleep(20)" do error "a row" end
  end))
  assert(db:value "select 6" == 6)
end

--- Behind the proxy: fn(db, p, direct), where `direct` goes past it.
local function behind(fn)
  return function()
    server.dsn()
    run.now({ clock = "real", timeout = 240 * SLOW }, function()
      local direct <close> = server.connect { max = 1 }
      direct:exec "drop table if exists proxied"
      direct:exec "create table proxied (id int primary key, t text)"
      local p <close> = proxy.open(server.directory() .. "/.s.PGSQL.5432")
      fn(p, direct)
    end)
  end
end

local function connect(p, opts)
  opts = opts or {}
  opts.max = opts.max or 2
  opts.min = 0
  opts.acquire_timeout = 20
  return pg.connect(p:dsn "neap_spec", opts)
end

--- Rows in the table: all or nothing, by the number that the work writes.
local WRITES <const> = { transaction = 2, batch = 2, exec_many = 20,
  copy_in = 60, copy_in_strings = 20, copy_in_transaction = 5 }

--- The number of rows, once no backend of a pool works there any more.
local function settled(direct)
  server.eventually("the server is done with it", function()
    -- Without a connection nobody can cancel it, and it would sleep on.
    direct:query [[select pg_terminate_backend(pid) from pg_stat_activity
      where query like 'select pg_sleep%' or query like 'copy%pg_sleep%']]
    return direct:value [[select count(*) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()
      and state is distinct from 'idle' and backend_type = 'client backend']]
      == 0
  end)
  return direct:value "select count(*) from proxied"
end

--- One run of `fn` while the proxy does its worst. Raises what must not be.
local function attempt(name, p, db, direct)
  local ok, err = neap.pcall(neap.timeout, 10 * SLOW, work[name], db)
  p.planned = nil
  local kind = not ok and type(err) == "table" and err.kind
  if not ok and not RIGHT[kind] then error(err, 0) end
  local n, all = settled(direct), WRITES[name] or 0
  assert(n == 0 or n == all, ("half written: %d of %d"):format(n, all))
  assert(not ok or n == all, "it said that it was done")
  assert(kind ~= "connection_lost" or n == 0 or name ~= "transaction",
    "a transaction that committed said connection_lost")
  return ok, kind
end

local function clean(p, db, direct)
  p:reset_all()
  server.eventually("the pool has noticed", function()
    return db:stats().size == 0
  end)
  server.whole(db)
  direct:exec "truncate proxied"
end

describe("the dialogue, split at every byte", function()
  for name, fn in pairs(work) do
    if name ~= "copy_in_strings" and name ~= "copy_out_left" then
      it("in both directions: " .. name, behind(function(p)
        local db <close> = connect(p)
        p.split = 1
        fn(db)
        p.split = nil
        server.whole(db)
        assert.are.equal(0, db:stats().lost)
      end))
    end
  end

  it("in pieces of any size: COPY with a full socket", behind(function(p)
    for _, size in ipairs { 3, 17, 1000, 8191 } do
      local db <close> = connect(p)
      p.split = size
      if size > 100 then work.copy_in_strings(db) end
      work.copy_out_left(db)
      p.split = nil
      server.whole(db)
      db:exec "truncate proxied"
    end
  end))
end)

--- Where to cut: the ends of messages of a run that nobody disturbs, and one
--- place within each message.
local function places(p, dir, name)
  p:reset()
  do
    local db <close> = connect(p)
    work[name](db)
  end
  local list, before = {}, 0
  for _, mark in ipairs(p.marks[dir]) do
    if mark - before > 1 then list[#list + 1] = (before + mark) // 2 end
    list[#list + 1] = mark
    before = mark
    if name:find "left" and #list > 40 then break end -- not always as far
  end
  return list
end

describe("the connection, cut at every message", function()
  for name in pairs(work) do
    for _, how in ipairs { "close", "reset", "half", "delay" } do
      it(("%s: %s"):format(name, how), behind(function(p, direct)
        for _, dir in ipairs { "up", "down" } do
          local list = places(p, dir, name)
          direct:exec "truncate proxied"
          local stride = math.max(1, #list // PLACES)
          seed = seed * 31 % 1000003
          for i = 1 + seed % stride, #list, stride do
            p:reset()
            p:cut(dir, list[i], how)
            local ok, err = pcall(function()
              local db <close> = connect(p)
              attempt(name, p, db, direct)
              clean(p, db, direct)
            end)
            if not ok and not (type(err) == "table" and err.kind == "io") then
              error(("%s after byte %d %s: %s"):format(how, list[i], dir,
                tostring(err)), 0)
            end
          end
        end
        assert.is_true(p.cuts > 0)
      end))
    end
  end
end)
