--- Connecting: what goes wrong is named, and no password is shown.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

--- Connect, which must fail with a fault of this kind that shows no secret.
local function fails(kind, dsn, opts)
  local err = raises(kind, pg.connect, dsn, opts)
  for _, text in ipairs { tostring(err), err.message, err.traceback or "" } do
    assert.is_nil(text:find("s3cret", 1, true))
  end
  return err
end

describe("pg.connect refuses", function()
  local function it_refuses(what, text, dsn, opts)
    it(what, server.body(function()
      local err = fails("invalid", dsn, opts)
      assert.matches(text, err.message)
      assert.matches("^pg%.connect", err.message)
    end))
  end

  it_refuses("what is not a connection string", "expected a connection string",
    nil)
  it_refuses("a number", "expected a connection string", 7)
  it_refuses("text without a key", "neither a URI", "s3cret")
  it_refuses("a URI without its slashes", "neither a URI",
    "postgres:u:s3cret@host/db")
  it_refuses("a malformed escape in a password", "%%xx",
    "postgresql://u:s3cret%zz@host/db")
  it_refuses("an option that libpq does not know", "unknown option",
    "host=x password=s3cret s3cret=1")
  it_refuses("an open quote", "quoted value", "password='s3cret")
  it_refuses("lists that do not fit", "2 ports for 3 hosts",
    "host=a,b,c port=1,2 password=s3cret")
  it_refuses("a port that is none", "port is not a number from 1 to 65535",
    "host=x port=543x password=s3cret")
  it_refuses("a port that is too high", "port is not a number",
    "postgresql://u:s3cret@host:70000/db")
  it_refuses("one bad port of several", "port 2 of 2",
    "host=a,b port=1,x password=s3cret")
  it_refuses("an unknown option", "unknown option 'maxx'; did you mean 'max'",
    "host=x", { maxx = 1 })
  it_refuses("an unknown option in a table", "did you mean 'password'",
    { pasword = "s3cret" })
  it_refuses("a max of 0", "'max' must be an integer", "host=x", { max = 0 })
  it_refuses("a min above max", "min %(4%) is more than max %(3%)", "host=x",
    { min = 4, max = 3 })
  it_refuses("an unknown way to prepare", "'prepared' must be one of",
    "host=x", { prepared = "maybe" })
end)

describe("pg.connect", function()
  it("takes a table of libpq's options and its own", server.body(function(dsn)
    local parts = type(dsn) == "table" and dsn or { dsn = dsn }
    parts.application_name, parts.max = "spec of neap", 2
    local db <close> = pg.connect(parts)
    assert.are.equal("spec of neap",
      db:value "select current_setting('application_name')")
    assert.are.equal(2, db:stats().max)
  end))

  it("makes min connections before it returns", server.body(function(dsn)
    local db <close> = pg.connect(dsn, { min = 3 })
    assert.are.equal(3, db:stats().size)
    assert.are.equal(3, db:stats().idle)
  end))

  it("sets what makes texts readable, and the time zone",
    server.body(function(dsn)
      local db <close> = pg.connect(dsn)
      assert.are.equal("UTC", db:value "show timezone")
      assert.matches("^ISO", db:value "show datestyle")
      assert.are.equal("UTF8", db:value "show client_encoding")
      local other <close> = pg.connect(dsn, { timezone = "Asia/Tokyo" })
      assert.are.equal("Asia/Tokyo", other:value "show timezone")
    end))

  it("reports a refused connection as io ECONNREFUSED", server.body(function()
    local err = fails("io", "postgresql://u:s3cret@127.0.0.1:1/x")
    assert.are.equal("ECONNREFUSED", err.code)
    assert.matches("127%.0%.0%.1:1", err.message)
    assert.is_nil(err.message:find "\n")
    assert.is_true(err.safe_to_retry)
  end))

  it("reports a missing socket as io ENOENT", server.body(function()
    local err = fails("io", "host=/nowhere/at/all password=s3cret user=u")
    assert.are.equal("ENOENT", err.code)
    assert.matches("/nowhere/at/all", err.message)
  end))

  it("reports an unknown host as io", server.body(function()
    local err = fails("io", "host=no-such-host.invalid password=s3cret user=u")
    assert.is_string(err.code)
    assert.matches("no%-such%-host", err.message)
  end))

  it("reports an unknown database as pg 3D000", server.body(function(dsn)
    local parts = type(dsn) == "table" and dsn or { dsn = dsn }
    parts.dbname = "no_such_database"
    local err = fails("pg", parts)
    assert.are.equal("3D000", err.code)
    assert.matches("no_such_database", err.message)
    assert.is_true(pg.is_invalid_catalog_name(err))
  end))

  it("can be told outside of a task that it waits", function()
    local ok, err = pcall(pg.connect, "host=/nowhere")
    assert.is_false(ok)
    assert.are.equal("not_in_task", err.kind)
    assert.matches("pg%.connect", err.message)
  end)

  it("resolves names and tries every address", server.body(function()
    local directory = server.directory()
    if not directory then return end -- another server: not ours to know
    local list = ("host=/nowhere,%s,/never/reached port=1,5432,1 "
      .. "user=postgres dbname=postgres"):format(directory)
    local db <close> = pg.connect(list)
    assert.are.equal(1, db:value "select 1")
    local err = fails("io", "host=/nowhere,127.0.0.1,localhost port=1 user=u")
    assert.are.equal("ECONNREFUSED", err.code)
  end))

  it("closes what it opened when it is cancelled", server.body(function(dsn)
    for turns = 0, 12 do
      neap.scope(function(s)
        local task = s:spawn(pcall, pg.connect, dsn, { min = 2 })
        for _ = 1, turns do neap.checkpoint() end
        task:cancel()
      end)
    end
    local db <close> = pg.connect(dsn)
    server.eventually("only this connection is left", function()
      return db:value [[select count(*) from pg_stat_activity
        where datname = current_database() and application_name = 'neap']] == 1
    end)
  end))
end)

describe("a server of one's own", function()
  -- pg_hba, signals and restarts: not on the common one.
  local mine

  lazy_setup(function()
    mine = neap.run(pg.ephemeral, { port = 25431 })
  end)
  lazy_teardown(function()
    neap.run(function() mine:stop() end)
  end)

  local function postmaster()
    local file <close> = assert(io.open(mine.dir .. "/data/postmaster.pid"))
    return file:read "n"
  end

  local function hba(lines)
    local file <close> = assert(io.open(mine.dir .. "/data/pg_hba.conf", "w"))
    file:write(lines)
    file:close()
    os.execute(("kill -HUP %d"):format(postmaster()))
  end

  local function body(fn)
    return function() return run.now({ clock = "real", timeout = 60 }, fn) end
  end

  it("asks for a password, and refuses the wrong one", body(function()
    local admin <close> = pg.connect(mine.dsn)
    admin:exec "create role lock login password 'right'"
    hba "local all postgres trust\nhost all all all scram-sha-256\n"
    local dsn = "host=127.0.0.1 port=25431 dbname=postgres user=lock"
    server.eventually("the new rules hold", function()
      local ok, db = pcall(pg.connect, dsn)
      if ok then db:close() end
      return not ok
    end)
    local err = fails("pg", dsn .. " password=s3cret")
    assert.are.equal("28P01", err.code)
    assert.matches("lock", err.message)
    assert.is_true(pg.is_invalid_password(err))
    err = fails("pg", dsn)
    assert.are.equal("28P01", err.code)
    local db <close> = pg.connect(dsn .. " password=right", { min = 2 })
    assert.are.equal("lock", db:value "select current_user")
    -- By name: resolved, and the name still goes to libpq.
    local by_name <close> = pg.connect(
      "postgresql://lock:right@localhost:25431/postgres")
    assert.are.equal("lock", by_name:value "select current_user")
  end))

  it("reports TLS that is not to be had as io TLS", body(function()
    local err = fails("io", ("%s sslmode=require"):format(
      "host=127.0.0.1 port=25431 user=lock password=s3cret dbname=postgres"))
    assert.are.equal("TLS", err.code)
  end))

  it("that is silent runs into connect_timeout", body(function()
    local pid = postmaster()
    os.execute(("kill -STOP %d"):format(pid))
    local _ <close> = setmetatable({}, { __close = function()
      os.execute(("kill -CONT %d"):format(pid))
    end })
    local err = fails("timeout", mine.dsn .. " password=s3cret",
      { connect_timeout = 0.05 })
    assert.matches("connect_timeout", err.message)
    assert.is_true(neap.is_timeout(err))
    -- And a silent one does not keep a good one from being tried.
    err = fails("io", ("host=%s,/nowhere user=u"):format(mine.dir),
      { connect_timeout = 0.1 })
    assert.are.equal("ENOENT", err.code)
    -- Cancelled while it waits for the silent server.
    raises("timeout", neap.timeout, 0.05, pg.connect, mine.dsn)
  end))

  it("that stops: waiters get pool_timeout with the connect error",
    body(function()
      local other = pg.ephemeral()
      local db <close> = pg.connect(other.dsn, { max = 2, acquire_timeout = 0.2 })
      assert.are.equal(1, db:value "select 1")
      other:stop()
      server.eventually("the dead connection is noticed", function()
        return db:stats().size == 0
      end)
      local err = raises("pool_timeout", db.query, db, "select 1")
      assert.matches("last connect error", err.message)
      assert.are.equal("ENOENT", err.cause.code)
      assert.are.equal(0, err.size)
      assert.is_true(err.safe_to_retry)
      raises("pool_timeout", db.acquire, db)
      raises("pool_timeout", db.transaction, db, function() end)
      assert.is_nil(io.open(other.dir .. "/log"))
    end))
end)
