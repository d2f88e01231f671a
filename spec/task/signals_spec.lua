local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function send(name) os.execute("kill -" .. name .. " $PPID") end

describe("neap.signals", function()
  it("gives the names in the order in which they come, one lost in between not (R14)",
    run({ clock = "real" }, function()
      local s <close> = neap.signals("HUP", "SIGUSR2")
      send "HUP"
      neap.sleep(0.02)
      send "USR2"
      neap.sleep(0.02)
      send "HUP"
      neap.sleep(0.02)
      assert.are.equal("HUP", s())
      assert.are.equal("USR2", s:next())
      assert.are.equal("HUP", s())
    end))

  it("wakes the task that waits, in a loop (R14)", run({ clock = "real" }, function()
    local got = {}
    neap.scope({ on_exit = "cancel" }, function(s)
      s:spawn(function()
        for name in neap.signals "HUP" do got[#got + 1] = name end
      end)
      for i = 1, 3 do
        neap.checkpoint()
        send "HUP"
        while #got < i do neap.sleep(0.001) end
      end
    end)
    assert.are.same({ "HUP", "HUP", "HUP" }, got)
  end))

  it("is no deadlock, and can be cancelled (R14, W5)", run({ clock = "real" }, function()
    local s <close> = neap.signals "USR2"
    assert.is_false(neap.move_on_after(0.02, s))
    send "USR2"
    assert.are.equal("USR2", s())
  end))

  it("ends when it is closed, also for who waits (R14)", run(function()
    local s = neap.signals "USR2"
    local task = neap.spawn(function() return select("#", s()), s() end)
    neap.checkpoint()
    neap.checkpoint()
    s:close()
    assert.are.same({ 1, nil }, { task:await() })
    assert.is_nil(s())
    s:close()
  end))

  it("has one task waiting at a time (R14)", run(function()
    local s = neap.signals "USR2"
    local task = neap.spawn(s.next, s)
    neap.checkpoint()
    raises("invalid", s)
    s:close()
    task:join()
  end))

  it("is closed at the end of its scope (R14, I4)", run(function()
    local s
    neap.scope(function() s = neap.signals "USR2" end)
    if not require("neap.probe").for_close_ok then raises("closed", s) end
  end))

  it("leaves an ended process to its signals (R14)", run(function()
    for _ = 1, 3 do
      local s = neap.signals("HUP", "INT", "TERM", "USR1", "CHLD")
      s:close()
    end
  end))

  it("refuses what is no signal, or cannot be caught (R14)", run(function()
    for _, bad in ipairs { "KILL", "STOP", "", "hup", "SEGV" } do
      local ok, err = pcall(neap.signals, "HUP", bad)
      assert.is_false(ok)
      assert.is_truthy(err:find("#2 to 'signals'", 1, true), err)
    end
    local _, whose = pcall(function() local s = neap.signals "NONE" return s end)
    assert.is_truthy(whose:find("^[^:]*signals_spec.lua:%d+: bad argument"), whose)
    for _, bad in ipairs { 1, true, {} } do assert.is_false((pcall(neap.signals, bad))) end
    assert.is_false((pcall(neap.signals)))
    local ok, err = pcall(neap.signals, "HUP", "SIGHUP")
    assert.is_false(ok)
    assert.is_truthy(err:find("named before", 1, true), err)
  end))
end)
