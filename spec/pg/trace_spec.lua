--- Echo, trace and the counters: what a pool tells of its statements adds up,
--- and shows no secret.

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function keep()
  local list = {}
  return list, function(event) list[#list + 1] = event end
end

describe("trace", function()
  it("hears of every statement: call, text, time, rows, tag",
    server.with({ max = 1 }, function(db)
      local list, fn = keep()
      db:trace(fn)
      db:query "select generate_series(1, 3)"
      db:exec "select 1"
      db:transaction(function(tx) tx:value "select 2" end)
      db:batch(function(b) b:query "select 3" b:exec "select 4" end)
      db:exec_many("select $1::int", { { 1 }, { 2 } })
      pcall(db.transaction, db, function(tx)
        tx:value "select 5"
        error "no"
      end)
      local seen = {}
      for i, e in ipairs(list) do
        seen[i] = ("%s: %s"):format(e.call, e.sql)
        assert.is_true(e.seconds >= 0 and e.wait >= 0 and e.wait <= e.seconds)
        assert.is_nil(e.error)
        assert.is_string(e.tag)
        assert.are.equal("integer", math.type(e.pid))
      end
      assert.are.same({
        "db:query: select generate_series(1, 3)", "db:exec: select 1",
        "tx:value: select 2", "tx:commit: commit",
        "db:batch: select 3", "db:batch: select 4",
        "db:exec_many: select $1::int",
        "tx:value: select 5", "tx:rollback: rollback",
      }, seen)
      assert.are.equal(3, list[1].rows)
      assert.are.equal("SELECT 3", list[1].tag)
      db:trace(nil)
      db:query "select 6"
      assert.are.equal(9, #list)
    end))

  it("hears of errors, time limits and what could not be sent", function()
    local list, fn = keep()
    server.with({ max = 1, acquire_timeout = 0.01, trace = fn }, function(db)
      raises("pg", db.query, db, "select nonsense")
      raises("query_timeout", db.query_opts, db, { timeout = 0.01 },
        "select pg_sleep(60)")
      server.whole(db)
      local held <close> = db:acquire()
      raises("pool_timeout", db.value, db, "select 1")
      assert.are.equal(1, held:value "select 1")
    end)()
    local kinds = {}
    for _, e in ipairs(list) do
      if e.error then kinds[#kinds + 1] = e.error.kind .. " " .. e.sql end
    end
    assert.are.same({ "pg select nonsense",
      "query_timeout select pg_sleep(60)", "pool_timeout select 1" }, kinds)
  end)

  it("that fails is reported and harms nobody", function()
    local dsn, reports = server.dsn(), {}
    neap.run({ on_error = function(info) reports[#reports + 1] = info end },
      function()
        local db <close> = pg.connect(dsn, {
          max = 1, trace = function() error("broken hook", 0) end,
        })
        assert.are.equal(1, db:value "select 1")
      end)
    assert.are.equal(1, #reports)
    assert.are.equal("listener", reports[1].what)
    assert.matches("broken hook", tostring(reports[1].error))
  end)

  it("takes a function or nil", server.with(function(db)
    local ok, err = pcall(db.trace, db, 7)
    assert.is_false(ok)
    assert.matches("function expected, got number", tostring(err))
  end))
end)

describe("echo", function()
  it("gets the text and how long it took, in real time", function()
    local list = {}
    server.with({
      max = 1, echo = function(sql, s) list[#list + 1] = { sql, s } end,
    }, function(db)
      db:query("select $1::text, pg_sleep(0.02)", "s3cret")
      db:batch(function(b) b:query "select 1" end)
    end)()
    assert.are.equal(2, #list)
    assert.are.equal("select $1::text, pg_sleep(0.02)", list[1][1])
    assert.is_true(list[1][2] >= 0.02)
  end)
end)

describe("no secret", function()
  local function search(value, seen, where)
    if type(value) == "string" then
      assert.is_nil(value:find("s3cret", 1, true), where)
    elseif type(value) == "table" and not seen[value] then
      seen[value] = true
      for k, v in pairs(value) do
        search(k, seen, where)
        search(v, seen, where .. "." .. tostring(k))
      end
    end
  end

  it("gets into messages, stats, traces, dumps and names",
    server.body(function(dsn)
      local parts = type(dsn) == "table" and dsn or { dsn = dsn }
      parts.password = "s3cret"
      local list, fn = keep()
      local db <close> = pg.connect(parts, {
        max = 1, trace = fn, acquire_timeout = 0.01,
      })
      db:value("select length($1)", "s3cret")
      local held = db:acquire()
      search({ raises("pool_timeout", db.value, db, "select 1") }, {}, "fault")
      search({
        list, db:stats(), db:statements(), tostring(db), tostring(held),
        neap.dump(), neap.dump { format = "table" },
      }, {}, "seen")
      held:release()
      assert.is_true(#list >= 2)
    end))
end)

describe("statistics", function()
  --- The sums that docs/postgres.md promises.
  local function check(db)
    local s = db:stats()
    local closed = 0
    for _, n in pairs(s.closed) do closed = closed + n end
    assert.are.equal(s.closes + s.lost, closed)
    assert.are.equal(s.connects, s.size + closed)
    assert.are.equal(s.size, s.idle + s.in_use)
    assert.are.equal(s.acquires,
      s.granted + s.refused + s.abandoned + s.waiting_acquires)
    for _, name in ipairs { "acquire_wait", "queue_wait" } do
      local sum = 0
      for _, b in ipairs(s[name]) do sum = sum + b.count end
      assert.are.equal(s[name].count, sum)
      assert.is_true(s[name].max <= s[name].seconds + 1e-9)
    end
    return s
  end

  it("add up, whatever happens", server.with({
    max = 3, max_uses = 7, acquire_timeout = 0.2, max_waiting = 40,
  }, function(db)
    local rng = 12345
    local function random(n)
      rng = (rng * 1103515245 + 12345) % 2147483648
      return rng // 65536 % n + 1
    end
    local own, answered, failed, acquired = 0, 0, 0, 0
    neap.scope(function(s)
      for i = 1, 120 do
        local kind, ms = random(6), random(4) / 1000
        local task = s:spawn(function()
          local ok, err = neap.pcall(function()
            if kind == 1 then
              local conn <close> = db:acquire()
              acquired = acquired + 1
              neap.sleep(ms)
              assert(conn:pid())
            elseif kind == 2 then
              db:value "select 1 / 0"
            else
              own = own + 1
              db:value("select $1::int", i)
            end
          end)
          if ok and kind > 2 then answered = answered + 1 end
          if not ok and err.kind == "pg" then failed = failed + 1 end
        end)
        if kind == 6 then task:cancel() end
      end
      neap.checkpoint()
      check(db)
    end)
    server.whole(db)
    local s = check(db)
    assert.is_true(s.granted >= acquired)
    assert.are.equal(failed, s.failed)
    assert.is_true(s.queries >= answered + failed)
    assert.is_true(s.closed.uses > 0)
    db:expire()
    assert.is_true(check(db).closed.expired > 0)
  end))

  it("count each statement: calls, errors, rows, time",
    server.with({ max = 2 }, function(db)
      local before = db:stats().queries
      for i = 1, 5 do db:query("select generate_series(1, $1::int)", i) end
      for _ = 1, 3 do pcall(db.value, db, "select 1 / $1::int", 0) end
      db:value "select 1 from pg_sleep(0.02)"
      local by = {}
      local list = db:statements()
      for i, st in ipairs(list) do
        by[st.sql] = st
        if i > 1 then assert.is_true(list[i - 1].seconds >= st.seconds) end
      end
      local series = by["select generate_series(1, $1::int)"]
      assert.are.equal(5, series.calls)
      assert.are.equal(15, series.rows)
      assert.are.equal(0, series.errors)
      local broken = by["select 1 / $1::int"]
      assert.are.equal(3, broken.calls)
      assert.are.equal(3, broken.errors)
      local slow = by["select 1 from pg_sleep(0.02)"]
      assert.is_true(slow.seconds >= 0.02 and slow.max >= 0.02)
      assert.are.equal(slow.seconds, slow.mean)
      assert.are.equal("select 1 from pg_sleep(0.02)", list[1].sql)
      local calls = 0
      for _, st in ipairs(list) do calls = calls + st.calls end
      assert.are.equal(db:stats().queries - before, calls)
    end))
end)
