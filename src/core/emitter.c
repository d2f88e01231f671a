/*
** emitter.c -- see emitter.h: emitting, and waiting for an event.
*/
#include <math.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/options.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/sync.h"
#include "core/task.h"

#define DEPTH_MAX 16 /* listeners started from within listeners */

/* --- making --- */

static int l_emitter_new(lua_State *L) {
  static const char *const names[] = {"max_listeners", "errors", NULL};
  static const char *const modes[] = {"raise", "collect", "report", NULL};
  double max = 10;
  int errors = ERRORS_RAISE;
  emitter *e;

  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, "neap.emitter", names);
    max = options_number(L, 1, "neap.emitter", "max_listeners", 10);
    errors = options_choice(L, 1, "neap.emitter", "errors", modes, 0);
  }
  e = lx_new(L, rt_of(L), CLASS_EMITTER, sizeof *e, 1);
  e->max_listeners = max > 1e9 ? 0 : (unsigned)max;
  e->errors = (unsigned char)errors;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lx_ref(L, rt_of(L)->r_emitters);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return 1;
}

/* --- emitting ---
** Stack of emit while it waits: 1 emitter, 2 the scope, 3 handles of the
** listeners that ended otherwise than well or not yet (to collect outcomes:
** of all), 4 their number run. */

/* Push the error of the i-th handle and the handle; 0 if it did not fail. */
static int push_failure(lua_State *L, rt *r, lua_Integer i) {
  task *c;

  lua_rawgeti(L, 3, i);
  c = lx_test(L, r, -1, CLASS_TASK);
  if (c == NULL || c->state != TASK_FAILED) return lua_pop(L, 1), 0;
  lua_getiuservalue(L, -1, 1);
  lua_insert(L, -2);
  return 1;
}

/* Report all failures, or all after the first, which is left in slot 5. */
static void report_failures(lua_State *L, rt *r, const char *what) {
  lua_Integer i, n = luaL_len(L, 3);

  for (i = 1; i <= n; i++) {
    if (!push_failure(L, r, i)) continue;
    if (lua_gettop(L) == 6) { /* the first */
      lua_pop(L, 1);
      continue;
    }
    if (lua_isnil(L, 5) || !lua_rawequal(L, 5, -2)) {
      if (!lua_isnil(L, 5)) fault_attach(L, r, 5, -2);
      hook_report_of(L, r, what, -2, -1);
    }
    lua_pop(L, 2);
  }
}

/* The number and {n=, {ok=true, value=} or {ok=false, err=}, ...}. */
static int collect_outcomes(lua_State *L) {
  lua_Integer i, n = luaL_len(L, 3);

  lua_createtable(L, (int)n, 1);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, 3, i);
    task_push_settled(L, 6);
    lua_rawseti(L, 5, i);
    lua_settop(L, 5);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, 5, "n");
  return 2;
}

static int finish_emit(lua_State *L, emitter *e, task *t, scope *s) {
  rt *r = s->r;

  e->running--;
  if (scope_close(L, t, s)) { /* cancelled; failures are heard all the same */
    lua_replace(L, 4);
    lua_settop(L, 4);
    lua_pushnil(L);
    report_failures(L, r, "listener");
    lua_pushvalue(L, 4);
    return lua_error(L);
  }
  lua_settop(L, 4);
  if (e->errors == ERRORS_COLLECT) return collect_outcomes(L);
  if (luaL_len(L, 3) == 0) return 1;
  if (e->errors == ERRORS_REPORT) {
    lua_pushnil(L);
    report_failures(L, r, "listener");
    lua_settop(L, 4);
    return 1;
  }
  report_failures(L, r, "secondary");
  return lua_gettop(L) == 4 ? 1 : lua_error(L);
}

static int k_emit(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return finish_emit(L, lua_touserdata(L, 1), task_of(L),
                     lua_touserdata(L, 2));
}

/* Ask the filter on top with the arguments first..last: 0 no, 1 yes, or
** NEAP_EINVAL with its error. Pops the filter. */
static int ask(lua_State *L, int first, int last) {
  int i, yes;

  if (lua_isnil(L, -1)) return lua_pop(L, 1), 1;
  for (i = first; i <= last; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, last - first + 1, 1, 0) != LUA_OK) return NEAP_EINVAL;
  yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

/* Hand the arguments first..last to those who wait_for this event. A filter
** is the user's code: it may close the emitter, or cancel who waits. */
static void wake_waiters(lua_State *L, emitter *e, record *rec, int first,
                         int last) {
  int i, count = last - first + 1;
  node *n;

  luaL_checkstack(L, 2 * count + 8, NULL);
  while ((n = list_shift(&rec->waiters)) != NULL) list_append(&rec->asked, n);
  while ((n = list_first(&rec->asked)) != NULL) {
    neap_wait *w = wait_of(n);
    lua_State *G = park_state(w);
    int rc;

    lua_pushvalue(G, 3); /* its filter, or nil */
    lua_xmove(G, L, 1);
    rc = ask(L, first, last);
    if (list_first(&rec->asked) != n) { /* it does not wait any more */
      if (rc < 0) lua_pop(L, 1);
      continue;
    }
    if (rc == 0) {
      node_remove(n);
      list_append(&rec->waiters, n);
      continue;
    }
    if (rc > 0) {
      if (!lua_checkstack(G, count + 1)) luaL_error(L, "not enough memory");
      for (i = first; i <= last; i++) lua_pushvalue(L, i);
    }
    lua_xmove(L, G, rc > 0 ? count : 1); /* or its error, which is its own */
    node_remove(n);
    park_wake_with(w, rc > 0 ? 0 : rc, rc > 0 ? count : 1);
  }
  if (e->closed) sync_wake_all(&rec->waiters, NEAP_ECLOSED);
}

static int l_emitter_emit(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:emit");
  task *t;
  rt *r;
  scope *s;
  record *rec;
  int nargs = lua_gettop(L) - 2, base, j;
  lua_Integer i, n, ran = 0, kept = 0;

  emitter_check_name(L, 2);
  luaL_argcheck(L, nargs <= VALUES_MAX, VALUES_MAX, "too many arguments");
  t = park_enter(L, "emitter:emit");
  r = t->owner->r;
  luaL_checkstack(L, nargs + 16, NULL);
  rec = emitter_push_record(L, 2);
  if (rec == NULL) {
    lua_pushinteger(L, 0);
    if (e->errors != ERRORS_COLLECT) return park_finish(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "n");
    return park_finish(L, 2);
  }
  base = nargs + 3;                /* the record */
  lua_getiuservalue(L, base, 1);   /* base + 1: the snapshot */
  n = (lua_Integer)lua_rawlen(L, base + 1);
  if (!record_idle(rec)) {
    wake_waiters(L, e, rec, 3, base - 1);
    lua_pushvalue(L, base);
    emitter_drop_record_if_idle(L, 2, rec);
    lua_pop(L, 1);
  }
  s = lx_new(L, r, CLASS_SCOPE, sizeof *s, 2); /* base + 2 */
  scope_anchor(L, t);
  lua_newtable(L);                             /* base + 3 */
  scope_init(s, r, t->current, t, SCOPE_KEEP);
  t->current = s;
  e->running++;
  for (i = 1; i <= n; i++) {
    task *c;
    listener *l;
    lua_rawgeti(L, base + 1, i);
    l = lua_touserdata(L, -1);
    if (l->removed) {
      lua_pop(L, 1);
      continue;
    }
    if (l->left > 0 && --l->left == 0) emitter_remove(L, 2, l, 0);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
    for (j = 3; j < base; j++) lua_pushvalue(L, j);
    c = r->depth >= DEPTH_MAX ? task_spawn(L, r, s, nargs)
                             : task_begin(L, r, s, nargs);
    if (c->state == TASK_DONE && e->errors != ERRORS_COLLECT)
      lua_pop(L, 1);
    else
      lua_rawseti(L, base + 3, ++kept);
    ran++;
  }
  lua_pushinteger(L, ran);  /* base + 4 */
  lua_rotate(L, 2, 3);      /* scope, handles, count come to 2, 3, 4 */
  lua_settop(L, 4);
  if (scope_must_join(L, t, s)) return park(L, t, &t->wait, &op_join, k_emit);
  return park_finish(L, finish_emit(L, e, t, s));
}

/* --- waiting for an event --- */

static const neap_op op_wait_for;

static int k_wait_for(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == NEAP_ETIMEDOUT) {
    luaL_tolstring(L, 2, NULL);
    return fault_error(L, "timeout", "timeout in emitter:wait_for '%s'",
                       lua_tostring(L, -1));
  }
  if (status == NEAP_ECLOSED)
    return fault_error(L, "closed",
                       "emitter:wait_for: the emitter was closed");
  if (status == NEAP_EINVAL) return lua_error(L); /* from the filter */
  return lua_gettop(L) - 4;
}

static int l_emitter_wait_for(lua_State *L) {
  static const char *const names[] = {"filter", "timeout", NULL};
  task *t;
  neap_loop *l;
  record *rec;
  double s = HUGE_VAL;

  emitter_check_alive(L, "emitter:wait_for");
  emitter_check_name(L, 2);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    options_check(L, 3, "emitter:wait_for", names);
    s = options_number(L, 3, "emitter:wait_for", "timeout", HUGE_VAL);
    lua_getfield(L, 3, "filter");
    if (!lua_isnil(L, -1) && !lx_callable(L, -1))
      return fault_error(L, "invalid",
                         "emitter:wait_for: option 'filter' must be a "
                         "function, got a %s", luaL_typename(L, -1));
    lua_replace(L, 3);
  }
  t = park_enter(L, "emitter:wait_for");
  l = &t->owner->r->loop;
  rec = emitter_push_new_record(L, 2); /* 4: keeps the record alive */
  if (s < 9e9 &&
      loop_sleep(l, &t->timer, loop_after(l, (int64_t)ceil(s * 1e9))) < 0)
    return luaL_error(L, "not enough memory");
  list_append(&rec->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_wait_for, k_wait_for);
}

static const neap_op op_wait_for = {"emitter:wait_for", park_abort_listed};

/* --- the end --- */

static int l_emitter_close(lua_State *L) {
  emitter *e = emitter_check(L);

  e->closed = 1;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 1);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    record *rec = lua_touserdata(L, -1);
    sync_wake_all(&rec->asked, NEAP_ECLOSED);
    sync_wake_all(&rec->waiters, NEAP_ECLOSED);
    lua_pop(L, 1);
  }
  lua_newtable(L);
  lua_setiuservalue(L, 1, 1);
  e->records = 0;
  return 0;
}

static const luaL_Reg methods[] = {{"emit", l_emitter_emit},
                                   {"wait_for", l_emitter_wait_for},
                                   {"close", l_emitter_close},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"emitter", l_emitter_new}, {NULL, NULL}};

void emitter_open(lua_State *L, rt *r);

void emitter_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_EMITTER, methods, NULL, NULL);
  lx_ref(L, r->r_class[CLASS_EMITTER]);
  lua_getfield(L, -1, "__index");
  lx_functions(L, r, listeners_methods);
  lua_pop(L, 2);
  listeners_open(L, r);
  lx_functions(L, r, functions);
}
