--- Pages of a query: by number, or from a row onwards (keyset).
---
--- By number: `page{ size = 20, page = 3 }` counts all rows and skips. From a
--- row: `page{ size = 20, after = cursor }` begins where the last page ended,
--- costs the same however far it is, and neither skips nor repeats a row when
--- others come and go in between.

local neap = require "neap"
local criteria = require "neap.repository.criteria"
local cursor = require "neap.repository.cursor"
local options = require "neap.options"
local query = require "neap.repository.query"

local page = {}

local SPEC <const> = {
  size = options.range("integer", 1),
  page = options.range("integer", 1),
  after = "string",
  before = "string",
  where = "table",
  order = { "string", "table" },
}

local function invalid(format, ...)
  neap.fault.raise { kind = "invalid", message = format:format(...) }
end

--- The order asked for, made total by the key.
---@param label string
---@param def neap.repository.Definition
---@param given string|string[]|nil
---@return neap.repository.Order[]
local function total_order(label, def, given)
  local terms, has = criteria.order(label, def, given), {}
  for _, term in ipairs(terms) do has[term.column] = true end
  local descending = #terms > 0 and terms[#terms].descending
  for _, column in ipairs(def.key) do
    if not has[column] then
      terms[#terms + 1] = {
        column = column,
        descending = descending,
        nulls_first = descending,
      }
    end
  end
  return terms
end

local function reversed(terms)
  local twin = {}
  for i, term in ipairs(terms) do
    twin[i] = {
      column = term.column,
      descending = not term.descending,
      nulls_first = not term.nulls_first,
    }
  end
  return twin
end

--- Rows whose column comes after a value; nil when none can.
local function comes_after(term, value, params)
  local name = term.column.quoted
  if value == nil then
    return term.nulls_first and name .. " IS NOT NULL" or nil
  end
  local text = ("%s %s %s"):format(name, term.descending and "<" or ">",
    criteria.bind(params, value))
  if term.nulls_first then return text end
  return ("(%s OR %s IS NULL)"):format(text, name)
end

local function equals(term, value, params)
  if value == nil then return term.column.quoted .. " IS NULL" end
  return ("%s = %s"):format(term.column.quoted, criteria.bind(params, value))
end

--- All rows after a point. Keys are never NULL, so a key in one direction can
--- be compared as a whole; otherwise each column decides where those before
--- it are equal.
---@param terms neap.repository.Order[]
---@param values table  from 1 to #terms, nil for NULL
local function after(terms, values)
  local is_plain = true
  for _, term in ipairs(terms) do
    is_plain = is_plain and term.column.is_key
      and term.descending == terms[1].descending
  end
  return function(params)
    if is_plain then
      local names, places = {}, {}
      for i, term in ipairs(terms) do
        names[i] = term.column.quoted
        places[i] = criteria.bind(params, values[i])
      end
      return ("(%s) %s (%s)"):format(table.concat(names, ", "),
        terms[1].descending and "<" or ">", table.concat(places, ", "))
    end
    local ways = {}
    for i, term in ipairs(terms) do
      local next_text = comes_after(term, values[i], params)
      if next_text then
        local parts = {}
        for j = 1, i - 1 do parts[j] = equals(terms[j], values[j], params) end
        parts[i] = next_text
        ways[#ways + 1] = table.concat(parts, " AND ")
      end
    end
    return #ways > 0 and table.concat(ways, " OR ") or "FALSE"
  end
end

local function by_number(asked, opts, size)
  local number = opts.page
  local rows, total = neap.gather(
    function()
      return asked:limit(size):offset((number - 1) * size):all()
    end,
    function() return asked:seek({}):count() end)
  return {
    rows = rows,
    total = total,
    next = number * size < total and number + 1 or nil,
    prev = number > 1 and number - 1 or nil,
  }
end

local function by_key(asked, opts, size, terms, label)
  local is_back = opts.before ~= nil
  local token = opts.after or opts.before
  local seeking = is_back and reversed(terms) or terms
  local extra
  if token then extra = after(seeking, cursor.read(label, terms, token)) end
  local rows = asked:seek(seeking, extra):limit(size + 1):all()
  local has_more = rows.n > size
  if has_more then rows[size + 1], rows.n = nil, size end
  if is_back then
    for i = 1, rows.n // 2 do
      rows[i], rows[rows.n + 1 - i] = rows[rows.n + 1 - i], rows[i]
    end
  end
  local first, last = rows[1], rows[rows.n]
  -- Where the page came from there are rows; where it goes, if one was over.
  local has_next, has_prev = has_more, token ~= nil
  if is_back then has_next, has_prev = true, has_more end
  return {
    rows = rows,
    next = has_next and last and cursor.write(terms, last) or nil,
    prev = has_prev and first and cursor.write(terms, first) or nil,
  }
end

--- A page of the entities that match.
---@async
---@param repo neap.repository.Repository
---@param opts table
---@return { rows: neap.repository.Entity[], total: integer|nil, next: any, prev: any }
function page.read(repo, opts)
  local def = repo.def
  local label = def.name .. ":page"
  opts = options.check(label, opts, SPEC)
  if opts.after and opts.before or opts.page and (opts.after or opts.before)
  then
    invalid("%s: one of 'page', 'after' and 'before', not two", label)
  end
  local size = opts.size or 20
  local terms = total_order(label, def, opts.order)
  local asked = query.new(repo, opts.where, "page"):seek(terms)
  if opts.page then return by_number(asked, opts, size) end
  return by_key(asked, opts, size, terms, label)
end

return page
