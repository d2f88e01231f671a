std = "lua54"
max_line_length = 120
self = false
exclude_files = { "build" }
read_globals = { "neap_thread_cancelled" } -- in functions for other threads

files["spec"] = { std = "+busted" }
files["spec/task"] = { ignore = { "512" } } -- loops left at once, on purpose
files["test/c"] = { read_globals = { "arm" } } -- the host of oom.c gives it
-- What replaces functions of the language says so here.
files["lua/neap/coroutine.lua"] = { globals = { "coroutine.resume", "coroutine.wrap" } }
-- Annotations: functions without bodies.
files["types"] = { max_line_length = 170, ignore = { "212", "241" }, globals = { "neap_thread_cancelled" } }
