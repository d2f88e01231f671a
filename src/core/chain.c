/*
** chain.c -- see chain.h. A coroutine that resumes another stands in a call of
** nest.c, with the other as its argument 1; all of them carry the task's mark.
*/
#include "core/chain.h"

#include <string.h>

#include "core/task.h"

#define DEPTH_MAX 200 /* coroutines within coroutines: Lua's own limit */

/* Only there the argument can be told from what a Lua function has left. */
static int in_c_function(lua_State *co) {
  lua_Debug ar;

  if (!lua_getstack(co, 0, &ar) || !lua_getinfo(co, "S", &ar)) return 0;
  return strcmp(ar.what, "C") == 0;
}

lua_State *chain_next(task *t, lua_State *co) {
  lua_State *next;

  if (!in_c_function(co) || !lua_isthread(co, 1)) return NULL;
  next = lua_tothread(co, 1);
  return next != co && task_of(next) == t ? next : NULL;
}

/* Where the trace of the running coroutine begins: at what called into the
** core, and above lua/neap/dump.lua, whose frames tell nobody anything. */
static int first_level(lua_State *L) {
  lua_Debug ar;
  int level = 1;

  while (lua_getstack(L, level + 1, &ar) && lua_getinfo(L, "S", &ar) &&
         strstr(ar.source, "neap/dump.lua") != NULL)
    level++;
  return level == 1 ? 1 : level + 1;
}

/* One of them on top of the trace that is on top. */
static void add(lua_State *L, lua_State *co, int inner) {
  luaL_traceback(L, co, NULL, co == L ? first_level(L) : 0);
  if (!inner) return;
  luaL_gsub(L, lua_tostring(L, -1), "stack traceback:",
            "\n\t(in a coroutine that was resumed here:)");
  lua_replace(L, -2);
  lua_concat(L, 2);
}

void chain_push_trace(lua_State *L, task *t) {
  lua_State *all[DEPTH_MAX], *co = t->owner->r->slots[t->anchor].L;
  int n = 0, i;

  luaL_checkstack(L, 20, NULL);
  if (t->state == TASK_NEW) {
    lua_pushnil(L);
    return;
  }
  for (; co != NULL && n < DEPTH_MAX; co = chain_next(t, co)) all[n++] = co;
  for (i = n - 1; i >= 0; i--) add(L, all[i], i < n - 1);
}

int chain_push_argument(lua_State *L, const task *t, int i) {
  if (t->state != TASK_WAITING || t->at == NULL || t->L == NULL) return 0;
  if (!in_c_function(t->L) || i > lua_gettop(t->L)) return 0;
  if (!lua_checkstack(t->L, 1)) return 0;
  lua_pushvalue(t->L, i);
  if (t->L != L) lua_xmove(t->L, L, 1);
  return 1;
}
