--- Transactions: a function that commits when it returns, or a guard that
--- rolls back unless committed.
---
--- ```lua
--- db:transaction({ isolation = "serializable", retries = 3 }, function(tx)
---   tx:exec("update account set balance = balance - $1 where id = $2", 10, 1)
---   tx:exec("update account set balance = balance + $1 where id = $2", 10, 2)
--- end)
--- ```
---
--- Inside of a transaction `tx:transaction` is a savepoint.

local core = require "neap.pg.core"
local holders = require "neap.pg.holders"
local neap = require "neap"
local options = require "neap.options"

local tx = {}

local LEVELS <const> = {
  ["read uncommitted"] = true, ["read committed"] = true,
  ["repeatable read"] = true, ["serializable"] = true,
}

---@class neap.pg.TransactionOptions
---@field isolation? "read_committed"|"repeatable_read"|"serializable"|"read_uncommitted"
---@field read_only? boolean
---@field deferrable? boolean
---@field retries? integer  re-runs after 40001, 40P01 and the like, 0
---@field name? string

---@param value any
local function isolation_level(value)
  if type(value) ~= "string" or not LEVELS[value:lower():gsub("_", " ")] then
    return "must be 'read_committed', 'repeatable_read', 'serializable' or "
      .. "'read_uncommitted'"
  end
end

local SPEC <const> = {
  isolation = isolation_level,
  read_only = "boolean",
  deferrable = "boolean",
  retries = options.range("integer", 0),
  name = "string",
}

-- First and last pause before a re-run, in seconds.
local PAUSE <const>, PAUSE_MAX <const> = 0.005, 0.5

--- What the guard needs to know beyond the C part: its options, whether
--- db:transaction ends it, the connection to give back with a hook.
---@type table<neap.pg.Tx, {opts: table, managed?: boolean, conn?: userdata}>
local known = setmetatable({}, { __mode = "k" })

---@param opts neap.pg.TransactionOptions
local function begin_sql(opts)
  local sql = "begin"
  if opts.isolation then
    sql = sql .. " isolation level " .. opts.isolation:lower():gsub("_", " ")
  end
  if opts.read_only ~= nil then
    sql = sql .. (opts.read_only and " read only" or " read write")
  end
  if opts.deferrable ~= nil then
    sql = sql .. (opts.deferrable and " deferrable" or " not deferrable")
  end
  return sql
end

--- A transaction inside of another one cannot change what it is.
local function check_nested(where, outer, opts)
  local has = known[outer] and known[outer].opts or {}
  for _, name in ipairs { "isolation", "read_only", "deferrable" } do
    if opts[name] ~= nil and opts[name] ~= has[name] then
      neap.fault.raise {
        kind = "invalid",
        message = ("%s: '%s' cannot change inside of a transaction")
          :format(where, name),
      }
    end
  end
end

---@param self neap.pg.Tx
local function give_back(self)
  local mine = known[self]
  local conn = mine and mine.conn
  if conn then
    mine.conn = nil
    if not conn:_is_over() then conn:release() end
  end
end

-- Methods of tx itself.

--- Commit. Waits; afterwards the guard does nothing.
---@async
function core.tx:commit()
  local mine = known[self]
  if mine and mine.managed then
    neap.fault.raise {
      kind = "invalid",
      message = "tx:commit: db:transaction commits when the function returns",
    }
  end
  if not (mine and mine.conn) then return self:_commit() end
  local ok, err = pcall(self._commit, self)
  if self:_is_over() then give_back(self) end
  if not ok then error(err, 0) end
end

--- Roll back. Waits, also in a task that has been cancelled.
---@async
function core.tx:rollback()
  local mine = known[self]
  if mine and mine.managed then
    neap.fault.raise {
      kind = "invalid",
      message = "tx:rollback: db:transaction rolls back when the function "
        .. "raises an error",
    }
  end
  self:_rollback()
  give_back(self)
end

local close = core.tx_meta.__close

function core.tx_meta.__close(self, err)
  close(self, err)
  give_back(self)
end

--- Begin a transaction on whatever `self` is: a pool, a connection or a
--- transaction.
---@param self userdata
---@param where string
---@param opts neap.pg.TransactionOptions
---@return neap.pg.Tx
local function open(self, where, opts)
  local guard
  local mine = { opts = opts }
  if self._commit then
    check_nested(where, self, opts)
    mine.opts = known[self] and known[self].opts or opts
    guard = self:_open()
  elseif self._acquire then
    local conn, hooked = tx.acquire(self, nil, "db:" .. where)
    guard = conn:_open(begin_sql(opts), not hooked)
    holders.add(self, guard)
    if hooked then mine.conn = conn end
  else
    guard = self:_open(begin_sql(opts), false)
  end
  known[guard] = mine
  return guard
end

--- A guard: `local tx <close> = db:begin()`; `tx:commit()` or it rolls back.
---@async
---@param opts? neap.pg.TransactionOptions
---@return neap.pg.Tx
local function begin(self, opts)
  return open(self, "begin", options.check("begin", opts, SPEC))
end

--- Is it worth running the whole transaction again? Nothing of it was kept.
---@param err any
---@return boolean
function tx.is_retriable(err)
  if type(err) ~= "table" then return false end
  local kind, code = err.kind, err.code
  return kind == "stale_statement" or kind == "connection_lost"
    or kind == "pg" and (code == "40001" or code == "40P01")
    or kind == "commit_rolled_back" and tx.is_retriable(err.cause)
    or kind == "transaction_aborted" and tx.is_retriable(err.cause)
end

--- Wait before re-run number `n`: twice as long each time, at random.
---@async
---@param n integer
function tx.pause(n)
  local most = math.min(PAUSE_MAX, PAUSE * 2 ^ math.min(n, 16))
  neap.sleep(most * math.random())
end

local function finish(guard, ...)
  guard:_commit()
  give_back(guard)
  return ...
end

local function run_once(self, opts, fn, ...)
  local guard <close> = open(self, "transaction", opts)
  known[guard].managed = true
  return finish(guard, fn(guard, ...))
end

local function run_again(self, opts, fn, ...)
  local n = 0
  while true do
    local result = table.pack(neap.pcall(run_once, self, opts, fn, ...))
    if result[1] then return table.unpack(result, 2, result.n) end
    if n == opts.retries or not tx.is_retriable(result[2]) then
      error(result[2], 0)
    end
    n = n + 1
    tx.pause(n)
  end
end

--- Call `fn(tx, ...)`; commit when it returns, roll back when it raises.
---
--- `db:transaction([opts,] fn, ...)` returns what fn returns. With `retries`
--- the whole function is run again after a serialization failure, a deadlock,
--- a stale plan or a connection lost before COMMIT.
---@async
local function transaction(self, opts, fn, ...)
  if type(opts) ~= "table" or options.callable(opts) then
    return transaction(self, {}, opts, fn, ...)
  end
  if not options.callable(fn) then
    error(("bad argument to 'transaction' (function expected, got %s)")
      :format(type(fn)), 2)
  end
  opts = options.check("transaction", opts, SPEC)
  if not opts.retries or opts.retries == 0 or self._commit then
    return run_once(self, opts, fn, ...)
  end
  return run_again(self, opts, fn, ...)
end

for _, class in ipairs { core.db, core.conn, core.tx } do
  class.begin = begin
  class.transaction = transaction
end

return tx
