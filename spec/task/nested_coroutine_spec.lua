--- Coroutines of the user's own inside a task: what waits in them makes the task
--- wait, however deep, and all else is as Lua has it.

local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function iterator(n, step)
  return coroutine.wrap(function()
    for i = 1, n do
      step()
      coroutine.yield(i)
    end
  end)
end

describe("a coroutine inside a task", function()
  it("is an iterator that waits, three deep (K1)", run(function()
    local function doubled(source)
      return coroutine.wrap(function()
        for v in source do
          neap.sleep(1)
          coroutine.yield(v * 2)
        end
      end)
    end
    local ticks = 0
    local ticker = neap.spawn(function()
      while true do
        neap.sleep(0.5)
        ticks = ticks + 1
      end
    end)
    local got, t = {}, neap.now()
    for v in doubled(doubled(iterator(3, function() neap.sleep(1) end))) do
      got[#got + 1] = v
    end
    ticker:cancel()
    assert.are.same({ 4, 8, 12 }, got)
    assert.is_true(math.abs(neap.now() - t - 9) < 1e-6)
    assert.is_true(ticks >= 17)
  end))

  it("passes values in and out as ever (K1)", run(function()
    local co = coroutine.create(function(...)
      local got = { ... }
      while true do
        neap.sleep(0.1)
        got = table.pack(coroutine.yield(table.unpack(got, 1, got.n)))
        if got[1] == "end" then
          neap.sleep(0.1)
          return "ended", nil, got.n
        end
      end
    end)
    assert.are.same({ n = 3, true, 1, 2 }, table.pack(coroutine.resume(co, 1, 2)))
    assert.are.same({ n = 4, true, nil, "x", nil },
      table.pack(coroutine.resume(co, nil, "x", nil)))
    assert.are.same({ n = 1, true }, table.pack(coroutine.resume(co)))
    assert.are.same({ n = 4, true, "ended", nil, 1 },
      table.pack(coroutine.resume(co, "end")))
    assert.are.equal("dead", coroutine.status(co))
    assert.is_false((coroutine.resume(co)))
  end))

  it("can take many values through a wait (K1)", run(function()
    local many = {}
    for i = 1, 200 do many[i] = i end
    local co = coroutine.wrap(function(...)
      neap.sleep(0.1)
      local n = select("#", coroutine.yield(...))
      neap.sleep(0.1)
      return n, ...
    end)
    assert.are.equal(200, select("#", co(table.unpack(many))))
    local out = table.pack(co(table.unpack(many)))
    assert.are.equal(201, out.n)
    assert.are.equal(200, out[1])
    assert.are.equal(200, out[201])
  end))

  it("raises through all levels what is raised inside (K1)", run(function()
    local thrown = { kind = "mine" }
    local got, note = journal()
    local function level(n)
      local ok, err = pcall(coroutine.wrap(function()
        neap.sleep(1)
        if n == 3 then error(thrown) end
        level(n + 1)
      end))
      assert.is_false(ok)
      note(n)
      error(err, 0)
    end
    assert.are.equal(thrown, (raises("mine", level, 1)))
    assert.are.same({ 3, 2, 1 }, got)
    local co = coroutine.create(function()
      neap.sleep(1)
      error "with a place"
    end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.is_truthy(err:find("spec.lua:%d+: with a place"))
  end))

  it("is cancelled in the innermost wait, from the inside out (K1, C2)", run(function()
    local got, note = journal()
    local function level(n)
      local co = coroutine.wrap(function()
        local ok, err = pcall(function()
          if n == 3 then neap.sleep(100) else level(n + 1) end
        end)
        note(n)
        assert.is_false(ok)
        assert.is_true(neap.is_cancelled(err))
        error(err, 0)
      end)
      co()
    end
    local task = neap.spawn(level, 1)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.same({ 3, 2, 1 }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("works with every kind of wait (K1)", run(function()
    local q, ev, lock = neap.queue(0), neap.event(), neap.lock()
    neap.spawn(function()
      local _ <close> = lock:acquire()
      neap.sleep(1)
      q:put "item"
      neap.sleep(1)
      ev:set()
    end)
    neap.checkpoint()
    local got = {}
    for v in coroutine.wrap(function()
      coroutine.yield(q:get())
      ev:wait()
      coroutine.yield "event"
      do local _ <close> = lock:acquire() end
      coroutine.yield(neap.spawn(function() neap.sleep(1) return "task" end):await())
      coroutine.yield(neap.select { neap.after(1), q:on_get() })
      coroutine.yield(neap.gather(
        function() neap.sleep(1) return "one" end,
        function() neap.sleep(2) return "two" end))
      coroutine.yield(neap.move_on_after(1, neap.sleep, 5))
      coroutine.yield(q:get { timeout = 1 } or "timeout")
    end) do got[#got + 1] = v end
    assert.are.same({ "item", "event", "task", 1, "one", false, "timeout" }, got)
  end))

  it("cannot yield to its resumer while a scope of its own is open (I8)", run(function()
    local co = coroutine.create(function()
      neap.scope(function() coroutine.yield(1) end)
    end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.is_truthy(err:find("scope", 1, true))
    assert.are.equal("dead", coroutine.status(co))
    assert.is_nil(neap.deadline() and nil)
    neap.sleep(1) -- the task goes on
  end))

  it("that cannot be suspended somewhere in the chain says so, before anything happens (K2, W6)", run(function()
    local q = neap.queue(1)
    local err
    local ok = pcall(table.sort, { 3, 1, 2 }, function(a, b)
      coroutine.wrap(function()
        local _
        _, err = pcall(q.put, q, "item")
        local _, err2 = pcall(neap.sleep, 1)
        assert(err2.kind == "not_in_task")
      end)()
      return a < b
    end)
    assert.is_true(ok)
    assert.are.equal("not_in_task", err.kind)
    assert.are.equal(0, #q)
    assert.is_nil(q:try_get())
    neap.sleep(1)
  end))

  it("does not hold up what does not wait (K1)", run(function()
    local co = coroutine.wrap(function()
      for i = 1, 1e9 do coroutine.yield(i) end
    end)
    local others = 0
    neap.spawn(function()
      for _ = 1, 10 do
        neap.checkpoint()
        others = others + 1
      end
    end)
    for i = 1, 1000 do assert.are.equal(i, co()) end
    assert.are.equal(0, others)
    neap.sleep(1)
    assert.are.equal(10, others)
  end))

  it("left behind in a yield is garbage, as ever (K1)", run(function()
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 20 do
      local co = coroutine.create(function()
        neap.sleep(0)
        coroutine.yield(1)
      end)
      weak[co] = true
      assert(coroutine.resume(co))
    end
    collectgarbage()
    collectgarbage()
    local n = 0
    for _ in pairs(weak) do n = n + 1 end
    assert.is_true(n <= 1)
  end))

  it("sees one task all the way down (K1)", run(function()
    local me = neap.current()
    coroutine.wrap(function()
      assert.are.equal(me, neap.current())
      neap.sleep(1)
      coroutine.wrap(function()
        neap.sleep(1)
        assert.are.equal(me, neap.current())
      end)()
      assert.are.equal(me, neap.current())
      neap.ctx.set("from", "inside")
    end)()
    assert.are.equal("inside", neap.ctx.get "from")
  end))

  it("with a deadline round it is interrupted (K1, D1)", run(function()
    local reached = false
    local err = raises("timeout", neap.timeout, 1, function()
      for v in iterator(5, function() neap.sleep(0.4) end) do
        reached = v
      end
    end)
    assert.are.equal(2, reached)
    assert.is_truthy(err.message:find("neap.sleep", 1, true))
  end))

  it("may be started by one task and gone on with by another (K1)", run(function()
    local seen = {}
    local co = coroutine.wrap(function()
      for _ = 1, 4 do
        neap.sleep(1)
        seen[#seen + 1] = neap.current()
        coroutine.yield()
      end
    end)
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = neap.spawn(co)
      tasks[i]:await()
    end
    assert.are.same(tasks, seen)
  end))

  it("that waits is refused to anybody else (K3)", run(function()
    local co = coroutine.create(function() neap.sleep(2) return "done" end)
    local task = neap.spawn(function() return coroutine.resume(co) end)
    neap.sleep(1)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.is_truthy(err:find("neap.sleep", 1, true))
    assert.is_false((pcall(coroutine.close, co)))
    assert.are.same({ true, "done" }, { task:await() })
  end))
end)

describe("outside of a run", function()
  it("the coroutine library is Lua's own (K4)", function()
    local before = { coroutine.resume, coroutine.wrap, coroutine.close }
    neap.run(function()
      assert.are_not.equal(before[1], coroutine.resume)
      assert.are_not.equal(before[2], coroutine.wrap)
      neap.sleep(0)
    end)
    assert.are.same(before, { coroutine.resume, coroutine.wrap, coroutine.close })
    pcall(neap.run, function() error "x" end)
    assert.are.same(before, { coroutine.resume, coroutine.wrap, coroutine.close })
  end)

  it("neap's own versions work as Lua's (K4)", function()
    local co = neap.coroutine.wrap(function(a)
      local b = coroutine.yield(a + 1)
      error("after " .. b, 0)
    end)
    assert.are.equal(2, co(1))
    local ok, err = pcall(co, "yield")
    assert.is_false(ok)
    assert.is_truthy(err:find("after yield", 1, true))
    assert.is_false((pcall(co)))
    assert.is_false((pcall(neap.coroutine.resume, 1)))
    assert.is_false((pcall(neap.coroutine.wrap, 1)))
    neap.coroutine.install()
    assert.are.equal(neap.coroutine.wrap, coroutine.wrap)
    neap.coroutine.uninstall()
    assert.are_not.equal(neap.coroutine.wrap, coroutine.wrap)
  end)
end)
