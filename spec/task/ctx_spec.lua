local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises
local get, set, with = neap.ctx.get, neap.ctx.set, neap.ctx.with

describe("a task-local", function()
  it("is nil until it is set, and then its value (L1)", run(function()
    assert.is_nil(get "key")
    set("key", 1)
    assert.are.equal(1, get "key")
    set("key", false)
    assert.is_false(get "key")
    set("key", nil)
    assert.is_nil(get "key")
  end))

  it("is copied on spawn; later changes are each one's own (L1)", run(function()
    set("a", 1)
    local child = neap.spawn(function()
      assert.are.equal(1, get "a")
      set("a", 2)
      set("b", 3)
      neap.sleep(2)
      local grandchild = neap.spawn(function() return get "a", get "b" end)
      assert.are.same({ 2, 3 }, { grandchild:await() })
      return get "a"
    end)
    neap.sleep(1)
    assert.are.equal(1, get "a") -- the child's set is invisible
    assert.is_nil(get "b")
    set("a", 10)
    assert.are.equal(2, child:await()) -- and ours to the child
    assert.are.equal(10, get "a")
  end))

  it("is the spawner's, whatever scope it spawns into (L1)", run(function()
    neap.scope(function(s)
      neap.spawn(function()
        set("who", "child")
        s:spawn(function() assert.are.equal("child", get "who") end)
        neap.background(function() assert.are.equal("child", get "who") end)
      end):await()
      s:spawn(function() assert.is_nil(get "who") end)
    end)
  end))

  it("goes with every combinator (L1)", run(function()
    set("key", 1)
    local function check() return (assert(get "key" == 1 and "yes")) end
    assert.are.same({ "yes", "yes" }, { neap.gather(check, check) })
    assert.are.same({ n = 2, "yes", "yes" }, neap.map({ 1, 2 }, check))
    assert.are.equal("yes", (neap.race { check }))
    for v in neap.imap({ 1 }, check) do assert.are.equal("yes", v) end
    for v in neap.stream(function(yield) yield(check()) end) do assert.are.equal("yes", v) end
    neap.timeout(1, check)
    neap.scope(function(s)
      assert.are.equal("yes", (s:start(function(started) started(check()) end)))
    end)
  end))

  it("goes from the one that emits to the listeners (L1)", run(function()
    local em, seen = neap.emitter(), {}
    em:on("x", function()
      seen[#seen + 1] = get "key" or "none"
      set("key", "listener")
      neap.sleep(1)
      assert.are.equal("listener", get "key")
    end)
    em:emit "x"
    set("key", "emitter")
    em:emit "x"
    assert.are.same({ "none", "emitter" }, seen)
    assert.are.equal("emitter", get "key")
  end))

  it("is the consumer's in a generator (L1)", run(function()
    local g = neap.gen(function(yield)
      while true do
        yield(get "key" or "none")
        neap.sleep(0.1)
      end
    end)
    assert.are.equal("none", g())
    set("key", "one")
    assert.are.equal("one", g())
    assert.are.equal("two", with("key", "two", g))
    assert.are.equal("three", neap.spawn(function()
      set("key", "three")
      return g()
    end):await())
    assert.are.equal("one", g())
  end))

  it("is seen in coroutines of the task (L1)", run(function()
    set("key", 1)
    coroutine.wrap(function()
      assert.are.equal(1, get "key")
      neap.sleep(1)
      set("key", 2)
    end)()
    assert.are.equal(2, get "key")
  end))

  it("does not come from the task that had the coroutine before (L1)", run(function()
    for _ = 1, 50 do
      neap.spawn(function() set("key", "old") end):await()
      neap.spawn(function() assert.is_nil(get "key") end):await()
    end
  end))

  it("with set for a call, and put back, however that ends (L1)", run(function()
    set("key", "before")
    assert.are.same({ n = 3, "during", nil, 7 }, table.pack(with("key", "during", function(...)
      neap.sleep(1)
      return get "key", ...
    end, nil, 7)))
    assert.are.equal("before", get "key")
    local thrown = { kind = "mine" }
    assert.are.equal(thrown, (raises("mine", with, "key", "during", error, thrown)))
    assert.are.equal("before", get "key")
    with("key", "outer", function()
      with("key", "inner", function() assert.are.equal("inner", get "key") end)
      assert.are.equal("outer", get "key")
      set("other", 1)
    end)
    assert.are.equal("before", get "key")
    assert.are.equal(1, get "other")
    with("new", 1, function() end)
    assert.is_nil(get "new")
    neap.move_on_after(1, with, "key", "during", neap.sleep, 5)
    assert.are.equal("before", get "key")
  end))

  it("may have any key but nil and NaN, and any value (L1)", run(function()
    local key, value = {}, {}
    for _, k in ipairs { key, 1, 1.5, true, print, "x" } do
      set(k, value)
      assert.are.equal(value, get(k))
    end
    for _, bad in ipairs { 0 / 0 } do
      assert.is_false((pcall(set, bad, 1)))
      assert.is_false((pcall(get, bad)))
    end
    assert.is_false((pcall(set, nil, 1)))
    assert.is_false((pcall(get)))
    assert.is_false((pcall(with, "key", 1, 2)))
  end))

  it("says to its caller which key is none (L1)", run(function()
    for _, fn in ipairs { set, with } do
      local ok, err = pcall(fn, nil, 1, print)
      assert.is_false(ok)
      assert.is_truthy(err:find("^bad argument #1 to '%a+' %(a key cannot be nil%)")
        or err:find("ctx_spec.lua:%d+: bad argument #1 to '%a+' %(a key cannot be nil%)"), err)
      ok, err = pcall(function() fn(0 / 0, 1, print) end)
      assert.is_false(ok)
      assert.is_truthy(err:find(
        "^[^:]*ctx_spec.lua:%d+: bad argument #1 to '%a+' %(a key cannot be NaN%)"), err)
    end
  end))

  it("belongs to tasks: outside there is none (L1)", function()
    assert.is_nil(get "key")
    raises("not_in_task", set, "key", 1)
    neap.run(function() set("key", 1) end)
    assert.is_nil(get "key")
    neap.run(function() assert.is_nil(get "key") end)
  end)

  it("is let go with its tasks (L1)", run(function()
    local weak = setmetatable({}, { __mode = "v" })
    neap.scope(function(s)
      for i = 1, 3000 do
        s:spawn(function()
          weak[i] = {}
          set("key", weak[i])
          neap.sleep(1)
        end)
      end
    end)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)
