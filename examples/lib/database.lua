--- A database for an example: what DATABASE_URL names, or a private server that
--- is gone afterwards; in it a schema of the example's own, empty.

local pg = require "neap.pg"

local database = {}

--- Call fn(db) with a pool whose tables are in the schema `name`.
---@async
---@param name string
---@param opts table  options of pg.connect
---@param fn fun(db: neap.pg.Pool)
function database.with(name, opts, fn)
  local given = os.getenv "DATABASE_URL"
  if given == "" then given = nil end
  local server <close> = not given and pg.ephemeral() or nil
  local dsn = given or server.dsn
  do
    local db <close> = pg.connect(dsn, { max = 1 })
    db:exec("drop schema if exists " .. pg.ident(name) .. " cascade")
    db:exec("create schema " .. pg.ident(name))
  end
  opts.on_connect = function(conn)
    conn:exec("set search_path to " .. pg.ident(name))
  end
  local db <close> = pg.connect(dsn, opts)
  return fn(db)
end

return database
