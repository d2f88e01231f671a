/*
** emit.c -- an event and its listeners: all at once, some at a time, or one
** after the other; see emitter.h.
**
** An emit is a scope, whose children are the listeners. The userdata of the
** scope, an emission, is used again and again: most emits end before they have
** to wait, and nothing of them is left. One that waits takes it along.
**
** Stack of an emit: 1 emitter, 2 name, 3 .. base-1 the arguments, base the
** array of listeners, or the function of the only one, base+1 handles of the
** listeners that ended otherwise than well or not yet (to collect outcomes: of
** all) or nil, base+2 the emission, if it waits.
*/
#include <string.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

typedef struct emission {
  scope s; /* first: the userdata is that of a scope */
  emitter *e;
  int base;
  unsigned i, n, ran, cap;   /* cap: listeners at once, or 0 */
  lua_Integer kept;          /* handles */
  unsigned char errors, serial, stop;
  unsigned char place;       /* SPARE_EMISSION + depth, or 0: its own */
  unsigned char clean;       /* the scope is as scope_init has left it */
} emission;

int emit_is_of(const scope *s, const emitter *e) {
  return s->kind == SCOPE_EMIT && ((const emission *)(const void *)s)->e == e;
}

/* --- emissions --- */

/* One for this depth; it is left alone as long as a lack of memory, which threw
** us out of an emit, has left it open. */
static emission *emission_new(lua_State *L, task *t) {
  rt *r = t->owner->r;
  emission *m = lx_new(L, r, CLASS_SCOPE, sizeof *m, 2);

  if (r->emissions[r->depth] != NULL) {
    scope_anchor(L, t);
    return m;
  }
  m->place = (unsigned char)(SPARE_EMISSION + r->depth);
  lx_ref(L, r->r_spares);
  lua_insert(L, -2);
  lua_rawseti(L, -2, m->place); /* the place exists */
  lua_pop(L, 1);
  r->emissions[r->depth] = m;
  return m;
}

/* Open an emission; pushes it only if it is not a spare one. */
static emission *emission_open(lua_State *L, task *t) {
  rt *r = t->owner->r;
  emission *m = r->emissions[r->depth];
  scope *s;

  if (unlikely(m == NULL || !m->s.closed)) m = emission_new(L, t);
  s = &m->s;
  if (unlikely(!m->clean)) {
    memset(s, 0, sizeof *s);
    scope_init(s, r, t->current, t, SCOPE_EMIT);
    m->clean = 1;
  } else {
    s->parent = t->current;
    s->body = t;
    s->cause = t->current->cause;
    s->closed = 0;
  }
  m->i = m->ran = 0;
  m->kept = 0;
  m->stop = 0;
  t->current = s;
  return m;
}

/* It waits: from now on it is its own, on top of the stack. */
static void emission_keep(lua_State *L, task *t, emission *m) {
  rt *r = m->s.r;

  if (m->place == 0) return;
  lx_ref(L, r->r_spares);
  lua_rawgeti(L, -1, m->place);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, m->place);
  lua_remove(L, -2);
  r->emissions[m->place - SPARE_EMISSION] = NULL;
  m->place = 0;
  scope_anchor(L, t);
}

/* --- failures --- */

/* Push the error of the i-th handle and the handle; 0 if it did not fail. */
static int push_failure(lua_State *L, int handles, lua_Integer i) {
  const task *c;

  lua_rawgeti(L, handles, i);
  c = lua_touserdata(L, -1);
  if (c == NULL || c->state != TASK_FAILED) return lua_pop(L, 1), 0;
  lua_getiuservalue(L, -1, 1);
  lua_insert(L, -2);
  return 1;
}

static void report_failures(lua_State *L, emission *m) {
  lua_Integer i;

  for (i = 1; i <= m->kept; i++) {
    if (!push_failure(L, m->base + 1, i)) continue;
    hook_report_of(L, m->s.r, "listener", -2, -1);
    lua_pop(L, 2);
  }
}

/* Push the first failure and return 1, or return 0. The others are attached to
** it and reported. */
static int push_first_failure(lua_State *L, emission *m) {
  int first = 0;
  lua_Integer i;

  for (i = 1; i <= m->kept; i++) {
    if (!push_failure(L, m->base + 1, i)) continue;
    if (first == 0) {
      lua_insert(L, -2);
      fault_again(L, lua_gettop(L) - 1);
      lua_remove(L, -2); /* the handle */
      first = lua_gettop(L);
      continue;
    }
    if (!lua_rawequal(L, first, -2)) {
      fault_attach(L, m->s.r, first, -2);
      hook_report_of(L, m->s.r, "secondary", -2, -1);
    }
    lua_pop(L, 2);
  }
  return first != 0;
}

/* Push {n=, {ok=true, value=} or {ok=false, err=}, ...}. */
static void push_outcomes(lua_State *L, emission *m) {
  int out = lua_gettop(L) + 1;
  lua_Integer i;

  lua_createtable(L, (int)m->kept, 1);
  for (i = 1; i <= m->kept; i++) {
    lua_rawgeti(L, m->base + 1, i);
    task_push_settled(L, -1);
    lua_rawseti(L, out, i);
    lua_settop(L, out);
  }
  lua_pushinteger(L, m->kept);
  lua_setfield(L, out, "n");
}

/* --- running --- */

static int finish(lua_State *L, task *t, emission *m) {
  m->clean = 0;
  luaL_checkstack(L, 20, NULL);
  if (scope_close(L, t, &m->s)) { /* cancelled; failures are heard all the same */
    report_failures(L, m);
    return lua_error(L);
  }
  if (m->errors == ERRORS_COLLECT) {
    lua_pushinteger(L, m->ran);
    push_outcomes(L, m);
    return 2;
  }
  if (m->errors == ERRORS_REPORT)
    report_failures(L, m);
  else if (push_first_failure(L, m))
    return lua_error(L);
  lua_pushinteger(L, m->ran);
  return 1;
}

static int k_joined(lua_State *L, int status, lua_KContext ctx) {
  emission *m = lua_touserdata(L, -1);

  (void)status;
  (void)ctx;
  emitter_end(m->e);
  return finish(L, task_of(L), m);
}

/* The handle on top is that of a listener that has not ended well, or not yet,
** or whose outcome is wanted. */
static void keep(lua_State *L, emission *m) {
  int handles = m->base + 1;

  if (lua_isnil(L, handles)) {
    lua_newtable(L);
    lua_replace(L, handles);
  }
  lua_rawseti(L, handles, m->kept + 1);
  m->kept++;
}

static int has_failed(lua_State *L, emission *m) {
  const task *c;

  if (m->kept == 0) return 0;
  lua_rawgeti(L, m->base + 1, m->kept);
  c = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return c->state == TASK_FAILED;
}

/* Run the listener whose function is on top of the stack, twice; pops both. */
static void call(lua_State *L, emission *m, int named, int hidden) {
  int i, base = m->base, nargs = base - 3 + named;
  const task *c;

  if (unlikely(named)) lua_pushvalue(L, 2);
  for (i = 3; i < base; i++) lua_pushvalue(L, i);
  if (unlikely(m->errors == ERRORS_COLLECT && !hidden)) {
    c = m->s.r->depth >= EMIT_DEPTH ? task_spawn(L, m->s.r, &m->s, nargs)
                                    : task_begin(L, m->s.r, &m->s, nargs);
    keep(L, m);
    lua_pop(L, 1);
  } else {
    c = task_call(L, m->s.r, &m->s, nargs);
    if (likely(c == NULL)) return;
    if (c->state == TASK_DONE || m->errors == ERRORS_COLLECT)
      lua_pop(L, 1);
    else
      keep(L, m);
  }
  if (m->serial && c->state == TASK_FAILED) m->stop = 1;
}

static const neap_op op_turn = {"a turn of the listeners of an emit", NULL};

static int go_on(lua_State *L, task *t, emission *m);

static int k_turn(lua_State *L, int status, lua_KContext ctx) {
  emission *m = lua_touserdata(L, -1);

  (void)status;
  (void)ctx;
  emitter_end(m->e);
  scope_promise_kept(&m->s);
  if (m->s.cause != NULL || (m->serial && has_failed(L, m))) m->stop = 1;
  return go_on(L, task_of(L), m);
}

static int go_on(lua_State *L, task *t, emission *m) {
  while (m->i < m->n && likely(!m->stop)) {
    listener *l;
    int named, hidden;
    if (unlikely(m->cap != 0 && m->s.live >= m->cap)) {
      emission_keep(L, t, m);
      list_append(&m->s.room, wait_node(&t->wait));
      t->wait.flags = 0;
      emitter_begin(m->e, m->s.r);
      return park(L, t, &t->wait, &op_turn, k_turn);
    }
    lua_rawgeti(L, m->base, (lua_Integer)++m->i);
    l = lua_touserdata(L, -1);
    if (unlikely(l->removed)) {
      lua_pop(L, 1);
      continue;
    }
    lua_getiuservalue(L, -1, LI_FN);
    if (unlikely(l->left > 0) && --l->left == 0)
      emitter_remove(L, lua_gettop(L) - 1);
    named = l->named;
    hidden = l->hidden;
    lua_copy(L, -1, -2);
    m->ran += !hidden;
    call(L, m, named, hidden);
  }
  if (likely(m->place != 0 && m->kept == 0 && m->s.live == 0 && !m->s.sided &&
             m->s.cause == NULL && t->current == &m->s &&
             m->errors != ERRORS_COLLECT)) { /* nothing has happened to it */
    m->s.closed = 1;
    t->current = m->s.parent;
    t->swallows = 0;
    lua_pushinteger(L, m->ran);
    return park_finish(L, 1);
  }
  if (scope_must_join(L, t, &m->s)) {
    emission_keep(L, t, m);
    emitter_begin(m->e, m->s.r);
    return park(L, t, &t->wait, &op_join, k_joined);
  }
  return park_finish(L, finish(L, t, m));
}

/* Nobody listens. */
static int nobody(lua_State *L, int errors) {
  lua_pushinteger(L, 0);
  if (errors != ERRORS_COLLECT) return park_finish(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, 0);
  lua_setfield(L, -2, "n");
  return park_finish(L, 2);
}

static int emit(lua_State *L, emitter *e, const char *what, int errors,
                int serial) {
  int top = lua_gettop(L), is_hot, sole = 0;
  const record *hot = e->hot;
  emission *m;
  task *t;
  unsigned n;

  is_hot = likely(hot != NULL && lua_topointer(L, 2) == e->hot_name &&
                  record_idle(hot));
  if (unlikely(!is_hot)) emitter_check_event(L, e, what);
  if (unlikely(top > 8)) {
    if (top > VALUES_MAX)
      return luaL_argerror(L, VALUES_MAX, "too many arguments");
    luaL_checkstack(L, top + 24, NULL);
  }
  t = park_enter(L, what);
  /* A probe may run finalizers. */
  if (likely(is_hot && e->hot == hot && !t->probed)) {
    n = hot->n;
    sole = e->sole;
    lua_getiuservalue(L, 1, EM_HOT); /* top + 1 */
  } else {
    record *rec = emitter_push_concerned(L, e, 2);
    if (rec == NULL) return nobody(L, errors);
    n = rec->n;
    lua_getiuservalue(L, -1, REC_ARRAY);
    lua_insert(L, -2);
    if (unlikely(rec->match || !record_idle(rec)))
      emitter_wake_waiters(L, e, top + 2, 3, top);
    lua_pop(L, 1);
  }
  lua_pushnil(L); /* top + 2 */
  m = emission_open(L, t);
  m->e = e;
  m->base = top + 1;
  m->n = n;
  m->cap = serial ? 1 : e->cap;
  m->serial = (unsigned char)serial;
  m->errors = (unsigned char)errors;
  if (likely(sole)) {
    m->i = m->ran = 1;
    lua_pushvalue(L, m->base);
    lua_pushvalue(L, -1);
    call(L, m, 0, 0);
  }
  return go_on(L, t, m);
}

static int l_emitter_emit(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:emit");
  return emit(L, e, "emitter:emit", e->errors, 0);
}

static int l_emitter_emit_serial(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:emit_serial");
  return emit(L, e, "emitter:emit_serial", e->errors, 1);
}

/* Returns at once: the policy is in lua/neap/emitter.lua. */
static int l_emitter_emit_soon(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:emit_soon");
  rt *r = rt_of(L);

  emitter_check_event(L, e, "emitter:emit_soon");
  if (!r->running || r->shutting == SHUT_CLOSED)
    return fault_error(L, r->running ? "closed" : "not_in_task",
                       r->running
                           ? "emitter:emit_soon: the run is shutting down"
                           : "emitter:emit_soon: nothing runs; call it from a "
                             "function run by neap.run");
  lx_ref(L, r->r_limit);
  lua_rawgeti(L, -1, 2);
  lua_replace(L, -2);
  lua_insert(L, 1);
  lua_getiuservalue(L, 2, EM_LUA);
  lua_insert(L, 3); /* fn emitter state name ... */
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}

/* core.set_emit_soon(fn): fn(emitter, state, name, ...). */
static int l_set_emit_soon(lua_State *L) {
  lx_check_callable(L, 1);
  lx_ref(L, rt_of(L)->r_limit);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 2);
  return 0;
}

/* core.emit_reported(emitter, name, ...): emit_soon, later. */
static int l_emit_reported(lua_State *L) {
  emitter *e = emitter_check(L);

  if (e->closed) return 0;
  return emit(L, e, "emitter:emit_soon", ERRORS_REPORT, 0);
}

const luaL_Reg emit_methods[] = {{"emit", l_emitter_emit},
                                 {"emit_serial", l_emitter_emit_serial},
                                 {"emit_soon", l_emitter_emit_soon},
                                 {NULL, NULL}};

const luaL_Reg emit_functions[] = {{"emit_reported", l_emit_reported},
                                   {"set_emit_soon", l_set_emit_soon},
                                   {NULL, NULL}};
