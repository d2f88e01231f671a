local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- What a pattern means, said another way: recursion over both lists.
local function fits(pattern, name)
  local function split(text)
    local list = {}
    for part in (text .. "."):gmatch "(.-)%." do list[#list + 1] = part end
    return list
  end
  local p, s = split(pattern), split(name)
  local function match(i, j)
    if i > #p then return j > #s end
    if p[i] == "**" then return match(i + 1, j) or (j <= #s and match(i, j + 1)) end
    return j <= #s and (p[i] == "*" or p[i] == s[j]) and match(i + 1, j + 1)
  end
  return match(1, 1)
end

describe("on_any", function()
  it("hears every event, its name first, after all others (M15)", run(function()
    local em = neap.emitter()
    local got, note = journal()
    em:on_any(function(...) note(table.concat({ "any", ... }, " ")) end)
    em:on_any(function() note "high" end, { priority = 5 })
    em:on("x", function() note "low" end, { priority = -5 })
    assert.are.equal(3, em:emit("x", 1))
    assert.are.equal(2, em:emit "y")
    assert.are.equal(2, em:emit_sync "z")
    assert.are.equal(2, em:emit_serial "z")
    assert.are.same({ "low", "high", "any x 1", "high", "any y", "high", "any z", "high", "any z" }, got)
    assert.are.equal(3, em:count())
    assert.are.same({ "x" }, em:names())
  end))

  it("is removed by its handle and by off_all (M15, M8)", run(function()
    local em = neap.emitter()
    local handle = em:on_any(print)
    assert.is_true(handle:off())
    assert.is_false(handle:off())
    assert.are.equal(0, em:emit "x")
    em:on_any(function() end)
    em:on("x", function() end)
    assert.are.equal(2, em:emit "x")
    assert.are.equal(1, em:off_all "x")
    assert.are.equal(1, em:emit "x")
    assert.are.equal(1, em:off_all())
    assert.are.equal(0, em:emit "x")
    assert.are.equal(0, em:count())
    for _, bad in ipairs { 5, "x", {} } do assert.is_false((pcall(em.on_any, em, bad))) end
    em:close()
    raises("closed", em.on_any, em, print)
  end))

  it("added or removed during an emit: as any other (M15, M3)", run(function()
    local em = neap.emitter()
    local n = 0
    local handle
    em:on("x", function()
      em:on_any(function() n = n + 1 end)
      handle:off()
    end)
    handle = em:on_any(function() error "not called" end)
    assert.are.equal(1, em:emit "x")
    assert.are.equal(0, n)
    assert.are.equal(2, em:emit "x")
  end))
end)

describe("patterns", function()
  it("* is one segment, ** any number (M16)", run(function()
    local em = neap.emitter { wildcard = true }
    local patterns = { "*", "**", "a.*", "a.**", "*.b", "**.b", "a.*.c", "a.**.c", "**.**", "*.**", "**.*",
      "a.**.*.c", "**.b.**", "*.*", "a.b", "" }
    local hit
    for _, pattern in ipairs(patterns) do em:on(pattern, function() hit[pattern] = true end) end
    for _, name in ipairs { "a", "b", "a.b", "a.b.c", "a.c", "a.b.b.c", "x.y.z", "", ".", "a.", ".b", "a..c",
      "b.b.b", "a.b.c.d.e" } do
      hit = {}
      local n = em:emit(name)
      for _, pattern in ipairs(patterns) do
        local expected = fits(pattern, name)
        assert.are.equal(expected, hit[pattern] or false, pattern .. " against " .. name)
        if expected then n = n - 1 end
      end
      assert.are.equal(0, n)
    end
  end))

  it("mean the same as their definition, for random ones (M16)", run(function()
    local function word(n, parts)
      local list = {}
      for i = 1, math.random(n) do list[i] = parts[math.random(#parts)] end
      return table.concat(list, ".")
    end
    math.randomseed(17)
    for _ = 1, 200 do
      local em = neap.emitter { wildcard = true }
      local patterns, handles = {}, {}
      local hit
      for i = 1, 8 do
        local pattern = word(5, { "a", "b", "*", "**" })
        patterns[i] = pattern
        handles[i] = em:on(pattern, function() hit[i] = true end)
      end
      for round = 1, 10 do
        local name = word(6, { "a", "b", "c" })
        hit = {}
        em:emit(name)
        for i, pattern in ipairs(patterns) do
          assert.are.equal(handles[i] ~= nil and fits(pattern, name), hit[i] or false, pattern .. " " .. name)
        end
        if round % 3 == 0 then
          local i = round // 3
          handles[i]:off()
          handles[i] = nil
          patterns[i] = patterns[#patterns]
          handles[i], patterns[#patterns] = handles[#patterns], nil
          em:off_all()
          for j, pattern in ipairs(patterns) do handles[j] = em:on(pattern, function() hit[j] = true end) end
        end
      end
    end
  end))

  it("of many ** cost no more than their length (M16)", run(function()
    local em = neap.emitter { wildcard = true }
    local called = 0
    em:on(("**."):rep(30) .. "x", function() called = called + 1 end)
    assert.are.equal(0, em:emit(("a."):rep(500) .. "y"))
    assert.are.equal(1, em:emit(("a."):rep(500) .. "x"))
    assert.are.equal(1, called)
    raises("invalid", em.on, em, ("*."):rep(64) .. "x", print)
    assert.are.equal(1, em:count())
  end))

  it("share priority and order with all other listeners (M16, M2)", run(function()
    local em = neap.emitter { wildcard = true }
    local got, note = journal()
    local function n(word) return function() note(word) end end
    em:on("a.*", n "1")
    em:on("a.b", n "2")
    em:on("**", n "3")
    em:on("a.b", n "high", { priority = 1 })
    em:prepend("*.b", n "first")
    em:on_any(n "any", { priority = 9 })
    em:emit "a.b"
    assert.are.same({ "high", "first", "1", "2", "3", "any" }, got)
  end))

  it("take notice of each change (M16)", run(function()
    local em = neap.emitter { wildcard = true }
    local function f() end
    assert.are.equal(0, em:emit "a.b")
    local star = em:on("a.*", f)
    assert.are.equal(1, em:emit "a.b")
    em:on("a.b", f)
    assert.are.equal(2, em:emit "a.b")
    em:once("**", f)
    assert.are.equal(3, em:emit "a.b")
    assert.are.equal(2, em:emit "a.b")
    star:off()
    assert.are.equal(1, em:emit "a.b")
    assert.are.equal(1, em:off("a.b", f))
    assert.are.equal(0, em:emit "a.b")
    em:on("a.*", f)
    em:on("a.*", f)
    assert.are.equal(2, em:count "a.*")
    assert.are.same({ f, f }, em:listeners "a.*")
    assert.are.equal(0, em:count "a.b")
    assert.are.equal(2, em:off_all "a.*")
    assert.are.equal(0, em:emit "a.b")
  end))

  it("removed by a listener while an emit goes on (M16, M3)", run(function()
    local em = neap.emitter { wildcard = true }
    local star
    em:on("a.b", function() star:off() end)
    star = em:on("a.*", function() error "not called" end)
    em:on("**", function() em:on("a.*", function() end) end)
    assert.are.equal(2, em:emit "a.b")
    assert.are.equal(3, em:emit "a.b")
  end))

  it("cannot be emitted (M16)", run(function()
    local em = neap.emitter { wildcard = true }
    for _, name in ipairs { "*", "**", "a.*", "*.a", "a.**.b" } do
      raises("invalid", em.emit, em, name)
      raises("invalid", em.emit_serial, em, name)
      raises("invalid", em.emit_sync, em, name)
      raises("invalid", em.emit_soon, em, name)
    end
    em:on("a*", function() end)
    em:on("***", function() end)
    assert.are.equal(1, em:emit "a*")
    assert.are.equal(1, em:emit "***")
    local plain = neap.emitter()
    plain:on("a.*", function() end)
    assert.are.equal(1, plain:emit "a.*")
    assert.are.equal(0, plain:emit "a.b")
  end))

  it("use the delimiter (M16)", run(function()
    local em = neap.emitter { wildcard = true, delimiter = "::" }
    em:on("a::*", function() end)
    em:on("**::z", function() end)
    assert.are.equal(1, em:emit "a::b:c")
    assert.are.equal(2, em:emit "a::z")
    assert.are.equal(0, em:emit "a.b")
    assert.are.equal(0, em:emit "a::b::c")
    assert.are.equal(1, em:emit "z")
    for _, bad in ipairs { "", "*", 5, ".*." } do
      raises("invalid", neap.emitter, { wildcard = true, delimiter = bad })
    end
    raises("invalid", neap.emitter, { wildcard = 1 })
  end))

  it("fit no name that is not a string (M16, M11)", run(function()
    local em = neap.emitter { wildcard = true }
    em:on("**", function() end)
    local key = {}
    em:on(key, function() end)
    assert.are.equal(1, em:emit(key))
    assert.are.equal(0, em:emit(5))
    assert.are.equal(1, em:emit "x")
  end))

  it("may be waited for (M16, M7)", run(function()
    local em = neap.emitter { wildcard = true }
    local plain = neap.spawn(em.wait_for, em, "a.*")
    local named = neap.spawn(em.wait_for, em, "**.c", { named = true, filter = function(name, v)
      return name == "b.c" and v == 2
    end })
    neap.checkpoint()
    assert.are.equal(0, em:emit("a.c", 1))
    em:emit("b.c", 1)
    em:emit("b.c", 2)
    assert.are.equal(1, plain:await())
    assert.are.same({ "b.c", 2 }, { named:await() })
    raises("timeout", em.wait_for, em, "x.*", { timeout = 1 })
    raises("invalid", em.wait_for, em, "x", { named = 1 })
    em:emit "x.y"
  end))

  it("that are gone leave nothing behind (M16, W5)", run(function()
    local em = neap.emitter { wildcard = true }
    local function round()
      for i = 1, 300 do
        local key = "user." .. i .. tostring({})
        em:on(key .. ".*", print):off()
        local task = neap.spawn(em.wait_for, em, key .. ".**")
        neap.checkpoint()
        task:cancel()
        task:join()
        em:emit(key)
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    round()
    em:on("kept.*", print)
    local before = round()
    local after = round()
    assert.is_true(after < before + 64, ("%.0f KiB, then %.0f"):format(before, after))
  end))
end)
