--- The driver could be required only behind "neap": a module of it asked for
--- a part of the core that is there only once the core is.

local shell = require "spec.support.shell"

describe("each module of the driver", function()
  it("can be required first", function()
    for _, name in ipairs { "neap.pg", "neap.pg.holders", "neap.pg.codec", "neap.pg.tx", "neap.repository" } do
      -- The state is not closed: with the libraries unloaded in one of these
      -- orders the leak checker itself crashes at the end (valgrind is clean).
      local status, output = shell.run(
        ("lua5.4 -e 'require \"%s\" os.exit(true)'"):format(name))
      assert.are.equal(0, status, output)
    end
  end)
end)
