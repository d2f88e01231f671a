--- The fuzzer: random programs of tasks, played beside a model of the rules.
---
--- NEAP_STORM=n plays n programs; NEAP_STORM_SEED=s plays that one. One that
--- breaks a rule is printed as small as it could be made.

local neap = require "neap"
local interpret = require "spec.storm.interpret"
local program = require "spec.storm.program"
local storm = require "spec.support.storm"

local SIZE <const> = 90 -- statements
local TRIES <const> = 400 -- to make one smaller

--- The rule, by its name in docs/model.md.
local function rule_of(fault) return fault and fault:match "^%u%d+" or fault end

--- Play one; what it broke, with the smallest program that breaks it too.
local function play(roll, opts)
  local list = program.generate(roll, SIZE)
  local fault = interpret.play(list, opts)
  if not fault then return nil end
  local rule = rule_of(fault)
  local small = program.shrink(list, function(smaller)
    return rule_of(interpret.play(smaller, opts)) == rule
  end, TRIES)
  return fault, small
end

local function as_it_is(roll, seed)
  local opts = { shuffle = seed % 3 == 0 and seed or nil }
  local fault, small = play(roll, opts)
  if not fault then return end
  error(("%s\nthe smallest program found:\n%s\nbreaks: %s"):format(fault, program.text(small),
    tostring(interpret.play(small, opts))), 0)
end

--- A neap that is broken in one place must be found out, by one of these rules.
local function is_found(rules, api)
  for seed = 1, 400 do
    local list = program.generate(storm.dice(seed), SIZE)
    local fault = interpret.play(list, { api = api() })
    if fault then
      assert.is_truthy(rules:find(rule_of(fault), 1, true), fault)
      return
    end
  end
  error("it was not found in 400 programs", 0)
end

describe("random programs", function()
  it("break no rule of the model (T1-T12, S1-S12, C1-C10, D1-D8, W1-W5, G1-G11)", function()
    storm.seeds(300, as_it_is)
  end)

  it("break none while memory is collected all the time (R10)", function()
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 10000)
    local ok, err = pcall(storm.seeds, 40, as_it_is)
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 100)
    if not ok then error(err, 0) end
  end)

  it("are played the same way every time (O5)", function()
    storm.seeds(20, function(roll)
      local list = program.generate(roll, SIZE)
      local function trace()
        local steps = {}
        local api = {
          sleep = function(s)
            steps[#steps + 1] = "sleeps " .. s
            neap.sleep(s)
            steps[#steps + 1] = "wakes"
          end,
          put = function(q, item)
            steps[#steps + 1] = "puts " .. item
            q:put(item)
            steps[#steps + 1] = "has put " .. item
          end,
          get = function(q, opts)
            local item, why = q:get(opts)
            steps[#steps + 1] = ("gets %s %s"):format(item, why)
            return item, why
          end,
        }
        interpret.play(list, { api = api, shuffle = 7 })
        return steps
      end
      assert.are.same(trace(), trace())
    end)
  end)
end)

describe("the model finds a neap in which", function()
  it("a sleep is a nanosecond too long (V1)", function()
    is_found("V1 P7", function()
      return { sleep = function(s) neap.sleep(s > 0 and s + 1e-9 or s) end }
    end)
  end)

  it("a cancelled get loses its item (W2)", function()
    is_found("P5", function()
      return { get = function(q, opts)
        local item, why = q:get(opts)
        neap.checkpoint()
        return item, why
      end }
    end)
  end)

  it("a put overtakes another (W4)", function()
    is_found("W4 P5", function()
      return { put = function(q, item)
        if item % 3 == 0 then neap.sleep(2) end
        return q:put(item)
      end }
    end)
  end)

  it("a lock has two holders (P3)", function()
    is_found("P3", function()
      return { acquire = function(lock)
        neap.checkpoint()
        return lock:try_acquire() or setmetatable({}, { __close = function() end })
      end }
    end)
  end)

  it("whoever waits must ask again (W4)", function()
    is_found("W4", function()
      return { permit = function(sem)
        neap.checkpoint()
        local guard = sem:try_acquire()
        while not guard do
          neap.sleep(3)
          guard = sem:try_acquire()
        end
        return guard
      end }
    end)
  end)

  it("a scope does not wait for its children (S1)", function()
    is_found("S1 S3 T2", function()
      local loose = setmetatable({}, { __index = function(_, key)
        return key == "spawn" and function(_, fn) return neap.background(fn) end or nil
      end })
      return { scope = function(_, fn) return fn(loose) end, spawn = function(fn) return neap.background(fn) end }
    end)
  end)

  it("a scope raises its last failure (S3)", function()
    is_found("S3 S12", function()
      return { scope = function(opts, fn)
        local ok, err = pcall(neap.scope, { on_exit = opts.on_exit, max = opts.max, errors = "group" }, fn)
        if ok then return end
        if err.kind ~= "group" then error(err, 0) end
        for _, other in ipairs(err.errors) do pcall(neap.background, error, other) end
        error(err.errors[#err.errors], 0)
      end }
    end)
  end)

  it("pcall swallows a cancellation (C8)", function()
    is_found("C8", function() return { pcall = pcall } end)
  end)

  it("a cancellation gets lost (C1)", function()
    is_found("C1 C2", function()
      return { cancel = function(task) return not task:outcome() end }
    end)
  end)

  it("a shield does not hide (C9)", function()
    is_found("C1 C6 S3", function() return { shield = neap.timeout } end)
  end)

  it("a time limit comes too late (D1)", function()
    is_found("C1 D1 C2 D5", function()
      return { timeout = function(s, fn) return neap.timeout(s + 2, fn) end }
    end)
  end)

  it("a deferred function is not run when cancelled (C10)", function()
    is_found("C10", function()
      return { defer = function(fn, opts)
        return setmetatable({}, { __close = function(_, err)
          if not err then neap.shield(opts.timeout, fn) end
        end })
      end }
    end)
  end)

  it("a failure is heard by nobody (E4)", function()
    is_found("E4", function()
      return { defer = function(fn, opts)
        return neap.defer(function()
          local ok, err = pcall(fn)
          if not ok and neap.is_cancelled(err) then error(err, 0) end
        end, opts)
      end }
    end)
  end)
end)
