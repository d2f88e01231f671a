---@meta neap.test

--- The test kit. The page is docs/testing.md.
---@class neap.test
local test = {}

---@class neap.test.Options
---@field timeout? number  real seconds that a body may run, 5 if absent
---@field leaks? boolean|neap.test.Leaks  false: nothing is checked
---@field shuffle? integer|boolean  seed for the order of tasks; true: any
---@field repeats? integer  run the body so often, each time with another seed
---@field clock? "real"|"virtual"
---@field on_error? fun(info: table)  takes the reports instead of the kit
---@field grace? number  seconds for background tasks, 1 if absent
---@field kill_after? number
---@field signals? boolean|"raise"
---@field pcall? "strict"
---@field debug? boolean
---@field slow_ms? integer
---@field trace? string
---@field coroutine? boolean

--- What is checked after a body; false leaves it out.
---@class neap.test.Leaks
---@field tasks? boolean
---@field timers? boolean
---@field pending? boolean  waits for I/O
---@field handles? boolean
---@field listeners? boolean
---@field reports? boolean
---@field patches? boolean

--- What came through on_error, the oldest first.
---@class neap.test.Reports
---@field [integer] table
local Reports = {}

--- Remove the oldest report and return it. Raises if there is none, or if it
--- is of another kind than `what`.
---@param what? string
---@return table info
function Reports:take(what) end

---@alias neap.test.Body fun(reports: neap.test.Reports): any

--- busted's `it` with bodies that are tasks, or another `it` with options.
---@overload fun(opts: neap.test.Options): fun(name: string, fn: neap.test.Body)
---@param name string
---@param fn neap.test.Body
function test.it(name, fn) end

--- A body without busted: its values, or its error (the same object), or what
--- the checks found.
---@overload fun(fn: neap.test.Body): any
---@param opts neap.test.Options
---@param fn neap.test.Body
---@return any ...
function test.run(opts, fn) end

---@class neap.test.mock
test.mock = {}

--- A function that returns nothing until it is told what to do.
---@return neap.test.Mock
function test.mock.fn() end

--- In a sequence: this call raises `e`.
---@param e any
---@return table
function test.mock.err(e) end

---@class neap.test.Mock
---@field calls table[]  arguments of each call, with `n`
---@field started integer  calls
---@field finished integer  calls that have returned or raised
---@operator call(...): any
local Mock = {}

--- Every call returns these values.
---@param ... any
---@return neap.test.Mock self
function Mock:returns(...) end

--- Every call raises `e`: the same value.
---@param e any
---@return neap.test.Mock self
function Mock:raises(e) end

--- One value for each call from now on; a call too many raises.
---@param list any[]  with `n` when it has holes
---@return neap.test.Mock self
function Mock:sequence(list) end

--- Every call first waits, on the clock of the run.
---@param seconds number
---@return neap.test.Mock self
function Mock:delays(seconds) end

--- The last call had these arguments, compared deeply.
---@param ... any
function Mock:assert_called_with(...) end

--- There was one call, and it had these arguments.
---@param ... any
function Mock:assert_called_once_with(...) end

--- Put `value` under `key` until the patch is closed.
---@param tbl table
---@param key any
---@param value any
---@return neap.test.Patch
function test.patch(tbl, key, value) end

---@class neap.test.Patch  closable
local Patch = {}

--- Put back what stood there. The second time it does nothing.
function Patch:restore() end

--- Order between tasks: `seq(n)` waits until every lower number has been
--- called.
---@return neap.test.Sequence
function test.sequence() end

---@class neap.test.Sequence  closable
---@operator call(integer): nil

--- Wait until every other task is blocked, or waits here too.
---@async
function test.settle() end

---@class neap.test.SweepOptions
---@field when? "waiting"|"all"  "waiting" if absent
---@field max? integer  waits, 10000 if absent
---@field grace? number  seconds for what a round leaves, 1 if absent
---@field leaks? boolean|neap.test.Leaks
---@field after? fun(n: integer, when: string, place: string|nil)

--- Run `fn` again and again, cancelled at its first wait, its second ...,
--- until it ends uncancelled; the number of waits.
---@async
---@param fn fun()
---@param opts? neap.test.SweepOptions
---@return integer
function test.cancel_sweep(fn, opts) end

--- `fn(...)` raises a fault of this kind, or with nil an error without one. The
--- error.
---@async
---@param kind string|nil
---@param fn fun(...)
---@param ... any
---@return any err
function test.raises(kind, fn, ...) end

--- `fn(...)` passes at least one checkpoint. Its values.
---@async
---@param fn fun(...): ...
---@param ... any
---@return any ...
function test.assert_checkpoints(fn, ...) end

--- `fn(...)` passes no checkpoint. Its values.
---@param fn fun(...): ...
---@param ... any
---@return any ...
function test.assert_no_checkpoints(fn, ...) end

--- `fn(...)` waits. Its values.
---@async
---@param fn fun(...): ...
---@param ... any
---@return any ...
function test.assert_suspends(fn, ...) end

return test
