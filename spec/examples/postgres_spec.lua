local shell = require "spec.support.shell"
local server = require "spec.support.pg"

--- Run an example on the suite's server; its output.
local function run(arguments)
  local status, output = shell.run(("DATABASE_URL=%s %s examples/%s"):format(
    shell.quote(server.dsn "examples"), shell.lua, arguments))
  assert.are.equal(0, status, output)
  return output
end

local function shows(output, text)
  assert.is_truthy(output:find(text, 1, true), text .. "\n" .. output)
end

describe("examples/ #pg", function()
  it("jobs.lua does each job once, and comes back to those that failed", function()
    shows(run "jobs.lua", "40 jobs done by 4 workers, each once; 4 came back")
  end)

  it("cache.lua forgets what has changed, and only that", function()
    local output = run "cache.lua"
    shows(output, "3,000 reads, 3 queries; tea costs 3")
    shows(output, "3,000 more, 4 queries in all; tea costs 4")
  end)

  it("bulk.lua moves a hundred thousand rows in little memory", function()
    local path = os.tmpname()
    local output = run("bulk.lua " .. path)
    shows(output, "COPY in from a generator           100000")
    shows(output, "three pages by keyset              75")
    shows(output, "all rows, one by one               100000")
    local file <close> = assert(io.open(path))
    assert.are.equal("id,name,price", file:read())
    local lines = 0
    for _ in file:lines() do lines = lines + 1 end
    os.remove(path)
    assert.are.equal(100000, lines)
    assert.is_true(tonumber(output:match "the end: ([%d.]+) MB") < 5, output)
  end)
end)
