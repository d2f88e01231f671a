local neap = require "neap"
local run = require "spec.support.run"
local raises, journal = run.raises, run.journal

--- Runs with a hook that takes failures of supervised children.
local function supervised(body)
  return function()
    local failures = {}
    run.now({ order = true, on_error = function(info)
      assert(info.what == "background" or info.what == "secondary", info.what)
      failures[#failures + 1] = type(info.error) == "table" and info.error.kind or info.error
    end }, function() body(failures) end)
  end
end

describe("a supervisor", function()
  it("lets children fail alone, and reports them when they do (U1)", supervised(function(failures)
    local lived = false
    local values = table.pack(neap.supervisor(function(s, ...)
      s:spawn(function() error { kind = "one" } end)
      s:spawn(function()
        neap.sleep(5)
        lived = true
      end)
      neap.sleep(1)
      assert.are.same({ "one" }, failures)
      return ...
    end, 1, nil, 3))
    assert.is_true(lived)
    assert.are.same({ n = 3, 1, nil, 3 }, values)
  end))

  it("takes its options first, and any of them may be missing (U1)", supervised(function()
    assert.are.equal(7, (neap.supervisor({}, function(_, x) return x end, 7)))
    assert.are.equal(7, (neap.supervisor({ name = "mine" }, function(s, x)
      assert.are.equal("mine", s.name)
      return x
    end, 7)))
    assert.are.equal(7, (neap.supervisor({ restart = "always" }, function(_, x) return x end, 7)))
    raises("invalid", neap.supervisor, { restart = "often" }, print)
    raises("invalid", neap.supervisor, { strategy = "x" }, print)
    raises("invalid", neap.supervisor, { max_restart = 1 }, print)
    raises("invalid", neap.supervisor, { max_restarts = -1 }, print)
    assert.is_false((pcall(neap.supervisor)))
    assert.is_false((pcall(neap.supervisor, {}, 1)))
  end))

  for _, opts in ipairs { { restart = "never" }, { restart = "on_failure" } } do
    local how = "with restart=\"" .. opts.restart .. "\" "

    it(how .. "fails when its body does, after its children (U1)", supervised(function()
      local ended = false
      raises("mine", neap.supervisor, opts, function(s)
        s:spawn(function()
          local _ <close> = neap.defer(function()
            neap.sleep(1)
            ended = true
          end)
          neap.sleep(100)
        end)
        neap.sleep(1)
        error { kind = "mine" }
      end)
      assert.is_true(ended)
    end))

    it(how .. "is cancelled as any scope, and has its fields (U1)", supervised(function()
      local scope
      neap.spawn(function()
        neap.sleep(2)
        scope:cancel "enough"
      end)
      neap.supervisor(opts, function(s)
        scope = s
        assert.is_false(s.cancelled)
        s:spawn(neap.sleep, 100)
        neap.sleep(100)
      end)
      assert.is_true(scope.cancelled)
      raises("timeout", neap.supervisor, opts, function(s)
        s.deadline = neap.now() + 1
        assert.is_true(s.deadline > neap.now())
        s:spawn(neap.sleep, 100)
        neap.sleep(100)
      end)
      raises("timeout", neap.timeout, 1, neap.supervisor, opts, function(s)
        s:spawn(neap.sleep, 100)
      end)
    end))

    it(how .. "starts children that say when they are ready (U1, S13)", supervised(function(failures)
      neap.supervisor(opts, function(s)
        assert.are.equal(5, (s:start(function(started, x)
          neap.sleep(1)
          started(x)
        end, 5)))
        raises("mine", s.start, s, function() error { kind = "mine" } end)
      end)
      assert.are.same({}, failures)
    end))
  end

  it("starts a child again that fails, and only then (U2)", supervised(function(failures)
    local lives, well = 0, 0
    neap.supervisor({ restart = "on_failure" }, function(s)
      local task = s:spawn(function(x)
        assert.are.equal("arg", x)
        lives = lives + 1
        neap.sleep(1)
        if lives < 3 then error { kind = "life " .. lives } end
        return "well", lives
      end, "arg")
      s:spawn(function()
        neap.sleep(1)
        well = well + 1
      end)
      assert.are.same({ "well", 3 }, { task:await() })
    end)
    assert.are.equal(3, lives)
    assert.are.equal(1, well)
    assert.are.same({ "life 1", "life 2" }, failures)
  end))

  it("with restart=\"always\" starts it again also when it returns (U2)", supervised(function()
    local lives = 0
    neap.supervisor({ restart = "always", max_restarts = math.maxinteger }, function(s)
      s:spawn(function()
        lives = lives + 1
        neap.sleep(1)
      end)
      neap.sleep(9.5)
      s:cancel()
    end)
    assert.are.equal(10, lives)
  end))

  it("counts what a child has spawned as the child (U2)", supervised(function(failures)
    local lives = 0
    neap.supervisor({ restart = "on_failure" }, function(s)
      s:spawn(function()
        lives = lives + 1
        if lives == 1 then
          neap.spawn(function()
            neap.sleep(1)
            error { kind = "grandchild" }
          end)
        end
      end)
    end)
    assert.are.equal(2, lives)
    assert.are.same({ "grandchild" }, failures)
  end))

  it("ends a child for good whose task is cancelled (U2)", supervised(function()
    local lives = 0
    neap.supervisor({ restart = "always" }, function(s)
      local task = s:spawn(function()
        lives = lives + 1
        neap.sleep(100)
      end)
      neap.sleep(1)
      task:cancel()
      task:join()
      assert.are.equal("cancelled", task:status())
    end)
    assert.are.equal(1, lives)
  end))

  local function family(opts, deeds)
    local got, note = journal()
    opts.restart = opts.restart or "on_failure"
    neap.supervisor(opts, function(s)
      for i, deed in ipairs(deeds) do
        local lives = 0
        s:spawn(function()
          lives = lives + 1
          note("+" .. i)
          local _ <close> = setmetatable({}, { __close = function() note("-" .. i) end })
          deed(lives)
        end)
      end
    end)
    return table.concat(got, " ")
  end

  local function stays() neap.sleep(10) end
  local function fails_once(lives)
    if lives > 1 then return neap.sleep(10) end
    neap.sleep(1)
    error { kind = "mine" }
  end

  it("one_for_one starts the failed one alone (U3)", supervised(function()
    assert.are.equal("+1 +2 +3 -2 +2 -1 -3 -2",
      family({}, { stays, fails_once, stays }))
  end))

  it("one_for_all takes all down and starts them in order (U3)", supervised(function()
    assert.are.equal("+1 +2 +3 -2 -3 -1 +1 +2 +3 -1 -2 -3",
      family({ strategy = "one_for_all" }, { stays, fails_once, stays }))
  end))

  it("rest_for_one takes those down that came after (U3)", supervised(function()
    assert.are.equal("+1 +2 +3 +4 -2 -4 -3 +2 +3 +4 -1 -2 -3 -4",
      family({ strategy = "rest_for_one" }, { stays, fails_once, stays, stays }))
  end))

  it("waits for the end of all before it starts one again (U3)", supervised(function()
    local got, note = journal()
    neap.supervisor({ restart = "on_failure", strategy = "one_for_all" }, function(s)
      local lives = 0
      s:spawn(function()
        note "a"
        local _ <close> = neap.defer(function()
          neap.sleep(3)
          note "a is down"
        end)
        neap.sleep(5)
      end)
      s:spawn(function()
        note "b"
        lives = lives + 1
        neap.sleep(1)
        if lives == 1 then error { kind = "mine" } end
      end)
    end)
    assert.are.same({ "a", "b", "a is down", "a", "b", "a is down" }, got)
  end))

  it("does not start again who had returned for good (U3)", supervised(function()
    assert.are.equal("+1 +2 -1 -2 +2 -2", family({ strategy = "one_for_all" }, {
      function() neap.sleep(0.5) end, fails_once,
    }))
  end))

  it("restarts once for children that fail at the same moment (U3)", supervised(function(failures)
    local starts = {}
    neap.supervisor({ restart = "on_failure", strategy = "one_for_all", max_restarts = 2 }, function(s)
      local lives = 0
      for i = 1, 5 do
        s:spawn(function()
          starts[i] = (starts[i] or 0) + 1
          lives = lives + 1
          if lives > 5 then return neap.sleep(1) end
          neap.sleep(1)
          error { kind = "mine" }
        end)
      end
    end)
    assert.are.same({ 2, 2, 2, 2, 2 }, starts)
    assert.are.equal(5, #failures)
  end))

  it("lets a child fail in its cleanup while it is taken down (U3)", supervised(function(failures)
    local lives = 0
    neap.supervisor({ restart = "on_failure", strategy = "one_for_all" }, function(s)
      s:spawn(function()
        lives = lives + 1
        local _ <close> = setmetatable({}, { __close = function()
          if lives == 1 then error { kind = "cleanup" } end
        end })
        neap.sleep(5)
      end)
      s:spawn(function()
        if lives == 1 then
          neap.sleep(1)
          error { kind = "first" }
        end
      end)
    end)
    assert.are.equal(2, lives)
    assert.are.same({ "first", "cleanup" }, failures)
  end))

  it("survives children that come and go while it restarts (U3)", supervised(function()
    local starts = 0
    neap.supervisor({ restart = "on_failure", strategy = "one_for_all", max_restarts = 50 }, function(s)
      for i = 1, 20 do
        local lives = 0
        s:spawn(function()
          starts = starts + 1
          lives = lives + 1
          neap.sleep(i * 0.3 % 1)
          if lives < 3 and i % 4 == 0 then error { kind = "mine" } end
          neap.sleep(1)
        end)
        neap.sleep(0.1)
      end
    end)
    assert.is_true(starts >= 20)
  end))

  it("gives up when restarts are too many: raises the last failure (U4)", supervised(function(failures)
    local lives, other = 0, false
    local err = raises("life 3", neap.supervisor, { restart = "on_failure", max_restarts = 2, within = 10 },
      function(s)
        s:spawn(function()
          lives = lives + 1
          neap.sleep(1)
          error { kind = "life " .. lives }
        end)
        s:spawn(function()
          local _ <close> = neap.defer(function() other = true end)
          neap.sleep(100)
        end)
        neap.sleep(100)
      end)
    assert.are.equal("life 3", err.kind)
    assert.are.equal(3, lives)
    assert.is_true(other)
    assert.are.equal(3, #failures)
  end))

  it("raises broken when it is returns that are too many (U4)", supervised(function()
    raises("broken", neap.supervisor, { restart = "always" }, function(s)
      s:spawn(function() neap.sleep(0.1) end)
    end)
  end))

  it("forgets restarts that are long ago (U4)", supervised(function()
    local lives = 0
    neap.supervisor({ restart = "on_failure", max_restarts = 2, within = 5 }, function(s)
      s:spawn(function()
        lives = lives + 1
        neap.sleep(3)
        if lives < 20 then error { kind = "mine" } end
      end)
    end)
    assert.are.equal(20, lives)
  end))

  it("with max_restarts=0 gives up at once (U4)", supervised(function()
    raises("mine", neap.supervisor, { restart = "on_failure", max_restarts = 0 }, function(s)
      s:spawn(function() error { kind = "mine" } end)
    end)
  end))

  it("of supervisors: the outer one starts the inner one again (U2, U4)", supervised(function()
    local lives = 0
    neap.supervisor({ restart = "on_failure" }, function(outer)
      outer:spawn(function()
        neap.supervisor({ restart = "on_failure", max_restarts = 1 }, function(inner)
          inner:spawn(function()
            lives = lives + 1
            neap.sleep(0.1)
            if lives < 5 then error { kind = "mine" } end
          end)
        end)
      end)
    end)
    assert.are.equal(5, lives)
  end))
end)
