/*
** listeners.c -- who listens to an emitter: registration, removal, looking.
*/
#include <math.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/hook.h"
#include "core/options.h"

emitter *emitter_check(lua_State *L) {
  return lx_check(L, rt_of(L), 1, CLASS_EMITTER);
}

emitter *emitter_check_alive(lua_State *L, const char *what) {
  emitter *e = emitter_check(L);
  if (e->closed) fault_error(L, "closed", "%s: the emitter is closed", what);
  return e;
}

void emitter_check_name(lua_State *L, int idx) {
  luaL_argcheck(L, !lua_isnoneornil(L, idx), idx, "an event needs a name");
  luaL_argcheck(L, lua_rawequal(L, idx, idx), idx, "NaN cannot name an event");
}

record *emitter_push_record(lua_State *L, int name) {
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

/* E2: of those whose last waiter was cancelled. */
static void drop_idle_records(lua_State *L) {
  emitter *e = emitter_check(L);

  if (e->records < e->look_at) return;
  lua_getiuservalue(L, 1, 1);
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* events name record */
    const record *rec = lua_touserdata(L, -1);
    lua_getiuservalue(L, -1, 1);
    if (lua_rawlen(L, -1) == 0 && record_idle(rec)) {
      lua_pushvalue(L, -3);
      lua_pushnil(L);
      lua_rawset(L, -6);
      e->records--;
    }
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  e->look_at = 2 * e->records + 16;
}

record *emitter_push_new_record(lua_State *L, int name) {
  record *rec = emitter_push_record(L, name);

  if (rec != NULL) return rec;
  lua_pop(L, 1);
  drop_idle_records(L);
  rec = lua_newuserdatauv(L, sizeof *rec, 1);
  rec->warned = 0;
  list_init(&rec->waiters);
  list_init(&rec->asked);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  emitter_check(L)->records++;
  return rec;
}

void emitter_drop_record_if_idle(lua_State *L, int name, record *rec) {
  lua_getiuservalue(L, -1, 1); /* the record is on top */
  if (lua_rawlen(L, -1) == 0 && record_idle(rec)) {
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, name);
    if (lua_rawget(L, -2) != LUA_TNIL) emitter_check(L)->records--;
    lua_pop(L, 1);
    lua_pushvalue(L, name);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* --- registration --- */

static void warn_leak(lua_State *L, int name, lua_Integer n) {
  luaL_tolstring(L, name, NULL);
  lua_pushfstring(L, "%d listeners of event '%s': a leak? (see the option "
                     "max_listeners)", (int)n, lua_tostring(L, -1));
  fault_push(L, "invalid", NULL, lua_tostring(L, -1));
  luaL_traceback(L, L, NULL, 1);
  lua_setfield(L, -2, "traceback");
  hook_report(L, rt_of(L), "leak", NULL);
  lua_pop(L, 3);
}

/* A copy of the array at `from` with the listener at `li` put in at `at`. */
static void push_inserted(lua_State *L, int from, int li, lua_Integer at) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, from);

  lua_createtable(L, (int)n + 1, 0);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, from, i);
    lua_rawseti(L, -2, i < at ? i : i + 1);
  }
  lua_pushvalue(L, li);
  lua_rawseti(L, -2, at);
}

static double priority_at(lua_State *L, int from, lua_Integer i) {
  listener *l;

  lua_rawgeti(L, from, i);
  l = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return l->priority;
}

/* Stack: emitter, name, fn, ... Pushes the handle. */
static int add(lua_State *L, emitter *e, double priority, int first,
               lua_Integer left) {
  record *rec;
  listener *l;
  lua_Integer at, n;
  int top = lua_gettop(L);

  l = lx_new(L, rt_of(L), CLASS_LISTENER, sizeof *l, 3); /* top + 1 */
  l->priority = priority;
  l->left = left;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, top + 1, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, top + 1, 2);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, top + 1, 3);
  rec = emitter_push_new_record(L, 2);        /* top + 2 */
  lua_getiuservalue(L, top + 2, 1);   /* top + 3 */
  n = (lua_Integer)lua_rawlen(L, top + 3);
  for (at = 1; at <= n; at++) {
    double p = priority_at(L, top + 3, at);
    if (first ? p <= priority : p < priority) break;
  }
  push_inserted(L, top + 3, top + 1, at);
  lua_setiuservalue(L, top + 2, 1);
  if (e->max_listeners > 0 && n + 1 > (lua_Integer)e->max_listeners &&
      !rec->warned) {
    rec->warned = 1;
    warn_leak(L, 2, n + 1);
  }
  lua_settop(L, top + 1);
  return 1;
}

static double check_options(lua_State *L, const char *what) {
  static const char *const names[] = {"priority", "unique", NULL};

  if (lua_isnoneornil(L, 4)) return 0;
  luaL_checktype(L, 4, LUA_TTABLE);
  options_check(L, 4, what, names);
  if (lua_getfield(L, 4, "priority") == LUA_TNIL) return lua_pop(L, 1), 0;
  if (lua_type(L, -1) != LUA_TNUMBER || isnan(lua_tonumber(L, -1)))
    fault_error(L, "invalid", "%s: option 'priority' must be a number", what);
  return lua_tonumber(L, -1);
}

/* Option unique: push the handle that the function has already. */
static int push_same(lua_State *L) {
  lua_Integer i, n;
  int top = lua_gettop(L);

  if (top < 4 || lua_isnil(L, 4)) return 0;
  lua_getfield(L, 4, "unique");
  if (!lua_toboolean(L, -1) || emitter_push_record(L, 2) == NULL)
    return lua_settop(L, top), 0;
  lua_getiuservalue(L, -1, 1);
  n = (lua_Integer)lua_rawlen(L, -1);
  for (i = 1; i <= n; i++) {
    int same;
    lua_rawgeti(L, top + 3, i);
    lua_getiuservalue(L, -1, 1);
    same = lua_rawequal(L, -1, 3);
    lua_pop(L, 1);
    if (same) return 1;
    lua_pop(L, 1);
  }
  return lua_settop(L, top), 0;
}

static int l_emitter_on(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:on");
  double priority;

  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  priority = check_options(L, "emitter:on");
  return push_same(L) ? 1 : add(L, e, priority, 0, -1);
}

static int l_emitter_once(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:once");
  double priority;

  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  priority = check_options(L, "emitter:once");
  return push_same(L) ? 1 : add(L, e, priority, 0, 1);
}

static int l_emitter_many(lua_State *L) { /* name, n, fn */
  emitter *e = emitter_check_alive(L, "emitter:many");
  lua_Integer n = luaL_checkinteger(L, 3);

  emitter_check_name(L, 2);
  luaL_argcheck(L, n > 0, 3, "a positive number of calls expected");
  lx_check_callable(L, 4);
  lua_settop(L, 4);
  lua_remove(L, 3);
  return add(L, e, 0, 0, n);
}

static int l_emitter_prepend(lua_State *L) {
  emitter *e = emitter_check_alive(L, "emitter:prepend");
  double priority;

  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  priority = check_options(L, "emitter:prepend");
  return push_same(L) ? 1 : add(L, e, priority, 1, -1);
}

/* --- removal --- */

int emitter_remove(lua_State *L, int name, listener *only, int fn) {
  record *rec = emitter_push_record(L, name);
  lua_Integer i, n, kept = 0;
  int top = lua_gettop(L), removed = 0;

  if (rec == NULL) return lua_pop(L, 1), 0;
  lua_getiuservalue(L, top, 1); /* top + 1 */
  n = (lua_Integer)lua_rawlen(L, top + 1);
  lua_createtable(L, (int)n, 0); /* top + 2 */
  for (i = 1; i <= n; i++) {
    listener *l;
    int hit = 1;
    lua_rawgeti(L, top + 1, i);
    l = lua_touserdata(L, -1);
    if (only != NULL)
      hit = l == only;
    else if (fn != 0) {
      lua_getiuservalue(L, -1, 1);
      hit = lua_rawequal(L, -1, fn);
      lua_pop(L, 1);
    }
    if (hit) {
      l->removed = 1;
      removed++;
      lua_pop(L, 1);
    } else
      lua_rawseti(L, top + 2, ++kept);
  }
  lua_setiuservalue(L, top, 1);
  lua_settop(L, top);
  emitter_drop_record_if_idle(L, name, rec);
  lua_pop(L, 1);
  return removed;
}

static int l_emitter_off(lua_State *L) {
  emitter_check(L);
  if (lx_test(L, rt_of(L), 2, CLASS_LISTENER) && lua_isnoneornil(L, 3)) {
    listener *l = lua_touserdata(L, 2);
    lua_settop(L, 2);
    lua_getiuservalue(L, 2, 3);
    lua_pushinteger(L, emitter_remove(L, 3, l, 0));
    return 1;
  }
  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  lua_pushinteger(L, emitter_remove(L, 2, NULL, 3));
  return 1;
}

static int l_emitter_off_all(lua_State *L) {
  int n = 0;

  emitter_check(L);
  if (!lua_isnoneornil(L, 2)) {
    lua_pushinteger(L, emitter_remove(L, 2, NULL, 0));
    return 1;
  }
  lua_settop(L, 1);
  lua_newtable(L); /* names, as removal changes the table */
  lua_getiuservalue(L, 1, 1);
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, 2, luaL_len(L, 2) + 1);
  }
  lua_settop(L, 2);
  while (luaL_len(L, 2) > 0) {
    lua_rawgeti(L, 2, luaL_len(L, 2));
    n += emitter_remove(L, 3, NULL, 0);
    lua_settop(L, 2);
    lua_pushnil(L);
    lua_rawseti(L, 2, luaL_len(L, 2));
  }
  lua_pushinteger(L, n);
  return 1;
}

static int l_listener_off(lua_State *L) {
  listener *l = lx_check(L, rt_of(L), 1, CLASS_LISTENER);

  if (l->removed) return lua_pushboolean(L, 0), 1;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 2);
  lua_getiuservalue(L, 1, 3);
  lua_remove(L, 1); /* emitter, name */
  lua_pushboolean(L, emitter_remove(L, 2, l, 0) > 0);
  return 1;
}

/* --- looking --- */

static int l_emitter_count(lua_State *L) {
  lua_Integer n = 0;

  emitter_check(L);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    if (emitter_push_record(L, 2) != NULL) {
      lua_getiuservalue(L, -1, 1);
      n = (lua_Integer)lua_rawlen(L, -1);
    }
  } else {
    lua_getiuservalue(L, 1, 1);
    lua_pushnil(L);
    while (lua_next(L, 3)) {
      lua_getiuservalue(L, -1, 1);
      n += (lua_Integer)lua_rawlen(L, -1);
      lua_pop(L, 2);
    }
  }
  lua_pushinteger(L, n);
  return 1;
}
const luaL_Reg listeners_methods[] = {
    {"on", l_emitter_on},           {"once", l_emitter_once},
    {"many", l_emitter_many},       {"prepend", l_emitter_prepend},
    {"off", l_emitter_off},         {"off_all", l_emitter_off_all},
    {"count", l_emitter_count},     {NULL, NULL}};

static const luaL_Reg listener_methods[] = {{"off", l_listener_off},
                                            {NULL, NULL}};
static const luaL_Reg listener_metas[] = {{"__close", l_listener_off},
                                          {NULL, NULL}};

void listeners_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_LISTENER, listener_methods, listener_metas, NULL);
}
