--- Storms on what items flow through: queues with handles, priority queues,
--- lifos, broadcasts, select, streams, imap, as_completed. No item may be lost,
--- doubled or overtaken, and no failure swallowed.
---
--- NEAP_STORM=n plays n seeds of each; NEAP_STORM_SEED=s plays that one.

local neap = require "neap"
local storm = require "spec.support.storm"

local SEEDS <const> = 120

local function marked(fn) return setmetatable({}, { __close = fn }) end

--- Run main(s) on the virtual clock; nothing may be reported or left.
local function play(seed, main, on_error)
  local reports = {}
  neap.run({
    clock = "virtual", shuffle = seed % 3 == 0 and seed or nil,
    on_error = on_error or function(info) reports[#reports + 1] = info end,
  }, function() neap.scope(main) end)
  assert(#reports == 0, reports[1] and tostring(reports[1].error))
  local stats = neap.stats()
  assert(stats.tasks == 0 and stats.timers == 0 and stats.pending == 0, "something is left")
end

--- Puts and gets of any kind of queue: what was put comes out once.
local function ledger()
  local self = { put = {}, got = {}, offered = 0, n = 0 }
  function self.next()
    self.offered = self.offered + 1
    return self.offered
  end
  function self.has_put(item)
    self.put[item], self.n = true, self.n + 1
  end
  function self.has_got(item)
    assert(not self.got[item], "an item came twice")
    self.got[item] = true
    self.n = self.n - 1
  end
  function self.check()
    for item in pairs(self.put) do assert(self.got[item], "an item was lost") end
    for item in pairs(self.got) do assert(self.put[item], "an item came that was not put") end
  end
  return self
end

--- Tasks, of which some are cancelled at random times.
local function crowd(roll, s, n, body)
  local tasks = {}
  for i = 1, n do tasks[i] = s:spawn(body, i) end
  s:spawn(function()
    for _ = 1, 8 do
      neap.sleep(roll(4) / 2)
      if roll(2) == 1 then tasks[roll(n)]:cancel "storm" end
    end
  end)
  return tasks
end

local function join_all(tasks)
  for _, task in ipairs(tasks) do task:join() end
end

describe("in a storm of cancellations", function()
  for name, make in pairs {
    ["a priority queue"] = function(capacity) return neap.priority_queue(capacity) end,
    ["a lifo"] = function(capacity) return neap.lifo(capacity) end,
  } do
    it(name .. " loses and doubles nothing (P16, W2)", function()
      storm.seeds(SEEDS, function(roll, seed)
        local capacity = ({ 1, 2, 5, math.huge })[roll(4)]
        play(seed, function(s)
          local q, book = make(capacity), ledger()
          join_all(crowd(roll, s, 8, function(i)
            for _ = 1, roll(6) do
              if i % 2 == 0 then
                local item = book.next()
                neap.move_on_after(roll(4), function()
                  q:put(item)
                  book.has_put(item)
                end)
              else
                local item = q:get { timeout = roll(4) - 1 }
                if item then book.has_got(item) end
              end
              assert(#q <= capacity, "there is too much in it")
              neap.sleep(roll(3) - 1)
            end
          end))
          local item, last = q:try_get(), nil
          while item do
            if last then assert(name:find "lifo" or last < item, "they came in no order") end
            book.has_got(item)
            item, last = q:try_get(), item
          end
          book.check()
        end)
      end)
    end)
  end

  it("handles close and break a queue, and nobody waits for ever (P15, P6)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local broken, closed = 0, 0
      play(seed, function(s)
        local q, book = neap.queue(({ 0, 1, 3 })[roll(3)]), ledger()
        local producers, consumers = 0, 0
        local first_producer, first_consumer = q:producer(), q:consumer()
        local tasks = crowd(roll, s, 8, function(i)
          if i % 2 == 0 then
            local p <close> = q:producer()
            producers = producers + 1
            local _ <close> = marked(function() producers = producers - 1 end)
            for _ = 1, roll(8) do
              local item = book.next()
              local ok, err = pcall(p.put, p, item)
              if ok then
                book.has_put(item)
              elseif err.kind == "broken" then
                broken = broken + 1
                return
              else
                error(err, 0)
              end
              neap.sleep(roll(3) - 1)
            end
          else
            local c <close> = q:consumer()
            consumers = consumers + 1
            local _ <close> = marked(function() consumers = consumers - 1 end)
            for _ = 1, roll(8) do
              local item, why = c:get()
              if not item then
                assert(why == "closed")
                closed = closed + 1
                return
              end
              book.has_got(item)
              neap.sleep(roll(3) - 1)
            end
          end
        end)
        neap.checkpoint()
        neap.checkpoint()
        first_producer:close()
        first_consumer:close()
        assert(neap.move_on_after(200, join_all, tasks), "somebody waits for ever")
        assert(producers == 0 and consumers == 0)
        for item in pairs(book.got) do assert(book.put[item], "an item from nowhere") end
      end)
    end)
  end)

  --- Items are numbered in the order in which their puts were called, which is
  --- the order in which they are handed out (W4).
  for _, overflow in ipairs { "block", "drop_oldest", "error" } do
    it(("every subscriber (%s) gets every item in order (P17)"):format(overflow), function()
      storm.seeds(SEEDS, function(roll, seed)
        play(seed, function(s)
          local b, number, was_put, views, putting = neap.broadcast(roll(3)), 0, {}, {}, 0
          local function subscriber()
            local sub <close> = b:subscribe { overflow = overflow }
            local view = { since = number, sub = sub }
            views[#views + 1] = view
            for _ = 1, roll(12) do
              local ok, item = pcall(sub.get, sub, { timeout = roll(4) - 1 })
              if ok and item then
                view[#view + 1] = item
              elseif not ok then
                view.broken = item.kind == "broken"
                if view.broken then return end
                error(item, 0)
              end
              neap.sleep(roll(3) - 1)
            end
          end
          local function producer()
            for _ = 1, roll(8) do
              neap.move_on_after(roll(3), function()
                number, putting = number + 1, putting + 1
                local _ <close> = marked(function() putting = putting - 1 end)
                local item = number
                b:put(item)
                was_put[item] = true
              end)
              neap.sleep(roll(3) - 1)
            end
          end
          local tasks = crowd(roll, s, 8, function(i)
            if i % 2 == 0 then producer() else subscriber() end
          end)
          assert(neap.move_on_after(300, join_all, tasks), "somebody waits for ever")
          assert(putting == 0)
          for _, view in ipairs(views) do
            -- One whose put waited when it subscribed may come, too.
            local last, missed = math.min(view.since, (view[1] or math.huge) - 1), 0
            for _, item in ipairs(view) do
              assert(item > last, "out of order, or twice")
              assert(was_put[item], "a cancelled put reached somebody")
              for between = last + 1, item - 1 do
                if was_put[between] then missed = missed + 1 end
              end
              last = item
            end
            assert(not view.broken or overflow == "error", "it was broken")
            assert(missed <= (overflow == "drop_oldest" and view.sub.dropped or 0), "an item was lost")
          end
          b:close()
        end)
      end)
    end)
  end

  it("select takes from one branch, and leaves the others (G11, W1)", function()
    storm.seeds(SEEDS, function(roll, seed)
      play(seed, function(s)
        local a, b, c, book = neap.queue(0), neap.queue(2), neap.queue(0), ledger()
        local event, waiting = neap.event(), 0
        join_all(crowd(roll, s, 8, function(i)
          for _ = 1, roll(6) do
            local item = book.next()
            if i <= 4 then
              neap.move_on_after(roll(4), function()
                waiting = waiting + 1
                local _ <close> = marked(function() waiting = waiting - 1 end)
                local which, value = neap.select {
                  a:on_get(), b:on_get(), c:on_put(item), event:on_wait(), neap.after(roll(3)),
                }
                if which <= 2 then book.has_got(value) end
                if which == 3 then book.has_put(item) end
              end)
            elseif i == 5 then
              local value = c:get { timeout = roll(3) }
              if value then book.has_got(value) end
            elseif i == 6 then
              if roll(3) == 1 then event:set() else event:clear() end
            else
              neap.move_on_after(roll(3), function()
                local q = roll(2) == 1 and a or b
                q:put(item)
                book.has_put(item)
              end)
            end
            neap.sleep(roll(3) - 1)
          end
        end))
        assert(waiting == 0)
        for _, q in ipairs { a, b, c } do
          local item = q:try_get()
          while item do
            book.has_got(item)
            item = q:try_get()
          end
        end
        book.check()
      end)
    end)
  end)

  it("streams, imap and as_completed end all they started (I3, I9, G9, G10)", function()
    storm.seeds(SEEDS, function(roll, seed)
      local live, failed, heard = 0, {}, {}
      local function counted(fn, ...)
        live = live + 1
        local _ <close> = marked(function() live = live - 1 end)
        return fn(...)
      end
      local function work(i)
        return counted(function()
          neap.sleep(roll(4) - 1)
          if roll(8) == 1 then
            local err = neap.fault.new { kind = "storm", message = tostring(i) }
            failed[#failed + 1] = err
            error(err, 0)
          end
          return i
        end)
      end
      local function numbers(n)
        return neap.stream(function(yield)
          counted(function()
            for i = 1, n do
              neap.scope(function(inner)
                inner:spawn(neap.sleep, roll(3) - 1)
                yield(i)
              end)
              neap.sleep(roll(2) - 1)
            end
          end)
        end, { buffer = roll(3) - 1 })
      end
      local sources = {
        numbers,
        function(n) return neap.imap(numbers(n), work, { concurrency = roll(3), ordered = true }) end,
        function(n) return neap.imap(numbers(n), work, { concurrency = roll(3), ordered = false }) end,
        function(n)
          local fns = {}
          for i = 1, n do fns[i] = function() return work(i) end end
          return neap.as_completed(fns)
        end,
        function(n) return neap.iter(numbers(n)):map(work):filter(function(i) return i % 2 == 1 end) end,
        function(n) return neap.iter(numbers(n)):take(2) end,
        function(n) return neap.iter(numbers(n)):merge(numbers(n)) end,
        function(n) return neap.iter(numbers(n)):zip(neap.imap(numbers(n), work)) end,
      }
      play(seed, function(s)
        join_all(crowd(roll, s, 6, function()
          for _ = 1, roll(3) do
            local kind = roll(#sources)
            local ok, err = neap.pcall(neap.move_on_after, roll(12), function()
              local it <close> = sources[kind](roll(6))
              local left = roll(8)
              local seen, last = {}, 0
              for i in it do
                if kind <= 2 then
                  assert(i == last + 1, "an item is missing")
                  last = i
                elseif kind <= 4 then
                  assert(not seen[i], "an item came twice")
                  seen[i] = true
                end
                left = left - 1
                if left == 0 then break end
                if roll(3) == 1 then neap.sleep(roll(2)) end
              end
            end)
            if not ok then
              if type(err) ~= "table" or err.kind ~= "storm" then error(err, 0) end
              heard[err] = true
            end
          end
        end))
      end, function(info)
        assert(info.what == "secondary" and info.error.kind == "storm", tostring(info.error))
        heard[info.error] = true
      end)
      assert(live == 0, "something is open")
      for _, err in ipairs(failed) do assert(heard[err], "nobody heard of a failure") end
    end)
  end)
end)
