--- Queries built step by step. Each step gives a new query, so one can be
--- kept and used many times.
---
--- ```lua
--- local cheap = products:where { price = op("<", 10) }:order_by("price desc")
--- local first, all = cheap:first(), cheap:limit(20):all()
--- ```

local neap = require "neap"
local null = neap.null
local criteria = require "neap.repository.criteria"
local entity = require "neap.repository.entity"
local options = require "neap.options"
local sql = require "neap.repository.sql"

local unpack <const> = table.unpack

local query = {}

---@class neap.repository.Query
---@field private repo neap.repository.Repository
---@field private label string
---@field private conditions table[]
---@field private terms neap.repository.Order[]
---@field private extra (fun(params: neap.repository.Params): string)|nil
---@field private most integer|nil
---@field private skip integer|nil
local Query = {}
Query.__index = Query
Query.__name = "neap.repository.Query"

local NONE <const> = {}

-- Read-only statements may share a round trip with others.
local SCALAR <const> = { rows = "array", readonly = true }

local EACH <const> = { batch = options.range("integer", 1, 1000000) }

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

---@param repo neap.repository.Repository
---@param where table|nil
---@param name string  of the method, for messages
---@return neap.repository.Query
function query.new(repo, where, name)
  return setmetatable({
    repo = repo,
    label = repo.def.name .. ":" .. name,
    conditions = { where },
    terms = NONE,
  }, Query)
end

---@private
function Query:derive(name, value)
  local twin = setmetatable({}, Query)
  for k, v in next, self do twin[k] = v end
  twin[name] = value
  return twin
end

--- The WHERE clause with its word; an empty string without conditions.
---@private
---@param params neap.repository.Params
function Query:clause(params)
  local parts = {}
  for _, where in ipairs(self.conditions) do
    parts[#parts + 1] = criteria.compile(self.label, self.repo.def, where,
      params)
  end
  if self.extra then parts[#parts + 1] = "(" .. self.extra(params) .. ")" end
  if #parts == 0 then return "" end
  return " WHERE " .. table.concat(parts, " AND ")
end

---@private
---@param params neap.repository.Params
function Query:tail(params, most)
  local text = criteria.order_sql(self.terms)
  most = most or self.most
  if most then text = text .. " LIMIT " .. criteria.bind(params, most) end
  if self.skip then
    text = text .. " OFFSET " .. criteria.bind(params, self.skip)
  end
  return text
end

--- The same query, its condition checked: a mistake is reported by the line
--- that makes it, not by the one that asks the server.
---@return neap.repository.Query
function Query:checked()
  self:clause({ n = 0 })
  return self
end

--- One more condition that has to hold as well.
---@param where table
---@return neap.repository.Query
function Query:where(where)
  local conditions = { unpack(self.conditions) }
  conditions[#conditions + 1] = where
  return self:derive("conditions", conditions):checked()
end

--- The order: column names, each perhaps with `asc` or `desc` and
--- `nulls first` or `nulls last`.
---@param ... string
---@return neap.repository.Query
function Query:order_by(...)
  local order = { ... }
  if #order == 1 and type(order[1]) == "table" then order = order[1] end
  return self:derive("terms", criteria.order(self.label, self.repo.def,
    order))
end

--- For pages: an order that is read already and a condition of its own.
---@param terms neap.repository.Order[]
---@param extra? fun(params: neap.repository.Params): string
---@return neap.repository.Query
function Query:seek(terms, extra)
  return self:derive("terms", terms):derive("extra", extra)
end

local is_count = options.range("integer", 0)

local function check_count(self, name, count)
  local said = is_count(count)
  if said then invalid("%s: %s %s", self.label, name, said) end
  return math.tointeger(count)
end

---@param count integer
---@return neap.repository.Query
function Query:limit(count)
  return self:derive("most", check_count(self, "limit", count))
end

---@param count integer
---@return neap.repository.Query
function Query:offset(count)
  return self:derive("skip", check_count(self, "offset", count))
end

--- Before the server is asked, a unit of work writes what is pending.
---@private
---@async
function Query:settle()
  local session = self.repo.session
  if session then session:flush() end
end

---@private
---@async
function Query:read(most)
  self:settle()
  local def, session = self.repo.def, self.repo.session
  local params = { n = 0 }
  local text = sql.select(def) .. self:clause(params)
    .. self:tail(params, most)
  local rows = self.repo.db:query_opts(def.read, text,
    unpack(params, 1, params.n))
  if session then session:adopt(def, rows) end
  return rows
end

--- All entities that match.
---@async
---@return neap.repository.Entity[]
function Query:all() return self:read() end

--- All entities that match, one after the other and in bounded memory: an
--- iterator over a cursor, closable. In a unit of work each of them becomes
--- known to it, as by `all`.
---@async
---@param opts? {batch?: integer} rows fetched at once, 1000
---@return fun(): neap.repository.Entity|nil
function Query:each(opts)
  opts = options.check(self.label .. ": each", opts, EACH)
  self:settle()
  local def, session = self.repo.def, self.repo.session
  local params = { n = 0 }
  local text = sql.select(def) .. self:clause(params) .. self:tail(params)
  local rows = self.repo.db:each_opts({ entity = def.class, batch = opts.batch },
    text, unpack(params, 1, params.n))
  if not session then return rows end
  return neap.iter(rows):map(function(row)
    return session:adopt(def, { row, n = 1 })[1]
  end)
end

--- The first that matches, or nil.
---@async
---@return neap.repository.Entity|nil
function Query:first()
  if self.most == 0 then return nil end
  return self:read(1)[1]
end

---@private
---@async
function Query:scalar(format, inner)
  self:settle()
  local def, params = self.repo.def, { n = 0 }
  local text
  if self.most or self.skip then
    -- Count what the query would give, not what the table has.
    inner = ("SELECT 1 FROM %s%s%s"):format(def.table, self:clause(params),
      self:tail(params))
  else
    inner = ("%s FROM %s%s"):format(inner, def.table, self:clause(params))
  end
  text = format:format(inner)
  return self.repo.db:query_opts(SCALAR, text,
    unpack(params, 1, params.n))[1][1]
end

--- How many match.
---@async
---@return integer
function Query:count()
  return self:scalar("SELECT count(*) FROM (%s) AS found", "SELECT 1")
end

--- Whether any matches.
---@async
---@return boolean
function Query:exists()
  return self:scalar("SELECT EXISTS (%s)", "SELECT 1")
end

--- An UPDATE or DELETE of all rows is never meant by an empty table.
---@private
---@param verb string
function Query:guard(verb)
  if self.most or self.skip or #self.terms > 0 then
    invalid("%s: %s takes no order, limit or offset", self.label, verb)
  end
  for _, where in ipairs(self.conditions) do
    if next(where) ~= nil then return end
  end
  invalid("%s: %s without a condition (a nil value vanishes from a table); "
    .. "for every row write where { none_of = {} }", self.label, verb)
end

--- Run a statement on the rows; in a unit of work the entities it has of them
--- follow.
---@private
---@async
---@param text string
---@param params neap.repository.Params
---@param follow fun(session: neap.repository.Session, row: neap.repository.Entity)
---@return integer affected
function Query:change(text, params, follow)
  local repo = self.repo
  local session = repo.session
  if not session then
    return (repo.db:exec(text, unpack(params, 1, params.n)))
  end
  session:flush()
  local rows = repo.db:query_opts({ entity = repo.def.class }, text
    .. " RETURNING " .. sql.names(repo.def.columns),
    unpack(params, 1, params.n))
  for i = 1, rows.n do follow(session, rows[i]) end
  return rows.n
end

--- Set columns of all rows that match; `repository.null` is NULL. The version
--- goes up, so that whoever has read such a row before notices.
---@async
---@param fields table<string, any>
---@return integer affected
function Query:update(fields)
  self:guard("update")
  local def, label = self.repo.def, self.label
  if type(fields) ~= "table" then
    invalid("%s: update takes a table of columns, got %s", label, type(fields))
  end
  entity.check_fields(def, fields, label)
  local names, sets, params = {}, {}, { n = 0 }
  for name in next, fields do names[#names + 1] = name end
  if #names == 0 then invalid("%s: update sets nothing", label) end
  table.sort(names)
  for i, name in ipairs(names) do
    local column = criteria.column(label, def, name)
    if column == def.version or column.is_key or column.is_readonly then
      invalid("%s: update may not set '%s'", label, name)
    end
    local value = fields[name]
    sets[i] = ("%s = %s"):format(column.quoted,
      value == null and "NULL" or criteria.bind(params, value))
  end
  if def.version then sets[#sets + 1] = sql.version_bump(def) end
  local text = ("UPDATE %s SET %s"):format(def.table,
    table.concat(sets, ", ")) .. self:clause(params)
  return self:change(text, params, function(session, row)
    session:refresh(def, row)
  end)
end

--- Delete all rows that match.
---@async
---@return integer affected
function Query:delete()
  self:guard("delete")
  local def, params = self.repo.def, { n = 0 }
  local text = "DELETE FROM " .. def.table .. self:clause(params)
  return self:change(text, params, function(session, row)
    session:vanish(def, row)
  end)
end

return query
