local shell = require "spec.support.shell"

describe("scripts/deps.sh", function()
  local directory

  --- A PATH with nothing but tools that lie about the system: dpkg-query
  --- says what is installed, apt-get writes down how it was called.
  before_each(function()
    directory = shell.directory()
    for _, tool in ipairs { "sh", "env", "sed", "tr", "cut", "awk", "cat" } do
      shell.check(("ln -s $(command -v %s) %s/%s"):format(tool, directory, tool))
    end
    shell.write(directory .. "/ls", "#!/bin/sh\nexit 2\n")
    shell.write(directory .. "/id", "#!/bin/sh\necho ${FAKE_ID:-0}\n")
    shell.write(directory .. "/dpkg-query", "#!/bin/sh\nfor p in $INSTALLED; do echo \"ii $p\"; done\n")
    shell.write(directory .. "/apt-get", ("#!/bin/sh\necho \"$@\" >>%s/called\n"):format(directory))
    shell.check(("cd %s && chmod +x ls id dpkg-query apt-get"):format(directory))
  end)
  after_each(function() shell.remove(directory) end)

  local function deps(arguments, environment)
    return shell.run(("PATH=%s %s scripts/deps.sh %s"):format(directory, environment or "", arguments))
  end

  local function called()
    local file = io.open(directory .. "/called")
    return file and file:read "a" or ""
  end

  local build = "gcc libc6-dev make pkgconf liblua5.4-dev libuv1-dev libpq-dev lua5.4"

  it("does and says nothing when all is there", function()
    local status, output = deps("build", ("INSTALLED='%s'"):format(build))
    assert.are.equal("", output)
    assert.are.equal(0, status)
    assert.are.equal("", called())
  end)

  it("says what is missing and why, and installs exactly that", function()
    local status, output = deps("build lint", "INSTALLED='gcc libc6-dev make pkgconf lua5.4 binutils'")
    assert.are.equal(0, status)
    for _, why in ipairs { "liblua5.4%-dev +Lua headers", "libuv1%-dev +the event loop",
      "libpq%-dev +the PostgreSQL client", "lua%-check +luacheck" } do
      assert.is_truthy(output:find(why), output)
    end
    assert.is_nil(output:find "binutils")
    local update, install = called():match "^([^\n]*)\n([^\n]*)\n$"
    assert.is_truthy(update:find " update$")
    assert.are.equal("install --no-install-recommends liblua5.4-dev libuv1-dev libpq-dev lua-check",
      install:match "install .*")
  end)

  it("wants a server for the demo unless DATABASE_URL names one", function()
    local status, output = deps("demo", "INSTALLED=''")
    assert.are.equal(0, status)
    assert.is_truthy(output:find "postgresql")
    status, output = deps("demo", "DATABASE_URL=postgres://elsewhere INSTALLED=''")
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("uses sudo when it is not root", function()
    shell.write(directory .. "/sudo", ("#!/bin/sh\necho sudo >>%s/called\nexec \"$@\"\n"):format(directory))
    shell.check("chmod +x " .. directory .. "/sudo")
    local status, output = deps("lint", "FAKE_ID=1000 INSTALLED=binutils")
    assert.are.equal(0, status)
    assert.is_truthy(output:find "sudo apt%-get")
    assert.is_truthy(called():find "^sudo\n")
  end)

  it("says so when it may not install", function()
    local status, output = deps("lint", "FAKE_ID=1000 INSTALLED=binutils")
    assert.are.equal(1, status)
    assert.is_truthy(output:find("only root can install them and there is no sudo", 1, true))
    assert.is_truthy(output:find("apt-get install --no-install-recommends lua-check", 1, true), output)
    assert.are.equal("", called())
  end)

  it("fails when apt-get does", function()
    shell.write(directory .. "/apt-get", "#!/bin/sh\nexit 100\n")
    local status, output = deps("lint", "INSTALLED=binutils")
    assert.are.equal(1, status)
    assert.is_truthy(output:find("apt-get could not install: lua-check", 1, true), output)
  end)

  it("refuses a group that it does not know", function()
    local status, output = deps("everything", "INSTALLED=''")
    assert.are.equal(2, status)
    assert.is_truthy(output:find("unknown group 'everything'", 1, true))
  end)
end)
