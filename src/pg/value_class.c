/*
** value_class.c -- the Lua classes of the values: how they are registered,
** made and recognised, and how a value is named in a message. See type.h.
*/
#include <lauxlib.h>

#include "pg/type.h"

const char pg_class_key[PG_CLASSES];

/* Key of the class number in a metatable. */
#define MARK ((const void *)&pg_class_key[PG_FOREIGN])

void pg_class_mark(lua_State *L, int class) {
  lua_pushinteger(L, class);
  lua_rawsetp(L, -2, MARK);
}

void pg_class_adopt(lua_State *L, int class) {
  pg_class_mark(L, class);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &pg_class_key[class]);
}

void pg_class_define(lua_State *L, int class, const char *name) {
  lua_createtable(L, 0, 10);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  pg_class_adopt(L, class);
}

int pg_class_of(lua_State *L, int idx) {
  int kind = lua_type(L, idx), class;

  if (kind != LUA_TUSERDATA && kind != LUA_TTABLE) return PG_FOREIGN;
  if (!lua_getmetatable(L, idx)) return PG_FOREIGN;
  lua_rawgetp(L, -1, MARK);
  class = (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  /* A table may have got any metatable by setmetatable(). */
  return (class >= PG_ARRAY) == (kind == LUA_TTABLE) ? class : PG_FOREIGN;
}

void pg_class_push(lua_State *L, int class) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &pg_class_key[class]);
}

void *pg_class_new(lua_State *L, int class, size_t size) {
  void *p = lua_newuserdatauv(L, size, 0);

  pg_class_push(L, class);
  lua_setmetatable(L, -2);
  return p;
}

lua_Integer pg_count_of(lua_State *L, int idx) {
  lua_Integer n = -1;

  lua_pushliteral(L, "n");
  if (lua_rawget(L, idx) == LUA_TNUMBER && lua_isinteger(L, -1))
    n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n < 0 ? -1 : n;
}

void *pg_class_test(lua_State *L, int idx, int class) {
  int same;

  if (lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
    return NULL;
  pg_class_push(L, class);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? lua_touserdata(L, idx) : NULL;
}

const char *pg_describe(lua_State *L, int idx) {
  static const char *const names[] = {/* ORDER pg_class */
                                      NULL,        "a numeric",
                                      "a date",    "a time",
                                      "a timetz",  "a timestamp",
                                      "a timestamptz", "an interval",
                                      "a json value",  "a bytea",
                                      "a bit string",  "a range",
                                      "an array",      "a multirange"};
  int class = pg_class_of(L, idx);

  if (class != PG_FOREIGN) return lua_pushstring(L, names[class]);
  if (lua_isinteger(L, idx)) return lua_pushliteral(L, "an integer");
  return lua_pushfstring(L, "a %s", luaL_typename(L, idx));
}

const char *pg_expected(lua_State *L, int idx, const char *what) {
  lua_Number v;

  idx = lua_absindex(L, idx);
  if (lua_type(L, idx) == LUA_TNUMBER && !lua_isinteger(L, idx)) {
    v = lua_tonumber(L, idx);
    return lua_pushfstring(L, "expected %s, got the float %f", what, v);
  }
  return lua_pushfstring(L, "expected %s, got %s", what, pg_describe(L, idx));
}

const char *pg_out_of_range(lua_State *L, int idx, const pg_type *type) {
  const char *got = luaL_tolstring(L, idx, NULL);

  return lua_pushfstring(L, "value out of %s range (got %s)", type->name, got);
}
