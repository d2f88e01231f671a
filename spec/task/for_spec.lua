--- The generic `for` of Lua 5.4.4 closes its fourth value for the wrong level
--- when the body captures a local of the loop in a closure and has a `break`:
--- it may close nothing, call something else, or crash the process. No iterator
--- of neap may suffer from that, whatever the loop looks like: nothing crashes,
--- and what was opened is closed, once, when the scope has ended.

local neap = require "neap"
local probe = require "neap.probe"
local run = require "spec.support.run"

--- What was opened and closed.
local function ledger()
  local book = { opened = 0, closed = 0 }
  function book.open()
    book.opened = book.opened + 1
    local over = false
    return setmetatable({}, { __close = function()
      assert(not over, "closed twice")
      over = true
      book.closed = book.closed + 1
    end })
  end
  return book
end

local function numbers(book, wait)
  return function(yield)
    local _ <close> = book.open()
    for i = 1, 5 do
      if wait then neap.sleep(0.1) end
      yield(i)
    end
  end
end

--- Every kind of iterator that has something to close.
local KINDS <const> = {
  ["a generator"] = function(book) return neap.gen(numbers(book)) end,
  ["a generator that waits"] = function(book) return neap.gen(numbers(book, true)) end,
  ["a stream"] = function(book) return neap.stream(numbers(book, true)) end,
  ["a stream with a buffer"] = function(book)
    return neap.stream(numbers(book), { buffer = 2 })
  end,
  ["imap"] = function(book)
    return neap.imap(neap.gen(numbers(book)), function(i)
      local _ <close> = book.open()
      neap.sleep(i / 10)
      return i
    end, { concurrency = 2 })
  end,
  ["imap in order of completion"] = function(book)
    return neap.imap(neap.gen(numbers(book)), function(i)
      local _ <close> = book.open()
      neap.sleep((7 - i) / 10)
      return i
    end, { ordered = false })
  end,
  ["as_completed"] = function(book)
    local list = {}
    for i = 1, 5 do
      list[i] = function()
        local _ <close> = book.open()
        neap.sleep(i / 10)
        return i
      end
    end
    return neap.as_completed(list)
  end,
  ["a pipeline"] = function(book)
    return neap.iter(neap.gen(numbers(book, true)))
      :map(function(i) return i end):filter(function() return true end):take(5)
  end,
  ["a pipeline with a task"] = function(book)
    return neap.iter(neap.gen(numbers(book, true))):merge(
      neap.stream(numbers(book, true)))
  end,
  ["what somebody else has made"] = function(book)
    local guard, i = book.open(), 0
    local over = false
    local function close()
      if over then return end
      over = true
      neap.checkpoint()
      getmetatable(guard).__close()
    end
    return neap.iter(setmetatable({}, {
      __call = function()
        if over then return nil end
        i = i + 1
        if i <= 5 then return i end
        close()
      end,
      __close = close,
    }))
  end,
}

--- Every shape of loop in which the close goes astray, and some in which it
--- does not. They return how many rounds they made.
local SHAPES <const> = {
  ["break"] = function(make)
    local n = 0
    for _ in make() do
      n = n + 1
      if n == 2 then break end
    end
    return n
  end,
  ["break, and a closure over the loop's variable"] = function(make)
    local n, keep = 0, nil
    for i in make() do
      keep = function() return i end
      n = n + 1
      if n == 2 then break end
    end
    return n, keep()
  end,
  ["a break that is never reached"] = function(make)
    local n, keep = 0, nil
    for i in make() do
      keep = function() return i end
      n = n + 1
      if n > 1000 then break end
    end
    return n, keep()
  end,
  ["break, then more locals"] = function(make)
    local n, keep = 0, nil
    for i in make() do
      keep = function() return i end
      n = n + 1
      if n == 2 then break end
    end
    local a, b, c, d = 1, "two", { 3 }, function() return 4 end
    for k = 1, 3 do a = a + k end
    return n, keep(), a, b, c, d()
  end,
  ["break, then a variable to be closed"] = function(make)
    local n, keep, closed = 0, nil, 0
    for i in make() do
      keep = function() return i end
      n = n + 1
      if n == 2 then break end
    end
    do
      local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      assert(x)
    end
    assert(closed == 1)
    return n, keep()
  end,
  ["a variable to be closed before and after"] = function(make)
    local closed = 0
    local guard = setmetatable({}, { __close = function() closed = closed + 1 end })
    local function loops()
      local before <close> = guard
      local n, keep = 0, nil
      for i in make() do
        keep = function() return i, before end
        n = n + 1
        if n == 2 then break end
      end
      local after <close> = guard
      return n, keep(), after
    end
    local n = loops()
    assert(closed == 2)
    return n
  end,
  ["three rounds of an outer loop"] = function(make)
    local n, keep = 0, {}
    for round = 1, 3 do
      for i in make() do
        keep[#keep + 1] = function() return i, round end
        n = n + 1
        if i == 2 or n % 2 == 0 then break end
      end
    end
    assert(#keep == n)
    return n
  end,
  ["a loop in a loop"] = function(make)
    local n, keep = 0, nil
    for i in make() do
      for j in make() do
        keep = function() return i, j end
        n = n + 1
        if n % 2 == 0 then break end
      end
      if n >= 4 then break end
    end
    return n, keep()
  end,
  ["goto"] = function(make)
    local n, keep = 0, nil
    for i in make() do
      keep = function() return i end
      n = n + 1
      if n == 2 then goto out end
      if n > 1000 then break end
    end
    ::out::
    return n, keep()
  end,
  ["return"] = function(make)
    local function find()
      local n = 0
      for i in make() do
        local keep = function() return i end
        n = n + 1
        if n == 2 then return n, keep() end
        if n > 1000 then break end
      end
    end
    return find()
  end,
  ["an error"] = function(make)
    local n = 0
    local ok, err = pcall(function()
      for i in make() do
        local keep = function() return i end
        n = n + 1
        if n == 2 then error { kind = "mine", keep = keep } end
        if n > 1000 then break end
      end
    end)
    assert(not ok and err.kind == "mine", err)
    return n
  end,
  ["a coroutine"] = function(make)
    return coroutine.wrap(function()
      local n, keep = 0, nil
      for i in make() do
        keep = function() return i end
        n = n + 1
        if n == 2 then break end
      end
      return n, keep()
    end)()
  end,
  ["a call with the loop's variable"] = function(make)
    local n = 0
    for i in make() do
      (function() n = n + (i and 1 or 0) end)()
      if n == 2 then break end
    end
    return n
  end,
}

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

for _, kind in ipairs(sorted(KINDS)) do
  describe(kind .. " in a generic for", function()
    for _, shape in ipairs(sorted(SHAPES)) do
      it("with " .. shape .. " is closed by the end of the scope (I4)", run(function()
        local book = ledger()
        neap.scope(function()
          local n = SHAPES[shape](function() return KINDS[kind](book) end)
          assert.is_true(n >= 2)
          assert.is_true(book.opened > 0)
        end)
        neap.sleep(1) -- for those that the collector has found meanwhile
        assert.are.equal(book.opened, book.closed)
      end))
    end

    it("is closed by the end of its task, and of main (I4)", run(function()
      local book, more = ledger(), ledger()
      for _, shape in ipairs(sorted(SHAPES)) do
        SHAPES[shape](function() return KINDS[kind](more) end)
        neap.spawn(function()
          SHAPES[shape](function() return KINDS[kind](book) end)
        end):await()
      end
      neap.sleep(1)
      assert.is_true(book.opened > 0)
      assert.are.equal(book.opened, book.closed)
    end))

    it("is closed while garbage is collected all the time (I4, I6)", run(function()
      local book = ledger()
      local was = collectgarbage("setpause", 0)
      neap.scope(function()
        for _ = 1, 3 do
          for _, shape in ipairs(sorted(SHAPES)) do
            SHAPES[shape](function() return KINDS[kind](book) end)
            collectgarbage("step")
          end
        end
      end)
      collectgarbage("setpause", was)
      neap.sleep(1)
      assert.are.equal(book.opened, book.closed)
    end))

    it("is closed at once by a variable of its own (I3)", run(function()
      local book = ledger()
      local keep
      do
        local it <close> = KINDS[kind](book)
        for i in it do
          keep = function() return i end
          if i then break end
        end
      end
      assert.is_true(book.opened > 0)
      assert.are.equal(book.opened, book.closed)
      assert.is_truthy(keep())
    end))

    it("is closed when it has come to its end (I1)", run(function()
      local book, n = ledger(), 0
      for _ in KINDS[kind](book) do n = n + 1 end
      assert.is_true(n >= 5)
      neap.checkpoint()
      neap.checkpoint()
      assert.are.equal(book.opened, book.closed)
    end))
  end)
end

describe("the probe", function()
  it("knows this Lua", function()
    local minor = tonumber((_VERSION:match "Lua 5%.(%d+)"))
    assert.are.equal(4, minor)
    assert.are.equal("boolean", type(probe.for_close_ok))
  end)

  it("hands a closing value only to a for that closes it", run(function()
    local it, state, control, closing = neap.gen(function(yield) yield(1) end)
    assert.is_truthy(it)
    assert.is_nil(state)
    assert.is_nil(control)
    if probe.for_close_ok then
      assert.are.equal(it, closing)
    else
      assert.is_nil(closing)
    end
  end))

  it("where it passes, leaves the closing to the for", run(function()
    -- As on a Lua without the defect; only with shapes that are sound on any.
    local shell = require "spec.support.shell"
    local out = shell.check([[lua5.4 -e '
      package.loaded["neap.probe"] = { for_close_ok = true }
      local neap = require "neap"
      neap.run(function()
        for i in neap.gen(function(yield)
          local _ <close> = setmetatable({}, { __close = function()
            neap.sleep(0)
            io.write("closed ")
          end })
          for i = 1, 3 do yield(i) end
        end) do
          io.write(i, " ")
          if i == 2 then goto out end
        end
        ::out::
        io.write("left ")
        for i in neap.stream(function(yield)
          local _ <close> = setmetatable({}, { __close = function() io.write("ended ") end })
          for i = 1, 3 do yield(i) end
        end) do
          io.write(i, " ")
          if i == 2 then goto out2 end
        end
        ::out2::
        io.write("left")
      end)']])
    assert.are.equal("1 2 closed left 1 2 ended left", out)
  end))
end)
