/*
** context.c -- see context.h. The values of a task are a table that is never
** changed: a spawn copies one reference, a set copies the table. They stand
** in the table rt.r_ctx at the index of the task's slot.
*/
#include <math.h>

#include "core/context.h"
#include "core/fault.h"
#include "core/lx.h"
#include "core/task.h"

static task *running(lua_State *L, rt *r) {
  task *t = task_of(L);

  if (t == NULL) t = r->current; /* inside a plain coroutine */
  return t != NULL && t->state < TASK_DONE ? t : NULL;
}

/* Push the values of t and return 1, or push nothing. */
static int push_values(lua_State *L, rt *r, task *t) {
  if (r->r_ctx == 0) return 0;
  lx_ref(L, r->r_ctx);
  if (lua_rawgeti(L, -1, t->anchor) != LUA_TTABLE) return lua_pop(L, 2), 0;
  lua_remove(L, -2);
  return 1;
}

/* Make the value on top those of slot i; pops it. */
static void keep_values(lua_State *L, rt *r, unsigned i) {
  lx_ref(L, r->r_ctx);
  lua_insert(L, -2);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}

void context_inherit(lua_State *L, rt *r, unsigned i) {
  task *t = running(L, r);

  if (t == NULL || !push_values(L, r, t)) lua_pushboolean(L, 0);
  keep_values(L, r, i);
}

void context_forget(lua_State *L, rt *r, unsigned i) {
  lx_ref(L, r->r_ctx);
  lua_pushnil(L);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}

static void check_key(lua_State *L, int idx) {
  luaL_argcheck(L, !lua_isnoneornil(L, idx), idx, "a key cannot be nil");
  luaL_argcheck(L, lua_type(L, idx) != LUA_TNUMBER ||
                       !isnan(lua_tonumber(L, idx)),
                idx, "a key cannot be NaN");
}

/* core.ctx_get(key) -> value of the running task, or nil */
static int l_ctx_get(lua_State *L) {
  rt *r = rt_of(L);
  task *t;

  check_key(L, 1);
  if ((t = running(L, r)) == NULL || !push_values(L, r, t))
    return luaL_pushfail(L), 1;
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

/* core.ctx_set(key, value) -> the value before */
static int l_ctx_set(lua_State *L) {
  rt *r = rt_of(L);
  task *t = running(L, r);

  check_key(L, 1);
  lua_settop(L, 2);
  if (t == NULL)
    return fault_error(L, "not_in_task",
                       "neap.ctx: not inside a task; task-locals belong to "
                       "one");
  lua_newtable(L); /* 3 */
  if (r->r_ctx == 0) {
    lua_newtable(L);
    r->r_ctx = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  if (push_values(L, r, t)) { /* 4 */
    lua_pushnil(L);
    while (lua_next(L, 4)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, 3);
    }
    lua_settop(L, 3);
  }
  lua_pushvalue(L, 1);
  lua_rawget(L, 3); /* 4: the value before */
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawset(L, 3);
  lua_pushvalue(L, 3);
  keep_values(L, r, t->anchor);
  return 1;
}

static const luaL_Reg functions[] = {{"ctx_get", l_ctx_get},
                                     {"ctx_set", l_ctx_set},
                                     {NULL, NULL}};

void context_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
