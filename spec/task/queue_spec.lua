local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a queue", function()
  it("gives items in the order in which they were put (P5)", run(function()
    local q = neap.queue(10)
    for i = 1, 5 do assert.is_true(q:put(i)) end
    assert.are.equal(5, #q)
    for i = 1, 5 do assert.are.equal(i, q:get()) end
    assert.are.equal(0, #q)
  end))

  it("lets get wait while it is empty, getters in order (P5, W4)", run({ order = true }, function()
    local got, note = journal()
    local q = neap.queue(10)
    for i = 1, 3 do neap.spawn(function() note(i .. q:get()) end) end
    neap.checkpoint()
    for _, item in ipairs { "a", "b", "c" } do q:put(item) end
    neap.checkpoint()
    assert.are.same({ "1a", "2b", "3c" }, got)
  end))

  it("lets put wait while it is full, putters in order (P5, W4)", run({ order = true }, function()
    local got, note = journal()
    local q = neap.queue(2)
    for i = 1, 5 do
      neap.spawn(function()
        q:put(i)
        note("put " .. i)
      end)
    end
    neap.checkpoint()
    assert.are.same({ "put 1", "put 2" }, got)
    for i = 1, 5 do assert.are.equal(i, q:get()) end
    neap.checkpoint()
    assert.are.same({ "put 1", "put 2", "put 3", "put 4", "put 5" }, got)
  end))

  it("does not let a late put overtake one that waits (W4)", run({ order = true }, function()
    local q = neap.queue(1)
    q:put "a"
    neap.spawn(q.put, q, "b")
    neap.checkpoint()
    assert.are.equal("a", q:get())
    assert.is_false(q:try_put "c") -- the place went to b
    assert.are.equal("b", q:get())
  end))

  it("of capacity 0 hands over from put to get (P5)", run({ order = true }, function()
    local got, note = journal()
    local q = neap.queue(0)
    neap.spawn(function()
      for i = 1, 3 do
        q:put(i)
        note("put " .. i)
      end
    end)
    neap.sleep(1)
    assert.are.same({}, got)
    for i = 1, 3 do
      assert.are.equal(i, q:get())
      neap.checkpoint()
      assert.are.equal(i, #got)
    end
    assert.is_false(q:try_put "x")
    assert.is_nil(q:try_get())
    local getter = neap.spawn(q.get, q)
    neap.checkpoint()
    assert.is_true(q:try_put "y")
    assert.are.equal("y", getter:await())
    neap.spawn(q.put, q, "z")
    neap.checkpoint()
    assert.are.equal("z", q:try_get())
    assert.are.equal(0, #q)
  end))

  it("of capacity math.huge never makes put wait (P5)", run(function()
    local q = neap.queue(math.huge)
    for i = 1, 10000 do assert.is_true(q:try_put(i)) end
    assert.are.equal(10000, #q)
    for i = 1, 10000 do assert.are.equal(i, q:try_get()) end
    assert.is_nil(q:try_get())
  end))

  it("keeps its order round the ring, as it grows and shrinks (P5)", run(function()
    local q = neap.queue(1000)
    local put, taken = 0, 0
    for round = 1, 200 do
      for _ = 1, (round * 37) % 50 do
        put = put + 1
        q:put(put)
      end
      for _ = 1, math.min(#q, (round * 53) % 47) do
        taken = taken + 1
        assert.are.equal(taken, q:get())
      end
    end
    while #q > 0 do
      taken = taken + 1
      assert.are.equal(taken, q:get())
    end
    assert.are.equal(put, taken)
  end))

  it("takes any value but nil (P5)", run(function()
    local q = neap.queue(10)
    for _, value in ipairs { false, true, 0, "x", {}, print, 0 / 1 } do
      q:put(value)
      assert.are.equal(value, q:get())
    end
    assert.is_false((pcall(q.put, q, nil)))
    assert.is_false((pcall(q.put, q)))
    assert.is_false((pcall(q.try_put, q)))
    assert.are.equal(0, #q)
  end))

  it("lets its items go (P5)", run(function()
    local weak = setmetatable({}, { __mode = "v" })
    local q = neap.queue(10)
    for i = 1, 5 do
      weak[i] = {}
      q:put(weak[i])
    end
    for _ = 1, 5 do q:get() end
    neap.checkpoint()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))

  it("try_get and try_put do not wait (P7)", run(function()
    local q = neap.queue(1)
    assert.is_nil(q:try_get())
    assert.is_true(q:try_put(1))
    assert.is_false(q:try_put(2))
    assert.are.equal(1, q:try_get())
  end))

  it("get{timeout=} returns nil, \"timeout\" (P7)", run(function()
    local q = neap.queue(1)
    local t = neap.now()
    assert.are.same({ n = 2, nil, "timeout" }, table.pack(q:get { timeout = 2 }))
    assert.is_true(math.abs(neap.now() - t - 2) < 1e-6)
    assert.are.same({ nil, "timeout" }, { q:get { timeout = 0 } })
    q:put "item"
    assert.are.equal("item", q:get { timeout = 0 })
    neap.spawn(function()
      neap.sleep(1)
      q:put "late"
    end)
    assert.are.equal("late", q:get { timeout = 5 })
    assert.is_nil((q:get { timeout = 1 }))
    neap.spawn(q.put, q, "more")
    assert.are.equal("more", q:get { timeout = math.huge })
    neap.spawn(q.put, q, "plain")
    assert.are.equal("plain", q:get {})
  end))

  it("get{timeout=} loses no item when both come at once (P7, W1)", run(function()
    for _ = 1, 20 do
      local q = neap.queue(1)
      neap.spawn(function()
        neap.sleep(1)
        q:put "item"
      end)
      neap.checkpoint()
      local item, why = q:get { timeout = 1 }
      if item == nil then
        assert.are.equal("timeout", why)
        item = q:get()
      end
      assert.are.equal("item", item)
    end
  end))

  it("a cancelled put did not put, a cancelled get took nothing (W2)", run(function()
    local q = neap.queue(1)
    assert.is_false(neap.move_on_after(1, q.get, q))
    q:put "a"
    assert.is_false(neap.move_on_after(1, q.put, q, "b"))
    assert.are.equal(1, #q)
    assert.are.equal("a", q:get())
    assert.is_nil(q:try_get())
  end))

  it("a put that was granted and then cancelled has put (W1)", run(function()
    local q = neap.queue(1)
    q:put "a"
    local done
    local task = neap.spawn(function()
      done = q:put "b"
      neap.checkpoint()
    end)
    neap.checkpoint()
    assert.are.equal("a", q:get())
    task:cancel()
    task:join()
    assert.is_true(done)
    assert.are.equal("b", q:get())
  end))

  it("is a checkpoint whether it waits or not (W3)", run(function()
    local q = neap.queue(5)
    q:put(1)
    for _, call in ipairs { function() q:put(2) end, function() q:get() end,
      function() q:get { timeout = 0 } end, function() q:join() end } do
      local task = neap.spawn(function()
        neap.current():cancel()
        call()
        error "not reached"
      end)
      task:join()
      assert.are.equal("cancelled", task:status())
    end
    assert.are.equal(1, #q)
  end))
end)

describe("a closed queue", function()
  it("is drained; then get returns nil, \"closed\" (P6)", run(function()
    local q = neap.queue(5)
    q:put(1)
    q:put(2)
    q:close()
    assert.are.equal(1, q:get())
    assert.are.equal(2, q:try_get())
    assert.are.same({ n = 2, nil, "closed" }, table.pack(q:get()))
    assert.are.same({ n = 2, nil, "closed" }, table.pack(q:try_get()))
    assert.are.same({ nil, "closed" }, { q:get { timeout = 5 } })
  end))

  it("refuses put, also one that waits (P6)", run(function()
    local q = neap.queue(1)
    q:put(1)
    local task = neap.spawn(function() return raises("closed", q.put, q, 2) end)
    neap.checkpoint()
    q:close()
    task:await()
    raises("closed", q.put, q, 3)
    raises("closed", q.try_put, q, 3)
    assert.are.equal(1, q:get())
    assert.is_nil((q:get()))
  end))

  it("wakes those who wait in get (P6)", run(function()
    local q = neap.queue(1)
    local task = neap.spawn(function() return table.pack(q:get()) end)
    local other = neap.spawn(function() return table.pack(q:get { timeout = 50 }) end)
    neap.checkpoint()
    q:close()
    assert.are.same({ n = 2, nil, "closed" }, task:await())
    assert.are.same({ n = 2, nil, "closed" }, other:await())
  end))

  it("with an error raises it at the end (P6)", run(function()
    local thrown = { kind = "mine" }
    local q = neap.queue(5)
    q:put(1)
    q:close(thrown)
    assert.are.equal(1, q:get())
    assert.are.equal(thrown, (raises("mine", q.get, q)))
    assert.are.equal(thrown, (raises("mine", q.try_get, q)))
    q = neap.queue(5)
    local task = neap.spawn(function() return pcall(q.get, q) end)
    neap.checkpoint()
    q:close "text"
    assert.are.same({ false, "text" }, { task:await() })
    q = neap.queue(5)
    q:close(false)
    assert.are.same({ false, false }, { pcall(q.get, q) })
  end))

  it("may be closed again; the first error stays (P6)", run(function()
    local q = neap.queue(5)
    q:close()
    q:close()
    q:close "late"
    assert.are.same({ nil, "closed" }, { q:get() })
    q = neap.queue(5)
    q:close "first"
    q:close "second"
    assert.are.same({ false, "first" }, { pcall(q.get, q) })
  end))

  it("with discard drops what is left, and wakes joiners (P6)", run(function()
    local q = neap.queue(5)
    for i = 1, 3 do q:put(i) end
    local joiner = neap.spawn(q.join, q)
    neap.checkpoint()
    q:close(nil, { discard = true })
    joiner:await()
    assert.are.equal(0, #q)
    assert.are.same({ nil, "closed" }, { q:get() })
    q:done() -- of an item that a worker still had
    q:join()
    raises("invalid", q.close, q, nil, { discart = true })
    assert.is_false((pcall(q.close, q, nil, 5)))
  end))
end)

describe("queue:join", function()
  it("waits until done was called for every item (P8)", run(function()
    local q = neap.queue(5)
    q:join()
    for i = 1, 3 do q:put(i) end
    local joined = false
    local task = neap.spawn(function()
      q:join()
      joined = true
    end)
    for _ = 1, 3 do
      neap.checkpoint()
      assert.is_false(joined)
      q:get()
      neap.checkpoint()
      assert.is_false(joined)
      q:done()
    end
    task:await()
    raises("invalid", q.done, q)
  end))

  it("counts items of putters that waited, and no others (P8)", run(function()
    local q = neap.queue(0)
    local put = neap.spawn(q.put, q, 1)
    local cancelled = neap.spawn(q.put, q, 2)
    neap.checkpoint()
    cancelled:cancel()
    cancelled:join()
    assert.are.equal(1, q:get())
    put:await()
    q:done()
    q:join()
    raises("invalid", q.done, q)
  end))

  it("done too often is invalid also on a closed queue (P8)", run(function()
    local q = neap.queue(5)
    q:put(1)
    q:close()
    q:get()
    q:done()
    raises("invalid", q.done, q)
    q:join()
  end))
end)

describe("queue:iter", function()
  it("ends when the queue is closed and drained (P9)", run(function()
    local q, got = neap.queue(2), {}
    neap.spawn(function()
      for i = 1, 5 do
        q:put(i)
        neap.sleep(1)
      end
      q:close()
    end)
    for item in q:iter() do got[#got + 1] = item end
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
    for _ in q:iter() do error "not reached" end
  end))

  it("passes false, and raises the error of close (P9, P6)", run(function()
    local q = neap.queue(5)
    q:put(false)
    q:close "bad"
    local seen = 0
    local ok, err = pcall(function()
      for item in q:iter() do
        assert.is_false(item)
        seen = seen + 1
      end
    end)
    assert.are.same({ false, "bad", 1 }, { ok, err, seen })
  end))

  it("left by break leaves the queue usable (P9)", run(function()
    local q = neap.queue(5)
    for i = 1, 3 do q:put(i) end
    for item in q:iter() do
      if item == 2 then break end
    end
    assert.are.equal(3, q:get())
    assert.is_true(q:put(4))
  end))

  it("is shared by several consumers, each item once (P9)", run(function()
    local q, seen = neap.queue(3), {}
    neap.scope(function(s)
      for _ = 1, 4 do
        s:spawn(function()
          for item in q:iter() do
            assert.is_nil(seen[item])
            seen[item] = true
            neap.sleep(item % 3)
          end
        end)
      end
      for i = 1, 100 do q:put(i) end
      q:close()
    end)
    assert.are.equal(100, #seen)
  end))
end)

describe("neap.queue", function()
  it("refuses capacities that are none", function()
    for _, bad in ipairs { -1, 1.5, 0 / 0, -math.huge, "x", {}, true } do
      assert.is_false((pcall(neap.queue, bad)), tostring(bad))
    end
    assert.is_false((pcall(neap.queue)))
    neap.queue(1.0)
  end)

  it("outlives a run; what does not wait works outside (W7)", function()
    local q = neap.queue(5)
    assert.is_true(q:try_put(1))
    neap.run(function() q:put(2) end)
    assert.are.equal(1, neap.run(function() return q:get() end))
    assert.are.equal(2, q:try_get())
    q:close()
    assert.are.same({ nil, "closed" }, { q:try_get() })
    raises("not_in_task", q.put, q, 1)
    raises("not_in_task", q.get, q)
  end)

  it("refuses wrong arguments to its methods", run(function()
    local q = neap.queue(1)
    for _, name in ipairs { "put", "get", "try_put", "try_get", "close", "done", "join", "iter" } do
      for _, bad in ipairs { 1, {}, "x", neap.lock(), io.stdout } do
        assert.is_false((pcall(q[name], bad, 1)), name)
      end
      assert.is_false((pcall(q[name])), name)
    end
    assert.is_false((pcall(q.get, q, 5)))
    for _, opts in ipairs { { timeout = -1 }, { timeout = 0 / 0 }, { timeout = "x" }, { time = 1 },
      { [1] = 2 }, { [{}] = 1 } } do
      assert.is_false((pcall(q.get, q, opts)))
    end
    assert.are.equal(0, #q)
  end))
end)
