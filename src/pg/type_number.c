/*
** type_number.c -- bool, integers, floats. A number goes out only where it
** arrives unchanged.
*/
#include <errno.h>
#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"
#include "pg/value_scan.h"

/* bool */

void bool_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (len != 1 || (unsigned char)*p > 1) pg_garbage(L, type, len, 0);
  lua_pushboolean(L, *p);
}

void bool_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  if (len != 1 || (*p != 't' && *p != 'f')) pg_garbage(L, type, len, 1);
  lua_pushboolean(L, *p == 't');
}

const char *bool_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  (void)type;
  if (!lua_isboolean(L, idx)) return pg_expected(L, idx, "a boolean");
  buf_byte(out, (char)lua_toboolean(L, idx));
  return NULL;
}

/* Integers. */

/* The integer at idx, within [min, max]. */
static const char *take_integer(lua_State *L, const pg_type *type, int idx,
                                int64_t min, int64_t max, int64_t *v) {
  const decimal *d;
  int exact, rc;

  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
    *v = lua_tointegerx(L, idx, &exact);
    if (exact) break;
    if (floor(lua_tonumber(L, idx)) != lua_tonumber(L, idx))
      return pg_expected(L, idx, "an integer");
    return pg_out_of_range(L, idx, type);
  case LUA_TSTRING: return pg_as_text;
  default:
    d = pg_class_test(L, idx, PG_NUMERIC);
    if (d == NULL || (rc = decimal_to_int(d, v)) == -EINVAL)
      return pg_expected(L, idx, "an integer");
    if (rc < 0) return pg_out_of_range(L, idx, type);
  }
  if (*v < min || *v > max) return pg_out_of_range(L, idx, type);
  return NULL;
}

/* All of the text as an integer within [min, max]. */
static int64_t read_integer(lua_State *L, const pg_type *type, const char *p,
                            size_t len, int64_t min, int64_t max) {
  const char *s = p, *end = p + len;
  int negative = s < end && *s == '-';
  uint64_t u = 0, most = (uint64_t)INT64_MAX + (uint64_t)negative;

  s += negative;
  if (s == end) pg_garbage(L, type, len, 1);
  for (; s < end; s++) {
    unsigned d = (unsigned)(*s - '0');
    if (d > 9 || u > (most - d) / 10) pg_garbage(L, type, len, 1);
    u = u * 10 + d;
  }
  if (negative) u = 0 - u;
  if ((int64_t)u < min || (int64_t)u > max) pg_garbage(L, type, len, 1);
  return (int64_t)u;
}

void int2_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (len != 2) pg_garbage(L, type, len, 0);
  lua_pushinteger(L, (int16_t)read_u16(p));
}

void int2_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  lua_pushinteger(L, read_integer(L, type, p, len, INT16_MIN, INT16_MAX));
}

const char *int2_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  int64_t v;
  const char *no = take_integer(L, type, idx, INT16_MIN, INT16_MAX, &v);

  if (no == NULL) buf_u16(out, (uint16_t)v);
  return no;
}

void int4_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (len != 4) pg_garbage(L, type, len, 0);
  lua_pushinteger(L, (int32_t)read_u32(p));
}

void int4_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  lua_pushinteger(L, read_integer(L, type, p, len, INT32_MIN, INT32_MAX));
}

const char *int4_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  int64_t v;
  const char *no = take_integer(L, type, idx, INT32_MIN, INT32_MAX, &v);

  if (no == NULL) buf_u32(out, (uint32_t)v);
  return no;
}

void int8_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (len != 8) pg_garbage(L, type, len, 0);
  lua_pushinteger(L, (int64_t)read_u64(p));
}

void int8_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  lua_pushinteger(L, read_integer(L, type, p, len, INT64_MIN, INT64_MAX));
}

const char *int8_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  int64_t v;
  const char *no = take_integer(L, type, idx, INT64_MIN, INT64_MAX, &v);

  if (no == NULL) buf_u64(out, (uint64_t)v);
  return no;
}

void uint4_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  if (len != 4) pg_garbage(L, type, len, 0);
  lua_pushinteger(L, read_u32(p));
}

void uint4_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  lua_pushinteger(L, read_integer(L, type, p, len, 0, UINT32_MAX));
}

const char *uint4_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  int64_t v;
  const char *no = take_integer(L, type, idx, 0, UINT32_MAX, &v);

  if (no == NULL) buf_u32(out, (uint32_t)v);
  return no;
}

/* Above 2^63 - 1 a decimal string. */
static void push_unsigned(lua_State *L, uint64_t v) {
  char text[24];
  size_t len;

  if (v <= INT64_MAX) {
    lua_pushinteger(L, (int64_t)v);
    return;
  }
  len = int_text(text, (int64_t)(v / 10));
  text[len++] = (char)('0' + v % 10);
  lua_pushlstring(L, text, len);
}

void uint8_from_binary(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  if (len != 8) pg_garbage(L, type, len, 0);
  push_unsigned(L, read_u64(p));
}

static int read_unsigned(const char *p, size_t len, uint64_t *v) {
  size_t i;

  for (*v = 0, i = 0; i < len; i++) {
    unsigned d = (unsigned)(p[i] - '0');
    if (d > 9 || *v > (UINT64_MAX - d) / 10) return 0;
    *v = *v * 10 + d;
  }
  return len > 0;
}

void uint8_from_text(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  uint64_t v;

  if (!read_unsigned(p, len, &v)) pg_garbage(L, type, len, 1);
  push_unsigned(L, v);
}

const char *uint8_to_binary(lua_State *L, const pg_type *type, int idx,
                            buf *out) {
  int64_t v;
  const char *no = take_integer(L, type, idx, 0, INT64_MAX, &v);

  if (no == NULL) buf_u64(out, (uint64_t)v);
  return no;
}

/* pg_lsn: "16/B374D848" in text, an integer here. */

void lsn_from_binary(lua_State *L, const pg_type *type, const char *p,
                     size_t len) {
  uint8_from_binary(L, type, p, len);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
  return -1;
}

void lsn_from_text(lua_State *L, const pg_type *type, const char *p,
                   size_t len) {
  uint64_t half[2] = {0, 0};
  int which = 0, digits = 0;
  size_t i;

  for (i = 0; i < len; i++) {
    int d = hex_digit(p[i]);
    if (p[i] == '/' && which == 0 && digits > 0) {
      which = 1;
      digits = 0;
      continue;
    }
    if (d < 0 || ++digits > 8) pg_garbage(L, type, len, 1);
    half[which] = half[which] << 4 | (uint64_t)d;
  }
  if (which == 0 || digits == 0) pg_garbage(L, type, len, 1);
  push_unsigned(L, half[0] << 32 | half[1]);
}

/* The server reads no decimals here, as it does for xid8. */
const char *lsn_to_binary(lua_State *L, const pg_type *type, int idx,
                          buf *out) {
  uint64_t v;
  size_t len;
  const char *s;

  if (lua_type(L, idx) != LUA_TSTRING)
    return uint8_to_binary(L, type, idx, out);
  s = lua_tolstring(L, idx, &len);
  if (!read_unsigned(s, len, &v)) return pg_as_text;
  buf_u64(out, v);
  return NULL;
}

/* Floats. */

#define EXACT_INTEGER (INT64_C(1) << 53)

static const char *take_float(lua_State *L, const pg_type *type, int idx,
                              double *v) {
  int64_t i;

  if (lua_type(L, idx) == LUA_TSTRING) return pg_as_text;
  if (lua_type(L, idx) != LUA_TNUMBER) return pg_expected(L, idx, "a number");
  *v = lua_tonumber(L, idx);
  if (!lua_isinteger(L, idx)) return NULL;
  i = lua_tointeger(L, idx);
  if (i >= -EXACT_INTEGER && i <= EXACT_INTEGER) return NULL;
  return lua_pushfstring(L, "the integer %I is not exact as %s", (LUAI_UACINT)i,
                         type->name);
}

/* What strtod reads, and the words of the server. Locale-proof: Lua knows the
** point of the locale. */
static int push_number(lua_State *L, const char *p, size_t len) {
  char text[64];
  scan s = {p, p + len};
  lua_Number v;

  if (scan_whole(&s, "nan")) return lua_pushnumber(L, (lua_Number)NAN), 1;
  if (scan_whole(&s, "infinity")) return lua_pushnumber(L, HUGE_VAL), 1;
  if (scan_whole(&s, "-infinity")) return lua_pushnumber(L, -HUGE_VAL), 1;
  if (len == 0 || len >= sizeof text) return 0;
  memcpy(text, p, len);
  text[len] = '\0';
  if (strspn(text, "+-.0123456789eE") < len) return 0;
  if (lua_stringtonumber(L, text) != len + 1) return 0;
  v = lua_tonumber(L, -1); /* "10" is a float too */
  lua_pop(L, 1);
  lua_pushnumber(L, v == 0 && *p == '-' ? -0.0 : v);
  return 1;
}

void float8_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  uint64_t bits;
  double v;

  if (len != 8) pg_garbage(L, type, len, 0);
  bits = read_u64(p);
  memcpy(&v, &bits, sizeof v);
  lua_pushnumber(L, v);
}

void float8_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  if (!push_number(L, p, len)) pg_garbage(L, type, len, 1);
}

const char *float8_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  uint64_t bits;
  double v;
  const char *no = take_float(L, type, idx, &v);

  if (no != NULL) return no;
  memcpy(&bits, &v, sizeof bits);
  buf_u64(out, bits);
  return NULL;
}

void float4_from_binary(lua_State *L, const pg_type *type, const char *p,
                        size_t len) {
  uint32_t bits;
  float v;

  if (len != 4) pg_garbage(L, type, len, 0);
  bits = read_u32(p);
  memcpy(&v, &bits, sizeof v);
  lua_pushnumber(L, (lua_Number)v);
}

/* 0 when v would round to an infinity that it is not. */
static int narrow(double v, float *f) {
  if (isfinite(v) && fabs(v) >= 0x1.ffffffp127) return 0;
  *f = (float)v;
  return 1;
}

/* The nearest float4, as the binary form would give. */
void float4_from_text(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  float f;

  if (!push_number(L, p, len) || !narrow(lua_tonumber(L, -1), &f))
    pg_garbage(L, type, len, 1);
  lua_pushnumber(L, (lua_Number)f);
  lua_remove(L, -2);
}

const char *float4_to_binary(lua_State *L, const pg_type *type, int idx,
                             buf *out) {
  uint32_t bits;
  double v;
  float f;
  const char *no = take_float(L, type, idx, &v);

  if (no != NULL) return no;
  if (!narrow(v, &f)) return pg_out_of_range(L, idx, type);
  memcpy(&bits, &f, sizeof bits);
  buf_u32(out, bits);
  return NULL;
}
