local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function naturals(note)
  return neap.gen(function(yield)
    local i = 0
    while true do
      i = i + 1
      if note then note(i) end
      yield(i)
    end
  end)
end

local function collect(it)
  local got = {}
  for v in it do got[#got + 1] = v end
  return got
end

describe("neap.imap", function()
  it("gives fn of each item, in the order of the items (G10)", run(function()
    local got = collect(neap.imap({ 3, 1, 2 }, function(s)
      neap.sleep(s)
      return s * 10
    end))
    assert.are.same({ 30, 10, 20 }, got)
  end))

  it("with ordered=false in the order of completion (G10)", run(function()
    assert.are.same({ 10, 20, 30 }, collect(neap.imap({ 3, 1, 2 }, function(s)
      neap.sleep(s)
      return s * 10
    end, { ordered = false })))
  end))

  for _, ordered in ipairs { true, false } do
    local how = ordered and "in order" or "out of order"

    it(how .. " has at most `concurrency` under way (G10)", run(function()
      local now, most = 0, 0
      local got = collect(neap.imap({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function(i)
        now = now + 1
        most = math.max(most, now)
        neap.sleep(1 + i % 3)
        now = now - 1
        return i
      end, { concurrency = 3, ordered = ordered }))
      assert.are.equal(10, #got)
      assert.are.equal(3, most)
    end))

    it(how .. " pulls no more than it has room for (G10)", run({ order = true }, function()
      local pulled, note = journal()
      local it = neap.imap(naturals(note), function(i) return i end,
        { concurrency = 4, ordered = ordered })
      neap.sleep(5)
      assert.are.equal(4, #pulled) -- nobody has taken one
      assert.are.equal(1, it())
      neap.sleep(5)
      assert.is_true(#pulled <= 6)
      it:close()
      local n = #pulled
      neap.sleep(5)
      assert.are.equal(n, #pulled)
    end))

    it(how .. " raises an error of fn at its place, and ends the rest (G10)", run(function()
      local ended, got = 0, {}
      raises("mine", function()
        for v in neap.imap({ 1, 2, 3, 4 }, function(i)
          if i == 2 then
            neap.sleep(1)
            error { kind = "mine" }
          end
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          if i > 2 then neap.sleep(100) end
          return i
        end, { ordered = ordered }) do got[#got + 1] = v end
      end)
      assert.are.same({ 1 }, got)
      assert.are.equal(3, ended)
    end))

    it(how .. " raises an error of the source after what was pulled (G10)", run(function()
      local got = {}
      raises("source", function()
        for v in neap.imap(neap.gen(function(yield)
          yield(1)
          yield(2)
          error { kind = "source" }
        end), function(i)
          neap.sleep(i)
          return i
        end, { ordered = ordered }) do got[#got + 1] = v end
      end)
      assert.are.same({ 1, 2 }, got)
    end))

    it(how .. " raises what fn's own children failed with (G10)", run(function()
      raises("child", collect, neap.imap({ 1 }, function(i)
        neap.spawn(function() error { kind = "child" } end)
        return i
      end, { ordered = ordered }))
    end))

    it(how .. " left early cancels and joins what it has started, and closes its source (G10, I10)", run(function()
      local got, note = journal()
      neap.scope(function()
        for v in neap.imap(neap.gen(function(yield)
          local _ <close> = neap.defer(function()
            neap.sleep(1)
            note "source"
          end)
          for i = 1, 100 do yield(i) end
        end), function(i)
          if i > 1 then
            local _ <close> = setmetatable({}, { __close = function() note(i) end })
            neap.sleep(100)
          end
          return i
        end, { concurrency = 3, ordered = ordered }) do
          if v == 1 then break end
        end
      end)
      table.sort(got, function(a, b) return tostring(a) < tostring(b) end)
      assert.are.equal("source", got[#got])
      assert.is_true(#got >= 3)
    end))

    it(how .. " tells of failures that come too late (G10, E2)", run(function(reports)
      local err = raises("first", collect, neap.imap({ 1, 2 }, function(i)
        if i == 1 then
          neap.sleep(1)
          error { kind = "first" }
        end
        local _ <close> = setmetatable({}, { __close = function() error { kind = "second" } end })
        neap.sleep(100)
      end, { ordered = ordered }))
      assert.are.equal("second", neap.suppressed(err)[1].kind)
      assert.are.equal("second", reports:take("secondary").error.kind)
    end))

    it(how .. " notices a source or a call that cancels itself (G10)", run(function()
      local function give_up()
        neap.current():cancel()
        neap.checkpoint()
      end
      raises("task_cancelled", collect, neap.imap(neap.gen(give_up), print,
        { ordered = ordered }))
      raises("task_cancelled", collect, neap.imap({ 1, 2 }, give_up,
        { ordered = ordered }))
    end))

    it(how .. " works through many items (G10)", run(function()
      local sum = 0
      for v in neap.imap(neap.iter(naturals()):take(500), function(i)
        neap.sleep(i * 7 % 11 / 10)
        return i
      end, { concurrency = 20, ordered = ordered }) do
        sum = sum + v
      end
      assert.are.equal(500 * 501 // 2, sum)
    end))
  end

  it("passes all values of an item to fn, and of fn to the loop (G10)", run(function()
    local got = {}
    for a, b in neap.imap(neap.iter({ "a", "b" }):zip { 1, 2 }, function(name, n)
      return name .. n, n * 2
    end) do
      got[#got + 1] = { a, b }
    end
    assert.are.same({ { "a1", 2 }, { "b2", 4 } }, got)
  end))

  it("takes a list with n, a queue, and any iterator (G10)", run(function()
    local function same(i) return i end
    assert.are.same({ 1, 2, 3 }, collect(neap.imap({ 1, 2, 3 }, same)))
    local q = neap.queue(10)
    for i = 1, 3 do q:put(i) end
    q:close()
    assert.are.same({ 1, 2, 3 }, collect(neap.imap(q, same)))
    assert.are.same({ "a", "b" }, collect(neap.imap(("a b"):gmatch "%a", same)))
    assert.are.same({}, collect(neap.imap({}, same)))
  end))

  it("takes no nil as a first value, and says so (I2)", run(function()
    local err = raises("invalid", collect, neap.imap({ 1 }, function() end))
    assert.is_truthy(err.message:find("neap.imap", 1, true))
  end))

  it("refuses what makes no sense", run(function()
    assert.is_false((pcall(neap.imap, 1, print)))
    assert.is_false((pcall(neap.imap, {}, 1)))
    raises("invalid", neap.imap, {}, print, { concurrency = 0 })
    raises("invalid", neap.imap, {}, print, { concurrency = 1.5 })
    raises("invalid", neap.imap, {}, print, { ordred = true })
    assert.are.same({ 1 }, collect(neap.imap({ 1 }, function(i) return i end,
      { concurrency = math.huge })))
  end))
end)
