/*
** value_range.c -- pg.range: two bounds, each of them in or out, or none; and
** the class of multiranges. What they are on the wire: type_range.c.
*/
#include "pg/value_range.h"

#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"

range *range_push(lua_State *L) {
  range *r = lua_newuserdatauv(L, sizeof *r, 2);

  r->flags = RANGE_LOWER_INF | RANGE_UPPER_INF;
  pg_class_push(L, PG_RANGE);
  lua_setmetatable(L, -2);
  return r;
}

int range_is_plain(const char *s, size_t len) {
  size_t i;

  for (i = 0; i < len; i++)
    if (s[i] == '\0' || strchr("\"\\()[], \t\n\r\f\v", s[i]) != NULL) return 0;
  return len > 0;
}

static range *check_range(lua_State *L, int idx) {
  range *r = pg_class_test(L, idx, PG_RANGE);

  if (r == NULL) luaL_typeerror(L, idx, "pg.range");
  return r;
}

static int is_absent(lua_State *L, int idx) {
  return lua_isnil(L, idx) || neap_->is_null(L, idx);
}

static int bounds_flags(lua_State *L, int idx) {
  const char *s = luaL_optstring(L, idx, "[)");
  int flags = 0;

  luaL_argcheck(L, strlen(s) == 2 && strchr("[(", s[0]) && strchr("])", s[1]),
                idx, "expected '[)', '[]', '(]' or '()'");
  if (s[0] == '[') flags |= RANGE_LOWER_INC;
  if (s[1] == ']') flags |= RANGE_UPPER_INC;
  return flags;
}

/* (class, lower, upper [, bounds]) */
static int l_range_new(lua_State *L) {
  range *r;
  int flags;

  lua_remove(L, 1);
  lua_settop(L, 3);
  flags = bounds_flags(L, 3);
  if (is_absent(L, 1)) flags |= RANGE_LOWER_INF;
  if (is_absent(L, 2)) flags |= RANGE_UPPER_INF;
  if (lua_type(L, 1) == LUA_TNUMBER && lua_type(L, 2) == LUA_TNUMBER &&
      lua_compare(L, 2, 1, LUA_OPLT))
    return luaL_error(L, "pg.range: the lower bound %s is above the upper one, "
                         "%s", luaL_tolstring(L, 1, NULL),
                      luaL_tolstring(L, 2, NULL));
  r = range_push(L);
  r->flags = range_normal(flags);
  if (range_has_lower(flags)) {
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, RANGE_LOWER);
  }
  if (range_has_upper(flags)) {
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, RANGE_UPPER);
  }
  return 1;
}

/* The bytes are gathered in a buffer that the collector frees. */
static int push_text(lua_State *L,
                     const char *(*text)(lua_State *, const pg_type *, int,
                                         buf *)) {
  buf *out = pg_scratch_push(L);
  const char *wrong = text(L, NULL, 1, out);

  if (wrong != NULL) return luaL_error(L, "%s", wrong);
  if (out->failed) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, out->len > 0 ? out->data : "", out->len);
  buf_fini(out);
  return 1;
}

static int l_range__tostring(lua_State *L) {
  check_range(L, 1);
  lua_settop(L, 1);
  return push_text(L, range_text);
}

static int same_bound(lua_State *L, int which) {
  int same;

  lua_getiuservalue(L, 1, which);
  lua_getiuservalue(L, 2, which);
  same = lua_compare(L, -1, -2, LUA_OPEQ);
  lua_pop(L, 2);
  return same;
}

static int l_range__eq(lua_State *L) {
  const range *a = pg_class_test(L, 1, PG_RANGE);
  const range *b = pg_class_test(L, 2, PG_RANGE);

  lua_pushboolean(L, a != NULL && b != NULL && a->flags == b->flags &&
                       same_bound(L, RANGE_LOWER) &&
                       same_bound(L, RANGE_UPPER));
  return 1;
}

static int l_range__index(lua_State *L) {
  const range *r = check_range(L, 1);
  const char *name;

  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  name = lua_tostring(L, 2);
  if (strcmp(name, "lower") == 0)
    lua_getiuservalue(L, 1, RANGE_LOWER);
  else if (strcmp(name, "upper") == 0)
    lua_getiuservalue(L, 1, RANGE_UPPER);
  else if (strcmp(name, "lower_inc") == 0)
    lua_pushboolean(L, r->flags & RANGE_LOWER_INC);
  else if (strcmp(name, "upper_inc") == 0)
    lua_pushboolean(L, r->flags & RANGE_UPPER_INC);
  else if (strcmp(name, "empty") == 0)
    lua_pushboolean(L, r->flags & RANGE_EMPTY);
  else
    return 0;
  return 1;
}

/* Multiranges. */

static int l_multirange__tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  return push_text(L, multirange_text);
}

static lua_Integer length_of(lua_State *L, int idx) {
  lua_Integer n = pg_count_of(L, idx);
  return n < 0 ? (lua_Integer)lua_rawlen(L, idx) : n;
}

static int l_multirange__eq(lua_State *L) {
  lua_Integer i, n;
  int same;

  if (pg_class_of(L, 1) != PG_MULTIRANGE ||
      pg_class_of(L, 2) != PG_MULTIRANGE) {
    lua_pushboolean(L, 0);
    return 1;
  }
  n = length_of(L, 1);
  same = length_of(L, 2) == n;
  for (i = 1; same && i <= n; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    same = lua_compare(L, -1, -2, LUA_OPEQ);
    lua_pop(L, 2);
  }
  lua_pushboolean(L, same);
  return 1;
}

void range_values_open(lua_State *L) {
  static const luaL_Reg events[] = {{"__tostring", l_range__tostring},
                                    {"__eq", l_range__eq},
                                    {"__index", l_range__index},
                                    {NULL, NULL}};
  static const luaL_Reg many[] = {{"__tostring", l_multirange__tostring},
                                  {"__eq", l_multirange__eq},
                                  {NULL, NULL}};
  pg_class_define(L, PG_RANGE, "pg.range");
  luaL_setfuncs(L, events, 0);
  pg_class_define(L, PG_MULTIRANGE, "pg.multirange");
  luaL_setfuncs(L, many, 0);
  lua_pop(L, 2);
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_range_new);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  range_push(L)->flags = RANGE_EMPTY;
  lua_setfield(L, -2, "empty");
  lua_setfield(L, -2, "range");
}
