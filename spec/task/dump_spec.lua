local neap = require "neap"
local run = require "spec.support.run"

describe("neap.dump", function()
  it("shows the tree of tasks, what each waits for, and its deadline (R10)", run(function()
    local q, lock = neap.queue(1), neap.lock()
    local function named(name, fn, ...)
      neap.spawn(fn, ...).name = name
    end
    neap.current().name = "main task"
    local _ <close> = lock:acquire()
    neap.move_on_after(60, function()
      named("getter", q.get, q)
      named("locker", lock.acquire, lock)
      named("parent", function()
        neap.scope(function(s)
          s:spawn(neap.sleep, 1000).name = "grandchild"
        end)
      end)
      local ground <close> = setmetatable({ neap.background(neap.sleep, 70) }, {
        __close = function(self) self[1]:cancel() end,
      })
      ground[1].name = "in the background"
      neap.checkpoint()
      neap.checkpoint()
      local text = neap.dump()
      local function line(name)
        local l = text:match("[^\n]*" .. name .. "[^\n]*")
        assert.is_truthy(l, name .. " in:\n" .. text)
        return l
      end
      assert.is_truthy(line "getter":find("queue:get", 1, true))
      assert.is_truthy(line "locker":find("lock:acquire", 1, true))
      assert.is_truthy(line "getter":find("deadline", 1, true))
      assert.is_truthy(line "grandchild":find("neap.sleep", 1, true))
      assert.is_truthy(line "main task":find("running", 1, true))
      assert.is_nil(line "in the background":find("deadline", 1, true))
      local function indent(name) return #line(name):match "^%s*" end
      assert.is_true(indent "getter" > indent "main task")
      assert.is_true(indent "grandchild" > indent "parent")
    end)
  end))

  it("outside of a run is text too", function()
    assert.are.equal("string", type(neap.dump()))
    neap.run(function() end)
    assert.are.equal("string", type(neap.dump()))
  end)

  it("of a thousand tasks, deep and wide, with odd names (R10)", run(function()
    local function deep(n)
      if n == 0 then return neap.sleep(1) end
      neap.spawn(deep, n - 1).name = ("x"):rep(500) .. "%d%s\0\n"
    end
    deep(200)
    for _ = 1, 800 do neap.spawn(neap.sleep, 1) end
    neap.sleep(0.5)
    assert.are.equal("string", type(neap.dump()))
  end))
end)

describe("neap.stats", function()
  it("counts, and comes back to zero (R10)", run(function()
    local before = neap.stats()
    for _ = 1, 10 do neap.spawn(neap.sleep, 5) end
    neap.checkpoint()
    local now = neap.stats()
    assert.are.equal(before.tasks + 10, now.tasks)
    assert.are.equal(before.timers + 10, now.timers)
    assert.is_true(now.switches > before.switches)
    neap.sleep(10)
    now = neap.stats()
    assert.are.equal(before.tasks, now.tasks)
    assert.are.equal(before.timers, now.timers)
    for name, value in pairs(now) do
      assert.are.equal("string", type(name))
      assert.are.equal(name == "turn_latency" and "table" or "number", type(value))
    end
  end))
end)
