/*
** park.c -- see park.h.
**
** P1  A task is parked on at most one wait; w->who is the task, t->at is w.
** P2  The first of grant, cancel, deadline that reaches the wait clears who
**     and at; the later ones find nobody (decision rule, runtime.md 2.4).
** P3  After abort() returned 0 the owner of the wait never touches it again.
** P4  Only the scheduler resumes: it sets RUNNING before. Who else resumes the
**     coroutine of a task, by Lua's own coroutine.resume, gets nothing, and
**     what he passes is dropped: the height of the stack is kept for that.
*/
#include "core/park.h"

#include <string.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hostile.h"
#include "core/scope.h"
#include "core/select.h"
#include "core/testkit.h"

/* Find "table.sort" for the function on top of the stack; pops it. */
static const char *push_library_name(lua_State *L) {
  int found = 0;

  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* fn loaded */
  lua_pushnil(L);
  while (!found && lua_next(L, -2)) { /* fn loaded modname module */
    if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)) {
      lua_pushnil(L);
      while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, -6)) {
          const char *mod = lua_tostring(L, -4);
          if (strcmp(mod, "_G") == 0)
            lua_pushvalue(L, -2);
          else
            lua_pushfstring(L, "%s.%s", mod, lua_tostring(L, -2));
          lua_replace(L, -7); /* over fn */
          lua_pop(L, 2);
          found = 1;
          break;
        }
        lua_pop(L, 1);
      }
    }
    lua_pop(L, 1);
  }
  lua_settop(L, lua_gettop(L) - (found ? 2 : 1));
  return found ? lua_tostring(L, -1) : NULL;
}

/* The C function that stands between the call and the task. */
static const char *push_culprit(lua_State *L) {
  lua_Debug ar;
  int level;

  for (level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Snf", &ar);
    if (strcmp(ar.what, "C") == 0) {
      const char *name = push_library_name(L);
      if (name != NULL && strcmp(name, "pcall") != 0 &&
          strcmp(name, "xpcall") != 0 && strcmp(name, "error") != 0)
        return name;
      if (name == NULL && ar.name != NULL) {
        lua_pushstring(L, ar.name);
        return lua_tostring(L, -1);
      }
    }
    lua_pop(L, 1);
  }
  return NULL;
}

BASE_NORETURN static void refuse(lua_State *L, const char *what, int in_task) {
  const char *name;

  if (emit_sync_push_listener(L))
    fault_error(L, "not_in_task",
                "%s: cannot wait inside a listener called by "
                "emitter:emit_sync: the one from %s, of event '%s'", what,
                lua_tostring(L, -2), lua_tostring(L, -1));
  if (lua_pushthread(L) || in_task || rt_of(L)->current == NULL) {
    lua_pop(L, 1);
    name = in_task ? push_culprit(L) : NULL;
    if (!in_task)
      fault_error(L, "not_in_task",
                  "%s: cannot wait here: not inside a task; call it from a "
                  "function run by neap.run", what);
    if (name != NULL)
      fault_error(L, "not_in_task",
                  "%s: cannot wait inside %s: Lua cannot suspend that call",
                  what, name);
    fault_error(L, "not_in_task",
                "%s: cannot wait here: called through a C function, a "
                "metamethod or a finalizer that Lua cannot suspend", what);
  }
  lua_pop(L, 1);
  fault_error(L, "not_in_task",
              "%s: cannot wait inside a coroutine made by "
              "coroutine.create or wrap: its yields go to whoever resumed it",
              what);
  abort(); /* not reached */
}

static void unpark(task *t, neap_wait *w) {
  w->who = NULL;
  t->at = NULL;
  if (w->flags & NEAP_COUNTED) t->owner->r->loop.counted--;
  if (t->timer != 0) loop_unsleep(&t->owner->r->loop, &t->timer);
  t->state = TASK_READY;
  ready_push(&t->owner->r->loop, (ready *)(void *)t);
}

/* P4 */
static int is_stray(const task *t) { return unlikely(t->state != TASK_RUNNING); }

static int k_cancelled(lua_State *L, int status, lua_KContext ctx) {
  task *t = task_of(L);

  (void)status;
  if (is_stray(t)) return lua_yieldk(L, 0, ctx, k_cancelled);
  return scope_raise(L, t);
}

#define SWALLOWED_MAX 100
#define PAUSE_MIN_MS 1
#define PAUSE_MAX_MS 50

/* A cancelled task at a checkpoint: others run first. One that swallows its
** cancellation again and again waits longer and longer. */
static void cancelled_entry(lua_State *L, task *t) {
  rt *r = t->owner->r;

  t->state = TASK_READY;
  if (t->swallows > SWALLOWED_MAX) {
    unsigned n = t->swallows - SWALLOWED_MAX - 1;
    int64_t ms = n > 6 ? PAUSE_MAX_MS : (int64_t)PAUSE_MIN_MS << n;
    if (ms > PAUSE_MAX_MS) ms = PAUSE_MAX_MS;
    if (n == 0) scope_report_swallowed(L, t);
    t->wait.op = NULL;
    if (loop_sleep(&r->loop, &t->timer, loop_now(&r->loop) + ms * 1000000) == 0)
      t->state = TASK_WAITING; /* t->at stays NULL: nothing to interrupt */
  }
  if (t->state == TASK_READY) ready_push(&r->loop, (ready *)(void *)t);
  t->L = L;
  lua_yieldk(L, 0, 0, k_cancelled);
}

task *park_may_wait(lua_State *L, const char *what) {
  task *t = task_of(L);

  if (unlikely(t == NULL || !lua_isyieldable(L) || t->flags & T_BLOCKED))
    refuse(L, what, t != NULL);
  return t;
}

task *park_enter(lua_State *L, const char *what) {
  task *t = park_may_wait(L, what);

  hostile_collect(L, t->owner->r);
  if (unlikely(t->probed)) testkit_entered(L, t, what);
  if (unlikely(t->current->cause != NULL)) cancelled_entry(L, t);
  return t;
}

#define TOP_SHIFT 8 /* in neap_wait.flags, above the user's */

static int k_park(lua_State *L, int status, lua_KContext ctx) {
  neap_wait *w = (neap_wait *)ctx;
  task *t = task_of(L);

  (void)status;
  if (is_stray(t)) {
    if (!(t->flags & T_INTERRUPTED)) lua_settop(L, (int)(w->flags >> TOP_SHIFT));
    return lua_yieldk(L, 0, ctx, k_park);
  }
  if (unlikely(t->flags & (T_INTERRUPTED | T_ABORTING))) {
    unsigned was = t->flags;
    t->flags &= (unsigned char)~(T_INTERRUPTED | T_ABORTING);
    if (was & T_INTERRUPTED) return scope_raise(L, t);
    if (w->rc == NEAP_ECANCELED && t->current->cause != NULL)
      return scope_raise(L, t);
  }
  return w->k(L, w->rc, ctx);
}

int park(lua_State *L, task *t, neap_wait *w, const neap_op *op,
         lua_KFunction k) {
  neap_loop *l = &t->owner->r->loop;

  t->L = L;
  w->op = op;
  w->who = t;
  w->k = k;
  t->at = w;
  t->state = TASK_WAITING;
  w->rc = (int)loop_ms(l);
  w->flags = (w->flags & NEAP_COUNTED) | (unsigned)lua_gettop(L) << TOP_SHIFT;
  if (w->flags & NEAP_COUNTED) l->counted++;
  return lua_yieldk(L, 0, (lua_KContext)w, k_park);
}

task *park_task(neap_wait *w) {
  ready *who = w->who;
  return likely(who->kind == READY_TASK) ? w->who : choice_task(w);
}

int park_item(neap_wait *w) {
  ready *who = w->who;
  return likely(who->kind == READY_TASK) ? 2 : choice_item(w);
}

void park_wake_with(neap_wait *w, int rc, int nvalues) {
  task *t = park_task(w);

  if (unlikely(w->who != t)) w = choice_made(w);
  w->rc = rc;
  w->flags += (unsigned)nvalues << TOP_SHIFT;
  t->nargs = (unsigned short)nvalues;
  unpark(t, w);
}

unsigned park_age_ms(const task *t) {
  return loop_age_ms(&t->owner->r->loop, (unsigned)t->at->rc);
}

/* run/co.h: wake whoever is parked on w. */
void wait_wake(neap_wait *w, int rc) {
  ready *who = w->who;

  if (who == NULL) return;
  if (likely(who->kind == READY_TASK)) {
    w->rc = rc;
    unpark((task *)(void *)who, w);
  } else if (who->kind == READY_CO)
    co_wake((neap_co *)(void *)who, rc);
  else
    park_wake_with(w, rc, 0);
}

#define TOP_UNIT ((lua_KContext)1 << (sizeof(lua_KContext) * 4))

static int k_yielded(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (is_stray(task_of(L))) {
    lua_settop(L, (int)(ctx / TOP_UNIT));
    return lua_yieldk(L, 0, ctx, k_yielded);
  }
  return (int)(ctx % TOP_UNIT);
}

int park_yield(lua_State *L, task *t, int nresults) {
  if (unlikely(t->owner->r->loop.shuffle)) t->kind = READY_YIELDED;
  t->L = L;
  t->state = TASK_READY;
  ready_push(&t->owner->r->loop, (ready *)(void *)t);
  return lua_yieldk(L, 0, lua_gettop(L) * TOP_UNIT + nresults, k_yielded);
}

int park_finish(lua_State *L, int nresults) {
  task *t = task_of(L);

  if (likely(--t->owner->r->loop.budget > 0)) return nresults;
  if (t->flags & T_BLOCKED || !lua_isyieldable(L))
    return nresults;
  return park_yield(L, t, nresults);
}

/* Call abort(). The record may be gone when it has returned 0, so all that is
** needed of it is read before. */
static int undo(task *t, neap_wait *w) {
  unsigned flags = w->flags;

  w->who = NULL;
  if (w->op->abort(w) != 0) {
    w->who = t;
    t->flags |= T_ABORTING;
    return 0;
  }
  t->at = NULL;
  if (flags & NEAP_COUNTED) t->owner->r->loop.counted--;
  if (t->timer != 0) loop_unsleep(&t->owner->r->loop, &t->timer);
  return 1;
}

void park_interrupt(task *t) {
  neap_wait *w = t->at;

  if (w == NULL || w->op->abort == NULL || (t->flags & T_ABORTING)) return;
  if (!undo(t, w)) return;
  t->flags |= T_INTERRUPTED;
  t->state = TASK_READY;
  ready_push(&t->owner->r->loop, (ready *)(void *)t);
}

void park_timed_out(task *t) {
  neap_wait *w = t->at;

  if (w->op->abort(w) != 0) return;
  wait_wake(w, NEAP_ETIMEDOUT);
}

int park_abort_listed(neap_wait *w) {
  node_remove(wait_node(w));
  return 0;
}

void park_abandon(task *t) {
  neap_wait *w = t->at;

  if (w == NULL) return;
  if (w->op->abort != NULL && !(t->flags & T_ABORTING) && undo(t, w)) return;
  w->who = NULL;
  t->at = NULL;
  if (w->flags & NEAP_COUNTED) t->owner->r->loop.counted--;
  if (t->timer != 0) loop_unsleep(&t->owner->r->loop, &t->timer);
}
