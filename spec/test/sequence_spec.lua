local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual" }

describe("a sequence", function()
  it("puts tasks into order, whatever their own was", function()
    for seed = 1, 20 do
      local seq, order = test.sequence(), {}
      local tasks = {}
      for i = 1, 10 do
        local n = (i * 7 + seed) % 10 + 1
        tasks[i] = function()
          seq(n)
          order[#order + 1] = n
        end
      end
      neap.all(tasks)
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
    end
  end)

  it("lets one task come back with later numbers", function()
    local seq, text = test.sequence(), {}
    local function say(n, word)
      seq(n)
      text[#text + 1] = word
    end
    neap.gather(
      function() say(2, "b") say(3, "c") end,
      function() say(1, "a") neap.sleep(1) say(4, "d") end)
    assert.equal("abcd", table.concat(text))
  end)

  it("does not wait where all lower numbers have been called", function()
    local seq = test.sequence()
    test.assert_no_checkpoints(function() seq(1) seq(2) seq(3) end)
  end)

  it("has each number once", function()
    local seq = test.sequence()
    seq(1)
    local ok, err = pcall(seq, 1)
    assert.is_false(ok)
    assert.matches("sequence: 1 was called already", err)
    local waiting = neap.spawn(seq, 3)
    test.settle()
    assert.has_error(function() seq(3) end)
    seq(2)
    waiting:await()
  end)

  it("begins at one", function()
    local seq = test.sequence()
    for _, bad in ipairs { 0, -1, 1.5, "1", false } do
      assert.has_error(function() seq(bad) end)
    end
  end)

  it("may be called again for a number whose call was cancelled", function()
    local seq = test.sequence()
    assert.is_false((neap.move_on_after(1, seq, 2)))
    seq(1)
    seq(2)
    seq(3)
  end)

  it("has no gap at its end", function()
    local function skip()
      local seq <close> = test.sequence()
      seq(1)
      neap.move_on_after(1, seq, 4)
    end
    local ok, err = pcall(skip)
    assert.is_false(ok)
    assert.matches("sequence made at spec/test/sequence_spec.lua:%d+: 2, 3 were never called; 4 waited", err)
  end)

  it("that is closed by an error does not hide it", function()
    local ok, err = pcall(function()
      local seq <close> = test.sequence()
      neap.move_on_after(1, seq, 2)
      error("mine", 0)
    end)
    assert.is_false(ok)
    assert.equal("mine", err)
  end)
end)
