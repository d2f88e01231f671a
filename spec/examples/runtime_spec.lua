local shell = require "spec.support.shell"

--- Run an example; its lines, and its whole output.
local function run(arguments)
  local status, output = shell.run(shell.lua .. " examples/" .. arguments)
  assert.are.equal(0, status, output)
  return output
end

local function shows(output, texts)
  for _, text in ipairs(texts) do
    assert.is_truthy(output:find(text, 1, true), text .. "\n" .. output)
  end
end

describe("examples/", function()
  it("parallel.lua waits for the slowest, and for nobody who is not wanted", function()
    shows(run "parallel.lua", {
      "user (50 ms), product (50 ms), stock (30 ms) after ",
      "false\tio\tproduct is not there", "false\ttimeout\nfalse\n",
      "1\ttrue\tuser (10 ms)\n2\tfalse\tproduct is not there",
    })
  end)

  it("trace.lua writes a timeline that is JSON", function()
    local directory = shell.directory()
    shows(run("trace.lua " .. directory .. "/t.json"), { "events; open it at" })
    local events = require("spec.support.json").read(shell.read(directory .. "/t.json"))
    shell.remove(directory)
    local names = {}
    for _, event in ipairs(events) do names[event.name] = true end
    for _, name in ipairs { "queue:put", "lock:acquire", "neap.thread.call", "work", "poll", "cancel" } do
      assert.is_true(names[name], name)
    end
  end)

  it("producer_consumer.lua loses no item and keeps the queue small", function()
    shows(run "producer_consumer.lua", {
      "producer A: 5 items, done", "producer C: 5 items, done",
      "never held more than 3 items; producers waited for room: yes",
      "sum of all items: 45 (expected 45)",
    })
  end)

  it("worker_pool.lua does what can be done", function()
    local output = run "worker_pool.lua"
    shows(output, {
      "queue: 16 of 20 jobs done; 2 bad, 2 took too long",
      "never more than 4 at work", "list: job 7: bad_job: no such order: 7",
      "list: job 9: timeout: timeout after 0.5 s in neap.sleep",
    })
    assert.is_nil(output:find("list: job 8", 1, true), output)
  end)

  it("pipeline.lua keeps the order, in batches", function()
    local output = run "pipeline.lua"
    shows(output, {
      "stored 20: item 1 to item 22\nstored 20: item 23 to item 44\n"
        .. "stored 14: item 45 to item 59\n",
      "54 items worth 16200, in their order",
    })
    local most = tonumber(output:match "at most (%d+) look%-ups at once")
    assert.is_true(most > 1 and most <= 8, output)
  end)

  it("crawler.lua asks for each page once, and again where that failed", function()
    shows(run "crawler.lua", {
      "37 pages fetched with 40 requests",
      "failed: http://odd.example/13 (timeout)", "page 21 was asked 2 times",
      "within the rate: yes",
    })
  end)

  it("streaming.lua stays small", function()
    shows(run "streaming.lua 20000", {
      "20000 records, 20 MB in all", "peak memory of Lua: ", "in bounded memory: yes",
    })
  end)

  it("service.lua finishes what it has taken", function()
    shows(run "service.lua", {
      "serving with 3 workers", "stopping: ",
      "every job that was taken is finished: yes",
      "the last thing: closing the log\n[service] ended by signal 15\n",
    })
  end)

  it("service.lua --serve ends by the signal that it is sent", function()
    for signal, wanted in pairs { TERM = 143, INT = 130 } do
      -- A shell that starts a program in the background has it ignore SIGINT:
      -- env gives it back.
      local status, output = shell.run(([[
        out=$(mktemp)
        env --default-signal=INT %s examples/service.lua --serve >$out 2>&1 & pid=$!
        for i in $(seq 600); do grep -q failed $out && break; sleep 0.1; done
        kill -%s $pid
        wait $pid; status=$?
        cat $out; rm $out
        exit $status]]):format(shell.lua, signal))
      assert.are.equal(wanted, status, output)
      shows(output, { "every job that was taken is finished: yes", "closing the log" })
    end
  end)

  it("supervisor.lua starts again what it should", function()
    shows(run "supervisor.lua", {
      "lives: orders 3, stock 1", "lives: reader 2, writer 2",
      "gave up after 3 lives: mail lost its connection",
    })
  end)

  it("events.lua runs all listeners, whatever one of them does", function()
    shows(run "events.lua", {
      "mailed a confirmation for\t1", "the first order of the day is\t1",
      "false\tthe warehouse does not know P-0001", "shipped\t1\tDHL",
    })
  end)

  it("thread.lua computes while tasks go on", function()
    shows(run "thread.lua", {
      "33860 primes in all; the tasks went on: true", "stopped early",
      "in a thread, called from",
    })
  end)

  it("README.md names each of them", function()
    local readme = shell.read "examples/README.md"
    local files = 0
    for file in shell.check("cd examples && ls *.lua"):gmatch "[^\n]+" do
      files = files + 1
      assert.is_truthy(readme:find("lua5.4 examples/" .. file .. "`", 1, true), file)
    end
    assert.is_true(files > 10)
  end)
end)
