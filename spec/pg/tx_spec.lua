--- Transactions: function, guard, savepoint; and how they can end.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

--- A body with an empty table `account (id, balance)`.
local function with(opts, fn)
  if not fn then opts, fn = {}, opts end
  return server.with(opts, function(db, reports)
    db:exec "drop table if exists account"
    db:exec [[create table account (id int primary key,
      balance int not null check (balance >= 0))]]
    return fn(db, reports)
  end)
end

local INSERT <const> = "insert into account values ($1, $2)"
local COUNT <const> = "select count(*) from account"

describe("db:transaction", function()
  it("commits when the function returns, and passes its values",
    with(function(db)
      local function pack(...) return { n = select("#", ...), ... } end
      local got = pack(db:transaction(function(tx, ...)
        tx:exec(INSERT, 1, 10)
        assert.are.equal(10, tx:value "select balance from account")
        return pack(...).n, nil, "x", nil
      end, 1, nil, nil))
      assert.are.same({ n = 4, 3, nil, "x", nil }, got)
      assert.are.equal(1, db:value(COUNT))
      server.whole(db)
    end))

  it("rolls back and raises the error itself", with(function(db)
    local own = setmetatable({}, { __tostring = function() return "own" end })
    local ok, err = pcall(db.transaction, db, function(tx)
      tx:exec(INSERT, 1, 10)
      error(own)
    end)
    assert.is_false(ok)
    assert.are.equal(own, err)
    local fault = raises("pg", db.transaction, db, function(tx)
      tx:exec(INSERT, 1, 10)
      tx:exec(INSERT, 1, 11)
    end)
    assert.is_true(pg.is_unique_violation(fault))
    assert.are.equal(0, db:value(COUNT))
    server.whole(db)
  end))

  it("without a statement never reaches the server", with({ max = 1 },
    function(db)
      local before = db:stats().queries
      assert.are.equal("v", db:transaction(function() return "v" end))
      pcall(db.transaction, db, error)
      do local _ <close> = db:begin() end
      db:begin():commit()
      assert.are.equal(before, db:stats().queries)
    end))

  it("takes its options first", with(function(db)
    for name, level in pairs {
      serializable = "serializable", repeatable_read = "repeatable read",
      ["read committed"] = "read committed",
    } do
      db:transaction({ isolation = name }, function(tx)
        assert.are.equal(level, tx:value "show transaction_isolation")
      end)
    end
    local err = raises("pg", db.transaction, db, { read_only = true,
      deferrable = true, isolation = "serializable" }, function(tx)
      assert.are.equal("on", tx:value "show transaction_read_only")
      assert.are.equal("on", tx:value "show transaction_deferrable")
      tx:exec(INSERT, 1, 1)
    end)
    assert.are.equal("25006", err.code)
  end))

  it("refuses options it does not have", with(function(db)
    local err = raises("invalid", db.transaction, db, { isolated = true },
      function() end)
    assert.matches("unknown option 'isolated'; did you mean 'isolation'",
      err.message)
    raises("invalid", db.transaction, db, { isolation = "snapshot" },
      function() end)
    raises("invalid", db.begin, db, { retries = -1 })
    assert.has_error(function() db:transaction() end)
    assert.has_error(function() db:transaction({}, 7) end)
    server.whole(db)
  end))

  it("refuses its ends inside of it", with(function(db)
    db:transaction(function(tx)
      tx:exec(INSERT, 1, 1)
      raises("invalid", tx.commit, tx)
      raises("invalid", tx.rollback, tx)
      for _, sql in ipairs { "commit", "rollback", "begin", "end", "abort" } do
        raises("unsafe_session_statement", tx.exec, tx, sql)
      end
      raises("invalid", tx.exec, tx, "copy account from stdin")
    end)
    assert.are.equal(1, db:value(COUNT))
  end))

  it("cannot be used afterwards", with(function(db)
    local kept
    db:transaction(function(tx) kept = tx end)
    raises("closed", kept.query, kept, "select 1")
    raises("closed", kept.transaction, kept, function() end)
    assert.matches("over", tostring(kept))
  end))
end)

describe("statements of a transaction", function()
  it("after a failed one fail with transaction_aborted and its cause",
    with(function(db)
      local err = raises("commit_rolled_back", db.transaction, db, function(tx)
        tx:exec(INSERT, 1, 1)
        local first = raises("pg", tx.exec, tx, INSERT, 1, 1)
        local later = raises("transaction_aborted", tx.query, tx, "select 1")
        assert.are.equal(first, later.cause)
        assert.are.equal("25P02", later.code)
      end)
      assert.is_true(pg.is_unique_violation(err))
      assert.are.equal(0, db:value(COUNT))
      server.whole(db)
    end))

  it("may come from several tasks", with(function(db)
    db:transaction(function(tx)
      neap.scope(function(s)
        for i = 1, 50 do s:spawn(tx.exec, tx, INSERT, i, i) end
      end)
      assert.are.equal(50, tx:value(COUNT))
      assert.are.equal(0, db:value(COUNT))
    end)
    assert.are.equal(50, db:value(COUNT))
  end))

  it("fail together when the BEGIN does", with({ max = 1 }, function(db)
    -- A server that is read only refuses a serializable transaction only in
    -- recovery: so break the BEGIN by hand.
    local conn <close> = db:acquire()
    local tx = conn:_open("begin isolation level nonsense", false)
    local err = raises("pg", tx.exec, tx, INSERT, 1, 1)
    assert.are.equal("42601", err.code)
    tx:_rollback()
    assert.are.equal(0, conn:value(COUNT))
  end))
end)

describe("COMMIT", function()
  it("raises what a deferred constraint says", with(function(db)
    db:exec "drop table if exists late"
    db:exec "create table late (i int unique deferrable initially deferred)"
    local err = raises("pg", db.transaction, db, function(tx)
      tx:exec "insert into late values (1)"
      tx:exec "insert into late values (1)"
    end)
    assert.is_true(pg.is_unique_violation(err))
    assert.are.equal(0, db:value "select count(*) from late")
    server.whole(db)
  end))

  it("answered with ROLLBACK raises commit_rolled_back", with(function(db)
    local tx = db:begin()
    tx:exec(INSERT, 1, 1)
    pcall(tx.exec, tx, "select 1 / 0")
    local err = raises("commit_rolled_back", tx.commit, tx)
    assert.is_true(pg.is_division_by_zero(err))
    raises("closed", tx.commit, tx)
    assert.are.equal(0, db:value(COUNT))
    server.whole(db)
  end))

  it("on a broken connection raises commit_unknown", with({ max = 2 },
    function(db)
      -- The backend dies in the middle of COMMIT: a deferred trigger sleeps.
      db:exec "drop table if exists slow"
      db:exec "create table slow (i int)"
      db:exec [[create or replace function nap() returns trigger
        language plpgsql as $$ begin perform pg_sleep(60); return null; end $$]]
      db:exec [[create constraint trigger nap after insert on slow
        deferrable initially deferred for each row execute function nap()]]
      neap.scope(function(s)
        local task = s:spawn(pcall, db.transaction, db, function(tx)
          tx:exec "insert into slow values (1)"
        end)
        local pid = server.busy_backend(db, "commit")
        db:value("select pg_terminate_backend($1)", pid)
        local ok, err = task:await()
        assert.is_false(ok)
        assert.are.equal("commit_unknown", err.kind)
        assert.are.equal("connection_lost", err.cause.kind)
        assert.is_nil(err.safe_to_retry)
      end)
      server.whole(db)
    end))

  it("is bounded by commit_timeout", with({ max = 2, commit_timeout = 0.05 },
    function(db)
      db:exec "drop table if exists slow"
      db:exec "create table slow (i int)"
      db:exec [[create or replace function nap() returns trigger
        language plpgsql as $$ begin perform pg_sleep(60); return null; end $$]]
      db:exec [[create constraint trigger nap after insert on slow
        deferrable initially deferred for each row execute function nap()]]
      local err = raises("commit_unknown", db.transaction, db, function(tx)
        tx:exec "insert into slow values (1)"
      end)
      assert.matches("time", err.cause.message)
      server.whole(db)
    end))
end)

describe("db:begin", function()
  it("rolls back unless committed", with(function(db)
    do
      local tx <close> = db:begin()
      tx:exec(INSERT, 1, 1)
    end
    assert.are.equal(0, db:value(COUNT))
    do
      local tx <close> = db:begin()
      tx:exec(INSERT, 1, 1)
      tx:commit()
    end
    assert.are.equal(1, db:value(COUNT))
    local tx = db:begin()
    tx:exec(INSERT, 2, 1)
    tx:rollback()
    raises("closed", tx.rollback, tx)
    raises("closed", tx.commit, tx)
    assert.are.equal(1, db:value(COUNT))
    server.whole(db)
  end))

  it("that nobody ends is rolled back when it is collected",
    with({ max = 1 }, function(db)
      local function leave()
        local tx = db:begin()
        tx:exec(INSERT, 1, 1)
      end
      leave()
      collectgarbage()
      collectgarbage()
      assert.are.equal(0, db:value(COUNT))
      server.whole(db)
    end))

  it("keeps the error in flight", with(function(db)
    local ok, err = pcall(function()
      local tx <close> = db:begin()
      tx:exec(INSERT, 1, 1)
      error("the first", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("the first", err)
    -- Also when the rollback cannot be sent any more.
    ok, err = pcall(function()
      local tx <close> = db:begin()
      local pid = tx:value "select pg_backend_pid()"
      db:value("select pg_terminate_backend($1)", pid)
      server.eventually("it is gone", function()
        return db:value("select count(*) from pg_stat_activity where pid = $1",
          pid) == 0
      end)
      error("the second", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("the second", err)
    server.whole(db)
  end))

  it("on a connection of one's own leaves it in one's hands",
    with(function(db)
      local conn <close> = db:acquire()
      local pid = conn:pid()
      conn:transaction(function(tx)
        tx:exec(INSERT, 1, 1)
        assert.are.equal(pid, tx:value "select pg_backend_pid()")
        raises("invalid", conn.begin, conn)
      end)
      pcall(conn.transaction, conn, function(tx)
        tx:exec(INSERT, 2, 1)
        error "no"
      end)
      do
        local tx <close> = conn:begin()
        tx:exec(INSERT, 3, 1)
      end
      assert.are.equal(1, conn:value(COUNT))
    end))
end)

describe("a transaction inside of another", function()
  it("is a savepoint: its failure leaves the outer one alone",
    with(function(db)
      db:transaction(function(tx)
        tx:exec(INSERT, 1, 1)
        local err = raises("pg", tx.transaction, tx, function(inner)
          inner:exec(INSERT, 2, 1)
          inner:exec(INSERT, 1, 1)
        end)
        assert.is_true(pg.is_unique_violation(err))
        tx:transaction(function(inner) inner:exec(INSERT, 3, 1) end)
        pcall(tx.transaction, tx, function(inner)
          inner:exec(INSERT, 4, 1)
          error "no"
        end)
      end)
      assert.are.same({ 1, 3, n = 2 },
        db:column "select id from account order by id")
      server.whole(db)
    end))

  it("may begin before anything was sent, and nest", with(function(db)
    db:transaction(function(tx)
      tx:transaction(function(a)
        a:transaction(function(b)
          pcall(b.transaction, b, function(c)
            c:exec(INSERT, 1, -1)
          end)
          b:exec(INSERT, 2, 1)
        end)
        pcall(a.transaction, a, function(b)
          b:transaction(function(c) c:exec(INSERT, 3, 1) end)
          error "no"
        end)
      end)
      tx:transaction(function() end)
      tx:exec(INSERT, 4, 1)
    end)
    assert.are.same({ 2, 4, n = 2 },
      db:column "select id from account order by id")
    server.whole(db)
  end))

  it("that swallowed an error raises transaction_aborted and is undone",
    with(function(db)
      db:transaction(function(tx)
        tx:exec(INSERT, 1, 1)
        local err = raises("transaction_aborted", tx.transaction, tx,
          function(inner)
            inner:exec(INSERT, 2, 1)
            pcall(inner.exec, inner, "select 1 / 0")
          end)
        assert.is_true(pg.is_division_by_zero(err))
        assert.are.equal(1, tx:value(COUNT))
      end)
      assert.are.equal(1, db:value(COUNT))
    end))

  it("as a guard", with(function(db)
    local tx <close> = db:begin()
    tx:exec(INSERT, 1, 1)
    do
      local inner <close> = tx:begin()
      inner:exec(INSERT, 2, 1)
    end
    do
      local inner <close> = tx:begin()
      inner:exec(INSERT, 3, 1)
      inner:commit()
    end
    tx:commit()
    assert.are.same({ 1, 3, n = 2 },
      db:column "select id from account order by id")
  end))

  it("cannot change the isolation", with(function(db)
    db:transaction({ isolation = "serializable" }, function(tx)
      tx:transaction({ isolation = "serializable" }, function() end)
      raises("invalid", tx.transaction, tx,
        { isolation = "read_committed" }, function() end)
      raises("invalid", tx.begin, tx, { read_only = true })
    end)
  end))

  it("nests deep", with(function(db)
    local function nest(tx, n)
      if n == 0 then return tx:exec(INSERT, 1, 1) end
      return tx:transaction(nest, n - 1)
    end
    db:transaction(nest, 25)
    assert.are.equal(1, db:value(COUNT))
  end))
end)

describe("retries", function()
  it("run the function again after a serialization failure",
    with({ max = 2 }, function(db)
      db:exec(INSERT, 1, 0)
      local calls, both_have_read = 0, neap.barrier(2)
      neap.scope(function(s)
        for _ = 1, 2 do
          s:spawn(db.transaction, db,
            { isolation = "serializable", retries = 20 }, function(tx)
              calls = calls + 1
              local first = calls <= 2
              local balance = tx:value "select balance from account where id = 1"
              if first then both_have_read:wait() end
              tx:exec("update account set balance = $1 where id = 1",
                balance + 1)
            end)
        end
      end)
      assert.are.equal(2, db:value "select balance from account where id = 1")
      assert.is_true(calls > 2)
      server.whole(db)
    end))

  it("after a deadlock", with({ max = 3 }, function(db)
    db:exec(INSERT, 1, 0)
    db:exec(INSERT, 2, 0)
    local both = neap.barrier(2)
    local first = true
    neap.scope(function(s)
      for i = 1, 2 do
        s:spawn(db.transaction, db, { retries = 3 }, function(tx)
          tx:exec("update account set balance = balance + 1 where id = $1", i)
          if first then
            both:wait()
            first = false
          end
          tx:exec("update account set balance = balance + 1 where id = $1",
            3 - i)
        end)
      end
    end)
    assert.are.same({ 2, 2, n = 2 }, db:column "select balance from account")
  end))

  it("not after other errors, and not for ever", with(function(db)
    local calls = 0
    raises("pg", db.transaction, db, { retries = 5 }, function(tx)
      calls = calls + 1
      tx:exec "select 1 / 0"
    end)
    assert.are.equal(1, calls)
    calls = 0
    local err = raises("pg", db.transaction, db, { retries = 2 }, function(tx)
      calls = calls + 1
      tx:exec [[do $$ begin raise exception 'again'
        using errcode = '40001'; end $$]]
    end)
    assert.are.equal(3, calls)
    assert.are.equal("40001", err.code)
    assert.is_true(err.safe_to_retry)
    calls = 0
    neap.scope(function(s)
      local task = s:spawn(db.transaction, db, { retries = 5 }, function(tx)
        calls = calls + 1
        tx:exec "select pg_sleep(60)"
      end)
      server.busy_backend(db, "select pg_sleep(60)%")
      task:cancel()
    end)
    assert.are.equal(1, calls)
  end))
end)
