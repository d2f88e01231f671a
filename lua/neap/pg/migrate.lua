--- Migrations: numbered changes of a schema, each applied once, in order.
---
--- Every migration runs in a transaction that also holds an advisory lock and
--- writes the version down, so any number of processes may start at once and a
--- failure leaves nothing half done. A checksum notices files that were
--- changed after the fact.

local neap = require "neap"
local options = require "neap.options"
local source_of = require "neap.pg.migrations"

local SPEC <const> = {
  table = "string",
  out_of_order = "boolean",
}

-- The first half of the lock's number: "neap" in ASCII.
local LOCK_SPACE <const> = 0x6e656170

-- How long to leave the lock to another before asking again. Waiting for it
-- inside the server would hold a snapshot that CREATE INDEX CONCURRENTLY, run
-- by its holder, would wait for in turn.
local POLL <const> = 0.05

local BUSY <const> = {}

-- A migration is a transaction; these would end it, or begin another.
local CONTROL <const> = {
  begin = true, start = true, commit = true, ["end"] = true, rollback = true,
  abort = true, savepoint = true, release = true, prepare = true,
}

---@class neap.pg.Migrator
---@field db any
---@field table string   quoted
---@field lock integer
local Migrator = {}
Migrator.__index = Migrator

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

local function quote(name)
  local parts = {}
  for part in (name .. "."):gmatch("(.-)%.") do
    if part == "" or part:find("\0", 1, true) then
      invalid("migrate: option 'table' is no name of a table")
    end
    parts[#parts + 1] = '"' .. part:gsub('"', '""') .. '"'
  end
  return table.concat(parts, ".")
end

--- A number that is the same for the same table name everywhere.
local function lock_number(name)
  local hash = 5381
  for i = 1, #name do hash = (hash * 33 + name:byte(i)) & 0x7fffffff end
  return LOCK_SPACE << 32 | hash
end

--- Run `fn(tx)` in a transaction that holds the lock, waiting for it outside
--- of any transaction.
---@private
---@async
function Migrator:locked(fn)
  while true do
    local answer = self.db:transaction(function(tx)
      if not tx:value("select pg_try_advisory_xact_lock($1)", self.lock) then
        return BUSY
      end
      return fn(tx)
    end)
    if answer ~= BUSY then return answer end
    neap.sleep(POLL)
  end
end

---@private
---@async
function Migrator:create_table()
  local exists = self.db:value("select to_regclass($1) is not null",
    self.table)
  if exists then return end
  self:locked(function(tx)
    tx:exec(("create table if not exists %s ("
      .. "version bigint primary key, "
      .. "name text not null, "
      .. "checksum text, "
      .. "applied_at timestamptz not null default clock_timestamp(), "
      .. "seconds double precision not null)"):format(self.table))
  end)
end

--- The checksums, made by the server: one for each text.
---@private
---@async
function Migrator:checksums(migrations)
  local texts = { n = #migrations }
  for i, migration in ipairs(migrations) do
    texts[i] = migration.text or ""
  end
  if texts.n == 0 then return end
  local rows = self.db:query("select encode(sha256(convert_to(u.t, 'UTF8')), "
    .. "'hex') as sum from unnest($1::text[]) with ordinality as u(t, i) "
    .. "order by u.i", texts)
  for i, migration in ipairs(migrations) do
    if migration.text then migration.checksum = rows[i].sum end
  end
end

local function check_same(migration, checksum)
  if checksum and migration.checksum and checksum ~= migration.checksum then
    invalid("migrate: %s has been changed since it was applied",
      migration.label)
  end
end

--- The migrations that are not applied yet.
---@private
---@async
function Migrator:pending(migrations, may_be_out_of_order)
  local applied, highest = {}, nil
  local rows = self.db:query(("select version, checksum from %s "
    .. "order by version"):format(self.table))
  for _, row in ipairs(rows) do
    applied[row.version] = row
    highest = row.version
  end
  local pending = {}
  for _, migration in ipairs(migrations) do
    local row = applied[migration.version]
    if row then
      check_same(migration, row.checksum)
    else
      if highest and migration.version < highest
          and not may_be_out_of_order then
        invalid("migrate: %s comes before version %d, which is applied "
          .. "already (option 'out_of_order' allows it)", migration.label,
          highest)
      end
      pending[#pending + 1] = migration
    end
  end
  return pending
end

--- Say which migration and line it was, and keep what the server said.
local function explain(err, migration, statement)
  local place = statement and (", line %d"):format(statement.line) or ""
  local is_fault = type(err) == "table"
  neap.fault.raise {
    kind = is_fault and err.kind or "invalid",
    code = is_fault and err.code or nil,
    message = ("migrate: %s%s: %s"):format(migration.label, place,
      tostring(is_fault and err.message or err)),
    cause = err,
  }
end

--- Run the statements, or the function, on a transaction or connection.
---@private
---@async
local function perform(migration, on)
  if migration.run then
    local ok, err = neap.pcall(migration.run, on)
    if not ok then explain(err, migration) end
    return
  end
  for _, statement in ipairs(migration.statements) do
    if migration.is_transaction and CONTROL[statement.first_word] then
      invalid("migrate: %s, line %d: %s inside a migration, which is a "
        .. "transaction itself", migration.label, statement.line,
        statement.first_word:upper())
    end
    local ok, err = neap.pcall(on.exec, on, statement.text)
    if not ok then explain(err, migration, statement) end
  end
end

--- Whether another process has applied it meanwhile.
---@private
---@async
function Migrator:is_done(on, migration)
  local row = on:row(("select checksum from %s where version = $1")
    :format(self.table), migration.version)
  if row then check_same(migration, row.checksum) end
  return row ~= nil
end

---@private
---@async
function Migrator:write_down(on, migration, began)
  on:exec(("insert into %s (version, name, checksum, seconds) "
    .. "values ($1, $2, $3, $4)"):format(self.table), migration.version,
    migration.name, migration.checksum, neap.now() - began)
end

---@private
---@async
---@return boolean applied  by this call
function Migrator:apply(migration)
  return self:locked(function(tx)
    if self:is_done(tx, migration) then return false end
    local began = neap.now()
    perform(migration, tx)
    self:write_down(tx, migration, began)
    return true
  end)
end

--- Without a transaction, for statements that refuse one: the lock belongs to
--- the session, and what a failure leaves behind is left.
---@private
---@async
function Migrator:apply_alone(migration)
  local conn <close> = self.db:acquire()
  while not conn:value("select pg_try_advisory_lock($1)", self.lock) do
    neap.sleep(POLL)
  end
  local _ <close> = neap.defer(function()
    conn:value("select pg_advisory_unlock($1)", self.lock)
  end)
  if self:is_done(conn, migration) then return false end
  local began = neap.now()
  perform(migration, conn)
  self:write_down(conn, migration, began)
  return true
end

--- Apply what is missing, in the order of the versions.
---
--- The source is a directory of files `0001_name.sql`, or a list of
--- `{ version =, name =, sql = }` and `{ version =, up = function(tx) }`; a
--- bare string is SQL, and its place in the list the version.
---@async
---@param db any
---@param source string|table
---@param opts? { table: string, out_of_order: boolean }
---@return integer[] versions  that were applied now
local function migrate(db, source, opts)
  opts = options.check("migrate", opts, SPEC)
  local migrations = source_of.read(source)
  local name = opts.table or "neap_migrations"
  local self = setmetatable({
    db = db,
    table = quote(name),
    lock = lock_number(name),
  }, Migrator)
  self:create_table()
  self:checksums(migrations)
  local versions = {}
  for _, migration in ipairs(self:pending(migrations, opts.out_of_order)) do
    local apply = migration.is_transaction and self.apply or self.apply_alone
    if apply(self, migration) then
      versions[#versions + 1] = migration.version
    end
  end
  return versions
end

return migrate
