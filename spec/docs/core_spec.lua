local neap = require "neap"
local page = require "spec.support.page"
local run = require "spec.support.run"
local shell = require "spec.support.shell"
local types = require "spec.support.types"

local PAGES <const> = {
  "docs/run.md", "docs/tasks.md", "docs/combinators.md", "docs/primitives.md",
  "docs/iterators.md", "docs/context.md", "docs/coroutine.md", "docs/emitter.md",
  "docs/seeing.md",
}

-- Those that all iterators have.
local COMMON <const> = { next = true, close = true }

--- The names of an object's methods, without metamethods.
local function methods(object, which)
  local meta, names = debug.getmetatable(object), {}
  local index = meta.__index
  if type(index) == "function" then -- one that also knows fields
    index = select(2, debug.getupvalue(index, 2))
  end
  for name in pairs(index) do
    local inherited = which == "pipeline" and COMMON[name]
    if not name:find "^__" and not inherited then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- One object of each class, under the name that the pages give it.
local function objects()
  local em, lock, semaphore = neap.emitter(), neap.lock(), neap.semaphore(1)
  local scope
  neap.scope(function(s) scope = s end)
  local guard = lock:acquire()
  guard:release()
  return {
    task = neap.current(), s = scope, runner = neap.runner(),
    signals = neap.signals "USR2", future = neap.future(), event = neap.event(),
    lock = lock, semaphore = semaphore, guard = guard, condition = neap.condition(),
    barrier = neap.barrier(1), rwlock = neap.rwlock(), queue = neap.queue(1),
    producer = neap.queue(1):producer(), consumer = neap.queue(1):consumer(),
    broadcast = neap.broadcast(1), subscription = neap.broadcast(1):subscribe(),
    iterator = neap.gen(print), pipeline = neap.iter {},
    em = em, handle = em:on("x", print),
  }
end

-- A page of programs, without headings for names.
local GUIDE <const> = "docs/guide.md"

for _, path in ipairs { GUIDE, table.unpack(PAGES) } do
  describe(path, function()
    for _, block in ipairs(page.blocks(path)) do
      it("runs, and prints what it says, in line " .. block.line, function()
        local printed, said = page.run(path, block)
        assert.same(said, printed)
      end)
    end

    it("declares no name that is not there", run(function()
      local there = objects()
      for name in pairs(page.headings(path)) do
        local value
        if name:find "^neap" then
          value = neap
          for part in name:gmatch "%.([%w_]+)" do value = value and value[part] end
        elseif name:find ":" then
          local object, method = name:match "^(.-):(.*)$"
          assert.is_truthy(there[object], name)
          value = there[object][method]
        else
          value = true -- a field
        end
        assert.is_truthy(value, name)
      end
    end))
  end)
end

describe("the pages of the core", function()
  it("have a heading for every method", run(function()
    local headings = {}
    for _, path in ipairs(PAGES) do
      for name in pairs(page.headings(path)) do headings[name] = true end
    end
    for object, value in pairs(objects()) do
      for _, name in ipairs(methods(value, object)) do
        assert.is_truthy(headings[object .. ":" .. name], object .. ":" .. name)
      end
    end
  end))
end)

-- Public names are promises: what stands here stays.
local PROMISED <const> = {
  neap = [[run sleep checkpoint now current cancelled dump stats at_exit version
    spawn background scope supervisor timeout timeout_at move_on_after deadline
    shield defer pcall xpcall suppressed is_cancelled is_timeout null
    gather all settle map imap race any wait as_completed
    future event lock semaphore condition barrier rwlock once queue
    priority_queue lifo broadcast select after gen stream iter wrap emitter]],
  ["neap.fault"] = "new is raise",
  ["neap.ctx"] = "get set with",
  ["neap.coroutine"] = "resume wrap install uninstall",
  ["neap.thread"] = "call limit",
  task = "await join outcome cancel status traceback on_done",
  s = "spawn start cancel",
  future = "set fail await done",
  event = "set clear is_set wait on_wait",
  lock = "acquire try_acquire release with locked",
  semaphore = "acquire try_acquire release with locked value resize",
  condition = "wait wait_for notify notify_all",
  barrier = "wait",
  rwlock = "read write",
  queue = [[put get try_put try_get close done join iter consume producer on_get
    on_put]],
  broadcast = "put subscribe",
  subscription = "get iter close",
  em = [[on once many prepend on_any off off_all emit emit_serial emit_sync
    emit_soon wait_for iter count names listeners drain close]],
  handle = "off",
  pipeline = "map filter take chunk merge zip debounce throttle totable",
}

describe("the public names", function()
  local headings, texts = {}, {}
  for _, path in ipairs { "docs/threads.md", "docs/luv.md", table.unpack(PAGES) } do
    for name in pairs(page.headings(path)) do headings[name] = true end
  end
  for i, path in ipairs(types.paths()) do texts[i] = "\n" .. shell.read(path) end
  local annotations = table.concat(texts)

  it("are there", run(function()
    local there = objects()
    there.neap, there["neap.fault"], there["neap.ctx"] = neap, neap.fault, neap.ctx
    there["neap.coroutine"], there["neap.thread"] = neap.coroutine, neap.thread
    for object, list in pairs(PROMISED) do
      for name in list:gmatch "%S+" do
        assert.is_truthy(there[object][name], object .. "." .. name)
      end
    end
  end))

  for _, room in ipairs { "neap", "neap.fault", "neap.ctx", "neap.coroutine", "neap.thread" } do
    it("of " .. room .. " have a heading and an annotation, each of them", function()
      local names, sub = {}, room:match "%.(.*)$"
      for name, value in pairs(sub and neap[sub] or neap) do
        if type(value) ~= "table" then names[#names + 1] = name end
      end
      assert.is_true(#names > 1)
      for _, name in ipairs(names) do
        local full = room .. "." .. name
        assert.is_truthy(headings[full], "no heading for " .. full)
        assert.is_truthy(annotations:find("\nfunction " .. full .. "(", 1, true)
          or annotations:find("\nfunction " .. (sub or "") .. "." .. name .. "(", 1, true)
          or annotations:find("\n---@field " .. name .. " ", 1, true),
          "no annotation for " .. full)
      end
    end)
  end
end)

--- The options in the table below a heading.
local function options(path, name)
  local text = shell.read(path)
  local _, at = text:find("## `" .. name .. "([opts", 1, true)
  local section, list = text:sub(at, (text:find("\n#", at, true) or 0) - 1), {}
  for option in section:gmatch "\n| `([%w_]+)" do list[#list + 1] = option end
  return list
end

describe("the tables of options", function()
  local TABLES <const> = {
    ["neap.run"] = "docs/run.md", ["neap.scope"] = "docs/tasks.md",
    ["neap.supervisor"] = "docs/tasks.md", ["neap.emitter"] = "docs/emitter.md",
  }
  for name, path in pairs(TABLES) do
    it("have options that " .. name .. " knows", function()
      local list = options(path, name)
      assert.is_true(#list > 1)
      for _, option in ipairs(list) do
        local fn = neap[name:match "%.(.*)$"]
        local ok, err = pcall(fn, { [option] = {} }, print) -- no option is a table
        assert.is_false(ok)
        assert.are.equal("invalid", err.kind)
        assert.is_truthy(err.message:find("option '" .. option .. "' must", 1, true),
          err.message)
      end
    end)
  end

  for _, name in ipairs { "neap.run", "neap.supervisor" } do -- they say what they know
    it("have every option that " .. name .. " knows", function()
      local listed = {}
      for _, option in ipairs(options(TABLES[name], name)) do listed[option] = true end
      local _, err = pcall(neap[name:match "%.(.*)$"], { [("?"):rep(20)] = 1 }, print)
      local known = err.message:match "the options are (.*)$"
      assert.is_truthy(known, err.message)
      for option in known:gmatch "[%w_]+" do
        assert.is_true(listed[option], "no row for the option " .. option)
      end
    end)
  end
end)

describe("types/neap", function()
  local CLASS <const> = {
    task = "Task", s = "Scope", future = "Future", event = "Event", lock = "Lock",
    semaphore = "Semaphore", guard = "Guard", condition = "Condition", barrier = "Barrier",
    rwlock = "RWLock", queue = "Queue", em = "Emitter", handle = "Listener",
    producer = "QueueProducer", consumer = "QueueConsumer", broadcast = "Broadcast",
    runner = "Runner", signals = "Signals",
    subscription = "Subscription", iterator = "Iterator", pipeline = "Iter",
  }
  local texts = {}
  for i, path in ipairs(types.paths()) do texts[i] = "\n" .. shell.read(path) end
  local text = table.concat(texts)

  it("has every method", run(function()
    for object, value in pairs(objects()) do
      for _, name in ipairs(methods(value, object)) do
        local line = ("\nfunction %s:%s("):format(CLASS[object], name)
        assert.is_truthy(text:find(line, 1, true), line)
      end
    end
  end))

  it("has every function that a page declares, and none that is not there", function()
    for _, path in ipairs(PAGES) do
      for name in pairs(page.headings(path)) do
        if name:find "^neap%." then
          assert.is_truthy(text:find("function " .. name .. "(", 1, true)
            or text:find("---@field " .. name:match "^neap%.(.*)", 1, true), name)
        end
      end
    end
    for name in text:gmatch "\nfunction neap%.([%w_.]+)%(" do
      local value = neap
      for part in name:gmatch "[%w_]+" do value = value and value[part] end
      assert.is_truthy(value, name)
    end
  end)
end)
