--- A batch asks for the types of its statements one after the other. What DDL
--- made the pool forget meanwhile was sent as text: "a table with fields has no
--- text form".

local neap = require "neap"
local server = require "spec.support.pg"

describe("a batch of statements that are new, beside DDL #pg", function()
  it("sends each with the types that it has", server.with({ max = 4 }, function(db)
    db:exec "drop table if exists later"
    db:exec "create table later (id int, data jsonb)"
    local over = false
    neap.gather(function()
      while not over do
        db:exec "drop table if exists sooner"
        db:exec "create table sooner (id int)"
      end
    end, function()
      for round = 1, 30 do
        db:batch(function(b)
          for i = 1, 6 do
            b:exec(("insert into later values ($1, $2) -- %d %d"):format(round,
              i), i, { round = round })
          end
        end)
      end
      over = true
    end)
    assert.are.equal(180, db:value "select count(*) from later")
  end))
end)
