--- Statements of an entity, built once for each shape and kept.
---
--- A plan is a statement and the columns whose values are its parameters, in
--- order. Pure: nothing here talks to a server.

local entity = require "neap.repository.entity"

local sql = {}

---@class neap.repository.Plan
---@field sql string
---@field columns neap.repository.Column[]  where the parameters come from

-- An entity of n columns could be written in 2^n shapes.
local MAX_PLANS <const> = 512

---@param def neap.repository.Definition
---@param shape string
---@param build fun(def: neap.repository.Definition, ...): neap.repository.Plan
---@return neap.repository.Plan
local function planned(def, shape, build, ...)
  local plan = def.plans[shape]
  if plan then return plan end
  if def.plan_count >= MAX_PLANS then def.plans, def.plan_count = {}, 0 end
  plan = build(def, ...)
  def.plans[shape] = plan
  def.plan_count = def.plan_count + 1
  return plan
end

--- "a", "b", "c" of a list of columns.
---@param columns neap.repository.Column[]
---@param prefix? string
local function names(columns, prefix)
  local parts = {}
  for i, column in ipairs(columns) do
    parts[i] = (prefix or "") .. column.quoted
  end
  return table.concat(parts, ", ")
end
sql.names = names

local function placeholders(from, count)
  local parts = {}
  for i = 1, count do parts[i] = "$" .. (from + i - 1) end
  return table.concat(parts, ", ")
end

--- "id" = $1 AND "part" = $2
local function key_equals(def, from)
  local parts = {}
  for i, column in ipairs(def.key) do
    parts[i] = ("%s = $%d"):format(column.quoted, from + i - 1)
  end
  return table.concat(parts, " AND ")
end

local function returning(def) return " RETURNING " .. names(def.columns) end

local function build_select(def)
  return {
    sql = ("SELECT %s FROM %s"):format(names(def.columns), def.table),
    columns = {},
  }
end

--- SELECT of every column; a WHERE clause may follow.
---@param def neap.repository.Definition
---@return string
function sql.select(def)
  return planned(def, "select", build_select).sql
end

local function build_get(def)
  return {
    sql = ("%s WHERE %s"):format(sql.select(def), key_equals(def, 1)),
    columns = def.key,
  }
end

--- The row of a key.
---@param def neap.repository.Definition
---@return neap.repository.Plan
function sql.get(def)
  return planned(def, "get", build_get)
end

local function build_find(def, column)
  return {
    sql = ("%s WHERE %s = $1 LIMIT 1"):format(sql.select(def), column.quoted),
    columns = { column },
  }
end

--- The first row with a value in one column.
---@param def neap.repository.Definition
---@param column neap.repository.Column
---@return neap.repository.Plan
function sql.find(def, column)
  return planned(def, "find " .. column.name, build_find, column)
end

local function build_get_many(def)
  local aliases, equals = {}, {}
  for i, column in ipairs(def.key) do
    aliases[i] = "k" .. i
    equals[i] = ("%s.%s = u.k%d"):format(def.table, column.quoted, i)
  end
  return {
    sql = ("SELECT %s, u.neap_row FROM %s WITH ORDINALITY AS u(%s, neap_row)"
      .. " JOIN %s ON %s"):format(names(def.columns, def.table .. "."),
      sql.unnest(def.key), table.concat(aliases, ", "), def.table,
      table.concat(equals, " AND ")),
    columns = def.key,
  }
end

--- The rows of many keys: one array parameter for each column of the key. The
--- column neap_row says which of the keys a row answers.
---@param def neap.repository.Definition
---@return neap.repository.Plan
function sql.get_many(def)
  return planned(def, "get_many", build_get_many)
end

--- unnest($1::uuid[], $2::int4[]): here nothing else tells the types.
---@param columns neap.repository.Column[]
---@return string
function sql.unnest(columns)
  local parts = {}
  for i, column in ipairs(columns) do
    parts[i] = ("$%d::%s[]"):format(i, column.type)
  end
  return "unnest(" .. table.concat(parts, ", ") .. ")"
end

--- The columns an insert names: those with a value. The rest is the server's.
---@param def neap.repository.Definition
---@param object table
---@return neap.repository.Column[] columns
---@return string shape
local function given_columns(def, object)
  local columns, marks = {}, {}
  for i, column in ipairs(def.columns) do
    local has = not column.is_readonly and object[column.name] ~= nil
    if has then columns[#columns + 1] = column end
    marks[i] = has and "1" or "0"
  end
  return columns, table.concat(marks)
end
sql.given_columns = given_columns

local function insert_text(def, columns)
  if #columns == 0 then
    return ("INSERT INTO %s DEFAULT VALUES"):format(def.table)
  end
  return ("INSERT INTO %s (%s) VALUES (%s)"):format(def.table, names(columns),
    placeholders(1, #columns))
end

local function build_insert(def, columns)
  return {
    sql = insert_text(def, columns) .. returning(def),
    columns = columns,
  }
end

---@param def neap.repository.Definition
---@param object table
---@param columns? neap.repository.Column[]  of the object, if they are known
---@param shape? string
---@return neap.repository.Plan
function sql.insert(def, object, columns, shape)
  if not columns then columns, shape = given_columns(def, object) end
  return planned(def, "insert " .. shape, build_insert, columns)
end

local function build_insert_many(def, columns)
  return {
    sql = ("INSERT INTO %s (%s) SELECT %s FROM %s WITH ORDINALITY AS u(%s, "
      .. "neap_row) ORDER BY u.neap_row%s"):format(def.table, names(columns),
      names(columns, "u."), sql.unnest(columns), names(columns),
      returning(def)),
    columns = columns,
  }
end

--- One statement for many rows of the same shape: an array a column. The
--- ordinal keeps the rows, and so the keys the server makes, in order.
---@param def neap.repository.Definition
---@param columns neap.repository.Column[]
---@param shape string
---@return neap.repository.Plan
function sql.insert_many(def, columns, shape)
  return planned(def, "insert_many " .. shape, build_insert_many, columns)
end

local function build_insert_values(def, columns, count)
  local rows = {}
  for i = 1, count do
    rows[i] = "(" .. placeholders((i - 1) * #columns + 1, #columns) .. ")"
  end
  return {
    sql = ("INSERT INTO %s (%s) VALUES %s%s"):format(def.table,
      names(columns), table.concat(rows, ", "), returning(def)),
    columns = columns,
  }
end

--- Many rows as VALUES: for columns that are arrays themselves.
---@param def neap.repository.Definition
---@param columns neap.repository.Column[]
---@param shape string
---@param count integer
---@return neap.repository.Plan
function sql.insert_values(def, columns, shape, count)
  return planned(def, ("insert_values %d %s"):format(count, shape),
    build_insert_values, columns, count)
end

--- "version" = "orders"."version" + 1
---@param def neap.repository.Definition
---@return string
local function version_bump(def)
  return ("%s = %s.%s + 1"):format(def.version.quoted, def.table,
    def.version.quoted)
end

sql.version_bump = version_bump

local function append(list, more)
  return table.move(more, 1, #more, #list + 1, list)
end

--- Key columns, then the version where there is one, as a WHERE clause.
local function match(def, from)
  local text, columns = key_equals(def, from), append({}, def.key)
  if def.version then
    columns[#columns + 1] = def.version
    text = ("%s AND %s = $%d"):format(text, def.version.quoted,
      from + #columns - 1)
  end
  return text, columns
end

local function build_update(def, columns)
  local sets = {}
  for i, column in ipairs(columns) do
    sets[i] = ("%s = $%d"):format(column.quoted, i)
  end
  if def.version then sets[#sets + 1] = version_bump(def) end
  if #sets == 0 then
    -- Only a key: nothing to set, yet the row must be there.
    sets[1] = ("%s = %s.%s"):format(def.key[1].quoted, def.table,
      def.key[1].quoted)
  end
  local text, matched = match(def, #columns + 1)
  return {
    sql = ("UPDATE %s SET %s WHERE %s%s"):format(def.table,
      table.concat(sets, ", "), text, returning(def)),
    columns = append(append({}, columns), matched),
  }
end

--- Set the columns of one row, if its version is still the expected one.
---@param def neap.repository.Definition
---@param changed? neap.repository.Column[]  all that can be written by default
---@return neap.repository.Plan
function sql.update(def, changed)
  local columns = changed or def.writable
  local shape = { "update" }
  for i, column in ipairs(changed or {}) do shape[i + 1] = column.quoted end
  if changed then shape[1] = "update_some" end
  return planned(def, table.concat(shape, " "), build_update, columns)
end

local function build_delete(def)
  local text, columns = match(def, 1)
  return {
    sql = ("DELETE FROM %s WHERE %s"):format(def.table, text),
    columns = columns,
  }
end

--- Delete one row, if its version is still the expected one.
---@param def neap.repository.Definition
---@return neap.repository.Plan
function sql.delete(def)
  return planned(def, "delete", build_delete)
end

local function build_delete_key(def)
  return {
    sql = ("DELETE FROM %s WHERE %s"):format(def.table, key_equals(def, 1)),
    columns = def.key,
  }
end

--- Delete the row of a key, whatever its version.
---@param def neap.repository.Definition
---@return neap.repository.Plan
function sql.delete_key(def)
  return planned(def, "delete_key", build_delete_key)
end

-- Types whose values the server cannot compare.
local INCOMPARABLE <const> = {
  json = true, xml = true, point = true, line = true, polygon = true,
}

local function can_compare(def)
  for _, column in ipairs(def.writable) do
    if INCOMPARABLE[column.type:lower():match("^[%w_]+")] then return false end
  end
  return true
end

--- What an upsert does where the key is taken already.
---@param def neap.repository.Definition
---@param has_version boolean  the expected version is among the values
---@param skip_same? boolean   leave rows alone that would not change
---@return string
function sql.on_conflict(def, has_version, skip_same)
  local key = names(def.key)
  if def.version and not has_version then
    -- A row nobody has read cannot be overwritten: no row says so.
    return (" ON CONFLICT (%s) DO NOTHING"):format(key)
  end
  local sets, old, new = {}, {}, {}
  for i, column in ipairs(def.writable) do
    sets[i] = ("%s = excluded.%s"):format(column.quoted, column.quoted)
    old[i] = def.table .. "." .. column.quoted
    new[i] = "excluded." .. column.quoted
  end
  local filter = ""
  if def.version then
    filter = (" WHERE %s.%s = excluded.%s"):format(def.table,
      def.version.quoted, def.version.quoted)
    sets[#sets + 1] = version_bump(def)
  elseif #sets == 0 then
    local first = def.key[1].quoted
    sets[1] = ("%s = excluded.%s"):format(first, first)
  elseif skip_same and can_compare(def) then
    filter = (" WHERE (%s) IS DISTINCT FROM (%s)"):format(
      table.concat(old, ", "), table.concat(new, ", "))
  end
  return (" ON CONFLICT (%s) DO UPDATE SET %s%s"):format(key,
    table.concat(sets, ", "), filter)
end

local function has(columns, wanted)
  for _, column in ipairs(columns) do
    if column == wanted then return true end
  end
  return false
end
sql.has = has

local function build_all_columns(def)
  local columns = {}
  for _, column in ipairs(def.columns) do
    if not column.is_readonly then columns[#columns + 1] = column end
  end
  return { sql = "", columns = columns }
end

--- The columns an upsert names. In an entity that came from the server nil is
--- NULL, so it names them all; in a new one nil is left to the server.
---@param def neap.repository.Definition
---@param object table
---@return neap.repository.Column[] columns
---@return string shape
function sql.save_columns(def, object)
  if entity.is_unsaved(object) then return given_columns(def, object) end
  return planned(def, "saved", build_all_columns).columns, "all"
end

local function build_save(def, columns)
  return {
    sql = insert_text(def, columns)
      .. sql.on_conflict(def, has(columns, def.version)) .. returning(def),
    columns = columns,
  }
end

---@param def neap.repository.Definition
---@param object table
---@param columns? neap.repository.Column[]  of the object, if they are known
---@param shape? string
---@return neap.repository.Plan
function sql.save(def, object, columns, shape)
  if not columns then columns, shape = sql.save_columns(def, object) end
  return planned(def, "save " .. shape, build_save, columns)
end

local function build_save_many(def, columns)
  return {
    sql = ("INSERT INTO %s (%s) SELECT %s FROM %s WITH ORDINALITY AS u(%s, "
      .. "neap_row) ORDER BY u.neap_row%s%s"):format(def.table,
      names(columns), names(columns, "u."), sql.unnest(columns),
      names(columns), sql.on_conflict(def, has(columns, def.version), true),
      returning(def)),
    columns = columns,
  }
end

--- Upsert many rows of the same shape in one statement.
---@param def neap.repository.Definition
---@param columns neap.repository.Column[]
---@param shape string
---@return neap.repository.Plan
function sql.save_many(def, columns, shape)
  return planned(def, "save_many " .. shape, build_save_many, columns)
end

--- The parameters of a plan taken from an entity; to be unpacked from 1 to n.
---@param plan neap.repository.Plan
---@param object table
---@return table values
---@return integer n
function sql.values(plan, object)
  local columns, values = plan.columns, {}
  for i = 1, #columns do values[i] = object[columns[i].name] end
  return values, #columns
end

return sql
