/*
** hook.c -- see hook.h.
*/
#include "core/hook.h"

#include <stdio.h>

#include "core/fault.h"
#include "core/task.h"

static void print(lua_State *L, const char *what, int info) {
  lua_getfield(L, info, "error");
  fprintf(stderr, "neap: %s: ", what);
  lua_getfield(L, info, "name");
  if (lua_isstring(L, -1)) fprintf(stderr, "%s: ", lua_tostring(L, -1));
  lua_pop(L, 1);
  fprintf(stderr, "%s\n", fault_text(L, -1));
  lua_getfield(L, info, "traceback");
  if (lua_isstring(L, -1)) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_pop(L, 3);
  fflush(stderr);
}

static int build_and_call(lua_State *L) { /* error, task or nil, what, rt */
  rt *r = lua_touserdata(L, 4);
  const char *what = lua_tostring(L, 3);

  lua_createtable(L, 0, 5); /* 5 */
  lua_pushvalue(L, 1);
  lua_setfield(L, 5, "error");
  lua_pushvalue(L, 3);
  lua_setfield(L, 5, "what");
  fault_push_trace(L, r, 1, 2);
  lua_setfield(L, 5, "traceback");
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 2);
    lua_setfield(L, 5, "task");
    lua_getfield(L, 2, "name");
    lua_setfield(L, 5, "name");
  }
  lx_ref(L, r->r_hook);
  if (lua_rawgeti(L, -1, 1) == LUA_TNIL) {
    print(L, what, 5);
    return 0;
  }
  lua_pushvalue(L, 5);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) { /* a failing hook is printed */
    fprintf(stderr, "neap: on_error itself failed: %s\n", fault_text(L, -1));
    print(L, what, 5);
  }
  return 0;
}

void hook_report_of(lua_State *L, rt *r, const char *what, int err, int who) {
  err = lua_absindex(L, err);
  if (who != 0) who = lua_absindex(L, who);
  luaL_checkstack(L, 12, NULL);
  lua_pushcfunction(L, build_and_call);
  lua_pushvalue(L, err);
  if (who != 0)
    lua_pushvalue(L, who);
  else
    lua_pushnil(L);
  lua_pushstring(L, what);
  lua_pushlightuserdata(L, r);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    fprintf(stderr, "neap: %s: a failure could not be reported: %s\n", what,
            lua_tostring(L, -1) ? lua_tostring(L, -1) : "?");
    lua_pop(L, 1);
  }
}

void hook_report(lua_State *L, rt *r, const char *what, task *t) {
  if (t == NULL || t->anchor == 0) {
    hook_report_of(L, r, what, -1, 0);
    return;
  }
  task_push(L, t);
  hook_report_of(L, r, what, -2, -1);
  lua_pop(L, 1);
}
