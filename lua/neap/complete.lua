--- Combinators that care who is first: race, any, wait, as_completed, imap.
--- What they start runs in a scope of theirs; what they are given, they watch.

local core = require "neap.core"
local gen = require "neap.gen"
local options = require "neap.options"
local stream = require "neap.stream"

local complete = {}

local function is_task(x)
  local mt = debug.getmetatable(x)
  return type(x) == "userdata" and mt ~= nil and mt.__name == "neap.task"
end

local function check_list(what, list, tasks_only)
  if type(list) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)")
      :format(what, type(list)), 3)
  end
  local n = list.n or #list
  for i = 1, n do
    local f = list[i]
    if not is_task(f) and (tasks_only or not options.callable(f)) then
      error(("bad argument #1 to '%s' (item %d: %s expected, got %s)"):format(
        what, i, tasks_only and "task" or "function or task", type(f)), 3)
    end
  end
  return n
end

local function check_not_empty(what, n)
  if n == 0 then
    error(("bad argument #1 to '%s' (at least one item expected)")
      :format(what), 3)
  end
end

--- Run or watch each; `done(i, ok, ...)` is called as they end.
local function start_all(s, list, n, done)
  for i = 1, n do
    local f = list[i]
    if is_task(f) then
      s:spawn(function()
        f:join()
        local out = f:outcome()
        if out.ok then
          done(i, true, table.unpack(out, 1, out.n))
        else
          done(i, false, out.err)
        end
      end)
    else
      s:spawn(function() done(i, core.pcall(f)) end)
    end
  end
end

--- The first outcome, value or error; the others are cancelled and joined.
---@async
---@param list (fun(): ...)[] functions or tasks; tasks are not cancelled
---@return any ... the values of the first
function complete.race(list)
  local n = check_list("race", list)
  check_not_empty("race", n)
  local first
  core.keep_scope(function(s)
    local arrived = core.event()
    start_all(s, list, n, function(_, ...)
      first = first or table.pack(...)
      arrived:set()
    end)
    arrived:wait()
    s:cancel("another one was first")
  end)
  if not first[1] then error(first[2], 0) end
  return table.unpack(first, 2, first.n)
end

--- The first success; a fault of kind `group` when all have failed.
---@async
---@param list (fun(): ...)[] functions or tasks; tasks are not cancelled
---@return any ... the values of the first that succeeded
function complete.any(list)
  local n = check_list("any", list)
  check_not_empty("any", n)
  local winner
  local errors, failed = {}, 0
  core.keep_scope(function(s)
    local decided = core.event()
    start_all(s, list, n, function(i, ok, ...)
      if ok then
        winner = winner or table.pack(...)
      else
        errors[i] = (...)
        failed = failed + 1
      end
      if winner or failed == n then decided:set() end
    end)
    decided:wait()
    s:cancel("another one succeeded")
  end)
  if winner then return table.unpack(winner, 1, winner.n) end
  core.fault.raise {
    kind = "group", errors = errors,
    message = ("all %d failed, the first: %s"):format(n, tostring(errors[1])),
  }
end

local WHEN = { all = true, first = true, first_error = true }

--- Wait for some or all of the tasks; nothing is cancelled or raised.
---@async
---@param tasks neap.Task[]
---@param opts? {when?: "all"|"first"|"first_error", timeout?: number}
---@return neap.Task[] done in the order of `tasks`
---@return neap.Task[] pending
function complete.wait(tasks, opts)
  local n = check_list("wait", tasks, true)
  check_not_empty("wait", n)
  opts = options.check("neap.wait", opts, {
    timeout = "number",
    when = function(v)
      if not WHEN[v] then
        return "must be \"all\", \"first\" or \"first_error\""
      end
    end,
  })
  local when = opts.when or "all"
  core.move_on_after(opts.timeout or math.huge, core.keep_scope, function(s)
    local enough, ended = core.event(), 0
    start_all(s, tasks, n, function(_, ok)
      ended = ended + 1
      if ended == n or when == "first" or when == "first_error" and not ok then
        enough:set()
      end
    end)
    enough:wait()
    s:cancel("enough have ended")
  end)
  local done, pending = {}, {}
  for i = 1, n do
    local list = tasks[i]:outcome() and done or pending
    list[#list + 1] = tasks[i]
  end
  return done, pending
end

--- Iterate over the values in the order in which they come; an error is
--- raised at the step. Leaving the loop cancels and joins the rest.
---@param list (fun(): any)[] functions or tasks; tasks are not cancelled
function complete.as_completed(list)
  local n = check_list("as_completed", list)
  return gen.iterator(stream.start("neap.as_completed", function(put)
    core.scope(function(s)
      local arrived = core.queue(math.huge)
      start_all(s, list, n, function(_, ...) arrived:try_put({ ... }) end)
      for _ = 1, n do
        local out = arrived:get()
        if not out[1] then error(out[2], 0) end
        put(table.unpack(out, 2))
      end
    end)
  end, 0))
end

local function source(what, iter)
  if type(iter) == "table" and not options.callable(iter) then
    local list, i, n = iter, 0, iter.n or #iter
    return function()
      i = i + 1
      if i <= n then return list[i] end
    end
  end
  if options.callable(iter) then return iter end
  error(("bad argument #1 to '%s' (iterator or list expected, got %s)")
    :format(what, type(iter)), 3)
end

--- Results in input order: a queue of slots, each filled by its worker.
local function ordered(next_item, fn, limit, put)
  core.scope(function(s)
    local slots = core.queue(math.huge)
    local room = core.semaphore(limit)
    s:spawn(function()
      for item in next_item do
        room:acquire()
        local slot = { ready = core.event() }
        slots:put(slot)
        s:spawn(function()
          slot.values = table.pack(fn(item))
          slot.ready:set()
        end)
      end
      slots:close()
    end)
    for slot in slots:iter() do
      slot.ready:wait()
      put(table.unpack(slot.values, 1, slot.values.n))
      room:release()
    end
  end)
end

--- Results in completion order.
local function unordered(next_item, fn, limit, put)
  core.scope(function(s)
    local results = core.queue(0)
    s:spawn(function()
      core.scope({ max = limit }, function(inner)
        for item in next_item do
          inner:spawn(function() results:put(table.pack(fn(item))) end)
        end
      end)
      results:close()
    end)
    for values in results:iter() do put(table.unpack(values, 1, values.n)) end
  end)
end

--- Iterate over `fn(item)` for each item of an iterator or list, pulled as
--- needed, at most `concurrency` (default 8) at once.
---@param iter function|table
---@param fn fun(item: any): ...
---@param opts? {concurrency?: integer, ordered?: boolean}
function complete.imap(iter, fn, opts)
  local next_item = source("imap", iter)
  if not options.callable(fn) then
    error("bad argument #2 to 'imap' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("neap.imap", opts, {
    ordered = "boolean",
    concurrency = function(v)
      if math.type(v) ~= "integer" or v < 1 then
        return "must be a whole number from 1 on"
      end
    end,
  })
  local each = opts.ordered == false and unordered or ordered
  return gen.iterator(stream.start("neap.imap", function(put)
    each(next_item, fn, opts.concurrency or 8, put)
  end, 0))
end

return complete
