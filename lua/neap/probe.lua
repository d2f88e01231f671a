--- Does the generic `for` close its fourth value where it should?
---
--- Lua 5.4.4 closes it for the wrong level when the body captures a local of
--- the loop in a closure and contains a `break` (fixed in 5.4.5). Where this
--- probe fails, iterators of neap return no closing value: they are closed
--- with the scope that was innermost when they were made.

local function for_close_ok()
  local done = false
  local guard = setmetatable({}, { __close = function() done = true end })
  local seen
  local function loop()
    for k in next, { 1 }, nil, guard do
      local function keep() return k end
      if k == 0 then keep() break end
    end
    seen = done
  end
  loop()
  return seen
end

return { for_close_ok = for_close_ok() }
