local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

describe("a rwlock", function()
  it("lets many read at once (P12)", run(function()
    local rw, t, most, now = neap.rwlock(), neap.now(), 0, 0
    neap.scope(function(s)
      for _ = 1, 5 do
        s:spawn(function()
          local _ <close> = rw:read()
          now = now + 1
          most = math.max(most, now)
          neap.sleep(1)
          now = now - 1
        end)
      end
    end)
    assert.are.equal(5, most)
    assert.is_true(math.abs(neap.now() - t - 1) < 1e-6)
  end))

  it("lets one write, alone (P12)", run(function()
    local rw, t = neap.rwlock(), neap.now()
    local writing, reading = 0, 0
    neap.scope(function(s)
      for i = 1, 6 do
        s:spawn(function()
          if i % 2 == 0 then
            local _ <close> = rw:write()
            assert.are.equal(0, writing + reading)
            writing = writing + 1
            neap.sleep(1)
            writing = writing - 1
          else
            local _ <close> = rw:read()
            assert.are.equal(0, writing)
            reading = reading + 1
            neap.sleep(1)
            reading = reading - 1
          end
        end)
      end
    end)
    assert.is_true(neap.now() - t >= 4)
  end))

  it("serves in order: readers do not overtake a writer that waits (P12, W4)", run({ order = true }, function()
    local rw = neap.rwlock()
    local got, note = journal()
    local function user(name, how, seconds)
      neap.spawn(function()
        local _ <close> = rw[how](rw)
        note(name)
        neap.sleep(seconds)
      end)
      neap.checkpoint()
    end
    user("r1", "read", 1)
    user("w1", "write", 1)
    user("r2", "read", 1)
    user("r3", "read", 2)
    user("w2", "write", 1)
    user("r4", "read", 1)
    assert.are.same({ "r1" }, got)
    neap.sleep(1.5)
    assert.are.same({ "r1", "w1" }, got)
    neap.sleep(1)
    assert.are.same({ "r1", "w1", "r2", "r3" }, got)
    neap.sleep(1)
    assert.are.same({ "r1", "w1", "r2", "r3" }, got) -- r3 reads still
    neap.sleep(1)
    assert.are.same({ "r1", "w1", "r2", "r3", "w2" }, got)
    neap.sleep(1)
    assert.are.equal("r4", got[6])
  end))

  it("lets in who stands behind a writer that is cancelled (P12, W5)", run(function()
    local rw = neap.rwlock()
    local guard = rw:read()
    local writer = neap.spawn(function() local _ <close> = rw:write() end)
    neap.checkpoint()
    local read = 0
    for _ = 1, 3 do
      neap.spawn(function()
        local _ <close> = rw:read()
        read = read + 1
      end)
    end
    neap.checkpoint()
    assert.are.equal(0, read)
    writer:cancel()
    neap.sleep(1)
    assert.are.equal(3, read)
    guard:release()
    do local _ <close> = rw:write() end
  end))

  it("cancelled before it was granted has nothing, after it has it (W1, W2)", run(function()
    local rw = neap.rwlock()
    local guard = rw:write()
    local a = neap.spawn(function() rw:write() end)
    local got = false
    local b = neap.spawn(function()
      local _ <close> = rw:write()
      got = true
      neap.checkpoint()
    end)
    neap.checkpoint()
    a:cancel()
    guard:release() -- to b: a is out of the line although it has not run yet
    b:cancel()
    a:join()
    b:join()
    assert.is_true(got)
    assert.are.equal("cancelled", b:status())
    do local _ <close> = rw:write() end
  end))

  it("gives guards that let go once (P12)", run(function()
    local rw = neap.rwlock()
    local a, b = rw:read(), neap.spawn(function() return rw:read() end):await()
    a:release()
    a:release()
    a.release()
    local task = neap.spawn(function() local _ <close> = rw:write() end)
    neap.sleep(1)
    assert.are.equal("waiting", task:status()) -- b still reads
    b:release() -- whoever has the guard may let go
    task:await()
    do
      local _ <close> = a
      local _ <close> = b
    end
    do local _ <close> = rw:write() end
  end))

  it("raises deadlock to one that would wait for himself (P12)", run(function()
    local rw = neap.rwlock()
    do
      local _ <close> = rw:write()
      raises("deadlock", rw.write, rw)
      raises("deadlock", rw.read, rw)
    end
    do
      local _ <close> = rw:read()
      raises("deadlock", rw.write, rw)
      do local _ <close> = rw:read() end -- nobody waits: it may
      local writer = neap.spawn(function() local _ <close> = rw:write() end)
      neap.checkpoint()
      raises("deadlock", rw.read, rw) -- the writer waits for us
      assert.are.equal("waiting", writer:status())
    end
    neap.checkpoint()
    do local _ <close> = rw:write() end
  end))

  it("is a checkpoint whether it waits or not (W3)", run(function()
    local rw = neap.rwlock()
    for _, how in ipairs { "read", "write" } do
      local task = neap.spawn(function()
        neap.current():cancel()
        rw[how](rw)
      end)
      task:join()
      assert.are.equal("cancelled", task:status())
    end
    do local _ <close> = rw:write() end
  end))

  it("is named when a limit interrupts it (D1)", run(function()
    local rw = neap.rwlock()
    local guard = neap.spawn(function() return rw:write() end):await()
    for _, how in ipairs { "read", "write" } do
      local err = raises("timeout", neap.timeout, 1, rw[how], rw)
      assert.is_truthy(err.message:find("rwlock:" .. how, 1, true))
    end
    guard:release()
  end))
end)
