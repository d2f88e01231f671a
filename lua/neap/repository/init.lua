--- Repositories: domain objects in plain Lua, stored in PostgreSQL.
---
--- ```lua
--- local User = repository.entity {
---   name = "User", table = "users", key = "id", version = "version",
---   columns = { id = "uuid", email = "text", version = "int4" },
--- }
--- local users = repository.new(db, User)
--- local user = users:find { email = "ada@example.org" }
--- ```

local criteria = require "neap.repository.criteria"
local entity = require "neap.repository.entity"
local neap = require "neap"
local repo = require "neap.repository.repo"
local unit_of_work = require "neap.repository.unit_of_work"

local repository = {
  --- NULL, where a table cannot hold nil.
  null = neap.null,
  entity = entity.define,
  op = criteria.op,
  unit_of_work = unit_of_work.run,
}

--- A repository of one class on a pool, a transaction or a connection.
---@param db any
---@param class neap.repository.Class
---@return neap.repository.Repository
function repository.new(db, class)
  local kind = type(db)
  if kind ~= "table" and kind ~= "userdata" then
    neap.fault.raise {
      kind = "invalid",
      message = "repository.new: needs a database, got " .. kind,
    }
  end
  return repo.new(db, entity.definition(class, "repository.new"))
end

return repository
