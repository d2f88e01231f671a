--- Who holds the connections of a pool: told when one cannot be had.
---
--- A task that holds one and waits for another of the same pool may wait for
--- itself: after a second that is reported, with both places. In debug mode a
--- `pool_timeout` lists the places where those that are out were taken.

local core = require "neap.core"
local fault = require("neap").fault

local holders = {}

local PATIENCE <const> = 1 -- seconds until a nested wait is reported

---@type table<userdata, table<userdata, table>> pool -> what holds -> by whom
local out = setmetatable({}, { __mode = "k" })

--- What holds a connection of `db` and is not over, with the task that took it.
local function each(db)
  local held = out[db] or {}
  return coroutine.wrap(function()
    for holder, task in pairs(held) do
      if not holder:_is_over() then coroutine.yield(holder, task.task) end
    end
  end)
end

--- `holder` (a connection or the transaction that owns it) was taken by this
--- task.
function holders.add(db, holder)
  local held = out[db]
  if not held then
    held = setmetatable({}, { __mode = "k" })
    out[db] = held
  end
  held[holder] = setmetatable({ task = core.current() }, { __mode = "v" })
end

---@return userdata|nil
local function held_by(db, task)
  for holder, owner in each(db) do
    if owner == task then return holder end
  end
end

local function watch(task, trace, first)
  require("neap").sleep(PATIENCE)
  core.report("nested_acquire", fault.new {
    kind = "pool_timeout",
    message = ("a task that holds a connection has waited for a second one "
      .. "of the same pool for %g s; if all do, nobody gets one")
      :format(PATIENCE),
    traceback = ("%s\nthe first was taken at\n%s"):format(trace, first),
  }, task)
end

--- acquire(db, timeout, what), watched if this task may wait for itself.
---@async
function holders.acquire(db, timeout, what)
  local task = core.current()
  local first = task and out[db] and held_by(db, task)
  local stats = first and db:_stats()
  if not first or stats.idle > 0 or stats.size < stats.max then
    return db:_acquire(timeout, what)
  end
  local place = core.born_at(first) or "(unknown: not in debug mode)"
  local watcher = core.background(watch, task, debug.traceback(nil, 2), place)
  local ok, conn = pcall(db._acquire, db, timeout, what)
  watcher:cancel()
  if not ok then error(conn, 0) end
  return conn
end

--- Add to a pool_timeout where the connections that are out were taken.
---@param db userdata
---@param err table
function holders.explain(db, err)
  local list, task = {}, core.current()
  for holder, owner in each(db) do
    local place = core.born_at(holder)
    list[#list + 1] = place
    if owner ~= nil and owner == task then
      err.nested = true
      err.message = err.message
        .. "; the task that waits holds one of them itself"
    end
  end
  if #list > 0 then err.holders = list end
end

return holders
