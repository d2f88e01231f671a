/*
** scope.c -- see scope.h. How cancellation travels is in cancel.c.
*/
#include "core/scope.h"

#include <limits.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/park.h"
#include "core/see.h"
#include "core/task.h"

/* Side table of a scope: side[scope] = {primary, others, cancellation,
** reason, closers, set of others, listeners}. ORDER SIDE */
enum { SIDE_PRIMARY = 1, SIDE_OTHERS, SIDE_CANCEL, SIDE_REASON, SIDE_CLOSERS,
       SIDE_SEEN, SIDE_LISTENERS };

/* ORDER SOURCES */
static const char *const sources[] = {"explicit", "deadline", "sibling_failed",
                                      "parent",   "shutdown", "signal"};

const char *scope_source_name(const scope *s) { return sources[s->source]; }

const neap_op op_join = {"waiting for child tasks", NULL};

void scope_init(scope *s, rt *r, scope *parent, task *body, int kind) {
  s->parent = parent;
  s->r = r;
  s->body = body;
  s->kind = (unsigned char)kind;
  s->deadline = INT64_MAX;
  s->timer.fire = scope_on_deadline;
  s->timer.flags = NEAP_COUNTED;
  list_init(&s->children);
  list_init(&s->room);
  if (parent != NULL && kind != SCOPE_SHIELD) s->cause = parent->cause;
}

/* The outermost scope in t's chain that belongs to t, or NULL. */
static scope *outermost_own(task *t) {
  scope *s, *own = NULL;
  for (s = t->current; s != t->owner; s = s->parent) own = s;
  return own;
}

scope *scope_of_task(task *t) {
  scope *own = outermost_own(t), *s;

  if (own != NULL && own->kind == SCOPE_TASK) return own;
  if ((s = base_alloc(sizeof *s)) == NULL) return NULL;
  scope_init(s, t->owner->r, t->owner, t, SCOPE_TASK);
  if (own == NULL)
    t->current = s;
  else
    own->parent = s; /* goes below the scopes that are open already */
  return s;
}

scope *scope_for_spawn(lua_State *L, task *t) {
  scope *s = t->current;

  if (s->kind == SCOPE_BODY) return s->parent;
  if (s->body == t) return s;
  if ((s = scope_of_task(t)) == NULL) luaL_error(L, "not enough memory");
  return s;
}

/* --- the side table --- */

static void push_side(lua_State *L, scope *s) {
  lx_ref(L, s->r->r_side);
  if (lua_rawgetp(L, -1, s) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 4, 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, s);
    s->sided = 1;
  }
  lua_remove(L, -2);
}

/* Set side[s][field] to the value on top; pops it. */
static void set_side(lua_State *L, scope *s, int field) {
  push_side(L, s);
  lua_insert(L, -2);
  lua_rawseti(L, -2, field);
  lua_pop(L, 1);
}

static void drop_side(lua_State *L, scope *s) {
  int top = lua_gettop(L);

  if (!s->sided) return;
  luaL_checkstack(L, 20, NULL);
  s->sided = 0;
  lx_ref(L, s->r->r_side);      /* top + 1 */
  lua_rawgetp(L, top + 1, s);   /* top + 2 */
  if (lua_istable(L, top + 2) &&
      lua_rawgeti(L, top + 2, SIDE_CANCEL) == LUA_TTABLE) {
    lx_ref(L, s->r->r_cancels);
    lua_pushvalue(L, top + 3);
    lua_pushboolean(L, 0); /* stale from now on */
    lua_rawset(L, top + 4);
  }
  lua_settop(L, top + 2);
  if (s->listeners) {
    s->listeners = 0;
    lua_rawgeti(L, top + 2, SIDE_LISTENERS);
    emitter_scope_ended(L);
  }
  lua_pushnil(L);
  lua_rawsetp(L, top + 1, s);
  lua_settop(L, top);
}

void scope_keep_reason(lua_State *L, scope *s, int idx) {
  if (s->cancelled || lua_isnoneornil(L, idx)) return;
  lua_pushvalue(L, idx);
  set_side(L, s, SIDE_REASON);
}

/* --- cancellation as Lua sees it --- */

/* Push the cancellation object of c; one for each cancelled scope. */
static void push_cancellation(lua_State *L, scope *c) {
  push_side(L, c);
  if (lua_rawgeti(L, -1, SIDE_CANCEL) == LUA_TTABLE) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  fault_push(L, "cancelled", NULL, NULL);
  lua_pushstring(L, sources[c->source]);
  lua_setfield(L, -2, "source");
  if (lua_rawgeti(L, -2, SIDE_REASON) != LUA_TNIL) {
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "reason");
    lua_pushfstring(L, "cancelled (%s): %s", sources[c->source],
                    lua_isstring(L, -1) ? lua_tostring(L, -1)
                                        : luaL_typename(L, -1));
    lua_setfield(L, -3, "message");
  } else {
    lua_pushfstring(L, "cancelled (%s)", sources[c->source]);
    lua_setfield(L, -3, "message");
  }
  lua_pop(L, 1);
  lx_ref(L, c->r->r_class[CLASS_CANCELLED]);
  lua_setmetatable(L, -2);
  lx_ref(L, c->r->r_cancels);
  lua_pushvalue(L, -2);
  lua_pushlightuserdata(L, c);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, SIDE_CANCEL);
  lua_remove(L, -2);
}

int scope_raise(lua_State *L, task *t) {
  scope *c = t->current->cause;

  if (c == NULL) return luaL_error(L, "neap: cancelled by nobody");
  c->interrupted = 1;
  if (t->swallows < UCHAR_MAX) t->swallows++;
  if (unlikely(c->r->seeing & SEE_DEBUG)) see_raised(L, c->r, t);
  luaL_checkstack(L, 10, NULL);
  push_cancellation(L, c);
  return lua_error(L);
}

int scope_is_cancellation(lua_State *L, rt *r, int idx, scope **of) {
  idx = lua_absindex(L, idx);
  *of = NULL;
  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return 0;
  if (lua_topointer(L, -1) != r->mt[CLASS_CANCELLED]) return lua_pop(L, 1), 0;
  lua_pop(L, 1);
  lx_ref(L, r->r_cancels);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  if (lua_islightuserdata(L, -1)) *of = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return 1;
}

int scope_is_own(const task *t, const scope *of) {
  const scope *s = t->current;

  if (of == NULL || !of->cancelled) return 0;
  while (s != NULL && s != of) s = s->parent;
  return s == of;
}

/* --- failures --- */

/* The error at `err` is not the first; the side table is on top. Has it come
** before? Remembers it. */
static int seen(lua_State *L, int err) {
  int was;

  if (lua_isnil(L, err) || lua_isnumber(L, err)) return 0; /* NaN is no key */
  if (lua_rawgeti(L, -1, SIDE_SEEN) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, SIDE_SEEN);
  }
  lua_pushvalue(L, err);
  was = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 1);
  if (!was) {
    lua_pushvalue(L, err);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  return was;
}

static void fail(lua_State *L, scope *s, task *child) {
  if (!s->failed) {
    if (lua_isstring(L, -1)) fault_hand_trace(L, child, s->body);
    set_side(L, s, SIDE_PRIMARY);
    s->failed = 1;
    scope_cancel(s, SRC_SIBLING);
    return;
  }
  push_side(L, s);
  lua_rawgeti(L, -1, SIDE_PRIMARY);
  if (lua_rawequal(L, -1, -3)) { /* the same failure, once more */
    lua_pop(L, 3);
    return;
  }
  lua_pop(L, 1);
  if (seen(L, lua_gettop(L) - 1)) {
    lua_pop(L, 2);
    return;
  }
  if (lua_rawgeti(L, -1, SIDE_OTHERS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, SIDE_OTHERS);
  }
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 2);
  hook_report(L, s->r, "secondary", child);
  lua_pop(L, 1);
}

static int is_ancestor(const scope *s, const scope *a) {
  for (; s != NULL; s = s->parent)
    if (s == a) return 1;
  return 0;
}

void scope_body_failed(lua_State *L, scope *s) {
  scope *of;

  if (scope_is_cancellation(L, s->r, -1, &of)) {
    if (of != NULL && of->cancelled && is_ancestor(s, of)) {
      s->unwound = 1;
      lua_pop(L, 1);
      if (of != s) scope_cancel(s, SRC_PARENT);
      return;
    }
    fault_push(L, "stale_cancel", NULL, STALE);
    lua_insert(L, -2);
    lua_setfield(L, -2, "cause");
  }
  fail(L, s, s->body);
}

void scope_child_failed(lua_State *L, scope *s, task *child) {
  switch (s->kind) {
  case SCOPE_RUN:
  case SCOPE_EMIT:
  case SCOPE_KEEP:
    lua_pop(L, 1); /* the task keeps it */
    return;
  case SCOPE_GROUND:
    hook_report(L, s->r, "background", child);
    lua_pop(L, 1);
    return;
  default: fail(L, s, child);
  }
}

static void wake_if_empty(scope *s) {
  if (s->live > 0 || s->promised > 0 || !s->waiting) return;
  s->waiting = 0;
  wait_wake(&s->body->wait, 0);
}

void scope_child_ended(scope *s, task *child) {
  node_remove(&child->sibling);
  s->live--;
  if (unlikely(!list_empty(&s->room))) { /* its place goes to who waits */
    s->promised++;
    wait_wake(wait_of(list_shift(&s->room)), 0);
  }
  wake_if_empty(s);
}

int scope_is_full(const scope *s) {
  return s->max != 0 && s->live + s->promised >= s->max;
}

void scope_promise_kept(scope *s) {
  s->promised--;
  wake_if_empty(s);
}

/* --- the end --- */

/* Push the weak set in a field of the side table on top; made if needed. */
static void push_set(lua_State *L, int field) {
  if (lua_rawgeti(L, -1, field) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L); /* weak: the scope does not keep what is in it */
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, field);
}

void scope_add_closer(lua_State *L, scope *s, int idx) {
  idx = lua_absindex(L, idx);
  push_side(L, s);
  push_set(L, SIDE_CLOSERS); /* object -> order */
  lua_pushvalue(L, idx);
  lua_pushinteger(L, ++s->r->closer_seq);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  s->closers = 1;
}

void scope_add_listener(lua_State *L, scope *s, int idx) {
  push_side(L, s);
  push_set(L, SIDE_LISTENERS);
  lua_pushvalue(L, idx);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  s->listeners = 1;
}

int scope_push_closers(lua_State *L, scope *s) {
  if (likely(!s->closers)) return 0;
  luaL_checkstack(L, 8, NULL);
  s->closers = 0;
  lx_ref(L, s->r->r_closer);
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
  push_side(L, s);
  lua_rawgeti(L, -1, SIDE_CLOSERS);
  lua_remove(L, -2);
  return 1;
}

/* The scope through which cancellation reached c is gone: its own is now. */
static void stay_cancelled(task *c, scope *heir) {
  scope *own = scope_of_task(c);

  if (own == NULL) { /* no memory: then all of it */
    scope_cancel(heir, SRC_PARENT);
    return;
  }
  if (!own->cancelled) own->source = SRC_PARENT;
  own->cancelled = 1;
  scope_propagate(own, own);
}

void scope_dissolve(lua_State *L, scope *s, scope *heir) {
  if (s->failed) { /* nobody will raise it */
    push_side(L, s);
    lua_rawgeti(L, -1, SIDE_PRIMARY);
    hook_report(L, s->r, "secondary", s->body);
    lua_pop(L, 2);
  }
  if (scope_is_serving(s)) {
    s->closing = 1;
    if (s->prop != NULL) scope_propagate(s, s->prop);
  }
  scope_forget(L, s);
  s->closed = 1;
  while (!list_empty(&s->room))
    wait_wake(wait_of(list_shift(&s->room)), NEAP_ECLOSED);
  LIST_EACH_SAFE(n, &s->children) {
    task *c = container_of(n, task, sibling);
    scope **at = &c->current;
    while (*at != s) at = &(*at)->parent;
    *at = heir;
    c->owner = heir;
    node_remove(n);
    list_append(&heir->children, n);
    heir->live++;
    if (s->cause != NULL && heir->cause == NULL) stay_cancelled(c, heir);
  }
}

void scope_leave_to(lua_State *L, task *t, scope *s) {
  while (t->current != s) {
    scope *inner = t->current;
    scope_dissolve(L, inner, s);
    t->current = inner->parent;
  }
}

int scope_must_join(lua_State *L, task *t, scope *s) {
  if (unlikely(t->current != s)) scope_leave_to(L, t, s);
  if (unlikely(scope_is_serving(s))) {
    s->closing = 1;
    if (s->prop != NULL)
      scope_propagate(s, s->prop);
    else if (s->live > 0)
      scope_cancel(s, SRC_PARENT);
  }
  s->closing = 1;
  if (s->live == 0 && s->promised == 0) return 0;
  s->waiting = 1;
  t->wait.flags = 0;
  return 1;
}

/* Attach the other failures to the primary error at idx. */
static void attach_suppressed(lua_State *L, scope *s, int err, int others) {
  if (lua_type(L, err) != LUA_TTABLE && lua_type(L, err) != LUA_TUSERDATA)
    return;
  lx_ref(L, s->r->r_suppressed);
  lua_pushvalue(L, err);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_Integer i, n = luaL_len(L, others), m = luaL_len(L, -1);
    for (i = 1; i <= n; i++) {
      lua_rawgeti(L, others, i);
      lua_rawseti(L, -2, m + i);
    }
  } else {
    lua_pushvalue(L, err);
    lua_pushvalue(L, others);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

static void push_timeout(lua_State *L, scope *s) {
  char limit[32];

  snprintf(limit, sizeof limit, "%.14g", s->limit);
  lua_pushfstring(L, "timeout after %s s%s%s%s%s", limit,
                  s->name ? " of " : "", s->name ? s->name : "",
                  s->blocked_in ? " in " : "",
                  s->blocked_in ? s->blocked_in : "");
  fault_push(L, "timeout", NULL, lua_tostring(L, -1));
  lua_remove(L, -2);
}

static void push_failures(lua_State *L, scope *s, int timed_out) {
  int err, others;

  push_side(L, s);
  lua_rawgeti(L, -1, SIDE_PRIMARY);
  err = lua_gettop(L);
  if (lua_rawgeti(L, err - 1, SIDE_OTHERS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  others = lua_gettop(L);
  if (timed_out) {
    push_timeout(L, s);
    lua_rawseti(L, others, luaL_len(L, others) + 1);
  }
  if (s->group) {
    lua_Integer i, n = luaL_len(L, others);
    lua_pushfstring(L, "%d of the tasks failed, the first: %s", (int)n + 1,
                    fault_text(L, err));
    fault_push(L, "group", NULL, lua_tostring(L, -1));
    lua_createtable(L, (int)n + 1, 0);
    lua_pushvalue(L, err);
    lua_rawseti(L, -2, 1);
    for (i = 1; i <= n; i++) {
      lua_rawgeti(L, others, i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "errors");
    lua_pushinteger(L, n + 1); /* an error may be nil */
    lua_setfield(L, -2, "n");
    lua_replace(L, err - 1);
  } else {
    if (luaL_len(L, others) > 0) attach_suppressed(L, s, err, others);
    lua_pushvalue(L, err);
    lua_replace(L, err - 1);
  }
  lua_settop(L, err - 1);
}

void scope_anchor(lua_State *L, task *t) {
  task_push(L, t);
  lua_getiuservalue(L, -1, 1);
  lua_setiuservalue(L, -3, 2); /* the one that was innermost */
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_pop(L, 1);
}

/* Scopes that a memory error left open inside of s go with it. */
static void unanchor(lua_State *L, task *t, const scope *s) {
  const void *p;

  if (s->kind == SCOPE_TASK) return; /* it is no userdata */
  task_push(L, t);
  lua_getiuservalue(L, -1, 1);
  while ((p = lua_touserdata(L, -1)) != NULL && p != s) {
    lua_getiuservalue(L, -1, 2);
    lua_remove(L, -2);
  }
  if (p == NULL) {
    lua_pop(L, 2);
    return;
  }
  lua_getiuservalue(L, -1, 2);
  lua_setiuservalue(L, -3, 1);
  lua_pop(L, 2);
}

int scope_close(lua_State *L, task *t, scope *s) {
  int timed_out = s->expired && s->interrupted &&
                  (s->kind == SCOPE_TIMEOUT || s->kind == SCOPE_SHIELD ||
                   s->kind == SCOPE_PLAIN || s->kind == SCOPE_GROUND);
  int raise = 1;

  luaL_checkstack(L, 20, NULL);
  if (s->failed)
    push_failures(L, s, timed_out);
  else if (timed_out && s->kind == SCOPE_SHIELD) /* hidden from the parent */
    push_timeout(L, s);
  else if (s->parent->cause != NULL && s->kind != SCOPE_TASK &&
           (s->unwound || s->interrupted || s->cut)) {
    s->parent->cause->interrupted = 1;
    push_cancellation(L, s->parent->cause);
  } else if (timed_out)
    push_timeout(L, s);
  else
    raise = 0;
  drop_side(L, s);
  timer_stop(&s->r->loop, &s->timer);
  s->closed = 1;
  t->current = s->parent;
  if (t->current->cause == NULL) t->swallows = 0;
  unanchor(L, t, s);
  return raise;
}

void scope_forget(lua_State *L, scope *s) {
  drop_side(L, s);
  timer_stop(&s->r->loop, &s->timer);
}

void scope_report_swallowed(lua_State *L, task *t) {
  fault_push(L, "invalid", NULL,
             "a task swallows its cancellation again and again: rethrow it, "
             "or use neap.pcall");
  luaL_traceback(L, L, NULL, 0);
  lua_setfield(L, -2, "traceback");
  hook_report(L, t->owner->r, "swallowed", t);
  lua_pop(L, 1);
}
