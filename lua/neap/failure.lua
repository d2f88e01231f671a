--- neap.traceback: where a run has failed.
---
--- `run` raises the very error of main. A string has no room for a traceback,
--- and by then the coroutines that had the frames are gone: it is kept here.

local failure = {}

local traces = setmetatable({}, { __mode = "k" }) -- of tables and userdata
local last, last_trace -- of anything else

local function has_identity(err)
  return type(err) == "table" or type(err) == "userdata"
end

--- A run is about to raise it.
---@param err any
---@param trace string|nil
function failure.remember(err, trace)
  if has_identity(err) then
    traces[err] = trace
  else
    last, last_trace = err, trace
  end
end

--- The text of an error, and where it was raised as far as that is known.
---@param err any
---@return string
function failure.traceback(err)
  local trace
  if has_identity(err) then
    trace = traces[err]
    if not trace and type(err) == "table" then
      trace = rawget(err, "traceback")
    end
  elseif rawequal(err, last) then
    trace = last_trace
  end
  return type(trace) == "string" and tostring(err) .. "\n" .. trace
    or tostring(err)
end

return failure
