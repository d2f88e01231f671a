local jobs = require "spec.thread.jobs"
local neap = require "neap"
local run = require "spec.support.run"
local test = require "neap.test"
local raises, journal = run.raises, run.journal
local call = neap.thread.call

--- In a run on the real clock, with a gate, and the limit put back at the end.
local function gated(fn)
  return run({ clock = "real", order = true }, function(reports)
    local gate <close> = jobs.gate()
    local _ <close> = setmetatable({ neap.thread.limit() }, {
      __close = function(self) neap.thread.limit(self[1]) end,
    })
    fn(gate, reports)
  end)
end

local function pass(gate, name)
  return neap.spawn(call, "spec.thread.jobs:pass", gate.path, name)
end

describe("the limit of threads", function()
  it("is less than libuv has threads", function()
    local size = tonumber(os.getenv "UV_THREADPOOL_SIZE") or 4
    assert.are.equal(math.max(1, size - 1), neap.thread.limit())
  end)

  it("is set, and what was is returned", function()
    local was = neap.thread.limit(2)
    assert.are.equal(2, neap.thread.limit(5))
    assert.are.equal(5, neap.thread.limit(was))
    assert.are.equal(was, neap.thread.limit())
    for _, bad in ipairs { 0, -1, 1.5, 1 << 40, true, {} } do
      local err = raises(nil, neap.thread.limit, bad)
      assert.is_truthy(err:find("bad argument #1 to 'neap.thread.limit'", 1, true))
    end
    assert.are.equal(was, neap.thread.limit())
  end)

  it("is how many calls run at once; the rest waits in line (H4)", gated(function(gate)
    neap.thread.limit(2)
    local got, note = journal()
    for _, name in ipairs { "a", "b", "c", "d" } do
      neap.spawn(function() note(call("spec.thread.jobs:pass", gate.path, name)) end)
    end
    gate:expect "a b"
    neap.sleep(0.03)
    assert.are.equal("a b", gate:arrived())
    gate:open(1)
    gate:expect "a b c"
    gate:open(3)
    gate:expect "a b c d"
    neap.timeout(20, function() while #got < 4 do neap.sleep(0.005) end end)
  end))

  it("keeps the line: first come, first served (H4)", gated(function()
    neap.thread.limit(1)
    local got, note = journal()
    neap.scope(function(s)
      for i = 1, 20 do s:spawn(function() note(call("return ...", i)) end) end
    end)
    for i = 1, 20 do assert.are.equal(i, got[i]) end
  end))

  it("lets more run at once when it rises", gated(function(gate)
    neap.thread.limit(1)
    local tasks = { pass(gate, "a"), pass(gate, "b"), pass(gate, "c") }
    gate:expect "a"
    neap.thread.limit(3)
    gate:expect "a b c"
    gate:open(3)
    for _, task in ipairs(tasks) do task:await() end
  end))

  it("holds for those that run when it sinks", gated(function(gate)
    neap.thread.limit(3)
    local tasks = {}
    for i, name in ipairs { "a", "b", "c" } do tasks[i] = pass(gate, name) end
    gate:expect "a b c"
    neap.thread.limit(1)
    tasks[4], tasks[5] = pass(gate, "d"), pass(gate, "e")
    gate:open(1)
    neap.sleep(0.03)
    assert.are.equal("a b c", gate:arrived()) -- two still run
    gate:open(2)
    gate:expect "a b c d"
    neap.sleep(0.03)
    assert.are.equal("a b c d", gate:arrived())
    gate:open(2)
    for _, task in ipairs(tasks) do task:await() end
  end))
end)

describe("cancelling a call", function()
  it("takes it out of the line, and it never runs (H1, H5)", gated(function(gate)
    neap.thread.limit(1)
    local first, second, third = pass(gate, "a"), pass(gate, "b"), pass(gate, "c")
    gate:expect "a"
    assert.is_truthy(neap.dump():find("in neap.thread.call (in line)", 1, true))
    second:cancel()
    second:join()
    assert.are.equal("cancelled", second:status())
    gate:open(2)
    assert.are.same({ "a", "c" }, { first:await(), third:await() })
    assert.are.equal("a c", gate:arrived())
  end))

  it("waits for it once it runs; the result is the caller's (H5)", gated(function(gate)
    local task = pass(gate, "a")
    gate:expect "a"
    assert.is_true(task:cancel())
    neap.sleep(0.03)
    assert.are.equal("waiting", task:status())
    gate:open(1)
    assert.are.equal("a", task:await())
  end))

  it("is seen by code that asks (H5)", gated(function()
    local function patient()
      local n = 0
      while not neap_thread_cancelled() do
        os.execute "sleep 0.01"
        n = n + 1
      end
      return "stopped", n
    end
    assert.are.equal("stopped", (neap.timeout(0.05, call, patient)))
    local reached
    local task = neap.spawn(function()
      reached = call(patient)
      neap.checkpoint()
      reached = "too far"
    end)
    neap.sleep(0.05)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("stopped", reached)
    assert.is_false(call "return neap_thread_cancelled()")
  end))

  it("raises what the thread raised", gated(function(gate)
    local task = neap.spawn(pcall, call, function(path)
      require("spec.thread.jobs").pass(path, "a")
      error("late", 0)
    end, gate.path)
    gate:expect "a"
    task:cancel()
    gate:open(1)
    assert.are.same({ false, "late" }, { task:await() })
  end))

  it("may come at each wait, one after another", function()
    local was = neap.thread.limit(1)
    local waits = test.run({ timeout = 30 }, function()
      return test.cancel_sweep(function()
        local a, b = neap.gather(
          function() return call("return ...", { 1 }) end,
          function() return call("return ...", 2) end)
        assert(a[1] + b == call("return ...", 3))
      end)
    end)
    assert.is_true(waits >= 4, waits)
    assert.are.equal(1, neap.thread.limit(was))
  end)

  it("may come for many at once, at any time", gated(function()
    neap.thread.limit(3)
    math.randomseed(os.time())
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = neap.spawn(call, "for i = 1, 1000 do end return ...", i)
    end
    for _ = 1, 100 do
      local task = tasks[math.random(#tasks)]
      if math.random(3) == 1 then neap.sleep(0) end
      task:cancel()
    end
    for i, task in ipairs(tasks) do
      task:join()
      local out = task:outcome()
      if task:status() == "done" then
        assert.are.equal(i, out[1])
      else
        assert.are.equal("cancelled", task:status())
      end
    end
    assert.are.equal(1, call "return 1")
  end))
end)
