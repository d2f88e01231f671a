--- Groups: faults of kind `group`, whose `errors` are all that failed. What can
--- be asked of them.
---
--- ```lua
--- local lost = err:find "connection_lost"
--- ```

local core = require "neap.core"
local options = require "neap.options"

---@class neap.Fault
local Group = core.methods "neap.fault"

local function check(what, pred)
  if type(pred) == "string" then
    return function(err) return core.fault.is(err, pred) end
  end
  if options.callable(pred) then return pred end
  error(("bad argument #1 to '%s' (function or kind expected, got %s)")
    :format(what, type(pred)), 3)
end

local function is_group(err)
  return core.fault.is(err, "group") and type(rawget(err, "errors")) == "table"
end

--- An error may be nil.
local function length(group) return rawget(group, "n") or #group.errors end

local function find(group, accepts)
  local errors = group.errors
  for i = 1, length(group) do
    local err = errors[i]
    if is_group(err) then
      local found, which = find(err, accepts)
      if found then return true, which end
    elseif accepts(err) then
      return true, err
    end
  end
  return false, nil
end

--- The first error, also of groups inside, that `pred` accepts; a string is a
--- kind. nil if there is none.
---@param pred string|fun(err: any): any
---@return any err
function Group:find(pred)
  local _, err = find(self, check("find", pred))
  return err
end

local function regroup(group, errors, n)
  if n == 0 then return nil end
  return core.fault.new {
    kind = "group", errors = errors, n = n, traceback = group.traceback,
    message = ("%d of %d errors"):format(n, length(group)),
  }
end

--- Two groups: of the errors that `pred` accepts, and of the others; nil for one
--- that would be empty. A group inside is accepted or not as a whole.
---@param pred string|fun(err: any): any
---@return neap.Fault|nil accepted
---@return neap.Fault|nil others
function Group:split(pred)
  local accepts = check("split", pred)
  local yes, no, n, m = {}, {}, 0, 0
  for i = 1, length(self) do
    local err = self.errors[i]
    if accepts(err) then
      n = n + 1
      yes[n] = err
    else
      m = m + 1
      no[m] = err
    end
  end
  return regroup(self, yes, n), regroup(self, no, m)
end

return true
