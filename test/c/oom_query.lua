-- Queries on a server: NEAP_TEST_PG says where. spec/pg/oom_spec.lua starts it.
local neap = require "neap"
local pg = require "neap.pg"
local dsn = assert(os.getenv "NEAP_TEST_PG", "NEAP_TEST_PG is not set")

arm()
neap.run({ on_error = function() end }, function()
  local db <close> = pg.connect(dsn, { min = 1, max = 2 })
  assert(db:value("select $1::int8 + 1", 41) == 42)
  local a, b = neap.gather(
    function() return db:row("select $1::text as name, null as nothing", "ann") end,
    function() return db:query("select g, g * 1.5::numeric as n from generate_series(1, 3) g") end)
  assert(a.name == "ann" and a.nothing == nil and b.n == 3)
  local ok, err = pcall(db.query, db, "select 1 / $1::int4", 0)
  assert(not ok, err)
  local sum = db:transaction(function(tx)
    tx:exec("create temporary table t (v int8) on commit drop")
    assert(tx:exec("insert into t values ($1), ($2)", 3, 4) == 2)
    return tx:value("select sum(v)::int8 from t")
  end)
  assert(sum == 7)
end)
