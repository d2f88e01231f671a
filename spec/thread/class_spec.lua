local jobs = require "spec.thread.jobs"
local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal
local call = neap.thread.call

--- In a run on the real clock, with a gate, and the limits put back at the end.
local function gated(fn)
  return run({ clock = "real", order = true }, function()
    local gate <close> = jobs.gate()
    local _ <close> = setmetatable({ neap.thread.limit() }, {
      __close = function(self)
        neap.thread.limit(self[1])
        neap.thread.limit("images", math.huge)
      end,
    })
    fn(gate)
  end)
end

local function pass(gate, name, opts)
  return neap.spawn(call, opts or {}, "spec.thread.jobs:pass", gate.path, name)
end

local IMAGES <const> = { class = "images" }

describe("a class of calls to threads", function()
  it("has a limit of its own, beside the one for all (H4)", gated(function(gate)
    neap.thread.limit(3)
    assert.are.equal(math.huge, neap.thread.limit("images", 1))
    assert.are.equal(1, neap.thread.limit "images")
    local tasks = {
      pass(gate, "a", IMAGES), pass(gate, "b", IMAGES), pass(gate, "c"),
      pass(gate, "d"), pass(gate, "e"),
    }
    gate:expect "a c d"
    gate:open(5) -- for whoever comes first
    for _, task in ipairs(tasks) do task:await() end
  end))

  it("keeps the line; others overtake only whoever its limit stops (H4)", gated(function()
    neap.thread.limit(1)
    neap.thread.limit("images", 1)
    local got, note = journal()
    neap.scope(function(s)
      for i = 1, 12 do
        local opts = i % 3 == 0 and IMAGES or {}
        s:spawn(function() note(call(opts, "return ...", i)) end)
      end
    end)
    for i = 1, 12 do assert.are.equal(i, got[i]) end
  end))

  it("starts those in line when its limit rises", gated(function(gate)
    neap.thread.limit(3)
    neap.thread.limit("images", 1)
    local a, b = pass(gate, "a", IMAGES), pass(gate, "b", IMAGES)
    gate:expect "a"
    assert.are.equal(1, neap.thread.limit("images", math.huge))
    gate:expect "a b"
    gate:open(2)
    neap.gather(a, b)
  end))

  it("has to be known, and its limit a number", run(function()
    local err = raises("invalid", call, { class = "unheard of" }, "return 1")
    assert.is_truthy(err.message:find("'unheard of'", 1, true), err.message)
    raises("invalid", call, { class = "" }, "return 1")
    raises("invalid", call, { class = 5 }, "return 1")
    for _, bad in ipairs { 0, -1, 1.5, "1", true } do
      local text = raises(nil, neap.thread.limit, "unheard of", bad)
      assert.is_truthy(text:find("bad argument #2", 1, true), text)
    end
    raises(nil, neap.thread.limit, "", 1)
    assert.are.equal(math.huge, neap.thread.limit "unheard of")
  end))
end)

describe("a call to a thread that may be abandoned", function()
  local ABANDON <const> = { abandon = true }

  it("does not keep whoever is cancelled (H5)", gated(function(gate)
    local task = pass(gate, "a", ABANDON)
    gate:expect "a"
    task:cancel()
    task:join()
    assert.are.equal("cancelled", task:status())
    gate:open(1)
  end))

  it("lets a timeout be one", gated(function(gate)
    raises("timeout", neap.timeout, 0.02, call, ABANDON,
      "spec.thread.jobs:pass", gate.path, "a")
    gate:expect "a" -- else the byte would be for whoever comes next
    gate:open(1)
  end))

  it("counts for the limit until it has ended", gated(function(gate)
    neap.thread.limit(1)
    local first = pass(gate, "a", ABANDON)
    gate:expect "a"
    first:cancel()
    local second = pass(gate, "b")
    neap.sleep(0.02)
    assert.are.equal("a", gate:arrived())
    gate:open(2)
    assert.are.equal("b", second:await())
  end))

  it("is told that it is not wanted any more (H5)", gated(function(gate)
    local task = neap.spawn(call, ABANDON, [[
      local jobs, path = require "spec.thread.jobs", ...
      assert(io.open(path .. ".began", "w")):close()
      while not neap_thread_cancelled() do end
      jobs.pass(path, "stopped")
    ]], gate.path)
    gate:expect "began"
    task:cancel()
    task:join()
    gate:expect "began stopped"
    gate:open(1)
  end))

  it("neither keeps the run nor is left behind by it", function()
    local gate <close> = jobs.gate()
    neap.run(function()
      local task = pass(gate, "a", ABANDON)
      gate:expect "a"
      task:cancel()
    end)
    assert.are.equal(0, neap.stats().pending)
    neap.run(function() -- its end comes to this run, and to nobody in it
      gate:open(1)
      assert.are.equal("b", call "return 'b'")
    end)
    assert.are.equal(0, neap.stats().pending)
  end)

  it("is taken back while it waits in line", gated(function(gate)
    neap.thread.limit(1)
    local first, second = pass(gate, "a"), pass(gate, "b", ABANDON)
    gate:expect "a"
    second:cancel()
    second:join()
    gate:open(1)
    first:await()
    assert.are.equal("a", gate:arrived())
  end))

  it("returns what the thread returns, if nobody is cancelled", run(function()
    assert.are.equal(3, call(ABANDON, function(a, b) return a + b end, 1, 2))
    assert.are.equal("no", select(2, pcall(call, ABANDON, "error('no', 0)")))
  end))

  it("refuses other options, and says which argument is wrong", run(function()
    local err = raises("invalid", call, { abondon = true }, "return 1")
    assert.is_truthy(err.message:find("abandon", 1, true), err.message)
    raises("invalid", call, { abandon = 1 }, "return 1")
    local text = raises(nil, call, ABANDON)
    assert.is_truthy(text:find("bad argument #2", 1, true), text)
  end))
end)
