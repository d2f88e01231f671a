--- A cache that the database keeps honest: a trigger sends the key of each row
--- that changes, and whoever cached it forgets it. When the connection was lost
--- for a while, everything is forgotten.
---
---   eval "$(make -s env)"
---   lua5.4 examples/cache.lua        (DATABASE_URL, or a private server)

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local database = require "lib.database"
local neap = require "neap"

neap.run(database.with, "neap_cache", { max = 3 }, function(db)
  db:exec "create table product (id int primary key, name text, price numeric)"
  db:exec [[create function tell() returns trigger language plpgsql as $$
    begin perform pg_notify('neap_product', new.id::text); return new; end $$]]
  db:exec [[create trigger told after update on product
    for each row execute function tell()]]
  db:copy_in("product", { "id", "name", "price" }, {
    { 1, "tea", 3 }, { 2, "rice", 2 }, { 3, "oil", 8 },
  })

  local cached, loads, forgotten = {}, 0, neap.event()
  local changes <close> = db:listen("neap_product", function(id)
    cached[tonumber(id)] = nil
    forgotten:set()
  end, { on_gap = function() cached = {} end })

  local function product(id)
    if not cached[id] then
      loads = loads + 1
      cached[id] = db:row("select * from product where id = $1", id)
    end
    return cached[id]
  end

  for _ = 1, 1000 do product(1) product(2) product(3) end
  print(("3,000 reads, %d queries; tea costs %s"):format(loads,
    tostring(product(1).price)))

  db:exec("update product set price = $1 where id = 1", 4)
  neap.timeout(10, forgotten.wait, forgotten)
  for _ = 1, 1000 do product(1) product(2) product(3) end
  print(("3,000 more, %d queries in all; tea costs %s"):format(loads,
    tostring(product(1).price)))
  changes:close()
end)
