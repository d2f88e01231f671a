local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

local function ignore() end

describe("shutdown", function()
  it("waits for background tasks, up to grace seconds (R3)", function()
    local got, note = journal()
    neap.run({ clock = "virtual", grace = 10 }, function()
      neap.background(function()
        neap.sleep(8)
        note "done in time"
      end)
      note "main over"
    end)
    assert.are.same({ "main over", "done in time" }, got)
  end)

  it("then cancels them with source shutdown, and waits kill_after (R3)", function()
    local got, note = journal()
    neap.run({ clock = "virtual", grace = 2, kill_after = 10 }, function()
      neap.background(function()
        local ok, err = pcall(neap.sleep, 100)
        assert(not ok)
        note(err.source)
        neap.shield(5, neap.sleep, 4)
        note "cleaned"
        error(err, 0)
      end)
    end)
    assert.are.same({ "shutdown", "cleaned" }, got)
  end)

  it("then gives them up, closes their variables, and reports each (R3)", function()
    local got, note = journal()
    local reports = {}
    neap.run({ clock = "virtual", grace = 0, kill_after = 1,
      on_error = function(info) reports[#reports + 1] = info end }, function()
      local task = neap.background(function()
        local _ <close> = setmetatable({}, { __close = function()
          note "closed"
          local ok, err = pcall(neap.sleep, 1)
          note(not ok and err.kind)
        end })
        while true do pcall(neap.sleep, 0.1) end
      end)
      task.name = "deaf"
      neap.checkpoint()
    end)
    assert.are.same({ "closed", "not_in_task" }, got)
    local survivors = 0
    for _, info in ipairs(reports) do
      if info.what == "shutdown" then
        survivors = survivors + 1
        assert.are.equal("deaf", info.task.name)
      end
    end
    assert.are.equal(1, survivors)
    assert.are.equal(0, neap.stats().tasks)
  end)

  it("with grace = 0 cancels them at once (R3)", function()
    local got, note = journal()
    neap.run({ clock = "virtual", grace = 0 }, function()
      neap.background(function()
        local _, err = pcall(neap.sleep, 100)
        note(err.source)
      end)
      neap.checkpoint()
    end)
    assert.are.same({ "shutdown" }, got)
  end)

  it("with grace = math.huge waits as long as it takes (R3)", function()
    local done
    neap.run({ clock = "virtual", grace = math.huge }, function()
      neap.background(function()
        neap.sleep(1e6)
        done = true
      end)
    end)
    assert.is_true(done)
  end)

  it("does not wait for background tasks that nothing can wake (R3)", function()
    local t = neap.now()
    local source
    neap.run({ grace = 60, kill_after = 60 }, function() -- the real clock
      neap.background(function()
        local _, err = pcall(neap.queue(1).get, neap.queue(1))
        source = err.source
      end)
      neap.checkpoint()
    end)
    assert.are.equal("shutdown", source)
    assert.is_true(neap.now() - t < 30)
  end)

  it("lets background tasks start others while there is grace (R3)", function()
    local got, note = journal()
    neap.run({ clock = "virtual" }, function()
      neap.background(function()
        neap.sleep(1)
        neap.background(function()
          neap.sleep(1)
          note "second"
        end)
      end)
    end)
    assert.are.same({ "second" }, got)
  end)

  it("happens also when main fails, and its error comes out (R3, R1)", function()
    local got, note = journal()
    local err = raises("mine", neap.run, { clock = "virtual" }, function()
      neap.background(function()
        neap.sleep(1)
        note "background done"
      end)
      neap.at_exit(function() note "handler" end)
      error { kind = "mine" }
    end)
    assert.are.equal("mine", err.kind)
    assert.are.same({ "background done", "handler" }, got)
  end)

  it("a background task that fails in it is reported (R2, R3)", function()
    local seen
    neap.run({ clock = "virtual", on_error = function(info) seen = info end }, function()
      neap.background(function()
        neap.sleep(1)
        error("late", 0)
      end)
    end)
    assert.are.equal("late", seen.error)
  end)

  it("gives up whole trees of tasks, in whatever order they were made (R3)", function()
    for round = 1, 5 do
      neap.run({ clock = "virtual", grace = 0, kill_after = 0, on_error = ignore }, function()
        for _ = 1, 20 * round do neap.spawn(ignore) end -- places to be used again
        neap.checkpoint()
        local function tree(depth)
          local _ <close> = setmetatable({}, { __close = function()
            collectgarbage()
            pcall(neap.spawn, ignore)
            pcall(neap.background, ignore)
          end })
          if depth == 0 then
            while true do pcall(neap.sleep, 1) end
          end
          neap.scope(function(s)
            for _ = 1, 3 do s:spawn(tree, depth - 1) end
            neap.timeout(1000, function()
              while true do pcall(neap.sleep, 1) end
            end)
          end)
        end
        neap.background(tree, 3)
        neap.sleep(1)
      end)
      collectgarbage()
      collectgarbage()
      local stats = neap.stats()
      assert.are.same({ 0, 0, 0 }, { stats.tasks, stats.timers, stats.pending })
    end
  end)

  it("gives up tasks that hold and wait for locks, queues, events (R3)", function()
    local lock, queue, event, em = neap.lock(), neap.queue(0), neap.event(), neap.emitter()
    local reports = {}
    neap.run({ clock = "virtual", grace = 0, kill_after = 0,
      on_error = function(info) reports[info.what] = true end }, function()
      local function stubborn(fn, ...)
        while true do pcall(fn, ...) end
      end
      neap.background(function()
        lock:acquire()
        stubborn(neap.sleep, 1)
      end)
      for _ = 1, 3 do
        neap.background(stubborn, lock.acquire, lock)
        neap.background(stubborn, queue.get, queue)
        neap.background(stubborn, event.wait, event)
        neap.background(stubborn, em.wait_for, em, "x")
        neap.background(stubborn, neap.gather, function() stubborn(neap.sleep, 1) end)
      end
      neap.sleep(1)
    end)
    assert.is_true(reports.shutdown)
    assert.is_true(reports.lock)
    assert.are.equal(0, neap.stats().tasks)
    collectgarbage()
    neap.run({ clock = "virtual" }, function()
      assert.is_false(queue:try_put(1)) -- nobody waits there any more
      event:set()
      raises("broken", lock.acquire, lock)
    end)
  end)

  it("gives up a task that waits inside a coroutine of its own (R3)", function()
    local got, note = journal()
    local inner
    neap.run({ clock = "virtual", grace = 0, kill_after = 0, on_error = ignore }, function()
      neap.background(function()
        inner = coroutine.create(function()
          local _ <close> = setmetatable({}, { __close = function() note "inner closed" end })
          while true do pcall(neap.sleep, 1) end
        end)
        local _ <close> = setmetatable({}, { __close = function() note "outer closed" end })
        coroutine.resume(inner)
      end)
      neap.sleep(1)
    end)
    assert.are.same({ "inner closed", "outer closed" }, got)
    collectgarbage()
    collectgarbage()
    assert.is_false((coroutine.resume(inner)))
    neap.run(function() assert.is_false((coroutine.resume(inner))) end)
  end)

  it("names a task that is given up, what it waits in, and where (R3)", function()
    local infos = {}
    neap.run({ clock = "virtual", grace = 0, kill_after = 0, on_error = function(info)
      infos[#infos + 1] = info
    end }, function()
      neap.background(function()
        neap.current().name = "stubborn"
        neap.shield(100, neap.sleep, 100)
      end)
      neap.sleep(1)
    end)
    assert.are.equal(1, #infos)
    assert.are.equal("shutdown", infos[1].what)
    assert.are.equal("stubborn", infos[1].name)
    assert.are.equal("the task stubborn was given up in neap.sleep", infos[1].error.message)
    assert.is_truthy(infos[1].traceback:find("shutdown_spec", 1, true))
  end)

  it("reports an error in a variable's closing when a task is given up (R3)", function()
    local texts = {}
    neap.run({ clock = "virtual", grace = 0, kill_after = 0, on_error = function(info)
      texts[#texts + 1] = tostring(info.error)
    end }, function()
      neap.background(function()
        local _ <close> = setmetatable({}, { __close = function() error("close fails", 0) end })
        while true do pcall(neap.sleep, 1) end
      end)
      neap.sleep(1)
    end)
    assert.is_truthy(table.concat(texts, "\n"):find("close fails", 1, true))
  end)
end)

describe("neap.at_exit", function()
  it("runs handlers after the background tasks, last first, each once (R4)", function()
    local got, note = journal()
    neap.run({ clock = "virtual" }, function()
      neap.at_exit(function() note "first registered" end)
      neap.at_exit(function()
        neap.sleep(1)
        note "last registered"
      end)
      neap.background(function()
        neap.sleep(2)
        note "background"
      end)
      note "main"
    end)
    assert.are.same({ "main", "background", "last registered", "first registered" }, got)
    neap.run(function() end)
    assert.are.equal(4, #got)
  end)

  it("leaves behind one that does not end, with a report (R4, R3)", function()
    local got, note = journal()
    neap.run({ clock = "virtual", kill_after = 2, on_error = function(info)
      note(("%s %s %s"):format(info.what, info.name, info.error.kind))
    end }, function()
      local start = neap.now()
      neap.at_exit(function() note("first registered " .. neap.now() - start) end)
      neap.at_exit(function()
        neap.current().name = "stubborn"
        neap.shield(1000, neap.sleep, 500)
      end)
    end)
    assert.are.same({ "first registered 4.0", "shutdown stubborn closed" }, got)
    assert.are.equal(0, neap.stats().tasks)
  end)

  it("cancels one after kill_after seconds, and gives its clean-up as much (R4)", function()
    local got, note = journal()
    neap.run({ clock = "virtual", kill_after = 2, on_error = function(info)
      note(("%s %s %s"):format(info.what, info.error.kind, info.name == info.task.name))
    end }, function()
      neap.at_exit(function()
        local _ <close> = neap.defer(function()
          neap.sleep(1)
          note "cleaned up"
        end)
        neap.event():wait()
      end)
    end)
    assert.are.same({ "cleaned up", "at_exit timeout true" }, got)
  end)

  it("outside of a run is for the next one (R4)", function()
    local got, note = journal()
    neap.at_exit(function() note "called" end)
    neap.run(function() note "main" end)
    neap.run(function() end)
    assert.are.same({ "main", "called" }, got)
  end)

  it("a failing or endless handler is reported, the others run (R4)", function()
    local got, note = journal()
    local reports = {}
    neap.run({ clock = "virtual", kill_after = 3, on_error = function(info)
      reports[#reports + 1] = info.what .. " " .. tostring(info.error)
    end }, function()
      neap.at_exit(function() note "third" end)
      neap.at_exit(function() error("fails", 0) end)
      neap.at_exit(function() neap.sleep(100) end)
      neap.at_exit(function() note "first" end)
    end)
    assert.are.same({ "first", "third" }, got)
    assert.are.equal(2, #reports)
    assert.is_truthy(reports[1]:find("^at_exit timeout"))
    assert.are.equal("at_exit fails", reports[2])
  end)

  it("registered without end is reported (R4)", function()
    local reports = {}
    neap.run({ on_error = function(info) reports[#reports + 1] = info.what end }, function()
      local function again() neap.at_exit(again) end
      neap.at_exit(again)
    end)
    assert.are.same({ "at_exit" }, reports)
    neap.run(function() end)
  end)

  it("of which there are very many are all called (R4)", function()
    local n, reports = 0, 0
    neap.run({ on_error = function() reports = reports + 1 end, clock = "virtual" }, function()
      for _ = 1, 12000 do neap.at_exit(function() n = n + 1 end) end
    end)
    assert.are.same({ 12000, 0 }, { n, reports })
  end)

  it("refuses what cannot be called (R4)", function()
    for _, bad in ipairs { 5, "x", {} } do assert.is_false((pcall(neap.at_exit, bad))) end
    assert.is_false((pcall(neap.at_exit)))
  end)
end)

describe("a deadlock", function()
  it("cancels main, lets it clean up, and is raised with the dump (R6)", function()
    local got, note = journal()
    local err = raises("deadlock", neap.run, { clock = "virtual" }, function()
      local task = neap.spawn(function()
        local q = neap.queue(1)
        q:get()
      end)
      task.name = "the starving one"
      local _ <close> = neap.defer(function()
        neap.sleep(1)
        note "cleaned"
      end)
      neap.event():wait()
      note "not reached"
    end)
    assert.are.same({ "cleaned" }, got)
    local text = tostring(err)
    assert.is_truthy(text:find("the starving one", 1, true), text)
    assert.is_truthy(text:find("queue:get", 1, true), text)
    assert.is_truthy(text:find("event:wait", 1, true), text)
  end)

  it("is found on the real clock at once (R6)", function()
    local t = neap.now()
    raises("deadlock", neap.run, function() neap.future():await() end)
    assert.is_true(neap.now() - t < 30)
  end)

  it("of two locks is found (R6)", function()
    raises("deadlock", neap.run, { clock = "virtual" }, function()
      local a, b = neap.lock(), neap.lock()
      local function both(first, second)
        local _ <close> = first:acquire()
        neap.sleep(1)
        local _ <close> = second:acquire()
      end
      neap.gather(function() both(a, b) end, function() both(b, a) end)
    end)
  end)

  it("is not there while a deadline can wake somebody (R6)", function()
    assert.is_false(neap.run({ clock = "virtual" }, function()
      return neap.move_on_after(1e6, function() neap.event():wait() end)
    end))
  end)

  it("that main swallows is raised all the same (R6)", function()
    raises("deadlock", neap.run, { clock = "virtual" }, function()
      pcall(neap.queue(1).get, neap.queue(1))
      return "value"
    end)
  end)

  it("over which main waits again ends the run (R6)", function()
    raises("deadlock", neap.run, { clock = "virtual", on_error = ignore }, function()
      while true do
        neap.shield(math.huge, function() neap.event():wait() end)
      end
    end)
    assert.are.equal(0, neap.stats().tasks)
    assert.are.equal(5, neap.run(function() return 5 end))
  end)

  it("of sleeping for ever is one, on the virtual clock (V2)", function()
    raises("deadlock", neap.run, { clock = "virtual" }, function() neap.sleep(math.huge) end)
    raises("deadlock", neap.run, { clock = "virtual" }, function()
      neap.spawn(neap.sleep, math.huge)
      neap.sleep(1)
    end)
  end)

  it("does not come from background tasks that wait for work (R6, R3)", function()
    assert.are.equal("fine", neap.run({ clock = "virtual" }, function()
      local q = neap.queue(1)
      neap.background(function()
        for _ in q:iter() do error "no work here" end
      end)
      neap.sleep(5)
      return "fine"
    end))
  end)
end)
