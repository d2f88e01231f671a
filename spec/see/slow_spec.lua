local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

-- Under a checker all is slower: what must not count as slow needs room.
local SLOWDOWN <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1
local LIMIT <const> = 50 * SLOWDOWN

--- Keep the processor busy; the line of the loop is in `spin_line`. In time of
--- the processor: on a busy machine the thread that watches must get its turn.
local spin_line
local function spin(ms)
  local till = os.clock() + ms / 1000
  spin_line = debug.getinfo(1, "l").currentline + 1
  repeat local over = os.clock() >= till until over
end

--- Without what is told while a step still runs: on a busy machine that may be.
local function ended(reports)
  for i = #reports, 1, -1 do
    if reports[i].error.message:find("still does", 1, true) then table.remove(reports, i) end
  end
  return reports
end

local SLOW <const> = { clock = "real", slow_ms = LIMIT }

describe("a step that takes longer than slow_ms", function()
  it("is reported with task, duration and the stack of the stall (R16)", run(SLOW, function(reports)
    local task = neap.spawn(function()
      spin(3 * LIMIT)
      neap.sleep(0.001) -- where it waits when it is reported
    end)
    task.name = "busy"
    task:join()
    local info = ended(reports):take "slow"
    assert.are.equal(task, info.task)
    assert.are.equal("busy", info.name)
    assert.are.equal("slow", info.error.kind)
    assert.is_truthy(info.error.message:find("task busy ran for ", 1, true))
    assert.is_true(info.error.seconds >= LIMIT / 1000)
    assert.is_truthy(info.traceback:find("slow_spec.lua:" .. spin_line, 1, true), info.traceback)
    assert.is_nil(info.traceback:find("sleep", 1, true), info.traceback)
  end))

  it("shows the C function that took the time (R16)", run(SLOW, function(reports)
    neap.spawn(function() os.execute(("sleep %.3f"):format(4 * LIMIT / 1000)) end):join()
    local info = ended(reports):take "slow"
    assert.is_truthy(info.traceback:find("in function 'os.execute'", 1, true), info.traceback)
  end))

  it("shows the coroutine that took it, and the task (R16)", run(SLOW, function(reports)
    local function outermost()
      local inner = coroutine.wrap(function() spin(3 * LIMIT) end)
      inner()
      return nil
    end
    neap.spawn(outermost):join()
    local info = ended(reports):take "slow"
    assert.is_truthy(info.traceback:find("slow_spec.lua:" .. spin_line, 1, true))
    assert.is_truthy(info.traceback:find("in a coroutine of the task", 1, true))
    assert.is_truthy(info.traceback:find("in local 'inner'", 1, true), info.traceback)
  end))

  it("is reported each time, and only then (R16)", run(SLOW, function(reports)
    for _ = 1, 2 do
      neap.checkpoint()
      spin(2 * LIMIT)
    end
    neap.checkpoint()
    neap.sleep(2 * LIMIT / 1000) -- waiting is no work
    assert.are.equal(2, #ended(reports))
    reports:take "slow"
    reports:take "slow"
  end))

  it("is that of a listener, not of who emits (R16)", run(SLOW, function(reports)
    local em = neap.emitter()
    em:on("x", function()
      neap.current().name = "the listener"
      spin(3 * LIMIT)
    end)
    neap.checkpoint()
    em:emit "x"
    assert.are.equal(1, #ended(reports))
    assert.are.equal("the listener", reports:take("slow").name)
  end))

  it("inside a C function that waits then, not returning, has no stack (R16)", function()
    local list, reports = {}, {}
    for i = 1, 300000 do list[i] = i + 0.5 end
    neap.run({ clock = "real", slow_ms = 2, on_error = function(info)
      reports[#reports + 1] = info
    end }, function()
      neap.checkpoint()
      neap.thread.call("return 1", list) -- copies it, and waits
    end)
    local info = reports[1]
    assert.are.equal("slow", info.what)
    assert.is_truthy(info.traceback:find("no stack", 1, true), info.traceback)
  end)

  it("leaves a debug hook that was there before (R16)", run(SLOW, function(reports)
    local lines = 0
    neap.spawn(function()
      debug.sethook(function() lines = lines + 1 end, "l")
      spin(3 * LIMIT)
      local before = lines
      spin(1)
      assert.is_true(lines > before)
      assert.is_truthy(debug.gethook())
      debug.sethook()
    end):join()
    ended(reports):take "slow"
  end))

  it("is told of while it runs when it does not end (R16)", function()
    local told
    neap.run({ clock = "real", slow_ms = LIMIT / 4, on_error = function(info)
      if info.error.message:find("and still does", 1, true) then told = info end
    end }, function()
      neap.current().name = "endless"
      repeat until told
    end)
    assert.are.equal("slow", told.what)
    assert.are.equal("endless", told.name)
    assert.is_truthy(told.traceback:find("slow_spec.lua", 1, true))
  end)

  it("is not looked for unless it is asked for (R16)", run({ clock = "real" }, function(reports)
    neap.checkpoint()
    spin(3 * LIMIT)
    neap.checkpoint()
    assert.are.equal(0, #reports)
  end))

  it("is one of more than 100 ms in debug mode, unless told otherwise (R16)", function()
    local function reported(opts)
      local n = 0
      opts.on_error = function(info) n = n + (info.what == "slow" and 1 or 0) end
      neap.run(opts, function()
        neap.checkpoint()
        spin(120)
        neap.checkpoint()
      end)
      return n > 0
    end
    assert.is_true(reported { debug = true })
    assert.is_false(reported { debug = true, slow_ms = false })
    assert.is_false(reported { debug = true, slow_ms = 1e6 })
  end)

  it("wants a sensible limit (R16)", function()
    for _, ms in ipairs { 0, -1, 0 / 0, "x", true } do
      local err = run.raises("invalid", neap.run, { slow_ms = ms }, print)
      assert.is_truthy(err.message:find("option 'slow_ms' must be a number above 0", 1, true))
    end
  end)
end)

describe("a call that blocks, in debug mode", function()
  -- Where nothing is slow, so that only the calls are reported.
  local DEBUG <const> = { debug = true, slow_ms = 1e6 }

  it("is reported once for each place (R16)", run(DEBUG, function(reports)
    neap.current().name = "main"
    local line = debug.getinfo(1, "l").currentline
    for _ = 1, 3 do
      os.execute "true" -- line + 2
      io.popen("true"):close()
    end
    local first, second = reports:take "slow", reports:take "slow"
    assert.are.equal(0, #reports)
    assert.is_truthy(first.error.message:find("os.execute at ", 1, true))
    assert.is_truthy(first.error.message:find("slow_spec.lua:" .. line + 2, 1, true))
    assert.is_truthy(first.traceback:find("slow_spec.lua:" .. line + 2, 1, true))
    assert.are.equal("main", first.name)
    assert.is_truthy(second.error.message:find("io.popen", 1, true))
    assert.is_truthy(second.error.message:find("neap.thread.call", 1, true))
  end))

  it("works as ever (R16)", run(DEBUG, function(reports)
    assert.is_true(os.execute())
    assert.are.same({ nil, "exit", 3 }, { os.execute "exit 3" })
    reports:take "slow"
    local f <close> = assert(io.open("spec/see/slow_spec.lua"))
    assert.are.equal("local neap = require \"neap\"", f:read "l")
    assert.are.equal("string", type(io.lines("spec/see/slow_spec.lua")()))
    assert.are.equal(0, #reports) -- a file is no terminal
  end))

  it("is left alone outside of tasks, and after the run (R16)", function()
    local execute, popen, read = os.execute, io.popen, io.stdout.read
    local inside
    neap.run({ debug = true }, function() inside = os.execute end)
    assert.are_not.equal(execute, inside)
    assert.are.equal(execute, os.execute)
    assert.are.equal(popen, io.popen)
    assert.are.equal(read, io.stdout.read)
    pcall(neap.run, { debug = true }, error)
    assert.are.equal(execute, os.execute)
    pcall(neap.run, { debug = true, trace = "/no/such/directory/x" }, error)
    assert.are.equal(execute, os.execute)
  end)

  it("of a terminal is reported (R16)", function()
    if shell.run("command -v script") ~= 0 then error "the command `script` is missing" end
    local script = [[
      local neap = require "neap"
      neap.run({ debug = true, slow_ms = false, on_error = function(info)
        print(info.what, info.error.message)
      end }, function() io.read() io.stdin:read() end)]]
    local directory <close> = setmetatable({ path = shell.directory() }, {
      __close = function(self) shell.remove(self.path) end,
    })
    shell.write(directory.path .. "/s.lua", script)
    local out = shell.check(("printf 'a\\nb\\n' | script -qec %s /dev/null"):format(
      shell.quote(shell.lua .. " " .. directory.path .. "/s.lua")))
    assert.is_truthy(out:find "slow%s+io.read at ", out)
    assert.is_truthy(out:find "slow%s+file:read at ", out)
  end)

  it("of luasocket is reported where that is loaded (R16)", function()
    local was, asleep, found = package.loaded.socket, 0, {}
    local socket = {
      sleep = function() asleep = asleep + 1 end,
      select = function(_, _, timeout) return timeout end, dns = {},
    }
    package.loaded.socket = socket
    neap.run({ debug = true, slow_ms = false, on_error = function(info)
      found[#found + 1] = info.error.message:match "^%S+"
    end }, function()
      socket.sleep(0)
      assert.are.equal(0, (socket.select({}, {}, 0))) -- does not wait
      socket.select({}, {}, 1)
    end)
    package.loaded.socket = was
    assert.are.same({ "socket.sleep", "socket.select" }, found)
    assert.are.equal(1, asleep)
  end)
end)
