local shell = require "spec.support.shell"

for _, name in ipairs { "threads", "luv" } do
  describe("docs/" .. name .. ".md", function()
    it("is a program that runs", function()
      local blocks = {}
      for block in shell.read("docs/" .. name .. ".md"):gmatch "\n```lua\n(.-)```" do
        blocks[#blocks + 1] = block
      end
      assert.is_true(#blocks > 2)
      local directory = shell.directory()
      shell.write(directory .. "/page.lua", ("require('neap').run(function()\n%s\nend)\nprint 'through'")
        :format(table.concat(blocks)))
      local output = shell.check("lua5.4 " .. directory .. "/page.lua")
      shell.remove(directory)
      assert.are.equal("through\n", output)
    end)
  end)
end
