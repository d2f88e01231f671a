local neap = require "neap"
local test = require "neap.test"

local it = test.it { clock = "virtual" }
local mock = test.mock

describe("a mock", function()
  it("returns nothing until it is told", function()
    local f = mock.fn()
    assert.equal(0, select("#", f(1)))
    assert.equal(0, select("#", f:returns()(1)))
  end)

  it("returns values, nils among them", function()
    local f = mock.fn():returns(1, nil, 3, nil)
    assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(f()))
    assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(f()))
  end)

  it("raises the very value", function()
    local e = {}
    local ok, err = pcall(mock.fn():raises(e))
    assert.is_false(ok)
    assert.equal(e, err)
    assert.has_error(mock.fn():raises("plain"), "plain")
  end)

  it("gives a sequence, errors among it, and then raises", function()
    local e = {}
    local f = mock.fn():sequence { "a", mock.err(e), false }
    assert.equal("a", f())
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal(e, err)
    assert.is_false(f())
    ok, err = pcall(f)
    assert.is_false(ok)
    assert.matches("the sequence of 3 is exhausted %(call 4%)", err)
    assert.matches("^spec/test/mock_spec.lua", select(2, pcall(function() f() end)))
  end)

  it("gives a sequence with holes, and one after another", function()
    local f = mock.fn():sequence { n = 2, nil, 2 }
    assert.is_nil(f())
    assert.equal(2, f())
    f:sequence { 3 }
    assert.equal(3, f())
    assert.has_error(f)
    f:returns(4)
    assert.equal(4, f())
  end)

  it("has a sequence of its own, whatever becomes of the list", function()
    local list = { 1, 2 }
    local f = mock.fn():sequence(list)
    list[1] = 9
    assert.equal(1, f())
  end)

  it("wants a list and seconds", function()
    assert.has_error(function() mock.fn():sequence(1) end)
    assert.has_error(function() mock.fn():sequence(mock.err "x") end)
    assert.has_error(function() mock.fn():delays(-1) end)
    assert.has_error(function() mock.fn():delays "1" end)
    assert.has_error(function() mock.fn():delays(0 / 0) end)
  end)

  it("waits on the clock of the run", function()
    local f, from = mock.fn():returns("late"):delays(60), neap.now()
    assert.equal("late", f())
    assert.is_true(neap.now() - from >= 60)
  end)

  it("counts calls that have started and that have finished", function()
    local f = mock.fn():returns(1):delays(10)
    local task = neap.spawn(f, "a")
    neap.sleep(5)
    assert.same({ 1, 0 }, { f.started, f.finished })
    neap.sleep(6)
    assert.same({ 1, 1 }, { f.started, f.finished })
    assert.equal(1, task:await())
    assert.is_false((neap.move_on_after(1, f, "b")))
    assert.same({ 2, 1 }, { f.started, f.finished })
    f:raises("no")
    pcall(f)
    assert.same({ 3, 2 }, { f.started, f.finished })
  end)

  it { shuffle = false } ("keeps a sequence in order of the calls that overlap", function()
    local f = mock.fn():sequence { 1, 2, 3 }:delays(1)
    assert.same({ 1, 2, 3 }, { neap.gather(f, f, f) })
  end)

  it("keeps the arguments", function()
    local f, t = mock.fn(), {}
    f()
    f(1, nil, t, nil)
    assert.same({ { n = 0 }, { 1, nil, t, nil, n = 4 } }, f.calls)
    assert.equal(t, f.calls[2][3])
  end)

  it("tells the last call", function()
    local f = mock.fn()
    f("a", { id = 1, tags = { "x" } })
    f:assert_called_with("a", { id = 1, tags = { "x" } })
    f("b", nil)
    f:assert_called_with("b", nil)
    local ok, err = pcall(f.assert_called_with, f, "b")
    assert.is_false(ok)
    assert.matches('call 2 of 2 was %("b", nil%), expected %("b"%)', err)
    assert.matches("argument 2: expected none, got nil", err)
  end)

  it("tells where an argument differs", function()
    local f = mock.fn()
    f { items = { { name = "pen" } } }
    local function check() f:assert_called_with { items = { { name = "ink" } } } end
    local ok, err = pcall(check)
    assert.is_false(ok)
    assert.matches("^spec/test/mock_spec.lua:%d+: ", err)
    assert.matches('argument 1: at %.items%[1%]%.name: expected "ink", got "pen"', err)
  end)

  it("tells that there was no call, or not only one", function()
    local f = mock.fn()
    for _, check in ipairs { f.assert_called_with, f.assert_called_once_with } do
      local ok, err = pcall(check, f, 1)
      assert.is_false(ok)
      assert.matches("expected a call with %(1%), but there was none", err)
    end
    f(1)
    f:assert_called_once_with(1)
    assert.has_error(function() f:assert_called_once_with(2) end)
    f(1)
    local ok, err = pcall(f.assert_called_once_with, f, 1)
    assert.is_false(ok)
    assert.matches("but there were 2:\n  1: %(1%)\n  2: %(1%)", err)
  end)

  it("stands for functions of a module", function()
    local _ <close> = test.patch(neap, "sleep", mock.fn():returns "slept")
    assert.equal("slept", neap.sleep(1000))
    neap.sleep:assert_called_once_with(1000)
  end)
end)
