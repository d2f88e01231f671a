/*
** value.c -- the way in and out of any value; see value.h. The built-in types
** are in type_table.c.
*/
#include "pg/value.h"

#include <stdio.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/value_utf8.h"

const char pg_as_text[] = "as text";

void pg_garbage(lua_State *L, const pg_type *type, size_t len, int text) {
  char message[96];

  snprintf(message, sizeof message, "not a value of type %s (%zu bytes of %s)",
           type->name, len, text ? "text" : "binary");
  neap_raise(L, "pg", "decode", message);
  abort(); /* neap_raise does not return */
}

void pg_push_text(lua_State *L, const pg_type *type, const char *p,
                  size_t len) {
  if (type != NULL) type->from_text(L, type, p, len);
  else lua_pushlstring(L, p, len);
}

/* What is wrong with a string that is to be a C string, or NULL. */
static const char *unfit(lua_State *L, const char *s, size_t len) {
  size_t at = utf8_check(s, len);

  if (at == len) return NULL;
  if (s[at] == '\0')
    return lua_pushfstring(L, "the string has a zero byte at position %d",
                           (int)at + 1);
  return lua_pushfstring(L, "the string is not UTF-8 at position %d",
                         (int)at + 1);
}

static const char *number_text(lua_State *L, int idx, buf *out) {
  char *p = buf_grow(out, 32);

  if (p == NULL) return NULL;
  out->len += lua_isinteger(L, idx) ? int_text(p, lua_tointeger(L, idx))
                                    : float_text(p, lua_tonumber(L, idx));
  return NULL;
}

static const char *object_text(lua_State *L, int idx, buf *out) {
  int class = pg_class_of(L, idx);
  size_t len;
  const char *s;
  char *p;

  switch (class) {
  case PG_FOREIGN: return pg_expected(L, idx, "a value with a text form");
  case PG_NUMERIC: {
    const decimal *d = lua_touserdata(L, idx);
    if ((p = buf_grow(out, decimal_text_room(d))) != NULL)
      out->len += decimal_text(d, p);
    return NULL;
  }
  case PG_JSON:
    lua_getiuservalue(L, idx, 1);
    s = lua_tolstring(L, -1, &len);
    buf_append(out, s, len);
    lua_pop(L, 1);
    return NULL;
  case PG_BYTEA: return bytea_to_text(L, NULL, idx, out);
  case PG_BITS: return bits_text(L, idx, out);
  case PG_RANGE: return range_text(L, NULL, idx, out);
  default:
    if ((p = buf_grow(out, 128)) != NULL)
      out->len += pg_moment_text(L, idx, class, p);
    return NULL;
  }
}

const char *pg_text_of(lua_State *L, int idx, buf *out) {
  const char *s, *wrong;
  size_t len;

  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    if ((wrong = unfit(L, s, len)) != NULL) return wrong;
    buf_append(out, s, len);
    return NULL;
  case LUA_TNUMBER: return number_text(L, idx, out);
  case LUA_TBOOLEAN:
    buf_string(out, lua_toboolean(L, idx) ? "true" : "false");
    return NULL;
  case LUA_TTABLE:
    return pg_class_of(L, idx) == PG_MULTIRANGE
             ? multirange_text(L, NULL, idx, out)
             : array_text(L, NULL, idx, out);
  default: return object_text(L, idx, out);
  }
}

const char *pg_put(lua_State *L, int idx, const pg_type *type, buf *out,
                   int *format) {
  const char *wrong = pg_as_text;
  size_t start = out->len;

  idx = lua_absindex(L, idx);
  *format = 1;
  if (type != NULL && type->to_binary != NULL)
    wrong = type->to_binary(L, type, idx, out);
  if (wrong == pg_as_text) {
    out->len = start;
    *format = 0;
    wrong = type != NULL && type->to_text != NULL
              ? type->to_text(L, type, idx, out)
              : pg_text_of(L, idx, out);
  }
  if (wrong != NULL) out->len = start;
  else if (out->failed) luaL_error(L, "not enough memory");
  return wrong;
}

const char *pg_write_text(lua_State *L, const pg_type *type, int idx,
                          buf *out) {
  size_t start = out->len;
  const char *wrong;

  if (type != NULL && type->to_text != NULL)
    return type->to_text(L, type, idx, out);
  if (type != NULL && type->to_binary != NULL) { /* refuses what does not fit */
    wrong = type->to_binary(L, type, idx, out);
    out->len = start;
    if (wrong != NULL && wrong != pg_as_text) return wrong;
  }
  return pg_text_of(L, idx, out);
}

const char *pg_put_text(lua_State *L, int idx, const pg_type *type, buf *out) {
  size_t start = out->len;
  const char *wrong = pg_write_text(L, type, lua_absindex(L, idx), out);

  if (wrong != NULL) out->len = start;
  else if (out->failed) luaL_error(L, "not enough memory");
  return wrong;
}

void pg_values_open(lua_State *L) {
  lua_newtable(L);
  numeric_values_open(L);
  time_values_open(L);
  array_values_open(L);
  json_values_open(L);
  bytea_values_open(L);
  bits_values_open(L);
  range_values_open(L);
  neap_->push_null(L);
  lua_setfield(L, -2, "null");
}
