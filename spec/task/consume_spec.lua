local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function filled(n, capacity)
  local q = neap.queue(capacity or math.huge)
  for i = 1, n do q:try_put(i) end
  return q
end

describe("queue:consume", function()
  it("calls fn for every item, with n workers, until the queue is closed (P14)", run(function()
    local q, sum, now, most = filled(10), 0, 0, 0
    q:close()
    local t = neap.now()
    q:consume(3, function(item)
      now = now + 1
      most = math.max(most, now)
      neap.sleep(1)
      now = now - 1
      sum = sum + item
    end)
    assert.are.equal(55, sum)
    assert.are.equal(3, most)
    assert.is_true(math.abs(neap.now() - t - 4) < 1e-6)
    q:join()
  end))

  it("marks items done, also when fn fails: join returns (P14)", run(function()
    local q = filled(3)
    local failed
    local worker = neap.background(function()
      q:consume(2, function(item)
        neap.sleep(1)
        if item == 2 then error { kind = "mine" } end
      end, { on_error = function(err, item) failed = { err.kind, item } end })
    end)
    q:join()
    assert.are.same({ "mine", 2 }, failed)
    q:close()
    worker:await()
  end))

  it("raises the first error, when the others have ended (P14)", run(function()
    local q, ended = filled(5), 0
    q:close()
    raises("mine", q.consume, q, 3, function(item)
      local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
      neap.sleep(item)
      error { kind = "mine" }
    end)
    assert.are.equal(3, ended)
    assert.are.equal(2, #q)
    for _ in q:iter() do q:done() end
    q:join() -- those under way were marked
  end))

  it("cancelled cancels its workers, and marks what they had (P14)", run(function()
    local q = filled(5)
    local task = neap.spawn(q.consume, q, 2, function() neap.sleep(100) end)
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    for _ = 1, 3 do
      q:get()
      q:done()
    end
    q:join()
  end))

  it("does not give the caller's cancellation to on_error (P14, C8)", run(function()
    local q, heard = filled(1), 0
    local task = neap.spawn(q.consume, q, 1, function() neap.sleep(100) end,
      { on_error = function() heard = heard + 1 end })
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal(0, heard)
    assert.are.equal("cancelled", task:status())
  end))

  it("raises the error that the queue was closed with (P14, P6)", run(function()
    local q = filled(2)
    q:close { kind = "mine" }
    local n = 0
    raises("mine", q.consume, q, 2, function() n = n + 1 end)
    assert.are.equal(2, n)
  end))

  it("serves a producer that waits for room (P14)", run(function()
    local q, got = neap.queue(1), {}
    neap.spawn(function()
      for i = 1, 20 do q:put(i) end
      q:close()
    end)
    q:consume(1, function(i) got[#got + 1] = i end)
    assert.are.equal(20, #got)
  end))

  it("refuses bad arguments", run(function()
    local q = neap.queue(1)
    assert.is_false((pcall(q.consume, q, 0, print)))
    assert.is_false((pcall(q.consume, q, 1.5, print)))
    assert.is_false((pcall(q.consume, q, 1, 1)))
    raises("invalid", q.consume, q, 1, print, { on_eror = print })
  end))

  it("refuses more workers than there is memory for, before the first", run(function()
    local q = neap.queue(1)
    for _, n in ipairs { math.maxinteger, 1000001 } do
      local ok, err = pcall(q.consume, q, n, print)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("from 1 to 1000000", 1, true), err)
    end
    assert.are.equal(0, neap.stats().pending)
  end))
end)

describe("queue:producer", function()
  it("closes the queue when the last handle is closed (P15)", run(function()
    local q, got = neap.queue(2), {}
    neap.scope(function(s)
      for i = 1, 3 do
        local p = q:producer()
        s:spawn(function()
          local _ <close> = p
          for k = 1, 3 do
            neap.sleep(i)
            p:put(i * 10 + k)
          end
        end)
      end
      for item in q:iter() do got[#got + 1] = item end
    end)
    assert.are.equal(9, #got)
    raises("closed", q.put, q, 1)
  end))

  it("puts as the queue does (P15)", run(function()
    local q = neap.queue(1)
    local p = q:producer()
    assert.is_true(p:put(1))
    assert.is_false(p:try_put(2))
    assert.are.equal(1, q:get())
    p:close()
    raises("closed", p.put, p, 3)
    raises("closed", p.try_put, p, 3)
    p:close()
  end))

  it("closes also when the task that has it fails or is cancelled (P15)", run(function()
    local q = neap.queue(1)
    local task = neap.spawn(function()
      local p <close> = q:producer()
      neap.sleep(100)
      p:put(1)
    end)
    neap.sleep(1)
    task:cancel()
    assert.are.same({ n = 2, nil, "closed" }, table.pack(q:get()))
  end))

  it("that is forgotten counts as closed (P15)", run(function()
    local q = neap.queue(1)
    q:producer()
    collectgarbage()
    collectgarbage()
    assert.are.same({ n = 2, nil, "closed" }, table.pack(q:get()))
  end))

  it("need not be used at all: plain puts go on working (P15)", run(function()
    local q = neap.queue(5)
    local p = q:producer()
    q:put(1)
    p:close()
    raises("closed", q.put, q, 2)
    assert.are.equal(1, q:get())
  end))
end)

describe("queue:consumer", function()
  it("breaks the queue when the last handle is closed (P15)", run(function()
    local q = neap.queue(1)
    local a, b = q:consumer(), q:consumer()
    local putter = neap.spawn(function()
      q:put(1)
      q:put(2)
      return raises("broken", q.put, q, 3)
    end)
    neap.checkpoint()
    assert.are.equal(1, a:get())
    a:close()
    neap.sleep(1)
    assert.are.equal("waiting", putter:status())
    b:close()
    putter:await()
    raises("broken", q.put, q, 4)
    raises("broken", q.try_put, q, 4)
    raises("broken", neap.select, { q:on_put(4) })
    assert.are.equal(0, #q)
    assert.are.same({ nil, "closed" }, { q:get() })
    q:join()
  end))

  it("gets as the queue does (P15)", run(function()
    local q = neap.queue(5)
    local c <close> = q:consumer()
    for i = 1, 4 do q:put(i) end
    assert.are.equal(1, c:get())
    assert.are.equal(2, c:try_get())
    c:done()
    c:done()
    local got = {}
    q:close()
    for item in c:iter() do
      got[#got + 1] = item
      c:done()
    end
    assert.are.same({ 3, 4 }, got)
    assert.are.same({ nil, "closed" }, { c:get { timeout = 1 } })
    q:join()
    c:close()
    raises("closed", c.get, c)
    raises("closed", c.try_get, c)
    raises("closed", c.iter, c)
    c:close()
  end))

  it("that is forgotten counts as closed (P15)", run(function()
    local q = neap.queue(1)
    q:consumer()
    q:put(1)
    collectgarbage()
    collectgarbage()
    raises("broken", q.put, q, 2)
  end))

  it("of an ended queue changes nothing for those who get (P15)", run(function()
    local q = neap.queue(1)
    local c = q:consumer()
    q:close { kind = "mine" }
    c:close()
    raises("mine", q.get, q)
  end))
end)
