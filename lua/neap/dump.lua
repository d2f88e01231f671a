--- neap.dump and neap.stats: what runs now, and what it waits for, as text or
--- as a table. The core takes the snapshot; here it gets its words.

local core = require "neap.core"
local options = require "neap.options"

local LIMIT <const> = 1000   -- entries of a tree, unless told otherwise
local INDENT_MAX <const> = 40 -- levels; deeper ones say how deep they are
local NAME_MAX <const> = 120  -- bytes of a name
local CIRCLE_MAX <const> = 20 -- tasks named of those that wait for each other

---@class neap.DumpEntry
---@field kind "task"|"scope"|"timeout"|"move_on_after"|"shield"|"supervisor"|"background"|"coroutine"|"more"
---@field depth integer          0 for what the run itself owns
---@field task? neap.Task
---@field id? integer            number of the task, counted from the start
---@field name? string
---@field site? string           where the task's function stands
---@field state? string          as task:status()
---@field age? number            seconds
---@field op? string             what it waits in: "queue:get"
---@field since? number          seconds it has waited
---@field left? number           seconds until its own time limit
---@field object? any            what it waits at
---@field object_name? string    "queue #3"; the number stays with the object
---@field waits_for? neap.Task[] who would have to end, or to let go
---@field children? integer      that it waits for
---@field places? {op: string, object: any, object_name: string}[]  of select
---@field coroutine? {name: string, at: string}[]  in C, outermost first
---@field deadline? number       seconds until the effective one; below 0: past
---@field cancelled? string      source of the cancellation that reaches it
---@field traceback? string
---@field spawned? string        traceback of its spawn, in debug mode
---@field tasks? integer         alive in a scope; left out, for "more"
---@field max? integer           of a bounded scope

---@class neap.Snapshot
---@field entries neap.DumpEntry[]  in the order of the tree
---@field tasks integer             alive
---@field left_out integer          that are not among the entries
---@field deadlocks neap.Task[][]   circles: each waits for the next one

local function clean(text)
  if #text > NAME_MAX then text = text:sub(1, NAME_MAX) .. "..." end
  return (text:gsub("%c", "?"))
end

local function seconds(n) return ("%.3f s"):format(n) end

local function task_name(task)
  return ("%s #%d"):format(clean(task.name), core.task_id(task) or 0)
end

---@param list neap.Task[]
local function names(list)
  local words = {}
  for i = 1, math.min(#list, 5) do words[i] = task_name(list[i]) end
  if #list > 5 then words[6] = ("%d more"):format(#list - 5) end
  return table.concat(words, ", ")
end

local function where(entry)
  if not entry.coroutine then return entry.op end
  local steps = {}
  for i, step in ipairs(entry.coroutine) do
    steps[i] = step.at and ("%s at %s"):format(step.name, step.at) or step.name
  end
  local text = table.concat(steps, " > ")
  return entry.op and entry.op ~= "C coroutine"
    and ("%s, in %s"):format(text, entry.op) or text
end

local function describe_wait(add, entry)
  local wait = where(entry) -- of a scope it is "waiting for child tasks"
  add(wait:find "^waiting " and wait:sub(#"waiting" + 1) or " in " .. wait)
  if entry.places then
    local places = {}
    for i, place in ipairs(entry.places) do
      places[i] = place.object_name
        and ("%s of %s"):format(place.op, place.object_name) or place.op
    end
    add((" (%s)"):format(table.concat(places, ", ")))
  elseif entry.object_name and not (entry.waits_for
      and entry.waits_for[1] == entry.object) then
    add((" (%s)"):format(entry.object_name))
  end
  if entry.children then add((", %d of them"):format(entry.children)) end
  if entry.since then add(" for " .. seconds(entry.since)) end
  if entry.left then add((", %s left"):format(seconds(entry.left))) end
  if entry.waits_for then
    add(entry.waits_for[1] == entry.object and ", for " or ", held by ")
    add(names(entry.waits_for))
  end
end

local function describe_task(add, entry)
  add(("%s #%d %s"):format(clean(entry.name), entry.id, entry.state))
  if entry.op then describe_wait(add, entry) end
  if entry.name ~= entry.site then add((", of %s"):format(entry.site)) end
  add((", %s old"):format(seconds(entry.age)))
end

local function describe_scope(add, entry)
  add(entry.kind)
  if entry.name then add((" \"%s\""):format(clean(entry.name))) end
  if entry.kind ~= "background" or entry.tasks > 0 then
    add((", %d task%s"):format(entry.tasks, entry.tasks == 1 and "" or "s"))
    if entry.max then add((" of at most %d"):format(entry.max)) end
  end
end

local DESCRIBE <const> = {
  task = describe_task,
  coroutine = function(add, entry) add("C coroutine " .. where(entry)) end,
  more = function(add, entry)
    add(entry.tasks and ("... and %d more"):format(entry.tasks) or "...")
  end,
}

---@param add fun(text: string)
---@param entry neap.DumpEntry
local function add_entry(add, entry)
  local pad = ("  "):rep(math.min(entry.depth, INDENT_MAX))
  add(pad)
  if entry.depth > INDENT_MAX then add(("[level %d] "):format(entry.depth)) end
  local describe = DESCRIBE[entry.kind] or describe_scope
  describe(add, entry)
  if entry.deadline then
    add(entry.deadline >= 0
      and (", deadline in %s"):format(seconds(entry.deadline))
      or (", deadline %s ago"):format(seconds(-entry.deadline)))
  end
  if entry.cancelled then add((", cancelled (%s)"):format(entry.cancelled)) end
  add "\n"
  local function trace(text)
    for line in text:gmatch "[^\n]+" do
      if line ~= "stack traceback:" and line ~= "\t[C]: in ?" then
        add(("%s    | %s\n"):format(pad, clean(line:gsub("^%s+", ""))))
      end
    end
  end
  if entry.traceback then trace(entry.traceback) end
  if entry.spawned then
    add(pad .. "    spawned at\n")
    trace(entry.spawned)
  end
end

---@param circle neap.Task[]
local function add_deadlock(add, circle)
  add "deadlock: "
  for i = 1, math.min(#circle, CIRCLE_MAX) do
    if i > 1 then add ", which waits for " end
    add(task_name(circle[i]))
  end
  if #circle > CIRCLE_MAX then
    add((", and so on by way of %d more"):format(#circle - CIRCLE_MAX))
  end
  add((", which waits for %s\n"):format(task_name(circle[1])))
end

---@param snapshot neap.Snapshot
---@return string
local function text_of(snapshot)
  local parts = {}
  local function add(text) parts[#parts + 1] = text end
  for _, entry in ipairs(snapshot.entries) do add_entry(add, entry) end
  if snapshot.left_out > 0 then
    add(("%d of %d tasks are not shown\n"):format(snapshot.left_out,
      snapshot.tasks))
  end
  for _, circle in ipairs(snapshot.deadlocks) do add_deadlock(add, circle) end
  return table.concat(parts)
end

core.set_dumper(function() return text_of(core.snapshot(LIMIT, true)) end)

local DUMP_OPTIONS <const> = {
  format = options.one_of { "text", "table" },
  limit = options.range("integer", 1), traceback = "boolean",
}

--- The tree of scopes and tasks, and what each waits for. Does not wait.
---@param opts? {format?: "text"|"table", limit?: integer, traceback?: boolean}
---@return string|neap.Snapshot
local function dump(opts)
  opts = options.check("neap.dump", opts, DUMP_OPTIONS)
  local snapshot = core.snapshot(opts.limit or LIMIT, opts.traceback ~= false)
  return opts.format == "table" and snapshot or text_of(snapshot)
end

local STATS_OPTIONS <const> = { waiting = "boolean" }

--- Counters. With `waiting`, also how many tasks wait in each operation, which
--- looks at every task.
---@param opts? {waiting?: boolean}
---@return neap.Stats
local function stats(opts)
  if opts == nil then return core.stats() end
  opts = options.check("neap.stats", opts, STATS_OPTIONS)
  return core.stats(opts.waiting)
end

return { dump = dump, stats = stats }
