--- A private server: it works, and nothing of it outlives us.

local core = require "neap.pg.core"
local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

local function exists(path)
  local ok, _, code = os.rename(path, path)
  return ok or code ~= 2
end

local function body(fn)
  return function() return run.now({ clock = "real", timeout = 60 }, fn) end
end

describe("pg.ephemeral", function()
  it("makes databases, and is gone after <close>", body(function()
    local dir
    do
      local own <close> = pg.ephemeral()
      dir = own.dir
      assert.is_true(exists(dir))
      local db <close> = pg.connect(own:createdb "with 'quotes' and \\")
      assert.are.equal("with 'quotes' and \\",
        db:value "select current_database()")
      local err = raises("pg", own.createdb, own, "with 'quotes' and \\")
      assert.is_true(pg.is_duplicate_database(err))
    end
    assert.is_false(exists(dir))
  end))

  it("is gone after an error too", body(function()
    local dir
    pcall(function()
      local own <close> = pg.ephemeral()
      dir = own.dir
      error "no"
    end)
    assert.is_false(exists(dir))
  end))

  it("is gone when its task is cancelled, also while it starts",
    body(function()
      local start, made = core.start_server, {}
      core.start_server = function(opts)
        local own = start(opts)
        made[#made + 1] = own:dir()
        return own
      end
      local _ <close> = setmetatable({}, { __close = function()
        core.start_server = start
      end })
      for _, seconds in ipairs { 0.001, 0.05, 0.3, 0.6 } do
        neap.move_on_after(seconds, pg.ephemeral)
      end
      assert.are.equal(4, #made)
      for _, dir in ipairs(made) do assert.is_false(exists(dir)) end
    end))

  it("says what is wrong", body(function()
    local err = raises("io", pg.ephemeral, { bin = "/nowhere" })
    assert.are.equal("ENOENT", err.code)
    assert.matches("/nowhere", err.message)
    err = raises("io", pg.ephemeral, { settings = { nonsense = 1 } })
    assert.matches("nonsense", err.message)
    raises("invalid", pg.ephemeral, { prot = 1 })
    raises("invalid", pg.ephemeral, { port = 0 })
  end))

  it("takes settings", body(function()
    local own <close> = pg.ephemeral { settings = { max_connections = 7 } }
    local db <close> = pg.connect(own.dsn)
    assert.are.equal("7", db:value "show max_connections")
    assert.are.equal("off", db:value "show fsync")
    assert.is_nil(db:value "select inet_server_addr()")
  end))

  it("does not outlive its process, however that dies", body(function()
    local script = os.tmpname()
    do
      local file <close> = assert(io.open(script, "w"))
      file:write [[
        local neap, pg = require "neap", require "neap.pg"
        neap.run(function()
          local own = pg.ephemeral()
          io.write(own.dir, "\n")
          io.flush()
          os.execute("kill -KILL $PPID")
          neap.sleep(60)
        end)
      ]]
    end
    local pipe = io.popen("lua5.4 " .. script .. " 2>/dev/null; true")
    local dir = pipe:read "l"
    pipe:close()
    os.remove(script)
    assert.matches("^/tmp/neap%-", dir)
    server.eventually("its directory is gone", function()
      return not exists(dir)
    end)
  end))
end)
