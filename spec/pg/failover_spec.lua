--- Several servers: who is connected to, and what happens when the one that
--- was is no more, or may only read.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function body(fn)
  return function() return run.now({ clock = "real", timeout = 60 }, fn) end
end

describe("two servers", function()
  local first, second

  lazy_setup(function()
    neap.run(function() first, second = pg.ephemeral(), pg.ephemeral() end)
    for name, one in pairs { first = first, second = second } do
      neap.run(function()
        local db <close> = pg.connect(one.dsn, { max = 1 })
        db:exec "create table here (name text)"
        db:exec("insert into here values ($1)", name)
      end)
    end
  end)

  lazy_teardown(function()
    neap.run(function()
      first:stop()
      second:stop()
    end)
  end)

  local function read_only(one, on)
    local db <close> = pg.connect(one.dsn, { max = 1 })
    local conn <close> = db:acquire()
    conn:exec "set default_transaction_read_only = off"
    conn:exec("alter system set default_transaction_read_only = "
      .. (on and "on" or "off"))
    conn:value "select pg_reload_conf()"
    conn:exec "reset default_transaction_read_only"
    server.eventually("the server has read it", function()
      local other <close> = pg.connect(one.dsn, { max = 1 })
      return other:value "show default_transaction_read_only"
        == (on and "on" or "off")
    end)
  end

  local function dsn(attrs)
    return ("host=%s,%s port=%d,%d user=postgres dbname=postgres%s"):format(
      first.dir, second.dir, first.port, second.port,
      attrs and " target_session_attrs=" .. attrs or "")
  end

  local function where(attrs)
    local db <close> = pg.connect(dsn(attrs), { max = 1 })
    return db:value "select name from here"
  end

  it("target_session_attrs chooses among them", body(function()
    assert.are.equal("first", where())
    assert.are.equal("first", where "primary")
    assert.are.equal("first", where "prefer-standby") -- there is none
    read_only(first, true)
    local _ <close> = setmetatable({}, { __close = function()
      read_only(first, false)
    end })
    assert.are.equal("first", where "any")
    assert.are.equal("second", where "read-write")
    assert.are.equal("first", where "read-only")
    local err = raises("io", pg.connect, dsn "standby")
    assert.matches("standby", err.message)
  end))

  it("a write refused by one that may only read replaces all connections",
    body(function()
      local db <close> = pg.connect(dsn "read-write", { min = 2, max = 3 })
      local insert = "insert into here values ('no')"
      -- A transaction that is read-only by its own wish says nothing.
      local err = raises("pg", db.transaction, db, { read_only = true },
        function(tx) tx:exec(insert) end)
      assert.are.equal("25006", err.code)
      assert.are.equal(0, db:stats().failovers)
      assert.are.equal("first", db:value "select name from here")
      read_only(first, true)
      local _ <close> = setmetatable({}, { __close = function()
        read_only(first, false)
      end })
      server.eventually("the write is refused", function()
        local ok, why = neap.pcall(db.transaction, db, function(tx)
          tx:exec(insert)
          error("stop", 0)
        end)
        assert.is_false(ok)
        return why ~= "stop" and why.code == "25006"
          or db:stats().failovers == 1
      end)
      assert.are.equal(1, db:stats().failovers)
      for _ = 1, 5 do
        assert.are.equal("second", db:value "select name from here")
      end
      assert.is_true(db:stats().closed.expired >= 1)
      server.whole(db)
    end))

  it("three losses within a second replace all connections", body(function()
    local db <close> = pg.connect(first.dsn, { min = 6, max = 6 })
    local watch <close> = pg.connect(first.dsn, { max = 1 })
    local held, old = {}, {}
    for i = 1, 6 do
      held[i] = db:acquire()
      old[i] = held[i]:pid()
    end
    for i = 1, 6 do held[i]:release() end
    for i = 1, 2 do watch:value("select pg_terminate_backend($1)", old[i]) end
    server.eventually("two are lost", function()
      return db:stats().lost == 2
    end)
    assert.are.equal(0, db:stats().failovers)
    watch:value("select pg_terminate_backend($1)", old[3])
    server.eventually("it is taken for a failover", function()
      return db:stats().failovers == 1
    end)
    server.whole(db)
    local seen = {}
    for i = 1, 6 do held[i] = db:acquire() seen[held[i]:pid()] = true end
    for i = 1, 6 do
      assert.is_nil(seen[old[i]])
      held[i]:release()
    end
  end))

  it("when the first is gone the second is used, and no task waits for ever",
    body(function()
      local third <close> = pg.ephemeral()
      local list = ("host=%s,%s port=%d,%d user=postgres dbname=postgres")
        :format(third.dir, second.dir, third.port, second.port)
      local db <close> = pg.connect(list, { max = 3 })
      local answered, lost = 0, 0
      neap.scope(function(s)
        for _ = 1, 6 do
          s:spawn(function()
            for _ = 1, 20 do
              local ok, err = neap.pcall(db.value, db, "select 1")
              if ok then
                answered = answered + 1
              else
                assert.are.equal("connection_lost", err.kind)
                lost = lost + 1
              end
            end
          end)
        end
        s:spawn(function() third:stop() end)
      end)
      assert.are.equal(120, answered + lost)
      assert.are.equal("second", db:value "select name from here")
      server.whole(db)
    end))

  it("a service file names them", body(function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("[shop]\nhost=%s\nport=%d\nuser=postgres\ndbname=postgres\n")
      :format(second.dir, second.port))
    file:close()
    local lua = ([[
      local neap, pg = require "neap", require "neap.pg"
      neap.run(function()
        local db <close> = pg.connect "service=shop"
        io.write(db:value "select name from here")
      end)]])
    local script = os.tmpname()
    file = assert(io.open(script, "w"))
    file:write(lua)
    file:close()
    local pipe = assert(io.popen(("PGSERVICEFILE=%s lua5.4 %s 2>&1")
      :format(path, script)))
    local said = pipe:read "a"
    pipe:close()
    os.remove(path)
    os.remove(script)
    assert.are.equal("second", said)
  end))
end)
