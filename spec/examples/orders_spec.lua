local shell = require "spec.support.shell"

-- Under a checker everything takes its time.
local SLOW <const> = tonumber(os.getenv "NEAP_SLOWDOWN" or "1")
local LINES <const> = 1200 // SLOW

describe("examples/orders.lua", function()
  local directory

  before_each(function() directory = shell.directory() end)
  after_each(function() shell.remove(directory) end)

  --- Run it with a private server unless `before` sets DATABASE_URL.
  local function orders(arguments, before)
    return shell.run(("%s %s examples/orders.lua --out %s/o.svg %s"):format(
      before or "DATABASE_URL=", shell.lua, directory, arguments))
  end

  it("imports the book, compares, draws, and its books balance", function()
    local status, output = orders(("--limit %d --sample %d"):format(LINES,
      LINES // 4))
    assert.are.equal(0, status, output)
    local function shows(texts)
      for _, text in ipairs(texts) do
        assert.is_truthy(output:find(text, 1, true), text .. "\n" .. output)
      end
    end
    shows { "orders placed", "orders rejected", "conflicts retried",
      "events delivered", "listener failures", "orders/s", "p50", "p95",
      "one by one" }
    if SLOW == 1 then -- a few lines do not hold all of these
      shows { "malformed line", "unknown user", "unknown product", "duplicate",
        "out of stock" }
    end
    assert.is_nil(output:find("NO:", 1, true), output)
    assert.is_nil(output:find("\r", 1, true))
    local svg = shell.read(directory .. "/o.svg")
    assert.is_truthy(svg:find("^<svg .*</svg>\n$"))
    assert.is_truthy(svg:find("p95 = ", 1, true))
  end)

  it("places the same orders whatever the concurrency", function()
    local counts = {}
    for i, n in ipairs { 1, 40 } do
      local status, output = orders(
        ("--limit %d --sample 0 --no-svg --concurrency %d"):format(
          LINES // 4 + 5, n))
      assert.are.equal(0, status, output)
      counts[i] = output:match("orders placed%s+(%S+)")
    end
    assert.are.equal(counts[1], counts[2])
  end)

  it("stopped by Ctrl-C leaves nothing half written and says where", function()
    -- Wait for the first word of progress, then interrupt it.
    local status, output = shell.run(([[
      DATABASE_URL= %s examples/orders.lua --no-svg >%s/out 2>&1 & pid=$!
      for i in $(seq 600); do
        grep -q '%%' %s/out && break
        sleep 0.1
      done
      kill -INT $pid
      wait $pid; status=$?
      cat %s/out
      exit $status]]):format(shell.lua, directory, directory, directory))
    assert.are.equal(130, status, output)
    assert.is_truthy(output:find("Stopped: every line before line %d+ is done"),
      output)
    assert.is_truthy(output:find("Nothing is half written.", 1, true), output)
    assert.is_nil(output:find("NO:", 1, true), output)
    assert.is_nil(output:find("stack traceback", 1, true), output)
  end)

  --- One line, non-zero, and the line says what is wrong.
  local function refuses(expected, arguments, before)
    local status, output = orders(arguments, before)
    assert.is_true(status ~= 0, output)
    local last = output:match("([^\n]*)\n$")
    assert.is_truthy(last:find("^orders.lua: "), output)
    assert.is_truthy(last:find(expected), output)
    local _, lines = output:gsub("\n", "\n")
    assert.is_true(lines <= 2, output) -- one may say which server it is
    return output
  end

  it("says in one line which file is missing", function()
    refuses("^orders.lua: /nowhere/x.csv: No such file",
      "--file /nowhere/x.csv")
    refuses("cannot write /nowhere/x.svg: No such file",
      "--out /nowhere/x.svg")
  end)

  it("says in one line which option is wrong", function()
    refuses("unknown option '%-%-concurency'; did you mean %-%-concurrency%?",
      "--concurency 3")
    refuses("%-%-pool wants a whole number from 1 to 100, got 'many'",
      "--pool many")
    refuses("%-%-limit wants a value", "--limit")
  end)

  it("says in one line why the server cannot be used", function()
    refuses("", "", "DATABASE_URL=postgresql://x@localhost:99999999/x")
    refuses("refused", "",
      "DATABASE_URL=postgresql://demo:secret@127.0.0.1:1/demo")
    refuses("", "", "DATABASE_URL='no such key=1'")
  end)

  it("shows no password when it fails", function()
    local output = refuses("refused", "",
      "DATABASE_URL=postgresql://demo:geheim@127.0.0.1:1/demo")
    assert.is_nil(output:find("geheim", 1, true))
  end)
end)
