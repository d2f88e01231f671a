/*
** fault.c -- see fault.h.
*/
#include "core/fault.h"

#include <stdarg.h>
#include <string.h>

#include "core/task.h"

#define CAUSES_MAX 32 /* how deep a chain of causes is followed */
#define BROUGHT 4     /* index in the trace of a string: fault_set_trace */

static void set_string(lua_State *L, const char *key, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

void fault_push(lua_State *L, const char *kind, const char *code,
                const char *message) {
  lua_createtable(L, 0, 6);
  set_string(L, "kind", kind);
  set_string(L, "code", code);
  set_string(L, "message", message);
  luaL_setmetatable(L, lx_class_names[CLASS_FAULT]);
}

static void add_traceback(lua_State *L, int level) {
  if (!lua_checkstack(L, 10)) return;
  if (lua_getfield(L, -1, "traceback") == LUA_TNIL) {
    luaL_traceback(L, L, NULL, level);
    lua_setfield(L, -3, "traceback");
  }
  lua_pop(L, 1);
}

int fault_raise(lua_State *L) {
  if (lua_istable(L, -1)) add_traceback(L, 0);
  return lua_error(L);
}

int fault_error(lua_State *L, const char *kind, const char *format, ...) {
  va_list ap;

  va_start(ap, format);
  lua_pushvfstring(L, format, ap);
  va_end(ap);
  fault_push(L, kind, NULL, lua_tostring(L, -1));
  return fault_raise(L);
}

static int is_fault(lua_State *L, int idx) {
  int same;

  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return 0;
  luaL_getmetatable(L, lx_class_names[CLASS_FAULT]);
  same = lua_rawequal(L, -1, -2);
  if (!same) {
    luaL_getmetatable(L, lx_class_names[CLASS_CANCELLED]);
    same = lua_rawequal(L, -1, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return same;
}

static int has_identity(lua_State *L, int idx) {
  return lua_type(L, idx) == LUA_TTABLE || lua_type(L, idx) == LUA_TUSERDATA;
}

/* Push the function at a level of the stack, or nil. */
static void push_function(lua_State *L, int level) {
  lua_Debug ar;

  if (lua_getstack(L, level, &ar))
    lua_getinfo(L, "f", &ar);
  else
    lua_pushnil(L);
}

/* Did the error at 1 get its trace by fault_set_trace, or by fault_again in the
** function that raises it? Stack: error, r_trace, task; emptied down to the
** error if so. */
static int brought_trace(lua_State *L) {
  int did = 0;

  lua_pushvalue(L, 3);
  if (lua_rawget(L, 2) == LUA_TTABLE) {
    lua_rawgeti(L, 4, BROUGHT);
    lua_rawgeti(L, 4, 1);
    push_function(L, 1);
    did = (lua_isfunction(L, 5) ? lua_rawequal(L, 5, 7) : lua_toboolean(L, 5)) &&
          lua_rawequal(L, 1, 6);
    lua_pushboolean(L, 0); /* the same text may be raised elsewhere */
    lua_rawseti(L, 4, BROUGHT);
  }
  lua_settop(L, did ? 1 : 3);
  return did;
}

/* Of a string (and the like) the trace is kept for the running task, by value:
** r_trace[task] = {error, trace}. */
static void keep_trace(lua_State *L) {
  task *t = task_of(L);

  if (t->anchor == 0) return;
  lua_settop(L, 1);
  lx_ref(L, t->owner->r->r_trace);
  task_push(L, t);
  if (brought_trace(L)) return;
  lua_createtable(L, BROUGHT, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, 2);
  lua_settop(L, 1);
}

int fault_handler(lua_State *L) {
  if (is_fault(L, 1)) {
    lua_settop(L, 1);
    add_traceback(L, 1);
    return 1;
  }
  if (has_identity(L, 1)) {
    rt *r = task_of(L)->owner->r;
    lua_settop(L, 1);
    lx_ref(L, r->r_trace);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) == LUA_TNIL) {
      lua_pushvalue(L, 1);
      luaL_traceback(L, L, NULL, 1);
      lua_rawset(L, 2);
    }
    lua_settop(L, 1);
    return 1;
  }
  keep_trace(L);
  return 1;
}

void fault_push_trace(lua_State *L, rt *r, int idx, int who) {
  idx = lua_absindex(L, idx);
  if (is_fault(L, idx)) {
    lua_getfield(L, idx, "traceback");
    return;
  }
  if (!has_identity(L, idx) && (who == 0 || lua_isnil(L, who))) {
    lua_pushnil(L);
    return;
  }
  if (who != 0) who = lua_absindex(L, who);
  lx_ref(L, r->r_trace);
  if (has_identity(L, idx)) {
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    return;
  }
  lua_pushvalue(L, who);
  if (lua_rawget(L, -2) == LUA_TTABLE) { /* {error, trace} */
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, lua_rawequal(L, -1, idx) ? 2 : 3);
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
}

void fault_set_trace(lua_State *L, int idx) {
  task *t = task_of(L);

  idx = lua_absindex(L, idx);
  if (is_fault(L, idx)) {
    lua_setfield(L, idx, "traceback");
    return;
  }
  lx_ref(L, t->owner->r->r_trace);
  lua_insert(L, -2);
  if (has_identity(L, idx)) {
    lua_pushvalue(L, idx);
  } else {
    lua_createtable(L, BROUGHT, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, 1);
    lua_pushboolean(L, 1);
    lua_rawseti(L, -2, BROUGHT);
    task_push(L, t);
  }
  lua_insert(L, -2); /* r_trace key value */
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void fault_again(lua_State *L, int who) {
  task *t = task_of(L);
  int err = lua_gettop(L);

  if (t == NULL || t->anchor == 0 || has_identity(L, err)) return;
  luaL_checkstack(L, 10, NULL);
  lx_ref(L, t->owner->r->r_trace);
  if (who != 0)
    lua_pushvalue(L, who);
  else
    task_push(L, t);
  if (lua_rawget(L, err + 1) == LUA_TTABLE) { /* {error, trace} */
    lua_rawgeti(L, err + 2, 1);
    if (lua_rawequal(L, err, err + 3)) {
      task_push(L, t);
      lua_createtable(L, BROUGHT, 0); /* not that of another task */
      lua_pushvalue(L, err);
      lua_rawseti(L, -2, 1);
      lua_rawgeti(L, err + 2, 2);
      lua_rawseti(L, -2, 2);
      push_function(L, 0);
      lua_rawseti(L, -2, BROUGHT);
      lua_rawset(L, err + 1);
    }
  }
  lua_settop(L, err);
}

void fault_hand_trace(lua_State *L, task *from, task *to) {
  if (from == NULL || to == NULL || from->anchor == 0 || to->anchor == 0) return;
  lx_ref(L, to->owner->r->r_trace);
  task_push(L, to);
  task_push(L, from);
  if (lua_rawget(L, -3) == LUA_TTABLE) {
    int kept = lua_gettop(L), i;
    lua_createtable(L, BROUGHT, 0); /* a scope raises it again, elsewhere */
    for (i = 1; i <= 2; i++) {
      lua_rawgeti(L, kept, i);
      lua_rawseti(L, -2, i);
    }
    lua_pushboolean(L, 1);
    lua_rawseti(L, -2, BROUGHT);
    lua_replace(L, kept);
  }
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void fault_attach(lua_State *L, rt *r, int err, int second) {
  err = lua_absindex(L, err);
  second = lua_absindex(L, second);
  if (!has_identity(L, err)) return;
  lx_ref(L, r->r_suppressed);
  lua_pushvalue(L, err);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, err);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushvalue(L, second);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 2);
}

const char *fault_text(lua_State *L, int idx) {
  return luaL_tolstring(L, idx, NULL);
}

void fault_push_kind(lua_State *L, int idx) {
  if (is_fault(L, idx))
    lua_getfield(L, idx, "kind");
  else
    lua_pushnil(L);
}

static void add_line(lua_State *L, luaL_Buffer *b, int idx) {
  lua_getfield(L, idx, "kind");
  if (!lua_isstring(L, -1)) lua_pop(L, 1), lua_pushliteral(L, "fault");
  luaL_addvalue(b);
  lua_getfield(L, idx, "code");
  if (lua_isstring(L, -1)) {
    luaL_addchar(b, ' ');
    luaL_addvalue(b);
  } else
    lua_pop(L, 1);
  lua_getfield(L, idx, "message");
  if (lua_isstring(L, -1)) {
    luaL_addlstring(b, ": ", 2);
    luaL_addvalue(b);
  } else
    lua_pop(L, 1);
}

/* Of a group: each of its errors, with where it was raised. */
static void add_errors(lua_State *L, luaL_Buffer *b, int errors) {
  lua_Integer i, n = luaL_len(L, errors);

  lua_pushliteral(L, "n"); /* an error may be nil */
  lua_rawget(L, 1);
  if (lua_isinteger(L, -1)) n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, errors, i);
    lua_pushfstring(L, "\n%I: %s", (LUAI_UACINT)i, fault_text(L, -1));
    lua_remove(L, -2);
    fault_push_trace(L, rt_of(L), -2, 0);
    lua_remove(L, -3);
    if (lua_isstring(L, -1)) {
      lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
      lua_replace(L, -3);
    }
    lua_pop(L, 1);
    luaL_addvalue(b);
  }
}

/* "kind CODE: message (caused by kind: message)" */
static int l_fault__tostring(lua_State *L) {
  luaL_Buffer b;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "cause"); /* 2; one level: the chain may be long */
  lua_pushliteral(L, "errors");
  lua_rawget(L, 1); /* 3 */
  luaL_buffinit(L, &b);
  add_line(L, &b, 1);
  if (!lua_isnil(L, 2)) {
    luaL_addlstring(&b, " (caused by ", 12);
    if (lua_istable(L, 2) && is_fault(L, 2))
      add_line(L, &b, 2);
    else {
      luaL_tolstring(L, 2, NULL);
      luaL_addvalue(&b);
    }
    luaL_addchar(&b, ')');
  }
  if (lua_istable(L, 3)) add_errors(L, &b, 3);
  luaL_pushresult(&b);
  return 1;
}

/* The methods are those of a group (lua/neap/group.lua). */
static int l_fault__index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) return 1;
  lua_pushliteral(L, "errors");
  if (lua_rawget(L, 1) == LUA_TTABLE) lua_pop(L, 1);
  return 1;
}

/* fault.new{kind=, message=, ...} -> fault. Takes the table over. */
static int l_fault_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "kind");
  luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1,
                "field 'kind' must be a string");
  lua_getfield(L, 1, "message");
  luaL_argcheck(L, lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING, 1,
                "field 'message' must be a string");
  lua_settop(L, 1);
  luaL_setmetatable(L, lx_class_names[CLASS_FAULT]);
  return 1;
}

static int l_fault_raise(lua_State *L) {
  lua_settop(L, 1);
  if (!is_fault(L, 1)) l_fault_new(L);
  lua_settop(L, 1);
  if (lua_getfield(L, 1, "traceback") == LUA_TNIL) {
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, 1, "traceback");
  }
  lua_settop(L, 1);
  return lua_error(L);
}

/* fault.is(err, kind): err or one of its causes is of that kind. */
static int l_fault_is(lua_State *L) {
  int depth;

  luaL_checkany(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  for (depth = 0; depth < CAUSES_MAX && lua_istable(L, 1); depth++) {
    if (!is_fault(L, 1)) break;
    lua_getfield(L, 1, "kind");
    if (lua_rawequal(L, 2, -1)) return lua_pushboolean(L, 1), 1;
    lua_getfield(L, 1, "cause");
    lua_replace(L, 1);
    lua_settop(L, 2);
  }
  lua_pushboolean(L, 0);
  return 1;
}

static int l_is_timeout(lua_State *L) {
  static const char *const kinds[] = {"timeout", "query_timeout",
                                      "pool_timeout"};
  size_t i;

  luaL_checkany(L, 1);
  lua_settop(L, 1);
  fault_push_kind(L, 1);
  for (i = 0; i < countof(kinds); i++)
    if (lua_isstring(L, 2) && strcmp(lua_tostring(L, 2), kinds[i]) == 0)
      return lua_pushboolean(L, 1), 1;
  lua_pushboolean(L, 0);
  return 1;
}

static const luaL_Reg fault_functions[] = {{"new", l_fault_new},
                                           {"raise", l_fault_raise},
                                           {"is", l_fault_is},
                                           {"is_timeout", l_is_timeout},
                                           {NULL, NULL}};

static const luaL_Reg fault_metas[] = {{"__tostring", l_fault__tostring},
                                       {NULL, NULL}};

static const luaL_Reg no_methods[] = {{NULL, NULL}};

static void protect(lua_State *L, enum lx_class c) {
  luaL_getmetatable(L, lx_class_names[c]);
  lua_pushstring(L, lx_class_names[c]); /* nobody forges one by setmetatable */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void fault_open(lua_State *L, rt *r) {
  lx_class(L, r, CLASS_FAULT, no_methods, fault_metas, l_fault__index);
  lx_class(L, r, CLASS_CANCELLED, NULL, fault_metas, NULL);
  protect(L, CLASS_FAULT);
  protect(L, CLASS_CANCELLED);
  lua_newtable(L);
  lx_functions(L, r, fault_functions);
}
