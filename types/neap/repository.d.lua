---@meta neap.repository

--- Domain objects in plain Lua, stored in PostgreSQL. The page is
--- docs/repository.md.
---@class neap.repository
---@field null userdata  NULL, where a table cannot hold nil
local repository = {}

---@class neap.repository.EntitySpec
---@field table string                      "users" or "schema.users"
---@field columns table<string, string>     column to SQL type
---@field name? string                      for messages; the table's if absent
---@field key? string|string[]              "id" if absent
---@field version? string                   for optimistic locking
---@field readonly? string[]                read and never written
---@field references? table<string, neap.repository.Class|string|fun(): neap.repository.Class>
---@field methods? table<string, function>

--- Declare an entity.
---@param spec neap.repository.EntitySpec
---@return neap.repository.Class
function repository.entity(spec) end

---@class neap.repository.Class
---@field new fun(fields?: table): neap.repository.Entity
---@field record fun(entity: neap.repository.Entity, event: string, payload: any)
---@field events fun(entity: neap.repository.Entity): neap.events.Event[]

---@class neap.repository.Entity
---@field [string] any
local Entity = {}

--- Note that something has happened; announced when the unit is committed.
---@param event string
---@param payload any
function Entity:record(event, payload) end

--- What has been recorded and not yet announced.
---@return neap.events.Event[]
function Entity:events() end

--- A comparison other than equality: `{ price = op(">=", 10) }`.
---@param symbol string
---@param value any
---@return neap.repository.Op
function repository.op(symbol, value) end

---@class neap.repository.Op

---@class neap.repository.Where
---@field any_of? neap.repository.Where[]
---@field all_of? neap.repository.Where[]
---@field none_of? neap.repository.Where[]
---@field [string] any

--- A repository of one class on a pool, a transaction or a connection.
---@param db any
---@param class neap.repository.Class
---@return neap.repository.Repository
function repository.new(db, class) end

---@class neap.repository.Repository
local Repository = {}

---@async
---@param key any
---@return neap.repository.Entity|nil
function Repository:get(key) end

---@async
---@param keys any[]
---@return (neap.repository.Entity|nil)[] entities  with `n`, in the order of the keys
function Repository:get_many(keys) end

---@async
---@param where neap.repository.Where
---@return neap.repository.Entity|nil
function Repository:find(where) end

---@class neap.repository.AllOptions
---@field order? string|string[]
---@field limit? integer
---@field offset? integer

---@async
---@param where? neap.repository.Where
---@param opts? neap.repository.AllOptions
---@return neap.repository.Entity[] entities  with `n`
function Repository:all(where, opts) end

---@async
---@param where? neap.repository.Where
---@return integer
function Repository:count(where) end

---@async
---@param where neap.repository.Where
---@return boolean
function Repository:exists(where) end

---@class neap.repository.PageOptions
---@field size? integer
---@field page? integer        a number from 1; by keyset without it
---@field after? string        a cursor: a page's `next`
---@field before? string       a cursor: a page's `prev`
---@field where? neap.repository.Where
---@field order? string|string[]

---@class neap.repository.Page
---@field rows neap.repository.Entity[]
---@field total integer|nil    with `page`
---@field next integer|string|nil
---@field prev integer|string|nil

---@async
---@param opts neap.repository.PageOptions
---@return neap.repository.Page
function Repository:page(opts) end

---@param where? neap.repository.Where
---@return neap.repository.Query
function Repository:where(where) end

---@async
---@generic T: neap.repository.Entity
---@param entity T
---@return T
function Repository:insert(entity) end

---@async
---@generic T: neap.repository.Entity
---@param entity T
---@return T
function Repository:update(entity) end

---@async
---@generic T: neap.repository.Entity
---@param entity T
---@return T
function Repository:save(entity) end

---@async
---@param target neap.repository.Entity|any  an entity or a key
---@return boolean deleted
function Repository:delete(target) end

---@async
---@param list neap.repository.Entity[]
---@return neap.repository.Entity[] list
function Repository:insert_many(list) end

---@async
---@param list neap.repository.Entity[]
---@return neap.repository.Entity[] list
function Repository:save_many(list) end

---@class neap.repository.Query
local Query = {}

---@param where neap.repository.Where
---@return neap.repository.Query
function Query:where(where) end

---@param ... string
---@return neap.repository.Query
function Query:order_by(...) end

---@param count integer
---@return neap.repository.Query
function Query:limit(count) end

---@param count integer
---@return neap.repository.Query
function Query:offset(count) end

---@async
---@return neap.repository.Entity[]
function Query:all() end

---@async
---@return neap.repository.Entity|nil
function Query:first() end

---@class neap.repository.EachOptions
---@field batch? integer  rows fetched at once, 1000

--- All entities that match one after the other, in bounded memory: closable.
---@async
---@param opts? neap.repository.EachOptions
---@return fun(): neap.repository.Entity|nil
function Query:each(opts) end

---@async
---@return integer
function Query:count() end

---@async
---@return boolean
function Query:exists() end

---@async
---@param fields table<string, any>
---@return integer affected
function Query:update(fields) end

---@async
---@return integer affected
function Query:delete() end

---@class neap.repository.UnitOptions
---@field isolation? string
---@field read_only? boolean
---@field deferrable? boolean
---@field events? neap.events.Publisher
---@field retries? integer       4 if absent
---@field retry_stale? boolean   run again after `stale_object` too

--- Call `fn(uow, ...)` in a transaction; commit when it returns, roll back when
--- it raises, announce events after the commit.
---@async
---@param db any
---@param opts neap.repository.UnitOptions
---@param fn fun(uow: neap.repository.UnitOfWork, ...): ...
---@param ... any
---@return any ...
---@overload fun(db: any, fn: (fun(uow: neap.repository.UnitOfWork, ...): ...), ...): ...
function repository.unit_of_work(db, opts, fn, ...) end

---@class neap.repository.UnitOfWork
---@field tx any  the transaction
local UnitOfWork = {}

---@param class neap.repository.Class
---@return neap.repository.Repository
function UnitOfWork:repo(class) end

---@generic T: neap.repository.Entity
---@param entity T
---@return T
function UnitOfWork:add(entity) end

---@generic T: neap.repository.Entity
---@param entity T
---@return T
function UnitOfWork:remove(entity) end

---@async
function UnitOfWork:flush() end

---@param fn fun(uow: neap.repository.UnitOfWork)
function UnitOfWork:before_commit(fn) end

return repository
