--- Closed loops: so many tasks, each beginning its next round when the last
--- one has been answered.

local neap = require "neap"

local load = {}

load.KEYS = 100000 -- pgbench's scale 1
load.WARM_UP = 0.3 -- seconds

--- Run `work` in `tasks` tasks until the time is up; returns the rounds.
---@param seconds number
---@param tasks integer
---@param work fun(key: integer, next_key: fun(): integer)
---@return integer
function load.for_a_while(seconds, tasks, work)
  local rounds, stop = 0, neap.now() + seconds
  neap.scope(function(s)
    for i = 1, tasks do
      s:spawn(function()
        local key = i * 7919
        local function next_key()
          key = (key * 1103515245 + 12345) & 0x7fffffff
          return 1 + key % load.KEYS
        end
        while neap.now() < stop do
          work(next_key(), next_key)
          rounds = rounds + 1
        end
      end)
    end
  end)
  return rounds
end

return load
