--- Cancellation and time limits at every wait: the server stops too, and the
--- pool stays whole.

local neap = require "neap"
local pg = require "neap.pg"
local proxy = require "spec.support.proxy"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

--- Is nothing like this running on the server any more?
local function gone(db, text)
  server.eventually("the server has stopped " .. text, function()
    return db:value([[select count(*) from pg_stat_activity
      where state = 'active' and query like $1
      and pid <> pg_backend_pid()]], text) == 0
  end)
end

--- Cancel `fn` when the server runs a statement like `text`.
local function cancel_at(db, text, fn, ...)
  local args = table.pack(...)
  return neap.scope(function(s)
    local task = s:spawn(function() fn(table.unpack(args, 1, args.n)) end)
    server.busy_backend(db, text)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    return task
  end)
end

describe("a task that is cancelled", function()
  it("in a query: the statement is cancelled on the server",
    server.with({ max = 2 }, function(db)
      cancel_at(db, "select pg_sleep(60)%", db.query, db, "select pg_sleep(60)")
      gone(db, "select pg_sleep(60)%")
      server.whole(db)
      assert.are.equal(1, db:stats().cancels)
      assert.are.equal(0, db:stats().lost)
    end))

  it("in a query of a connection of one's own: it can be used at once",
    server.with({ max = 2 }, function(db)
      local conn <close> = db:acquire()
      local pid = conn:pid()
      for i = 1, 5 do
        cancel_at(db, "select pg_sleep(60)%", conn.query, conn,
          "select pg_sleep(60)")
        assert.are.equal(i, conn:value("select $1::int", i))
      end
      assert.are.equal(pid, conn:pid())
    end))

  it("in a transaction: it is rolled back", server.with({ max = 2 },
    function(db)
      db:exec "drop table if exists kept"
      db:exec "create table kept (i int)"
      cancel_at(db, "select pg_sleep(60)%", db.transaction, db, function(tx)
        tx:exec "insert into kept values (1)"
        tx:query "select pg_sleep(60)"
      end)
      cancel_at(db, "select pg_sleep(60)%", function()
        local tx <close> = db:begin()
        tx:transaction(function(inner)
          inner:exec "insert into kept values (2)"
          inner:query "select pg_sleep(60)"
        end)
        tx:commit()
      end)
      assert.are.equal(0, db:value "select count(*) from kept")
      server.whole(db)
    end))

  it("while it waits for a connection leaves the queue",
    server.with({ max = 1 }, function(db)
      local held = db:acquire()
      neap.scope(function(s)
        local tasks = {
          s:spawn(db.query, db, "select 1"), s:spawn(db.acquire, db),
          s:spawn(db.begin, db),
          s:spawn(db.transaction, db, function(tx) tx:query "select 1" end),
          s:spawn(db.batch, db, function(b) b:query "select 1" end),
          s:spawn(db.exec_many, db, "select $1::int", { { 1 } }),
        }
        server.eventually("they wait", function()
          return db:stats().waiting == 6
        end)
        for _, task in ipairs(tasks) do
          task:cancel()
          task:join()
        end
        assert.are.equal(0, db:stats().waiting)
        local last = s:spawn(db.value, db, "select 7")
        server.eventually("it waits", function()
          return db:stats().waiting == 1
        end)
        held:release()
        assert.are.equal(7, last:await())
      end)
      server.whole(db)
    end))

  it("in COMMIT has committed", server.with({ max = 2 }, function(db)
    db:exec "drop table if exists committed"
    db:exec "create table committed (i int)"
    db:exec [[create or replace function short_nap() returns trigger
      language plpgsql as $$ begin
        perform pg_advisory_xact_lock(4711); return null; end $$]]
    db:exec [[create constraint trigger nap after insert on committed
      deferrable initially deferred for each row execute function short_nap()]]
    local lock = db:begin()
    lock:value "select pg_advisory_xact_lock(4711)"
    local watch <close> = server.connect { max = 1 }
    neap.scope(function(s)
      local after
      local task = s:spawn(function()
        db:transaction(function(tx)
          tx:exec "insert into committed values (1)"
        end)
        after = true
        neap.checkpoint()
      end)
      server.busy_backend(watch, "commit")
      task:cancel()
      lock:rollback()
      task:join()
      assert.is_true(after)
      assert.are.equal("cancelled", task:status())
    end)
    assert.are.equal(1, db:value "select count(*) from committed")
    server.whole(db)
  end))

  it("behind others on one connection: they get their answers",
    server.with({ max = 1 }, function(db)
      for i = 1, 20 do db:value("select $1::int", i) end -- known to be fast
      local watch <close> = server.connect { max = 1 }
      neap.scope(function(s)
        local tasks = {}
        for i = 1, 30 do
          tasks[i] = s:spawn(db.value, db,
            "select $1::int + coalesce(length(pg_sleep(0.001)::text), 0)", i)
        end
        neap.checkpoint()
        for i = 3, 30, 3 do tasks[i]:cancel() end
        for i = 1, 30 do
          if i % 3 ~= 0 then assert.are.equal(i, tasks[i]:await()) end
        end
      end)
      gone(watch, "select $1::int + coalesce%")
      server.whole(db)
    end))

  it("while others share its readonly segment",
    server.with({ max = 1 }, function(db)
      local READ <const> = { readonly = true }
      local sql = "select $1::int as v, pg_sleep(0.001)"
      db:query_opts(READ, sql, 0)
      neap.scope(function(s)
        local tasks = {}
        for i = 1, 40 do
          tasks[i] = s:spawn(db.query_opts, db, READ, sql, i)
        end
        neap.checkpoint()
        neap.checkpoint()
        for i = 2, 40, 4 do tasks[i]:cancel() end
        for i = 1, 40 do
          if i % 4 ~= 2 then assert.are.equal(i, tasks[i]:await()[1].v) end
        end
      end)
      server.whole(db)
    end))
end)

describe("at every turn", function()
  -- Cancel after 0, 1, 2 ... turns of the loop, until the work gets done.
  local function sweep(db, fn)
    local done = false
    local turns = 0
    while not done do
      neap.scope(function(s)
        local task = s:spawn(function()
          fn(db)
          done = true
        end)
        for _ = 1, turns do neap.checkpoint() end
        task:cancel()
      end)
      turns = turns + (turns < 20 and 1 or turns // 4)
    end
    server.whole(db)
  end

  local work = {
    query = function(db) db:query "select 1 from pg_sleep(0.001)" end,
    ["new statement"] = function(db)
      db:query(("select %d"):format(math.random(1 << 40)))
    end,
    acquire = function(db)
      local conn <close> = db:acquire()
      conn:query "select 1"
    end,
    ["acquire and change"] = function(db)
      local conn <close> = db:acquire()
      conn:exec "set work_mem = '7MB'"
    end,
    begin = function(db)
      local tx <close> = db:begin()
      tx:exec "insert into swept values (1)"
      tx:commit()
    end,
    transaction = function(db)
      db:transaction(function(tx)
        tx:exec "insert into swept values (1)"
        tx:transaction(function(inner)
          inner:exec "insert into swept values (2)"
        end)
      end)
    end,
    batch = function(db)
      db:batch(function(b)
        b:exec "insert into swept values (1)"
        b:value "select count(*) from swept"
      end)
    end,
    exec_many = function(db)
      db:exec_many("insert into swept values ($1)", { { 1 }, { 2 }, { 3 } })
    end,
  }

  for name, fn in pairs(work) do
    it(name, server.with({ max = 1, min = 0 }, function(db)
      db:exec "create table if not exists swept (i int)"
      sweep(db, fn)
    end))
    it(name .. ", each time on a new connection", server.with(
      { max = 2, max_uses = 1 }, function(db)
        db:exec "create table if not exists swept (i int)"
        sweep(db, fn)
      end))
  end

  it("with on_connect", server.with({
    max = 2, max_uses = 2,
    on_connect = function(conn) conn:value "select 1" end,
  }, function(db)
    sweep(db, work.query)
    sweep(db, work.acquire)
  end))
end)

describe("a time limit", function()
  it("of query_opts raises query_timeout, and stops the server",
    server.with({ max = 2 }, function(db)
      local err = raises("query_timeout", db.query_opts, db,
        { timeout = 0.02 }, "select pg_sleep(60)")
      assert.is_true(neap.is_timeout(err))
      assert.are.equal("select pg_sleep(60)", err.sql)
      assert.is_nil(err.safe_to_retry)
      gone(db, "select pg_sleep(60)%")
      server.whole(db)
    end))

  it("of the pool, command_timeout", server.with(
    { max = 1, command_timeout = 0.02 }, function(db)
      raises("query_timeout", db.query, db, "select pg_sleep(60)")
      raises("query_timeout", db.batch, db, function(b)
        b:query "select 1"
        b:query "select pg_sleep(60)"
      end)
      raises("query_timeout", db.transaction, db, function(tx)
        tx:query "select pg_sleep(60)"
      end)
      assert.are.equal(1, db:query_opts({ timeout = 30 },
        "select 1 as v from pg_sleep(0.03)")[1].v)
      server.whole(db)
    end))

  it("of a scope leaves it as timeout", server.with({ max = 2 }, function(db)
    raises("timeout", neap.timeout, 0.02, db.query, db, "select pg_sleep(60)")
    raises("timeout", neap.timeout, 0.02, db.transaction, db, function(tx)
      tx:query "select pg_sleep(60)"
    end)
    gone(db, "select pg_sleep(60)%")
    server.whole(db)
  end))

  it("covers the wait for a connection", server.with({ max = 1 }, function(db)
    local conn <close> = db:acquire()
    local err = raises("query_timeout", db.query_opts, db, { timeout = 0.01 },
      "select 1")
    assert.is_true(err.safe_to_retry)
    assert.are.equal(1, conn:value "select 1")
  end))

  it("that is not reached leaves no timer", server.with({ max = 1 },
    function(db)
      local before = neap.stats().timers
      db:query_opts({ timeout = 100 }, "select 1")
      assert.are.equal(before, neap.stats().timers)
    end))
end)

describe("a statement canceled by somebody else", function()
  it("is an ordinary error", server.with({ max = 2 }, function(db)
    neap.scope(function(s)
      local task = s:spawn(pcall, db.query, db, "select pg_sleep(60)")
      local pid = server.busy_backend(db, "select pg_sleep(60)%")
      db:value("select pg_cancel_backend($1)", pid)
      local ok, err = task:await()
      assert.is_false(ok)
      assert.are.equal("pg", err.kind)
      assert.is_true(pg.is_query_canceled(err))
    end)
    server.whole(db)
  end))
end)

describe("a cancel request that overtakes its statement", function()
  it("is sent again", function()
    local dsn = server.dsn()
    assert(dsn)
    run.now({ clock = "real", timeout = 60 }, function()
      local p <close> = proxy.open(server.directory() .. "/.s.PGSQL.5432")
      local db <close> = pg.connect(p:dsn "neap_spec", { max = 1 })
      db:value "select 1"
      p:cut("up", p.count.up + 1, "delay") -- the statement is held back
      assert.is_false(neap.move_on_after(0.002, db.query, db,
        "select pg_sleep(60)"))
      assert.are.equal(2, db:value "select 2")
      assert.are.equal(0, db:stats().lost)
    end)
  end)
end)

describe("cancelled at every wait, the pool is whole", function()
  local test = require "neap.test"

  --- fn(db, n): n is another number each time.
  local function swept(opts, fn)
    return server.body(function(dsn)
      local db <close> = pg.connect(dsn, opts)
      db:exec "create table if not exists swept (i int)"
      local n = 0
      test.cancel_sweep(function()
        n = n + 1
        fn(db, n)
      end)
      server.whole(db)
      db:exec "drop table swept"
    end)
  end

  it("connect", server.body(function(dsn)
    test.cancel_sweep(function()
      local db <close> = pg.connect(dsn, { min = 2, max = 2 })
      assert(db:value "select 1" == 1)
    end)
  end))

  it("statements that are new to it", swept({ max = 2 }, function(db, n)
    local sql = ("select $1::int + %d as v"):format(n)
    assert(db:value(sql, 1) == n + 1)
    assert(db:row(sql, 2).v == n + 2)
  end))

  it("a transaction with savepoints", swept({ max = 2 }, function(db)
    db:transaction(function(tx)
      tx:exec "insert into swept values (1)"
      tx:transaction(function(inner)
        inner:exec "insert into swept values (2)"
      end)
      pcall(tx.transaction, tx, function(inner)
        inner:exec "insert into swept values (3)"
        error "undo"
      end)
      neap.checkpoint()
    end)
  end))

  it("batch and exec_many", swept({ max = 2 }, function(db)
    assert(#db:batch(function(b)
      b:exec "insert into swept values (1)"
      b:value "select count(*) from swept"
    end) == 2)
    assert(db:exec_many("insert into swept values ($1)", { { 1 }, { 2 } }) == 2)
  end))

  it("a connection that is given back in need of cleaning",
    swept({ max = 2 }, function(db)
      local conn <close> = db:acquire()
      conn:exec "set work_mem = '7MB'"
      conn:exec "create temporary table if not exists mine (i int)"
      assert(conn:copy_in("mine", nil, { { 1 }, { 2 } }) == 2)
      local n = 0
      for _ in conn:copy_out "mine" do n = n + 1 end
      for _ in conn:each "select * from mine" do n = n + 1 end
      assert(n == 4)
    end))

  it("COPY and cursors in a transaction", swept({ max = 2 }, function(db)
    db:transaction(function(tx)
      assert(tx:copy_in("swept", nil, { { 1 }, { 2 } }) == 2)
      local n = 0
      for _ in tx:each_opts({ batch = 1 }, "select 1 from swept limit 3") do
        n = n + 1
      end
      for _ in tx:copy_out "select 1 from swept limit 3" do n = n + 1 end
      assert(n >= 4)
    end)
  end))
end)
