---@meta _

--- What runs, what each task waits for, and counters. The page is
--- docs/seeing.md.
---@class neap
local neap = {}

---@class neap.DumpEntry
---@field kind string            "task", "scope", "timeout", "move_on_after", "shield", "supervisor", "background", "coroutine", "more"
---@field depth integer          0 for what the run itself owns
---@field task? neap.Task
---@field id? integer            number of the task, never used again
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
---@field places? neap.DumpPlace[]  of select
---@field coroutine? neap.DumpStep[]  in C, outermost first
---@field deadline? number       seconds until the effective one; below 0: past
---@field cancelled? string      source of the cancellation that reaches it
---@field traceback? string
---@field spawned? string        traceback of its spawn, in debug mode
---@field tasks? integer         alive in a scope; left out, for "more"
---@field max? integer           of a bounded scope

---@class neap.DumpPlace
---@field op string
---@field object? any
---@field object_name? string

---@class neap.DumpStep
---@field name string
---@field at? string  "file.c:12"

---@class neap.Snapshot
---@field entries neap.DumpEntry[]  in the order of the tree
---@field tasks integer             alive
---@field left_out integer          that are not among the entries
---@field deadlocks neap.Task[][]   circles: each waits for the next one

---@class neap.DumpOptions
---@field format? "text"|"table"  "text" if absent
---@field limit? integer          lines at most, 1000 if absent
---@field traceback? boolean      true if absent

--- The tree of scopes and tasks, and what each waits for.
---@param opts? neap.DumpOptions
---@return string|neap.Snapshot
function neap.dump(opts) end

---@class neap.Turns
---@field below number  seconds
---@field n integer

---@class neap.Stats
---@field tasks integer     alive now
---@field timers integer    set now
---@field pending integer   I/O under way
---@field handles integer   open on the loop
---@field idle_coroutines integer  kept for the next tasks
---@field threads integer   calls that run on other threads
---@field threads_waiting integer  that stand in line
---@field threads_max integer      that may run at once
---@field spawned integer   since the beginning
---@field failed integer    since the beginning
---@field switches integer  since the beginning
---@field polls integer     since the beginning
---@field turns integer     since the beginning
---@field turn_max number   seconds, the longest
---@field turn_latency neap.Turns[]
---@field waiting? table<string, integer>  tasks in each operation, if asked for

---@class neap.StatsOptions
---@field waiting? boolean  false if absent

--- Counters.
---@param opts? neap.StatsOptions
---@return neap.Stats
function neap.stats(opts) end
