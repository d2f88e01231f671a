/*
** mod.c -- luaopen_neap_core: the table of contents. The runtime's box is the
** first object of the module, hence the last that lua_close finalizes: it
** closes every handle and waits for the thread pool, waking nobody.
*/
#include <string.h>

#include "core/capi.h"
#include "core/context.h"
#include "core/dump.h"
#include "core/fault.h"
#include "core/guest.h"
#include "core/lx.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/select.h"
#include "core/sync.h"
#include "core/task.h"
#include "core/testkit.h"
#include "core/thread.h"

#define NEAP_VERSION "0.1.0"

NEAP_EXPORT int luaopen_neap_core(lua_State *L);

void catch_open(lua_State *L, rt *r);
void clock_open(lua_State *L, rt *r);
void emitter_open(lua_State *L, rt *r);
void line_open(lua_State *L, rt *r);
void nest_open(lua_State *L, rt *r);
void numeric_open(lua_State *L);
void queue_open(lua_State *L, rt *r);
void run_open(lua_State *L, rt *r);

static int l_rt__gc(lua_State *L) {
  rt *r = lua_touserdata(L, 1);

  if (!r->uv_ready) return 0;
  r->uv_ready = 0;
  if (r->guest != NULL) guest_stop(r);
  see_fini(r);
  loop_fini(&r->loop);
  task_free_scopes(L, r); /* not before: a last callback may wake a task */
  thread_fini(r);
  guest_fini(r);
  base_free(r->slots);
  r->slots = NULL;
  return 0;
}

static void new_tables(lua_State *L, rt *r) {
  struct {
    int *ref;
    const char *weak;
  } all[] = {{&r->r_anchor, NULL},   {&r->r_threads, NULL},
             {&r->r_side, NULL},     {&r->r_trace, "k"},
             {&r->r_suppressed, "k"}, {&r->r_names, "k"},
             {&r->r_cancels, "k"},   {&r->r_hook, NULL},
             {&r->r_dump, NULL},     {&r->r_closer, NULL},
             {&r->r_emitters, "k"}, {&r->r_see, NULL},
             {&r->r_born, "k"},      {&r->r_raised, "k"},
             {&r->r_ids, "k"},       {&r->r_limit, NULL},
             {&r->r_spares, NULL}};
  size_t i;

  for (i = 0; i < countof(all); i++) {
    lua_newtable(L);
    *all[i].ref = lx_keep_table(L, all[i].weak);
  }
}

/* core.methods(class): the table of its methods, to add those written in Lua. */
static int l_methods(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);

  luaL_argcheck(L, luaL_getmetatable(L, name) == LUA_TTABLE, 1, "no class");
  lua_getfield(L, -1, "__index");
  if (lua_iscfunction(L, -1)) lua_getupvalue(L, -1, 2); /* lx_class */
  luaL_argcheck(L, lua_istable(L, -1), 1, "a class without methods");
  return 1;
}

static void new_runtime(lua_State *L) {
  rt *r = lua_newuserdatauv(L, sizeof *r, 0);
  int rc;

  memset(r, 0, sizeof *r);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_rt__gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  if ((rc = loop_init(&r->loop)) < 0)
    luaL_error(L, "neap: cannot make a loop: %s", uv_strerror(rc));
  r->uv_ready = 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  r->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  /* New threads copy it from the main one, and Lua leaves that as it was. */
  *(task **)lua_getextraspace(r->main) = NULL;
  *(task **)lua_getextraspace(L) = NULL;
  list_init(&r->held);
  r->r_box = luaL_ref(L, LUA_REGISTRYINDEX);
  new_tables(L, r);
  lua_newtable(L); /* the module */
  fault_open(L, r);
  lua_setfield(L, -2, "fault");
  capi_open(L, r);
  task_open(L, r);
  scope_open(L, r);
  context_open(L, r);
  clock_open(L, r);
  future_open(L, r);
  lock_open(L, r);
  queue_open(L, r);
  line_open(L, r);
  catch_open(L, r);
  emitter_open(L, r);
  nest_open(L, r);
  select_open(L, r);
  dump_open(L, r);
  run_open(L, r);
  see_open(L, r);
  testkit_open(L, r);
  thread_open(L, r);
  guest_open(L, r);
  numeric_open(L);
  lua_setfield(L, -2, "numeric");
  lua_pushcfunction(L, l_methods);
  lua_setfield(L, -2, "methods");
  lua_pushliteral(L, NEAP_VERSION);
  lua_setfield(L, -2, "version");
}

static int next_name(lua_State *L) {
  lua_settop(L, 2);
  if (lua_next(L, 1)) return 2;
  lua_pushnil(L);
  return 1;
}

/* pairs(core) */
static int l_core__pairs(lua_State *L) {
  lua_pushcfunction(L, next_name);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  return 3;
}

/* Lua names a function in messages and tracebacks by the first loaded module
** that has it. That shall be neap, not the core: its table has nothing in it,
** and looks everything up in the one on top. */
static void hide(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, l_core__pairs, 1);
  lua_setfield(L, -2, "__pairs");
  lua_setmetatable(L, -2);
  lua_replace(L, -2);
}

/* One core for each Lua state, also when package.loaded was tampered with. */
NEAP_EXPORT int luaopen_neap_core(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, "neap.core") == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  new_runtime(L);
  hide(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, "neap.core");
  return 1;
}
