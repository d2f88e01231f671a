-- Loading the modules and an empty run.
arm()
local neap = require "neap"
assert(neap.run(function(...) return select("#", ...) end, 1, nil) == 2)
