local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

describe("a fault", function()
  it("is a table with kind, message, code, cause, and what else was given (E1)", function()
    local cause = neap.fault.new { kind = "io", code = "ECONNREFUSED", message = "refused" }
    local err = neap.fault.new { kind = "broken", message = "no luck", cause = cause, extra = 5 }
    assert.are.equal("broken", err.kind)
    assert.are.equal("no luck", err.message)
    assert.are.equal(cause, err.cause)
    assert.are.equal(5, err.extra)
    assert.is_nil(err.traceback)
  end)

  it("prints as one line, with its cause (E1)", function()
    local cause = neap.fault.new { kind = "io", code = "ECONNREFUSED", message = "refused" }
    assert.are.equal("io ECONNREFUSED: refused", tostring(cause))
    local text = tostring(neap.fault.new { kind = "broken", message = "no luck", cause = cause })
    assert.is_truthy(text:find("broken: no luck", 1, true), text)
    assert.is_truthy(text:find("refused", 1, true), text)
    assert.is_nil(text:find("\n", 1, true))
    assert.are.equal("closed", tostring(neap.fault.new { kind = "closed" }))
    local odd = neap.fault.new { kind = "closed" }
    odd.kind, odd.message, odd.code, odd.cause = {}, 5, {}, "text"
    assert.are.equal("string", type(tostring(odd)))
    odd.cause = odd -- a ring
    assert.are.equal("string", type(tostring(odd)))
    assert.is_false(neap.fault.is(odd, "nothing"))
  end)

  it("is raised with a traceback (E1)", function()
    local function culprit() neap.fault.raise { kind = "io", message = "x" } end
    local err = raises("io", function() culprit() end)
    assert.is_truthy(err.traceback:find("culprit", 1, true), err.traceback)
    assert.are.equal(err, raises("io", neap.fault.raise, err))
  end)

  it("raised by error() in a task gets its traceback there (E1)", run(function()
    local function culprit() error(neap.fault.new { kind = "io" }) end
    local err = raises("io", neap.scope, function() culprit() end)
    assert.is_truthy(err.traceback:find("culprit", 1, true), err.traceback)
  end))

  it("is asked for its kind through causes (E5)", function()
    local is = neap.fault.is
    local inner = neap.fault.new { kind = "pg" }
    local outer = neap.fault.new { kind = "closed", cause = neap.fault.new { kind = "io", cause = inner } }
    assert.is_true(is(outer, "closed"))
    assert.is_true(is(outer, "io"))
    assert.is_true(is(outer, "pg"))
    assert.is_false(is(outer, "timeout"))
    assert.is_false(is(inner, "closed"))
    for _, other in ipairs { "closed", 5, true, print, { kind = "closed" } } do
      assert.is_false(is(other, "closed"))
    end
    assert.is_false(is(nil, "closed"))
    assert.is_false((pcall(is, outer)))
    assert.is_false((pcall(is)))
  end)

  it("refuses what makes none", function()
    for _, bad in ipairs { 5, "x", {}, { kind = 5 }, { kind = {} }, { kind = "x", message = {} } } do
      assert.is_false((pcall(neap.fault.new, bad)))
      local ok, err = pcall(neap.fault.raise, bad)
      assert.is_false(ok)
      assert.are_not.equal(bad, err)
    end
    assert.is_false((pcall(neap.fault.new)))
    assert.is_false((pcall(neap.fault.raise)))
  end)
end)

describe("several failures", function()
  it("the first is raised, the others are attached and reported (E2)", run(function(reports)
    local err = raises("first", neap.scope, function(s)
      s:spawn(function()
        pcall(neap.sleep, 100)
        neap.shield(5, neap.sleep, 1)
        error { kind = "third" }
      end)
      s:spawn(function()
        neap.sleep(1)
        error { kind = "first" }
      end)
      pcall(neap.sleep, 100)
      error { kind = "second" }
    end)
    local suppressed = neap.suppressed(err)
    assert.are.equal(2, #suppressed)
    assert.are.equal("second", suppressed[1].kind)
    assert.are.equal("third", suppressed[2].kind)
    assert.are.equal("second", reports:take "secondary".error.kind)
    assert.are.equal("third", reports:take "secondary".error.kind)
  end))

  it("the shape does not depend on their number: strings stay strings (E2, E3)", run({ order = true }, function(reports)
    local ok, err = pcall(neap.scope, function(s)
      s:spawn(error, "first", 0)
      s:spawn(error, "second", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("first", err)
    assert.are.same({}, neap.suppressed(err))
    local info = reports:take "secondary"
    assert.are.equal("second", info.error)
    assert.are.equal("userdata", type(info.task))
  end))

  it("the same object twice is one failure (E2)", run(function(reports)
    local shared = { kind = "shared" }
    local err = raises("shared", neap.scope, function(s)
      s:spawn(error, shared)
      s:spawn(error, shared)
    end)
    assert.are.same({}, neap.suppressed(err))
    assert.are.equal(0, #reports)
  end))

  it("the same object twice is one also among the later ones (E2)", run(function(reports)
    local first, later = {}, {}
    local ok, err = pcall(neap.scope, function(s)
      for _ = 1, 3 do
        s:spawn(function()
          pcall(neap.sleep, 100)
          error(later)
        end)
      end
      neap.sleep(1)
      error(first)
    end)
    assert.is_false(ok)
    assert.are.equal(first, err)
    assert.are.equal(1, #neap.suppressed(err))
    assert.are.equal(later, neap.suppressed(err)[1])
    assert.are.equal(later, reports:take("secondary").error)
  end))

  it("of nested scopes gather at the one that is raised (E2)", run({ order = true }, function(reports)
    local err = raises("first", neap.scope, function(outer)
      outer:spawn(function()
        neap.scope(function(s)
          s:spawn(error, { kind = "first" })
          s:spawn(error, { kind = "second" })
        end)
      end)
      pcall(neap.sleep, 100)
      error { kind = "third" }
    end)
    local kinds = {}
    for i, e in ipairs(neap.suppressed(err)) do kinds[i] = e.kind end
    assert.are.same({ "second", "third" }, kinds)
    reports:take "secondary"
    reports:take "secondary"
  end))
end)

describe("neap.suppressed", function()
  it("is an empty array for what has none (E3)", function()
    for _, value in ipairs { 5, "x", true, {}, print, io.stdout } do
      assert.are.same({}, neap.suppressed(value))
    end
    assert.are.same({}, neap.suppressed(nil))
    assert.is_false((pcall(neap.suppressed)))
  end)
end)

describe("on_error", function()
  it("gets what, error, traceback and task (E4)", function()
    local seen
    neap.run({ on_error = function(info) seen = info end }, function()
      local task = neap.background(function() error("broken", 0) end)
      task.name = "worker"
      task:join()
      assert.are.equal("background", seen.what)
      assert.are.equal("broken", seen.error)
      assert.are.equal(task, seen.task)
      assert.is_truthy(seen.traceback:find("fault_spec", 1, true))
    end)
  end)

  it("may use neap, but not wait; an error in it is printed and harms nobody (E4)", function()
    local shell = require "spec.support.shell"
    local status, output = shell.run(shell.lua .. [=[ -e '
      local neap = require "neap"
      local extra = 0
      neap.run({ clock = "virtual", on_error = function(info)
        local ok, err = pcall(neap.sleep, 1)
        assert(not ok and err.kind == "not_in_task", err)
        neap.background(function() extra = extra + 1 end)
        pcall(neap.spawn, print)
        info.task:cancel()
        error("hook fails", 0)
      end }, function()
        neap.background(error, "original", 0)
        neap.sleep(1)
      end)
      print(extra)']=])
    assert.are.equal(0, status, output)
    assert.is_truthy(output:find("hook fails", 1, true), output)
    assert.is_truthy(output:find("original", 1, true), output)
    assert.is_truthy(output:find("\n1\n", 1, true), output)
  end)

  it("missing: what it would get is printed to stderr (E4)", function()
    local shell = require "spec.support.shell"
    local status, output = shell.run(shell.lua .. [=[ -e '
      local neap = require "neap"
      neap.run(function()
        local t = neap.background(function() error { 1 } end)
        t.name = "the worker"
        neap.background(error, setmetatable({}, { __tostring = function() error "again" end }))
        neap.background(error)
        neap.background(error, neap.fault.new { kind = "io", message = "a fault" })
      end) print "end"' 2>&1 >/dev/null ]=])
    assert.are.equal(0, status, output)
    assert.is_truthy(output:find("background", 1, true), output)
    assert.is_truthy(output:find("the worker", 1, true), output)
    assert.is_truthy(output:find("a fault", 1, true), output)
  end)
end)

describe("any value", function()
  it("raised anywhere arrives as it was (E5)", run(function(reports)
    for _, value in ipairs { false, 0, "x", {}, print, io.stdout, coroutine.create(print) } do
      local ok, err = pcall(neap.scope, function() error(value, 0) end)
      assert.is_false(ok)
      assert.are.equal(value, err)
      local task = neap.background(error, value, 0)
      task:join()
      assert.are.equal(value, task:outcome().err)
      assert.are.equal(value, reports:take "background".error)
    end
  end))

  it("a stack overflow is an error like any other (E5)", run(function(reports)
    local function deep() return 1 + deep() end
    local ok, err = pcall(neap.scope, deep)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("overflow", 1, true), tostring(err))
    local task = neap.background(deep)
    task:join()
    assert.are.equal("failed", task:status())
    assert.is_truthy(tostring(reports:take "background".error):find("overflow", 1, true))
    local function nested() return pcall(nested) end
    neap.background(nested):join()
    while #reports > 0 do reports:take "background" end
  end))

  it("results of too large a number fail the task, not the run (E5)", run(function(reports)
    local big = {}
    for i = 1, 999000 do big[i] = i end
    local task = neap.background(function()
      local ok, n = pcall(select, "#", table.unpack(big, 1, 990000))
      assert(ok, n)
      return table.unpack(big, 1, 990000)
    end)
    task:join()
    assert.is_true(task:status() == "failed" or task:status() == "done")
    if task:status() == "failed" then reports:take "background" end
    neap.scope(function(s) s:spawn(neap.sleep, 1) end)
  end))
end)

describe("neap.traceback", function()
  local function broken() local t = nil; return t.field end
  local function inner() return (broken()) end

  it("shows where in a task what a run raises was raised (E6)", function()
    local ok, text = xpcall(neap.run, neap.traceback, { clock = "virtual" }, function()
      neap.scope(function(s)
        s:spawn(function()
          neap.sleep(1)
          inner()
        end)
      end)
    end)
    assert.is_false(ok)
    assert.is_truthy(text:find("^[^\n]*attempt to index a nil value"), text)
    assert.is_truthy(text:find("in upvalue 'broken'", 1, true), text)
    assert.is_truthy(text:find("in upvalue 'inner'", 1, true), text)
  end)

  it("shows it through scopes and combinators around (E6)", function()
    for _, main in ipairs {
      function() neap.scope(function() neap.scope(function(s) s:spawn(inner) end) end) end,
      function() neap.timeout(1, neap.scope, function() inner() end) end,
      function() neap.gather(inner) end,
      function() neap.map({ 1 }, function() return (inner()) end) end,
    } do
      local _, text = xpcall(neap.run, neap.traceback, { clock = "virtual" }, main)
      assert.is_truthy(text:find("in upvalue 'broken'", 1, true), text)
    end
  end)

  it("has that of errors that are tables, and of faults (E6)", function()
    for _, raise in ipairs { error, neap.fault.raise } do
      local thrown = setmetatable({ kind = "io", message = "disk gone" }, {
        __tostring = function() return "disk gone" end,
      })
      if raise == neap.fault.raise then thrown = neap.fault.new { kind = "io", message = "disk gone" } end
      local function thrower() raise(thrown) end
      local _, err = pcall(neap.run, { clock = "virtual" }, function() thrower() end)
      assert.are.equal(thrown, err)
      local text = neap.traceback(err)
      assert.is_truthy(text:find("disk gone\nstack traceback:", 1, true), text)
      assert.is_truthy(text:find("'thrower'", 1, true), text)
    end
  end)

  it("is the text alone of what no run has raised (E6)", function()
    pcall(neap.run, function() error("another", 0) end)
    assert.are.equal("mine", neap.traceback "mine")
    assert.are.equal("nil", neap.traceback(nil))
    assert.are.equal("boom", neap.traceback(setmetatable({}, { __tostring = function() return "boom" end })))
  end)
end)
