local events = require "neap.events"
local neap = require "neap"

describe("a publisher", function()
  it("calls the handlers of a name with the event", function()
    neap.run(function()
      local publisher = events.publisher()
      local got = {}
      publisher:subscribe("order.placed", function(event)
        got[#got + 1] = event
      end)
      publisher:subscribe("order.shipped", function()
        error("not this one")
      end)
      local event = { name = "order.placed", payload = { total = 7 } }
      assert.equal(1, publisher:publish(event))
      assert.equal(event, got[1])
      assert.equal(7, got[1].payload.total)
      assert.is_number(got[1].at)
    end)
  end)

  it("calls the handlers of '*' for every event", function()
    neap.run(function()
      local publisher = events.publisher()
      local names = {}
      publisher:subscribe("*", function(event)
        names[#names + 1] = "any " .. event.name
      end)
      publisher:subscribe("a", function(event)
        names[#names + 1] = "own " .. event.name
      end)
      assert.equal(2, publisher:publish { name = "a" })
      assert.equal(1, publisher:publish { name = "b" })
      table.sort(names)
      assert.same({ "any a", "any b", "own a" }, names)
    end)
  end)

  it("is content when nobody listens", function()
    neap.run(function()
      assert.equal(0, events.publisher():publish { name = "quiet" })
    end)
  end)

  it("waits for its handlers, which run at once", function()
    neap.run({ clock = "virtual" }, function()
      local publisher = events.publisher()
      local done = 0
      for _ = 1, 3 do
        publisher:subscribe("a", function()
          neap.sleep(1)
          done = done + 1
        end)
      end
      publisher:subscribe("*", function()
        neap.sleep(1)
        done = done + 1
      end)
      local began = neap.now()
      publisher:publish { name = "a" }
      assert.equal(4, done)
      assert.near(1, neap.now() - began, 0.01)
    end)
  end)

  it("reports a failing handler and runs the others", function()
    local reported, ran = {}, {}
    neap.run({
      on_error = function(info) reported[#reported + 1] = info.error end,
    }, function()
      local publisher = events.publisher()
      publisher:subscribe("a", function() error("first", 0) end)
      publisher:subscribe("a", function() ran[#ran + 1] = "own" end)
      publisher:subscribe("*", function() error("second", 0) end)
      publisher:subscribe("*", function() ran[#ran + 1] = "any" end)
      publisher:publish { name = "a" }
    end)
    table.sort(reported)
    table.sort(ran)
    assert.same({ "first", "second" }, reported)
    assert.same({ "any", "own" }, ran)
  end)

  it("raises the failure when asked to", function()
    local reported = {}
    neap.run({
      on_error = function(info) reported[#reported + 1] = info.error end,
    }, function()
      local publisher = events.publisher { errors = "raise" }
      local ran = 0
      publisher:subscribe("a", function() error("broken", 0) end)
      publisher:subscribe("a", function() ran = ran + 1 end)
      local ok, err = neap.pcall(publisher.publish, publisher, { name = "a" })
      assert.is_false(ok)
      assert.equal("broken", err)
      assert.equal(1, ran)

      publisher:subscribe("*", function() error("any", 0) end)
      ok, err = neap.pcall(publisher.publish, publisher, { name = "a" })
      assert.is_false(ok)
      assert.equal("broken", err)
      ok, err = neap.pcall(publisher.publish, publisher, { name = "b" })
      assert.is_false(ok)
      assert.equal("any", err)
    end)
    assert.same({ "any" }, reported) -- the second of two is not lost
  end)

  it("collects the failures of both kinds of handlers when asked to", function()
    neap.run(function()
      local publisher = events.publisher { errors = "collect" }
      publisher:subscribe("a", function() error("broken", 0) end)
      publisher:subscribe("*", function() error("broken too", 0) end)
      local count, outcomes = publisher:publish { name = "a" }
      assert.equal(2, count)
      assert.equal(2, #outcomes)
    end)
  end)

  it("stops calling a handler that is off", function()
    neap.run(function()
      local publisher, ran = events.publisher(), 0
      local handle = publisher:subscribe("a", function() ran = ran + 1 end)
      publisher:publish { name = "a" }
      handle:off()
      publisher:publish { name = "a" }
      assert.equal(1, ran)
    end)
  end)

  it("refuses what cannot be an event", function()
    neap.run(function()
      local publisher = events.publisher()
      for _, wrong in ipairs { {}, { name = 1 }, { name = "*" }, "a" } do
        local ok, err = neap.pcall(publisher.publish, publisher, wrong)
        assert.is_false(ok)
        assert.is_true(neap.fault.is(err, "invalid"))
      end
      local ok, err = neap.pcall(publisher.subscribe, publisher, nil, print)
      assert.is_false(ok)
      assert.is_true(neap.fault.is(err, "invalid"))
    end)
  end)

  it("refuses unknown options", function()
    local ok, err = pcall(events.publisher, { error = "raise" })
    assert.is_false(ok)
    assert.is_true(neap.fault.is(err, "invalid"))
    assert.matches("errors", err.message)
  end)
end)
