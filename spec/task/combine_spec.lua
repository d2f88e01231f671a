local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- A function that sleeps and then returns the values.
local function after(s, ...)
  local values = table.pack(...)
  return function()
    neap.sleep(s)
    return table.unpack(values, 1, values.n)
  end
end

local function failing(s, err)
  return function()
    neap.sleep(s)
    error(err, 0)
  end
end

describe("neap.gather", function()
  it("runs all at once and returns one value of each, in order (G1)", run(function()
    local t = neap.now()
    local values = table.pack(neap.gather(after(3, "a", "extra"), after(1), after(2, "c"), after(1, nil)))
    assert.are.same({ n = 4, "a", nil, "c", nil }, values)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("of nothing returns nothing, after a checkpoint (G5)", run(function()
    local ran = false
    neap.spawn(function() ran = true end)
    assert.are.equal(0, select("#", neap.gather()))
    assert.is_true(ran)
    local task = neap.spawn(function()
      neap.current():cancel()
      neap.gather()
      error "not reached"
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
  end))

  it("the first error cancels the rest, waits, and is raised (G2)", run(function()
    local got, note = journal()
    local thrown = { kind = "mine" }
    local err = raises("mine", neap.gather, function()
      local _ <close> = neap.defer(function()
        neap.sleep(2)
        note "cleaned"
      end)
      neap.sleep(100)
    end, failing(1, thrown), after(100))
    assert.are.equal(thrown, err)
    assert.are.same({ "cleaned" }, got)
  end))

  it("raises the first error by time, not by place (G2)", run(function(reports)
    local err = raises(nil, neap.gather, failing(3, "late"), failing(1, "early"))
    assert.are.equal("early", err)
    assert.are.equal(0, #reports)
  end))

  it("awaits a task given to it, and does not own it (G1)", run(function()
    local task = neap.spawn(after(5, "given"))
    assert.are.same({ "given", "own" }, { neap.gather(task, after(1, "own")) })
    assert.are.same({ "given" }, { neap.gather(task) })
    local other = neap.spawn(after(5, "given"))
    raises("mine", neap.gather, other, failing(1, { kind = "mine" }))
    assert.are.equal("waiting", other:status())
    assert.are.equal("given", other:await())
  end))

  it("hears the error of a given task when it comes (G2)", run(function(reports)
    local task = neap.background(failing(1, { kind = "given" }))
    local t = neap.now()
    local own
    raises("given", neap.gather, function()
      own = neap.current()
      neap.sleep(100)
    end, task)
    assert.is_true(math.abs(neap.now() - t - 1) < 1e-6)
    assert.are.equal("cancelled", own:status())
    reports:take "background"
  end))

  it("raises task_cancelled for a given task that is cancelled (G2, T7)", run(function()
    local task = neap.spawn(after(100))
    neap.spawn(function()
      neap.sleep(1)
      task:cancel()
    end)
    raises("task_cancelled", neap.gather, task, after(100))
  end))

  it("of the calling task is a deadlock at once (T11)", run(function()
    raises("deadlock", neap.gather, neap.current())
  end))

  it("cancelled cancels what it started, and waits (G6)", run(function()
    local got, note = journal()
    local given = neap.spawn(after(50))
    local task = neap.spawn(function()
      neap.gather(given, function()
        local _ <close> = neap.defer(function()
          neap.sleep(2)
          note "cleaned"
        end)
        neap.sleep(100)
      end)
      note "not reached"
    end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ "cleaned" }, got)
    given:await()
  end))

  it("refuses what is neither function nor task, and starts nothing then", run(function()
    local ran = false
    local ok, err = pcall(neap.gather, function() ran = true end, 5)
    assert.is_false(ok)
    assert.is_truthy(err:find("#2", 1, true), err)
    for _, bad in ipairs { "x", {}, true, io.stdout, neap.event() } do
      assert.is_false((pcall(neap.gather, bad)))
    end
    assert.is_false((pcall(neap.gather, nil)))
    assert.is_false((pcall(neap.gather, print, nil)))
    neap.sleep(1)
    assert.is_false(ran)
  end))

  it("gathers a thousand (G1)", run(function()
    local list = {}
    for i = 1, 1000 do list[i] = after((i * 7919) % 100, i) end
    local values = { neap.gather(table.unpack(list)) }
    for i = 1, 1000 do assert.are.equal(i, values[i]) end
  end))
end)

describe("neap.all", function()
  it("returns the values in a table with n (G1)", run(function()
    assert.are.same({ n = 3, "a", nil, "c" }, neap.all { after(2, "a"), after(1), after(3, "c") })
    assert.are.same({ n = 3, nil, 2 }, neap.all { n = 3, after(1), after(1, 2), after(1) })
    assert.are.same({ n = 0 }, neap.all {})
  end))

  it("raises the first error (G2)", run(function()
    raises("mine", neap.all, { after(100), failing(1, { kind = "mine" }) })
  end))

  it("refuses what is no list of functions", run(function()
    for _, bad in ipairs { 5, "x", true } do assert.is_false((pcall(neap.all, bad))) end
    assert.is_false((pcall(neap.all)))
    assert.is_false((pcall(neap.all, { 5 })))
    assert.is_false((pcall(neap.all, { n = 2, print })))
    for _, n in ipairs { "x", -1, 1.5, 0 / 0, math.huge, {}, "1" } do
      for _, name in ipairs { "all", "settle", "map" } do
        local ok, err = pcall(neap[name], { n = n, tostring }, tostring)
        assert.is_false(ok)
        assert.is_truthy(err:find(name, 1, true), err)
      end
    end
  end))
end)

describe("neap.settle", function()
  it("waits for all and raises nothing (G3)", run(function(reports)
    local t = neap.now()
    local outcomes = neap.settle { after(3, "a", "extra"), failing(1, "bad"), after(2) }
    assert.are.same({ n = 3, { ok = true, value = "a" }, { ok = false, err = "bad" },
      { ok = true } }, outcomes)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
    assert.are.equal(0, #reports)
  end))

  it("takes tasks, cancelled ones too (G3)", run(function(reports)
    local cancelled = neap.spawn(after(100))
    neap.checkpoint()
    cancelled:cancel()
    local failed = neap.background(failing(1, { kind = "mine" }))
    local outcomes = neap.settle { cancelled, failed, neap.spawn(after(1, 5)) }
    assert.are.equal("task_cancelled", outcomes[1].err.kind)
    assert.are.equal("mine", outcomes[2].err.kind)
    assert.are.same({ ok = true, value = 5 }, outcomes[3])
    reports:take "background"
  end))

  it("of nothing is empty, after a checkpoint (G5)", run(function()
    local ran = false
    neap.spawn(function() ran = true end)
    assert.are.same({ n = 0 }, neap.settle {})
    assert.is_true(ran)
  end))

  it("cancelled cancels what it started, and loses no failure (G6)", run(function(reports)
    local own
    local given = neap.spawn(after(50))
    local task = neap.spawn(function()
      neap.settle { given, failing(1, "unheard"), function()
        own = neap.current()
        neap.sleep(100)
      end }
      error "not reached"
    end)
    neap.sleep(2)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("cancelled", own:status())
    assert.are.equal("waiting", given:status())
    assert.are.equal("unheard", reports:take "secondary".error)
  end))

  it("does not let a function cancel its siblings (G3)", run(function()
    local outcomes = neap.settle { function()
      neap.current():cancel()
      neap.checkpoint()
    end, after(5, "fine") }
    assert.are.equal("task_cancelled", outcomes[1].err.kind)
    assert.are.equal("fine", outcomes[2].value)
  end))

  it("refuses what is no list of functions", run(function()
    assert.is_false((pcall(neap.settle)))
    assert.is_false((pcall(neap.settle, 5)))
    assert.is_false((pcall(neap.settle, { 5 })))
  end))
end)

describe("neap.map", function()
  it("calls fn(item, index) and keeps the order (G4)", run(function()
    local values = neap.map({ 30, 10, 20 }, function(item, index)
      neap.sleep(item)
      return item * index, "extra"
    end)
    assert.are.same({ n = 3, 30, 20, 60 }, values)
  end))

  it("keeps holes (G4)", run(function()
    assert.are.same({ n = 3, "nil1", "22", "nil3" }, neap.map({ n = 3, [2] = 2 },
      function(item, index) return tostring(item) .. index end))
    assert.are.same({ n = 2 }, neap.map({ 1, 2 }, function() end))
  end))

  it("has at most `concurrency` calls running (G4)", run(function()
    local live, most = 0, 0
    local items = {}
    for i = 1, 50 do items[i] = (i * 7919) % 13 end
    neap.map(items, function(s)
      live = live + 1
      most = math.max(most, live)
      neap.sleep(s)
      live = live - 1
    end, { concurrency = 4 })
    assert.are.equal(4, most)
    most = 0
    neap.map(items, function()
      live = live + 1
      most = math.max(most, live)
      neap.sleep(1)
      live = live - 1
    end, { concurrency = math.huge })
    assert.are.equal(50, most)
  end))

  it("begins the next item when one is done, not batch by batch (G4)", run(function()
    local t = neap.now()
    neap.map({ 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, neap.sleep, { concurrency = 2 })
    assert.is_true(math.abs(neap.now() - t - 10) < 1e-6)
  end))

  it("raises the first error and begins nothing more (G2, G4)", run(function()
    local begun = 0
    raises("mine", neap.map, { 1, 2, 3, 4, 5, 6 }, function(i)
      begun = begun + 1
      neap.sleep(1)
      if i == 2 then error { kind = "mine" } end
    end, { concurrency = 2 })
    assert.are.equal(3, begun) -- the third when the first was done
  end))

  it("limits each call by timeout (G4)", run(function()
    raises("timeout", neap.map, { 1, 100, 1 }, neap.sleep, { timeout = 5 })
    local outcomes = neap.map({ 1, 100, 2 }, function(s)
      neap.sleep(s)
      return s
    end, { timeout = 5, errors = "collect" })
    assert.are.same({ ok = true, value = 1 }, outcomes[1])
    assert.are.equal("timeout", outcomes[2].err.kind)
    assert.are.same({ ok = true, value = 2 }, outcomes[3])
  end))

  it("with errors=\"collect\" gives outcomes (G4)", run(function(reports)
    local outcomes = neap.map({ 1, 2, 3 }, function(i)
      if i == 2 then error("bad", 0) end
      return i
    end, { errors = "collect" })
    assert.are.same({ n = 3, { ok = true, value = 1 }, { ok = false, err = "bad" },
      { ok = true, value = 3 } }, outcomes)
    assert.are.equal(0, #reports)
  end))

  it("of nothing is empty, after a checkpoint (G5)", run(function()
    local ran = false
    neap.spawn(function() ran = true end)
    assert.are.same({ n = 0 }, neap.map({}, print))
    assert.is_true(ran)
  end))

  it("cancelled raises, and does not return what is incomplete (G6, S11)", run(function()
    for _, errors in ipairs { "raise", "collect" } do
      local result
      local task = neap.spawn(function()
        result = neap.map({ 1, 50 }, neap.sleep, { errors = errors })
      end)
      neap.sleep(10)
      task:cancel()
      task:join()
      assert.is_nil(result)
      assert.are.equal("cancelled", task:status())
    end
  end))

  it("refuses wrong arguments and options", run(function()
    for _, bad in ipairs { { 5, print }, { "x", print }, { {}, 5 }, { {} }, {} } do
      assert.is_false((pcall(neap.map, table.unpack(bad, 1, 2))))
    end
    for _, opts in ipairs { { concurrency = 0 }, { concurrency = 1.5 }, { concurrency = "x" },
      { concurrency = -1 }, { timeout = -1 }, { timeout = 0 / 0 }, { timeout = "x" },
      { errors = "ignore" }, { concurency = 1 } } do
      raises("invalid", neap.map, { 1 }, print, opts)
    end
    assert.is_false((pcall(neap.map, { 1 }, print, 5)))
  end))
end)
