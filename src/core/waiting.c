/*
** waiting.c -- waiting for an event: emitter:wait_for, and what an emit has for
** those who do.
**
** Stack of a wait: 1 the emitter, 2 the name, 3 the filter or nil, 4 whether
** the name comes first, 5 the record.
*/
#include <math.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/options.h"
#include "core/park.h"
#include "core/sync.h"

enum { W_FILTER = 3, W_NAMED, W_RECORD };

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

/* Index 2 of an emit is the name, right before the arguments. A filter is the
** user's code: it may close the emitter, or cancel who waits. */
static void wake(lua_State *L, emitter *e, record *rec, int first, int last) {
  int i;
  node *n;

  while ((n = list_shift(&rec->waiters)) != NULL) list_append(&rec->asked, n);
  while ((n = list_first(&rec->asked)) != NULL) {
    neap_wait *w = wait_of(n);
    lua_State *G = park_state(w);
    int from = lua_toboolean(G, W_NAMED) ? 2 : first, count = last - from + 1;
    int rc;

    lua_pushvalue(G, W_FILTER);
    lua_xmove(G, L, 1);
    rc = ask(L, from, last);
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
      for (i = from; i <= last; i++) lua_pushvalue(L, i);
    }
    lua_xmove(L, G, rc > 0 ? count : 1); /* or its error, which is its own */
    node_remove(n);
    park_wake_with(w, rc > 0 ? 0 : rc, rc > 0 ? count : 1);
  }
  if (e->closed) sync_wake_all(&rec->waiters, NEAP_ECLOSED);
}

static void wake_all_of(lua_State *L, emitter *e, int ri, int first, int last) {
  record *rec = lua_touserdata(L, ri);

  if (record_idle(rec)) return;
  luaL_checkstack(L, 2 * (last - first + 2) + 8, NULL);
  wake(L, e, rec, first, last);
  if (!e->closed) emitter_drop_if_idle(L, 1, ri);
}

void emitter_wake_waiters(lua_State *L, emitter *e, int ri, int first,
                          int last) {
  const record *rec = lua_touserdata(L, ri);
  int top = lua_gettop(L);
  lua_Integer i, n;

  if (!rec->match) {
    wake_all_of(L, e, ri, first, last);
    return;
  }
  luaL_checkstack(L, 4, NULL);
  lua_getiuservalue(L, ri, REC_NAME); /* top + 1: its records */
  n = (lua_Integer)lua_rawlen(L, top + 1);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, top + 1, i);
    wake_all_of(L, e, top + 2, first, last);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

/* --- wait_for --- */

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
  return lua_gettop(L) - W_RECORD;
}

/* Replaces the options at 3 by the filter and whether it is `named`. */
static double check_options(lua_State *L) {
  static const char *const names[] = {"filter", "timeout", "named", NULL};
  double s = HUGE_VAL;

  if (lua_isnil(L, 3)) {
    lua_pushboolean(L, 0);
    return s;
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  options_check(L, 3, "emitter:wait_for", names);
  s = options_number(L, 3, "emitter:wait_for", "timeout", HUGE_VAL);
  if (lua_getfield(L, 3, "named") != LUA_TNIL && !lua_isboolean(L, -1))
    fault_error(L, "invalid", "emitter:wait_for: option 'named' must be a "
                              "boolean, got a %s", luaL_typename(L, -1));
  lua_getfield(L, 3, "filter");
  if (!lua_isnil(L, -1) && !lx_callable(L, -1))
    fault_error(L, "invalid", "emitter:wait_for: option 'filter' must be a "
                              "function, got a %s", luaL_typename(L, -1));
  lua_replace(L, 3);
  return s;
}

static int l_emitter_wait_for(lua_State *L) {
  task *t;
  neap_loop *l;
  record *rec;
  double s;

  emitter_check_alive(L, "emitter:wait_for");
  emitter_check_name(L, 2);
  lua_settop(L, 3);
  s = check_options(L);
  t = park_enter(L, "emitter:wait_for");
  l = &t->owner->r->loop;
  rec = emitter_push_new_record(L, 2); /* kept alive by the stack */
  if (s < 9e9 &&
      loop_sleep(l, &t->timer, loop_after(l, (int64_t)ceil(s * 1e9))) < 0)
    return luaL_error(L, "not enough memory");
  list_append(&rec->waiters, wait_node(&t->wait));
  t->wait.flags = 0;
  return park(L, t, &t->wait, &op_wait_for, k_wait_for);
}

static const neap_op op_wait_for = {"emitter:wait_for", park_abort_listed};

const luaL_Reg waiting_methods[] = {{"wait_for", l_emitter_wait_for},
                                    {NULL, NULL}};
