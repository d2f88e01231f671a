local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"
local raises = run.raises

package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath

--- A body with a path for a socket.
local function at_path(fn)
  return run(function()
    local directory <close> = setmetatable({ shell.directory() }, {
      __close = function(self) shell.remove(self[1]) end,
    })
    fn(directory[1] .. "/socket")
  end)
end

describe("streams of a C module", function()
  local parrot = require "parrot"

  local function talk(path, text)
    return neap.gather(
      function() return parrot.repeat_once(path) end,
      function()
        neap.checkpoint() -- whoever is first, it listens by now
        return parrot.ask(path, text)
      end)
  end

  it("connect, accept, write and read", at_path(function(path)
    local heard, answer = talk(path, "pieces of eight")
    assert.are.equal("pieces of eight", heard)
    assert.are.equal("pieces of eight", answer)
  end))

  it("carry more than the system buffers", at_path(function(path)
    local text = ("0123456789abcdef"):rep(1 << 18)
    local heard, answer = talk(path, text)
    assert.are.equal(#text, #heard)
    assert.is_true(answer == text)
  end))

  it("carry nothing", at_path(function(path)
    assert.are.same({ "", "" }, { talk(path, "") })
  end))

  it("stop the virtual clock while they wait", at_path(function(path)
    local server = neap.spawn(parrot.repeat_once, path)
    local began = neap.now()
    neap.checkpoint()
    local child = io.popen("sleep 0.02; lua5.4 -e 'os.exit(0)'")
    child:close()
    local client = neap.spawn(parrot.ask, path, "late")
    local late = neap.spawn(neap.sleep, 3600)
    assert.are.equal("late", client:await())
    assert.is_true(neap.now() - began < 3600)
    server:await()
    late:cancel()
  end))

  it("fail with the system's names", at_path(function(path)
    assert.are.equal("ENOENT", raises("io", parrot.ask, path, "x").code)
    assert.are.equal("ENOENT", raises("io", parrot.repeat_once, path .. "/x/y").code)
    local server = neap.spawn(parrot.repeat_once, path)
    neap.checkpoint()
    assert.are.equal("EADDRINUSE", raises("io", parrot.repeat_once, path).code)
    server:cancel()
    server:join()
    assert.are.equal("ECONNREFUSED", raises("io", parrot.ask, path, "x").code)
  end))

  it("are left by whoever is cancelled, wherever it waits", at_path(function(path)
    local server = neap.spawn(parrot.repeat_once, path)
    neap.checkpoint()
    server:cancel() -- in accept
    server:join()
    assert.are.equal("cancelled", server:status())
    os.remove(path)
    raises("timeout", neap.timeout, 0, parrot.repeat_once, path)
    os.remove(path)
    server = neap.spawn(pcall, parrot.repeat_once, path)
    neap.checkpoint()
    local client = neap.spawn(parrot.ask, path, ("x"):rep(1 << 22))
    neap.checkpoint()
    client:cancel() -- in write, the server in read
    client:join()
    assert.are.equal("cancelled", client:status())
    local ok, err = server:await()
    assert.is_true(ok or err.code == "EPIPE" or err.code == "ECONNRESET", err)
  end))

  it("have room for one reader, who hears when they are closed", run({ clock = "real" }, function()
    assert.are.same({ true, true }, { parrot.quarrel() })
  end))

  it("are made of sockets only", run(function()
    assert.are.equal("ENOTSOCK", parrot.open(0))
    assert.are.equal("EBADF", parrot.open(9999))
  end))
end)
