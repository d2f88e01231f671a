--- Connections that break: everybody hears of it, the pool goes on.

local neap = require "neap"
local pg = require "neap.pg"
local proxy = require "spec.support.proxy"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function kill(pid)
  local watch <close> = server.connect { max = 1 }
  watch:value("select pg_terminate_backend($1)", pid)
  server.eventually("the backend is gone", function()
    return watch:value("select count(*) from pg_stat_activity where pid = $1",
      pid) == 0
  end)
end

describe("a backend that is killed", function()
  it("in mid-query: its statement fails with connection_lost",
    server.with({ max = 2 }, function(db)
      neap.scope(function(s)
        local task = s:spawn(pcall, db.query, db, "select pg_sleep(60)")
        kill(server.busy_backend(db, "select pg_sleep(60)%"))
        local ok, err = task:await()
        assert.is_false(ok)
        assert.are.equal("connection_lost", err.kind)
        assert.are.equal("57P01", err.code)
        assert.are.equal("select pg_sleep(60)", err.sql)
        assert.is_true(err.sent)
        assert.is_nil(err.safe_to_retry)
        assert.matches("administrator", err.message)
      end)
      server.whole(db)
      assert.are.equal(1, db:stats().lost)
    end))

  it("settles everybody who is behind on the same connection",
    server.with({ max = 1 }, function(db)
      for i = 1, 20 do db:value("select $1::int", i) end
      local watch <close> = server.connect { max = 1 }
      local held = db:acquire()
      neap.scope(function(s)
        local tasks = {}
        for i = 1, 50 do
          tasks[i] = s:spawn(pcall, held.value, held,
            "select $1::int from pg_sleep(60)", i)
        end
        kill(server.busy_backend(watch, "select $1::int from pg_sleep(60)%"))
        for i = 1, 50 do
          local ok, err = tasks[i]:await()
          assert.is_false(ok)
          assert.are.equal("connection_lost", err.kind)
        end
      end)
      local err = raises("connection_lost", held.query, held, "select 1")
      assert.is_false(err.sent)
      held:release()
      server.whole(db)
    end))

  it("in a batch, in exec_many, in a transaction",
    server.with({ max = 2 }, function(db)
      for _, work in ipairs {
        function()
          db:batch(function(b)
            b:value "select 1"
            b:value "select 2 from pg_sleep(60)"
            b:value "select 3"
          end)
        end,
        function()
          db:exec_many("select $1::int, 2 from pg_sleep(60)", { { 1 }, { 2 } })
        end,
        function()
          db:transaction(function(tx)
            tx:query "select 1"
            tx:query "select 5, 2 from pg_sleep(60)"
          end)
        end,
      } do
        neap.scope(function(s)
          local task = s:spawn(pcall, work)
          kill(server.busy_backend(db, "select%2 from pg_sleep(60)%"))
          local ok, err = task:await()
          assert.is_false(ok)
          assert.are.equal("connection_lost", err.kind)
        end)
      end
      server.whole(db)
    end))

  it("makes readonly statements go to another connection",
    server.with({ max = 2 }, function(db)
      db:exec "create sequence if not exists tries"
      db:exec "alter sequence tries restart"
      neap.scope(function(s)
        -- The first try sleeps, the second does not.
        local task = s:spawn(db.query_opts, db, { readonly = true },
          [[select case when nextval('tries') = 1 then pg_sleep(60) end as z,
            41 as v]])
        kill(server.busy_backend(db, "select case when nextval(%"))
        assert.are.equal(41, task:await()[1].v)
      end)
      server.whole(db)
    end))

  it("in a transaction with retries: it is run again", server.with({ max = 2 },
    function(db)
      local calls = 0
      neap.scope(function(s)
        local task = s:spawn(db.transaction, db, { retries = 2 }, function(tx)
          calls = calls + 1
          if calls == 1 then tx:query "select pg_sleep(60)" end
          return tx:value "select 9"
        end)
        kill(server.busy_backend(db, "select pg_sleep(60)%"))
        assert.are.equal(9, task:await())
      end)
      assert.are.equal(2, calls)
      server.whole(db)
    end))

  it("between two statements of a transaction", server.with({ max = 2 },
    function(db)
      local err = raises("connection_lost", db.transaction, db, function(tx)
        kill(tx:value "select pg_backend_pid()")
        tx:query "select 1"
      end)
      assert.matches("lost", err.message)
      raises("connection_lost", db.transaction, db, function(tx)
        kill(tx:value "select pg_backend_pid()")
        server.eventually("it is noticed", function()
          return db:stats().lost == 2
        end)
      end)
      server.whole(db)
    end))

  it("while it is held and idle", server.with({ max = 1 }, function(db)
    local conn = db:acquire()
    kill(conn:pid())
    raises("connection_lost", conn.query, conn, "select 1")
    conn:release()
    server.whole(db)
  end))

  it("under load: nobody hangs, nobody gets another's answer",
    server.with({ max = 4 }, function(db)
      local watch <close> = server.connect { max = 1 }
      local stop, good, lost = false, 0, 0
      neap.scope(function(s)
        for i = 1, 40 do
          s:spawn(function()
            while not stop do
              local n = i * 1000 + good % 1000
              local ok, v = pcall(db.value, db, "select $1::int", n)
              if ok then
                assert(v == n)
                good = good + 1
              else
                assert(v.kind == "connection_lost", tostring(v))
                lost = lost + 1
              end
            end
          end)
        end
        for _ = 1, 15 do
          neap.sleep(0.005)
          watch:query [[select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
            and application_name = 'neap' limit 2]]
        end
        stop = true
      end)
      assert.is_true(good > 0)
      server.whole(db)
    end))
end)

describe("COMMIT", function()
  it("under way when the pool is closed: nobody knows",
    server.body(function(dsn)
      local watch <close> = pg.connect(dsn, { max = 1 })
      watch:exec "drop table if exists slow"
      watch:exec "create table slow (i int)"
      watch:exec [[create or replace function nap() returns trigger
        language plpgsql as $$ begin perform pg_sleep(60); return null; end $$]]
      watch:exec [[create constraint trigger nap after insert on slow
        deferrable initially deferred for each row execute function nap()]]
      local db = pg.connect(dsn, { max = 1 })
      neap.scope(function(s)
        local task = s:spawn(pcall, db.transaction, db, function(tx)
          tx:exec "insert into slow values (1)"
        end)
        server.busy_backend(watch, "commit")
        db:close()
        local ok, err = task:await()
        assert.is_false(ok)
        assert.are.equal("commit_unknown", err.kind)
        assert.are.equal("connection_lost", err.cause.kind)
      end)
    end))

  it("that was never sent is no commit_unknown", function()
    server.dsn()
    run.now({ clock = "real", timeout = 60 }, function()
      local p <close> = proxy.open(server.directory() .. "/.s.PGSQL.5432")
      local db <close> = pg.connect(p:dsn "neap_spec", { max = 1 })
      local tx = db:begin()
      tx:query("select length($1::text)", "x")
      p:cut("up", p.count.up, "silence")
      neap.scope(function(s)
        local size = 20000000 -- more than sockets hold
        local one = s:spawn(pcall, tx.query, tx, "select length($1::text)",
          ("x"):rep(size))
        neap.checkpoint()
        local two = s:spawn(pcall, tx.commit, tx)
        for _ = 1, 5 do neap.sleep(0.001) end
        p:reset_all()
        local ok, err = one:await()
        assert.is_false(ok)
        assert.are.equal("connection_lost", err.kind)
        ok, err = two:await()
        assert.is_false(ok)
        assert.are.equal("connection_lost", err.kind)
        assert.is_true(err.safe_to_retry)
      end)
    end)
  end)
end)

describe("a server that stops", function()
  it("fails what is under way; when it is back, the pool is too", function()
    run.now({ clock = "real", timeout = 60 }, function()
      local other <close> = pg.ephemeral()
      local data = other.dir .. "/data"
      local function postmaster()
        local file <close> = assert(io.open(data .. "/postmaster.pid"))
        return file:read "n"
      end
      local db <close> = pg.connect(other.dsn, { max = 3, acquire_timeout = 10 })
      local watch <close> = pg.connect(other.dsn, { max = 1 })
      neap.scope(function(s)
        local tasks = {}
        for i = 1, 3 do
          tasks[i] = s:spawn(pcall, db.query, db,
            ("select %d from pg_sleep(60)"):format(i))
        end
        server.eventually("three are under way", function()
          return watch:value [[select count(*) from pg_stat_activity
            where query like 'select % from pg_sleep(60)%'
            and pid <> pg_backend_pid()]] == 3
        end)
        -- One backend that crashes takes all sessions with it; the server
        -- recovers and takes connections again.
        local pid = watch:value [[select pid from pg_stat_activity
          where query like 'select 1 from pg_sleep(60)%'
          and pid <> pg_backend_pid()]]
        assert.is_true(postmaster() > 0)
        os.execute(("kill -KILL %d"):format(pid))
        for i = 1, 3 do
          local ok, err = tasks[i]:await()
          assert.is_false(ok)
          assert.are.equal("connection_lost", err.kind)
        end
      end)
      assert.are.equal(1, db:value "select 1")
      server.whole(db)
    end)
  end)
end)
