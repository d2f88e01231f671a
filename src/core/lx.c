/*
** lx.c -- see lx.h.
*/
#include "core/lx.h"

#include <math.h>
#include <string.h>

#include "core/hostile.h"

/* ORDER CLASSES */
const char *const lx_class_names[CLASS_MAX] = {
    "neap.task",      "neap.scope", "neap.future", "neap.event",
    "neap.lock",      "neap.semaphore", "neap.guard", "neap.queue",
    "neap.emitter",   "neap.listener",  "neap.fault", "neap.cancelled",
    "neap.branch", "neap.line", "neap.catcher"};

void lx_functions(lua_State *L, rt *r, const luaL_Reg *fns) {
  lx_ref(L, r->r_box);
  luaL_setfuncs(L, fns, 1);
}

void lx_class(lua_State *L, rt *r, enum lx_class c, const luaL_Reg *methods,
              const luaL_Reg *metas, lua_CFunction index) {
  luaL_newmetatable(L, lx_class_names[c]);
  if (metas != NULL) lx_functions(L, r, metas);
  if (methods != NULL) {
    if (index != NULL) lx_ref(L, r->r_box);
    lua_newtable(L);
    lx_functions(L, r, methods);
    if (index != NULL) lua_pushcclosure(L, index, 2);
    lua_setfield(L, -2, "__index");
  }
  r->mt[c] = lua_topointer(L, -1);
  r->r_class[c] = luaL_ref(L, LUA_REGISTRYINDEX);
}

void *lx_new(lua_State *L, rt *r, enum lx_class c, size_t size, int nuv) {
  void *p;

  hostile_collect(L, r);
  p = lua_newuserdatauv(L, size, nuv);
  memset(p, 0, size);
  lx_ref(L, r->r_class[c]);
  lua_setmetatable(L, -2);
  return p;
}

void *lx_test(lua_State *L, rt *r, int idx, enum lx_class c) {
  void *p = lua_touserdata(L, idx);
  const void *mt;

  if (p == NULL || !lua_getmetatable(L, idx)) return NULL;
  mt = lua_topointer(L, -1);
  lua_pop(L, 1);
  return mt == r->mt[c] ? p : NULL;
}

void *lx_check(lua_State *L, rt *r, int idx, enum lx_class c) {
  void *p = lx_test(L, r, idx, c);
  if (unlikely(p == NULL)) luaL_typeerror(L, idx, lx_class_names[c]);
  return p;
}

int lx_callable(lua_State *L, int idx) {
  if (lua_isfunction(L, idx)) return 1;
  if (luaL_getmetafield(L, idx, "__call") == LUA_TNIL) return 0;
  lua_pop(L, 1);
  return 1;
}

void lx_check_callable(lua_State *L, int idx) {
  if (unlikely(!lx_callable(L, idx))) luaL_typeerror(L, idx, "function");
}

int64_t lx_seconds(lua_State *L, int idx, double *given) {
  double s = luaL_checknumber(L, idx);

  if (given != NULL) *given = s;
  luaL_argcheck(L, !isnan(s), idx, "seconds expected, got NaN");
  luaL_argcheck(L, s >= 0, idx, "seconds must not be negative");
  return s > 9e9 ? INT64_MAX : (int64_t)ceil(s * 1e9);
}

int lx_keep_table(lua_State *L, const char *weak) {
  if (weak != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, weak);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void lx_push_site(lua_State *L, int idx) {
  lua_Debug ar;

  lua_pushvalue(L, idx);
  if (!lua_isfunction(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "[callable]");
    return;
  }
  lua_getinfo(L, ">S", &ar);
  if (ar.linedefined > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  else
    lua_pushstring(L, ar.short_src);
}

static const char null_place = 0;

void lx_push_null(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&null_place);
}

int lx_is_null(lua_State *L, int idx) {
  return lua_islightuserdata(L, idx) &&
         lua_touserdata(L, idx) == (void *)(uintptr_t)&null_place;
}
