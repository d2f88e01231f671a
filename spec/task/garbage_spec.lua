--- Garbage for arguments: every function and method there is, metamethods
--- too, called with anything. An error is an answer; a crash, a hang and
--- something left behind are not.
---
--- NEAP_GARBAGE=n does n calls for each function, NEAP_TEST_SEED=n other ones.
--- A seed does the same in every process: hence the order of the names.

local neap = require "neap"

local CALLS <const> = tonumber(os.getenv "NEAP_GARBAGE") or 60

local SEED <const> = tonumber(os.getenv "NEAP_TEST_SEED") or 0

local function dice(seed)
  local state = seed * 7919 % 2147483647 + 1
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

-- What changes the process for the specs after this one.
local LEFT_OUT <const> = {
  install = true, uninstall = true, limit = true, __metatable = true,
}

local function by_name(list)
  table.sort(list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return (a[4] or 0) < (b[4] or 0) -- objects of one class
  end)
  return list
end

--- {name, function}, of the module and of the modules in it.
local function functions()
  local list = {}
  for name, value in pairs(neap) do
    if type(value) == "function" and not LEFT_OUT[name] then
      list[#list + 1] = { "neap." .. name, value }
    elseif type(value) == "table" then
      for inner, fn in pairs(value) do
        if type(fn) == "function" and not LEFT_OUT[inner] then
          list[#list + 1] = { ("neap.%s.%s"):format(name, inner), fn }
        end
      end
    end
  end
  return by_name(list)
end

--- One object of each class, in different states.
local function objects()
  local list = {
    neap.queue(0), neap.queue(2), neap.lock(), neap.semaphore(1), neap.event(), neap.future(),
    neap.emitter(), neap.spawn(function() end), neap.spawn(neap.sleep, 1), neap.current(),
    neap.background(neap.sleep, 1), neap.emitter():on("x", function() end),
    neap.semaphore(1):acquire(),
  }
  local closed, set, failed = neap.queue(1), neap.future(), neap.future()
  closed:close()
  set:set(1, 2)
  failed:fail "no"
  pcall(failed.await, failed)
  list[#list + 1], list[#list + 2], list[#list + 3] = closed, set, failed
  neap.scope(function(s) list[#list + 1] = s end)
  local guard = neap.lock():acquire()
  list[#list + 1] = guard
  guard:release()
  local fault = neap.fault.new { kind = "x" }
  list[#list + 1] = fault
  neap.scope(function(s)
    s:cancel()
    list[#list + 1] = select(2, pcall(neap.checkpoint))
  end)
  return list
end

local function methods(list)
  local found = {}
  for at, object in ipairs(list) do
    local meta = debug.getmetatable(object)
    for name, value in pairs(meta) do
      if type(value) == "function" and not LEFT_OUT[name] then
        found[#found + 1] = { tostring(meta.__name) .. "." .. name, value, object, at }
      end
    end
    local index = rawget(meta, "__index")
    if type(index) == "table" then
      for name, value in pairs(index) do
        if type(value) == "function" then
          found[#found + 1] = { tostring(meta.__name) .. ":" .. name, value, object, at }
        end
      end
    elseif index then
      for _, name in ipairs { "await", "join", "outcome", "cancel", "status", "traceback", "spawn",
        "start", "on_done", "name", "deadline", "expired" } do
        local ok, value = pcall(index, object, name)
        if ok and type(value) == "function" then
          found[#found + 1] = { tostring(meta.__name) .. ":" .. name, value, object, at }
        end
      end
    end
  end
  return by_name(found)
end

local function garbage(roll, list)
  local pool = {
    function() return nil end, function() return true end, function() return false end,
    function() return 0 end, function() return 1 end, function() return -1 end,
    function() return 2.5 end, function() return 0 / 0 end, function() return math.huge end,
    function() return -math.huge end, function() return math.maxinteger end,
    function() return math.mininteger end, function() return 1e300 end,
    function() return "" end, function() return "x" end, function() return "10" end,
    function() return ("y"):rep(5000) end, function() return "\0\255" end,
    function() return {} end, function() return { 1, 2, 3 } end,
    function() return { n = roll(5) } end, function() return { n = "x" } end,
    function() return { n = -1 } end, function() return { timeout = roll(3) - 2 } end,
    function() return { max = roll(3) - 2, name = "n", errors = "collect" } end,
    function() return { kind = "x", message = roll(2) == 1 and "m" or nil } end,
    function() return { concurrency = roll(3) - 1 } end,
    function() return { filter = function() return roll(2) == 1 end } end,
    function() return { tostring, function() return 1 end } end,
    function() return { function() error "bad" end, neap.checkpoint } end,
    function() return setmetatable({}, { __call = function() return roll(3) end }) end,
    function() return setmetatable({}, { __index = function() error "index" end,
      __len = function() error "len" end, __tostring = function() error "tostring" end,
      __eq = function() error "eq" end, __close = function() error "close" end }) end,
    function() return setmetatable({}, { __metatable = "locked" }) end,
    function() return function() end end,
    function() return function(...) return ... end end,
    function() return function() error { kind = "storm" } end end,
    function() return function() neap.sleep(roll(3)) end end,
    function() return function(s) if type(s) == "userdata" then s:spawn(neap.sleep, 1) end end end,
    function() return function() neap.current():cancel() neap.checkpoint() end end,
    function() return coroutine.create(function() coroutine.yield() end) end,
    function() return coroutine.running() end,
    function() return io.stdout end, function() return neap.null end,
    function() return list[roll(#list)] end, function() return list[roll(#list)] end,
    function() return list[roll(#list)] end,
  }
  return function() return pool[roll(#pool)]() end
end

local function storm_of_calls(seed)
  local roll = dice(seed)
  local count = 0
  local ok, err = pcall(neap.run, { clock = "virtual", grace = 0, kill_after = 5,
    on_error = function() end }, function()
    local list = objects()
    local some = garbage(roll, list)
    local all = functions()
    for _, m in ipairs(methods(list)) do all[#all + 1] = m end
    for _, entry in ipairs(all) do
      for _ = 1, CALLS // 10 do
        local args = table.pack(some(), some(), some(), some(), some())
        args.n = roll(6) - 1
        if entry[3] ~= nil and roll(3) > 1 then args[1], args.n = entry[3], math.max(args.n, 1) end
        neap.settle { function()
          pcall(neap.move_on_after, 3, pcall, entry[2], table.unpack(args, 1, args.n))
        end }
        count = count + 1
      end
    end
  end)
  if not ok then
    assert(type(err) == "table" and (err.kind == "task_cancelled" or err.kind == "deadlock")
      or err == nil, tostring(err) .. " (seed " .. seed .. ")")
  end
  local stats = neap.stats()
  assert.are.same({ 0, 0, 0 }, { stats.tasks, stats.timers, stats.pending })
  assert.are.equal(7, neap.run(function() return 7 end))
  return count
end

describe("garbage for arguments", function()
  it("to every function and method is answered, inside a run (R10)", function()
    local count = 0
    for i = 1, 10 do count = count + storm_of_calls(SEED * 10 + i) end
    assert.is_true(count > 1000)
  end)

  it("to every function is answered, outside of a run (W6)", function()
    local roll = dice(42 + SEED)
    local list = { neap.queue(1), neap.lock(), neap.event(), neap.future(), neap.emitter(),
      neap.semaphore(1) }
    local some = garbage(roll, list)
    local all = functions()
    for _, m in ipairs(methods(list)) do all[#all + 1] = m end
    for _, entry in ipairs(all) do
      if entry[1] ~= "neap.run" then
        for _ = 1, CALLS do
          local args = table.pack(some(), some(), some(), some())
          pcall(entry[2], table.unpack(args, 1, roll(5) - 1))
        end
      end
    end
    pcall(neap.run, { on_error = function() end, clock = "virtual" }, function() end)
    assert.are.equal(7, neap.run(function() return 7 end))
  end)
end)
