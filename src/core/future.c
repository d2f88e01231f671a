/*
** future.c -- future and event: one-shot and reusable signals with waiters.
*/
#include "core/dump.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/lx.h"
#include "core/park.h"
#include "core/select.h"
#include "core/sync.h"
#include "core/task.h"

void sync_wake_all(list *waiters, int rc) {
  while (!list_empty(waiters)) wait_wake(wait_of(list_shift(waiters)), rc);
}

/* --- future: user value 1 is the value, the packed values, or the error --- */

enum future_state { FUTURE_OPEN, FUTURE_SET, FUTURE_FAILED };

typedef struct future {
  list waiters;
  unsigned char state, packed, empty, heard;
} future;

static const neap_op op_future = {"future:await", park_abort_listed};

static int l_future_new(lua_State *L) {
  future *f = lx_new(L, rt_of(L), CLASS_FUTURE, sizeof *f, 1);
  list_init(&f->waiters);
  return 1;
}

static future *check_future(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_FUTURE);
}

static future *check_open(lua_State *L, const char *what) {
  future *f = check_future(L);
  if (f->state != FUTURE_OPEN)
    fault_error(L, "invalid", "%s: the future is settled already", what);
  return f;
}

static int l_future_set(lua_State *L) {
  future *f = check_open(L, "future:set");
  int n = lua_gettop(L) - 1;

  if (n > 1) {
    lua_createtable(L, n, 1);
    lua_insert(L, 2);
    lua_pushinteger(L, n);
    lua_setfield(L, 2, "n");
    for (; n >= 1; n--) lua_rawseti(L, 2, n);
    f->packed = 1;
  } else if (n == 0)
    f->empty = 1;
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  f->state = FUTURE_SET;
  sync_wake_all(&f->waiters, 0);
  return 0;
}

static int push_value(lua_State *L, future *f) {
  lua_getiuservalue(L, 1, 1);
  if (f->state == FUTURE_FAILED) return lua_error(L);
  if (f->empty) return 0;
  if (f->packed) {
    int i, n, at = lua_gettop(L);
    lua_getfield(L, at, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "too many values");
    for (i = 1; i <= n; i++) lua_rawgeti(L, at, i);
    return n;
  }
  return 1;
}

static int k_future_await(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return push_value(L, lua_touserdata(L, 1));
}

static int l_future_await(lua_State *L) {
  future *f = check_future(L);
  task *t = park_enter(L, "future:await");

  if (f->state == FUTURE_FAILED) f->heard = 1;
  if (f->state != FUTURE_OPEN) return park_finish(L, push_value(L, f));
  list_append(&f->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_future, k_future_await);
}

/* A task of the run: one turn later nobody has awaited the failed future. */
static int report_unheard(lua_State *L) {
  future *f = check_future(L);

  lua_settop(L, 1);
  if (!f->heard) {
    lua_getiuservalue(L, 1, 1);
    hook_report(L, rt_of(L), "future", NULL);
  }
  return 0;
}

static int l_future_fail(lua_State *L) {
  future *f = check_open(L, "future:fail");
  rt *r = rt_of(L);

  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  f->state = FUTURE_FAILED;
  if (!list_empty(&f->waiters)) f->heard = 1;
  sync_wake_all(&f->waiters, 0);
  if (!f->heard && r->running && r->shutting < SHUT_CLOSED) {
    lx_ref(L, r->r_box);
    lua_pushcclosure(L, report_unheard, 1);
    lua_pushvalue(L, 1);
    task_spawn(L, r, &r->ground, 1);
  }
  return 0;
}

static int l_future_done(lua_State *L) {
  lua_pushboolean(L, check_future(L)->state != FUTURE_OPEN);
  return 1;
}

static int l_future_stats(lua_State *L) {
  const future *f = check_future(L);

  dump_push_stats(L, rt_of(L), 1, &f->waiters);
  lx_set_bool(L, "done", f->state != FUTURE_OPEN);
  return 1;
}

static const luaL_Reg future_methods[] = {{"set", l_future_set},
                                          {"stats", l_future_stats},
                                          {"fail", l_future_fail},
                                          {"await", l_future_await},
                                          {"done", l_future_done},
                                          {NULL, NULL}};

/* --- event --- */

typedef struct event {
  list waiters;
  int set;
} event;

static const neap_op op_event = {"event:wait", park_abort_listed};

static event *check_event(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_EVENT);
}

static int l_event_new(lua_State *L) {
  event *e = lx_new(L, rt_of(L), CLASS_EVENT, sizeof *e, 0);
  list_init(&e->waiters);
  return 1;
}

static int l_event_set(lua_State *L) {
  event *e = check_event(L);
  e->set = 1;
  sync_wake_all(&e->waiters, 0);
  return 0;
}

static int l_event_clear(lua_State *L) {
  check_event(L)->set = 0;
  return 0;
}

static int l_event_is_set(lua_State *L) {
  lua_pushboolean(L, check_event(L)->set);
  return 1;
}

static int k_event_wait(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

static int l_event_wait(lua_State *L) {
  event *e = check_event(L);
  task *t = park_enter(L, "event:wait");

  if (e->set) return park_finish(L, 0);
  list_append(&e->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_event, k_event_wait);
}

static int event_ready(lua_State *L, void *object, int oi, int item) {
  (void)L;
  (void)oi;
  (void)item;
  return ((event *)object)->set ? 0 : -1;
}

static int event_result(lua_State *L, void *object, int oi, int rc, int n) {
  (void)L;
  (void)object;
  (void)oi;
  (void)rc;
  (void)n;
  return 0;
}

static void event_enter(void *object, neap_wait *w) {
  list_append(&((event *)object)->waiters, wait_node(w));
}

static void event_leave(void *object, neap_wait *w) {
  (void)object;
  node_remove(wait_node(w));
}

static const branch_kind branch_event = {"event:on_wait", event_ready,
                                         event_enter, event_leave,
                                         event_result};

static int l_event_on_wait(lua_State *L) {
  check_event(L);
  return select_push_branch(L, rt_of(L), &branch_event, 1, 0);
}

static int l_event_stats(lua_State *L) {
  const event *e = check_event(L);

  dump_push_stats(L, rt_of(L), 1, &e->waiters);
  lx_set_bool(L, "set", e->set);
  return 1;
}

static const luaL_Reg event_methods[] = {{"set", l_event_set},
                                         {"stats", l_event_stats},
                                         {"clear", l_event_clear},
                                         {"is_set", l_event_is_set},
                                         {"wait", l_event_wait},
                                         {"on_wait", l_event_on_wait},
                                         {NULL, NULL}};

static const luaL_Reg functions[] = {{"future", l_future_new},
                                     {"event", l_event_new},
                                     {NULL, NULL}};

void future_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_FUTURE, future_methods, NULL, NULL);
  lx_class(L, r, CLASS_EVENT, event_methods, NULL, NULL);
  lx_functions(L, r, functions);
}
