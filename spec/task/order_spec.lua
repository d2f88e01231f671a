local neap = require "neap"
local run = require "spec.support.run"
local journal = run.journal

local function letters(list) return table.concat(list) end

describe("the ready queue", function()
  it("is first in, first out (O1)", run({ order = true }, function()
    local got, note = journal()
    for i = 1, 3 do
      neap.spawn(function()
        for _ = 1, 3 do
          note(i)
          neap.checkpoint()
        end
      end)
    end
    neap.sleep(1)
    assert.are.same({ 1, 2, 3, 1, 2, 3, 1, 2, 3 }, got)
  end))

  it("a task made ready runs after those that stand there (O1)", run({ order = true }, function()
    local got, note = journal()
    local e = neap.event()
    neap.spawn(function()
      e:wait()
      note "woken"
    end)
    neap.checkpoint()
    neap.spawn(note, "a")
    e:set()
    neap.spawn(note, "b")
    neap.checkpoint()
    assert.are.same({ "a", "woken", "b" }, got)
  end))

  it("two that wake each other do not keep a third out (O1)", run({ order = true }, function()
    local ping, pong, stop = neap.event(), neap.event(), false
    neap.scope(function(s)
      local function player(mine, other)
        while not stop do
          mine:wait()
          mine:clear()
          other:set()
        end
      end
      s:spawn(player, ping, pong)
      s:spawn(player, pong, ping)
      ping:set()
      for _ = 1, 100 do neap.checkpoint() end
      stop = true
      ping:set()
      pong:set()
    end)
  end))
end)

describe("deadlines", function()
  it("fire in their order (O2)", run({ order = true }, function()
    local got, note = journal()
    for _, s in ipairs { 5, 1, 4, 2, 3 } do
      neap.spawn(function()
        neap.sleep(s)
        note(s)
      end)
    end
    neap.sleep(10)
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
  end))

  it("that are equal fire in the order in which they were set (O2)", run({ order = true }, function()
    local got, note = journal()
    local at = neap.now() + 5
    for i = 1, 20 do
      neap.spawn(function()
        neap.move_on_after(at - neap.now(), neap.sleep, 100)
        note(i)
      end)
    end
    neap.sleep(10)
    for i = 1, 20 do assert.are.equal(i, got[i]) end
  end))

  it("a hundred thousand of them fire in their order (O2)", run({ order = true }, function()
    local last, n = 0, 0
    neap.scope(function(s)
      for i = 1, 100000 do
        local time = (i * 7919) % 10007
        s:spawn(function()
          neap.sleep(time)
          assert(time >= last)
          last, n = time, n + 1
        end)
      end
    end)
    assert.are.equal(100000, n)
  end))
end)

describe("sleep(0) and checkpoint", function()
  it("let all others run once (O3)", run({ order = true }, function()
    for _, let in ipairs { neap.checkpoint, function() neap.sleep(0) end } do
      local n = 0
      for _ = 1, 1000 do neap.spawn(function() n = n + 1 end) end
      let()
      assert.are.equal(1000, n)
    end
  end))
end)

describe("an operation that need not wait", function()
  local function others_run(operation)
    local stop, rounds = false, 0
    neap.scope(function(s)
      s:spawn(function()
        for _ = 1, 5 do neap.checkpoint() end
        stop = true
      end)
      while not stop do
        operation()
        rounds = rounds + 1
        assert(rounds < 100000, "the others never ran")
      end
    end)
    return rounds
  end

  it("counts as a switch: nobody is kept out (O4)", run(function()
    local q, lock, sem, event, future, em = neap.queue(10), neap.lock(), neap.semaphore(1),
      neap.event(), neap.future(), neap.emitter()
    event:set()
    future:set(1)
    local task = neap.spawn(function() end)
    task:await()
    local closed = neap.queue(1)
    closed:close()
    em:on("x", function() end)
    for name, operation in pairs {
      put_get = function()
        q:put(1)
        q:get()
      end,
      lock = function() lock:acquire():release() end,
      semaphore = function() sem:acquire():release() end,
      event = function() event:wait() end,
      future = function() future:await() end,
      task = function() task:await() end,
      join = function() task:join() end,
      closed = function() closed:get() end,
      get_now = function() q:get { timeout = 0 } end,
      queue_join = function() closed:join() end,
      emit = function() em:emit "x" end,
      emit_nothing = function() em:emit "nothing" end,
    } do
      assert.is_true(others_run(operation) > 0, name)
    end
  end))

  it("lets real time pass for deadlines too (O4)", run({ clock = "real" }, function()
    local q = neap.queue(1)
    assert.is_false(neap.move_on_after(0.01, function()
      while true do
        q:put(1)
        q:get()
      end
    end))
  end))
end)

describe("shuffle", function()
  local function order(seed)
    local got, note = journal()
    neap.run({ clock = "virtual", shuffle = seed }, function()
      for i = 1, 30 do neap.spawn(note, string.char(64 + i)) end
      neap.sleep(1)
      for i = 1, 30 do
        neap.spawn(function()
          neap.sleep(1)
          note(string.char(64 + i))
        end)
      end
      neap.sleep(3)
    end)
    return letters(got)
  end

  it("disturbs the order, alike for the same seed (O5)", function()
    local plain = order(nil)
    assert.are.equal(plain, order(nil))
    local seen, different = {}, 0
    for seed = 1, 10 do
      local got = order(seed)
      assert.are.equal(got, order(seed))
      assert.are.equal(60, #got)
      if not seen[got] then different = different + 1 end
      seen[got] = true
      assert.are_not.equal(plain, got)
    end
    assert.are.equal(10, different)
    assert.are.equal(plain, order(0))
  end)

  it("starves nobody, and loses nobody (O5)", function()
    for seed = 1, 20 do
      local n = 0
      neap.run({ clock = "virtual", shuffle = seed }, function()
        for _ = 1, 100 do
          neap.spawn(function()
            for _ = 1, 5 do neap.checkpoint() end
            n = n + 1
          end)
        end
      end)
      assert.are.equal(100, n)
    end
  end)
end)

describe("the virtual clock", function()
  it("stands still while a task can run (V1)", run(function()
    local t = neap.now()
    for _ = 1, 1000 do neap.checkpoint() end
    assert.are.equal(t, neap.now())
  end))

  it("jumps to the next deadline when all wait, and not beyond (V1)", run(function()
    local t = neap.now()
    local seen = {}
    neap.scope(function(s)
      for _, d in ipairs { 100, 10, 1000 } do
        s:spawn(function()
          neap.sleep(d)
          seen[#seen + 1] = math.floor(neap.now() - t + 0.5)
        end)
      end
    end)
    assert.are.same({ 10, 100, 1000 }, seen)
  end))

  it("costs no real time (V1)", function()
    local t = neap.now()
    neap.run({ clock = "virtual" }, function() neap.sleep(86400 * 365) end)
    assert.is_true(neap.now() - t < 60)
  end)

  it("begins at a whole second: sums of whole seconds are exact (V1)", function()
    neap.run({ clock = "virtual" }, function()
      local began = neap.now()
      assert.are.equal(0, began % 1)
      for i = 1, 1000 do
        neap.sleep(3600 + i)
        assert.are.equal(0, neap.now() % 1)
      end
      assert.are.equal(1000 * 3600 + 1000 * 1001 / 2, neap.now() - began)
    end)
  end)

  it("starts at the real time, in every run anew (V1)", function()
    local real = neap.now()
    local virtual = neap.run({ clock = "virtual" }, function()
      neap.sleep(1e6)
      return neap.now()
    end)
    assert.is_true(virtual >= real + 1e6)
    assert.is_true(neap.now() < real + 1000)
    assert.is_true(neap.run({ clock = "virtual" }, neap.now) < real + 1000)
  end)
end)
