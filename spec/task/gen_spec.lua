local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- A value whose closing is noted, after a wait if seconds are given.
local function guard(note, name, seconds)
  return setmetatable({}, { __close = function()
    if seconds then neap.sleep(seconds) end
    note(name)
  end })
end

describe("a generator", function()
  it("gives what its function yields, all the values of it (I1)", run(function()
    local got = {}
    for a, b, c in neap.gen(function(yield)
      yield(1, "one")
      yield(false)
      yield("x", nil, "y")
    end) do
      got[#got + 1] = table.pack(a, b, c)
    end
    assert.are.same({
      { n = 3, 1, "one" }, { n = 3, false }, { n = 3, "x", nil, "y" },
    }, got)
  end))

  it("runs nothing before the first step, and then one step at a time (I1)", run(function()
    local got, note = journal()
    local g = neap.gen(function(yield)
      note "a"
      yield(1)
      note "b"
      yield(2)
      note "c"
    end)
    assert.are.same({}, got)
    assert.are.equal(1, g())
    assert.are.same({ "a" }, got)
    assert.are.equal(2, g:next())
    assert.are.same({ "a", "b" }, got)
    assert.is_nil((g()))
    assert.is_nil((g()))
    assert.are.same({ "a", "b", "c" }, got)
  end))

  it("may wait, and others run meanwhile (I1)", run(function()
    local ticks = 0
    local ticker = neap.spawn(function()
      while true do
        neap.sleep(0.5)
        ticks = ticks + 1
      end
    end)
    local t, got = neap.now(), {}
    for v in neap.gen(function(yield)
      for i = 1, 4 do
        neap.sleep(1)
        yield(i)
      end
    end) do
      got[#got + 1] = v
      neap.sleep(1)
    end
    assert.are.same({ 1, 2, 3, 4 }, got)
    assert.is_true(math.abs(neap.now() - t - 8) < 1e-6)
    assert.is_true(ticks >= 15)
    ticker:cancel()
  end))

  it("runs in the consumer's task (I1)", run(function()
    local me, seen = neap.current(), {}
    for task in neap.gen(function(yield)
      for _ = 1, 2 do
        neap.sleep(1)
        yield(neap.current())
      end
    end) do
      seen[#seen + 1] = task
    end
    assert.are.same({ me, me }, seen)
  end))

  it("raises at the step what its function raises, and is over (I1)", run(function()
    local thrown = { kind = "mine" }
    local g = neap.gen(function(yield)
      yield(1)
      neap.sleep(1)
      error(thrown)
    end)
    assert.are.equal(1, g())
    assert.are.equal(thrown, (raises("mine", g)))
    assert.is_nil((g()))
    g:close()
  end))

  it("says where its error came from, and who resumed it (I1)", run(function()
    local function deep_inside() error("text", 0) end
    local task
    pcall(neap.scope, function(s)
      task = s:spawn(function()
        local function advancing(g) g() end
        advancing(neap.gen(function(yield) deep_inside(yield) end))
      end)
    end)
    local trace = task:traceback()
    assert.is_truthy(trace:find("deep_inside", 1, true), trace)
    assert.is_truthy(trace:find("advancing", 1, true), trace)
  end))

  it("takes no nil as its first value, and says so (I2)", run(function()
    for _, fn in ipairs {
      function(yield) yield() end, function(yield) yield(nil, 1) end,
    } do
      local err = raises("invalid", neap.gen(fn))
      assert.is_truthy(err.message:find("nil", 1, true))
    end
    local g = neap.gen(function(yield)
      raises("invalid", yield, nil)
      yield(1)
    end)
    assert.are.equal(1, g())
  end))

  it("is advanced by one at a time (I8)", run(function()
    local g
    g = neap.gen(function(yield)
      raises("invalid", g)
      raises("invalid", g.close, g)
      neap.sleep(2)
      yield(1)
      yield(2)
    end)
    local task = neap.spawn(function() return g() end)
    neap.sleep(1)
    raises("invalid", g)
    raises("invalid", g.close, g)
    assert.are.equal(1, task:await())
    assert.are.equal(2, g())
  end))

  it("may be advanced by several tasks in turn (I1)", run(function()
    local g = neap.gen(function(yield)
      for i = 1, 6 do
        neap.sleep(1)
        yield(i)
      end
    end)
    local got = {}
    for _ = 1, 3 do
      neap.spawn(function()
        got[#got + 1] = g()
        neap.sleep(1)
        got[#got + 1] = g()
      end):await()
    end
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, got)
    assert.is_nil((g()))
  end))

  it("can be used outside of tasks, as long as it need not wait (I1)", function()
    local got = {}
    for v in neap.gen(function(yield)
      yield(1)
      yield(2)
    end) do
      got[#got + 1] = v
    end
    assert.are.same({ 1, 2 }, got)
    local closed = false
    local g = neap.gen(function(yield)
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      yield(1)
    end)
    assert.are.equal(1, g())
    g:close()
    assert.is_true(closed)
    raises("not_in_task", neap.gen(function() neap.sleep(1) end))
  end)

  it("made outside serves one run after the other (I1, W7)", function()
    local g = neap.gen(function(yield)
      for i = 1, 3 do
        neap.sleep(0)
        yield(i)
      end
    end)
    for i = 1, 3 do assert.are.equal(i, neap.run(g)) end
    assert.is_nil((neap.run(g)))
  end)

  it("refuses what is no function", function()
    for _, bad in ipairs { 1, "x", {}, true } do
      assert.is_false((pcall(neap.gen, bad)))
    end
    assert.is_false((pcall(neap.gen)))
  end)

  it("takes anything that can be called", run(function()
    local callable = setmetatable({}, { __call = function(_, yield) yield "called" end })
    assert.are.equal("called", (neap.gen(callable)()))
  end))
end)

describe("a generator's yield", function()
  it("is refused while a scope that it opened is open (I8)", run(function()
    for _, open in ipairs {
      neap.scope, function(f) return neap.timeout(5, f) end,
      function(f) return neap.shield(5, f) end,
      function(f) return neap.move_on_after(5, f) end,
    } do
      local g = neap.gen(function(yield)
        yield(1)
        open(function() yield(2) end)
      end)
      assert.are.equal(1, g())
      local err = raises("invalid", g)
      assert.is_truthy(err.message:find("scope", 1, true))
    end
  end))

  it("is allowed between scopes, and in a scope of the consumer's (I8)", run(function()
    local g = neap.gen(function(yield)
      for i = 1, 3 do
        neap.timeout(5, neap.sleep, 1)
        yield(i)
        neap.spawn(neap.sleep, 1) -- the task gets a scope of its own
        yield(i)
      end
    end)
    assert.are.equal(1, g())
    neap.scope(function()
      assert.are.equal(1, g())
      neap.timeout(5, function() assert.are.equal(2, g()) end)
      assert.are.equal(2, g())
    end)
    assert.are.equal(3, g())
  end))

  it("is refused inside neap.ctx.with (I8)", run(function()
    raises("invalid", neap.gen(function(yield)
      neap.ctx.with("key", 1, function() yield(1) end)
    end))
    local g = neap.gen(function(yield)
      local v = neap.ctx.with("key", 1, neap.ctx.get, "key")
      yield(v)
      neap.ctx.set("other", 2)
      yield(neap.ctx.get "key" or "none")
    end)
    assert.are.equal(1, g())
    assert.are.equal("none", g())
    assert.are.equal(2, neap.ctx.get "other") -- it runs in the consumer's task
  end))

  it("is refused outside of its generator (I8)", run(function()
    local escaped
    local g = neap.gen(function(yield)
      escaped = yield
      raises("invalid", coroutine.wrap(function() yield(1) end))
      assert.is_false(neap.spawn(function() return pcall(yield, 1) end):await())
      yield(2)
    end)
    assert.are.equal(2, g())
    raises("invalid", escaped, 3)
  end))

  it("gives nothing back (I1)", run(function()
    local n
    for _ in neap.gen(function(yield)
      n = select("#", yield(1))
      yield(2)
    end) do neap.checkpoint() end
    assert.are.equal(0, n)
  end))
end)

describe("a generator that nobody knows any more", function()
  it("is closed by a background task of the run (I6)", run(function()
    local got, note = journal()
    neap.scope(function()
      for i = 1, 10 do
        for _ in neap.gen(function(yield)
          local _ <close> = guard(note, i, 0.5)
          yield(1)
        end) do break end
      end
      local before = #got -- some may have been collected by now
      collectgarbage()
      collectgarbage()
      assert.are.equal(before, #got) -- not inside the collector
      neap.sleep(1)
      assert.is_true(#got >= 9)
    end)
    assert.are.equal(10, #got)
  end))

  it("takes no memory in a task that never ends (I6)", run(function()
    local closed = 0
    local function many(n)
      for _ = 1, n do
        for _ in neap.gen(function(yield)
          local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
          yield(1)
        end) do break end
      end
      neap.checkpoint()
      collectgarbage()
      neap.checkpoint()
      collectgarbage()
      return collectgarbage "count"
    end
    many(2500)
    local before = many(2500)
    many(2500)
    local after = many(2500)
    -- A table that has doubled is no leak; 5000 generators are megabytes.
    assert.is_true(after < before + 1000, ("%.0f KB more"):format(after - before))
    assert.is_true(closed > 8000)
  end))

  it("is closed also without a run, if that need not wait (I6)", function()
    local closed = false
    do
      local g = neap.gen(function(yield)
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        yield(1)
      end)
      g()
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(closed)
  end)

  it("fails in the background: that is reported (I6, E4)", run(function(reports)
    do
      local g = neap.gen(function(yield)
        local _ <close> = setmetatable({}, { __close = function() error { kind = "mine" } end })
        yield(1)
      end)
      g()
    end
    collectgarbage()
    collectgarbage()
    neap.sleep(1)
    assert.are.equal("mine", reports:take("background").error.kind)
  end))
end)

describe("an error in a generator's cleanup", function()
  local function failing(kind)
    return neap.gen(function(yield)
      local _ <close> = setmetatable({}, { __close = function()
        neap.checkpoint()
        error { kind = kind }
      end })
      yield(1)
      yield(2)
    end)
  end

  it("comes out of close, of <close>, and of the scope (I7)", run(function()
    local g = failing "one"
    g()
    raises("one", g.close, g)
    g:close()
    raises("two", function()
      local h <close> = failing "two"
      h()
    end)
    raises("three", neap.scope, function()
      for _ in failing "three" do break end
    end)
    raises("four", neap.scope, function(s)
      s:spawn(function()
        for _ in failing "four" do break end
      end)
    end)
  end))

  it("does not replace an error on its way: it is attached and reported (I7)", run(function(reports)
    local err = raises("mine", function()
      local h <close> = failing "second"
      h()
      error { kind = "mine" }
    end)
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    assert.are.equal("second", reports:take("secondary").error.kind)
    err = raises("mine", neap.scope, function()
      for _ in failing "third" do error { kind = "mine" } end
    end)
    assert.are.equal("third", neap.suppressed(err)[1].kind)
    assert.are.equal("third", reports:take("secondary").error.kind)
  end))

  it("keeps no other one from being closed (I4, I7)", run(function(reports)
    local got, note = journal()
    local err = raises("b", neap.scope, function()
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "first", 1)
        yield(1)
      end) do break end
      for _ in failing "a" do break end
      for _ in failing "b" do break end
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "last", 1)
        yield(1)
      end) do break end
    end)
    assert.are.same({ "last", "first" }, got)
    assert.are.equal("a", neap.suppressed(err)[1].kind)
    assert.are.equal("a", reports:take("secondary").error.kind)
  end))

  it("does not hide that the scope is cancelled (I7, C1)", run(function(reports)
    local scope, unwound
    local task = neap.spawn(function()
      neap.scope(function(s)
        scope = s
        local _ <close> = setmetatable({}, { __close = function(_, e) unwound = e end })
        local h <close> = failing "second"
        h()
        neap.sleep(100)
      end)
    end)
    neap.sleep(1)
    scope:cancel()
    task:await() -- the scope swallows its own
    assert.is_true(neap.is_cancelled(unwound))
    -- A cancelled checkpoint in the cleanup is no failure.
    assert.are.equal(0, #reports)
  end))

  it("a yield there is refused (I8)", run(function()
    local g = neap.gen(function(yield)
      pcall(yield, 1)
      yield(2)
    end)
    g()
    local err = raises("invalid", g.close, g)
    assert.is_truthy(err.message:find("ignored", 1, true))
    assert.is_nil((g()))
    local closed = false
    g = neap.gen(function(yield)
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      while true do pcall(yield, 1) end
    end)
    g()
    raises("invalid", g.close, g)
    assert.is_true(closed)
  end))

  it("a generator may catch its end and return (I3)", run(function()
    local g = neap.gen(function(yield)
      local ok, err = pcall(yield, 1)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("closed", 1, true))
    end)
    g()
    g:close()
    assert.is_nil((g()))
  end))
end)
