/*
** type_numeric.c -- numeric: the wire form is the decimal itself, digit by
** digit. The class is the core's (neap.numeric); values are made here.
*/
#include <errno.h>
#include <math.h>

#include <lauxlib.h>

#include "pg/type.h"

/* Signs on the wire. ORDER decimal_kind */
static const uint16_t wire_sign[] = {0x0000, 0x4000, 0xC000, 0xD000, 0xF000};

static decimal *push_room(lua_State *L, size_t digits) {
  decimal *d = pg_class_new(L, PG_NUMERIC, decimal_size(digits));

  d->n = d->weight = d->scale = 0;
  d->kind = DECIMAL_POS;
  return d;
}

/* Number of digits, weight, sign, scale, digits: 16 bits each. */
void numeric_from_binary(lua_State *L, const pg_type *type, const char *p,
                         size_t len) {
  unsigned n, kind, i;
  decimal *d;

  if (len < 8) pg_garbage(L, type, len, 0);
  n = read_u16(p);
  for (kind = 0; kind < countof(wire_sign); kind++)
    if (wire_sign[kind] == read_u16(p + 4)) break;
  if (kind == countof(wire_sign) || len != 8 + 2 * (size_t)n)
    pg_garbage(L, type, len, 0);
  d = push_room(L, n);
  d->kind = (int32_t)kind;
  if (!decimal_finite(d)) {
    if (n != 0) pg_garbage(L, type, len, 0);
    return;
  }
  d->n = (int32_t)n;
  d->weight = (int16_t)read_u16(p + 2);
  d->scale = read_u16(p + 6);
  for (i = 0; i < n; i++) {
    d->digit[i] = read_u16(p + 8 + 2 * i);
    if (d->digit[i] > 9999) pg_garbage(L, type, len, 0);
  }
  decimal_trim(d);
  if (d->scale > DECIMAL_MAX_SCALE || decimal_min_scale(d) > d->scale)
    pg_garbage(L, type, len, 0);
}

void numeric_from_text(lua_State *L, const pg_type *type, const char *p,
                       size_t len) {
  decimal *d = push_room(L, decimal_parse_room(len));

  if (decimal_parse(d, p, len) < 0) pg_garbage(L, type, len, 1);
}

static const char *write_decimal(lua_State *L, const pg_type *type, int idx,
                                 const decimal *d, buf *out) {
  int i;

  if (d->weight < INT16_MIN || d->n > UINT16_MAX)
    return pg_out_of_range(L, idx, type);
  buf_u16(out, (uint16_t)d->n);
  buf_u16(out, (uint16_t)d->weight);
  buf_u16(out, wire_sign[d->kind]);
  buf_u16(out, (uint16_t)d->scale);
  for (i = 0; i < d->n; i++) buf_u16(out, d->digit[i]);
  return NULL;
}

const char *numeric_to_binary(lua_State *L, const pg_type *type, int idx,
                              buf *out) {
  union {
    decimal d;
    char room[sizeof(decimal) + 2 * 16];
  } number;
  char text[32];
  size_t len;
  const decimal *d;

  switch (lua_type(L, idx)) {
  case LUA_TSTRING: return pg_as_text;
  case LUA_TNUMBER:
    if (lua_isinteger(L, idx)) {
      decimal_from_int(&number.d, lua_tointeger(L, idx));
      return write_decimal(L, type, idx, &number.d, out);
    }
    /* The shortest text that reads back as this float. At most 17 digits. */
    len = float_text(text, lua_tonumber(L, idx));
    if (decimal_parse(&number.d, text, len) < 0)
      return pg_out_of_range(L, idx, type);
    return write_decimal(L, type, idx, &number.d, out);
  default:
    d = pg_class_test(L, idx, PG_NUMERIC);
    if (d == NULL) return pg_expected(L, idx, "a number");
    return write_decimal(L, type, idx, d, out);
  }
}

void numeric_values_open(lua_State *L) {
  if (luaL_getmetatable(L, DECIMAL_CLASS) != LUA_TTABLE)
    luaL_error(L, "the neap core has no class " DECIMAL_CLASS);
  pg_class_adopt(L, PG_NUMERIC);
  lua_getfield(L, -1, "new"); /* one constructor for all modules */
  lua_setfield(L, -3, "numeric");
  lua_pop(L, 1);
}
