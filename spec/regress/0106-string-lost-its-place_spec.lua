--- A string that a scope, an await or an emit raised anew was reported with the
--- place of that, not with the place where it was raised first.

local neap = require "neap"
local run = require "spec.support.run"

local function the_place() error "a string" end

--- What a background task that ends by `fn` is reported with.
local function reported(reports, fn)
  local t = neap.background(fn)
  t:join()
  local trace = reports:take("background").traceback
  assert.are.equal(trace, t:traceback())
  return trace
end

local WAYS <const> = {
  ["a scope"] = function() neap.scope(the_place) end,
  ["scopes in each other"] = function()
    neap.scope(function() neap.timeout(1, neap.shield, 1, the_place) end)
  end,
  ["a child of a scope"] = function()
    neap.scope(function(s) s:spawn(the_place) end)
  end,
  ["a child of its own"] = function() neap.spawn(the_place) end,
  ["await"] = function()
    neap.supervisor(function(s)
      local t = s:spawn(the_place)
      t:await()
    end)
  end,
  ["gather"] = function() neap.gather(neap.checkpoint, the_place) end,
  ["map"] = function() neap.map({ 1 }, the_place) end,
  ["lock:with"] = function() neap.lock():with(the_place) end,
  ["semaphore:with"] = function() neap.semaphore(1):with(the_place) end,
  ["emit"] = function()
    local em = neap.emitter()
    em:on("x", the_place)
    em:emit "x"
  end,
  ["emit to a listener that waits"] = function()
    local em = neap.emitter()
    em:on("x", function() neap.checkpoint() the_place() end)
    em:emit "x"
  end,
}

describe("the traceback of a string shows where it was raised first", function()
  for name, fn in pairs(WAYS) do
    it("through " .. name .. " (E4)", run(function(reports)
      local trace = reported(reports, fn)
      if name == "await" then reports:take "background" end
      assert.is_truthy(trace:find("string-lost-its-place_spec.lua:7:", 1, true), trace)
    end))
  end

  it("and not where the same text was raised before (E4)", run(function(reports)
    local function before() error("a string", 0) end
    local function after() error("a string", 0) end
    local trace = reported(reports, function()
      pcall(neap.scope, before)
      neap.timeout(1, neap.shield, 1, function() after() end)
    end)
    assert.is_truthy(trace:find("in upvalue 'after'", 1, true), trace)
  end))
end)
