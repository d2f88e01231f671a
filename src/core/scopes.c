/*
** scopes.c -- scopes as Lua sees them: scope, timeout, move_on_after, shield,
** and pcall that lets cancellation pass. All are functions that take a
** function; the calling task is the body.
**
** Stack of the caller while the body runs: 1 the scope, 2 the message
** handler, from 3 on the function, its arguments, later its results.
*/
#include <math.h>
#include <string.h>

#include "core/fault.h"
#include "core/options.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

static int conclude(lua_State *L, task *t, scope *s) {
  if (scope_close(L, t, s)) {
    fault_again(L, 0);
    return lua_error(L);
  }
  if (s->kind == SCOPE_MOVE_ON) {
    if (s->expired && s->interrupted) return lua_pushboolean(L, 0), 1;
    lua_pushboolean(L, 1);
    lua_insert(L, 3);
  }
  if (s->unwound) return 0; /* by its own cancellation */
  return lua_gettop(L) - 2;
}

static int k_joined(lua_State *L, int status, lua_KContext ctx) {
  scope *s = lua_touserdata(L, 1);
  task *t = task_of(L);

  (void)status;
  (void)ctx;
  if (scope_must_join(L, t, s)) return park(L, t, &t->wait, &op_join, k_joined);
  return conclude(L, t, s);
}

/* What the body left open has been closed. If the body itself failed, its error
** is at 3: heard first, but not before, so that closing may wait. */
static int closed(lua_State *L, scope *s, int status, int failed) {
  task *t = task_of(L);
  int again = status != LUA_OK && status != LUA_YIELD;

  if (failed && again) lua_insert(L, 3);
  if (failed) scope_body_failed(L, s);
  if (again) scope_body_failed(L, s);
  if (scope_must_join(L, t, s)) return park(L, t, &t->wait, &op_join, k_joined);
  return conclude(L, t, s);
}

static int k_closed(lua_State *L, int status, lua_KContext ctx) {
  return closed(L, (scope *)ctx, status, 0);
}

static int k_closed_after_error(lua_State *L, int status, lua_KContext ctx) {
  return closed(L, (scope *)ctx, status, 1);
}

static int k_body(lua_State *L, int status, lua_KContext ctx) {
  scope *s = (scope *)ctx;
  int failed = status != LUA_OK && status != LUA_YIELD;
  lua_KFunction k = failed ? k_closed_after_error : k_closed;

  if (!scope_push_closers(L, s)) return k(L, LUA_OK, ctx);
  return k(L, lua_pcallk(L, 1, 0, 2, ctx, k), ctx);
}

#define PASS 1    /* the scope is the first argument of fn */
#define SERVICE 2 /* on_exit="cancel": rt.h, S4 */

/* fn and its arguments stand from index `fn` on, all below may be dropped. */
static int call_in_scope(lua_State *L, task *t, int fn, int kind, int how,
                         scope **out) {
  rt *r = t->owner->r;
  int n = lua_gettop(L) - fn, status; /* arguments */
  scope *s;

  luaL_checkstack(L, 12, NULL);
  s = lx_new(L, r, CLASS_SCOPE, sizeof *s * (how & SERVICE ? 2 : 1), 2);
  scope_anchor(L, t);
  lua_pushcfunction(L, fault_handler);
  lua_rotate(L, fn, 2);
  if (how & PASS) {
    lua_pushvalue(L, fn);
    lua_insert(L, fn + 3);
    n++;
  }
  if (fn > 1) { /* drop what lies below the scope, but keep a name */
    if (lua_type(L, 1) == LUA_TSTRING) {
      lua_pushvalue(L, 1);
      lua_setiuservalue(L, fn, 1);
    }
    lua_rotate(L, 1, -(fn - 1));
    lua_pop(L, fn - 1);
  }
  scope_init(s, r, t->current, t, kind);
  if (how & SERVICE) {
    s->on_exit_cancel = 1;
    scope_init(s + 1, r, s, t, SCOPE_BODY);
  }
  if (out != NULL) {
    *out = s;
    return n;
  }
  t->current = s;
  status = lua_pcallk(L, n, LUA_MULTRET, 2, (lua_KContext)s, k_body);
  return k_body(L, status, (lua_KContext)s);
}

static int run_in_scope(lua_State *L, task *t, scope *s, int n) {
  int status;

  t->current = s->on_exit_cancel ? s + 1 : s;
  status = lua_pcallk(L, n, LUA_MULTRET, 2, (lua_KContext)s, k_body);
  return k_body(L, status, (lua_KContext)s);
}

static int with_deadline(lua_State *L, const char *what, int kind,
                         int64_t when, double limit) {
  task *t;
  scope *s;
  int n;

  lx_check_callable(L, 2);
  t = park_enter(L, what);
  n = call_in_scope(L, t, 2, kind, 0, &s);
  s->limit = limit;
  t->current = s; /* the expiry marks what it finds */
  if (when != INT64_MAX && scope_set_deadline(s, when) < 0) {
    t->current = s->parent;
    return luaL_error(L, "not enough memory");
  }
  return run_in_scope(L, t, s, n);
}

static int64_t after(lua_State *L, int64_t ns) {
  return loop_after(&rt_of(L)->loop, ns);
}

/* A time on the loop's clock, given in seconds; neap.now() comes back as it
** was. */
static int64_t time_at(double at) {
  if (at > 9e9) return INT64_MAX;
  return at < 0 ? 0 : (int64_t)(at * 1e9 + 0.5);
}

/* nil and math.huge mean no limit. */
static int relative(lua_State *L, const char *what, int kind) {
  double limit = HUGE_VAL;
  int64_t ns = lua_isnil(L, 1) ? INT64_MAX : lx_seconds(L, 1, &limit);
  return with_deadline(L, what, kind, after(L, ns), limit);
}

static int l_timeout(lua_State *L) {
  return relative(L, "neap.timeout", SCOPE_TIMEOUT);
}

static int l_move_on_after(lua_State *L) {
  return relative(L, "neap.move_on_after", SCOPE_MOVE_ON);
}

/* How long a deadline left when it was set, for the message. The clock went on
** a little since the caller had read it: three digits, or whole ms. */
static double limit_until(int64_t when, int64_t now) {
  double left = when > now ? (double)(when - now) / 1e9 : 0, unit = 1e-3;

  if (left <= 0) return 0;
  if (left < 0.1) unit = pow(10, floor(log10(left)) - 2);
  return floor(left / unit + 0.5) * unit;
}

static int l_timeout_at(lua_State *L) {
  int64_t now = loop_now(&rt_of(L)->loop), when;
  double at = lua_isnil(L, 1) ? HUGE_VAL : luaL_checknumber(L, 1);

  luaL_argcheck(L, !isnan(at), 1, "a time expected, got NaN");
  when = time_at(at);
  return with_deadline(L, "neap.timeout_at", SCOPE_TIMEOUT, when,
                       limit_until(when, now));
}

/* A shield may be entered by a cancelled task: that is what it is for. */
static int l_shield(lua_State *L) {
  double limit;
  int64_t ns = lx_seconds(L, 1, &limit);
  task *t = task_of(L);
  scope *s;
  int n;

  lx_check_callable(L, 2);
  if (t == NULL || !lua_isyieldable(L)) park_enter(L, "neap.shield");
  n = call_in_scope(L, t, 2, SCOPE_SHIELD, 0, &s);
  s->limit = limit;
  t->current = s;
  if (scope_set_deadline(s, after(L, ns)) < 0) {
    t->current = s->parent;
    return luaL_error(L, "not enough memory");
  }
  return run_in_scope(L, t, s, n);
}

static int l_scope(lua_State *L) {
  static const char *const names[] = {"name", "max", "on_exit", "errors", NULL};
  static const char *const exits[] = {"wait", "cancel", NULL};
  static const char *const errors[] = {"first", "group", NULL};
  int fn = lua_type(L, 1) == LUA_TTABLE && !lx_callable(L, 1) ? 2 : 1;
  int on_exit = 0, group = 0, n;
  double max = 0;
  const char *name = NULL;
  task *t;
  scope *s;

  if (fn == 2) {
    options_check(L, 1, "neap.scope", names);
    max = options_number(L, 1, "neap.scope", "max", HUGE_VAL);
    if (max != floor(max) || max < 1)
      return fault_error(L, "invalid",
                         "neap.scope: option 'max' must be a whole number "
                         "from 1 on, or math.huge");
    if (max > 1e9) max = 0; /* no bound */
    on_exit = options_choice(L, 1, "neap.scope", "on_exit", exits, 0);
    group = options_choice(L, 1, "neap.scope", "errors", errors, 0);
    if (lua_getfield(L, 1, "name") != LUA_TNIL &&
        lua_type(L, -1) != LUA_TSTRING)
      return fault_error(L, "invalid",
                         "neap.scope: option 'name' must be a string, got a %s",
                         luaL_typename(L, -1));
    name = lua_tostring(L, -1);
    lua_replace(L, 1); /* the scope keeps it */
  }
  lx_check_callable(L, fn);
  t = park_enter(L, "neap.scope");
  n = call_in_scope(L, t, fn, SCOPE_PLAIN, PASS | (on_exit ? SERVICE : 0), &s);
  s->name = name;
  s->max = (unsigned)max;
  s->group = group & 1;
  return run_in_scope(L, t, s, n);
}

/* neap.keep_scope(fn, ...): internal: failures stay with the children. */
static int l_keep_scope(lua_State *L) {
  task *t;

  lx_check_callable(L, 1);
  t = park_enter(L, "neap.scope");
  return call_in_scope(L, t, 1, SCOPE_KEEP, PASS, NULL);
}

/* core.supervised(name, fn, ...): failures of children are reported, no more. */
static int l_supervised(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  task *t;
  scope *s;
  int n;

  lx_check_callable(L, 2);
  t = park_enter(L, "neap.supervisor");
  n = call_in_scope(L, t, 2, SCOPE_GROUND, PASS, &s);
  s->name = name[0] != '\0' ? name : NULL;
  return run_in_scope(L, t, s, n);
}

/* --- methods --- */

static scope *check_scope(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_SCOPE);
}

static scope *check_open(lua_State *L, const char *what) {
  scope *s = check_scope(L);
  if (s->closed || (s->closing && s->live == 0 && s->promised == 0))
    fault_error(L, "closed", "%s: the scope has ended", what);
  return s;
}

static const neap_op op_room = {"spawn into a full scope", park_abort_listed};

int scope_spawn(lua_State *L, scope *s, int nargs, lua_KFunction k) {
  if (unlikely(scope_is_full(s))) {
    task *t = park_enter(L, "spawn into a full scope");
    list_append(&s->room, wait_node(&t->wait));
    t->wait.flags = 0;
    return park(L, t, &t->wait, &op_room, k);
  }
  task_spawn(L, s->r, s, nargs);
  return 1;
}

int scope_spawn_promised(lua_State *L, scope *s, int nargs, int status) {
  if (status != NEAP_ECLOSED) scope_promise_kept(s);
  if (s->closed) return fault_error(L, "closed", "spawn: the scope has ended");
  task_spawn(L, s->r, s, nargs);
  return 1;
}

static int k_spawn(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return scope_spawn_promised(L, lua_touserdata(L, 1), lua_gettop(L) - 2,
                              status);
}

static int l_scope_spawn(lua_State *L) {
  scope *s = check_open(L, "scope:spawn");

  lx_check_callable(L, 2);
  return scope_spawn(L, s, lua_gettop(L) - 2, k_spawn);
}

static int l_scope_cancel(lua_State *L) {
  scope *s = check_scope(L);

  lua_settop(L, 2);
  if (!s->closed) scope_keep_reason(L, s, 2);
  lua_pushboolean(L, scope_cancel(s, SRC_EXPLICIT));
  return 1;
}

static void push_time(lua_State *L, int64_t ns) {
  if (ns == INT64_MAX)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (double)ns / 1e9);
}

static int l_scope__index(lua_State *L) {
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  scope *s;

  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  s = check_scope(L);
  if (strcmp(key, "cancelled") == 0)
    lua_pushboolean(L, s->cancelled);
  else if (strcmp(key, "expired") == 0)
    lua_pushboolean(L, s->expired);
  else if (strcmp(key, "deadline") == 0)
    push_time(L, s->deadline);
  else if (strcmp(key, "name") == 0 && s->name != NULL)
    lua_pushstring(L, s->name);
  return 1;
}

static int l_scope__newindex(lua_State *L) {
  scope *s = check_scope(L);
  const char *key = luaL_tolstring(L, 2, NULL);
  double at = HUGE_VAL;
  int64_t now = loop_now(&s->r->loop), when;

  if (strcmp(key, "deadline") != 0)
    return luaL_error(L, "a scope has no field '%s' to assign", key);
  if (s->closed)
    return fault_error(L, "closed", "scope.deadline: the scope has ended");
  if (!lua_isnil(L, 3)) {
    if (!lua_isnumber(L, 3))
      return luaL_error(L, "scope.deadline: a time of neap.now() or nil "
                        "expected, got a %s", luaL_typename(L, 3));
    at = lua_tonumber(L, 3);
  }
  if (isnan(at))
    return luaL_error(L, "scope.deadline: a time expected, got NaN");
  when = time_at(at);
  s->limit = limit_until(when, now);
  if (scope_set_deadline(s, when) < 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

static int l_scope__tostring(lua_State *L) {
  scope *s = check_scope(L);

  lua_pushfstring(L, "scope%s%s (%d tasks%s)", s->name ? " " : "",
                  s->name ? s->name : "", (int)s->live, s->closed ? ", ended" : "");
  return 1;
}

static int l_deadline(lua_State *L) {
  task *t = task_of(L);
  push_time(L, t ? scope_deadline(t->current) : INT64_MAX);
  return 1;
}

/* --- pcall that never catches the caller's own cancellation --- */

static int k_pcall(lua_State *L, int status, lua_KContext ctx) {
  task *t = task_of(L);
  scope *of;

  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L);
  if (t != NULL && scope_is_cancellation(L, t->owner->r, -1, &of) &&
      scope_is_own(t, of))
    return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int l_pcall(lua_State *L) {
  int status;

  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, k_pcall);
  return k_pcall(L, status, 0);
}

static int k_xpcall(lua_State *L, int status, lua_KContext ctx) {
  if (status == LUA_OK || status == LUA_YIELD) {
    lua_remove(L, 2); /* the handler */
    return lua_gettop(L);
  }
  return k_pcall(L, status, ctx);
}

/* Handler of xpcall: leaves the caller's own cancellation alone. */
static int filter(lua_State *L) { /* error; upvalues: rt, handler */
  task *t = task_of(L);
  scope *of;

  if (t != NULL && scope_is_cancellation(L, t->owner->r, 1, &of) &&
      scope_is_own(t, of))
    return 1;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int l_xpcall(lua_State *L) {
  int status, n = lua_gettop(L) - 2;

  lx_check_callable(L, 2);
  lx_ref(L, rt_of(L)->r_box);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, filter, 2); /* fn handler args... filter */
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);      /* true fn filter args... */
  lua_pushvalue(L, 3);
  lua_insert(L, 2);      /* true filter fn filter args... */
  lua_remove(L, 4);      /* true filter fn args... */
  status = lua_pcallk(L, n, LUA_MULTRET, 2, 0, k_xpcall);
  return k_xpcall(L, status, 0);
}

static const luaL_Reg methods[] = {{"spawn", l_scope_spawn},
                                   {"cancel", l_scope_cancel},
                                   {NULL, NULL}};

static const luaL_Reg metas[] = {{"__newindex", l_scope__newindex},
                                 {"__tostring", l_scope__tostring},
                                 {NULL, NULL}};

/* core.close_with_scope(object [, task]): see scope_add_closer. The scope is the
** innermost one of the caller, or the task's own. False if there is none, or
** its body has ended. */
static int l_close_with_scope(lua_State *L) {
  task *t = lua_isnoneornil(L, 2) ? task_of(L) : task_check(L, 2);
  scope *s = NULL;

  luaL_checkany(L, 1);
  if (t == NULL) t = rt_of(L)->current; /* inside a plain coroutine */
  if (t != NULL && t->state < TASK_DONE && !(t->flags & T_ENDING)) {
    s = lua_isnoneornil(L, 2) ? scope_for_spawn(L, t) : scope_of_task(t);
    if (s == NULL) return luaL_error(L, "not enough memory");
    if (s->closing) s = NULL;
  }
  if (s != NULL) scope_add_closer(L, s, 1);
  lua_pushboolean(L, s != NULL);
  return 1;
}

/* core.set_closer(fn): fn(set) closes the objects that are its keys. */
static int l_set_closer(lua_State *L) {
  lx_check_callable(L, 1);
  lx_ref(L, rt_of(L)->r_closer);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  return 0;
}

/* core.scope_mark(): tells whether scopes were opened in between; the implicit
** scope of the task does not count. */
static int l_scope_mark(lua_State *L) {
  task *t = task_of(L);
  scope *s = t ? t->current : NULL;

  if (s != NULL && s->kind == SCOPE_TASK) s = s->parent;
  lua_pushlightuserdata(L, s);
  return 1;
}

static const luaL_Reg functions[] = {{"close_with_scope", l_close_with_scope},
                                     {"scope_mark", l_scope_mark},
                                     {"set_closer", l_set_closer},
                                     {"scope", l_scope},
                                     {"keep_scope", l_keep_scope},
                                     {"supervised", l_supervised},
                                     {"timeout", l_timeout},
                                     {"timeout_at", l_timeout_at},
                                     {"move_on_after", l_move_on_after},
                                     {"shield", l_shield},
                                     {"deadline", l_deadline},
                                     {"pcall", l_pcall},
                                     {"xpcall", l_xpcall},
                                     {NULL, NULL}};

void scope_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_SCOPE, methods, metas, l_scope__index);
  lx_functions(L, r, functions);
}
