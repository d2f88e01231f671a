--- What a reader of a measurement wants to know of the machine, and helpers
--- that ask the system. Nothing that names the machine or its owner.

local machine = {}

--- Output of a command, trimmed, or nil when it fails.
---@param command string
---@return string?
function machine.ask(command)
  local pipe = io.popen("{ " .. command .. "; } 2>/dev/null", "r")
  if not pipe then return nil end
  local text = pipe:read("a"):gsub("%s+$", "")
  return pipe:close() and text or nil
end

local function first_line(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("l")
  file:close()
  return text
end

local function processor()
  for text in io.lines("/proc/cpuinfo") do
    local model = text:match("^model name%s*:%s*(.*)$")
    if model then return model end
  end
  return "unknown"
end

--- The load average of the last minute.
function machine.load()
  return tonumber((first_line("/proc/loadavg") or "0"):match("^%S+"))
end

--- Lines of "name: value".
---@param contenders table<string, table>
---@param server string? version of the PostgreSQL server
---@return string[]
function machine.facts(contenders, server)
  local out = {}
  local function add(name, value)
    if value and value ~= "" then out[#out + 1] = name .. ": " .. value end
  end
  add("Processor", ("%s, %s cores"):format(processor(),
    machine.ask("nproc") or "?"))
  local virtual = machine.ask("systemd-detect-virt --vm") or machine.ask(
    "grep -q '^flags.* hypervisor' /proc/cpuinfo && echo yes")
  add("Virtual machine", virtual)
  add("System", (machine.ask(". /etc/os-release; echo \"$PRETTY_NAME\"") or "")
    .. ", Linux " .. (machine.ask("uname -r") or "?"):match("^[%d.]*%d"))
  add("PostgreSQL", server)
  add("libuv", machine.ask("pkg-config --modversion libuv"))
  add("libpq", machine.ask("pkg-config --modversion libpq"))
  local names = {}
  for name in pairs(contenders) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local c = contenders[name]
    if c.version and not c.absent then
      add(c.name or name, machine.ask(c.version))
    end
  end
  return out
end

--- Keep the cores awake at the idle priority, which takes nothing from
--- anybody: a core that has gone to sleep wakes late, and small waits would
--- be measured as that. Returns a value whose closing ends them.
function machine.awake()
  local pids = {}
  if machine.ask("chrt --idle 0 true && echo yes") == "yes" then
    for _ = 1, tonumber(machine.ask("nproc") or "1") do
      local pid = machine.ask(
        "chrt --idle 0 sh bench/spin.sh $PPID >/dev/null 2>&1 & echo $!")
      pids[#pids + 1] = pid
    end
  end
  return setmetatable({ n = #pids }, { __close = function()
    for _, pid in ipairs(pids) do os.execute("kill " .. pid) end
  end })
end

return machine
