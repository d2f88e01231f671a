/*
** giveup.c -- tasks that end without concluding: their coroutine broke (lack
** of memory or of stack outside of any pcall), or shutdown gives them up.
** What they hold is released; variables to be closed are closed, unable to
** wait.
*/
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/sync.h"
#include "core/task.h"

/* The task's coroutine, and those of the user's own inside which it waits,
** innermost first. Each stands at index 1 of the call that resumed it. */
static void reset_chain(lua_State *L, rt *r, lua_State *co, task *t, int depth) {
  if (co != t->L && depth < 200 && lua_isthread(co, 1))
    reset_chain(L, r, lua_tothread(co, 1), t, depth + 1);
  if (lua_resetthread(co) != LUA_OK && depth >= 0) {
    lua_xmove(co, L, 1);
    hook_report(L, r, "shutdown", t);
    lua_pop(L, 1);
  }
  if (co != r->slots[t->anchor].L) *(task **)lua_getextraspace(co) = NULL;
}

static int l_reset(lua_State *L) { /* rt, task */
  rt *r = lua_touserdata(L, 1);
  task *t = lua_touserdata(L, 2);

  reset_chain(L, r, r->slots[t->anchor].L, t, 0);
  return 0;
}

static int l_break_locks(lua_State *L) { /* rt, task */
  sync_break_locks(L, lua_touserdata(L, 2));
  return 0;
}

static void protect(lua_State *L, rt *r, task *t, lua_CFunction fn) {
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, r);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* Close the scopes of t without their ends; children go to the owner. */
static void leave_scopes(lua_State *L, task *t) {
  while (t->current != t->owner) {
    scope *s = t->current;
    scope_dissolve(L, s, t->owner);
    t->current = s->parent;
    if (s->kind == SCOPE_TASK) base_free(s);
  }
}

/* --- a coroutine that broke --- */

static int store_death(lua_State *L) { /* the error, task */
  task *t = lua_touserdata(L, 2);
  scope *owner = t->owner;

  task_push(L, t); /* 3 */
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, 1);
  task_ended(t, TASK_FAILED);
  owner->r->failed++;
  lua_pushvalue(L, 1);
  scope_child_failed(L, owner, t);
  scope_child_ended(owner, t);
  t->L = NULL;
  task_slot_leave(L, t);
  return 0;
}

void task_die(lua_State *from, task *t) {
  rt *r = t->owner->r;
  lua_State *L = r->slots[t->anchor].L;

  if (t->flags & T_LIGHT) task_show(from, t);
  t->flags |= T_ENDING;
  if (lua_checkstack(L, 1) && lua_gettop(L) > 0)
    lua_xmove(L, from, 1);
  else
    lua_pushliteral(from, "not enough memory");
  t->L = L;
  protect(from, r, t, l_reset);
  if (t->holds) protect(from, r, t, l_break_locks);
  leave_scopes(from, t);
  *(task **)lua_getextraspace(L) = NULL;
  lua_pushcfunction(from, store_death);
  lua_insert(from, -2);
  lua_pushlightuserdata(from, t);
  if (lua_pcall(from, 2, 0, 0) != LUA_OK) lua_pop(from, 1);
  if (t->L != NULL) { /* not even that: end it without a word in Lua */
    scope *owner = t->owner;
    if (t->state < TASK_DONE) task_ended(t, TASK_FAILED);
    t->flags |= T_EMPTY;
    scope_child_ended(owner, t); /* its slot is lost, the task stays in it */
    t->L = NULL;
  }
}

/* --- giving up --- */

/* t, or a descendant that has none: whom nobody else's clean-up needs. */
static task *leaf_of(task *t) {
  scope *s = t->current;

  while (s != t->owner)
    if (list_empty(&s->children))
      s = s->parent;
    else {
      t = container_of(list_first(&s->children), task, sibling);
      s = t->current;
    }
  return t;
}

/* Its variables are closed: that is Lua code, which may do things. */
static void stop(lua_State *L, rt *r, task *t) {
  park_abandon(t);
  loop_unsleep(&r->loop, &t->timer);
  t->flags |= T_ABANDONED | T_ENDING;
  protect(L, r, t, l_reset);
  if (t->holds) protect(L, r, t, l_break_locks);
}

static void bury(lua_State *L, rt *r, task *t) {
  scope *owner = t->owner;

  leave_scopes(L, t);
  *(task **)lua_getextraspace(r->slots[t->anchor].L) = NULL;
  t->L = NULL;
  t->flags |= T_EMPTY;
  task_push(L, t);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, 1);
  lua_pop(L, 1);
  task_ended(t, TASK_CANCELLED);
  if (r->seeing != 0) see_buried(L, r, t);
  scope_child_ended(owner, t);
  task_slot_leave(L, t);
}

/* C coroutines stay: they put things in order. */
static void drop_ready_tasks(neap_loop *l) {
  ready **at = &l->head;

  while (*at != NULL)
    if ((*at)->kind != READY_CO)
      *at = (*at)->next;
    else
      at = &(*at)->next;
  l->tail = at;
}

static task *task_in_slot(lua_State *L, rt *r, unsigned i) {
  task *t;

  lx_ref(L, r->r_anchor);
  lua_rawgeti(L, -1, i);
  t = lx_test(L, r, -1, CLASS_TASK);
  lua_pop(L, 2);
  return t != NULL && t->L != NULL ? t : NULL;
}

int task_abandon_all(lua_State *L, rt *r) {
  unsigned i;
  int n = 0;

  drop_ready_tasks(&r->loop);
  for (i = r->slot_n; i >= 1;) {
    task *t = task_in_slot(L, r, i);
    if (t == NULL) {
      i--;
      continue;
    }
    t = leaf_of(t);
    if (t->flags & T_ABANDONED) {
      bury(L, r, t);
      n++;
    } else
      stop(L, r, t);
    if (i < r->slot_n) i = r->slot_n; /* what it closed may have spawned */
  }
  drop_ready_tasks(&r->loop); /* woken meanwhile */
  return n;
}
