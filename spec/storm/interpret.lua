--- Plays a program of spec/storm/program.lua on neap, with the bookkeeper of
--- spec/storm/model.lua beside it. Returns the rule that was broken, or nil.
---
--- `api` may replace functions of neap: that is how a spec shows that a broken
--- one is found.

local neap = require "neap"
local Model = require "spec.storm.model"

local ROOT_LIMIT <const> = 60 -- seconds; programs that wait for ever end there
local SEVERAL <const> = 2 -- locks of each kind: few, so that they are fought for

local ops = {}

local function exec(ctx, list)
  for _, st in ipairs(list) do ops[st.op](ctx, st) end
end

local function pick(list, k) return list[(k - 1) % #list + 1], (k - 1) % #list + 1 end

-- -------------------------------------------------------- bodies and scopes

--- Call fn(ctx) as the body of a scope; how it ends is noted.
local function body_of(w, sc, ctx, fn)
  local ok, err = pcall(fn, ctx)
  sc.body_time = w:now()
  if ok then return end
  if neap.is_cancelled(err) then
    sc.unwound = true
  else
    sc.body_err = err
    w:note_failure(err)
  end
  error(err, 0)
end

--- A call that is a scope: `call(body)` with what must be wrapped around it.
local function enclosed(ctx, sc, list, call)
  local w = ctx.w
  local out = table.pack(pcall(call, function(handle)
    if type(handle) == "userdata" then sc.handle = handle end
    body_of(w, sc, { w = w, rec = ctx.rec, sc = sc }, function(inner) exec(inner, list) end)
    return sc
  end))
  sc.over = true
  w:check_exit(sc, out[1], out[2])
  if not out[1] then error(out[2], 0) end
  return table.unpack(out, 2, out.n)
end

--- The function of a task.
local function task_fn(w, rec, list)
  return function()
    w:check(not rec.started, "T1: task %d was started twice", rec.id)
    rec.started = true
    rec.handle = rec.handle or not rec.optional and w.api.current() or nil
    local ok, err = pcall(body_of, w, rec.own, { w = w, rec = rec, sc = rec.own },
      function(ctx) exec(ctx, list) end)
    rec.body_time, rec.unwound = rec.own.body_time, rec.own.unwound
    if not ok then error(err, 0) end
    return rec.token
  end
end

local function spawn_on(ctx, st, owner, spawn)
  local w = ctx.w
  local rec = w:new_task(owner)
  local ok, handle = pcall(w.wait, w, ctx, "spawn", spawn, task_fn(w, rec, st.body))
  if ok then
    rec.handle = handle
  else
    w:unborn(rec)
    error(handle, 0)
  end
end

--- The scopes around that have a handle, the innermost first.
local function handles(ctx)
  local list, sc = {}, ctx.sc
  while sc do
    if sc.handle and not sc.over then list[#list + 1] = sc end
    sc = sc.parent
  end
  return list
end

function ops.spawn(ctx, st)
  -- Waits, and is a checkpoint, only where the scope has a bound.
  if ctx.sc.max then return spawn_on(ctx, st, ctx.sc, neap.spawn) end
  local rec = ctx.w:new_task(ctx.sc)
  rec.handle = ctx.w.api.spawn(task_fn(ctx.w, rec, st.body))
end

function ops.spawn_up(ctx, st)
  local list = handles(ctx)
  if #list == 0 then return ops.spawn(ctx, st) end
  local sc = pick(list, st.k)
  if sc.max then
    return spawn_on(ctx, st, sc, function(fn) return sc.handle:spawn(fn) end)
  end
  local rec = ctx.w:new_task(sc)
  rec.handle = sc.handle:spawn(task_fn(ctx.w, rec, st.body))
end

function ops.background(ctx, st)
  local rec = ctx.w:new_task(nil)
  rec.handle = ctx.w.api.background(task_fn(ctx.w, rec, st.body))
end

function ops.scope(ctx, st)
  local sc = ctx.w:new_scope(ctx.sc, "scope", ctx.rec)
  sc.service, sc.group, sc.max = st.service, st.group, st.max
  local opts = {
    on_exit = st.service and "cancel" or "wait", errors = st.group and "group" or "first",
    max = st.max,
  }
  enclosed(ctx, sc, st.body, function(body) return ctx.w.api.scope(opts, body) end)
end

local function limited(ctx, st, kind, limit)
  local sc = ctx.w:new_scope(ctx.sc, kind, ctx.rec)
  local begin = ctx.w:now()
  sc.deadline = begin + limit * 1000000000
  local out = table.pack(enclosed(ctx, sc, st.body, function(body)
    return ctx.w.api[kind == "move_on" and "move_on_after" or kind](limit, body)
  end))
  return sc, out
end

function ops.timeout(ctx, st)
  local sc, out = limited(ctx, st, "timeout", st.n + 1)
  ctx.w:check(out[1] == sc, "D1: a timeout lost the value of its function")
end

function ops.shield(ctx, st)
  local sc, out = limited(ctx, st, "shield", st.n + 2)
  ctx.w:check(out[1] == sc, "C9: a shield lost the value of its function")
end

function ops.move_on(ctx, st)
  local sc, out = limited(ctx, st, "move_on", st.n + 1)
  if out[1] then
    ctx.w:check(out[2] == sc, "D2: move_on_after lost the value of its function")
  else
    ctx.w:check(ctx.w:now() >= sc.deadline, "D2: move_on_after gave up too early")
  end
end

function ops.defer(ctx, st)
  local w, sc = ctx.w, ctx.w:new_scope(ctx.sc, "shield", ctx.rec)
  local out = table.pack(pcall(function()
    local _ <close> = w.api.defer(function()
      sc.deadline = w:now() + (st.n + 1) * 1000000000
      body_of(w, sc, { w = w, rec = ctx.rec, sc = sc }, function(inner) exec(inner, st.body) end)
    end, { timeout = st.n + 1 })
    ops.sleep(ctx, st)
  end))
  sc.over = true
  w:check_all_ended(sc)
  w:check(sc.body_time, "C10: a deferred function was not run")
  if not out[1] then error(out[2], 0) end
end

function ops.try(ctx, st)
  local ok, err = ctx.w.api.pcall(exec, ctx, st.body)
  if ok then return end
  ctx.w:check(not neap.is_cancelled(err), "C8: neap.pcall caught a cancellation")
  ctx.w:hear(err)
end

function ops.catch_all(ctx, st)
  local ok, err = pcall(exec, ctx, st.body)
  if not ok and not neap.is_cancelled(err) then ctx.w:hear(err) end
end

-- -------------------------------------------------------------- combinators

local function branches(ctx, st, kind)
  local sc, recs, fns = ctx.w:new_scope(ctx.sc, kind, ctx.rec), {}, {}
  for i, list in ipairs(st.bodies) do
    local rec = ctx.w:new_task(sc)
    rec.optional = kind == "race" -- what the task is, is not ours to see
    recs[i], fns[i] = rec, task_fn(ctx.w, rec, list)
  end
  return sc, recs, fns
end

--- Those that were not even begun are none.
local function call(ctx, sc, recs, fn, ...)
  local out = table.pack(pcall(fn, ...))
  for _, rec in ipairs(recs) do
    if not rec.started then ctx.w:unborn(rec) end
  end
  sc.over = true
  ctx.w:check_exit(sc, out[1], out[2])
  if not out[1] then error(out[2], 0) end
  return table.unpack(out, 2, out.n)
end

function ops.gather(ctx, st)
  local sc, recs, fns = branches(ctx, st, "gather")
  local out = { call(ctx, sc, recs, ctx.w.api.gather, table.unpack(fns)) }
  for i, rec in ipairs(recs) do
    ctx.w:check(out[i] == rec.token, "G1: gather lost value %d", i)
  end
end

function ops.settle(ctx, st)
  local sc, recs, fns = branches(ctx, st, "settle")
  for i, out in ipairs(call(ctx, sc, recs, ctx.w.api.settle, fns)) do
    local rec = recs[i]
    if out.ok then
      ctx.w:check(out.value == rec.token, "G3: settle lost value %d", i)
    else
      ctx.w:check(rec.unwound or out.err == rec.handle:outcome().err, "G3: settle lost error %d", i)
      ctx.w:hear(out.err)
    end
  end
end

function ops.race(ctx, st)
  local sc, recs, fns = branches(ctx, st, "race")
  local token = call(ctx, sc, recs, ctx.w.api.race, fns)
  local winner, first = nil, math.huge
  for _, rec in ipairs(recs) do
    if rec.token == token then winner = rec end
    if rec.started then first = math.min(first, Model.end_time(rec)) end
  end
  ctx.w:check(winner, "G7: race gave a value from nowhere")
  ctx.w:check(not winner or Model.end_time(winner) == first, "G7: the winner was not the first")
end

-- -------------------------------------------------------- waits and signals

function ops.sleep(ctx, st)
  local w, begin = ctx.w, ctx.w:now()
  w:wait(ctx, "sleep", w.api.sleep, st.n)
  w:check(w:now() == begin + st.n * 1000000000, "V1: a sleep of %d s took %d ns", st.n, w:now() - begin)
end

function ops.checkpoint(ctx) ctx.w:wait(ctx, "checkpoint", ctx.w.api.checkpoint) end

function ops.now(ctx)
  local limit, sc = ctx.w.api.deadline(), ctx.sc
  local least = math.huge
  while sc do
    least = math.min(least, sc.deadline or math.huge)
    sc = sc.kind ~= "shield" and sc.parent or nil
  end
  local got = limit and math.floor((limit - ctx.w.base) * 1e9 + 0.5) or math.huge
  -- The root's limit, and that of a scope that a service body is hidden by.
  ctx.w:check(got <= least, "D5: the deadline is %s, not %s", got, least)
end

function ops.fail(ctx, st)
  error(neap.fault.new { kind = "storm", message = ("failure of task %d, k=%d"):format(ctx.rec.id, st.k) })
end

function ops.set(ctx, st) pick(ctx.w.events, st.k):set() end

function ops.clear(ctx, st) pick(ctx.w.events, st.k):clear() end

--- Most waits that may be for ever have a limit of their own.
local function perhaps_limited(ctx, st)
  if st.k <= 3 then return false end
  ops.move_on(ctx, { n = st.n, body = { { op = st.op, n = st.n, k = (st.k - 1) % 3 + 1 } } })
  return true
end

function ops.wait(ctx, st)
  if perhaps_limited(ctx, st) then return end
  local event, i = pick(ctx.w.events, st.k)
  ctx.w:wait(ctx, "event " .. i, event.wait, event)
end

--- A task to have to do with, made before.
local function somebody(ctx, st)
  local rec = ctx.w.tasks[(st.k * 7 + st.n) % #ctx.w.tasks + 1]
  return rec.handle and not rec.no_task and rec or nil
end

--- Somebody to wait for. Who waits for the caller is none: the combinators
--- would raise `deadlock` from within.
local function somebody_else(ctx, st)
  local other = somebody(ctx, st)
  if not other or ctx.w:waits_for(other, ctx.rec, {}) then return nil end
  return other
end

local function await_self(ctx)
  local me = ctx.w.api.current()
  local ok, err = pcall(ctx.w.wait, ctx.w, ctx, "await", me.await, me)
  if not ok and neap.is_cancelled(err) then error(err, 0) end
  ctx.w:check(not ok and err.kind == "deadlock", "T11: a task could await itself")
end

function ops.await(ctx, st)
  local w, other = ctx.w, somebody_else(ctx, st)
  if not other then return await_self(ctx) end
  ctx.rec.awaits = other
  local ok, got = pcall(w.wait, w, ctx, "await", other.handle.await, other.handle)
  ctx.rec.awaits = nil
  if ok then
    w:check(got == other.token, "T6: await gave another value")
  elseif neap.is_cancelled(got) then
    error(got, 0)
  else
    local out = other.handle:outcome()
    w:check(out and out.err == got
      or got.kind == "task_cancelled" and other.handle:status() == "cancelled",
      "T6: await raised %s", tostring(got))
    if st.n % 2 == 0 then error(got, 0) end
    w:hear(got)
  end
end

function ops.join(ctx, st)
  local w, other = ctx.w, somebody_else(ctx, st)
  if not other then return end
  ctx.rec.awaits = other
  local ok, err = pcall(w.wait, w, ctx, "join", other.handle.join, other.handle)
  ctx.rec.awaits = nil
  if not ok then error(err, 0) end
  w:check(w:has_ended(other), "T8: join came back too early")
end

function ops.cancel(ctx, st)
  local w, other = ctx.w, somebody(ctx, st)
  if not other then return end
  local ended, again = w:has_ended(other), other.own.cancelled
  local had = w.api.cancel(other.handle)
  w:check(not (had and (ended or again)), "T12: cancelling an ended task had an effect")
  if not ended then other.own.cancelled = true end
end

function ops.cancel_scope(ctx, st)
  local list = handles(ctx)
  if #list == 0 then return end
  local sc = pick(list, st.k)
  sc.handle:cancel("k=" .. st.k)
  sc.cancelled = true
end

function ops.deadline(ctx, st)
  local list, now = handles(ctx), ctx.w:now()
  if #list == 0 then return end
  local sc = pick(list, st.k)
  if sc.deadline == now then return end -- this very instant: who is first?
  if sc.deadline and sc.deadline < now then sc.cancelled, sc.expired = true, true end
  sc.handle.deadline = neap.now() + st.n
  sc.deadline = now + st.n * 1000000000
end

-- ------------------------------------------------------------------- queues

local function new_item(w)
  w.next_item = w.next_item + 1
  return w.next_item
end

--- A put or a get that has come: `entry.ok` when it happened.
local function come(list, item)
  local entry = { item = item }
  list[#list + 1] = entry
  return entry
end

function ops.put(ctx, st)
  if perhaps_limited(ctx, st) then return end
  local q, i = pick(ctx.w.queues, st.k)
  local entry = come(q.puts, new_item(ctx.w))
  ctx.w:wait(ctx, "put " .. i, q.put, q.object, entry.item)
  entry.ok = true
end

function ops.get(ctx, st)
  if perhaps_limited(ctx, st) then return end
  local q, i = pick(ctx.w.queues, st.k)
  local entry = come(q.gets)
  entry.item = ctx.w:wait(ctx, "get " .. i, q.get, q.object)
  entry.ok = true
end

function ops.get_timeout(ctx, st)
  local w, q, i = ctx.w, pick(ctx.w.queues, st.k)
  local entry, begin = come(q.gets), w:now()
  local item, why = w:wait(ctx, "get " .. i, q.get, q.object, { timeout = st.n })
  entry.item, entry.ok = item, item ~= nil
  if item == nil then
    w:check(why == "timeout" and w:now() == begin + st.n * 1000000000, "P7: get gave up at the wrong time")
  else
    w:check(w:now() <= begin + st.n * 1000000000, "P7: get outstayed its timeout")
  end
end

function ops.try_put(ctx, st)
  local q = pick(ctx.w.queues, st.k)
  local entry = come(q.puts, new_item(ctx.w))
  entry.ok = q.object:try_put(entry.item)
end

function ops.try_get(ctx, st)
  local q = pick(ctx.w.queues, st.k)
  local entry = come(q.gets)
  entry.item = q.object:try_get()
  entry.ok = entry.item ~= nil
end

function ops.select(ctx, st)
  local w = ctx.w
  local from, to = pick(w.queues, st.k), pick(w.queues, st.k + 1)
  local get, put = come(from.gets), come(to.puts, new_item(w))
  local begin = w:now()
  local which, item = w:wait(ctx, "select", w.api.select, {
    from.object:on_get(), to.object:on_put(put.item), pick(w.events, st.k):on_wait(), neap.after(st.n),
  })
  if which == 1 then
    get.item, get.ok = item, true
  elseif which == 2 then
    put.ok = true
  elseif which == 4 then
    w:check(w:now() == begin + st.n * 1000000000, "G11: after(%d) came at the wrong time", st.n)
  end
end

-- -------------------------------------------------------------------- locks

--- Stand in a line for `key`; false if the task has it already.
local function stand(ctx, line, key, what, acquire, object)
  if ctx.rec.holds[key] then return nil end
  local w, turn = ctx.w, ctx.w:come(line)
  local ok, guard = pcall(w.wait, w, ctx, what, acquire, object)
  turn.till, turn.ok = w:now(), ok
  if not ok then error(guard, 0) end
  return guard
end

--- Something of a task for as long as it runs this block.
local function marked(fn) return setmetatable({}, { __close = fn }) end

function ops.lock(ctx, st)
  local lock, i = pick(ctx.w.locks, st.k)
  local _ <close> = stand(ctx, lock.line, lock, "lock " .. i, lock.acquire, lock.object)
  if ctx.rec.holds[lock] then return end
  ctx.w:check(not lock.holder, "P3: two hold lock %d", i)
  lock.holder, ctx.rec.holds[lock] = ctx.rec, true
  local _ <close> = marked(function() lock.holder, ctx.rec.holds[lock] = nil, nil end)
  exec(ctx, st.body)
end

function ops.permit(ctx, st)
  local p, i = pick(ctx.w.permits, st.k)
  local _ <close> = stand(ctx, p.line, p, "permit " .. i, p.acquire, p.object)
  if ctx.rec.holds[p] then return end
  p.held, ctx.rec.holds[p] = p.held + 1, true
  ctx.w:check(p.held <= p.n, "P4: %d hold %d permits", p.held, p.n)
  local _ <close> = marked(function() p.held, ctx.rec.holds[p] = p.held - 1, nil end)
  exec(ctx, st.body)
end

function ops.read(ctx, st)
  local rw, i = pick(ctx.w.rws, st.k)
  local _ <close> = stand(ctx, rw.line, rw, "read " .. i, rw.object.read, rw.object)
  if ctx.rec.holds[rw] then return end
  ctx.w:check(not rw.writer, "P12: a reader beside a writer")
  rw.readers, ctx.rec.holds[rw] = rw.readers + 1, true
  local _ <close> = marked(function() rw.readers, ctx.rec.holds[rw] = rw.readers - 1, nil end)
  exec(ctx, st.body)
end

function ops.write(ctx, st)
  local rw, i = pick(ctx.w.rws, st.k)
  local _ <close> = stand(ctx, rw.line, rw, "write " .. i, rw.object.write, rw.object)
  if ctx.rec.holds[rw] then return end
  ctx.w:check(not rw.writer and rw.readers == 0, "P12: a writer beside others")
  rw.writer, ctx.rec.holds[rw] = ctx.rec, true
  local _ <close> = marked(function() rw.writer, ctx.rec.holds[rw] = nil, nil end)
  exec(ctx, st.body)
end

-- -------------------------------------------------------------------- a run

local API <const> = {
  cancel = function(task) return task:cancel() end,
  put = function(q, item) return q:put(item) end,
  get = function(q, opts) return q:get(opts) end,
  acquire = function(lock) return lock:acquire() end,
  permit = function(sem) return sem:acquire() end,
}

local function new_world(api)
  local w = Model.new()
  w.api = setmetatable(api or {}, { __index = function(_, key) return API[key] or neap[key] end })
  for i, capacity in ipairs { 0, 1, 3 } do
    w.queues[i] = {
      object = neap.queue(capacity), capacity = capacity, puts = {}, gets = {},
      put = w.api.put, get = w.api.get,
    }
  end
  for i = 1, SEVERAL do
    w.locks[i] = { object = neap.lock(), line = {}, acquire = w.api.acquire }
    w.permits[i] = { object = neap.semaphore(i), n = i, held = 0, line = {}, acquire = w.api.permit }
    w.rws[i] = { object = neap.rwlock(), readers = 0, line = {} }
  end
  for i = 1, 3 do w.events[i] = neap.event() end
  return w
end

--- Looks at everything whenever everybody waits, half a second after they did
--- something.
local function watch(w)
  local ok, err = pcall(function()
    neap.sleep(0.5)
    while not w.over or not w:has_ended_all() do
      w:check_rest()
      neap.sleep(1)
    end
  end)
  if not ok and not neap.is_cancelled(err) then w:broken("the watch failed: %s", err) end
end

function Model:has_ended_all()
  for _, rec in ipairs(self.tasks) do
    if not self:has_ended(rec) then return false end
  end
  return true
end

local REPORTS <const> = { secondary = true, background = true }

--- Play the program; what it broke, or nil, and how much it did.
---@param list table[]
---@param opts? {api?: table, shuffle?: integer}
local function play(list, opts)
  opts = opts or {}
  local w = new_world(opts.api)
  local root = w:new_task(nil)
  local ok, err = pcall(neap.run, {
    clock = "virtual", shuffle = opts.shuffle, grace = 50, kill_after = 100,
    on_error = function(info)
      w:check(REPORTS[info.what], "E4: a report of %s: %s", info.what, tostring(info.error))
      w:hear(info.error)
    end,
  }, function()
    w.base, root.handle, root.started = neap.now(), neap.current(), true
    neap.background(watch, w)
    local ctx = { w = w, rec = root, sc = root.own }
    local fine, why = pcall(body_of, w, root.own, ctx, function(inner)
      ops.move_on(inner, { body = list, n = ROOT_LIMIT })
    end)
    root.body_time, w.over = w:now(), true
    if not fine then error(why, 0) end
    return root.token
  end)
  if not ok then w:hear(err) end
  w:check_end()
  return w.fault, #w.tasks
end

return { play = play }
