local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

--- Every function that may wait, ready to be called.
local function waits()
  local q, full, lock, sem, event, future, em = neap.queue(1), neap.queue(0), neap.lock(),
    neap.semaphore(1), neap.event(), neap.future(), neap.emitter()
  return {
    ["neap.sleep"] = function() neap.sleep(0) end,
    ["neap.checkpoint"] = neap.checkpoint,
    ["neap.scope"] = function() neap.scope(function() end) end,
    ["neap.timeout"] = function() neap.timeout(1, function() end) end,
    ["neap.timeout_at"] = function() neap.timeout_at(1, function() end) end,
    ["neap.move_on_after"] = function() neap.move_on_after(1, function() end) end,
    ["neap.shield"] = function() neap.shield(1, function() end) end,
    ["queue:get"] = function() q:get() end,
    ["queue:put"] = function() full:put(1) end,
    ["queue:join"] = function() q:join() end,
    ["lock:acquire"] = function() lock:acquire() end,
    ["semaphore:acquire"] = function() sem:acquire() end,
    ["event:wait"] = function() event:wait() end,
    ["future:await"] = function() future:await() end,
    ["emitter:emit"] = function() em:emit "x" end,
    ["emitter:wait_for"] = function() em:wait_for "x" end,
    ["queue:consume"] = function() q:consume(1, print) end,
    ["neap.gather"] = function() neap.gather(print) end,
    ["neap.all"] = function() neap.all { print } end,
    ["neap.settle"] = function() neap.settle {} end,
    ["neap.map"] = function() neap.map({ 1 }, print) end,
    ["neap.race"] = function() neap.race { print } end,
    ["neap.any"] = function() neap.any { print } end,
    ["neap.imap"] = function() neap.imap({ 1 }, print) end,
    ["neap.as_completed"] = function() neap.as_completed { print } end,
    ["neap.stream"] = function() neap.stream(print) end,
    ["neap.once"] = neap.once(print),
  }
end

describe("a wait where Lua cannot suspend", function()
  it("outside of a task names the call and says so (W6)", function()
    for name, call in pairs(waits()) do
      local err = raises("not_in_task", call)
      assert.is_truthy(err.message:find(name, 1, true), err.message)
      assert.is_truthy(err.message:find("not inside a task", 1, true), err.message)
    end
  end)

  it("outside of a task, in a plain coroutine, says so too (W6)", function()
    local err = raises("not_in_task", coroutine.wrap(function() neap.sleep(1) end))
    assert.is_truthy(err.message:find("neap.sleep", 1, true), err.message)
    assert.is_truthy(err.message:find("not inside a task", 1, true), err.message)
  end)

  it("in a comparator of table.sort names both (W6)", run(function()
    for name, call in pairs(waits()) do
      local err = raises("not_in_task", table.sort, { 3, 1, 2 }, function() call() end)
      assert.is_truthy(err.message:find(name, 1, true), err.message)
      assert.is_truthy(err.message:find("table.sort", 1, true), err.message)
    end
  end))

  it("in string.gsub, require, load, tostring, next to it, says so (W6)", run(function()
    local err = raises("not_in_task", string.gsub, "x", "x", function() neap.sleep(1) end)
    assert.is_truthy(err.message:find("string.gsub", 1, true), err.message)
    err = raises("not_in_task", ("x").gsub, "x", "x", neap.checkpoint)
    assert.is_truthy(err.message:find("string.gsub", 1, true), err.message)
    package.preload["a module that waits"] = function() neap.sleep(1) end
    err = raises("not_in_task", require, "a module that waits")
    package.preload["a module that waits"] = nil
    assert.is_truthy(err.message:find("require", 1, true), err.message)
    err = raises("not_in_task", tostring, setmetatable({}, { __tostring = function()
      neap.sleep(1)
    end }))
    assert.is_truthy(err.message:find("tostring", 1, true), err.message)
    local chunk, problem = load(function() neap.sleep(1) end)
    assert.is_nil(chunk)
    assert.are.equal("not_in_task", problem.kind)
  end))

  it("in a finalizer does no harm (W6)", run(function()
    local err
    setmetatable({}, { __gc = function() err = select(2, pcall(neap.sleep, 1)) end })
    collectgarbage()
    collectgarbage()
    neap.checkpoint()
    assert.are.equal("not_in_task", err.kind)
  end))

  it("in a debug hook does no harm (W6)", run(function()
    local err
    debug.sethook(function()
      debug.sethook()
      err = select(2, pcall(neap.sleep, 1))
    end, "", 1)
    for _ = 1, 10 do math.max(1, 2) end
    debug.sethook()
    assert.are.equal("not_in_task", err.kind)
  end))

  it("in a message handler does no harm (W6)", run(function()
    local err
    xpcall(error, function() err = select(2, pcall(neap.sleep, 1)) end, "x")
    assert.are.equal("not_in_task", err.kind)
  end))

  it("in table.concat and ipairs over a table that waits says so (W6)", run(function()
    local slow = setmetatable({}, { __index = function(_, i)
      neap.sleep(1)
      return i < 3 and "x" or nil
    end, __len = function() return 2 end })
    raises("not_in_task", table.concat, slow)
    raises("not_in_task", table.unpack, slow)
  end))

  it("leaves everything as it was: nothing taken, nobody queued (W6)", run(function()
    local q, lock = neap.queue(1), neap.lock()
    q:put "item"
    for _, call in ipairs { function() q:get() end, function() lock:acquire() end,
      function() neap.scope(neap.sleep, 1) end } do
      raises("not_in_task", table.sort, { 2, 1 }, call)
    end
    assert.are.equal("item", q:get())
    assert.is_false(lock:locked())
    neap.sleep(1)
  end))
end)

describe("a wait where Lua can suspend", function()
  it("works in pcall, metamethods, iterators, loaded chunks, __close (W3)", run(function()
    local function slow(value)
      neap.sleep(1)
      return value
    end
    assert.are.same({ true, 5 }, { pcall(slow, 5) })
    assert.are.equal(6, select(2, xpcall(slow, print, 6)))
    local object = setmetatable({}, {
      __index = function(_, key) return slow(key) end,
      __call = function(_, x) return slow(x) end,
      __add = function() return slow "add" end,
      __eq = function() return slow(true) end,
      __lt = function() return slow(true) end,
      __concat = function() return slow "concat" end,
      __len = function() return slow(7) end,
      __newindex = function() slow() end,
      __close = function() slow() end,
      __unm = function() return slow "unm" end,
    })
    assert.are.equal("key", object.key)
    assert.are.equal(1, object(1))
    assert.are.equal("add", object + 1)
    assert.is_true(object < object)
    assert.are.equal("concat", object .. "x")
    assert.are.equal(7, #object)
    assert.are.equal("unm", -object)
    object.key = 5
    do
      local _ <close> = object
    end
    local n = 0
    for i in function(_, i) return slow(i < 3 and i + 1 or nil) end, nil, 0 do n = n + i end
    assert.are.equal(6, n)
    assert.are.equal(9, load("local f = ... return f(9)")(slow))
  end))

  it("works inside the user's own coroutines, values and all (W3)", run(function()
    local gen = coroutine.wrap(function(a)
      neap.sleep(1)
      local b = coroutine.yield(a + 1)
      neap.sleep(1)
      local c = coroutine.yield(b + 1)
      neap.sleep(1)
      return c + 1, "end"
    end)
    assert.are.equal(2, gen(1))
    assert.are.equal(11, gen(10))
    assert.are.same({ 21, "end" }, { gen(20) })
    local co = coroutine.create(function()
      local inner = coroutine.wrap(function()
        local q = neap.queue(1)
        neap.spawn(q.put, q, "item")
        coroutine.yield((q:get()))
        error({ kind = "inner" })
      end)
      neap.sleep(1)
      coroutine.yield(inner())
      inner()
    end)
    assert.are.same({ true, "item" }, { coroutine.resume(co) })
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.are.equal("inner", err.kind)
    assert.are.equal("dead", coroutine.status(co))
  end))

  it("does not let a coroutine yield out of a scope that it has opened (W3, T3)", run(function(reports)
    for _, opts in ipairs { {}, { on_exit = "cancel" } } do
      local kids = {}
      local task = neap.spawn(function()
        local co = coroutine.create(function()
          neap.scope(opts, function(s)
            kids[1] = s:spawn(function() neap.scope(function() neap.sleep(50) end) end)
            kids[2] = s:spawn(error, "unheard", 0)
            pcall(neap.sleep, 0)
            coroutine.yield(1)
          end)
        end)
        local ok, err = coroutine.resume(co)
        assert.is_false(ok)
        assert.is_truthy(err:find("scope", 1, true), err)
        assert.are.equal("dead", coroutine.status(co))
        collectgarbage()
      end)
      task:join()
      assert.are.equal("unheard", reports:take "secondary".error)
      assert.are.equal("cancelled", kids[1]:status())
      assert.are.equal("failed", kids[2]:status())
      assert.are.equal("done", task:status())
    end
    local kid
    local task = neap.spawn(function()
      local co = coroutine.create(function()
        neap.scope(function(s)
          kid = s:spawn(neap.sleep, 5)
          coroutine.yield(1)
        end)
      end)
      assert.is_false((coroutine.resume(co)))
    end)
    task:join()
    assert.are.equal("done", kid:status()) -- the task waited for it
  end))

  it("inside a coroutine is cancelled there (W3, C2)", run(function()
    local got, note = run.journal()
    local task = neap.spawn(function()
      coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() note "closed" end })
        local ok, err = pcall(neap.sleep, 100)
        note(not ok and err.reason)
        neap.shield(5, neap.sleep, 1)
        note "cleaned"
        error(err, 0)
      end)()
    end)
    neap.sleep(1)
    task:cancel "enough"
    task:join()
    assert.are.same({ "enough", "cleaned", "closed" }, got)
    assert.are.equal("cancelled", task:status())
  end))

  it("with coroutine=false a coroutine cannot wait, and says so (W6)", run({ coroutine = false }, function()
    local err = raises("not_in_task", coroutine.wrap(function() neap.sleep(1) end))
    assert.is_truthy(err.message:find("coroutine", 1, true), err.message)
    assert.is_truthy(err.message:find("neap.sleep", 1, true), err.message)
    assert.are.equal(5, neap.coroutine.wrap(function()
      neap.sleep(1)
      return 5
    end)())
  end))
end)

describe("the coroutine of a task", function()
  local resume, close = coroutine.resume, coroutine.close -- Lua's own

  it("cannot be resumed by anybody else (W1)", run(function()
    for _, how in ipairs { resume, neap.coroutine.resume } do
      local co
      local q = neap.queue(1)
      local task = neap.spawn(function()
        co = coroutine.running()
        neap.sleep(0)
        local item = q:get()
        assert.are.equal(0, select("#", neap.sleep(1)))
        return item, q:get { timeout = 5 }
      end)
      neap.checkpoint()
      for _ = 1, 3 do how(co, "stray", "values") end
      neap.checkpoint()
      for _ = 1, 3 do how(co, "stray", "values") end
      assert.are.equal("waiting", task:status())
      q:put "item"
      how(co, "stray")
      neap.sleep(0.5)
      how(co)
      neap.sleep(1)
      how(co, "stray", nil)
      q:put "second"
      assert.are.same({ "item", "second" }, { task:await() })
      how(co, "stray")
      neap.checkpoint()
    end
  end))

  it("cannot be resumed by anybody else before it begins (W1)", run(function()
    local co
    local function learn() co = coroutine.running() end
    local function body(...) return coroutine.running() == co, ... end
    for _, how in ipairs { resume, neap.coroutine.resume } do
      for n = 0, 3 do
        neap.spawn(learn):await() -- the next task gets its coroutine
        local task = neap.spawn(body, table.unpack({ "a", "b", "c" }, 1, n))
        how(co)
        how(co, "stray", "values")
        local want = { true, table.unpack({ "a", "b", "c" }, 1, n) }
        assert.are.same(want, { task:await() })
      end
    end
  end))

  it("closed before it begins is a failed task, no worse (W1)", run(function(reports)
    local co
    neap.spawn(function() co = coroutine.running() end):await()
    local ok, err = pcall(neap.scope, function(s)
      s:spawn(function() error "it ran" end)
      assert.is_false(pcall(coroutine.close, co))
      close(co)
    end)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("dead coroutine", 1, true), tostring(err))
    assert.are.equal(0, #reports)
    assert.are.equal(5, neap.spawn(function() return 5 end):await())
  end))

  it("cannot be closed by coroutine.close (W1)", run(function()
    local co
    local task = neap.spawn(function()
      co = coroutine.running()
      neap.sleep(5)
      return "value"
    end)
    neap.checkpoint()
    local ok, err = pcall(coroutine.close, co)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("neap.sleep", 1, true), tostring(err))
    assert.are.equal("value", task:await())
  end))

  it("closed by Lua's own close is a failed task, no worse (W1)", run(function(reports)
    local co
    local lock = neap.lock()
    local task = neap.background(function()
      co = coroutine.running()
      lock:acquire()
      neap.sleep(5)
      return "value"
    end)
    neap.checkpoint()
    close(co)
    task:join()
    assert.are.equal("failed", task:status())
    reports:take "lock"
    reports:take "background"
    neap.sleep(10)
  end))

  it("still works as a coroutine of the user's for close (W3)", run(function()
    local closed = false
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    assert.is_false((pcall(coroutine.close, 5)))
  end))

  it("yielding to nobody lets the others run (O3)", run(function()
    local n = 0
    neap.spawn(function() n = n + 1 end)
    assert.are.equal(0, select("#", coroutine.yield(1, 2, 3)))
    assert.are.equal(1, n)
  end))
end)
