--- Combinators: several waits as one. Each runs its functions in a scope of
--- its own and waits for what it started before it returns.

local core = require "neap.core"
local lists = require "neap.list"
local options = require "neap.options"

local combine = {}

local TASK = "neap.task"

local function is_task(x)
  local mt = debug.getmetatable(x)
  return type(x) == "userdata" and mt ~= nil and mt.__name == TASK
end

local function check(what, i, f)
  if is_task(f) or options.callable(f) then return end
  error(("bad argument #%d to '%s' (function or task expected, got %s)")
    :format(i, what, type(f)), 3)
end

local function check_list(what, list)
  if type(list) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)")
      :format(what, type(list)), 3)
  end
  local n = lists.length(what, list, 3)
  for i = 1, n do check(what, i, list[i]) end
  return n
end

--- One value of each of n functions or tasks, in order. A task that was given
--- is watched by one of ours, so that its error is heard when it comes.
local function collect(list, n)
  local tasks, results = {}, { n = n }
  core.scope(function(s)
    for i = 1, n do
      local f = list[i]
      tasks[i] = is_task(f) and s:spawn(f.await, f) or s:spawn(f)
    end
    for i = 1, n do results[i] = (tasks[i]:await()) end
  end)
  return results
end

--- Run all at once and wait for all; the first error cancels the rest and is
--- raised when they have ended. Tasks given are awaited, not owned.
---@async
---@param ... fun(): any
---@return any ... one value of each, in order
function combine.gather(...)
  local n = select("#", ...)
  local list = { ... }
  for i = 1, n do check("gather", i, list[i]) end
  core.may_wait "neap.gather"
  if n == 0 then return core.checkpoint() end
  local results = collect(list, n)
  return table.unpack(results, 1, n)
end

--- As `gather`, for a list; nils are kept.
---@async
---@param list (fun(): any)[]
---@return table results `{n=, v1, ...}`
function combine.all(list)
  local n = check_list("all", list)
  core.may_wait "neap.all"
  if n == 0 then core.checkpoint() return { n = 0 } end
  return collect(list, n)
end

--- Run all, wait for all, raise nothing.
---@async
---@param list (fun(): any)[]
---@return table outcomes `{n=, {ok=true, value=} | {ok=false, err=}, ...}`
function combine.settle(list)
  local n = check_list("settle", list)
  core.may_wait "neap.settle"
  local outcomes = { n = n }
  if n == 0 then core.checkpoint() return outcomes end
  local tasks, ours = {}, {}
  local ok, err = pcall(core.keep_scope, function(s)
    for i = 1, n do
      local f = list[i]
      ours[i] = not is_task(f)
      tasks[i] = ours[i] and s:spawn(f) or f
    end
    for i = 1, n do tasks[i]:join() end
  end)
  if not ok then -- cancelled: nobody will look at the outcomes
    for i, task in ipairs(tasks) do
      if ours[i] and task:status() == "failed" then
        core.report("secondary", task:outcome().err)
      end
    end
    error(err, 0)
  end
  for i = 1, n do
    local o = tasks[i]:outcome()
    outcomes[i] = o.ok and { ok = true, value = o[1] }
      or { ok = false, err = o.err }
  end
  return outcomes
end

local MAP_OPTIONS = {
  concurrency = function(v)
    if math.type(v) ~= "integer" and v ~= math.huge or v < 1 then
      return "must be a whole number from 1 on, or math.huge"
    end
  end,
  timeout = options.range("number", 0),
  errors = function(v)
    if v ~= "raise" and v ~= "collect" then
      return "must be \"raise\" or \"collect\""
    end
  end,
}

--- `fn(item, index)` for each item, at most `concurrency` at once.
---@async
---@param list any[] with `n` when it has holes
---@param fn fun(item: any, index: integer): any
---@param opts? {concurrency?: integer, timeout?: number, errors?: "raise"|"collect"}
---@return table results in input order, with `n`; outcomes with errors="collect"
function combine.map(list, fn, opts)
  if type(list) ~= "table" then
    error("bad argument #1 to 'map' (table expected, got " ..
      type(list) .. ")", 2)
  end
  if not options.callable(fn) then
    error("bad argument #2 to 'map' (function expected, got " ..
      type(fn) .. ")", 2)
  end
  opts = options.check("neap.map", opts, MAP_OPTIONS)
  local n = lists.length("map", list, 2)
  core.may_wait "neap.map"
  local results, next_index = { n = n }, 0
  if n == 0 then core.checkpoint() return results end
  local keep, limit = opts.errors == "collect", opts.timeout

  local function one(i)
    if limit then return (core.timeout(limit, fn, list[i], i)) end
    return (fn(list[i], i))
  end
  local function worker()
    while next_index < n do
      next_index = next_index + 1
      local i = next_index
      if keep then
        local ok, value = core.pcall(one, i)
        results[i] = ok and { ok = true, value = value }
          or { ok = false, err = value }
      else
        results[i] = one(i)
      end
    end
  end
  local workers = math.min(n, opts.concurrency or n)
  core.scope(function(s)
    for _ = 1, workers do s:spawn(worker) end
  end)
  return results
end

return combine
