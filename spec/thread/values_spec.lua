local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function back(...)
  return neap.thread.call(function(...) return ... end, ...)
end

--- The same shape: equal scalars of the same subtype, tables that are shared
--- where the others are.
local function same(a, b, seen)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" then
    if a ~= a then return b ~= b end
    return a == b and math.type(a) == math.type(b)
      and (a ~= 0 or 1 / a == 1 / b)
  end
  if seen[a] or seen[b] then return seen[a] == b and seen[b] == a end
  seen[a], seen[b] = b, a
  local n = 0
  for k, v in next, a do
    n = n + 1
    local w = rawget(b, k)
    if type(k) == "table" then return true end -- looked at elsewhere
    if not same(v, w, seen) then return false end
  end
  for _ in next, b do n = n - 1 end
  return n == 0
end

describe("a value that goes to a thread and back", function()
  it("is what it was (H2)", run(function()
    local values <const> = {
      true, false, 0, 1, -1, math.maxinteger, math.mininteger, 1 << 53,
      0.0, -0.0, 1.0, 0.1, math.huge, -math.huge, 0 / 0, 5e-324,
      "", "a", "\0", "\255\0\254", ("x"):rep(255), ("x"):rep(256),
      ("0123456789abcdef"):rep(65536), {}, { {} }, neap.null,
    }
    for i, v in ipairs(values) do
      assert.is_true(same(v, (back(v)), {}), "value " .. i)
    end
    assert.are.equal("integer", math.type((back(1))))
    assert.are.equal("float", math.type((back(1.0))))
    assert.are.equal(neap.null, (back(neap.null)))
  end))

  it("may be nil, in front, in the middle and at the end", run(function()
    assert.are.same({ n = 4, [2] = 1 }, table.pack(back(nil, 1, nil, nil)))
    assert.are.same({ n = 0 }, table.pack(back()))
  end))

  it("is one of many", run(function()
    local list = {}
    for i = 1, 5000 do list[i] = i end
    local got = table.pack(back(table.unpack(list)))
    assert.are.equal(5000, got.n)
    assert.are.equal(5000, got[5000])
  end))

  it("keeps its tables' identity: shared ones, and cycles (H2)", run(function()
    local shared = { "shared" }
    local t = { a = shared, b = { shared }, list = { 1, 2, nil, 4 } }
    t.self, t.b.up = t, t
    local got, second = back(t, shared)
    assert.are.equal(got, got.self)
    assert.are.equal(got, got.b.up)
    assert.are.equal(got.a, got.b[1])
    assert.are.equal(got.a, second)
    assert.are_not.equal(t, got)
    assert.is_true(same(t, got, {}))
  end))

  it("has any key that can be copied", run(function()
    local key = { name = "key" }
    local got = back {
      [1] = "a", [2] = "b", [4] = "d", [-1] = "m", [1.5] = "f", [true] = "t",
      [""] = "e", ["a b"] = "s", [key] = key, [neap.null] = 0,
    }
    assert.are.equal("d", got[4])
    assert.is_nil(got[3])
    assert.are.equal("m", got[-1])
    assert.are.equal("f", got[1.5])
    assert.are.equal("t", got[true])
    assert.are.equal("e", got[""])
    assert.are.equal(0, got[neap.null])
    local found
    for k, v in pairs(got) do if type(k) == "table" then found = k == v end end
    assert.is_true(found)
  end))

  it("may be nested deeper than any stack", run(function()
    local list
    for i = 1, 300000 do list = { list, i } end
    local got, n = back(list), 0
    while got do got, n = got[1], n + 1 end
    assert.are.equal(300000, n)
  end))

  it("may be large and flat", run(function()
    local list = {}
    for i = 1, 100000 do list[i] = { id = i, name = "n" .. i } end
    local got = back(list)
    assert.are.equal(100000, #got)
    assert.are.same({ id = 77777, name = "n77777" }, got[77777])
  end))

  it("may be a fault, which stays one (H2)", run(function()
    local fault = neap.fault.new {
      kind = "io", code = "E", message = "m", cause = neap.fault.new { kind = "closed" },
    }
    local got = back { fault }
    assert.are_not.equal(fault, got[1])
    assert.is_true(neap.fault.is(got[1], "closed"))
    assert.are.equal(tostring(fault), tostring(got[1]))
  end))

  it("is any of a thousand at random", run(function()
    local random = math.random
    local function make(depth, all)
      local kind = random(depth > 0 and 10 or 6)
      if kind == 1 then return random(0) end
      if kind == 2 then return random() * 2 ^ random(-50, 50) end
      if kind == 3 then return random(2) == 1 end
      if kind == 4 then return neap.null end
      if kind <= 6 then return ("\0x\n\200"):rep(random(0, 100)) end
      if kind == 7 and #all > 0 then return all[random(#all)] end
      local t = {}
      all[#all + 1] = t
      for i = 1, random(0, 5) do t[i] = make(depth - 1, all) end
      for _ = 1, random(0, 5) do
        t[random(2) == 1 and random(-9, 9) or "k" .. random(9)] = make(depth - 1, all)
      end
      return t
    end
    local seed = os.time()
    math.randomseed(seed)
    for i = 1, 1000 do
      local v = make(5, {})
      assert.is_true(same(v, (back(v)), {}), ("seed %d, value %d"):format(seed, i))
    end
  end))
end)

describe("a value that cannot go to a thread", function()
  local function refused(sentence, ...)
    local fault = raises("invalid", neap.thread.call, "return ...", ...)
    assert.are.equal("neap.thread.call: " .. sentence, fault.message)
  end

  it("is refused with its place (H2)", run(function()
    local deep = print
    for _ = 1, 20 do deep = { x = deep } end
    local co = coroutine.create(print)
    refused("argument 1: cannot copy a function to another thread", print)
    refused("argument 3: cannot copy a function to another thread", 1, nil, print)
    refused("argument 2.items[3]: cannot copy a function to another thread",
      1, { items = { 1, 2, print } })
    refused("argument 1[\"a b\"][1.5][true]: cannot copy a coroutine to another thread",
      { ["a b"] = { [1.5] = { [true] = co } } })
    refused("argument 1.f: cannot copy a FILE* to another thread", { f = io.stdout })
    refused("argument 1.e: cannot copy a neap.event to another thread", { e = neap.event() })
    refused("argument 1: cannot copy a table with a metatable to another thread",
      setmetatable({}, {}))
    refused("argument 1.x: cannot copy a thing to another thread",
      { x = setmetatable({}, { __name = "thing" }) })
    refused("argument 1.x: cannot copy a key that is a function to another thread",
      { x = { [print] = 1 } })
    refused("argument 1[a key].x: cannot copy a function to another thread",
      { [{ x = print }] = 1 })
    refused("argument 1....x.x.x.x.x.x.x.x: cannot copy a function to another thread", deep)
  end))

  it("is found through shared tables and cycles", run(function()
    local t = { {} }
    t[1].up, t.again, t[1].f = t, t[1], print
    local fault = raises("invalid", neap.thread.call, "return ...", t)
    assert.is_truthy(fault.message:find "argument 1[%[.][1a][^ ]*%.f: cannot copy a function")
  end))

  it("is refused as a result as well (H2)", run(function()
    local fault = raises("invalid", neap.thread.call, function()
      return 1, { a = { b = print } }
    end)
    assert.are.equal(
      "neap.thread.call: result 2.a.b: cannot copy a function to another thread",
      fault.message)
  end))

  it("leaves the thread as good as it was", run(function()
    local was = neap.thread.limit(1)
    neap.thread.call "kept = 1; package.loaded.kept = 'kept'"
    raises("invalid", neap.thread.call, "return print")
    assert.are.equal("kept", neap.thread.call "return require 'kept'")
    neap.thread.limit(was)
  end))
end)
