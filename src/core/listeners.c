/*
** listeners.c -- who listens to an emitter: registration, removal, looking.
*/
#include <math.h>

#include "core/emitter.h"
#include "core/fault.h"
#include "core/options.h"
#include "core/scope.h"

/* --- registration ---
** Stack: 1 emitter, 2 name (nil: any), 3 function, 4 options or nil. */

enum { ADD_FIRST = 1, ADD_ANY = 2, ADD_HIDDEN = 4 };

typedef struct wish {
  double priority;
  lua_Integer left;
  int how, unique, named, limited;
  scope *s;
} wish;

static int truth(lua_State *L, const char *what, const char *name) {
  int v;

  if (lua_getfield(L, 4, name) != LUA_TNIL && !lua_isboolean(L, -1))
    fault_error(L, "invalid", "%s: option '%s' must be a boolean, got a %s",
                what, name, luaL_typename(L, -1));
  v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

static scope *check_scope(lua_State *L, const char *what) {
  scope *s;

  if (lua_getfield(L, 4, "scope") == LUA_TNIL) return lua_pop(L, 1), NULL;
  if ((s = lx_test(L, rt_of(L), -1, CLASS_SCOPE)) == NULL)
    fault_error(L, "invalid", "%s: option 'scope' must be a scope, got a %s",
                what, luaL_typename(L, -1));
  if (s->closed)
    fault_error(L, "closed", "%s: option 'scope': the scope has ended", what);
  lua_pop(L, 1); /* the options keep it for now */
  return s;
}

static void check_options(lua_State *L, const char *what, wish *w) {
  static const char *const names[] = {"priority", "unique",  "scope", "timeout",
                                      "concurrency", "named", NULL};

  if (lua_isnoneornil(L, 4)) return;
  luaL_checktype(L, 4, LUA_TTABLE);
  options_check(L, 4, what, names);
  if (lua_getfield(L, 4, "priority") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER || isnan(lua_tonumber(L, -1)))
      fault_error(L, "invalid", "%s: option 'priority' must be a number", what);
    w->priority = lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  w->unique = truth(L, what, "unique");
  w->named = truth(L, what, "named");
  if (lua_getfield(L, 4, "concurrency") != LUA_TNIL) {
    double n = options_number(L, 4, what, "concurrency", HUGE_VAL);
    if (n < 1 || n != floor(n))
      fault_error(L, "invalid", "%s: option 'concurrency' must be a whole "
                                "number from 1 on, or math.huge", what);
    w->limited = n < 1e9;
  }
  lua_pop(L, 1);
  if (options_number(L, 4, what, "timeout", HUGE_VAL) < 9e9) w->limited = 1;
  w->s = check_scope(L, what);
}

/* The option unique: push the handle that the function has already. */
static int push_same(lua_State *L, const wish *w) {
  int top = lua_gettop(L);
  const record *rec;
  unsigned i;

  if (!w->unique) return 0;
  if (w->how & ADD_ANY) {
    lua_getiuservalue(L, 1, EM_ANY);
    rec = lua_touserdata(L, -1);
  } else
    rec = emitter_push_record(L, 2);
  if (rec == NULL) return lua_settop(L, top), 0;
  lua_getiuservalue(L, top + 1, REC_ARRAY); /* top + 2 */
  for (i = 1; i <= rec->n; i++) {
    const listener *l;
    lua_rawgeti(L, top + 2, i); /* top + 3 */
    l = lua_touserdata(L, -1);
    if (!l->removed && !l->hidden) {
      if (lua_getiuservalue(L, top + 3, LI_GIVEN) == LUA_TNIL)
        lua_getiuservalue(L, top + 3, LI_FN);
      if (lua_rawequal(L, -1, 3)) return lua_settop(L, top + 3), 1;
    }
    lua_settop(L, top + 2);
  }
  return lua_settop(L, top), 0;
}

/* Its function, limited as the options want it: lua/neap/emitter.lua. */
static void set_function(lua_State *L, const wish *w, int li) {
  if (w->limited) {
    lx_ref(L, rt_of(L)->r_limit);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -2);
    lua_pushvalue(L, 3);
    lua_getfield(L, 4, "timeout");
    lua_getfield(L, 4, "concurrency");
    lua_call(L, 3, 1);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, li, LI_GIVEN);
  } else
    lua_pushvalue(L, 3);
  lua_setiuservalue(L, li, LI_FN);
}

static record *push_record_for(lua_State *L, emitter *e, const wish *w) {
  return w->how & ADD_ANY ? emitter_push_new_any(L, e)
                          : emitter_push_new_record(L, 2);
}

/* Pushes the handle. What can fail comes first. */
static int add(lua_State *L, emitter *e, const wish *w) {
  int li, ri, watched;
  listener *l;
  record *rec;

  luaL_checkstack(L, 16, NULL);
  lua_settop(L, 4);
  if (push_same(L, w)) return 1;
  l = lx_new(L, rt_of(L), CLASS_LISTENER, sizeof *l, LI_VALUES);
  li = 5;
  l->removed = 1; /* until it is there */
  l->priority = w->priority;
  l->left = w->left;
  l->named = (w->how & ADD_ANY) || w->named;
  l->hidden = (w->how & ADD_HIDDEN) != 0;
  set_function(L, w, li);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, li, LI_EMITTER);
  rec = push_record_for(L, e, w);
  ri = 6;
  watched = e->max_listeners > 0 && !rec->warned && !l->hidden;
  if (watched) emitter_note_site(L, li);
  if (rec->dead > rec->n / 2 + 16) {
    e->hot = NULL;
    emitter_tidy(L, ri);
  }
  if (w->s != NULL) scope_add_listener(L, w->s, li);
  lua_settop(L, li); /* a finalizer may have made an end of the record */
  rec = push_record_for(L, e, w);
  lua_pushvalue(L, ri);
  lua_setiuservalue(L, li, LI_RECORD);
  lua_getiuservalue(L, ri, REC_ARRAY);
  lua_pushvalue(L, li);
  lua_rawseti(L, -2, (lua_Integer)rec->n + 1);
  lua_settop(L, ri);
  l->order = w->how & ADD_FIRST ? --e->first : ++e->last;
  l->rec = rec;
  l->removed = 0;
  if (rec->n > 0 && (w->how & ADD_FIRST ? l->priority >= rec->lowest
                                        : l->priority > rec->lowest))
    rec->unsorted = 1;
  if (rec->n == 0 || l->priority < rec->lowest) rec->lowest = l->priority;
  rec->n++;
  emitter_forget_matches(L, 1, ri);
  if (!l->hidden) {
    rec->shown++;
    e->live++;
  }
  if (watched && rec->shown > e->max_listeners) {
    rec->warned = 1;
    emitter_warn_leak(L, rt_of(L), ri);
  }
  lua_settop(L, li);
  return 1;
}

static int register_for(lua_State *L, const char *what, wish w) {
  emitter *e = emitter_check_alive(L, what);

  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  check_options(L, what, &w);
  return add(L, e, &w);
}

static int l_emitter_on(lua_State *L) {
  return register_for(L, "emitter:on", (wish){.left = -1});
}

static int l_emitter_once(lua_State *L) {
  return register_for(L, "emitter:once", (wish){.left = 1});
}

static int l_emitter_prepend(lua_State *L) {
  return register_for(L, "emitter:prepend", (wish){.left = -1, .how = ADD_FIRST});
}

static int l_emitter_many(lua_State *L) { /* name, n, fn, options */
  wish w = {0};
  emitter *e = emitter_check_alive(L, "emitter:many");

  w.left = luaL_checkinteger(L, 3);
  emitter_check_name(L, 2);
  luaL_argcheck(L, w.left > 0, 3, "a positive number of calls expected");
  lx_check_callable(L, 4);
  lua_remove(L, 3);
  check_options(L, "emitter:many", &w);
  return add(L, e, &w);
}

static int l_emitter_on_any(lua_State *L) { /* fn, options */
  wish w = {.left = -1, .how = ADD_ANY};
  emitter *e = emitter_check_alive(L, "emitter:on_any");

  lx_check_callable(L, 2);
  lua_pushnil(L);
  lua_insert(L, 2);
  check_options(L, "emitter:on_any", &w);
  return add(L, e, &w);
}

/* core.emitter_tap(emitter, what, name, fn, named): a listener of an iterator:
** it is not counted. */
static int l_tap(lua_State *L) {
  wish w = {.left = -1, .how = ADD_HIDDEN};
  const char *what = luaL_checkstring(L, 2);
  emitter *e = emitter_check_alive(L, what);

  emitter_check_name(L, 3);
  lx_check_callable(L, 4);
  w.named = lua_toboolean(L, 5);
  lua_settop(L, 4);
  lua_remove(L, 2);
  return add(L, e, &w);
}

/* core.set_listener_limit(fn): fn(listener, timeout, concurrency) returns the
** function that is called in its place. */
static int l_set_limit(lua_State *L) {
  lx_check_callable(L, 1);
  lx_ref(L, rt_of(L)->r_limit);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  return 0;
}

/* --- removal --- */

int emitter_remove(lua_State *L, int li) {
  listener *l = lua_touserdata(L, li);
  record *rec = l->rec;
  int ei = lua_gettop(L) + 1, ri = ei + 1;
  emitter *e;

  if (l->removed) return 0;
  l->removed = 1;
  lua_getiuservalue(L, li, LI_EMITTER);
  lua_getiuservalue(L, li, LI_RECORD);
  e = lua_touserdata(L, ei);
  rec->dead++;
  if (!l->hidden) rec->shown--;
  lua_pushnil(L); /* the array may hold it for a while */
  lua_setiuservalue(L, li, LI_FN);
  lua_pushnil(L);
  lua_setiuservalue(L, li, LI_GIVEN);
  if (!e->closed) {
    if (!l->hidden) e->live--;
    emitter_forget_matches(L, ei, ri);
    emitter_drop_if_idle(L, ei, ri);
  }
  lua_settop(L, ei - 1);
  return 1;
}

void emitter_scope_ended(lua_State *L) {
  int set = lua_gettop(L);

  lua_pushnil(L);
  while (lua_next(L, set)) {
    emitter_remove(L, set + 1);
    lua_settop(L, set + 1);
  }
}

/* Those of the record at ri that have the function at fn, or any (0). */
static int remove_all(lua_State *L, int ri, int fn) {
  record *rec = lua_touserdata(L, ri);
  int top = lua_gettop(L), removed = 0;
  unsigned i, n;

  if (rec == NULL) return 0;
  n = rec->n;
  lua_getiuservalue(L, ri, REC_ARRAY); /* top + 1 */
  for (i = 1; i <= n; i++) {
    const listener *l;
    lua_rawgeti(L, top + 1, i); /* top + 2 */
    l = lua_touserdata(L, -1);
    if (!l->removed && !l->hidden) {
      int hit = fn == 0;
      if (!hit) {
        if (lua_getiuservalue(L, top + 2, LI_GIVEN) == LUA_TNIL)
          lua_getiuservalue(L, top + 2, LI_FN);
        hit = lua_rawequal(L, -1, fn);
      }
      if (hit) removed += emitter_remove(L, top + 2);
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return removed;
}

static int l_emitter_off(lua_State *L) {
  emitter_check(L);
  if (lx_test(L, rt_of(L), 2, CLASS_LISTENER) && lua_isnoneornil(L, 3)) {
    lua_getiuservalue(L, 2, LI_EMITTER);
    lua_pushinteger(L, lua_rawequal(L, -1, 1) ? emitter_remove(L, 2) : 0);
    return 1;
  }
  emitter_check_name(L, 2);
  lx_check_callable(L, 3);
  lua_settop(L, 3);
  emitter_push_record(L, 2);
  lua_pushinteger(L, remove_all(L, 4, 3));
  return 1;
}

static int l_emitter_off_all(lua_State *L) {
  int n = 0;

  emitter_check(L);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    emitter_push_record(L, 2);
    lua_pushinteger(L, remove_all(L, 3, 0));
    return 1;
  }
  lua_getiuservalue(L, 1, EM_ANY); /* 3 */
  n = remove_all(L, 3, 0);
  lua_getiuservalue(L, 1, EM_EVENTS); /* 4; fields are cleared meanwhile */
  lua_pushnil(L);
  while (lua_next(L, 4)) {
    n += remove_all(L, 6, 0);
    lua_settop(L, 5);
  }
  lua_pushinteger(L, n);
  return 1;
}

static int l_listener_off(lua_State *L) {
  lx_check(L, rt_of(L), 1, CLASS_LISTENER);
  lua_pushboolean(L, emitter_remove(L, 1));
  return 1;
}

/* --- looking --- */

static int l_emitter_count(lua_State *L) {
  const emitter *e = emitter_check(L);

  lua_settop(L, 2);
  if (lua_isnil(L, 2))
    lua_pushinteger(L, e->live);
  else {
    const record *rec = emitter_push_record(L, 2);
    lua_pushinteger(L, rec ? rec->shown : 0);
  }
  return 1;
}

static int l_emitter_names(lua_State *L) {
  lua_Integer n = 0;

  emitter_check(L);
  lua_settop(L, 1);
  lua_newtable(L); /* 2 */
  lua_getiuservalue(L, 1, EM_EVENTS);
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    const record *rec = lua_touserdata(L, -1);
    if (rec->shown > 0) {
      lua_pushvalue(L, -2);
      lua_rawseti(L, 2, ++n);
    }
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  return 1;
}

static int l_emitter_listeners(lua_State *L) {
  const record *rec;
  lua_Integer n = 0;
  unsigned i;

  emitter_check(L);
  emitter_check_name(L, 2);
  lua_settop(L, 2);
  rec = emitter_push_record(L, 2); /* 3 */
  lua_newtable(L);                 /* 4 */
  if (rec == NULL) return 1;
  if (rec->unsorted) emitter_tidy(L, 3);
  lua_getiuservalue(L, 3, REC_ARRAY); /* 5 */
  for (i = 1; i <= rec->n; i++) {
    const listener *l;
    lua_rawgeti(L, 5, i); /* 6 */
    l = lua_touserdata(L, -1);
    if (!l->removed && !l->hidden) {
      if (lua_getiuservalue(L, 6, LI_GIVEN) == LUA_TNIL)
        lua_getiuservalue(L, 6, LI_FN);
      lua_rawseti(L, 4, ++n);
    }
    lua_settop(L, 5);
  }
  lua_settop(L, 4);
  return 1;
}

const luaL_Reg listeners_methods[] = {
    {"on", l_emitter_on},           {"once", l_emitter_once},
    {"many", l_emitter_many},       {"prepend", l_emitter_prepend},
    {"on_any", l_emitter_on_any},   {"off", l_emitter_off},
    {"off_all", l_emitter_off_all}, {"count", l_emitter_count},
    {"names", l_emitter_names},     {"listeners", l_emitter_listeners},
    {NULL, NULL}};

const luaL_Reg listeners_functions[] = {{"emitter_tap", l_tap},
                                        {"set_listener_limit", l_set_limit},
                                        {NULL, NULL}};

static const luaL_Reg listener_methods[] = {{"off", l_listener_off},
                                            {NULL, NULL}};
static const luaL_Reg listener_metas[] = {{"__close", l_listener_off},
                                          {NULL, NULL}};

void listeners_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_LISTENER, listener_methods, listener_metas, NULL);
}
