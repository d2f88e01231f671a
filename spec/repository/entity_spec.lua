local entity = require "neap.repository.entity"
local neap = require "neap"
local repository = require "neap.repository"

local function complaint(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(neap.fault.is(err, "invalid"), tostring(err))
  return err.message
end

local function define(change)
  local declared = {
    name = "User",
    table = "users",
    key = "id",
    version = "version",
    columns = { id = "uuid", email = "text", age = "int4", version = "int4" },
  }
  for name, value in pairs(change or {}) do
    if value == "none" then value = nil end
    declared[name] = value
  end
  return repository.entity(declared)
end

describe("an entity", function()
  it("is a plain table with the fields it was made of", function()
    local User = define()
    local fields = { id = "a", email = "x@example.org" }
    local user = User.new(fields)
    assert.not_equal(fields, user)
    assert.equal(User, getmetatable(user))
    local seen = {}
    for name, value in pairs(user) do seen[name] = value end
    assert.same(fields, seen)
  end)

  it("has the methods of its class, declared or assigned", function()
    local User = define {
      methods = { greet = function(self) return "hi " .. self.email end },
    }
    function User:rename(email) self.email = email end
    local user = User.new { email = "a" }
    user:rename("b")
    assert.equal("hi b", user:greet())
    assert.equal("hi b", User.greet(user))
  end)

  it("may have metamethods", function()
    local User = define()
    User.__eq = function(a, b) return a.id == b.id end
    assert.is_true(User.new { id = "1" } == User.new { id = "1" })
    assert.matches("__index", complaint(define, {
      methods = { __index = {} },
    }))
  end)

  it("shows nothing of its class where a column is NULL", function()
    local Thing = repository.entity {
      name = "Thing", table = "things", key = "id",
      columns = { id = "int4", name = "text", table = "text", new = "text" },
    }
    local thing = Thing.new { id = 1 }
    assert.is_nil(thing.name)
    assert.is_nil(thing.table)
    assert.is_nil(thing.new)
    assert.is_nil(thing.columns)
  end)

  it("refuses a method that would hide behind a column", function()
    local User = define()
    assert.matches("method 'email'", complaint(function()
      function User:email() end
    end))
  end)

  it("refuses fields that are no columns, and says the near one", function()
    local User = define()
    assert.equal("User.new: User has no column 'emial'; did you mean 'email'?",
      complaint(User.new, { emial = "x" }))
    assert.matches("fields are named by column", complaint(User.new, { 1 }))
    assert.matches("takes a table", complaint(User.new, "x"))
  end)

  it("leaves names with an underscore to the user", function()
    local user = define().new { _cache = 1 }
    assert.equal(1, user._cache)
  end)

  it("says who it is", function()
    assert.equal("User(id=7)", tostring(define().new { id = 7 }))
    assert.equal("User(id=nil)", tostring(define().new()))
    assert.equal("entity User", tostring(define()))
  end)

  it("keeps record and events for columns that bear these names", function()
    local Log = repository.entity {
      name = "Log", table = "logs", key = "id",
      columns = { id = "int4", events = "int4", record = "text" },
    }
    local log = Log.new { id = 1 }
    assert.is_nil(log.events)
    Log.record(log, "written")
    assert.equal(1, #Log.events(log))
  end)
end)

describe("events of an entity", function()
  it("are kept in order, beside the entity", function()
    local user = define().new { id = "a" }
    user:record("user.created", { by = "me" })
    user:record("user.renamed")
    local events = user:events()
    assert.equal(2, #events)
    assert.equal("user.created", events[1].name)
    assert.equal("me", events[1].payload.by)
    assert.equal(user, events[1].entity)
    assert.is_number(events[1].at)
    assert.equal("user.renamed", events[2].name)
    assert.is_nil(events[2].payload)
    local names = {}
    for name in pairs(user) do names[#names + 1] = name end
    assert.same({ "id" }, names)
  end)

  it("are given as a copy", function()
    local user = define().new()
    user:record("a")
    user:events()[1] = nil
    assert.equal(1, #user:events())
  end)

  it("need a name", function()
    local user = define().new()
    for _, name in ipairs { "", "*", 1 } do
      complaint(user.record, user, name)
    end
    complaint(user.record, user)
  end)

  it("do not keep an entity alive", function()
    local User = define()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local user = User.new()
      user:record("a", user)
      weak[user] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

describe("a declaration", function()
  it("needs a table and columns", function()
    assert.matches("'table' is missing", complaint(define, { table = "none" }))
    assert.matches("'columns' is missing",
      complaint(define, { columns = "none" }))
    assert.matches("needs columns", complaint(define, { columns = {} }))
    assert.matches("takes one table", complaint(repository.entity, "users"))
  end)

  it("takes 'id' for the key and the table for the name", function()
    local Thing = repository.entity {
      table = "things", columns = { id = "int4" },
    }
    local def = entity.definition(Thing, "spec")
    assert.equal("id", def.key[1].name)
    assert.equal("things", def.name)
    assert.is_nil(def.version)
  end)

  it("puts the key first and the rest in the order of names", function()
    local Line = repository.entity {
      table = "lines", key = { "order_id", "line" },
      columns = { a = "int4", line = "int4", order_id = "int4", z = "int4" },
    }
    local names = {}
    for i, column in ipairs(entity.definition(Line, "spec").columns) do
      names[i] = column.name
    end
    assert.same({ "order_id", "line", "a", "z" }, names)
  end)

  it("names columns that it has", function()
    assert.matches("the key 'idd' is not among the columns; did you mean 'id'",
      complaint(define, { key = "idd" }))
    assert.matches("the version 'versoin' is not among",
      complaint(define, { version = "versoin" }))
    assert.matches("the reference 'x' is not among",
      complaint(define, { references = { x = define() } }))
    assert.matches("the read%-only 'x' is not among",
      complaint(define, { readonly = { "x" } }))
    assert.matches("names 'id' twice", complaint(define, {
      key = { "id", "id" },
    }))
    assert.matches("names no column", complaint(define, { key = {} }))
  end)

  it("needs an integer outside the key for the version", function()
    assert.matches("must be an integer", complaint(define, {
      version = "email",
    }))
    assert.matches("must be an integer", complaint(define, { version = "id" }))
  end)

  it("takes SQL types and nothing else", function()
    for _, good in ipairs {
      "uuid", "numeric(10, 2)", "varchar(20)", "timestamp with time zone",
      "int4[]", "text[][]", "timestamp(3) with time zone", "shop.mood",
      '"Mood"', 'shop."Mood"[]', "double precision", "bit varying(8)",
    } do
      repository.entity { table = "t", columns = { id = good } }
    end
    for _, bad in ipairs {
      "", "int4; drop table users", "int4)", "text'--", "a b /* */", "1",
      'x"', "text, y int",
    } do
      assert.matches("no SQL type", complaint(repository.entity, {
        table = "t", columns = { id = bad },
      }))
    end
    assert.matches("no SQL type", complaint(repository.entity, {
      table = "t", columns = { id = true },
    }))
  end)

  it("quotes whatever names it is given", function()
    local Odd = repository.entity {
      table = 'odd "schema".we;ird', key = 'i"d',
      columns = { ['i"d'] = "int4" },
    }
    local def = entity.definition(Odd, "spec")
    assert.equal('"odd ""schema"""."we;ird"', def.table)
    assert.equal('"i""d"', def.key[1].quoted)
    assert.matches("zero byte", complaint(repository.entity, {
      table = "t", columns = { id = "int4", ["a\0b"] = "text" },
    }))
    assert.matches("empty", complaint(repository.entity, {
      table = "a..b", columns = { id = "int4" },
    }))
  end)

  it("refuses unknown options", function()
    assert.matches("unknown option 'colums'; did you mean 'columns'",
      complaint(define, { colums = {} }))
  end)

  it("does not lend the words of conditions to columns", function()
    assert.matches("word of conditions", complaint(define, {
      columns = { id = "int4", any_of = "text" },
    }))
  end)
end)

describe("repository.new", function()
  it("needs a database and a class", function()
    assert.matches("needs a database", complaint(repository.new, nil, define()))
    assert.matches("needs a class", complaint(repository.new, {}, {}))
    assert.matches("needs a class", complaint(repository.new, {}, "User"))
  end)
end)
