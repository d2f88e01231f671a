local shell = require "spec.support.shell"

local SLOWDOWN <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1

--- Run a Lua program in a process of its own.
local function program(text, prefix)
  local directory = shell.directory()
  shell.write(directory .. "/p.lua", text)
  local status, output = shell.run((prefix or "") .. "exec timeout " .. 60 * SLOWDOWN .. " " ..
    shell.lua .. " " .. directory .. "/p.lua")
  shell.remove(directory)
  return status, output
end

--- kill(name) in a program: a signal to itself, now or after a while; sent()
--- tells whether the latter has been done.
local KILL <const> = [[
  local neap = require "neap"
  local pid = io.open("/proc/self/stat"):read("n")
  io.stdout:setvbuf "line"
  local function kill(name) io.popen("kill -" .. name .. " " .. pid):close() end
  local flag = os.tmpname()
  os.remove(flag)
  local function kill_later(name, seconds)
    os.execute(("(sleep %s; kill -%s %d; : > %s) >/dev/null 2>&1 &"):format(seconds, name, pid, flag))
  end
  local function sent()
    local file = io.open(flag)
    if not file then return false end
    file:close()
    os.remove(flag)
    return true
  end
]]

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

describe("SIGUSR1", function()
  it("prints what runs to stderr, and the run goes on (R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        local q = neap.queue(1)
        local getter = neap.spawn(q.get, q)
        getter.name = "the getter"
        neap.checkpoint()
        kill "USR1"
        neap.sleep(0.01)
        q:put(1)
        print("went on", getter:await())
      end)]])
    assert.are.equal(0, status, output)
    assert.are.equal(1, count(output, "neap: what runs now:\n"))
    assert.is_truthy(output:find "the getter #%d+ waiting in queue:get %(queue #1%)")
    assert.is_truthy(output:find "went on%s+1\n$")
  end)

  it("is heard while all wait for a descriptor or the time (R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        neap.current().name = "the waiting main"
        kill_later("USR1", 0.05)
        local event = neap.event()
        neap.spawn(function()
          repeat neap.sleep(0.01) until sent()
          event:set()
        end)
        event:wait()
      end)
      print "done"]])
    assert.are.equal(0, status, output)
    assert.is_truthy(output:find "the waiting main #%d+ waiting in event:wait")
    assert.is_truthy(output:find "done\n$")
  end)

  it("is heard in a loop that never waits, and shows where it is (R11)", function()
    local status, output = program(KILL .. [[
      local function burn()
        while not sent() do end
      end
      neap.run(function()
        neap.current().name = "the burning main"
        kill_later("USR1", 0.2)
        burn()
        print "burnt"
        neap.sleep(0.01)
      end)]])
    assert.are.equal(0, status, output)
    assert.are.equal(1, count(output, "neap: what runs now:\n"))
    assert.is_truthy(output:find "the burning main #%d+ running")
    assert.is_truthy(output:find("in upvalue 'burn'", 1, true), output)
    assert.is_true(output:find("what runs now", 1, true) < output:find("burnt", 1, true))
  end)

  it("is heard in a coroutine of one's own that never waits (R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        kill_later("USR1", 0.2)
        coroutine.wrap(function()
          while not sent() do end
          print "burnt"
        end)()
      end)]])
    assert.are.equal(0, status, output)
    assert.is_true(output:find("what runs now", 1, true) < output:find("burnt", 1, true))
    assert.is_truthy(output:find("in a coroutine that was resumed here", 1, true))
  end)

  it("leaves a debug hook alone, and is heard at the next wait (R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        local n = 0
        debug.sethook(function() n = n + 1 end, "l")
        kill "USR1"
        for _ = 1, 10 do
          n = n + 0
        end
        local hook = debug.gethook()
        print("lines", n > 10, hook ~= nil)
        debug.sethook()
        neap.sleep(0.01)
      end)]])
    assert.are.equal(0, status, output)
    assert.is_true(output:find("lines\ttrue\ttrue", 1, true) < output:find("what runs now", 1, true))
  end)

  it("twenty times in a row does no harm (R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        for _ = 1, 20 do
          kill "USR1"
          neap.sleep(0.001)
        end
        print "done"
      end)]])
    assert.are.equal(0, status, output)
    assert.are.equal(20, count(output, "neap: what runs now:\n"))
    assert.is_truthy(output:find "done\n")
  end)

  it("is the system's affair before and after a run (R9)", function()
    for _, where in ipairs { "before", "after" } do
      local status, output = program(KILL .. (where == "after" and "neap.run(function() end)" or "") .. [[
        kill "USR1"
        print "not reached"]])
      assert.are.equal(128 + 10, status, where)
      assert.are.equal("", output)
    end
  end)

  it("is left alone with signals=false (R7)", function()
    local status, output = program(KILL .. [[
      neap.run({ signals = false }, function()
        kill "USR1"
        neap.sleep(1)
        print "not reached"
      end)]])
    assert.are.equal(128 + 10, status)
    assert.are.equal("", output)
  end)

  it("that is ignored stays ignored (R7)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        kill "USR1"
        neap.sleep(0.01)
        print "done"
      end)]], "trap '' USR1; ")
    assert.are.equal(0, status)
    assert.are.equal("done\n", output)
  end)

  it("and SIGINT do not get into each other's way (R7, R11)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        kill_later("USR1", 0.1)
        while not sent() do end
        kill_later("INT", 0)
        while true do end
      end)]])
    assert.are.equal(130, status, output)
    assert.are.equal(1, count(output, "neap: what runs now:\n"))
  end)
end)
