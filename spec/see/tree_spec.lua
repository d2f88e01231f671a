local neap = require "neap"
local run = require "spec.support.run"

local raises = run.raises

--- Spawn a task with a name.
local function named(name, fn, ...)
  local task = neap.spawn(fn, ...)
  task.name = name
  return task
end

--- The dump as a table, with entries also under the names of their tasks.
local function snapshot(opts)
  local all = { format = "table" }
  for key, value in pairs(opts or {}) do all[key] = value end
  local dump = neap.dump(all)
  for _, entry in ipairs(dump.entries) do
    if entry.name then dump[entry.name] = entry end
  end
  return dump
end

--- The line of the task with this name.
local function line(text, name)
  local found = ("\n" .. text):match("\n%s*(" .. name .. " #%d+ [^\n]*)")
  return found or error("no line of " .. name .. " in:\n" .. text, 2)
end

local function circles(dump)
  local all = {}
  for i, circle in ipairs(dump.deadlocks) do
    local names = {}
    for j, task in ipairs(circle) do names[j] = task.name end
    all[i] = table.concat(names, " ")
  end
  table.sort(all)
  return all
end

describe("a dump: what a task waits for", function()
  it("is the operation and the object, with a number that stays (R10)", run(function()
    local q, other, event = neap.queue(1), neap.queue(1), neap.event()
    other:put "full"
    named("getter", q.get, q)
    named("second getter", q.get, q)
    named("putter", other.put, other, "more")
    named("waiter", event.wait, event)
    neap.sleep(1)
    local dump, text = snapshot(), neap.dump()
    assert.are.equal("queue:get", dump.getter.op)
    assert.are.equal(q, dump.getter.object)
    assert.are.equal(q, dump["second getter"].object)
    assert.are.equal("queue:put", dump.putter.op)
    assert.are.equal(other, dump.putter.object)
    assert.are.equal(event, dump.waiter.object)
    assert.is_truthy(dump.getter.object_name:find "^queue #%d+$")
    assert.are.equal(dump.getter.object_name, dump["second getter"].object_name)
    assert.are_not.equal(dump.getter.object_name, dump.putter.object_name)
    assert.are.equal(dump.getter.object_name, q:stats().id)
    assert.are.equal(dump.getter.object_name, snapshot().getter.object_name)
    assert.is_truthy(line(text, "getter"):find(
      "waiting in queue:get (" .. q:stats().id .. ") for 1.000 s", 1, true))
    q:put(1)
    q:put(2)
    other:get()
    event:set()
  end))

  it("has its time: waited, lived, left of its own limit, until the deadline (R10)", run(function()
    local q = neap.queue(1)
    neap.move_on_after(10, function()
      named("getter", function()
        neap.sleep(1)
        q:get { timeout = 5 }
      end)
      neap.sleep(3)
      local entry = snapshot().getter
      assert.near(2, entry.since, 0.01)
      assert.near(3, entry.age, 0.01)
      assert.near(3, entry.left, 0.01)
      assert.near(7, entry.deadline, 0.01)
      assert.is_truthy(line(neap.dump(), "getter"):find("3.000 s old, deadline in 7.000 s", 1, true))
    end)
  end))

  it("is the task that it awaits (R10)", run(function()
    local slow = named("slow", neap.sleep, 5)
    local awaiting = named("awaiting", slow.await, slow)
    neap.sleep(1)
    local dump = snapshot()
    assert.are.same({ slow }, dump.awaiting.waits_for)
    assert.are.equal(slow, dump.awaiting.object)
    assert.are.equal(awaiting, dump.awaiting.task)
    assert.is_truthy(line(neap.dump(), "awaiting"):find(
      "in task:await for 1.000 s, for slow #" .. dump.slow.id, 1, true))
  end))

  it("is the lock, and its owner holds it (R10)", run(function()
    local lock = neap.lock()
    local owner = named("owner", function() lock:with(neap.sleep, 5) end)
    named("wants it", function() lock:acquire():release() end)
    named("wants it with a function", lock.with, lock, print)
    neap.sleep(1)
    local dump = snapshot()
    assert.are.same({ owner }, dump["wants it"].waits_for)
    assert.are.same({ owner }, dump["wants it with a function"].waits_for)
    assert.is_truthy(line(neap.dump(), "wants it"):find(
      ("(%s) for 1.000 s, held by owner #%d"):format(lock:stats().id, dump.owner.id), 1, true))
  end))

  it("is the read-write lock, and readers or a writer hold it (R10)", run(function()
    local lock, readers = neap.rwlock(), {}
    for i = 1, 2 do
      readers[i] = named("reader " .. i, function()
        local _ <close> = lock:read()
        neap.sleep(5)
      end)
    end
    local writer = named("writer", function()
      local _ <close> = lock:write()
      neap.sleep(5)
    end)
    neap.sleep(1)
    local dump = snapshot()
    assert.are.equal(lock, dump.writer.object)
    assert.are.equal(lock:stats().id, dump.writer.object_name)
    assert.are.equal(2, #dump.writer.waits_for)
    assert.are_not.equal(dump.writer.waits_for[1], dump.writer.waits_for[2])
    for _, task in ipairs(dump.writer.waits_for) do
      assert.is_true(task == readers[1] or task == readers[2])
    end
    neap.sleep(5)
    named("late", function() lock:read():release() end)
    neap.sleep(1)
    assert.are.same({ writer }, snapshot().late.waits_for)
  end))

  it("is the object in Lua of a condition, a barrier, a broadcast (R10)", run(function()
    local condition, barrier, broadcast = neap.condition(), neap.barrier(2), neap.broadcast(1)
    local sub = broadcast:subscribe()
    broadcast:put(1)
    named("at the condition", condition.wait, condition)
    named("at the barrier", barrier.wait, barrier)
    named("at the broadcast", broadcast.put, broadcast, 2)
    neap.sleep(1)
    local dump = snapshot()
    for name, object in pairs { condition = condition, barrier = barrier, broadcast = broadcast } do
      local entry = dump["at the " .. name]
      assert.are.equal(object, entry.object)
      assert.are.equal(object:stats().id, entry.object_name)
      assert.is_truthy(entry.object_name:find("^" .. name .. " #%d+$"))
    end
    condition:notify()
    barrier:wait()
    sub:get()
  end))

  it("is each place of a select (R10)", run(function()
    local q, event = neap.queue(1), neap.event()
    named("chooser", neap.select, { q:on_get(), event:on_wait(), neap.after(9) })
    neap.sleep(1)
    local entry = snapshot().chooser
    assert.are.equal("neap.select", entry.op)
    assert.near(8, entry.left, 0.01)
    assert.are.same({ "queue:on_get", "event:on_wait", "neap.after" },
      { entry.places[1].op, entry.places[2].op, entry.places[3].op })
    assert.are.equal(q, entry.places[1].object)
    assert.are.equal(event:stats().id, entry.places[2].object_name)
    assert.is_nil(entry.places[3].object)
    assert.is_truthy(line(neap.dump(), "chooser"):find(
      ("(queue:on_get of %s, event:on_wait of %s, neap.after)"):format(
        q:stats().id, event:stats().id), 1, true))
    event:set()
  end))

  it("is how many children are left of a scope (R10)", run(function()
    named("joining", neap.scope, function(s)
      s:spawn(neap.sleep, 5)
      s:spawn(neap.sleep, 6)
    end)
    neap.sleep(1)
    assert.are.equal(2, snapshot().joining.children)
    assert.is_truthy(line(neap.dump(), "joining"):find("waiting for child tasks, 2 of them", 1, true))
  end))
end)

describe("a dump: the tree", function()
  it("has scopes with kind, name, limit and size, children below (R10)", run(function()
    neap.current().name = "main"
    neap.scope({ name = "outer", max = 5 }, function(s)
      s:spawn(neap.sleep, 9).name = "child of outer"
      neap.timeout(60, neap.shield, 70, function()
        neap.spawn(neap.sleep, 9).name = "child of shield"
        neap.supervisor({ name = "boss" }, function(boss)
          boss:spawn(neap.sleep, 9).name = "child of boss"
          neap.move_on_after(80, function()
            named("child", function() neap.spawn(neap.sleep, 9).name = "grandchild" end)
            neap.sleep(1)
            local list, main = {}, nil
            for _, entry in ipairs(snapshot().entries) do
              if entry.name == "main" then main = entry.depth end
              if main then
                list[#list + 1] = ("%d %s %s"):format(entry.depth - main, entry.kind, entry.name)
              end
            end
            assert.are.same({
              "0 task main",
              "1 scope outer", "2 task child of outer", "2 timeout nil", "3 shield nil",
              "4 task child of shield", "4 supervisor boss", "5 task child of boss",
              "5 move_on_after nil", "6 task child", "7 task grandchild",
            }, list)
            local text = neap.dump()
            assert.is_truthy(text:find('\n%s*scope "outer", 1 task of at most 5\n'))
            assert.is_truthy(text:find("\n%s*timeout, 0 tasks, deadline in 59.000 s\n"))
            assert.is_truthy(text:find('\n%s*supervisor "boss", 1 task\n'))
          end)
        end)
      end)
    end)
  end))

  it("names a supervisor that restarts, too (R10, U1)", run(function()
    neap.supervisor({ name = "again and again", restart = "on_failure" }, function(s)
      s:spawn(neap.sleep, 9)
      neap.sleep(1)
      assert.are.equal("supervisor", snapshot()["again and again"].kind)
    end)
  end))

  it("has what runs in the background apart, and not run's own task (R10)", run(function()
    local task = neap.background(neap.sleep, 9)
    task.name = "apart"
    neap.sleep(1)
    local dump = snapshot()
    assert.are.equal(1, dump.apart.depth)
    assert.is_nil(dump["neap.run"])
    local last = dump.entries[#dump.entries]
    assert.are.equal(dump.apart, last)
    assert.are.equal("background", dump.entries[#dump.entries - 1].kind)
    assert.is_nil(dump.apart.deadline)
    task:cancel()
  end))

  it("says why a task is cancelled (R10)", run(function()
    local task = named("dying", function()
      local _ <close> = neap.defer(function() neap.sleep(3) end)
      neap.sleep(100)
    end)
    neap.checkpoint()
    task:cancel()
    neap.sleep(1)
    neap.move_on_after(0, function()
      assert.are.equal("deadline", snapshot()[neap.current().name].cancelled)
    end)
    assert.is_nil(snapshot().dying.cancelled) -- its clean-up is shielded
    local shield
    for _, entry in ipairs(snapshot().entries) do shield = entry.kind == "shield" and entry or shield end
    assert.is_nil(shield.cancelled)
    assert.near(4, shield.deadline, 0.01)
  end))

  it("has a number for each task that no other ever has (R10)", run(function()
    local seen = {}
    for _ = 1, 50 do
      local task = named("short", neap.sleep, 1)
      neap.checkpoint()
      local id = snapshot().short.id
      assert.is_nil(seen[id])
      seen[id] = true
      task:join()
    end
  end))

  it("shows names as one line each, whatever is in them (R10)", run(function()
    named("two\nlines\0" .. ("x"):rep(1000), neap.sleep, 1)
    neap.checkpoint()
    local text = neap.dump()
    assert.is_truthy(text:find("two?lines?xxx", 1, true))
    for part in text:gmatch "[^\n]+" do assert.is_true(#part < 600, part) end
  end))

  it("is also a table with a site for each task, named or not (R10)", run(function()
    local site = ("%s:%d"):format(debug.getinfo(1, "S").short_src, debug.getinfo(1, "l").currentline + 1)
    local task = neap.spawn(function() neap.sleep(1) end)
    neap.checkpoint()
    assert.are.equal(site, snapshot()[site].site)
    task.name = "renamed"
    assert.are.equal(site, snapshot().renamed.site)
    assert.is_truthy(line(neap.dump(), "renamed"):find("of " .. site, 1, true))
  end))

  it("refuses options that are none (R10)", function()
    assert.is_truthy(raises("invalid", neap.dump, { formt = "text" }).message:find(
      "neap.dump: unknown option 'formt'; did you mean 'format'?", 1, true))
    raises("invalid", neap.dump, { format = "json" })
    raises("invalid", neap.dump, { limit = 0 })
    raises("invalid", neap.dump, { traceback = 1 })
    raises("invalid", neap.dump, "text")
  end)
end)

describe("a dump: tasks that wait for each other", function()
  it("by two locks are named (R10)", run(function()
    local a, b = neap.lock(), neap.lock()
    local function both(first, second)
      local _ <close> = first:acquire()
      neap.checkpoint()
      second:with(print)
    end
    neap.scope(function(s)
      s:spawn(both, a, b).name = "left"
      s:spawn(both, b, a).name = "right"
      named("not of them", neap.sleep, 5)
      neap.sleep(1)
      assert.are.same({ "left right" }, circles(snapshot()))
      local text = neap.dump { traceback = false }
      assert.is_truthy(text:find "\ndeadlock: left #%d+, which waits for right #%d+, which waits for left #%d+\n$")
      s:cancel()
    end)
    assert.are.same({}, circles(snapshot()))
  end))

  it("by an await and a lock are named (R10)", run(function()
    local lock, wanting = neap.lock(), nil
    neap.scope(function(s)
      s:spawn(function()
        neap.current().name = "owner"
        local _ <close> = lock:acquire()
        neap.checkpoint()
        wanting:await()
      end)
      wanting = named("wanting", lock.acquire, lock)
      for _ = 1, 3 do named("behind", wanting.join, wanting) end
      neap.sleep(1)
      assert.are.same({ "owner wanting" }, circles(snapshot()))
      s:cancel()
    end)
  end))

  it("by a lock that a child wants of the one that waits for it are named (R10)", run(function()
    local lock = neap.lock()
    local parent = named("parent", function()
      local _ <close> = lock:acquire()
      neap.scope(function(s)
        s:spawn(neap.scope, function(inner)
          inner:spawn(lock.with, lock, print).name = "grandchild"
        end).name = "child"
      end)
    end)
    local second = neap.lock()
    local other = named("stranger", function()
      local _ <close> = second:acquire()
      lock:with(print)
    end)
    neap.sleep(1)
    assert.are.same({ "parent grandchild" }, circles(snapshot()))
    parent:cancel()
    other:cancel()
  end))

  it("by a long chain are named once (R10)", run(function()
    local locks, n = {}, 500
    for i = 1, n do locks[i] = neap.lock() end
    neap.scope(function(s)
      for i = 1, n do
        s:spawn(function()
          local _ <close> = locks[i]:acquire()
          neap.checkpoint()
          locks[i % n + 1]:with(print)
        end)
      end
      neap.sleep(1)
      local dump = snapshot()
      assert.are.equal(1, #dump.deadlocks)
      assert.are.equal(n, #dump.deadlocks[1])
      assert.is_truthy(neap.dump():find("and so on by way of 480 more", 1, true))
      s:cancel()
    end)
  end))

  it("are none when one only waits for many (R10)", run(function()
    local lock = neap.lock()
    neap.scope(function(s)
      s:spawn(lock.with, lock, neap.sleep, 9)
      for _ = 1, 20 do s:spawn(lock.with, lock, print) end
      neap.sleep(1)
      assert.are.same({}, circles(snapshot()))
      s:cancel()
    end)
  end))

  it("are in the message of kind deadlock, which says it once (R6)", function()
    local err = raises("deadlock", neap.run, { clock = "virtual", on_error = function() end }, function()
      local a, b = neap.lock(), neap.lock()
      local function both(first, second)
        local _ <close> = first:acquire()
        neap.checkpoint()
        second:with(print)
      end
      named("left", both, a, b)
      named("right", both, b, a)
    end)
    assert.is_truthy(err.message:find "\ndeadlock: left #%d+, which waits for right")
    assert.is_truthy(tostring(err):find "^deadlock: every task waits")
  end)
end)

describe("a dump: large trees", function()
  it("a hundred thousand side by side are cut, and that is said (R10)", run(function()
    neap.scope({ name = "wide" }, function(s)
      for _ = 1, 100000 do s:spawn(neap.sleep, 5) end
      neap.spawn(neap.sleep, 5)
      neap.background(neap.sleep, 5).name = "still shown"
      neap.sleep(1)
      local dump = snapshot { limit = 100, traceback = false }
      assert.is_true(#dump.entries <= 100)
      assert.are.equal(neap.stats().tasks, dump.tasks)
      local shown, more = 0, nil
      for _, entry in ipairs(dump.entries) do
        if entry.kind == "task" then shown = shown + 1 end
        if entry.kind == "more" then more = entry.tasks end
      end
      assert.are.equal(100001 - (shown - 3), more) -- neap.test, its body, and the last one
      assert.is_true(dump.left_out >= more and dump.left_out <= more + 2)
      assert.is_truthy(dump["still shown"])
      local text = neap.dump()
      assert.is_truthy(text:find("... and %d+ more\n"))
      assert.is_truthy(text:find("%d+ of %d+ tasks are not shown\n"))
      assert.is_true(#text < 1000000)
    end)
  end))

  it("ten thousand inside of each other are cut, too (R10)", run(function()
    local function deep(n)
      if n > 0 then neap.spawn(deep, n - 1) end
      neap.sleep(1)
    end
    local task = neap.spawn(deep, 10000)
    neap.sleep(0.5)
    local dump = snapshot { limit = 20000 }
    assert.are.equal(0, dump.left_out)
    local depth = 0
    for _, entry in ipairs(dump.entries) do depth = math.max(depth, entry.depth) end
    assert.is_true(depth > 10000)
    local text = neap.dump()
    assert.is_truthy(text:find("[level 900] ", 1, true))
    assert.is_true(#text < 1000000)
    task:join()
  end))

  it("a hundred and fifty scopes in one task are shown (R10)", run(function()
    local function nest(n)
      if n > 0 then return neap.scope({ name = "level " .. n }, function() nest(n - 1) end) end
      local dump = snapshot()
      assert.are.equal(dump["level 150"].depth + 149, dump["level 1"].depth)
    end
    nest(150)
  end))
end)
