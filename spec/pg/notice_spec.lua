--- Notices: what the server says besides its answers.

local run = require "spec.support.run"
local server = require "spec.support.pg"

local raises = run.raises

--- A body with a pool whose notices are collected in `seen`.
local function with(fn)
  local seen = {}
  return server.with({ max = 2, on_notice = function(notice)
    seen[#seen + 1] = notice
  end }, function(db, reports)
    for i = #seen, 1, -1 do seen[i] = nil end
    fn(db, seen, reports)
    server.whole(db)
  end)
end

local SAY <const> = [[do $$ begin
  raise notice 'first' using detail = 'more', hint = 'do this', errcode = '01234';
  raise warning 'second'; end $$]]

describe("on_notice", function()
  it("is told of each with its fields, before the call returns",
    with(function(db, seen)
      db:exec(SAY)
      assert.are.equal(2, #seen)
      local first, second = seen[1], seen[2]
      assert.are.equal("NOTICE", first.severity)
      assert.are.equal("01234", first.code)
      assert.are.equal("first", first.message)
      assert.are.equal("more", first.detail)
      assert.are.equal("do this", first.hint)
      assert.matches("PL/pgSQL", first.where)
      assert.are.equal(SAY, first.sql)
      assert.are.equal("WARNING", second.severity)
      assert.is_nil(second.hint)
    end))

  it("is told also when the statement fails", with(function(db, seen)
    raises("pg", db.exec, db,
      "do $$ begin raise notice 'before'; raise exception 'no'; end $$")
    assert.are.equal("before", seen[1].message)
  end))

  it("is told of the statement that it belongs to", with(function(db, seen)
    local neap = require "neap"
    db:exec [[create or replace function say(t text) returns text language plpgsql
      as $f$ begin raise notice '%', t; return t; end $f$]]
    neap.map({ 1, 2, 3, 4, 5, 6 }, function(i)
      db:value(("select say('%d')"):format(i))
    end)
    assert.are.equal(6, #seen)
    for _, notice in ipairs(seen) do
      assert.are.equal(("select say('%s')"):format(notice.message), notice.sql)
    end
  end))

  it("keeps a hundred of a statement and counts the others",
    with(function(db, seen)
      db:exec [[do $$ begin for i in 1..5000 loop raise notice '%', i; end loop; end $$]]
      assert.are.equal(100, #seen)
      assert.are.equal("100", seen[100].message)
      assert.are.equal(4900, seen[100].dropped)
      assert.is_nil(seen[99].dropped)
    end))

  it("is reported when it fails, and harms nobody", server.with({
    max = 1, on_notice = function() error("cannot", 0) end,
  }, function(db, reports)
    db:exec "do $$ begin raise notice 'x'; end $$"
    assert.are.equal("cannot", reports:take("listener").error)
    assert.are.equal(1, db:value "select 1")
  end))

  it("is not needed", server.with({ max = 1 }, function(db)
    db:exec(SAY)
    assert.are.equal(1, db:value "select 1")
  end))
end)
