local script = require "neap.pg.script"

local function texts(text)
  local list = {}
  for i, statement in ipairs(script.split(text)) do list[i] = statement.text end
  return list
end

describe("a script of SQL", function()
  it("is cut at its semicolons", function()
    assert.same({ "select 1", "select 2" }, texts("select 1; select 2;"))
    assert.same({ "select 1", "select 2" }, texts(";;select 1;;\nselect 2"))
    assert.same({}, texts(""))
    assert.same({}, texts(" \n ; -- nothing\n /* at all */ ;"))
  end)

  it("is not cut inside a string or a name", function()
    assert.same({ "select 'a;b'", "select 1" }, texts("select 'a;b';select 1"))
    assert.same({ "select 'it''s;'", "x" }, texts("select 'it''s;'; x"))
    assert.same({ [[select 'a\']], "b" }, texts([[select 'a\'; b]]))
    assert.same({ [[select E'a\';b']], "c" }, texts([[select E'a\';b'; c]]))
    assert.same({ [[select name'a\']], "c" }, texts([[select name'a\'; c]]))
    assert.same({ 'select 1 as "a;b"', "c" }, texts('select 1 as "a;b"; c'))
    assert.same({ 'select "a"";b"', "c" }, texts('select "a"";b"; c'))
  end)

  it("is not cut inside a dollar quote", function()
    assert.same({ "do $$ begin; end $$", "x" }, texts("do $$ begin; end $$; x"))
    assert.same({ "do $a$ $$;$b$; $a$", "x" }, texts("do $a$ $$;$b$; $a$; x"))
    assert.same({ "select a$1$", "b$1$" }, texts("select a$1$; b$1$"))
    assert.same({ "select $1", "$2" }, texts("select $1; $2"))
  end)

  it("is not cut inside a comment", function()
    assert.same({ "select 1 -- a;b\n + 2", "x" },
      texts("select 1 -- a;b\n + 2; x"))
    assert.same({ "select /* ; /* ; */ ; */ 1", "x" },
      texts("select /* ; /* ; */ ; */ 1; x"))
    assert.same({ "x" }, texts("-- it's\nx"))
    assert.same({ "a" }, texts("a -- end"))
  end)

  it("is not cut inside parentheses", function()
    local rule = "create rule r as on insert to t do (delete from a; select 1)"
    assert.same({ rule, "x" }, texts(rule .. "; x"))
  end)

  it("is not cut inside the body of an SQL function", function()
    local body = "create or replace function f() returns int language sql "
      .. "begin atomic select 1; select case when true then 1 else 2 end; end"
    assert.same({ body, "select 2" }, texts(body .. "; select 2"))
    local procedure = "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; END"
    assert.same({ procedure, "x" }, texts(procedure .. "; x"))
  end)

  it("takes BEGIN elsewhere for a word", function()
    assert.same({ "begin", "select 1", "end" }, texts("begin; select 1; end"))
    assert.same({ "select case when a then 1 end", "x" },
      texts("select case when a then 1 end; x"))
  end)

  it("says where a statement stands and how it begins", function()
    local list = script.split("-- top\n\n  create table t();\n\n"
      .. "insert into t\nvalues (1);;\nBEGIN")
    assert.equal(3, list[1].line)
    assert.equal("create", list[1].first_word)
    assert.equal(5, list[2].line)
    assert.equal(7, list[3].line)
    assert.equal("begin", list[3].first_word)
  end)

  it("survives any text", function()
    for _, text in ipairs {
      "'", '"', "$$", "/*", "--", "$a$ $b$", "(", ")", "E'\\", "e'", "$",
      "1.e5;2", "\0;\255",
    } do
      script.split(text)
    end
  end)
end)
