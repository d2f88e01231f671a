/*
** knots.c -- who waits for whom, and the circles in that. A task that awaits
** another or wants a lock waits for one; one that has ended but for its
** children waits for all of those.
**
** O1  A walk goes from task to task until it meets one that waits for nobody,
**     or one that a walk has met: then it is in a circle if that was the same
**     walk. Each task is met once.
** O2  A walk that ends at a task waiting for its children is a circle if one
**     of those met on the way is among them. So the end is kept for each walk.
*/
#include "core/chain.h"
#include "core/dump.h"
#include "core/scope.h"
#include "core/sync.h"
#include "core/task.h"

#define KNOTS_MAX 20      /* circles that are told of */
#define EFFORT_MAX 2000000 /* steps upwards in looking for descendants */

typedef struct visit {
  unsigned walk; /* 0: not met */
  unsigned prev; /* slot from which it was met, 0: the walk began there */
  unsigned end;  /* of the walk that has this number: slot, see O2 */
} visit;

/* One that holds what t waits for, and can be told in plain C. */
static task *holder(lua_State *L, task *t) {
  task *of = task_awaited_by(t);

  if (of == NULL && t->at != NULL && chain_push_argument(L, t, 1)) {
    of = sync_owner(L, t->owner->r, -1);
    lua_pop(L, 1);
  }
  return of != NULL && of->state < TASK_DONE && of->anchor != 0 ? of : NULL;
}

/* A primitive written in Lua says it in its field `holds`: how often each. */
static int push_holders_told(lua_State *L, rt *r, const task *t) {
  int n = 0, top = lua_gettop(L);

  if (!chain_push_argument(L, t, 1)) return 0;
  if (lx_test(L, r, -1, CLASS_LINE) == NULL ||
      lua_getiuservalue(L, -1, 1) != LUA_TTABLE) {
    lua_settop(L, top);
    return 0;
  }
  lua_pushliteral(L, "holds");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    int holds = lua_gettop(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, holds)) {
      int held = lua_tointeger(L, -1) > 0 &&
                 lx_test(L, r, -2, CLASS_TASK) != NULL;
      lua_pop(L, 1);
      if (!held) continue;
      lua_pushvalue(L, -1);
      lua_rawseti(L, holds + 1, ++n);
    }
  }
  if (n > 0) lua_replace(L, top + 1);
  lua_settop(L, n > 0 ? top + 1 : top);
  return n;
}

void knots_push_holders(lua_State *L, task *t) {
  task *of;

  luaL_checkstack(L, 10, NULL);
  if ((of = holder(L, t)) != NULL) {
    lua_createtable(L, 1, 0);
    task_push(L, of);
    lua_rawseti(L, -2, 1);
  } else if (push_holders_told(L, t->owner->r, t) == 0)
    lua_pushnil(L);
}

static task *next_of(lua_State *L, task *t) {
  task *of = holder(L, t);

  if (of == NULL && push_holders_told(L, t->owner->r, t) > 0) {
    lua_rawgeti(L, -1, 1);
    of = lua_touserdata(L, -1);
    lua_pop(L, 2);
    if (of->state >= TASK_DONE || of->anchor == 0) of = NULL;
  }
  return of;
}

static int is_joining(const task *t) {
  return t->at != NULL && t->at->op == &op_join;
}

/* Does t belong to what `end` waits for? */
static int descends(const task *t, const task *end, long *effort) {
  const scope *s;

  for (s = t->owner; s != NULL && --*effort > 0; s = s->parent)
    if (s == end->current) return 1;
  return 0;
}

/* From slot `from` on, as far as slot `to`; the oldest task is the first. */
static void push_circle(lua_State *L, rt *r, unsigned from, unsigned to) {
  task *x = task_of_slot(r, from);
  unsigned oldest = task_number(x);
  int n = 1, first = 1, i;

  for (; x->anchor != to; n++) {
    x = next_of(L, x);
    if (task_number(x) < oldest) oldest = task_number(x), first = n + 1;
  }
  lua_createtable(L, n, 0);
  x = task_of_slot(r, from);
  for (i = 0; i < n; i++) {
    task_push(L, x);
    lua_rawseti(L, -2, (i + n - first + 1) % n + 1);
    if (i < n - 1) x = next_of(L, x);
  }
}

/* The walk has come to `stop`, an earlier one of it or NULL, by way of `last`.
** Push a circle and return 1. */
static int close_walk(lua_State *L, rt *r, visit *met, unsigned walk,
                      task *last, task *stop, long *effort) {
  unsigned i;
  task *end;

  if (stop != NULL && met[stop->anchor].walk == walk) {
    push_circle(L, r, stop->anchor, last->anchor);
    return 1;
  }
  met[walk].end = stop != NULL ? met[met[stop->anchor].walk].end
                               : is_joining(last) ? last->anchor : 0;
  if (met[walk].end == 0) return 0;
  end = task_of_slot(r, met[walk].end);
  for (i = last->anchor; i != 0; i = met[i].prev)
    if (i != end->anchor && descends(task_of_slot(r, i), end, effort)) {
      push_circle(L, r, i, end->anchor);
      return 1;
    }
  return 0;
}

void knots_push(lua_State *L, rt *r) {
  long effort = EFFORT_MAX;
  unsigned i, n = 0, size = r->slot_n + 1;
  int top = lua_gettop(L);
  visit *met;

  luaL_checkstack(L, 20, NULL);
  lua_newtable(L);
  met = lua_newuserdatauv(L, size * sizeof *met, 0);
  for (i = 0; i < size; i++) met[i].walk = met[i].prev = met[i].end = 0;
  for (i = 1; i < size && n < KNOTS_MAX; i++) {
    task *x = task_of_slot(r, i), *last = NULL;
    if (x == NULL || met[i].walk != 0) continue;
    while (x != NULL && met[x->anchor].walk == 0) {
      met[x->anchor].walk = i;
      met[x->anchor].prev = last != NULL ? last->anchor : 0;
      last = x;
      x = next_of(L, x);
    }
    if (close_walk(L, r, met, i, last, x, &effort))
      lua_rawseti(L, top + 1, ++n);
  }
  lua_settop(L, top + 1);
}
