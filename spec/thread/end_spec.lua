local jobs = require "spec.thread.jobs"
local neap = require "neap"
local shell = require "spec.support.shell"

--- Run a script in a process of its own; its status and what it wrote.
local function script(text)
  local directory = shell.directory()
  shell.write(directory .. "/main.lua", text)
  local status, output = shell.run("lua5.4 " .. directory .. "/main.lua")
  shell.remove(directory)
  return status, output
end

describe("the end", function()
  it("of a Lua state waits for calls that run, and drops those in line", function()
    local status, output = script [[
      local neap = require "neap"
      -- Under a checker a thread's state is long in the making.
      local slow = tonumber(os.getenv "NEAP_SLOWDOWN") or 1
      neap.thread.limit(2)
      neap.run(function()
        for i = 1, 6 do
          neap.spawn(neap.thread.call, function(i, slow)
            os.execute("sleep " .. 0.1 * slow)
            io.stdout:write("ran ", i, "\n")
            return { ("x"):rep(1000) }
          end, i, slow)
        end
        neap.sleep(0.05 * slow)
        os.exit(true, true)
      end)]]
    assert.are.equal(0, status, output)
    local ran = {}
    for i in output:gmatch "ran (%d)\n" do ran[#ran + 1] = i end
    table.sort(ran)
    assert.are.same({ "1", "2" }, ran, output)
  end)

  it("of a run gives a call up when its time is over", function()
    local gate <close> = jobs.gate()
    local reports = {}
    neap.run({
      clock = "real", grace = 0.05, kill_after = 0.05,
      on_error = function(info) reports[#reports + 1] = info end,
    }, function()
      neap.background(neap.thread.call, "spec.thread.jobs:pass", gate.path, "a")
      gate:expect "a"
    end)
    assert.are.equal(1, #reports)
    assert.are.equal("shutdown", reports[1].what)
    assert.is_truthy(tostring(reports[1].error):find("in neap.thread.call", 1, true))
    gate:open(1) -- it comes back to nobody
    neap.run(function()
      assert.are.equal(1, neap.thread.call "return 1")
      neap.timeout(20, function()
        while neap.stats().pending > 0 do neap.sleep(0.005) end
      end)
    end)
  end)

  it("of a run gives up calls in line, and the next run has them not", function()
    local gate <close> = jobs.gate()
    local was, reports = neap.thread.limit(1), {}
    neap.run({
      clock = "real", grace = 0.02, kill_after = 0.02,
      on_error = function(info) reports[#reports + 1] = info end,
    }, function()
      local function stubborn(name)
        return neap.shield(100, neap.thread.call, "spec.thread.jobs:pass", gate.path, name)
      end
      neap.background(stubborn, "a")
      gate:expect "a"
      neap.background(stubborn, "b")
    end)
    assert.are.equal(2, #reports)
    gate:open(2)
    neap.run(function()
      assert.are.equal(1, neap.thread.call "return 1")
      neap.sleep(0.02)
    end)
    assert.are.equal("a", gate:arrived())
    neap.thread.limit(was)
  end)

  it("of a process comes by a signal though a thread waits for a file", function()
    local directory = shell.directory()
    shell.check("mkfifo " .. directory .. "/fifo")
    shell.write(directory .. "/main.lua", [[
      local neap = require "neap"
      io.stdout:write "out"
      neap.run({ on_error = function() end }, neap.thread.call, function(path)
        local file = io.open(path .. "/fifo", "r+")
        io.open(path .. "/ready", "w"):close()
        return file:read(1)
      end, ...)]])
    local output = shell.check(("cd %s && { lua5.4 main.lua %s & p=$!; "
      .. "until [ -e ready ]; do sleep 0.01; done; "
      .. "while kill -TERM $p 2>/dev/null; do sleep 0.2; done; wait $p; echo $?; }")
      :format(directory, directory))
    shell.remove(directory)
    assert.is_truthy(output:find "out" and output:find "143\n$", output)
  end)

  it("of a state finds garbage of calls that nobody waits for", function()
    local status, output = script [[
      local neap = require "neap"
      pcall(neap.run, function()
        local list = {}
        for i = 1, 50 do
          list[i] = neap.spawn(neap.thread.call, "return ...", ("x"):rep(1000))
        end
        neap.sleep(0)
        error "enough"
      end)
      collectgarbage()
      print "here"]]
    assert.are.equal(0, status, output)
    assert.is_truthy(output:find "here")
  end)
end)
