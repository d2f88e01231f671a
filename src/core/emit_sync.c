/*
** emit_sync.c -- listeners called as functions are: in the caller, in a task
** or not, unable to wait.
**
** Stack: 1 emitter, 2 name, 3 .. base-1 the arguments, base the record, base+1
** its array, base+2 the first failure, base+3 the outcomes,
** or nil.
*/
#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"

/* A failure is on top. */
static void failed(lua_State *L, emitter *e, int base, int *failures) {
  rt *r = rt_of(L);

  if (e->errors == ERRORS_REPORT) {
    hook_report(L, r, "listener", task_of(L));
  } else if ((*failures)++ == 0) {
    lua_pushvalue(L, -1);
    lua_replace(L, base + 2);
  } else if (!lua_rawequal(L, base + 2, -1)) {
    fault_attach(L, r, base + 2, -1);
    hook_report(L, r, "secondary", task_of(L));
  }
}

/* The outcome of a listener; its value or error is on top. Pops that. */
static void note(lua_State *L, int base, int ok, lua_Integer i) {
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, ok);
  lua_setfield(L, -2, "ok");
  lua_insert(L, -2);
  lua_setfield(L, -2, ok ? "value" : "err");
  lua_rawseti(L, base + 3, i);
}

/* Call the listener on top, and pop it. */
static int call(lua_State *L, int base) {
  const listener *l = lua_touserdata(L, -1);
  int named = l->named, at = lua_gettop(L), handler = 0, i, status;

  if (lua_getiuservalue(L, at, LI_GIVEN) == LUA_TNIL) { /* limits need waits */
    lua_pop(L, 1);
    lua_getiuservalue(L, at, LI_FN);
  }
  if (l->left > 0 && --((listener *)lua_touserdata(L, at))->left == 0)
    emitter_remove(L, at);
  if (task_of(L) != NULL) {
    lua_pushcfunction(L, fault_handler);
    lua_replace(L, at);
    handler = at;
  }
  if (named) lua_pushvalue(L, 2);
  for (i = 3; i < base; i++) lua_pushvalue(L, i);
  status = lua_pcall(L, base - 3 + named, 1, handler);
  lua_replace(L, at); /* its value, or its error */
  return status == LUA_OK;
}

static int l_emitter_emit_sync(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:emit_sync");
  int top = lua_gettop(L), base = top + 1, failures = 0;
  lua_Integer ran = 0, noted = 0;
  record *rec;
  unsigned i, n;

  emitter_check_event(L, e, "emitter:emit_sync");
  luaL_checkstack(L, top + 24, "too many arguments");
  rec = emitter_push_concerned(L, e, 2);
  n = rec ? rec->n : 0;
  if (rec != NULL) {
    lua_getiuservalue(L, base, REC_ARRAY);
    if (rec->match || !record_idle(rec))
      emitter_wake_waiters(L, e, base, 3, top);
  } else
    lua_pushnil(L);
  lua_pushnil(L);
  if (e->errors == ERRORS_COLLECT)
    lua_newtable(L);
  else
    lua_pushnil(L);
  for (i = 1; i <= n; i++) {
    const listener *l;
    int ok, hidden;
    lua_rawgeti(L, base + 1, i);
    l = lua_touserdata(L, -1);
    hidden = l->hidden;
    if (l->removed) {
      lua_pop(L, 1);
      continue;
    }
    ran += !hidden;
    ok = call(L, base);
    if (e->errors != ERRORS_COLLECT) {
      if (!ok) failed(L, e, base, &failures);
      lua_pop(L, 1);
    } else if (hidden)
      lua_pop(L, 1);
    else
      note(L, base, ok, ++noted);
  }
  if (failures > 0) {
    lua_settop(L, base + 2);
    return lua_error(L);
  }
  if (e->errors == ERRORS_COLLECT) {
    lua_pushinteger(L, noted);
    lua_setfield(L, base + 3, "n");
    lua_pushinteger(L, ran);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushinteger(L, ran);
  return 1;
}

int emit_sync_push_listener(lua_State *L) {
  lua_Debug ar, inner;
  int level;

  for (level = 1; lua_getstack(L, level, &ar); level++) {
    int is_ours;
    lua_getinfo(L, "f", &ar);
    is_ours = lua_tocfunction(L, -1) == l_emitter_emit_sync;
    lua_pop(L, 1);
    if (!is_ours) continue;
    lua_getstack(L, level - 1, &inner);
    lua_getinfo(L, "f", &inner);
    lx_push_site(L, -1);
    lua_replace(L, -2);
    lua_getlocal(L, &ar, 2);
    luaL_tolstring(L, -1, NULL);
    lua_replace(L, -2);
    return 1;
  }
  return 0;
}

const luaL_Reg emit_sync_methods[] = {{"emit_sync", l_emitter_emit_sync},
                                      {NULL, NULL}};
