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

describe("a generator that is left", function()
  it("by close() runs its cleanup, which may wait, before close returns (I3)", run(function()
    local got, note = journal()
    local g = neap.gen(function(yield)
      local _ <close> = guard(note, "outer", 1)
      local _ <close> = guard(note, "inner", 1)
      yield(1)
      note "not reached"
    end)
    g()
    local t = neap.now()
    g:close()
    assert.is_true(neap.now() - t >= 2)
    assert.are.same({ "inner", "outer" }, got)
    g:close()
    assert.is_nil((g()))
  end))

  it("before its first step never runs (I3)", run(function()
    local g = neap.gen(function() error "ran" end)
    g:close()
    assert.is_nil((g()))
    do local _ <close> = neap.gen(function() error "ran" end) end
  end))

  it("by break is closed when the body of the scope ends, before the children are awaited (I4)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      s:spawn(function()
        neap.sleep(5)
        note "child"
      end)
      for v in neap.gen(function(yield)
        local _ <close> = guard(note, "generator", 1)
        yield(1)
        yield(2)
      end) do
        if v == 1 then break end
      end
      note "body"
    end)
    assert.are.same({ "body", "generator", "child" }, got)
  end))

  it("in a scope is closed there, the last made first (I4)", run(function()
    local got, note = journal()
    local function left(name)
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, name, 0.5)
        yield(1)
      end) do break end
    end
    neap.scope(function()
      left "a"
      left "b"
      neap.scope(function() left "inner" end)
      note "inner scope has ended"
      left "c"
    end)
    assert.are.same({ "inner", "inner scope has ended", "c", "b", "a" }, got)
  end))

  it("by an error is closed before the failure is told: cleanup may wait (I4)", run(function()
    local got, note = journal()
    local function body()
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "cleaned", 1)
        yield(1)
      end) do error { kind = "mine" } end
    end
    raises("mine", neap.scope, body)
    local ok = pcall(neap.scope, function(s) s:spawn(body) end)
    assert.is_false(ok)
    assert.are.same({ "cleaned", "cleaned" }, got)
  end))

  it("may leave another one behind in its cleanup, which is closed too (I4)", run(function()
    local got, note = journal()
    local function left(name, depth)
      for _ in neap.gen(function(yield)
        local _ <close> = setmetatable({}, { __close = function()
          neap.checkpoint()
          note(name .. depth)
          if depth < 3 then left(name, depth + 1) end
        end })
        yield(1)
      end) do break end
    end
    neap.scope(function()
      left("a", 1)
      left("b", 1)
    end)
    assert.are.same({ "b1", "a1", "a2", "b2", "b3", "a3" }, got)
  end))

  it("and used after the end of its scope raises closed (I11)", run(function()
    local g
    neap.scope(function()
      g = neap.gen(function(yield)
        yield(1)
        yield(2)
      end)
      g()
    end)
    local err = raises("closed", g)
    assert.is_truthy(err.message:find("scope", 1, true))
    g:close()
  end))

  it("before its first step survives the scope that it was made in (I4)", run(function()
    local g = neap.scope(function()
      return (neap.gen(function(yield) yield "here" end))
    end)
    assert.are.equal("here", g())
  end))

  it("by the scope that made it, but used by a child, stays open for the child (I5)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      local g = neap.gen(function(yield)
        local _ <close> = guard(note, "closed", 1)
        for i = 1, 4 do
          neap.sleep(1)
          yield(i)
        end
      end)
      s:spawn(function()
        for v in g do
          note(v)
          neap.sleep(1)
          if v == 3 then break end
        end
        note "left"
      end)
    end)
    assert.are.same({ 1, 2, 3, "left", "closed" }, got)
  end))

  it("that a task has used stays with the scope that made it, as long as that runs (I4)", run(function()
    local got, note = journal()
    neap.scope(function()
      local g = neap.gen(function(yield)
        local _ <close> = guard(note, "closed", 1)
        for i = 1, 9 do yield(i) end
      end)
      for i = 1, 3 do
        assert.are.equal(i, neap.spawn(function() return g() end):await())
      end
      assert.are.equal(4, g())
    end)
    assert.are.same({ "closed" }, got)
  end))

  it("not yet used is closed by the scope that begins to use it (I5)", run(function()
    local got, note = journal()
    local g
    neap.scope(function()
      g = neap.gen(function(yield)
        local _ <close> = guard(note, "closed", 1)
        yield(1)
        yield(2)
      end)
    end)
    neap.scope(function()
      neap.spawn(function()
        assert.are.equal(1, g())
        note "task ends"
      end)
    end)
    assert.are.same({ "task ends", "closed" }, got)
    raises("closed", g)
  end))
end)
