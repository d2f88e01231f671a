local shell = require "spec.support.shell"

--- Run a Lua program in a process of its own.
local function program(text)
  local directory = shell.directory()
  shell.write(directory .. "/p.lua", text)
  local status, output = shell.run("exec " .. shell.lua .. " " .. directory .. "/p.lua")
  shell.remove(directory)
  return status, output
end

--- kill(name) in a program: a signal to itself.
local KILL <const> = [[
  local neap = require "neap"
  local pid = io.open("/proc/self/stat"):read("n")
  io.stdout:setvbuf "line"
  local function kill(name) io.popen("kill -" .. name .. " " .. pid):close() end
]]

describe("a signal", function()
  it("INT cancels main; the process ends by it after clean-up: 130 (R7)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        neap.background(function()
          local _ <close> = neap.defer(function() print "background cleaned" end)
          neap.sleep(100)
        end)
        neap.at_exit(function() print "handler" end)
        neap.scope(function(s)
          s:spawn(function()
            local _ <close> = neap.defer(function()
              neap.sleep(0.01)
              print "child cleaned"
            end)
            neap.sleep(100)
          end)
          neap.checkpoint()
          kill "INT"
          local ok, err = pcall(neap.sleep, 100)
          print(err.source)
          error(err, 0)
        end)
      end)
      print "not reached"]])
    assert.are.equal("signal\nchild cleaned\nbackground cleaned\nhandler\n", output)
    assert.are.equal(130, status)
  end)

  it("TERM does likewise: 143, and nothing on stderr (R7)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        neap.checkpoint()
        kill "TERM"
        neap.sleep(100)
      end)]])
    assert.are.equal("", output)
    assert.are.equal(143, status)
  end)

  it("flushes what was written (R7)", function()
    local status, output = program(KILL .. [[
      io.stdout:setvbuf "full"
      io.write "kept"
      neap.run(function()
        kill "INT"
        neap.sleep(100)
      end)]])
    assert.are.equal("kept", output)
    assert.are.equal(130, status)
  end)

  it("that main swallows ends the process all the same (R7)", function()
    local status = program(KILL .. [[
      neap.run(function()
        kill "INT"
        pcall(neap.sleep, 100)
        return 5
      end)]])
    assert.are.equal(130, status)
  end)

  it("does not interrupt what is shielded (R7, C9)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        neap.shield(5, function()
          kill "INT"
          neap.sleep(0.02)
          print "work done"
        end)
        neap.checkpoint()
        print "not reached"
      end)]])
    assert.are.equal("work done\n", output)
    assert.are.equal(130, status)
  end)

  it("the second one gives up what does not end (R8)", function()
    local status, output = program(KILL .. [[
      neap.run({ on_error = function(info) print(info.what) end }, function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        kill "INT"
        neap.shield(1000, function()
          pcall(neap.sleep, 0.02)
          kill "INT"
          pcall(neap.sleep, 1000)
        end)
        print "not reached"
      end)]])
    assert.is_truthy(output:find("closed", 1, true), output)
    assert.is_nil(output:find("not reached", 1, true), output)
    assert.are.equal(130, status)
  end)

  it("breaks a loop that never waits (R8)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        os.execute("(sleep 0.1; kill -INT " .. pid .. ") >/dev/null 2>&1 &")
        while true do end
      end)]])
    assert.is_truthy(output:find("closed", 1, true), output)
    assert.are.equal(130, status)
  end)

  it("breaks a loop that catches it over and over (R8)", function()
    for _, caught in ipairs {
      "pcall(endless)", "pcall(coroutine.wrap(endless))", "xpcall(endless, tostring)",
    } do
      local status, output = program(KILL .. [[
        local function endless() while true do end end
        local ok, err = pcall(neap.run, { signals = "raise" }, function()
          os.execute("(for i in 1 2 3; do sleep 0.1; kill -INT " .. pid ..
            "; done) >/dev/null 2>&1 &")
          while true do ]] .. caught .. [[ end
        end)
        print(ok, err.kind, neap.run(function() return "the next run is left alone" end))]])
      assert.are.equal("false\tinterrupted\tthe next run is left alone\n", output)
      assert.are.equal(0, status)
    end
  end)

  it("gives clean-up its time when it has broken a loop (R8)", function()
    local status, output = program(KILL .. [[
      neap.run(function()
        local _ <close> = setmetatable({}, { __close = function()
          for i = 1, 200000 do _ENV.n = i end
          print "closed"
        end })
        os.execute("(sleep 0.1; kill -INT " .. pid .. ") >/dev/null 2>&1 &")
        while true do end
      end)]])
    assert.is_truthy(output:find("closed", 1, true), output)
    assert.are.equal(130, status)
  end)

  it("twice names main too, if it was given up (R8, R3)", function()
    local status, output = program(KILL .. [[
      neap.run({ on_error = function(info) print(info.what, info.name) end }, function()
        neap.current().name = "stubborn"
        os.execute("(sleep 0.1; kill -INT " .. pid .. "; sleep 0.1; kill -INT " .. pid ..
          ") >/dev/null 2>&1 &")
        neap.shield(100, neap.sleep, 100)
      end)]])
    assert.are.equal("shutdown\tstubborn\n", output)
    assert.are.equal(130, status)
  end)

  it("with signals=\"raise\" makes run raise interrupted (R7)", function()
    local status, output = program(KILL .. [[
      local ok, err = pcall(neap.run, { signals = "raise" }, function()
        kill "INT"
        neap.sleep(100)
      end)
      print(ok, err.kind)
      ok, err = pcall(neap.run, { signals = "raise", on_error = print }, function()
        kill "TERM"
        pcall(neap.sleep, 100)
        return "displaced"
      end)
      print(ok, err.kind)
      print(neap.run(function() neap.sleep(0.001) return "usable" end))]])
    assert.are.equal("false\tinterrupted\nfalse\tinterrupted\nusable\n", output)
    assert.are.equal(0, status)
  end)

  it("displaces an error of main, which is reported (R7, E4)", function()
    local _, output = program(KILL .. [[
      pcall(neap.run, { signals = "raise", on_error = function(info)
        print(info.what, info.error)
      end }, function()
        kill "INT"
        pcall(neap.sleep, 100)
        error("displaced", 0)
      end)]])
    assert.is_truthy(output:find("displaced", 1, true), output)
  end)

  it("with signals=false is left alone (R7)", function()
    local status, output = program(KILL .. [[
      neap.run({ signals = false }, function()
        kill "TERM"
        neap.sleep(5)
        print "not reached"
      end)]])
    assert.are.equal("", output)
    assert.are.equal(143, status)
  end)

  it("after the run means what it meant before (R9)", function()
    local status, output = program(KILL .. [[
      neap.run(function() neap.sleep(0.001) end)
      local ok, err = pcall(function()
        kill "INT"
        for i = 1, 1e9 do end
      end)
      print(ok, err) -- the interpreter's own handler raises
    ]])
    assert.is_truthy(output:find("interrupted!", 1, true), output)
    assert.are.equal(0, status)
    status = program(KILL .. [[
      neap.run(function() neap.sleep(0.001) end)
      kill "TERM"
      for i = 1, 1e9 do end]])
    assert.are.equal(143, status)
  end)

  it("that was ignored before stays ignored (R9)", function()
    local directory = shell.directory()
    shell.write(directory .. "/p.lua", KILL .. [[
      neap.run(function()
        kill "TERM"
        neap.sleep(0.01)
        print "alive"
      end)
      kill "TERM"
      print "still"]])
    local status, output = shell.run("trap '' TERM; " .. shell.lua .. " " .. directory .. "/p.lua")
    shell.remove(directory)
    assert.are.equal("alive\nstill\n", output)
    assert.are.equal(0, status)
  end)

  it("to a run on the virtual clock works too (R7)", function()
    local status = program(KILL .. [[
      neap.run({ clock = "virtual" }, function()
        kill "TERM"
        while true do neap.sleep(1) end
      end)]])
    assert.are.equal(143, status)
  end)

  it("ends at its fourth a process in C code that never answers (R8)", function()
    local status = program(KILL .. [[
      neap.run(function()
        io.popen("(for i in 1 2 3 4 5 6; do kill -INT " .. pid ..
          "; sleep 0.2; done; sleep 3; kill -KILL " .. pid ..
          ") </dev/null >/dev/null 2>&1 &"):close()
        -- for years: a pattern is matched by one call of C
        string.find(("a"):rep(40000), (".-"):rep(20) .. "b")
      end)]])
    assert.are.equal(130, status)
  end)

  it("that is answered may come any number of times (R8)", function()
    local status, output = program(KILL .. [[
      neap.run({ signals = "raise" }, function()
        for _ = 1, 8 do
          kill "INT"
          local t = os.clock()
          while os.clock() - t < 0.1 do end
          pcall(neap.shield, 10, neap.checkpoint)
        end
      end)]])
    assert.is_truthy(output:find("interrupted by signal 2", 1, true))
    assert.are.equal(1, status)
  end)
end)
