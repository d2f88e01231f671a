-- COPY, cursors and batches on a server: NEAP_TEST_PG says where.
-- spec/pg/oom_spec.lua starts it.
local neap = require "neap"
local pg = require "neap.pg"
local dsn = assert(os.getenv "NEAP_TEST_PG", "NEAP_TEST_PG is not set")

arm()
neap.run({ on_error = function() end }, function()
  local db <close> = pg.connect(dsn, { min = 1, max = 2 })
  local got = db:batch(function(b)
    b:value("select $1::int4", 7)
    b:column "select g from generate_series(1, 3) g"
  end)
  assert(got[1] == 7)
  db:transaction(function(tx)
    tx:exec "create temporary table t (v int8, s text) on commit drop"
    assert(tx:copy_in("t", nil, { { 1, "a" }, { 2, nil }, { 3, "c" } }) == 3)
    assert(tx:copy_in("t", nil, "4\td\n", { format = "text" }) == 1)
    local n = 0
    for row in tx:copy_out "t" do
      n = n + 1
      assert(row[1] == n)
    end
    assert(n == 4)
    n = 0
    for row in tx:each_opts({ batch = 3 }, "select v from t order by v") do
      n = n + 1
      assert(row.v == n)
    end
    assert(n == 4)
  end)
  local n = 0
  for row in db:each_opts({ batch = 2 }, "select g from generate_series(1, 3) g") do
    n = n + 1
    assert(row.g == n)
  end
  assert(n == 3)
  local out = db:copy_out "select g from generate_series(1, 5) g"
  assert(out()[1] == 1)
  out:close()
end)
