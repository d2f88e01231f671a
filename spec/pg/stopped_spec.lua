--- A server that has stopped reading: what is asked of it is bounded.

local neap = require "neap"
local server = require "spec.support.pg"

local SANITIZED <const> = (os.getenv "LD_PRELOAD" or ""):find "asan" ~= nil

--- Resident memory of this process in MB.
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return pages * 4096 / 1e6
end

local function stop(pid)
  os.execute(("kill -STOP %d"):format(pid))
  return setmetatable({}, { __close = function()
    os.execute(("kill -CONT %d"):format(pid))
  end })
end

describe("a server that is stopped", function()
  it("is sent no more than fits, and keeps no more than max_waiting waiting",
    server.with({
      max = 1, max_waiting = 500, acquire_timeout = 0,
    }, function(db)
      local N <const>, text = 8000, ("x"):rep(8000)
      local pid
      do
        local conn <close> = db:acquire()
        pid = conn:pid()
      end
      local sql = "select length($1::text)"
      db:value(sql, text)
      local answered, refused, most = 0, 0, 0
      neap.scope(function(s)
        do
          local _ <close> = stop(pid)
          local before
          for i = 1, N do
            s:spawn(function()
              local ok, err = neap.pcall(db.value, db, sql, text)
              if ok then
                assert.are.equal(8000, err)
                answered = answered + 1
              else
                assert(err.kind == "pool_overloaded", err)
                refused = refused + 1
              end
            end)
            if i % 1000 == 0 then
              neap.checkpoint()
              if i == 2000 then before = resident() end
              most = math.max(most, db:stats().waiting)
            end
          end
          -- What is asked is 64 MB. (A sanitizer keeps what was freed.)
          local grown = resident() - before
          assert.is_true(grown < 30 or SANITIZED, grown .. " MB more")
          assert.are.equal(500, most)
          assert.are.equal(0, answered)
        end
      end)
      assert.are.equal(N, answered + refused)
      -- What was in flight, at most max_pipeline, and those who waited.
      assert.is_true(answered > 500 and answered <= 564)
      server.whole(db)
    end))
end)
