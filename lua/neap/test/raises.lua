--- A call that must fail, and with what.

local compare = require "neap.test.compare"
local options = require "neap.options"

local function kind_of(err)
  return type(err) == "table" and rawget(err, "kind") or nil
end

--- Call `fn(...)`, which must raise; returns the error. With `kind` it must be a
--- fault of that kind, else an error without a kind, such as a string.
---@async
---@param kind string|nil
---@param fn fun(...)
---@param ... any
---@return any err
return function(kind, fn, ...)
  if kind ~= nil and type(kind) ~= "string" then
    error("bad argument #1 to 'raises' (a kind or nil expected, got " ..
      type(kind) .. ")", 2)
  end
  if not options.callable(fn) then
    error("bad argument #2 to 'raises' (function expected, got " .. type(fn) ..
      ")", 2)
  end
  local wanted = kind and "a fault of kind '" .. kind .. "'"
    or "an error without a kind"
  local results = table.pack(pcall(fn, ...))
  local err = results[2]
  if results[1] then
    error(("expected %s, but the function returned %s"):format(wanted,
      compare.list(table.pack(table.unpack(results, 2, results.n)))), 2)
  end
  if kind_of(err) == kind then return err end
  error(("expected %s, got: %s"):format(wanted, tostring(err)), 2)
end
