/*
** value.c -- the registry of built-in types and the way in and out; see
** value.h. A new type is a line in the table and a codec in a type_*.c.
*/
#include "pg/value.h"

#include <stdio.h>
#include <string.h>

#include "neap.h"
#include "pg/type.h"
#include "pg/value_utf8.h"

const char pg_as_text[] = "as text";

/* clang-format off */
#define TYPE(oid, name, codec)                                                \
  {oid, 0, name, codec##_from_binary, codec##_from_text, codec##_to_binary}
#define READ(oid, name, codec) /* parameters go as text */                    \
  {oid, 0, name, codec##_from_binary, codec##_from_text, NULL}
#define ARRAY(oid, name, element)                                             \
  {oid, element, name "[]", array_from_binary, array_from_text,               \
   array_to_binary}

static const pg_type types[] = { /* sorted by oid */
  TYPE(16, "bool", bool),
  TYPE(17, "bytea", bytea),
  TYPE(18, "char", char),
  TYPE(19, "name", text),
  TYPE(20, "int8", int8),
  TYPE(21, "int2", int2),
  TYPE(23, "int4", int4),
  TYPE(25, "text", text),
  TYPE(26, "oid", uint4),
  TYPE(28, "xid", uint4),
  TYPE(29, "cid", uint4),
  TYPE(114, "json", json),
  TYPE(142, "xml", text),
  ARRAY(143, "xml", 142),
  ARRAY(199, "json", 114),
  ARRAY(271, "xid8", 5069),
  READ(650, "cidr", inet),
  ARRAY(651, "cidr", 650),
  TYPE(700, "float4", float4),
  TYPE(701, "float8", float8),
  TYPE(705, "unknown", text),
  READ(774, "macaddr8", macaddr),
  ARRAY(775, "macaddr8", 774),
  READ(829, "macaddr", macaddr),
  READ(869, "inet", inet),
  ARRAY(1000, "bool", 16),
  ARRAY(1001, "bytea", 17),
  ARRAY(1002, "char", 18),
  ARRAY(1003, "name", 19),
  ARRAY(1005, "int2", 21),
  ARRAY(1007, "int4", 23),
  ARRAY(1009, "text", 25),
  ARRAY(1011, "xid", 28),
  ARRAY(1012, "cid", 29),
  ARRAY(1014, "bpchar", 1042),
  ARRAY(1015, "varchar", 1043),
  ARRAY(1016, "int8", 20),
  ARRAY(1021, "float4", 700),
  ARRAY(1022, "float8", 701),
  ARRAY(1028, "oid", 26),
  ARRAY(1040, "macaddr", 829),
  ARRAY(1041, "inet", 869),
  TYPE(1042, "bpchar", text),
  TYPE(1043, "varchar", text),
  TYPE(1082, "date", date),
  TYPE(1083, "time", time),
  TYPE(1114, "timestamp", timestamp),
  ARRAY(1115, "timestamp", 1114),
  ARRAY(1182, "date", 1082),
  ARRAY(1183, "time", 1083),
  TYPE(1184, "timestamptz", timestamptz),
  ARRAY(1185, "timestamptz", 1184),
  TYPE(1186, "interval", interval),
  ARRAY(1187, "interval", 1186),
  ARRAY(1231, "numeric", 1700),
  ARRAY(1263, "cstring", 2275),
  TYPE(1266, "timetz", timetz),
  ARRAY(1270, "timetz", 1266),
  TYPE(1700, "numeric", numeric),
  TYPE(1790, "refcursor", text),
  ARRAY(2201, "refcursor", 1790),
  TYPE(2275, "cstring", text),
  READ(2278, "void", void),
  TYPE(2950, "uuid", uuid),
  ARRAY(2951, "uuid", 2950),
  TYPE(3220, "pg_lsn", lsn),
  ARRAY(3221, "pg_lsn", 3220),
  TYPE(3802, "jsonb", jsonb),
  ARRAY(3807, "jsonb", 3802),
  TYPE(4072, "jsonpath", jsonpath),
  ARRAY(4073, "jsonpath", 4072),
  TYPE(5069, "xid8", uint8),
};
/* clang-format on */

const pg_type *pg_type_of(pg_oid oid) {
  size_t low = 0, high = countof(types);

  while (low < high) {
    size_t mid = (low + high) / 2;
    if (types[mid].oid < oid) low = mid + 1;
    else high = mid;
  }
  return low < countof(types) && types[low].oid == oid ? &types[low] : NULL;
}

const pg_type *pg_type_named(const char *name) {
  size_t i;

  for (i = 0; i < countof(types); i++)
    if (strcmp(types[i].name, name) == 0) return &types[i];
  return NULL;
}

void pg_garbage(lua_State *L, const pg_type *type, size_t len, int text) {
  char message[96];

  snprintf(message, sizeof message, "not a value of type %s (%zu bytes of %s)",
           type->name, len, text ? "text" : "binary");
  neap_raise(L, "pg", "decode", message);
  abort(); /* neap_raise does not return */
}

void pg_push_text(lua_State *L, pg_oid oid, const char *p, size_t len) {
  const pg_type *type = pg_type_of(oid);

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
  case PG_BYTEA: {
    static const char hex[] = "0123456789abcdef";
    size_t i;
    lua_getiuservalue(L, idx, 1);
    s = lua_tolstring(L, -1, &len);
    if ((p = buf_grow(out, 2 * len + 2)) != NULL) {
      *p++ = '\\';
      *p++ = 'x';
      for (i = 0; i < len; i++) {
        *p++ = hex[(unsigned char)s[i] >> 4];
        *p++ = hex[s[i] & 15];
      }
      out->len += 2 * len + 2;
    }
    lua_pop(L, 1);
    return NULL;
  }
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
  case LUA_TTABLE: return pg_array_text(L, idx, out);
  default: return object_text(L, idx, out);
  }
}

const char *pg_put(lua_State *L, int idx, pg_oid oid, buf *out, int *format) {
  const pg_type *type = pg_type_of(oid);
  const char *wrong = pg_as_text;
  size_t start = out->len;

  idx = lua_absindex(L, idx);
  *format = 1;
  if (type != NULL && type->to_binary != NULL)
    wrong = type->to_binary(L, type, idx, out);
  else if (type != NULL && lua_type(L, idx) != LUA_TSTRING)
    wrong = pg_expected(L, idx, "a string");
  if (wrong == pg_as_text) {
    out->len = start;
    *format = 0;
    wrong = pg_text_of(L, idx, out);
  }
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
  neap_->push_null(L);
  lua_setfield(L, -2, "null");
}
