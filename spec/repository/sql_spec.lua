local entity = require "neap.repository.entity"
local repository = require "neap.repository"
local sql = require "neap.repository.sql"

local Account = repository.entity {
  name = "Account", table = "accounts", key = "id", version = "version",
  columns = {
    id = "uuid", owner = "text", balance = "numeric(10,2)", version = "int4",
    total = "numeric",
  },
  readonly = { "total" },
}
local account = entity.definition(Account, "spec")

local Line = repository.entity {
  name = "Line", table = "shop.lines", key = { "order_id", "line" },
  columns = { order_id = "int8", line = "int4", note = "text" },
}
local line = entity.definition(Line, "spec")

local function names(plan)
  local list = {}
  for i, column in ipairs(plan.columns) do list[i] = column.name end
  return list
end

local ALL <const> = '"id", "balance", "owner", "total", "version"'

describe("statements of an entity", function()
  it("read it by its key", function()
    local plan = sql.get(account)
    assert.equal("SELECT " .. ALL .. ' FROM "accounts" WHERE "id" = $1',
      plan.sql)
    plan = sql.get(line)
    assert.equal('SELECT "order_id", "line", "note" FROM "shop"."lines" WHERE '
      .. '"order_id" = $1 AND "line" = $2', plan.sql)
    assert.same({ "order_id", "line" }, names(plan))
  end)

  it("are built once", function()
    assert.equal(sql.get(account), sql.get(account))
    local a = sql.insert(account, { id = 1, owner = "a" })
    assert.equal(a, sql.insert(account, { id = 2, owner = "b" }))
    assert.not_equal(a, sql.insert(account, { id = 2 }))
    assert.equal(sql.update(account), sql.update(account))
  end)

  it("are not kept without bound", function()
    local columns = { id = "int4" }
    for i = 1, 12 do columns["c" .. i] = "int4" end
    local def = entity.definition(repository.entity {
      table = "wide", columns = columns,
    }, "spec")
    for mask = 1, 2 ^ 12 do
      local object = {}
      for i = 1, 12 do
        if mask & (1 << (i - 1)) ~= 0 then object["c" .. i] = 1 end
      end
      sql.insert(def, object)
    end
    local kept = 0
    for _ in pairs(def.plans) do kept = kept + 1 end
    assert.is_true(kept <= 512)
  end)

  it("insert what is given and leave the rest to the server", function()
    local plan = sql.insert(account, { id = "x", owner = "me", total = 9 })
    assert.equal('INSERT INTO "accounts" ("id", "owner") VALUES ($1, $2) '
      .. "RETURNING " .. ALL, plan.sql)
    assert.same({ "id", "owner" }, names(plan))
    assert.equal('INSERT INTO "accounts" DEFAULT VALUES RETURNING ' .. ALL,
      sql.insert(account, {}).sql)
  end)

  it("update under the version they expect, and raise it", function()
    local plan = sql.update(account)
    assert.equal('UPDATE "accounts" SET "balance" = $1, "owner" = $2, '
      .. '"version" = "accounts"."version" + 1 WHERE "id" = $3 AND '
      .. '"version" = $4 RETURNING ' .. ALL, plan.sql)
    assert.same({ "balance", "owner", "id", "version" }, names(plan))
  end)

  it("update some columns only", function()
    local plan = sql.update(account, { account.by_name.owner })
    assert.equal('UPDATE "accounts" SET "owner" = $1, "version" = '
      .. '"accounts"."version" + 1 WHERE "id" = $2 AND "version" = $3 '
      .. "RETURNING " .. ALL, plan.sql)
    assert.equal('UPDATE "shop"."lines" SET "note" = $1 WHERE "order_id" = $2 '
      .. 'AND "line" = $3 RETURNING "order_id", "line", "note"',
      sql.update(line).sql)
  end)

  it("delete under the version they expect", function()
    assert.equal('DELETE FROM "accounts" WHERE "id" = $1 AND "version" = $2',
      sql.delete(account).sql)
    assert.equal('DELETE FROM "accounts" WHERE "id" = $1',
      sql.delete_key(account).sql)
  end)

  it("upsert a row only over the version they expect", function()
    local plan = sql.save(account, Account.new { id = "x", version = 3 })
    assert.equal('INSERT INTO "accounts" ("id", "version") VALUES ($1, $2) '
      .. 'ON CONFLICT ("id") DO UPDATE SET "balance" = excluded."balance", '
      .. '"owner" = excluded."owner", "version" = "accounts"."version" + 1 '
      .. 'WHERE "accounts"."version" = excluded."version" RETURNING ' .. ALL,
      plan.sql)
  end)

  it("never overwrite a versioned row that nobody has read", function()
    assert.matches('ON CONFLICT %("id"%) DO NOTHING',
      sql.save(account, Account.new { id = "x" }).sql)
  end)

  it("upsert without a version by replacing", function()
    assert.equal('INSERT INTO "shop"."lines" ("order_id", "line", "note") '
      .. 'VALUES ($1, $2, $3) ON CONFLICT ("order_id", "line") DO UPDATE SET '
      .. '"note" = excluded."note" RETURNING "order_id", "line", "note"',
      sql.save(line, Line.new { order_id = 1, line = 2, note = "x" }).sql)
  end)

  it("insert many with one array for each column, cast to its type",
    function()
      local columns, shape = sql.given_columns(line, { order_id = 1, line = 2 })
      local plan = sql.insert_many(line, columns, shape)
      assert.equal('INSERT INTO "shop"."lines" ("order_id", "line") SELECT '
        .. 'u."order_id", u."line" FROM unnest($1::int8[], $2::int4[]) WITH '
        .. 'ORDINALITY AS u("order_id", "line", neap_row) ORDER BY '
        .. 'u.neap_row RETURNING "order_id", "line", "note"', plan.sql)
    end)

  it("take their parameters from the entity, NULL for what is missing",
    function()
      local values, n = sql.values(sql.update(account), {
        id = "x", version = 3, owner = false,
      })
      assert.equal(4, n)
      assert.is_nil(values[1])
      assert.is_false(values[2])
      assert.same({ "x", 3 }, { values[3], values[4] })
    end)
end)
