local neap = require "neap"
local run = require "spec.support.run"
local raises = run.raises

local function drain(q)
  local list = {}
  for item in q:iter() do list[#list + 1] = item end
  return list
end

local function filled(overflow, capacity, n)
  local q, kept = neap.queue(capacity, { overflow = overflow }), {}
  for i = 1, n do kept[i] = q:put(i) end
  return q, kept
end

describe("a queue's overflow policy (P5)", function()
  it("drop_oldest makes room and never lets put wait", run(function()
    local q, kept = filled("drop_oldest", 2, 5)
    assert.are.same({ true, true, true, true, true }, kept)
    assert.are.equal(3, q:dropped())
    q:close()
    assert.are.same({ 4, 5 }, drain(q))
  end))

  it("drop_newest keeps what is there, and put says so", run(function()
    local q, kept = filled("drop_newest", 2, 4)
    assert.are.same({ true, true, false, false }, kept)
    assert.is_false(q:try_put(5))
    assert.are.equal(3, q:dropped())
    q:close()
    assert.are.same({ 1, 2 }, drain(q))
  end))

  it("latest keeps the last item, whatever the capacity", run(function()
    local q = filled("latest", math.huge, 4)
    assert.are.equal(1, #q)
    assert.are.equal(3, q:dropped())
    assert.are.equal(4, q:get())
  end))

  it("block is the default", run(function()
    local q = neap.queue(1, { overflow = "block" })
    assert.is_true(q:put(1))
    assert.is_false(q:try_put(2))
    assert.are.equal("timeout", raises("timeout", neap.timeout, 1, q.put, q, 2).kind)
    assert.are.equal(0, q:dropped())
  end))

  it("hands an item to whoever waits, first come, first served", run({ order = true }, function()
    local q, got = neap.queue(1, { overflow = "drop_newest" }), {}
    neap.scope(function(s)
      for i = 1, 2 do
        s:spawn(function()
          local item = q:get()
          got[#got + 1] = i .. item
        end)
      end
      neap.checkpoint()
      for _, item in ipairs { "a", "b", "c", "d" } do q:put(item) end
    end)
    assert.are.same({ "1a", "2b" }, got)
    assert.are.equal("c", q:get())
    assert.are.equal(1, q:dropped())
  end))

  it("holds in a branch of select too", run(function()
    local q = filled("drop_oldest", 1, 1)
    assert.are.same({ 1, true }, { neap.select { q:on_put(2) } })
    assert.are.equal(2, q:get())
    local full = filled("drop_newest", 1, 1)
    assert.are.same({ 1, false }, { neap.select { full:on_put(2), neap.after(1) } })
  end))

  it("does not let join wait for what was dropped (P8)", run(function()
    for _, overflow in ipairs { "drop_oldest", "drop_newest", "latest" } do
      local q = filled(overflow, 1, 3)
      q:get()
      q:done()
      q:join()
      raises("invalid", q.done, q)
    end
  end))

  it("ends with close, as any queue (P6)", run(function()
    local q = filled("drop_oldest", 1, 3)
    q:close()
    raises("closed", q.put, q, 4)
    assert.are.equal(3, q:get())
    assert.are.same({ nil, "closed" }, { q:get() })
  end))

  it("refuses what it does not know, and no room at all", run(function()
    raises("invalid", neap.queue, 1, { overflow = "drop" })
    raises("invalid", neap.queue, 1, { overflow = true })
    local err = raises("invalid", neap.queue, 1, { overlow = "latest" })
    assert.is_truthy(err.message:find("overflow", 1, true), err.message)
    raises(nil, neap.queue, 0, { overflow = "drop_oldest" })
    raises(nil, neap.queue, 1, "latest")
  end))
end)
