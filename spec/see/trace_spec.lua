local neap = require "neap"
local json = require "spec.support.json"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

local directory

--- The events of a file, and what one looks for in them.
local Events = {}
Events.__index = Events

local function read(path)
  return setmetatable(json.read(shell.read(path)), Events)
end

--- All events with these fields.
function Events:all(fields)
  local list = {}
  for _, event in ipairs(self) do
    local fits = true
    for key, v in pairs(fields) do fits = fits and event[key] == v end
    if fits then list[#list + 1] = event end
  end
  return list
end

function Events:one(fields)
  local list = self:all(fields)
  assert.are.equal(1, #list)
  return list[1]
end

--- The track that has this name at last.
function Events:track(name)
  local names, found = {}, nil
  for _, event in ipairs(self:all { ph = "M", name = "thread_name" }) do
    names[event.tid] = event.args.name
  end
  for tid, is in pairs(names) do
    if is == name then
      assert.is_nil(found, "two tracks called " .. name)
      found = tid
    end
  end
  assert.is_truthy(found, "no track called " .. name)
  return found
end

--- Integer nanoseconds, so that sums are exact.
local function ns(us) return math.floor(us * 1000 + 0.5) end

--- Every two slices of a track lie in one another or beside one another; every
--- arrow begins in a slice, and ends in a later one if it ends.
local function check_shape(events)
  local tracks = {}
  for _, e in ipairs(events:all { ph = "X" }) do
    tracks[e.tid] = tracks[e.tid] or {}
    table.insert(tracks[e.tid], { from = ns(e.ts), to = ns(e.ts) + ns(e.dur), name = e.name })
  end
  for _, list in pairs(tracks) do
    table.sort(list, function(a, b)
      if a.from ~= b.from then return a.from < b.from end
      return a.to > b.to
    end)
    local open = {}
    for _, s in ipairs(list) do
      while #open > 0 and open[#open].to <= s.from do table.remove(open) end
      if #open > 0 then
        assert.is_true(s.to <= open[#open].to, s.name .. " leaves " .. open[#open].name)
      end
      open[#open + 1] = s
    end
  end
  local function in_slice(e)
    local at = ns(e.ts)
    for _, s in ipairs(tracks[e.tid] or {}) do
      if s.from <= at and at <= s.to then return true end
    end
  end
  local begins = {}
  for _, e in ipairs(events:all { ph = "s" }) do
    assert.is_nil(begins[e.id])
    begins[e.id] = e
    assert.is_truthy(in_slice(e))
  end
  for _, e in ipairs(events:all { ph = "f" }) do
    assert.is_truthy(in_slice(e))
    assert.is_true(e.ts >= begins[e.id].ts)
  end
end

--- From which tracks do arrows lead to this one?
local function wakers(events, tid)
  local from, list = {}, {}
  for _, e in ipairs(events:all { ph = "s" }) do from[e.id] = e.tid end
  for _, e in ipairs(events:all { ph = "f", tid = tid }) do list[#list + 1] = from[e.id] end
  return list
end

--- Run main with a trace; its events.
local function traced(opts, main)
  opts.trace = directory .. "/trace.json"
  opts.clock = opts.clock or "virtual"
  local ok, err = pcall(run.now, opts, main)
  local events = read(opts.trace)
  check_shape(events)
  if not ok then return events, err end
  return events
end

local function named(name, fn, ...)
  local task = neap.spawn(fn, ...)
  task.name = name
  return task
end

describe("neap.run{trace=}", function()
  setup(function() directory = shell.directory() end)
  teardown(function() shell.remove(directory) end)

  it("writes a track for each task, with its steps, waits and end (R17)", function()
    local events = traced({}, function()
      named("sleeper", function() neap.sleep(5) end)
      neap.current().name = "the main task"
    end)
    local tid = events:track "sleeper"
    events:track "the main task"
    events:track "neap.run"
    assert.are.equal(2, #events:all { ph = "X", tid = tid, name = "run" })
    local wait = events:one { ph = "X", tid = tid, name = "neap.sleep" }
    assert.is_true(wait.dur >= 5e6 and wait.dur < 6e6) -- the clock's time
    events:one { ph = "i", tid = tid, name = "done" }
    local spawn = events:one { ph = "i", name = "spawn", tid = events:track "the main task" }
    assert.are.equal(tid, spawn.args.task)
  end)

  it("gives tasks the numbers that they have in a dump (R17)", function()
    local text
    local events = traced({}, function()
      named("somebody", neap.sleep, 5)
      neap.sleep(1)
      text = neap.dump { traceback = false }
    end)
    assert.is_truthy(text:find("somebody #" .. events:track "somebody" .. " ", 1, true), text)
  end)

  it("takes real time where the clock is real (R17)", function()
    local events = traced({ clock = "real" }, function()
      named("sleeper", neap.sleep, 0.02):join()
    end)
    local wait = events:one { ph = "X", tid = events:track "sleeper", name = "neap.sleep" }
    assert.is_true(wait.dur >= 19e3)
    assert.is_true(#events:all { ph = "X", tid = events:track "loop", name = "poll" } > 0)
  end)

  it("shows who woke whom (R17)", function()
    local events = traced({ order = true }, function()
      local q = neap.queue(math.huge)
      named("taker", q.get, q)
      neap.checkpoint()
      named("giver", q.put, q, 1)
    end)
    local taker, giver = events:track "taker", events:track "giver"
    assert.are.equal(giver, wakers(events, taker)[2])
    local wait = events:one { ph = "X", tid = taker, name = "queue:get" }
    assert.is_truthy(wait.args.object:find "^0x")
  end)

  it("shows the listeners that emit begins, inside of its step (R17)", function()
    local events = traced({}, function()
      local em = neap.emitter()
      em:on("x", function() neap.current().name = "listener" end)
      named("emits", function() em:emit "x" end)
    end)
    local inner = events:one { ph = "X", tid = events:track "listener", name = "run" }
    local outer = events:one { ph = "X", tid = events:track "emits", name = "run" }
    assert.is_true(outer.ts <= inner.ts)
    assert.is_true(ns(inner.ts) + ns(inner.dur) <= ns(outer.ts) + ns(outer.dur))
    assert.are.same({ events:track "emits" }, wakers(events, inner.tid))
  end)

  it("shows cancellations and how tasks end by them (R17)", function()
    local events = traced({}, function()
      local task = named("victim", neap.sleep, 10)
      neap.checkpoint()
      task:cancel "enough"
      pcall(neap.timeout, 1, neap.sleep, 10)
    end)
    local tid = events:track "victim"
    local cancel = events:one { ph = "i", tid = tid, name = "cancel" }
    assert.are.equal("explicit", cancel.args.source)
    events:one { ph = "i", tid = tid, name = "cancelled" }
    local sources = {}
    for _, e in ipairs(events:all { name = "cancel" }) do sources[e.args.source] = true end
    assert.is_true(sources.deadline)
  end)

  it("shows work on the thread pool (R17)", function()
    local events = traced({ clock = "real" }, function()
      neap.gather(function() neap.thread.call("return 1") end,
        function() neap.thread.call("return 2") end)
    end)
    local work = events:all { ph = "X", name = "work" }
    assert.are.equal(2, #work)
    for _, e in ipairs(work) do assert.are.equal(3, e.pid) end
  end)

  it("shows C coroutines, with file and line (R17)", function()
    package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath
    local stranger = require "stranger"
    local events = traced({ clock = "real" }, function()
      stranger.errand():run(0.001, 10)
    end)
    local steps = {}
    for _, e in ipairs(events:all { ph = "X", pid = 2 }) do
      if e.args and e.args.file then steps[#steps + 1] = e end
    end
    assert.is_true(#steps > 1)
    assert.is_truthy(steps[1].args.file:find "stranger%.c$")
    assert.are.equal("number", type(steps[1].args.line))
    assert.is_true(#events:all { ph = "X", pid = 2, name = "sleep" } > 0)
  end)

  it("takes any name (R17)", function()
    local names = { "a \"quote\" \\ and \t\n", "caf\xc3\xa9 \xf0\x9f\x8c\x8a", "latin \xe9",
      "overlong \xc0\xaf \xed\xa0\x80", ("long"):rep(500) }
    local events = traced({}, function()
      for _, name in ipairs(names) do named(name, function() end) end
    end)
    events:track(names[1])
    events:track(names[2])
    events:track "latin \u{e9}"
    events:track(("long"):rep(50) .. "...")
  end)

  it("is whole when main fails, and when it deadlocks (R17)", function()
    local events, err = traced({}, function()
      named("waits", neap.sleep, 100)
      neap.checkpoint()
      error("as planned", 0)
    end)
    assert.are.equal("as planned", err)
    events:one { ph = "i", tid = events:track "waits", name = "cancelled" }
    local path = directory .. "/trace.json"
    run.raises("deadlock", neap.run, { trace = path }, function() neap.future():await() end)
    events = read(path)
    check_shape(events)
    assert.are.equal(1, #events:all { name = "future:await" })
  end)

  it("ends the slices of what is given up (R17)", function()
    local path = directory .. "/trace.json"
    pcall(neap.run, {
      clock = "virtual", trace = path, kill_after = 1, on_error = function() end,
    }, function()
      neap.background(function()
        neap.current().name = "stubborn"
        while true do pcall(neap.sleep, 1000) end
      end)
      neap.sleep(1)
    end)
    local events = read(path)
    check_shape(events)
    local tid = events:track "stubborn"
    assert.is_true(#events:all { tid = tid, ph = "X", name = "neap.sleep" } > 0)
    events:one { tid = tid, ph = "i", name = "cancelled" }
  end)

  it("may be many events long, and begins anew for each run (R17)", function()
    local n = 3000
    local events = traced({}, function()
      for _ = 1, n do neap.spawn(neap.sleep, 1) end
    end)
    assert.are.equal(n, #events:all { name = "neap.sleep" })
    events = traced({}, function() end)
    assert.are.equal(0, #events:all { name = "neap.sleep" })
  end)

  it("must be a path that can be written, or raises (R17)", function()
    for _, path in ipairs { directory .. "/no/such/file.json", directory, "/dev/full" } do
      local err = run.raises("io", neap.run, { trace = path }, print)
      assert.is_truthy(err.message:find("option 'trace': cannot write '" .. path, 1, true))
    end
    local err = run.raises("invalid", neap.run, { trace = 1 }, print)
    assert.is_truthy(err.message:find("option 'trace' must be a string", 1, true))
    assert.are.equal(1, neap.run(function() return 1 end))
  end)

  local SCRIPT <const> = [[
    local neap = require "neap"
    local path, how = arg[1], arg[2]
    neap.run({ trace = path, on_error = function(info)
      print(info.what, info.error)
    end }, function()
      neap.spawn(neap.sleep, 0.01):join()
      if how == "big" then
        for _ = 1, 3000 do neap.spawn(neap.sleep, 0.001) end
        neap.sleep(0.01)
        print "main goes on"
      elseif how == "exit" then
        os.exit(3)
      elseif how == "close" then
        os.exit(3, true)
      else
        io.popen("kill -" .. how .. " $PPID"):close() -- os.execute ignores INT
        neap.sleep(10)
      end
    end)]]

  --- A run in a process of its own.
  local function outside(how, before)
    local path = directory .. "/trace.json"
    shell.write(directory .. "/script.lua", SCRIPT)
    local status, out = shell.run(("%s %s %s %s %s"):format(before or "", shell.lua,
      shell.quote(directory .. "/script.lua"), shell.quote(path), how))
    return read(path), status, out
  end

  it("is whole when a signal ends the run (R17)", function()
    for how, number in pairs { INT = 2, TERM = 15 } do
      local events, status = outside(how)
      assert.are.equal(128 + number, status)
      check_shape(events)
      local cancel = events:all { name = "cancel" }[1]
      assert.are.equal("signal", cancel.args.source)
    end
  end)

  it("is JSON also when the process is killed, or leaves (R17)", function()
    local _, status = outside "KILL"
    assert.are.equal(137, status)
    _, status = outside "exit"
    assert.are.equal(3, status)
    local events
    events, status = outside "close"
    assert.are.equal(3, status)
    assert.is_true(#events:all { name = "neap.sleep" } > 0)
  end)

  it("that cannot be written any more ends there, and is reported once (R17)", function()
    local events, status, out = outside("big", "ulimit -f 200; trap '' XFSZ;")
    assert.are.equal(0, status, out)
    assert.is_truthy(out:find("main goes on", 1, true))
    local _, reports = out:gsub("background\tio: neap.run: the trace file cannot be written", "")
    assert.are.equal(1, reports)
    assert.is_true(#events > 10)
  end)
end)
