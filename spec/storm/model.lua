--- The rules of docs/model.md as a bookkeeper beside a program that runs:
--- what it says must be, is compared with what is. It knows nothing of how
--- neap does it.
---
--- Times are whole seconds of the virtual clock, so that half a second later
--- everybody waits: then `check_rest` looks at all of it.

local neap = require "neap"

local Model = {}
Model.__index = Model

function Model.new()
  return setmetatable({
    tasks = {}, scopes = {}, queues = {}, locks = {}, permits = {}, rws = {}, events = {},
    failures = {}, heard = {}, base = 0, next_item = 0,
  }, Model)
end

--- Nanoseconds since the program began.
function Model:now() return math.floor((neap.now() - self.base) * 1e9 + 0.5) end

--- The first rule that was broken counts.
function Model:broken(text, ...)
  self.fault = self.fault or text:format(...)
end

function Model:check(ok, text, ...)
  if not ok then self:broken(text, ...) end
end

-- ------------------------------------------------------------- scopes, tasks

--- `rec` is the task whose call it is.
function Model:new_scope(parent, kind, rec)
  local sc = { kind = kind, parent = parent, tasks = {}, id = #self.scopes + 1, rec = rec }
  self.scopes[sc.id] = sc
  return sc
end

--- A task to be; `owner` is nil for one in the background.
function Model:new_task(owner)
  local rec = { id = #self.tasks + 1, owner = owner, holds = {}, token = {} }
  rec.own = self:new_scope(owner, "task")
  rec.own.rec = rec
  self.tasks[rec.id] = rec
  if owner then owner.tasks[#owner.tasks + 1] = rec end
  return rec
end

--- It did not come to be after all.
function Model:unborn(rec)
  rec.own.over, rec.no_task = true, true
  for i, other in ipairs(rec.owner and rec.owner.tasks or {}) do
    if other == rec then table.remove(rec.owner.tasks, i) break end
  end
end

local function status(rec) return rec.handle and rec.handle:status() end

local ENDED <const> = { done = true, failed = true, cancelled = true }

function Model:has_ended(rec)
  if rec.no_task then return true end
  if rec.handle then return ENDED[status(rec)] or false end
  if not rec.body_time then return not rec.started and rec.optional or false end
  for _, child in ipairs(rec.own.tasks) do
    if not self:has_ended(child) then return false end
  end
  return true
end

--- When a task that has ended did: with the last of its children.
local function end_time(rec)
  local time = rec.body_time or 0
  for _, child in ipairs(rec.own.tasks) do time = math.max(time, end_time(child)) end
  return time
end

Model.end_time = end_time

--- Failures of a scope as { err, time }, each object once.
function Model:failures_of(sc)
  local list, index = {}, {}
  local function add(err, time)
    local known = index[err]
    if known then
      known[2] = math.min(known[2], time)
    else
      index[err] = { err, time }
      list[#list + 1] = index[err]
    end
  end
  if sc.body_err then add(sc.body_err, sc.body_time) end
  for _, rec in ipairs(sc.tasks) do
    if status(rec) == "failed" then add(rec.handle:outcome().err, end_time(rec)) end
  end
  return list, index
end

local function is_first(list, err)
  local first, found = math.huge, nil
  for _, failure in ipairs(list) do
    first = math.min(first, failure[2])
    if failure[1] == err then found = failure[2] end
  end
  return found == first
end

--- Can `one` not go on before `other` has ended?
function Model:waits_for(one, other, seen)
  if one == other then return true end
  if seen[one] then return false end
  seen[one] = true
  if one.awaits and self:waits_for(one.awaits, other, seen) then return true end
  for _, sc in ipairs(self.scopes) do
    if sc.rec == one and not sc.over then
      for _, rec in ipairs(sc.tasks) do
        if self:waits_for(rec, other, seen) then return true end
      end
    end
  end
  return false
end

-- -------------------------------------------------------------- cancellation

local KEEPS <const> = { settle = true, race = true }

--- Is this scope itself cancelled? With "maybe" also if it may become so in
--- this very instant; "rest" is for instants in which nothing happens.
function Model:is_cancelled(sc, mode)
  if sc.cancelled then return true end
  if sc.deadline then
    local now = self:now()
    if sc.deadline < now or mode ~= "sure" and sc.deadline <= now then return true end
  end
  if sc.service and sc.body_time or sc.body_err then return true end
  for _, rec in ipairs(sc.tasks) do
    if not KEEPS[sc.kind] and status(rec) == "failed" then return true end
    -- gather awaits them in turn: it sees a cancelled one sooner or later.
    if sc.kind == "gather" and mode == "maybe" and status(rec) == "cancelled" then return true end
    if sc.kind == "race" and mode ~= "sure" and rec.body_time and self:has_ended(rec) then
      return true
    end
  end
  return false
end

--- Does a cancellation reach what runs in `sc`? (C1, C9, S2)
function Model:effective(sc, mode)
  local as_child = false
  while sc do
    if as_child and sc.service and not sc.body_time then return false end
    if self:is_cancelled(sc, mode) then return true end
    if sc.kind == "shield" then return false end
    as_child = sc.kind == "task"
    sc = sc.parent
  end
  return mode == "maybe" and self.over or false -- the run ends the rest
end

-- -------------------------------------------------------------------- waits

--- fn(...) as a wait of the task: a checkpoint, and cancelled by somebody only.
function Model:wait(ctx, what, fn, ...)
  local rec, sure = ctx.rec, self:effective(ctx.sc, "sure")
  rec.at, rec.at_scope = what, ctx.sc
  local out = table.pack(pcall(fn, ...))
  rec.at = nil
  if not out[1] then
    if neap.is_cancelled(out[2]) then
      self:check(self:effective(ctx.sc, "maybe"), "C1: %s was cancelled by nobody: %s", what,
        tostring(out[2]))
    end
    error(out[2], 0)
  end
  -- A spawn that finds room is no wait (S7).
  self:check(not sure or what == "spawn", "C2: %s did its work in a cancelled scope", what)
  return table.unpack(out, 2, out.n)
end

--- An ordinary error has left a body: somebody must hear of it.
function Model:note_failure(err)
  if type(err) == "string" then self:broken("an error of the program itself: %s", err) end
  self.failures[#self.failures + 1] = err
end

function Model:hear(err)
  self.heard[err] = true
  if type(err) == "table" and err.kind == "group" then
    for _, inner in ipairs(err.errors) do self:hear(inner) end
  end
end

-- --------------------------------------------------- a scope has been left

function Model:check_all_ended(sc)
  for _, rec in ipairs(sc.tasks) do
    self:check(self:has_ended(rec), "S1: task %d is alive after its %s", rec.id, sc.kind)
  end
end

function Model:check_group(sc, err, list, index)
  if type(err) ~= "table" or err.kind ~= "group" then
    return self:broken("S12: a scope with errors=\"group\" raised %s", tostring(err))
  end
  local count = 0
  for _, one in ipairs(err.errors) do
    if index[one] then
      count = count + 1
    else -- the scope's own limit stands among them (D7)
      self:check(type(one) == "table" and one.kind == "timeout" and sc.deadline
        and sc.deadline <= self:now(), "S12: a stranger in the group: %s", tostring(one))
    end
  end
  self:check(count == #list, "S12: %d failures in the group, not %d", count, #list)
end

--- A child cut short from outside is not hidden (S11).
function Model:check_not_cut(sc)
  if self:is_cancelled(sc, "maybe") then return end
  for _, rec in ipairs(sc.tasks) do
    if status(rec) == "cancelled" and not self:is_cancelled(rec.own, "maybe") then
      self:broken("S11: a %s returned, but task %d was cut short", sc.kind, rec.id)
    end
  end
end

--- gather awaits what it started, and so it tells when one was cancelled (T7).
local function tells_of_cancelled(sc, err)
  if sc.kind ~= "gather" or type(err) ~= "table" or err.kind ~= "task_cancelled" then return false end
  for _, rec in ipairs(sc.tasks) do
    if status(rec) == "cancelled" then return true end
  end
  return false
end

function Model:check_raised(sc, err)
  if neap.is_cancelled(err) then
    local outside = sc.parent and self:effective(sc.parent, "maybe")
    self:check(outside, "C6: a %s let its own cancellation out", sc.kind)
  elseif type(err) == "table" and err.kind == "timeout" then
    self:check(sc.deadline, "D1: a %s without a limit raised timeout", sc.kind)
    self:check(sc.expired or not sc.deadline or self:now() >= sc.deadline, "D1: timeout came too early")
  else
    self:broken("S3: a %s raised what nobody raised in it: %s", sc.kind, tostring(err))
  end
end

--- ok, err: how the call ended that the scope was.
function Model:check_exit(sc, ok, err)
  self:check_all_ended(sc)
  if sc.kind == "settle" or sc.kind == "race" then
    if not ok and neap.is_cancelled(err) then self:check_raised(sc, err) end
    return
  end
  if not ok and tells_of_cancelled(sc, err) then return end
  local list, index = self:failures_of(sc)
  if #list == 0 then
    if ok then self:check_not_cut(sc) else self:check_raised(sc, err) end
  elseif ok then
    self:broken("S3: a %s returned though it had failed: %s", sc.kind, tostring(list[1][1]))
  elseif sc.group then
    self:check_group(sc, err, list, index)
  else
    self:check(is_first(list, err), "S3: a %s raised %s, not its first failure %s", sc.kind,
      tostring(err), tostring(list[1][1]))
  end
end

-- ------------------------------------------------------- everybody waits now

function Model:check_task_at_rest(rec)
  if rec.at then
    self:check(not self:effective(rec.at_scope, "rest"),
      "C1: task %d waits on in %s though it is cancelled", rec.id, rec.at)
  end
  if rec.awaits and rec.at then
    self:check(not self:has_ended(rec.awaits), "T6: task %d awaits one that has ended", rec.id)
  end
  if rec.handle and rec.body_time and not ENDED[status(rec)] then
    local alive = false
    for _, child in ipairs(rec.own.tasks) do alive = alive or not self:has_ended(child) end
    self:check(alive, "T4: task %d and its children are over, but it has not ended", rec.id)
  end
end

function Model:check_scope_at_rest(sc)
  if sc.kind == "task" or sc.over then return end
  local alive = 0
  for _, rec in ipairs(sc.tasks) do
    if rec.handle and not self:has_ended(rec) then alive = alive + 1 end
  end
  if sc.body_time and sc.kind ~= "race" then
    self:check(alive > 0, "S1: a %s waits though all in it have ended", sc.kind)
  end
  if sc.max then
    self:check(alive <= sc.max, "S8: %d children alive, not %d", alive, sc.max)
  end
end

function Model:count_waits(what)
  local n = 0
  for _, rec in ipairs(self.tasks) do
    if rec.at == what then n = n + 1 end
  end
  return n
end

local function count_ok(list)
  local n = 0
  for _, entry in ipairs(list) do
    if entry.ok then n = n + 1 end
  end
  return n
end

function Model:check_objects_at_rest()
  for i, q in ipairs(self.queues) do
    local held = count_ok(q.puts) - count_ok(q.gets)
    self:check(#q.object == held, "P5: queue %d has %d items, not %d", i, #q.object, held)
    local getters, putters = self:count_waits("get " .. i), self:count_waits("put " .. i)
    self:check(getters == 0 or held == 0 and putters == 0, "W4: getters of queue %d miss items", i)
    self:check(putters == 0 or held >= q.capacity, "W4: putters of queue %d miss room", i)
  end
  for i, lock in ipairs(self.locks) do
    self:check((lock.holder ~= nil) == lock.object:locked(), "P3: lock %d is not as held", i)
    self:check(lock.holder or self:count_waits("lock " .. i) == 0, "W4: lock %d is free and missed", i)
  end
  for i, p in ipairs(self.permits) do
    self:check(p.object:value() + p.held == p.n, "P4: permits of semaphore %d: %d and %d held", i,
      p.object:value(), p.held)
    self:check(p.held == p.n or self:count_waits("permit " .. i) == 0,
      "W4: semaphore %d has permits and is missed", i)
  end
  for i, rw in ipairs(self.rws) do
    local readers, writers = self:count_waits("read " .. i), self:count_waits("write " .. i)
    self:check(rw.writer or rw.readers > 0 or readers + writers == 0, "W4: rwlock %d is free and missed", i)
    self:check(rw.writer or readers == 0 or writers > 0, "P12: readers of rwlock %d wait for none", i)
  end
  for i, event in ipairs(self.events) do
    self:check(not event:is_set() or self:count_waits("event " .. i) == 0, "P2: event %d is set and missed", i)
  end
end

--- Nothing is ready now, and no time is up.
function Model:check_rest()
  for _, rec in ipairs(self.tasks) do self:check_task_at_rest(rec) end
  for _, sc in ipairs(self.scopes) do self:check_scope_at_rest(sc) end
  self:check_objects_at_rest()
end

-- ------------------------------------------------------------ first come ...

--- Somebody comes to be served; `served` and `left` say how that went.
function Model:come(line)
  local turn = { since = self:now() }
  line[#line + 1] = turn
  return turn
end

--- Who came before and waits on has been overtaken (W4).
function Model:check_turns(what, line)
  local first_left = math.huge -- until when the slowest of those behind stayed
  for i = #line, 1, -1 do
    local turn = line[i]
    self:check((turn.till or math.huge) <= first_left, "W4: %s: turn %d was overtaken", what, i)
    if turn.ok then first_left = math.min(first_left, turn.till) end
  end
end

--- The k-th that got has the item of the k-th that put (P5, W4).
function Model:check_queue(i, q)
  local sent, got = {}, {}
  for _, put in ipairs(q.puts) do
    if put.ok then sent[#sent + 1] = put.item end
  end
  for _, get in ipairs(q.gets) do
    if get.ok then got[#got + 1] = get.item end
  end
  local item = q.object:try_get()
  while item do
    got[#got + 1] = item
    item = q.object:try_get()
  end
  self:check(#sent == #got, "P5: queue %d took %d items and gave %d", i, #sent, #got)
  for k = 1, math.min(#sent, #got) do
    self:check(sent[k] == got[k], "W4: item %d of queue %d is %s, not %s", k, i, got[k], sent[k])
  end
end

-- ------------------------------------------------------------ all has ended

function Model:check_outcome(rec)
  if not rec.handle or rec.no_task then return end
  local how, out = status(rec), rec.handle:outcome()
  self:check(ENDED[how] and out, "T2: task %d is %s at the end", rec.id, how)
  self:check(rec.started, "T5: task %d was never started", rec.id)
  local list = self:failures_of(rec.own)
  if #list > 0 then
    self:check(how == "failed" and is_first(list, out.err),
      "S3: task %d is %s, not failed with its first failure", rec.id, how)
  elseif how == "failed" then
    self:broken("T2: task %d failed, but nothing in it did: %s", rec.id, tostring(out.err))
  elseif rec.unwound then
    self:check(how == "cancelled", "T2: task %d was cancelled and is %s", rec.id, how)
  elseif how == "done" then
    self:check(out.ok and out[1] == rec.token, "T6: task %d lost its value", rec.id)
  end
end

--- After the run.
function Model:check_end()
  for _, rec in ipairs(self.tasks) do
    self:check(self:has_ended(rec), "R1: task %d is alive after the run", rec.id)
    self:check_outcome(rec)
  end
  for i, q in ipairs(self.queues) do self:check_queue(i, q) end
  for i, lock in ipairs(self.locks) do
    self:check(not lock.object:locked(), "P3: lock %d is held at the end", i)
    self:check_turns("lock " .. i, lock.line)
  end
  for i, p in ipairs(self.permits) do
    self:check(p.object:value() == p.n, "P4: semaphore %d has %d at the end", i, p.object:value())
    self:check_turns("permit " .. i, p.line)
  end
  for i, rw in ipairs(self.rws) do self:check_turns("rwlock " .. i, rw.line) end
  for _, err in ipairs(self.failures) do
    self:check(self.heard[err], "E4: nobody has heard of %s", tostring(err))
  end
  local stats = neap.stats()
  self:check(stats.tasks == 0 and stats.timers == 0 and stats.pending == 0, "R10: something is left")
end

return Model
