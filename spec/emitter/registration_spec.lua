local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

describe("removal", function()
  it("by handle:off(), once; by <close>; by off(handle) (M8)", run(function()
    local em = neap.emitter()
    local handle = em:on("x", print)
    assert.is_true(handle:off())
    assert.is_false(handle:off())
    do
      local _ <close> = em:on("x", print)
      assert.are.equal(1, em:count "x")
    end
    assert.are.equal(0, em:count "x")
    handle = em:on("x", print)
    assert.are.equal(1, em:off(handle))
    assert.are.equal(0, em:off(handle))
    local other = neap.emitter()
    handle = em:on("x", print)
    assert.are.equal(0, other:off(handle))
    assert.are.equal(1, em:count "x")
  end))

  it("off and off_all say how many (M8)", run(function()
    local em = neap.emitter()
    local function f() end
    local function g() end
    em:on("x", f)
    em:on("x", g)
    em:on("x", f)
    em:on("y", f)
    assert.are.equal(4, em:count())
    assert.are.equal(2, em:off("x", f))
    assert.are.equal(0, em:off("x", f))
    assert.are.equal(0, em:off("nothing", f))
    assert.are.equal(1, em:off_all "x")
    assert.are.equal(0, em:off_all "x")
    em:on("z", f)
    assert.are.equal(2, em:off_all())
    assert.are.equal(0, em:off_all())
    assert.are.equal(0, em:count())
  end))

  it("lets go of what the only listener of an event called (E4)", run(function()
    local em, held = neap.emitter(), setmetatable({}, { __mode = "k" })
    local got = {}
    local function listen(mark)
      local function f(x) got[#got + 1] = mark .. x end
      held[f] = true
      return em:on("x", f)
    end
    local first = listen "a"
    em:emit("x", 1)
    em:emit("x", 2)
    local second = listen "b"
    em:emit("x", 3)
    first:off()
    em:emit("x", 4)
    em:emit("x", 5)
    second:off()
    assert.are.equal(0, em:emit("x", 6))
    local third = listen "a"
    em:emit("x", 7)
    third:off() -- while it is the only one that was emitted to
    assert.are.same({ "a1", "a2", "a3", "b3", "b4", "b5", "a7" }, got)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
  end))

  it("of the only listener, by itself and for once, is heeded", run(function()
    local em, n = neap.emitter(), 0
    local handle
    handle = em:on("x", function()
      n = n + 1
      if n == 3 then handle:off() end
    end)
    for _ = 1, 5 do em:emit "x" end
    assert.are.equal(3, n)
    em:once("x", function() n = n + 10 end)
    for _ = 1, 3 do em:emit "x" end
    assert.are.equal(13, n)
  end))
end)

describe("the leak warning", function()
  it("comes once for an event with more than ten listeners (M9)", run(function(reports)
    local em = neap.emitter()
    for _ = 1, 10 do em:on("x", print) end
    assert.are.equal(0, #reports)
    for _ = 1, 20 do em:on("x", print) end
    local info = reports:take "leak"
    assert.is_truthy(tostring(info.error):find("x", 1, true))
    for _ = 1, 11 do em:on("y", print) end
    reports:take "leak"
  end))

  it("may be set, and turned off (M9)", run(function(reports)
    local em = neap.emitter { max_listeners = 2 }
    for _ = 1, 3 do em:on("x", print) end
    reports:take "leak"
    em = neap.emitter { max_listeners = 0 }
    for _ = 1, 100 do em:on("x", print) end
    em = neap.emitter { max_listeners = math.huge }
    for _ = 1, 100 do em:on("x", print) end
  end))
end)

describe("emitter:close", function()
  it("refuses what comes, and ends those who wait (M10)", run(function()
    local em = neap.emitter()
    local handle = em:on("x", print)
    local task = neap.spawn(function() raises("closed", em.wait_for, em, "x") end)
    neap.checkpoint()
    em:close()
    task:await()
    raises("closed", em.emit, em, "x")
    raises("closed", em.on, em, "x", print)
    raises("closed", em.once, em, "x", print)
    raises("closed", em.wait_for, em, "x")
    assert.are.equal(0, em:count())
    assert.are.equal(0, em:off_all())
    handle:off()
    em:close()
  end))

  it("in a listener lets the emit end (M10)", run(function()
    local em = neap.emitter()
    local done
    em:on("x", function() em:close() end)
    em:on("x", function()
      neap.sleep(1)
      done = true
    end)
    assert.are.equal(2, em:emit "x")
    assert.is_true(done)
  end))
end)

describe("names of events", function()
  it("are any values but nil and NaN (M11)", run(function()
    local em = neap.emitter()
    for _, name in ipairs { "x", 1, 1.5, true, false, {}, print, em, "" } do
      local called = 0
      em:on(name, function() called = called + 1 end)
      assert.are.equal(1, em:emit(name))
      assert.are.equal(1, called)
      assert.are.equal(1, em:count(name))
      em:off_all(name)
    end
    em:on(1, print)
    assert.are.equal(1, em:count(1.0))
    for _, name in ipairs { "on", "once", "emit", "wait_for", "prepend" } do
      assert.is_false((pcall(em[name], em, nil, print)))
      assert.is_false((pcall(em[name], em, 0 / 0, print)))
    end
  end))
end)

describe("neap.emitter", function()
  it("refuses wrong options and arguments", run(function()
    raises("invalid", neap.emitter, { max_listener = 5 })
    raises("invalid", neap.emitter, { max_listeners = -1 })
    raises("invalid", neap.emitter, { max_listeners = "x" })
    raises("invalid", neap.emitter, { errors = "ignore" })
    assert.is_false((pcall(neap.emitter, 5)))
    local em = neap.emitter {}
    for _, name in ipairs { "on", "once", "prepend" } do
      assert.is_false((pcall(em[name], em, "x")))
      assert.is_false((pcall(em[name], em, "x", 5)))
      assert.is_false((pcall(em[name], em, "x", print, 5)))
      raises("invalid", em[name], em, "x", print, { prority = 5 })
      raises("invalid", em[name], em, "x", print, { priority = "x" })
      raises("invalid", em[name], em, "x", print, { priority = 0 / 0 })
      for _, bad in ipairs { 1, {}, "x", neap.queue(1), io.stdout } do
        assert.is_false((pcall(em[name], bad, "x", print)), name)
      end
    end
    for _, name in ipairs { "emit", "off", "off_all", "count", "close", "wait_for", "many" } do
      assert.is_false((pcall(em[name])), name)
      assert.is_false((pcall(em[name], {})), name)
    end
    local handle = em:on("x", print)
    assert.is_false((pcall(handle.off)))
    assert.is_false((pcall(handle.off, em)))
    assert.is_false((pcall(handle.off, {})))
    assert.are.equal(1, em:count())
  end))

  it("registers outside of a run, for all runs (W7)", function()
    local em = neap.emitter()
    local n = 0
    em:on("x", function() n = n + 1 end)
    neap.run(function() em:emit "x" end)
    neap.run(function() em:emit "x" end)
    assert.are.equal(2, n)
    raises("not_in_task", em.emit, em, "x")
  end)

  it("lets listeners go that were removed, and itself", run(function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local em = neap.emitter()
      local function f() return em end
      weak[em], weak[f] = true, true
      em:on("x", f)
      em:on("y", f):off()
      em:emit "x"
    end
    neap.checkpoint()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)

describe("many listeners", function()
  local N <const> = 100000

  it("are called in order, removed one by one, and all at once (M2, M8)", run({ timeout = 120 }, function()
    local em = neap.emitter { max_listeners = 0 }
    local handles, sum, last = {}, 0, 0
    for i = 1, N do
      handles[i] = em:on("x", function()
        assert(last < i)
        last, sum = i, sum + 1
      end)
    end
    assert.are.equal(N, em:emit "x")
    for i = 1, N do if i % 10 ~= 0 then handles[i]:off() end end
    sum, last = 0, 0
    assert.are.equal(N // 10, em:emit "x")
    assert.are.equal(N // 10, sum)
    assert.are.equal(N // 10, em:count "x")
    assert.are.equal(N // 10, #em:listeners "x")
    assert.are.equal(N // 10, em:off_all "x")
    for _ = 1, N do em:once("x", function() sum = sum + 1 end) end
    assert.are.equal(N, em:emit "x")
    assert.are.equal(0, em:emit "x")
    assert.are.equal(0, em:count())
  end))

  it("of any priority stand in order, however they came (M2)", run(function()
    local em = neap.emitter { max_listeners = 0 }
    local got = {}
    for i = 1, 2000 do
      local priority = i * 7919 % 13
      em[i % 3 == 0 and "prepend" or "on"](em, "x", function()
        got[#got + 1] = { priority, i % 3 == 0 and -i or i }
      end, { priority = priority })
      if i % 100 == 0 then em:emit "x" end
      if i % 100 == 0 then
        for k = 2, #got do
          local a, b = got[k - 1], got[k]
          assert(a[1] > b[1] or a[1] == b[1] and a[2] < b[2])
        end
        assert.are.equal(i, #got)
        got = {}
      end
    end
  end))

  it("removed while others are added during an emit (M3)", run(function()
    local em = neap.emitter { max_listeners = 0 }
    local handles, called = {}, 0
    for i = 1, 500 do
      handles[i] = em:on("x", function()
        called = called + 1
        if i <= 100 then
          for k = 1, 4 do handles[100 + (i - 1) * 4 + k]:off() end
          for _ = 1, 10 do em:on("x", print, { priority = -i }):off() end
          neap.sleep(1)
        end
      end)
    end
    assert.are.equal(100, em:emit "x")
    assert.are.equal(100, called)
    assert.are.equal(100, em:count "x")
  end))
end)

describe("an emitter that was collected", function()
  it("and is seen again is what it was; what comes in its place is not (M11)", function()
    local seen = {}
    local function make()
      local em = neap.emitter()
      em:on("x", function() end)
      em:emit_sync "x"
      setmetatable({}, { __gc = function() seen.em = em end })
    end
    make()
    collectgarbage()
    collectgarbage()
    assert.are.equal(1, seen.em:emit_sync "x")
    local emit_sync = seen.em.emit_sync
    seen.em = nil
    collectgarbage()
    collectgarbage()
    for _ = 1, 1000 do
      local other = neap.queue(1)
      assert.is_false((pcall(emit_sync, other, "x")))
    end
  end)
end)
