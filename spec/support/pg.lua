--- The PostgreSQL server of the suite: one for all specs, started at first
--- need, gone with the process. NEAP_TEST_PG names another one to use (a
--- connection string of a role that may create databases).
---
--- ```lua
--- local server = require "spec.support.pg"
---
--- it("answers", server.with({ max = 2 }, function(db) ... end))
--- ```

local neap = require "neap"
local pg = require "neap.pg"
local run = require "spec.support.run"

local support = {}

local LIMIT <const> = 60 -- seconds for one spec

-- busted forgets modules and globals from file to file, but not the registry.
local KEY <const> = "neap.spec.support.pg"
local state = debug.getregistry()[KEY] or { made = {} }
debug.getregistry()[KEY] = state

local function start()
  local override = os.getenv "NEAP_TEST_PG"
  if override then
    state.running = {
      dsn = override,
      dsn_of = function(name) return { dsn = override, dbname = name } end,
    }
  else
    local server = pg.ephemeral()
    state.running = {
      server = server, -- not collected, so not stopped
      dsn = server.dsn,
      dsn_of = function(name) return server:dsn_of(name) end,
      dir = server.dir,
    }
  end
end

local function in_task(fn, ...)
  if neap.current() then return fn(...) end
  return neap.run(fn, ...)
end

local function make(name)
  local db <close> = pg.connect(state.running.dsn, { max = 1 })
  db:exec(("drop database if exists %s with (force)"):format(pg.ident(name)))
  db:exec(("create database %s template template0 strategy file_copy")
    :format(pg.ident(name)))
end

--- What pg.connect takes for a database of this name; made anew in each
--- process, at first need.
---@param name? string
function support.dsn(name)
  name = "neap_" .. (name or "spec")
  if not state.running then in_task(start) end
  if not state.made[name] then
    in_task(make, name)
    state.made[name] = true
  end
  return state.running.dsn_of(name)
end

--- The directory of the server, or nil when it is not ours.
function support.directory() return state.running.dir end

--- A pool on the common database, or on one named `database`. Waits.
---@param opts? table options of pg.connect, and `database`
function support.connect(opts)
  local rest = {}
  for k, v in pairs(opts or {}) do
    if k ~= "database" then rest[k] = v end
  end
  return pg.connect(support.dsn(opts and opts.database), rest)
end

--- A body for `it`: fn(db, reports) in a task, on the real clock. Nothing may
--- be left behind when the pool is closed.
---@param opts table|nil options of pg.connect, and `database`, `run`
---@param fn fun(db: neap.pg.Pool, reports: table)
function support.with(opts, fn)
  if not fn then opts, fn = {}, opts end
  return function()
    support.dsn(opts.database)
    local run_opts = { clock = "real", timeout = LIMIT }
    local rest = {}
    for k, v in pairs(opts) do
      if k == "run" then
        for name, value in pairs(v) do run_opts[name] = value end
      else
        rest[k] = v
      end
    end
    return run.now(run_opts, function(reports)
      local db <close> = support.connect(rest)
      return fn(db, reports)
    end)
  end
end

--- A body for `it` without a pool: fn(dsn, reports).
function support.body(fn)
  return function()
    local dsn = support.dsn()
    return run.now({ clock = "real", timeout = LIMIT }, function(reports)
      return fn(dsn, reports)
    end)
  end
end

--- Wait until `fn()` is true; turns of the loop, no time is assumed.
---@param what string
---@param fn fun(): boolean
function support.eventually(what, fn)
  local late = neap.now() + 20
  while not fn() do
    if neap.now() > late then error("it never happened: " .. what, 2) end
    neap.sleep(0.002)
  end
end

--- Wait until nothing of the pool is in use, and check that it is whole: what
--- it has is idle, nobody waits, and every connection answers.
---@param db neap.pg.Pool
function support.whole(db)
  support.eventually("the pool comes to rest", function()
    local s = db:stats()
    return s.in_use == 0 and s.waiting == 0 and s.connecting == 0
  end)
  local held, size = {}, db:stats().size
  for i = 1, size do held[i] = db:acquire() end
  for i = 1, size do
    assert(held[i]:value "select 1" == 1)
    assert(held[i]:value "select pg_current_xact_id_if_assigned() is null")
    held[i]:release()
  end
end

--- The process id of the backend that runs a statement like `text`, waited for.
---@param db neap.pg.Pool
---@param text string
function support.busy_backend(db, text)
  local pid
  support.eventually("a backend runs " .. text, function()
    pid = db:value([[select pid from pg_stat_activity where state = 'active'
      and query like $1 and pid <> pg_backend_pid()]], text)
    return pid ~= nil
  end)
  return pid
end

return support
