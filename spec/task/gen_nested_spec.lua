local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function guard(note, name)
  return setmetatable({}, { __close = function()
    neap.sleep(0.1)
    note(name)
  end })
end

--- A binary tree of the numbers first..last.
local function tree(first, last)
  if first > last then return nil end
  local middle = (first + last) // 2
  return {
    left = tree(first, middle - 1), value = middle,
    right = tree(middle + 1, last),
  }
end

local function walk(node)
  return neap.gen(function(yield)
    if not node then return end
    for v in walk(node.left) do yield(v) end
    neap.sleep(0.001)
    yield(node.value)
    for v in walk(node.right) do yield(v) end
  end)
end

describe("generators in one another", function()
  it("three deep, with waits on each level (I1)", run(function()
    local function level(name, below)
      return neap.gen(function(yield)
        neap.sleep(1)
        for v in below() do
          neap.sleep(1)
          yield(name .. v)
          neap.sleep(1)
        end
        neap.sleep(1)
      end)
    end
    local got = {}
    for v in level("a", function()
      return level("b", function()
        return level("c", function() return neap.iter { 1, 2 } end)
      end)
    end) do
      neap.sleep(1)
      got[#got + 1] = v
    end
    assert.are.same({ "abc1", "abc2" }, got)
  end))

  it("are left from the inside out (I3)", run(function()
    local got, note = journal()
    local function level(n)
      return neap.gen(function(yield)
        local _ <close> = guard(note, n)
        if n == 3 then
          yield "item"
        else
          local below <close> = level(n + 1)
          for v in below do yield(v) end
        end
      end)
    end
    do
      local g <close> = level(1)
      assert.are.equal("item", g())
    end
    assert.are.same({ 3, 2, 1 }, got)
  end))

  it("left by break inside one another are closed with the scope (I4)", run(function()
    local got, note = journal()
    neap.scope(function()
      for v in neap.gen(function(yield)
        local _ <close> = guard(note, "outer")
        for w in neap.gen(function(y)
          local _ <close> = guard(note, "inner")
          y(1)
          y(2)
        end) do
          local keep = function() return w end
          yield(keep())
          if w == 5 then break end
        end
      end) do
        if v == 1 then break end
      end
      note "body"
    end)
    assert.are.same({ "body", "inner", "outer" }, got)
  end))

  it("raise through all levels, each cleaned up (I1, I3)", run(function()
    local got, note = journal()
    local function level(n)
      return neap.gen(function(yield)
        local _ <close> = guard(note, n)
        if n == 3 then
          yield(1)
          neap.sleep(1)
          error { kind = "mine" }
        end
        for v in level(n + 1) do yield(v) end
      end)
    end
    raises("mine", function()
      for _ in level(1) do neap.sleep(1) end
    end)
    assert.are.same({ 3, 2, 1 }, got)
  end))

  it("walk a tree recursively (I1)", run(function()
    local got, want = {}, {}
    for v in walk(tree(1, 100)) do got[#got + 1] = v end
    for i = 1, 100 do want[i] = i end
    assert.are.same(want, got)
  end))

  it("recurse into one another (I1)", run(function()
    local even, odd
    function even(n)
      return neap.gen(function(yield)
        neap.sleep(0.01)
        yield(n)
        if n > 0 then for v in odd(n - 1) do yield(v) end end
      end)
    end
    function odd(n)
      return neap.gen(function(yield)
        yield(-n)
        for v in even(n - 1) do
          neap.sleep(0.01)
          yield(v)
        end
      end)
    end
    local got = {}
    for v in even(10) do got[#got + 1] = v end
    assert.are.same({ 10, -9, 8, -7, 6, -5, 4, -3, 2, -1, 0 }, got)
  end))

  it("too deep for the C stack raise an error, and nothing is left (I1, I3)", run(function()
    local opened, closed = 0, 0
    local function deep(n)
      return neap.gen(function(yield)
        opened = opened + 1
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        yield(n)
        for v in deep(n + 1) do yield(v) end
      end)
    end
    local deepest = 0
    local ok, err = pcall(function()
      for v in deep(1) do
        deepest = v
        neap.checkpoint()
      end
    end)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("C stack overflow", 1, true), tostring(err))
    assert.is_true(deepest >= 80, "deepest: " .. deepest)
    assert.are.equal(opened, closed)
  end))

  it("mixed with streams, imap and coroutines (I1, I9)", run(function()
    local got = {}
    for v in neap.gen(function(yield)
      for w in neap.imap(neap.stream(function(put)
        for x in coroutine.wrap(function()
          for i = 1, 4 do
            neap.sleep(0.5)
            coroutine.yield(i)
          end
        end) do put(x) end
      end), function(x)
        neap.sleep(1)
        return x * 10
      end, { concurrency = 2 }) do yield(w) end
    end) do got[#got + 1] = v end
    assert.are.same({ 10, 20, 30, 40 }, got)
  end))

  it("inside a coroutine inside a generator (I1)", run(function()
    local got = {}
    for v in neap.gen(function(yield)
      local co = coroutine.wrap(function()
        for w in neap.gen(function(y)
          for i = 1, 3 do
            neap.sleep(1)
            y(i)
          end
        end) do coroutine.yield(w * 2) end
      end)
      for w in co do
        neap.sleep(1)
        yield(w + 1)
      end
    end) do got[#got + 1] = v end
    assert.are.same({ 3, 5, 7 }, got)
  end))
end)
