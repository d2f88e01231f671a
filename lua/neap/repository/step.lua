--- Steps: statements to be sent together, and what becomes of their answers.
---
--- `check` judges an answer and may ask for more steps; `finish` copies it into
--- the entities, when nothing can fail any more. One step is a statement, more
--- of them a batch: they travel in one flight and run in their order.

local step = {}

local unpack <const> = table.unpack

-- Statements in one flight.
local MAX_BATCH <const> = 256

---@class neap.repository.Step
---@field mode "row"|"query"|"exec"
---@field sql string
---@field values any[]
---@field n integer
---@field check? fun(answer: any): neap.repository.Step[]|nil
---@field finish fun()

---@async
---@param db any
---@param steps neap.repository.Step[]
---@param first integer
---@param last integer
---@return any[]
local function send(db, steps, first, last)
  local one = steps[first]
  if first == last then
    return { (db[one.mode](db, one.sql, unpack(one.values, 1, one.n))) }
  end
  return db:batch(function(b)
    for i = first, last do
      one = steps[i]
      b[one.mode](b, one.sql, unpack(one.values, 1, one.n))
    end
  end)
end

--- Whether the steps are one statement or one batch, which is done as a whole
--- or not at all.
---@param steps neap.repository.Step[]
---@return boolean
function step.is_atomic(steps) return #steps <= MAX_BATCH end

--- Send the steps in their order, check the answers, and go on with what the
--- checks ask for.
---@async
---@param db any
---@param steps neap.repository.Step[]  further steps are appended
function step.send(db, steps)
  local first = 1
  while first <= #steps do
    local last = math.min(#steps, first + MAX_BATCH - 1)
    local answers = send(db, steps, first, last)
    for i = first, last do
      local check = steps[i].check
      local more = check and check(answers[i - first + 1])
      if more then table.move(more, 1, #more, #steps + 1, steps) end
    end
    first = last + 1
  end
end

--- Have the entities take the answers.
---@param steps neap.repository.Step[]
function step.finish(steps)
  for _, one in ipairs(steps) do one.finish() end
end

--- Both, at once.
---@async
---@param db any
---@param steps neap.repository.Step[]
function step.run(db, steps)
  step.send(db, steps)
  step.finish(steps)
end

return step
