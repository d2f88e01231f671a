std = "lua54"
max_line_length = 120
self = false
exclude_files = { "build" }
files["spec"] = { std = "+busted" }
files["*.rockspec"] = { std = "rockspec" }
files[".busted"] = { std = "lua54" }
