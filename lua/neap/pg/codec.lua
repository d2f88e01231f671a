--- pg.codec: a type of the database in a form of one's own.
---
--- ```lua
--- pg.codec(db, "mood", { decode = string.upper, encode = string.lower })
--- ```
---
--- What the functions are called with is C (src/pg/type_codec.c).

local neap = require "neap"
local options = require "neap.options"

-- ORDER codec_form, src/pg/type_map.h
local FORMS <const> = { text = 0, binary = 1, value = 2 }

local SPEC <const> = {
  decode = "callable",
  encode = "callable",
  format = options.one_of { "text", "binary", "value" },
}

local LOOK_UP <const> = [[
  select t.oid::int8, t.typarray::int8, n.nspname || '.' || t.typname
  from pg_catalog.pg_type t
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where t.oid = pg_catalog.to_regtype($1)::pg_catalog.oid]]

local function invalid(message, ...)
  neap.fault.raise { kind = "invalid", message = message:format(...) }
end

--- From now on, values of the type pass through these functions, everywhere
--- in the pool. The page is docs/types.md.
---@async
---@param db neap.pg.Pool
---@param name string  as in SQL: "mood", "app.mood", "numeric"
---@param spec neap.pg.Codec
local function codec(db, name, spec)
  if type(db) ~= "userdata" or not db._codec then
    invalid("pg.codec: a pool expected, got a %s", type(db))
  end
  if type(name) ~= "string" then
    invalid("pg.codec: the name of a type expected, got a %s", type(name))
  end
  if type(spec) ~= "table" then
    invalid("pg.codec: a table with decode or encode expected, got a %s",
      type(spec))
  end
  options.check("pg.codec", spec, SPEC)
  if not spec.decode and not spec.encode then
    invalid "pg.codec: give a function as 'decode', as 'encode', or both"
  end
  local found = db:query_opts({ rows = "array" }, LOOK_UP, name)[1]
  if not found then
    invalid("pg.codec: the database has no type '%s'", name)
  end
  db:_codec(found[3], found[1], found[2], FORMS[spec.format or "text"],
    spec.decode, spec.encode)
end

return codec
