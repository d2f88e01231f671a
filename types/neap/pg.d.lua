---@meta neap.pg

--- PostgreSQL. The page is docs/postgres.md; values are in docs/types.md.
---
--- Times are seconds. What is marked async waits and raises `not_in_task`
--- outside of a task, unless nothing has to be waited for.
---@class neap.pg: neap.pg.values
local pg = {}

---@class neap.pg.Notice
---@field severity string  "NOTICE", "WARNING", ...
---@field code string      SQLSTATE
---@field message string
---@field detail? string
---@field hint? string
---@field where? string
---@field sql string       the statement it belongs to
---@field dropped? integer how many followed that were not kept

---@class neap.pg.PoolOptions
---@field min? integer              connections kept, 1; one is made in any case
---@field max? integer              connections at most, 10
---@field overflow? integer         beyond max while somebody waits, 0
---@field acquire_timeout? number   seconds to wait for a connection, 5; 0: none
---@field connect_timeout? number   seconds to make one, 10; 0: no limit
---@field command_timeout? number   seconds for each statement; none
---@field commit_timeout? number    seconds for COMMIT, 30; 0: no limit
---@field max_lifetime? number      seconds until one is replaced, 2700; 0: never
---@field idle_timeout? number      seconds until an idle one above min is closed, 600; 0: never
---@field max_uses? integer         statements until it is replaced; no limit
---@field min_idle? integer         connections kept at rest, 0
---@field max_waiting? integer      how many may wait, 10000; 0: any number
---@field queue_target? number      seconds: a wait that is long for all is shed; 0: not
---@field queue_interval? number    seconds over which it is, 2
---@field ping_after? number        seconds at rest until it is asked before use, 30; 0: not
---@field warmup_parallel? integer  made at the same time, 4
---@field reset? "auto"|"always"|"never"|fun(conn: neap.pg.Conn)  of a session that comes back
---@field max_pipeline? integer     statements in flight on one, 64; 0: one at a time
---@field statement_cache? integer  prepared statements kept on each, 256; 0: none
---@field prepared? "named"|"unnamed"|"off"
---@field timezone? string|false    "UTC"; false: the server's
---@field echo? boolean|fun(sql: string, seconds: number)
---@field on_notice? fun(notice: neap.pg.Notice)  what the server says besides
---@field trace? fun(event: neap.pg.TraceEvent)  every statement that is over
---@field listen_dsn? string  where db:listen connects, if not there
---@field on_connect? fun(conn: neap.pg.Conn)  once on each new connection
---@field on_acquire? fun(conn: neap.pg.Conn)  before one is handed to one owner
---@field on_release? fun(conn: neap.pg.Conn)  before it goes back

--- The pool's options and libpq's keywords, in one table.
---@class neap.pg.ConnectOptions: neap.pg.PoolOptions
---@field dsn? string               to start from
---@field database? string          as dbname
---@field host? string
---@field hostaddr? string
---@field port? string|integer
---@field user? string
---@field password? string
---@field dbname? string
---@field passfile? string
---@field service? string
---@field sslmode? string
---@field application_name? string
---@field options? string
---@field target_session_attrs? string
---@field [string] any              whatever else libpq knows

--- Connect. `dsn` is a URI, a list of key=value, or a table of libpq's options
--- and those of the pool. Waits until `min` connections stand, one at least.
---
--- Raises `invalid`; `io` with the errno name or `TLS` as code; `pg` with what
--- the server refused; `timeout` after connect_timeout; what on_connect raises.
---@async
---@param dsn string|neap.pg.ConnectOptions
---@param opts? neap.pg.PoolOptions
---@return neap.pg.Pool
function pg.connect(dsn, opts) end

---@class neap.pg.EphemeralOptions
---@field bin? string       directory of initdb and postgres
---@field user? string      to run as, when we are root
---@field port? integer     listens on 127.0.0.1 too
---@field settings? table<string, string|number|boolean>
---@field timeout? number   seconds to start, 30

--- A private server that lives as long as this process at most.
---
--- Raises `io` when initdb or postgres are not there or fail, `timeout` when it
--- is not ready in time, `invalid`.
---@async
---@param opts? neap.pg.EphemeralOptions
---@return neap.pg.Ephemeral
function pg.ephemeral(opts) end

--- A name, quoted for use in SQL. Raises when it is empty or has a zero byte.
---@param name string
---@return string
function pg.ident(name) end

-- Predicates: true for a fault with that code, or with a cause that has it.

--- SQLSTATE 00000.
---@param err any
---@return boolean
function pg.is_successful_completion(err) end

--- SQLSTATE 0A000.
---@param err any
---@return boolean
function pg.is_feature_not_supported(err) end

--- SQLSTATE 21000.
---@param err any
---@return boolean
function pg.is_cardinality_violation(err) end

--- SQLSTATE 22001.
---@param err any
---@return boolean
function pg.is_string_data_right_truncation(err) end

--- SQLSTATE 22003.
---@param err any
---@return boolean
function pg.is_numeric_value_out_of_range(err) end

--- SQLSTATE 22004.
---@param err any
---@return boolean
function pg.is_null_value_not_allowed(err) end

--- SQLSTATE 22007.
---@param err any
---@return boolean
function pg.is_invalid_datetime_format(err) end

--- SQLSTATE 22008.
---@param err any
---@return boolean
function pg.is_datetime_field_overflow(err) end

--- SQLSTATE 22012.
---@param err any
---@return boolean
function pg.is_division_by_zero(err) end

--- SQLSTATE 22023.
---@param err any
---@return boolean
function pg.is_invalid_parameter_value(err) end

--- SQLSTATE 22P02.
---@param err any
---@return boolean
function pg.is_invalid_text_representation(err) end

--- SQLSTATE 22P03.
---@param err any
---@return boolean
function pg.is_invalid_binary_representation(err) end

--- SQLSTATE 22P05.
---@param err any
---@return boolean
function pg.is_untranslatable_character(err) end

--- SQLSTATE 23001.
---@param err any
---@return boolean
function pg.is_restrict_violation(err) end

--- SQLSTATE 23502.
---@param err any
---@return boolean
function pg.is_not_null_violation(err) end

--- SQLSTATE 23503.
---@param err any
---@return boolean
function pg.is_foreign_key_violation(err) end

--- SQLSTATE 23505.
---@param err any
---@return boolean
function pg.is_unique_violation(err) end

--- SQLSTATE 23514.
---@param err any
---@return boolean
function pg.is_check_violation(err) end

--- SQLSTATE 23P01.
---@param err any
---@return boolean
function pg.is_exclusion_violation(err) end

--- SQLSTATE 25001.
---@param err any
---@return boolean
function pg.is_active_sql_transaction(err) end

--- SQLSTATE 25006.
---@param err any
---@return boolean
function pg.is_read_only_sql_transaction(err) end

--- SQLSTATE 25P01.
---@param err any
---@return boolean
function pg.is_no_active_sql_transaction(err) end

--- SQLSTATE 25P02.
---@param err any
---@return boolean
function pg.is_in_failed_sql_transaction(err) end

--- SQLSTATE 25P03.
---@param err any
---@return boolean
function pg.is_idle_in_transaction_session_timeout(err) end

--- SQLSTATE 26000.
---@param err any
---@return boolean
function pg.is_invalid_sql_statement_name(err) end

--- SQLSTATE 28000.
---@param err any
---@return boolean
function pg.is_invalid_authorization_specification(err) end

--- SQLSTATE 28P01.
---@param err any
---@return boolean
function pg.is_invalid_password(err) end

--- SQLSTATE 3D000.
---@param err any
---@return boolean
function pg.is_invalid_catalog_name(err) end

--- SQLSTATE 3B001.
---@param err any
---@return boolean
function pg.is_invalid_savepoint_specification(err) end

--- SQLSTATE 3F000.
---@param err any
---@return boolean
function pg.is_invalid_schema_name(err) end

--- SQLSTATE 40001.
---@param err any
---@return boolean
function pg.is_serialization_failure(err) end

--- SQLSTATE 40P01.
---@param err any
---@return boolean
function pg.is_deadlock_detected(err) end

--- SQLSTATE 42501.
---@param err any
---@return boolean
function pg.is_insufficient_privilege(err) end

--- SQLSTATE 42601.
---@param err any
---@return boolean
function pg.is_syntax_error(err) end

--- SQLSTATE 42701.
---@param err any
---@return boolean
function pg.is_duplicate_column(err) end

--- SQLSTATE 42702.
---@param err any
---@return boolean
function pg.is_ambiguous_column(err) end

--- SQLSTATE 42703.
---@param err any
---@return boolean
function pg.is_undefined_column(err) end

--- SQLSTATE 42704.
---@param err any
---@return boolean
function pg.is_undefined_object(err) end

--- SQLSTATE 42710.
---@param err any
---@return boolean
function pg.is_duplicate_object(err) end

--- SQLSTATE 42712.
---@param err any
---@return boolean
function pg.is_duplicate_alias(err) end

--- SQLSTATE 42723.
---@param err any
---@return boolean
function pg.is_duplicate_function(err) end

--- SQLSTATE 42725.
---@param err any
---@return boolean
function pg.is_ambiguous_function(err) end

--- SQLSTATE 42804.
---@param err any
---@return boolean
function pg.is_datatype_mismatch(err) end

--- SQLSTATE 42809.
---@param err any
---@return boolean
function pg.is_wrong_object_type(err) end

--- SQLSTATE 42883.
---@param err any
---@return boolean
function pg.is_undefined_function(err) end

--- SQLSTATE 42P01.
---@param err any
---@return boolean
function pg.is_undefined_table(err) end

--- SQLSTATE 42P02.
---@param err any
---@return boolean
function pg.is_undefined_parameter(err) end

--- SQLSTATE 42P04.
---@param err any
---@return boolean
function pg.is_duplicate_database(err) end

--- SQLSTATE 42P05.
---@param err any
---@return boolean
function pg.is_duplicate_prepared_statement(err) end

--- SQLSTATE 42P06.
---@param err any
---@return boolean
function pg.is_duplicate_schema(err) end

--- SQLSTATE 42P07.
---@param err any
---@return boolean
function pg.is_duplicate_table(err) end

--- SQLSTATE 42P18.
---@param err any
---@return boolean
function pg.is_indeterminate_datatype(err) end

--- SQLSTATE 53100.
---@param err any
---@return boolean
function pg.is_disk_full(err) end

--- SQLSTATE 53200.
---@param err any
---@return boolean
function pg.is_out_of_memory(err) end

--- SQLSTATE 53300.
---@param err any
---@return boolean
function pg.is_too_many_connections(err) end

--- SQLSTATE 54001.
---@param err any
---@return boolean
function pg.is_statement_too_complex(err) end

--- SQLSTATE 55006.
---@param err any
---@return boolean
function pg.is_object_in_use(err) end

--- SQLSTATE 55000.
---@param err any
---@return boolean
function pg.is_object_not_in_prerequisite_state(err) end

--- SQLSTATE 55P03.
---@param err any
---@return boolean
function pg.is_lock_not_available(err) end

--- SQLSTATE 57014.
---@param err any
---@return boolean
function pg.is_query_canceled(err) end

--- SQLSTATE 57P01.
---@param err any
---@return boolean
function pg.is_admin_shutdown(err) end

--- SQLSTATE 57P02.
---@param err any
---@return boolean
function pg.is_crash_shutdown(err) end

--- SQLSTATE 57P03.
---@param err any
---@return boolean
function pg.is_cannot_connect_now(err) end

--- SQLSTATE 57P04.
---@param err any
---@return boolean
function pg.is_database_dropped(err) end

--- SQLSTATE P0001.
---@param err any
---@return boolean
function pg.is_raise_exception(err) end

--- SQLSTATE P0002.
---@param err any
---@return boolean
function pg.is_no_data_found(err) end

--- SQLSTATE P0003.
---@param err any
---@return boolean
function pg.is_too_many_rows(err) end

--- SQLSTATE P0004.
---@param err any
---@return boolean
function pg.is_assert_failure(err) end

--- Any SQLSTATE of class 08.
---@param err any
---@return boolean
function pg.is_connection_exception(err) end

--- Any SQLSTATE of class 22.
---@param err any
---@return boolean
function pg.is_data_exception(err) end

--- Any SQLSTATE of class 23.
---@param err any
---@return boolean
function pg.is_integrity_constraint_violation(err) end

--- Any SQLSTATE of class 40.
---@param err any
---@return boolean
function pg.is_transaction_rollback(err) end

--- Any SQLSTATE of class 53.
---@param err any
---@return boolean
function pg.is_insufficient_resources(err) end

-- Faults.

--- Kind `pg`: the server refused. Also `transaction_aborted`, which has the
--- first failure of the transaction as its cause.
---@class neap.pg.Fault
---@field kind "pg"|"transaction_aborted"
---@field code string            SQLSTATE
---@field message string
---@field severity string        "ERROR", "FATAL", "PANIC"
---@field detail? string
---@field hint? string
---@field position? integer      in `sql`, in characters from 1
---@field where? string          context: functions, COPY lines
---@field schema? string
---@field table? string
---@field column? string
---@field datatype? string
---@field constraint? string
---@field internal_query? string
---@field sql? string            the text that was sent
---@field index? integer         of the statement in a batch, the row in exec_many
---@field cause? any
---@field traceback? string
---@field safe_to_retry? true    40001 and 40P01

--- Kind `connection_lost`.
---@class neap.pg.LostFault
---@field kind "connection_lost"
---@field code? string           SQLSTATE, if the server told why
---@field message string
---@field sent boolean           whether the statement was sent
---@field sql? string
---@field safe_to_retry? true    it was not

--- Kind `commit_unknown`: COMMIT was sent and not answered.
---@class neap.pg.CommitUnknownFault
---@field kind "commit_unknown"
---@field message string
---@field cause neap.pg.LostFault

--- Kind `pool_timeout`: no connection in time.
---@class neap.pg.PoolTimeoutFault
---@field kind "pool_timeout"
---@field message string
---@field size integer
---@field idle integer
---@field in_use integer
---@field connecting integer
---@field waiting integer
---@field sql? string
---@field cause? any             the last connect error
---@field nested? true           the task that waited holds one itself
---@field holders? string[]      debug mode: where those that are out were taken
---@field safe_to_retry true

--- Kind `pool_overloaded`: too many wait, or too long.
---@class neap.pg.OverloadFault
---@field kind "pool_overloaded"
---@field message string
---@field waiting integer
---@field safe_to_retry true

---@class neap.pg.Rows: table[]
---@field n integer

---@class neap.pg.QueryOptions
---@field rows? "table"|"array"   rows by column name, or by position with `n`
---@field timeout? number         seconds above 0, the wait for a connection included
---@field prepare? boolean        false: not prepared under a name
---@field readonly? boolean       on a pool: may share a Sync, and be sent again
---@field entity? table           metatable for the rows
---@field plan? "custom"|"generic" for these parameters, or for any

--- What a pool, a connection and a transaction have in common.
---
--- All that runs SQL may raise: `pg`, what the server refused; `invalid`, a
--- parameter or text that cannot be sent; `unsafe_session_statement`;
--- `query_timeout`; `connection_lost`; `cancelled`. On a pool also
--- `pool_timeout` and `pool_closed`; on a connection that was given back and a
--- transaction that is over `closed`; in a transaction `transaction_aborted`
--- and `stale_statement`.
---@class neap.pg.Queryable
local Queryable = {}

--- All rows, by column name; NULL is absent. `nil` as a parameter is NULL.
---@async
---@param sql string
---@param ... any
---@return neap.pg.Rows
function Queryable:query(sql, ...) end

--- The first row.
---@async
---@param sql string
---@param ... any
---@return table|nil
function Queryable:row(sql, ...) end

--- The first column of the first row; nil also for NULL.
---@async
---@param sql string
---@param ... any
---@return any
function Queryable:value(sql, ...) end

--- The first column of all rows, with `n`.
---@async
---@param sql string
---@param ... any
---@return any[]
function Queryable:column(sql, ...) end

--- Rows affected, and the command tag: `1, "INSERT 0 1"`.
---@async
---@param sql string
---@param ... any
---@return integer rows  affected
---@return string tag
function Queryable:exec(sql, ...) end

--- As query, with options.
---@async
---@param opts neap.pg.QueryOptions
---@param sql string
---@param ... any
---@return neap.pg.Rows
function Queryable:query_opts(opts, sql, ...) end

--- Execute once for each array of parameters, all or nothing. A server's
--- error has the `index` of the row.
---@async
---@param sql string
---@param list any[][]
---@return integer rows  affected
function Queryable:exec_many(sql, list) end

--- Run what `fn(b)` collects with one Sync, all or nothing. A server's error
--- has the `index` of the statement; `fn` may not wait for results.
---@async
---@param fn fun(b: neap.pg.Batch)
---@return any[] results  with `n`; of exec the rows affected
function Queryable:batch(fn) end

---@class neap.pg.EachOptions
---@field rows? "table"|"array"  by column name, or positional with n
---@field entity? table          a metatable for each row
---@field batch? integer         rows fetched at once, 1000

---@class neap.pg.Each  for a generic `for`; `<close>` or `:close()` ends it
---@field next fun(self): table?  a row, or nil at the end
---@field close fun(self)
---@overload fun(): table?

--- The rows one after the other, in bounded memory: for results too large to
--- hold. The steps wait, and raise what the server reports.
---@param sql string
---@param ... any
---@return neap.pg.Each
function Queryable:each(sql, ...) end

--- As `each`, with options.
---@param opts neap.pg.EachOptions
---@param sql string
---@param ... any
---@return neap.pg.Each
function Queryable:each_opts(opts, sql, ...) end

---@class neap.pg.CopyOptions
---@field format? "text"|"csv"|"binary"  items are strings in this format; nil: rows
---@field header? boolean         text, csv: a first line with the columns' names
---@field delimiter? string       text, csv: one character
---@field null? string            text, csv: what stands for NULL
---@field quote? string           csv: one character, `"`
---@field escape? string          csv: one character, as `quote`
---@field force_quote? true|string[]  csv, copy_out: quote these columns' values
---@field force_not_null? string[]    csv, copy_in: an empty value is not NULL
---@field force_null? string[]        csv, copy_in: a quoted one may be NULL
---@field encoding? string        text, csv: of the data, UTF8
---@field freeze? boolean         copy_in: rows frozen, as after VACUUM
---@field where? string           copy_in: SQL; rows that do not meet it are left out

---@class neap.pg.CopyOut  for a generic `for`; `<close>` or `:close()` stops the server
---@field next fun(self): any     a row (array with n), a string, or nil at the end
---@field close fun(self)
---@overload fun(): any

--- Load rows into a table by COPY: an array of rows (arrays of values), or what
--- gives them one after the other; with `opts.format` strings. All or nothing.
--- Raises `pg` for the server's errors, `invalid` for a value, naming its row.
---@async
---@param target string|string[]  "name", "schema.name", { "schema", "name" }
---@param columns string[]|nil    nil: all
---@param source any
---@param opts? neap.pg.CopyOptions
---@return integer rows
function Queryable:copy_in(target, columns, source, opts) end

--- The rows of a table or query by COPY, one after the other; with
--- `opts.format` strings of any length. Begins at the first step, which waits.
---@param what string|string[]  a table, or a query without parameters
---@param opts? neap.pg.CopyOptions
---@return neap.pg.CopyOut
function Queryable:copy_out(what, opts) end

--- Send a message to those who listen; in a transaction, when it commits.
---@async
---@param channel string  1 to 63 bytes
---@param payload? string at most 7999 bytes
function Queryable:notify(channel, payload) end

--- What a statement takes and gives, to be run on this same object.
---@async
---@param sql string
---@return neap.pg.Statement
function Queryable:prepare(sql) end

---@class neap.pg.TransactionOptions
---@field isolation? "read_committed"|"repeatable_read"|"serializable"|"read_uncommitted"
---@field read_only? boolean
---@field deferrable? boolean
---@field retries? integer  re-runs of the function, 0
---@field name? string

--- `transaction([opts,] fn, ...)`: commits when `fn(tx, ...)` returns, and
--- returns its values; rolls back when it raises, and raises the same error.
--- On a transaction it is a savepoint.
---
--- Raises moreover `commit_rolled_back`, with the error that was swallowed as
--- its cause; `commit_unknown`; `transaction_aborted`.
---@async
---@param opts neap.pg.TransactionOptions|fun(tx: neap.pg.Tx, ...): ...
---@param fn? fun(tx: neap.pg.Tx, ...): ...
---@param ... any
---@return any ...
function Queryable:transaction(opts, fn, ...) end

--- A guard: `<close>` rolls back unless it was committed. On a transaction it
--- is a savepoint. `retries` has no effect here.
---@async
---@param opts? neap.pg.TransactionOptions
---@return neap.pg.Tx
function Queryable:begin(opts) end

--- Collects; nothing is sent before the function returns.
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
---@param ... any  its parameters
---@return neap.pg.Rows
function Statement:query(...) end
---@async
---@param ... any  its parameters
---@return table|nil
function Statement:row(...) end
---@async
---@param ... any  its parameters
---@return any
function Statement:value(...) end
---@async
---@param ... any  its parameters
---@return any[]
function Statement:column(...) end
---@async
---@param ... any  its parameters
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
---@field waiting_acquires integer  of these, for one of their own
---@field queries integer            answered
---@field failed integer             of these, with an error
---@field rows integer
---@field acquires integer           granted + refused + abandoned + waiting_acquires
---@field granted integer
---@field refused integer
---@field abandoned integer
---@field timeouts integer
---@field shed integer               turned away by max_waiting or queue_target
---@field acquire_wait neap.pg.WaitStats
---@field queue_wait neap.pg.WaitStats
---@field closed table<"lifetime"|"uses"|"idle"|"surplus"|"expired"|"pool"|"setup"|"doubt"|"lost", integer>
---@field failovers integer
---@field resets integer
---@field pings integer
---@field cache_evictions integer
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

--- How long those waited who had to; an array of buckets.
---@class neap.pg.WaitStats
---@field count integer
---@field seconds number  the sum
---@field max number
---@field [integer] {below: number, count: integer}

---@class neap.pg.StatementStats
---@field sql string
---@field calls integer
---@field errors integer
---@field rows integer
---@field seconds number  the sum
---@field mean number
---@field max number
---@field recent number

--- A statement that is over.
---@class neap.pg.TraceEvent
---@field call string       "db:query"
---@field sql string
---@field seconds number    from call to answer
---@field wait? number      of these until it was sent
---@field rows? integer
---@field tag? string
---@field error? any        instead of rows and tag
---@field pid? integer

---@class neap.pg.TimeoutOptions
---@field timeout? number  seconds

---@class neap.pg.Pool: neap.pg.Queryable, userdata
local Pool = {}

--- A connection of one's own, until `:release()` or `<close>`. Raises
--- `pool_timeout` after `timeout` seconds, the pool's acquire_timeout if absent;
--- `pool_closed`; what on_connect and on_acquire raise.
---@async
---@param opts? neap.pg.TimeoutOptions
---@return neap.pg.Conn
function Pool:acquire(opts) end

---@return neap.pg.Stats
function Pool:stats() end

--- What each statement has cost, the dearest in sum first.
---@return neap.pg.StatementStats[]
function Pool:statements() end

--- Have `fn(event)` called for each statement that is over; nil: no longer.
---@param fn? fun(event: neap.pg.TraceEvent)
function Pool:trace(fn) end

--- The connections of now are not used again.
function Pool:expire() end

--- Serve those who wait, take nothing new, close. True if it was over in time.
---@async
---@param timeout? number  seconds, 5
---@return boolean
function Pool:drain(timeout) end

--- Refuse those who wait with `pool_closed`, let end what is under way, at most
--- `timeout` seconds (5), then close. Once more does nothing.
---@async
---@param opts? neap.pg.TimeoutOptions
function Pool:close(opts) end

--- One of `sql` and `up`; the place in the list is the version if absent.
---@class neap.pg.MigrationItem
---@field version? integer
---@field name? string
---@field sql? string
---@field up? string|fun(tx: neap.pg.Tx)
---@field transaction? boolean  false: without one; `up` gets a connection then

---@class neap.pg.MigrateOptions
---@field table? string          "neap_migrations"
---@field out_of_order? boolean  apply versions below the highest applied

--- Apply the migrations of a directory or list that are missing, in order.
---
--- Raises `invalid` for a source that makes no sense or has changed since, `io`
--- for a directory that cannot be read, and the kind and code of the statement
--- that failed, with that fault as its cause.
---@async
---@param source string|(string|neap.pg.MigrationItem|fun(tx: neap.pg.Tx))[]
---@param opts? neap.pg.MigrateOptions
---@return integer[] versions  that were applied now
function Pool:migrate(source, opts) end

---@class neap.pg.Gap
---@field since number      when the connection was lost, on neap.now()'s clock
---@field attempts integer  dials until it was back

---@class neap.pg.ListenOptions
---@field on_gap? fun(gap: neap.pg.Gap)  the connection was lost: messages were missed
---@field buffer? integer   messages that may wait for fn, 1024
---@field overflow? "block"|"drop_oldest"|"error"  when more come, "block"

---@class neap.pg.Subscription  `<close>` ends it
---@field channel string
---@field dropped integer   messages dropped by overflow="drop_oldest"
local Subscription = {}

--- No more messages; waits for the one that fn has in hand.
---@async
function Subscription:close() end

--- Call fn for each message on a channel, in order, in a background task, until
--- the subscription or the pool is closed. Returns when the server listens.
--- Raises what prevents the connection: `io`, `pg`, `timeout`; `pool_closed`.
---@async
---@param channel string  1 to 63 bytes
---@param fn fun(payload: string, pid: integer, channel: string)
---@param opts? neap.pg.ListenOptions
---@return neap.pg.Subscription
function Pool:listen(channel, fn, opts) end

---@class neap.pg.Conn: neap.pg.Queryable, userdata
local Conn = {}

--- Give it back: what is open is rolled back, what was changed in the session is
--- undone. Raises `closed` the second time, and what on_release raises; waits
--- only where there is such a hook.
---@async
function Conn:release() end

--- Process id of the server's end.
---@return integer
function Conn:pid() end

---@class neap.pg.Tx: neap.pg.Queryable, userdata
local Tx = {}

--- Commit. Raises `commit_rolled_back`, `commit_unknown`, `pg` for deferred
--- constraints, `closed` when it is over, `invalid` inside of db:transaction.
---@async
function Tx:commit() end

--- Roll back, also in a task that has been cancelled. Raises `closed` when it is
--- over, `invalid` inside of db:transaction.
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

--- The connection string of a database that is there.
---@param name string
---@return string
function Ephemeral:dsn_of(name) end

--- Stop it and remove its directory; `<close>` does it too.
---@async
function Ephemeral:stop() end

return pg
