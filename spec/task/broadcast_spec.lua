local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a broadcast", function()
  it("gives every item to every subscriber, in order (P17)", run(function()
    local b = neap.broadcast(2)
    local got = {}
    neap.scope(function(s)
      for i = 1, 3 do
        got[i] = {}
        local sub = b:subscribe()
        s:spawn(function()
          for item in sub:iter() do
            table.insert(got[i], item)
            neap.sleep(i)
          end
        end)
      end
      for item = 1, 5 do assert.is_true(b:put(item)) end
      b:close()
    end)
    for i = 1, 3 do assert.are.same({ 1, 2, 3, 4, 5 }, got[i]) end
  end))

  it("gives what was put since one subscribed (P17)", run(function()
    local b = neap.broadcast(5)
    b:put "nobody hears it"
    local early = b:subscribe()
    b:put(1)
    local late = b:subscribe()
    b:put(2)
    assert.are.same({ 1, 2 }, { early:get(), early:get() })
    assert.are.equal(2, late:get())
    assert.are.same({ nil, "timeout" }, { late:get { timeout = 1 } })
  end))

  it("waits for the slowest of those that block (P17)", run({ order = true }, function()
    local b = neap.broadcast(1)
    local fast, slow = b:subscribe(), b:subscribe()
    b:put(1)
    local put = neap.spawn(b.put, b, 2)
    neap.sleep(1)
    assert.are.equal(1, fast:get())
    neap.sleep(1)
    assert.are.equal("waiting", put:status())
    assert.are.equal(0, #fast)
    assert.are.equal(1, slow:get())
    neap.sleep(1)
    assert.are.equal("done", put:status())
    assert.are.same({ 2, 2 }, { fast:get(), slow:get() })
  end))

  it("serves those who put in order (P17, W4)", run({ order = true }, function()
    local b = neap.broadcast(1)
    local sub = b:subscribe()
    for i = 1, 4 do neap.spawn(b.put, b, i) end
    neap.checkpoint()
    for i = 1, 4 do
      assert.are.equal(i, sub:get())
      neap.checkpoint()
    end
  end))

  it("drops the oldest item where it was told to (P17)", run(function()
    local b = neap.broadcast(2)
    local sub = b:subscribe { overflow = "drop_oldest" }
    for i = 1, 5 do b:put(i) end
    assert.are.equal(3, sub.dropped)
    assert.are.same({ 4, 5 }, { sub:get(), sub:get() })
  end))

  it("ends one with broken, after what it has, where it was told to (P17)", run(function()
    local b = neap.broadcast(2)
    local sub, other = b:subscribe { overflow = "error" }, b:subscribe { overflow = "drop_oldest" }
    for i = 1, 4 do b:put(i) end
    assert.are.same({ 1, 2 }, { sub:get(), sub:get() })
    raises("broken", sub.get, sub)
    raises("broken", sub.get, sub)
    assert.are.equal(3, other:get())
  end))

  it("hands over to one that waits (P17)", run(function()
    local b = neap.broadcast(1)
    local got, note = journal()
    for _, overflow in ipairs { "block", "drop_oldest", "error" } do
      local sub = b:subscribe { overflow = overflow }
      neap.spawn(function()
        for item in sub:iter() do note(overflow .. item) end
      end)
    end
    neap.checkpoint()
    for i = 1, 3 do
      b:put(i)
      neap.checkpoint()
      neap.checkpoint()
    end
    b:close()
    neap.sleep(1)
    table.sort(got)
    assert.are.same({
      "block1", "block2", "block3", "drop_oldest1", "drop_oldest2",
      "drop_oldest3", "error1", "error2", "error3",
    }, got)
  end))

  it("does not wait for one that has left, or that is forgotten (P17)", run(function()
    local b = neap.broadcast(1)
    local a, c = b:subscribe(), b:subscribe()
    b:put(1)
    local put = neap.spawn(b.put, b, 2)
    neap.sleep(1)
    a:close()
    neap.sleep(1)
    assert.are.equal("waiting", put:status())
    c:get()
    neap.sleep(1)
    assert.are.equal("done", put:status())
    assert.are.equal(2, c:get())
    c:close()
    do local _ <close> = b:subscribe() end
    b:put "nobody hears it"

    -- Known until here: the collector may run whenever it likes.
    local forgotten = { b:subscribe() }
    b:put(1)
    put = neap.spawn(b.put, b, 2)
    neap.sleep(1)
    assert.are.equal("waiting", put:status())
    assert.is_truthy(forgotten[1])
    forgotten[1] = nil
    collectgarbage()
    collectgarbage()
    neap.sleep(1)
    assert.are.equal("done", put:status())
  end))

  it("gives nil, \"closed\" to one that has left (P17)", run(function()
    local b = neap.broadcast(3)
    local sub = b:subscribe()
    b:put(1)
    local reader = neap.spawn(function()
      return table.pack(sub:get(), (select(2, sub:get())))
    end)
    neap.sleep(1)
    sub:close()
    sub:close()
    assert.are.same({ 1, "closed", n = 2 }, reader:await())
    assert.are.same({ nil, "closed" }, { sub:get() })
  end))

  it("that is closed lets its subscribers read what they have (P17)", run(function()
    local b = neap.broadcast(2)
    local sub = b:subscribe()
    b:put(1)
    b:put(2)
    local put = neap.spawn(function() return raises("closed", b.put, b, 3) end)
    neap.sleep(1)
    b:close()
    b:close()
    put:await()
    assert.are.same({ 1, 2 }, { sub:get(), sub:get() })
    assert.are.same({ nil, "closed" }, { sub:get() })
    raises("closed", b.put, b, 4)
    raises("closed", b.subscribe, b)
    local other = neap.broadcast(1)
    sub = other:subscribe()
    other:close { kind = "mine" }
    raises("mine", sub.get, sub)
  end))

  it("a cancelled put has reached nobody (P17, W2)", run({ order = true }, function()
    local b = neap.broadcast(1)
    local a, c = b:subscribe(), b:subscribe()
    b:put(1)
    local first, second = neap.spawn(b.put, b, 2), neap.spawn(b.put, b, 3)
    neap.checkpoint()
    first:cancel()
    a:get()
    c:get()
    neap.sleep(1)
    assert.are.equal("done", second:status())
    assert.are.same({ 3, 3 }, { a:get(), c:get() })
    assert.are.equal(0, #a)
  end))

  it("a put that was let in and then cancelled has reached all (W1)", run({ order = true }, function()
    local b = neap.broadcast(1)
    local sub = b:subscribe()
    b:put(1)
    local task = neap.spawn(b.put, b, 2)
    neap.checkpoint()
    sub:get()
    task:cancel()
    task:join()
    assert.are.equal("done", task:status())
    assert.are.equal(2, sub:get())
  end))

  it("passes false, and is a checkpoint (P17, W3)", run(function()
    local b = neap.broadcast(1)
    local sub = b:subscribe()
    b:put(false)
    assert.is_false(sub:get())
    local task = neap.spawn(function()
      neap.current():cancel()
      b:put(1)
    end)
    task:join()
    assert.are.equal("cancelled", task:status())
    assert.are.equal(0, #sub)
  end))

  it("of capacity math.huge never waits (P17)", run(function()
    local b = neap.broadcast(math.huge)
    local sub = b:subscribe()
    for i = 1, 1000 do b:put(i) end
    for i = 1, 1000 do assert.are.equal(i, sub:get()) end
  end))

  it("keeps no trace of those that came and went (P17)", run(function()
    local b = neap.broadcast(1)
    local stay = b:subscribe()
    for i = 1, 5000 do
      local sub = b:subscribe()
      if i % 100 == 0 then
        b:put(i)
        assert.are.equal(i, sub:get())
        assert.are.equal(i, stay:get())
      end
      sub:close()
    end
    assert.is_true(b.last - b.first < 100)
  end))

  it("is left by break, and by an error, with its handle (P17)", run(function()
    local b = neap.broadcast(1)
    pcall(function()
      local sub <close> = b:subscribe()
      b:put(1)
      for item in sub:iter() do
        local keep = function() return item end
        if keep() == 1 then break end
      end
      b:put(2)
      error "x"
    end)
    b:put(3) -- nobody is left to wait for
    b:put(4)
  end))

  it("refuses bad arguments", run(function()
    for _, bad in ipairs { 0, -1, 1.5, "x" } do assert.is_false((pcall(neap.broadcast, bad))) end
    assert.is_false((pcall(neap.broadcast)))
    local b = neap.broadcast(1)
    assert.is_false((pcall(b.put, b, nil)))
    raises("invalid", b.subscribe, b, { overflow = "drop" })
    raises("invalid", b.subscribe, b, { overflw = "block" })
  end))
end)
