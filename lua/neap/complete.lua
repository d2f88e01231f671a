--- Combinators that care who is first: race, any, wait, as_completed, imap.
--- What they start runs in a scope of theirs and has ended when they return;
--- what they are given, they watch.

local core = require "neap.core"
local iterator = require "neap.iterator"
local lists = require "neap.list"
local options = require "neap.options"
local stream = require "neap.stream"

local complete = {}

local pcall <const> = pcall

-- ---------------------------------------------------------------- arguments

local function is_task(x)
  local mt = debug.getmetatable(x)
  return type(x) == "userdata" and mt ~= nil and mt.__name == "neap.task"
end

local function check_list(what, list, tasks_only)
  if type(list) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)")
      :format(what, type(list)), 3)
  end
  local n, me = lists.length(what, list, 3), core.current()
  for i = 1, n do
    local f = list[i]
    if not is_task(f) and (tasks_only or not options.callable(f)) then
      error(("bad argument #1 to '%s' (item %d: %s expected, got %s)"):format(
        what, i, tasks_only and "task" or "function or task", type(f)), 3)
    end
    if f == me then
      core.fault.raise {
        kind = "deadlock",
        message = ("neap.%s: the task would wait for itself"):format(what),
      }
    end
  end
  return n
end

local function check_not_empty(what, n)
  if n > 0 then return end
  error(("bad argument #1 to '%s' (at least one item expected)")
    :format(what), 3)
end

-- ----------------------------------------------------------------- outcomes

-- An outcome is packed: true and the values, or false and the error. `cut`: it
-- was cancelled, which is no failure; `given`: it is another scope's to tell.

local function outcome_of(task)
  local out = task:outcome()
  local packed = out.ok and table.pack(true, table.unpack(out, 1, out.n))
    or { n = 2, false, out.err }
  packed.given = true
  return packed
end

local function cancelled()
  return { n = 2, cut = true, false, core.fault.new {
    kind = "task_cancelled", message = "the task was cancelled",
  } }
end

local function failures_of(outcomes)
  local list = {}
  for _, out in ipairs(outcomes) do
    if not (out[1] or out.cut or out.given) then list[#list + 1] = out end
  end
  return list
end

local function drop_scope(_, f, ...) return f(...) end

--- Body of a task: `f(...)` with all that it spawns; `done` gets the outcome,
--- whatever it is.
local function attempt(done, f, ...)
  local out = table.pack(pcall(core.scope, drop_scope, f, ...))
  if not out[1] then core.was_heard() end
  if out[1] or not core.is_cancelled(out[2]) then return done(out) end
  done(cancelled())
  error(out[2], 0)
end

--- Failures that no caller gets: attached to the error that he does get, if
--- any, and reported.
local function tell(unheard, err)
  for _, out in ipairs(unheard) do
    if err then
      core.second_failure(err[1], out[2])
    else
      core.report("secondary", out[2])
    end
  end
end

--- Start or watch each in a scope of its own, and call `choose(s, next_end)` in
--- it: `next_end()` waits for the next one to end and returns its index and
--- outcome. When `choose` returns, what still runs is cancelled and joined.
--- Returns the failures that came too late for it.
local function in_order_of_ends(list, n, choose)
  local ended, late = core.queue(math.huge), {}
  local function next_end() return table.unpack(ended:get(), 1, 2) end
  local ok, err = pcall(core.keep_scope, function(s)
    for i = 1, n do
      local f = list[i]
      local function done(out) ended:try_put { i, out } end
      if is_task(f) then
        s:spawn(function()
          f:join()
          done(outcome_of(f))
        end)
      else
        s:spawn(attempt, done, f)
      end
    end
    choose(next_end)
    s:cancel "the others are not needed any more"
  end)
  for i = 1, #ended do late[i] = ended:try_get()[2] end
  return failures_of(late), not ok and { err } or nil
end

-- -------------------------------------------------------------- race and any

--- The first outcome, value or error; the others are cancelled and joined.
---@async
---@param list (fun(): ...)[] functions or tasks; tasks are not cancelled
---@return any ... the values of the first
function complete.race(list)
  local n = check_list("race", list)
  check_not_empty("race", n)
  core.may_wait "neap.race"
  local first
  local late, err = in_order_of_ends(list, n, function(next_end)
    first = select(2, next_end())
  end)
  if err then -- cancelled: nobody will look at the first
    tell(failures_of { first }, err)
  elseif not first[1] then
    err = { first[2] }
  end
  tell(late, err)
  if err then error(err[1], 0) end
  return table.unpack(first, 2, first.n)
end

--- The first success; a fault of kind `group` when all have failed.
---@async
---@param list (fun(): ...)[] functions or tasks; tasks are not cancelled
---@return any ... the values of the first that succeeded
function complete.any(list)
  local n = check_list("any", list)
  check_not_empty("any", n)
  core.may_wait "neap.any"
  local winner
  local errors, failures = {}, {}
  local late, err = in_order_of_ends(list, n, function(next_end)
    for _ = 1, n do
      local i, out = next_end()
      if out[1] then
        winner = out
        return
      end
      errors[i] = out[2]
      failures[#failures + 1] = out
    end
  end)
  if err then tell(failures_of(failures), err) end -- cancelled: nobody looks
  tell(late, err)
  if err then error(err[1], 0) end
  if winner then return table.unpack(winner, 2, winner.n) end
  core.fault.raise {
    kind = "group", errors = errors, n = n,
    message = ("all %d failed, the first: %s"):format(n,
      tostring(failures[1][2])),
  }
end

-- --------------------------------------------------------------------- wait

local WAIT_OPTIONS <const> = {
  timeout = options.range("number", 0),
  when = options.one_of { "all", "first", "first_error" },
}

--- Wait for some or all of the tasks; nothing is cancelled or raised.
---@async
---@param tasks neap.Task[]
---@param opts? {when?: "all"|"first"|"first_error", timeout?: number}
---@return neap.Task[] done in the order of `tasks`
---@return neap.Task[] pending
function complete.wait(tasks, opts)
  local n = check_list("wait", tasks, true)
  check_not_empty("wait", n)
  opts = options.check("neap.wait", opts, WAIT_OPTIONS)
  core.may_wait "neap.wait"
  local when = opts.when or "all"
  core.move_on_after(opts.timeout or math.huge, function()
    local _, err = in_order_of_ends(tasks, n, function(next_end)
      for _ = 1, n do
        local _, out = next_end()
        if when == "first" or when == "first_error" and not out[1] then return end
      end
    end)
    if err then error(err[1], 0) end
  end)
  local done, pending = {}, {}
  for i = 1, n do
    local list = tasks[i]:outcome() and done or pending
    list[#list + 1] = tasks[i]
  end
  return done, pending
end

-- ---------------------------------------------------------------- iterators

--- Iterate over the values in the order in which they come; an error is raised
--- at its step. Leaving the loop cancels and joins the rest.
---@param list (fun(): any)[] functions or tasks; tasks are not cancelled
function complete.as_completed(list)
  local n = check_list("as_completed", list)
  return iterator.give(stream.start("neap.as_completed", function(put)
    local failure
    local late, err = in_order_of_ends(list, n, function(next_end)
      for _ = 1, n do
        local _, out = next_end()
        if not out[1] then
          failure = { out[2] }
          return
        end
        put(table.unpack(out, 2, out.n))
      end
    end)
    failure = failure or err
    tell(late, failure)
    if failure then error(failure[1], 0) end
  end, 0))
end

--- Pull items and start `fn` for each, with at most as many of them as there
--- is room for started and not yet handed on.
local function feed(s, pull, room, start, fn)
  while true do
    room:acquire()
    local item = table.pack(pull())
    if item[1] == nil then return end
    s:spawn(attempt, start(), fn, table.unpack(item, 1, item.n))
  end
end

--- Outcomes on their way to `put`: in slots that stand in a queue from the start
--- of each (ordered), or from its end. The source's failure is the last.
local function new_slots(in_order)
  local queue, started, ended, failure = core.queue(math.huge), 0, 0, nil
  local all_started = false

  local function close_if_all()
    if not all_started or not in_order and ended < started then return end
    if failure then queue:try_put(failure) end
    queue:close()
  end
  local function start()
    local slot = { ready = core.event() }
    started = started + 1
    if in_order then queue:try_put(slot) end
    return function(out)
      slot.out, ended = out, ended + 1
      slot.ready:set()
      if in_order then return end
      queue:try_put(slot)
      close_if_all()
    end
  end
  local function no_more(out)
    all_started = true
    if out then
      failure = { out = out, ready = core.event() }
      failure.ready:set()
    end
    close_if_all()
  end
  return queue, start, no_more
end

--- What failed in the slot whose turn it was, if any, and in those behind it.
local function left_in(slots, slot)
  local outs = {}
  while slot do
    if slot.out then outs[#outs + 1] = slot.out end
    slot = slots:try_get()
  end
  return failures_of(outs)
end

local function imap(pull, fn, limit, in_order, put)
  local room = core.semaphore(limit)
  local slots, start, no_more = new_slots(in_order)
  local turn -- the slot that is waited for
  local ok, err = pcall(core.keep_scope, function(s)
    s:spawn(function()
      local fine, why = pcall(feed, s, pull, room, start, fn)
      local stopped = not fine and core.is_cancelled(why)
      no_more(stopped and cancelled() or not fine and { n = 2, false, why })
      if stopped then error(why, 0) end
    end)
    for slot in slots:iter() do
      turn = slot
      slot.ready:wait()
      local out = slot.out
      turn = nil
      if not out[1] then error(out[2], 0) end
      put(table.unpack(out, 2, out.n))
      room:release()
    end
  end)
  if ok then return end
  tell(left_in(slots, turn or slots:try_get()), { err })
  error(err, 0)
end

local IMAP_OPTIONS <const> = {
  ordered = "boolean",
  concurrency = function(v)
    if v ~= math.huge and (math.type(v) ~= "integer" or v < 1) then
      return "must be a whole number from 1 on, or math.huge"
    end
  end,
}

--- Iterate over `fn(item)` for each item of an iterator, queue or list, pulled
--- as needed, at most `concurrency` (8 if absent) under way at once. An error is
--- raised at its place.
---@param iter any
---@param fn fun(item: any, ...): ...
---@param opts? {concurrency?: number, ordered?: boolean}
function complete.imap(iter, fn, opts)
  local pull, closers = iterator.source("imap", iter)
  if not options.callable(fn) then
    error("bad argument #2 to 'imap' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("neap.imap", opts, IMAP_OPTIONS)
  local limit = opts.concurrency or 8
  if limit == math.huge then limit = 1 << 53 end -- a semaphore's largest
  return iterator.give(stream.start("neap.imap", function(put)
    imap(pull, fn, limit, opts.ordered ~= false, put)
  end, 0, closers))
end

return complete
