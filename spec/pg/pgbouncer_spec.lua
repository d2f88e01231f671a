--- Behind PgBouncer in transaction mode: each statement may run on another
--- server connection, and nothing of a session stays.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local PORT <const> = 25439

local CONFIG <const> = [[
[databases]
shop = host=%s port=%d dbname=postgres user=postgres
[pgbouncer]
listen_addr =
listen_port = %d
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = 3
logfile = %s/log
pidfile = %s/pid
%s
]]

--- A pooler in front of `mine`; it is gone when `<close>` says so.
local function start(mine, extra)
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir -m 777 %s"):format(dir)))
  local file = assert(io.open(dir .. "/ini", "w"))
  file:write(CONFIG:format(mine.dir, mine.port, PORT, dir, dir, dir,
    extra or ""))
  file:close()
  -- As root it wants another user: the server's own, who may enter.
  local as = io.popen "id -u":read "n" ~= 0 and ""
    or "-u " .. io.popen("stat -c %U " .. mine.dir .. "/data"):read "l"
  assert(os.execute(
    ("PATH=$PATH:/usr/sbin pgbouncer -q -d %s %s/ini 2>%s/error"):format(as, dir,
      dir)), "pgbouncer did not start; scripts/deps.sh test installs it")
  return setmetatable({
    dsn = ("host=%s port=%d user=postgres dbname=shop"):format(dir, PORT),
  }, { __close = function()
    local pid = assert(io.open(dir .. "/pid")):read "n"
    os.execute(("kill -9 %d"):format(pid))
    os.execute(("rm -r %s"):format(dir))
  end })
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("behind PgBouncer in transaction mode", function()
  local mine

  lazy_setup(function() mine = neap.run(pg.ephemeral) end)
  lazy_teardown(function() neap.run(function() mine:stop() end) end)

  --- A body with a pool of connections to a pooler.
  local function with(opts, fn, extra)
    return function()
      return run.now({ clock = "real", timeout = 60 }, function()
        local pooler <close> = start(mine, extra)
        local db
        server.eventually("the pooler answers", function()
          local ok, made = neap.pcall(pg.connect, pooler.dsn, opts)
          if ok then db = made return true end
          assert(made.kind == "io", made)
          return false
        end)
        local _ <close> = db
        fn(db, pooler)
      end)
    end
  end

  local function everything(db)
    db:exec "drop table if exists thing"
    db:exec "create table thing (id int primary key, name text)"
    -- Many at once, errors among them.
    neap.map(numbers(300), function(i)
      if i % 50 == 0 then
        raises("pg", db.value, db, "select 1 / ($1::int - $1::int)", tostring(i))
      else
        assert.are.equal(tostring(i),
          tostring(db:value("select $1::int", tostring(i))))
      end
    end)
    -- Transactions stay on one server connection.
    neap.map(numbers(20), function(i)
      db:transaction(function(tx)
        local pid = tx:value "select pg_backend_pid()"
        tx:exec("insert into thing values ($1, $2)", tostring(i), "n" .. i)
        tx:transaction(function(inner)
          assert.are.equal(pid, inner:value "select pg_backend_pid()")
        end)
      end)
    end)
    pcall(db.transaction, db, function(tx)
      tx:exec "delete from thing"
      error "no"
    end)
    assert.are.equal("20", tostring(db:value "select count(*) from thing"))
    -- In one segment.
    assert.are.equal(2, db:exec_many("insert into thing values ($1, $2)",
      { { "101", "a" }, { "102", "b" } }))
    local r = db:batch(function(b)
      b:value "select count(*) from thing"
      b:exec("update thing set name = $1 where id = 101", "c")
    end)
    assert.are.equal("22", tostring(r[1]))
    local n = 0
    for row in db:each "select id from thing order by id" do
      assert.is_truthy(row.id)
      n = n + 1
    end
    assert.are.equal(22, n)
    -- A cancel finds the statement, through the pooler.
    raises("query_timeout", db.query_opts, db, { timeout = 0.1 },
      "select pg_sleep(60)")
    neap.map(numbers(20), function()
      assert.are.equal("UTC", db:value "show timezone")
    end)
    assert.are.equal(0, db:stats().lost)
  end

  it("unnamed statements pipeline", with({ prepared = "unnamed", max = 6 },
    everything))

  it("with one statement in flight", with({
    prepared = "unnamed", max = 6, max_pipeline = 0,
  }, everything))

  it("without questions for types", with({ prepared = "off", max = 6 },
    everything))

  it("copies in and out", with({ prepared = "unnamed", max = 2 }, function(db)
    db:exec "drop table if exists bulk"
    db:exec "create table bulk (id int, name text)"
    local list = {}
    for i = 1, 500 do list[i] = { i, "n" .. i } end
    assert.are.equal(500, db:copy_in("bulk", { "id", "name" }, list))
    local n = 0
    for _ in db:copy_out "bulk" do n = n + 1 end
    assert.are.equal(500, n)
  end))

  it("keeps the time zone and styles of its own on every server connection",
    with({ prepared = "unnamed", max = 4, timezone = "Asia/Tokyo" },
      function(db)
        neap.map(numbers(60), function()
          local row = db:row [[select current_setting('timezone') as zone,
            current_setting('datestyle') as style]]
          assert.are.equal("Asia/Tokyo", row.zone)
          assert.matches("^ISO", row.style)
        end)
      end))

  it("says why named statements do not work", with({ prepared = "unnamed" },
    function(_, pooler)
      local err = raises("pg", pg.connect, pooler.dsn, { max = 1 })
      assert.are.equal("08P01", err.code)
      assert.matches("options", err.message)
    end))

  it("named statements that a server does not know heal, or say so",
    with({ max = 3 }, function(db)
      local right, stale = 0, 0
      neap.map(numbers(100), function(i)
        local ok, v = neap.pcall(function()
          if i % 5 > 0 then return db:value("select $1::int + 0", i) end
          return db:transaction({ retries = 5 }, function(tx)
            return tx:value("select $1::int + 0", i)
          end)
        end)
        if ok then
          assert.are.equal(i, v)
          right = right + 1
        else
          assert.are.equal("stale_statement", v.kind)
          stale = stale + 1
        end
      end)
      assert.are.equal(100, right + stale)
      assert.is_true(right > 50)
      assert.are.equal(0, db:stats().lost)
    end, "ignore_startup_parameters = options"))
end)
