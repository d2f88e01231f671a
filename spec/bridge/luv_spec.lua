local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"
local uv = require "neap.luv"
local raises = run.raises

--- luv lives in real time, and must end what it began.
local function real(fn)
  return run({ clock = "real", timeout = 60 }, function(reports)
    fn(reports)
    neap.sleep(0.01) -- handles that are closing
    assert.is_false(uv.loop_alive())
  end)
end

--- A luv timer as a `<close>` value.
local function timer(...)
  local handle = uv.new_timer()
  handle:start(...)
  return setmetatable({}, { __close = function() handle:close() end })
end

--- An echo server of luv; its port and what closes it.
local function echo()
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(64, function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    server:accept(client)
    client:read_start(function(failed, data)
      assert(not failed, failed)
      if data then client:write(data) else client:close() end
    end)
  end))
  return server:getsockname().port, setmetatable({}, {
    __close = function() server:close() end,
  })
end

--- A connection of luv with methods that wait.
local function dial(port)
  local tcp, chunks = uv.new_tcp(), neap.queue(math.huge)
  neap.wrap(tcp.connect)(tcp, "127.0.0.1", port)
  tcp:read_start(function(err, data)
    if data then chunks:try_put(data) else chunks:close(err) end
  end)
  local write = neap.wrap(tcp.write)
  return setmetatable({
    send = function(data) write(tcp, data) end,
    receive = function(n)
      local got = ""
      while #got < n do got = got .. assert(chunks:get()) end
      return got
    end,
  }, { __close = function() tcp:close() end })
end

describe("luv in a run", function()
  it("has its timers tick while tasks sleep (H7)", real(function()
    local ticks, naps = 0, 0
    local _ <close> = timer(5, 5, function() ticks = ticks + 1 end)
    local task = neap.spawn(function()
      while true do
        neap.sleep(0.005)
        naps = naps + 1
      end
    end)
    neap.sleep(0.3)
    task:cancel()
    assert.is_true(ticks >= 15, ticks)
    assert.is_true(naps >= 15, naps)
  end))

  it("is turned while tasks keep the loop busy", real(function()
    local ticks, busy = 0, true
    local _ <close> = timer(5, 5, function() ticks = ticks + 1 end)
    local task = neap.spawn(function() while busy do neap.sleep(0) end end)
    neap.sleep(0.2)
    busy = false
    task:join()
    assert.is_true(ticks >= 10, ticks)
  end))

  it("has a clock that is right when a task starts a timer", real(function()
    neap.sleep(0.2)
    local start = neap.now()
    neap.wrap(uv.timer_start)(uv.new_timer(), 50, 0)
    local took = neap.now() - start
    assert.is_true(took >= 0.045, took)
    uv.walk(function(handle) if not handle:is_closing() then handle:close() end end)
  end))

  it("serves and calls: echo with many clients", real(function()
    local port, server = echo()
    local _ <close> = server
    local ticks = 0
    local _ <close> = timer(1, 1, function() ticks = ticks + 1 end)
    local list = {}
    for i = 1, 20 do
      list[i] = function()
        local client <close> = dial(port)
        for round = 1, 50 do
          local message = ("client %d, round %d\n"):format(i, round)
          client.send(message)
          assert.are.equal(message, client.receive(#message))
        end
        return i
      end
    end
    assert.are.equal(20, neap.all(list).n)
    assert.is_true(ticks > 0)
  end))

  it("carries much data", real(function()
    local port, server = echo()
    local _ <close> = server
    local client <close> = dial(port)
    local data = ("0123456789abcdef"):rep(65536)
    neap.gather(
      function() client.send(data) end,
      function() assert.are.equal(data, client.receive(#data)) end)
  end))

  it("gives its errors to those who wait", real(function()
    local tcp <const> = uv.new_tcp()
    local err = raises("io", neap.wrap(tcp.connect), tcp, "127.0.0.1", 1)
    assert.are.equal("ECONNREFUSED", err.code)
    tcp:close()
    err = raises("io", neap.wrap(uv.fs_stat), "/no/such/file")
    assert.are.equal("ENOENT", err.code)
    assert.are.equal("no such file or directory: /no/such/file", err.message)
  end))

  it("does files and names on its threads", real(function()
    local open, close = neap.wrap(uv.fs_open), neap.wrap(uv.fs_close)
    local path = shell.directory()
    local fd = open(path .. "/x", "w+", 420)
    assert.are.equal(5, neap.wrap(uv.fs_write)(fd, "hello", 0))
    assert.are.equal("hello", neap.wrap(uv.fs_read)(fd, 100, 0))
    close(fd)
    shell.remove(path)
    assert.are.equal("127.0.0.1",
      neap.wrap(uv.getaddrinfo)("127.0.0.1", nil, nil)[1].addr)
  end))

  it("wakes tasks by every primitive", real(function()
    local event, queue, future = neap.event(), neap.queue(10), neap.future()
    local handle = uv.new_timer()
    handle:start(5, 0, function()
      event:set()
      queue:try_put "item"
      future:set(1, 2)
      neap.background(function() neap.sleep(0) handle:close() end)
    end)
    event:wait()
    assert.are.equal("item", queue:get())
    assert.are.same({ 1, 2 }, { future:await() })
  end))

  it("may not wait in a callback, and says so (H7, W6)", real(function()
    local err
    local handle <const> = uv.new_timer()
    local done = neap.event()
    handle:start(1, 0, function()
      err = raises("not_in_task", neap.sleep, 1)
      handle:close()
      done:set()
    end)
    done:wait()
    assert.is_truthy(err.message:find "^neap.sleep: cannot wait here: not inside a task")
  end))

  it("keeps a run from being a deadlock, while it lives (H7)", function()
    run.now({ clock = "real" }, function()
      local future = neap.future()
      local handle <const> = uv.new_timer()
      handle:start(50, 0, function() handle:close() future:set "woken" end)
      assert.are.equal("woken", future:await())
    end)
    raises("deadlock", neap.run, function() neap.future():await() end)
  end)

  it("lets a virtual clock stand still, while it lives (H7)", run(function()
    local handle <const> = uv.new_timer()
    local fired
    handle:start(30, 0, function()
      fired = neap.now()
      handle:close()
    end)
    local start = neap.now()
    neap.sleep(1000)
    assert.is_true(fired - start < 1000)
    assert.is_true(neap.now() - start >= 1000)
  end))

  it("has what a cancelled task began be cancelled", real(function()
    local done = 0
    local function slow(callback)
      local handle = uv.new_timer()
      handle:start(10000, 0, function() done = done + 1 callback() end)
      return { cancel = function() handle:close() end }
    end
    raises("timeout", neap.timeout, 0.02, neap.wrap(slow))
    assert.are.equal(0, done)
  end))

  it("goes on in the next run (H7)", function()
    local ticks = 0
    local handle = uv.new_timer()
    run.now({ clock = "real" }, function()
      handle:start(5, 5, function() ticks = ticks + 1 end)
      neap.sleep(0.05)
    end)
    local before = ticks
    assert.is_true(before > 0)
    run.now({ clock = "real" }, function() neap.sleep(0.05) end)
    assert.is_true(ticks > before)
    handle:close()
    run.now({ clock = "real" }, function() neap.sleep(0.01) end)
    assert.is_false(uv.loop_alive())
  end)

  it("does not hold up the end of a run (H7)", function()
    local handle <const> = uv.new_timer()
    local start = os.time()
    neap.run(function() handle:start(60000, 0, print) end)
    assert.is_true(os.time() - start < 4)
    handle:close()
    run.now({ clock = "real" }, function() neap.sleep(0.01) end)
  end)

  it("is turned for the last background tasks as well", function()
    local got
    run.now({ clock = "real" }, function()
      neap.background(function()
        local handle <const> = uv.new_timer()
        neap.wrap(uv.timer_start)(handle, 30, 0)
        handle:close()
        got = "in time"
      end)
    end)
    assert.are.equal("in time", got)
    run.now({ clock = "real" }, function() neap.sleep(0.01) end)
  end)
end)

describe("neap.luv", function()
  local function script(text, environment)
    local directory = shell.directory()
    shell.write(directory .. "/main.lua", text)
    local status, output = shell.run(("%s lua5.4 %s/main.lua"):format(environment or "", directory))
    shell.remove(directory)
    return status, output
  end

  it("is luv", function()
    assert.are.equal(require "luv", uv)
  end)

  it("says what is missing without luv, of which neap has no need", function()
    local status, output = script [[
      table.insert(package.searchers, 1, function(name)
        if name == "luv" then error("module 'luv' not found", 0) end
      end)
      print(require("neap").run(function() return "runs" end))
      local ok, err = pcall(require, "neap.luv")
      print(ok, err)]]
    assert.are.equal(0, status)
    assert.is_truthy(output:find "^runs\nfalse\t")
    assert.is_truthy(output:find("neap.luv needs the module luv (Debian's package lua-luv, or "
      .. "luarocks install luv): ", 1, true), output)
  end)

  it("may be required in the middle of a run, again and again", function()
    local status, output = script [[
      local neap = require "neap"
      neap.run(function()
        neap.sleep(0.01)
        for i = 1, 3 do
          package.loaded["neap.luv"] = nil
          local uv = require "neap.luv"
          local timer = uv.new_timer()
          neap.wrap(uv.timer_start)(timer, 5, 0)
          timer:close()
          print("tick", i)
        end
      end)]]
    assert.are.equal(0, status, output)
    assert.are.equal("tick\t1\ntick\t2\ntick\t3\n", output)
  end)

  it("stands still when neap.run is called in a callback of luv", function()
    local status, output = script [[
      local neap = require "neap"
      local uv = require "neap.luv"
      local timer = uv.new_timer()
      timer:start(1, 0, function()
        timer:close()
        neap.run({ on_error = function(info) print(info.error.message) end },
          function() neap.sleep(0.01) neap.sleep(0.01) print "ran" end)
      end)
      uv.run()]]
    assert.are.equal(0, status, output)
    assert.are.equal("neap.luv: neap.run was called in a callback of luv, whose loop cannot be "
      .. "turned before that callback returns\nran\n", output)
  end)

  it("leaves a state that is closed in the middle in peace", function()
    for _, order in ipairs { "neap.core luv", "luv neap.core" } do
      local status, output = script(([[
        for name in ("%s"):gmatch "%%S+" do require(name) end
        local neap = require "neap"
        local uv = require "neap.luv"
        neap.run(function()
          uv.new_timer():start(1, 1, function() end)
          local server = uv.new_tcp()
          server:bind("127.0.0.1", 0)
          server:listen(1, function() end)
          neap.spawn(neap.wrap(uv.timer_start), uv.new_timer(), 1000, 0)
          neap.sleep(0.02)
          os.exit(0, true)
        end)]]):format(order))
      assert.are.equal(0, status, output)
      assert.are.equal("", output)
    end
  end)
end)
