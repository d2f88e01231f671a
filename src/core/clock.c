/*
** clock.c -- time as Lua sees it: sleep, checkpoint, now.
*/
#include "core/fault.h"
#include "core/park.h"

static int abort_sleep(neap_wait *w) {
  (void)w; /* the place in the heap is left when the task is unparked */
  return 0;
}

static const neap_op op_sleep = {"neap.sleep", abort_sleep};

static int k_sleep(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

/* neap.sleep(seconds): 0 lets the others run once. */
static int l_sleep(lua_State *L) {
  int64_t ns = lx_seconds(L, 1, NULL);
  task *t = park_enter(L, "neap.sleep");
  neap_loop *l = &t->owner->r->loop;

  if (ns == 0) return park_yield(L, t, 0);
  if (loop_sleep(l, &t->timer, loop_after(l, ns)) < 0)
    return luaL_error(L, "not enough memory");
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_sleep, k_sleep);
}

static int l_checkpoint(lua_State *L) {
  return park_yield(L, park_enter(L, "neap.checkpoint"), 0);
}

static int l_now(lua_State *L) {
  lua_pushnumber(L, (double)loop_now(&rt_of(L)->loop) / 1e9);
  return 1;
}

static const luaL_Reg functions[] = {{"sleep", l_sleep},
                                     {"checkpoint", l_checkpoint},
                                     {"now", l_now},
                                     {NULL, NULL}};

void clock_open(lua_State *L, rt *r);

void clock_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
