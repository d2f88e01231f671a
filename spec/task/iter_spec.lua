local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- Yields the items, each after so many seconds: {{0.5, "a"}, ...}.
local function timed(list)
  return neap.gen(function(yield)
    for _, entry in ipairs(list) do
      neap.sleep(entry[1])
      yield(entry[2])
    end
  end)
end

--- Counts what is pulled, and notes that it was closed.
local function source(note, n)
  return neap.gen(function(yield)
    local _ <close> = neap.defer(function()
      neap.sleep(1)
      note "closed"
    end)
    for i = 1, n or math.huge do
      note(i)
      yield(i)
    end
  end)
end

local function double(x) return x * 2 end
local function is_even(x) return x % 2 == 0 end

describe("neap.iter", function()
  it("reads lists, queues, iterators, and what a for takes (I10)", run(function()
    assert.are.same({ 1, 2, 3 }, neap.iter({ 1, 2, 3 }):totable())
    assert.are.same({ 1, false, 3 }, neap.iter({ 1, false, 3 }):totable())
    assert.are.same({ 1 }, neap.iter({ 1, nil, 3, n = 3 }):totable())
    local q = neap.queue(5)
    for i = 1, 3 do q:put(i) end
    q:close()
    assert.are.same({ 1, 2, 3 }, neap.iter(q):totable())
    assert.are.same({ "a", "b" }, neap.iter(("a b"):gmatch "%a"):totable())
    assert.are.same({ 1, 2 }, neap.iter(ipairs { "x", "y" }):totable())
    local keys = neap.iter(pairs { a = 1, b = 2 }):totable()
    table.sort(keys)
    assert.are.same({ "a", "b" }, keys)
    assert.are.same({ 1, 2 }, neap.iter(timed { { 1, 1 }, { 1, 2 } }):totable())
    assert.are.same({ 1, 2 }, neap.iter(neap.iter { 1, 2 }):totable())
    assert.are.same({}, neap.iter({}):totable())
  end))

  it("is itself something for a for, and a callable (I10)", run(function()
    local got = {}
    for i, v in neap.iter(ipairs { "x", "y" }) do got[i] = v end
    assert.are.same({ "x", "y" }, got)
    local it = neap.iter { 1, 2 }
    assert.are.equal(1, it())
    assert.are.equal(2, it:next())
    assert.is_nil((it()))
    assert.is_nil((it()))
  end))

  it("closes the closing value of what a for takes (I10)", run(function()
    local closed = 0
    local function make()
      local i = 0
      return function()
        i = i + 1
        if i <= 3 then return i end
      end, nil, nil, setmetatable({}, { __close = function() closed = closed + 1 end })
    end
    assert.are.same({ 1, 2, 3 }, neap.iter(make()):totable())
    assert.are.equal(1, closed)
    local it = neap.iter(make())
    it()
    it:close()
    assert.are.equal(2, closed)
  end))

  it("works outside of tasks with what need not wait (I10)", function()
    assert.are.same({ 4, 8 }, neap.iter({ 1, 2, 3, 4 }):filter(is_even):map(double):totable())
  end)

  it("refuses what cannot be iterated", run(function()
    for _, bad in ipairs { 1, "text", true } do
      local ok, err = pcall(neap.iter, bad)
      assert.is_false(ok)
      assert.is_truthy(err:find("iter", 1, true))
    end
    assert.is_false((pcall(neap.iter)))
  end))

  it("that a later stage reads from cannot be used itself (I10)", run(function()
    local it = neap.iter { 1, 2 }
    local mapped = it:map(double)
    raises("invalid", it)
    raises("invalid", it.map, it, double)
    assert.are.equal(2, mapped())
  end))
end)

describe("map", function()
  it("gives fn of each, with all values (I10)", run(function()
    assert.are.same({ 2, 4 }, neap.iter({ 1, 2 }):map(double):totable())
    local got = {}
    for a, b, c in neap.iter(ipairs { "x", "y" }):map(function(i, v) return v, i, nil end) do
      got[#got + 1] = { a, b, c }
    end
    assert.are.same({ { "x", 1 }, { "y", 2 } }, got)
  end))

  it("may wait (I10)", run(function()
    local t = neap.now()
    neap.iter({ 1, 2 }):map(function(s)
      neap.sleep(s)
      return s
    end):totable()
    assert.is_true(math.abs(neap.now() - t - 3) < 1e-6)
  end))

  it("raises where fn gives nil first, and says so (I2)", run(function()
    local err = raises("invalid", neap.iter({ 1 }):map(function() end))
    assert.is_truthy(err.message:find("map", 1, true))
    raises("invalid", neap.iter({ 1 }):map(function() return nil, 1 end))
    assert.are.same({ false }, neap.iter({ 1 }):map(function() return false end):totable())
  end))
end)

describe("filter", function()
  it("gives those for which pred is true, with all values (I10)", run(function()
    assert.are.same({ 2, 4 }, neap.iter({ 1, 2, 3, 4 }):filter(is_even):totable())
    local got = {}
    for i, v in neap.iter(ipairs { "x", "y", "z" }):filter(function(_, v) return v ~= "y" end) do
      got[#got + 1] = { i, v }
    end
    assert.are.same({ { 1, "x" }, { 3, "z" } }, got)
    assert.are.same({}, neap.iter({ 1, 2 }):filter(function() end):totable())
  end))

  it("passes over any number of items (I10)", run(function()
    local n = 0
    local it = neap.iter(function()
      n = n + 1
      return n
    end):filter(function(i) return i % 100000 == 0 end)
    assert.are.equal(100000, it())
    assert.are.equal(200000, it())
  end))
end)

describe("take", function()
  it("gives the first n and pulls no more (I10)", run(function()
    local got, note = journal()
    assert.are.same({ 1, 2, 3 }, neap.iter(source(note)):take(3):totable())
    assert.are.same({ 1, 2, 3, "closed" }, got)
  end))

  it("ends with its source, and takes nothing for 0 (I10)", run(function()
    assert.are.same({ 1, 2 }, neap.iter({ 1, 2 }):take(5):totable())
    local got, note = journal()
    assert.are.same({}, neap.iter(source(note)):take(0):totable())
    assert.are.same({}, got)
  end))
end)

describe("chunk", function()
  it("gives lists of n, the last one shorter (I10)", run(function()
    assert.are.same({ { 1, 2 }, { 3, 4 }, { 5 } }, neap.iter({ 1, 2, 3, 4, 5 }):chunk(2):totable())
    assert.are.same({ { 1, 2 } }, neap.iter({ 1, 2 }):chunk(2):totable())
    assert.are.same({ { 1 } }, neap.iter({ 1 }):chunk(5):totable())
    assert.are.same({}, neap.iter({}):chunk(5):totable())
  end))

  it("does not ask its source again after the end (I10)", run(function()
    local asked = 0
    local it = neap.iter(function()
      asked = asked + 1
      if asked == 1 then return 1 end
      assert(asked == 2, "asked again")
    end):chunk(3)
    assert.are.same({ 1 }, it())
    assert.is_nil((it()))
    assert.is_nil((it()))
  end))
end)

describe("zip", function()
  it("gives one of each, as long as all have one (I10)", run(function()
    local got = {}
    for a, b, c in neap.iter({ 1, 2, 3 }):zip({ "a", "b" }, timed { { 1, "x" }, { 1, "y" }, { 1, "z" } }) do
      got[#got + 1] = { a, b, c }
    end
    assert.are.same({ { 1, "a", "x" }, { 2, "b", "y" } }, got)
  end))

  it("closes all of them when one has ended (I10)", run(function()
    local got, note = journal()
    neap.iter(source(note)):zip({ 1 }, source(note)):totable()
    assert.are.same({ 1, 1, 2, "closed", "closed" }, got)
  end))
end)

describe("merge", function()
  it("gives the items of all as they come (I10)", run(function()
    assert.are.same({ "a1", "b1", "a2", "c1", "a3", "b2" },
      neap.iter(timed { { 1, "a1" }, { 2, "a2" }, { 2, "a3" } }):merge(
        timed { { 2, "b1" }, { 4, "b2" } }, timed { { 4, "c1" } }):totable())
  end))

  it("lets none wait for another (I10)", run(function()
    local got = {}
    for v in neap.iter(timed { { 1000, "slow" } }):merge(timed { { 1, "fast" } }) do
      got[#got + 1] = v
      if v == "fast" then break end
    end
    assert.are.same({ "fast" }, got)
  end))

  it("raises the error of one, and closes the others (I10)", run(function()
    local got, note = journal()
    raises("mine", function()
      neap.iter(neap.gen(function(yield)
        yield "x"
        neap.sleep(1)
        error { kind = "mine" }
      end)):merge(neap.gen(function(yield)
        local _ <close> = neap.defer(function() note "closed" end)
        yield "y"
        neap.sleep(100)
      end)):totable()
    end)
    assert.are.same({ "closed" }, got)
  end))

  it("of one is that one (I10)", run(function()
    assert.are.same({ 1, 2 }, neap.iter({ 1, 2 }):merge():totable())
  end))
end)

describe("debounce", function()
  it("gives the last before each pause (I10)", run(function()
    local it = neap.iter(timed {
      { 0, "a1" }, { 0.1, "a2" }, { 0.2, "a3" }, { 1, "b1" }, { 0.4, "b2" }, { 2, "c" },
    }):debounce(0.5)
    local t, got = neap.now(), {}
    for v in it do got[#got + 1] = { v, math.floor((neap.now() - t) * 10 + 0.5) / 10 } end
    -- c is the end: nothing more can come
    assert.are.same({ { "a3", 0.8 }, { "b2", 2.2 }, { "c", 3.7 } }, got)
  end))

  it("keeps what came while its consumer was busy: the last (I10)", run(function()
    local got = {}
    for v in neap.iter(timed { { 0, 1 }, { 1, 2 }, { 1, 3 }, { 1, 4 } }):debounce(0.1) do
      got[#got + 1] = v
      neap.sleep(10)
    end
    assert.are.equal(1, got[1])
    assert.are.equal(4, got[#got])
  end))
end)

describe("throttle", function()
  it("drops what comes within so many seconds of the last one (I10)", run(function()
    local it = neap.iter(timed {
      { 0, 1 }, { 0.1, 2 }, { 0.3, 3 }, { 0.7, 4 }, { 0.1, 5 }, { 2, 6 },
    }):throttle(1)
    assert.are.same({ 1, 4, 6 }, it:totable())
    assert.are.same({ 1, 2 }, neap.iter({ 1, 2 }):throttle(0):totable())
  end))
end)

describe("a pipeline", function()
  it("pulls one item when one is wanted (I10)", run(function()
    local got, note = journal()
    local it = neap.iter(source(note, 6)):map(double):filter(function() return true end):chunk(2)
    assert.are.same({}, got)
    assert.are.same({ 2, 4 }, it())
    assert.are.same({ 1, 2 }, got)
    it:close()
    assert.are.same({ 1, 2, "closed" }, got)
  end))

  it("closes its source at the end, at an error, and when it is closed (I10)", run(function()
    for _, stage in ipairs {
      function(it) return it:map(double) end,
      function(it) return it:filter(is_even) end,
      function(it) return it:take(100) end,
      function(it) return it:chunk(2) end,
      function(it) return it:zip { 1, 2, 3, 4, 5, 6, 7 } end,
      function(it) return it:merge { 1, 2 } end,
      function(it) return it:throttle(0) end,
      function(it) return it:debounce(0) end,
    } do
      local got, note = journal()
      stage(neap.iter(source(note, 4))):totable()
      assert.are.equal("closed", got[#got])

      got, note = journal()
      local it = stage(neap.iter(source(note, 4)))
      it()
      it:close()
      it:close()
      assert.are.equal("closed", got[#got])
      assert.is_nil((it()))

      got, note = journal()
      raises("mine", function()
        stage(neap.iter(source(note, 4))):map(function() error { kind = "mine" } end):totable()
      end)
      assert.are.equal("closed", got[#got])

      got, note = journal()
      raises("source", function()
        stage(neap.iter(neap.gen(function(yield)
          local _ <close> = setmetatable({}, { __close = function() note "closed" end })
          yield(2)
          error { kind = "source" }
        end))):totable()
      end)
      assert.are.equal("closed", got[#got])
    end
  end))

  it("attaches what fails in closing to the error on its way (I7, I10)", run(function(reports)
    local function bad()
      return neap.gen(function(yield)
        local _ <close> = setmetatable({}, { __close = function() error { kind = "second" } end })
        yield(1)
        yield(2)
      end)
    end
    local err = raises("first", neap.iter(bad()):map(function() error { kind = "first" } end))
    assert.are.equal("second", neap.suppressed(err)[1].kind)
    assert.are.equal("second", reports:take("secondary").error.kind)
    local it = neap.iter(bad()):map(double)
    it()
    raises("second", it.close, it)
  end))

  it("closes all its sources, though one fails in that (I7, I10)", run(function()
    local got, note = journal()
    local it = neap.iter(source(note)):zip(neap.gen(function(yield)
      local _ <close> = setmetatable({}, { __close = function() error { kind = "mine" } end })
      while true do yield(1) end
    end), source(note))
    it()
    raises("mine", it.close, it)
    assert.are.same({ 1, 1, "closed", "closed" }, got)
  end))

  it("of a hundred stages is no deeper than its stages (I10)", run(function()
    local it = neap.iter { 1, 2, 3 }
    for _ = 1, 100 do it = it:map(function(x) return x + 1 end) end
    assert.are.same({ 101, 102, 103 }, it:totable())
  end))

  it("not yet used survives the scope that made it; left in use it does not (I5, I11)", run(function()
    local it, used
    neap.scope(function()
      it = neap.iter(timed { { 1, "a" } }):map(function(v) return v .. "!" end)
      used = neap.iter(timed { { 1, "a" }, { 1, "b" } }):map(double)
      pcall(used)
      used = neap.iter(timed { { 1, 1 }, { 1, 2 } }):map(double)
      used()
    end)
    raises("closed", used)
    assert.are.equal("a!", it())
    assert.is_nil((it()))
  end))

  it("that is cancelled ends with its tasks (C2, I10)", run(function()
    local got, note = journal()
    local task = neap.spawn(function()
      for _ in neap.iter(source(note, 3)):merge(source(note, 3)):debounce(50) do
        note "not reached"
      end
    end)
    neap.sleep(0.5)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal("closed", got[#got])
    assert.are.equal("closed", got[#got - 1])
  end))

  it("refuses bad arguments", run(function()
    local it = neap.iter { 1 }
    for _, name in ipairs { "map", "filter" } do
      local ok, err = pcall(it[name], it, 1)
      assert.is_false(ok)
      assert.is_truthy(err:find(name, 1, true))
    end
    for _, name in ipairs { "take", "chunk" } do
      assert.is_false((pcall(it[name], it, -1)))
      assert.is_false((pcall(it[name], it, 1.5)))
      assert.is_false((pcall(it[name], it)))
    end
    assert.is_false((pcall(it.chunk, it, 0)))
    for _, name in ipairs { "debounce", "throttle" } do
      assert.is_false((pcall(it[name], it, -1)))
      assert.is_false((pcall(it[name], it, 0 / 0)))
      assert.is_false((pcall(it[name], it)))
    end
    assert.is_false((pcall(it.zip, it, 1)))
    assert.are.equal(1, neap.iter({ 1 })())
  end))
end)
