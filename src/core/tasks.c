/*
** tasks.c -- tasks as Lua sees them: spawn, await, join, outcome, cancel.
*/
#include "core/chain.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/select.h"
#include "core/task.h"

/* The awaited task is argument 1 of the suspended call. */
static int abort_await(neap_wait *w) {
  task_joiner_leave(lua_touserdata(container_of(w, task, wait)->L, 1), w);
  return 0;
}

static const neap_op op_await = {"task:await", abort_await};
static const neap_op op_task_join = {"task:join", abort_await};

/* --- awaiting --- */

int task_push_results(lua_State *L, int idx) {
  task *t = lua_touserdata(L, idx);

  if (t->state == TASK_CANCELLED) {
    lua_pushfstring(L, "the awaited task %s was cancelled",
                    task_push_name(L, idx));
    fault_push(L, "task_cancelled", NULL, lua_tostring(L, -1));
    return fault_raise(L);
  }
  idx = lua_absindex(L, idx);
  lua_getiuservalue(L, idx, 1);
  if (t->state == TASK_FAILED) {
    fault_again(L, idx);
    return lua_error(L);
  }
  if (t->flags & T_EMPTY) return 0;
  if (t->flags & T_PACKED) {
    int i, n, at = lua_gettop(L);
    lua_getfield(L, at, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "too many results");
    for (i = 1; i <= n; i++) lua_rawgeti(L, at, i);
    return n;
  }
  return 1;
}

static int k_await(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return task_push_results(L, 1);
}

static int k_join(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

/* The awaited task is argument 1 of its own call. */
task *task_awaited_by(task *t) {
  if (t->at == NULL || t->L == NULL) return NULL;
  if (t->at->op == &op_await || t->at->op == &op_task_join)
    return lua_touserdata(t->L, 1);
  return NULL;
}

/* Would `self` wait for itself by waiting for `other`? Follows awaits, and
** joins of a scope that `self` must leave first. */
static int circular(task *self, task *other) {
  const task *first = other;
  task *x;
  const scope *s;

  for (x = other; x != NULL;) {
    if (x == self) return 1;
    for (s = self->owner; s != NULL; s = s->parent)
      if (s->body == x && x->at != NULL && x->at->op == &op_join) return 1;
    x = task_awaited_by(x);
    if (x == first) return 0;
  }
  return 0;
}

static int wait_for(lua_State *L, const neap_op *op, lua_KFunction k) {
  task *t = task_check(L, 1);
  task *self;

  if (unlikely(lua_gettop(L) > 1)) lua_settop(L, 1);
  self = park_enter(L, op->name);
  if (t->state >= TASK_DONE) {
    int n = k(L, LUA_OK, 0);
    return park_finish(L, n);
  }
  if (circular(self, t))
    return fault_error(L, "deadlock",
                       "%s: the task %s waits for the one that calls", op->name,
                       task_push_name(L, 1));
  task_joiner_add(t, &self->wait);
  self->wait.flags = 0;
  return park(L, self, &self->wait, op, k);
}

static int l_task_await(lua_State *L) {
  return wait_for(L, &op_await, k_await);
}

static int l_task_join(lua_State *L) {
  return wait_for(L, &op_task_join, k_join);
}

static int done_ready(lua_State *L, void *object, int oi, int item) {
  task *t = object;

  (void)item;
  if (t == task_of(L))
    return fault_error(L, "deadlock",
                       "task:on_done: the task would wait for itself");
  return t->state < TASK_DONE ? -1 : task_push_results(L, oi);
}

static int done_result(lua_State *L, void *object, int oi, int rc, int n) {
  (void)object;
  (void)rc;
  (void)n;
  return task_push_results(L, oi);
}

static void done_enter(void *object, neap_wait *w) {
  task_joiner_add(object, w);
}

static void done_leave(void *object, neap_wait *w) {
  task_joiner_leave(object, w);
}

static const branch_kind branch_done = {"task:on_done", done_ready, done_enter,
                                        done_leave, done_result};

static int l_task_on_done(lua_State *L) {
  task_check(L, 1);
  return select_push_branch(L, rt_of(L), &branch_done, 1, 0);
}

/* --- looking --- */

static int l_task_outcome(lua_State *L) {
  task *t = task_check(L, 1);

  lua_settop(L, 1);
  if (t->state < TASK_DONE) return luaL_pushfail(L), 1;
  if (t->state == TASK_DONE && t->flags & T_PACKED) {
    int i, n;
    lua_getiuservalue(L, 1, 1);
    n = (int)luaL_len(L, 2);
    lua_getfield(L, 2, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_createtable(L, n, 2);
    for (i = 1; i <= n; i++) lua_rawgeti(L, 2, i), lua_rawseti(L, 3, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 3, "n");
  } else {
    lua_createtable(L, 1, 3);
    if (t->state == TASK_DONE) {
      lua_getiuservalue(L, 1, 1);
      lua_rawseti(L, 2, 1);
      lua_pushinteger(L, t->flags & T_EMPTY ? 0 : 1);
    } else
      lua_pushinteger(L, 0);
    lua_setfield(L, 2, "n");
    if (t->state == TASK_FAILED) {
      lua_getiuservalue(L, 1, 1);
      lua_setfield(L, 2, "err");
    } else if (t->state == TASK_CANCELLED) {
      fault_push(L, "task_cancelled", NULL, "the task was cancelled");
      lua_setfield(L, 2, "err");
    }
  }
  lua_pushboolean(L, t->state == TASK_DONE);
  lua_setfield(L, -2, "ok");
  return 1;
}

void task_push_settled(lua_State *L, int idx) {
  task *t = lua_touserdata(L, idx);

  idx = lua_absindex(L, idx);
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, t->state == TASK_DONE);
  lua_setfield(L, -2, "ok");
  if (t->state == TASK_CANCELLED) {
    fault_push(L, "task_cancelled", NULL, "the task was cancelled");
    lua_setfield(L, -2, "err");
    return;
  }
  lua_getiuservalue(L, idx, 1); /* value, values, or error */
  if (t->flags & T_PACKED) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_setfield(L, -2, t->state == TASK_DONE ? "value" : "err");
}

static int l_task_cancel(lua_State *L) {
  task *t = task_check(L, 1);
  scope *s;
  int did = 0;

  lua_settop(L, 2);
  if (t->state < TASK_DONE) {
    if ((s = scope_of_task(t)) == NULL) return luaL_error(L, "not enough memory");
    scope_keep_reason(L, s, 2);
    did = scope_cancel(s, SRC_EXPLICIT);
  }
  lua_pushboolean(L, did);
  return 1;
}

static int l_task_status(lua_State *L) {
  lua_pushstring(L, task_state_name(task_check(L, 1)));
  return 1;
}

static int l_task_traceback(lua_State *L) {
  task *t = task_check(L, 1);

  lua_settop(L, 1);
  if (t->state == TASK_FAILED) {
    lua_getiuservalue(L, 1, 1);
    fault_push_trace(L, rt_of(L), 2, 1);
  } else if (t->state < TASK_DONE)
    chain_push_trace(L, t);
  else
    lua_pushnil(L);
  return 1;
}

static int l_task__index(lua_State *L) {
  const char *key;

  lua_pushvalue(L, 2);
  if (likely(lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)) return 1;
  key = lua_tostring(L, 2);
  if (key != NULL && key[0] == 'n' && key[1] == 'a' && key[2] == 'm' &&
      key[3] == 'e' && key[4] == '\0') {
    task_check(L, 1);
    task_push_name(L, 1);
  }
  return 1;
}

static int l_task__newindex(lua_State *L) {
  task_check(L, 1);
  lua_pushliteral(L, "name");
  if (!lua_rawequal(L, 2, -1))
    return luaL_error(L, "a task has no field '%s' to assign",
                      luaL_tolstring(L, 2, NULL));
  if (!lua_isnil(L, 3) && lua_type(L, 3) != LUA_TSTRING)
    return luaL_error(L, "task.name: a string or nil expected, got a %s",
                      luaL_typename(L, 3));
  lx_ref(L, rt_of(L)->r_names);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

static int l_task__tostring(lua_State *L) {
  task *t = task_check(L, 1);

  lua_pushfstring(L, "task %s (%s)", task_push_name(L, 1), task_state_name(t));
  return 1;
}

/* --- functions --- */

static int k_spawn(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return scope_spawn_promised(L, scope_for_spawn(L, task_of(L)),
                              lua_gettop(L) - 1, status);
}

static int l_spawn(lua_State *L) {
  task *t = task_of(L);

  lx_check_callable(L, 1);
  if (t == NULL) t = rt_of(L)->current; /* inside a plain coroutine */
  if (t == NULL)
    return fault_error(L, "not_in_task",
                       "neap.spawn: not inside a task; call it from a "
                       "function run by neap.run");
  if (t->flags & T_ENDING)
    return fault_error(L, "closed", "neap.spawn: the task has ended");
  return scope_spawn(L, scope_for_spawn(L, t), lua_gettop(L) - 1, k_spawn);
}

static int l_background(lua_State *L) {
  rt *r = rt_of(L);

  lx_check_callable(L, 1);
  if (!r->running || r->shutting > 1)
    return fault_error(L, r->running ? "closed" : "not_in_task",
                       r->running
                           ? "neap.background: the run is shutting down"
                           : "neap.background: nothing runs; call it from a "
                             "function run by neap.run");
  task_spawn(L, r, &r->ground, lua_gettop(L) - 1);
  return 1;
}

static int l_current(lua_State *L) {
  task *t = task_of(L);

  if (t == NULL) t = rt_of(L)->current; /* inside a plain coroutine */
  if (t == NULL) return luaL_pushfail(L), 1;
  task_push(L, t);
  return 1;
}

static int l_cancelled(lua_State *L) {
  task *t = task_of(L);
  lua_pushboolean(L, t != NULL && t->current->cause != NULL);
  return 1;
}

static int l_is_cancelled(lua_State *L) {
  scope *of;

  luaL_checkany(L, 1);
  lua_pushboolean(L, scope_is_cancellation(L, rt_of(L), 1, &of));
  return 1;
}

static int l_suppressed(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lx_ref(L, rt_of(L)->r_suppressed);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, 2) != LUA_TTABLE) lua_newtable(L);
  return 1;
}

/* core.second_failure(err, second): err is on its way and second came after
** it: attached to it and reported. The caller's own cancellation is neither. */
static int l_second_failure(lua_State *L) {
  task *t = task_of(L);
  scope *of;

  luaL_checkany(L, 2);
  lua_settop(L, 2);
  if (lua_rawequal(L, 1, 2)) return 0;
  if (t != NULL && scope_is_cancellation(L, rt_of(L), 2, &of) &&
      scope_is_own(t, of))
    return 0;
  fault_attach(L, rt_of(L), 1, 2);
  hook_report(L, rt_of(L), "secondary", t);
  return 0;
}

static const luaL_Reg methods[] = {
    {"await", l_task_await},   {"join", l_task_join},
    {"outcome", l_task_outcome}, {"cancel", l_task_cancel},
    {"status", l_task_status}, {"traceback", l_task_traceback},
    {"on_done", l_task_on_done},
    {NULL, NULL}};

static const luaL_Reg metas[] = {{"__newindex", l_task__newindex},
                                 {"__tostring", l_task__tostring},
                                 {NULL, NULL}};

static const luaL_Reg functions[] = {{"spawn", l_spawn},
                                     {"background", l_background},
                                     {"current", l_current},
                                     {"cancelled", l_cancelled},
                                     {"is_cancelled", l_is_cancelled},
                                     {"suppressed", l_suppressed},
                                     {"second_failure", l_second_failure},
                                     {NULL, NULL}};

void task_methods_open(lua_State *L, rt *r);

/* The core's table is on top of the stack. */
void task_methods_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_TASK, methods, metas, l_task__index);
  lx_functions(L, r, functions);
}
