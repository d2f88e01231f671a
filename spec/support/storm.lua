--- Storms: specs that throw dice, seed after seed, and can be played again.
---
--- ```lua
--- storm.seeds(100, function(roll, seed) ... end)
--- ```
---
--- NEAP_STORM=n plays n seeds instead of the number a spec asks for;
--- NEAP_STORM_SEED=s plays that one. A failure says which seed it was.

local storm = {}

local COUNT <const> = tonumber(os.getenv "NEAP_STORM")
local ONLY <const> = tonumber(os.getenv "NEAP_STORM_SEED")
-- Under a checker fewer are enough.
local SLOWDOWN <const> = tonumber(os.getenv "NEAP_SLOWDOWN") or 1

--- A generator of its own (Park and Miller 1988): roll(n) is 1 to n.
---@param seed integer
---@return fun(n: integer): integer
function storm.dice(seed)
  local state = seed * 7919 % 2147483647 + 1
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

--- One of the list.
function storm.pick(roll, list) return list[roll(#list)] end

local function told(seed)
  return function(err)
    if type(err) == "table" and err.message then err = err.message end
    return ("seed %d: %s\nplay it again with NEAP_STORM_SEED=%d\n%s"):format(
      seed, tostring(err), seed, debug.traceback("", 2))
  end
end

--- Call `play(roll, seed)` for `n` seeds.
---@param n integer
---@param play fun(roll: fun(n: integer): integer, seed: integer)
function storm.seeds(n, play)
  n = COUNT or math.max(n // SLOWDOWN, 3)
  for seed = ONLY or 1, ONLY or n do
    local ok, err = xpcall(play, told(seed), storm.dice(seed), seed)
    if not ok then error(err, 0) end
  end
end

return storm
