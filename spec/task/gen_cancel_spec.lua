local neap = require "neap"
local test = require "neap.test"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function guard(note, name, close)
  return setmetatable({}, { __close = function(_, err)
    if close then close(err) end
    note(name)
  end })
end

--- A task in a scope of its own that is cancelled after a second.
local function cancelled(body)
  local task = neap.spawn(body)
  neap.sleep(1)
  task:cancel "enough"
  task:join()
  assert.are.equal("cancelled", task:status())
end

describe("a generator that is cancelled", function()
  it("in its wait is unwound there, and so is the consumer (I3, C2)", run(function()
    local got, note = journal()
    cancelled(function()
      local _ <close> = guard(note, "consumer")
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "generator")
        yield(1)
        neap.sleep(100)
        note "not reached"
      end) do note "item" end
      note "not reached"
    end)
    assert.are.same({ "item", "generator", "consumer" }, got)
  end))

  it("while the loop's body waits is closed with the scope (I4, C2)", run(function()
    local got, note = journal()
    cancelled(function()
      local _ <close> = guard(note, "consumer")
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "generator")
        yield(1)
      end) do
        neap.sleep(100)
        note "not reached"
      end
    end)
    assert.are.same({ "consumer", "generator" }, got)
  end))

  it("cannot wait in its cleanup, unless shielded (I3, C1, C9)", run(function()
    local got, note = journal()
    cancelled(function()
      local g <close> = neap.gen(function(yield)
        local _ <close> = guard(note, "shielded", function()
          neap.shield(5, neap.sleep, 2)
        end)
        local _ <close> = guard(note, "not shielded", function()
          local ok, err = pcall(neap.sleep, 2)
          assert.is_false(ok)
          assert.is_true(neap.is_cancelled(err))
        end)
        yield(1)
      end)
      g()
      neap.sleep(100)
    end)
    assert.are.same({ "not shielded", "shielded" }, got)
  end))

  it("in the cleanup that waits is unwound there (I3, C2)", run(function()
    local got, note = journal()
    cancelled(function()
      local g = neap.gen(function(yield)
        local _ <close> = guard(note, "outer")
        local _ <close> = guard(note, "inner", function() neap.sleep(100) end)
        yield(1)
      end)
      g()
      g:close()
      note "not reached"
    end)
    assert.are.same({ "outer" }, got)
  end))

  it("by a deadline round the loop is closed, and the deadline raised (I4, D1)", run(function()
    local got, note = journal()
    raises("timeout", neap.timeout, 2.5, function()
      for v in neap.gen(function(yield)
        local _ <close> = guard(note, "generator")
        for i = 1, 9 do
          neap.sleep(1)
          yield(i)
        end
      end) do note(v) end
    end)
    assert.are.same({ 1, 2, "generator" }, got)
    assert.is_false(neap.move_on_after(1, function()
      for _ in neap.gen(function(yield)
        local _ <close> = guard(note, "again")
        yield(1)
      end) do neap.sleep(5) end
    end))
    assert.are.equal("again", got[4])
  end))

  it("may catch it as any other code, and is raised at once again (C1)", run(function()
    local caught = 0
    cancelled(function()
      for _ in neap.gen(function(yield)
        for _ = 1, 3 do
          local ok = pcall(neap.sleep, 100)
          if not ok then caught = caught + 1 end
        end
        yield(1)
      end) do neap.checkpoint() end
    end)
    assert.are.equal(3, caught)
  end))

  it("by itself is cancelled at its next checkpoint (C4)", run(function()
    local task = neap.spawn(function()
      for _ in neap.gen(function(yield)
        neap.current():cancel()
        yield(1)
        neap.checkpoint()
      end) do assert.is_true(neap.cancelled()) end
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
  end))

  it("with a limit of its own inside converts its own expiry (D5)", run(function()
    local got = {}
    for v in neap.gen(function(yield)
      for i = 1, 3 do
        local ok, err = pcall(neap.timeout, 1, neap.sleep, i * 0.6)
        yield(ok or err.kind)
      end
    end) do got[#got + 1] = v end
    assert.are.same({ true, "timeout", "timeout" }, got)
  end))
end)

describe("at every wait", function()
  local it = test.it { clock = "virtual" }

  local function resource(book)
    book.opened = book.opened + 1
    return setmetatable({}, { __close = function()
      neap.shield(5, neap.sleep, 0.1)
      book.closed = book.closed + 1
    end })
  end

  local function loop(make)
    return function()
      local book = { opened = 0, closed = 0 }
      test.cancel_sweep(function()
        for v in make(book) do
          neap.sleep(0.1)
          if v == 3 then break end
        end
        neap.sleep(0.1)
      end, { when = "all" })
      assert.are.equal(book.opened, book.closed)
      assert.is_true(book.opened > 3)
    end
  end

  local function yields(book)
    return function(yield)
      local _ <close> = resource(book)
      for i = 1, 5 do
        neap.sleep(0.1)
        yield(i)
      end
    end
  end

  it("a generator closes what it opened", loop(function(book)
    return neap.gen(yields(book))
  end))

  it("generators in one another close what they opened", loop(function(book)
    local function inner(depth)
      return neap.gen(function(yield)
        local _ <close> = resource(book)
        if depth == 0 then
          yields(book)(yield)
        else
          local below <close> = inner(depth - 1)
          for v in below do yield(v) end
        end
      end)
    end
    return inner(2)
  end))

  it("a stream closes what it opened", loop(function(book)
    return neap.stream(yields(book), { buffer = 1 })
  end))

  it("imap closes what it opened", loop(function(book)
    return neap.imap(neap.gen(yields(book)), function(i)
      local _ <close> = resource(book)
      neap.sleep(0.15)
      return i
    end, { concurrency = 2 })
  end))

  it("as_completed closes what it opened", loop(function(book)
    local list = {}
    for i = 1, 4 do
      list[i] = function()
        local _ <close> = resource(book)
        neap.sleep(i / 10)
        return i
      end
    end
    return neap.as_completed(list)
  end))

  it("a pipeline closes what it opened", loop(function(book)
    return neap.iter(neap.gen(yields(book))):merge(neap.stream(yields(book)))
      :map(function(i) neap.sleep(0.05) return i end):filter(function() return true end)
  end))

  it("a debounced pipeline closes what it opened", loop(function(book)
    return neap.iter(neap.gen(yields(book))):debounce(0.05)
  end))
end)
