---@meta neap.pg

--- PostgreSQL. The page is docs/postgres.md; values are in docs/types.md.
---@class neap.pg: neap.pg.values
local pg = {}

---@class neap.pg.PoolOptions
---@field min? integer              connections kept, 1
---@field max? integer              connections at most, 10
---@field overflow? integer         beyond max while somebody waits, 0
---@field acquire_timeout? number   seconds to wait for a connection, 5; 0: none
---@field connect_timeout? number   seconds to make one, 10
---@field command_timeout? number   seconds for each statement; none
---@field commit_timeout? number    seconds for COMMIT, 30
---@field max_lifetime? number      seconds until one is replaced, 2700
---@field idle_timeout? number      seconds until an idle one above min is closed, 600
---@field max_uses? integer         statements until one is replaced; no limit
---@field max_pipeline? integer     statements in flight on one, 64; 0: one at a time
---@field statement_cache? integer  prepared statements kept on each, 256
---@field prepared? "named"|"unnamed"|"off"
---@field timezone? string|false    "UTC"; false: the server's
---@field echo? boolean|fun(sql: string, seconds: number)
---@field on_connect? fun(conn: neap.pg.Conn)  once on each new connection
---@field on_acquire? fun(conn: neap.pg.Conn)  before one is handed to one owner
---@field on_release? fun(conn: neap.pg.Conn)  before it goes back

--- Connect. `dsn` is a URI, a list of key=value, or a table of libpq's options
--- and those of the pool.
---@async
---@param dsn string|table
---@param opts? neap.pg.PoolOptions
---@return neap.pg.Pool
function pg.connect(dsn, opts) end

---@class neap.pg.EphemeralOptions
---@field bin? string       directory of initdb and postgres
---@field user? string      to run as, when we are root
---@field port? integer     listens on 127.0.0.1 too
---@field settings? table<string, string|number|boolean>
---@field timeout? number   seconds to start, 30

---@async
---@param opts? neap.pg.EphemeralOptions
---@return neap.pg.Ephemeral
function pg.ephemeral(opts) end

--- A name, quoted for use in SQL.
---@param name string
---@return string
function pg.ident(name) end

---@param err any
---@return boolean
function pg.is_unique_violation(err) end

---@param err any
---@return boolean
function pg.is_foreign_key_violation(err) end

---@param err any
---@return boolean
function pg.is_not_null_violation(err) end

---@param err any
---@return boolean
function pg.is_check_violation(err) end

---@param err any
---@return boolean
function pg.is_exclusion_violation(err) end

---@param err any
---@return boolean
function pg.is_serialization_failure(err) end

---@param err any
---@return boolean
function pg.is_deadlock_detected(err) end

---@param err any
---@return boolean
function pg.is_undefined_table(err) end

---@class neap.pg.Rows: table[]
---@field n integer

---@class neap.pg.QueryOptions
---@field rows? "table"|"array"   rows by column name, or by position with `n`
---@field timeout? number         seconds, the wait for a connection included
---@field prepare? boolean        false: not prepared under a name
---@field readonly? boolean       may share a Sync, and be sent again
---@field entity? table           metatable for the rows
---@field plan? "custom"|"generic"

--- What a pool, a connection and a transaction have in common.
---@class neap.pg.Queryable
local Queryable = {}

---@async
---@param sql string
---@param ... any
---@return neap.pg.Rows
function Queryable:query(sql, ...) end

---@async
---@param sql string
---@param ... any
---@return table|nil
function Queryable:row(sql, ...) end

---@async
---@param sql string
---@param ... any
---@return any
function Queryable:value(sql, ...) end

---@async
---@param sql string
---@param ... any
---@return any[]
function Queryable:column(sql, ...) end

---@async
---@param sql string
---@param ... any
---@return integer rows  affected
---@return string tag
function Queryable:exec(sql, ...) end

---@async
---@param opts neap.pg.QueryOptions
---@param sql string
---@param ... any
---@return neap.pg.Rows
function Queryable:query_opts(opts, sql, ...) end

---@async
---@param sql string
---@param list any[][]
---@return integer rows  affected
function Queryable:exec_many(sql, list) end

---@async
---@param fn fun(b: neap.pg.Batch)
---@return any[]
function Queryable:batch(fn) end

---@async
---@param sql string
---@return neap.pg.Statement
function Queryable:prepare(sql) end

---@class neap.pg.TransactionOptions
---@field isolation? "read_committed"|"repeatable_read"|"serializable"|"read_uncommitted"
---@field read_only? boolean
---@field deferrable? boolean
---@field retries? integer  0
---@field name? string

--- `transaction([opts,] fn, ...)`: commits when `fn(tx, ...)` returns.
---@async
---@param opts neap.pg.TransactionOptions|fun(tx: neap.pg.Tx, ...): ...
---@param fn? fun(tx: neap.pg.Tx, ...): ...
---@param ... any
---@return any ...
function Queryable:transaction(opts, fn, ...) end

---@async
---@param opts? neap.pg.TransactionOptions
---@return neap.pg.Tx
function Queryable:begin(opts) end

---@class neap.pg.Batch
local Batch = {}
---@param sql string
---@param ... any
function Batch:query(sql, ...) end
---@param sql string
---@param ... any
function Batch:row(sql, ...) end
---@param sql string
---@param ... any
function Batch:value(sql, ...) end
---@param sql string
---@param ... any
function Batch:column(sql, ...) end
---@param sql string
---@param ... any
function Batch:exec(sql, ...) end

---@class neap.pg.Statement
---@field sql string
---@field params string[]   names of the parameters' types
---@field columns string[]  names of the columns
---@field types string[]    names of the columns' types
local Statement = {}
---@async
---@return neap.pg.Rows
function Statement:query(...) end
---@async
---@return table|nil
function Statement:row(...) end
---@async
---@return any
function Statement:value(...) end
---@async
---@return any[]
function Statement:column(...) end
---@async
---@return integer rows
---@return string tag
function Statement:exec(...) end
---@async
---@param list any[][]
---@return integer rows
function Statement:exec_many(list) end

---@class neap.pg.Stats
---@field size integer     connections that are open
---@field idle integer
---@field in_use integer
---@field connecting integer
---@field waiting integer  those who wait for one
---@field min integer
---@field max integer
---@field queries integer
---@field rows integer
---@field acquires integer
---@field timeouts integer
---@field cancels integer            cancel requests sent
---@field cancel_collateral integer  statements they hit by mistake, sent again
---@field connects integer
---@field connect_failures integer
---@field closes integer
---@field lost integer
---@field statements integer         texts known to the pool
---@field cache_hits integer
---@field cache_misses integer
---@field retries integer            statements sent again
---@field healed integer             stale plans made anew

---@class neap.pg.Pool: neap.pg.Queryable, userdata
local Pool = {}

--- A connection of one's own.
---@async
---@param opts? {timeout?: number}
---@return neap.pg.Conn
function Pool:acquire(opts) end

---@return neap.pg.Stats
function Pool:stats() end

--- The connections of now are not used again.
function Pool:expire() end

--- Serve those who wait, take nothing new, close. True if it was over in time.
---@async
---@param timeout? number  seconds, 5
---@return boolean
function Pool:drain(timeout) end

---@async
---@param opts? {timeout?: number}
function Pool:close(opts) end

---@class neap.pg.Conn: neap.pg.Queryable, userdata
local Conn = {}

function Conn:release() end

--- Process id of the server's end.
---@return integer
function Conn:pid() end

---@class neap.pg.Tx: neap.pg.Queryable, userdata
local Tx = {}

---@async
function Tx:commit() end

---@async
function Tx:rollback() end

---@class neap.pg.Ephemeral
---@field dsn string   of the database "postgres"
---@field dir string   where it lives
---@field port integer
local Ephemeral = {}

--- Make a database and return its connection string.
---@async
---@param name string
---@return string
function Ephemeral:createdb(name) end

---@param name string
---@return string
function Ephemeral:dsn_of(name) end

---@async
function Ephemeral:stop() end

return pg
