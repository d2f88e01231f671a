/*
** light.c -- tasks that leave nothing behind: a function that ends well before
** it waits, and whose handle nobody has asked for, needs no record of its own.
** It runs in one that is used again and again.
**
** H1  A light task (T_LIGHT) is a task in every respect but two: its handle has
**     no function (user value 2), and its end is the business of task_call.
** H2  Whoever gets the handle, waits, fails, owns a lock or a scope is shown:
**     no light task any more.
** H3  For each depth of nested emits there is one at most. It keeps slot and
**     coroutine; as long as it is spare its state is DONE, its L is NULL, and
**     its coroutine is nobody's.
**     The table r_spares keeps its handle, too, so that it outlives its end.
*/
#include "core/context.h"
#include "core/fault.h"
#include "core/lx.h"
#include "core/task.h"

enum { FN = 2 }; /* index of the function in light_main's frame */

/* The outermost call of co, light_main. */
static int outermost(lua_State *co, lua_Debug *ar) {
  int low = 0, high = 1;

  while (lua_getstack(co, high, ar)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) { /* low is there, high is not */
    int middle = low + (high - low) / 2;
    if (lua_getstack(co, middle, ar))
      low = middle;
    else
      high = middle;
  }
  return lua_getstack(co, low, ar);
}

void task_show(lua_State *L, task *t) {
  rt *r = t->owner->r;
  lua_State *co = r->slots[t->anchor].L;
  lua_Debug ar;

  t->flags &= (unsigned char)~T_LIGHT;
  r->slots[t->anchor].born = loop_ms(&r->loop); /* just now */
  lx_ref(L, r->r_anchor);
  lua_rawgeti(L, -1, t->anchor);
  if (outermost(co, &ar) && lua_getlocal(co, &ar, FN) != NULL) {
    if (co != L) lua_xmove(co, L, 1);
    lua_setiuservalue(L, -2, 2);
  }
  lua_pop(L, 2);
}

static int k_light(lua_State *L, int status, lua_KContext ctx) {
  task *t = (task *)ctx;

  if (likely(t->flags == T_LIGHT && status == LUA_OK && !t->holds &&
             t->current == t->owner)) {
    t->state = TASK_DONE;
    return 0;
  }
  luaL_checkstack(L, 10, NULL);
  task_push(L, t); /* shown by that */
  lua_insert(L, 1);
  lx_ref(L, t->owner->r->r_anchor);
  lua_insert(L, 2);
  lua_remove(L, FN + 2);
  return task_k_body(L, status, ctx);
}

static int light_main(lua_State *L) { /* handler, fn, fn, arguments */
  lua_KContext t = (lua_KContext)task_of(L);

  return k_light(L, lua_pcallk(L, lua_gettop(L) - FN - 1, LUA_MULTRET, 1, t,
                               k_light), t);
}

/* The spare task of this depth, with room for the arguments. */
static task *take(lua_State *L, rt *r, int nargs) {
  task *t = r->spare[r->depth];
  lua_State *co;

  if (unlikely(t == NULL)) {
    t = task_new_spare(L, r);
    lx_ref(L, r->r_spares);
    lua_insert(L, -2);
    lua_rawseti(L, -2, SPARE_TASK + r->depth); /* the place exists */
    lua_pop(L, 1);
    r->spare[r->depth] = t;
  }
  co = r->slots[t->anchor].L;
  if (unlikely(nargs > LUA_MINSTACK - 10 && !lua_checkstack(co, nargs + 10)))
    luaL_error(L, "too many arguments to a task");
  if (unlikely(r->r_ctx != 0)) context_inherit(L, r, t->anchor);
  if (unlikely(lua_gethook(co) != lua_gethook(L)))
    lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
  t->state = TASK_READY;
  t->swallows = 0;
  t->nargs = (unsigned short)(nargs + FN + 1);
  t->L = co;
  *(task **)lua_getextraspace(co) = t;
  r->slots[t->anchor].next = ++r->spawned;
  return t;
}

/* It is none any more: push its handle. */
static void release(lua_State *L, rt *r, task *t) {
  if (t->flags & T_LIGHT) task_show(L, t);
  lx_ref(L, r->r_spares);
  lua_rawgeti(L, -1, SPARE_TASK + r->depth);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, SPARE_TASK + r->depth);
  lua_remove(L, -2);
  r->spare[r->depth] = NULL;
}

task *task_call(lua_State *L, rt *r, scope *s, int nargs) {
  task *t;
  lua_State *co;

  if (unlikely(r->depth >= EMIT_DEPTH || r->seeing != 0)) {
    t = r->depth >= EMIT_DEPTH ? task_spawn(L, r, s, nargs)
                               : task_begin(L, r, s, nargs);
    lua_replace(L, -2); /* over the function */
    return t;
  }
  t = take(L, r, nargs);
  co = t->L;
  lua_pushcfunction(co, light_main);
  lua_pushcfunction(co, fault_handler);
  lua_xmove(L, co, nargs + 2);
  t->flags = T_LIGHT;
  t->owner = t->current = s;
  list_append(&s->children, &t->sibling);
  s->live++;
  r->live++;
  r->depth++;
  task_resume(r, t, L);
  r->depth--;
  if (unlikely(t->flags != T_LIGHT || t->state != TASK_DONE)) {
    release(L, r, t);
    return t;
  }
  node_remove(&t->sibling);
  s->live--;
  r->live--;
  if (unlikely(r->r_ctx != 0)) context_forget(L, r, t->anchor);
  t->L = NULL;
  *(task **)lua_getextraspace(co) = NULL;
  return NULL;
}
