/*
** type_bits.c -- bit and varbit, and pg.bits: a string of bits that knows its
** length.
*/
#include <limits.h>
#include <string.h>

#include <lauxlib.h>

#include "pg/type.h"

typedef struct bits {
  size_t len;           /* bits */
  unsigned char byte[]; /* first bit highest; those behind the last are 0 */
} bits;

#define BYTES(n) (((n) + 7) / 8)

static bits *push_bits(lua_State *L, size_t len) {
  bits *b = pg_class_new(L, PG_BITS, sizeof *b + BYTES(len));

  b->len = len;
  memset(b->byte, 0, BYTES(len));
  return b;
}

static int bit_at(const bits *b, size_t i) {
  return b->byte[i / 8] >> (7 - i % 8) & 1;
}

static int all_bits(const char *s, size_t len) {
  size_t i;

  for (i = 0; i < len; i++)
    if (s[i] != '0' && s[i] != '1') return 0;
  return 1;
}

static void read_digits(bits *b, const char *s) {
  size_t i;

  for (i = 0; i < b->len; i++)
    if (s[i] == '1') b->byte[i / 8] |= (unsigned char)(0x80 >> i % 8);
}

void bits_from_binary(lua_State *L, const pg_type *type, const char *p,
                      size_t len) {
  size_t n;
  bits *b;

  if (len < 4) pg_garbage(L, type, len, 0);
  n = read_u32(p);
  if (n > INT_MAX || len - 4 != BYTES(n)) pg_garbage(L, type, len, 0);
  b = push_bits(L, n);
  memcpy(b->byte, p + 4, len - 4);
  if (n % 8 != 0 && b->byte[n / 8] & 0xff >> n % 8)
    pg_garbage(L, type, len, 0);
}

void bits_from_text(lua_State *L, const pg_type *type, const char *p,
                    size_t len) {
  if (!all_bits(p, len)) pg_garbage(L, type, len, 1);
  read_digits(push_bits(L, len), p);
}

const char *bits_to_binary(lua_State *L, const pg_type *type, int idx,
                           buf *out) {
  bits *b = pg_class_test(L, idx, PG_BITS);
  const char *s;
  size_t len;

  (void)type;
  if (b == NULL) {
    if (lua_type(L, idx) != LUA_TSTRING)
      return pg_expected(L, idx, "a string of 0 and 1, or pg.bits");
    s = lua_tolstring(L, idx, &len);
    if (!all_bits(s, len)) return pg_as_text; /* "xFF" is for the server */
    read_digits(b = push_bits(L, len), s);
  }
  buf_u32(out, (uint32_t)b->len);
  buf_append(out, b->byte, BYTES(b->len));
  return NULL;
}

const char *bits_text(lua_State *L, int idx, buf *out) {
  const bits *b = lua_touserdata(L, idx);
  char *p = buf_grow(out, b->len);
  size_t i;

  if (p == NULL) return NULL;
  for (i = 0; i < b->len; i++) p[i] = (char)('0' + bit_at(b, i));
  out->len += b->len;
  return NULL;
}

/* The class. */

static bits *check_bits(lua_State *L, int idx) {
  bits *b = pg_class_test(L, idx, PG_BITS);

  if (b == NULL) luaL_typeerror(L, idx, "pg.bits");
  return b;
}

static int l_bits_new(lua_State *L) {
  size_t len;
  const char *s;

  if (pg_class_test(L, 1, PG_BITS)) return lua_settop(L, 1), 1;
  luaL_checktype(L, 1, LUA_TSTRING);
  s = lua_tolstring(L, 1, &len);
  luaL_argcheck(L, all_bits(s, len), 1, "expected a string of 0 and 1");
  luaL_argcheck(L, len <= INT_MAX, 1, "too many bits");
  read_digits(push_bits(L, len), s);
  return 1;
}

static int l_bits__tostring(lua_State *L) {
  const bits *b = check_bits(L, 1);
  luaL_Buffer buffer;
  char *p = luaL_buffinitsize(L, &buffer, b->len);
  size_t i;

  for (i = 0; i < b->len; i++) p[i] = (char)('0' + bit_at(b, i));
  luaL_pushresultsize(&buffer, b->len);
  return 1;
}

static int l_bits__len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_bits(L, 1)->len);
  return 1;
}

static int l_bits__eq(lua_State *L) {
  const bits *a = pg_class_test(L, 1, PG_BITS);
  const bits *b = pg_class_test(L, 2, PG_BITS);

  lua_pushboolean(L, a != NULL && b != NULL && a->len == b->len &&
                       memcmp(a->byte, b->byte, BYTES(a->len)) == 0);
  return 1;
}

/* [i]: the bit, 0 or 1, counted from 1; .len; .bytes */
static int l_bits__index(lua_State *L) {
  const bits *b = check_bits(L, 1);
  const char *name;

  if (lua_isinteger(L, 2)) {
    lua_Integer i = lua_tointeger(L, 2);
    if (i < 1 || (lua_Unsigned)i > b->len) return 0;
    lua_pushinteger(L, bit_at(b, (size_t)i - 1));
    return 1;
  }
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  name = lua_tostring(L, 2);
  if (strcmp(name, "len") == 0)
    lua_pushinteger(L, (lua_Integer)b->len);
  else if (strcmp(name, "bytes") == 0)
    lua_pushlstring(L, (const char *)b->byte, BYTES(b->len));
  else
    return 0;
  return 1;
}

void bits_values_open(lua_State *L) {
  static const luaL_Reg events[] = {{"__tostring", l_bits__tostring},
                                    {"__len", l_bits__len},
                                    {"__eq", l_bits__eq},
                                    {"__index", l_bits__index},
                                    {NULL, NULL}};
  pg_class_define(L, PG_BITS, "pg.bits");
  luaL_setfuncs(L, events, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_bits_new);
  lua_setfield(L, -2, "bits");
}
