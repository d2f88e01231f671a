--- Many rows: a hundred thousand in by COPY from a generator, changed in place
--- by one statement, read page by page (keyset, not OFFSET) and row by row from
--- a cursor, and out again as CSV. None of it is ever in memory as a whole.
---
---   eval "$(make -s env)"
---   lua5.4 examples/bulk.lua [FILE]  (DATABASE_URL, or a private server)

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local database = require "lib.database"
local neap = require "neap"

local ROWS <const>, PAGE <const> = 100000, 25

local PAGE_SQL <const> = [[
  select id, name, price from article where (price, id) > ($1, $2)
  order by price, id limit $3]]

local function articles()
  return neap.gen(function(yield)
    for id = 1, ROWS do
      yield { id, ("article %06d"):format(id), id * 7919 % 10007 / 100 }
    end
  end)
end

local function timed(what, fn)
  local start = neap.now()
  local answer = fn()
  print(("%-34s %s in %.2f s"):format(what, answer, neap.now() - start))
end

neap.run(database.with, "neap_bulk", { max = 2 }, function(db)
  db:exec "create table article (id int primary key, name text, price float8)"

  timed("COPY in from a generator", function()
    return db:copy_in("article", { "id", "name", "price" }, articles())
  end)
  db:exec "create index on article (price, id)"

  timed("three pages by keyset", function()
    local price, id, seen = -1, 0, 0
    for _ = 1, 3 do
      local page = db:query(PAGE_SQL, price, id, PAGE)
      seen = seen + page.n
      price, id = page[page.n].price, page[page.n].id
    end
    return seen
  end)

  timed("all rows, one by one", function()
    local n, sum = 0, 0
    for row in db:each "select id, price from article" do
      n, sum = n + 1, sum + row.price
    end
    assert(n == ROWS and sum > 0)
    return n
  end)

  timed("COPY out as CSV, in bytes", function()
    local file <close> = assert(io.open(arg[1] or "/dev/null", "wb"))
    local bytes = 0
    for chunk in db:copy_out("article", { format = "csv", header = true }) do
      assert(file:write(chunk))
      bytes = bytes + #chunk
    end
    return bytes
  end)
  collectgarbage()
  print(("Lua's memory at the end: %.1f MB"):format(collectgarbage "count" / 1024))
end)
