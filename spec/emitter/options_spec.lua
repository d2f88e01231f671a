local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("the option unique", function()
  it("gives the handle that the function has already (M17)", run(function()
    local em, calls = neap.emitter(), 0
    local function count() calls = calls + 1 end
    local first = em:on("x", count, { unique = true })
    assert.are.equal(first, em:on("x", count, { unique = true }))
    assert.are.equal(1, em:count "x")
    em:emit "x"
    assert.are.equal(1, calls)
    assert.are_not.equal(first, em:on("x", count))
    assert.are.equal(2, em:count "x")
    assert.are_not.equal(first, em:on("y", count, { unique = true }))
    local any = em:on_any(count, { unique = true })
    assert.are.equal(any, em:on_any(count, { unique = true }))
    first:off()
    assert.are_not.equal(first, em:on("x", count, { unique = true }))
  end))

  it("knows a function by itself, limited or not (M17)", run(function()
    local em = neap.emitter()
    local function f() end
    local first = em:on("x", f, { timeout = 5, concurrency = 1 })
    assert.are.equal(first, em:on("x", f, { unique = true }))
    assert.are.same({ f }, em:listeners "x")
    assert.are.equal(1, em:off("x", f))
  end))
end)

describe("the option named", function()
  it("puts the name first (M17)", run(function()
    local em = neap.emitter()
    local got
    em:on("x", function(...) got = table.pack(...) end, { named = true })
    em:emit("x", 1, nil)
    assert.are.same({ n = 3, "x", 1, nil }, got)
    em:emit_sync("x", 2)
    assert.are.same({ n = 2, "x", 2 }, got)
    raises("invalid", em.on, em, "x", print, { named = 1 })
    raises("invalid", em.on, em, "x", print, { unique = 1 })
  end))
end)

describe("the option scope", function()
  it("removes the listener when the scope has ended with its children (M17)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    neap.scope(function(s)
      em:on("x", note, { scope = s })
      em:once("x", note, { scope = s })
      em:emit("x", "in the body")
      s:spawn(function()
        neap.sleep(1)
        em:emit("x", "in a child")
      end)
    end)
    assert.are.equal(0, em:count())
    assert.are.equal(0, em:emit("x", "after"))
    assert.are.same({ "in the body", "in the body", "in a child" }, got)
  end))

  it("however it ends, and whatever else was removed (M17)", run(function()
    local em = neap.emitter { wildcard = true }
    local function f() end
    pcall(neap.scope, function(s)
      em:on("x", f, { scope = s })
      em:on("x.*", f, { scope = s })
      em:on_any(f, { scope = s }):off()
      em:on("y", f)
      error "bad"
    end)
    neap.scope(function(s)
      em:on("x", f, { scope = s })
      s:cancel()
      neap.checkpoint()
    end)
    neap.move_on_after(1, neap.scope, function(s)
      for _ = 1, 5 do em:on("x", f, { scope = s }) end
      em:off_all "x"
      em:on("x", f, { scope = s })
      neap.sleep(5)
    end)
    assert.are.equal(1, em:count())
    neap.scope(function(s)
      em:on("z", f, { scope = s })
      em:close()
    end)
  end))

  it("must be a scope that is open (M17)", run(function()
    local em = neap.emitter()
    local ended
    neap.scope(function(s) ended = s end)
    raises("closed", em.on, em, "x", print, { scope = ended })
    for _, bad in ipairs { 1, "x", {}, em, neap.current() } do
      raises("invalid", em.on, em, "x", print, { scope = bad })
    end
    assert.are.equal(0, em:count())
  end))

  it("does not keep a listener that is gone (M17)", run(function()
    local em = neap.emitter()
    local weak = setmetatable({}, { __mode = "k" })
    neap.scope(function(s)
      do
        local function f() return em end
        weak[f] = true
        em:on("x", f, { scope = s }):off()
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)
  end))
end)

describe("the option timeout", function()
  it("limits each call of that listener, and no other (M17)", run(function()
    local em = neap.emitter()
    local done
    em:on("x", function() neap.sleep(5) end, { timeout = 1 })
    em:on("x", function()
      neap.sleep(3)
      done = true
    end)
    local t = neap.now()
    raises("timeout", em.emit, em, "x")
    assert.is_true(done)
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
    em:on("y", function(...) return ... end, { timeout = 1 })
    em:on("y", function() end, { timeout = math.huge })
    assert.are.equal(2, em:emit("y", 1))
    for _, bad in ipairs { -1, 0 / 0, "x" } do
      raises("invalid", em.on, em, "x", print, { timeout = bad })
    end
  end))
end)

describe("the option concurrency of a listener", function()
  it("lets calls wait for their turn, in the order of events (M17)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function(i)
      note("begin " .. i)
      neap.sleep(4 - i)
      note("end " .. i)
    end, { concurrency = 1 })
    neap.scope(function(s)
      for i = 1, 3 do s:spawn(em.emit, em, "x", i) end
    end)
    local order = {}
    for i = 1, #got, 2 do
      assert.are.equal(got[i]:gsub("begin", "end"), got[i + 1])
      order[#order + 1] = got[i]
    end
    assert.are.equal(3, #order)
  end))

  it("keeps the order where tasks have one; the time begins with the turn (M17)", run({ order = true }, function()
    local em = neap.emitter()
    local got, note = journal()
    em:on("x", function(i)
      neap.sleep(2)
      note(i)
    end, { concurrency = 1, timeout = 3 })
    neap.scope(function(s)
      for i = 1, 5 do s:spawn(em.emit, em, "x", i) end
    end)
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
    for _, bad in ipairs { 0, 1.5, "x", -1 } do
      raises("invalid", em.on, em, "x", print, { concurrency = bad })
    end
  end))

  it("gives the turn back when a call fails or is cancelled (M17)", run(function()
    local em = neap.emitter()
    em:on("x", function(s)
      neap.sleep(s)
      error { kind = "bad" }
    end, { concurrency = 1 })
    raises("bad", em.emit, em, "x", 0)
    assert.is_false(neap.move_on_after(1, em.emit, em, "x", 5))
    raises("bad", em.emit, em, "x", 1)
  end))
end)

describe("the leak warning", function()
  it("says where listeners were registered, and how many at each place (M9)", run(function(reports)
    local em = neap.emitter { max_listeners = 5 }
    local here = debug.getinfo(1, "l").currentline
    for _ = 1, 2 do em:on("x", print) end
    for _ = 1, 4 do em:on("x", print) end
    local text = reports:take "leak".error.message
    local first = text:find("4 from spec/emitter/options_spec.lua:" .. here + 2, 1, true)
    local second = text:find("2 from spec/emitter/options_spec.lua:" .. here + 1, 1, true)
    assert.is_truthy(first, text)
    assert.is_truthy(second, text)
    assert.is_true(first < second)
    for _ = 1, 6 do em:on_any(print) end
    assert.is_truthy(reports:take "leak".error.message:find("on_any", 1, true))
  end))

  it("does not count those who wait, and iterators (M9)", run(function()
    local em = neap.emitter { max_listeners = 2 }
    local tasks = {}
    for i = 1, 20 do tasks[i] = neap.spawn(em.wait_for, em, "x") end
    neap.checkpoint()
    for _ = 1, 20 do em:iter "x" end
    for _ = 1, 2 do em:on("x", function() end) end
    assert.are.equal(2, em:count "x")
    assert.are.equal(2, em:count())
    assert.are.equal(2, em:emit "x")
    for i = 1, 20 do tasks[i]:await() end
  end))
end)

describe("emitter:names and emitter:listeners", function()
  it("tell who listens to what (M8)", run(function()
    local em = neap.emitter()
    local function a() end
    local function b() end
    em:on("x", a)
    em:prepend("x", b)
    em:on("x", a, { priority = 5 })
    em:on(1, b)
    em:on("gone", a):off()
    local task = neap.spawn(pcall, em.wait_for, em, "waited for")
    neap.checkpoint()
    local names = em:names()
    table.sort(names, function(p, q) return tostring(p) < tostring(q) end)
    assert.are.same({ 1, "x" }, names)
    assert.are.same({ a, b, a }, em:listeners "x")
    assert.are.same({}, em:listeners "nobody")
    assert.is_false((pcall(em.listeners, em)))
    em:close()
    task:join()
    assert.are.same({}, em:names())
  end))
end)
