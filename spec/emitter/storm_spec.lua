--- Storms over the emitter: random programs of on, off, emit, wait_for, iter and
--- cancel, beside a model that is a plain list.
---
--- NEAP_STORM=n runs n seeds; NEAP_STORM_SEED=s runs that one.

local neap = require "neap"
local run = require "spec.support.run"

local SEEDS <const> = tonumber(os.getenv "NEAP_STORM") or 150
local ONLY <const> = tonumber(os.getenv "NEAP_STORM_SEED")

--- A generator of its own (Park and Miller 1988), for repeatable storms.
local function dice(seed)
  local state = seed * 7919 % 2147483647 + 1
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

local NAMES <const> = { "a.b", "a.c", "b", "a.b.c", 7 }
local PATTERNS <const> = { "a.*", "**", "*.b", "**.c", "a.b", "b", 7, "a.c" }

local function split(text)
  local list = {}
  for part in (text .. "."):gmatch "(.-)%." do list[#list + 1] = part end
  return list
end

local function fits(pattern, name)
  if pattern == name then return true end
  if type(pattern) ~= "string" or type(name) ~= "string" then return false end
  local p, s = split(pattern), split(name)
  local function match(i, j)
    if i > #p then return j > #s end
    if p[i] == "**" then return match(i + 1, j) or (j <= #s and match(i, j + 1)) end
    return j <= #s and (p[i] == "*" or p[i] == s[j]) and match(i + 1, j + 1)
  end
  return match(1, 1)
end

--- Without waits nothing else runs: who is called, and in which order, is known.
local function model_storm(seed)
  local roll = dice(seed)
  local em = neap.emitter { wildcard = true, max_listeners = 0 }
  local model, place, called, depth, act = {}, 0, {}, 0, nil

  local function expected(name)
    local list = {}
    for _, l in ipairs(model) do
      if not l.removed and (l.any or fits(l.pattern, name)) then list[#list + 1] = l end
    end
    table.sort(list, function(x, y)
      if (x.any or false) ~= (y.any or false) then return not x.any end
      if x.priority ~= y.priority then return x.priority > y.priority end
      return x.place < y.place
    end)
    return list
  end

  local function take(l, name, again)
    assert(name == again or not l.any and again == nil, "the arguments")
    assert(not l.over, "called too often or after its removal")
    if l.left then
      l.left = l.left - 1
      if l.left == 0 then l.over, l.removed = true, true end
    end
    called[#called + 1] = l
    if depth < 3 and roll(4) == 1 then act() end
    if roll(3) == 1 then assert(neap.current()) end
  end

  local function emit(how)
    local name = NAMES[roll(#NAMES)]
    local before, outer = expected(name), called
    called, depth = {}, depth + 1
    local n = em[how](em, name, name)
    local mine = called
    called, depth = outer, depth - 1
    assert(n == #mine, "the number that ran")
    local at = 1
    for _, l in ipairs(before) do -- in order; who is missing was removed meanwhile
      if mine[at] == l then
        at = at + 1
      else
        assert(l.removed, "a listener was left out")
      end
    end
    assert(at == #mine + 1, "a listener was called that was not there")
  end

  local function add()
    local l = { pattern = PATTERNS[roll(#PATTERNS)], priority = roll(3) - 2 }
    local function fn(...) take(l, ...) end
    local opts = { priority = l.priority }
    local how = roll(5)
    place = place + 1
    l.place = place
    if how == 1 then
      l.left = 1
      l.handle = em:once(l.pattern, fn, opts)
    elseif how == 2 then
      l.left = roll(3)
      l.handle = em:many(l.pattern, l.left, fn, opts)
    elseif how == 3 then
      l.place = -place
      l.handle = em:prepend(l.pattern, fn, opts)
    elseif how == 4 then
      l.any, l.pattern = true, nil
      l.handle = em:on_any(fn, opts)
    else
      l.handle = em:on(l.pattern, fn, opts)
    end
    model[#model + 1] = l
  end

  local function remove()
    if #model == 0 then return end
    local l = model[roll(#model)]
    assert(l.handle:off() == not l.removed)
    l.removed = true
  end

  local function remove_all()
    local name, n = PATTERNS[roll(#PATTERNS)], 0
    for _, l in ipairs(model) do
      if l.pattern == name and not l.removed then
        n = n + 1
        l.removed = true
      end
    end
    assert(em:off_all(name) == n)
  end

  local acts = { add, add, add, remove, remove, remove_all,
    function() emit "emit" end, function() emit "emit" end, function() emit "emit_serial" end,
    function() if depth == 0 then emit "emit_sync" end end, collectgarbage }
  function act() -- inside emit_sync nothing may emit
    if coroutine.isyieldable() then acts[roll(#acts)]() end
  end

  for _ = 1, 60 do
    act()
    local n = 0
    for _, l in ipairs(model) do if not l.removed then n = n + 1 end end
    assert(em:count() == n, "the count")
  end
end

--- With waits: nothing is lost or doubled, and everything ends.
local function waiting_storm(seed)
  local roll = dice(seed)
  local em = neap.emitter {
    wildcard = true, max_listeners = 0, errors = seed % 2 == 0 and "raise" or "report",
    concurrency = seed % 3 == 0 and 2 or math.huge, backlog = 10,
  }
  local live, tasks, left, handles = 0, {}, 0, {}

  local function listener(alone)
    live = live + 1
    local _ <close> = setmetatable({}, { __close = function() live = live - 1 end })
    local how = roll(6)
    if how == 1 then neap.sleep(roll(3)) end
    if how == 2 then error { kind = "storm" } end
    if how == 3 then neap.spawn(neap.sleep, 1) end
    if how == 4 and #handles > 0 then handles[roll(#handles)]:off() end
    if how == 5 and live < 20 and not alone then em:emit(NAMES[roll(#NAMES)]) end
  end

  local function name() return PATTERNS[roll(#PATTERNS)] end
  local acts = {
    function() handles[#handles + 1] = em:on(name(), function() listener() end, { priority = roll(3) }) end,
    function() handles[#handles + 1] = em:once(name(), function() listener() end, { timeout = roll(2) }) end,
    function() -- one that emits could wait for its own turn
      handles[#handles + 1] = em:on(name(), function() listener(true) end, { concurrency = roll(2) })
    end,
    function() em:emit(NAMES[roll(#NAMES)], 1) end,
    function() em:emit_serial(NAMES[roll(#NAMES)], 1) end,
    function() em:emit_soon(NAMES[roll(#NAMES)], 1) end,
    function() neap.move_on_after(roll(3), em.emit, em, NAMES[roll(#NAMES)]) end,
    function() neap.move_on_after(roll(3), em.wait_for, em, name()) end,
    function() em:wait_for(name(), { timeout = roll(3), filter = function() return roll(2) == 1 end }) end,
    function()
      neap.move_on_after(roll(4), function()
        local events <close> = em:iter(name(), { buffer = roll(2),
          overflow = ({ "block", "drop_oldest", "error" })[roll(3)] })
        for _ = 1, roll(4) do events() end
      end)
    end,
    function() if #handles > 0 then handles[roll(#handles)]:off() end end,
    function() tasks[roll(#tasks)]:cancel() end,
    function() neap.sleep(roll(3)) end,
    function() em:drain { timeout = 1 } end,
    function()
      neap.scope(function(s)
        em:on(name(), function() listener() end, { scope = s })
        neap.sleep(roll(2))
      end)
    end,
  }
  neap.supervisor(function()
    for i = 1, 8 do
      tasks[i] = neap.spawn(function()
        left = left + 1
        local _ <close> = setmetatable({}, { __close = function() left = left - 1 end })
        for _ = 1, 12 do neap.pcall(acts[roll(#acts)]) end
      end)
    end
  end)
  assert(left == 0, "a task is left")
  em:drain()
  if seed % 4 == 0 then em:close() end
  em:off_all()
  assert(em:count() == 0)
  assert(live == 0, "a listener is left")
end

describe("a storm over the emitter", function()
  local function each(fn)
    for seed = ONLY or 1, ONLY or SEEDS do
      local ok, err = pcall(run.now, { on_error = function() end, timeout = 60 }, function() fn(seed) end)
      if not ok then error(("NEAP_STORM_SEED=%d: %s"):format(seed, tostring(err)), 0) end
    end
  end

  it("calls whom a plain list says, in its order (M2, M3, M4, M15, M16)", function() each(model_storm) end)

  it("ends, and leaves nothing (M5, M6, M14, M17, M18, M19)", function() each(waiting_storm) end)
end)
