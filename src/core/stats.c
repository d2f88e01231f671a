/*
** stats.c -- counters of the runtime.
*/
#include <math.h>

#include "core/dump.h"
#include "core/task.h"
#include "core/thread.h"

#define OPS_MAX 64 /* operations told apart; the rest are "other" */

void stats_open(lua_State *L, rt *r);

/* turn_latency: {{below = seconds, n = how many}, ...} up to the slowest. */
static void set_turns(lua_State *L, const neap_loop *l) {
  int i, last = LOOP_CLASSES - 1;

  lx_set(L, "turns", (lua_Integer)l->turns);
  lua_pushnumber(L, (double)l->turn_max / 1e9);
  lua_setfield(L, -2, "turn_max");
  while (last >= 0 && l->turns_of[last] == 0) last--;
  lua_createtable(L, last + 1, 0);
  for (i = 0; i <= last; i++) {
    lua_createtable(L, 0, 2);
    lua_pushnumber(L, i < LOOP_CLASSES - 1 ? (double)(1u << i) / 1e6
                                           : HUGE_VAL);
    lua_setfield(L, -2, "below");
    lx_set(L, "n", (lua_Integer)l->turns_of[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "turn_latency");
}

/* waiting: {["queue:get"] = 3, ...}. Looks at every task. */
static void set_waiting(lua_State *L, const rt *r) {
  struct {
    const char *name;
    lua_Integer n;
  } ops[OPS_MAX + 1];
  int n = 0, k;
  unsigned i;

  for (i = 1; i <= r->slot_n; i++) {
    const task *t = task_of_slot(r, i);
    const char *name;
    if (t == NULL || t->state != TASK_WAITING || t->at == NULL) continue;
    name = t->at->op != NULL ? t->at->op->name : "other";
    for (k = 0; k < n && ops[k].name != name; k++) continue;
    if (k == n && n < OPS_MAX) ops[n].name = name, ops[n++].n = 0;
    if (k == OPS_MAX && n == OPS_MAX)
      ops[k].name = "other", ops[k].n = 0, n = OPS_MAX + 1;
    ops[k].n++;
  }
  lua_createtable(L, 0, n);
  for (k = 0; k < n; k++) { /* two operations may have one name */
    lua_Integer had = lua_getfield(L, -1, ops[k].name) == LUA_TNUMBER
                          ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    lx_set(L, ops[k].name, had + ops[k].n);
  }
  lua_setfield(L, -2, "waiting");
}

/* core.stats([waiting]) */
static int l_stats(lua_State *L) {
  rt *r = rt_of(L);
  const neap_loop *l = &r->loop;
  unsigned running, waiting, limit;
  int ask = lua_toboolean(L, 1);

  thread_count(r, &running, &waiting, &limit);
  lua_createtable(L, 0, 18);
  lx_set(L, "tasks", r->live);
  lx_set(L, "spawned", r->spawned);
  lx_set(L, "failed", r->failed);
  lx_set(L, "timers", (lua_Integer)l->deadlines.n);
  lx_set(L, "handles", l->handles);
  lx_set(L, "pending", l->counted);
  lx_set(L, "switches", (lua_Integer)l->switches);
  lx_set(L, "polls", (lua_Integer)l->polls);
  lx_set(L, "idle_coroutines", r->idle_n);
  lx_set(L, "threads", running);
  lx_set(L, "threads_waiting", waiting);
  lx_set(L, "threads_max", limit);
  set_turns(L, l);
  if (ask) set_waiting(L, r);
  return 1;
}

static const luaL_Reg functions[] = {{"stats", l_stats}, {NULL, NULL}};

void stats_open(lua_State *L, rt *r) { lx_functions(L, r, functions); }
