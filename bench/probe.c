/*
** probe.c -- what the benchmarks need and Lua lacks: clocks, memory, and a
** method that does nothing but check its userdata.
*/
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#define OBJECT "neap.bench.object"

static int push_clock(lua_State *L, clockid_t id) {
  struct timespec t;

  clock_gettime(id, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

static int l_wall(lua_State *L) { return push_clock(L, CLOCK_MONOTONIC); }

/* All threads of this process, in user and in system mode. */
static int l_cpu(lua_State *L) {
  return push_clock(L, CLOCK_PROCESS_CPUTIME_ID);
}

/* Bytes resident now. */
static int l_resident(lua_State *L) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");

  if (f == NULL) return luaL_error(L, "cannot open /proc/self/statm");
  if (fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
  fclose(f);
  lua_pushinteger(L, (lua_Integer)pages * sysconf(_SC_PAGESIZE));
  return 1;
}

/* The most bytes that were ever resident. */
static int l_peak(lua_State *L) {
  struct rusage use;

  getrusage(RUSAGE_SELF, &use);
  lua_pushinteger(L, (lua_Integer)use.ru_maxrss * 1024);
  return 1;
}

static int l_object(lua_State *L) {
  lua_newuserdatauv(L, sizeof(int), 0);
  luaL_setmetatable(L, OBJECT);
  return 1;
}

static int l_object_touch(lua_State *L) {
  luaL_checkudata(L, 1, OBJECT);
  return 0;
}

__attribute__((visibility("default"))) int luaopen_bench_probe(lua_State *L);

int luaopen_bench_probe(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"wall", l_wall}, {"cpu", l_cpu}, {"resident", l_resident},
    {"peak", l_peak}, {"object", l_object}, {NULL, NULL},
  };

  if (luaL_newmetatable(L, OBJECT)) {
    lua_newtable(L);
    lua_pushcfunction(L, l_object_touch);
    lua_setfield(L, -2, "touch");
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
