rockspec_format = "3.0"
package = "neap"
version = "scm-1"
source = {
  url = ".",
}
description = {
  summary = "Tasks, a fast PostgreSQL driver and repositories on libuv",
  detailed = [[
Structured concurrency for Lua 5.4: any function may wait. Tasks with owners,
cancellation and deadlines, a pipelining PostgreSQL driver on libpq,
repositories, a unit of work and an event emitter.]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  UV = { header = "uv.h", library = "uv" },
  PQ = { header = "postgresql/libpq-fe.h", library = "pq" },
}
test_dependencies = {
  "busted",
}
-- Our own Makefile knows what belongs to which module; there is no second
-- list here to fall behind. Its objects go to a directory of their own.
build = {
  type = "make",
  build_target = "all",
  build_variables = {
    B = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    UV_CFLAGS = "-I$(UV_INCDIR)",
    UV_LIBS = "-L$(UV_LIBDIR) -luv",
    PQ_CFLAGS = "-I$(PQ_INCDIR)/postgresql",
    PQ_LIBS = "-L$(PQ_LIBDIR) -lpq",
  },
  install_target = "install",
  install_variables = {
    B = "build/rock",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    INCDIR = "$(PREFIX)/include",
  },
}
test = {
  type = "command",
  command = "make test",
}
