local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a stream", function()
  it("gives what its producer yields, all the values of it (I9)", run(function()
    local got = {}
    for a, b, c in neap.stream(function(yield)
      yield(1, "one")
      neap.sleep(1)
      yield(false)
      yield("x", nil, "y")
    end) do
      got[#got + 1] = table.pack(a, b, c)
    end
    assert.are.same({
      { n = 3, 1, "one" }, { n = 3, false }, { n = 3, "x", nil, "y" },
    }, got)
  end))

  it("has its producer in a child task, which runs on its own (I9)", run(function()
    local me, producer = neap.current(), nil
    local s = neap.stream(function(yield)
      producer = neap.current()
      yield(1)
    end)
    neap.checkpoint()
    assert.are_not.equal(me, producer)
    assert.are.equal("neap.stream", producer.name)
    assert.are.equal("waiting", producer:status())
    assert.are.equal(1, s())
    assert.is_nil((s()))
    assert.is_nil((s:next()))
    neap.checkpoint()
    assert.are.equal("done", producer:status())
  end))

  it("runs at most `buffer` items ahead (I9)", run(function()
    for _, buffer in ipairs { 0, 1, 3, 10 } do
      local put = 0
      local s = neap.stream(function(yield)
        for i = 1, 20 do
          yield(i)
          put = i
        end
      end, { buffer = buffer })
      neap.sleep(1)
      assert.are.equal(buffer, put)
      for i = 1, 5 do
        assert.are.equal(i, s())
        neap.sleep(1)
        assert.are.equal(math.min(20, buffer + i), put)
      end
      s:close()
    end
    local put = 0
    local s <close> = neap.stream(function(yield)
      for i = 1, 100 do
        yield(i)
        put = i
      end
    end, { buffer = math.huge })
    neap.sleep(1)
    assert.are.equal(100, put)
    assert.are.equal(1, s())
  end))

  it("works while its consumer does (I9)", run(function()
    local t = neap.now()
    for _ in neap.stream(function(yield)
      for i = 1, 5 do
        neap.sleep(1)
        yield(i)
      end
    end, { buffer = 1 }) do neap.sleep(1) end
    assert.is_true(math.abs(neap.now() - t - 6) < 1e-6)
  end))

  it("may hold scopes open while it yields (I9, I8)", run(function()
    local got = {}
    for v in neap.stream(function(yield)
      neap.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            neap.sleep(i)
            neap.timeout(100, function() yield(i) end)
          end)
        end
      end)
      neap.ctx.with("key", 4, function() yield(neap.ctx.get "key") end)
    end) do got[#got + 1] = v end
    assert.are.same({ 1, 2, 3, 4 }, got)
  end))

  it("raises the producer's error at the consumer, after the items (I9)", run(function()
    local thrown = { kind = "mine" }
    local s = neap.stream(function(yield)
      yield(1)
      yield(2)
      error(thrown)
    end, { buffer = 5 })
    neap.sleep(1)
    assert.are.equal(1, s())
    assert.are.equal(2, s())
    assert.are.equal(thrown, (raises("mine", s)))
    assert.is_nil((s()))
    s:close()
  end))

  it("raises the error of what its producer has spawned (I9)", run(function()
    local s = neap.stream(function(yield)
      neap.spawn(function()
        neap.sleep(2)
        error { kind = "child" }
      end)
      yield(1)
    end)
    assert.are.equal(1, s())
    raises("child", s)
  end))

  it("does not fail the scope with it (I9)", run(function()
    neap.scope(function()
      local s = neap.stream(function() error { kind = "mine" } end)
      neap.sleep(5)
      raises("mine", s)
      neap.sleep(5)
    end)
  end))

  it("takes no nil as its first value, and says so (I2)", run(function()
    local err = raises("invalid", neap.stream(function(yield) yield(nil, 1) end))
    assert.is_truthy(err.message:find("neap.stream", 1, true))
    raises("invalid", neap.stream(function(yield) yield() end))
  end))

  it("that is closed cancels its producer and waits for its end (I9, I3)", run(function()
    local got, note = journal()
    local s = neap.stream(function(yield)
      local _ <close> = neap.defer(function()
        neap.sleep(2)
        note "producer"
      end)
      while true do yield(1) end
    end)
    s()
    local t = neap.now()
    s:close()
    note "closed"
    assert.are.same({ "producer", "closed" }, got)
    assert.is_true(neap.now() - t >= 2)
    assert.is_nil((s()))
    s:close()
  end))

  it("closed by one task ends for the other that waits for it (I9, I3)", run(function()
    local s = neap.stream(function(yield)
      neap.sleep(100)
      yield(1)
    end)
    local task = neap.spawn(function() return table.pack(s()) end)
    neap.sleep(1)
    s:close()
    assert.is_nil(task:await()[1])
  end))

  it("closed by two tasks at once is closed when either returns (I3)", run(function()
    local over = false
    local s = neap.stream(function(yield)
      local _ <close> = neap.defer(function()
        neap.sleep(2)
        over = true
      end)
      yield(1)
    end)
    s()
    neap.gather(
      function() s:close() assert.is_true(over) end,
      function() s:close() assert.is_true(over) end)
  end))

  it("says in close what its producer failed with meanwhile (I7)", run(function()
    local s = neap.stream(function(yield)
      local _ <close> = setmetatable({}, { __close = function() error { kind = "cleanup" } end })
      yield(1)
      yield(2)
    end)
    s()
    raises("cleanup", s.close, s)
    s:close()
    raises("early", neap.scope, function()
      local _ = neap.stream(function() error { kind = "early" } end)
      neap.sleep(1)
    end)
  end))

  it("left by break does not hold up its scope (I4)", run(function()
    local t = neap.now()
    neap.scope(function()
      for v in neap.stream(function(yield)
        for i = 1, 10 do yield(i) end
        neap.sleep(1000)
      end) do
        if v == 3 then break end
      end
    end)
    assert.is_true(neap.now() - t < 1)
  end))

  it("never looked at does not hold up its scope (I4, I6)", run(function()
    neap.scope(function()
      local _ = neap.stream(function(yield) yield(1) end)
    end)
    neap.scope(function()
      neap.stream(function(yield) yield(1) end)
      collectgarbage()
      collectgarbage()
      neap.sleep(1)
    end)
  end))

  it("that nobody knows any more is closed by the run (I6)", run(function()
    local ended = 0
    neap.scope(function()
      for _ = 1, 10 do
        for _ in neap.stream(function(yield)
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          yield(1)
          yield(2)
        end) do break end
      end
      collectgarbage()
      collectgarbage()
      neap.sleep(1)
      assert.is_true(ended >= 9)
    end)
    assert.are.equal(10, ended)
  end))

  it("whose producer is cancelled says so to a consumer elsewhere (I9)", run(function()
    local s, scope
    local owner = neap.spawn(function()
      neap.scope(function(sc)
        scope = sc
        s = neap.stream(function(yield)
          neap.sleep(1000)
          yield(1)
        end)
        neap.sleep(1000)
      end)
    end)
    neap.sleep(1)
    local reader = neap.spawn(function() return pcall(s) end)
    neap.sleep(1)
    scope:cancel()
    owner:join()
    local ok, err = reader:await()
    assert.is_false(ok)
    assert.are.equal("task_cancelled", err.kind)
  end))

  it("whose producer cancels itself says so too (I9)", run(function()
    local s = neap.stream(function(yield)
      yield(1)
      neap.current():cancel()
      neap.checkpoint()
    end)
    assert.are.equal(1, s())
    raises("task_cancelled", s)
  end))

  it("used by a child when its scope's body ends stays open for it (I5)", run(function()
    local got, note = journal()
    neap.scope(function(s)
      local items = neap.stream(function(yield)
        for i = 1, 4 do
          neap.sleep(1)
          yield(i)
        end
      end)
      s:spawn(function()
        for v in items do note(v) end
      end)
      neap.sleep(0.5)
    end)
    assert.are.same({ 1, 2, 3, 4 }, got)
  end))

  it("refuses what makes no sense", run(function()
    assert.is_false((pcall(neap.stream, 1)))
    raises("invalid", neap.stream, print, { buffer = -1 })
    raises("invalid", neap.stream, print, { bufer = 1 })
    assert.is_false((pcall(neap.stream, print, { buffer = 1.5 })))
  end))

  it("outside of a task says so", function()
    raises("not_in_task", neap.stream, print)
  end)
end)
