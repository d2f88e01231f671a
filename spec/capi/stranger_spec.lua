local shell = require "spec.support.shell"
local neap = require "neap"

package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath

describe("a stranger's module", function()
  local stranger = require "stranger"

  it("links nothing of neap's", function()
    local needed = shell.check("readelf -d " .. shell.build .. "/spec/capi/stranger.so")
    assert.is_nil(needed:find("libuv", 1, true))
    assert.is_nil(needed:find("neap", 1, true))
  end)

  describe("awaits a C coroutine", function()
    it("that sleeps and then works on another thread", function()
      local sum, steps, unwound, busy = neap.run(function()
        local errand = stranger.errand()
        local n = errand:run(0.005, 1000)
        return n, errand:state()
      end)
      assert.are.equal(500500, sum)
      assert.are.equal(2, steps)
      assert.are.equal(0, unwound)
      assert.is_false(busy)
    end)

    it("that awaits another one, twice", function()
      local sum, steps = neap.run(function()
        local errand = stranger.errand()
        return errand:twice(0.001, 10), (errand:state())
      end)
      assert.are.equal(110, sum)
      assert.are.equal(4, steps)
    end)

    it("while other tasks go on", function()
      local turns = neap.run(function()
        local errand, n = stranger.errand(), 0
        local task = neap.spawn(errand.run, errand, 0.02, 10)
        while task:status() ~= "done" do
          neap.sleep(0.001)
          n = n + 1
        end
        return n
      end)
      assert.is_true(turns > 2)
    end)

    it("many at once, each with its own answer", function()
      neap.run(function()
        local numbers = {}
        for i = 1, 200 do numbers[i] = i end
        local sums = neap.map(numbers, function(n)
          return stranger.errand():run(0.001, n)
        end)
        for i = 1, 200 do assert.are.equal(i * (i + 1) // 2, sums[i]) end
      end)
    end)

    it("whose sleep stands still on a virtual clock", function()
      local sum, seconds = neap.run({ clock = "virtual" }, function()
        local start = neap.now()
        return stranger.errand():run(3600, 4), neap.now() - start
      end)
      assert.are.equal(10, sum)
      assert.is_true(seconds > 3599.99 and seconds < 3601)
    end)

    it("and its refusal to run twice at once is a fault", function()
      neap.run(function()
        local errand = stranger.errand()
        local task = neap.spawn(errand.run, errand, 0.005, 1)
        neap.checkpoint()
        local ok, err = pcall(errand.run, errand, 0, 1)
        assert.is_false(ok)
        assert.are.equal("invalid", err.kind)
        assert.are.equal("the errand is running", err.message)
        assert.are.equal(1, task:await())
      end)
    end)
  end)

  describe("is cancelled by Lua", function()
    it("in the sleep of a coroutine, which unwinds", function()
      neap.run(function()
        local errand = stranger.errand()
        local task = neap.spawn(errand.run, errand, 60, 1)
        neap.checkpoint()
        assert.is_true(task:cancel "enough")
        task:join()
        assert.are.equal("cancelled", task:status())
        local steps, unwound, busy = errand:state()
        assert.are.same({ 0, 1, false }, { steps, unwound, busy })
      end)
    end)

    it("two coroutines deep", function()
      neap.run(function()
        local errand = stranger.errand()
        local task = neap.spawn(errand.twice, errand, 60, 1)
        neap.checkpoint()
        task:cancel()
        task:join()
        assert.are.equal("cancelled", task:status())
        local steps, unwound, busy = errand:state()
        assert.are.same({ 0, 1, false }, { steps, unwound, busy })
      end)
    end)

    it("in vain while a thread works: the result wins", function()
      neap.run(function()
        local errand = stranger.errand()
        local task = neap.spawn(errand.run, errand, 0, 20000000)
        while (errand:state()) == 0 do neap.sleep(0.001) end
        neap.sleep(0.005) -- now it has begun
        task:cancel()
        task:join()
        assert.are.equal("done", task:status())
        assert.are.equal(200000010000000, task:await())
        local steps, unwound, busy = errand:state()
        assert.are.same({ 2, 0, false }, { steps, unwound, busy })
      end)
    end)

    it("before it begins", function()
      neap.run(function()
        local errand = stranger.errand()
        local task = neap.spawn(errand.run, errand, 60, 1)
        task:cancel()
        task:join()
        assert.are.equal("cancelled", task:status())
        assert.are.equal(0, (errand:state()))
      end)
    end)

    it("by a timeout, which raises its own kind", function()
      neap.run(function()
        local errand = stranger.errand()
        local ok, err = pcall(neap.timeout, 0.005, errand.run, errand, 60, 1)
        assert.is_false(ok)
        assert.are.equal("timeout", err.kind)
        assert.are.same({ 0, 1, false }, { errand:state() })
        assert.are.equal(3, errand:run(0, 2)) -- it is as good as new
      end)
    end)

    it("while it reads a pipe, and the next read works", function()
      neap.run(function()
        local pipe <close> = stranger.pipe()
        assert.is_false(neap.move_on_after(0.005, pipe.read, pipe))
        pipe:write "late"
        assert.are.equal("late", pipe:read())
      end)
    end)
  end)

  describe("watches a descriptor", function()
    it("without waiting when there is something", function()
      neap.run(function()
        local pipe <close> = stranger.pipe()
        pipe:write "hello"
        assert.are.equal("hello", pipe:read())
      end)
    end)

    it("until there is something", function()
      neap.run(function()
        local pipe <close> = stranger.pipe()
        local task = neap.spawn(pipe.read, pipe)
        neap.sleep(0.005)
        assert.are.equal("waiting", task:status())
        pipe:write "hello"
        assert.are.equal("hello", task:await())
      end)
    end)

    it("and closing it wakes the reader", function()
      neap.run(function()
        local pipe = stranger.pipe()
        local task = neap.spawn(function() return pcall(pipe.read, pipe) end)
        neap.checkpoint()
        pipe:close()
        local ok, err = task:await()
        assert.is_false(ok)
        assert.are.equal("closed", err.kind)
        ok, err = pcall(pipe.read, pipe)
        assert.is_false(ok)
        assert.are.equal("closed", err.kind)
        pipe:close()
      end)
    end)

    it("and one reader at a time", function()
      neap.run(function()
        local pipe <close> = stranger.pipe()
        local task = neap.spawn(pipe.read, pipe)
        neap.checkpoint()
        local ok, err = pcall(pipe.read, pipe)
        assert.is_false(ok)
        assert.are.equal("invalid", err.kind)
        pipe:write "x"
        assert.are.equal("x", task:await())
      end)
    end)
  end)

  it("is woken from a thread of its own", function()
    neap.run(function()
      local bell = stranger.bell()
      assert.are.equal(1, bell:wait(0.005))
      assert.are.equal(2, bell:wait(0))
    end)
  end)

  it("is not cancelled in a wait that cannot be undone, but at the next", function()
    neap.run(function()
      local bell = stranger.bell()
      local rings
      local task = neap.spawn(function()
        rings = bell:wait(0.02)
        neap.checkpoint()
        rings = "went on"
      end)
      neap.checkpoint()
      task:cancel()
      task:join()
      assert.are.equal(1, rings)
      assert.are.equal("cancelled", task:status())
    end)
  end)

  it("has bodies that outlive their boxes", function()
    neap.run(function()
      for _ = 1, 10 do stranger.errand():start(0.002, 1000000) end
      collectgarbage()
      collectgarbage()
      neap.sleep(0.02)
      local errand = stranger.errand()
      errand:start(0.002, 100)
      while select(3, errand:state()) do neap.sleep(0.001) end
      assert.are.same({ 2, 0, false }, { errand:state() })
    end)
  end)

  it("raises faults with a kind, a code and a message", function()
    local ok, err = pcall(stranger.fail, "E42", "the spring is broken")
    assert.is_false(ok)
    assert.are.equal("broken", err.kind)
    assert.are.equal("E42", err.code)
    assert.are.equal("the spring is broken", err.message)
    assert.is_truthy(tostring(err):find("the spring is broken", 1, true))
    assert.are.equal("string", type(err.traceback))
    ok, err = pcall(stranger.fail, nil, "no code")
    assert.is_false(ok)
    assert.is_nil(err.code)
  end)

  it("spawns a Lua function as a child of the caller", function()
    neap.run(function()
      local ended = false
      local task = neap.scope(function()
        return stranger.spawn(function(...)
          neap.sleep(0.005)
          ended = true
          return ...
        end, 1, nil, 3)
      end)
      assert.is_true(ended) -- the scope waited for it
      assert.are.same({ 1, nil, 3 }, { task:await() })
    end)
  end)

  it("sees the caller's deadline", function()
    neap.run(function()
      assert.is_nil((stranger.left()))
      local left = neap.timeout(5, stranger.left)
      assert.is_true(left > 4 and left <= 5)
    end)
  end)

  it("says where it cannot wait", function()
    local errand = stranger.errand()
    local ok, err = pcall(errand.run, errand, 0, 0)
    assert.is_false(ok)
    assert.are.equal("not_in_task", err.kind)
    assert.is_truthy(tostring(err):find("errand:run", 1, true), tostring(err))
    neap.run(function()
      ok, err = pcall(table.sort, { 1, 2, 3 }, function() errand:run(0, 0) end)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("errand:run", 1, true), tostring(err))
      assert.are.equal(3, errand:run(0, 2)) -- nothing was acquired
    end)
  end)

  it("may stand parked when the state is closed", function()
    local status, output = shell.run(shell.lua .. [=[ -e '
      package.cpath = "]=] .. shell.build .. [=[/spec/capi/?.so;" .. package.cpath
      local neap, stranger = require "neap", require "stranger"
      local kept
      neap.run(function()
        kept = { stranger.errand(), stranger.pipe(), stranger.bell() }
        neap.spawn(kept[1].run, kept[1], 0.001, 5)
        neap.spawn(kept[3].wait, kept[3], 0.001)
        local reader = neap.spawn(kept[2].read, kept[2])
        neap.sleep(0.01)
        reader:cancel()
      end)
      print "closed"']=])
    assert.are.equal("closed\n", output)
    assert.are.equal(0, status)
  end)

  describe("of another time", function()
    it("works when it was built for an older neap", function()
      local older = require "older"
      assert.are.equal(3, neap.run(function() return older.errand():run(0, 2) end))
    end)

    it("is refused when it was built for a newer one", function()
      local ok, err = pcall(require, "newer")
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find(
        "this module was built for a newer neap %(its C API has %d+ bytes, "
        .. "the loaded core's has %d+%); update neap"), tostring(err))
    end)

    it("is refused when it speaks another C API", function()
      local ok, err = pcall(require, "other")
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find(
        "this module needs a neap core with C API neap.capi.2", 1, true), tostring(err))
    end)
  end)
end)
