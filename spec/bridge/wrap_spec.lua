local neap = require "neap"
local run = require "spec.support.run"
local test = require "neap.test"
local raises = run.raises

--- A function that calls back a second later with what it was given.
local function later(...)
  local args = table.pack(...)
  local callback = args[args.n]
  neap.background(function()
    neap.sleep(1)
    callback(nil, table.unpack(args, 1, args.n - 1))
  end)
  return "started"
end

--- A function that calls back before it returns.
local function at_once(callback, ...) callback(...) end

describe("neap.wrap", function()
  it("waits for the callback and returns what it got (H6)", run(function()
    local start = neap.now()
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(neap.wrap(later)(1, nil, 3)))
    assert.is_true(neap.now() - start >= 1)
  end))

  it("keeps nils, in the arguments and in the results", run(function()
    assert.are.same({ n = 2 }, table.pack(neap.wrap(later)(nil, nil)))
    assert.are.same({ n = 0 }, table.pack(neap.wrap(later)()))
  end))

  it("puts the callback where it is wanted", run(function()
    local got
    local function fn(a, callback, b, c)
      got = { a, b, c }
      callback(nil, "done")
    end
    assert.are.equal("done", neap.wrap(fn, 2)("a", "b", "c"))
    assert.are.same({ "a", "b", "c" }, got)
    assert.are.equal("done", neap.wrap(fn, 2)("a"))
    assert.are.same({ "a" }, got)
    assert.are.equal("done", neap.wrap(fn, 2)()) -- missing ones are nil
    assert.are.same({}, got)
    assert.are.equal("x", neap.wrap(at_once, 1)(nil, "x"))
  end))

  it("wraps whatever can be called", run(function()
    local object = setmetatable({}, { __call = function(_, callback) callback(nil, 7) end })
    assert.are.equal(7, neap.wrap(object)())
  end))

  it("serves many calls at once", run(function()
    local wrapped, list = neap.wrap(later), {}
    for i = 1, 100 do list[i] = function() return wrapped(i) end end
    local start = neap.now()
    local got = neap.all(list)
    for i = 1, 100 do assert.are.equal(i, got[i]) end
    assert.is_true(neap.now() - start < 1.5)
  end))

  it("takes a callback that comes before the function returns", run(function()
    assert.are.same({ 1, 2 }, { neap.wrap(at_once, 1)(nil, 1, 2) })
    assert.are.equal("early", (select(2, pcall(neap.wrap(at_once, 1), "early"))))
  end))

  it("raises the error of the callback as it is (H6)", run(function()
    local object = {}
    for _, err in ipairs { "a sentence", "Error: this", "E", "Eno", object, 5, true } do
      local ok, got = pcall(neap.wrap(at_once, 1), err)
      assert.is_false(ok)
      assert.are.equal(err, got)
    end
  end))

  it("makes a fault of an error with a name", run(function()
    local function fault(err) return raises("io", neap.wrap(at_once, 1), err) end
    assert.are.equal("ECONNREFUSED", fault("ECONNREFUSED").code)
    assert.are.equal("connection refused", fault("ECONNREFUSED").message)
    assert.are.equal("EAI_NONAME", fault("EAI_NONAME").code)
    assert.are.equal("EOF", fault("EOF").code)
    assert.are.equal("ENOSUCHNAME", fault("ENOSUCHNAME").message)
    local enoent = fault "ENOENT: no such file or directory: x"
    assert.are.equal("ENOENT", enoent.code)
    assert.are.equal("no such file or directory: x", enoent.message)
    assert.is_truthy(enoent.traceback:find "wrap_spec")
  end))

  it("raises what the function itself raises", run(function()
    local err = raises(nil, neap.wrap(function() error("wrong argument", 0) end))
    assert.are.equal("wrong argument", err)
  end))

  it("raises what the function returns with nil: it did not start", run(function()
    local err = raises("io", neap.wrap(function()
      return nil, "EINVAL: invalid argument", "EINVAL"
    end))
    assert.are.equal("EINVAL", err.code)
    assert.are.equal("why", raises(nil, neap.wrap(function() return nil, "why" end)))
  end))

  it("returns the result though the function returned nil", run(function()
    assert.are.equal(1, neap.wrap(function(callback)
      callback(nil, 1)
      return nil, "not looked at"
    end)())
  end))

  it("reports a second call of the callback, and drops it", run(function(reports)
    local callback
    local wrapped = neap.wrap(function(cb) callback = cb cb(nil, 1) cb(nil, 2) end)
    assert.are.equal(1, wrapped())
    assert.are.equal("neap.wrap: the callback was called a second time",
      reports:take("future").error.message)
    callback "EIO"
    reports:take "future"
  end))

  it("drops a result that comes after a cancellation (H6)", run(function()
    local callback
    local task = neap.spawn(neap.wrap(function(cb) callback = cb end))
    neap.sleep(1)
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    callback(nil, "late")
    callback "late"
  end))

  it("cancels the request, if it can be cancelled (H6)", run(function()
    local cancelled, callback = 0, nil
    local request = { cancel = function() cancelled = cancelled + 1 end }
    local wrapped = neap.wrap(function(cb) callback = cb return request end)
    raises("timeout", neap.timeout, 1, wrapped)
    assert.are.equal(1, cancelled)
    callback "ECANCELED"
    neap.spawn(function() neap.sleep(1) callback(nil, "in time") end)
    assert.are.equal("in time", neap.timeout(2, wrapped))
    assert.are.equal(1, cancelled)
  end))

  it("may be cancelled at each wait, one after another", function()
    local waits = test.run({ clock = "virtual" }, function()
      return test.cancel_sweep(function()
        local wrapped = neap.wrap(later)
        assert(wrapped(1) == 1)
        neap.gather(function() return wrapped(2) end, function() return wrapped(3) end)
      end)
    end)
    assert.is_true(waits >= 4, waits)
  end)

  it("reports a request that fails to be cancelled", run(function(reports)
    local request = { cancel = function() error("cannot", 0) end }
    raises("timeout", neap.timeout, 1, neap.wrap(function() return request end))
    assert.are.equal("cannot", reports:take("secondary").error)
  end))

  it("does not start anything in a cancelled task", run(function()
    local started = false
    neap.scope(function(s)
      s:cancel()
      neap.wrap(function() started = true end)()
    end)
    assert.is_false(started)
  end))

  it("does not start anything outside of tasks", function()
    local started = false
    local err = raises("not_in_task", neap.wrap(function() started = true end))
    assert.is_truthy(err.message:find "^neap.wrap: cannot wait here")
    assert.is_false(started)
  end)

  it("that nobody will call back is a deadlock", function()
    local err = raises("deadlock", neap.run, function() neap.wrap(function() end)() end)
    assert.is_truthy(err.message:find "future:await")
  end)

  it("checks its arguments", function()
    for _, bad in ipairs { 1, "f", {}, true } do
      assert.is_truthy(raises(nil, neap.wrap, bad):find(
        "bad argument #1 to 'wrap' (function expected, got " .. type(bad), 1, true))
    end
    for _, bad in ipairs { 0, -1, 1.5, "last" } do
      assert.is_truthy(raises(nil, neap.wrap, print, bad):find("bad argument #2 to 'wrap'", 1, true))
    end
  end)
end)
