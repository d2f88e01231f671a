--- Lists that may have holes: the number of items is `n`, or the length.

local list = {}

--- The number of items, or an argument error of the function `what`, raised
--- `level` calls up.
---@param what string
---@param items table
---@param level? integer
---@return integer
function list.length(what, items, level)
  local n = items.n
  if n == nil then return #items end
  local whole = math.type(n) and math.tointeger(n)
  if not whole or whole < 0 then
    error(("bad argument #1 to '%s' (its n must be a whole number)")
      :format(what), (level or 1) + 1)
  end
  return whole
end

return list
