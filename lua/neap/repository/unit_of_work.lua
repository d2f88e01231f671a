--- Units of work: a transaction, the entities it touches, and the events that
--- become true with its commit.
---
--- ```lua
--- unit_of_work.run(db, { events = publisher }, function(uow)
---   local stock = uow:repo(Stock):get(product_id)
---   stock.quantity = stock.quantity - 1
---   uow:add(Order.new { product_id = product_id }):record("order.placed")
--- end)
--- ```
---
--- What was loaded and has changed is written before the commit. A serialization
--- failure or a deadlock runs the whole function again with a fresh memory.

local neap = require "neap"
local dispatch = require "neap.repository.dispatch"
local entity = require "neap.repository.entity"
local options = require "neap.options"
local repo = require "neap.repository.repo"
local session = require "neap.repository.session"

local unit_of_work = {}

---@class neap.repository.UnitOfWork
---@field tx any  the transaction, for statements of your own
---@field private session neap.repository.Session
---@field private repos table<neap.repository.Class, neap.repository.Repository>
---@field private hooks fun(uow: neap.repository.UnitOfWork)[]
---@field private root neap.repository.UnitOfWork  the outermost unit
---@field private publisher any  of the outermost unit
local UnitOfWork = {}
UnitOfWork.__index = UnitOfWork
UnitOfWork.__name = "neap.repository.UnitOfWork"

-- Which unit a transaction belongs to: one begun on it is nested.
---@type table<any, neap.repository.UnitOfWork>
local unit_of = setmetatable({}, { __mode = "k" })

local RETRIES <const> = 4
local FIRST_DELAY <const> = 0.005
local LONGEST_DELAY <const> = 0.5

-- Codes after which the same work may succeed: a serialization failure, a
-- deadlock.
local TRANSIENT <const> = { ["40001"] = true, ["40P01"] = true }

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

local function is_publisher(value)
  local kind = type(value)
  if (kind == "table" or kind == "userdata") and value.publish then return end
  return "must have a method 'publish' (see events.publisher), got a " .. kind
end

local SPEC <const> = {
  isolation = "string",
  read_only = "boolean",
  deferrable = "boolean",
  retries = options.range("integer", 0),
  retry_stale = "boolean",
  events = is_publisher,
}

---@param tx any
---@param parent? neap.repository.UnitOfWork
---@return neap.repository.UnitOfWork
local function new_unit(tx, parent)
  local self = setmetatable({
    tx = tx,
    session = session.new(tx, parent and parent.session),
    repos = {},
    hooks = {},
  }, UnitOfWork)
  self.root = parent and parent.root or self
  unit_of[tx] = self
  return self
end

--- The repository of a class within this unit.
---@param class neap.repository.Class
---@return neap.repository.Repository
function UnitOfWork:repo(class)
  local found = self.repos[class]
  if not found then
    local def = entity.definition(class, "uow:repo")
    found = repo.new(self.tx, def, self.session)
    self.repos[class] = found
  end
  return found
end

--- Have an entity stored with this unit: a new one is inserted, one read
--- elsewhere is updated.
---@generic T: neap.repository.Entity
---@param object T
---@return T
function UnitOfWork:add(object)
  local def = entity.definition_of(object, "uow:add")
  self.session:add(def, object)
  return object
end

--- Have the row of an entity deleted with this unit.
---@generic T: neap.repository.Entity
---@param object T
---@return T
function UnitOfWork:remove(object)
  local def = entity.definition_of(object, "uow:remove")
  self.session:request(def, object, "delete")
  return object
end

--- Write now what is pending. Queries of the unit do so by themselves.
---@async
function UnitOfWork:flush() self.session:flush() end

--- Call `fn(uow)` when everything is written and before the commit. It may
--- still write, and by raising it undoes the unit.
---@param fn fun(uow: neap.repository.UnitOfWork)
function UnitOfWork:before_commit(fn)
  if type(fn) ~= "function" then
    invalid("uow:before_commit: takes a function, got %s", type(fn))
  end
  self.hooks[#self.hooks + 1] = fn
end

--- The last acts inside the transaction.
---@private
---@async
function UnitOfWork:finish()
  self.session:flush()
  local i = 1
  while self.hooks[i] do -- a hook may add another
    self.hooks[i](self)
    self.session:flush()
    i = i + 1
  end
end

--- Whether a fault may pass if all is done again: nothing was committed, and
--- it was chance. What it says of its causes counts too.
---@param err any
---@param is_stale_transient boolean
---@return boolean
local function is_transient(err, is_stale_transient)
  if neap.is_cancelled(err) or neap.fault.is(err, "commit_unknown") then
    return false
  end
  local depth = 0
  while type(err) == "table" and depth < 16 do
    local kind = err.kind
    if kind == "pg" and TRANSIENT[err.code] or kind == "stale_statement"
        or kind == "connection_lost"
        or kind == "stale_object" and is_stale_transient then
      return true
    end
    err, depth = err.cause, depth + 1
  end
  return false
end

--- Undoes the unit in memory however the attempt is left, cancellation too.
local Attempt = {}
Attempt.__index = Attempt
function Attempt:__close()
  local unit = self.unit
  if unit and not self.is_done then unit.session:rollback() end
  if unit then unit_of[unit.tx] = nil end
end

--- Run the function once, in a transaction or a savepoint.
---@async
local function attempt(db, opts, parent, fn, ...)
  if parent then parent.session:flush() end
  local this <close> = setmetatable({}, Attempt)
  local results = table.pack(db:transaction({
    isolation = opts.isolation,
    read_only = opts.read_only,
    deferrable = opts.deferrable,
  }, function(tx, ...)
    local unit = new_unit(tx, parent)
    this.unit = unit
    if not parent then unit.publisher = opts.events end
    -- A scope: children that are still at work belong to the unit as well.
    local inner = table.pack(neap.scope(function(_, ...)
      return fn(unit, ...)
    end, ...))
    unit:finish()
    return table.unpack(inner, 1, inner.n)
  end, ...))
  this.is_done = true
  if parent then
    this.unit.session:hand_over()
  else
    this.unit.session:close()
  end
  return this.unit, results
end

--- Run again while the fault is a transient one.
---@async
local function with_retries(db, opts, fn, ...)
  local retries = opts.retries or RETRIES
  for try = 0, retries do
    local outcome = table.pack(neap.pcall(attempt, db, opts, nil, fn, ...))
    if outcome[1] then return outcome[2], outcome[3] end
    local err = outcome[2]
    if try == retries or not is_transient(err, opts.retry_stale == true) then
      error(err, 0)
    end
    local longest = math.min(LONGEST_DELAY, FIRST_DELAY * 2 ^ try)
    neap.sleep(math.random() * longest)
  end
end

--- A nested unit: a savepoint whose events join those of the outermost. What
--- cannot be done from inside is refused.
---@async
local function nested(parent, opts, fn, ...)
  if opts.retries and opts.retries > 0 then
    invalid("unit_of_work: only the outermost unit can be run again")
  end
  local root = parent.root
  if opts.events then
    if root.publisher and root.publisher ~= opts.events then
      invalid("unit_of_work: a nested unit has the outer one's publisher")
    end
    root.publisher = opts.events
  end
  local _, results = attempt(parent.tx, opts, parent, fn, ...)
  return table.unpack(results, 1, results.n)
end

---@async
local function run(db, opts, fn, ...)
  opts = options.check("unit_of_work", opts, SPEC)
  if not options.callable(fn) then
    invalid("unit_of_work: needs a function, got %s", type(fn))
  end
  local parent = unit_of[db]
  if parent then return nested(parent, opts, fn, ...) end
  if db.commit then
    -- Somebody else's transaction: a savepoint in it, and no way to know
    -- when it is committed.
    if opts.events or opts.retries and opts.retries > 0 then
      invalid("unit_of_work: on a transaction of your own it can neither "
        .. "announce events nor run again; give it the pool")
    end
    opts = setmetatable({ retries = 0 }, { __index = opts })
  end
  local unit, results = with_retries(db, opts, fn, ...)
  if unit.publisher then
    dispatch.run(unit.publisher, unit.session:take_events())
  end
  return table.unpack(results, 1, results.n)
end

--- Call `fn(uow, ...)` in a transaction of its own; commit when it returns,
--- roll back when it raises. After the commit the events recorded by the
--- unit's entities are announced, in order, before this returns.
---@async
---@param db any  a pool or connection; or the `tx` of a unit, for a nested one
---@param opts? table
---@param fn fun(uow: neap.repository.UnitOfWork, ...): ...
---@return any ...  what fn returned
function unit_of_work.run(db, opts, fn, ...)
  if options.callable(opts) then return run(db, nil, opts, fn, ...) end
  return run(db, opts, fn, ...)
end

return unit_of_work
