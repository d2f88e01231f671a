local neap = require "neap"
local run = require "spec.support.run"
local shell = require "spec.support.shell"

-- Slow steps are another matter, and a collector's work may be one.
local DEBUG <const> = { debug = true, slow_ms = false }

--- Forget what `make` returns; the report of it, and the line where it was made.
local function leak(reports, make)
  make()
  collectgarbage()
  collectgarbage()
  neap.sleep(1)
  return reports:take "leak"
end

local function here(plus) return "leak_spec.lua:" .. debug.getinfo(2, "l").currentline + plus end

describe("debug mode: what is collected without having been closed is reported, with its place:", function()
  it("a generator (R16)", run(DEBUG, function(reports)
    local place = here(2)
    local info = leak(reports, function()
      local g = neap.gen(function(yield) for i = 1, 9 do yield(i) end end)
      g()
      return nil
    end)
    assert.is_truthy(info.error.message:find("neap.gen was collected without having been closed", 1, true))
    assert.is_truthy(info.traceback:find(place, 1, true), info.traceback)
  end))

  it("a stream, and a producer's handle (R16)", run(DEBUG, function(reports)
    local place = here(2)
    local info = leak(reports, function()
      local s = neap.stream(function(yield) while true do yield(1) end end)
      s()
      return nil
    end)
    assert.is_truthy(info.traceback:find(place, 1, true), info.traceback)
    local q = neap.queue(1)
    place = here(1)
    info = leak(reports, function() q:producer() end)
    assert.is_truthy(info.error.message:find("producer", 1, true))
    assert.is_truthy(info.traceback:find(place, 1, true), info.traceback)
  end))

  it("a lock that its owner never gave back, where it was taken (R16)", run(DEBUG, function(reports)
    local lock = neap.lock()
    local place = here(2)
    neap.spawn(function()
      lock:acquire()
    end):join()
    local info = reports:take "lock"
    assert.is_truthy(info.traceback:find(place, 1, true), info.traceback)
  end))

  it("not what has been closed, or used up (R16)", run(DEBUG, function(reports)
    local function numbers() return neap.gen(function(yield) for i = 1, 3 do yield(i) end end) end
    local function use()
      local g <close> = numbers()
      g()
      for _ in numbers() do end -- luacheck: ignore
      numbers()
      neap.queue(1):producer():close()
    end
    use()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, #reports)
  end))

  it("handles that the run leaves open, by their number (R16)", function()
    package.cpath = shell.build .. "/spec/capi/?.so;" .. package.cpath
    local pipe, found = nil, {}
    neap.run({ debug = true, slow_ms = false, on_error = function(info)
      found[#found + 1] = info.what .. ": " .. info.error.message
    end }, function() pipe = require("stranger").pipe() end)
    pipe:close()
    assert.are.equal(1, #found)
    assert.is_truthy(found[1]:find("leak: the run left 1 handle open", 1, true))
  end)

  it("nothing without it (R16)", run(function(reports)
    local function forget()
      local g = neap.gen(function(yield) yield(1) end)
      g()
    end
    forget()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, #reports)
  end))

  it("the birth of every task is known (R16)", run(DEBUG, function()
    local place = here(1)
    local task = neap.spawn(neap.sleep, 1)
    local birth = require("neap.core").born_at(task)
    assert.is_truthy(birth:find(place, 1, true), birth)
  end))
end)
