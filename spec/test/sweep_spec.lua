local neap = require "neap"
local test = require "neap.test"
local fixture = require "spec.test.fixture"

local it = test.it { clock = "virtual" }

--- Sweeping fn raises; returns the message.
local function refused(fn, opts)
  local ok, err = pcall(test.cancel_sweep, fn, opts)
  assert.is_false(ok)
  return tostring(err)
end

describe("a cancel sweep", function()
  local hits

  local function note(i, ...)
    local ok, err = pcall(...)
    if ok then return end
    assert(neap.is_cancelled(err))
    hits[#hits + 1] = i
    error(err, 0)
  end

  before_each(function() hits = {} end)

  it("cancels at each wait, once, and counts them", function()
    local runs, ended = 0, 0
    assert.equal(3, test.cancel_sweep(function()
      runs = runs + 1
      for i = 1, 3 do note(i, neap.sleep, 1) end
      ended = ended + 1
    end))
    assert.same({ 1, 2, 3 }, hits)
    assert.same({ 4, 1 }, { runs, ended })
  end)

  it("of a function that does not wait is one run", function()
    local runs = 0
    assert.equal(0, test.cancel_sweep(function() runs = runs + 1 end))
    assert.equal(1, runs)
  end)

  it("cancels at checkpoints that need not wait, too", function()
    local event, lock = neap.event(), neap.lock()
    event:set()
    assert.equal(3, test.cancel_sweep(function()
      note(1, event.wait, event)
      note(2, neap.checkpoint)
      note(3, lock.with, lock, function() end)
    end))
    assert.same({ 1, 2, 3 }, hits)
  end)

  it("cancels before, in and after each wait if it shall", function()
    assert.equal(2, test.cancel_sweep(function()
      note(1, neap.sleep, 1)
      note(2, neap.sleep, 1)
    end, { when = "all" }))
    assert.same({ 1, 1, 2, 2, 2 }, hits) -- granted at 2: it is over
  end)

  it("cancels at the waits of children", function()
    local places = {}
    test.cancel_sweep(function()
      neap.gather(
        function() note("a1", neap.sleep, 1) note("a2", neap.sleep, 2) end,
        function() note("b1", neap.sleep, 2) note("b2", neap.sleep, 2) end)
    end, { after = function(_, when, place) places[when .. " " .. tostring(place):gsub("%d+", "N")] = true end })
    local seen = {}
    for _, name in ipairs(hits) do seen[name] = true end
    assert.same({ a1 = true, a2 = true, b1 = true, b2 = true }, seen)
    assert.is_true(places["waiting neap.sleep at spec/test/sweep_spec.lua:N"])
  end)

  it("says why it cancels", function()
    local reason
    test.cancel_sweep(function()
      local ok, err = pcall(neap.sleep, 1)
      if not ok then reason = err.reason error(err, 0) end
    end)
    assert.equal("test.cancel_sweep", reason)
  end)

  it("accepts a function that cleans up, or that cannot be cancelled", function()
    local closed = 0
    assert.equal(2, test.cancel_sweep(function()
      local _ <close> = neap.defer(function() neap.sleep(1) closed = closed + 1 end)
      neap.sleep(1)
    end))
    assert.equal(3, closed)
    assert.equal(1, test.cancel_sweep(function() neap.shield(10, neap.sleep, 1) end))
  end)

  it { leaks = false } ("tells at which wait something is left", function()
    local said = refused(function()
      neap.sleep(1)
      neap.background(function() neap.event():wait() end)
      neap.sleep(1)
      error "never there"
    end, { grace = 0.1 })
    assert.matches("cancel_sweep: cancelled in wait 2 %(neap.sleep at spec/test/sweep_spec.lua:%d+%): " ..
      "it left behind 1 task", said)
  end)

  it("tells of a lock that is not given back", function()
    local lock = neap.lock()
    local said = refused(function()
      lock:acquire()
      neap.sleep(1)
      lock:release()
    end)
    assert.matches("cancelled in wait 2 .-reported as 'lock'", said)
  end)

  it("tells of a permit that is not given back, by a check after each round", function()
    local semaphore = neap.semaphore(1)
    local said = refused(function()
      semaphore:acquire()
      neap.sleep(1)
      semaphore:release()
    end, { after = function() assert.equal(1, semaphore:value()) end })
    assert.matches("Expected objects to be equal", said)
    semaphore:release()
  end)

  it("tells of an error that is no cancellation", function()
    local said = refused(function()
      neap.sleep(1)
      local ok = pcall(neap.sleep, 1)
      if not ok then error "broken" end
    end)
    assert.matches("cancelled in wait 2 %(neap.sleep at .-%): it raised: spec/test/sweep_spec.lua:%d+: broken", said)
    assert.matches("stack traceback", said)
  end)

  it("tells of one that comes by itself, as it is", function()
    local mine = {}
    local ok, err = pcall(test.cancel_sweep, function()
      neap.sleep(1)
      error(mine)
    end)
    assert.is_false(ok)
    assert.equal(mine, err)
  end)

  it("lets grow what grows once", function()
    local pool, made = {}, 0
    test.cancel_sweep(function()
      if not pool[1] then
        pool[1] = neap.background(function() neap.event():wait() end)
        made = made + 1
      end
      neap.sleep(1)
    end)
    assert.equal(1, made)
    pool[1]:cancel()
  end)

  it("lets background tasks come to their end", function()
    assert.equal(1, test.cancel_sweep(function()
      neap.background(neap.sleep, 0.5)
      neap.sleep(1)
    end))
  end)

  it("finds listeners that are left", function()
    local em = neap.emitter()
    local said = refused(function()
      local handle = em:on("x", print)
      neap.sleep(1)
      handle:off()
    end)
    assert.matches("it left behind 1 listener", said)
    em:off_all()
  end)

  it("that hangs says in which round", function()
    local out = fixture.run [[
      it { timeout = 0.2 } ("sweeps", function()
        test.cancel_sweep(function()
          neap.sleep(1)
          pcall(neap.sleep, 1)
          if neap.cancelled() then neap.shield(1e9, function()
            while true do neap.sleep(1) end
          end) end
        end)
      end)
    ]]
    assert.equal(1, out.errors, out.text)
    assert.matches("in cancel_sweep, round 2 %(waiting%)", out.text)
  end)

  it("has an end", function()
    assert.matches("more than 5 waits", refused(function()
      for _ = 1, 10 do neap.checkpoint() end
    end, { max = 5 }))
  end)

  it("knows its options and its argument", function()
    assert.matches("unknown option 'whem'; did you mean 'when'", refused(print, { whem = "all" }))
    assert.has_error(function() test.cancel_sweep(7) end)
  end)

  it("can itself be cancelled", function()
    assert.is_false((neap.move_on_after(10, test.cancel_sweep, function()
      neap.shield(100, neap.sleep, 3)
      for _ = 1, 10 do neap.sleep(3) end
    end)))
    test.assert_no_checkpoints(function() end)
  end)

  -- The primitives, each with somebody on the other side.
  local function with_other(other, fn)
    return function()
      neap.scope({ on_exit = "cancel" }, function(s)
        s:spawn(other)
        fn()
      end)
    end
  end

  it("finds nothing in a lock", function()
    local lock = neap.lock()
    test.cancel_sweep(with_other(function()
      for _ = 1, 3 do lock:with(neap.sleep, 1) end
    end, function()
      for _ = 1, 3 do lock:with(neap.sleep, 1) end
    end), { when = "all", after = function() assert.is_false(lock:locked()) end })
  end)

  it("finds nothing in a semaphore", function()
    local semaphore = neap.semaphore(2)
    test.cancel_sweep(function()
      neap.gather(
        function() semaphore:with(neap.sleep, 1) end,
        function() semaphore:with(neap.sleep, 2) end,
        function() semaphore:with(neap.sleep, 3) end)
    end, { when = "all", after = function() assert.equal(2, semaphore:value()) end })
  end)

  it("finds nothing in a queue", function()
    local put, got = 0, 0
    local queue = neap.queue(1)
    test.cancel_sweep(with_other(function()
      while true do
        queue:put(1)
        put = put + 1
      end
    end, function()
      for _ = 1, 4 do
        queue:get()
        got = got + 1
      end
    end), {
      when = "all",
      after = function()
        while queue:try_get() do got = got + 1 end
        assert.equal(put, got)
      end,
    })
  end)
end)
