local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function fault(kind, message) return neap.fault.new { kind = kind, message = message } end

--- A group as a scope raises it.
local function group_of(...)
  local errors = table.pack(...)
  local err = raises("group", neap.scope, { errors = "group" }, function(s)
    for i = 1, errors.n do
      s:spawn(function()
        if i > 1 then pcall(neap.sleep, 100) end
        error(errors[i], 0)
      end)
    end
  end)
  return err
end

local function taken(reports, n)
  for _ = 1, n do reports:take "secondary" end
end

describe("a group", function()
  it("finds an error by kind or by a function, also in groups inside (S14)", run(function(reports)
    local closed, lost = fault "closed", fault "connection_lost"
    local inner = neap.fault.new { kind = "group", errors = { "text", lost } }
    local err = group_of(closed, inner)
    taken(reports, 1)
    assert.are.equal(closed, err:find "closed")
    assert.are.equal(lost, err:find "connection_lost")
    assert.are.equal("text", err:find(function(e) return e == "text" end))
    assert.is_nil(err:find "timeout")
    assert.is_nil(err:find(function() return false end))
  end))

  it("splits into those that fit and the others; nil for none (S14)", run(function(reports)
    local a, b, c = fault "io", fault "closed", fault "io"
    local err = group_of(a, b, c)
    taken(reports, 2)
    local io, other = err:split "io"
    assert.are.equal(2, #io.errors)
    assert.are.equal(a, io.errors[1])
    assert.are.equal(c, io.errors[2])
    assert.are.equal(1, #other.errors)
    assert.are.equal(b, other.errors[1])
    assert.is_true(neap.fault.is(io, "group"))
    local all, none = err:split(function() return true end)
    assert.are.equal(3, #all.errors)
    assert.is_nil(none)
    assert.is_nil((err:split "timeout"))
  end))

  it("counts errors that are nil or false (S14)", run(function(reports)
    local err = group_of(nil, false)
    taken(reports, 1)
    assert.are.equal(2, err.n)
    assert.are.equal(1, select(2, err:split(function(e) return e == false end)).n)
    assert.is_false(err:find(function(e) return e == false end))
  end))

  it("prints every error, with where it was raised (S14)", run({ order = true }, function(reports)
    local err = group_of(fault("io", "no route"), "text", { "a table" })
    taken(reports, 2)
    local text = tostring(err)
    assert.is_truthy(text:find("\n1: io: no route\n", 1, true), text)
    assert.is_truthy(text:find("\n2: text\n", 1, true), text)
    assert.is_truthy(text:find("\n3: table: ", 1, true), text)
    local _, sites = text:gsub("group_spec.lua:%d+: in function", "")
    assert.is_true(sites >= 2, text)
  end))

  it("alone has these methods, and takes a kind or a function (S14)", run(function()
    assert.is_nil(fault("io").find)
    assert.is_nil(fault("io").split)
    local err = group_of "x"
    for _, name in ipairs { "find", "split" } do
      local ok, message = pcall(err[name], err, 5)
      assert.is_false(ok)
      assert.is_truthy(message:find("bad argument #1 to '" .. name .. "' (function or kind", 1, true),
        message)
    end
  end))

  it("of neap.any is one too (S14, G7)", run(function()
    local err = raises("group", neap.any, {
      function() error("first", 0) end, function() neap.fault.raise { kind = "io" } end,
    })
    assert.are.equal("io", err:find("io").kind)
    assert.are.equal(2, err.n)
  end))
end)
