local neap = require "neap"
local test = require "neap.test"
local fixture = require "spec.test.fixture"

local it = test.it { clock = "virtual" }
local plain = require("busted").it

--- The fixture must fail once, with this text.
local function fails(text, sentence, env)
  local out = fixture.run(text, env)
  assert.same({ 0, 1 }, { out.successes, out.failures + out.errors }, out.text)
  assert.is_truthy(out.text:find(sentence, 1, true),
    ("%q is not in:\n%s"):format(sentence, out.text))
  return out
end

describe("a body", function()
  it("is a task in a run of its own", function()
    assert.equal("running", neap.current():status())
    neap.sleep(3600)
  end)

  plain("runs on the real clock unless told otherwise", function()
    local from = os.clock()
    test.run(function() neap.sleep(0.01) end)
    test.run({ clock = "virtual" }, function() neap.sleep(3600) end)
    assert.is_true(os.clock() - from < 5)
  end)

  plain("gives its values to test.run, and raises its error itself", function()
    assert.same({ 1, nil, 3, n = 3 },
      table.pack(test.run(function() return 1, nil, 3 end)))
    local mine = {}
    local ok, err = pcall(test.run, function() neap.sleep(0) error(mine) end)
    assert.is_false(ok)
    assert.equal(mine, err)
  end)

  plain("has its name in the tree", function()
    local tree = fixture.run [[
      it("says who it is", function() print(neap.dump()) end)
    ]].text
    assert.matches("says who it is #%d+ running", tree)
  end)

  plain("fails as luassert fails, with its line", function()
    local out = fails([[
      it("compares", function()
        neap.sleep(1)
        assert.equal(1, 2)
      end)
    ]], "Expected objects to be equal")
    assert.equal(1, out.failures)
    assert.is_truthy(out.text:find(
      ("x_spec.lua:%d: Expected"):format(fixture.first + 2), 1, true), out.text)
  end)

  plain("is pending when it says so", function()
    local out = fixture.run [[
      it("later", function() neap.sleep(1) pending "not today" end)
    ]]
    assert.same({ 0, 0, 0, 1 },
      { out.successes, out.failures, out.errors, out.pending }, out.text)
    assert.is_truthy(out.text:find("not today", 1, true))
  end)

  plain("shows the line of an error and where it came from", function()
    local out = fails([[
      local function deep() neap.sleep(1) error "no" end
      it("breaks", function() deep() end)
    ]], ("x_spec.lua:%d: no"):format(fixture.first), "FLAGS=-v")
    assert.equal(1, out.errors)
    assert.matches("stack traceback:.-x_spec.lua:%d+: in .-deep", out.text)
  end)

  plain("shows the line of a fault, which does not know it", function()
    fails([[
      it("is late", function()
        neap.timeout(1, neap.sleep, 2)
      end)
    ]], ("x_spec.lua:%d: timeout: timeout after 1 s"):format(fixture.first + 1))
  end)

  plain("is found by busted at its own line", function()
    local out = fixture.run([[
      it("here", function() error "no" end)
      it "there" (function() error "no" end)
    ]])
    assert.equal(2, out.errors)
    for line = fixture.first, fixture.first + 1 do
      assert.matches(("x_spec.lua @ %d\n"):format(line), out.text)
    end
  end)

  plain("has busted's hooks around its run, and finally", function()
    local out = fixture.run [[
      local steps = {}
      local function step(s) steps[#steps + 1] = s .. tostring(neap.current() ~= nil) end
      before_each(function() step "before " end)
      after_each(function() step "after " print(table.concat(steps, ", ")) end)
      it("walks", function()
        finally(function() step "finally " end)
        neap.sleep(1)
        step "body "
      end)
    ]]
    assert.equal(1, out.successes, out.text)
    assert.matches("before false, body true, finally false, after false", out.text)
  end)

  plain("needs busted, or test.run", function()
    local _ <close> = test.patch(package.loaded, "busted", nil)
    local ok, err = pcall(test.it, "alone", function() end)
    assert.is_false(ok)
    assert.is_true(neap.fault.is(err, "invalid"))
    assert.matches("test.run", tostring(err))
  end)

  plain("takes options, and knows them", function()
    local ok, err = pcall(test.it, { time_out = 1 })
    assert.is_false(ok)
    assert.matches("unknown option 'time_out'; did you mean 'timeout'", tostring(err))
    ok, err = pcall(test.it, { leaks = { tassks = false } })
    assert.is_false(ok)
    assert.matches("unknown option 'tassks'; did you mean 'tasks'", tostring(err))
    ok, err = pcall(test.it, 7, print)
    assert.is_false(ok)
    assert.matches("a name or options expected, got number", err)
    ok, err = pcall(test.it, "x", 7)
    assert.is_false(ok)
    assert.matches("function expected, got number", err)
  end)

  plain("of an it made from another it has the options of both", function()
    fails([[
      local base = test.it { timeout = 0.05 }
      base { clock = "virtual" } ("spins", function()
        while true do neap.sleep(1) end
      end)
    ]], "still running after 0.05 s")
  end)
end)

describe("the deadline of a body", function()
  plain("is real, and shows the tree", function()
    local out = fails([[
      it { timeout = 0.1, clock = "real" } ("hangs", function()
        neap.spawn(neap.sleep, 77)
        neap.queue(1):get()
      end)
    ]], "still running after 0.1 s")
    assert.matches("hangs #%d+ waiting in queue:get", out.text)
    assert.matches("waiting in neap.sleep", out.text)
    assert.matches(("x_spec.lua:%d: in function"):format(fixture.first + 2), out.text)
  end)

  plain("is real on the virtual clock too", function()
    fails([[
      it { timeout = 0.1 } ("hangs", function()
        while true do neap.sleep(3600) end
      end)
    ]], "still running after 0.1 s")
  end)

  plain("ends a loop that never waits", function()
    local out = fails([[
      it { timeout = 0.1 } ("spins", function()
        while true do end
      end)
    ]], "still running after 0.1 s")
    assert.matches("spins #%d+ running", out.text)
    assert.matches(("x_spec.lua:%d: in function"):format(fixture.first + 1), out.text)
  end)

  plain("ends a loop that never waits and catches errors", function()
    fails([[
      it { timeout = 0.1 } ("spins", function()
        local function spin() while true do end end
        while true do pcall(spin) end
      end)
    ]], "still running after 0.1 s")
  end)

  plain("ends a loop inside coroutines of the body's own", function()
    fails([[
      it { timeout = 0.1 } ("spins", function()
        local inner = coroutine.wrap(function() while true do end end)
        coroutine.wrap(function() inner() end)()
      end)
    ]], "still running after 0.1 s")
  end)

  plain("ends a loop that catches errors around such coroutines", function()
    fails([[
      local function spin() while true do end end
      local function catch() while true do pcall(coroutine.wrap(spin)) end end
      it { timeout = 0.1 } ("spins", function() coroutine.wrap(catch)() end)
    ]], "still running after 0.1 s")
  end)

  plain("ends a body that does not let itself be cancelled", function()
    fails([[
      it { timeout = 0.1 } ("clings", function()
        while true do pcall(neap.sleep, 1) end
      end)
    ]], "it did not end when it was cancelled")
  end)

  plain("leaves the tests after it alone", function()
    local out = fixture.run [[
      it { timeout = 0.1 } ("spins", function() while true do end end)
      it("counts", function() for i = 1, 100000 do local _ = i end end)
      it("sleeps", function() neap.sleep(1) end)
    ]]
    assert.same({ 2, 1 }, { out.successes, out.errors }, out.text)
  end)

  plain("shows the tree of the body, without the kit's own traceback", function()
    for _, body in ipairs { "neap.sleep(60)", "neap.event():wait()" } do
      local out = fixture.run(("it { timeout = 0.1, clock = 'real' } ('stands', function() %s end)")
        :format(body))
      assert.equal(1, out.errors)
      assert.is_truthy(out.text:find("neap%.test #%d+ [^\n]*\n  scope, 1 task\n    stands #%d+ waiting"), out.text)
      assert.is_nil(out.text:find("| [^\n]*body.lua"), out.text)
    end
  end)

  plain("is not needed for a deadlock", function()
    local out = fails([[
      it("waits for ever", function() neap.event():wait() end)
    ]], "deadlock")
    assert.matches("waits for ever #%d+ waiting in event:wait", out.text)
  end)
end)

describe("a body inside of a body", function()
  it("is refused, and does not disturb it", function()
    local t = {}
    local patched = test.patch(t, "a", 1)
    local ok, err = pcall(test.run, function() end)
    assert.is_false(ok)
    assert.matches("a body cannot run inside of a run", tostring(err))
    patched:restore()
  end)
end)

describe("after a body", function()
  plain("no background task may be left", function()
    local out = fails([[
      it("leaks", function()
        neap.background(function() neap.event():wait() end)
      end)
    ]], "left running in the background: task x_spec.lua")
    assert.matches("x_spec.lua:%d+: in function", out.text)
  end)

  plain("none that waits for I/O, which no virtual clock ends", function()
    fails([[
      it { timeout = 0.2 } ("leaks", function()
        local pipe = require("stranger").pipe()
        neap.background(pipe.read, pipe)
      end)
    ]], "left running in the background")
  end)

  plain("no handle may be left", function()
    local out = fails([[
      local kept
      it("opens", function() kept = require("stranger").pipe() end)
    ]], "left behind: 1 handle")
    assert.is_nil(out.text:find("timer", 1, true))
  end)

  plain("what an earlier test has left is not this one's", function()
    local out = fixture.run [[
      local kept, forgotten -- the second is garbage, but not before it counts
      after_each(function() forgotten = nil end)
      it("opens", function() kept = require("stranger").pipe() end)
      it("opens too", function() forgotten = require("stranger").pipe() end)
      it("does not", function() neap.sleep(1) end)
      it("closes", function() kept:close() end)
      it("does not either", function() neap.sleep(1) end)
    ]]
    assert.same({ 3, 2 }, { out.successes, out.errors }, out.text)
  end)

  plain("a background task may still end by itself", function()
    local out = fixture.run [[
      it("tidies up", function()
        neap.background(function() neap.sleep(0.5) end)
      end)
    ]]
    assert.equal(1, out.successes, out.text)
  end)

  plain("no failure may be unread", function()
    local out = fails([[
      it("overhears", function()
        neap.background(function() error "boom" end)
        neap.sleep(1)
      end)
    ]], "reported as 'background'")
    assert.matches("boom", out.text)
  end)

  it("a failure may be read", function(reports)
    neap.background(function() error "boom" end)
    test.settle()
    local ok, err = pcall(reports.take, reports, "listener")
    assert.is_false(ok)
    assert.matches("the oldest report is of 'background', not of 'listener'", err)
    assert.matches("boom", reports:take("background").error)
    assert.has_error(function() reports:take() end, "no report")
  end)

  plain("a broken lock is unread", function()
    fails([[
      it("forgets", function() neap.lock():acquire() end)
    ]], "reported as 'lock'")
  end)

  plain("a failed body shows what was reported as well", function()
    local out = fixture.run [[
      it("fails", function()
        neap.background(function() error "boom" end)
        neap.sleep(1)
        error "mine"
      end)
    ]]
    assert.equal(1, out.errors, out.text)
    assert.matches("neap.test: reported as 'background'", out.text)
    assert.matches("mine", out.text)
  end)

  plain("no listener may be left on an emitter that was there", function()
    fails([[
      local em = neap.emitter()
      it("listens", function() em:on("x", print) em:on("y", print) end)
    ]], "left behind: 2 listeners on an emitter that was there before")
  end)

  local outer = neap.emitter()
  it("listeners may be gone, or on the test's own emitters", function()
    local _ <close> = outer:on("x", print)
    neap.emitter():on("x", print)
  end)

  plain("no patch may be left, and none is", function()
    local out = fixture.run [[
      it("patches", function() test.patch(os, "time", print) end)
      it("finds the time", function() assert.is_number(os.time()) end)
    ]]
    assert.same({ 1, 1 }, { out.successes, out.errors }, out.text)
    assert.matches("patch of \"time\", made at x_spec.lua:%d+, was not restored", out.text)
  end)

  plain("no number of a sequence may be missing", function()
    fails([[
      it("skips", function()
        local seq = test.sequence()
        seq(1)
        neap.move_on_after(1, seq, 3)
      end)
    ]], "2 was never called; 3 waited")
  end)

  plain("a deadlock says which number of a sequence is missing", function()
    fails([[
      it("skips", function()
        local seq = test.sequence()
        seq(1)
        seq(3)
      end)
    ]], "2 was never called; 3 waited")
  end)

  plain("what may be left can be said", function()
    local out = fixture.run [[
      local em = neap.emitter()
      local function all()
        em:on("x", print)
        test.patch(os, "time", print)
        neap.background(function() neap.sleep(1) error "boom" end)
        neap.background(function() neap.event():wait() end)
      end
      it { leaks = false } ("anything", all)
      it { leaks = { listeners = false, patches = false, reports = false, tasks = false } } ("these", all)
      it { leaks = { listeners = false, patches = false, tasks = false } } ("not those", all)
      it { on_error = function() end, leaks = { listeners = false, patches = false, tasks = false } } ("heard", all)
    ]]
    assert.same({ 3, 1 }, { out.successes, out.errors }, out.text)
  end)
end)

describe("the order of tasks", function()
  local ORDER <const> = [[
      it%s("is %s", function()
        local order = {}
        neap.scope(function(s)
          for i = 1, 8 do s:spawn(function() order[#order + 1] = i end) end
        end)
        print("order " .. table.concat(order))
      end)
  ]]

  plain("is what it is", function()
    local out = fixture.run(ORDER:format("", "kept"))
    assert.matches("order 12345678", out.text)
  end)

  plain("is shuffled by a seed, the same each time", function()
    local orders = {}
    for _ = 1, 2 do
      local out = fixture.run(ORDER:format("{ shuffle = 7 }", "shuffled"))
      orders[#orders + 1] = out.text:match "order (%d+)"
    end
    assert.equal(orders[1], orders[2])
    assert.are_not.equal("12345678", orders[1])
  end)

  plain("is shuffled by NEAP_TEST_SEED, unless the test will not", function()
    local text = ORDER:format("", "shuffled") ..
      ORDER:format("{ shuffle = false }", "kept")
    local out = fixture.run(text, "NEAP_TEST_SEED=7")
    local first, second = out.text:match "order (%d+).-order (%d+)"
    assert.are_not.equal("12345678", first)
    assert.equal("12345678", second)
  end)

  plain("is told by its seed when the test fails", function()
    local out = fixture.run([[
      local runs = 0
      it { shuffle = true, repeats = 3 } ("fails at last", function()
        runs = runs + 1
        assert(runs < 3, "third")
      end)
    ]], "NEAP_TEST_SEED=5")
    assert.equal(1, out.errors + out.failures, out.text)
    assert.matches('neap.test: "fails at last" failed with NEAP_TEST_SEED=7', out.text)
  end)

  plain("needs a seed that is one", function()
    fails("", "NEAP_TEST_SEED must be a whole number from 1 on, got 'x'", "NEAP_TEST_SEED=x")
  end)

  plain("is not told when the test passes or is pending", function()
    local out = fixture.run([[
      it("passes", function() neap.sleep(1) end)
      it("waits", function() pending "later" end)
    ]], "NEAP_TEST_SEED=5")
    assert.same({ 1, 1 }, { out.successes, out.pending }, out.text)
    assert.is_nil(out.text:find("NEAP_TEST_SEED", 1, true))
  end)
end)
