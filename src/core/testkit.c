/*
** testkit.c -- see testkit.h. Here: settle, a join limited in real time, and
** the tasks in the background. Nothing of it costs a run that has no tests.
*/
#include "core/testkit.h"

#include <string.h>

#include "core/lx.h"
#include "core/park.h"
#include "core/sync.h"
#include "core/task.h"

static void on_idle(uv_idle_t *h) { (void)h; /* its being active is enough */ }

/* After a poll that did not block: with nothing ready, all are blocked. */
static void on_check(uv_check_t *h) {
  testkit *k = h->data;

  if (k->r->loop.head != NULL) return;
  uv_idle_stop(&k->idle);
  uv_check_stop(&k->check);
  sync_wake_all(&k->settlers, 0);
}

static void on_limit(uv_timer_t *h) {
  testkit *k = h->data;
  neap_wait *w = k->waiter;

  k->waiter = NULL;
  if (w == NULL) return;
  task_joiner_leave(k->joined, w);
  wait_wake(w, NEAP_ETIMEDOUT);
}

static int l_kit__gc(lua_State *L) {
  overrun_stop(lua_touserdata(L, 1));
  return 0;
}

testkit *testkit_of(lua_State *L, rt *r) {
  testkit *k = r->kit;
  uv_loop_t *uv = &r->loop.uv;

  if (k != NULL) return k;
  luaL_checkstack(L, 4, NULL);
  k = lua_newuserdatauv(L, sizeof *k, 1);
  memset(k, 0, sizeof *k);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_kit__gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  k->r = r;
  list_init(&k->settlers);
  list_init(&k->probes);
  k->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  /* Referenced, or uv_run would not turn for them alone. They are active only
  ** while somebody is in settle or join; the loop closes them when it ends. */
  uv_timer_init(uv, &k->limit);
  uv_idle_init(uv, &k->idle);
  uv_check_init(uv, &k->check);
  k->limit.data = k->idle.data = k->check.data = k;
  r->kit = k;
  return k;
}

void testkit_push_table(lua_State *L, const testkit *k) {
  lx_ref(L, k->ref);
  lua_getiuservalue(L, -1, 1);
  lua_remove(L, -2);
}

static testkit *kit_of_wait(neap_wait *w) {
  return container_of(w, task, wait)->owner->r->kit;
}

/* --- settle --- */

static int abort_settle(neap_wait *w) {
  testkit *k = kit_of_wait(w);

  node_remove(wait_node(w));
  if (list_empty(&k->settlers)) {
    uv_idle_stop(&k->idle);
    uv_check_stop(&k->check);
  }
  return 0;
}

static const neap_op op_settle = {"test.settle", abort_settle};

static int k_settle(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

/* testkit.settle(): until every other task is blocked, or settles too. */
static int l_settle(lua_State *L) {
  testkit *k = testkit_of(L, rt_of(L));
  task *t = park_enter(L, "test.settle");

  uv_idle_start(&k->idle, on_idle);
  uv_check_start(&k->check, on_check);
  list_append(&k->settlers, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_settle, k_settle);
}

/* --- join --- */

static int abort_join(neap_wait *w) {
  testkit *k = kit_of_wait(w);

  uv_timer_stop(&k->limit);
  k->waiter = NULL;
  task_joiner_leave(k->joined, w);
  return 0;
}

static const neap_op op_join_limited = {"the test's body", abort_join};

static int k_join_limited(lua_State *L, int status, lua_KContext ctx) {
  testkit *k = rt_of(L)->kit;

  (void)ctx;
  uv_timer_stop(&k->limit);
  k->waiter = NULL;
  lua_pushboolean(L, status == 0);
  return 1;
}

/* testkit.join(task, seconds): has it ended after so much real time? The
** wait does not count: it keeps no clock from jumping. */
static int l_join(lua_State *L) {
  task *of = task_check(L, 1);
  int64_t ns = lx_seconds(L, 2, NULL);
  testkit *k = testkit_of(L, rt_of(L));
  task *t = park_enter(L, "test.it");

  if (of->state >= TASK_DONE) return lua_pushboolean(L, 1), 1;
  if (k->waiter != NULL) return luaL_error(L, "testkit.join: one at a time");
  uv_update_time(&k->r->loop.uv);
  uv_timer_start(&k->limit, on_limit, (uint64_t)(ns / 1000000), 0);
  task_joiner_add(of, &t->wait);
  k->waiter = &t->wait;
  k->joined = of;
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_join_limited, k_join_limited);
}

/* testkit.give_up(): the run ends without its tasks. */
static int l_give_up(lua_State *L) {
  rt_of(L)->loop.stop = 1;
  return 0;
}

/* testkit.background(): handles of the run's background tasks. */
static int l_background(lua_State *L) {
  rt *r = rt_of(L);
  lua_Integer n = 0;

  lua_newtable(L);
  if (!r->running) return 1;
  LIST_EACH(at, &r->ground.children) {
    task_push(L, container_of(at, task, sibling));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* testkit.emitters(): the set of those there are. */
static int l_emitters(lua_State *L) {
  lx_ref(L, rt_of(L)->r_emitters);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  return 1;
}

static const luaL_Reg functions[] = {{"settle", l_settle},
                                     {"emitters", l_emitters},
                                     {"join", l_join},
                                     {"give_up", l_give_up},
                                     {"background", l_background},
                                     {NULL, NULL}};

/* The core's table is on top of the stack. */
void testkit_open(lua_State *L, rt *r) {
  lua_newtable(L);
  lx_functions(L, r, functions);
  sweep_open(L, r);
  overrun_open(L, r);
  lua_setfield(L, -2, "testkit");
}
