--- Random programs for the fuzzer: trees of statements as plain data, so that
--- one that fails can be printed and made smaller.
---
--- A statement is `{ op, ...}`; `n` is seconds or a choice among objects, `body`
--- a list of statements, `bodies` a list of those.

local program = {}

-- --------------------------------------------------------------- generating

-- op -> weight; what is composite has a body.
local SIMPLE <const> = {
  sleep = 8, checkpoint = 3, put = 6, get = 6, try_put = 2, try_get = 2,
  get_timeout = 2, set = 2, clear = 1, wait = 2, await = 3, join = 2,
  cancel = 3, fail = 1, cancel_scope = 1, deadline = 1, select = 3, now = 1,
  close = 0,
}
local COMPOSITE <const> = {
  spawn = 14, background = 2, spawn_up = 3, lock = 5, permit = 5, read = 3,
  write = 3, scope = 6, timeout = 4, move_on = 4, shield = 3, defer = 2,
  try = 4, catch_all = 1, gather = 2, settle = 2, race = 2,
}

local function sorted(weights)
  local list = {}
  for op, weight in pairs(weights) do
    for _ = 1, weight do list[#list + 1] = op end
  end
  table.sort(list)
  return list
end

local simple <const>, composite <const> = sorted(SIMPLE), sorted(COMPOSITE)

local SEVERAL <const> = { gather = true, settle = true, race = true }

local block

local function statement(roll, room, depth)
  room.left = room.left - 1
  local list = simple
  if depth < 6 and room.left > 0 and roll(100) <= 45 then list = composite end
  local st = { op = list[roll(#list)], n = roll(6) - 1, k = roll(12) }
  if SEVERAL[st.op] then
    st.bodies = {}
    for i = 1, roll(3) do st.bodies[i] = block(roll, room, depth + 1) end
  elseif list == composite then
    st.body = block(roll, room, depth + 1)
  end
  if st.op == "scope" then
    st.service = roll(4) == 1 or nil
    st.group = roll(5) == 1 or nil
    st.max = roll(5) == 1 and roll(2) or nil
  end
  return st
end

function block(roll, room, depth)
  local list = {}
  for i = 1, roll(4) do
    if room.left <= 0 and i > 1 then break end
    list[i] = statement(roll, room, depth)
  end
  return list
end

local function wrapped(op, body) return { op = op, n = 1, k = 1, body = body } end

local PARTS <const> = 6

local function part(roll, size)
  local room, list = { left = size // PARTS }, {}
  while room.left > 0 do list[#list + 1] = statement(roll, room, 1) end
  return list
end

--- A program of about `size` statements: parts that go on at the same time, in
--- the background or in scopes, so that a failure of one does not end it all.
function program.generate(roll, size)
  local list, group = {}, {}
  for _ = 1, PARTS do
    local op = roll(4) == 1 and "background" or "spawn"
    local into = op == "background" and list or group
    into[#into + 1] = wrapped(op, part(roll, size))
    if #group >= 2 then
      list[#list + 1] = wrapped("spawn", { wrapped("try", { wrapped("scope", group) }) })
      group = {}
    end
  end
  list[#list + 1] = wrapped("try", group)
  return list
end

-- ----------------------------------------------------------------- printing

local function line_of(st)
  local words = { st.op, "n=" .. st.n, "k=" .. st.k }
  for _, key in ipairs { "service", "group", "max" } do
    if st[key] then words[#words + 1] = key .. "=" .. tostring(st[key]) end
  end
  return table.concat(words, " ")
end

local function print_into(out, list, indent)
  for _, st in ipairs(list) do
    out[#out + 1] = indent .. line_of(st)
    if st.body then print_into(out, st.body, indent .. "  ") end
    for i, body in ipairs(st.bodies or {}) do
      out[#out + 1] = indent .. " branch " .. i
      print_into(out, body, indent .. "  ")
    end
  end
end

--- The program as text, a statement a line.
function program.text(list)
  local out = {}
  print_into(out, list, "  ")
  return table.concat(out, "\n")
end

-- ---------------------------------------------------------------- shrinking

--- All lists of statements in it, the outer ones first.
local function lists_of(list, into)
  into = into or {}
  into[#into + 1] = list
  for _, st in ipairs(list) do
    if st.body then lists_of(st.body, into) end
    for _, body in ipairs(st.bodies or {}) do lists_of(body, into) end
  end
  return into
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local new = {}
  for k, v in pairs(value) do new[k] = copy(v) end
  return new
end

--- Every program that is this one made smaller in one place.
local function smaller(list)
  return coroutine.wrap(function()
    local count = #lists_of(list)
    for i = 1, count do
      local at = 1
      while true do
        local new = copy(list)
        local place = lists_of(new)[i]
        if not place or not place[at] then break end
        local st = table.remove(place, at)
        coroutine.yield(new)
        local bodies = st.bodies or st.body and { st.body }
        if bodies then -- its body in its place
          new = copy(list)
          place = lists_of(new)[i]
          table.remove(place, at)
          local inner = bodies[1]
          for j = #inner, 1, -1 do table.insert(place, at, copy(inner[j])) end
          coroutine.yield(new)
        end
        if st.n > 1 then
          new = copy(list)
          lists_of(new)[i][at].n = 1
          coroutine.yield(new)
        end
        at = at + 1
      end
    end
  end)
end

--- Smaller and smaller, as long as `fails(program)`; at most `tries` of them.
function program.shrink(list, fails, tries)
  local again = true
  while again and tries > 0 do
    again = false
    for candidate in smaller(list) do
      tries = tries - 1
      if fails(candidate) then
        list, again = candidate, true
        break
      end
      if tries <= 0 then break end
    end
  end
  return list
end

return program
