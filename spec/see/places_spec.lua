local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath
local stranger = require "stranger"

--- The entries of a dump that have this field, with this value if one is given.
local function entries(field, value)
  local list = {}
  for _, entry in ipairs(neap.dump { format = "table" }.entries) do
    if entry[field] ~= nil and (value == nil or entry[field] == value) then
      list[#list + 1] = entry
    end
  end
  return list
end

describe("a dump of coroutines in C", function()
  it("has file and line of each that a task awaits, down to its wait (R10)", run({ clock = "real" }, function()
    local errand = stranger.errand()
    local task = neap.spawn(errand.twice, errand, 0.05, 10)
    neap.checkpoint()
    neap.checkpoint()
    local entry = entries("task", task)[1]
    assert.are.equal(2, #entry.coroutine)
    for _, step in ipairs(entry.coroutine) do
      assert.are.equal("errand", step.name)
      assert.is_truthy(step.at:find "stranger.c:%d+$")
    end
    assert.are_not.equal(entry.coroutine[1].at, entry.coroutine[2].at)
    assert.are.equal("sleep", entry.op)
    assert.is_truthy(neap.dump():find(("in errand at %s > errand at %s, in sleep ("):format(
      entry.coroutine[1].at, entry.coroutine[2].at), 1, true))
    task:join()
  end))

  it("has those that nobody awaits, until they end (R10)", run({ clock = "real" }, function()
    local errand = stranger.errand()
    assert.are.equal(0, #entries("kind", "coroutine"))
    errand:start(0.01, 10)
    neap.checkpoint()
    local alone = entries("kind", "coroutine")
    assert.are.equal(1, #alone)
    assert.is_truthy(alone[1].coroutine[1].at:find "stranger.c:%d+$")
    assert.is_truthy(neap.dump():find "\nC coroutine errand at [^\n]*stranger.c:%d+, in sleep\n")
    while select(3, errand:state()) do neap.sleep(0.005) end
    assert.are.equal(0, #entries("kind", "coroutine"))
  end))
end)

describe("a dump may be made", function()
  local function check() assert.are.equal("string", type(neap.dump())) end

  it("outside of a run, before and after (R10)", function()
    check()
    assert.are.same({}, neap.dump({ format = "table" }).entries)
    neap.run(check)
    check()
    assert.are.same({}, neap.dump({ format = "table" }).entries)
  end)

  it("in a handler of reports, of the task that fails just then (R10)", function()
    local text
    neap.run({ on_error = function() text = neap.dump() end }, function()
      neap.background(function() error "x" end).name = "the failing one"
      neap.sleep(0.001)
    end)
    assert.is_truthy(text:find("the failing one #%d+ failed"))
  end)

  it("in the shutdown, and has run's own task then (R10)", function()
    local texts = {}
    neap.run({ clock = "virtual" }, function()
      neap.at_exit(function() texts[1] = neap.dump() end)
      neap.background(function()
        neap.sleep(1)
        texts[2] = neap.dump()
      end)
    end)
    assert.is_truthy(texts[1]:find("neap.run #%d+ %l+"), texts[1])
    assert.is_truthy(texts[2]:find("neap.run #%d+ waiting for background tasks"))
  end)

  it("in a listener, a generator, and a coroutine of one's own (R10)", run(function()
    local em, texts = neap.emitter(), {}
    em:on("x", function() texts[1] = neap.dump() end)
    em:emit "x"
    for _ in neap.gen(function(yield)
      texts[2] = neap.dump()
      yield(1)
    end) do texts[3] = neap.dump() end
    coroutine.wrap(function() texts[4] = neap.dump() end)()
    table.sort({ 2, 1 }, function(a, b)
      texts[5] = neap.dump()
      return a < b
    end)
    for i = 1, 5 do assert.is_truthy(texts[i]:find("#%d+ running"), i) end
  end))

  it("in a finalizer, and none runs while it is made (R10)", run(function()
    local text, collected
    setmetatable({}, { __gc = function() text = neap.dump() end })
    collectgarbage()
    assert.is_truthy(text:find("#%d+ running"))
    for _ = 1, 200 do neap.spawn(neap.sleep, 1) end
    neap.checkpoint()
    neap.checkpoint()
    collectgarbage("setpause", 0)
    for _ = 1, 20 do
      setmetatable({}, { __gc = function() collected = true end })
      neap.dump()
    end
    collectgarbage("setpause", 200)
    collectgarbage()
    assert.is_true(collected)
    assert.is_true(collectgarbage "isrunning")
  end))

  it("when the collector rests, which then goes on resting (R10)", run(function()
    collectgarbage "stop"
    neap.dump()
    local running = collectgarbage "isrunning"
    collectgarbage "restart"
    assert.is_false(running)
  end))

  it("of what was given up in a deadlock, with the tasks that went first (R6)", function()
    local ok, err = pcall(neap.run, { clock = "virtual", on_error = function() end }, function()
      for i = 1, 2000 do neap.spawn(neap.sleep, math.huge).name = "sleeper " .. i end
      neap.event():wait()
    end)
    assert.is_false(ok)
    assert.is_truthy(err.message:find("tasks are not shown", 1, true))
    assert.is_true(#err.message < 1000000)
  end)
end)
