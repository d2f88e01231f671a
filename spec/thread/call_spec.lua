local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"
local raises = run.raises
local call = neap.thread.call

describe("neap.thread.call", function()
  it("runs a function on another thread (H1)", run(function()
    local a, b = call(function(x, y) return x + y, x * y end, 3, 4)
    assert.are.same({ 7, 12 }, { a, b })
  end))

  it("lets other tasks run meanwhile (H1)", run({ clock = "real" }, function()
    local ticks = 0
    local ticker = neap.spawn(function()
      while true do
        neap.sleep(0.01)
        ticks = ticks + 1
      end
    end)
    call(function() os.execute "sleep 0.2" end)
    ticker:cancel()
    assert.is_true(ticks >= 3, ticks)
  end))

  it("takes functions with inner functions, varargs and globals", run(function()
    assert.are.equal("3:a-b-c", call(function(...)
      local n = select("#", ...)
      local function join(...) return table.concat({ ... }, "-") end
      return string.format("%d:%s", n, join(...))
    end, "a", "b", "c"))
  end))

  it("takes source text (H1)", run(function()
    assert.are.equal(12, call("local a, b = ... return a * b", 3, 4))
    assert.are.equal(1, call "return 1")
    assert.are.equal(nil, (call ""))
  end))

  it("takes a function of a module (H1)", run(function()
    assert.are.equal("ababab", call("string:rep", "ab", 3))
    assert.are.equal(10, call("spec.thread.jobs:sum", 1, 2, 3, 4))
    assert.are.equal("called with 1", call("spec.thread.jobs:callable", 1))
  end))

  it("looks for modules where the caller does", run(function()
    local path <close> = setmetatable({ package.path }, {
      __close = function(self) package.path = self[1] end,
    })
    local err = raises(nil, call, "jobs:sum", 1)
    assert.is_truthy(err:find("module 'jobs' not found", 1, true))
    package.path = "spec/thread/?.lua;" .. path[1]
    assert.are.equal(3, call("jobs:sum", 1, 2))
  end))

  it("gives each call fresh globals, and the states to all", run(function()
    local was = neap.thread.limit(1)
    call "mine, _G.everyones = 1, 2"
    local mine, everyones, real = call "return mine, everyones, _G.mine"
    assert.are.same({ n = 3, [2] = 2 }, table.pack(mine, everyones, real))
    call "function helper() return 5 end first = helper()"
    assert.are.equal("nil", call "return type(helper)")
    neap.thread.limit(was)
  end))

  it("has a state apart: nothing of the caller's is seen (H1)", run(function()
    _G.of_the_caller = 1
    local seen = call "return of_the_caller"
    _G.of_the_caller = nil
    assert.is_nil(seen)
  end))

  it("can run tasks of its own there", run(function()
    local got = call(function()
      local far = require "neap"
      return far.run({ signals = false }, function()
        return table.concat(far.all {
          function() far.sleep(0.002) return "a" end,
          function() return "b" end,
        }, "+")
      end)
    end)
    assert.are.equal("a+b", got)
  end))

  it("runs any number of calls, in two runs and more", function()
    for _ = 1, 3 do
      assert.are.equal(500500, run.now({}, function()
        local list = {}
        for i = 1, 1000 do
          list[i] = function() return call("return ...", i) end
        end
        local sum = 0
        for _, v in ipairs(neap.all(list)) do sum = sum + v end
        return sum
      end))
    end
  end)

  it("is seen waiting", run({ order = true }, function()
    local task = neap.spawn(call, "os.execute 'sleep 0.05'")
    neap.checkpoint()
    assert.is_truthy(neap.dump():find("waiting in neap.thread.call", 1, true))
    task:join()
  end))
end)

describe("neap.thread.call refuses", function()
  local function refused(sentence, ...)
    assert.are.equal("neap.thread.call: " .. sentence, raises("invalid", call, ...).message)
  end

  it("a function that uses a local from outside", run(function()
    local outer, other = 1, 2
    refused("the function uses the local variable 'other' from outside of it, "
      .. "which cannot go to another thread: make it an argument",
      function() return other end)
    refused("the function uses the local variable 'outer' from outside of it, "
      .. "which cannot go to another thread: make it an argument",
      function() return function() return print(outer) end end)
  end))

  it("the same without debug information", run(function()
    local outer = 1
    local stripped = load(string.dump(function() return outer end, true))
    debug.setupvalue(stripped, 1, 5) -- load had put the globals there
    refused("the function uses a local variable from outside of it, which "
      .. "cannot go to another thread: make it an argument", stripped)
    local plain = load(string.dump(load "return ... , tostring(1)", true))
    assert.are.equal(7, (call(plain, 7)))
  end))

  it("a function written in C", run(function()
    refused("a function written in C cannot go to another thread; name it as "
      .. "\"module:function\"", print)
  end))

  it("what is neither function nor text", run(function()
    for _, v in ipairs { 1, true, io.stdout } do
      local err = raises(nil, call, v)
      assert.is_truthy(err:find(
        "bad argument #1 to 'neap.thread.call' (function, source text or \"module:function\" expected, got "
        .. type(v), 1, true), err)
    end
    assert.is_truthy(raises(nil, call):find("got no value)", 1, true))
  end))

  it("bytecode as text", run(function()
    assert.is_truthy(raises(nil, call, string.dump(function() end))
      :find "attempt to load a binary chunk")
  end))

  it("to wait outside of a task (W6)", function()
    local err = raises("not_in_task", call, "return 1")
    assert.is_truthy(err.message:find "^neap.thread.call: cannot wait here")
  end)

  it("to start in a cancelled task (H1)", run(function()
    local reached = false
    neap.scope(function(s)
      s:cancel()
      call "return 1"
      reached = true
    end)
    assert.is_false(reached)
  end))
end)

describe("an error in a thread", function()
  --- The traceback that a failed task shows.
  local function trace(fn)
    local task
    neap.supervisor({}, function(s) task = s:spawn(fn) end)
    return task:traceback()
  end

  it("keeps a string as it is (H3)", run(function()
    local err = raises(nil, call, "error('boom', 0)")
    assert.are.equal("boom", err)
    err = raises(nil, call, function() local x = nil + 1 return x end)
    assert.is_truthy(err:find "^%g*call_spec.lua:%d+: attempt to perform arithmetic on a nil")
  end))

  it("keeps numbers, nil and tables too (H3)", run(function()
    local function caught(source) return select(2, pcall(call, source)) end
    assert.are.equal(5, caught "error(5)")
    assert.are.equal(nil, caught "error(nil)")
    assert.are.same({ 1, { 2 } }, caught "error { 1, { 2 } }")
  end))

  it("is a fault here when it was one there (H3)", run(function()
    local err = raises("stale_object", call, function()
      local fault = require("neap").fault
      fault.raise {
        kind = "stale_object", code = "X1", message = "there", safe_to_retry = true,
        cause = fault.new { kind = "io", message = "below" }, extra = { 1 },
      }
    end)
    assert.are.equal("X1", err.code)
    assert.are.equal("there", err.message)
    assert.is_true(err.safe_to_retry)
    assert.are.same({ 1 }, err.extra)
    assert.is_true(neap.fault.is(err, "io"))
    assert.are.equal("stale_object X1: there (caused by io: below)", tostring(err))
  end))

  it("is described where it cannot be copied", run(function()
    local err = raises("invalid", call, function()
      require("neap").fault.raise { kind = "invalid", fn = print, list = { print } }
    end)
    assert.is_truthy(err.fn:find "^function: builtin" or err.fn:find "^function: ")
    assert.is_truthy(err.list[1]:find "^function: ")
    err = raises(nil, call, function()
      error(setmetatable({}, { __tostring = function() return "as text" end }))
    end)
    assert.are.equal("as text", err)
    err = raises(nil, call, function()
      error(setmetatable({}, { __tostring = function() error("no text", 0) end }))
    end)
    assert.are.equal("no text", err)
  end))

  it("brings the thread's traceback, and the caller's after it (H3)", run(function(reports)
    local function fails()
      call(function()
        local function inner() error("a string") end
        inner()
      end)
    end
    local text = trace(fails)
    reports:take "background"
    assert.is_truthy(text:find("in local 'inner'.*\nin a thread, called from\n"
      .. "stack traceback:\n.*in upvalue 'fails'") or text:find("in local 'inner'.*\n"
      .. "in a thread, called from\nstack traceback:\n.*call_spec"), text)
  end))

  it("brings both for faults and tables (H3)", run(function(reports)
    local err = raises("io", call, "require('neap').fault.raise { kind = 'io' }")
    assert.is_truthy(err.traceback:find(
      "%[string .*in a thread, called from\nstack traceback:\n.*call_spec"), err.traceback)
    local text = trace(function() call "error {}" end)
    reports:take "background"
    assert.is_truthy(text:find(
      "%[string .*in a thread, called from\nstack traceback:\n.*call_spec"), text)
  end))

  it("says what is wrong with the code", run(function()
    assert.are.equal("[string \"return 1 +\"]:1: unexpected symbol near <eof>",
      raises(nil, call, "return 1 +"))
    assert.are.equal("neap.thread.call: module 'string' has no function 'nope'",
      raises(nil, call, "string:nope"))
    assert.is_truthy(raises(nil, call, "no.such:thing"):find "^module 'no.such' not found")
    assert.is_truthy(raises(nil, call, "spec.thread.jobs:number")
      :find "attempt to call a number value")
  end))

  it("is one where the stack overflows", run(function()
    local err = raises(nil, call, function()
      local function f() return 1 + f() end
      f()
    end)
    assert.is_truthy(err:find "stack overflow", err)
    assert.are.equal(1, call "return 1")
  end))

  -- The address sanitizer ends a process that asks for that much.
  if not shell.build:find "asan" then
    it("is lack of memory there, not here", run(function()
      local err = raises(nil, call, function()
        return io.open("/dev/zero"):read(1 << 46)
      end)
      assert.is_truthy(err:find "not enough memory$", err)
      assert.are.equal(1, call "return 1")
    end))
  end
end)
