/*
** task.c -- see task.h. A task's body runs under a base lua_pcallk inside its
** coroutine; results are stored there too, so that lack of memory is an error
** of that coroutine and not of the scheduler.
*/
#include "core/task.h"

#include <string.h>

#include "core/context.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"
#include "core/sync.h"

#define IDLE_MAX 1024 /* coroutines kept for the next spawn */
#define LOOK_AHEAD 384 /* bytes of a coroutine that every step needs */
#define ROOM 10 /* stack slots that create() and finish() use at most */

/*
** Slots. The table r_threads anchors a coroutine at each used index, r_anchor
** the task that runs in it. A task that ends leaves its coroutine in the slot:
** the next spawn takes slot and coroutine together, in plain C.
**
** N1  A slot is in one of three states: in use by a task (t->anchor), idle
**     (it has a coroutine), empty (it has none).
*/
static unsigned slot_take(rt *r, unsigned *from) {
  unsigned i = *from;
  if (i != 0) *from = r->slots[i].next;
  return i;
}

static void slot_give(rt *r, unsigned *to, unsigned i) {
  r->slots[i].next = *to;
  *to = i;
}

/* A slot with a coroutine, for a task; its index. Raises for lack of memory,
** and then nothing is taken. */
static unsigned slot_new(lua_State *L, rt *r) {
  unsigned i = r->slot_empty;

  if (i == 0) {
    if (r->slot_n + 1 >= r->slot_cap) {
      unsigned cap = r->slot_cap ? r->slot_cap * 2 : 64;
      slot *more = base_realloc(r->slots, cap * sizeof *more);
      if (more == NULL) luaL_error(L, "not enough memory");
      r->slots = more;
      r->slot_cap = cap;
    }
    i = r->slot_n + 1;
  }
  lx_ref(L, r->r_anchor);
  lua_pushboolean(L, 0); /* the place exists: filling it cannot fail */
  lua_rawseti(L, -2, i);
  lx_ref(L, r->r_threads);
  r->slots[i].L = lua_newthread(L);
  lua_rawseti(L, -2, i);
  lua_pop(L, 2);
  if (i == r->slot_empty)
    slot_take(r, &r->slot_empty);
  else
    r->slot_n = i;
  return i;
}

/* r_anchor is at index `anchors`. With `whole` the coroutine may serve again. */
static void slot_leave(lua_State *L, task *t, int anchors, int whole) {
  rt *r = t->owner->r;
  unsigned i = t->anchor;

  lua_pushboolean(L, 0);
  lua_rawseti(L, anchors, i);
  t->anchor = 0;
  if (unlikely(r->r_ctx != 0)) context_forget(L, r, i);
  if (whole && r->idle_n < IDLE_MAX) {
    r->idle_n++;
    slot_give(r, &r->slot_idle, i);
    return;
  }
  lx_ref(L, r->r_threads);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
  r->slots[i].L = NULL;
  slot_give(r, &r->slot_empty, i);
}

void task_slot_leave(lua_State *L, task *t) {
  lx_ref(L, t->owner->r->r_anchor);
  slot_leave(L, t, lua_gettop(L), 0);
  lua_pop(L, 1);
}

/* ORDER TASK_STATES */
static const char *const state_names[] = {"new",    "ready", "running",
                                          "waiting", "done", "failed",
                                          "cancelled"};

const char *task_state_name(const task *t) { return state_names[t->state]; }

task *task_check(lua_State *L, int idx) {
  return lx_check(L, rt_of(L), idx, CLASS_TASK);
}

unsigned task_number(const task *t) {
  return t->anchor ? t->owner->r->slots[t->anchor].next : 0;
}

unsigned task_age_ms(const task *t) {
  rt *r = t->owner->r;
  return loop_age_ms(&r->loop, r->slots[t->anchor].born);
}

task *task_of_slot(const rt *r, unsigned i) {
  return r->slots[i].L != NULL ? task_of(r->slots[i].L) : NULL;
}

void task_push(lua_State *L, task *t) {
  if (unlikely(t->flags & T_LIGHT)) task_show(L, t);
  lx_ref(L, t->owner->r->r_anchor);
  lua_rawgeti(L, -1, t->anchor);
  lua_remove(L, -2);
}

/* --- the end of a task, inside its coroutine --- */

/* Stack of the coroutine: the handle, r_anchor, the message handler, then the
** function and its arguments, later the results or one error. */
enum { SELF = 1, ANCHORS, HANDLER, FIRST };

/* Keep the n values from FIRST on as the result of t. */
static void keep_results(lua_State *L, task *t, int n) {
  if (n == 0) {
    t->flags |= T_EMPTY;
    lua_pushnil(L);
  } else if (n > 1) {
    int i;
    lua_createtable(L, n, 1);
    lua_insert(L, FIRST);
    for (i = n; i >= 1; i--) lua_rawseti(L, FIRST, i);
    lua_pushinteger(L, n);
    lua_setfield(L, FIRST, "n");
    t->flags |= T_PACKED;
  }
  lua_setiuservalue(L, SELF, 1);
}

/* joiners is a ring without a sentinel: eight bytes less in each task. */
void task_joiner_add(task *t, neap_wait *w) {
  if (t->joiners == NULL) {
    w->prev = w->next = w;
    t->joiners = w;
  } else
    list_insert_before(wait_node(t->joiners), wait_node(w));
}

void task_joiner_leave(task *t, neap_wait *w) {
  if (t->joiners == w) t->joiners = w->next == w ? NULL : w->next;
  node_remove(wait_node(w));
}

void task_ended(task *t, int state) {
  t->state = (unsigned char)state;
  t->owner->r->live--;
  while (t->joiners != NULL) {
    neap_wait *w = t->joiners;
    task_joiner_leave(t, w);
    wait_wake(w, 0);
  }
}

static void free_own_scope(lua_State *L, task *t, scope *own) {
  if (own == NULL) return;
  t->current = own->parent;
  if (own->sided) scope_forget(L, own);
  base_free(own);
}

/* Returns 0 results to resume. */
static int finish(lua_State *L, task *t, scope *own, int state) {
  rt *r = t->owner->r;
  scope *owner = t->owner;
  int top = lua_gettop(L);

  t->flags |= T_ENDING;
  if (unlikely(t->holds)) sync_break_locks(L, t);
  if (top > LUA_MINSTACK - ROOM) luaL_checkstack(L, ROOM, NULL);
  if (state == TASK_FAILED) {
    r->failed++;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, SELF, 1); /* on top stays the error */
    task_ended(t, state);
    scope_child_failed(L, owner, t);
  } else {
    if (state == TASK_CANCELLED) lua_settop(L, top = HANDLER);
    keep_results(L, t, top - HANDLER);
    task_ended(t, state);
  }
  if (owner->cause != NULL &&
      (state == TASK_CANCELLED || (own != NULL && own->cut)))
    owner->cut = 1;
  free_own_scope(L, t, own);
  scope_child_ended(owner, t);
  *(task **)lua_getextraspace(L) = NULL;
  t->L = NULL;
  slot_leave(L, t, ANCHORS, 1); /* last: nobody can take it before we are back */
  return 0;
}

static scope *own_scope(task *t) {
  scope *s = t->current;

  while (s != t->owner && s->kind != SCOPE_TASK) s = s->parent;
  return s == t->owner ? NULL : s;
}

/* The body has ended and so have the children. */
static int conclude(lua_State *L, task *t, scope *own, int ok) {
  rt *r = t->owner->r;
  scope *of;

  if (own != NULL) {
    int unwound = own->unwound;
    if (scope_close(L, t, own)) return finish(L, t, own, TASK_FAILED);
    return finish(L, t, own, unwound ? TASK_CANCELLED : TASK_DONE);
  }
  if (ok) return finish(L, t, NULL, TASK_DONE);
  if (scope_is_cancellation(L, r, -1, &of)) {
    if (scope_is_own(t, of)) return finish(L, t, NULL, TASK_CANCELLED);
    lua_settop(L, FIRST);
    fault_push(L, "stale_cancel", NULL, STALE);
    lua_insert(L, FIRST);
    lua_setfield(L, FIRST, "cause");
  }
  return finish(L, t, NULL, TASK_FAILED);
}

static int k_children(lua_State *L, int status, lua_KContext ctx) {
  task *t = task_of(L);

  (void)status;
  (void)ctx;
  return conclude(L, t, own_scope(t), 1);
}

/* As in scopes.c; the error of a body that failed is at FIRST. */
static int closed(lua_State *L, task *t, int status, int failed) {
  scope *own = own_scope(t);
  int again = status != LUA_OK && status != LUA_YIELD;

  if (failed && again) lua_insert(L, FIRST);
  if (failed) scope_body_failed(L, own);
  if (again) scope_body_failed(L, own);
  if (scope_must_join(L, t, own)) return park(L, t, &t->wait, &op_join, k_children);
  return conclude(L, t, own, 1);
}

static int k_closed(lua_State *L, int status, lua_KContext ctx) {
  return closed(L, (task *)ctx, status, 0);
}

static int k_closed_after_error(lua_State *L, int status, lua_KContext ctx) {
  return closed(L, (task *)ctx, status, 1);
}

int task_k_body(lua_State *L, int status, lua_KContext ctx) {
  task *t = (task *)ctx;
  int failed = status != LUA_OK && status != LUA_YIELD;
  lua_KFunction k = failed ? k_closed_after_error : k_closed;
  scope *own = own_scope(t);

  if (unlikely(own == NULL && t->current != t->owner))
    own = scope_of_task(t); /* a memory error left scopes open */
  if (own == NULL) return conclude(L, t, NULL, !failed);
  if (!scope_push_closers(L, own)) return k(L, LUA_OK, ctx);
  return k(L, lua_pcallk(L, 1, 0, HANDLER, ctx, k), ctx);
}

static int task_main(lua_State *L) {
  task *t = task_of(L);
  int status = lua_pcallk(L, lua_gettop(L) - FIRST, LUA_MULTRET, HANDLER,
                          (lua_KContext)t, task_k_body);
  return task_k_body(L, status, (lua_KContext)t);
}

/* Until a task begins, the stack of its coroutine is {task_main, handle,
** r_anchor, handler, fn, args..., bolt}. Who resumes it before the scheduler
** does calls the bolt, and gets nothing (park.c, P4). */
static int k_bolt(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (task_of(L)->state == TASK_RUNNING) return 0;
  return lua_yieldk(L, 0, ctx, k_bolt);
}

static int bolt(lua_State *L) { return k_bolt(L, LUA_OK, 0); }

/* --- the one resume --- */

/* Draw the bolt; how many arguments there are for task_main. */
static int begin(lua_State *L, lua_State *from) {
  int n;

  if (unlikely(lua_status(L) == LUA_YIELD)) {
    lua_resume(L, from, 0, &n);
    return lua_gettop(L) - 1;
  }
  if (unlikely((n = lua_gettop(L)) == 0)) return 0; /* somebody closed it */
  lua_pop(L, 1);
  return n - 2;
}

static void step(rt *r, task *t, lua_State *from) {
  lua_State *L;
  task *outer = r->current;
  lua_State *inner = r->inner;
  int n = 0, nres = 0, status, is_new;

  if (unlikely(t->flags & T_ABANDONED)) return;
  L = r->slots[t->anchor].L;
  is_new = t->state == TASK_NEW;
  r->current = t;
  t->state = TASK_RUNNING;
  r->inner = L;
  if (is_new)
    n = begin(L, from);
  else if (likely(t->L == L)) { /* else nest.c brings them inwards */
    n = t->nargs;
    t->nargs = 0;
  }
  status = lua_resume(L, from, n, &nres);
  r->current = outer;
  r->inner = inner;
  if (likely(status == LUA_YIELD)) {
    if (unlikely(t->state == TASK_RUNNING)) { /* coroutine.yield in a body */
      lua_pop(L, nres);
      t->L = L;
      t->state = TASK_READY;
      if (r->loop.shuffle) t->kind = READY_YIELDED;
      ready_push(&r->loop, (ready *)(void *)t);
    }
  } else if (unlikely(status != LUA_OK))
    task_die(from, t);
}

void task_resume(rt *r, task *t, lua_State *from) {
  if (likely(r->seeing == 0))
    step(r, t, from);
  else
    see_step(r, t, from, step);
}

/* With many tasks the next one is not in the cache: fetch it meanwhile. Behind
** the coroutine's own record stands, as a rule, its stack. (Not in a function
** of its own: gcc takes that for one without effect, and drops the call.) */
static void run_task(neap_loop *l, ready *item) {
  rt *r = rt_of_loop(l);
  const ready *next = l->head;

  if (next != NULL && next->kind == READY_TASK) {
    const task *t = (const task *)(const void *)next;
    const char *at = (const char *)t->L, *end = at + LOOK_AHEAD;
    prefetch(next->next);
    prefetch(&r->slots[t->anchor]);
    for (; at < end; at += CACHE_LINE) prefetch(at);
  }
  task_resume(r, (task *)(void *)item, r->from);
}

static void wake_sleeper(neap_loop *l, unsigned *pos) {
  task *t = container_of(pos, task, timer);

  if (t->at != NULL) { /* a sleep, or a wait with a time limit */
    park_timed_out(t);
  } else { /* the pause of one that swallows cancellations */
    t->state = TASK_READY;
    ready_push(l, (ready *)(void *)t);
  }
}

/* --- birth --- */

task *task_new_spare(lua_State *L, rt *r) {
  task *t = lua_newuserdatauv(L, sizeof *t, 2);
  unsigned i;

  memset(t, 0, sizeof *t);
  lx_ref(L, r->r_class[CLASS_TASK]);
  lua_setmetatable(L, -2);
  if (r->slot_idle == 0) {
    i = slot_new(L, r);
    slot_give(r, &r->slot_idle, i);
    r->idle_n++;
  }
  i = slot_take(r, &r->slot_idle);
  r->idle_n--;
  t->anchor = i;
  t->kind = READY_TASK;
  t->state = TASK_DONE;
  lx_ref(L, r->r_anchor);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, i); /* the place exists: cannot fail */
  lua_pop(L, 1);
  return t;
}

static task *create(lua_State *L, rt *r, scope *s, int nargs) {
  int fn = lua_gettop(L) - nargs, ud = fn + nargs + 1;
  task *t;
  lua_State *co;
  unsigned i;

  t = lua_newuserdatauv(L, sizeof *t, 2);
  memset(t, 0, sizeof *t / 2); /* all of it at once is a slow loop with gcc */
  memset((char *)t + sizeof *t / 2, 0, sizeof *t / 2);
  lua_pushvalue(L, fn);
  lua_setiuservalue(L, ud, 2);
  lx_ref(L, r->r_class[CLASS_TASK]);
  lua_setmetatable(L, ud);
  if (r->slot_idle == 0) {
    i = slot_new(L, r);
    slot_give(r, &r->slot_idle, i);
    r->idle_n++;
  }
  if (unlikely(r->r_ctx != 0)) context_inherit(L, r, r->slot_idle);
  co = r->slots[r->slot_idle].L;
  if (nargs > LUA_MINSTACK - ROOM && !lua_checkstack(co, nargs + ROOM))
    luaL_error(L, "too many arguments to a task");
  if (unlikely(lua_gethook(co) != lua_gethook(L)))
    lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
  i = slot_take(r, &r->slot_idle);
  r->idle_n--;
  t->anchor = i;
  t->kind = READY_TASK;
  t->state = TASK_NEW;
  t->L = co;
  t->owner = t->current = s;
  *(task **)lua_getextraspace(co) = t;
  lua_pushcfunction(co, task_main);
  lua_xmove(L, co, 1); /* the handle */
  lx_ref(co, r->r_anchor);
  lua_pushvalue(co, -2);
  lua_rawseti(co, -2, i); /* the place exists: cannot fail */
  lua_pushcfunction(co, fault_handler);
  lua_xmove(L, co, nargs + 1);
  lua_pushvalue(co, SELF + 1); /* task_main is below it */
  lua_xmove(co, L, 1);
  lua_pushcfunction(co, bolt);
  list_append(&s->children, &t->sibling);
  s->live++;
  r->live++;
  r->slots[i].next = ++r->spawned;
  r->slots[i].born = loop_ms(&r->loop);
  if (unlikely(r->seeing != 0)) see_spawned(L, r, t);
  return t;
}

task *task_spawn(lua_State *L, rt *r, scope *s, int nargs) {
  task *t = create(L, r, s, nargs);
  ready_push(&r->loop, (ready *)(void *)t);
  return t;
}

task *task_begin(lua_State *L, rt *r, scope *s, int nargs) {
  task *t = create(L, r, s, nargs);
  r->depth++;
  task_resume(r, t, L);
  r->depth--;
  return t;
}

/* --- cancelling --- */

int task_cancel(task *t, int source) {
  scope *own;

  if (t->state >= TASK_DONE) return 0;
  if ((own = scope_of_task(t)) == NULL) return -1;
  return scope_cancel(own, source);
}

void task_free_scopes(lua_State *L, rt *r) {
  unsigned i;

  for (i = 1; i <= r->slot_n; i++) {
    task *t;
    lx_ref(L, r->r_anchor);
    lua_rawgeti(L, -1, i);
    t = lx_test(L, r, -1, CLASS_TASK);
    lua_pop(L, 2);
    if (t == NULL || t->state >= TASK_DONE) continue;
    while (t->current != t->owner) {
      scope *s = t->current;
      t->current = s->parent;
      if (s->kind == SCOPE_TASK) base_free(s);
    }
  }
}

/* --- names --- */

const char *task_push_name(lua_State *L, int idx) {
  rt *r = rt_of(L);

  idx = lua_absindex(L, idx);
  lx_ref(L, r->r_names);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getiuservalue(L, idx, 2);
    lx_push_site(L, -1);
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

void task_methods_open(lua_State *L, rt *r); /* tasks.c */

void task_open(lua_State *L, rt *r) {
  r->loop.run_task = run_task;
  r->loop.wake_sleeper = wake_sleeper;
  task_methods_open(L, r);
}
