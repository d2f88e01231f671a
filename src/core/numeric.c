/*
** numeric.c -- the class neap.numeric: exact decimal numbers as Lua values.
** The userdata is one decimal (base/decimal.h); it never changes once made.
** Drivers make values of the class by the same layout and metatable.
**
** An operand may be a numeric, an integer, a string, or a float, which counts
** as the shortest text that reads back as the same float (0.1 is 0.1).
*/
#include <errno.h>
#include <math.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/decimal.h"

void numeric_open(lua_State *L);

/* Every function of this file has the metatable as its first upvalue. */
#define META lua_upvalueindex(1)

static decimal *push_room(lua_State *L, size_t digits) {
  decimal *d = lua_newuserdatauv(L, decimal_size(digits), 0);

  d->n = d->weight = d->scale = 0;
  d->kind = DECIMAL_POS;
  lua_pushvalue(L, META);
  lua_setmetatable(L, -2);
  return d;
}

static const decimal *test_numeric(lua_State *L, int idx) {
  int same;

  if (lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
    return NULL;
  same = lua_rawequal(L, -1, META);
  lua_pop(L, 1);
  return same ? lua_touserdata(L, idx) : NULL;
}

static int fail(lua_State *L, int rc) {
  switch (rc) {
  case -ERANGE:
    return luaL_error(L, "numeric out of range (at most 131072 digits before "
                         "the point and 16383 after it)");
  case -EDOM: return luaL_error(L, "division of a numeric by zero");
  case -ENOMEM: return luaL_error(L, "not enough memory");
  default: return luaL_error(L, "not a number");
  }
}

/* Replaces the value at idx by a numeric. NULL when it cannot be one. */
static const decimal *to_numeric(lua_State *L, int idx) {
  const decimal *have = test_numeric(L, idx);
  char number[32];
  const char *s = number;
  size_t len;
  decimal *d;
  int rc;

  if (have != NULL) return have;
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx)) {
      d = push_room(L, DECIMAL_INT_ROOM);
      decimal_from_int(d, lua_tointeger(L, idx));
      lua_replace(L, idx);
      return d;
    }
    len = float_text(number, lua_tonumber(L, idx));
    break;
  case LUA_TSTRING: s = lua_tolstring(L, idx, &len); break;
  default: return NULL;
  }
  d = push_room(L, decimal_parse_room(len));
  if ((rc = decimal_parse(d, s, len)) == -EINVAL) {
    if (len <= 40)
      luaL_error(L, "not a number: '%s'", s);
    luaL_error(L, "not a number (a string of %d bytes)", (int)len);
  }
  if (rc < 0) fail(L, rc);
  lua_replace(L, idx);
  return d;
}

static const decimal *check_numeric(lua_State *L, int idx) {
  const decimal *d = to_numeric(L, idx);

  if (d == NULL) luaL_typeerror(L, idx, "numeric");
  return d;
}

static int l_numeric_new(lua_State *L) {
  check_numeric(L, 1);
  lua_settop(L, 1);
  return 1;
}

/* Both operands of an operator, converted. */
static void operands(lua_State *L, const decimal **a, const decimal **b,
                     const char *what) {
  lua_settop(L, 2);
  *a = to_numeric(L, 1);
  *b = to_numeric(L, 2);
  if (*a == NULL || *b == NULL)
    luaL_error(L, "cannot %s a numeric and a %s", what,
               luaL_typename(L, *a == NULL ? 1 : 2));
}

static int l_numeric__add(lua_State *L) {
  const decimal *a, *b;
  int rc;

  operands(L, &a, &b, "add");
  rc = decimal_add(push_room(L, decimal_add_room(a, b)), a, b);
  return rc < 0 ? fail(L, rc) : 1;
}

static int l_numeric__sub(lua_State *L) {
  const decimal *a, *b;
  int rc;

  operands(L, &a, &b, "subtract");
  rc = decimal_sub(push_room(L, decimal_add_room(a, b)), a, b);
  return rc < 0 ? fail(L, rc) : 1;
}

static int l_numeric__mul(lua_State *L) {
  const decimal *a, *b;
  int rc;

  operands(L, &a, &b, "multiply");
  rc = decimal_mul(push_room(L, decimal_mul_room(a, b)), a, b);
  return rc < 0 ? fail(L, rc) : 1;
}

static int l_numeric__div(lua_State *L) {
  return luaL_error(L, "a quotient of numerics needs a scale: use "
                       "a:div(b, digits after the point)");
}

static decimal *push_copy(lua_State *L, const decimal *a) {
  decimal *r = push_room(L, (size_t)a->n);

  memcpy(r, a, decimal_size((size_t)a->n));
  return r;
}

static int l_numeric__unm(lua_State *L) {
  decimal_negate(push_copy(L, check_numeric(L, 1)));
  return 1;
}

static int l_numeric_abs(lua_State *L) {
  decimal *r = push_copy(L, check_numeric(L, 1));

  if (r->kind == DECIMAL_NEG || r->kind == DECIMAL_NEG_INF) decimal_negate(r);
  return 1;
}

static int check_scale(lua_State *L, int arg) {
  lua_Integer scale = luaL_checkinteger(L, arg);

  luaL_argcheck(L, scale >= 0 && scale <= DECIMAL_MAX_SCALE, arg,
                "scale must be from 0 to 16383");
  return (int)scale;
}

static int l_numeric_div(lua_State *L) {
  const decimal *a = check_numeric(L, 1), *b = check_numeric(L, 2);
  int scale = check_scale(L, 3), rc;

  rc = decimal_div(push_room(L, decimal_div_room(a, b, scale)), a, b, scale);
  return rc < 0 ? fail(L, rc) : 1;
}

static int l_numeric_round(lua_State *L) {
  const decimal *a = check_numeric(L, 1);

  decimal_round(push_copy(L, a), lua_isnoneornil(L, 2) ? 0 : check_scale(L, 2));
  return 1;
}

static int l_numeric_scale(lua_State *L) {
  lua_pushinteger(L, check_numeric(L, 1)->scale);
  return 1;
}

/* An integer when the number is shown without a fraction and fits. */
static int l_numeric_tonumber(lua_State *L) {
  const decimal *a = check_numeric(L, 1);
  int64_t v;

  if (a->kind == DECIMAL_NAN) {
    lua_pushnumber(L, (lua_Number)NAN);
  } else if (!decimal_finite(a)) {
    lua_pushnumber(L, a->kind == DECIMAL_INF ? HUGE_VAL : -HUGE_VAL);
  } else if (a->scale == 0 && decimal_to_int(a, &v) == 0) {
    lua_pushinteger(L, v);
  } else {
    char text[129];
    text[decimal_short_text(a, text)] = '\0';
    lua_stringtonumber(L, text); /* knows the point of the locale */
  }
  return 1;
}

static int l_numeric_tointeger(lua_State *L) {
  int64_t v;

  if (decimal_to_int(check_numeric(L, 1), &v) == 0) lua_pushinteger(L, v);
  else lua_pushnil(L);
  return 1;
}

static int l_numeric_is_nan(lua_State *L) {
  lua_pushboolean(L, check_numeric(L, 1)->kind == DECIMAL_NAN);
  return 1;
}

static int l_numeric_is_finite(lua_State *L) {
  lua_pushboolean(L, decimal_finite(check_numeric(L, 1)));
  return 1;
}

/* Lua asks only when both are userdata: another class is never equal. */
static int l_numeric__eq(lua_State *L) {
  const decimal *a = test_numeric(L, 1), *b = test_numeric(L, 2);

  lua_pushboolean(L, a != NULL && b != NULL && decimal_compare(a, b) == 0);
  return 1;
}

static int l_numeric__lt(lua_State *L) {
  const decimal *a, *b;

  operands(L, &a, &b, "compare");
  lua_pushboolean(L, decimal_compare(a, b) < 0);
  return 1;
}

static int l_numeric__le(lua_State *L) {
  const decimal *a, *b;

  operands(L, &a, &b, "compare");
  lua_pushboolean(L, decimal_compare(a, b) <= 0);
  return 1;
}

static int l_numeric_compare(lua_State *L) {
  const decimal *a = check_numeric(L, 1);

  lua_pushinteger(L, decimal_compare(a, check_numeric(L, 2)));
  return 1;
}

static int l_numeric__tostring(lua_State *L) {
  const decimal *a = check_numeric(L, 1);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, decimal_text_room(a));

  luaL_pushresultsize(&b, decimal_text(a, out));
  return 1;
}

static int l_numeric__concat(lua_State *L) {
  lua_settop(L, 2);
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static const luaL_Reg events[] = {
    {"__add", l_numeric__add},       {"__sub", l_numeric__sub},
    {"__mul", l_numeric__mul},       {"__div", l_numeric__div},
    {"__unm", l_numeric__unm},       {"__eq", l_numeric__eq},
    {"__lt", l_numeric__lt},         {"__le", l_numeric__le},
    {"__concat", l_numeric__concat}, {"__tostring", l_numeric__tostring},
    {NULL, NULL}};

static const luaL_Reg methods[] = {{"div", l_numeric_div},
                                   {"round", l_numeric_round},
                                   {"abs", l_numeric_abs},
                                   {"scale", l_numeric_scale},
                                   {"compare", l_numeric_compare},
                                   {"tonumber", l_numeric_tonumber},
                                   {"tointeger", l_numeric_tointeger},
                                   {"is_nan", l_numeric_is_nan},
                                   {"is_finite", l_numeric_is_finite},
                                   {NULL, NULL}};

/* Registers the metatable and pushes the constructor. The metatable holds it
** as "new", so that a driver can offer the same function. */
void numeric_open(lua_State *L) {
  if (!luaL_newmetatable(L, DECIMAL_CLASS)) {
    lua_getfield(L, -1, "new");
    lua_remove(L, -2);
    return;
  }
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, events, 1);
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, DECIMAL_CLASS);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_numeric_new, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "new");
  lua_remove(L, -2);
}
