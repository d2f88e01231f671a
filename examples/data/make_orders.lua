--- Makes the order book that examples/orders.lua imports: users.csv,
--- products.csv and orders.csv beside this file. The generator carries its own
--- random numbers, so the bytes are the same on every machine.
---
---   lua5.4 examples/data/make_orders.lua            write the three files
---   lua5.4 examples/data/make_orders.lua --check    compare with what is there

local SEED <const> = 20240301
local USERS <const> = 2000
local PRODUCTS <const> = 400
local LINES <const> = 24000
local FIRST_REF <const> = 100001

-- SplitMix64: 64-bit integers wrap alike wherever Lua 5.4 runs.
local state = SEED
local function bits()
  state = state + 0x9E3779B97F4A7C15
  local z = state
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

--- An integer from `low` to `high`.
local function between(low, high)
  return low + (bits() >> 1) % (high - low + 1)
end

local function pick(list)
  return list[between(1, #list)]
end

--- True `n` times in ten thousand.
local function chance(n)
  return between(1, 10000) <= n
end

local GIVEN <const> = {
  "Ada", "Bela", "Chidi", "Dora", "Emre", "Fatima", "Goran", "Hana", "Ivo",
  "Jun", "Karim", "Lena", "Marta", "Nils", "Olga", "Piet", "Quim", "Rosa",
  "Søren", "Tomás", "Uma", "Vera", "Wim", "Xenia", "Yusuf", "Zoë",
}
local FAMILY <const> = {
  "Adeyemi", "Brandt", "Castro", "Dahl", "Eriksen", "Ferrari", "Grant",
  "Horvat", "Ivanova", "Jansen", "Kowalski", "Lund", "Müller", "Novák",
  "Okafor", "Petrov", "Quist", "Rossi", "Sato", "Tran", "Urban", "Varga",
  "Weber", "Yilmaz", "Zhang",
}
local WHAT <const> = {
  "kettle", "lamp", "chair", "notebook", "backpack", "mug", "clock", "scarf",
  "umbrella", "knife", "pan", "towel", "blanket", "mirror", "shelf", "basket",
}
local KIND <const> = {
  "blue", "green", "red", "grey", "large", "small", "folding", "wooden",
  "steel", "linen", "glass", "travel", "garden", "kitchen", "office",
}
local NOTES <const> = {
  "ring twice", "leave at the door", "a gift, no invoice in the box",
  'the bell says "Müller", second floor', "fragile", "mornings only",
  "call before delivery; the gate is closed", "two boxes, please",
}

local function quoted(text)
  return '"' .. text:gsub('"', '""') .. '"'
end

local function users()
  local out = { "code,email,name" }
  for i = 1, USERS do
    local given, family = pick(GIVEN), pick(FAMILY)
    out[#out + 1] = ("u%04d,u%04d@example.org,%s %s")
      :format(i, i, given, family)
  end
  return out
end

-- A few products are asked for more often than most, and about one in six
-- is short of stock, so that some orders have to be turned away.
local weight, total = {}, 0
for i = 1, PRODUCTS do
  total = total + 100 + (i <= 20 and 300 or 0)
  weight[i] = total
end

local function product()
  local at, low, high = between(1, total), 1, PRODUCTS
  while low < high do
    local middle = (low + high) // 2
    if weight[middle] < at then low = middle + 1 else high = middle end
  end
  return low
end

local function products()
  local out = { "sku,name,price_cents,stock" }
  for i = 1, PRODUCTS do
    local expected = LINES * (i <= 20 and 400 or 100) * 23 // (total * 10)
    local stock = between(1, 6) == 1 and expected * between(5, 9) // 10
      or expected * between(15, 25) // 10
    out[#out + 1] = ("P-%04d,%s %s,%d,%d")
      :format(i, pick(KIND), pick(WHAT), between(150, 19900), stock)
  end
  return out
end

--- Ways to spoil a line: functions of its fields that return the line.
local SPOIL <const> = {
  function(f) return table.concat(f, ",", 1, 4) end,
  function(f) return table.concat(f, ",") .. ",express,yes" end,
  function(f) f[4] = pick { "two", "3x", "", "0x", "1e" } end,
  function(f) f[4] = pick { "0", "-1", "2.5", "99999999999999999999" } end,
  function(f) f[5] = pick { "2024-02-31T10:00:00Z", "yesterday", "" } end,
  function(f) f[1] = pick { "", "n/a", "-7" } end,
  function(f) return table.concat(f, ",", 1, 5) .. ',"never closed' end,
  function(f) return table.concat(f, ",", 1, 5) .. ',"closed" too early' end,
  function(f) f[6] = "not UTF-8: \xFF\xFE" end,
  function() return "" end,
}

local function malformed(fields)
  return pick(SPOIL)(fields) or table.concat(fields, ",")
end

local function orders()
  local out = { "ref,user,sku,quantity,at,note" }
  local second = 0
  local ref = FIRST_REF
  for _ = 1, LINES do
    second = second + between(1, 6)
    local user = ("u%04d"):format(between(1, USERS))
    local sku = ("P-%04d"):format(product())
    -- One to four pieces as a rule; now and then a dealer wants a pallet.
    local quantity = between(1, 4)
    if chance(60) then quantity = between(2000, 9000) end
    if chance(110) then
      user = pick { ("u%04d"):format(between(USERS + 1, 9999)), "guest",
        "u0001'; drop table orders; --" }
    end
    if chance(120) then sku = ("X-%04d"):format(between(1, 9999)) end
    local at = ("2024-03-%02dT%02d:%02d:%02dZ"):format(1 + second // 86400,
      second // 3600 % 24, second // 60 % 60, second % 60)
    local note = chance(700) and pick(NOTES) or ""
    if note:find('[",;]') then note = quoted(note) end
    local line = table.concat({ ref, user, sku, quantity, at, note }, ",")
    if chance(180) then
      line = malformed { ref, user, sku, quantity, at, note }
    elseif chance(150) and #out > 100 then
      line = out[#out - between(0, 90)] -- sent twice
    elseif chance(200) then
      line = line .. "\r" -- from another system
    end
    out[#out + 1] = line
    ref = ref + 1
  end
  return out
end

local check = false
for _, word in ipairs(arg) do
  if word ~= "--check" then
    io.stderr:write("make_orders.lua: unknown option '", word,
      "'; the only one is --check\n")
    os.exit(2)
  end
  check = true
end

local here = arg[0]:match("^(.*/)") or "./"
-- The order of the calls fixes the order of the random numbers.
local files = {
  { "users.csv", table.concat(users(), "\n") .. "\n" },
  { "products.csv", table.concat(products(), "\n") .. "\n" },
  { "orders.csv", table.concat(orders(), "\n") .. "\n" },
}
local same = true
for _, file in ipairs(files) do
  local path, bytes = here .. file[1], file[2]
  local handle, why = io.open(path, check and "rb" or "wb")
  if not handle then
    io.stderr:write("make_orders.lua: ", why, "\n")
    os.exit(1)
  end
  if check then
    local there = handle:read("a")
    local verdict = there == bytes and "same" or "different"
    same = same and there == bytes
    print(("%-12s %9d bytes  %s"):format(file[1], #bytes, verdict))
  else
    handle:write(bytes)
    print(("%-12s %9d bytes"):format(file[1], #bytes))
  end
  handle:close()
end
os.exit(same and 0 or 1)
