--- Queues in another order: lifo and priority_queue. What they share with
--- neap.queue is in queue_spec.lua; here it is run over them once more.

local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local MAKERS <const> = { queue = neap.queue, lifo = neap.lifo, priority_queue = neap.priority_queue }

for name, make in pairs(MAKERS) do
  describe("neap." .. name, function()
    it("lets put wait while it is full and get while it is empty (P5, P16)", run({ order = true }, function()
      local q, got = make(2), {}
      neap.spawn(function()
        for i = 1, 9 do q:put(i) end
        q:close()
      end)
      neap.sleep(1)
      assert.are.equal(2, #q)
      for item in q:iter() do
        got[#got + 1] = item
        neap.checkpoint()
      end
      table.sort(got)
      assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, got)
    end))

    it("of capacity 0 hands over (P5, P16)", run(function()
      local q = make(0)
      local getter = neap.spawn(q.get, q)
      neap.checkpoint()
      q:put "x"
      assert.are.equal("x", getter:await())
      neap.spawn(q.put, q, "y")
      neap.checkpoint()
      assert.are.equal("y", q:get())
    end))

    it("is drained when closed, and joined, and selected from (P6, P8, P16)", run(function()
      local q = make(5)
      q:put(1)
      q:put(2)
      q:close()
      raises("closed", q.put, q, 3)
      local _, item = neap.select { q:on_get() }
      assert.are.equal(3, item + q:get())
      assert.are.same({ nil, "closed" }, { q:get() })
      q:done()
      q:done()
      q:join()
      q = make(5)
      q:put(1)
      q:close(nil, { discard = true })
      assert.are.equal(0, #q)
      q:join()
    end))

    it("lets its items go (P16)", run(function()
      local weak = setmetatable({}, { __mode = "v" })
      local mt = { __lt = function(a, b) return a[1] < b[1] end }
      local q = make(10)
      for i = 1, 8 do
        weak[i] = setmetatable({ i }, mt)
        q:put(weak[i])
      end
      for _ = 1, 8 do q:get() end
      neap.checkpoint()
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end))

    it("takes any capacity from 0 on, and no other (P16)", run(function()
      for _, bad in ipairs { -1, 1.5, 0 / 0, "x" } do assert.is_false((pcall(make, bad))) end
      assert.is_false((pcall(make)))
      local q = make(math.huge)
      for i = 1, 1000 do assert.is_true(q:try_put(i)) end
      assert.are.equal(1000, #q)
      assert.is_false((pcall(q.put, q, nil)))
    end))
  end)
end

describe("neap.lifo", function()
  it("gives the last item put first (P16)", run(function()
    local q = neap.lifo(10)
    for i = 1, 4 do q:put(i) end
    assert.are.same({ 4, 3 }, { q:get(), q:get() })
    q:put(5)
    assert.are.same({ 5, 2, 1 }, { q:get(), q:get(), q:get() })
  end))

  it("agrees with a stack, whatever is done to it (P16)", run(function()
    local q, stack, next_item = neap.lifo(50), {}, 0
    math.randomseed(7)
    for _ = 1, 5000 do
      if math.random() < 0.5 then
        next_item = next_item + 1
        if q:try_put(next_item) then stack[#stack + 1] = next_item end
      else
        assert.are.equal(table.remove(stack), q:try_get())
      end
      assert.are.equal(#stack, #q)
    end
  end))

  it("lets the putter that waits longest in first (P16, W4)", run({ order = true }, function()
    local q = neap.lifo(1)
    q:put "a"
    for _, item in ipairs { "b", "c" } do neap.spawn(q.put, q, item) end
    neap.checkpoint()
    assert.are.same({ "a", "b", "c" }, { q:get(), q:get(), q:get() })
  end))
end)

describe("neap.priority_queue", function()
  it("gives the smallest first (P16)", run(function()
    local q = neap.priority_queue(10)
    for _, n in ipairs { 5, 1, 4, 2, 3 } do q:put(n) end
    assert.are.same({ 1, 2, 3, 4, 5 }, { q:get(), q:get(), q:get(), q:get(), q:get() })
    q = neap.priority_queue(10, function(a, b) return a > b end)
    for _, n in ipairs { 5, 1, 4 } do q:put(n) end
    assert.are.same({ 5, 4, 1 }, { q:get(), q:get(), q:get() })
    q = neap.priority_queue(10)
    for _, s in ipairs { "b", "a", "c" } do q:put(s) end
    assert.are.same({ "a", "b", "c" }, { q:get(), q:get(), q:get() })
  end))

  it("gives of equal items the one put first (P16)", run(function()
    local q = neap.priority_queue(math.huge, function(a, b) return a.p < b.p end)
    for i = 1, 200 do q:put { p = i % 4, i = i } end
    local last = { p = -1, i = 0 }
    for _ = 1, 200 do
      local item = q:get()
      assert.is_true(item.p > last.p or item.p == last.p and item.i > last.i)
      last = item
    end
  end))

  it("agrees with a sorted list, whatever is done to it (P16)", run(function()
    for seed = 1, 40 do
      math.randomseed(seed)
      local mt = { __lt = function(a, b) return a[1] < b[1] end }
      local q = neap.priority_queue(30, seed % 2 == 0 and function(a, b) return a[1] < b[1] end or nil)
      local list, n = {}, 0
      for _ = 1, 400 do
        if math.random() < 0.55 then
          n = n + 1
          local item = setmetatable({ math.random(12), n }, mt)
          if q:try_put(item) then list[#list + 1] = item end
        else
          local best
          for i, item in ipairs(list) do
            if not best or item[1] < list[best][1] then best = i end
          end
          assert.are.equal(best and table.remove(list, best), q:try_get())
        end
        assert.are.equal(#list, #q)
      end
    end
  end))

  it("raises where items cannot be compared, and has not taken them (P16)", run(function()
    local q = neap.priority_queue(5)
    q:put(2)
    q:put(1)
    local ok, err = pcall(q.put, q, "x")
    assert.is_false(ok)
    assert.is_truthy(err:find("compare", 1, true))
    assert.is_false((pcall(q.try_put, q, {})))
    assert.are.same({ 1, 2 }, { q:get(), q:get() })
    assert.are.equal(0, #q)
    raises("invalid", q.done, (function() q:done() q:done() return q end)())
  end))

  it("raises it also in one that waits for room (P16)", run({ order = true }, function()
    local q = neap.priority_queue(2)
    q:put(1)
    q:put(5)
    local bad = neap.spawn(function() return pcall(q.put, q, "x") end)
    local also = neap.spawn(function() return pcall(neap.select, { q:on_put "y" }) end)
    local good = neap.spawn(q.put, q, 3)
    neap.checkpoint()
    assert.are.equal(1, q:get())
    local ok, err = bad:await()
    assert.is_false(ok)
    assert.is_truthy(err:find("compare", 1, true))
    assert.is_false((also:await()))
    assert.is_true(good:await())
    assert.are.same({ 3, 5 }, { q:get(), q:get() })
  end))

  it("whose function raises or waits keeps what it has (P16)", run(function()
    local bad = false
    local q = neap.priority_queue(10, function(a, b)
      if bad == "error" then error { kind = "mine" } end
      if bad == "wait" then neap.sleep(1) end
      return a < b
    end)
    for _, n in ipairs { 5, 1, 4, 2, 3 } do q:put(n) end
    for _, how in ipairs { "error", "wait" } do
      bad = how
      local kind = how == "error" and "mine" or "not_in_task"
      raises(kind, q.put, q, 0)
      raises(kind, q.get, q)
      raises(kind, q.try_get, q)
      assert.are.equal(5, #q)
    end
    bad = false
    assert.are.same({ 1, 2, 3, 4, 5 }, { q:get(), q:get(), q:get(), q:get(), q:get() })
  end))

  it("notices a function that uses the queue (P16)", run(function()
    local q, act
    q = neap.priority_queue(10, function(a, b)
      if act then act() end
      return a < b
    end)
    for _, n in ipairs { 3, 1, 2 } do q:put(n) end
    act = function()
      act = nil
      q:try_get()
    end
    raises("invalid", q.put, q, 5)
    q:put(4)
    act = function()
      act = nil
      q:try_put(0)
    end
    raises("invalid", q.get, q)
    local got = {}
    for i = 1, #q do got[i] = q:get() end
    assert.are.same({ 0, 2, 3, 4 }, got)
    act = function() q:close(nil, { discard = true }) end
    q:put(1)
    raises("invalid", q.put, q, 2)
    assert.are.equal(0, #q)
  end))

  it("survives a function that cancels the one whose item it compares (P16)", run({ order = true }, function()
    local victim
    local q = neap.priority_queue(2, function(a, b)
      if victim then victim:cancel() end
      return a < b
    end)
    q:put(1)
    q:put(2)
    local task = neap.spawn(q.put, q, 3)
    neap.checkpoint()
    victim = task
    assert.are.equal(1, q:get())
    victim = nil
    task:join()
    while #q > 0 do q:get() end
    assert.is_true(q:try_put(9))
    assert.are.equal(9, q:get())
  end))

  it("refuses what cannot be called to compare", run(function()
    assert.is_false((pcall(neap.priority_queue, 5, 1)))
    assert.is_true((pcall(neap.priority_queue, 5, setmetatable({}, { __call = print }))))
  end))
end)
